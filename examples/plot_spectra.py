"""
Spectra: a view states what does not matter
===========================================

Spectra drift: each one has its own baseline and scale, which are independent of the substances in
it. A view draws other baselines and scales, so that two looks at a spectrum share the substances
only. A few labels are then enough. Without a view, the features follow the drift, and are worse
than the raw values.
"""

# %%
# Mixtures of six substances
# --------------------------
# Each substance absorbs in five bands. A spectrum is a mixture times a random factor, plus a random
# cubic baseline and noise. Its class is the most abundant substance.

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.signal import savgol_filter
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdim import DeepInfoMaxTransformer

BANDS = np.linspace(-1, 1, 200)
POWERS = np.stack([BANDS**k for k in range(4)])
draws = np.random.default_rng(7)
centers, widths = draws.uniform(-1, 1, (6, 5, 1)), draws.uniform(0.03, 0.15, (6, 5, 1))
heights = draws.uniform(0.3, 1, (6, 5, 1))
substances = (heights * np.exp(-(((BANDS - centers) / widths) ** 2))).sum(axis=1)


def spectra(n, seed):
    """Return spectra (n, 200) and the most abundant substance of each."""
    draws = np.random.default_rng(seed)
    shares = draws.dirichlet(np.full(6, 0.8), n)
    factors, base = draws.lognormal(0, 0.3, (n, 1)), draws.normal(size=(n, 4)) @ POWERS
    noise = 0.03 * draws.normal(size=(n, 200))
    return (shares @ substances * factors + base + noise).astype(np.float32), shares.argmax(axis=1)


X, y = spectra(3000, seed=0)
X_test, y_test = spectra(2000, seed=1)

# %%
# The view
# --------
# A view is a callable that maps samples and a generator of torch to looks.


def drift(x, generator):
    """Draw two looks at spectra (n, 200), with other factors, baselines and noise."""
    looks = []
    for _ in range(2):
        factors = (0.3 * torch.randn(len(x), 1, generator=generator)).exp()
        base = torch.randn(len(x), 4, generator=generator) @ torch.from_numpy(POWERS).float()
        looks.append(x * factors + base + 0.03 * torch.randn(x.shape, generator=generator))
    return looks


# %%
# Few labels
# ----------
# The usual remedy is the second derivative of the spectrum, by a Savitzky-Golay filter.
# Cross-validation on the labels chooses the penalties of all regressions.


def derivative(X):
    """Return second derivatives."""
    return savgol_filter(X, 11, 2, deriv=2)


FEATURES = {
    "raw": FunctionTransformer(),
    "PCA": PCA(20, random_state=0),
    "second derivative": FunctionTransformer(derivative),
    "Deep InfoMax, no view": DeepInfoMaxTransformer(16, random_state=0),
    "Deep InfoMax, drift": DeepInfoMaxTransformer(16, view=drift, random_state=0),
}


def accuracies(features, n_labels):
    """Return the accuracy on other spectra for three draws of the labels."""
    grid = {"C": [0.001, 0.01, 0.1, 1, 10]}
    scores = []
    for seed in range(3):
        rows = np.random.default_rng(seed).permutation(len(X))[:n_labels]
        folds = KFold(3, shuffle=True, random_state=0)
        head = GridSearchCV(LogisticRegression(max_iter=2000), grid, cv=folds)
        model = make_pipeline(StandardScaler(), head).fit(features.transform(X[rows]), y[rows])
        scores.append(model.score(features.transform(X_test), y_test))
    return scores


counts = (30, 60, 120, 600)
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
axes[0].plot(BANDS, X[:8].T, linewidth=1)
axes[0].set(xlabel="wavelength", ylabel="absorption", title="eight spectra")
print(f"{'labels':<24}" + "".join(f"{n:>7}" for n in counts))
for name, features in FEATURES.items():
    features.fit(X)
    scores = np.array([accuracies(features, n) for n in counts])
    print(f"{name:<24}" + "".join(f"{score:>7.3f}" for score in scores.mean(axis=1)))
    axes[1].errorbar(counts, scores.mean(axis=1), scores.std(axis=1), capsize=2, label=name)
axes[1].set(xscale="log", xlabel="labels", ylabel="accuracy on 2,000 others")
axes[1].set_xticks(counts, counts)
axes[1].minorticks_off()
axes[1].legend()
plt.show()
