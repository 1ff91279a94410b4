"""
Fine-tuning: when it helps
==========================

Fine-tuning continues the training of the encoder on the labels. A small code gains much: without
labels, four numbers keep little of the class of a digit. The wide layer ``hidden`` gains nothing:
its logistic regression is as good without fine-tuning.
"""

# %%
# Two representations of the same digits
# --------------------------------------
# Both are closed forms, fitted without labels. The classifier is fitted on some labels, with and
# without fine-tuning.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdim import DeepInfoMaxClassifier, DeepInfoMaxTransformer

digits = load_digits()
images, X_test, target, y_test = train_test_split(
    digits.images, digits.target, train_size=1200, stratify=digits.target, random_state=0
)
representations = {
    "code of 4 numbers": DeepInfoMaxTransformer(4, random_state=0).fit(images),
    "hidden": DeepInfoMaxTransformer(output="hidden", random_state=0).fit(images),
}


def accuracy(dim, n_labels, fine_tune):
    """Return the accuracy on other digits with some labels, and the epochs of fine-tuning."""
    labelled, _ = train_test_split(
        np.arange(len(images)), train_size=n_labels, stratify=target, random_state=0
    )
    y = np.full(len(images), -1)
    y[labelled] = target[labelled]
    classifier = DeepInfoMaxClassifier.from_transformer(dim, fine_tune=fine_tune, random_state=0)
    return classifier.fit(images, y).score(X_test, y_test), classifier.n_iter_


# %%
# Accuracy on 597 other digits
# ----------------------------
# The number of epochs is chosen on a fifth of the labels. It is 0, and the encoder is unchanged, if
# the accuracy there does not grow by more than its standard error.

counts = (100, 300, 1000)
figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
for color, (name, dim) in zip(("C0", "C1"), representations.items(), strict=True):
    for fine_tune, style in ((False, "o--"), (True, "s-")):
        found = [accuracy(dim, n, fine_tune) for n in counts]
        scores, epochs = zip(*found, strict=True)
        label = f"{name}, {'fine-tuned' if fine_tune else 'frozen'}"
        print(f"{label:<30}" + "".join(f"{score:>8.3f}" for score in scores), epochs)
        axes.plot(counts, scores, style, color=color, label=label)
axes.set(xscale="log", xlabel="labels", ylabel="accuracy on 597 other digits", ylim=(0.7, 1))
axes.set_xticks(counts, counts)
axes.minorticks_off()
axes.legend()
plt.show()
