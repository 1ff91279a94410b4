"""Is bfloat16 worth as much as float32? The same probe on both, over seeds.

Takes CIFAR-10 where there is one (see ``data.py``), else scikit-learn's digits.
"""

import argparse
import warnings

import numpy as np
import torch
from data import Data, cifar10, digits
from judge import probe
from sklearn.exceptions import ConvergenceWarning
from timing import Row, report

from skdim import DeepInfoMaxTransformer

PRECISIONS = ("float32", "bfloat16")
LAYERS = ("code", "hidden")


def load(n_fit: int, seed: int) -> tuple[str, Data]:
    """Take what there is."""
    try:
        return "CIFAR-10", cifar10(n_fit, seed)
    except FileNotFoundError:
        return "digits", digits(n_fit, seed)


def accuracies(data: Data, precision: str, seed: int) -> dict[str, float]:
    """Fit with defaults, and judge two layers."""
    model = DeepInfoMaxTransformer(precision=precision, random_state=seed).fit(data.X)
    return {
        layer: probe(data, *(model.encode(X, layer).numpy() for X in (data.X, data.X_test)))
        for layer in LAYERS
    }


def main() -> None:
    """Fit three times in either precision, and compare the means with the spread over seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    found: dict[str, list[dict[str, float]]] = {precision: [] for precision in PRECISIONS}
    for seed in range(options.seeds):
        name, data = load(options.images, seed)
        for precision in PRECISIONS:
            found[precision].append(accuracies(data, precision, seed))
            print(name, seed, precision, found[precision][-1], flush=True)
    rows = []
    for layer in LAYERS:
        plain, half = (np.array([run[layer] for run in found[p]]) for p in PRECISIONS)
        # Twice the standard error of the mean difference, and never less than a quarter point.
        noise = max(2 * np.std(half - plain, ddof=1) / len(plain) ** 0.5, 0.0025)
        what = f"accuracy lost by bfloat16, {name}, {layer}"
        rows.append(Row(what, plain.mean() - half.mean(), noise, "share", at_most=True))
    report("precision", rows, found)


if __name__ == "__main__":
    main()
