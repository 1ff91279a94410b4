"""The critic's answers, location by location, against known information."""

import math

import pytest
import torch
from torch import nn

from skdim.bounds import BOUNDS
from skdim.critics import AbstractCritic, DotCritic
from skdim.objectives import (
    Information,
    PriorMatching,
    Together,
    find_local_term,
    pointwise_information,
)
from skdim.priors import PRIORS
from tests.objectives.helpers import made, normals

RHO = 0.6


def log_ratio(code, local):
    """ln p(y | z) / p(y) of two standard normals correlated by RHO."""
    square = RHO**2 * (code**2 + local**2) - 2 * RHO * code * local
    return -square / (2 * (1 - RHO**2)) - math.log(1 - RHO**2) / 2


class Knowing(AbstractCritic):
    """The best critic of a bound, for two correlated normals; ``drift`` is what it leaves open."""

    def __init__(self, answer, drift):
        super().__init__()
        self.answer = answer
        self.drift = drift

    def project_code(self, code):
        return code.flatten(2).movedim(1, 2)

    def project_local(self, local):
        return local.flatten(2).movedim(1, 2)

    def join(self, code, local):
        return self.answer(log_ratio(code, local.mT)) + self.drift(code)


def nothing(code):
    return torch.zeros_like(code)


BEST = {
    "jsd": (lambda r: r, nothing),
    "infonce": (lambda r: r, lambda code: 30 * code.sin()),
    "dv": (lambda r: r, lambda code: torch.full_like(code, 7.0)),
    "kl": (lambda r: r + 1, nothing),
    "rkl": (lambda r: r, nothing),
    "h2": (lambda r: r / 2, nothing),
    "chi2": (lambda r: 2 * r.expm1(), nothing),
}


def draws(n, grid=(2, 2)):
    """Codes (n, 1), and maps whose every location is correlated with the code."""
    code = normals(n, 1, seed=1)
    noise = normals(n, 1, *grid, seed=2)
    return code, RHO * code[..., None, None] + math.sqrt(1 - RHO**2) * noise


def wrapped(code):
    return code[:, :, None]


def test_every_bound_has_its_best_critic_here():
    assert set(BEST) == set(BOUNDS)


@pytest.mark.parametrize("name", BEST)
def test_best_critic_of_each_bound_gives_the_true_pointwise_information(name):
    code, local = draws(20_000)
    rows = [i for i in range(40) if abs(code[i]) < 1.5]
    term = Information("local", Knowing(*BEST[name]), BOUNDS[name])

    found = pointwise_information(term, wrapped(code), local, rows)

    expected = log_ratio(code[rows, :, None], local[rows, 0])
    assert found.shape == (len(rows), 2, 2)
    assert torch.allclose(found, expected, atol=0.03)


@pytest.mark.parametrize("name", ["infonce", "dv"])
def test_what_a_bound_leaves_open_is_taken_away_exactly(name):
    code, local = draws(50)
    answer, drift = BEST[name]
    found = [
        pointwise_information(
            Information("local", Knowing(answer, given), BOUNDS[name]), wrapped(code), local
        )
        for given in (drift, nothing)
    ]

    assert torch.allclose(*found, atol=1e-9)


def test_values_are_those_of_a_slow_loop_without_own_pairs():
    critic = made(DotCritic, 3, 5, 8).double().eval()
    code, local = normals(6, 3, 2, 1, seed=3), normals(6, 5, 2, 3, seed=4)
    scores = critic(code, local).detach()  # (n, g, n, l)

    found = pointwise_information(Information("local", critic, BOUNDS["dv"]), code, local, [4, 0])

    for at, i in enumerate((4, 0)):
        of_globals = []
        for a in range(2):
            others = torch.cat([scores[i, a, j] for j in range(6) if j != i])
            of_globals.append(scores[i, a, i] - others.exp().mean().log())
        expected = torch.stack(of_globals).mean(dim=0).reshape(2, 3)
        assert torch.allclose(found[at], expected, atol=1e-9)


def test_mean_is_a_bound_of_donsker_and_varadhan_code_by_code():
    critic = made(DotCritic, 3, 5, 8).double().eval()
    code, local = normals(9, 3, seed=3), normals(9, 5, 2, 2, seed=4)
    term = Information("local", critic, BOUNDS["dv"])

    mean = pointwise_information(term, code, local).mean()

    one = BOUNDS["dv"]
    scores = critic(code, local).detach()
    expected = torch.stack(
        [
            one(scores[i, :, i], torch.cat([scores[i, :, :i], scores[i, :, i + 1 :]], 1).flatten(1))
            for i in range(9)
        ]
    ).mean()
    assert mean == pytest.approx(expected.item())


def test_independent_codes_tell_nothing():
    class Blind(Knowing):
        def join(self, code, local):
            return code * 0 + local.mT * 0 + 3.0

    term = Information("local", Blind(None, None), BOUNDS["infonce"])

    found = pointwise_information(term, wrapped(draws(5)[0]), draws(5)[1])

    assert torch.allclose(found, torch.zeros(5, 2, 2, dtype=found.dtype), atol=1e-12)


def test_a_ratio_of_zero_stays_finite():
    term = Information("local", Knowing(lambda r: r * 0 - 5, nothing), BOUNDS["chi2"])

    assert pointwise_information(term, wrapped(draws(5)[0]), draws(5)[1]).isfinite().all()


@pytest.mark.parametrize("n", [(1, 1), (2, 3)])
def test_another_sample_is_needed(n):
    term = Information("local", made(DotCritic, 3, 5, 8), BOUNDS["jsd"])

    with pytest.raises(ValueError, match="Equal numbers of both are needed, and at least 2"):
        pointwise_information(term, torch.zeros(n[0], 3), torch.zeros(n[1], 5, 2, 2))


def test_local_term_is_found_among_others():
    critic = made(DotCritic, 3, 5, 8)
    whole = Information("global", critic, BOUNDS["jsd"], whole=True)
    local = Information("local", critic, BOUNDS["jsd"])
    prior = PriorMatching(PRIORS["uniform"], nn.Linear(3, 1))

    assert find_local_term(Together([whole, prior, local])) is local
    assert find_local_term(local) is local
    for without in (Together([whole, prior]), prior):
        with pytest.raises(ValueError, match="the local term was not trained"):
            find_local_term(without)
