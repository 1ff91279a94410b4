"""The paper's recipe and the default on an accelerator: images a second, 1,000 epochs, a probe.

    python benchmarks/accelerator.py [--device cuda] [--minutes 5]

Batch 64 of 32x32 images, the paper's encoder and encode-and-dot critic with 2,048 and with 256
units, InfoNCE, with prior matching of weight 0.1 and without; eager in float32 and bfloat16, and
compiled into CUDA graphs. On CUDA, each recipe takes an epoch in which waiting for the device in a
step is an error. Then the closed form, and with CIFAR-10 (see ``data.py``) the accuracy after as
many epochs as fit into the minutes. It takes less than ten minutes in all.
"""

import argparse
import math
import statistics
import time
from functools import partial

import numpy as np
import torch
from data import cifar10
from judge import probe
from skorch.callbacks import Callback
from timing import about, report

from skdim import DeepInfoMaxTransformer
from skdim.critics import DotCritic

PAPER = {
    "encoder": "dcgan",
    "view": None,
    "batch_size": 64,
    "learning_rate": 1e-4,
    "schedule": "constant",
    "random_state": 0,
}
# Precision and compile.
MODES = {
    "eager, float32": ("float32", False),
    "eager, bfloat16": ("bfloat16", False),
    "graphs, bfloat16": ("bfloat16", "reduce-overhead"),
}
PRIORS = {"prior": 0.1, "no prior": 0.0}
CIFAR10_IMAGES, EPOCHS = 50_000, 1000


class NoWaits(Callback):
    """Make waiting for CUDA in a training step an error."""

    def on_batch_begin(self, *args: object, training: bool = False, **kwargs: object) -> None:
        """Forbid waits."""
        torch.cuda.set_sync_debug_mode("error" if training else "default")

    def on_batch_end(self, *args: object, **kwargs: object) -> None:
        """Allow them again."""
        torch.cuda.set_sync_debug_mode("default")


def recipe(units: int, **settings: object) -> DeepInfoMaxTransformer:
    """Make the paper's recipe with a critic of some width."""
    return DeepInfoMaxTransformer(
        **PAPER, critic=partial(DotCritic, units=units, network=True), **settings
    )


def images_a_second(model: DeepInfoMaxTransformer, images: np.ndarray, epochs: int) -> float:
    """Train for some epochs; the first is not counted, since it compiles."""
    model.set_params(max_epochs=1 + epochs).fit(images)
    return len(images) / statistics.median(model.history_["seconds"][1:])


def check_no_waits(model: DeepInfoMaxTransformer, images: np.ndarray) -> None:
    """Train for an epoch in which waiting in a step is an error."""
    try:
        model.set_params(max_epochs=1, callbacks=[NoWaits()]).fit(images)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def closed_form(device: str, images: np.ndarray) -> dict:
    """Seconds of the default's fit and transform, the second time."""
    seconds = []
    for _ in range(2):
        model = DeepInfoMaxTransformer(device=device, random_state=0)
        start = time.perf_counter()
        model.fit(images)
        fitted = time.perf_counter()
        model.transform(images)
        seconds.append((fitted - start, time.perf_counter() - fitted))
    return {"images": len(images), "fit_s": seconds[1][0], "transform_s": seconds[1][1]}


def accuracy(minutes: float, speed: float, n_fit: int, **settings: object) -> dict:
    """Train on CIFAR-10 as long as asked; accuracy of the probe on the codes."""
    data = cifar10(n_fit, seed=0)
    epochs = max(1, math.floor(60 * minutes * speed / n_fit))
    model = recipe(256, **settings).set_params(max_epochs=epochs, schedule="one_cycle").fit(data.X)
    layers = {
        layer: [model.encode(X, layer).flatten(1).cpu().numpy() for X in (data.X, data.X_test)]
        for layer in ("code", "hidden", "conv")
    }
    found = {layer: probe(data, *both) for layer, both in layers.items()}
    seconds = sum(model.history_["seconds"])
    return {"images": n_fit, "epochs": epochs, "seconds": seconds, "accuracy": found}


def main() -> None:
    """Measure every mode, then train with the fastest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=12_800)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--fit", type=int, default=45_000, help="images of CIFAR-10 to fit")
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=MODES)
    options = parser.parse_args()
    images = np.random.default_rng(0).integers(0, 256, (options.images, 3, 32, 32), np.uint8)
    speeds, chosen = {}, {}
    for units in (2048, 256):
        for prior, weight in PRIORS.items():
            for mode in options.modes:
                precision, compiling = MODES[mode]
                settings = {
                    "prior_weight": weight,
                    "precision": precision,
                    "compile": compiling,
                    "device": options.device,
                }
                name = f"{units} units, {prior}, {mode}"
                if torch.device(options.device).type == "cuda" and not compiling:
                    check_no_waits(recipe(units, **settings), images[:640])
                speed = images_a_second(recipe(units, **settings), images, options.epochs)
                hours = CIFAR10_IMAGES * EPOCHS / speed / 3600
                speeds[name] = {"images_a_second": speed, "hours_of_1000_epochs": hours}
                chosen[name] = settings
                print(f"{name:<40}{speed:>9.0f} images/s, 1,000 epochs: {hours:.2f} h", flush=True)
    default = closed_form(options.device, images)
    print(f"closed form: {default}", flush=True)
    small = {name: s["images_a_second"] for name, s in speeds.items() if name.startswith("256")}
    name = max(small, key=small.__getitem__)
    try:
        speed = speeds[name]["images_a_second"]
        trained = accuracy(options.minutes, speed, options.fit, **chosen[name])
        print(f"{name}: {trained}")
    except FileNotFoundError as error:
        print(f"no probe: {error}")
        trained = {}
    device = about()["device"].lower().replace(" ", "-")
    found = {"speeds": speeds, "closed_form": default, "trained": trained}
    report(f"accelerator-{device}", [], found)


if __name__ == "__main__":
    main()
