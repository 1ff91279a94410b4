"""What a representation is worth to a classifier that may not change it."""

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
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import column_or_1d

from skdim.inputs.draws import draw_seed, seeded
from skdim.metrics.frozen import check_layers, check_lengths, find_device, frozen_features
from skdim.metrics.labels import hold_out, number_classes
from skdim.metrics.probe_networks import NETWORKS, make_probe_net

__all__ = ["PROBES", "probe_scores"]


@dataclass(frozen=True)
class Grid:
    """A classifier of scikit-learn and the settings that the validation split chooses from.

    Parameters
    ----------
    parameter : str
        "C", of which values are those of a mean loss: the sum's are smaller, n times for n
        samples. Or "k", which no more neighbours than n can have.
    values : tuple of float
        In the order they are tried, from the quickest to the slowest.
    make : callable
        ``(value, seed) -> classifier``.
    ends_at_fall : bool, default=False
        Whether to leave out the values behind one that does worse than the best before it.
    """

    parameter: str
    values: tuple[float, ...]
    make: Callable[[float, int], Any]
    ends_at_fall: bool = False

    def settings(self, n: int) -> list[float]:
        """Return the values for n samples to train on."""
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
        # A finer tolerance takes three times as long and scores the same.
        lambda value, seed: LinearSVC(
            C=value, loss="hinge", dual=True, tol=0.1, max_iter=10_000, random_state=seed
        ),
        ends_at_fall=True,
    ),
    "knn": Grid("k", (1, 3, 5, 10, 20, 50), lambda value, seed: KNeighborsClassifier(int(value))),
}

PROBES = (*GRIDS, *NETWORKS)


@dataclass(frozen=True)
class Samples:
    """Features of shape (n, d) and the numbers of their classes."""

    X: NDArray[np.float32]
    y: NDArray[np.int64]

    def part(self, positions: NDArray[np.intp]) -> "Samples":
        """Take some of them."""
        return Samples(self.X[positions], self.y[positions])


@dataclass(frozen=True)
class Task:
    """What one seed gives a probe to do."""

    train: Samples
    held_out: Samples
    n_classes: int
    seed: int
    max_epochs: int
    device: torch.device


@dataclass(frozen=True)
class Chosen:
    """A trained probe: the best of its settings on the validation split."""

    classifier: Pipeline
    parameter: str
    value: str
    converged: bool


def probe_scores(
    transformer: Any,
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    layers: Sequence[str] = ("code", "hidden", "conv"),
    probes: Sequence[str] = ("linear", "mlp", "svm", "knn"),
    *,
    n_seeds: int = 3,
    validation_fraction: float = 0.1,
    max_epochs: int = 100,
    random_state: Any = None,
    device: Any = "auto",
) -> Any:
    """Train classifiers on the frozen features of a transformer, and score them on test data.

    Each seed draws a stratified validation split of X. A probe is trained on the rest with each of
    its settings, the split chooses among them, and only the chosen one sees the test data. (The
    paper chose on the test data.) Features are standardised by those trained on.

    ==============  ======================================================  ===================
    probe           what it is                                              chosen
    ==============  ======================================================  ===================
    ``"linear"``    logistic regression                                     C
    ``"svm"``       linear support vector machine with hinge loss           C
    ``"knn"``       k nearest neighbours                                    k
    ``"mlp"``       one hidden layer of 200 units with batch normalisation  epochs
                    and dropout 0.1: the paper's
    ``"tutorial"``  layers of 15 and 10 units with batch normalisation: a   epochs
                    tutorial's, its second softmax left out
    ==============  ======================================================  ===================

    Parameters
    ----------
    transformer : object
        Fitted, of skdim. Any other transformer of scikit-learn has the layer ``"code"`` only: what
        ``transform`` gives. ``FunctionTransformer()`` probes the raw pixels.
    X, X_test : array-like
        Samples to train and to test on, as the transformer takes them.
    y, y_test : array-like of shape (n,), (m,)
        Their classes, of any type.
    layers : sequence of {"code", "hidden", "conv", "local"}
        Layers to probe, maps flattened.
    probes : sequence of {"linear", "mlp", "svm", "knn", "tutorial"}
    n_seeds : int, default=3
        How often split, first weights and orders are drawn; the same splits for all layers and
        probes.
    validation_fraction : float, default=0.1
        Share of X that chooses; at least one sample a class.
    max_epochs : int, default=100
        Most epochs of the networks. They end when the cross entropy of the split has not fallen for
        ten epochs, and keep the best one.
    random_state : int, RandomState or None, default=None
    device : str or torch.device, default="auto"
        Of the networks; "auto" is where the transformer is.

    Returns
    -------
    DataFrame, or list of dict where pandas is not installed
        A row a layer and probe: ``layer``, ``probe``, ``accuracy`` (mean over seeds, of 1),
        ``spread`` (standard deviation over seeds, NaN of one seed), ``setting`` (what was chosen,
        seed by seed), ``converged`` (False where a chosen probe ran into its limit of iterations
        or epochs), ``seconds`` (of all seeds, features not counted).

    Raises
    ------
    ValueError, TypeError
        If an argument is not allowed; the text says what is.

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
    labels = number_classes(y, "y", classes)
    labels_test = number_classes(y_test, "y_test", classes)
    seeds = np.random.SeedSequence(draw_seed(random_state)).generate_state(n_seeds).tolist()
    splits = [hold_out(labels, validation_fraction, seed) for seed in seeds]
    where = find_device(transformer, device)
    table = []
    for layer in layers:
        train = Samples(frozen_features(transformer, X, layer), labels)
        test = Samples(frozen_features(transformer, X_test, layer), labels_test)
        for probe in probes:
            started = time.perf_counter()
            chosen = [
                choose(
                    probe,
                    Task(train.part(kept), train.part(held), len(classes), seed, max_epochs, where),
                )
                for seed, (kept, held) in zip(seeds, splits, strict=True)
            ]
            scores = [one.classifier.score(test.X, test.y) for one in chosen]
            seconds = time.perf_counter() - started
            table.append({"layer": layer, "probe": probe, **summary(chosen, scores, seconds)})
    return as_table(table)


def summary(chosen: Sequence[Chosen], scores: Sequence[float], seconds: float) -> dict[str, Any]:
    """Return a line of the table: what came out, seed by seed."""
    return {
        "accuracy": float(np.mean(scores)),
        "spread": float(np.std(scores, ddof=1)) if len(scores) > 1 else float("nan"),
        "setting": f"{chosen[0].parameter}={', '.join(one.value for one in chosen)}",
        "converged": all(one.converged for one in chosen),
        "seconds": seconds,
    }


def choose(probe: str, task: Task) -> Chosen:
    """Train a probe with each of its settings, and choose by what is held out."""
    return choose_of_grid(GRIDS[probe], task) if probe in GRIDS else choose_epochs(probe, task)


def choose_of_grid(grid: Grid, task: Task) -> Chosen:
    """Try all settings of a classifier of scikit-learn; of equals, the first."""
    best, best_score = None, -np.inf
    for value in grid.settings(len(task.train.y)):
        classifier = make_pipeline(StandardScaler(), grid.make(value, task.seed))
        with noting_convergence() as complaints:
            classifier.fit(task.train.X, task.train.y)
        score = classifier.score(task.held_out.X, task.held_out.y)
        if score > best_score:
            best_score = score
            best = Chosen(classifier, grid.parameter, f"{value:.2g}", not complaints)
        elif score < best_score and grid.ends_at_fall:
            break
    return cast(Chosen, best)


def choose_epochs(probe: str, task: Task) -> Chosen:
    """Train a network, and go back to the epoch that was best."""
    scaler = StandardScaler().fit(task.train.X)
    held_out = scaler.transform(task.held_out.X), task.held_out.y
    with seeded(task.seed, task.device):
        net, stopping = make_probe_net(
            probe, task.n_classes, held_out, max_epochs=task.max_epochs, device=task.device
        )
        classifier = make_pipeline(scaler, net).fit(task.train.X, task.train.y)
    ended_early = len(net.history) < task.max_epochs
    return Chosen(classifier, "epochs", str(stopping.best_epoch_), ended_early)


@contextmanager
def noting_convergence() -> Iterator[list[str]]:
    """Collect warnings that a fit has not converged, for the table; let all others through."""
    complaints: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        yield complaints
    for one in caught:
        if issubclass(one.category, ConvergenceWarning):
            complaints.append(str(one.message))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def check_probes(probes: Sequence[str]) -> tuple[str, ...]:
    """Raise an error for unknown probes."""
    given = (probes,) if isinstance(probes, str) else tuple(probes)
    unknown = [probe for probe in given if probe not in PROBES]
    if unknown or not given:
        fault = f"{unknown[0]!r} is no probe" if unknown else "there is none"
        raise ValueError(f"probes={probes!r}: {fault}. Allowed are {', '.join(PROBES)}.")
    return given


def check_numbers(n_seeds: int, validation_fraction: float, max_epochs: int) -> None:
    """Raise an error for numbers that leave nothing to train, to choose by or to average."""
    for name, value in {"n_seeds": n_seeds, "max_epochs": max_epochs}.items():
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name}={value!r}. It must be a whole number of at least 1.")
    if not 0 < validation_fraction < 1:
        raise ValueError(
            f"validation_fraction={validation_fraction!r}. It must lie between 0 and 1."
        )


def as_table(rows: list[dict[str, Any]]) -> Any:
    """Return a DataFrame, or the rows as they are where pandas is not installed."""
    try:
        from pandas import DataFrame  # noqa: PLC0415 - an optional package
    except ImportError:
        return rows
    return DataFrame(rows)
