"""The named tasks have the information that they say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, multivariate_normal, multivariate_t, norm, t, uniform

from skdim.information import BMI_TASKS, TASKS
from skdim.information.tasks import (
    AdditiveUniform,
    NormalPairs,
    StudentPairs,
    bimodal_x,
    bimodal_y,
    half_cube,
    normal_cdf,
    spiral,
    swiss_roll,
    wiggly_x,
    wiggly_y,
)

patient = settings(deadline=None)
# Figures of the literature, to five places.
NORMAL = 0.41334
TWO_PAIR = 1.02165
KNOWN = {
    "1v1-normal-0.75": NORMAL,
    "normal_cdf-1v1-normal-0.75": NORMAL,
    "wiggly-1v1-normal-0.75": NORMAL,
    "half_cube-1v1-normal-0.75": NORMAL,
    "1v1-bimodal-0.75": NORMAL,
    "swissroll_x-normal_cdf-1v1-normal-0.75": NORMAL,
    "1v1-additive-0.1": 1.70944,
    "1v1-additive-0.75": 0.33333,
    "multinormal-dense-2-2-0.5": 0.29389,
    "multinormal-dense-5-5-0.5": 0.59281,
    "multinormal-dense-25-25-0.5": 1.29218,
    "multinormal-sparse-3-3-2-2.0": TWO_PAIR,
    "multinormal-sparse-5-5-2-2.0": TWO_PAIR,
    "normal_cdf-multinormal-sparse-5-5-2-2.0": TWO_PAIR,
    "half_cube-multinormal-sparse-5-5-2-2.0": TWO_PAIR,
    "spiral-multinormal-sparse-5-5-2-2.0": TWO_PAIR,
    "normal_cdf-multinormal-sparse-3-3-2-2.0": TWO_PAIR,
    "half_cube-multinormal-sparse-3-3-2-2.0": TWO_PAIR,
    "spiral-multinormal-sparse-3-3-2-2.0": TWO_PAIR,
    "student-identity-1-1-1": 0.22417,
    "student-identity-2-2-2": 0.19315,
    "student-identity-3-3-3": 0.17871,
    "student-identity-5-5-3": 0.29854,
    "normal-20-20-1": 1.0,
    "normal-20-20-2": 2.0,
    "normal-20-20-4": 4.0,
    "normal-20-20-6": 6.0,
}
WIDE = st.floats(-6, 6)
each_task = pytest.mark.parametrize("name", TASKS)


def column(*numbers):
    return np.array(numbers, dtype=float)[:, None]


def test_there_are_44_tasks_and_their_information_is_the_known_one():
    assert len(TASKS) == 44
    assert {name: round(TASKS[name].information, 5) for name in KNOWN} == KNOWN


def test_there_are_40_tasks_of_bmi_of_which_maps_change_no_information():
    assert len(BMI_TASKS) == 40
    assert BMI_TASKS.keys() < TASKS.keys()
    for name, task in BMI_TASKS.items():
        unmapped = [other for other in BMI_TASKS if name.endswith("-" + other)]
        assert all(task.information == BMI_TASKS[other].information for other in unmapped)
    assert round(BMI_TASKS["student-identity-5-5-2"].information, 3) == 0.448
    assert round(BMI_TASKS["multinormal-dense-50-50-0.5"].information, 3) == 1.624


@each_task
def test_draws_are_rows_of_finite_numbers(name):
    x, y = TASKS[name].draw(50, random_state=0)

    assert len(x) == len(y) == 50
    assert x.ndim == y.ndim == 2
    assert x.dtype == y.dtype == np.float64
    assert np.isfinite(x).all()
    assert np.isfinite(y).all()


@pytest.mark.usefixtures("global_random_state_untouched")
@each_task
def test_draws_come_from_the_random_state_alone(name):
    first, again, other = (TASKS[name].draw(5, random_state=seed)[0] for seed in (1, 1, 2))
    unseeded = [TASKS[name].draw(5)[0] for _ in range(2)]
    moved_on = np.random.default_rng(1)
    continued = [TASKS[name].draw(5, random_state=moved_on)[0] for _ in range(2)]

    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, continued[0])
    assert not np.array_equal(first, other)
    assert not np.array_equal(*unseeded)
    assert not np.array_equal(*continued)


# ---------------------------------------------------------------------------------------------
# Information, by another way


def mean_and_error(ratios):
    return ratios.mean(), ratios.std() / math.sqrt(len(ratios))


@pytest.mark.parametrize("name", [name for name in TASKS if "normal" in name and "cdf" not in name])
def test_information_of_normals_is_the_mean_of_their_log_ratio(name):
    pairs = TASKS[name].pairs
    assert isinstance(pairs, NormalPairs)
    d = pairs.x_dims
    x, y = pairs.draw(20_000, np.random.default_rng(0))
    joint = multivariate_normal(cov=pairs.covariance).logpdf(np.hstack([x, y]))
    of_x = multivariate_normal(cov=pairs.covariance[:d, :d]).logpdf(x)
    of_y = multivariate_normal(cov=pairs.covariance[d:, d:]).logpdf(y)

    mean, error = mean_and_error(joint - of_x - of_y)

    assert mean == pytest.approx(pairs.information, abs=4 * error)


@pytest.mark.parametrize(("dims", "df"), [(1, 1), (2, 2), (3, 3), (5, 3)])
def test_information_of_students_is_the_mean_of_their_log_ratio(dims, df):
    pairs = StudentPairs(dims, df)
    x, y = pairs.draw(50_000, np.random.default_rng(0))
    joint = multivariate_t(shape=np.eye(2 * dims), df=df).logpdf(np.hstack([x, y]))
    alone = multivariate_t(shape=np.eye(dims), df=df)

    mean, error = mean_and_error(joint - alone.logpdf(x) - alone.logpdf(y))

    assert mean == pytest.approx(pairs.information, abs=4 * error)


@pytest.mark.parametrize("width", [0.1, 0.5, 0.75, 2.0])
def test_information_of_added_noise_is_the_mean_of_its_log_ratio(width):
    _, y = AdditiveUniform(width).draw(200_000, np.random.default_rng(0))
    density = (np.minimum(1, y + width) - np.maximum(0, y - width)) / (2 * width)

    mean, error = mean_and_error(-math.log(2 * width) - np.log(density))

    assert mean == pytest.approx(AdditiveUniform(width).information, abs=4 * error)


# ---------------------------------------------------------------------------------------------
# Draws


def test_coordinates_of_a_student_follow_its_law():
    x, y = TASKS["student-identity-3-3-3"].draw(3000, random_state=0)

    assert min(kstest(part, t(3).cdf).pvalue for part in (*x.T, *y.T)) > 1e-3


def test_coordinates_of_a_student_share_their_length_and_nothing_else():
    x, y = StudentPairs(1, 5).draw(20_000, np.random.default_rng(0))
    ranks = [np.argsort(np.argsort(part[:, 0])) for part in (x, y, np.abs(x), np.abs(y))]

    assert abs(np.corrcoef(ranks[0], ranks[1])[0, 1]) < 0.03
    assert np.corrcoef(ranks[2], ranks[3])[0, 1] > 0.05


def test_added_noise_stays_in_its_band():
    x, y = TASKS["1v1-additive-0.1"].draw(3000, random_state=0)

    assert kstest(x[:, 0], uniform.cdf).pvalue > 1e-3
    assert kstest((y - x)[:, 0], uniform(-0.1, 0.2).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", [name for name in TASKS if name.startswith(("multi", "normal-"))])
def test_normals_have_the_covariance_asked_for(name):
    n = 20_000
    pairs = TASKS[name].pairs
    x, y = TASKS[name].draw(n, random_state=0)

    seen = np.cov(np.hstack([x, y]), rowvar=False)

    np.testing.assert_allclose(seen, pairs.covariance, atol=5 * math.sqrt(2 / n))


def test_two_pairs_are_correlated_by_four_fifths():
    covariance = TASKS["multinormal-sparse-5-5-2-2.0"].pairs.covariance

    between = covariance[:5, 5:]
    np.testing.assert_array_equal(between, np.diag([0.8, 0.8, 0, 0, 0]))


@pytest.mark.parametrize(
    ("name", "law_x", "law_y"),
    [
        ("1v1-normal-0.75", norm.cdf, norm.cdf),
        ("normal_cdf-1v1-normal-0.75", uniform.cdf, uniform.cdf),
        (
            "1v1-bimodal-0.75",
            lambda v: 0.3 * norm.cdf(v) + 0.7 * norm.cdf(v - 5),
            lambda v: 0.5 * norm.cdf(v + 1) + 0.5 * norm.cdf(v - 3),
        ),
    ],
)
def test_margins_follow_their_law(name, law_x, law_y):
    x, y = TASKS[name].draw(3000, random_state=0)

    assert kstest(x[:, 0], law_x).pvalue > 1e-3
    assert kstest(y[:, 0], law_y).pvalue > 1e-3


# ---------------------------------------------------------------------------------------------
# Maps


@pytest.mark.parametrize(
    "monotone", [normal_cdf, half_cube, wiggly_x, wiggly_y, bimodal_x, bimodal_y]
)
@patient
@given(low=WIDE, step=st.floats(1e-4, 5))
def test_map_keeps_order(monotone, low, step):
    below, above = monotone(column(low, low + step))[:, 0]

    assert below < above


@pytest.mark.parametrize(("wiggly", "least"), [(wiggly_x, 0.16), (wiggly_y, 0.53)])
def test_wiggles_rise_everywhere(wiggly, least):
    x = np.linspace(-50, 50, 400_001)[:, None]

    slopes = np.diff(wiggly(x)[:, 0]) / np.diff(x[:, 0])

    assert slopes.min() > least - 1e-6


@pytest.mark.parametrize(
    ("to_mixture", "parts"),
    [(bimodal_x, ((0.3, 0), (0.7, 5))), (bimodal_y, ((0.5, -1), (0.5, 3)))],
)
@patient
@given(x=WIDE)
def test_quantiles_of_a_mixture_are_undone_by_its_distribution_function(to_mixture, parts, x):
    value = to_mixture(column(x))[0, 0]

    # The smaller tail has its digits.
    tail, of = (norm.sf, norm.sf(x)) if x > 0 else (norm.cdf, norm.cdf(x))
    assert sum(share * tail(value - mean) for share, mean in parts) == pytest.approx(of, rel=1e-9)


@patient
@given(x=WIDE)
def test_swiss_roll_is_unrolled_by_its_radius(x):
    rolled = swiss_roll(column(x))

    turn = 21 * np.linalg.norm(rolled)
    assert (turn / (1.5 * math.pi) - 1) / 2 == pytest.approx(norm.cdf(x), abs=1e-9)
    assert math.cos(turn) == pytest.approx(21 * rolled[0, 0] / turn, abs=1e-9)


@patient
@given(
    point=st.lists(st.floats(-4, 4), min_size=3, max_size=5),
    plane=st.sampled_from([(0, 1), (1, 2)]),
)
def test_spiral_keeps_length_and_is_turned_back_by_it(point, plane):
    x = np.array([point])
    turned = spiral(x, plane)

    angle = np.square(turned).sum() / x.shape[1]
    i, j = plane
    back = turned.copy()
    back[0, i] = np.cos(angle) * turned[0, i] - np.sin(angle) * turned[0, j]
    back[0, j] = np.sin(angle) * turned[0, i] + np.cos(angle) * turned[0, j]
    np.testing.assert_allclose(back, x, atol=1e-12)
    assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(x))


def test_spiral_turns_each_point_by_its_own_angle():
    turned = spiral(np.array([[1.0, 0.0, 0.0], [3.0, 0.0, 0.0]]), (0, 1))

    angles = np.arctan2(-turned[:, 1], turned[:, 0])
    np.testing.assert_allclose(np.mod(angles, 2 * np.pi), [1 / 3, 3.0])
