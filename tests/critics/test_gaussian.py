"""The Gaussian critic, against SciPy's densities and the information of known correlations."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from skdim.bounds import BOUNDS
from skdim.critics import CRITICS, AbstractCritic, GaussianCritic, takes_map
from skdim.pairs import bound_of_pairs, split_own

patient = settings(deadline=None, max_examples=30)  # The machine may be busy.

CODE, LOCAL = 4, 5


def normals(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(*args, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return GaussianCritic(*args).double()


def plain(correlations):
    """Build a critic of standard normal numbers that projects nothing."""
    k = len(correlations)
    critic = made(k, k)
    identity = torch.eye(k), torch.zeros(k)
    critic.set_pairs(identity, identity, torch.as_tensor(correlations, dtype=torch.float64))
    return critic


def log_ratio(a, b, rho):
    """Compare densities of one pair of numbers."""
    joint = multivariate_normal([0, 0], [[1, rho], [rho, 1]]).logpdf([a, b])
    return joint - norm.logpdf(a) - norm.logpdf(b)


def projected(layer, x):
    return (x @ layer.weight.T + layer.bias).detach().numpy()


some_correlations = st.lists(st.floats(-0.99, 0.99), min_size=1, max_size=4)


@patient
@given(some_correlations, st.integers(0, 100))
def test_scores_are_the_log_ratio_of_gaussian_densities(correlations, seed):
    critic = plain(correlations)
    code, local = normals(3, len(correlations), seed=seed), normals(2, len(correlations), seed=1)
    expected = [
        [sum(map(log_ratio, a.tolist(), b.tolist(), correlations)) for b in local] for a in code
    ]

    scores = critic(code, local)
    assert scores.shape == (3, 1, 2, 1)
    np.testing.assert_allclose(scores.detach().numpy()[:, 0, :, 0], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("units", [None, 2, 7])
@pytest.mark.parametrize("grid", [(), (3,), (2, 2)], ids=str)
def test_projections_come_before_the_densities(units, grid):
    critic = made(CODE, LOCAL, units)
    with torch.no_grad():
        critic.fisher_z.copy_(normals(critic.units, seed=7))
    rho = np.tanh(critic.fisher_z.detach().numpy())
    code, local = normals(3, CODE, seed=1), normals(2, LOCAL, *grid, seed=2)
    a = projected(critic.code_projection, code)
    b = projected(critic.local_projection, local.reshape(2, LOCAL, -1).mT)
    expected = np.array(
        [[[sum(map(log_ratio, one, cell, rho)) for cell in other] for other in b] for one in a]
    )

    assert critic.units == (units or min(CODE, LOCAL))
    np.testing.assert_allclose(critic(code, local).detach().numpy()[:, 0], expected, rtol=1e-6)


def test_codes_with_a_grid_are_scored_one_by_one():
    critic, code, local = made(CODE, LOCAL), normals(2, CODE, 3, seed=1), normals(2, LOCAL, seed=2)
    scores = critic(code, local)

    assert scores.shape == (2, 3, 2, 1)
    for k in range(3):
        torch.testing.assert_close(scores[:, k], critic(code[:, :, k], local)[:, 0])


@patient
@given(st.lists(st.floats(-0.9, 0.9), min_size=1, max_size=4))
def test_the_mean_over_true_pairs_approaches_the_information(correlations):
    n, rho = 20_000, torch.tensor(correlations, dtype=torch.float64)
    code, noise = normals(n, len(rho), seed=1), normals(n, len(rho), seed=2)
    local = rho * code + (1 - rho.square()).sqrt() * noise
    critic = plain(correlations)
    with torch.no_grad():
        projections = critic.project_code(code), critic.project_local(local)
        scores = critic.join(*projections).flatten()
    information = -0.5 * torch.log1p(-rho.square()).sum().item()

    error = scores.std().item() / n**0.5
    assert scores.mean().item() == pytest.approx(information, abs=6 * error + 1e-9)


def test_the_ratio_averages_to_one_over_false_pairs():
    critic = plain([0.5, -0.3])
    with torch.no_grad():
        scores = critic(normals(600, 2, seed=1), normals(600, 2, seed=2))

    assert scores.exp().mean().item() == pytest.approx(1, abs=0.05)


def test_no_other_correlation_gives_a_larger_bound():
    rho, n = 0.7, 400
    code = normals(n, 1, seed=1)
    local = rho * code + (1 - rho**2) ** 0.5 * normals(n, 1, seed=2)
    values = {
        guess: BOUNDS["dv"](*split_own(plain([guess])(code, local), 0)).item()
        for guess in (0.3, 0.5, 0.7, 0.85, 0.95)
    }

    assert max(values, key=values.get) == 0.7
    assert values[0.7] == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.1)


# ---------------------------------------------------------------------------------------------
# What the closed form sets


def test_pairs_are_set_and_the_others_take_no_part():
    critic = made(CODE, LOCAL)
    code_map = normals(2, CODE, seed=1), normals(2, seed=2)
    local_map = normals(2, LOCAL, seed=3), normals(2, seed=4)
    rho = torch.tensor([0.8, -0.4], dtype=torch.float64)
    critic.set_pairs(code_map, local_map, rho)
    code, local = normals(3, CODE, seed=5), normals(3, LOCAL, seed=6)
    a, b = code @ code_map[0].T + code_map[1], local @ local_map[0].T + local_map[1]
    expected = [
        [sum(map(log_ratio, one.tolist(), other.tolist(), rho.tolist())) for other in b]
        for one in a
    ]

    found = critic(code, local).detach().numpy()[:, 0, :, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    torch.testing.assert_close(
        critic.fisher_z.tanh().detach(), torch.tensor([0.8, -0.4, 0, 0]).double()
    )


def test_setting_pairs_again_forgets_those_before():
    critic = made(CODE, LOCAL)
    for k in (4, 1):
        maps = (normals(k, CODE), normals(k)), (normals(k, LOCAL), normals(k))
        critic.set_pairs(*maps, torch.full((k,), 0.5, dtype=torch.float64))

    assert torch.count_nonzero(critic.fisher_z) == 1
    assert torch.count_nonzero(critic.code_projection.weight[1:]) == 0
    assert torch.count_nonzero(critic.local_projection.bias[1:]) == 0


def test_no_correlation_scores_zero():
    critic = plain([0.0, 0.0])

    assert torch.equal(
        critic(normals(3, 2), normals(3, 2, seed=1)), torch.zeros(3, 1, 3, 1).double()
    )


def test_the_largest_correlation_gives_finite_scores_in_single_precision():
    critic = plain([0.9999]).float()
    scores = critic(normals(9, 1).float(), normals(9, 1, seed=1).float())

    assert scores.isfinite().all()


# ---------------------------------------------------------------------------------------------
# Training


@pytest.mark.parametrize("bound", sorted(BOUNDS))
def test_every_bound_moves_every_weight_by_a_finite_gradient(bound):
    critic = made(CODE, LOCAL)
    code, local = normals(8, CODE, seed=1).requires_grad_(), normals(8, LOCAL, 3, seed=2)
    value = bound_of_pairs(
        BOUNDS[bound], critic.join, critic.project_code(code), critic.project_local(local), "all"
    )
    value.backward()

    assert value.isfinite()
    for weight in (code, *critic.parameters()):
        assert weight.grad.isfinite().all()
        # InfoNCE does not see what a code adds to all scores of it, but for rounding.
        assert weight.grad.abs().max() > 0


def test_infonce_finds_a_correlation_by_gradients():
    rho, n = 0.8, 256
    critic = plain([0.1])
    optimizer = torch.optim.Adam([critic.fisher_z], lr=0.1)
    code = normals(n, 1, seed=1)
    local = rho * code + (1 - rho**2) ** 0.5 * normals(n, 1, seed=2)
    for _ in range(60):
        optimizer.zero_grad()
        (-BOUNDS["infonce"](*split_own(critic(code, local), 0))).backward()
        optimizer.step()

    assert critic.fisher_z.tanh().item() == pytest.approx(rho, abs=0.08)


def test_it_is_in_the_table_and_scores_locations():
    assert CRITICS["gaussian"] is GaussianCritic
    assert issubclass(GaussianCritic, AbstractCritic)
    assert not takes_map(GaussianCritic)
