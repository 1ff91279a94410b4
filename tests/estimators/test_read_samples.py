"""Samples as the encoder is shown them."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from skdim import DeepInfoMaxTransformer
from skdim.inputs import Stream
from tests.inputs.datasets import Items, images


def fit(X, **kwargs):
    return DeepInfoMaxTransformer(4, max_epochs=1, view=None, random_state=0, **kwargs).fit(X)


def test_samples_come_in_the_layout_that_was_fitted():
    given = images(shape=(8, 10, 3), dtype=np.uint8)
    transformer = fit(given)
    expected = torch.from_numpy(np.moveaxis(given, -1, 1).copy())

    for X in (given, given.reshape(len(given), -1), Stream(Items(given))):
        assert torch.equal(transformer.read_samples(X), expected)
        assert torch.equal(transformer.read_samples(X, [3, 0, 3]), expected[[3, 0, 3]])
    assert transformer.read_samples(given).dtype == torch.uint8


def test_the_encoder_takes_them_as_they_are():
    X = images()
    transformer = fit(X)

    with torch.no_grad():
        code = transformer.encoder_(transformer.read_samples(X)).code

    assert np.allclose(code, transformer.transform(X), atol=1e-5)


def test_vectors_stay_vectors():
    X = images(shape=(6,))

    assert np.array_equal(fit(X).read_samples(X, [5]), X[[5]])


def test_other_samples_and_other_rows_are_refused():
    X = images()
    transformer = fit(X)

    with pytest.raises(ValueError, match="fitted on samples of shape"):
        transformer.read_samples(images(shape=(16, 4)))
    for row in (len(X), -len(X) - 1, 2**63):
        with pytest.raises(IndexError, match=r"rows has numbers from .* but X has 24 samples"):
            transformer.read_samples(X, [row])
    for rows in ([0.5], [None], [np.nan], "all", [[0, 1]], 3, [True], np.array([0], "M8[s]")):
        with pytest.raises(TypeError, match="rows must be a list of integers"):
            transformer.read_samples(X, rows)
    assert len(transformer.read_samples(X, [])) == 0
    with pytest.raises(NotFittedError):
        DeepInfoMaxTransformer().read_samples(X)
