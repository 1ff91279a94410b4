"""
Pictures: the code spends its information on the strokes
========================================================

The local term asks the code of an image to tell each place in it from places in other images. Empty
places look much alike in all of them, so there is less to tell than of strokes. The displays of
:mod:`skdim.displays` show it, on the 1,797 digits that scikit-learn embeds.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# Did it converge?
# ----------------
# ``TermsDisplay`` draws every term by epoch. The local term is minus its bound on the information,
# and the codes keep their spread.

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
# Where does the information sit?
# -------------------------------
# For one image of each digit, in nats: how much more likely the code makes what is seen at a
# location than it is in any image.

first_of_each = [np.flatnonzero(labels == digit)[0] for digit in range(10)]
InformationMapDisplay.from_estimator(dim, images, queries=first_of_each)

# %%
# The claim is about all images, so it is counted, on two hundred of them: locations are grouped by
# how much ink their 2x2 pixels hold. Empty ones are not at 0, since a local feature has seen more
# than its own pixels.

some = np.arange(200)
display = InformationMapDisplay.from_estimator(dim, images, queries=some, colorbar=False)
plt.close(display.figure_)
ink = images[some].reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))
print("ink of a location   locations   information (nats)")
for low, high in ((0, 0.01), (0.01, 4), (4, 8), (8, 17)):
    chosen = (ink >= low) & (ink < high)
    print(f"{low:>5} to {high:<10} {chosen.sum():>9}   {display.maps[chosen].mean():>10.2f}")

# %%
# What does the code find alike?
# ------------------------------
# One image a row, its nearest neighbours in code space, and those farthest from it, with their
# labels.

NeighborsDisplay.from_estimator(dim, images, labels, queries=first_of_each[:4])

# %%
# Do classes lie apart?
# ---------------------
# Two principal components of sixteen numbers that were learnt without a label.

EmbeddingDisplay.from_estimator(dim, images, labels)
plt.show()
