"""Few labels: features of 10,000 unlabelled samples, judged with 1 to 100 labels a class.

    python benchmarks/few_labels.py [--data fashion cifar10] [--labels 1 5 10] [--uneven]

Features are fitted without labels, once for each seed; as many labels of each class are drawn, or
with ``--uneven`` as many on average. The strength of the logistic regression is chosen by five-fold
cross-validation on the drawn labels alone, for all features alike. Label spreading sees all
unlabelled rows; its number of neighbours is chosen on the rows to choose on, or to report on where
there are none, which is in its favour. "self-training" is the head of ``DeepInfoMaxClassifier``, on
rivals' features and their neighbours as on ours; on "Deep InfoMax, hidden" it is what
``DeepInfoMaxClassifier()`` computes. "default pipeline" has no choice: defaults behind ours, with
the transformer fitted on all rows, or on the labelled alone.

What takes long runs with the first draw of each seed only: untrained networks; the default network
of training by gradients on the labels alone, with cross-entropy and the default view in place of
information; ``SelfTrainingClassifier`` on more than 2,000 rows; ``DeepInfoMaxClassifier`` with
``fine_tune=True``, from 100 labels on. Two sets of signals are as in ``signals.py``,
training and test rows together: half are fitted. Writes ``results/few_labels.json``, ``.txt``, and
a figure in ``docs/_static``.
"""

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from data import DATA, Data, split
from judge import Logistic, cross_validated
from keeping import Kept
from numpy.typing import NDArray
from patch_kmeans import PatchKMeans
from rivals import FINE, UNTRAINED, Found, Watch, encoded, fitted, flat, layer_of, reduced
from signals import read_part
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from threadpoolctl import threadpool_limits
from timing import STATIC

from skdim import DeepInfoMaxClassifier, DeepInfoMaxTransformer
from skdim.displays import LabelEfficiencyDisplay
from skdim.estimators.heads import (
    STRENGTH,
    Unlabelled,
    choose_head,
    feature_statistics,
    fit_head,
    thin_out,
)

mpl.use("Agg")
import matplotlib.pyplot as plt

# What the figure shows: rows of the table, and their names.
DRAWN = {
    "Deep InfoMax, hidden, self-training": "DeepInfoMaxClassifier()",
    "Deep InfoMax, hidden": "Deep InfoMax, hidden",
    "k-means, 3x3 cells, self-training": "patch k-means (2,304), self-training",
    "k-means, self-training": "patch k-means (1,024), self-training",
    "k-means": "patch k-means (1,024)",
    "network on the labels alone": "network on the labels alone",
    "raw": "raw values",
    "label spreading on PCA": "label spreading on PCA",
    "PCA, rotated": "PCA",
}
NEIGHBOURS = (5, 10, 20, 40)
# Least number of labels that fine-tuning is tried with.
TUNED = 100
EPOCHS = 30
# Least number of rows that a representation is fitted on.
FEWEST = 10
SIGNALS = ("ItalyPowerDemand", "JapaneseVowels")
SELF_TRAINED = (
    "PCA",
    "k-means",
    "k-means, 3x3 cells",
    "Deep InfoMax, code",
    "Deep InfoMax, hidden",
)
SPREAD = ("PCA", "k-means, PCA", "Deep InfoMax, code")
# Most rows that ``SelfTrainingClassifier`` is fitted on with all numbers of hidden.
SMALL = 2000


def load(name: str, n_fit: int, seed: int) -> Data:
    """Load images by name, or a set of signals: all its rows, half of them to fit."""
    if name not in SIGNALS:
        return DATA[name](n_fit, seed)
    parts = [read_part(name, part) for part in ("TRAIN", "TEST")]
    X, labels = (np.concatenate(both) for both in zip(*parts, strict=True))
    half = len(X) // 2
    return split(X, np.unique(labels, return_inverse=True)[1], half, half, seed)


def draw_labels(y: NDArray, each: int, seed: int, uneven: bool) -> NDArray:
    """Draw rows to label: so many of each class, or on average."""
    order = np.random.default_rng([seed, each]).permutation(len(y))
    classes = np.unique(y)
    if uneven:
        return order[: each * len(classes)]
    return np.concatenate([order[y[order] == label][:each] for label in classes])


def with_chosen_strength(
    features: NDArray, y: NDArray, report: NDArray, y_report: NDArray
) -> float:
    """Accuracy of a logistic regression whose strength is chosen on its own few labels."""
    if np.unique(y, return_counts=True)[1].max() < 2:
        return Logistic().prepare(features, y).fit(STRENGTH).score(report, y_report)
    strength, _ = cross_validated(features, y, KFold(5, shuffle=True, random_state=0))
    return Logistic().prepare(features, y).fit(strength).score(report, y_report)


def default_head(features: NDArray, y: NDArray, report: NDArray, y_report: NDArray) -> float:
    """Accuracy of scikit-learn's defaults."""
    head = make_pipeline(StandardScaler(), LogisticRegression())
    return float(head.fit(features, y).score(report, y_report))


def ours(data: Data, seed: int, **parameters: object) -> DeepInfoMaxTransformer:
    """Make a transformer with defaults but for the encoder of signals, and other parameters."""
    if data.X.ndim == 3:
        parameters = {"encoder": "kernels", "channel_axis": 1} | parameters
    return DeepInfoMaxTransformer(random_state=seed, **parameters)


def default_pipeline(data: Data, rows: NDArray, y: NDArray, seed: int) -> float:
    """Accuracy of the default pipeline fitted on labelled rows alone."""
    pipe = make_pipeline(
        ours(data, seed).set_params(output="hidden"), StandardScaler(), LogisticRegression()
    )
    return float(pipe.fit(data.X[rows], y).score(data.X_test, data.y_test))


def self_trained(
    found: Found, data: Data, rows: NDArray, y: NDArray, seed: int
) -> tuple[float, bool]:
    """Accuracy of the head of DeepInfoMaxClassifier, and whether it chose self-training."""
    rest = thin_out(np.setdiff1d(np.arange(len(found.fit)), rows))
    x = torch.as_tensor(found.fit[np.concatenate([rows, rest])], dtype=torch.float32)
    mean, scale = feature_statistics(x)
    labelled, others = ((x - mean) / scale).tensor_split([len(rows)])
    codes = torch.as_tensor(found.more.get("codes", found.fit)[np.concatenate([rows, rest])])
    unlabelled = Unlabelled.of(others, codes)
    classes, numbers = np.unique(y, return_inverse=True)
    numbers, n = torch.as_tensor(numbers), len(classes)
    strength, chosen = choose_head(
        labelled, numbers, n, strength=None, self_training=None, unlabelled=unlabelled, seed=seed
    )
    head = fit_head(labelled, numbers, n, strength, unlabelled if chosen else None)
    report = (torch.as_tensor(found.report, dtype=torch.float32) - mean) / scale
    guessed = classes[head.logits(report).argmax(dim=1).numpy()]
    return float((guessed == data.y_test).mean()), chosen


def spread(data: Data, found: Found, rows: NDArray, y: NDArray) -> float:
    """Accuracy of label spreading over all rows that were fitted."""
    labels = np.full(len(found.fit), -1)
    labels[rows] = y
    best = (-1.0, -1.0)
    for neighbours in NEIGHBOURS:
        model = LabelSpreading(kernel="knn", n_neighbors=neighbours, max_iter=50)
        model.fit(found.fit, labels)
        report = float(model.score(found.report, data.y_test))
        chosen = report
        if found.choose is not None:
            chosen = float(model.score(found.choose, data.y_choose))
        best = max(best, (chosen, report))
    return best[1]


def supervised(data: Data, rows: NDArray, y: NDArray, seed: int) -> float:
    """Accuracy of a network that is trained on the labelled rows alone, by cross-entropy."""
    encoder = "patch_network" if data.is_image else "conv1d"
    network = ours(
        data,
        seed,
        encoder=encoder,
        local_weight=0,
        global_weight=0,
        classifier_weight=1,
        classifier_layer="hidden",
        output="hidden",
        max_epochs=EPOCHS,
    )
    head = make_pipeline(network, StandardScaler(), LogisticRegression())
    return float(head.fit(data.X[rows], y).score(data.X_test, data.y_test))


def fine_tuned(
    transformer: DeepInfoMaxTransformer, data: Data, rows: NDArray, y: NDArray, seed: int
) -> float:
    """Accuracy of DeepInfoMaxClassifier that is fine-tuned, from a fitted transformer."""
    labels = np.full(len(data.X), -1)
    labels[rows] = y
    classifier = DeepInfoMaxClassifier.from_transformer(
        transformer, fine_tune=True, random_state=seed
    )
    return float(classifier.fit(data.X, labels).score(data.X_test, data.y_test))


def library_self_trained(found: Found, data: Data, rows: NDArray, y: NDArray) -> float:
    """Accuracy of scikit-learn's self-training, with its default threshold."""
    labels = np.full(len(found.fit), -1)
    labels[rows] = y
    head = make_pipeline(StandardScaler(), LogisticRegression())
    model = SelfTrainingClassifier(head).fit(found.fit, labels)
    return float(model.score(found.report, data.y_test))


def features_of(
    data: Data, seed: int
) -> Iterator[tuple[str, Found, DeepInfoMaxTransformer | None]]:
    """Features by name, ours last and with the transformer."""
    pixels = fitted(lambda X: flat, data)
    yield "raw", pixels, None
    for found in reduced(pixels, (64,), seed, standardise=False):
        yield found.how, found, None
    if data.is_image:
        model = PatchKMeans(1024, seed=seed, **patch_of(data))
        base = fitted(lambda X: model.fit(X).transform, data)
        yield "k-means", base, None
        for found in reduced(base, (64,), seed, standardise=True):
            yield f"k-means, {found.how}", found, None
        if min(data.X.shape[2:]) >= FINE:
            finer = PatchKMeans(2304, seed=seed, cells=3)
            yield "k-means, 3x3 cells", fitted(lambda X: finer.fit(X).transform, data), None
    encoder = "patch_network" if data.is_image else "conv1d"
    with Watch() as watch:
        untrained = ours(data, seed, encoder=encoder, **UNTRAINED).fit(data.X)
    yield "untrained network", encoded(layer_of(untrained, "hidden"), data, watch), None
    with Watch() as watch:
        transformer = ours(data, seed, output="hidden").fit(data.X)
    code, hidden = (
        encoded(layer_of(transformer, layer), data, watch) for layer in ("code", "hidden")
    )
    yield "Deep InfoMax, code", code, transformer
    yield "Deep InfoMax, hidden", replace(hidden, more={"codes": code.fit}), transformer


def patch_of(data: Data) -> dict[str, int]:
    """Return the side of patches for small images; the default is for others."""
    return {"patch": 3} if min(data.X.shape[2:]) < 16 else {}


def accuracies(
    data: Data,
    name: str,
    found: Found,
    transformer: DeepInfoMaxTransformer | None,
    rows: NDArray,
    seed: int,
    slow: bool,
) -> Iterator[tuple[str, float]]:
    """All that is done with one kind of features and one draw of labels."""
    y = data.y[rows]
    features, judged = found.fit[rows], (found.report, data.y_test)
    if name != "untrained network" or slow:
        yield name, with_chosen_strength(features, y, *judged)
    if name in SELF_TRAINED:
        yield f"{name}, self-training", self_trained(found, data, rows, y, seed)[0]
    if name in SPREAD:
        yield f"label spreading on {name}", spread(data, found, rows, y)
    small = len(found.fit) <= SMALL
    if (transformer and small) or (slow and name == "Deep InfoMax, code"):
        layer = name.split(", ")[1]
        yield f"SelfTrainingClassifier on {layer}", library_self_trained(found, data, rows, y)
    if name == "untrained network" and slow:
        yield "network on the labels alone", supervised(data, rows, y, seed)
    if name == "Deep InfoMax, hidden":
        yield "default pipeline, all rows", default_head(features, y, *judged)
        if len(rows) >= FEWEST:
            yield "default pipeline, labelled rows", default_pipeline(data, rows, y, seed)
        if slow and transformer and len(rows) >= TUNED:
            yield "Deep InfoMax, fine-tuned", fine_tuned(transformer, data, rows, y, seed)


def run(kept: Kept, name: str, options: argparse.Namespace) -> None:
    """All features with all draws of one data set and a seed, which is a unit."""
    for seed in range(options.seeds):
        unit = {"data": name, "seed": seed, "method": "all", "n_fit": options.n_fit}
        unit["setting"] = {"labels": options.labels, "draws": options.draws}
        if kept.has(unit):
            continue
        data, rows = load(name, options.n_fit, seed), []
        fewest = np.bincount(data.y).min()
        for method, *found in features_of(data, seed):
            for each in options.labels:
                if each > fewest:
                    continue
                for draw in range(seed, options.draws, options.seeds):
                    drawn = draw_labels(data.y, each, draw, options.uneven)
                    slow = draw == seed
                    for what, accuracy in accuracies(data, method, *found, drawn, seed, slow):
                        about = {
                            "rows": len(data.X),
                            "features": what,
                            "labels": each,
                            "draw": draw,
                        }
                        rows.append(unit | about | {"report": round(accuracy, 4)})
            print(f"    {name} seed {seed} {method}", flush=True)
        kept.add(unit, rows)


def tabulate(rows: list[dict]) -> str:
    """Mean and standard error over draws, a column for each number of labels."""
    lines = []
    for name in dict.fromkeys(row["data"] for row in rows):
        mine = [row for row in rows if row["data"] == name]
        counts = sorted({row["labels"] for row in mine})
        draws = len({row["draw"] for row in mine})
        title = f"{name}, {mine[0]['rows']} unlabelled, {draws} draws; labels a class:"
        lines += ["", title, " " * 40 + "".join(f"{count:>10}" for count in counts)]
        for what in dict.fromkeys(row["features"] for row in mine):
            cells = []
            for count in counts:
                found = [
                    row["report"]
                    for row in mine
                    if (row["features"], row["labels"]) == (what, count)
                ]
                if not found:
                    cells.append("")
                    continue
                error = np.std(found, ddof=min(1, len(found) - 1)) / np.sqrt(len(found))
                cells.append(f"{np.mean(found):.3f}±{error:.3f}".replace("0.", "."))
            lines.append(f"{what:<40}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines).strip()


def draw(rows: list[dict], path: Path) -> None:
    """Draw accuracy against labels, one panel for each data set, and write it to a file."""
    names = list(dict.fromkeys(row["data"] for row in rows))
    figure, axes = plt.subplots(
        1, len(names), figsize=(4.8 * len(names), 4.1), layout="constrained", squeeze=False
    )
    cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    colors = dict(zip(DRAWN.values(), cycle, strict=False))
    handles: dict[str, object] = {}
    for ax, name in zip(axes[0], names, strict=True):
        mine = [row for row in rows if row["data"] == name]
        counts = sorted({row["labels"] for row in mine})
        accuracies = {}
        for what, label in DRAWN.items():
            by_count = [
                [r["report"] for r in mine if (r["features"], r["labels"]) == (what, count)]
                for count in counts
            ]
            # Where a class is small, some seeds have too few rows of it.
            if draws := min(map(len, by_count)):
                accuracies[label] = np.transpose([found[:draws] for found in by_count])
        ax.set_prop_cycle(color=[colors[label] for label in accuracies])
        LabelEfficiencyDisplay(counts, accuracies).plot(ax=ax)
        handles |= dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
        ax.set_title(f"{name}, {mine[0]['rows']:,} unlabelled", fontsize="medium")
        ax.set_xlabel("labels a class")
        ax.get_legend().remove()
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize="small"
    )
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Run the benchmark and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    images = [name for name in DATA if name not in ("cancer", "covertype-like", "cifar10-all")]
    choices = [*images, *SIGNALS]
    parser.add_argument("--data", nargs="+", default=["fashion", "cifar10"], choices=choices)
    parser.add_argument("--labels", nargs="+", type=int, default=[1, 5, 10, 25, 100])
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3, help="the draws are shared out among them")
    parser.add_argument("--n-fit", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="few_labels")
    parser.add_argument("--uneven", action="store_true", help="draw labels regardless of classes")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    # Of rows that no label spreads to.
    warnings.filterwarnings("ignore", "invalid value encountered in divide")
    kept = Kept(options.name, resume=options.resume)
    with threadpool_limits(options.threads):
        for name in options.data:
            try:
                run(kept, name, options)
            except FileNotFoundError as error:
                print(f"{name}: left out, {error}", flush=True)
                continue
            print(tabulate(kept.rows), flush=True)
            kept.text(tabulate(kept.rows))
            draw(kept.rows, STATIC / f"{options.name}.png")


if __name__ == "__main__":
    main()
