"""
Image files: from a folder to a classifier
==========================================

:class:`~skdim.inputs.ImageFolder` reads 400 image files in four subfolders batch by batch, and
:class:`~skdim.DeepInfoMaxTransformer` learns features from them. A classifier of these features
needs fewer labels than one of the pixels. An error names a damaged file.

The images are drawn here, so nothing has to be downloaded.
"""

# %%
# A folder of files
# -----------------
# Images differ in background, position, size and colours. The name of the subfolder is the label.

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxTransformer
from skdim.inputs import ImageFolder

# The polygons of each kind, in units of its size.
OUTLINES = {
    "boat": (
        [(-1, 0.3), (1, 0.3), (0.6, 0.8), (-0.6, 0.8)],
        [(0, 0.2), (0, -1), (0.8, 0.2)],
    ),
    "fish": (
        [(-0.9, 0), (0, -0.5), (0.6, 0), (0, 0.5)],
        [(0.5, 0), (1, -0.5), (1, 0.5)],
    ),
    "house": (
        [(-0.7, -0.1), (0.7, -0.1), (0.7, 0.9), (-0.7, 0.9)],
        [(-1, -0.1), (0, -1), (1, -0.1)],
    ),
    "tree": (
        [(-0.15, 0.2), (0.15, 0.2), (0.15, 1), (-0.15, 1)],
        [(-0.7, 0.3), (0, -1), (0.7, 0.3)],
    ),
}


def draw(kind, rng):
    """Draw one image of 80 x 60 pixels."""
    top, bottom = rng.integers(90, 230, (2, 1, 1, 3))
    height = np.linspace(0, 1, 60)[:, None, None]
    noise = rng.normal(0, 30, (8, 10, 1))
    clouds = np.kron(noise, np.ones((8, 8, 1)))[:60, :80]
    scene = np.clip(top * (1 - height) + bottom * height + clouds, 0, 255).astype(np.uint8)
    picture = Image.fromarray(scene).filter(ImageFilter.GaussianBlur(3))
    pen, size = ImageDraw.Draw(picture), rng.uniform(18, 26)
    x, y = rng.uniform(32, 48), rng.uniform(26, 34)
    mirror = rng.choice([-1, 1])
    for outline in OUTLINES[kind]:
        colour = tuple(int(value) for value in rng.integers(0, 120, 3))
        pen.polygon([(x + mirror * size * a, y + size * b) for a, b in outline], fill=colour)
    return picture


rng = np.random.default_rng(0)
temporary = TemporaryDirectory()
root = Path(temporary.name)
for kind in OUTLINES:
    (root / kind).mkdir()
    for number in range(100):
        draw(kind, rng).save(root / kind / f"{number:03}.jpg", quality=90)

# %%
# The folder as a data set
# ------------------------
# ``files`` holds the paths in the order of the samples. All images are scaled to one size.

folder = ImageFolder(root, size=(32, 32))
labels = np.array([file.parent.name for file in folder.files])
print(f"{len(folder)} images of shape {folder[0].shape}, first file: {folder.files[0].name}")

# %%
# A damaged file
# --------------
# A truncated file ends ``fit`` with an error that names it. No file is skipped silently.

damaged = root / "fish" / "007.jpg"
whole = damaged.read_bytes()
damaged.write_bytes(whole[:300])
try:
    DeepInfoMaxTransformer(16, output="hidden", random_state=0).fit(folder)
except OSError as error:
    print("OSError:", str(error).replace(str(root), "FOLDER"))
damaged.write_bytes(whole)

# %%
# Features of all images, labels of few
# -------------------------------------
# The features are learnt from 300 images without labels. A logistic regression is then fitted on 2,
# 5, 20 or all 75 labels per class, and scored on 100 other images. The pixels and their principal
# components are compared.

pixels = np.stack([folder[i] for i in range(len(folder))])
fit_rows, test_rows = train_test_split(
    np.arange(len(folder)), test_size=100, stratify=labels, random_state=0
)
dim = DeepInfoMaxTransformer(output="hidden", random_state=0).fit(pixels[fit_rows])
flat = pixels.reshape(len(pixels), -1) / 255
features = {
    "pixels": flat,
    "PCA (64)": PCA(64, random_state=0).fit(flat[fit_rows]).transform(flat),
    "Deep InfoMax, hidden": dim.transform(folder),
}


def accuracy(values, n_labels, draw):
    """Return the accuracy of a logistic regression of some labelled rows."""
    rows = fit_rows
    if n_labels < len(fit_rows):
        rows, _ = train_test_split(
            fit_rows, train_size=n_labels, stratify=labels[fit_rows], random_state=draw
        )
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    return judge.fit(values[rows], labels[rows]).score(values[test_rows], labels[test_rows])


counts = (8, 20, 80, 300)
scores = {
    name: [np.mean([accuracy(values, n, draw) for draw in range(3)]) for n in counts]
    for name, values in features.items()
}
print(f"{'labels':<22}" + "".join(f"{n:>7}" for n in counts))
for name, row in scores.items():
    print(f"{name:<22}" + "".join(f"{score:>7.2f}" for score in row))

# %%
# Some images, and the accuracies
# -------------------------------

figure = plt.figure(figsize=(9, 3.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(1, 1.1))
for kind, row in zip(OUTLINES, left.subplots(4, 5), strict=True):
    for cell, number in zip(row, np.flatnonzero(labels == kind), strict=False):
        cell.imshow(np.moveaxis(pixels[number], 0, -1))
        cell.set(xticks=[], yticks=[])
    row[0].set_ylabel(kind)
axes = right.subplots()
for (name, row), marker in zip(scores.items(), "s^o", strict=True):
    axes.plot(counts, row, marker=marker, label=name)
axes.axhline(0.25, color="0.6", linestyle=":", label="chance")
axes.set(xscale="log", xlabel="labels", ylabel="accuracy on 100 other images", ylim=(0, 1.02))
axes.set_xticks(counts, counts)
axes.minorticks_off()
axes.legend(loc="lower right", fontsize=8)
temporary.cleanup()
plt.show()
