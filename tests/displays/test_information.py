"""Estimates with their intervals, against rows and epochs, and in the information plane."""

import math

import numpy as np
import pytest

from skdim.displays import InformationCurveDisplay, InformationPlaneDisplay
from skdim.information import (
    InformationEstimate,
    UntrustedEstimateWarning,
    mutual_information,
)

FAST = {"critic": None, "random_state": 0}


def pairs(n=200):
    x, noise = np.random.default_rng(0).standard_normal((2, n, 2))
    return x, x + noise


def test_each_size_is_an_estimate_of_the_first_rows(pyplot):
    x, z = pairs()

    display = InformationCurveDisplay.from_samples(x, z, sizes=[50, 200], **FAST)

    line, _, (bars,) = display.bars_
    found = [mutual_information(x[:n], z[:n], **FAST) for n in (50, 200)]
    assert line.get_xdata().tolist() == [50, 200]
    assert line.get_ydata().tolist() == [float(each) for each in found]
    ends = np.array([each.interval(0.9) for each in found])
    np.testing.assert_allclose([each[:, 1] for each in bars.get_segments()], ends)
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.figure is display.figure_


@pytest.mark.filterwarnings("ignore:The estimate is")
def test_epochs_are_drawn_on_given_axes(pyplot):
    x, z = pairs()
    _, ax = pyplot.subplots()

    display = InformationCurveDisplay.from_codes({0: z, 10: x}, x, ax=ax, **FAST)

    assert display.ax_ is ax
    assert ax.get_xlabel() == "epochs"
    assert display.plot(ax=ax, label="about x").bars_.get_label() == "about x"
    # A copy reaches the ceiling, whose interval has no upper end.
    assert display.estimates[1].interval()[1] == math.inf
    assert np.isfinite(display.ax_.dataLim.get_points()).all()


def test_drawing_again_computes_nothing(pyplot):
    estimates = [InformationEstimate(0.5, pointwise=[0, 1]), InformationEstimate(0.6)]
    display = InformationCurveDisplay([1, 2], estimates, xlabel="epochs").plot()

    again = display.plot(level=0.5)

    assert again is display
    assert again.bars_[0].get_ydata().tolist() == [0.5, 0.6]


@pytest.mark.parametrize("steps", [[1], [], 1])
def test_steps_that_do_not_fit_raise(steps):
    with pytest.raises(ValueError, match="One number for each is needed"):
        InformationCurveDisplay(steps, [InformationEstimate(), InformationEstimate()])


def test_warnings_of_estimates_name_the_line_that_asked_for_the_display(pyplot):
    _, x = pairs()

    with pytest.warns(UntrustedEstimateWarning) as caught:
        InformationCurveDisplay.from_codes({0: x}, x, **FAST)

    assert {warning.filename for warning in caught} == {__file__}


def test_a_plane_shows_each_code_about_input_and_label(pyplot):
    x, z = pairs()
    labels = np.where(x[:, 0] > 0, "a", "b")

    display = InformationPlaneDisplay.from_codes({"layer": z, 2: z[:, :1]}, x, labels, **FAST)

    assert list(display.estimates) == ["layer", "2"]
    assert [text.get_text() for text in display.texts_] == ["layer", "2"]
    expected = [
        [mutual_information(x, code, **FAST), mutual_information(code, labels, **FAST)]
        for code in (z, z[:, :1])
    ]
    np.testing.assert_array_equal(display.points_.get_offsets(), expected)
    assert "input" in display.ax_.get_xlabel()
    assert "label" in display.ax_.get_ylabel()


def test_a_plane_draws_open_intervals_and_takes_axes(pyplot):
    open_ended = InformationEstimate(2.0, pointwise=[1, 3], ceiling=2.0)
    _, ax = pyplot.subplots()

    display = InformationPlaneDisplay({"all": (open_ended, InformationEstimate(1.0))}).plot(ax=ax)

    assert display.ax_ is ax
    assert np.isfinite(ax.dataLim.get_points()).all()
    with pytest.raises(ValueError, match="at least one code"):
        InformationPlaneDisplay({})
