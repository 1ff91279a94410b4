"""What the tables share: options, fitting, one line a method, and what is written down."""

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from images import Images, read_images
from methods import METHODS

import skdim

RESULTS = Path(__file__).parent / "results"

# Figures of the paper by column; None where it has none.
Figures = dict[str, dict[str, float | None]]


def read_options(table: str, encoder: str = "dcgan") -> argparse.Namespace:
    """Read the options that all tables have."""
    parser = argparse.ArgumentParser(description=table)
    parser.add_argument("--data", help="where the images are; see images.py")
    parser.add_argument("--images", type=int, default=5000, help="to fit on; 0 takes all")
    parser.add_argument("--epochs", type=int, default=10, help="the paper made 1,000")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--encoder", default=encoder)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--methods", nargs="+", help="some of the lines; by default all")
    options = parser.parse_args()
    options.images = options.images or None
    torch.set_num_threads(options.threads)
    return options


def fit(name: str, images: Images, options: argparse.Namespace, seed: int) -> tuple[Any, float]:
    """Train a method; give it with the seconds that it took."""
    model = METHODS[name](
        64,
        encoder=options.encoder,
        max_epochs=options.epochs,
        precision=options.precision,
        device=options.device,
        random_state=seed,
    )
    start = time.perf_counter()
    model.fit(images.X, images.y)
    return model, time.perf_counter() - start


def run(
    table: str,
    paper: Figures,
    judge: Callable[[Any, Images, int], dict[str, float]],
    options: argparse.Namespace,
    read: Callable[[str, int | None, int], Images] = read_images,
) -> None:
    """Fit and judge every method, print each line as it comes, and write all down.

    Parameters
    ----------
    table : str
        Name of the results' files.
    paper : dict
        Its figures: method, column, figure.
    judge : callable
        ``(fitted transformer, images, seed) -> {column: figure}``.
    options : Namespace
    read : callable
        ``(data, number of images, seed) -> images``.
    """
    runs: list[dict] = []
    for seed in range(options.seeds):
        images = read(options.data, options.images, seed)
        for name in options.methods or paper:
            model, seconds = fit(name, images, options, seed)
            start = time.perf_counter()
            found = {column: round(float(x), 4) for column, x in judge(model, images, seed).items()}
            judged = time.perf_counter() - start
            runs.append({"method": name, "seed": seed, "seconds": round(seconds, 1), **found})
            print(f"{runs[-1]}  (judged in {judged:.0f} s)", flush=True)
            about = describe(images, options)
            RESULTS.mkdir(exist_ok=True)
            text = lay_out(paper, runs, about)
            (RESULTS / f"{table}.txt").write_text(text)
            everything = {"about": about, "runs": runs}
            (RESULTS / f"{table}.json").write_text(json.dumps(everything, indent=1) + "\n")
    print(f"\n{text}")


def describe(images: Images, options: argparse.Namespace) -> dict[str, Any]:
    """Say what was run, and on what."""
    on_cuda = options.device.startswith("cuda") or (
        options.device == "auto" and torch.cuda.is_available()
    )
    return {
        "data": images.name,
        "images": len(images.X),
        "test images": len(images.X_test),
        "epochs": options.epochs,
        "encoder": options.encoder,
        "precision": options.precision,
        "seeds": options.seeds,
        "device": torch.cuda.get_device_name() if on_cuda else f"cpu, {options.threads} threads",
        "machine": platform.machine(),
        "skdim": skdim.__version__,
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
    }


def lay_out(paper: Figures, runs: Sequence[dict], about: dict[str, Any]) -> str:
    """Lay out all lines, the paper's figure beside each of ours."""
    columns = list(next(iter(paper.values())))
    lines = [
        f"{about['data']}: {about['images']} images to fit, {about['test images']} to test, "
        f"{about['epochs']} epochs, encoder {about['encoder']!r}, {about['device']}",
        f"{'here | paper':<24}"
        + "".join(f"{column:>20}" for column in columns)
        + f"{'seconds':>9}",
    ]
    for name, figures in paper.items():
        of_method = [run for run in runs if run["method"] == name]
        if not of_method:
            continue
        line = f"{name:<24}"
        for column in columns:
            here = np.mean([run[column] for run in of_method])
            there = figures.get(column)
            line += f"{here:>11.3f} |{'-' if there is None else f'{there:g}':>7}"
        lines.append(f"{line}{np.mean([run['seconds'] for run in of_method]):>9.0f}")
    return "\n".join(lines) + "\n"
