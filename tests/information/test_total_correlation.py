"""Total correlation against closed forms, and what must not change it."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from skdim.information import TASKS, UntrustedEstimateWarning, total_correlation
from skdim.information.copulas import fit_copula, log_copula_density
from skdim.information.total_correlation import describe_near_functions


def equicorrelated(n, d, r, seed=0):
    draws = np.random.default_rng(seed)
    common = draws.standard_normal((n, 1))
    return math.sqrt(r) * common + math.sqrt(1 - r) * draws.standard_normal((n, d))


def curve(n, d, noise, seed=0):
    """Draw points near a curve in d dimensions."""
    draws = np.random.default_rng(seed)
    where = on_curve(draws.uniform(-1, 1, n), d)
    return where + noise * draws.standard_normal((n, d))


def on_curve(t, d):
    return np.sin(3 * t[:, None] * np.linspace(0.5, 1.5, d) + np.arange(d))


def information_of_curve(z, noise):
    """Total correlation of ``curve``, by a sum over the curve at each of some draws."""
    steps = on_curve((np.arange(400) + 0.5) / 200 - 1, z.shape[1])
    each = -np.square((z[:, None] - steps) / noise) / 2
    joint = logsumexp(each.sum(axis=2), axis=1) - math.log(len(steps))
    alone = logsumexp(each, axis=1) - math.log(len(steps))
    return (joint - alone.sum(axis=1)).mean()


def closed_form(d, r):
    return -((d - 1) * math.log(1 - r) + math.log(1 + (d - 1) * r)) / 2


@pytest.mark.parametrize(
    ("d", "r"),
    [
        (2, 0.9),
        (8, 0.3),
        (64, 0.05),
        pytest.param(2, 0.5, marks=pytest.mark.slow),
        pytest.param(32, 0.3, marks=pytest.mark.slow),
    ],
)
def test_equicorrelated_normals_have_the_known_total_correlation(d, r):
    z = equicorrelated(2000, d, r)
    truth = closed_form(d, r)

    found = total_correlation(z, max_epochs=1, random_state=0)

    # Of the log ratio's own variance, half of the trace of the correlations off the diagonal
    # squared.
    error = math.sqrt(d * (d - 1) * r**2 / 2 / len(z))
    assert found == pytest.approx(truth, abs=4 * error + 0.02)


@pytest.mark.parametrize("d", [2, 20])
def test_independent_coordinates_have_none(d):
    z = np.random.default_rng(0).standard_t(2, (2000, d))

    assert abs(total_correlation(z, max_epochs=3, random_state=0)) < 0.03


def test_dependence_that_no_correlation_shows_is_found():
    """Two coordinates over one common root: uncorrelated, far from independent."""
    task = TASKS["student-identity-1-1-1"]
    z = np.hstack(task.draw(3000, random_state=0))

    copula_alone = total_correlation(z, max_epochs=0, random_state=0)
    found = total_correlation(z, max_epochs=3, random_state=0)

    assert found.method_ == "elliptical"
    assert abs(copula_alone) < 0.03
    assert found == pytest.approx(task.information, abs=0.06)


def test_increasing_maps_of_coordinates_change_no_digit():
    z = equicorrelated(400, 3, 0.5)
    mapped = np.column_stack([z[:, 0] ** 3, 1 / (1 + np.exp(-z[:, 1])), np.exp(z[:, 2])])

    as_given = total_correlation(z, max_epochs=2, random_state=0)

    assert total_correlation(mapped, max_epochs=2, random_state=0) == as_given


def test_a_sigmoid_on_the_code_changes_no_digit():
    """The paper's two columns differ by a factor of 50 here."""
    codes = torch.from_numpy(equicorrelated(400, 4, 0.3))

    with_sigmoid, without = (
        total_correlation(z, max_epochs=2, random_state=0) for z in (codes.sigmoid(), codes)
    )

    assert with_sigmoid == without


@pytest.mark.usefixtures("global_random_state_untouched")
def test_the_random_state_decides_and_no_global_one_moves():
    z = curve(200, 6, 0.1)

    first, again, other = (
        total_correlation(z, max_epochs=10, random_state=seed) for seed in (0, 0, 1)
    )
    total_correlation(z, max_epochs=1)

    assert isinstance(first, float)
    assert first.method_ == "density"
    assert first == again != other


def test_tensors_lists_and_maps_are_read_alike():
    z = equicorrelated(100, 4, 0.5)

    values = {
        total_correlation(form, max_epochs=1, random_state=0)
        for form in (z, torch.from_numpy(z).requires_grad_(), z.tolist(), z.reshape(100, 2, 2))
    }

    assert len(values) == 1


def test_constant_coordinates_count_for_nothing():
    z = equicorrelated(200, 2, 0.5)
    # The computed spread of the first is a rounding error, and not zero.
    with_constants = np.column_stack([np.full(200, 0.1), np.ones(200), z, np.zeros(200)])

    assert total_correlation(with_constants, max_epochs=2, random_state=0) == total_correlation(
        z, max_epochs=2, random_state=0
    )


@pytest.mark.parametrize("columns", [1, 3])
def test_fewer_than_two_coordinates_that_vary_depend_on_nothing(columns):
    z = np.ones((50, columns))
    z[:, 0] = np.arange(50)

    assert total_correlation(z, random_state=0) == 0


@pytest.mark.slow
def test_codes_near_a_curve_have_more_than_a_critic_could_vouch_for():
    """On fewer dimensions than they have numbers, as codes are: the truth is beyond ln n."""
    z = curve(3000, 24, 0.05)
    truth = information_of_curve(z[:500], 0.05)

    found = total_correlation(z, max_epochs=20, random_state=0)

    assert truth > 4 * math.log(len(z))
    assert 0.85 * truth < found < truth


@pytest.mark.filterwarnings("ignore:.* determined by those before them")
@pytest.mark.parametrize(("rank", "dtype"), [(1, np.float32), (3, np.float64)])
def test_codes_of_low_rank_have_a_ceiling_of_what_ranks_can_tell(rank, dtype):
    """The truth is infinite, and no estimate may be."""
    draws = np.random.default_rng(0)
    z = (draws.standard_normal((1000, rank)) @ draws.standard_normal((rank, 20))).astype(dtype)

    with pytest.warns(UntrustedEstimateWarning, match=f"that vary have rank {rank}: some are"):
        found = total_correlation(z, max_epochs=3, random_state=0)

    assert 3 * (20 - rank) < found < (20 - rank) * (math.log(1000) + 1)


@pytest.mark.filterwarnings("error")
def test_fewer_rows_than_coordinates_are_no_reason_to_warn():
    total_correlation(equicorrelated(40, 60, 0.1), max_epochs=0, random_state=0)


def test_copies_of_a_coordinate_warn():
    z = equicorrelated(400, 2, 0.5)

    with pytest.warns(UntrustedEstimateWarning) as caught:
        found = total_correlation(np.hstack([z, z]), max_epochs=2, random_state=0)

    of_ranks, of_rank = (str(warning.message) for warning in caught)
    assert "2 of the 4" in of_ranks
    assert "within 10 of 400 ranks" in of_ranks
    assert "rank 2" in of_rank

    assert 2 * math.log(400 / 10) < found < 2 * math.log(400) + closed_form(2, 0.5)


def test_a_training_that_diverges_says_so():
    with pytest.raises(FloatingPointError, match=r"learning rate of 1e\+30"):
        total_correlation(equicorrelated(60, 3, 0.5), learning_rate=1e30, random_state=0)


def test_copies_of_a_category_share_its_entropy():
    """Ties are in an order drawn for each column alone."""
    coin = np.random.default_rng(0).integers(0, 2, (2000, 1))

    found = total_correlation(np.hstack([coin, coin]), max_epochs=3, random_state=0)

    assert found == pytest.approx(math.log(2), abs=0.12)
    assert found < math.log(2)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_ties_of_independent_coordinates_are_no_dependence(share):
    """As a layer of rectified units has them."""
    draws = np.random.default_rng(0)
    z = draws.uniform(size=(2000, 6)).clip(min=share)

    assert abs(total_correlation(z, max_epochs=3, random_state=0)) < 0.03


def test_log_ratio_is_that_of_the_densities():
    from_scipy = pytest.importorskip("scipy.stats").multivariate_normal
    copula = np.array([[1, 0.6], [0.6, 1]])
    z = equicorrelated(5, 2, 0.6)

    truth = from_scipy(cov=copula).logpdf(z) - from_scipy(cov=np.eye(2)).logpdf(z)

    np.testing.assert_allclose(log_copula_density(copula, z), truth)


def test_many_correlations_of_chance_are_not_believed():
    z = np.random.default_rng(0).standard_normal((600, 40))

    copula = fit_copula(z)

    assert np.abs(copula - np.eye(40)).max() < 0.02


@pytest.mark.parametrize(
    ("z", "message"),
    [
        (np.ones((5, 2)), "at least 20 rows"),
        (np.ones((30, 0)), "at least one column"),
        (np.full((30, 2), np.nan), "NaN or infinity in 30 of 30 rows"),
        (np.array([["a", "b"]] * 30), "real numbers are needed"),
        (np.float64(3), r"shape \(\)"),
    ],
)
def test_bad_codes_are_told(z, message):
    with pytest.raises(ValueError, match=message):
        total_correlation(z)


def test_coordinates_told_to_the_last_ranks_warn():
    known, unknown = math.log(400 / 9), math.log(400 / 11)
    assert not describe_near_functions(np.full(5, unknown), 400)
    (message,) = describe_near_functions(np.array([unknown, known]), 400)
    assert message.startswith("1 of the 2 ")
    assert "within 10 of 400 ranks" in message


def test_few_coordinates_that_only_neighbours_resolve():
    """Any two are independent; the sign of the third is that of the product of both."""
    z = np.random.default_rng(0).standard_normal((3000, 3))
    z[:, 2] = np.abs(z[:, 2]) * np.sign(z[:, 0] * z[:, 1])

    found = total_correlation(z, max_epochs=1, random_state=0)

    assert found.method_ == "neighbours"
    assert found == pytest.approx(math.log(2), abs=0.15)
    assert found.pointwise_.mean() == pytest.approx(float(found))


def test_the_copula_is_corrected_for_its_sample():
    """Without correction, 150 rows show 0.2 nats too little on held-out rows."""
    found = [
        total_correlation(equicorrelated(150, 12, 0.5, seed), max_epochs=0, random_state=0)
        for seed in range(10)
    ]

    assert np.mean(found) == pytest.approx(closed_form(12, 0.5), rel=0.05)
    low, high = found[0].interval(0.99)
    assert low < closed_form(12, 0.5) < high


def student(n):
    draws = np.random.default_rng(0)
    return draws.standard_normal((n, 8)) / np.sqrt(draws.chisquare(3, (n, 1)) / 3)


def two_blobs(n):
    draws = np.random.default_rng(0)
    return 1.996 * draws.choice([-1, 1], (n, 1)) + draws.standard_normal((n, 4))


def signs(n):
    z = np.random.default_rng(0).standard_normal((n, 3))
    z[:, 2] = np.abs(z[:, 2]) * np.sign(z[:, 0] * z[:, 1])
    return z


@pytest.mark.parametrize(
    ("draw", "method", "truth"),
    [
        pytest.param(student, "elliptical", 0.633, marks=pytest.mark.slow),
        (two_blobs, "neighbours", 1.837),
        pytest.param(signs, "neighbours", 0.693, marks=pytest.mark.slow),
    ],
)
def test_dependence_that_networks_learn_slowly_is_found_without_them(draw, method, truth):
    found = total_correlation(draw(5000), max_epochs=1, random_state=0)
    low, high = found.interval(0.9)

    assert found.method_ == method
    assert found == pytest.approx(truth, rel=0.07)
    assert low < truth < high
