"""Is an estimate of information right? Every method on the 40 tasks of ``bmi``.

    python benchmarks/information.py [--tasks NAME ...] [--bounds dv kl ...] [--seeds 0]

Draws 5,000 pairs of each task and prints truth, estimate, error and processor seconds of
``skdim.information.mutual_information`` with its defaults; then with the other bounds; beside the
normal copula alone, nearest neighbours among all columns (KSG), canonical correlations (CCA), and
scikit-learn's nearest neighbours where x and y are one number each. An estimate is right if it
errs by at most 5 % or 0.03 nats, whichever is larger. Tasks that are increasing maps of another
one are the same task for a method of ranks; the others are counted apart. Writes
``benchmarks/results/information.json`` and ``.txt`` after each task. The defaults were chosen on
other draws (seeds 777 and 900 to 902).
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cross_decomposition import CCA
from sklearn.feature_selection import mutual_info_regression
from timing import RESULTS, about

from skdim.information import (
    BMI_TASKS,
    TASKS,
    BenchmarkTask,
    UntrustedEstimateWarning,
    mutual_information,
)
from skdim.information.columns import normal_scores
from skdim.information.neighbours import neighbour_information

N = 5000
SHARE, NATS = 0.05, 0.03
DEFAULT = "dv"
BOUNDS = ("dv", "infonce", "kl", "jsd")
GOAL = 36
# Increasing maps of the columns of another task.
COPIES = tuple(
    name
    for name in BMI_TASKS
    if name.startswith(("normal_cdf-", "half_cube-", "wiggly-", "1v1-bimodal", "asinh-"))
)

Estimate = Callable[[NDArray, NDArray, int], float]


def by_bound(bound: str) -> Estimate:
    """Take a bound, and defaults for the rest."""
    return lambda x, y, seed: mutual_information(x, y, bound=bound, random_state=seed)


def normal_copula(x: NDArray, y: NDArray, seed: int) -> float:
    """Leave the network out."""
    return mutual_information(x, y, critic=None, random_state=seed)


def all_neighbours(x: NDArray, y: NDArray, seed: int) -> float:
    """Estimate from nearest neighbours among all columns."""
    draws = np.random.default_rng(seed)
    return float(neighbour_information([normal_scores(side, draws) for side in (x, y)]).mean())


def canonical(x: NDArray, y: NDArray, seed: int) -> float:
    """Estimate from canonical correlations, as for jointly normal variables."""
    size = min(x.shape[1], y.shape[1])
    pairs = CCA(size).fit_transform(x, y)
    each = [np.corrcoef(*(side[:, i] for side in pairs))[0, 1] for i in range(size)]
    return float(-np.log1p(-np.square(each)).sum() / 2)


def neighbours(x: NDArray, y: NDArray, seed: int) -> float:
    """Estimate from distances to nearest neighbours, as scikit-learn does."""
    return float(mutual_info_regression(x, y[:, 0], random_state=seed)[0])


def methods(task: BenchmarkTask, bounds: list[str]) -> dict[str, Estimate]:
    """Choose what applies to a task; what is no bound goes with the default."""
    found: dict[str, Estimate] = {bound: by_bound(bound) for bound in bounds}
    if DEFAULT not in bounds:
        return found
    found |= {"normal copula": normal_copula, "KSG": all_neighbours, "CCA": canonical}
    if all(side.shape[1] == 1 for side in task.draw(2, 0)):
        found["scikit-learn"] = neighbours
    return found


def measure(name: str, task: BenchmarkTask, bounds: list[str], seeds: list[int]) -> list[dict]:
    """All methods on one task; prints as it goes."""
    allowed = max(SHARE * task.information, NATS)
    rows = []
    for method, estimate in methods(task, bounds).items():
        for seed in seeds:
            x, y = task.draw(N, seed)
            start = time.process_time()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", UntrustedEstimateWarning)
                found = estimate(x, y, seed)
            error = found - task.information
            row = {
                "task": name,
                "method": method,
                "seed": seed,
                "truth": round(task.information, 5),
                "estimate": round(found, 5),
                "error": round(error, 5),
                "allowed": round(allowed, 5),
                "right": bool(abs(error) <= allowed),
                "warned": len(caught) > 0,
                "method used": getattr(found, "method_", ""),
                "interval": [round(end, 5) for end in interval(found)],
                "seconds": round(time.process_time() - start, 2),
            }
            rows.append(row)
            print(line(row), flush=True)
    return rows


def interval(found: float) -> tuple[float, float]:
    """Return the 90 % interval, if there is one."""
    return found.interval(0.9) if hasattr(found, "interval") else (found, found)


def line(row: dict) -> str:
    """Lay out one estimate."""
    verdict = ("" if row["right"] else "  missed") + ("  warned" if row["warned"] else "")
    return (
        f"{row['task']:<42}{row['method']:<15}{row['seed']:>4}{row['truth']:>9.4f}"
        f"{row['estimate']:>9.4f}{row['error']:>+9.4f}{row['seconds']:>8.1f}{verdict}"
    )


def covers(row: dict) -> bool:
    """Whether the interval holds the truth."""
    low, high = row["interval"]
    return low <= row["truth"] <= high


def tabulate(rows: list[dict]) -> str:
    """Lay out all estimates, and count by method how many tasks are right."""
    head = f"{'task':<42}{'method':<15}seed{'truth':>9}{'estimate':>9}{'error':>9}{'seconds':>8}"
    lines = [head, *map(line, rows), ""]
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method and row["task"] in BMI_TASKS]
        distinct = [row for row in own if row["task"] not in COPIES]
        right = sum(row["right"] for row in own)
        note = f", {GOAL} of {len(BMI_TASKS)} wanted" if method == DEFAULT else ""
        lines.append(
            f"{method}: right in {right} of {len(own)}, of the distinct ones in "
            f"{sum(row['right'] for row in distinct)} of {len(distinct)}; the interval holds the "
            f"truth in {sum(covers(row) for row in own)} (mean error "
            f"{np.mean([abs(row['error']) for row in own] or [0]):.3f} nats{note})"
        )
    return "\n".join(lines)


def write(rows: list[dict]) -> None:
    """Write what there is so far."""
    RESULTS.mkdir(exist_ok=True)
    everything = {"about": about(), "n": N, "results": rows}
    (RESULTS / "information.json").write_text(json.dumps(everything, indent=1) + "\n")
    (RESULTS / "information.txt").write_text(tabulate(rows) + "\n")


def main() -> None:
    """Run the benchmark: the default bound on all tasks first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=list(BMI_TASKS))
    parser.add_argument("--bounds", nargs="+", default=list(BOUNDS), choices=BOUNDS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    first = [bound for bound in options.bounds if bound == DEFAULT]
    others = [bound for bound in options.bounds if bound != DEFAULT]
    rows: list[dict] = []
    for bounds in (first, others):
        if not bounds:
            continue
        for name in options.tasks:
            rows += measure(name, TASKS[name], bounds, options.seeds)
            write(rows)
    print("\n" + tabulate(rows))


if __name__ == "__main__":
    main()
