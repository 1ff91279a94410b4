"""
Frames of a film: what neighbours share
=======================================

In a film, neighbouring frames show the same object at another place, in front of another
background. As two looks at one sample, they teach what random views of single frames cannot: that
the background does not matter. The films here are digits that move over noise.
"""

# %%
# Draw the films
# --------------
# Each film shows one digit in two frames. It moves by up to two pixels, over bright blobs that
# differ between frames.

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdim import DeepInfoMaxTransformer
from skdim.displays import LabelEfficiencyDisplay

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
train, test, _, y_test = train_test_split(
    films, labels, test_size=0.5, random_state=0, stratify=labels
)

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
# Accuracy on the first frames of films that neither transformer was fitted on, over five draws of
# the labels.

features = {
    "code, from pairs": from_pairs.transform(test[:, 0]),
    "code, from single frames": from_frames.transform(test[:, 0]),
    "pixels": test[:, 0].reshape(len(test), -1),
}
display = LabelEfficiencyDisplay.from_features(
    features, y_test, counts=[50, 100, 200, 400], random_state=0
)
for name, accuracies in display.accuracies.items():
    print(f"{name:<26}" + "  ".join(f"{mean:.3f}" for mean in accuracies.mean(axis=0)))
plt.show()
