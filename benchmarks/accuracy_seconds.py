"""Accuracy against seconds on CIFAR-10: our default on more and more images, and patch k-means.

    CIFAR10=cifar10.npz python benchmarks/accuracy_seconds.py

Features are fitted on 1,000 to 40,000 images without labels; the judge always sees the same 10,000
labels. Seconds are CPU seconds of the fit and of encoding the 10,000 labelled images. The strength
of the judge is chosen on other rows than those that are reported. Writes
``results/accuracy_seconds.json``, and a figure in ``docs/_static``.
"""

import argparse
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import torch
from data import Data, cifar10
from judge import verdict
from keeping import Kept
from patch_kmeans import PatchKMeans
from rivals import OURS, Found, Watch, codes, encoded, layer_of, reduced
from threadpoolctl import threadpool_limits
from timing import STATIC

from skdim import DeepInfoMaxTransformer

mpl.use("Agg")
import matplotlib.pyplot as plt

SHOWN = (64, 256, 1024)
IMAGES = (1000, 2000, 5000, 10_000, 20_000, 40_000)
# Numbers, stride and images of patch k-means: from seconds to minutes. Its centroids come from
# patches, of which 10,000 images have plenty; more centroids is what its seconds buy.
KMEANS = ((256, 2), (256, 1), (1024, 2), (1024, 1), (4096, 2), (4096, 1), (8192, 1), (16_384, 1))


def ours(data: Data, n: int, seed: int) -> list[tuple[str, Found]]:
    """Our default, fitted on n images."""
    with Watch() as watch:
        model = DeepInfoMaxTransformer(256, random_state=seed).fit(data.X[:n])
    labelled = replace(data, X=data.X[: len(data.y)])
    hidden = encoded(layer_of(model, "hidden"), labelled, watch)
    return [(OURS, found) for found in (*codes(model, hidden, SHOWN[:-1]), hidden)]


def rival(data: Data, numbers: int, stride: int, seed: int) -> list[tuple[str, Found]]:
    """Patch k-means, directly and behind PCA."""
    labelled = replace(data, X=data.X[: len(data.y)])
    with Watch() as watch:
        model = PatchKMeans(numbers, stride=stride, seed=seed).fit(labelled.X)
    base = encoded(model.transform, labelled, watch)
    direct = [("patch k-means", base)] if numbers in SHOWN else []
    behind = reduced(base, SHOWN, seed, standardise=True)
    return direct + [("patch k-means, PCA", found) for found in behind]


def keep(kept: Kept, unit: dict, data: Data, found: list[tuple[str, Found]]) -> None:
    """Judge and write down."""
    rows = []
    for curve, each in found:
        reached = verdict(data, each.fit, each.choose, each.report)
        row = {"curve": curve, "size": each.size, "how": each.how, "choose": reached.choose}
        row |= {"report": reached.report, "cpu_seconds": each.watch.cpu}
        rows.append(unit | row | {"clock_seconds": each.watch.clock, "C": reached.strength})
        print(f"{unit['setting']} {curve} {each.how} ({each.size}): {reached.report:.3f}, ", end="")
        print(f"{each.watch.cpu:.1f} s", flush=True)
    kept.add(unit, rows)


def curves(rows: list[dict], size: int) -> dict[str, list[tuple[float, float, float]]]:
    """Points (seconds, accuracy, standard error) of each curve; of both PCAs, the better chosen."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for curve in dict.fromkeys(row["curve"] for row in rows):
        mine = [row for row in rows if (row["curve"], row["size"]) == (curve, size)]
        for setting in {str(row["setting"]) for row in mine}:
            same = [row for row in mine if str(row["setting"]) == setting]
            by_how = [[r for r in same if r["how"] == how] for how in {r["how"] for r in same}]
            best = max(by_how, key=lambda group: np.mean([row["choose"] for row in group]))
            reached = [row["report"] for row in best]
            error = np.std(reached, ddof=min(1, len(best) - 1)) / np.sqrt(len(best))
            seconds = np.mean([row["cpu_seconds"] for row in best])
            found.setdefault(curve, []).append((seconds, np.mean(reached), error))
        found[curve] = sorted(found.get(curve, []))
    return found


def draw(kept: Kept) -> None:
    """Draw a panel for each size."""
    figure, axes = plt.subplots(
        1, len(SHOWN), figsize=(12, 4), sharey=True, layout="constrained", squeeze=False
    )
    looks = {OURS: ("C3", "o"), "patch k-means": ("C0", "s"), "patch k-means, PCA": ("C2", "^")}
    for ax, size in zip(axes[0], SHOWN, strict=True):
        for curve, points in curves(kept.rows, size).items():
            if points:
                seconds, accuracy, error = np.transpose(points)
                colour, marker = looks[curve]
                # Rivals differ in more than their size: they are points, no curves.
                line = "-" if curve == OURS else "none"
                style = {"color": colour, "marker": marker, "linestyle": line, "label": curve}
                ax.errorbar(seconds, accuracy, error, **style)
        ax.set(xscale="log", xlabel="CPU seconds, fit and encode", title=f"{size} numbers")
        ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500) if tick]
        ax.set_xticks(ticks, [str(tick) for tick in ticks])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
    axes[0, 0].set_ylabel("accuracy, CIFAR-10, 10,000 labels")
    handles = {}
    for ax in axes[0]:
        handles |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    axes[0, -1].legend(handles.values(), handles.keys(), loc="lower right")
    figure.savefig(STATIC / f"{kept.path.stem}.png", dpi=110)
    plt.close(figure)


def main() -> None:
    """Measure, write down and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", nargs="+", type=int, default=list(IMAGES))
    parser.add_argument("--labels", type=int, default=10_000)
    parser.add_argument("--most", type=int, default=16_384, help="numbers of k-means, at most")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="accuracy_seconds")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    kept = Kept(options.name, resume=options.resume)
    with threadpool_limits(options.threads):
        for seed in range(options.seeds):
            data = cifar10(40_000, seed)
            data = replace(data, y=data.y[: options.labels])
            runs = [({"images": n}, ours, (n,)) for n in options.images]
            runs += [
                ({"numbers": numbers, "stride": stride}, rival, (numbers, stride))
                for numbers, stride in KMEANS
                if numbers <= options.most
            ]
            for setting, run, arguments in runs:
                unit = {"data": "cifar10", "seed": seed, "method": run.__name__}
                unit |= {"setting": setting, "n_fit": options.labels}
                if not kept.has(unit):
                    keep(kept, unit, data, run(data, *arguments, seed))
                    draw(kept)
    draw(kept)


if __name__ == "__main__":
    main()
