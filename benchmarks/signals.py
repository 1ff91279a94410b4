"""Signals: the default for signals beside a network, principal components and MiniRocket.

    python benchmarks/signals.py [--data GunPoint OSULeaf] [--seeds 3] [--choose] [--resume]

Eight sets of the UCR and UEA archives, split into training and test rows as published. aeon ships
them: ``pip install aeon``, or name the folder ``aeon/datasets/data`` of its unpacked wheel in
AEON_DATA; MiniRocket needs aeon itself. All sets of equal length that it ships for classification
are used, and for two others its versions of equal length.

Features are fitted on the training rows without labels. All features have one judge, a logistic
regression on standardised features (``judge.py``); its strength, and the number of principal
components, are chosen by five-fold cross-validation on the training rows. "ridge" is scikit-learn's
``RidgeClassifierCV``, as MiniRocket's authors use it. Accuracy is that on the test rows, on which
nothing was chosen. With ``--choose``, views and networks are compared by three folds of the
training rows, and the test rows are not read. Figures are means over sets with standard errors over
seeds; seconds, of the CPU, are those of fitting and of encoding the rows that were fitted.
"""

import argparse
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import numpy as np
import torch
from data import shipped
from judge import Logistic, cross_validated
from keeping import Kept
from numpy.typing import NDArray
from rivals import Watch, flat, layer_of
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skdim import DeepInfoMaxTransformer
from skdim.views import Distort, Identity, Stretch, View

AEON_DATA = os.environ.get("AEON_DATA", "")
# By set, the name of its files.
SETS = {
    "ACSF1": "ACSF1",
    "ArrowHead": "ArrowHead",
    "BasicMotions": "BasicMotions",
    "GunPoint": "GunPoint",
    "ItalyPowerDemand": "ItalyPowerDemand",
    "JapaneseVowels": "JapaneseVowels_eq",
    "OSULeaf": "OSULeaf",
    "PickupGestureWiimoteZ": "PickupGestureWiimoteZ_eq",
}
COMPONENTS = (8, 16, 32, 64)
FOLDS = 3

Encode = Callable[[NDArray], NDArray]
Fit = Callable[[NDArray, int], list[Encode]]


@dataclass(frozen=True)
class Rows:
    """Signals (n, C, L) and labels, to fit and to report."""

    X: NDArray[np.float32]
    y: NDArray[np.str_]
    X_test: NDArray[np.float32]
    y_test: NDArray[np.str_]


@cache
def read_part(name: str, part: str) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Read the signals (n, C, L) and labels of one part of a set, "TRAIN" or "TEST"."""
    path = shipped("AEON_DATA", "aeon", "datasets/data", AEON_DATA)
    lines = (path / name / f"{SETS[name]}_{part}.ts").read_text().splitlines()
    cut = [line.split(":") for line in lines if line and line[0] not in "@#%"]
    signals = [[channel.split(",") for channel in row[:-1]] for row in cut]
    return np.array(signals, np.float32), np.array([row[-1].strip() for row in cut])


def split(name: str, fold: int | None, seed: int) -> Rows:
    """Return training and test rows; or a fold of the training rows in place of test rows."""
    X, y = read_part(name, "TRAIN")
    if fold is None:
        return Rows(X, y, *read_part(name, "TEST"))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(X, y)
    fit, held_out = list(folds)[fold]
    return Rows(X[fit], y[fit], X[held_out], y[held_out])


def ours(**settings: object) -> Fit:
    """Deep InfoMax with some settings, its hidden layer."""

    def fit(X: NDArray, seed: int) -> list[Encode]:
        model = DeepInfoMaxTransformer(channel_axis=1, random_state=seed, **settings)
        return [layer_of(model.fit(X), "hidden")]

    return fit


def raw(X: NDArray, seed: int) -> list[Encode]:
    """Values as they are."""
    return [flat]


def components(X: NDArray, seed: int) -> list[Encode]:
    """Principal components of standardised values, of several numbers."""
    most = min(len(X) - 1, X[0].size)
    numbers = sorted({min(number, most) for number in COMPONENTS})
    models = [make_pipeline(StandardScaler(), PCA(number)).fit(flat(X)) for number in numbers]
    return [lambda X, model=model: model.transform(flat(X)) for model in models]


def mini_rocket(X: NDArray, seed: int) -> list[Encode]:
    """9,996 shares of random kernels, of aeon."""
    from aeon.transformations.collection.convolution_based import MiniRocket  # noqa: PLC0415

    return [MiniRocket(random_state=seed, n_jobs=1).fit(X).transform]


METHODS: Mapping[str, Fit] = {
    "raw values": raw,
    "PCA": components,
    "MiniRocket": mini_rocket,
    "Deep InfoMax, kernels": ours(encoder="kernels"),
    "Deep InfoMax, conv1d": ours(encoder="conv1d"),
}
DETERMINISTIC = ("raw values", "PCA")
STILL = {"crop": 0.0, "shift": 0.0, "scale": 0.0, "mask": 0.0, "jitter": 0.0}
VIEWS: Mapping[str, View] = {
    "none": Identity(),
    "stretch": Stretch(),
    "stretch, strong": Stretch(crop=0.3, shift=0.1, scale=0.2),
    "jitter": Distort(**STILL | {"jitter": 0.2}),
    "mask": Distort(**STILL | {"mask": 0.3}),
    "stretch and jitter": Distort(mask=0.0, jitter=0.1),
    "stretch and mask": Distort(jitter=0.0, mask=0.2),
    "distort": Distort(),
}
CHOICES: Mapping[str, Fit] = {
    **{f"kernels, {name}": ours(encoder="kernels", view=view) for name, view in VIEWS.items()},
    "conv1d, none": ours(encoder="conv1d"),
    "conv1d, stretch": ours(encoder="conv1d", view="stretch"),
    "conv1d, distort": ours(encoder="conv1d", view="distort"),
}


def judged(candidates: list[tuple[NDArray, NDArray]], rows: Rows) -> float:
    """Accuracy of a logistic regression on the best of several features, by cross-validation."""
    least = np.unique(rows.y, return_counts=True)[1].min()
    folds = StratifiedKFold(min(5, int(least)), shuffle=True, random_state=0)
    found = [cross_validated(features, rows.y, folds) for features, _ in candidates]
    best = int(np.argmax([accuracy for _, accuracy in found]))
    features, others = candidates[best]
    judge = Logistic().prepare(features, rows.y).fit(found[best][0])
    return judge.score(others, rows.y_test)


def ridge(features: NDArray, others: NDArray, rows: Rows) -> float:
    """Accuracy of ridge regression on standardised features."""
    head = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10)))
    return float(head.fit(features, rows.y).score(others, rows.y_test))


def accuracies(name: str, fit: Fit, rows: Rows, seed: int) -> Iterator[dict]:
    """Fit features of some rows, and judge them."""
    with Watch() as watch:
        encoders = fit(rows.X, seed)
        fitted = [encode(rows.X) for encode in encoders]
    reported = [encode(rows.X_test) for encode in encoders]
    candidates = list(zip(fitted, reported, strict=True))
    cpu = round(watch.cpu, 3)
    yield {"features": name, "accuracy": round(judged(candidates, rows), 4), "cpu": cpu}
    if name in ("MiniRocket", "Deep InfoMax, kernels"):
        accuracy = round(ridge(*candidates[0], rows), 4)
        yield {"features": f"{name}, ridge", "accuracy": accuracy, "cpu": cpu}


def run(kept: Kept, data: str, options: argparse.Namespace) -> None:
    """All methods on one set; a unit is a method and a seed."""
    methods = {name: METHODS.get(name) or CHOICES[name] for name in options.methods}
    for seed in range(options.seeds):
        for name, fit in methods.items():
            setting = "choose" if options.choose else "report"
            unit = {"data": data, "seed": seed, "method": name, "setting": setting}
            if kept.has(unit) or (name in DETERMINISTIC and seed and not options.choose):
                continue
            found = [
                unit | {"fold": fold} | row
                for fold in (range(FOLDS) if options.choose else [None])
                for row in accuracies(name, fit, split(data, fold, seed), seed)
            ]
            kept.add(unit, found)
            print(f"    {data} seed {seed} {name}: {found[-1]}", flush=True)


def tabulate(rows: list[dict], setting: str) -> str:
    """Accuracy by set and their mean, with standard errors over seeds, and CPU seconds.

    The last column, of choices, is the difference from the first of them where it was run with the
    same seeds, with its standard error over sets and seeds.
    """
    rows = [row for row in rows if row["setting"] == setting]
    sets = list(dict.fromkeys(row["data"] for row in rows))
    titles = [name[:12] for name in [*sets, "mean", "CPU s"]]
    titles += ["less first"] * (setting == "choose")
    lines = [f"{setting:<30}" + "".join(f"{title:>16}" for title in titles)]
    first: NDArray | None = None
    for what in dict.fromkeys(row["features"] for row in rows):
        mine = [row for row in rows if row["features"] == what]
        seeds = sorted({row["seed"] for row in mine})
        # A row a seed, a column a set.
        table, cpu = (
            np.array([[mean_of(mine, key, name, seed) for name in sets] for seed in seeds])
            for key in ("accuracy", "cpu")
        )
        first = table if first is None else first
        cells = [shown(column) for column in table.T] + [shown(table.mean(axis=1))]
        cells.append(f"{cpu.sum(axis=1).mean():.1f}")
        if setting == "choose":
            cells.append(shown((table - first).ravel()) if table.shape == first.shape else "")
        lines.append(f"{what:<30}" + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines)


def shown(values: NDArray) -> str:
    """Mean and standard error, if there are several values."""
    error = f" ± {values.std(ddof=1) / len(values) ** 0.5:.3f}" if len(values) > 1 else " " * 8
    return f"{values.mean():.3f}{error}"


def mean_of(rows: list[dict], what: str, data: str, seed: int) -> float:
    """Mean of some rows over folds."""
    found = [row[what] for row in rows if (row["data"], row["seed"]) == (data, seed)]
    return float(np.mean(found)) if found else float("nan")


def main() -> None:
    """Run the benchmark and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, *CHOICES])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--choose", action="store_true", help="views and networks, by folds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    options.methods = options.methods or list(CHOICES if options.choose else METHODS)
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    try:
        read_part(options.data[0], "TRAIN")
    except FileNotFoundError as error:
        print(f"signals: left out, {error}")
        return
    if "MiniRocket" in options.methods and not (find_spec("aeon") and find_spec("numba")):
        print("MiniRocket: left out, pip install aeon")
        options.methods.remove("MiniRocket")
    name = options.name or ("signals_choose" if options.choose else "signals")
    kept = Kept(name, resume=options.resume)
    some = np.random.default_rng(0).normal(size=(20, 2, 64)).astype(np.float32)
    with threadpool_limits(options.threads):
        for method in options.methods:
            if method in METHODS:  # Compiling and imports are not timed.
                METHODS[method](some, 0)
        for data in options.data:
            run(kept, data, options)
    table = tabulate(kept.rows, "choose" if options.choose else "report")
    print(table, flush=True)
    kept.text(table)


if __name__ == "__main__":
    main()
