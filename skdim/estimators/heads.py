"""The head of a classifier: its parameters, and its fit to labelled and other rows."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize as scipy_minimize
from scipy.sparse import csr_array, diags
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neighbors import kneighbors_graph
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn.functional import one_hot

from skdim.estimators.state import encode_parameters
from skdim.estimators.transformer import EncoderTransformer
from skdim.estimators.validation import COMMON_RULES
from skdim.parameters import Rule, any_of, boolean, choice, instance, integer, none, real
from skdim.saving import encode

# Candidates for C, and its value if there are too few labels for cross-validation, which is also
# the minimum in self-training if rows without a label have the larger total weight.
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1)
STRENGTH = 0.03
FOLDS = 5
# Maximum number of labelled rows in cross-validation.
MAX_CV_ROWS = 2000
# Rounds of self-training, and the exponent of probabilities before they become targets.
ROUNDS = 5
SHARPNESS = 1.5
# Total weight of the rows without a label, in labelled rows per class, and its maximum relative to
# the weight of the labelled rows.
ROWS_A_CLASS = 30
MAX_SHARE = 10
# Maximum number of steps of L-BFGS: in a fit, and in a round, which starts from the round before.
STEPS, STEPS_OF_ROUND = 50, 10

# Number of neighbours, and the steps and the share in which labels spread to them. These and the
# constants of self-training were chosen on CIFAR-10, Fashion-MNIST (validation rows) and digits.
NEIGHBOURS = 5
SPREADING_STEPS, SPREADING_SHARE = 100, 0.9
# Minimum probability of a class after spreading.
MIN_PROBABILITY = 1e-6
# Maximum number of rows without a label that are used, and of labelled rows in the graph.
MAX_ROWS = 5000

# Fitted attributes of a classifier in addition to its transformer: in the header, and as tensors.
FITTED = ("classes_", "C_", "self_training_", "validation_scores_", "n_iter_")
ARRAYS = ("coef_", "intercept_")
HEAD = "head"

HEAD_RULES: dict[str, Rule] = {
    "transformer": any_of(
        instance("an EncoderTransformer", EncoderTransformer),
        Rule(
            "a FrozenEstimator of one",
            lambda v: (
                isinstance(v, FrozenEstimator) and isinstance(v.estimator, EncoderTransformer)
            ),
        ),
        none(),
    ),
    "C": any_of(real(0, low_open=True), choice(["auto"])),
    "self_training": any_of(boolean(), choice(["auto"])),
    "fine_tune": boolean(),
    "max_epochs": integer(1),
    "layer_decay": real(0, low_open=True),
    "validation_fraction": real(0, 1, low_open=True),
    **{
        name: COMMON_RULES[name]
        for name in ("batch_size", "learning_rate", "n_iter_no_change", "random_state")
    },
}


@dataclass(frozen=True)
class Head:
    """A linear classifier of features.

    Parameters
    ----------
    weight : Tensor of shape (k, d)
    bias : Tensor of shape (k,)
    """

    weight: Tensor
    bias: Tensor

    def logits(self, x: Tensor) -> Tensor:
        """Return the unnormalised log-probabilities (n, k) of features (n, d)."""
        return x @ self.weight.T + self.bias


@dataclass(frozen=True)
class Unlabelled:
    """Rows without a label, and the graph of neighbours of these and labelled rows.

    Parameters
    ----------
    x : Tensor of shape (m, d)
        Standardised features.
    graph : sparse array of shape (p + m, p + m)
        Symmetric, normalised weights of neighbours; p labelled rows come first.
    sources : ndarray of shape (p,)
        Numbers of these rows among all labelled rows.
    """

    x: Tensor
    graph: csr_array
    sources: NDArray[np.intp]

    @classmethod
    def of(cls, x: Tensor, codes: Tensor) -> Self:
        """Find the neighbours.

        Parameters
        ----------
        x : Tensor of shape (m, d)
        codes : Tensor of shape (n + m, e)
            Codes of n labelled rows, then of these, in which distances are measured.
        """
        n = len(codes) - len(x)
        sources = thin_out(np.arange(n))
        nodes = codes[np.concatenate([sources, np.arange(n, len(codes))])].cpu().numpy()
        weights = csr_array(kneighbors_graph(nodes, min(NEIGHBOURS, len(nodes) - 1)))
        weights = weights.maximum(weights.T)
        scale = diags(weights.sum(axis=1) ** -0.5)
        return cls(x, csr_array(scale @ weights @ scale), sources)

    def spread(self, y: Tensor, n_classes: int) -> Tensor:
        """Return log-probabilities (m, k) after spreading of labels (n,), -1 where unknown.

        References
        ----------
        Zhou et al. (2004). Learning with local and global consistency. NeurIPS.
        """
        labels = y.cpu().numpy()[self.sources]
        start = np.zeros((self.graph.shape[0], n_classes), np.float32)
        known = np.flatnonzero(labels >= 0)
        start[known, labels[known]] = 1
        start /= start.sum(axis=0).clip(min=1)  # Frequencies are aligned later.
        spread = start
        for _ in range(SPREADING_STEPS):
            spread = SPREADING_SHARE * (self.graph @ spread) + (1 - SPREADING_SHARE) * start
        reached = torch.from_numpy(spread[len(self.sources) :]).to(self.x) + 1e-9
        return (reached / reached.sum(dim=1, keepdim=True)).clamp(min=MIN_PROBABILITY).log()


def shrunken_frequencies(counts: Tensor) -> Tensor:
    """Estimate the frequencies of classes from counts (k,), shrunk towards equal frequencies.

    The shrinkage is larger for fewer labels, whose counts differ more by chance.

    References
    ----------
    Hausser and Strimmer (2009). Entropy inference and the James-Stein estimator, with application
    to nonlinear gene association networks. JMLR 10.
    """
    n, equal = counts.sum(), 1 / len(counts)
    found = counts / n
    chance = (1 - found.square().sum()) / (n - 1).clamp(min=1)
    share = (chance / (found - equal).square().sum().clamp(min=1e-12)).clamp(max=1)
    return share * equal + (1 - share) * found


def thin_out(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return at most MAX_ROWS rows, evenly spaced."""
    n = min(len(rows), MAX_ROWS)
    return rows[np.arange(n) * len(rows) // max(n, 1)]


def feature_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and scale (d,) of features (n, d), with infinite scale for constant ones."""
    scale, mean = torch.std_mean(features, dim=0)
    return mean, torch.where(scale > 1e-6 * mean.abs().clamp(min=1e-6), scale, torch.inf)


def fit_head(
    x: Tensor, y: Tensor, n_classes: int, strength: float, unlabelled: Unlabelled | None = None
) -> Head:
    """Fit multinomial logistic regression with an L2 penalty, by L-BFGS.

    Parameters
    ----------
    x : Tensor of shape (n, d)
        Standardised features of labelled rows.
    y : Tensor of shape (n,)
        Numbers of their classes; rows of -1 are ignored.
    n_classes : int
    strength : float
        Inverse strength of the penalty, as of scikit-learn's ``LogisticRegression``.
    unlabelled : Unlabelled, default=None
        Rows for self-training. Their targets in each round are the probabilities of the round
        before, sharpened, times those from their neighbours, scaled to the frequencies of the
        classes.

    Returns
    -------
    Head

    References
    ----------
    Grandvalet and Bengio (2005). Semi-supervised learning by entropy minimization. NeurIPS.
    Berthelot et al. (2020). ReMixMatch. ICLR. (Alignment of the frequencies of classes.)
    """
    known = y >= 0
    given = x if known.all() else x[known]
    targets = one_hot(y[known], n_classes).to(x)
    start = Head(x.new_zeros(n_classes, x.shape[1]), x.new_zeros(n_classes))
    head = minimise(given, targets, strength, start)
    if unlabelled is None:
        return head
    frequencies = shrunken_frequencies(targets.sum(dim=0))
    neighbours = unlabelled.spread(y, n_classes)
    both = torch.cat([given, unlabelled.x])
    weight = weight_of_unlabelled(len(given), n_classes) / len(unlabelled.x)
    for _ in range(ROUNDS):
        guessed = (SHARPNESS * head.logits(unlabelled.x) + neighbours).softmax(dim=1)
        guessed = guessed * (frequencies / guessed.mean(dim=0).clamp(min=1e-6))
        guessed = guessed * (weight / guessed.sum(dim=1, keepdim=True))
        head = minimise(both, torch.cat([targets, guessed]), strength, head, STEPS_OF_ROUND)
    return head


def weight_of_unlabelled(n: int, n_classes: int) -> int:
    """Return the total weight of rows without a label, beside ``n`` labelled rows of weight 1."""
    return min(ROWS_A_CLASS * n_classes, MAX_SHARE * n)


# Threads of SciPy and of torch would wait for each other, on a busy machine for minutes.
@threadpool_limits.wrap(limits=1)
def minimise(x: Tensor, targets: Tensor, strength: float, start: Head, steps: int = STEPS) -> Head:
    """Minimise the cross-entropy with weighted targets (n, k) plus the penalty.

    SciPy is used, since an optimizer of torch imports its compiler, which takes seconds.
    """
    n_classes, d = start.weight.shape
    total, weights = targets.sum(), targets.sum(dim=1, keepdim=True)

    def unpacked(flat: NDArray[np.float64]) -> Head:
        both = torch.from_numpy(flat).to(x).view(n_classes, d + 1)
        return Head(both[:, :d], both[:, d])

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        head = unpacked(flat)
        logs = head.logits(x).log_softmax(dim=1)
        slope = (logs.exp() * weights - targets).T
        value = head.weight.square().sum() / (2 * strength) - (targets * logs).sum()
        by_weight = slope @ x + head.weight / strength
        slopes = torch.cat([by_weight, slope.sum(dim=1, keepdim=True)], dim=1) / total
        return (value / total).item(), slopes.flatten().cpu().double().numpy()

    first = torch.cat([start.weight, start.bias[:, None]], dim=1).flatten().cpu().double().numpy()
    options = {"maxiter": steps, "gtol": 1e-5, "ftol": 1e-7}
    return unpacked(scipy_minimize(loss, first, jac=True, method="L-BFGS-B", options=options).x)


def choose_head(
    x: Tensor,
    y: Tensor,
    n_classes: int,
    *,
    strength: float | None,
    self_training: bool | None,
    unlabelled: Unlabelled | None,
    seed: int,
) -> tuple[float, bool]:
    """Choose settings that are None, by cross-validation of the labelled rows.

    Self-training is chosen unless its accuracy is lower by more than one standard error, or if
    there are too few labels for cross-validation. The strength is then at least STRENGTH, unless
    the labelled rows have the larger total weight.
    """
    if strength is not None and self_training is not None:
        return strength, self_training
    folds = list(find_folds(y, seed))
    # Weights are linear combinations of the rows, which have at most len(x) coordinates.
    small = x @ torch.linalg.qr(x.T.cpu())[0].to(x.device) if len(x) < x.shape[1] else x

    def hits(rows: Tensor, value: float, unlabelled: Unlabelled | None = None) -> Tensor:
        """Return whether each row is classified correctly by the head of the other folds."""
        found = []
        for train, test in folds:
            labels = torch.full_like(y, -1)
            labels[train] = y[train]
            head = fit_head(rows, labels, n_classes, value, unlabelled)
            found.append(head.logits(rows[test]).argmax(dim=1) == y[test])
        return torch.cat(found).float()

    def accuracy(value: float) -> float:
        return hits(small, value).mean().item()

    alone = strength
    if alone is None:
        alone = max(STRENGTHS, key=accuracy) if folds else STRENGTH
    together = alone
    if strength is None and weight_of_unlabelled(len(x), n_classes) > len(x):
        together = max(alone, STRENGTH)
    if self_training is None:
        self_training = unlabelled is not None
        if folds and self_training:
            gains = hits(x, together, unlabelled) - hits(small, alone)
            self_training = bool(gains.sum() >= -gains.square().sum().sqrt())
    trained = self_training and unlabelled is not None
    return together if trained else alone, self_training


def find_folds(y: Tensor, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield numbers of training and test rows; nothing if classes are too small."""
    classes: NDArray[np.int64] = y.cpu().numpy()
    rows = np.random.default_rng(seed).permutation(len(classes))[:MAX_CV_ROWS]
    counts = np.bincount(classes[rows])
    if (counts >= 2).sum() < 2:
        return
    splits = StratifiedKFold(min(FOLDS, int(counts.max())), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Some classes may have fewer members than there are folds.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for train, test in splits.split(rows, classes[rows]):
            yield torch.as_tensor(rows[train]).to(y), torch.as_tensor(rows[test]).to(y)


def stratified_split(y: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return numbers of training and held-out rows, stratified if the classes allow it."""
    classes = y.cpu().numpy()
    counts = np.unique(classes, return_counts=True)[1]
    stratified = counts.min() >= 2 and len(counts) <= fraction * len(y) <= len(y) - len(counts)
    train, held_out = train_test_split(
        np.arange(len(y)),
        test_size=fraction,
        random_state=seed,
        stratify=classes if stratified else None,
    )
    return torch.as_tensor(train).to(y), torch.as_tensor(held_out).to(y)


def head_contents(classifier: BaseEstimator) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the entry of a fitted classifier in the header, and its tensors."""
    parameters = classifier.get_params(deep=False)
    del parameters["transformer"]
    encoded = {
        "parameters": encode_parameters(parameters)[0],
        "attributes": {name: encode(getattr(classifier, name)) for name in FITTED},
    }
    tensors = {f"{HEAD}.{name}": torch.from_numpy(getattr(classifier, name)) for name in ARRAYS}
    return encoded, tensors
