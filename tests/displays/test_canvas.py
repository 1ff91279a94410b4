"""Samples as pictures, tiles in one axes, and what is said where matplotlib is missing."""

import sys

import numpy as np
import pytest

import skdim
from skdim.displays import (
    EmbeddingDisplay,
    InformationMapDisplay,
    LabelEfficiencyDisplay,
    LooksDisplay,
    NeighborsDisplay,
    TermsDisplay,
)
from skdim.displays.canvas import AbstractDisplay, Tiles, as_pictures, check_rows, read_samples
from skdim.inputs import Stream
from tests.displays.helpers import IMAGES, fitted
from tests.inputs.datasets import Items


def colours(n=12, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 3, 8, 10)).astype(np.uint8)


def test_bytes_are_divided_by_255():
    images = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1)

    assert as_pictures(images).ravel() == pytest.approx([0, 0.2, 1])


def test_floats_from_0_to_1_are_taken_as_they_are():
    images = np.array([0.25, 0.5]).reshape(2, 1, 1, 1)

    assert as_pictures(images).ravel().tolist() == [0.25, 0.5]


def test_other_numbers_are_stretched_together():
    images = np.array([-1.0, 0.0, 3.0]).reshape(3, 1, 1, 1)

    assert as_pictures(images).ravel().tolist() == [0.0, 0.25, 1.0]


def test_constant_images_are_drawn():
    assert np.isfinite(as_pictures(np.full((2, 1, 4, 4), 7.0))).all()


@pytest.mark.parametrize(
    ("channels", "shape"),
    [(1, (5, 4)), (2, (5, 4)), (3, (5, 4, 3)), (4, (5, 4, 4)), (7, (5, 4))],
)
def test_channels_become_what_matplotlib_draws(channels, shape):
    images = np.random.default_rng(0).random((2, channels, 5, 4))

    assert as_pictures(images).shape == (2, *shape)


def test_channels_are_not_mixed_up():
    images = np.random.default_rng(0).random((2, 3, 5, 4))

    assert as_pictures(images)[1, 2, 3].tolist() == images[1, :, 2, 3].tolist()


def test_layouts_of_the_same_images_are_read_alike():
    """Channels first or last, flat or not, from an array or from a stream."""
    first = colours()
    last = np.ascontiguousarray(np.moveaxis(first, 1, -1))
    rows = np.array([7, 0, 7])
    given = [
        (fitted(first), first),
        (fitted(last), last),
        (fitted(last), last.reshape(len(last), -1)),
        (fitted(last.reshape(len(last), -1), image_shape=(8, 10, 3)), last),
        (fitted(first), Stream(Items(first))),
    ]

    for transformer, X in given:
        assert np.array_equal(read_samples(transformer, X, rows, LooksDisplay), first[rows])


def test_vectors_are_no_images():
    transformer = fitted(IMAGES.reshape(60, -1))

    with pytest.raises(ValueError, match=r"was fitted on vectors.*image_shape"):
        read_samples(transformer, IMAGES.reshape(60, -1), np.arange(2), LooksDisplay, kinds=[4])


@pytest.mark.parametrize("queries", [[-1], [5], [], [0.5], [[1]], [True, False], "all"])
def test_queries_must_be_rows(queries):
    with pytest.raises(ValueError, match="must be a list of row numbers of X, from 0 to 4"):
        check_rows(queries, 5, 3)


def test_no_queries_are_the_first():
    assert check_rows(None, 5, 3).tolist() == [0, 1, 2]
    assert check_rows(None, 2, 3).tolist() == [0, 1]


def test_tiles_do_not_overlap_and_fit_the_axes(pyplot):
    _, ax = pyplot.subplots()
    tiles = Tiles(ax, 2, 3, 1.5, below=0.2, above=0.1, gaps=(1,))
    boxes = [
        tiles.show(np.zeros((3, 2)), row, column).get_extent()
        for row in range(2)
        for column in range(3)
    ]

    for i, (left, right, bottom, top) in enumerate(boxes):
        assert (right - left, bottom - top) == pytest.approx((1, 1.5))
        apart = [
            right <= other[0] or other[1] <= left or bottom <= other[3] or other[2] <= top
            for other in boxes[i + 1 :]
        ]
        assert all(apart)
    assert ax.get_xlim() == pytest.approx((0, max(box[1] for box in boxes)))
    assert ax.get_ylim() == pytest.approx((max(box[2] for box in boxes) + 0.2, -0.1))
    assert ax.get_aspect() == 1


@pytest.mark.parametrize(
    "draw",
    [
        lambda: TermsDisplay({"a": [1.0]}).plot(),
        lambda: TermsDisplay.from_estimator(None),
        lambda: NeighborsDisplay.from_estimator(None, None),
        lambda: NeighborsDisplay.from_codes(None, None),
        lambda: EmbeddingDisplay(np.zeros((3, 2))).plot(),
        lambda: EmbeddingDisplay.from_estimator(None, None),
        lambda: InformationMapDisplay(np.zeros((1, 1, 2, 2)), np.zeros((1, 2, 2))).plot(),
        lambda: InformationMapDisplay.from_estimator(None, None),
    ],
)
def test_missing_matplotlib_is_said_before_anything_is_computed(draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(ImportError, match=r"Display draws with matplotlib.*\[plot\]"):
        draw()


def test_a_display_says_what_it_holds_and_no_address(pyplot):
    displays = [
        TermsDisplay({"local": [1.0, 2.0], "spread": [0.5, 0.4]}),
        EmbeddingDisplay(np.zeros((3, 2)), ["a", "b", "a"]),
        LabelEfficiencyDisplay([10, 20], {"code": [[0.5, 0.6]]}),
    ]
    assert list(map(repr, displays)) == [
        "TermsDisplay(curves=<local, spread>, best_epoch=None)",
        "EmbeddingDisplay(points=<array of shape (3, 2)>, labels=<array of shape (3,)>, "
        "axis_names=('', ''))",
        "LabelEfficiencyDisplay(counts=<array of shape (2,)>, accuracies=<code>)",
    ]
    for name in skdim.displays.__all__:
        assert issubclass(getattr(skdim.displays, name), AbstractDisplay)
