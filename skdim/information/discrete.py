"""Information about discrete variables, by counts and by classifiers."""

import numpy as np
from scipy.special import digamma
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim.information.columns import (
    ROWS_PER_VALUE,
    Columns,
    Labels,
    Variable,
    combine_codes,
    drop_constant,
    normal_scores,
)
from skdim.information.estimate import (
    SIGNIFICANT,
    BestEstimate,
    InformationEstimate,
    standard_error,
)
from skdim.information.neighbours import MAX_COLUMNS, class_information

# Inverse strengths of the penalty of the logistic regressions that are compared.
INVERSE_PENALTIES = (1.0, 0.01)
# Smallest predicted probability in the log loss, times the number of rows.
MIN_PROBABILITY = 1e-3
# Fewest rows of a label that a classifier predicts.
MIN_SIZE = 3


def entropy(labels: Labels) -> float:
    """Estimate the entropy of labels (n,) in nats, with bias correction.

    References
    ----------
    Grassberger (2003), Entropy estimates from insufficient samplings, arXiv:physics/0307138.
    """
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    signs = np.where(counts % 2 == 0, 0.5, -0.5)
    corrected = digamma(counts) + signs * (digamma((counts + 1) / 2) - digamma(counts / 2))
    return float(np.log(len(labels)) - counts @ corrected / len(labels))


def log_frequencies(labels: Labels) -> Columns:
    """Return the log relative frequency of the label of each row."""
    return np.asarray(np.log(np.bincount(labels)[labels] / len(labels)))


def classifier_information(
    x: Variable,
    labels: Labels,
    classifier: ClassifierMixin | None,
    n_parts: int,
    draws: np.random.Generator,
    n_jobs: int | None,
) -> tuple[float, Columns]:
    """Estimate the mutual information of a variable and labels (n,) by a cross-fitted log loss.

    It is the entropy of the labels minus the log loss on rows that the classifier was not fitted
    on. Pointwise values (n,) are zero for labels of fewer than three rows, which no classifier can
    predict.
    """
    sizes = np.bincount(labels)[labels]
    known = sizes >= MIN_SIZE
    pointwise = np.zeros(len(labels))
    classes, targets = np.unique(labels[known], return_inverse=True)
    varying = drop_constant(x.encoded[known]) if len(classes) > 1 else np.empty((0, 0))
    if varying.shape[1]:
        parts = StratifiedKFold(
            min(n_parts, sizes[known].min()), shuffle=True, random_state=int(draws.integers(2**32))
        )
        tried = [
            make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=200))
            for strength in INVERSE_PENALTIES
        ]
        gains = []
        for candidate in tried if classifier is None else [classifier]:
            predicted = cross_val_predict(
                candidate, varying, targets, cv=parts, method="predict_proba", n_jobs=n_jobs
            )
            n = len(targets)
            logs = np.log(predicted[np.arange(n), targets].clip(MIN_PROBABILITY / n))
            gains.append(logs - log_frequencies(targets))
        pointwise[known] = max(gains, key=np.mean)
    if pointwise.mean() <= SIGNIFICANT * standard_error(pointwise):
        return max(float(pointwise.mean()), 0.0), pointwise
    # The entropy of relative frequencies is too low.
    correction = known.mean() * (entropy(labels) + log_frequencies(labels).mean())
    return float(pointwise.mean() + correction), pointwise


def discrete_information(
    pair: tuple[Variable, Variable],
    classifier: ClassifierMixin | None,
    n_parts: int,
    draws: np.random.Generator,
    n_jobs: int | None,
) -> InformationEstimate:
    """Estimate the mutual information of two variables, at least one of them discrete.

    Without a classifier, logistic regressions and, for few columns, nearest neighbours are used.
    ``n_parts`` is the number of parts of the rows that are held out.
    """
    discrete = [side.labels for side in pair if side.is_discrete]
    labels = discrete[-1]
    # An estimated entropy may exceed the logarithm of the number of classes, or be negative.
    ceiling = abs(min(min(entropy(codes), float(np.log(codes.max() + 1))) for codes in discrete))
    if len(discrete) == 2:
        others = discrete[0]
        both = combine_codes(np.stack(discrete, axis=1))
        value = entropy(others) + entropy(labels) - entropy(both)
        pointwise = log_frequencies(both) - log_frequencies(others) - log_frequencies(labels)
        best, unit = BestEstimate("counts", value, pointwise), "pairs of values"
        n_cells, degrees = int(both.max()) + 1, int(others.max() * labels.max())
    else:
        x = pair[0] if pair[1].is_discrete else pair[1]
        best = BestEstimate(
            "classifier", *classifier_information(x, labels, classifier, n_parts, draws, n_jobs)
        )
        unit, degrees = "values", int(labels.max())
        n_cells = degrees + 1
        varying = drop_constant(x.numbers)
        if classifier is None and 0 < varying.shape[1] <= MAX_COLUMNS and not x.codes.size:
            pointwise = class_information(normal_scores(varying, draws), labels)
            best = best.or_larger("neighbours", pointwise)
    messages = []
    if n_cells * ROWS_PER_VALUE > len(labels):
        messages.append(
            f"There are {n_cells} distinct {unit} in {len(labels)} rows, fewer than "
            f"{ROWS_PER_VALUE} rows for each: the estimate may be far off. Pass more "
            "rows, or merge rare values."
        )
    best.value = min(best.value, ceiling)
    # Twice the information of n independent rows has a chi-squared distribution.
    best.spread = float(np.sqrt(degrees / 2)) / len(labels)
    return best.estimate(ceiling, (), messages)
