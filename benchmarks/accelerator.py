"""The paper's recipe on an accelerator: images a second, the time of its 1,000 epochs, a probe.

    python benchmarks/accelerator.py [--device cuda] [--minutes 5]

Batch 64 of 32x32 images, the paper's encoder and encode-and-dot critic with 2,048 and with 256
units, InfoNCE, prior matching with weight 0.1; eager, compiled, and compiled into CUDA graphs. With
CIFAR-10 (see ``data.py``) also the accuracy after as many epochs as fit into the minutes.
"""

import argparse
import math
import statistics
from functools import partial

import numpy as np
from data import cifar10
from judge import probe
from timing import about, report

from skdim import DeepInfoMaxTransformer
from skdim.critics import DotCritic

PAPER = {
    "encoder": "dcgan",
    "prior_weight": 0.1,
    "view": None,
    "batch_size": 64,
    "learning_rate": 1e-4,
    "schedule": "constant",
    "random_state": 0,
}
MODES = {"eager": False, "compiled": "default", "graphs": "reduce-overhead"}
CIFAR10_IMAGES, EPOCHS = 50_000, 1000


def recipe(units: int, **settings: object) -> DeepInfoMaxTransformer:
    """Make the paper's recipe with a critic of some width."""
    return DeepInfoMaxTransformer(
        **PAPER, critic=partial(DotCritic, units=units, network=True), **settings
    )


def images_a_second(model: DeepInfoMaxTransformer, images: np.ndarray, epochs: int) -> float:
    """Train for some epochs; the first is not counted, since it compiles."""
    model.set_params(max_epochs=1 + epochs).fit(images)
    return len(images) / statistics.median(model.history_["seconds"][1:])


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
    options = parser.parse_args()
    images = np.random.default_rng(0).integers(0, 256, (options.images, 3, 32, 32), np.uint8)
    speeds = {}
    for units in (2048, 256):
        for precision in ("float32", "bfloat16"):
            for mode, compiling in MODES.items():
                settings = {"precision": precision, "compile": compiling, "device": options.device}
                speed = images_a_second(recipe(units, **settings), images, options.epochs)
                name = f"{units} units, {precision}, {mode}"
                hours = CIFAR10_IMAGES * EPOCHS / speed / 3600
                speeds[name] = {"images_a_second": speed, "hours_of_1000_epochs": hours}
                print(f"{name:<34}{speed:>9.0f} images/s, 1,000 epochs: {hours:.2f} h", flush=True)
    small = {name: s["images_a_second"] for name, s in speeds.items() if name.startswith("256")}
    name = max(small, key=small.__getitem__)
    _, precision, mode = name.split(", ")
    settings = {"precision": precision, "compile": MODES[mode], "device": options.device}
    try:
        speed = speeds[name]["images_a_second"]
        trained = accuracy(options.minutes, speed, options.fit, **settings)
        print(f"{name}: {trained}")
    except FileNotFoundError as error:
        print(f"no probe: {error}")
        trained = {}
    device = about()["device"].lower().replace(" ", "-")
    report(f"accelerator-{device}", [], {"speeds": speeds, "trained": trained})


if __name__ == "__main__":
    main()
