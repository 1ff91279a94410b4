"""
Displays: the information of a code is in the strokes
=====================================================

The local term trains the code of an image to discriminate its places from places in other images.
Empty places look alike in all images, so the code has less information about them than about
strokes. The displays of :mod:`skdim.displays` show this on the 1,797 digits of scikit-learn.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# Terms by epoch
# --------------
# ``TermsDisplay`` draws every term by epoch. The local term is drawn as its bound on the
# information. The codes keep their spread.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skdim import DeepInfoMaxTransformer
from skdim.displays import (
    EmbeddingDisplay,
    InformationMapDisplay,
    NeighborsDisplay,
    TermsDisplay,
)

digits = load_digits()
images, labels = digits.images.astype(np.float32), digits.target
dim = DeepInfoMaxTransformer(16, max_epochs=6, random_state=0).fit(images)
TermsDisplay.from_estimator(dim)

# %%
# Map of the information
# ----------------------
# For one image of each digit, in nats: how much more likely the local features of a location are
# given the code than in any image.

first_of_each = [np.flatnonzero(labels == digit)[0] for digit in range(10)]
InformationMapDisplay.from_estimator(dim, images, queries=first_of_each)

# %%
# The claim is checked on two hundred images. Locations are grouped by the mean ink of their 2x2
# pixels. Empty ones are not at 0, since a local feature depends on more than its own pixels.

some = np.arange(200)
display = InformationMapDisplay.from_estimator(dim, images, queries=some, colorbar=False)
plt.close(display.figure_)
ink = images[some].reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))
print("ink of a location   locations   information (nats)")
for low, high in ((0, 0.01), (0.01, 4), (4, 8), (8, 17)):
    chosen = (ink >= low) & (ink < high)
    print(f"{low:>5} to {high:<10} {chosen.sum():>9}   {display.maps[chosen].mean():>10.2f}")

# %%
# Nearest neighbours
# ------------------
# One image per row, with its nearest and its farthest neighbours in code space and their labels.

NeighborsDisplay.from_estimator(dim, images, labels, queries=first_of_each[:4])

# %%
# Embedding
# ---------
# Two principal components of sixteen numbers that were learnt without labels.

EmbeddingDisplay.from_estimator(dim, images, labels)
plt.show()
