"""Codes in the plane, coloured by label."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim.displays import EmbeddingDisplay
from tests.displays.helpers import IMAGES, LABELS, fitted, refuse

CODES = np.random.default_rng(0).normal(size=(60, 5)) * [9, 1, 5, 1, 1]


def positions(display):
    """All points that are drawn, class by class."""
    return np.concatenate([np.asarray(points.get_offsets()) for points in display.points_])


@pytest.fixture(scope="module")
def transformer():
    return fitted()


def test_points_are_the_principal_components_of_the_codes(transformer, pyplot):
    codes = transformer.transform(IMAGES)

    display = EmbeddingDisplay.from_estimator(transformer, IMAGES)

    expected = PCA(2).fit_transform(codes)
    assert np.allclose(positions(display), expected, atol=1e-4)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("PCA 1", "PCA 2")
    assert display.legend_ is None


def test_each_class_has_its_points_a_colour_and_a_marker(pyplot):
    display = EmbeddingDisplay.from_codes(CODES, LABELS)

    points = PCA(2).fit_transform(CODES)
    looks = set()
    for digit, drawn in enumerate(display.points_):
        assert drawn.get_label() == str(digit)
        assert np.allclose(drawn.get_offsets(), points[np.equal(LABELS, digit)])
        colour = tuple(drawn.get_facecolor()[0])
        looks.add((colour, drawn.get_paths()[0].vertices.tobytes()))
        assert len(drawn.get_facecolor()) == 1
    assert len({colour for colour, _ in looks}) == 10
    assert len({marker for _, marker in looks}) == 10


def test_names_stand_at_the_medians(pyplot):
    points = np.array([[0.0, 0.0], [1.0, 2.0], [50.0, 3.0], [7.0, 7.0]])

    display = EmbeddingDisplay(points, ["cat", "cat", "cat", "dog"]).plot()

    places = {text.get_text(): text.get_position() for text in display.texts_}
    assert places == {"cat": (1.0, 2.0), "dog": (7.0, 7.0)}
    assert [text.get_text() for text in display.legend_.get_texts()] == ["cat", "dog"]


def test_thirty_classes_look_different(pyplot):
    labels = np.arange(60) % 30

    display = EmbeddingDisplay.from_codes(CODES, labels)
    looks = {
        (tuple(p.get_facecolor()[0]), p.get_paths()[0].vertices.tobytes()) for p in display.points_
    }

    assert len(looks) == 30


def test_two_components_are_drawn_as_they_are(pyplot):
    display = EmbeddingDisplay.from_codes(CODES[:, :2])

    assert np.array_equal(positions(display), CODES[:, :2])
    assert display.ax_.get_xlabel() == "component 0"


def test_chosen_components(pyplot):
    display = EmbeddingDisplay.from_codes(CODES, reducer=(3, 0))

    assert np.array_equal(positions(display), CODES[:, [3, 0]])
    assert display.ax_.get_ylabel() == "component 0"


def test_any_reducer_is_fitted_as_a_copy(pyplot):
    tsne = TSNE(2, perplexity=5, random_state=0, max_iter=250)

    display = EmbeddingDisplay.from_codes(CODES, reducer=tsne)

    assert not hasattr(tsne, "embedding_")
    assert display.points.shape == (60, 2)
    assert display.ax_.get_xlabel() == "TSNE 1"


def test_a_pipeline_will_do(pyplot):
    pipe = make_pipeline(StandardScaler(), PCA(4)).fit(CODES)

    assert len(positions(EmbeddingDisplay.from_estimator(pipe, CODES))) == 60


def test_plotting_again_reduces_nothing(transformer, pyplot, monkeypatch):
    display = EmbeddingDisplay.from_estimator(transformer, IMAGES, LABELS)
    before = positions(display)
    monkeypatch.setattr("skdim.displays.embedding.PCA", refuse)
    monkeypatch.setattr(type(transformer), "transform", refuse)
    _, ax = pyplot.subplots()

    assert display.plot(ax=ax, cmap="viridis", legend=False, names=False, s=99) is display

    assert display.ax_ is ax
    assert (display.legend_, display.texts_) == (None, [])
    assert display.points_[0].get_sizes().tolist() == [99]
    assert np.array_equal(positions(display), before)


@pytest.mark.usefixtures("global_random_state_untouched")
def test_wide_codes_draw_from_no_global_generator(pyplot):
    codes = np.random.default_rng(0).normal(size=(60, 700))

    one, other = (EmbeddingDisplay.from_codes(codes).points for _ in range(2))

    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("codes", "kwargs", "message"),
    [
        (CODES, {"reducer": (0, 5)}, "two component numbers from 0 to 4"),
        (CODES, {"reducer": (0,)}, "two component numbers from 0 to 4"),
        (CODES, {"reducer": 3}, "must be 'pca', .* two component numbers .* or have fit_transform"),
        (CODES, {"reducer": PCA(3)}, r"returned points of shape \(60, 3\)"),
        (CODES, {"y": LABELS[:5]}, "Give one label each"),
        (CODES, {"y": np.arange(60)}, "60 different labels, and at most 30"),
        (CODES[:, :1], {}, "at least two components"),
    ],
)
def test_bad_parameters_are_refused(codes, kwargs, message, pyplot):
    with pytest.raises(ValueError, match=message):
        EmbeddingDisplay.from_codes(codes, **kwargs)


def test_points_must_lie_in_the_plane():
    with pytest.raises(ValueError, match=r"\(n, 2\) is needed"):
        EmbeddingDisplay(np.zeros((3, 3)))


def test_rows_without_a_label_are_light_grey_behind_the_others(pyplot):
    labels = np.where(np.arange(60) % 3, -1, np.arange(60) % 2)
    display = EmbeddingDisplay.from_codes(CODES, labels)
    behind, *others = display.points_
    assert len(behind.get_offsets()) == 40
    assert np.allclose(behind.get_facecolor()[0, :3], 0xD3 / 255)
    assert all(behind.get_zorder() < drawn.get_zorder() for drawn in others)
    assert [text.get_text() for text in display.texts_] == ["0", "1"]
    assert [text.get_text() for text in display.legend_.get_texts()] == ["no label", "0", "1"]


def test_minus_one_beside_names_has_no_label_either(pyplot):
    labels = np.array([-1, "cat", "dog"] * 20, dtype=object)
    display = EmbeddingDisplay.from_codes(CODES, labels)
    assert [len(drawn.get_offsets()) for drawn in display.points_] == [20, 20, 20]
    assert [text.get_text() for text in display.texts_] == ["cat", "dog"]


def test_numbers_have_a_colour_bar(pyplot):
    numbers = np.linspace(-1, 1, 60)
    numbers[:5] = np.nan
    display = EmbeddingDisplay.from_codes(CODES, numbers)
    assert np.allclose(display.points_[-1].get_array(), numbers[5:])
    assert len(display.points_[0].get_offsets()) == 5
    assert display.colorbar_ is not None
    assert display.legend_ is None


@pytest.mark.parametrize(("word", "name"), [("pca", "PCA"), ("tsne", "TSNE")])
def test_a_reducer_may_be_given_by_its_name(word, name, pyplot):
    display = EmbeddingDisplay.from_codes(CODES, reducer=word)
    expected = {"PCA": PCA, "TSNE": TSNE}[name](2, random_state=0).fit_transform(CODES)
    assert np.allclose(display.points, expected)
    assert display.axis_names == (f"{name} 1", f"{name} 2")


def test_umap_is_taken_where_it_is_installed(pyplot, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match="pip install umap-learn"):
        EmbeddingDisplay.from_codes(CODES, reducer="umap")

    class UMAP(PCA):
        pass

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    assert EmbeddingDisplay.from_codes(CODES, reducer="umap").axis_names == ("UMAP 1", "UMAP 2")


def test_other_names_of_reducers_are_refused(pyplot):
    with pytest.raises(ValueError, match=r"reducer='lle'.*pca, tsne and umap"):
        EmbeddingDisplay.from_codes(CODES, reducer="lle")


def test_thumbnails_are_images_at_their_points_that_do_not_overlap(transformer, pyplot):
    display = EmbeddingDisplay.from_estimator(transformer, IMAGES, n_thumbnails=8)
    assert 1 < len(display.thumbnails_) <= 8
    boxes = [drawn.get_extent() for drawn in display.thumbnails_]
    centres = np.array([[(left + right) / 2, (low + high) / 2] for left, right, low, high in boxes])
    for centre, drawn in zip(centres, display.thumbnails_, strict=True):
        row = np.abs(display.points - centre).sum(axis=1).argmin()
        assert np.allclose(display.points[row], centre)
        assert np.allclose(drawn.get_array(), (IMAGES / 16)[row])
    apart = np.abs(centres[:, None] - centres) / np.ptp(display.points, axis=0)
    assert np.all((apart.max(axis=2) > 0.07) | np.eye(len(centres), dtype=bool))


def test_thumbnails_need_images(pyplot):
    vectors = IMAGES.reshape(60, -1)
    with pytest.raises(ValueError, match="EmbeddingDisplay shows images"):
        EmbeddingDisplay.from_estimator(fitted(vectors), vectors, n_thumbnails=3)
    with pytest.raises(ValueError, match="n_thumbnails=-1"):
        EmbeddingDisplay.from_estimator(fitted(), IMAGES, n_thumbnails=-1)


@pytest.mark.parametrize(
    "missing", [np.nan, None, pd.NA, -1], ids=["nan", "None", "NA", "minus one"]
)
@pytest.mark.parametrize("classes", [(1.0, 2.0), ("cat", "dog")], ids=["numbers", "names"])
def test_rows_whose_label_is_missing_are_drawn_in_grey(missing, classes, pyplot):
    labels = np.array([missing, *classes] * 20, dtype=object)
    if isinstance(classes[0], float) and missing is not None and missing is not pd.NA:
        labels = labels.astype(float)
    display = EmbeddingDisplay.from_codes(CODES, labels)
    assert [len(drawn.get_offsets()) for drawn in display.points_] == [20, 20, 20]
    assert [text.get_text() for text in display.texts_] == list(map(str, classes))


def test_thumbnails_of_signals_are_refused(pyplot):
    signals = np.random.default_rng(0).normal(size=(30, 2, 32))
    with pytest.raises(ValueError, match="EmbeddingDisplay shows images"):
        EmbeddingDisplay.from_estimator(fitted(signals, encoder="conv1d"), signals, n_thumbnails=2)
