"""
Few labels: accuracy against the number of labels
=================================================

20 to 300 of 1,200 digits have a label. :class:`~skdim.DeepInfoMaxClassifier` learns features from
all of them, and uses those without a label in its logistic regression, too. It is compared with
logistic regression of the pixels and of the same features.
"""

# %%
# Fit the features once
# ---------------------
# The transformer needs no labels, so it is the same for all numbers of labels.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdim import DeepInfoMaxClassifier, DeepInfoMaxTransformer

digits = load_digits()
images, X_test, target, y_test = train_test_split(
    digits.images, digits.target, train_size=1200, stratify=digits.target, random_state=0
)
dim = DeepInfoMaxTransformer(output="hidden", random_state=0).fit(images)

# %%
# Three classifiers
# -----------------
# Cross-validation chooses the penalties of all regressions. -1 marks rows without a label.


def regression(features):
    """Return a logistic regression of some features."""
    grid = {"C": [0.001, 0.01, 0.1, 1.0]}
    head = GridSearchCV(LogisticRegression(max_iter=1000), grid, cv=2)
    return make_pipeline(features, StandardScaler(), head)


def accuracies(n_labels, draw):
    """Return the accuracies with some labels, drawn equally from each class."""
    labelled, _ = train_test_split(
        np.arange(len(images)), train_size=n_labels, stratify=target, random_state=draw
    )
    pixels = regression(FunctionTransformer(lambda X: X.reshape(len(X), -1)))
    features = regression(FunctionTransformer(dim.transform))
    scores = [
        model.fit(images[labelled], target[labelled]).score(X_test, y_test)
        for model in (pixels, features)
    ]
    y = np.full(len(images), -1)
    y[labelled] = target[labelled]
    classifier = DeepInfoMaxClassifier.from_transformer(dim, random_state=0).fit(images, y)
    return [*scores, classifier.score(X_test, y_test)]


counts, names = [20, 50, 100, 300], ["pixels", "Deep InfoMax", "DeepInfoMaxClassifier"]
curves = np.array([[accuracies(n, draw) for draw in range(3)] for n in counts])

# %%
# Accuracy against the number of labels
# -------------------------------------
# Means and standard deviations over three draws of the labels.

for count, of_draws in zip(counts, curves, strict=True):
    print(f"{count:>4} labels", "  ".join(f"{mean:.3f}" for mean in of_draws.mean(axis=0)))

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for i, name in enumerate(names):
    axes.errorbar(counts, curves[..., i].mean(axis=1), curves[..., i].std(axis=1), label=name)
axes.set(xscale="log", xlabel="labels", ylabel="accuracy on 597 other digits")
axes.set_xticks(counts, counts)
axes.minorticks_off()
axes.legend()
plt.show()
