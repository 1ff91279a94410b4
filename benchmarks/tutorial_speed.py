"""The PyTorch tutorial's work, by the preset and by the tutorial's own loop, in turns."""

import argparse
import statistics

import numpy as np
import torch
from timing import Row, in_turns, ratio, report
from tutorial_loop import BATCH, TutorialLoop

from skdim import DeepInfoMaxTransformer
from skdim.presets import pytorch_tutorial

LIMITS = {"float32": 1.05, "bfloat16": 2.5}


def main() -> None:
    """Take a few steps of each in turns; each step is seconds long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2, help="steps of each in a turn")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (options.steps * BATCH, 3, 32, 32), np.uint8)
    loop = TutorialLoop(images)
    runs = {"tutorial": lambda: loop.steps(options.steps)}
    for precision in LIMITS:
        model = DeepInfoMaxTransformer(**pytorch_tutorial(), precision=precision, random_state=0)

        def run(model: DeepInfoMaxTransformer = model) -> float:
            return model.partial_fit(images).history_["seconds"][-1] / options.steps

        runs[precision] = run
    taken = in_turns(runs, options.repeats)
    rows = [
        Row(f"the tutorial's work, {precision}", ratio(taken, "tutorial", precision), limit)
        for precision, limit in LIMITS.items()
    ]
    for name, seconds in taken.items():
        print(f"{name}: {statistics.median(seconds):.2f} s a step of {BATCH} images")
    report("tutorial_speed", rows, {"seconds_a_step": taken})


if __name__ == "__main__":
    main()
