"""Features without labels, each with its settings to choose from and its seconds.

A method takes a data set, a seed, sizes and one setting, and yields what it found: features of the
labelled rows to fit, of the rows to choose on and of the rows to report. Its seconds are those of
fitting and of encoding the samples that it was fitted on, by the clock and of the CPU.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import torch
from contrastive import look, train_head
from data import Data
from numpy.typing import NDArray
from patch_kmeans import PatchKMeans
from scipy import fft
from sklearn.kernel_approximation import Nystroem
from threadpoolctl import threadpool_limits

from skdim import DeepInfoMaxTransformer

OURS, SIZES = "Deep InfoMax", (16, 64, 256, 1024)
# A rate of next to nothing leaves the weights as drawn; one epoch sets the running statistics.
UNTRAINED = {"learning_rate": 1e-12, "max_epochs": 1, "view": None}
# Wider layers are not judged: it takes minutes.
WIDEST = 5000
# Directions that the heads of contrastive losses start from.
DIRECTIONS = 1280

Encode = Callable[[NDArray], NDArray]
Setting = dict[str, object]


@dataclass
class Watch:
    """CPU seconds and seconds by the clock."""

    cpu: float = 0.0
    clock: float = 0.0

    def __enter__(self) -> Self:
        self.cpu -= time.process_time()
        self.clock -= time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu += time.process_time()
        self.clock += time.perf_counter()

    def __add__(self, other: "Watch") -> "Watch":
        return Watch(self.cpu + other.cpu, self.clock + other.clock)


@dataclass
class Found:
    """Features of one size, and what they cost.

    Parameters
    ----------
    fit : array of shape (n, d)
        Of all samples that were fitted.
    choose : array or None
    report : array
    watch : Watch
        Fit and encode.
    encode : float
        CPU milliseconds to encode an image on one thread, that is seconds per 1,000 images.
    how : str
        What was done last.
    more : dict
        What else is worth writing down.
    """

    fit: NDArray
    choose: NDArray | None
    report: NDArray
    watch: Watch
    encode: float
    how: str = "direct"
    more: dict = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Numbers a sample gets."""
        return self.fit.shape[1]


def flat(X: NDArray) -> NDArray[np.float32]:
    """Images as rows of numbers."""
    return X.reshape(len(X), -1).astype(np.float32)


def encoded(encode: Encode, data: Data, watch: Watch, how: str = "direct") -> Found:
    """Encode all rows; only those to fit count, beside the seconds of the fit in ``watch``."""
    with Watch() as spent:
        fit = encode(data.X)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1), Watch() as alone:
        report = encode(data.X_test)
    torch.set_num_threads(threads)
    choose = None if data.X_choose is None else encode(data.X_choose)
    return Found(fit, choose, report, watch + spent, 1000 * alone.cpu / len(report), how)


def fitted(fit: Callable[[NDArray], Encode], data: Data, how: str = "direct") -> Found:
    """Fit and encode."""
    with Watch() as watch:
        encode = fit(data.X)
    return encoded(encode, data, watch, how)


def components(X: NDArray, size: int, seed: int) -> NDArray[np.float32]:
    """Leading principal axes (d, size) of centred rows; by random projection where d is large."""
    x = torch.as_tensor(X)
    if x.shape[1] <= 2048:
        return torch.linalg.eigh(x.T @ x)[1].flip(1)[:, :size].numpy()
    draw = torch.Generator().manual_seed(seed)
    span = min(size + 16, *x.shape)
    basis = torch.randn(x.shape[1], span, generator=draw)
    for _ in range(3):
        basis = torch.linalg.qr(x.T @ (x @ basis))[0]
    turn = torch.linalg.eigh((x @ basis).T @ (x @ basis))[1].flip(1)
    return (basis @ turn)[:, :size].numpy()


def pca_fit(X: NDArray, size: int, seed: int, standardise: bool) -> Encode:
    """Fit principal components of rows; return what projects rows on them."""
    mean = X.mean(0)
    scale = X.std(0) + 1e-6 if standardise else np.float32(1)
    axes = components((X - mean) / scale, size, seed)
    return lambda rows: ((rows - mean) / scale) @ axes


def rotation(size: int, seed: int) -> NDArray[np.float32]:
    """Draw a rotation. Behind it, standardising does not undo the scales of the components."""
    drawn = np.random.default_rng(seed).normal(size=(size, size))
    return np.linalg.qr(drawn)[0].astype(np.float32)


def reduced(base: Found, sizes: tuple[int, ...], seed: int, standardise: bool) -> Iterator[Found]:
    """Reduce features by PCA, as they are and rotated; the seconds of both steps count."""
    for size in sizes:
        if size >= min(base.fit.shape):
            continue
        with Watch() as watch:
            project = pca_fit(base.fit, size, seed, standardise)
            fit = project(base.fit)
        with Watch() as alone:
            report = project(base.report)
        choose = None if base.choose is None else project(base.choose)
        encode = base.encode + 1000 * alone.cpu / len(report)
        found = Found(fit, choose, report, base.watch + watch, encode, "PCA", base.more)
        yield found
        turn = rotation(size, seed)
        turned = [None if part is None else part @ turn for part in (fit, choose, report)]
        yield replace(found, fit=turned[0], choose=turned[1], report=turned[2], how="PCA, rotated")


def raw(data: Data, seed: int, sizes: tuple[int, ...], budget: float) -> Iterator[Found]:
    """Take the numbers as they are."""
    yield fitted(lambda X: flat, data)


def pca(data: Data, seed: int, sizes: tuple[int, ...], budget: float) -> Iterator[Found]:
    """Take the linear counterpart."""
    base = Found(
        flat(data.X),
        None if data.X_choose is None else flat(data.X_choose),
        flat(data.X_test),
        Watch(),
        0.0,
    )
    yield from reduced(base, sizes, seed, standardise=not data.is_image)


def kmeans(
    data: Data,
    seed: int,
    sizes: tuple[int, ...],
    budget: float,
    *,
    numbers: int,
    patch: int,
    stride: int,
    **more: object,
) -> Iterator[Found]:
    """Take a layer of clustered or drawn patches, directly and behind PCA."""
    model = PatchKMeans(numbers, patch=patch, stride=stride, seed=seed, **more)
    base = fitted(lambda X: model.fit(X).transform, data)
    if numbers in sizes:
        yield base
    yield from reduced(base, sizes, seed, standardise=True)


def nystroem(
    data: Data, seed: int, sizes: tuple[int, ...], budget: float, *, gamma: float, axes: int
) -> Iterator[Found]:
    """Approximate a Gaussian kernel on components; gamma is in units of 1 / squared distance."""
    for size in sizes:
        if size >= len(data.X):
            continue

        def fit(X: NDArray, size: int = size) -> Encode:
            project = pca_fit(flat(X), min(axes, *flat(X).shape), seed, standardise=False)
            found = project(flat(X))
            kernel = Nystroem(
                gamma=gamma / (2 * found.var(0).sum()), n_components=size, random_state=seed
            ).fit(found)
            return lambda rows: kernel.transform(project(flat(rows))).astype(np.float32)

        yield fitted(fit, data)


def layer_of(model: DeepInfoMaxTransformer, layer: str) -> Encode:
    """Encode one layer of a fitted transformer as rows."""
    return lambda X: flat(model.encode(X, layer).numpy())


def infomax(data: Data, seed: int, sizes: tuple[int, ...], budget: float) -> Iterator[Found]:
    """Deep InfoMax with its defaults: codes of all sizes, cut off one fit, and its wide layers."""
    with Watch() as watch:
        model = DeepInfoMaxTransformer(random_state=seed).fit(data.X)
    hidden = encoded(layer_of(model, "hidden"), data, watch, "hidden")
    yield from codes(model, hidden, sizes)
    yield hidden
    if model.encoder_[1].mean.numel() <= WIDEST:
        yield encoded(layer_of(model, "conv"), data, watch, "conv")


def codes(model: DeepInfoMaxTransformer, hidden: Found, sizes: tuple[int, ...]) -> Iterator[Found]:
    """Yield the codes of smaller sizes than the hidden layer, as fits of these sizes have them."""
    for size in sizes:
        if size < hidden.size:
            turn = (model.directions_[:, :size] @ cosines(size)).astype(np.float32)
            parts = (hidden.fit, hidden.choose, hidden.report)
            fit, choose, report = (None if part is None else part @ turn for part in parts)
            yield replace(hidden, fit=fit, choose=choose, report=report, how="code")


def cosines(size: int) -> NDArray[np.float64]:
    """Return the rotation of the code, as ``DeepInfoMaxTransformer(size)`` has it."""
    matrix: NDArray[np.float64] = fft.dct(np.eye(size), norm="ortho", axis=0).T
    return matrix


def conv_pca(data: Data, seed: int, sizes: tuple[int, ...], budget: float) -> Iterator[Found]:
    """Take the patch features that our default computes, reduced by PCA in place of InfoMax.

    The seconds of our fit are counted, although a part of them is for InfoMax.
    """
    with Watch() as watch:
        model = DeepInfoMaxTransformer(256, random_state=seed).fit(data.X)
    base = encoded(layer_of(model, "conv"), data, watch)
    yield from reduced(base, sizes, seed, standardise=True)


def untrained(
    data: Data, seed: int, sizes: tuple[int, ...], budget: float, *, encoder: str
) -> Iterator[Found]:
    """Take encoders with the weights as they are drawn."""
    least = {"dcgan": 28, "patch_network": 8}
    if data.is_image and min(data.X.shape[2:]) < least.get(encoder, 0):
        return
    for size in sizes:
        if size == 1024:
            continue
        model = DeepInfoMaxTransformer(size, encoder=encoder, random_state=seed, **UNTRAINED)
        with Watch() as watch:
            model.fit(data.X)
        yield encoded(model.transform, data, watch, "code")
    for layer in ("hidden", "conv"):
        found = encoded(layer_of(model, layer), data, watch, layer)
        yield found
    yield from reduced(found, sizes, seed, standardise=True)


def contrastive(
    data: Data,
    seed: int,
    sizes: tuple[int, ...],
    budget: float,
    *,
    loss: str,
    layers: int,
    rate: float,
) -> Iterator[Found]:
    """Heads on the patch features of our default, trained for our seconds.

    The seconds of the patch features' fit and of computing the looks are not counted: the rivals
    get them for nothing. Their training alone takes ``budget``, the CPU seconds of our default.
    """
    base, looks = cached_looks(data, seed)
    for size in sizes:
        with Watch() as watch:
            head, epochs = train_head(
                looks, size, loss, layers=layers, rate=rate, seconds=budget, seed=seed
            )
        fit, choose, report = (
            None if part is None else apply(head, part)
            for part in (base.fit, base.choose, base.report)
        )
        assert fit is not None
        assert report is not None
        more = {"epochs": epochs}
        yield Found(fit, choose, report, watch, base.encode, "code", more)


@torch.no_grad()
def apply(head: torch.nn.Module, rows: NDArray) -> NDArray:
    """Encode rows by a head."""
    return head(torch.as_tensor(rows)).numpy()


Looks = tuple[torch.Tensor, torch.Tensor]
LOOKS: list[tuple[NDArray, int, tuple[Found, Looks]]] = []


def cached_looks(data: Data, seed: int) -> tuple[Found, Looks]:
    """Patch features on their leading components: of all rows, and of two looks at those to fit."""
    if not LOOKS or LOOKS[0][0] is not data.X or LOOKS[0][1] != seed:
        LOOKS.clear()
        model = DeepInfoMaxTransformer(256, random_state=seed).fit(data.X)
        encode = layer_of(model, "conv")
        sample = encode(data.X)
        size = min(DIRECTIONS, len(sample) - 1, sample.shape[1])
        project = pca_fit(sample, size, seed, standardise=True)
        # One scale for all: relative variances stay, which the closed form sees as well.
        unit = project(sample).std(0).mean()
        base = encoded(lambda X: project(encode(X)) / unit, data, Watch())
        draw = torch.Generator().manual_seed(seed)
        both = []
        for _ in range(2):
            parts = torch.as_tensor(data.X).split(500)
            found = [project(encode(look(part, draw).numpy())) / unit for part in parts]
            both.append(torch.as_tensor(np.concatenate(found)))
        LOOKS.append((data.X, seed, (base, (both[0], both[1]))))
    return LOOKS[0][2]


@dataclass(frozen=True)
class Method:
    """A family of features, and the settings to choose from."""

    run: Callable[..., Iterator[Found]]
    settings: Callable[[Data], list[Setting]] = lambda data: [{}]
    images_only: bool = True


def grid(**values: tuple) -> list[Setting]:
    """All combinations."""
    return [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]


# Sides from which on 3x3 cells are tried as well, as our default has them.
FINE = 28


def in_finer_cells(data: Data, settings: list[Setting]) -> list[Setting]:
    """Return the settings with 3x3 cells; none for small images."""
    fine = min(data.X.shape[2:]) >= FINE
    return [setting | {"cells": 3} for setting in settings] if fine else []


def kmeans_settings(data: Data) -> list[Setting]:
    """Sides of patches, strides and numbers of centroids."""
    sides = (4, 6, 8) if min(data.X.shape[2:]) >= 16 else (3, 4)
    direct = grid(numbers=(64, 256, 1024), patch=sides, stride=(1, 2))
    # Many centroids: the strides that pay, the sides that are known to.
    known = [{"numbers": numbers, "patch": sides[1], "stride": 1} for numbers in (1024, 256, 64)]
    many = grid(numbers=(4096,), patch=sides[1::-1], stride=(1, 2))
    finer = in_finer_cells(data, grid(numbers=(2304, 9216), patch=(6,), stride=(1,)))
    return [*known, *many, *finer, *(setting for setting in direct if setting not in known)]


def random_settings(data: Data) -> list[Setting]:
    """Patches as drawn: both encodings, two thresholds."""
    side = 6 if min(data.X.shape[2:]) >= 16 else 4
    shape = {"patch": side, "rounds": 0}
    numbers = {"numbers": (1024, 4096), "stride": (1, 2)}
    both = grid(**numbers, encode=("threshold",), threshold=(0.5, 1.0))
    many = grid(numbers=(9216,), stride=(1,), encode=("threshold",), threshold=(0.5, 1.0))
    finer = in_finer_cells(data, [shape | each for each in many])
    return [shape | each for each in grid(**numbers, encode=("triangle",)) + both] + finer


METHODS: dict[str, Method] = {
    OURS: Method(infomax, images_only=False),
    "raw": Method(raw, images_only=False),
    "PCA": Method(pca, images_only=False),
    "patch features, PCA": Method(conv_pca),
    "patch k-means": Method(kmeans, kmeans_settings),
    "random patches": Method(kmeans, random_settings),
    "Nystroem": Method(nystroem, lambda data: grid(gamma=(0.5, 1.0, 2.0, 4.0), axes=(32, 128))),
    "untrained": Method(untrained, lambda data: grid(encoder=("patch_network", "dcgan"))),
}
METHODS |= {
    name: Method(
        contrastive,
        lambda data, loss=loss: grid(loss=(loss,), layers=(1, 2), rate=(3e-4, 1e-3, 3e-3)),
    )
    for name, loss in (("SimCLR", "simclr"), ("VICReg", "vicreg"), ("Barlow Twins", "barlow"))
}
