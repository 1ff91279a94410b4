"""Is an estimate of total correlation right? Three ways on codes whose total correlation is known.

    python benchmarks/dependence.py [--cases NAME ...]

Draws 5,000 codes of each kind and prints the truth beside three estimates:
``skdim.information.total_correlation``, its normal copula alone, and a critic that discriminates
codes from codes shuffled column by column (Donsker-Varadhan on held-out rows; the paper's NDM
was not held out). Writes
``benchmarks/results/dependence.json`` and ``.txt``.
"""

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from timing import RESULTS, about
from torch import Generator, Tensor, nn

from skdim.bounds import BOUNDS
from skdim.information import TASKS, UntrustedEstimateWarning, total_correlation
from skdim.information.columns import normal_scores
from skdim.information.critics import two_layer_network
from skdim.information.fitting import Fold, Training, fit_network, make_folds

N = 5000
SHUFFLES = 8
# Codes whose total correlation is found by a sum over the surface behind them.
JUDGED = 500
STEPS = 161

Codes = NDArray[np.float64]
Case = Callable[[int], tuple[Codes, float]]


def independent(seed: int) -> tuple[Codes, float]:
    """Draw heavy tails, 20 of them, that do not know each other."""
    return np.random.default_rng(seed).standard_t(2, (N, 20)), 0.0


def equicorrelated(d: int, r: float) -> Case:
    """Draw normals, each correlated with each."""

    def draw(seed: int) -> tuple[Codes, float]:
        draws = np.random.default_rng(seed)
        common, own = draws.standard_normal((N, 1)), draws.standard_normal((N, d))
        truth = -((d - 1) * math.log(1 - r) + math.log(1 + (d - 1) * r)) / 2
        return math.sqrt(r) * common + math.sqrt(1 - r) * own, truth

    return draw


def pairs(task: str, count: int) -> Case:
    """Draw pairs side by side that do not know each other."""

    def draw(seed: int) -> tuple[Codes, float]:
        drawn = [TASKS[task].draw(N, 1000 * seed + i) for i in range(count)]
        return np.hstack([np.hstack(pair) for pair in drawn]), TASKS[task].information * count

    return draw


def surface(d: int, noise: float) -> Case:
    """Draw points near a surface of two dimensions, in a space of more."""
    bends = np.random.default_rng(0)
    directions, phases = 1.2 * bends.standard_normal((2, d)), bends.uniform(0, 2 * math.pi, d)

    def place(causes: Codes) -> Codes:
        return np.sin(causes @ directions + phases)

    def truth(z: Codes) -> float:
        line = np.linspace(-5, 5, STEPS)
        causes = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        share = -np.square(causes).sum(axis=1) / 2
        share -= logsumexp(share)
        places = place(causes)
        logs = []
        for row in z:
            each = -np.square((row - places) / noise) / 2
            joint = logsumexp(each.sum(axis=1) + share)
            logs.append(joint - logsumexp(each + share[:, None], axis=0).sum())
        return float(np.mean(logs))

    def draw(seed: int) -> tuple[Codes, float]:
        draws = np.random.default_rng(seed)
        z = place(draws.standard_normal((N, 2))) + noise * draws.standard_normal((N, d))
        return z, truth(z[:JUDGED])

    return draw


def coins(seed: int) -> tuple[Codes, float]:
    """Throw a coin and write it down three times."""
    coin = np.random.default_rng(seed).integers(0, 2, (N, 1))
    return np.repeat(coin, 3, axis=1).astype(float), 2 * math.log(2)


CASES: dict[str, Case] = {
    "20 independent heavy tails": independent,
    "8 equicorrelated normals, 0.3": equicorrelated(8, 0.3),
    "64 equicorrelated normals, 0.3": equicorrelated(64, 0.3),
    "64 equicorrelated normals, 0.9": equicorrelated(64, 0.9),
    "8 pairs of Student's t": pairs("student-identity-1-1-1", 8),
    "16 pairs in a uniform band": pairs("1v1-additive-0.1", 16),
    "surface in 16 dimensions, 0.2": surface(16, 0.2),
    "surface in 16 dimensions, 0.05": surface(16, 0.05),
    "surface in 64 dimensions, 0.05": surface(64, 0.05),
    "a coin, three times": coins,
}


def by_critic(z: Codes, seed: int) -> float:
    """Tell codes from shuffled ones by a critic, judged on rows held out."""
    draws = np.random.default_rng(seed)
    scores = normal_scores(z, draws)
    torch.manual_seed(seed)
    folds = make_folds(len(z), 0.2, draws)
    return float(np.mean([critic_of_fold(scores, fold, seed) for fold in folds]))


def critic_of_fold(scores: Codes, fold: Fold, seed: int) -> float:
    """Train a critic on a fold, and judge it."""
    codes, generator = torch.from_numpy(scores).float(), Generator().manual_seed(seed)
    train, held_out = codes[fold.training], codes[fold.held_out]
    critic = two_layer_network(codes.shape[1], 64, 1, zeros=slice(None))

    def value(network: nn.Module, own: Tensor, others: Tensor) -> Tensor:
        n, d = own.shape
        drawn = torch.randint(len(others), (n * SHUFFLES, d), generator=generator)
        return BOUNDS["dv"](network(own), network(others.gather(0, drawn)).view(n, SHUFFLES))

    def judge(network: nn.Module) -> tuple[float, float]:
        with torch.no_grad():
            first, second = (
                value(network, half, held_out).item() for half in held_out.tensor_split(2)
            )
        return first, second

    curve = fit_network(
        critic,
        lambda rows: value(critic, train[rows], train),
        judge,
        len(train),
        Training(30, 10, 250, 5e-3),
        generator,
    )
    return curve.held_out


METHODS: dict[str, Callable[[Codes, int], float]] = {
    "default": lambda z, seed: total_correlation(z, random_state=seed),
    "normal copula": lambda z, seed: total_correlation(z, max_epochs=0, random_state=seed),
    "critic": by_critic,
}


def measure(name: str, seed: int) -> dict:
    """All methods on one kind of codes."""
    z, truth = CASES[name](seed)
    row: dict = {"case": name, "seed": seed, "truth": round(truth, 4)}
    for method, estimate in METHODS.items():
        start = time.process_time()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UntrustedEstimateWarning)
            row[method] = round(estimate(z, seed), 4)
        row[f"{method}: seconds"] = round(time.process_time() - start, 1)
        row[f"{method}: warned"] = bool(caught)
    return row


def tabulate(rows: list[dict]) -> str:
    """Lay out all estimates, in nats, and the seconds of the default."""
    lines = [f"{'nats':<34}{'truth':>9}{'default':>10}{'copula':>10}{'critic':>12}{'seconds':>9}"]
    lines += [
        f"{row['case']:<34}{row['truth']:>9.3f}{row['default']:>10.3f}{row['normal copula']:>10.3f}"
        f"{row['critic']:>12.3f}{row['default: seconds']:>9.1f}"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=[*CASES], choices=CASES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for name in options.cases:
        rows.append(measure(name, options.seed))
        print(rows[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    everything = {"about": about(), "n": N, "results": rows}
    (RESULTS / "dependence.json").write_text(json.dumps(everything, indent=1) + "\n")
    (RESULTS / "dependence.txt").write_text(tabulate(rows) + "\n")
    print("\n" + tabulate(rows))


if __name__ == "__main__":
    main()
