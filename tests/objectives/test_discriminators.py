"""What tells codes from a prior: its gradient penalty, and discriminators of one's own."""

import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from skdim import DeepInfoMaxTransformer
from skdim.critics import Discriminator, keras_discriminator
from skdim.objectives import PriorMatching
from skdim.objectives.matching import make_discriminator
from skdim.priors import PRIORS, Prior
from tests.objectives.helpers import made, make_batch, make_features, normals, seeded

N, CODE = 9, 3
ROWS = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
each_prior = pytest.mark.parametrize("name", sorted(PRIORS))


def small(code_features=CODE):
    return made(Discriminator, code_features, (8, 5))


def matching(prior, discriminator=None):
    return PriorMatching(prior, discriminator or small(), weight=0.7).double()


def look(seed=0, code_grid=()):
    code = normals(N, CODE, *code_grid, seed=seed).requires_grad_()
    return make_features(code[:, :, None], code)


# ---------------------------------------------------------------------------------------------
# The gradient penalty


def slow_penalty(discriminator, points):
    """Differentiate by each point alone, numerically."""
    total, step = 0.0, 1e-5
    for point in points:
        for axis in range(len(point)):
            moved = step * torch.eye(len(point), dtype=point.dtype)[axis]
            up, down = (discriminator((point + sign * moved)[None]).item() for sign in (1, -1))
            total += ((up - down) / (2 * step)) ** 2
    return total / len(points)


@each_prior
def test_penalty_is_half_the_mean_squared_gradients_of_both_sides(name):
    plain, penalised = (
        matching(replace(PRIORS[name], gradient_penalty=weight)) for weight in (0.0, 3.0)
    )
    features = look()
    terms = [each([features], make_batch(N)) for each in (plain, penalised)]
    codes = plain.prior.squash(features.code)
    drawn = plain.prior.sample(codes.shape, seeded(5), codes.device, codes.dtype)
    expected = sum(slow_penalty(plain.discriminator, points) for points in (drawn, codes))

    added = terms[1]["discriminator"] - terms[0]["discriminator"]
    assert added.item() == pytest.approx(3.0 * 0.5 * expected, rel=1e-4)
    assert terms[0]["prior"] == terms[1]["prior"]


def test_penalty_moves_the_discriminator_alone_and_makes_it_flatter():
    """Weighted a lot, it leaves nothing to be told."""
    term = matching(replace(PRIORS["normal"], gradient_penalty=100.0))
    features = look()
    optimizer = torch.optim.Adam(term.parameters(), lr=1e-2)
    slopes = []
    for seed in range(40):
        optimizer.zero_grad()
        loss = term([features], make_batch(N, seed=seed))["discriminator"]
        loss.backward()
        optimizer.step()
        slopes.append(slow_penalty(term.discriminator, features.code.detach()))

    assert features.code.grad is None
    assert slopes[-1] < 0.1 * slopes[0]


def test_penalty_takes_normalised_discriminators_and_several_globals():
    discriminator = made(Discriminator, CODE, (8,), batch_norm=True)
    term = matching(replace(PRIORS["uniform"], gradient_penalty=1.0), discriminator)
    terms = term([look(code_grid=(2,))], make_batch(N))
    terms["discriminator"].backward()

    assert all(term.isfinite() for term in terms.values())
    assert all(weight.grad.isfinite().all() for weight in discriminator.parameters())


@pytest.mark.parametrize("weight", [-1.0, float("inf"), float("nan")])
def test_penalties_that_are_none_are_refused(weight):
    with pytest.raises(ValueError, match="gradient_penalty"):
        replace(PRIORS["normal"], gradient_penalty=weight)


# ---------------------------------------------------------------------------------------------
# Normalised over the batch


def test_normalised_discriminator_has_no_bias_before_a_normalisation():
    discriminator = Discriminator(4, (32, 200), batch_norm=True)
    kinds = [type(layer) for layer in discriminator.network]

    assert kinds == [nn.Linear, nn.BatchNorm1d, nn.ReLU] * 2 + [nn.Linear]
    assert [discriminator.network[i].bias is None for i in (0, 3, 6)] == [True, True, False]
    assert discriminator(torch.randn(5, 4, generator=seeded())).shape == (5, 1)


def test_encoder_does_not_move_what_a_discriminator_has_seen():
    discriminator = made(Discriminator, CODE, (8,), batch_norm=True)
    matching(PRIORS["uniform"], discriminator)([look()], make_batch(N))

    # Draws and codes once each; asked for the encoder, it is frozen.
    assert discriminator.network[1].num_batches_tracked == 2


# ---------------------------------------------------------------------------------------------
# One's own


class Own(nn.Module):
    """Tell by the distance from a learnt point, and forget at random."""

    def __init__(self, code_features):
        super().__init__()
        self.point = nn.Parameter(torch.zeros(code_features))
        self.dropout = nn.Dropout(0.2)

    def forward(self, code):
        return (self.dropout(code) - self.point).square().sum(dim=1, keepdim=True)


def squash_to_line(code):
    return code.tanh()


def sample_corners(size, generator=None, device=None, dtype=None):
    return torch.randint(0, 2, tuple(size), generator=generator, device=device).to(dtype) * 2 - 1


def fit(prior, **settings):
    defaults = {"prior_weight": 0.5, "max_epochs": 3, "batch_size": 16, "random_state": 0}
    return DeepInfoMaxTransformer(4, **defaults | settings, prior=prior).fit(ROWS)


@pytest.mark.parametrize(
    "prior",
    [
        Prior(squash_to_line, sample_corners),
        Prior(squash_to_line, sample_corners, 0.5, Own),
        replace(PRIORS["uniform"], discriminator=Own(4)),
        replace(PRIORS["sphere"], discriminator=partial(Discriminator, units=(8,))),
    ],
    ids=["prior", "prior, penalty and class", "module", "partial"],
)
@pytest.mark.usefixtures("global_random_state_untouched")
def test_priors_and_discriminators_of_ones_own_train(prior):
    dim, again = fit(prior), fit(prior)
    np.testing.assert_array_equal(dim.transform(ROWS), again.transform(ROWS))

    assert np.isfinite(dim.history_["discriminator"]).all()
    assert not np.array_equal(
        dim.transform(ROWS), fit(prior, prior_weight=0, local_weight=1).transform(ROWS)
    )
    copied = pickle.loads(pickle.dumps(dim))
    np.testing.assert_array_equal(copied.transform(ROWS), dim.transform(ROWS))
    _, term = dim.net_.criterion_
    assert type(term.discriminator) is type(made(make_discriminator, prior, 4))


def test_a_module_that_was_given_is_not_trained():
    own = Own(4)
    dim = fit(replace(PRIORS["uniform"], discriminator=own))
    _, term = dim.net_.criterion_

    assert not own.point.any()
    assert isinstance(term.discriminator, Own)
    assert term.discriminator.point.any()


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_a_module_that_was_given_is_kept(training):
    own = Own(4).train(training)
    term = make_discriminator(replace(PRIORS["uniform"], discriminator=own), 4)

    assert [part.training for part in term.modules()] == [training] * 2


@pytest.mark.parametrize(
    ("discriminator", "error", "text"),
    [
        (lambda d: 3, TypeError, "returned an object of type int"),
        (lambda d: nn.Linear(d, 2), ValueError, r"Linear of the prior returned \(2, 2\)"),
        (nn.Flatten(0), ValueError, r"Flatten of the prior returned \(8,\) for 2 codes of size 4"),
    ],
    ids=["no module", "two logits", "flat"],
)
def test_what_tells_nothing_apart_is_refused(discriminator, error, text):
    with pytest.raises(error, match=text):
        fit(replace(PRIORS["uniform"], discriminator=discriminator))


def test_losses_are_those_of_the_two_players():
    term, features = matching(replace(PRIORS["normal"], gradient_penalty=0.0)), look()
    terms = term([features], make_batch(N))
    drawn = term.prior.sample((N, CODE), seeded(5), dtype=torch.float64)
    real, fake = term.discriminator(drawn), term.discriminator(features.code)

    assert terms["prior"].item() == pytest.approx(0.7 * softplus(-fake).mean().item())
    expected = softplus(-real).mean() + softplus(fake).mean()
    assert terms["discriminator"].item() == pytest.approx(expected.item())


def test_discriminator_of_the_keras_tutorial_is_normalised():
    network = keras_discriminator(4).network

    assert [part.num_features for part in network if isinstance(part, nn.BatchNorm1d)] == [32, 200]
