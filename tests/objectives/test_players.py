"""A module that is asked without being moved, and two players under one optimizer."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from skdim.bounds import BOUNDS
from skdim.critics import Discriminator, DotCritic
from skdim.encoders import Features
from skdim.objectives import Information, PriorMatching, Together, frozen
from skdim.priors import PRIORS
from tests.objectives.helpers import made, seeded
from tests.objectives.small import CODE, INPUTS, LOCAL, Encoder, N, leaves, make_batch, normals

each_code_grid = pytest.mark.parametrize("code_grid", [(), (2,)], ids=["one global", "two"])


# ---------------------------------------------------------------------------------------------
# Asking a module without moving it


def make_network():
    return made(
        nn.Sequential, made(nn.Linear, 4, 5), nn.BatchNorm1d(5), nn.ReLU(), made(nn.Linear, 5, 2)
    )


@pytest.mark.parametrize("training", [True, False])
def test_frozen_module_answers_as_ever_but_stays_as_it_was(training):
    network = make_network().train(training)
    before, x = copy.deepcopy(network.state_dict()), normals(7, 4).requires_grad_()
    answer = frozen(network, x)
    answer.square().sum().backward()

    assert x.grad.abs().max() > 0
    assert all(weight.grad is None for weight in network.parameters())
    after = network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert network.training is training
    assert torch.equal(answer, network(x))


def test_gradient_through_a_frozen_module_is_the_true_one():
    network, x, y = make_network(), normals(7, 4).requires_grad_(), normals(7, 4).requires_grad_()
    frozen(network, x).square().sum().backward()
    network(y).square().sum().backward()

    assert torch.equal(x.grad, y.grad)


def test_module_asked_frozen_still_learns_from_its_own_pass():
    network, x = make_network(), normals(7, 4)
    (network(x).sum() + frozen(network, x).square().sum()).backward()
    alone = make_network()
    alone(x).sum().backward()

    for weight, expected in zip(network.parameters(), alone.parameters(), strict=True):
        assert torch.equal(weight.grad, expected.grad)


def test_frozen_module_may_share_weights():
    shared = made(nn.Linear, 4, 4)
    network, x = nn.Sequential(shared, nn.Tanh(), shared), normals(3, 4).requires_grad_()

    assert torch.equal(frozen(network, x), network(x))


# ---------------------------------------------------------------------------------------------
# Two players, one optimizer


def play(n_steps, take_step):
    """Train an encoder, its critic and a discriminator; give all weights at the end."""
    encoder = made(Encoder)
    of_local = Information("local", made(DotCritic, CODE, LOCAL, 8), BOUNDS["infonce"])
    small = made(nn.Sequential, made(nn.Linear, CODE, 16), nn.ReLU(), made(nn.Linear, 16, 1))
    matching = PriorMatching(PRIORS["uniform"], small, weight=0.3)
    objective = Together([of_local, matching])
    step = take_step([*encoder.parameters(), *of_local.parameters()], list(matching.parameters()))
    for i in range(n_steps):
        batch = make_batch(seed=i)
        step(objective([encoder(normals(N, INPUTS, seed=i))], batch))
    return [weight.detach() for weight in [*encoder.parameters(), *objective.parameters()]]


def together(of_encoder, of_discriminator):
    optimizer = torch.optim.Adam([*of_encoder, *of_discriminator], lr=1e-2)

    def step(terms):
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()

    return step


def apart(of_encoder, of_discriminator):
    """Each player has an optimizer, and sees the loss that is its own."""
    players = [torch.optim.Adam(weights, lr=1e-2) for weights in (of_encoder, of_discriminator)]

    def step(terms):
        losses = [torch.stack([terms["local"], terms["prior"]]).sum(), terms["discriminator"]]
        gradients = [
            torch.autograd.grad(loss, weights, retain_graph=True)
            for loss, weights in zip(losses, (of_encoder, of_discriminator), strict=True)
        ]
        for player, weights, of_player in zip(
            players, (of_encoder, of_discriminator), gradients, strict=True
        ):
            for weight, gradient in zip(weights, of_player, strict=True):
                weight.grad = gradient
            player.step()

    return step


def test_one_optimizer_on_the_sum_equals_two_to_the_last_bit():
    by_one, by_two, at_start = play(30, together), play(30, apart), play(0, together)

    for one, two, start in zip(by_one, by_two, at_start, strict=True):
        assert torch.equal(one, two)
        assert not torch.equal(one, start)


def make_matching(prior="uniform", weight=0.7):
    return PriorMatching(PRIORS[prior], made(Discriminator, CODE), weight=weight)


def confidence(matching, code):
    """How sure the discriminator is that codes are not from the prior; at most 0."""
    logits = matching.discriminator(matching.prior.squash(code))
    return -softplus(logits).mean()


def train_discriminator(matching, codes, n_steps=60):
    optimizer = torch.optim.Adam(matching.parameters(), lr=1e-3)
    for i in range(n_steps):
        optimizer.zero_grad()
        matching([codes], make_batch(seed=i))["discriminator"].backward()
        optimizer.step()


@pytest.mark.parametrize("prior", sorted(PRIORS))
def test_prior_term_makes_codes_harder_to_tell_from_the_prior(prior):
    """Public ports train the encoder with the discriminator's loss: to be told more easily."""
    matching = make_matching(prior)
    code = (0.2 * normals(N, CODE) + 2.0).requires_grad_()
    codes = Features(code, code, code, code)
    train_discriminator(matching, codes)
    sure = confidence(matching, code)
    (gradient,) = torch.autograd.grad(matching([codes], make_batch())["prior"], code)
    less_sure = confidence(matching, code - 0.1 * gradient / gradient.norm())

    assert less_sure < sure - 1e-4


def test_discriminator_term_makes_the_discriminator_surer():
    matching = make_matching()
    code = 0.2 * normals(N, CODE) + 2.0
    before = confidence(matching, code)
    train_discriminator(matching, Features(code, code, code, code))

    # Low logits for codes: high means drawn from the prior.
    assert confidence(matching, code) > before + 0.1
    assert matching.discriminator(matching.prior.squash(code)).mean() < -1
    assert matching.discriminator(torch.rand(99, CODE, generator=seeded())).mean() > 0


def test_terms_of_a_discriminator_that_cannot_tell():
    """At logits of 0: ln 2 for the encoder, 2 ln 2 for the discriminator."""
    matching = make_matching(weight=0.7)
    for weight in matching.parameters():
        nn.init.zeros_(weight)
    terms = matching(leaves(dtype=torch.float32), make_batch())

    assert terms["prior"].item() == pytest.approx(0.7 * np.log(2))
    assert terms["discriminator"].item() == pytest.approx(2 * np.log(2))


@each_code_grid
def test_terms_of_prior_matching_equal_a_slow_loop(code_grid):
    looks, matching = leaves(2, code_grid), make_matching(weight=0.7).double()
    terms = matching(looks, make_batch(seed=4))
    n_codes = 2 * N * int(np.prod(code_grid))
    drawn = PRIORS["uniform"].sample((n_codes, CODE), seeded(4), dtype=torch.float64)
    codes = [
        look.code[i].reshape(CODE, -1)[:, a].sigmoid()
        for look in looks
        for i in range(N)
        for a in range(int(np.prod(code_grid)))
    ]
    fake = [matching.discriminator(code).sigmoid().item() for code in codes]
    real = [matching.discriminator(point).sigmoid().item() for point in drawn]

    assert len(codes) == n_codes
    assert terms["prior"].item() == pytest.approx(-0.7 * np.mean(np.log(fake)))
    assert terms["discriminator"].item() == pytest.approx(
        -np.mean(np.log(real)) - np.mean(np.log1p(-np.array(fake)))
    )
