"""The display of what a view does shows images, and looks at them."""

import numpy as np
import pytest
import torch

from skdim.displays import LooksDisplay
from skdim.views import Augment
from tests.displays.helpers import IMAGES, fitted


def test_each_row_has_an_image_and_its_looks(pyplot):
    display = LooksDisplay.from_estimator(
        fitted(view=lambda x, generator: (x, -x)), IMAGES, queries=[3, 5], n_looks=3, random_state=0
    )
    assert np.array_equal(display.images, IMAGES[[3, 5], None])
    expected = np.stack([display.images, -display.images, display.images], axis=1)
    assert np.array_equal(display.looks, expected)
    assert display.images_.shape == (2, 4)
    low, high = expected.min(), expected.max()
    for place in np.ndindex(2, 4):
        value = IMAGES[[3, 5][place[0]]] * [1, 1, -1, 1][place[1]]
        assert np.allclose(display.images_[place].get_array(), (value - low) / (high - low))


def test_looks_are_those_of_the_view_by_the_seed(pyplot):
    view = Augment()
    dim = fitted(view=view)
    first, again, other = (
        LooksDisplay.from_estimator(dim, IMAGES, n_looks=2, random_state=seed).looks
        for seed in (0, np.int64(0), 1)
    )
    drawn = view(torch.tensor(IMAGES[:4, None]), torch.Generator().manual_seed(0))
    assert np.array_equal(first, torch.stack(drawn, dim=1).numpy())
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_bytes_that_a_view_brightens_are_clipped(pyplot):
    images = (IMAGES * 15).astype(np.uint8)
    display = LooksDisplay.from_estimator(
        fitted(images, view=lambda x, generator: (2 * x - 20.4,)), images, n_looks=1
    )
    expected = np.clip(2.0 * images[:4] - 20, 0, 255)
    assert display.looks.dtype == np.uint8
    assert np.array_equal(display.looks[:, 0, 0], expected)


def test_of_given_looks_it_shows_what_the_view_does_to_single_ones(pyplot):
    pairs = np.stack([IMAGES, IMAGES], axis=1)[:, :, None]
    display = LooksDisplay.from_estimator(fitted(pairs), IMAGES, n_looks=1, random_state=0)
    assert np.array_equal(display.looks[:, 0], display.images)


@pytest.mark.parametrize("n_looks", [0, 1.5, True, "2"])
def test_a_number_of_looks_is_a_positive_integer(n_looks, pyplot):
    with pytest.raises(ValueError, match=r"n_looks=.*integer of at least 1"):
        LooksDisplay.from_estimator(fitted(), IMAGES, n_looks=n_looks)


def test_vectors_are_refused(pyplot):
    vectors = IMAGES.reshape(len(IMAGES), -1)
    with pytest.raises(ValueError, match="LooksDisplay shows images"):
        LooksDisplay.from_estimator(fitted(vectors), vectors)


def test_signals_are_refused(pyplot):
    signals = np.random.default_rng(0).normal(size=(30, 2, 32))
    with pytest.raises(ValueError, match="LooksDisplay shows images"):
        LooksDisplay.from_estimator(fitted(signals, encoder="conv1d"), signals)
