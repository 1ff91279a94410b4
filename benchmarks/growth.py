"""How time and memory grow with the number of images, at a fixed number of epochs."""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
from timing import Row, report

from skdim import DeepInfoMaxTransformer

SIZES = (1000, 3000, 10_000, 50_000)
MIB = 2**20


def measure(n: int, threads: int) -> dict:
    """Fit for one epoch, in this process; seconds, and peak memory beyond the images, in MiB."""
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, 3, 32, 32), np.uint8)
    model = DeepInfoMaxTransformer(max_epochs=1, view=None, random_state=0)
    start = time.perf_counter()
    model.fit(images)
    taken = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "images": n,
        "fit_seconds": taken,
        "epoch_seconds": model.history_["seconds"][0],
        "mib_beyond_data": (peak - images.nbytes) / MIB,
    }


def main() -> None:
    """Fit in new processes, and look at the slope."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.threads)))
        return
    command = [sys.executable, __file__, "--threads", str(options.threads), "--one"]
    measured = [
        json.loads(subprocess.run([*command, str(n)], check=True, capture_output=True).stdout)
        for _ in range(options.repeats)
        for n in SIZES
    ]

    def of(n: int, key: str) -> float:
        return statistics.median(m[key] for m in measured if m["images"] == n)

    logs = np.log(SIZES)
    slope = np.polyfit(logs, np.log([of(n, "epoch_seconds") for n in SIZES]), 1)[0]
    more = of(SIZES[-1], "mib_beyond_data") - of(SIZES[1], "mib_beyond_data")
    rows = [
        Row("time grows with the images to the power, at least", slope, 0.95, "exponent"),
        Row("time grows with the images to the power, at most", slope, 1.05, "exponent", True),
        Row(
            f"memory beyond the data, {SIZES[-1]:,} images against {SIZES[1]:,}",
            more,
            30,
            "MiB more",
            True,
        ),
    ]
    report("growth", rows, {"measured": measured})


if __name__ == "__main__":
    main()
