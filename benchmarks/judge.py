"""The judge of all features: multinomial logistic regression with an L2 penalty, by torch.

The objective is that of scikit-learn's ``LogisticRegression`` on standardised features. It is
solved by L-BFGS in the basis of the principal components, each scaled by its curvature, so that few
steps are enough: 10,000 rows of 1,024 numbers and eight strengths take seconds on one thread. Every
strength starts from the solution of the one before.

    python benchmarks/judge.py    # compares with scikit-learn: accuracy and seconds
"""

import time
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from data import Data
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler, scale
from torch import Tensor
from torch.nn.functional import log_softmax, one_hot

# Inverse strengths of the penalty, scikit-learn's C, from strong to weak.
STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
# The same for few rows, where weak penalties are often the best.
FEW_STRENGTHS = (*STRENGTHS, 3.0, 10.0)
# After so many strengths without a better accuracy the path ends.
PATIENCE = 2


class Logistic:
    """Logistic regression along a path of strengths.

    Parameters
    ----------
    max_iter : int, default=100
        Steps of L-BFGS for one strength.
    """

    def __init__(self, max_iter: int = 100) -> None:
        self.max_iter = max_iter

    def prepare(self, features: NDArray, y: NDArray) -> Self:
        """Standardise features (n, d) and turn them into the basis of their components."""
        x = torch.as_tensor(np.asarray(features, np.float32))
        self.classes, codes = np.unique(y, return_inverse=True)
        self.true = one_hot(torch.as_tensor(codes), len(self.classes)).T.float().contiguous()
        self.mean, deviation = x.mean(0), x.std(0, correction=0)
        self.scale = torch.where(deviation > 1e-6, deviation, 1.0)
        x = (x - self.mean) / self.scale
        n, d = x.shape
        if d <= n:
            squares, self.axes = torch.linalg.eigh(x.T @ x)
        else:  # The solution lies in the span of the rows.
            squares, left = torch.linalg.eigh(x @ x.T)
            kept = squares > 1e-6 * squares[-1]
            squares, left = squares[kept], left[:, kept]
            self.axes = x.T @ left / squares.sqrt()
        self.rows, self.squares = x @ self.axes, squares.clamp(min=0)
        self.columns = self.rows.T.contiguous()
        self.weights = torch.zeros(len(self.classes), len(self.columns))
        self.intercept = torch.zeros(len(self.classes))
        return self

    def fit(self, strength: float) -> Self:
        """Solve for one strength, from the solution of the strength before."""
        classes, n = self.true.shape
        penalty = 1 / (strength * n)
        step = (self.squares / n * (classes - 1) / classes**2 + penalty).rsqrt()
        scaled, intercept = self.weights / step, self.intercept.clone()
        solver = torch.optim.LBFGS(
            [scaled, intercept],
            max_iter=self.max_iter,
            tolerance_grad=3e-4,
            tolerance_change=2e-6,
            line_search_fn="strong_wolfe",
        )

        def loss() -> Tensor:
            # By hand: the products that autograd takes are ten times as slow in these shapes.
            weights = scaled * step
            logs = log_softmax(weights @ self.columns + intercept[:, None], dim=0)
            wrong = (logs.exp() - self.true) / n
            scaled.grad = (wrong @ self.rows + penalty * weights) * step
            intercept.grad = wrong.sum(1)
            return penalty / 2 * weights.square().sum() - (logs * self.true).sum() / n

        with torch.no_grad():
            solver.step(loss)
        self.weights, self.intercept = scaled * step, intercept
        return self

    def predict(self, features: NDArray) -> NDArray:
        """Return the likeliest class of each row."""
        x = torch.as_tensor(np.asarray(features, np.float32))
        weights = (self.axes @ self.weights.T) / self.scale[:, None]
        logits = x @ weights + (self.intercept - self.mean @ weights)
        return self.classes[logits.argmax(1).numpy()]

    def score(self, features: NDArray, y: NDArray) -> float:
        """Return the accuracy."""
        return float((self.predict(features) == y).mean())


@dataclass(frozen=True)
class Verdict:
    """What a judge found: the strength, and the accuracy on rows chosen on and on rows reported."""

    strength: float
    choose: float
    report: float


def choose_strength(
    train: NDArray,
    y: NDArray,
    held_out: NDArray,
    y_held_out: NDArray,
    others: tuple[NDArray, NDArray] | None = None,
    strengths: tuple[float, ...] = STRENGTHS,
) -> tuple[float, float, float]:
    """Follow the path of strengths; return the best, its accuracy, and its accuracy on others."""
    judge = Logistic().prepare(train, y)
    best, waited = (strengths[0], -1.0, -1.0), 0
    for strength in strengths:
        accuracy = judge.fit(strength).score(held_out, y_held_out)
        if accuracy > best[1]:
            best = (strength, accuracy, judge.score(*others) if others else -1.0)
            waited = 0
        else:
            waited += 1
        if waited == PATIENCE:
            break
    return best


def verdict(
    data: Data, features: NDArray, chosen: NDArray | None, reported: NDArray, seed: int = 0
) -> Verdict:
    """Judge features; nothing is chosen on the rows that are reported.

    Parameters
    ----------
    data : Data
    features : array of shape (n_labelled, d)
        Of the labelled rows to fit.
    chosen : array of shape (n_choose, d) or None
        Of the rows to choose the strength on. None chooses it by cross-validation on the rows to
        fit.
    reported : array of shape (n_test, d)
    seed : int, default=0
        Of the folds.
    """
    if chosen is not None:
        assert data.y_choose is not None
        others = reported, data.y_test
        return Verdict(*choose_strength(features, data.y, chosen, data.y_choose, others))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    strength, accuracy = cross_validated(features, data.y, folds)
    judge = Logistic().prepare(features, data.y).fit(strength)
    return Verdict(strength, accuracy, judge.score(reported, data.y_test))


def cross_validated(
    features: NDArray, y: NDArray, folds: KFold | StratifiedKFold
) -> tuple[float, float]:
    """Return the strength of the best mean accuracy on held-out folds, and that accuracy."""
    scores = np.zeros(len(FEW_STRENGTHS))
    for train, held_out in folds.split(features, y):
        judge = Logistic().prepare(features[train], y[train])
        for i, strength in enumerate(FEW_STRENGTHS):
            scores[i] += judge.fit(strength).score(features[held_out], y[held_out])
    best = int(scores.argmax())
    return FEW_STRENGTHS[best], scores[best] / folds.get_n_splits()


def probe(data: Data, features: NDArray, features_test: NDArray) -> float:
    """Return the accuracy on the test rows; the strength is chosen by cross-validation."""
    return verdict(data, features, None, features_test).report


def compare(name: str, train: NDArray, y: NDArray, test: NDArray, y_test: NDArray) -> None:
    """Print accuracy and seconds beside scikit-learn's, converged."""
    start = time.perf_counter()
    judge = Logistic().prepare(train, y)
    ours = [judge.fit(strength).score(test, y_test) for strength in STRENGTHS]
    seconds = time.perf_counter() - start
    scaler = StandardScaler().fit(train)
    start, theirs = time.perf_counter(), []
    for strength in STRENGTHS[::2]:
        reference = LogisticRegression(C=strength, max_iter=5000, tol=1e-6)
        reference.fit(scaler.transform(train), y)
        theirs.append(reference.score(scaler.transform(test), y_test))
    taken = time.perf_counter() - start
    apart = max(abs(a - b) for a, b in zip(ours[::2], theirs, strict=True))
    print(
        f"{name}: {len(STRENGTHS)} strengths in {seconds:.1f} s; scikit-learn: {len(theirs)} in "
        f"{taken:.1f} s; accuracies at most {apart:.4f} apart"
    )


def main() -> None:
    """Compare on digits, and on made features of the usual size."""
    torch.set_num_threads(1)
    X, y = load_digits(return_X_y=True)
    compare("digits", X[:1200], y[:1200], X[1200:], y[1200:])
    draw = np.random.default_rng(0)
    turn = draw.normal(size=(1024, 1024)) * np.arange(1, 1025) ** -0.5
    X = scale(draw.normal(size=(12_000, 1024)) @ turn.T).astype(np.float32)
    y = (X @ draw.normal(size=(1024, 10)) + 16 * draw.normal(size=(12_000, 10))).argmax(1)
    compare("10,000 x 1,024, made", X[:10_000], y[:10_000], X[10_000:], y[10_000:])


if __name__ == "__main__":
    main()
