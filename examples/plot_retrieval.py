"""
Retrieval: find other crops of the same place
=============================================

Crops of one place in a photograph differ in position, light and contrast. The nearest neighbours of
a crop show the same place more often with codes of Deep InfoMax than with pixels or their principal
components. The photographs are the two of scikit-learn.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# Places in photographs
# ---------------------
# A grid of places has eight crops each, shifted by up to 8 pixels, mirrored or not, darker or
# lighter. The left parts of the photographs are fitted, the right parts are searched. No place is
# in both.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from skdim import DeepInfoMaxTransformer

SIDE, SHIFT, LOOKS = 32, 8, 8
photographs = load_sample_images().images
rng = np.random.default_rng(0)


def crop(photograph, row, column):
    """Return one crop at a place, with random shift, contrast and brightness."""
    row, column = np.array([row, column]) + rng.integers(0, SHIFT + 1, 2)
    seen = photograph[row : row + SIDE, column : column + SIDE].astype(np.float32)
    seen = (seen - seen.mean()) * rng.uniform(0.7, 1.3) + seen.mean() * rng.uniform(0.7, 1.3)
    if rng.random() < 0.5:
        seen = seen[:, ::-1]
    return np.clip(seen, 0, 255).astype(np.uint8)


def crops(columns):
    """Return the crops of all places in a range of columns, and the numbers of the places."""
    places = [
        (photograph, row, column)
        for photograph in photographs
        for row in range(0, photograph.shape[0] - SIDE - SHIFT, SIDE + SHIFT)
        for column in columns
    ]
    images = [crop(*place) for place in places for _ in range(LOOKS)]
    return np.moveaxis(np.stack(images), -1, 1), np.repeat(np.arange(len(places)), LOOKS)


fitted, _ = crops(range(0, 360, SIDE + SHIFT))
searched, places = crops(range(360, 600, SIDE + SHIFT))
print(f"{len(fitted)} crops fitted, {len(searched)} searched, of {places.max() + 1} places")

# %%
# Three spaces
# ------------
# Search in the code: its scale weights directions by how well two looks at an image agree on them.
# Cosine distances are Euclidean distances of rows of length 1.

flat, flat_searched = (X.reshape(len(X), -1) / 255 for X in (fitted, searched))
dim = DeepInfoMaxTransformer(64, random_state=0).fit(fitted)
pca = PCA(64, random_state=0).fit(flat)
spaces = {
    "pixels (3,072)": flat_searched - flat.mean(axis=0),
    "PCA (64)": pca.transform(flat_searched),
    "Deep InfoMax (64)": dim.transform(searched),
}


def neighbours(values):
    """Return the rows nearest to each row, without itself."""
    search = NearestNeighbors(n_neighbors=LOOKS).fit(normalize(values))
    return search.kneighbors(normalize(values), return_distance=False)[:, 1:]


found = {name: neighbours(values) for name, values in spaces.items()}
precision = {
    name: np.cumsum(places[rows] == places[:, None], axis=1).mean(axis=0) / np.arange(1, LOOKS)
    for name, rows in found.items()
}
chance = (LOOKS - 1) / (len(places) - 1)
print(f"{'precision at':<20}" + "".join(f"{k:>7}" for k in (1, 3, 7)))
for name, row in precision.items():
    print(f"{name:<20}" + "".join(f"{row[k - 1]:>7.2f}" for k in (1, 3, 7)))
print(f"{'chance':<20}{chance:>7.2f}")

# %%
# Precision at k
# --------------
# The share of the k nearest crops that show the same place. Each place has seven other crops.

curves, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
for (name, row), marker in zip(precision.items(), "s^o", strict=True):
    axes.plot(np.arange(1, LOOKS), row, marker=marker, label=name)
axes.axhline(chance, color="0.6", linestyle=":", label="chance")
axes.set(xlabel="k", ylabel="precision at k", ylim=(0, 1))
axes.legend()

# %%
# Nearest crops
# -------------
# The query on the left, then its five nearest crops. A green frame marks the same place. Crops with
# little contrast, such as sky, are not used as queries.

shown = np.flatnonzero(searched.std(axis=(1, 2, 3)) > 35)
queries = np.random.default_rng(0).choice(shown, 5, replace=False)
figure = plt.figure(figsize=(10, 4.4), layout="constrained")
parts = figure.subfigures(1, 2, wspace=0.04)
for part, name in zip(parts, ("pixels (3,072)", "Deep InfoMax (64)"), strict=True):
    part.suptitle(name)
    for cells, query in zip(part.subplots(5, 6), queries, strict=True):
        for cell, row in zip(cells, [query, *found[name][query, :5]], strict=True):
            cell.imshow(np.moveaxis(searched[row], 0, -1))
            cell.set(xticks=[], yticks=[])
            same = row != query and places[row] == places[query]
            for side in cell.spines.values():
                side.set(color="tab:green" if same else "white", linewidth=3)
plt.show()
