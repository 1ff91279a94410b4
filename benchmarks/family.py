"""Which objective, bound, negatives and view? The family of Deep InfoMax at equal seconds.

    CIFAR10=cifar10.npz python benchmarks/family.py [--seconds 90] [--seeds 2]

Every member trains the paper's encoder on the same 10,000 images for the same seconds of processor
time, on one thread and in bfloat16, where that is not imitated. How many epochs fit is measured
first, in turns, so that other work on the machine cannot favour a member. The probe is that of
``features.py``. Writes ``results/family.json`` and ``.txt``; what stands there already is not run
again (``--anew`` does).
"""

import argparse
import json
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from data import Data, cifar10
from judge import probe
from rivals import UNTRAINED
from sklearn.exceptions import ConvergenceWarning
from timing import RESULTS, about

from skdim import DeepInfoMaxTransformer

N_FIT = 10_000
N_TIMED = 1024
LAYERS = ("code", "hidden", "conv")

PLAIN = {"encoder": "dcgan", "view": None, "precision": "bfloat16"}
GLOBAL = {"global_weight": 1.0, "local_weight": 0.0}
COORDINATES = {"coordinate_weight": 0.5, "relative_coordinate_weight": 0.5}

MEMBERS: dict[str, dict] = {
    "local, InfoNCE": {},
    "local, JSD": {"bound": "jsd"},
    "local, DV": {"bound": "dv"},
    "local, KL": {"bound": "kl"},
    "local, reverse KL": {"bound": "rkl"},
    "local, Hellinger": {"bound": "h2"},
    "local, chi2": {"bound": "chi2"},
    "local, InfoNCE, one negative a place": {"negatives": 1},
    "local, JSD, one negative a place": {"bound": "jsd", "negatives": 1},
    "global, InfoNCE": GLOBAL,
    "global, JSD, prior 1 (the paper's)": GLOBAL | {"bound": "jsd", "prior_weight": 1.0},
    "local and global, InfoNCE": {"global_weight": 0.5},
    "local, prior 0.1": {"prior_weight": 0.1},
    "local, coordinates": COORDINATES,
    "local, occlusion": {"view": "occlude"},
    "local, coordinates, occlusion": COORDINATES | {"view": "occlude"},
    "local, augmentation": {"view": "augment"},
    "untrained": UNTRAINED,
}


def model(name: str, seed: int, epochs: int) -> DeepInfoMaxTransformer:
    """Build a member."""
    settings = PLAIN | {"max_epochs": epochs} | MEMBERS[name]
    return DeepInfoMaxTransformer(random_state=seed, **settings)


def processor_seconds(name: str, data: Data, n: int, epochs: int) -> float:
    """Train a member on some samples; give what that took of the processor."""
    start = time.process_time()
    model(name, 0, epochs).fit(data.X[:n])
    return time.process_time() - start


def epochs_in(seconds: float, data: Data) -> dict[str, int]:
    """Say how many epochs of every member fit, by the difference of one and two epochs of a few."""
    taken: dict[str, list[float]] = {name: [] for name in MEMBERS if name != "untrained"}
    for _ in range(3):
        for name, differences in taken.items():
            one, two = (processor_seconds(name, data, N_TIMED, k) for k in (1, 2))
            differences.append(two - one)
    fitting = {
        name: seconds / (statistics.median(differences) * N_FIT / N_TIMED)
        for name, differences in taken.items()
    }
    return {name: max(1, round(epochs)) for name, epochs in fitting.items()} | {"untrained": 1}


def judge(name: str, data: Data, seed: int, epochs: int) -> dict:
    """Train one member, and probe its layers."""
    start = time.process_time()
    fitted = model(name, seed, epochs).fit(data.X)
    seconds = time.process_time() - start
    found = {"member": name, "seed": seed, "epochs": epochs, "seconds": round(seconds, 1)}
    for layer in LAYERS:
        features = (fitted.encode(X, layer).flatten(1).numpy() for X in (data.X, data.X_test))
        found[layer] = round(float(probe(data, *features)), 4)
    return found


def table(runs: list[dict], seconds: float) -> str:
    """Mean and spread over seeds, one line a member."""
    seeds = len({run["seed"] for run in runs})
    lines = [
        f"CIFAR-10: {N_FIT} to fit, encoder 'dcgan', {seconds:g} processor seconds of training, "
        f"{seeds} seeds",
        f"{'member':<38}{'epochs':>7}{'code (64)':>15}{'hidden (1024)':>15}{'conv (4096)':>15}",
    ]
    for name in MEMBERS:
        of_member = [run for run in runs if run["member"] == name]
        if not of_member:
            continue
        cells = []
        for layer in LAYERS:
            accuracies = [run[layer] for run in of_member]
            cells.append(f"{np.mean(accuracies):>9.3f} ±{np.std(accuracies):.3f}")
        lines.append(f"{name:<38}{of_member[0]['epochs']:>7}" + "".join(cells))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what has not been run, and write all down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--anew", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    # The probe's optimum is flat: a hundred steps judge as well as a thousand.
    warnings.simplefilter("ignore", ConvergenceWarning)
    file = RESULTS / "family.json"
    start_over = options.anew or not file.exists()
    written = {} if start_over else json.loads(file.read_text())
    runs: list[dict] = written.get("runs", [])
    epochs = written.get("epochs") or epochs_in(options.seconds, cifar10(N_TIMED, 0))
    print(epochs, flush=True)
    done = {(run["member"], run["seed"]) for run in runs}
    for seed in range(options.seeds):
        data = cifar10(N_FIT, seed)
        for name in MEMBERS:
            if (name, seed) in done:
                continue
            runs.append(judge(name, data, seed, epochs[name]))
            print(runs[-1], flush=True)
            write(file, {"about": about(), "epochs": epochs, "runs": runs}, options.seconds)
    print(f"\n{table(runs, options.seconds)}")


def write(file: Path, everything: dict, seconds: float) -> None:
    """Write down what there is so far."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(everything, indent=1) + "\n")
    file.with_suffix(".txt").write_text(table(everything["runs"], seconds))


if __name__ == "__main__":
    main()
