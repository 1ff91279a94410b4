"""How long our defaults take to the accuracy that the tutorial's loop has after one epoch.

Needs CIFAR-10 (see ``data.py``) and about a quarter of an hour: ``make bench-tutorial``.
"""

import argparse
import time
import warnings

import numpy as np
import torch
from data import Data, cifar10
from judge import probe
from sklearn.exceptions import ConvergenceWarning
from timing import Row, report
from tutorial_loop import Encoder, TutorialLoop

from skdim import DeepInfoMaxTransformer

EPOCHS = (1, 2, 4, 8)


def codes_of(encoder: Encoder, images: np.ndarray) -> np.ndarray:
    """Encode as the tutorial does: pixels in [0, 1]."""
    with torch.no_grad():
        chunks = torch.from_numpy(images).split(64)
        return torch.cat([encoder(chunk.float() / 255)[0] for chunk in chunks]).numpy()


def tutorial(data: Data, seed: int) -> tuple[float, float]:
    """Seconds of one epoch of the tutorial's loop, and the accuracy of its codes."""
    loop = TutorialLoop(data.X, seed=seed)
    start = time.perf_counter()
    encoder = loop.epoch()
    seconds = time.perf_counter() - start
    return seconds, probe(data, codes_of(encoder, data.X), codes_of(encoder, data.X_test))


def ours(data: Data, seed: int, epochs: int) -> tuple[float, float]:
    """Seconds of a ``fit`` with defaults but for the epochs, and the accuracy of its codes."""
    model = DeepInfoMaxTransformer(max_epochs=epochs, random_state=seed)
    start = time.perf_counter()
    model.fit(data.X)
    seconds = time.perf_counter() - start
    return seconds, probe(data, model.transform(data.X), model.transform(data.X_test))


def main() -> None:
    """Train both, and compare the times to the same accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = cifar10(options.images, options.seed)
    fits = []
    for epochs in EPOCHS:
        seconds, accuracy = ours(data, options.seed, epochs)
        fits.append({"epochs": epochs, "seconds": seconds, "accuracy": accuracy})
        print(f"skdim, {epochs} epoch(s): {accuracy:.3f} after {seconds:.1f} s", flush=True)
    seconds, accuracy = tutorial(data, options.seed)
    print(f"tutorial, 1 epoch: {accuracy:.3f} after {seconds:.1f} s")
    there = [fit["seconds"] for fit in fits if fit["accuracy"] >= accuracy]
    value = seconds / there[0] if there else 0.0
    details = {"tutorial": {"seconds": seconds, "accuracy": accuracy}, "skdim": fits}
    report("tutorial_time", [Row("time to the tutorial's accuracy", value, 50)], details)


if __name__ == "__main__":
    main()
