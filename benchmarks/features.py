"""Is it worth it? The features of Deep InfoMax against the plain alternatives, with the seconds.

    python benchmarks/features.py [small|full] [--data digits fashion ...] [--seeds 3]

Every method is fitted on the same samples without labels; the same logistic regression then judges
all features (standardised; its C is chosen on a fifth of the samples to fit, and it is fitted on
all of them). Prints one table a data set, and writes them all to
``benchmarks/results/features-SIZE.json`` and ``.txt``.
"""

import argparse
import json
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import sklearn
import torch
from data import DATA, Data
from numpy.typing import NDArray
from patch_kmeans import PatchKMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skdim
from skdim import DeepInfoMaxTransformer

SIZES = {"small": (2000, 1), "full": (10_000, 3)}  # samples to fit, seeds
STRENGTHS = (0.001, 0.01, 0.1, 1.0)
# A rate of next to nothing leaves the weights as drawn; one epoch sets the running statistics.
UNTRAINED = {"learning_rate": 1e-12, "max_epochs": 1, "view": None}

Features = Iterator[tuple[str, NDArray, NDArray, float]]


def probe(data: Data, features: NDArray, features_test: NDArray) -> float:
    """Judge features by a linear classifier; accuracy on the test samples."""
    cut = len(features) * 4 // 5
    scores = {}
    for strength in STRENGTHS:
        judge = classifier(strength).fit(features[:cut], data.y[:cut])
        scores[strength] = judge.score(features[cut:], data.y[cut:])
    best = max(scores, key=scores.__getitem__)
    return classifier(best).fit(features, data.y).score(features_test, data.y_test)


def classifier(strength: float) -> LogisticRegression:
    """Logistic regression on standardised features."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=100))


def flat(X: NDArray) -> NDArray[np.float32]:
    """Images as rows of numbers."""
    return X.reshape(len(X), -1).astype(np.float32)


def raw(data: Data, seed: int) -> Features:
    """Take the numbers as they are."""
    yield f"raw ({flat(data.X).shape[1]})", flat(data.X), flat(data.X_test), 0.0


def pca(data: Data, seed: int) -> Features:
    """Take the linear counterpart."""
    X, X_test = flat(data.X), flat(data.X_test)
    for size in (16, 64):
        if size <= X.shape[1]:
            start = time.perf_counter()
            model = PCA(size, random_state=seed).fit(X)
            features = model.transform(X)
            yield f"PCA ({size})", features, model.transform(X_test), time.perf_counter() - start


def patch_kmeans(data: Data, seed: int) -> Features:
    """Take a single layer of clustered patches."""
    if not data.is_image:
        return
    for size in (64, 1024):
        start = time.perf_counter()
        model = PatchKMeans(size, seed=seed).fit(data.X)
        features = model.transform(data.X)
        seconds = time.perf_counter() - start
        yield f"patch k-means ({size})", features, model.transform(data.X_test), seconds


def layers(
    label: str, data: Data, seed: int, names: tuple[str, ...], size: int, **settings: object
) -> Features:
    """Layers of one fitted transformer; seconds of fitting and of encoding the same samples."""
    start = time.perf_counter()
    model = DeepInfoMaxTransformer(size, random_state=seed, **settings).fit(data.X)
    codes = model.transform(data.X)
    seconds = time.perf_counter() - start
    for name in names:
        features = codes if name == "code" else flat(model.encode(data.X, name).numpy())
        features_test = flat(model.encode(data.X_test, name).numpy())
        yield f"{label}, {name} ({features.shape[1]})", features, features_test, seconds


def infomax(data: Data, seed: int) -> Features:
    """Deep InfoMax with its defaults, beside the same encoder untrained."""
    for size in (16, 64):
        names = ("code", "hidden", "conv") if size == 64 else ("code",)
        yield from layers("untrained", data, seed, names, size, **UNTRAINED)
        yield from layers("Deep InfoMax", data, seed, names, size)


def variants(data: Data, seed: int) -> Features:
    """Stop early, do without a view, and take the encoder of the paper for about as long."""
    if not data.is_image:
        return
    names = ("code", "hidden")
    yield from layers("two epochs", data, seed, names, 64, max_epochs=2, learning_rate=2e-3)
    yield from layers("without a view", data, seed, names, 64, view=None)
    if min(data.X.shape[2:]) >= 28:
        yield from layers("dcgan, one epoch", data, seed, names, 64, encoder="dcgan", max_epochs=1)


METHODS: list[Callable[[Data, int], Features]] = [raw, pca, patch_kmeans, infomax, variants]


def run(name: str, n_fit: int, seeds: int) -> list[dict]:
    """All methods on one data set; prints as it goes."""
    table: dict[str, dict] = {}
    for seed in range(seeds):
        data = DATA[name](n_fit, seed)
        for method in METHODS:
            for label, features, features_test, seconds in method(data, seed):
                accuracy = probe(data, features, features_test)
                row = table.setdefault(label, {"accuracy": [], "seconds": []})
                row["accuracy"].append(round(accuracy, 4))
                row["seconds"].append(round(seconds, 2))
                print(f"    seed {seed}  {label:<32} {accuracy:.3f}  {seconds:6.1f} s", flush=True)
    sizes = {"data": name, "n_fit": len(data.X), "n_test": len(data.X_test)}
    return [sizes | {"features": label} | row for label, row in table.items()]


def tabulate(rows: list[dict]) -> str:
    """Lay the rows of one data set out as a table: mean and spread over seeds."""
    first = rows[0]
    lines = [
        f"{first['data']}: {first['n_fit']} to fit, {first['n_test']} to test, "
        f"{len(first['accuracy'])} seed(s)",
        f"{'features':<32}{'accuracy':>9}{'spread':>8}{'seconds':>9}",
    ]
    for row in rows:
        mean, spread = np.mean(row["accuracy"]), np.std(row["accuracy"])
        seconds = np.median(row["seconds"])
        lines.append(f"{row['features']:<32}{mean:>9.3f}{spread:>8.3f}{seconds:>9.1f}")
    return "\n".join(lines)


def write(about: dict, tables: list[list[dict]], size: str) -> None:
    """Write all rows as JSON, and the tables as the documentation shows them."""
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    everything = {"about": about, "results": [row for rows in tables for row in rows]}
    (folder / f"features-{size}.json").write_text(json.dumps(everything, indent=1) + "\n")
    text = "\n\n".join(tabulate(rows) for rows in tables)
    (folder / f"features-{size}.txt").write_text(text + "\n")


def main() -> None:
    """Run the benchmark and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("size", nargs="?", default="small", choices=SIZES)
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    # The probe's optimum is flat: a hundred steps judge as well as a thousand.
    warnings.simplefilter("ignore", ConvergenceWarning)
    n_fit, seeds = SIZES[options.size]
    about = {
        "script": f"benchmarks/features.py {options.size}",
        "skdim": skdim.__version__,
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "machine": f"{platform.machine()}, {options.threads} threads",
    }
    tables = []
    for name in options.data:
        try:
            tables.append(run(name, n_fit, options.seeds or seeds))
        except FileNotFoundError as error:
            print(f"{name}: left out, {error}\n", flush=True)
            continue
        print(f"\n{tabulate(tables[-1])}\n", flush=True)
        write(about, tables, options.size)


if __name__ == "__main__":
    main()
