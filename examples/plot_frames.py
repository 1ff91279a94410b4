"""
Frames of a film: what neighbours share
=======================================

In a film, neighbouring frames show the same thing at another place, in front of another background.
Given as two looks at one sample, they teach what random views of single frames cannot: that the
background does not matter. The films here are digits that move over noise.
"""

# %%
# Draw the films
# --------------
# Each film shows one digit in two frames. It moves by up to two pixels, over bright blobs that are
# drawn anew for each frame.

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxTransformer

SIDE = 16


def draw_frame(digit, place, draws):
    """Draw a digit of 8x8 pixels at a place (row, column) of a frame of blobs."""
    frame = gaussian_filter(draws.normal(size=(SIDE, SIDE)), 1.0)
    frame *= 4 / frame.std()
    row, column = place
    frame[row : row + 8, column : column + 8] += digit
    return frame


def draw_films(digits, draws):
    """Draw two frames (n, 2, 1, 16, 16) of each digit."""
    start = draws.integers(2, SIDE - 9, size=(len(digits), 2))
    places = np.stack([start, start + draws.integers(-2, 3, size=start.shape)], axis=1)
    films = [
        [draw_frame(digit, place, draws) for place in both]
        for digit, both in zip(digits, places, strict=True)
    ]
    return np.array(films, dtype=np.float32)[:, :, None]


images, labels = load_digits(return_X_y=True)
films = draw_films(images.reshape(-1, 8, 8), np.random.default_rng(0))
train, test, y, y_test = train_test_split(films, labels, random_state=0, stratify=labels)

_, axes = plt.subplots(2, 8, figsize=(8, 2.2))
for column, film in zip(axes.T, train, strict=False):
    for ax, frame in zip(column, film, strict=True):
        ax.imshow(frame[0], cmap="gray")
        ax.axis("off")
axes[0, 0].set_title("first frames", loc="left", fontsize=9)
_ = axes[1, 0].set_title("second frames", loc="left", fontsize=9)

# %%
# Learn from pairs, and from single frames
# ----------------------------------------
# An array with five axes holds several looks at each image. ``transform`` takes single frames.

from_pairs = DeepInfoMaxTransformer(64, random_state=0).fit(train)
from_frames = DeepInfoMaxTransformer(64, random_state=0).fit(train.reshape(-1, 1, SIDE, SIDE))

# %%
# Fewer labels are needed
# -----------------------
# Accuracy on the first frames of other films, over five draws of the labelled ones.

features = {
    "code, from pairs": from_pairs.transform,
    "code, from single frames": from_frames.transform,
    "pixels": lambda frames: frames.reshape(len(frames), -1),
}
counts = [50, 100, 200, 400, 800]
accuracy = {name: np.zeros((5, len(counts))) for name in features}
for name, encode in features.items():
    x, x_test = encode(train[:, 0]), encode(test[:, 0])
    for draw in range(5):
        order = np.random.default_rng(draw).permutation(len(x))
        for k, n in enumerate(counts):
            probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
            probe.fit(x[order[:n]], y[order[:n]])
            accuracy[name][draw, k] = probe.score(x_test, y_test)

fig, ax = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
for name, scores in accuracy.items():
    print(f"{name:<26}" + "  ".join(f"{mean:.3f}" for mean in scores.mean(axis=0)))
    error = scores.std(axis=0, ddof=1) / np.sqrt(len(scores))
    ax.errorbar(counts, scores.mean(axis=0), error, marker="o", capsize=3, label=name)
ax.set(xlabel="labelled films", ylabel="accuracy", xscale="log")
ax.set_xticks(counts, counts)
ax.minorticks_off()
ax.grid(alpha=0.3)
ax.legend()
plt.show()
