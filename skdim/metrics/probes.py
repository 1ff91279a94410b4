"""Accuracy of classifiers of frozen features."""

import copy
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import column_or_1d
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skdim.metrics.arrays import (
    check_layers,
    check_lengths,
    count_batches,
    encode_labels,
    frozen_features,
    hold_out,
    read_names,
    resolve_device,
)
from skdim.parameters import check_positive
from skdim.random import draw_seed, seeded

LEARNING_RATE = 1e-3
# Number of epochs without a better log-likelihood of the held-out samples after which training
# stops, and the improvement in nats that counts as better.
PATIENCE, TOLERANCE = 10, 1e-3
LOG_LIKELIHOOD = get_scorer("neg_log_loss")


@dataclass(frozen=True)
class Grid:
    """A classifier of scikit-learn and the settings among which the validation split selects.

    Values of "C" are for the mean of the loss, and divided by the number of samples for the sum of
    scikit-learn; those of "k" are used up to the number of samples. The fastest come first; with
    ``ends_at_fall``, none is tried after one that scores lower than the best one before it.
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


def mlp_network(n_features: int, n_classes: int) -> nn.Sequential:
    """Build the probe of the paper (Hjelm et al., 2019): one hidden layer of 200 units.

    Dropout precedes batch normalisation, as in their code. The result maps features (n, n_features)
    to logits (n, n_classes).
    """
    return nn.Sequential(
        nn.Linear(n_features, 200, bias=False),
        nn.Dropout(0.1),
        nn.BatchNorm1d(200),
        nn.ReLU(),
        nn.Linear(200, n_classes),
    )


def tutorial_network(n_features: int, n_classes: int) -> nn.Sequential:
    """Build the classifier of the PyTorch tutorial: layers of 15 and 10 units.

    It returns logits. The tutorial applied a softmax here and a second one in its loss.
    """
    return nn.Sequential(
        nn.Linear(n_features, 15),
        nn.BatchNorm1d(15),
        nn.ReLU(),
        nn.Linear(15, 10),
        nn.BatchNorm1d(10),
        nn.ReLU(),
        nn.Linear(10, n_classes),
        nn.BatchNorm1d(n_classes),
    )


NETWORKS = {"mlp": mlp_network, "tutorial": tutorial_network}

PROBES = (*GRIDS, *NETWORKS)


LabelledFeatures: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64]]
# A trained probe, its best setting on the validation split, and whether it has converged.
FittedProbe: TypeAlias = tuple[Pipeline, str, bool]


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
        has not decreased for ten epochs; the weights of the best epoch are used.
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
    layers = check_layers(transformer, layers)
    probes = read_names(probes, "probe", PROBES)
    check_positive(n_seeds=n_seeds, max_epochs=max_epochs)
    if not 0 < validation_fraction < 1:
        raise ValueError(
            f"validation_fraction={validation_fraction!r}. It must be between 0 and 1."
        )
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
        features = frozen_features(transformer, X, layer)
        features_test = frozen_features(transformer, X_test, layer)
        for probe in probes:
            started = time.perf_counter()
            fitted = []
            for seed, split in zip(seeds, splits, strict=True):
                train, held_out = ((features[part], labels[part]) for part in split)
                if probe in GRIDS:
                    fitted.append(fit_grid(probe, train, held_out, seed))
                else:
                    fitted.append(fit_epochs(probe, train, held_out, seed, max_epochs, device))
            scores = [one.score(features_test, labels_test) for one, _, _ in fitted]
            parameter = GRIDS[probe].parameter if probe in GRIDS else "epochs"
            rows.append(
                {
                    "layer": layer,
                    "probe": probe,
                    "accuracy": float(np.mean(scores)),
                    "spread": float(np.std(scores, ddof=1)) if n_seeds > 1 else float("nan"),
                    "setting": f"{parameter}={', '.join(setting for _, setting, _ in fitted)}",
                    "converged": all(converged for _, _, converged in fitted),
                    "seconds": time.perf_counter() - started,
                }
            )
    try:
        from pandas import DataFrame  # noqa: PLC0415 - an optional package
    except ImportError:
        return rows
    return DataFrame(rows)


def fit_grid(
    probe: str, train: LabelledFeatures, held_out: LabelledFeatures, seed: int
) -> FittedProbe:
    """Fit a classifier with each of its settings; return the first of the best ones."""
    grid, best, best_score = GRIDS[probe], None, -np.inf
    for value in grid.settings(len(train[0])):
        classifier = make_pipeline(StandardScaler(), grid.make(value, seed))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            classifier.fit(*train)
        others = [one for one in caught if not issubclass(one.category, ConvergenceWarning)]
        for one in others:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        score = classifier.score(*held_out)
        if score > best_score:
            best_score = score
            best = classifier, f"{value:.2g}", len(others) == len(caught)
        elif score < best_score and grid.ends_at_fall:
            break
    return cast(FittedProbe, best)


def fit_epochs(
    probe: str,
    train: LabelledFeatures,
    held_out: LabelledFeatures,
    seed: int,
    max_epochs: int,
    device: torch.device,
) -> FittedProbe:
    """Train a network, and restore its best epoch."""
    scaler = StandardScaler().fit(train[0])
    scaled = scaler.transform(held_out[0]), held_out[1]
    network = NetworkProbe(NETWORKS[probe], scaled, max_epochs, device)
    with seeded(seed, device):
        classifier = make_pipeline(scaler, network).fit(*train)
    return classifier, str(network.best_epoch_), len(network.scores_) < max_epochs


@dataclass(eq=False, repr=False)
class NetworkProbe(ClassifierMixin, BaseEstimator):
    """Train a network with early stopping, and keep its best epoch on held-out samples.

    Weights, orders and dropout are drawn from torch's global generators. ``scores_`` are mean
    log-likelihoods of the held-out samples, epoch by epoch: their accuracy reaches 1 long before
    the network stops improving. ``best_epoch_`` is counted from 1.
    """

    make: Callable[[int, int], nn.Module]
    held_out: LabelledFeatures
    max_epochs: int
    device: torch.device

    def fit(self, X: NDArray[np.float32], y: NDArray[np.int64]) -> Self:
        """Train on features (n, d) and class indices (n,)."""
        self.classes_ = np.unique(y)
        self.network_ = self.make(X.shape[1], len(self.classes_)).to(self.device)
        self.scores_: list[float] = []
        self.best_epoch_, best_score, best_state = 0, -math.inf, self.network_.state_dict()
        x, labels = torch.as_tensor(X), torch.as_tensor(y)
        optimizer = torch.optim.Adam(self.network_.parameters(), lr=LEARNING_RATE)
        for epoch in range(1, self.max_epochs + 1):
            self.network_.train()
            for index in torch.randperm(len(x)).tensor_split(count_batches(len(x))):
                optimizer.zero_grad()
                self.loss(x[index], labels[index]).backward()
                optimizer.step()
            self.scores_.append(LOG_LIKELIHOOD(self, *self.held_out))
            if self.scores_[-1] > best_score + TOLERANCE:
                self.best_epoch_, best_score = epoch, self.scores_[-1]
                best_state = copy.deepcopy(self.network_.state_dict())
            elif epoch - self.best_epoch_ >= PATIENCE:
                break
        self.network_.load_state_dict(best_state)
        return self

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """Compute the cross entropy of a batch."""
        return cross_entropy(self.network_(x.to(self.device)), labels.to(self.device))

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the probabilities (n, c) of the classes."""
        self.network_.eval()
        with torch.no_grad():
            logits = [
                self.network_(part.to(self.device))
                for part in torch.as_tensor(X).tensor_split(count_batches(len(X)))
            ]
        return np.asarray(torch.cat(logits).softmax(dim=1).cpu().numpy())

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the indices (n,) of the most probable classes."""
        return np.asarray(self.predict_proba(X).argmax(axis=1))
