"""
Signals: few labels, events at any time
=======================================

Each signal of two channels holds an event at an unknown time. Raw values at fixed times say little
about it, and spectra cannot discriminate an upward from a downward sweep. With five or more labels
per class, the features of ``encoder="kernels"``, learnt in closed form, are ahead of both.
"""

# %%
# Six kinds of events
# -------------------
# The kind is a waveform, which both channels contain with opposite signs. Its time, its strength
# and the noise are random.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxTransformer

LENGTH, SPAN = 256, 80
time = np.linspace(0, 1, SPAN)
window = np.sin(np.pi * time) ** 2
EVENTS = {
    "sweep up": window * np.sin(2 * np.pi * (3 * time + 6 * time**2)),
    "sweep down": (window * np.sin(2 * np.pi * (3 * time + 6 * time**2)))[::-1],
    "ringing": np.exp(-5 * time) * np.sin(2 * np.pi * 8 * time),
    "swelling": (np.exp(-5 * time) * np.sin(2 * np.pi * 8 * time))[::-1],
    "sawtooth": window * (4 * time % 1 - 0.5) * 2,
    "reversed": (window * (4 * time % 1 - 0.5) * 2)[::-1],
}
kinds = list(EVENTS)
rng = np.random.default_rng(0)
y = np.repeat(np.arange(len(kinds)), 150)
X = np.empty((len(y), 2, LENGTH))
for signal, kind in zip(X, y, strict=True):
    signal[:] = rng.normal(0, 0.25, (2, LENGTH))
    signal += np.sin(0.05 * np.arange(LENGTH) + rng.uniform(0, 6.28, (2, 1)))  # a common hum
    start = rng.integers(0, LENGTH - SPAN)
    signal[0, start : start + SPAN] += rng.uniform(1, 2) * EVENTS[kinds[kind]]
    signal[1, start : start + SPAN] -= rng.uniform(0.5, 1) * EVENTS[kinds[kind]]
print(f"{len(X)} signals of shape {X.shape[1:]}")

# %%
# Features of all signals
# -----------------------
# The transformer is fitted on 600 signals without labels; 300 others are classified.

fit_rows, test_rows = train_test_split(np.arange(len(X)), test_size=300, stratify=y, random_state=0)
dim = DeepInfoMaxTransformer(encoder="kernels", output="hidden", random_state=0).fit(X[fit_rows])
features = {
    "raw values": X.reshape(len(X), -1),
    "log spectrum": np.log(np.abs(np.fft.rfft(X)).reshape(len(X), -1) + 1e-3),
    "Deep InfoMax, hidden": dim.transform(X),
}
print({name: values.shape[1] for name, values in features.items()})


def accuracy(values, n_labels, draw):
    """Return the accuracy of a logistic regression of some labelled rows."""
    rows = fit_rows
    if n_labels < len(fit_rows):
        rows, _ = train_test_split(
            fit_rows, train_size=n_labels, stratify=y[fit_rows], random_state=draw
        )
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    return judge.fit(values[rows], y[rows]).score(values[test_rows], y[test_rows])


counts = (12, 30, 120, 600)
scores = {
    name: np.array([[accuracy(values, n, draw) for n in counts] for draw in range(3)])
    for name, values in features.items()
}
print(f"{'labels':<22}" + "".join(f"{n:>7}" for n in counts))
for name, table in scores.items():
    print(f"{name:<22}" + "".join(f"{score:>7.2f}" for score in table.mean(axis=0)))

# %%
# The events, and the accuracies
# ------------------------------
# Means over three draws of the labels.

figure = plt.figure(figsize=(9, 3.8), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(1, 1.1))
for number, axes in enumerate(left.subplots(6, 1, sharex=True)):
    axes.plot(X[y == number][0].T, linewidth=0.8)
    axes.set_yticks([])
    axes.set_ylabel(kinds[number], rotation=0, ha="right", va="center", fontsize=8)
axes.set_xlabel("time")
axes = right.subplots()
for (name, table), marker in zip(scores.items(), "s^o", strict=True):
    axes.plot(counts, table.mean(axis=0), marker=marker, label=name)
axes.axhline(1 / len(kinds), color="0.6", linestyle=":", label="chance")
axes.set(xscale="log", xlabel="labels", ylabel="accuracy on 300 other signals", ylim=(0, 1.02))
axes.set_xticks(counts, counts)
axes.minorticks_off()
axes.legend(fontsize=8)
plt.show()
