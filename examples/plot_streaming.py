"""
Streaming: fit a file in parts
==============================

A file has 80,000 rows. A :class:`~skdim.inputs.Stream` holds at most a few hundred of them in
memory at a time, and gives features that are bit-equal to those of the array. ``partial_fit`` takes
the rows in parts, and its features are as good for a classifier.
"""

# %%
# A file of rows
# --------------
# The 64 columns are generated from eight hidden ones. Each of the four classes has three clusters,
# so a linear classifier of the columns is not enough. The rows are written block by block.

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxTransformer
from skdim.inputs import Stream

N, COLUMNS, BLOCK = 80_000, 64, 10_000
rng = np.random.default_rng(0)
centres, mixing = rng.normal(0, 2.2, (12, 8)), rng.normal(size=(8, COLUMNS))


def draw(n):
    """Return rows and their labels."""
    cluster = rng.integers(0, len(centres), n)
    hidden = centres[cluster] + rng.normal(size=(n, 8))
    return (hidden @ mixing + rng.normal(0, 0.3, (n, COLUMNS))).astype(np.float32), cluster % 4


temporary = TemporaryDirectory()
path = Path(temporary.name) / "rows.npy"
file = np.lib.format.open_memmap(path, "w+", np.float32, (N, COLUMNS))
for start in range(0, N, BLOCK):
    file[start : start + BLOCK], _ = draw(BLOCK)
file.flush()
print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB")

# %%
# Read batch by batch
# -------------------
# A stream wraps arrays, memory maps and data sets. The class below only counts rows; otherwise use
# ``Stream(rows)`` or the memory map itself.


class Counted:
    """The rows of a file, and the most that were read at once."""

    def __init__(self, rows):
        self.rows, self.most = rows, 0

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        return self.rows[number]

    def __getitems__(self, numbers):
        self.most = max(self.most, len(numbers))
        return list(self.rows[numbers])


rows = np.load(path, mmap_mode="r")
counted = Counted(rows)
streamed = DeepInfoMaxTransformer(output="hidden", random_state=0).fit(Stream(counted))
in_memory = DeepInfoMaxTransformer(output="hidden", random_state=0).fit(np.array(rows))
test, test_labels = draw(2000)
assert np.array_equal(streamed.transform(test), in_memory.transform(test))
print(f"at most {counted.most} rows at once, {counted.most * COLUMNS * 4 / 1e6:.2f} MB")

# %%
# Fit in parts
# ------------
# Each part is added to the sums of the closed form, which is then solved again. The random features
# and the scales of the columns are those of the first part, so the result is close but not equal to
# that of one fit. After each part, a logistic regression is fitted on 400 labelled rows.

labelled, labels = draw(400)


def accuracy(features, test_features):
    """Return the accuracy on 2,000 other rows."""
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    return judge.fit(features, labels).score(test_features, test_labels)


parts = DeepInfoMaxTransformer(output="hidden", random_state=0)
ends = [500, 2000, *range(BLOCK, N + 1, BLOCK)]
accuracies = []
for begin, end in zip([0, *ends], ends, strict=False):
    parts.partial_fit(rows[begin:end])
    accuracies.append(accuracy(parts.transform(labelled), parts.transform(test)))
of_columns = accuracy(labelled, test)
of_one_fit = accuracy(in_memory.transform(labelled), in_memory.transform(test))
print(f"accuracy: columns {of_columns:.3f}, parts {accuracies[-1]:.3f}, one fit {of_one_fit:.3f}")

# %%
# Accuracy and memory
# -------------------

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.plot(ends, accuracies, "o-", label="partial_fit")
left.axhline(of_one_fit, color="C1", linestyle="--", label="one fit of all rows")
left.axhline(of_columns, color="0.6", linestyle=":", label="columns, linear")
left.set(xlabel="rows so far", ylabel="accuracy with 400 labels", ylim=(0.7, 1), xscale="log")
left.legend(loc="center right")
most = {"array": N, "partial_fit": BLOCK, "Stream": counted.most}
bars = right.barh(list(most), [count * COLUMNS * 4 / 1e6 for count in most.values()])
right.bar_label(bars, fmt="{:.2g} MB", padding=4)
right.set(xlabel="MB of rows in memory at once", xlim=(0, 25))
right.invert_yaxis()
del rows, counted, file
temporary.cleanup()
plt.show()
