"""
Semi-supervised: comparison with scikit-learn's methods
=======================================================

20 to 100 of 1,000 digits have a label. The features matter more than the method:
:class:`~sklearn.semi_supervised.LabelSpreading` on the features of Deep InfoMax is far ahead of the
same on the pixels. :class:`~skdim.DeepInfoMaxClassifier`, which combines label spreading with
self-training, is ahead of both.
"""

# %%
# The methods
# -----------
# For all methods, -1 marks rows without a label. The transformer is fitted once, on all 1,000
# images.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from skdim import DeepInfoMaxClassifier, DeepInfoMaxTransformer

digits = load_digits()
images, X_test, target, y_test = train_test_split(
    digits.images, digits.target, train_size=1000, stratify=digits.target, random_state=0
)
dim = DeepInfoMaxTransformer(output="hidden", random_state=0).fit(images)


def pixels(X):
    """Return flat images."""
    return X.reshape(len(X), -1)


def spreading():
    """Return label spreading over the graph of nearest neighbours."""
    return make_pipeline(StandardScaler(), LabelSpreading(kernel="knn", n_neighbors=7))


def self_training():
    """Return a logistic regression that labels rows with probabilities above a threshold."""
    regression = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    return SelfTrainingClassifier(regression, threshold=0.8)


METHODS = {
    "LabelSpreading, pixels": (pixels, spreading),
    "SelfTrainingClassifier, pixels": (pixels, self_training),
    "LabelSpreading, features": (dim.transform, spreading),
    "SelfTrainingClassifier, features": (dim.transform, self_training),
    "DeepInfoMaxClassifier": (
        lambda X: X,
        lambda: DeepInfoMaxClassifier.from_transformer(dim, random_state=0),
    ),
}


def accuracies(n_labels, draw):
    """Return the accuracy of each method with some labels, drawn equally from each class."""
    labelled, _ = train_test_split(
        np.arange(len(images)), train_size=n_labels, stratify=target, random_state=draw
    )
    y = np.full(len(images), -1)
    y[labelled] = target[labelled]
    return [
        make().fit(features(images), y).score(features(X_test), y_test)
        for features, make in METHODS.values()
    ]


counts, draws = (20, 50, 100), 3
with np.errstate(invalid="ignore"), warnings.catch_warnings():
    # Label spreading divides by 0 where no labelled row is connected to a row.
    warnings.simplefilter("ignore", ConvergenceWarning)
    scores = np.array([[accuracies(n, draw) for draw in range(draws)] for n in counts])

# %%
# Accuracy on 797 other images
# ----------------------------
# Means over three draws of the labels, and their standard errors. The settings of scikit-learn's
# methods are fixed; :class:`~skdim.DeepInfoMaxClassifier` chooses its penalty by cross-validation.
# Self-training with a fixed threshold is unstable: on the features it is worse with 50 labels than
# with 20.

means = scores.mean(axis=1)
print(f"{'labels':<34}" + "".join(f"{n:>7}" for n in counts))
for name, row in zip(METHODS, means.T, strict=True):
    print(f"{name:<34}" + "".join(f"{score:>7.3f}" for score in row))

figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
styles = ("C0s--", "C1^--", "C0s-", "C1^-", "C2o-")
errors = scores.std(axis=1, ddof=1) / np.sqrt(draws)
for name, row, error, style in zip(METHODS, means.T, errors.T, styles, strict=True):
    axes.errorbar(counts, row, error, fmt=style, capsize=2, label=name)
axes.set(xscale="log", xlabel="labels", ylabel="accuracy on 797 other images", ylim=(0.5, 1))
axes.set_xticks(counts, counts)
axes.minorticks_off()
axes.legend(fontsize=8)
plt.show()
