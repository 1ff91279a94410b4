"""Data sets for benchmarks: uint8 images or float tables, with labels, split once by a seed."""

import gzip
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits, make_classification

FASHION = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
CIFAR10 = os.environ.get("CIFAR10", "")


@dataclass(frozen=True)
class Data:
    """Samples to fit on and samples to test on."""

    X: NDArray
    y: NDArray
    X_test: NDArray
    y_test: NDArray

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
    """8x8 grey digits of scikit-learn, 597 or more to test on."""
    X, y = load_digits(return_X_y=True)
    images = (X * 255 / 16).round().astype(np.uint8).reshape(-1, 1, 8, 8)
    return split(images, y, min(n_fit, 1200), len(X), seed)


def fashion(n_fit: int, seed: int) -> Data:
    """28x28 grey clothes: the training files of Fashion-MNIST, in a folder FASHION_MNIST.

    Debian's package dataset-fashion-mnist installs them where they are looked for.
    """
    if not (FASHION / "train-images-idx3-ubyte.gz").exists():
        raise FileNotFoundError(f"no Fashion-MNIST in {FASHION}; name its folder in FASHION_MNIST")
    with gzip.open(FASHION / "train-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(FASHION / "train-labels-idx1-ubyte.gz") as file:
        y = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
    return split(images, y, n_fit, 5000, seed)


def cifar10(n_fit: int, seed: int) -> Data:
    """32x32 colour photographs: CIFAR-10's training images, in an npz file named by CIFAR10.

    The file holds JPEG files one after another (``jpeg``), where each begins (``offsets``) and
    the labels (``classes`` or ``y``). Test rows are split off the training images.
    """
    if not CIFAR10:
        raise FileNotFoundError("no CIFAR-10; name its npz file in CIFAR10")
    with np.load(CIFAR10) as file:
        jpeg, offsets, y = file["jpeg"], file["offsets"], file["y"]
    order = np.random.default_rng(seed).permutation(len(y))[: n_fit + 5000]
    images = np.stack(
        [
            np.asarray(
                Image.open(io.BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes())).convert("RGB")
            )
            for i in order
        ]
    ).transpose(0, 3, 1, 2)
    images = np.ascontiguousarray(images)
    return Data(images[:n_fit], y[order[:n_fit]], images[n_fit:], y[order[n_fit:]])


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
    "fashion": fashion,
    "cifar10": cifar10,
    "cancer": cancer,
    "covertype-like": covertype_like,
}
