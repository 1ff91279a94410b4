"""
A grid search: size, layer, penalty, and caching
================================================

How many components, which layer, how strong a penalty? Accuracies in one grid differ by 40 points,
and the setting chosen by cross-validation is close to the best on other images. With
``Pipeline(memory=...)``, each representation is computed once for all penalties, in a fraction of
the time.
"""

# %%
# A pipeline and its grid
# -----------------------
# ``output="hidden"`` does not depend on ``n_components``, so the grid has two parts. All parameters
# of the transformer can be searched in this way.

import time
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

from skdim import DeepInfoMaxTransformer

digits = load_digits()
X, X_test, y, y_test = train_test_split(
    digits.images, digits.target, train_size=300, stratify=digits.target, random_state=0
)
sizes, strengths = (2, 8, 32, 128), np.logspace(-3, 1, 5)
pipe = Pipeline(
    [
        ("dim", DeepInfoMaxTransformer(random_state=0)),
        ("classifier", LogisticRegression(max_iter=2000)),
    ]
)
grid = [
    {"dim__n_components": sizes, "classifier__C": strengths},
    {"dim__output": ["hidden"], "classifier__C": strengths},
]

# %%
# Caching
# -------
# The same search over five penalties, with and without a cache. A cached step is fitted once per
# fold; without a cache it is fitted for each fold and penalty.

seconds = {}
with TemporaryDirectory() as folder:
    for name, memory in (("without", None), ("with", folder)):
        begin = time.perf_counter()
        small = GridSearchCV(pipe, {"classifier__C": strengths}, cv=3, refit=False)
        small.set_params(estimator__memory=memory).fit(X, y)
        seconds[name] = time.perf_counter() - begin
print("  ".join(f"{name} a cache: {spent:.1f} s" for name, spent in seconds.items()))

# %%
# The search
# ----------

with TemporaryDirectory() as folder:
    search = GridSearchCV(pipe.set_params(memory=folder), grid, cv=3).fit(X, y)
    chosen = search.score(X_test, y_test)
print("chosen:", search.best_params_)
scores = search.cv_results_["mean_test_score"]
print(f"accuracies from {scores.min():.3f} to {scores.max():.3f}")
print(f"of the chosen: {search.best_score_:.3f} in cross-validation, {chosen:.3f} on 1,497 others")

# %%
# The whole grid
# --------------
# Mean accuracy in cross-validation. Small codes need a weak penalty; large layers tolerate a strong
# one.

n_code = len(sizes) * len(strengths)
# ``GridSearchCV`` varies the sizes fastest, then the penalties.
table = np.vstack([scores[:n_code].reshape(len(strengths), -1).T, scores[n_code:]])
names = [f"code of {size}" for size in sizes] + ["hidden"]
figure, axes = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
shown = axes.imshow(table, aspect="auto", cmap="viridis")
for (row, column), score in np.ndenumerate(table):
    colour = "black" if score > 0.8 else "white"
    axes.text(column, row, f"{score:.3f}", ha="center", va="center", color=colour)
axes.set_xticks(range(len(strengths)), [f"{C:g}" for C in strengths])
axes.set_yticks(range(len(names)), names)
axes.set(xlabel="C of the logistic regression", title="accuracy in cross-validation")
figure.colorbar(shown)
plt.show()
