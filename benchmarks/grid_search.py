"""A grid search on two cores against one, with one thread a process.

Also what a worker keeps for itself: the data are mapped from one file, not sent to each worker.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV
from timing import Row, in_turns, ratio, report, seconds

from skdim import DeepInfoMaxTransformer

MIB = 2**20


def private_mib() -> float:
    """Measure the memory that this process has written to, and shares with no other one."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return (
        sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")) * 1024 / MIB
    )


def score_and_memory(model: DeepInfoMaxTransformer, X: np.ndarray, y: None = None) -> dict:
    """Score a fold; say what the worker holds beside."""
    return {"score": model.score(X), "private_mib": private_mib()}


def search(images: np.ndarray, n_jobs: int) -> GridSearchCV:
    """Go over four weights in two folds."""
    model = DeepInfoMaxTransformer(max_epochs=2, random_state=0)
    grid = {"local_weight": [0.25, 0.5, 1.0, 2.0]}
    with parallel_config("loky", inner_max_num_threads=1):
        return GridSearchCV(
            model, grid, scoring=score_and_memory, refit=False, cv=2, n_jobs=n_jobs
        ).fit(images)


def main() -> None:
    """Time both in turns; then look at the memory of workers with small and with large data."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = np.random.default_rng(0).integers(0, 256, (options.images, 3, 32, 32), np.uint8)
    runs = {f"{n} jobs": lambda n=n: seconds(lambda: search(images, n_jobs=n)) for n in (1, 2)}
    taken = in_turns(runs, options.repeats)
    rows = [Row("GridSearchCV with 2 jobs against 1", ratio(taken, "1 jobs", "2 jobs"), 1.6)]
    held, size = memory_of_workers()
    # scikit-learn copies the rows that a fold trains on and those that it tests on: once all data.
    rows.append(Row("copies of the data a worker beyond its folds", held, 0.1, "copies", True))
    report("grid_search", rows, taken | {"mib_of_data": size})


def memory_of_workers() -> tuple[float, float]:
    """Fit two folds of a large memory map, two jobs; memory beyond the folds, in sizes of the data.

    The workers of a search of small data say what a worker holds anyway.
    """
    n = 60_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        large = np.lib.format.open_memmap(path, "w+", np.uint8, (n, 3072))
        large[:] = np.random.default_rng(0).integers(0, 256, 3072, np.uint8)
        large[::2] += 1
        small = workers_of(np.load(path, mmap_mode="r")[:512])
        held = workers_of(np.load(path, mmap_mode="r"))
        size = large.nbytes / MIB
        del large
    return (held - small - size) / size, size


def workers_of(rows: np.ndarray) -> float:
    """Largest private memory of the workers of a search, in MiB."""
    model = DeepInfoMaxTransformer(16, encoder="mlp", max_epochs=1, batch_size=128, random_state=0)
    with parallel_config("loky", inner_max_num_threads=1):
        found = GridSearchCV(
            model,
            {"local_weight": [1.0, 2.0]},
            scoring=score_and_memory,
            refit=False,
            cv=2,
            n_jobs=2,
        ).fit(rows)
    return max(found.cv_results_[f"split{i}_test_private_mib"].max() for i in (0, 1))


if __name__ == "__main__":
    main()
