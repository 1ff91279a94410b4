"""Samples and labels of all kinds, valid and not."""

import tempfile
from collections import deque
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import scipy.sparse as sp
import torch
from sklearn.base import clone
from torch.utils.data import DataLoader, Subset, TensorDataset

from skdim import DeepInfoMaxClassifier, DeepInfoMaxTransformer, EncoderTransformer
from skdim.inputs import Stream
from skdim.objectives import NAT, VAE
from tests.reliability.attacks.models import draw_data, draw_labels, pick, take
from tests.reliability.attacks.oracles import (
    Wrong,
    check_contract,
    check_refused,
    codes_of,
    quiet,
    same_bits,
)

__all__ = ["extreme_numbers", "invalid_inputs", "invalid_labels", "later_inputs", "valid_inputs"]


def small_model(rng, data):
    """Draw one of a few transformers that are fitted at once."""
    encoder = {"encoder": "kernels", "channel_axis": 1} if data == "signals" else {}
    trained = {"max_epochs": 1, "batch_size": 8, "random_state": 0, "device": "cpu"}
    conv = {"encoder": "conv1d", "channel_axis": 1} if data == "signals" else {}
    return pick(
        rng,
        [
            DeepInfoMaxTransformer(3, random_state=0, device="cpu", **encoder),
            DeepInfoMaxTransformer(3, **trained, **conv),
            EncoderTransformer(3, objective=VAE(), **trained, **conv),
            EncoderTransformer(3, objective=NAT(), **trained, **conv),
        ],
    )


# ---------------------------------------------------------------------------------------------
# Forms that hold the same numbers, whose codes must therefore be the same.


def strided(X):
    """Return every second row of an array of twice as many."""
    return np.repeat(X, 2, axis=0)[::2]


def read_only(X):
    """Return an array that cannot be written."""
    X = X.copy()
    X.flags.writeable = False
    return X


def mapped(X):
    """Return a memory map of a file."""
    with tempfile.NamedTemporaryFile(delete=False) as file:
        np.save(file, X.astype(np.float64))
    array = np.load(file.name, mmap_mode="r")
    Path(file.name).unlink()
    return array


FORMS = {
    **{
        dtype: lambda X, dtype=dtype: X.astype(dtype)
        for dtype in ("f2", "f8", ">f4", ">i8", "i2", "i4", "i8", "u2", "u4", "u8", "g")
    },
    "reversed": lambda X: X[::-1].copy()[::-1],
    "Fortran": np.asfortranarray,
    "strided": strided,
    "read-only": read_only,
    "mapped": mapped,
    "list": list,
    "tuple": tuple,
    "nested lists": lambda X: X.tolist(),
    "objects": lambda X: X.astype(object),
    **{
        str(dtype): lambda X, dtype=dtype: torch.from_numpy(X).to(dtype)
        for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int16)
    },
    "tensor with gradients": lambda X: torch.from_numpy(X).requires_grad_(),
    "transposed tensor": lambda X: torch.from_numpy(X.T.copy()).permute(*range(X.ndim)[::-1]),
    "negated tensor": lambda X: torch.imag(torch.from_numpy(-1j * X).conj()),
    "list of tensors": lambda X: list(torch.from_numpy(X)),
    "stream": Stream,
    "data set": lambda X: TensorDataset(torch.from_numpy(X)),
    "stream of a part": lambda X: Stream(Subset(TensorDataset(torch.from_numpy(X)), range(len(X)))),
}  # fmt: skip
TABLES = {
    "pandas": pd.DataFrame,
    "pandas of names": lambda X: pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])]),
    "pandas, nullable": lambda X: pd.DataFrame(X).astype("Float64"),
    "pandas, integers": lambda X: pd.DataFrame(X).astype("Int64"),
    "polars": lambda X: pl.DataFrame(X, schema=[f"c{i}" for i in range(X.shape[1])]),
}


def valid_inputs(rng):
    """Fit on the same samples in another form; the codes must be the same."""
    data = pick(rng, ["vectors", "images", "signals"])
    X, model = draw_data(rng, data), small_model(rng, data)
    name = pick(rng, FORMS | (TABLES if data == "vectors" else {}))
    form = (FORMS | TABLES)[name](X)
    with quiet():
        expected = clone(model).fit(X).transform(X)
    outcome = check_contract(model, form)
    if not same_bits(model.transform(form), expected):
        raise Wrong(f"other codes of {name} of {data} by {model}")
    return f"{outcome} {name}"


EXTREMES = {
    "constant": lambda X, rng: np.full_like(X, pick(rng, [0, 1, -3, 1e30, 1e-40])),
    "one constant column": lambda X, rng: X * (np.arange(X.shape[-1]) > 0),
    "huge": lambda X, rng: X.astype(np.float64) * pick(rng, [1e30, 3e36, 1e100, 1e300]),
    "tiny": lambda X, rng: X.astype(np.float64) * pick(rng, [1e-30, 1e-38, 1e-44, 1e-300]),
    "times": lambda X, rng: X.astype(np.float64) + pick(rng, [1.7e9, 1.7e18, -1e12]),
    "scales": lambda X, rng: X * np.logspace(-20, 20, X.shape[-1]),
    "one outlier": lambda X, rng: np.where(np.arange(X.size).reshape(X.shape) == 5, 1e30, X),
    "equal rows": lambda X, rng: np.repeat(X[:1], len(X), axis=0),
    "two rows": lambda X, rng: X[:2],
    "one feature": lambda X, rng: X.reshape(len(X), -1)[:, :1],
    "bytes": lambda X, rng: X.astype(np.uint8),
    "small integers": lambda X, rng: X.astype(np.int8),
    "booleans": lambda X, rng: X > 50,
    "negative zeros": lambda X, rng: X * -0.0,
    "many features": lambda X, rng: np.tile(X.reshape(len(X), -1), 9)[:, :700],
}


def extreme_numbers(rng):
    """Fit on numbers of unusual sizes: finite codes, or an error that names X."""
    data = pick(rng, ["vectors", "images", "signals"])
    name = pick(rng, EXTREMES)
    X = EXTREMES[name](draw_data(rng, data), rng)
    if name in ("one feature", "many features"):
        data = "vectors"
    model = small_model(rng, data)
    try:
        return f"{check_contract(model, X, names=['X', 'samples'], take=take)} {name}"
    except Exception as error:
        raise Wrong(
            f"{name} of {data} {X.shape} to {model}: {type(error).__name__}: {error}"
        ) from error


# ---------------------------------------------------------------------------------------------
# Invalid samples and labels


def spoiled(value):
    """Return a function that puts a value at a random place."""

    def spoil(X, rng):
        X = X.astype(np.float64)
        X[tuple(rng.integers(side) for side in X.shape)] = value
        return X

    return spoil


def ragged(X, rng):
    """Return a list of samples of which one is shorter."""
    samples = [row.tolist() for row in X.reshape(len(X), -1)]
    samples[rng.integers(1, len(X))].append(1.0)
    return samples


INVALID = {
    "NaN": spoiled(np.nan),
    "infinity": spoiled(np.inf),
    "minus infinity": spoiled(-np.inf),
    "beyond float32": spoiled(1e39),
    "no rows": lambda X, rng: X[:0],
    "one row": lambda X, rng: X[:1],
    "no features": lambda X, rng: X.reshape(len(X), -1)[:, :0],
    "one axis": lambda X, rng: X.ravel(),
    "no axis": lambda X, rng: X.ravel()[0],
    "six axes": lambda X, rng: X.reshape(len(X), 1, 1, 1, 1, -1),
    "strings": lambda X, rng: np.full(X.shape, "word"),
    "words": lambda X, rng: np.full(X.shape, "word", dtype=object),
    "complex": lambda X, rng: X + 1j,
    "times": lambda X, rng: X.astype("datetime64[s]"),
    "structured": lambda X, rng: np.zeros(len(X), [("a", "f4"), ("b", "f4")]),
    "masked": lambda X, rng: np.ma.masked_greater(X, 50),
    "sparse": lambda X, rng: pick(rng, [sp.csr_matrix, sp.coo_array])(X.reshape(len(X), -1)),
    "sparse tensor": lambda X, rng: torch.from_numpy(X).to_sparse(),
    "meta tensor": lambda X, rng: torch.from_numpy(X).to("meta"),
    "complex tensor": lambda X, rng: torch.from_numpy(X).to(torch.complex64),
    "None": lambda X, rng: None,
    "None inside": lambda X, rng: [None, *X],
    "text": lambda X, rng: pick(rng, ["file.csv", b"bytes", Path("file.csv")]),
    "dict": lambda X, rng: {"X": X},
    "iterator": lambda X, rng: iter(X),
    "generator": lambda X, rng: (row for row in X),
    "number": lambda X, rng: pick(rng, [3, 0.5, True]),
    "object": lambda X, rng: pick(rng, [object(), print, np, datetime(2020, 1, 1)]),
    "deque": lambda X, rng: deque(["a", "b"]),
    "set": lambda X, rng: {1, 2, 3},
    "loader": lambda X, rng: DataLoader(TensorDataset(torch.from_numpy(X))),
    "ragged": ragged,
    "empty list": lambda X, rng: pick(rng, [[], [[]], [[], []]]),
    "names of two types": lambda X, rng: pd.DataFrame(np.ones((9, 2)), columns=["a", 1]),
    "frame of times": lambda X, rng: pd.DataFrame(np.full((9, 2), "NaT", "datetime64[s]")),
    "frame of words": lambda X, rng: pd.DataFrame({"a": ["x"] * 5, "b": range(5)}),
    "frame with gaps": lambda X, rng: pd.DataFrame({"a": [1, None, 3], "b": [1, 2, 3]}),
    "stream with NaN": lambda X, rng: Stream(spoiled(np.nan)(X, rng)),
    "stream of one": lambda X, rng: Stream(X[:1]),
    "stream of words": lambda X, rng: Stream(X.astype(str)),
    "stream of dicts": lambda X, rng: Stream([{"x": row} for row in X]),
    "ragged stream": lambda X, rng: Stream([*X, np.zeros(X.size + 1, np.float32)]),
}  # fmt: skip
# scikit-learn's texts name samples in several ways.
WORDS = (
    *("X", "Input", "array", "Sample", "samples?", "Sparse", "Complex", "dtype", "feature names"),
    *("could not convert string", "Feature names", "DataFrame", "item"),
)


def invalid_inputs(rng):
    """Fit on what is not valid."""
    data = pick(rng, ["vectors", "images", "signals"])
    X, model, name = draw_data(rng, data), small_model(rng, data), pick(rng, INVALID)
    invalid, y = INVALID[name](X, rng), None
    if rng.random() < 0.2:
        model, y = DeepInfoMaxClassifier(model, random_state=0), draw_labels(rng, len(X))
    try:
        check_refused(lambda: model.fit(invalid, y), [*WORDS, "y"], model)
    except Wrong as wrong:
        raise Wrong(f"{name} of {data} to {model}: {wrong}") from wrong
    return f"refused {name}"


def later_inputs(rng):
    """Give a fitted model what is not valid; it must be as it was."""
    data = pick(rng, ["vectors", "images", "signals"])
    X, model, name = draw_data(rng, data), small_model(rng, data), pick(rng, INVALID)
    with quiet():
        model.fit(X)
        codes = model.transform(X)
    method = pick(rng, ["transform", "score", "encode", "read_samples"])
    # One sample can be encoded; in streams, words are not known before they are read.
    if name in ("one row", "stream of one") or (method == "score" and not hasattr(model, "score")):
        name, method = "NaN", "transform"
    more = {
        "more features": lambda X, rng: np.concatenate([X, X], axis=-1),
        "other shape": lambda X, rng: X.reshape(len(X), -1)[:, 1:] if X[0].size > 1 else X[:0],
    }
    name = name if rng.random() < 0.8 else pick(rng, more)
    invalid = (INVALID | more)[name](X, rng)
    try:
        check_refused(lambda: getattr(model, method)(invalid), WORDS)
    except Wrong as wrong:
        raise Wrong(f"{method} of {name} of {data} by {model}: {wrong}") from wrong
    if not same_bits(codes_of(model, X), codes):
        raise Wrong("the fitted model has changed")
    return f"refused {name}"


LABELS = {
    "too few": lambda y: y[1:],
    "too many": lambda y: np.concatenate([y, y]),
    "none": lambda y: None,
    "one class": lambda y: np.where(y > 0, -1, y),
    "unlabelled": lambda y: np.full_like(y, -1),
    "NaN": lambda y: np.where(y == 0, np.nan, y),
    "infinity": lambda y: np.where(y == 0, np.inf, y),
    "fractions": lambda y: y + 0.5,
    "two columns": lambda y: np.stack([y, y], axis=1),
    "wrapped": lambda y: y.astype(pick_unsigned(len(y))),
    "strings beside -1": lambda y: y.astype(str) if -1 in y else None,
    "mixed": lambda y: np.array(["a", *y[1:].tolist()], dtype=object),
    "sparse": lambda y: sp.csr_matrix(y),
    "masked": lambda y: np.ma.masked_equal(y, 0),
    "complex": lambda y: y + 1j,
    "text": lambda y: "labels",
    "number": lambda y: 3,
    "dict": lambda y: dict(enumerate(y)),
    "lists": lambda y: [[1, 2], *y.tolist()[1:]],
    "no labels": lambda y: [],
    "meta tensor": lambda y: torch.from_numpy(y).to("meta"),
    "None inside": lambda y: [None, *y.tolist()[1:]],
}


def pick_unsigned(n):
    """Return an unsigned type, by a number."""
    return (np.uint8, np.uint16, np.uint64)[n % 3]


def invalid_labels(rng):
    """Fit on labels that are not valid."""
    X = draw_data(rng, "vectors")
    y, name = draw_labels(rng, len(X)), pick(rng, LABELS)
    y[-1] = -1
    if len(np.unique(y)) < 3:
        y[:2] = [0, 1]
    model = pick(
        rng,
        [
            DeepInfoMaxClassifier(random_state=0),
            DeepInfoMaxTransformer(3, classifier_weight=0.5, max_epochs=1, random_state=0),
        ],
    )
    labels = LABELS[name](y)
    words = ["y", "labels?", "target", *WORDS]
    try:
        check_refused(lambda: model.fit(X, labels), words, unfitted=model)
    except Wrong as wrong:
        raise Wrong(f"{name} to {type(model).__name__}: {wrong}") from wrong
    return f"refused {name}"
