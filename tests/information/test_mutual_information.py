"""Mutual information against the truth, and what it must and must not depend on."""

import math
import warnings

import numpy as np
import pytest
import torch
from joblib import parallel_config

from skdim.critics import ConcatCritic
from skdim.information import (
    BMI_TASKS,
    TASKS,
    BenchmarkTask,
    CorrelatedNormals,
    UntrustedEstimateWarning,
    critics,
    mutual_information,
)
from skdim.information.columns import normal_scores
from skdim.information.copulas import CopulaCritic, denoise_correlations, whitening_matrix
from skdim.information.fitting import make_folds
from skdim.information.neighbours import extrapolated_information, neighbour_information
from skdim.information.numeric import nonlinear_information
from skdim.information.tasks import StudentPairs, dense_normal

SHORT = {"max_epochs": 2, "random_state": 0}


def pairs(n=300, d=2, seed=0):
    draws = np.random.default_rng(seed)
    x = draws.standard_normal((n, d))
    return x, x + draws.standard_normal((n, d))


def folded(n=500, seed=0):
    """Draw five columns each; the first of z is the absolute value of the first of x plus noise."""
    x, z = np.random.default_rng(seed).standard_normal((2, n, 5))
    z[:, 0] = np.abs(x[:, 0]) + z[:, 0] / 10
    return x, z


# ---------------------------------------------------------------------------------------------
# The truth


@pytest.mark.parametrize("bound", ["dv", "infonce", "kl", "jsd"])
def test_every_bound_finds_the_information_of_normals(bound):
    task = TASKS["half_cube-1v1-normal-0.75"]
    x, z = task.draw(2000, random_state=0)

    found = mutual_information(x, z, bound=bound, max_epochs=2, random_state=0)

    # The log ratio has variance rho squared.
    assert found == pytest.approx(task.information, abs=4 * 0.75 / math.sqrt(2000))


@pytest.mark.parametrize("d", [1, 5])
def test_independent_variables_share_nothing(d):
    draws = np.random.default_rng(0)
    x, z = draws.standard_cauchy((2, 800, d))

    assert abs(mutual_information(x, z, max_epochs=5, random_state=0)) < 0.03


def test_many_dimensions_of_which_two_matter():
    task = TASKS["multinormal-sparse-5-5-2-2.0"]
    x, z = task.draw(2000, random_state=0)
    noise = np.random.default_rng(1).standard_normal((2000, 20))

    found = mutual_information(np.hstack([x, noise]), z, **SHORT)

    assert found == pytest.approx(task.information, abs=4 * math.sqrt(2 * 0.64 / 2000))


@pytest.mark.parametrize(
    ("critic", "epochs"), [("dot", 20), pytest.param("concat", 25, marks=pytest.mark.slow)]
)
def test_network_finds_what_no_correlation_shows(critic, epochs):
    draws = np.random.default_rng(0)
    x = draws.standard_normal(500)
    z = x**2 + 0.5 * draws.standard_normal(500)

    copula_alone = mutual_information(x, z, critic=None, random_state=0)
    found = mutual_information(x, z, critic=critic, max_epochs=epochs, random_state=0)

    assert copula_alone < 0.05
    assert found > 0.2
    # Nearest neighbours find it, too.
    assert np.mean([curve.held_out for curve in found.curve_]) > 0.2


def test_a_held_out_bound_is_not_fooled_by_memory():
    """So many columns on so few rows can be told apart by heart."""
    draws = np.random.default_rng(0)
    x, z = draws.standard_normal((2, 200, 30))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UntrustedEstimateWarning)
        assert mutual_information(x, z, random_state=0) < 0.1


def test_normal_critic_is_the_log_ratio_of_normals():
    sampler = CorrelatedNormals(0.6, dims=3)
    x, z = sampler.draw(7, torch.Generator().manual_seed(0))

    critic = CopulaCritic(0.6 * np.eye(3))

    torch.testing.assert_close(critic(x, z)[:, 0, :, 0], sampler.log_ratio(x[:, None], z[None]))
    assert critic.information == pytest.approx(sampler.information)
    assert critic.log_likelihood(x, z) == pytest.approx(sampler.log_ratio(x, z).mean().item())


def test_whitened_columns_are_uncorrelated():
    x = np.random.default_rng(0).standard_normal((500, 3)) @ np.array(
        [[1, 0.5, 0], [0, 1, 0.9], [0, 0, 0.1]]
    )

    np.testing.assert_allclose(np.cov(x @ whitening_matrix(x), rowvar=False), np.eye(3), atol=1e-8)


def test_denoising_finds_what_is_sparse_and_what_is_of_low_rank():
    noise = np.random.default_rng(0).standard_normal((20, 20)) / 50  # Of 2,500 rows.
    few, dense = 0.3 * np.eye(20), np.full((20, 20), 0.7 / 20)

    found_few = denoise_correlations(few + noise, 2500)["few"]
    found_dense = denoise_correlations(dense + noise, 2500)["low_rank"]

    assert np.square(found_few - few).sum() < np.square(noise).sum() / 5
    assert np.square(found_dense - dense).sum() < np.square(noise).sum() / 4
    assert not denoise_correlations(noise, 2500)["none"].any()


def test_sharp_edges_of_few_columns_are_found_by_neighbours():
    task = TASKS["1v1-additive-0.1"]

    found = mutual_information(*task.draw(2000, random_state=0), max_epochs=1, random_state=0)

    assert found.method_ == "neighbours"
    assert found == pytest.approx(task.information, rel=0.05)


def test_more_neighbours_correct_the_bias_of_few():
    draws = np.random.default_rng(0)
    x = draws.standard_normal((5000, 4)) / np.sqrt(draws.chisquare(1, (5000, 1)))
    sides = [normal_scores(x[:, :2]), normal_scores(x[:, 2:])]
    truth = StudentPairs(2, 1).information

    plain = neighbour_information(sides).mean()
    extrapolated, spread, uncorrected = extrapolated_information(sides)

    assert uncorrected.mean() < extrapolated.mean()
    assert plain < truth - 0.03
    assert extrapolated.mean() == pytest.approx(truth, abs=0.03)
    assert spread > 0.01


@pytest.mark.parametrize(
    "name",
    [
        "multinormal-dense-2-2-0.5",
        pytest.param("multinormal-sparse-2-2-2-2.0", marks=pytest.mark.slow),
    ],
)
def test_jointly_normal_variables_of_few_columns_are_left_to_the_copula(name):
    errors = []
    for seed in range(6):
        pairs = BMI_TASKS[name].draw(3000, random_state=seed)
        found = mutual_information(*pairs, max_epochs=1, random_state=0)
        assert found.method_ == "copula"
        errors.append(found - BMI_TASKS[name].information)

    assert np.sqrt(np.mean(np.square(errors))) < 0.03


def test_variables_that_share_a_scale_are_compared_by_their_norms():
    pairs = StudentPairs(5, 2)
    x, z = pairs.draw(3000, np.random.default_rng(0))

    found = mutual_information(x, z, max_epochs=1, random_state=0)

    assert found.method_ == "radii"
    assert found == pytest.approx(pairs.information, rel=0.1)


@pytest.mark.filterwarnings("ignore:There are 200 rows and 50 columns")
def test_many_dense_correlations_are_corrected_for_their_number():
    task = BenchmarkTask(dense_normal(25, 0.5))

    for n in (200, 2000):
        x, z = task.draw(n, random_state=0)
        found = mutual_information(x, z, critic=None, random_state=0)
        low, high = found.interval(0.99)

        assert found == pytest.approx(task.information, rel=0.15)
        assert low < task.information < high


def test_images_are_reduced_to_their_principal_directions():
    """Four latent values seen through 784 pixels and, with more noise, through 8 columns."""
    draws = np.random.default_rng(0)
    latent = draws.standard_normal((600, 4))
    pixels = latent @ draws.standard_normal((4, 784)) + draws.standard_normal((600, 784))
    code = np.hstack([latent, latent]) + draws.standard_normal((600, 8))

    with pytest.warns(UntrustedEstimateWarning, match="600 rows and 792 columns"):
        found = mutual_information(pixels.reshape(600, 28, 28), code, max_epochs=1, random_state=0)

    # The pixels determine the latent values, of which the code has two noisy copies each.
    assert found == pytest.approx(2 * math.log(3), rel=0.07)


@pytest.mark.filterwarnings("ignore:There are 40 rows and 8 columns")
def test_no_estimate_is_negative():
    for seed in range(5):
        x, z = np.random.default_rng(seed).standard_normal((2, 40, 4))
        found = mutual_information(x, z, max_epochs=1, random_state=0)

        assert 0 <= found.interval(0.9)[0] <= found < 0.2


def test_held_out_rows_are_compared_in_groups(monkeypatch):
    x, z = pairs(1000)
    whole = mutual_information(x, z, critic=None, random_state=0)

    monkeypatch.setattr(critics, "MAX_NEGATIVES", 50)
    grouped = mutual_information(x, z, critic=None, random_state=0)

    assert grouped == pytest.approx(float(whole), abs=0.02)


@pytest.mark.filterwarnings("ignore:There are 60 rows and 10 columns")
@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize(
    "backend", ["multiprocessing", pytest.param("loky", marks=pytest.mark.slow)]
)
def test_parallel_parts_change_no_digit(backend, capsys):
    x, z = folded(60)

    found = mutual_information(x, z, **SHORT)

    with parallel_config(backend):
        assert mutual_information(x, z, **SHORT, n_jobs=2, device="cpu") == found
    assert mutual_information(x, z, **SHORT, verbose=True) == found
    assert "5/5" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------
# What it depends on


@pytest.mark.usefixtures("global_random_state_untouched")
@pytest.mark.filterwarnings("ignore:Products of columns explain")
def test_the_random_state_decides_and_no_global_one_moves():
    x, z = folded(600)

    first, again, other = (
        mutual_information(x, z, max_epochs=5, random_state=seed) for seed in (0, 0, 1)
    )
    mutual_information(x, z, max_epochs=1)

    assert isinstance(first, float)
    assert first.method_ == "critic"
    assert first == again != other


def test_increasing_maps_change_no_digit():
    x, z = pairs()

    as_given = mutual_information(x, z, **SHORT)

    assert mutual_information(np.exp(x), z**3, **SHORT) == as_given


def test_arrays_tensors_and_maps_are_read_alike():
    x, z = pairs(100, 4)

    values = {
        mutual_information(form, z, **SHORT)
        for form in (x, torch.from_numpy(x).requires_grad_(), x.tolist(), x.reshape(100, 2, 2))
    }

    assert len(values) == 1


def test_constant_columns_count_for_nothing():
    x, z = pairs()

    assert mutual_information(np.hstack([x, np.ones((300, 1))]), z, **SHORT) == mutual_information(
        x, z, **SHORT
    )
    assert mutual_information(np.ones(300), z, **SHORT) == 0


def test_a_critic_of_ones_own_is_trained():
    x, z = pairs()
    built = []

    def make(x_features, z_features):
        built.append(ConcatCritic(x_features, z_features, 8))
        return built[-1]

    found = mutual_information(x, z, critic=make, **SHORT)

    assert math.isfinite(found)
    assert len(built) == 5


@pytest.mark.parametrize("n", [20, 503])
def test_every_row_is_held_out_once_and_never_trained_on_then(n):
    folds = make_folds(n, 0.2, np.random.default_rng(0))

    held_out = np.concatenate([fold.held_out for fold in folds])
    assert sorted(held_out) == list(range(n))
    for fold in folds:
        assert sorted([*fold.training, *fold.held_out]) == list(range(n))


def test_halves_choose_the_epoch_that_the_other_is_judged_at():
    for curve in mutual_information(*pairs(), max_epochs=4, random_state=0).curve_:
        halves = np.array(curve.halves)
        assert curve.selected == (halves[:, 1].argmax(), halves[:, 0].argmax())
        assert curve.held_out == halves[curve.selected, [0, 1]].mean()


@pytest.mark.filterwarnings("ignore:Products of columns explain")
def test_critics_are_corrected_for_half_of_what_only_training_rows_show():
    x, z = folded()

    found = mutual_information(x, z, max_epochs=10, random_state=0)
    curves = found.curve_

    assert found.method_ == "critic"
    held_out = np.mean([curve.held_out for curve in curves])
    gap = np.mean([curve.training[max(curve.selected) - 1] for curve in curves]) - held_out
    assert found == pytest.approx(held_out + min(gap / 2, held_out / 10))
    assert found.interval(0.9)[1] > held_out + gap
    assert [len(curve.training) for curve in curves] == [10] * 5
    assert [len(curve.halves) for curve in curves] == [11] * 5


@pytest.mark.parametrize(
    ("ones", "bound"),
    [(1, "dv"), pytest.param(5, "infonce", marks=pytest.mark.slow), (100, "dv")],
)
def test_rare_flags_tell_as_much_as_they_can(ones, bound):
    """Of 1,000: hardly anything. The log ratio of normal variables would be far off."""
    share = ones / 1000
    entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
    flags = np.r_[np.zeros(1000 - ones), np.ones(ones)]
    noise = np.random.default_rng(0).standard_normal(1000)

    shared, none = (
        mutual_information(flags, other, bound=bound, max_epochs=epochs, random_state=0)
        for other, epochs in ((flags, 8), (noise, 3))
    )

    assert shared == pytest.approx(entropy, abs=0.05)
    assert none == pytest.approx(0, abs=0.03)


# ---------------------------------------------------------------------------------------------
# What is told


@pytest.mark.parametrize("columns", [8, 64])
def test_more_than_the_log_of_the_sample_is_warned_of_and_not_given(columns):
    """The bound itself comes to hundreds and thousands of nats here."""
    x = np.random.default_rng(0).standard_normal((200, columns))

    with pytest.warns(UntrustedEstimateWarning, match=r"the log of the 40 rows"):
        found = mutual_information(x, x + 1e-3, **SHORT)

    assert found == math.log(40)


def test_dependence_that_products_show_and_critics_do_not_is_warned_of():
    task = BMI_TASKS["spiral-multinormal-sparse-25-25-2-2.0"]

    with pytest.warns(UntrustedEstimateWarning, match="Products of columns explain"):
        found = mutual_information(*task.draw(5000, 0), max_epochs=1, random_state=0)

    assert found < 0.9 * task.information


@pytest.mark.parametrize("name", ["multinormal-sparse-5-5-2-2.0", "student-identity-3-3-2"])
def test_products_explain_nothing_of_residuals_that_are_normal_or_share_a_scale(name):
    x, z = BMI_TASKS[name].draw(5000, 0)

    assert nonlinear_information([normal_scores(x), normal_scores(z)]) == 0


@pytest.mark.slow
def test_networks_that_find_nothing_stop_early():
    x, z = np.random.default_rng(0).standard_normal((2, 2500, 1))

    found = mutual_information(x, z, random_state=0)

    # Of 8 batches: 12 epochs have nearly 100 of them.
    useless = [curve for curve in found.curve_ if np.argmax(np.sum(curve.halves, axis=1)) == 0]
    assert useless
    assert all(len(curve.training) == 12 for curve in useless)


@pytest.mark.parametrize("n", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_few_independent_rows_have_no_information(n):
    for seed in range(8):
        x, z = np.random.default_rng(seed).standard_normal((2, n, 1))
        found = mutual_information(x, z, max_epochs=5, random_state=0)
        assert found >= 0
        assert n == 40 or found.interval(0.9)[0] == 0


def test_curves_apart_are_warned_of():
    """The sign of a product of many: a network learns the rows by heart, and a bit of the rule."""
    draws = np.random.default_rng(0)
    x = draws.standard_normal((150, 20))
    z = np.abs(x[:, :2]) + draws.standard_normal((150, 2)) / 5

    with pytest.warns(UntrustedEstimateWarning, match="critics overfit"):
        mutual_information(x, z, max_epochs=60, random_state=0)


def test_plain_cases_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mutual_information(*pairs(), **SHORT)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((5, 2)), "at least 20 rows"),
        (np.ones((29, 2)), "x has 29 rows and z has 30"),
        (np.ones((30, 0)), "at least one column"),
        (np.full((30, 2), np.inf), "NaN or infinity in 30 of 30 rows"),
        (np.arange(30).astype("M8[D]"), "real numbers are needed"),
        (np.ones(30, dtype=complex), "real numbers are needed"),
    ],
)
def test_bad_arrays_are_told(x, message):
    with pytest.raises(ValueError, match=message):
        mutual_information(x, np.arange(30))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"bound": "h2"}, "bound='h2' is not a valid bound; choose one of 'dv'"),
        ({"critic": "map"}, "critic='map' is not a valid critic; choose one of 'dot'"),
        ({"test_size": 0.0}, "test_size=0"),
        ({"test_size": 0.6}, "at most 1/2"),
        ({"test_size": 0.1}, "fewer than 4 rows"),
        ({"max_epochs": -1}, "max_epochs=-1"),
        ({"batch_size": 1}, "batch_size=1"),
        ({"learning_rate": 0.0}, "learning_rate=0"),
    ],
)
def test_bad_settings_are_told(setting, message):
    x, z = pairs(30)

    with pytest.raises(ValueError, match=message):
        mutual_information(x, z, **setting)


class Dropping(ConcatCritic):
    """A critic that draws from the global generator while it trains."""

    def __init__(self, x_features, z_features):
        super().__init__(x_features, z_features, 8)

    def project_code(self, code):
        return super().project_code(torch.nn.functional.dropout(code, training=self.training))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_a_critic_that_draws_gives_the_same_on_several_threads_or_processes(backend):
    given = {"critic": Dropping, "max_epochs": 2, "random_state": 0}
    alone = mutual_information(*pairs(n=60), **given)
    with parallel_config(backend):
        at_once = mutual_information(*pairs(n=60), **given, n_jobs=2)

    assert [curve.training for curve in at_once.curve_] == [
        curve.training for curve in alone.curve_
    ]
