"""How time and memory grow with rows, sides, columns, batches: curves, and their exponents.

    python benchmarks/scale.py [--curves rows sides ...] [--largest] [--threads 1]

Each point is measured in a new process, by its own CPU seconds and peak memory beyond that before
the call. An exponent is the slope of log seconds between the last two points of a curve: 1 is
linear. ``--largest`` adds 1,000,000 rows, a memory map of 8 GB (written to a temporary folder) and
20,000 columns, and takes half an hour. Writes ``results/scale.json``.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from timing import RESULTS, about

from skdim import DeepInfoMaxTransformer
from skdim.displays.neighbors import find_neighbors
from skdim.metrics import probe_scores

MIB = 2**20
DIGITS = load_digits()

# What is measured, its sizes, and those that --largest adds.
CURVES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "rows": ((3000, 10_000, 30_000, 100_000), (1_000_000,)),
    "rows of a memory map": ((3000, 10_000, 30_000), (1_000_000,)),
    "images": ((1000, 3000, 10_000, 30_000), ()),
    "side": ((8, 16, 32, 64, 128, 224), ()),
    "columns": ((100, 1000, 3000, 10_000), (20_000,)),
    "batch": ((64, 256, 1024, 4096), ()),
    "transform": ((1000, 3000, 10_000, 30_000), ()),
    "neighbours": ((1000, 3000, 10_000, 30_000), ()),
    "probes": ((1000, 3000, 10_000), ()),
}


def draws(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Draw standard normal numbers."""
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def digits(n: int) -> NDArray[np.float32]:
    """Return digits, repeated with noise."""
    rows = np.arange(n) % len(DIGITS.images)
    return DIGITS.images[rows].astype(np.float32) + draws((n, 8, 8))


def fit(X: NDArray, **parameters: object) -> Callable[[], object]:
    """Fit a transformer."""
    model = DeepInfoMaxTransformer(random_state=0, device="cpu", **parameters)
    return lambda: model.fit(X)


def write_map(n: int, folder: str) -> NDArray[np.float32]:
    """Write n rows of 2,048 columns to a file, and map it."""
    path = Path(folder, "rows.npy")
    mapped = np.lib.format.open_memmap(path, "w+", np.float32, (n, 2048))
    for start in range(0, n, 10_000):
        block = np.random.default_rng(start).standard_normal((min(10_000, n - start), 2048), "f")
        mapped[start : start + len(block)] = block
    mapped.flush()
    del mapped
    return np.load(path, mmap_mode="r")


def prepare(curve: str, n: int, folder: str) -> Callable[[], object]:
    """Return what is measured at one point of a curve."""
    match curve:
        case "rows":
            return fit(draws((n, 16)))
        case "rows of a memory map":
            return fit(write_map(n, folder))
        case "images":
            return fit(np.random.default_rng(0).integers(0, 256, (n, 3, 32, 32), np.uint8))
        case "side":
            return fit(np.random.default_rng(0).integers(0, 256, (300, 3, n, n), np.uint8))
        case "columns":
            return fit(draws((1000, n)))
        case "batch":
            return fit(draws((8192, 64)), batch_size=n, max_epochs=1, encoder="mlp")
        case "transform":
            model = DeepInfoMaxTransformer(random_state=0, device="cpu").fit(digits(1000))
            X = digits(n)
            return lambda: model.transform(X)
        case "neighbours":
            codes = draws((n, 64))
            return lambda: find_neighbors(codes, [0, 1, 2], 5, "cosine")
        case "probes":
            model = DeepInfoMaxTransformer(random_state=0, device="cpu").fit(digits(1000))
            X, y = digits(n), DIGITS.target[np.arange(n) % len(DIGITS.target)]
            rest = digits(n + 500)[n:], DIGITS.target[np.arange(n, n + 500) % len(DIGITS.target)]
            return lambda: probe_scores(
                model, X, y, *rest, layers="code", probes=["svm"], n_seeds=1
            )
    raise ValueError(curve)


def measure(curve: str, n: int, threads: int) -> dict[str, float]:
    """Measure one point in this process."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        run = prepare(curve, n, folder)
        before = peak()
        cpu, clock = time.process_time(), time.perf_counter()
        run()
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    return {"cpu_seconds": cpu, "seconds": clock, "mib": peak() - before}


def peak() -> float:
    """Return the peak memory of this process in MiB; pages of memory maps count."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


def exponent(points: list[dict], key: str) -> float:
    """Return the slope of the logarithms between the last two points."""
    (a, b), (c, d) = ((point["size"], max(point[key], 1e-3)) for point in points[-2:])
    return float(np.log(d / b) / np.log(c / a))


def main() -> None:
    """Measure the curves, and write them down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", nargs="+", default=list(CURVES), choices=list(CURVES))
    parser.add_argument("--largest", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]), options.threads)))
        return
    found: dict[str, list[dict]] = {}
    for curve in options.curves:
        sizes, largest = CURVES[curve]
        for n in (*sizes, *largest * options.largest):
            command = [sys.executable, __file__, "--threads", str(options.threads)]
            run = subprocess.run(
                [*command, "--one", curve, str(n)], check=True, capture_output=True, text=True
            )
            point = {"size": n, **json.loads(run.stdout.splitlines()[-1])}
            found.setdefault(curve, []).append(point)
            print(
                f"{curve:<22}{n:>10,}{point['cpu_seconds']:>10.2f} CPU s{point['mib']:>9.0f} MiB",
                flush=True,
            )
        print(f"{curve:<22} exponent of seconds {exponent(found[curve], 'cpu_seconds'):.2f}")
        result = {
            "about": about(),
            "threads": options.threads,
            "curves": {
                name: {"points": points, "exponent": exponent(points, "cpu_seconds")}
                for name, points in found.items()
            },
        }
        (RESULTS / "scale.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
