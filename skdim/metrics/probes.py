"""Accuracy of classifiers of frozen features."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import column_or_1d

from skdim.metrics.arrays import (
    check_layers,
    check_lengths,
    encode_labels,
    frozen_features,
    hold_out,
    resolve_device,
)
from skdim.metrics.probe_networks import NETWORKS, NetworkProbe
from skdim.random import draw_seed, seeded

__all__ = ["PROBES", "probe_scores"]


@dataclass(frozen=True)
class Grid:
    """A classifier of scikit-learn and the settings among which the validation split selects.

    Parameters
    ----------
    parameter : str
        "C", with values for the mean of the loss, which are divided by the number of samples for
        the sum of scikit-learn; or "k", with values up to the number of samples.
    values : tuple of float
        In the order of evaluation, the fastest first.
    make : callable
        ``(value, seed) -> classifier``.
    ends_at_fall : bool, default=False
        Whether to stop at the first value that scores lower than the best one before it.
    """

    parameter: str
    values: tuple[float, ...]
    make: Callable[[float, int], Any]
    ends_at_fall: bool = False

    def settings(self, n: int) -> list[float]:
        """Return the values for n training samples."""
        if self.parameter == "k":
            return [value for value in self.values if value <= n]
        return [value / n for value in self.values]


GRIDS: Mapping[str, Grid] = {
    "linear": Grid(
        "C",
        (0.1, 1.0, 10.0, 100.0, 1000.0),
        lambda value, seed: LogisticRegression(C=value, max_iter=1000),
    ),
    "svm": Grid(
        "C",
        (0.1, 1.0, 10.0, 100.0),
        # A lower tolerance takes three times as long and scores the same.
        lambda value, seed: LinearSVC(
            C=value, loss="hinge", dual=True, tol=0.1, max_iter=10_000, random_state=seed
        ),
        ends_at_fall=True,
    ),
    "knn": Grid("k", (1, 3, 5, 10, 20, 50), lambda value, seed: KNeighborsClassifier(int(value))),
}

PROBES = (*GRIDS, *NETWORKS)


@dataclass(frozen=True)
class LabelledFeatures:
    """Features of shape (n, d) and indices of their classes."""

    X: NDArray[np.float32]
    y: NDArray[np.int64]

    def part(self, indices: NDArray[np.intp]) -> "LabelledFeatures":
        """Return some of the samples."""
        return LabelledFeatures(self.X[indices], self.y[indices])


@dataclass(frozen=True)
class ProbeTask:
    """Data and settings of the training of a probe with one seed."""

    train: LabelledFeatures
    held_out: LabelledFeatures
    seed: int
    max_epochs: int
    device: torch.device


@dataclass(frozen=True)
class FittedProbe:
    """A trained probe with its best setting on the validation split."""

    classifier: Pipeline
    parameter: str
    value: str
    converged: bool


def probe_scores(
    transformer: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    layers: str | Sequence[str] = ("code", "hidden", "conv"),
    probes: str | Sequence[str] = ("linear", "mlp", "svm", "knn"),
    *,
    n_seeds: int = 3,
    validation_fraction: float = 0.1,
    max_epochs: int = 100,
    random_state: int | np.random.RandomState | None = None,
    device: str | torch.device = "auto",
) -> Any:
    """Train classifiers on the frozen features of a transformer, and score them on test data.

    Each seed draws a stratified validation split of X. A probe is trained on the rest with each of
    its settings, the split selects one of them, and only that one is scored on the test data. (The
    paper selects on the test data.) Features are standardised by the training features.

    ==============  ======================================================  ===================
    probe           classifier                                              selected
    ==============  ======================================================  ===================
    ``"linear"``    logistic regression                                     C
    ``"svm"``       linear support vector machine with hinge loss           C
    ``"knn"``       k nearest neighbours                                    k
    ``"mlp"``       one hidden layer of 200 units with batch normalisation  epochs
                    and dropout 0.1, as in the paper
    ``"tutorial"``  layers of 15 and 10 units with batch normalisation, as  epochs
                    in the PyTorch tutorial, without its second softmax
    ==============  ======================================================  ===================

    Parameters
    ----------
    transformer : object
        Fitted transformer of skdim, or of scikit-learn, where the result of ``transform`` is the
        only layer, ``"code"``. ``FunctionTransformer()`` probes the raw pixels.
    X, X_test : array-like
        Samples to train and to test on, in the format of the transformer.
    y, y_test : array-like of shape (n,), (m,)
        Their classes, of any type.
    layers : sequence of {"code", "hidden", "conv", "local"}
        Layers to probe; feature maps are flattened.
    probes : sequence of {"linear", "mlp", "svm", "knn", "tutorial"}
    n_seeds : int, default=3
        Number of repetitions with different splits, initial weights and orders. All layers and
        probes use the same splits.
    validation_fraction : float, default=0.1
        Share of X in the validation split; at least one sample per class.
    max_epochs : int, default=100
        Maximum number of epochs of the networks. Training stops when the cross entropy of the split
        has not decreased for ten epochs, and the best epoch is kept.
    random_state : int, RandomState or None, default=None
    device : str or torch.device, default="auto"
        Device of the networks; "auto" is the device of the transformer.

    Returns
    -------
    DataFrame, or list of dict where pandas is not installed
        One row per layer and probe: ``layer``, ``probe``, ``accuracy`` (mean over seeds, between 0
        and 1), ``spread`` (standard deviation over seeds, NaN for one seed), ``setting`` (the
        selected setting for each seed), ``converged`` (False if a selected probe reached its limit
        of iterations or epochs), ``seconds`` (of all seeds, without computing the features).

    Raises
    ------
    ValueError, TypeError
        If a parameter is not valid.

    References
    ----------
    Hjelm et al., "Learning deep representations by mutual information estimation and
    maximization", ICLR 2019, section 4.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from skdim.metrics import probe_scores
    >>> X, y = load_digits(return_X_y=True)
    >>> pixels = FunctionTransformer()
    >>> scores = probe_scores(
    ...     pixels, X[:500], y[:500], X[500:], y[500:], ["code"], ["knn"], random_state=0
    ... )
    >>> [round(accuracy, 1) for accuracy in scores["accuracy"]]
    [0.9]
    """
    layers, probes = check_layers(transformer, layers), check_probes(probes)
    check_numbers(n_seeds, validation_fraction, max_epochs)
    check_lengths(X=X, y=y)
    check_lengths(X_test=X_test, y_test=y_test)
    classes = np.unique(column_or_1d(y))
    labels = encode_labels(y, "y", classes)
    labels_test = encode_labels(y_test, "y_test", classes)
    seeds = np.random.SeedSequence(draw_seed(random_state)).generate_state(n_seeds).tolist()
    splits = [hold_out(labels, validation_fraction, seed) for seed in seeds]
    device = resolve_device(transformer, device)
    rows = []
    for layer in layers:
        train = LabelledFeatures(frozen_features(transformer, X, layer), labels)
        test = LabelledFeatures(frozen_features(transformer, X_test, layer), labels_test)
        for probe in probes:
            started = time.perf_counter()
            fit = fit_grid if probe in GRIDS else fit_epochs
            tasks = (
                ProbeTask(train.part(kept), train.part(held_out), seed, max_epochs, device)
                for seed, (kept, held_out) in zip(seeds, splits, strict=True)
            )
            fitted = [fit(probe, task) for task in tasks]
            scores = [one.classifier.score(test.X, test.y) for one in fitted]
            seconds = time.perf_counter() - started
            rows.append({"layer": layer, "probe": probe, **summarise(fitted, scores, seconds)})
    return make_table(rows)


def summarise(
    fitted: Sequence[FittedProbe], scores: Sequence[float], seconds: float
) -> dict[str, str | float]:
    """Return the row of the table for one probe, over all seeds."""
    return {
        "accuracy": float(np.mean(scores)),
        "spread": float(np.std(scores, ddof=1)) if len(scores) > 1 else float("nan"),
        "setting": f"{fitted[0].parameter}={', '.join(one.value for one in fitted)}",
        "converged": all(one.converged for one in fitted),
        "seconds": seconds,
    }


def fit_grid(probe: str, task: ProbeTask) -> FittedProbe:
    """Fit a classifier with each of its settings; return the first of the best ones."""
    grid, best, best_score = GRIDS[probe], None, -np.inf
    for value in grid.settings(len(task.train.y)):
        classifier = make_pipeline(StandardScaler(), grid.make(value, task.seed))
        with catching_convergence() as not_converged:
            classifier.fit(task.train.X, task.train.y)
        score = classifier.score(task.held_out.X, task.held_out.y)
        if score > best_score:
            best_score = score
            best = FittedProbe(classifier, grid.parameter, f"{value:.2g}", not not_converged)
        elif score < best_score and grid.ends_at_fall:
            break
    return cast(FittedProbe, best)


def fit_epochs(probe: str, task: ProbeTask) -> FittedProbe:
    """Train a network, and restore its best epoch."""
    scaler = StandardScaler().fit(task.train.X)
    held_out = scaler.transform(task.held_out.X), task.held_out.y
    network = NetworkProbe(NETWORKS[probe], held_out, task.max_epochs, task.device)
    with seeded(task.seed, task.device):
        classifier = make_pipeline(scaler, network).fit(task.train.X, task.train.y)
    stopped_early = len(network.scores_) < task.max_epochs
    return FittedProbe(classifier, "epochs", str(network.best_epoch_), stopped_early)


@contextmanager
def catching_convergence() -> Iterator[list[str]]:
    """Collect the messages of ConvergenceWarning, and issue all other warnings again."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        yield messages
    for one in caught:
        if issubclass(one.category, ConvergenceWarning):
            messages.append(str(one.message))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def check_probes(probes: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of probes; raise if one is not valid, or there are none."""
    given = (probes,) if isinstance(probes, str) else tuple(probes)
    unknown = [probe for probe in given if probe not in PROBES]
    if unknown or not given:
        fault = f"{unknown[0]!r} is not a valid probe" if unknown else "at least one is needed"
        raise ValueError(f"probes={probes!r}: {fault}. Allowed are {', '.join(PROBES)}.")
    return given


def check_numbers(n_seeds: int, validation_fraction: float, max_epochs: int) -> None:
    """Raise a ValueError for numbers that are out of range."""
    for name, value in {"n_seeds": n_seeds, "max_epochs": max_epochs}.items():
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name}={value!r}. It must be an integer of at least 1.")
    if not 0 < validation_fraction < 1:
        raise ValueError(
            f"validation_fraction={validation_fraction!r}. It must be between 0 and 1."
        )


def make_table(rows: list[dict[str, str | float]]) -> Any:
    """Return a DataFrame, or the rows themselves if pandas is not installed."""
    try:
        from pandas import DataFrame  # noqa: PLC0415 - an optional package
    except ImportError:
        return rows
    return DataFrame(rows)
