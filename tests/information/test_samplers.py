"""Samplers know the truth about what they draw."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from skdim.information import CorrelatedNormals, JointTable

patient = settings(deadline=None)  # The machine may be busy.
TABLE = torch.tensor([[4, 1, 0], [2, 1, 2]], dtype=torch.float64) / 10
SAMPLERS = {
    "normals": CorrelatedNormals(0.6, dims=2),
    "negative": CorrelatedNormals(-0.8, dims=1),
    "independent": CorrelatedNormals(0.0, dims=3),
    "table": JointTable(TABLE),
}

each_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@each_sampler
def test_information_is_the_mean_log_ratio_of_pairs_drawn_together(sampler):
    ratios = sampler.log_ratio(*sampler.draw(50_000, seeded()))
    error = ratios.std().item() / math.sqrt(len(ratios))

    assert ratios.mean().item() == pytest.approx(sampler.information, abs=4 * error + 1e-7)


@each_sampler
def test_density_ratio_averages_to_one_over_pairs_drawn_apart(sampler):
    x, y = sampler.draw(50_000, seeded())
    ratios = sampler.log_ratio(x, y.roll(1, 0)).exp()
    error = ratios.std().item() / math.sqrt(len(ratios))

    assert ratios.mean().item() == pytest.approx(1, abs=4 * error + 1e-7)


@each_sampler
def test_log_ratio_broadcasts_to_all_pairs(sampler):
    x, y = sampler.draw(6, seeded())
    table = sampler.log_ratio(x[:, None], y[None])

    assert table.shape == (6, 6)
    torch.testing.assert_close(table.diagonal(), sampler.log_ratio(x, y))


@pytest.mark.usefixtures("global_random_state_untouched")
@each_sampler
def test_draws_come_from_the_generator_alone(sampler):
    first, again, other = (torch.stack(sampler.draw(9, seeded(seed))) for seed in (1, 1, 2))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@patient
@given(rho=st.floats(-0.95, 0.95), x=st.floats(-3, 3), y=st.floats(-3, 3))
def test_log_ratio_of_normals_is_that_of_their_densities(rho, x, y):
    joint = multivariate_normal(cov=[[1, rho], [rho, 1]]).logpdf([x, y])
    ours = CorrelatedNormals(rho).log_ratio(*torch.tensor([[x], [y]], dtype=torch.float64))

    assert ours.item() == pytest.approx(joint - norm.logpdf(x) - norm.logpdf(y), abs=1e-8)


@patient
@given(information=st.floats(0, 30), dims=st.integers(1, 20))
def test_normals_have_the_information_asked_for(information, dims):
    if information / dims < 15:  # Beyond, the correlation rounds to 1.
        sampler = CorrelatedNormals.from_information(information, dims)

        assert sampler.information == pytest.approx(information, rel=1e-3, abs=1e-12)


def test_normals_are_standard_and_correlated_coordinate_by_coordinate():
    n, rho = 50_000, 0.6
    x, y = CorrelatedNormals(rho, dims=2).draw(n, seeded(), torch.float64)
    covariance = torch.cov(torch.cat([x, y], dim=1).T)
    eye = torch.eye(2).double()
    truth = torch.cat([torch.cat([eye, rho * eye]), torch.cat([rho * eye, eye])], dim=1)

    assert x.dtype == y.dtype == torch.float64
    torch.testing.assert_close(covariance, truth, atol=4 * math.sqrt(2 / n), rtol=0)


def test_table_is_drawn_as_often_as_it_says():
    n = 50_000
    x, y = JointTable(TABLE).draw(n, seeded())
    shares = torch.bincount(3 * x + y, minlength=6).reshape(2, 3) / n

    torch.testing.assert_close(shares, TABLE.float(), atol=4 * math.sqrt(0.25 / n), rtol=0)


def test_information_of_a_table_is_that_of_its_entropies():
    def entropy(p):
        return -torch.xlogy(p, p).sum().item()

    joint, of_x, of_y = entropy(TABLE), entropy(TABLE.sum(1)), entropy(TABLE.sum(0))

    assert JointTable(TABLE).information == pytest.approx(of_x + of_y - joint)


def test_pairs_that_cannot_occur_have_a_ratio_of_zero():
    assert JointTable(TABLE).log_ratio(torch.tensor(0), torch.tensor(2)).item() == -math.inf


@pytest.mark.parametrize("correlation", [1.0, -1.0, 2.0, math.nan])
def test_no_correlation_is_told(correlation):
    with pytest.raises(ValueError, match=r"correlation=.* is not inside \(-1, 1\)"):
        CorrelatedNormals(correlation)


@pytest.mark.parametrize("make", [CorrelatedNormals, CorrelatedNormals.from_information])
def test_no_dimension_is_told(make):
    with pytest.raises(ValueError, match="dims=0"):
        make(0.5, dims=0)


@pytest.mark.parametrize("information", [-0.1, math.inf, math.nan])
def test_impossible_information_is_told(information):
    with pytest.raises(ValueError, match=r"information=.*; a non-negative finite number"):
        CorrelatedNormals.from_information(information)


@pytest.mark.parametrize("table", [[0.5, 0.5], [[0.5, 0.6]], [[-0.5, 1.5]], [[math.nan, 1.0]]])
def test_no_distribution_is_told(table):
    with pytest.raises(ValueError, match="are not a joint distribution"):
        JointTable(torch.tensor(table))
