"""What users ask for: information about labels, of images, of few rows; total correlation.

    python benchmarks/information_cases.py [--cases TEXT ...] [--seed 0]
    python benchmarks/information_cases.py --independent 100

Prints truth, estimate, 90 % interval, method and processor seconds of each case whose name contains
one of the texts. The truth of the digits is not known; it is at most ln 10. With ``--independent``:
how many of so many independent pairs of each kind have an interval above 0, with 200 and 40 rows.
"""

import argparse
import math
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.datasets import load_digits

from skdim.information import InformationEstimate, mutual_information, total_correlation
from skdim.information.tasks import (
    AdditiveUniform,
    BenchmarkTask,
    StudentPairs,
    dense_normal,
    map_pairs,
    sparse_normal,
)

Case = tuple[float, Callable[[int], InformationEstimate]]
# Chosen so that the information is 1.58, 3.00 and 1.837.
SPREAD, NOISE, DISTANCE = 0.799, 3.02, 1.996


def blobs(n: int, seed: int) -> tuple[NDArray, NDArray, float]:
    """Draw codes around ten centres in 8 dimensions, with labels and their mean log ratio."""
    centres = SPREAD * np.random.default_rng(1234).standard_normal((10, 8))
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, 10, n)
    codes = centres[labels] + draws.standard_normal((n, 8))
    logs = -np.square(codes[:, None] - centres).sum(axis=2) / 2
    ratios = logs[np.arange(n), labels] - logsumexp(logs, axis=1) + math.log(10)
    return codes, labels, float(ratios.mean())


def seen_twice() -> tuple[NDArray, NDArray]:
    """Return the maps from 30 latent values to 784 pixels and to 64 columns of a code."""
    draws = np.random.default_rng(7)
    of_pixels, of_code = draws.standard_normal((30, 784)), draws.standard_normal((30, 64))
    return of_pixels / math.sqrt(30), of_code / math.sqrt(30)


def code_and_image(n: int, seed: int) -> tuple[NDArray, NDArray]:
    """Draw jointly normal codes (n, 64) and pixels (n, 784)."""
    of_pixels, of_code = seen_twice()
    draws = np.random.default_rng(seed)
    latent = draws.standard_normal((n, 30))
    pixels = latent @ of_pixels + 0.3 * draws.standard_normal((n, 784))
    return latent @ of_code + NOISE * draws.standard_normal((n, 64)), pixels


def code_and_image_truth() -> float:
    """Compute the information of jointly normal codes and pixels."""
    of_pixels, of_code = seen_twice()
    pixels = of_pixels.T @ of_pixels + 0.09 * np.eye(784)
    code = of_code.T @ of_code + NOISE**2 * np.eye(64)
    between = of_pixels.T @ of_code
    rest = code - between.T @ np.linalg.solve(pixels, between)
    return float(np.linalg.slogdet(code)[1] - np.linalg.slogdet(rest)[1]) / 2


def two_blobs(n: int, seed: int) -> NDArray:
    """Draw 4 coordinates of unit variance around either of two opposite centres."""
    draws = np.random.default_rng(seed)
    return DISTANCE * draws.choice([-1, 1], (n, 1)) + draws.standard_normal((n, 4))


def signs(n: int, seed: int) -> NDArray:
    """Draw three coordinates, two by two independent, whose product is positive."""
    z = np.random.default_rng(seed).standard_normal((n, 3))
    z[:, 2] = np.abs(z[:, 2]) * np.sign(z[:, 0] * z[:, 1])
    return z


def student(n: int, seed: int) -> NDArray:
    """Draw 8 coordinates of Student's t, 3 degrees of freedom."""
    draws = np.random.default_rng(seed)
    return draws.standard_normal((n, 8)) / np.sqrt(draws.chisquare(3, (n, 1)) / 3)


def of_task(task: BenchmarkTask, n: int = 5000) -> Case:
    """Estimate the information of a task."""
    return task.information, lambda s: mutual_information(*task.draw(n, s), random_state=s)


def all_cases() -> dict[str, Case]:
    """Return truth and estimate of each case."""
    pixels, digits = load_digits(return_X_y=True)
    image = code_and_image_truth()
    one = StudentPairs(1, 3)
    t_truth = 8 * one.entropy(1) - one.entropy(8)
    spirals = {
        f"spirals, {d} + {d} columns": of_task(map_pairs(sparse_normal(d, 2, 0.8), "spiral"))
        for d in (3, 5, 25)
    }
    return {
        "10 blobs and labels, n = 1,000": (
            blobs(20_000, 99)[2],
            lambda s: mutual_information(*blobs(1000, s)[:2], random_state=s),
        ),
        "64 pixels and digit": (
            math.log(10),
            lambda s: mutual_information(pixels, digits, random_state=s),
        ),
        "64 pixels and digit, one-hot": (
            math.log(10),
            lambda s: mutual_information(pixels, np.eye(10)[digits], random_state=s),
        ),
        **{
            f"code and image, n = {n:,}": (
                image,
                lambda s, n=n: mutual_information(*code_and_image(n, s), random_state=s),
            )
            for n in (1000, 5000)
        },
        "dense normal, 50 + 50 columns": of_task(BenchmarkTask(dense_normal(50, 0.5))),
        **{
            f"additive uniform, noise {w}": of_task(BenchmarkTask(AdditiveUniform(w)))
            for w in (0.1, 0.75)
        },
        "Student-t, 5 + 5 columns": of_task(BenchmarkTask(StudentPairs(5, 2))),
        **spirals,
        "sparse, 25 + 25 columns, n = 200": of_task(BenchmarkTask(sparse_normal(25, 2, 0.8)), 200),
        "total: signs": (math.log(2), lambda s: total_correlation(signs(5000, s), random_state=s)),
        "total: Student-t": (
            t_truth,
            lambda s: total_correlation(student(5000, s), random_state=s),
        ),
        "total: two blobs": (
            1.837,
            lambda s: total_correlation(two_blobs(5000, s), random_state=s),
        ),
    }


Draw = Callable[[np.random.Generator, int], tuple[NDArray, NDArray]]

INDEPENDENT: dict[str, Draw] = {
    "normal, 1 + 1": lambda g, n: (g.standard_normal((n, 1)), g.standard_normal((n, 1))),
    "normal, 10 + 10": lambda g, n: (g.standard_normal((n, 10)), g.standard_normal((n, 10))),
    "shared scales, 3 + 3": lambda g, n: (
        g.standard_normal((n, 3)) / g.standard_normal((n, 1)),
        g.standard_normal((n, 3)) / g.standard_normal((n, 1)),
    ),
    "code of 8 columns and label": lambda g, n: (
        g.standard_normal((n, 8)),
        g.integers(0, 4, n),
    ),
    "two labels": lambda g, n: (g.integers(0, 4, n), g.integers(0, 3, n)),
}


def count_false_positives(n_pairs: int) -> None:
    """Print how many intervals of independent pairs exclude zero."""
    for n in (200, 40):
        for name, draw in INDEPENDENT.items():
            found = []
            for seed in range(n_pairs):
                x, y = draw(np.random.default_rng([seed, n]), n)
                found.append(mutual_information(x, y, random_state=seed))
            false = sum(each.interval(0.9)[0] > 0 for each in found)
            print(
                f"{name:<34}n = {n:<6}{false:>4} of {n_pairs}, from {min(found):.3f} to "
                f"{max(found):.3f}, mean {np.mean(found):.3f}",
                flush=True,
            )


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=[""])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--independent", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.independent:
        warnings.simplefilter("ignore")
        count_false_positives(options.independent)
        return
    for name, (truth, estimate) in all_cases().items():
        if not any(text in name for text in options.cases):
            continue
        start = time.process_time()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = estimate(options.seed)
        low, high = found.interval(0.9)
        print(
            f"{name:<34}{truth:>8.3f}{found:>8.3f}  {low:.3f} to {high:.3f}  {found.method_:<12}"
            f"{time.process_time() - start:>7.1f}{'  warned' if caught else ''}",
            flush=True,
        )


if __name__ == "__main__":
    main()
