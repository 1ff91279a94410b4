"""
Tables: where it does not help
==============================

On two tables of scikit-learn, logistic regressions of the raw columns and of the features of Deep
InfoMax differ by at most two points, in either direction. On two synthetic tables, whose classes
are not linear in the columns, the features help, but a support vector machine of the raw columns is
as good. On a small table there is no reason to start with Deep InfoMax.
"""

# %%
# Four tables
# -----------
# Columns have no neighbours, so there are no local parts. The closed form of vectors is kernel
# principal component analysis by random features: see :doc:`/guide/when_not`.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import (
    load_breast_cancer,
    load_wine,
    make_classification,
    make_gaussian_quantiles,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skdim import DeepInfoMaxTransformer

CLUSTERS = {"n_informative": 6, "n_redundant": 4, "n_clusters_per_class": 3, "class_sep": 1.5}
TABLES = {
    "breast cancer": load_breast_cancer(return_X_y=True),
    "wine": load_wine(return_X_y=True),
    "shells": make_gaussian_quantiles(n_samples=900, n_features=8, n_classes=3, random_state=0),
    "clusters": make_classification(900, n_classes=4, random_state=0, **CLUSTERS),
}

# %%
# Three classifiers
# -----------------
# The features are learnt from all rows that are not held out. The classifiers are fitted on 5 or 20
# labels per class, or on all. Standardised columns are the input of all three.


def classifiers(X):
    """Return the classifiers by name; the transformer is fitted on X."""
    scale = StandardScaler().fit(X)
    dim = DeepInfoMaxTransformer(output="hidden", random_state=0).fit(X)
    linear = {"C": 0.1, "max_iter": 2000}
    return {
        "columns, linear": (scale, LogisticRegression(**linear)),
        "Deep InfoMax, linear": (
            dim,
            make_pipeline(StandardScaler(), LogisticRegression(**linear)),
        ),
        "columns, SVM": (scale, SVC()),
    }


def some_rows(rows, y, per_class, draw):
    """Return a number of rows of each class, or all."""
    if per_class is None:
        return rows
    rng = np.random.default_rng(draw)
    return np.concatenate(
        [rng.choice(rows[y[rows] == label], per_class, replace=False) for label in np.unique(y)]
    )


counts = (5, 20, None)
scores = {}
for table, (X, y) in TABLES.items():
    for draw in range(5):
        fit_rows, test_rows = train_test_split(
            np.arange(len(X)), test_size=0.3, stratify=y, random_state=draw
        )
        for name, (front, classifier) in classifiers(X[fit_rows]).items():
            values = front.transform(X)
            row = [
                classifier.fit(values[rows], y[rows]).score(values[test_rows], y[test_rows])
                for rows in (some_rows(fit_rows, y, n, draw) for n in counts)
            ]
            scores.setdefault((table, name), []).append(row)

# %%
# Accuracies
# ----------
# Means over five splits, on the 30 % of the rows that were held out.

print(f"{'table':<15}{'classifier':<22}{'5 a class':>10}{'20 a class':>11}{'all':>7}")
for (table, name), rows in scores.items():
    few, more, everything = np.mean(rows, axis=0)
    print(f"{table:<15}{name:<22}{few:>10.3f}{more:>11.3f}{everything:>7.3f}")

figure, grid = plt.subplots(1, 4, figsize=(10, 3.2), layout="constrained", sharex=True)
for axes, (table, (_, y)) in zip(grid, TABLES.items(), strict=True):
    for marker, (key, rows) in zip(
        "so^", ((key, rows) for key, rows in scores.items() if key[0] == table), strict=True
    ):
        mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0) / np.sqrt(len(rows))
        axes.errorbar(range(3), mean, spread, marker=marker, capsize=2, label=key[1])
    axes.set(title=table, ylim=(1 / len(np.unique(y)) - 0.05, 1.02), xlabel="labels a class")
    axes.set_xticks(range(3), ["5", "20", "all"])
grid[0].set_ylabel("accuracy")
figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()
