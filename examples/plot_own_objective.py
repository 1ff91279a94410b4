"""
Your own objective: twenty lines
================================

An objective is a class with parameters and a method that returns named terms. This example
implements Barlow Twins (Zbontar et al. 2021): the cross-correlations of the codes of two looks
should be 1 on the diagonal and 0 elsewhere. After twelve epochs, nearest neighbours of crops of
photographs show the same place more often than with the untrained network. Principal components are
level with it, since the objective has not been tuned.
"""

# %%
# The objective
# -------------
# ``terms`` receives the features of each look and returns tensors of shape (), whose sum is the
# loss. A grid search reaches the parameter ``weight`` as ``objective__weight``.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skdim import EncoderTransformer
from skdim.objectives import AbstractObjective


class BarlowTwins(AbstractObjective):
    """Decorrelate the coordinates of the code, and make them agree between looks."""

    def __init__(self, weight=0.02):
        self.weight = weight

    def terms(self, looks, batch):
        first, second = (
            (look.code - look.code.mean(dim=0)) / look.code.std(dim=0).clamp_min(1e-4)
            for look in looks
        )
        correlations = first.mT @ second / len(first)
        diagonal = correlations.diagonal()
        redundancy = correlations.square().sum() - diagonal.square().sum()
        return {
            "agreement": (diagonal - 1).square().sum(),
            "redundancy": self.weight * redundancy,
        }


# %%
# Crops of photographs
# --------------------
# The photographs are the two of scikit-learn. Places in the left parts are used for training, those
# in the right parts for evaluation. There are four crops per place, which differ in position and
# brightness.

SIDE, SHIFT, LOOKS = 32, 12, 4
rng = np.random.default_rng(0)
photographs = load_sample_images().images


def crops(first, last, step):
    """Return crops of all places in a range of columns, and the numbers of the places."""
    images, numbers = [], []
    places = np.mgrid[0:2, 0 : 427 - SIDE - SHIFT : step, first:last:step].reshape(3, -1).T
    for number, (photograph, row, column) in enumerate(places):
        for down, right in rng.integers(0, SHIFT + 1, (LOOKS, 2)):
            rows, columns = row + down, column + right
            seen = photographs[photograph][rows : rows + SIDE, columns : columns + SIDE]
            images.append(np.clip(seen * rng.uniform(0.6, 1.4), 0, 255).astype(np.uint8))
            numbers.append(number)
    return np.moveaxis(np.stack(images), -1, 1), np.array(numbers)


fitted, _ = crops(0, 320, 26)
searched, places = crops(364, 596, SIDE + SHIFT)
print(f"{len(fitted)} crops to train on, {len(searched)} to evaluate")

# %%
# Training
# --------
# The transformer trains, scores, clones and saves with the objective. With a learning rate near
# zero, the network stays as initialised.

settings = {"objective": BarlowTwins(), "view": "augment", "random_state": 0}
trained = EncoderTransformer(32, max_epochs=12, **settings).fit(fitted)
untrained = EncoderTransformer(32, max_epochs=1, learning_rate=1e-12, **settings).fit(fitted)
for name in ("agreement", "redundancy"):
    print(f"{name}: {trained.history_[name][0]:.1f} -> {trained.history_[name][-1]:.1f}")

# %%
# Evaluation
# ----------
# The share of crops whose nearest neighbour is of the same place, among the evaluated ones.


def precision(values):
    """Return the share of nearest neighbours that are of the same place."""
    values = StandardScaler().fit_transform(values)
    nearest = NearestNeighbors(n_neighbors=1).fit(values).kneighbors(return_distance=False)
    return np.mean(places[nearest[:, 0]] == places)


pca = PCA(32, random_state=0).fit(fitted.reshape(len(fitted), -1))
spaces = {
    "PCA": pca.transform(searched.reshape(len(searched), -1)),
    "untrained": untrained.transform(searched),
    "Barlow Twins": trained.transform(searched),
}
precisions = {name: precision(values) for name, values in spaces.items()}
print({name: round(float(value), 3) for name, value in precisions.items()})
assert precisions["Barlow Twins"] > precisions["untrained"]

correlations = {name: np.corrcoef(spaces[name].T) for name in ("untrained", "Barlow Twins")}
for name, table in correlations.items():
    apart = np.abs(table[~np.eye(len(table), dtype=bool)]).mean()
    print(f"mean absolute correlation of two coordinates, {name}: {apart:.2f}")

figure, grid = plt.subplots(1, 4, figsize=(12, 3), layout="constrained")
for name in ("agreement", "redundancy"):
    grid[0].plot(range(1, trained.n_iter_ + 1), trained.history_[name], label=name)
grid[0].set(title="terms of the loss", xlabel="epoch", ylim=(0, None), xticks=[1, 4, 8, 12])
grid[0].legend()
for axes, (name, table) in zip(grid[1:3], correlations.items(), strict=True):
    shown = axes.imshow(table, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set(title=f"correlations, {name}", xticks=[], yticks=[])
figure.colorbar(shown, ax=grid[2], shrink=0.8)
grid[3].barh(list(precisions), list(precisions.values()), color=["0.6", "0.6", "C0"])
grid[3].set(title="precision at 1", xlim=(0, 1))
grid[3].invert_yaxis()
plt.show()
