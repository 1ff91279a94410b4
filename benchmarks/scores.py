"""Memory and time of the scores of all pairs: linear in the batch, and no dearer when small.

Three claims, each with its own way of counting: the tensors that a bound holds at its peak, for
batches that double at a fixed block; the seconds of skdim's InfoNCE against the plain form at batch
64; and the whole of a process that trains on batches of 2,048 images with 64 locations each.
"""

import argparse
import resource
import statistics
import subprocess
import sys
from functools import partial

import numpy as np
import torch
from reference_scores import dot, draw_projections, peak_mib, reference_info_nce, skdim_info_nce
from reference_scores import seconds as seconds_of
from timing import Row, in_turns, ratio, report

from skdim import DeepInfoMaxTransformer
from skdim.bounds import BOUNDS
from skdim.pairs import bound_of_pairs

BATCHES = (128, 256, 512)
LOCATIONS, UNITS = 64, 64
BLOCK = 2**20
LARGE = 2048
GIB = 2**30


def peak_of(name: str, batch: int) -> float:
    """Count the tensors of forward and backward at a fixed block, in MiB."""
    code, local = draw_projections(batch, LOCATIONS, UNITS)

    def run() -> None:
        bound_of_pairs(BOUNDS[name], dot, code, local, max_floats=BLOCK).backward()

    return peak_mib(run)


def train_large() -> float:
    """Train two steps on large batches in this process; its peak memory in GiB."""
    images = np.random.default_rng(0).integers(0, 256, (2 * LARGE, 3, 32, 32), np.uint8)
    DeepInfoMaxTransformer(
        encoder="dcgan", view=None, batch_size=LARGE, max_epochs=1, random_state=0
    ).fit(images)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def main() -> None:
    """Take all measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.large:
        print(train_large())
        return
    peaks = {name: [peak_of(name, batch) for batch in BATCHES] for name in BOUNDS}
    slopes = {name: np.polyfit(np.log(BATCHES), np.log(mib), 1)[0] for name, mib in peaks.items()}
    code, local = draw_projections(64, LOCATIONS, 256)
    losses = {"plain": plain_info_nce, "skdim": skdim_info_nce, "reference": reference_info_nce}
    runs = {name: partial(seconds_of, loss, code, local) for name, loss in losses.items()}
    taken = in_turns(runs, options.repeats, warm_up=3)
    large = subprocess.run(
        [sys.executable, __file__, "--large", "--threads", str(options.threads)],
        check=True,
        capture_output=True,
        text=True,
    )
    gib = float(large.stdout)
    rows = [
        Row(
            "memory of the scores grows with the batch to the power",
            max(slopes.values()),
            1.1,
            "exponent",
            True,
        ),
        Row("InfoNCE at batch 64 against the plain form", ratio(taken, "plain", "skdim"), 1.0),
        Row(f"training on batches of {LARGE}, 64 locations each", gib, 3, "GiB", True),
    ]
    medians = {name: statistics.median(spent) for name, spent in taken.items()}
    print({name: f"{1e3 * spent:.1f} ms" for name, spent in medians.items()})
    details = {"batches": BATCHES, "peak_mib": peaks, "slopes": slopes, "seconds": taken}
    report("scores", rows, details)


def plain_info_nce(code: torch.Tensor, local: torch.Tensor) -> torch.Tensor:
    """Give the loss from one table of scores, own pairs masked: the plain form."""
    n, n_locations = local.shape[:2]
    scores = (code.flatten(0, 1) @ local.flatten(0, 1).T).reshape(n, n, n_locations)
    own = torch.eye(n, dtype=torch.bool)
    positive = scores[own]
    others = scores.masked_fill(own[:, :, None], -torch.inf).flatten(1)
    negative = others.logsumexp(dim=1, keepdim=True)
    return (torch.logaddexp(positive, negative) - positive).mean()


if __name__ == "__main__":
    main()
