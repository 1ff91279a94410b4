"""Information by a Gaussian critic: set by the closed form, or trained by InfoNCE."""

import numpy as np
import pytest
import torch

from skdim.bounds import BOUNDS
from skdim.closed_form import RIDGE, Sums, information_of, rotation, scale_of, solve
from skdim.critics import GaussianCritic
from skdim.encoders import Basis, Features
from skdim.objectives import GaussianInformation, Information, Together
from skdim.pairs import bound_of_pairs
from tests.objectives.helpers import made, make_batch, normals

BOTH_WAYS = ((0, 1), (1, 0))
CELLS, P, CODE = 2, 3, 2
Q = CELLS * P
# Features are laid out channel by channel, coordinates cell after cell.
BASIS = Basis(torch.eye(Q).reshape(CELLS, P, Q).movedim(0, 1).reshape(Q, Q), torch.eye(P))


def make_looks(n=4000, seed=0, noise=0.7):
    """Draw coordinates of two looks, cell after cell."""
    shared = normals(n, Q, seed=seed) * torch.linspace(1, 0.3, Q).double()
    return [shared + noise * normals(n, Q, seed=seed + look) for look in (1, 2)]


def make_term(name="local", seed=0, **kwargs):
    width = CODE if name == "local" else Q
    critic = made(GaussianCritic, CODE, width, seed=seed).double()
    return GaussianInformation(name, critic, looks=BOTH_WAYS, whole=name == "global", **kwargs)


def encoded(looks, found, name):
    """Encode as a linear encoder does that was set from the solution."""
    scale = scale_of(found.correlations[:CODE])
    features = []
    for look in looks:
        conv = look.reshape(-1, CELLS, P).mT  # Channels first.
        directions = (look - found.mean) @ found.weight[:, :CODE] * scale
        local = torch.zeros(len(look), CODE, CELLS).double()
        if name == "local":
            estimate = found.estimates["local"]
            cells = look.reshape(-1, CELLS, P)
            told = torch.einsum("nkp,kpr->nrk", cells, estimate.weight) + estimate.bias.T
            local = told[:, :CODE] * scale[:, None]
        features.append(Features(local, conv, directions, directions @ rotation(CODE)))
    return features


def rows_of(looks, start, stop):
    fields = Features.__dataclass_fields__
    return [Features(*(getattr(f, name)[start:stop] for name in fields)) for f in looks]


def solved(name="local", ridge=RIDGE, **kwargs):
    looks, term = make_looks(), make_term(name, **kwargs)
    found = solve({name: Sums.of(looks, looks, BOTH_WAYS)}, {name: 1.0}, CELLS, Q, ridge)
    information = term.set_directions(found, BASIS, CODE)
    return term, found, information, encoded(looks, found, name)


each_name = pytest.mark.parametrize("name", ["local", "global"])


@each_name
def test_the_information_is_that_of_the_leading_correlations(name):
    term, found, information, _ = solved(name)
    correlations = found.estimates[name].correlations[:CODE]

    assert information == pytest.approx(information_of(correlations).item(), rel=1e-6)
    assert isinstance(information, float)
    assert term.solved


@each_name
def test_the_critic_compares_standardised_directions_with_what_the_layer_tells(name):
    term, found, _, looks = solved(name)
    correlations = found.estimates[name].correlations[:CODE]
    with torch.no_grad():
        a = term.critic.code_projection(looks[0].code)
        layer = term.layer_of(looks[1])
        b = term.critic.local_projection(layer if name == "global" else layer[:, :, 0])

    torch.testing.assert_close(term.critic.fisher_z.tanh().detach(), correlations)
    torch.testing.assert_close(a.var(0), torch.ones(CODE).double(), rtol=0.05, atol=0)
    covariance = (a - a.mean(0)).T @ (b - b.mean(0)) / len(a)
    if name == "global":
        torch.testing.assert_close(b.var(0), torch.ones(CODE).double(), rtol=0.1, atol=0)
        torch.testing.assert_close(covariance, torch.diag(correlations), rtol=0.1, atol=0.05)


def test_the_score_of_the_whole_is_the_information_of_gaussian_looks():
    # With a larger ridge, both are estimates.
    term, _, information, looks = solved("global", ridge=1e-9)

    assert term.score_looks(looks, make_batch(4000)).item() == pytest.approx(information, rel=1e-3)


@each_name
def test_the_score_of_looks_is_the_mean_of_the_scores_of_true_pairs(name):
    term, _, _, looks = solved(name)
    few = rows_of(looks, 0, 5)
    values = []
    for i, j in BOTH_WAYS:
        scores = term.critic(few[i].code, term.layer_of(few[j]))[:, 0]
        values += [scores[n, n].mean() for n in range(5)]

    found = term.score_looks(few, make_batch(5))
    torch.testing.assert_close(found, torch.stack(values).mean())


@each_name
def test_the_score_does_not_depend_on_the_batches(name):
    term, _, _, looks = solved(name)
    whole = term.score_looks(rows_of(looks, 0, 800), make_batch(800))
    for size in (200, 50):
        parts = [
            term.score_looks(rows_of(looks, start, start + size), make_batch(size))
            for start in range(0, 800, size)
        ]
        torch.testing.assert_close(torch.stack(parts).mean(), whole)


@each_name
def test_training_makes_the_score_infonce(name):
    term, _, _, looks = solved(name)
    few = rows_of(looks, 0, 6)
    before = term.score_looks(few, make_batch(6))
    (loss,) = term(few, make_batch(6)).values()
    after = term.score_looks(few, make_batch(6))
    expected = [
        bound_of_pairs(
            BOUNDS["infonce"],
            term.critic.join,
            term.critic.project_code(few[i].code),
            term.critic.project_local(term.layer_of(few[j])),
            "all",
        )
        for i, j in BOTH_WAYS
    ]

    assert not term.solved
    assert not torch.equal(before, after)
    torch.testing.assert_close(loss, -torch.stack(expected).mean())
    torch.testing.assert_close(after, term.score(few[0], make_batch(6)))


def test_a_new_solution_makes_the_score_exact_again():
    term, found, _, looks = solved("global")
    looks, few = rows_of(looks, 0, 800), rows_of(looks, 0, 6)
    before = term.score_looks(looks, make_batch(800))
    term(few, make_batch(6))
    term.set_directions(found, BASIS, CODE)

    assert term.solved
    torch.testing.assert_close(term.score_looks(looks, make_batch(800)), before)


def test_what_was_never_set_is_not_solved_and_trains():
    term = make_term()
    assert not term.solved
    looks = [
        Features(*(normals(6, *s, seed=seed) for s in ((CODE, CELLS), (P, CELLS), (4,), (CODE,))))
        for seed in (1, 2)
    ]
    (loss,) = term(looks, make_batch(6)).values()
    loss.backward()

    assert all(w.grad.isfinite().all() for w in term.critic.parameters())


def test_whether_it_is_solved_is_saved_with_the_weights():
    term, *_ = solved("global")
    other = make_term("global", seed=1)
    other.load_state_dict(term.state_dict())

    assert other.solved
    assert all(
        torch.equal(a, b) for a, b in zip(term.parameters(), other.parameters(), strict=True)
    )


@each_name
def test_the_weight_is_of_the_loss_and_not_of_the_score(name):
    (one, *_, looks), (other, *_) = solved(name), solved(name, weight=2.5)
    few = rows_of(looks, 0, 6)

    torch.testing.assert_close(
        one.score_looks(few, make_batch(6)), other.score_looks(few, make_batch(6))
    )
    (loss,), (weighted,) = (term(few, make_batch(6)).values() for term in (one, other))
    torch.testing.assert_close(2.5 * loss, weighted)


def test_directions_that_nothing_tells_of_take_no_part():
    draws = normals(3000, 2 * Q)
    looks = [look.clone() for look in draws.split(Q, dim=1)]
    shared = normals(3000, seed=5)
    for look in looks:
        look[:, 0] = shared
    term = make_term("global")
    found = solve({"global": Sums.of(looks, looks, [(0, 1)])}, {"global": 1.0}, CELLS, Q)
    zeroed = type(found)(
        found.mean,
        found.weight,
        found.correlations * torch.tensor([1.0, 0, 0, 0, 0, 0]),
        {
            "global": type(found.estimates["global"])(
                found.estimates["global"].weight,
                found.estimates["global"].bias,
                found.estimates["global"].correlations * torch.tensor([1.0, 0, 0, 0, 0, 0]),
            )
        },
    )
    information = term.set_directions(zeroed, BASIS, CODE)

    assert np.isfinite(information)
    assert information == pytest.approx(information_of(zeroed.correlations[:1]).item(), rel=1e-6)
    assert all(weight.isfinite().all() for weight in term.parameters())
    assert term.critic.fisher_z[1] == 0


def test_several_terms_score_by_the_first():
    local, whole = make_term("local"), make_term("global")
    both = Together([local, whole])
    looks = [
        Features(*(normals(6, *s, seed=seed) for s in ((CODE, CELLS), (P, CELLS), (4,), (CODE,))))
        for seed in (1, 2)
    ]

    assert both.scores_looks
    assert not Information.scores_looks
    torch.testing.assert_close(
        both.score_looks(looks, make_batch(6)), local.score_looks(looks, make_batch(6))
    )
