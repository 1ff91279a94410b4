"""
Four objectives, one classifier
===============================

A Keras tutorial trains Deep InfoMax with four weightings of its terms, saves the four encoders, and
compares a classifier with and without each of them. This example does the same on the 1,797 digits
of scikit-learn, with the default encoder, bound and schedule of skdim for gradients.

Run as ``python plot_four_objectives.py FOLDER`` to save the encoders and the figures to a folder.
"""

# %%
# Four weightings
# ---------------
# Only the weights are the tutorial's. Its networks are for images of 28x28 pixels:
# ``DeepInfoMaxTransformer(**keras_tutorial("mixed"))``.

import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdim import DeepInfoMaxTransformer
from skdim.presets import KERAS_WEIGHTS
from skdim.priors import PRIORS

started = time.perf_counter()


def progress(text: str) -> None:
    """Print a text with the seconds since the start."""
    print(f"[{time.perf_counter() - started:4.0f} s] {text}", flush=True)


digits = load_digits()
images, labels = digits.images.astype(np.float32), digits.target
train, test = train_test_split(
    np.arange(len(images)), train_size=1200, stratify=labels, random_state=0
)
few, _ = train_test_split(train, train_size=100, stratify=labels[train], random_state=0)

# At a prior weight of 1, a penalty of the discriminator's gradient stabilises the training.
steady = replace(PRIORS["uniform"], gradient_penalty=0.1)
encoders = {}
for name, (of_global, of_local, of_prior) in KERAS_WEIGHTS.items():
    progress(f"{name}: global {of_global:g}, local {of_local:g}, prior {of_prior:g} ...")
    encoders[name] = DeepInfoMaxTransformer(
        16,
        global_weight=of_global,
        local_weight=of_local,
        prior_weight=of_prior,
        prior=steady,
        max_epochs=8,
        random_state=0,
    ).fit(images[train])

# %%
# Save the encoders
# -----------------
# Each file is named by the weights, as in the tutorial. A loaded encoder gives the same codes.

to_keep = len(sys.argv) == 2 and Path(sys.argv[1]).is_dir()
with TemporaryDirectory() as temporary:
    folder = Path(sys.argv[1] if to_keep else temporary)
    for name, encoder in encoders.items():
        weights = "-".join(f"{weight:g}" for weight in KERAS_WEIGHTS[name])
        path = folder / f"encoder_{weights}.joblib"
        joblib.dump(encoder, path)
        loaded = joblib.load(path)
        assert np.array_equal(loaded.transform(images[:5]), encoder.transform(images[:5]))
        progress(f"saved {path.name}, {path.stat().st_size / 1e6:.1f} MB")

# %%
# With and without an encoder
# ---------------------------
# One classifier for all, fitted on all 1,200 labels or on 100 of them, and scored on 597 other
# digits. The encoders were trained on all 1,200 images without labels. An untrained encoder (its
# learning rate is near zero) and PCA show the effect of the training.

flat = FunctionTransformer(lambda x: x.reshape(len(x), -1))
untrained = DeepInfoMaxTransformer(16, max_epochs=1, learning_rate=1e-12, random_state=0)
fronts = {
    "none: raw pixels": flat,
    "PCA": make_pipeline(flat, PCA(16, random_state=0)).fit(images[train]),
    "untrained": untrained.fit(images[train]),
    **encoders,
}
accuracy: dict[str, list[float]] = {}
for name, front in fronts.items():
    features = front.transform(images)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    accuracy[name] = [
        clone(classifier).fit(features[rows], labels[rows]).score(features[test], labels[test])
        for rows in (train, few)
    ]

progress("accuracy of the classifier on 597 other digits:")
print(
    f"\n{'in front':<20}{'global':>8}{'local':>8}{'prior':>8}{'1200 labels':>14}{'100 labels':>13}"
)
for name, (with_all, with_few) in accuracy.items():
    cells = "".join(f"{w:>8g}" for w in KERAS_WEIGHTS[name]) if name in encoders else " " * 24
    print(f"{name:<20}{cells}{with_all:>14.3f}{with_few:>13.3f}")
print()

# %%
# The two columns as a figure.

bars, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
places = np.arange(len(accuracy))
for shift, column, label in ((0.2, 0, "1,200 labels"), (-0.2, 1, "100 labels")):
    axes.barh(places + shift, [row[column] for row in accuracy.values()], 0.38, label=label)
axes.set(
    yticks=places, yticklabels=list(accuracy), xlim=(0.5, 1), xlabel="Accuracy on 597 other digits"
)
axes.invert_yaxis()
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))

# %%
# Terms by epoch
# --------------
# A term is minus its bound on the information, times its weight. The discriminator plays against
# the term of the prior, so both go up and down.

SHOWN = ("local", "global", "prior", "discriminator")
curves, grid = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained", sharex=True)
for cell, (name, encoder) in zip(grid, encoders.items(), strict=True):
    for number, term in enumerate(SHOWN):
        if term in encoder.history_:
            epochs = range(1, encoder.n_iter_ + 1)
            cell.plot(epochs, encoder.history_[term], label=term, color=f"C{number}")
    cell.set(title=name, xlabel="Epoch")
    cell.legend(fontsize=7)
grid[0].set_ylabel("Term of the loss")

# %%
# Save the figures to the folder of the command line.

if __name__ == "__main__" and to_keep:
    for name, figure in {"accuracy": bars, "terms": curves}.items():
        path = Path(sys.argv[1]) / f"four_objectives_{name}.png"
        figure.savefig(path, dpi=120)
        progress(f"saved {path.name}")
