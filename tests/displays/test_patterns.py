"""The display of patterns shows the filters of the first layer."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from skdim.displays import PatternsDisplay
from skdim.displays.patterns import find_filters
from skdim.encoders.patches import PatchLayer
from tests.displays.helpers import IMAGES, fitted


def test_patterns_of_patches_are_what_the_layer_multiplies_patches_by():
    layer = PatchLayer(3, 4, 6, 5, 0.1)
    layer.whiten.normal_(generator=torch.Generator().manual_seed(0))
    layer.filters.normal_(generator=torch.Generator().manual_seed(1))
    x = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    expected = conv2d(x, layer.whiten).flatten(1) @ layer.filters.T
    torch.testing.assert_close(conv2d(x, find_filters(layer)).flatten(1), expected)


def test_mirror_images_of_patterns_are_left_out():
    assert len(find_filters(PatchLayer(3, 4, 6, 10, 0.1, mirrored=True))) == 10


@pytest.mark.parametrize(
    ("encoder", "first"), [("patch_network", (1, 4, 4)), ("dcgan", (1, 4, 4)), ("auto", (1, 4, 4))]
)
def test_filters_of_each_kind_of_encoder_are_found(encoder, first, pyplot):
    display = PatternsDisplay.from_estimator(fitted(encoder=encoder), n_filters=7)
    assert display.filters.shape == (7, *first)
    assert len(display.images_) == 7


def test_zero_is_grey_and_the_largest_value_is_black_or_white(pyplot):
    filters = np.zeros((2, 1, 2, 2), np.float32)
    filters[0, 0, 0] = [-2, 1]
    display = PatternsDisplay(filters).plot()
    assert np.allclose(display.images_[0].get_array(), [[0, 0.75], [0.5, 0.5]])
    assert np.allclose(display.images_[1].get_array(), 0.5)


def test_three_channels_are_colours(pyplot):
    display = PatternsDisplay(np.ones((1, 3, 2, 2), np.float32)).plot()
    assert display.images_[0].get_array().shape == (2, 2, 3)


def test_encoders_without_filters_are_refused(pyplot):
    vectors = IMAGES.reshape(len(IMAGES), -1)
    with pytest.raises(ValueError, match="no layer of patches and no Conv2d"):
        PatternsDisplay.from_estimator(fitted(vectors))
    assert find_filters(nn.Linear(3, 2)) is None


@pytest.mark.parametrize("n_filters", [0, 2.5, None])
def test_a_number_of_filters_is_a_positive_integer(n_filters, pyplot):
    with pytest.raises(ValueError, match=r"n_filters=.*integer of at least 1"):
        PatternsDisplay.from_estimator(fitted(), n_filters=n_filters)


def test_filters_have_four_axes():
    with pytest.raises(ValueError, match="Expected"):
        PatternsDisplay(np.zeros((2, 3)))
