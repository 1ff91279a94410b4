"""The closed form of which term, and what gradients do from there: accuracy of three sizes.

    CIFAR10=cifar10.npz python benchmarks/closed_form_terms.py [--n-fit 4000] [--seeds 3]

The default, and the same with the local term alone, with both terms, and with two epochs of
gradients behind it; beside the network that was the default before. Defaults were chosen by these
figures: they are those of the rows to choose on. Written to ``results/closed_form_terms.json``.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from data import DATA
from judge import choose_strength
from timing import about

from skdim import DeepInfoMaxTransformer

VARIANTS = {
    "global term (the default)": {},
    "local term": {"local_weight": 1.0, "global_weight": 0.0},
    "both, alike": {"local_weight": 0.5, "global_weight": 0.5},
    "local term, then 2 epochs at 1e-5": {
        "encoder": "patches",
        "max_epochs": 2,
        "learning_rate": 1e-5,
    },
    "local term, then 2 epochs at 1e-3": {"encoder": "patches", "max_epochs": 2},
    "network by gradients": {"bound": "infonce"},
}


def run(name: str, n_fit: int, seed: int) -> dict[str, float]:
    """Accuracy of code and hidden of one variant, with its CPU seconds."""
    data = DATA["cifar10"](n_fit, seed)
    start = time.process_time()
    model = DeepInfoMaxTransformer(random_state=seed, **VARIANTS[name]).fit(data.X)
    figures = {"seconds": time.process_time() - start}
    for layer in ("code", "hidden"):
        fit, choose = (model.encode(X, layer).numpy() for X in (data.X, data.X_choose))
        _, figures[layer], _ = choose_strength(fit, data.y, choose, data.y_choose)
    return figures


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-fit", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = {}
    print(f"{'':<36}{'code (64)':>16}{'hidden':>16}{'CPU s':>8}")
    for name in VARIANTS:
        runs = [run(name, options.n_fit, seed) for seed in range(options.seeds)]
        results[name] = runs
        cells = ""
        for layer in ("code", "hidden"):
            values = np.array([figures[layer] for figures in runs])
            error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
            cells += f"{values.mean():>9.3f} ± {error:.3f}"
        seconds = np.median([figures["seconds"] for figures in runs])
        print(f"{name:<36}{cells}{seconds:>8.0f}", flush=True)
        path = Path(__file__).parent / "results" / "closed_form_terms.json"
        path.write_text(json.dumps({"about": about(), "runs": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
