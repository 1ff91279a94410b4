"""Where in an image the information of its code sits."""

import numpy as np
import pytest
import torch
from torch import nn

from skdim.critics import AbstractCritic
from skdim.displays import InformationMapDisplay
from skdim.encoders import Features
from skdim.objectives import find_local_term, pointwise_information
from tests.displays.helpers import IMAGES, SIGNALS, fitted, refuse

BRIGHT = 5.0


class Pixels(nn.Module):
    """An encoder that does nothing: the local map is made of blocks of 2x4 pixels."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        local = torch.nn.functional.max_pool2d(x, (2, 4)) + self.weight
        code = local.flatten(1)[:, :4]
        return Features(local, local, local.flatten(1), code)


class Brightness(AbstractCritic):
    """A made-up critic: a location scores what is there, whatever the code."""

    def __init__(self, code_features, local_features):
        super().__init__()

    def project_code(self, code):
        return torch.ones(len(code), 1, 1)

    def project_local(self, local):
        return local.flatten(2).movedim(1, 2)

    def join(self, code, local):
        return code @ local.mT


@pytest.fixture(scope="module")
def transformer():
    return fitted()


@pytest.fixture(scope="module")
def lit():
    """Images of 8x12 pixels, dark but for one point each, and a transformer that sees it."""
    images = np.zeros((6, 8, 12), np.float32)
    points = [(0, 0), (7, 11), (2, 5), (5, 8), (3, 0), (0, 7)]
    for image, point in zip(images, points, strict=True):
        image[point] = BRIGHT
    # Pixels stay as they are: no learning to speak of, and the encoder's weight is 0.
    transformer = fitted(
        images, encoder=Pixels(), critic=Brightness, learning_rate=1e-12, batch_size=6
    )
    return transformer, images, points


def test_the_cell_over_the_bright_point_lights_up(lit, pyplot):
    transformer, images, points = lit

    display = InformationMapDisplay.from_estimator(transformer, images)

    assert display.maps.shape == (6, 4, 3)
    for (row, column), drawn, below in zip(points, display.maps_, display.images_, strict=True):
        left, right, bottom, top = drawn.get_extent()
        cells = np.asarray(drawn.get_array())
        n_rows, n_columns = cells.shape
        cell = np.unravel_index(cells.argmax(), cells.shape)
        # Where the pixel lies, as a share of the picture, and what cell is drawn there.
        x, y = (column + 0.5) / 12, (row + 0.5) / 8
        assert cell == (int(y * n_rows), int(x * n_columns))
        assert (cells == cells.max()).sum() == 1
        # The map covers its picture: same width, same height, the first row on top.
        assert (right - left, bottom - top) == pytest.approx((1, 8 / 12))
        assert drawn.origin == "upper"
        assert [left, right] == list(below.get_extent()[:2])


def test_values_are_scores_less_those_of_the_others(lit, pyplot):
    transformer, images, _ = lit
    bright = BRIGHT - images.mean()
    scale = images.std()

    display = InformationMapDisplay.from_estimator(transformer, images, queries=[2])

    # All others alike: one bright location of twelve.
    others = np.log((np.exp(bright / scale) + 11 * np.exp(-images.mean() / scale)) / 12)
    expected = np.full(12, -images.mean() / scale - others)
    expected[display.maps[0].argmax()] = bright / scale - others
    assert display.maps[0].ravel() == pytest.approx(expected, rel=1e-4)


def test_maps_lie_over_the_second_row_of_the_same_images(lit, pyplot):
    transformer, images, _ = lit

    display = InformationMapDisplay.from_estimator(transformer, images, queries=[3, 1])

    ground = [
        image
        for image in display.ax_.images
        if image not in display.images_ and image not in display.maps_
    ]
    for above, below, drawn, row in zip(
        display.images_, ground, display.maps_, (3, 1), strict=True
    ):
        assert np.allclose(above.get_array() * BRIGHT, images[row])
        assert np.array_equal(np.asarray(below.get_array()) > 0.5, images[row] > 0)
        assert below.get_extent() == drawn.get_extent()
        assert above.get_extent()[2] < drawn.get_extent()[3]
    assert display.indices.tolist() == [3, 1]


def test_one_scale_for_all_maps(lit, pyplot):
    transformer, images, _ = lit

    display = InformationMapDisplay.from_estimator(transformer, images)

    limits = {drawn.get_clim() for drawn in display.maps_}
    assert limits == {(display.maps.min(), display.maps.max())}
    assert display.colorbar_.ax.get_ylabel() == "information (nats)"


def test_maps_are_the_pointwise_information_of_the_trained_critic(transformer, pyplot):
    queries, n_others = [7, 30, 7], 20
    chosen = [7, 30, *[i for i in range(22) if i not in (7, 30)][:20]]
    features = transformer.encoder_(transformer.read_samples(IMAGES, chosen))
    term = find_local_term(transformer.net_.criterion_)
    expected = pointwise_information(term, features.code, features.local, [0, 1, 0])

    display = InformationMapDisplay.from_estimator(
        transformer, IMAGES, queries=queries, n_others=n_others
    )

    assert np.allclose(display.maps, expected, atol=1e-4)
    assert np.array_equal(display.images[:, 0], IMAGES[queries])


def test_all_images_may_be_shown(transformer, pyplot):
    display = InformationMapDisplay.from_estimator(transformer, IMAGES[:2])

    assert len(display.maps) == 2


def test_plotting_again_asks_no_critic(transformer, pyplot, monkeypatch):
    display = InformationMapDisplay.from_estimator(transformer, IMAGES, queries=[0, 1])
    before = display.maps.copy()
    monkeypatch.setattr("skdim.displays.information_map.pointwise_information", refuse)
    _, ax = pyplot.subplots()

    assert display.plot(ax=ax, cmap="magma", alpha=0.5, vmin=0, colorbar=False) is display

    assert display.ax_ is ax
    assert display.colorbar_ is None
    assert display.maps_[0].get_cmap().name == "magma"
    assert display.maps_[1].get_clim() == (0, before.max())
    assert np.array_equal(display.maps, before)


def test_vectors_have_no_map(pyplot):
    rows = IMAGES.reshape(60, -1)

    with pytest.raises(ValueError, match=r"InformationMapDisplay shows images.*image_shape"):
        InformationMapDisplay.from_estimator(fitted(rows), rows)
    with pytest.raises(ValueError, match=r"InformationMapDisplay shows images.*image_shape"):
        InformationMapDisplay.from_estimator(fitted(rows, max_epochs="auto"), rows)


def test_the_closed_form_has_no_map_and_the_way_to_one_is_named(pyplot):
    closed = fitted(max_epochs="auto")

    with pytest.raises(ValueError, match=r"local_weight above 0 and max_epochs of 1 or more"):
        InformationMapDisplay.from_estimator(closed, IMAGES)


class Parts(Pixels):
    """The same of signals: the local map is made of parts of four values."""

    takes_signals = True

    def forward(self, x):
        local = torch.nn.functional.max_pool1d(x, 4) + self.weight
        return Features(local, local, local.flatten(1), local.flatten(1)[:, :4])


def test_the_part_of_the_time_with_a_pulse_lights_up(pyplot):
    signals, times = np.zeros((6, 1, 24), np.float32), [0, 23, 5, 9, 12, 16]
    signals[np.arange(6), 0, times] = BRIGHT
    transformer = fitted(
        signals, encoder=Parts(), critic=Brightness, learning_rate=1e-12, batch_size=6
    )

    display = InformationMapDisplay.from_estimator(transformer, signals)

    assert display.maps.shape == (6, 6)
    drawn = zip(times, display.maps_, display.images_, strict=True)
    for time, strip, (line,) in drawn:
        left, right, bottom, top = strip.get_extent()
        cells = np.asarray(strip.get_array())
        assert cells.shape == (1, 6)
        assert cells.argmax() == time // 4
        # The pulse stands above the middle of its quarter of the lit cell.
        x, y = line.get_data()
        assert x[y.argmin()] == pytest.approx(left + (time + 0.5) / 24 * (right - left))
        assert y.max() < top < bottom
    assert len(display.ax_.images) == 6


def test_maps_of_signals_are_the_pointwise_information(pyplot):
    transformer = fitted(SIGNALS, encoder="conv1d")
    features = transformer.encoder_(transformer.read_samples(SIGNALS))
    term = find_local_term(transformer.net_.criterion_)
    expected = pointwise_information(term, features.code, features.local, [7, 2])

    display = InformationMapDisplay.from_estimator(transformer, SIGNALS, queries=[7, 2])

    assert np.allclose(display.maps, expected, atol=1e-4)
    assert np.array_equal(display.images, SIGNALS[[7, 2]])


def test_local_term_must_have_been_trained(pyplot):
    transformer = fitted(local_weight=0.0, global_weight=1.0)

    with pytest.raises(ValueError, match="local_weight above 0"):
        InformationMapDisplay.from_estimator(transformer, IMAGES)


def test_one_image_alone_tells_nothing(transformer, pyplot):
    with pytest.raises(ValueError, match=r"got 1 sample.*at least one more is needed"):
        InformationMapDisplay.from_estimator(transformer, IMAGES[:1])


def test_maps_must_be_those_of_the_images():
    for images, maps in (((2, 1, 4, 4), (3, 2, 2)), ((2, 1, 4), (2, 2, 2))):
        with pytest.raises(ValueError, match=r"\(n, h, w\) are needed, or for signals"):
            InformationMapDisplay(np.zeros(images), np.zeros(maps))
