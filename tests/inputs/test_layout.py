"""What the samples of an array are is read off its shape, or said, or refused."""

import numpy as np
import pytest
import torch

from skdim.inputs import Layout, find_layout

FIRST, LAST = 1, -1


@pytest.mark.parametrize(
    ("shape", "sample", "channels_last"),
    [
        ((5, 13), (13,), False),
        ((5, 1), (1,), False),
        ((5, 8, 10), (1, 8, 10), False),
        ((5, 3, 8, 8), (3, 8, 8), False),
        ((5, 8, 8, 3), (3, 8, 8), True),
        ((5, 1, 8, 10), (1, 8, 10), False),
        ((5, 8, 10, 1), (1, 8, 10), True),
        ((5, 4, 9, 7), (4, 9, 7), False),
        ((5, 9, 7, 4), (4, 9, 7), True),
        # No axis is small: the odd one out beside two equal sides is the channels.
        ((5, 8, 8, 16), (16, 8, 8), True),
        ((5, 16, 8, 8), (16, 8, 8), False),
        ((5, 5, 32, 32), (5, 32, 32), False),
        # Both ends are small: likewise.
        ((5, 3, 4, 4), (3, 4, 4), False),
        ((5, 4, 4, 3), (3, 4, 4), True),
        # A small axis goes before two equal sides.
        ((5, 3, 3, 32), (3, 3, 32), False),
    ],
)
def test_layout_is_read_off_the_shape(shape, sample, channels_last):
    layout = find_layout(shape)

    assert layout == Layout(sample, channels_last)
    assert layout.given_shape == (shape[1:] if len(shape) != 3 else (1, *shape[1:]))
    assert layout.n_features == np.prod(shape[1:])
    assert layout.is_image == (len(shape) > 2)


AMBIGUOUS = [(3, 32, 3), (4, 4, 4), (2, 9, 3), (16, 16, 16), (8, 10, 16), (5, 6, 7)]


@pytest.mark.parametrize("sample", AMBIGUOUS, ids=str)
def test_ambiguous_images_are_refused_and_channel_axis_decides(sample):
    shape = (7, *sample)

    with pytest.raises(ValueError, match=r"channel_axis=1 .* or channel_axis=-1") as raised:
        find_layout(shape)
    assert str(sample) in str(raised.value)
    assert find_layout(shape, channel_axis=FIRST) == Layout(sample)
    assert find_layout(shape, channel_axis=LAST) == Layout((sample[2], *sample[:2]), True)


@pytest.mark.parametrize("shape", [(5, 3, 8, 8), (5, 8, 8, 3)])
def test_channel_axis_goes_before_inference(shape):
    assert find_layout(shape, channel_axis=FIRST) == Layout(shape[1:])
    assert find_layout(shape, channel_axis=LAST) == Layout((shape[3], *shape[1:3]), True)


@pytest.mark.parametrize(
    ("shape", "image_shape", "layout"),
    [
        ((5, 80), (8, 10), Layout((1, 8, 10))),
        ((5, 192), (3, 8, 8), Layout((3, 8, 8))),
        ((5, 192), [8, 8, 3], Layout((3, 8, 8), True)),
        ((5, 8, 10), (8, 10), Layout((1, 8, 10))),
        ((5, 8, 10), (1, 8, 10), Layout((1, 8, 10))),
        ((5, 8, 10), (8, 10, 1), Layout((1, 8, 10), True)),
        ((5, 8, 8, 3), (8, 8, 3), Layout((3, 8, 8), True)),
        ((5, 192), np.array([3, 8, 8]), Layout((3, 8, 8))),
    ],
)
def test_image_shape_says_what_rows_are(shape, image_shape, layout):
    assert find_layout(shape, image_shape) == layout


@pytest.mark.parametrize(
    ("shape", "image_shape", "text"),
    [
        ((5, 100), (8, 8), r"image_shape=\(8, 8\) has 64 pixels, but the rows of X have 100"),
        ((5, 8, 10), (10, 8), r"contradicts .* \(8, 10\)\. The order of the axes differs"),
        ((5, 3, 8, 8), (8, 8, 3), r"contradicts .* \(3, 8, 8\)\. The order of the axes differs"),
        ((5, 3, 8, 8), (3, 9, 9), r"contradicts the samples of X, which have shape \(3, 8, 8\)\.$"),
    ],
)
def test_contradicting_image_shape_is_refused(shape, image_shape, text):
    with pytest.raises(ValueError, match=text):
        find_layout(shape, image_shape)


@pytest.mark.parametrize("shape", [(5,), (5, 2, 3, 4, 5)])
def test_arrays_of_other_dimensions_are_refused(shape):
    with pytest.raises(ValueError, match=r"X has shape .* Expected \(n, features\)"):
        find_layout(shape)


@pytest.mark.parametrize("sample", [(8, 10), (1, 8, 10), (8, 10, 1)])
@pytest.mark.parametrize("fitted", [Layout((1, 8, 10)), Layout((1, 8, 10), True)])
def test_axis_of_a_single_grey_channel_may_come_and_go(fitted, sample):
    fitted.check_same(sample)


@pytest.mark.parametrize(
    ("fitted", "sample"),
    [
        (Layout((1, 8, 10)), (10, 8)),
        (Layout((3, 8, 8)), (8, 8, 3)),
        (Layout((3, 8, 8), True), (3, 8, 8)),
        (Layout((3, 8, 8)), (8, 8)),
    ],
)
def test_samples_of_another_shape_than_fitted_are_refused(fitted, sample):
    with pytest.raises(ValueError, match="was fitted on samples of shape") as raised:
        fitted.check_same(sample)
    assert str(sample) in str(raised.value)
    assert str(fitted.given_shape) in str(raised.value)


@pytest.mark.parametrize("n", [1, 4])
def test_rows_are_arranged_channels_first(n):
    images = np.random.default_rng(0).normal(size=(n, 3, 5, 7)).astype(np.float32)
    flat_first = torch.from_numpy(images.reshape(n, -1))
    flat_last = torch.from_numpy(np.moveaxis(images, 1, -1).reshape(n, -1))

    assert np.array_equal(Layout((3, 5, 7)).arrange(flat_first), images)
    assert np.array_equal(Layout((3, 5, 7), True).arrange(flat_last), images)
    assert np.array_equal(Layout((105,)).arrange(flat_first), images.reshape(n, -1))


@pytest.mark.parametrize("shape", [(20, 9, 128), (20, 128, 9)])
def test_samples_that_may_be_signals_are_refused_unless_the_image_shape_is_given(shape):
    with pytest.raises(ValueError, match=r"signals or narrow images.*encoder='kernels'"):
        find_layout(shape)
    assert find_layout(shape, image_shape=shape[1:]).shape == (1, *shape[1:])
    assert find_layout((20, 8, 32)).shape == (1, 8, 32)


def test_signals_of_more_channels_than_values_are_refused_unless_the_axis_is_given():
    with pytest.raises(ValueError, match=r"128 channels of 9 values.*channel_axis=1"):
        find_layout((20, 128, 9), signals=True)
    assert find_layout((20, 128, 9), channel_axis=1, signals=True).shape == (128, 9)
    assert find_layout((20, 128, 9), channel_axis=-1, signals=True).shape == (9, 128)
    assert find_layout((20, 9, 128), signals=True).shape == (9, 128)
