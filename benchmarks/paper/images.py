"""Images for the paper's tables, from what people have: CIFAR-10's folder, npz files, folders."""

import io
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skdim.inputs import ImageFolder

Arrays = tuple[NDArray, NDArray]


@dataclass(frozen=True)
class Images:
    """Images (n, C, H, W) in uint8 to fit on, with labels for the probes; and others to test on."""

    name: str
    X: NDArray
    y: NDArray
    X_test: NDArray
    y_test: NDArray


def read_images(path: str | None, n_images: int | None, seed: int) -> Images:
    """Read a data set.

    Parameters
    ----------
    path : str or None
        CIFAR-10's folder ``cifar-10-batches-py``; an npz file with ``X`` and ``y``, and ``X_test``
        and ``y_test`` where there is a test set; or one with ``jpeg``, ``offsets`` and ``y``
        (see ``benchmarks/data.py``). None is the environment's ``CIFAR10``.
    n_images : int or None
        Images to fit on, drawn by the seed. None takes all.
    seed : int

    Returns
    -------
    Images
        Where there is no test set, a sixth is split off before anything else, at most 5,000 images.
    """
    path = path or os.environ.get("CIFAR10")
    if not path:
        raise SystemExit("Name the images: --data PATH, or CIFAR10=PATH in the environment.")
    given = Path(path)
    reader = read_batches if given.is_dir() else read_npz
    train, test = reader(given)
    order = np.random.default_rng(seed).permutation(len(train[1]))
    if test is None:
        n_test = min(len(order) // 6, 5000)
        test = tuple(a[order[:n_test]] for a in train)
        order = order[n_test:]
    train = tuple(a[order[:n_images]] for a in train)
    return Images(given.stem, *train, *test)


def read_batches(folder: Path) -> tuple[Arrays, Arrays]:
    """Read CIFAR-10 as its authors publish it: five batches to train on, one to test on.

    The files are pickles: read them only from where you trust them.
    """
    if not (folder / "data_batch_1").exists():
        raise SystemExit(f"{folder} holds no data_batch_1: it is not CIFAR-10's folder.")

    def batch(name: str) -> Arrays:
        with (folder / name).open("rb") as file:
            held = pickle.load(file, encoding="bytes")
        return held[b"data"].reshape(-1, 3, 32, 32), np.array(held[b"labels"])

    parts = [batch(f"data_batch_{i}") for i in range(1, 6)]
    train = tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return train, batch("test_batch")


def read_npz(file: Path) -> tuple[Arrays, Arrays | None]:
    """Read arrays, or JPEG files one after another."""
    with np.load(file) as held:
        arrays = {name: held[name] for name in held.files}
    if "jpeg" in arrays:
        starts, ends = arrays["offsets"][:-1], arrays["offsets"][1:]
        X = np.stack([decoded(arrays["jpeg"][a:b]) for a, b in zip(starts, ends, strict=True)])
        return (X, arrays["y"]), None
    test = (arrays["X_test"], arrays["y_test"]) if "X_test" in arrays else None
    return (arrays["X"], arrays["y"]), test


def decoded(jpeg: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Decode one JPEG file to (3, H, W)."""
    image = Image.open(io.BytesIO(jpeg.tobytes())).convert("RGB")
    return np.asarray(image).transpose(2, 0, 1)


def read_folder(path: str, n_images: int | None, seed: int, *, size: int) -> Images:
    """Read image files in one folder a class, below ``train`` and ``test`` (or ``val``).

    Parameters
    ----------
    path : str
        Images stand anywhere below ``train/CLASS``: so Tiny ImageNet and STL-10 can be laid out.
    n_images : int or None
        Images to fit on, drawn by the seed.
    seed : int
    size : int
        Side to which they are scaled.
    """
    folder = Path(path)
    test = next((folder / name for name in ("test", "val") if (folder / name).is_dir()), None)
    if not (folder / "train").is_dir() or test is None:
        raise SystemExit(f"{folder} needs the folders train and test (or val), a folder a class.")
    classes = sorted(f.name for f in (folder / "train").iterdir() if f.is_dir())

    def part(of: Path, most: int | None) -> Arrays:
        files = ImageFolder(of, (size, size))
        kept = np.random.default_rng(seed).permutation(len(files))[:most]
        names = [files.files[i].relative_to(of).parts[0] for i in kept]
        X = np.stack([np.asarray(files[i]) for i in kept])
        return X, np.array([classes.index(name) for name in names])

    return Images(folder.name, *part(folder / "train", n_images), *part(test, None))
