"""Images beside their nearest and farthest in code space."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from skdim.displays import NeighborsDisplay
from tests.displays.helpers import IMAGES, LABELS, SIGNALS, fitted, refuse


@pytest.fixture(scope="module")
def transformer():
    return fitted()


def distances_of(codes, metric):
    """All distances, by their definitions, in a loop."""
    codes = codes.astype(np.float64)
    if metric == "euclidean":
        return np.array([[np.sqrt(((a - b) ** 2).sum()) for b in codes] for a in codes])
    of_one = [code / np.sqrt((code**2).sum()) for code in codes]
    return np.array([[1 - a @ b for b in of_one] for a in of_one])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_are_those_of_a_plain_loop(transformer, metric, pyplot):
    queries = [11, 3, 59]
    distances = distances_of(transformer.transform(IMAGES), metric)

    display = NeighborsDisplay.from_estimator(
        transformer, IMAGES, queries=queries, n_neighbors=4, metric=metric
    )

    for row, found, apart in zip(queries, display.indices, display.distances, strict=True):
        others = sorted((d, j) for j, d in enumerate(distances[row]) if j != row)
        expected = [(0.0, row), *others[:4], *others[-4:]]
        assert found.tolist() == [j for _, j in expected]
        assert apart == pytest.approx([d for d, _ in expected], abs=1e-5)


def test_metrics_differ_where_they_should(pyplot):
    codes = np.array([[1.0, 0.0], [9.0, 0.1], [0.9, 0.5], [0.0, 1.0], [-1.0, 0.0]])
    images = IMAGES[:5]

    found = {
        metric: NeighborsDisplay.from_codes(
            codes, images, queries=[0], n_neighbors=1, metric=metric
        ).indices.tolist()
        for metric in ("cosine", "euclidean")
    }

    assert found == {"cosine": [[0, 1, 4]], "euclidean": [[0, 2, 1]]}


def test_an_image_is_not_its_own_neighbour_even_beside_copies(pyplot):
    codes = np.array([[1.0], [1.0], [1.0], [2.0], [5.0]])

    display = NeighborsDisplay.from_codes(
        codes, IMAGES[:5], queries=[1], n_neighbors=2, metric="euclidean"
    )

    assert display.indices.tolist() == [[1, 0, 2, 3, 4]]
    assert display.distances.tolist() == [[0, 0, 0, 1, 4]]


def test_each_tile_shows_its_image(transformer, pyplot):
    display = NeighborsDisplay.from_estimator(transformer, IMAGES, queries=[5, 8], n_neighbors=2)

    assert display.images_.shape == (2, 5)
    for place, drawn in np.ndenumerate(display.images_):
        shown = drawn.get_array()
        assert shown.shape == (8, 8)
        # Digits hold numbers from 0 to 16.
        assert np.allclose(shown * 16, IMAGES[display.indices[place]])
        assert drawn.get_clim() == (0, 1)
        assert drawn.axes is display.ax_


def test_tiles_stand_in_the_order_of_distance(transformer, pyplot):
    display = NeighborsDisplay.from_estimator(transformer, IMAGES, queries=[5, 8], n_neighbors=2)
    extents = np.array([[tile.get_extent() for tile in row] for row in display.images_])

    assert (np.diff(extents[:, :, 0], axis=1) > 1).all()  # left to right, none overlaps
    assert (extents[0, :, 2] < extents[1, :, 3]).all()  # the second row below the first
    assert (np.diff(display.distances, axis=1) >= 0).all()


def test_labels_and_distances_stand_below(transformer, pyplot):
    display = NeighborsDisplay.from_estimator(
        transformer, IMAGES, LABELS, queries=[5], n_neighbors=1
    )
    texts = [text.get_text() for text in display.ax_.texts]

    near, far = display.indices[0, 1:]
    assert texts[0] == str(LABELS[5])
    assert texts[1] == f"{LABELS[near]} at {display.distances[0, 1]:.2g}"
    assert texts[2] == f"{LABELS[far]} at {display.distances[0, 2]:.2g}"
    assert texts[3:] == ["image", "nearest (cosine)", "farthest"]


def test_five_first_images_ask_by_default(transformer, pyplot):
    display = NeighborsDisplay.from_estimator(transformer, IMAGES)

    assert display.indices[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert display.indices.shape == (5, 11)


def test_colour_images_keep_their_colours(pyplot):
    first = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 7)).astype(np.uint8)
    codes = np.arange(6.0)[:, None]
    last = np.moveaxis(first, 1, -1)

    shown = [
        NeighborsDisplay.from_codes(
            codes, images, queries=[2], n_neighbors=1, metric="euclidean", channel_axis=axis
        )
        .images_[0, 2]
        .get_array()
        for images, axis in ((first, None), (last, None), (first, 1), (last, -1))
    ]

    for picture in shown:
        assert np.allclose(picture, last[5] / 255)


def test_plotting_again_encodes_nothing(transformer, pyplot, monkeypatch):
    display = NeighborsDisplay.from_estimator(transformer, IMAGES, queries=[5])
    before = display.indices.copy()
    monkeypatch.setattr("skdim.displays.neighbors.pairwise_distances", refuse)
    monkeypatch.setattr(type(transformer), "transform", refuse)
    _, ax = pyplot.subplots()

    assert display.plot(ax=ax, cmap="gray_r") is display

    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.images_[0, 0].get_cmap().name == "gray_r"
    assert np.array_equal(display.indices, before)


def test_other_transformers_bring_codes(pyplot):
    pca = PCA(3).fit(IMAGES.reshape(60, -1))

    with pytest.raises(ValueError, match=r"Got PCA\. Or use from_codes\."):
        NeighborsDisplay.from_estimator(pca, IMAGES.reshape(60, -1))

    codes = pca.transform(IMAGES.reshape(60, -1))
    assert NeighborsDisplay.from_codes(codes, IMAGES).images.shape == (5, 11, 1, 8, 8)


ROWS = np.random.default_rng(0).normal(size=(30, 5)) * [1, 10, 100, 0, 1] + [0, 5, 0, 7, 0]


def test_rows_of_a_table_are_drawn_as_a_bar_for_each_column(pyplot):
    display = NeighborsDisplay.from_estimator(fitted(ROWS), ROWS, queries=[5, 8], n_neighbors=2)

    np.testing.assert_allclose(display.images, ROWS[display.indices], rtol=1e-6)
    low, high = ROWS[display.indices].min(axis=(0, 1)), ROWS[display.indices].max(axis=(0, 1))
    for place, bars in np.ndenumerate(display.images_):
        # Each column from its minimum to its maximum over what is shown; a constant one is empty.
        expected = (ROWS[display.indices[place]] - low) / np.where(high > low, high - low, 1)
        heights = [-bar.get_height() / 0.6 for bar in bars]
        np.testing.assert_allclose(heights, expected, atol=1e-6)
        edges = np.array([(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars])
        assert edges[-1, 1] - edges[0, 0] <= 1
        assert (edges[1:, 0] >= edges[:-1, 1] - 1e-9).all()
        assert {bar.get_y() for bar in bars} == {bars[0].get_y()}
        assert {bar.get_facecolor() for bar in bars} == {display.images_[0, 0][0].get_facecolor()}
    assert display.ax_.texts[-3].get_text() == "row"


def test_rows_of_other_codes_are_drawn_too(pyplot):
    codes = np.arange(30.0)[:, None]
    display = NeighborsDisplay.from_codes(
        codes, ROWS, queries=[2], n_neighbors=1, metric="euclidean", color="red"
    )

    assert np.array_equal(display.images, ROWS[[[2, 1, 29]]])
    assert display.images_[0, 0][0].get_facecolor() == (1.0, 0.0, 0.0, 1.0)


def shares_of(signals):
    """Each channel between its extremes over all signals (..., C, L)."""
    values = np.moveaxis(signals.astype(np.float64), -2, 0)
    low, high = (f(values.reshape(len(values), -1), axis=1) for f in (np.min, np.max))
    ends = (slice(None), *[None] * (values.ndim - 1))
    return np.moveaxis((values - low[ends]) / (high - low)[ends], 0, -2)


def test_signals_are_drawn_as_curves_one_per_channel(pyplot):
    transformer = fitted(SIGNALS, encoder="conv1d")

    display = NeighborsDisplay.from_estimator(transformer, SIGNALS, queries=[5, 8], n_neighbors=2)

    assert np.array_equal(display.images, SIGNALS[display.indices])
    shares = shares_of(display.images)
    for place, lines in np.ndenumerate(display.images_):
        assert len(lines) == 2
        for line, share in zip(lines, shares[place], strict=True):
            x, y = line.get_data()
            # Time runs evenly through a tile of width 1, large values are above small ones.
            np.testing.assert_allclose(np.diff(x), 1 / 32, atol=1e-9)
            heights = (y.min() + y.max()) / 2 - y
            expected = 0.6 * (share - (share.min() + share.max()) / 2)
            np.testing.assert_allclose(heights, expected, atol=1e-9)
            assert line.axes is display.ax_
    (x0, x1), (y1, y0) = display.ax_.get_xlim(), display.ax_.get_ylim()
    for lines in display.images_.ravel():
        for line in lines:
            assert x0 < line.get_xdata().min() < line.get_xdata().max() < x1
            assert y0 < line.get_ydata().min() <= line.get_ydata().max() < y1
    assert display.images_[0, 0][0].get_color() != display.images_[0, 0][1].get_color()
    assert display.ax_.texts[-3].get_text() == "signal"


def test_signals_of_other_codes_are_drawn_in_any_layout(pyplot):
    codes = np.arange(30.0)[:, None]
    settings = {"queries": [2], "n_neighbors": 1, "metric": "euclidean", "signals": True}

    first = NeighborsDisplay.from_codes(codes, SIGNALS, **settings)
    last = NeighborsDisplay.from_codes(
        codes, SIGNALS.swapaxes(1, 2), channel_axis=-1, color="red", **settings
    )
    plain = NeighborsDisplay.from_codes(codes, SIGNALS[:, 0], **settings)

    assert np.array_equal(first.images, SIGNALS[[[2, 1, 29]]])
    assert np.array_equal(last.images, first.images)
    assert last.images_[0, 0][1].get_color() == "red"
    assert np.array_equal(plain.images, first.images[:, :, :1])


def test_constant_signals_are_drawn(pyplot):
    codes = np.arange(5.0)[:, None]
    display = NeighborsDisplay.from_codes(
        codes, np.ones((5, 1, 9)), n_neighbors=1, metric="euclidean", signals=True
    )

    assert np.isfinite(display.images_[0, 0][0].get_ydata()).all()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"metric": "hamming"}, "Allowed are cosine and euclidean"),
        ({"n_neighbors": 0}, "at least 1, and at most 29"),
        ({"n_neighbors": 30}, "at least 1, and at most 29"),
        ({"queries": [60]}, "from 0 to 59"),
        ({"y": [0, 1]}, "Give one label each"),
    ],
)
def test_bad_parameters_are_refused(transformer, kwargs, message, pyplot):
    with pytest.raises(ValueError, match=message):
        NeighborsDisplay.from_estimator(transformer, IMAGES, **kwargs)


def test_images_that_are_not_those_of_the_codes_are_refused(pyplot):
    with pytest.raises(ValueError, match="One image is needed for each code"):
        NeighborsDisplay.from_codes(np.zeros((5, 2)), IMAGES)


def test_codes_may_be_a_table_or_tensors_with_gradients(pyplot):
    plain = fitted()
    table = fitted().set_output(transform="pandas")
    codes = torch.tensor(plain.transform(IMAGES), requires_grad=True)

    expected = NeighborsDisplay.from_estimator(plain, IMAGES).indices
    found = [
        NeighborsDisplay.from_estimator(table, IMAGES).indices,
        NeighborsDisplay.from_codes(codes, IMAGES).indices,
    ]

    for indices in found:
        np.testing.assert_array_equal(indices, expected)
