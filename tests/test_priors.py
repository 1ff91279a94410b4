"""Draws of each prior follow it, and squashed codes lie where it does."""

import pickle

import numpy as np
import pytest
import torch
from scipy import stats

from skdim.priors import PRIORS, Prior

N, D = 4000, 3

each_prior = pytest.mark.parametrize("name", sorted(PRIORS))


def draws(name, n=N, d=D, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return PRIORS[name].sample((n, d), generator, dtype=torch.float64)


def codes(seed=1, scale=4.0):
    return scale * torch.randn(50, D, generator=torch.Generator().manual_seed(seed))


def projected_sphere(d):
    """Give the law of one coordinate of a uniform point on the sphere in d dimensions."""
    half = (d - 1) / 2
    return stats.beta(half, half, loc=-1, scale=2)


@pytest.mark.parametrize(
    ("name", "law"),
    [("uniform", stats.uniform()), ("normal", stats.norm()), ("sphere", projected_sphere(D))],
)
def test_each_coordinate_follows_its_law(name, law):
    drawn = draws(name).numpy()

    assert all(stats.kstest(column, law.cdf).pvalue > 0.01 for column in drawn.T)
    assert drawn.mean(0) == pytest.approx(law.mean(), abs=4 * law.std() / N**0.5)
    assert drawn.std(0) == pytest.approx(law.std(), rel=0.05)


@each_prior
def test_coordinates_are_uncorrelated(name):
    correlations = np.corrcoef(draws(name).T)

    assert np.abs(correlations - np.eye(D)).max() < 4 / N**0.5


def test_sphere_favours_no_direction():
    direction = np.array([1.0, -2.0, 0.5]) / np.sqrt(5.25)

    assert stats.kstest(draws("sphere").numpy() @ direction, projected_sphere(D).cdf).pvalue > 0.01


def test_uniform_stays_in_the_unit_cube():
    drawn = draws("uniform")

    assert 0 <= drawn.min() < 0.01
    assert 0.99 < drawn.max() <= 1


@pytest.mark.parametrize("d", [1, 2, 64])
def test_sphere_has_radius_one(d):
    torch.testing.assert_close(draws("sphere", d=d).norm(dim=1), torch.ones(N).double())


def test_codes_are_squashed_into_the_cube_by_a_sigmoid():
    torch.testing.assert_close(PRIORS["uniform"].squash(codes()), 1 / (1 + (-codes()).exp()))


def test_codes_are_not_squashed_for_the_normal_prior():
    assert torch.equal(PRIORS["normal"].squash(codes()), codes())


def test_codes_keep_their_direction_on_the_sphere():
    squashed = PRIORS["sphere"].squash(codes())

    torch.testing.assert_close(squashed * codes().norm(dim=1, keepdim=True), codes())


@each_prior
def test_squash_lets_gradients_through(name):
    code = codes(scale=1.0).double().requires_grad_()

    assert torch.autograd.gradcheck(PRIORS[name].squash, code)


@each_prior
def test_squashed_code_of_zeros_is_finite_with_its_gradient(name):
    code = torch.zeros(2, D, requires_grad=True)
    squashed = PRIORS[name].squash(code)
    squashed.sum().backward()

    assert squashed.isfinite().all()
    assert code.grad.isfinite().all()


@pytest.mark.usefixtures("global_random_state_untouched")
@each_prior
def test_draws_come_from_the_generator_alone(name):
    assert torch.equal(draws(name, seed=3), draws(name, seed=3))
    assert not torch.equal(draws(name, seed=3), draws(name, seed=4))


@each_prior
def test_draws_without_a_generator_come_from_torch(name):
    def draw():
        torch.manual_seed(0)
        return PRIORS[name].sample((2, D))

    with torch.random.fork_rng():
        assert torch.equal(draw(), draw())


@each_prior
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_size_dtype_and_device_are_as_asked(name, dtype):
    generator = torch.Generator().manual_seed(0)
    drawn = PRIORS[name].sample(torch.Size([5, 2]), generator, torch.device("meta"), dtype)

    assert drawn.shape == (5, 2)
    assert drawn.dtype == dtype
    assert drawn.is_meta


@each_prior
def test_prior_survives_pickling(name):
    assert pickle.loads(pickle.dumps(PRIORS[name])) == PRIORS[name]


def test_a_prior_of_ones_own_is_two_functions():
    prior = Prior(torch.tanh, lambda size, generator, device, dtype: torch.zeros(size))

    assert prior.squash(torch.zeros(2, 3)).shape == prior.sample((2, 3), None, None, None).shape
