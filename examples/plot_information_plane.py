"""
The information plane of a training
===================================

While an encoder is trained without labels, the information of its code about the label grows. This
example estimates it on 1,000 digits after several numbers of epochs, with
:class:`~skdim.displays.InformationPlaneDisplay`.
"""

# %%
# Codes of several epochs
# -----------------------
# All trainings start from the same weights; the first one hardly changes them. Codes without noise
# have infinite information about the images. Added noise makes it finite and comparable.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.preprocessing import scale

from skdim import DeepInfoMaxTransformer
from skdim.displays import InformationCurveDisplay, InformationPlaneDisplay

images, labels = load_digits(return_X_y=True)
images, labels = images[:1000].reshape(-1, 8, 8), labels[:1000]
noise = np.random.default_rng(0).standard_normal((1000, 8))

codes = {}
for epochs in (0, 1, 4, 12):
    dim = DeepInfoMaxTransformer(
        8, max_epochs=max(epochs, 1), learning_rate=1e-3 if epochs else 1e-12, random_state=0
    ).fit(images)
    codes[epochs] = scale(dim.transform(images).astype(np.float64)) + noise

# %%
# Information about the label, by epoch
# -------------------------------------

curve, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
about_label = InformationCurveDisplay.from_codes(codes, labels, ax=axes, random_state=0)
for epoch, found in zip(codes, about_label.estimates, strict=True):
    low, high = found.interval(0.9)
    print(f"epoch {epoch:>2}: {found:.2f} nats about the label, from {low:.2f} to {high:.2f}")

# %%
# The information plane
# ---------------------
# Information about the 64 pixels (horizontal) and about the label (vertical).

plane, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
InformationPlaneDisplay.from_codes(codes, images, labels, ax=axes, critic=None, random_state=0)
plt.show()
