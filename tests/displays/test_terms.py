"""Every term of a training by epoch."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skdim import DeepInfoMaxTransformer
from skdim.displays import TermsDisplay
from tests.displays.helpers import LABELS, fitted


@pytest.fixture(scope="module")
def transformer():
    return fitted(max_epochs=3, prior_weight=0.1, global_weight=0.5, validation_fraction=0.2)


def test_each_line_is_what_the_history_says(transformer, pyplot):
    display = TermsDisplay.from_estimator(transformer)

    assert list(display.lines_) == [
        *("local bound", "global bound", "prior", "discriminator"),
        *("loss", "validation_score", "spread"),
    ]
    factors = {"local bound": -1.0, "global bound": -2.0}
    for name, line in display.lines_.items():
        assert line.get_xdata().tolist() == [1, 2, 3]
        values = np.array(transformer.history_[name.removesuffix(" bound")])
        assert np.allclose(line.get_ydata(), factors.get(name, 1.0) * values)


def test_the_loss_of_a_single_term_is_not_drawn_again(pyplot):
    display = TermsDisplay.from_estimator(fitted(max_epochs=2))

    assert list(display.lines_) == ["local bound", "spread"]


def test_each_line_is_in_the_panel_that_has_its_name(transformer, pyplot):
    display = TermsDisplay.from_estimator(transformer)

    for ax, (name, line) in zip(display.axes_, display.lines_.items(), strict=True):
        assert line.axes is ax
        assert ax.get_title() == name
        assert ax.figure is display.figure_
        assert ax.get_xlabel() == "epoch"


def test_what_objectives_noted_is_drawn(pyplot):
    transformer = DeepInfoMaxTransformer(4, max_epochs=1, classifier_weight=1.0, random_state=0)
    transformer.fit(np.random.default_rng(0).normal(size=(60, 8)), LABELS)

    assert "classifier_accuracy" in TermsDisplay.from_estimator(transformer).lines_


def test_names_choose(transformer, pyplot):
    display = TermsDisplay.from_estimator(transformer, names=["spread", "local"])

    assert [ax.get_title() for ax in display.axes_] == ["spread", "local"]


def test_unknown_names_are_refused(transformer, pyplot):
    with pytest.raises(ValueError, match=r"the history has no 'lokal'. It has 'local', "):
        TermsDisplay.from_estimator(transformer, names=["lokal", "loss"])


def test_unfitted_transformer_is_refused(pyplot):
    with pytest.raises(NotFittedError):
        TermsDisplay.from_estimator(DeepInfoMaxTransformer())


def test_plotting_again_reads_no_estimator(transformer, pyplot):
    display = TermsDisplay.from_estimator(transformer)
    first = display.lines_

    again = display.plot(color="red", linestyle="--")

    assert again is display
    assert first is not display.lines_
    assert {line.get_color() for line in display.lines_.values()} == {"red"}
    assert display.lines_["loss"].get_ydata().tolist() == transformer.history_["loss"]


def test_two_trainings_share_axes(pyplot):
    one = TermsDisplay({"a": [1.0, 2.0], "b": [3.0, 4.0]}).plot(label="one")

    other = TermsDisplay({"a": [5.0, 6.0], "b": [7.0, 8.0]}).plot(ax=one.axes_, label="other")

    assert [line.get_label() for line in one.axes_[0].lines] == ["one", "other"]
    assert other.axes_[1].lines[1].get_ydata().tolist() == [7.0, 8.0]
    assert len(pyplot.get_fignums()) == 1


def test_wrong_number_of_axes_is_refused(pyplot):
    _, axes = pyplot.subplots(1, 2)

    with pytest.raises(ValueError, match="ax holds 2 axes, but there are 3 curves"):
        TermsDisplay({"a": [1.0], "b": [1.0], "c": [1.0]}).plot(ax=axes)


def test_a_single_axes_is_divided(pyplot):
    figure, (left, right) = pyplot.subplots(1, 2)

    display = TermsDisplay({name: [1.0, 2.0] for name in "abcde"}).plot(ax=right)

    assert display.figure_ is figure
    assert not right.axison
    assert all(ax.get_position().x0 >= right.get_position().x0 - 1e-9 for ax in display.axes_)
    assert left.lines[:] == []


def test_a_single_curve_takes_the_axes_as_it_is(pyplot):
    _, ax = pyplot.subplots()

    assert TermsDisplay({"a": [1.0, 2.0]}).plot(ax=ax).axes_[0] is ax


def test_panels_of_many_terms_do_not_overlap(pyplot):
    display = TermsDisplay({f"term {i}": [1.0, i] for i in range(11)}).plot()
    display.figure_.draw_without_rendering()
    boxes = [ax.get_tightbbox() for ax in display.axes_]

    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


@pytest.mark.parametrize(
    ("curve", "scale"),
    [
        ([0.5, 1e-3, 1e-6], "log"),
        ([0.9, 0.5, 0.8], "linear"),
        ([-1.0, -100.0, -1e4], "linear"),
        ([0.0, 1.0, 1000.0], "linear"),
        ([np.nan, 1.0, 1000.0], "log"),
        ([np.nan, np.nan, np.nan], "linear"),
    ],
)
def test_axis_is_logarithmic_only_where_it_must_be(curve, scale, pyplot):
    assert TermsDisplay({"spread": curve}).plot().axes_[0].get_yscale() == scale


def test_the_spread_begins_at_0(pyplot):
    """Codes that keep their spread look so, and codes that collapse do too."""
    display = TermsDisplay({"spread": [0.9, 0.91], "local": [0.9, 0.91]}).plot()

    assert display.axes_[0].get_ylim()[0] == 0
    assert display.axes_[1].get_ylim()[0] > 0.8


def test_one_epoch_is_seen_as_a_point(pyplot):
    assert TermsDisplay({"a": [1.0]}).plot().lines_["a"].get_marker() == "o"
    assert TermsDisplay({"a": np.arange(99.0)}).plot().lines_["a"].get_marker() == ""


def test_the_epoch_that_early_stopping_kept_is_marked(pyplot):
    # Growth never counts: training stops after the second epoch, and keeps the first.
    transformer = fitted(max_epochs=5, early_stopping=True, n_iter_no_change=1, tol=1e6)
    assert transformer.n_iter_ < len(transformer.loss_curve_)

    display = TermsDisplay.from_estimator(transformer)

    for ax in display.axes_:
        assert list(ax.lines[1].get_xdata()) == [transformer.n_iter_] * 2


def test_no_epoch_is_marked_without_early_stopping(transformer, pyplot):
    assert all(len(ax.lines) == 1 for ax in TermsDisplay.from_estimator(transformer).axes_)


@pytest.mark.parametrize("curves", [{}, {"a": [1.0], "b": [1.0, 2.0]}, {"a": 1.0}])
def test_curves_that_do_not_fit_are_refused(curves):
    with pytest.raises(ValueError, match="one number for each of the same epochs"):
        TermsDisplay(curves)
