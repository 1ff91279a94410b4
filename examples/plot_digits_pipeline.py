"""
Digits: from pixels to a pipeline
=================================

Deep InfoMax computes a code of unlabelled images, and a linear classifier uses that code. On the
1,797 digits of scikit-learn, this example searches over the weights of the terms and the penalty of
the classifier, and compares with raw pixels, PCA and an untrained network.

Run as ``python plot_digits_pipeline.py FOLDER`` to save the figures to a folder.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# A transformer in a pipeline
# ---------------------------
# The transformer ignores the labels; the classifier after it uses them.

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skdim import DeepInfoMaxTransformer

started = time.perf_counter()


def progress(text: str) -> None:
    """Print a text with the seconds since the start."""
    print(f"[{time.perf_counter() - started:4.0f} s] {text}", flush=True)


digits = load_digits()
images, labels = digits.images.astype(np.float32), digits.target
progress(f"{len(images)} digits of {images.shape[1]}x{images.shape[2]} pixels")

pipe = Pipeline(
    [
        ("dim", DeepInfoMaxTransformer(16, random_state=0)),
        ("scale", StandardScaler()),
        ("clf", LogisticRegression(max_iter=1000)),
    ]
)

# %%
# Which terms? A grid search
# --------------------------
# The weights of the terms are parameters: beta (local) and alpha (global) of the paper. The local
# term compares a code with each cell of another look (random view) at the image, the global term
# with the whole look. The penalty of the classifier is searched as well.

WEIGHTS = [
    {
        "dim__local_weight": [local],
        "dim__global_weight": [overall],
        "clf__C": [0.1, 1.0, 10.0],
    }
    for local, overall in ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0))
]
to_fit = train_test_split(np.arange(len(images)), train_size=1200, stratify=labels, random_state=0)
progress("grid search over the weights of the terms and C: 9 settings, 2 folds ...")
with TemporaryDirectory() as memory:  # Computes each code once for all three C.
    pipe.set_params(memory=memory)
    search = GridSearchCV(pipe, WEIGHTS, cv=2, refit=False)
    search.fit(images[to_fit[0]], labels[to_fit[0]])
    pipe.set_params(memory=None)
for setting, accuracy in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    weights = "  ".join(f"{name.split('__')[1]} {w:4.1f}" for name, w in setting.items())
    print(f"         {weights}   accuracy {accuracy:.3f}")
best = {
    name.removeprefix("dim__"): weight
    for name, weight in search.best_params_.items()
    if name.startswith("dim__")
}

# %%
# Is it worth it? A table
# -----------------------
# The same two linear classifiers evaluate each row on the same splits, one split per seed. With a
# learning rate near zero a network stays as initialised.


def features_of(seed: int, train: np.ndarray) -> dict[str, np.ndarray]:
    """Fit all methods on the images of ``train``, and return their features of all images."""
    flat = images.reshape(len(images), -1)
    untrained = DeepInfoMaxTransformer(
        16, max_epochs=1, learning_rate=1e-12, view=None, random_state=seed
    ).fit(images[train])
    dim = DeepInfoMaxTransformer(16, random_state=seed, **best).fit(images[train])
    fitted[seed] = dim
    return {
        "raw pixels": flat,
        "PCA": PCA(16, random_state=seed).fit(flat[train]).transform(flat),
        "untrained network, code": untrained.transform(images),
        "untrained network, hidden": untrained.encode(images, "hidden").numpy(),
        "Deep InfoMax, code": dim.transform(images),
        "Deep InfoMax, hidden": dim.encode(images, "hidden").numpy(),
    }


PROBES = {
    "logistic regression": LogisticRegression(max_iter=1000),
    "linear SVM": SVC(kernel="linear", C=0.01),
}
fitted: dict[int, DeepInfoMaxTransformer] = {}
sizes: dict[str, int] = {}
table: dict[str, dict[str, list[float]]] = {}
for seed in range(3):
    progress(f"split {seed + 1} of 3: fitting the encoders and their probes ...")
    train, test = train_test_split(
        np.arange(len(images)), train_size=1200, stratify=labels, random_state=seed
    )
    for name, features in features_of(seed, train).items():
        sizes[name] = features.shape[1]
        for probe, classifier in PROBES.items():
            judge = make_pipeline(StandardScaler(), classifier).fit(features[train], labels[train])
            accuracy = judge.score(features[test], labels[test])
            table.setdefault(name, {}).setdefault(probe, []).append(accuracy)

progress("accuracy on 597 other digits, mean and spread over 3 splits:")
print(f"\n{'features':<27}{'numbers':>7}" + "".join(f"{probe:>23}" for probe in PROBES))
for name, row in table.items():
    cells = "".join(f"{np.mean(a):>15.3f} ± {np.std(a):.3f}" for a in row.values())
    print(f"{name:<27}{sizes[name]:>7}{cells}")
print()

# %%
# How many components?
# --------------------
# Each direction of the code has a correlation between two looks at an image. Its ratio of signal to
# noise is the square of its scale. One fit computes all directions, so the number of components can
# be chosen afterwards.

model = fitted[2]
correlations = model.canonical_correlations_
curve, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
ax.plot(np.arange(1, len(correlations) + 1), correlations)
ax.axvline(16, color="0.6", linestyle="--", label="n_components=16")
ax.set(
    xscale="log",
    ylim=(0, 1),
    xlabel="direction",
    ylabel="correlation between looks",
    title=f"{-model.loss_curve_[0]:.0f} nats fitted, {model.score(images[test]):.0f} on new images",
)
ax.legend(frameon=False)

# %%
# Nearest neighbours
# ------------------
# The test image on the left, and its six nearest neighbours among the fitted images.

codes = model.transform(images)
scale = StandardScaler().fit(codes[train])
neighbours = NearestNeighbors(n_neighbors=6).fit(scale.transform(codes[train]))
first_of_each = [test[labels[test] == digit][0] for digit in range(10)]
_, nearest = neighbours.kneighbors(scale.transform(codes[first_of_each]))
gallery, grid = plt.subplots(10, 7, figsize=(5, 7.2), layout="constrained")
for row, query, found in zip(grid, first_of_each, nearest, strict=True):
    for cell, shown in zip(row, [query, *train[found]], strict=True):
        alike = labels[shown] == labels[query]
        cell.imshow(images[shown], cmap="gray_r" if alike else "Reds")
        cell.set(xticks=[], yticks=[])
    for side in row[0].spines.values():
        side.set(linewidth=2.5)
grid[0, 0].set_title("test", fontsize=10)
grid[0, 3].set_title("nearest in code space (red: another digit)", fontsize=10)

# %%
# Save the figures to the folder of the command line.

if __name__ == "__main__" and len(sys.argv) == 2 and Path(sys.argv[1]).is_dir():
    for name, figure in {"correlations": curve, "neighbours": gallery}.items():
        path = Path(sys.argv[1]) / f"digits_{name}.png"
        figure.savefig(path, dpi=120)
        progress(f"saved {path}")
