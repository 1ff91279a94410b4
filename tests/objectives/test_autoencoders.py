"""The terms of autoencoders: what they are, who moves whom, and the variational bound."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from skdim.critics import Discriminator
from skdim.decoders import make_decoder
from skdim.encoders import Features
from skdim.inputs import Standardise
from skdim.objectives import Batch, PriorMatching, Reconstruction, Together, Variational
from skdim.objectives.variational import gaussian_divergence, gaussian_log_density
from skdim.priors import PRIORS
from tests.objectives.helpers import made, make_features, normals, seeded

N, INPUTS, HIDDEN, CODE = 6, 10, 7, 3


class Encoder(nn.Module):
    """A small encoder in two parts, so that it can be seen which one a term moves."""

    def __init__(self, code_grid=()):
        super().__init__()
        self.code_grid = code_grid
        self.to_hidden = nn.Linear(INPUTS, HIDDEN)
        self.to_code = nn.Linear(HIDDEN, CODE * math.prod(code_grid))

    def forward(self, x):
        hidden = self.to_hidden(x).tanh()
        code = self.to_code(hidden).reshape(len(x), CODE, *self.code_grid)
        return Features(hidden[:, :, None], hidden[:, :, None], hidden, code)


class Halved(nn.Module):
    """A standardisation that can be told from none."""

    def forward(self, x):
        return (x - 1) / 2


def make_batch(seed=5):
    return Batch(normals(N, INPUTS), torch.arange(N), torch.full((N,), -1), seeded(seed))


def look_at(encoder, n_looks=1):
    return [encoder(normals(N, INPUTS, seed=look)) for look in range(n_looks)]


def make_objective(name):
    sizes = made(Encoder)(normals(2, INPUTS, dtype=torch.float32))
    decoder = made(make_decoder, (INPUTS,), CODE)
    if name == "variational":
        return made(Variational, decoder, Halved(), sizes, beta=0.7).double()
    reconstruction = Reconstruction(decoder, Halved())
    if name == "plain":
        return reconstruction.double()
    discriminator = made(Discriminator, CODE, (8, 5))
    matching = PriorMatching(PRIORS["normal"], discriminator, weight=0.3)
    return Together([reconstruction, matching]).double()


def encoder_of(code_grid=()):
    return made(Encoder, code_grid).double()


TERMS = {
    "plain": {"reconstruction"},
    "variational": {"reconstruction", "kl"},
    "adversarial": {"reconstruction", "prior", "discriminator"},
}
each_objective = pytest.mark.parametrize("name", TERMS)


# ---------------------------------------------------------------------------------------------
# One contract


@pytest.mark.usefixtures("global_random_state_untouched")
@pytest.mark.parametrize("n_looks", [1, 2])
@pytest.mark.parametrize("code_grid", [(), (2,)], ids=["one global", "two"])
@each_objective
def test_terms_are_finite_numbers_whose_sum_moves_everything(name, code_grid, n_looks):
    objective, encoder = make_objective(name), encoder_of(code_grid)
    terms = objective(look_at(encoder, n_looks), make_batch())
    torch.stack(list(terms.values())).sum().backward()

    assert set(terms) == TERMS[name]
    for term in terms.values():
        assert term.shape == ()
        assert term.isfinite()
    weights = [*encoder.named_parameters(), *objective.named_parameters()]
    assert not [name for name, weight in weights if weight.grad is None or not weight.grad.any()]


@each_objective
def test_terms_follow_the_seed_and_the_weights_alone(name):
    objective, looks = make_objective(name).eval(), look_at(encoder_of())
    expected = objective(looks, make_batch())
    assert objective(looks, make_batch()) == expected
    assert (objective(looks, make_batch(seed=6)) == expected) == (name == "plain")

    other = make_objective(name).eval()
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(1)
    assert other(looks, make_batch()) != expected
    other.load_state_dict(objective.state_dict())
    for same in (other, copy.deepcopy(objective), pickle.loads(pickle.dumps(objective))):
        assert same(looks, make_batch()) == expected


@each_objective
def test_score_is_minus_what_is_minimised_without_weights(name):
    objective = make_objective(name).eval()
    (features,) = look_at(encoder_of())
    terms = objective([features], make_batch())
    weightless = {
        "plain": {"reconstruction": 1.0},
        "variational": {"reconstruction": 1.0, "kl": 1 / 0.7},
        "adversarial": {"reconstruction": 1.0},
    }[name]
    expected = -sum(terms[term] * factor for term, factor in weightless.items())

    torch.testing.assert_close(objective.score(features, make_batch()), expected)


@pytest.mark.parametrize("name", ["plain", "variational"])
def test_several_globals_are_decoded_as_their_mean(name):
    objective = make_objective(name).eval()
    (several,) = look_at(encoder_of((2, 3)))
    one = Features(several.local, several.conv, several.hidden, several.code.mean(dim=(2, 3)))

    torch.testing.assert_close(objective([several], make_batch()), objective([one], make_batch()))


# ---------------------------------------------------------------------------------------------
# Who moves whom


def moved_by(term, **modules):
    """Name the modules in which a term alone would move a weight."""
    term.backward(retain_graph=True)
    moved = {
        name
        for name, module in modules.items()
        if any(weight.grad is not None and weight.grad.any() for weight in module.parameters())
    }
    for module in modules.values():
        module.zero_grad(set_to_none=True)
    return moved


def test_players_of_the_adversarial_autoencoder_move_only_themselves():
    objective, encoder = make_objective("adversarial"), encoder_of()
    reconstruction, matching = objective
    terms = objective(look_at(encoder), make_batch())
    modules = {
        "encoder": encoder,
        "decoder": reconstruction.decoder,
        "discriminator": matching.discriminator,
    }

    assert {name: moved_by(term, **modules) for name, term in terms.items()} == {
        "reconstruction": {"encoder", "decoder"},
        "prior": {"encoder"},
        "discriminator": {"discriminator"},
    }


def test_terms_of_the_variational_autoencoder_move_what_they_should():
    objective, encoder = make_objective("variational"), encoder_of()
    terms = objective(look_at(encoder), make_batch())
    modules = {
        "to hidden": encoder.to_hidden,
        "to code": encoder.to_code,
        "to log variance": objective.to_log_variance,
        "decoder": objective.decoder,
    }

    assert {name: moved_by(term, **modules) for name, term in terms.items()} == {
        "reconstruction": set(modules),
        "kl": set(modules) - {"decoder"},
    }


def test_training_the_objective_leaves_the_standardisation_alone():
    shared = nn.BatchNorm1d(INPUTS, affine=False).double().eval()
    decoder = made(make_decoder, (INPUTS,), CODE)
    objective = Reconstruction(decoder, shared).double()

    assert objective.standardise is shared
    assert {id(weight) for weight in objective.parameters()} == {
        id(weight) for weight in decoder.parameters()
    }


# ---------------------------------------------------------------------------------------------
# The plain term


def test_reconstruction_is_the_mean_squared_error_of_a_number_of_the_sample_as_given():
    objective = make_objective("plain").eval()
    looks, batch = look_at(encoder_of(), 2), make_batch()
    errors = [
        (decoded - (given - 1) / 2).item() ** 2
        for look in looks
        for decodings, sample in zip(objective.decoder(look.code), batch.x, strict=True)
        for decoded, given in zip(decodings, sample, strict=True)
    ]

    assert len(errors) == 2 * N * INPUTS
    expected = sum(errors) / len(errors)
    assert objective(looks, batch)["reconstruction"].item() == pytest.approx(expected)


def test_whole_numbers_are_decoded_to_as_floats():
    batch = Batch(
        torch.arange(N * INPUTS, dtype=torch.uint8).reshape(N, INPUTS),
        torch.arange(N),
        torch.full((N,), -1),
        seeded(),
    )
    standardise = Standardise(np.ones(INPUTS), np.full(INPUTS, 2.0))
    objective = Reconstruction(made(make_decoder, (INPUTS,), CODE).double(), standardise).eval()
    (features,) = look_at(encoder_of())
    wanted = (batch.x.double() - 1) / 2
    expected = (objective.decoder(features.code) - wanted).square().mean()

    torch.testing.assert_close(objective([features], batch)["reconstruction"], expected)


# ---------------------------------------------------------------------------------------------
# Gaussians


def test_divergence_is_the_closed_form():
    means, log_variances = normals(50, CODE), 2 * normals(50, CODE, seed=1)
    given = Normal(means, (log_variances / 2).exp())
    expected = kl_divergence(given, Normal(torch.zeros(()), torch.ones(()))).sum(dim=1)

    torch.testing.assert_close(gaussian_divergence(means, log_variances), expected)
    assert gaussian_divergence(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 0


def test_divergence_is_what_draws_say():
    """The mean log ratio of the two densities over draws, here of one coordinate."""
    mean, log_variance = torch.tensor([[0.8]]), torch.tensor([[-1.1]])
    given = Normal(mean.double(), (log_variance.double() / 2).exp())
    drawn = given.mean + given.stddev * normals(200_000, 1)
    ratios = given.log_prob(drawn) - Normal(0.0, 1.0).log_prob(drawn)

    expected = gaussian_divergence(mean, log_variance).item()
    assert ratios.mean().item() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("variance", [1.0, 0.3])
def test_log_density_is_that_of_a_gaussian(variance):
    x, means = normals(8, 5), normals(8, 5, seed=1)
    expected = MultivariateNormal(means, variance * torch.eye(5).double()).log_prob(x)

    torch.testing.assert_close(gaussian_log_density(x, means, variance), expected)


@pytest.mark.parametrize("size", [1e3, 1e8, 1e30])
def test_no_hidden_layer_makes_the_variances_overflow(size):
    objective = make_objective("variational")
    code = normals(N, CODE).requires_grad_()
    hidden = (size * normals(N, HIDDEN, seed=1)).requires_grad_()
    terms = objective([Features(code, code, hidden, code)], make_batch())
    torch.stack(list(terms.values())).sum().backward()
    _, log_variances = objective.posterior([Features(code, code, hidden, code)])

    assert all(term.isfinite() for term in terms.values())
    assert all(weight.grad.isfinite().all() for weight in objective.parameters())
    assert log_variances.abs().max() <= 10
    assert hidden.grad.isfinite().all()


def test_bounded_variances_are_hardly_bent_where_they_are_used():
    objective = make_objective("variational")
    hidden = normals(N, HIDDEN)
    code = normals(N, CODE)
    _, log_variances = objective.posterior([Features(code, code, hidden, code)])

    torch.testing.assert_close(
        log_variances, objective.to_log_variance(hidden), atol=0.02, rtol=0.01
    )


# ---------------------------------------------------------------------------------------------
# The bound, where the density of the samples is known: x = W z + b + noise, with orthogonal
# columns of W, so that the posterior has independent coordinates.

WEIGHTS = torch.tensor([[1.5, 0.0], [0.0, 0.8], [2.0, 0.0], [0.0, -0.6]]).double()
OFFSET = torch.tensor([0.3, -0.2, 0.0, 1.0]).double()
VARIANCE = 0.5
SAMPLE = torch.tensor([1.0, 0.4, -0.7, 0.9]).double()
DRAWS = 40_000

PRECISIONS = WEIGHTS.square().sum(dim=0) / VARIANCE + 1
TRUE_MEAN = WEIGHTS.T @ (SAMPLE - OFFSET) / VARIANCE / PRECISIONS
TRUE_LOG_VARIANCE = -PRECISIONS.log()
COVARIANCE = WEIGHTS @ WEIGHTS.T + VARIANCE * torch.eye(4).double()
LOG_DENSITY = MultivariateNormal(OFFSET, COVARIANCE).log_prob(SAMPLE).item()

POSTERIORS = {
    "exact": (TRUE_MEAN, TRUE_LOG_VARIANCE),
    "moved": (TRUE_MEAN + torch.tensor([0.3, -0.2]).double(), TRUE_LOG_VARIANCE),
    "too wide": (TRUE_MEAN, TRUE_LOG_VARIANCE + 0.7),
    "the prior": (torch.zeros(2).double(), torch.zeros(2).double()),
}
each_posterior = pytest.mark.parametrize("name", POSTERIORS)


def linear_gaussian(log_variance):
    """An objective whose decoder is the true one, and whose head gives these log variances."""
    decoder = nn.Linear(2, 4)
    sizes = make_features(torch.zeros(2, 2, 1), torch.zeros(2, 2))
    objective = Variational(decoder, nn.Identity(), sizes, variance=VARIANCE).double()
    with torch.no_grad():
        decoder.weight.copy_(WEIGHTS)
        decoder.bias.copy_(OFFSET)
        objective.to_log_variance.weight.zero_()
        # What the bounded head has to be given.
        objective.to_log_variance.bias.copy_(10 * torch.atanh(log_variance / 10))
    return objective


def repeated(mean, n=DRAWS):
    """One sample many times over: its terms are averages over draws of the code."""
    code = mean.expand(n, 2)
    batch = Batch(SAMPLE.expand(n, 4), torch.arange(n), torch.full((n,), -1), seeded())
    return make_features(code[:, :, None], code), batch


def gap(mean, log_variance):
    """How far a Gaussian is from the true posterior, in nats."""
    return (
        kl_divergence(
            Normal(mean, (log_variance / 2).exp()), Normal(TRUE_MEAN, (TRUE_LOG_VARIANCE / 2).exp())
        )
        .sum()
        .item()
    )


@each_posterior
def test_bound_is_the_log_density_less_the_distance_from_the_true_posterior(name):
    mean, log_variance = POSTERIORS[name]
    score = linear_gaussian(log_variance).score(*repeated(mean)).item()

    assert (gap(mean, log_variance) == 0) == (name == "exact")
    # The standard error of the mean of so many draws is below 0.02 nats.
    assert score == pytest.approx(LOG_DENSITY - gap(mean, log_variance), abs=0.06)


def log_weights(name, n):
    """Log ratios of the joint density to that of the codes drawn, from torch's distributions."""
    mean, log_variance = POSTERIORS[name]
    _, log_variances = linear_gaussian(log_variance).posterior([repeated(mean, 1)[0]])
    drawn_from = Normal(mean, (log_variances[0] / 2).exp())
    codes = drawn_from.mean + drawn_from.stddev * normals(n, 2)
    noise = Normal(codes @ WEIGHTS.T + OFFSET, math.sqrt(VARIANCE))
    prior = Normal(0.0, 1.0).log_prob(codes)
    return noise.log_prob(SAMPLE).sum(1) + prior.sum(1) - drawn_from.log_prob(codes).sum(1)


@each_posterior
def test_bound_lies_below_importance_sampling_which_comes_to_the_log_density(name):
    """Averages of more weights are tighter: one is the bound itself, very many are the truth."""
    weights = log_weights(name, DRAWS)
    score = linear_gaussian(POSTERIORS[name][1]).score(*repeated(POSTERIORS[name][0])).item()
    sampled = [
        (weights.reshape(-1, k).logsumexp(dim=1) - math.log(k)).mean().item()
        for k in (1, 20, DRAWS)
    ]

    assert sampled[0] == pytest.approx(score, abs=0.08)
    assert sampled[-1] == pytest.approx(LOG_DENSITY, abs=0.05)
    if name == "exact":
        assert sampled == pytest.approx([LOG_DENSITY] * 3, abs=1e-6)
    else:
        assert score < LOG_DENSITY - 0.05
        assert sampled[0] < sampled[1] < sampled[2] + 0.02


def test_bound_is_steepest_nowhere_at_the_true_posterior():
    """Gradients through the draws vanish there, and point back to it from elsewhere."""

    def slopes(mean, log_variance):
        objective, mean = linear_gaussian(log_variance), mean.clone().requires_grad_()
        features, batch = repeated(mean)
        terms = objective([features], batch)
        torch.stack(list(terms.values())).sum().backward()
        return mean.grad, objective.to_log_variance.bias.grad

    for slope in slopes(*POSTERIORS["exact"]):
        assert slope.abs().max() < 0.05
    of_mean, _ = slopes(*POSTERIORS["moved"])
    assert (of_mean * torch.tensor([1.0, -1.0]) > 0.2).all()
    _, of_log_variance = slopes(*POSTERIORS["too wide"])
    assert (of_log_variance > 0.2).all()


def test_beta_weighs_the_divergence_alone():
    objective, looks = make_objective("variational"), look_at(encoder_of())
    terms = {}
    for beta in (0.0, 1.0, 4.0):
        objective.beta = beta
        terms[beta] = objective(looks, make_batch())

    assert terms[4.0]["kl"] == 4 * terms[1.0]["kl"]
    assert terms[0.0]["kl"] == 0
    assert len({term["reconstruction"].item() for term in terms.values()}) == 1
