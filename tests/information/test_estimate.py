"""The result of an estimate is a float with its uncertainty."""

import copy
import math
import pickle

import numpy as np
import pytest

from skdim.information import InformationEstimate, mutual_information


@pytest.fixture(scope="module")
def estimate():
    x = np.random.default_rng(0).standard_normal((400, 2))
    return mutual_information(x[:, 0], x.sum(axis=1), critic=None, random_state=0)


def test_it_is_a_float_whose_pointwise_values_have_its_mean(estimate):
    assert isinstance(estimate, float)
    assert type(estimate + 0) is float
    assert estimate.pointwise_.shape == (400,)
    assert estimate.pointwise_.mean() == pytest.approx(float(estimate))
    assert estimate.standard_error == pytest.approx(
        estimate.pointwise_.std() / math.sqrt(400), rel=0.01
    )


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_copies_keep_all_attributes(estimate, duplicate):
    again = duplicate(estimate)

    assert type(again) is InformationEstimate
    assert again == estimate
    assert repr(again) == repr(estimate)
    assert again.curve_ == estimate.curve_
    assert again.interval(0.5) == estimate.interval(0.5)


def test_interval_grows_with_the_level_and_holds_the_estimate(estimate):
    narrow, wide = estimate.interval(0.5), estimate.interval(0.99)

    assert 0 <= wide[0] < narrow[0] < estimate < narrow[1] < wide[1]


def test_interval_is_open_at_the_ceiling_and_starts_at_zero():
    assert InformationEstimate(2.0, pointwise=[1, 3], ceiling=2.0).interval(0.9)[1] == math.inf
    assert InformationEstimate(0.1, pointwise=[-1, 3]).interval(0.9)[0] == 0


@pytest.mark.parametrize("level", [0, 1, 90])
def test_levels_outside_0_and_1_raise(estimate, level):
    with pytest.raises(ValueError, match="inside"):
        estimate.interval(level)
