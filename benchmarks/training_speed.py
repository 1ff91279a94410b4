"""Training steps: against the plainest loop, in bfloat16, and against what the machine can do.

The work is the same on both sides: the paper's encoder, the dot critic with 256 units and its
networks, InfoNCE over all pairs of 64 images of 32x32, fused Adam.
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from gemm_peak import peak
from reference_loop import BATCH, ReferenceLoop
from timing import Row, in_turns, ratio, report
from torch.utils.flop_counter import FlopCounterMode

from skdim import DeepInfoMaxTransformer
from skdim.critics import DotCritic

UNITS = 256


def transformer(**settings: object) -> DeepInfoMaxTransformer:
    """Make the transformer that does what the reference loop does."""
    return DeepInfoMaxTransformer(
        encoder="dcgan",
        critic=partial(DotCritic, units=UNITS, network=True),
        view=None,
        batch_size=BATCH,
        learning_rate=1e-4,
        random_state=0,
        **settings,
    )


def epochs_of(model: DeepInfoMaxTransformer, images: np.ndarray) -> Callable[[], float]:
    """Give a run of one more epoch, by the net's own clock."""

    def run() -> float:
        model.partial_fit(images)
        return model.history_["seconds"][-1]

    return run


def operations(loop: ReferenceLoop) -> int:
    """Count the floating-point operations of matrix products and convolutions in a step."""
    with FlopCounterMode(display=False) as counter:
        loop.loss(loop.images[:BATCH].float()).backward()
    return counter.get_total_flops()


def main() -> None:
    """Take the measurements in turns, and write them down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1920)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="time compiled steps, too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    images = torch.randint(256, (options.images, 3, 32, 32), dtype=torch.uint8)
    loop = ReferenceLoop(images, UNITS)
    models = {"float32": {}, "bfloat16": {"precision": "bfloat16"}}
    if options.compile:
        models |= {f"{name}, compiled": s | {"compile": True} for name, s in models.items()}
    runs = {"reference": loop.epoch} | {
        name: epochs_of(transformer(**settings), images.numpy())
        for name, settings in models.items()
    }
    runs |= {f"peak {name}": partial(peak, dtype, 5) for name, dtype in PEAKS.items()}
    taken = in_turns(runs, options.repeats)
    step = operations(loop)
    rates = {
        name: step * options.images / BATCH / statistics.median(taken[name]) for name in models
    }
    peaks = {name: statistics.median(taken[f"peak {name}"]) for name in PEAKS}
    shares = {name: rates[name] / peaks[name] for name in PEAKS}
    rows = [
        Row("fit against the plain loop, float32", ratio(taken, "reference", "float32"), 0.97),
        Row("bfloat16 against the plain float32 loop", ratio(taken, "reference", "bfloat16"), 1.8),
        Row("model FLOP/s over measured peak, float32", shares["float32"], 0.85),
        Row("model FLOP/s over measured peak, bfloat16", shares["bfloat16"], 0.5),
    ]
    details = {
        "images": options.images,
        "operations_a_step": step,
        "operations_a_second": rates,
        "peak_operations_a_second": peaks,
        "images_a_second": {
            name: options.images / statistics.median(taken[name]) for name in ("reference", *models)
        },
        "taken": taken,
    }
    for name, speed in details["images_a_second"].items():
        print(f"{name}: {speed:.0f} images a second")
    report("training_speed", rows, details)


PEAKS = {"float32": torch.float32, "bfloat16": torch.bfloat16}

if __name__ == "__main__":
    main()
