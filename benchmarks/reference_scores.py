"""InfoNCE over all pairs as the reference code computes it, against skdim's.

    python benchmarks/reference_scores.py [--batch 64] [--locations 64] [--units 256]

Written anew from what is known of that code: the scores of all pairs are copied once for each
positive, so that one softmax can run over a positive and all negatives. Own pairs stay among the
negatives with a score of -10 instead of being left out, and the result is a loss: the log of the
number of candidates is not added. Both are kept here.

Prints the seconds of forward and backward, in turns, and what the tensors of each take at their
peak.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from skdim.bounds import BOUNDS
from skdim.pairs import bound_of_pairs

MASK = -10.0


def reference_info_nce(code: Tensor, local: Tensor) -> Tensor:
    """Give the loss on tensors of (n, l, 1 + n * l, g) numbers.

    Parameters
    ----------
    code : Tensor of shape (n, g, u)
        Projected globals.
    local : Tensor of shape (n, l, u)
        Projected locations.

    Returns
    -------
    Tensor of shape ()
    """
    n, n_locations = local.shape[:2]
    n_globals = code.shape[1]
    positive = (local @ code.mT)[:, :, None]  # (n, l, 1, g)
    scores = torch.einsum("iau,jku->ijka", code, local)
    own = torch.eye(n, device=code.device, dtype=code.dtype)[:, :, None, None]
    negative = scores * (1 - own) + MASK * own
    negative = negative.reshape(n, 1, n * n_locations, n_globals).expand(-1, n_locations, -1, -1)
    return -torch.cat([positive, negative], dim=2).log_softmax(dim=2)[:, :, 0].mean()


def skdim_info_nce(code: Tensor, local: Tensor) -> Tensor:
    """Give minus the bound, block by block where the scores are many; same shapes."""
    return -bound_of_pairs(BOUNDS["infonce"], dot, code, local)


def dot(code: Tensor, local: Tensor) -> Tensor:
    """Score by inner products."""
    return code @ local.mT


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "reference": reference_info_nce,
    "skdim": skdim_info_nce,
}


def draw_projections(batch: int, locations: int, units: int) -> tuple[Tensor, Tensor]:
    """Draw projections of one global a sample, whose scores have a spread of about one."""
    generator = torch.Generator().manual_seed(0)
    code = torch.randn(batch, 1, units, generator=generator) / units**0.5
    local = torch.randn(batch, locations, units, generator=generator)
    return code.requires_grad_(), local.requires_grad_()


def seconds(loss: Callable[[Tensor, Tensor], Tensor], code: Tensor, local: Tensor) -> float:
    """Time forward and backward."""
    start = time.perf_counter()
    torch.autograd.grad(loss(code, local), [code, local])
    return time.perf_counter() - start


def peak_mib(run: Callable[[], object]) -> float:
    """Count the tensors that a call holds at its peak, beyond those there were; MiB."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    with TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    memory = sorted(
        (event["ts"], event["args"]["Total Allocated"], event["args"]["Bytes"])
        for event in events
        if event["name"] == "[memory]"
    )
    _, after_first, first = memory[0]
    return (max(total for _, total, _ in memory) - (after_first - first)) / 2**20


def compare(batch: int, locations: int, units: int, repeats: int = 7) -> dict[str, dict]:
    """Time both in turns, and measure the memory of both.

    Returns
    -------
    dict
        For each loss its ``seconds``, one a repeat, and its ``peak_mib``.
    """
    given = draw_projections(batch, locations, units)
    taken: dict[str, list[float]] = {name: [] for name in LOSSES}
    for turn in range(1 + repeats):
        for name, loss in LOSSES.items():
            spent = seconds(loss, *given)
            if turn:
                taken[name].append(spent)
    return {
        name: {"seconds": taken[name], "peak_mib": peak_mib(partial(seconds, loss, *given))}
        for name, loss in LOSSES.items()
    }


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--locations", type=int, default=64)
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name, found in compare(options.batch, options.locations, options.units).items():
        print(
            f"{name:<10} {1e3 * statistics.median(found['seconds']):8.1f} ms "
            f"{found['peak_mib']:8.1f} MiB"
        )


if __name__ == "__main__":
    main()
