"""BiGAN's game: three players who move themselves only, and pairs that are judged as pairs."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from skdim.critics import JointDiscriminator
from skdim.encoders import Features
from skdim.objectives import BidirectionalGAN
from skdim.priors import PRIORS
from tests.objectives.helpers import made, make_batch, make_features, normals, seeded

N, X, CODE = 9, 5, 3


class Standardise(nn.Module):
    def forward(self, x):
        return (x - 1.0) / 2.0


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(X, CODE)

    def forward(self, x):
        code = self.linear(x)
        return make_features(code[:, :, None], code)


def game(prior="uniform", gradient_penalty=0.0):
    objective = BidirectionalGAN(
        PRIORS[prior],
        made(nn.Linear, CODE, X),
        made(JointDiscriminator, (X,), CODE, 16, seed=1),
        Standardise(),
        gradient_penalty=gradient_penalty,
    )
    return objective, made(Encoder, seed=2)


def batch_of(x, seed=5):
    batch = make_batch(len(x), seed=seed)
    return type(batch)(x, batch.index, batch.y, batch.generator)


def samples(n=N, seed=0):
    return normals(n, X, seed=seed).float()


def gradients(module):
    return [weight.grad for weight in module.parameters()]


def play(objective, encoder, x, seed=5):
    batch = batch_of(x, seed)
    return objective([encoder(objective.standardise(x))], batch)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("term", ["encoder", "generator", "discriminator"])
def test_each_player_moves_itself_only(term, penalty):
    objective, encoder = game(gradient_penalty=penalty)
    play(objective, encoder, samples())[term].backward()
    players = {
        "encoder": encoder,
        "generator": objective.generator,
        "discriminator": objective.discriminator,
    }

    for name, player in players.items():
        moved = [gradient is not None and bool(gradient.any()) for gradient in gradients(player)]
        if name != term:
            assert not any(moved), name
        elif name == "discriminator" and penalty == 0:
            assert all(moved)
        else:
            assert any(moved)


@pytest.mark.parametrize("prior", sorted(PRIORS))
def test_terms_are_the_losses_of_the_players(prior):
    objective, encoder = game(prior)
    x = samples()
    terms = play(objective, encoder, x)
    drawn = objective.prior.sample((N, CODE), seeded(5))
    codes = objective.prior.squash(encoder(objective.standardise(x)).code)
    given = objective.discriminator(objective.standardise(x), codes)
    made_up = objective.discriminator(objective.generator(drawn), drawn)

    assert terms["encoder"].item() == pytest.approx(softplus(given).mean().item())
    assert terms["generator"].item() == pytest.approx(softplus(-made_up).mean().item())
    expected = softplus(-given).mean() + softplus(made_up).mean()
    assert terms["discriminator"].item() == pytest.approx(expected.item())


def test_a_discriminator_that_knows_nothing_is_at_chance():
    objective, encoder = game(gradient_penalty=1.0)
    with torch.no_grad():
        for weight in objective.discriminator.parameters():
            weight.zero_()
    terms = play(objective, encoder, samples())

    assert terms["discriminator"].item() == pytest.approx(2 * math.log(2))
    assert terms["encoder"].item() == pytest.approx(math.log(2))
    assert terms["generator"].item() == pytest.approx(math.log(2))


def test_the_discriminator_sees_pairs():
    """Codes and samples are drawn alike on both sides; they are paired on one side only."""
    discriminator = made(JointDiscriminator, (1,), 1, 32)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-2)

    def loss_of(shuffled, n, seed):
        x, z = normals(2, n, 1, seed=seed, dtype=torch.float32)
        paired = x.roll(1, dims=0) if shuffled else x
        return (
            softplus(-discriminator(x, paired)).mean()
            + softplus(discriminator(z, z.flip(0))).mean()
        )

    for seed in range(200):
        optimizer.zero_grad()
        loss_of(False, 64, seed).backward()
        optimizer.step()
    with torch.no_grad():
        paired, shuffled = (loss_of(s, 1000, 1234).item() for s in (False, True))

    # Neither side alone tells anything: what is below chance is owed to the pairing.
    assert paired < 0.8 * 2 * math.log(2)
    assert shuffled > 2 * math.log(2)


def test_the_penalty_is_half_the_mean_squared_gradient_in_pairs_of_samples_and_codes():
    (plain, encoder), (penalised, _) = (game(gradient_penalty=p) for p in (0.0, 3.0))
    x = samples()
    terms = [play(objective, encoder, x) for objective in (plain, penalised)]
    given = plain.standardise(x), plain.squashed(encoder(plain.standardise(x))).detach()
    total = 0.0
    for pair in zip(*given, strict=True):
        jacobians = torch.autograd.functional.jacobian(
            lambda a, b: plain.discriminator(a[None], b[None]).squeeze(), pair
        )
        total += sum(j.square().sum().item() for j in jacobians)

    added = (terms[1]["discriminator"] - terms[0]["discriminator"]).item()
    assert added == pytest.approx(3.0 * 0.5 * total / N, rel=1e-4)
    assert terms[1]["encoder"] == terms[0]["encoder"]


def test_each_look_is_paired_with_the_sample_as_given():
    objective, encoder = game()
    x = samples()
    looks = [encoder(objective.standardise(x + shift)) for shift in (0.0, 0.5)]
    seen = []
    objective.discriminator.register_forward_pre_hook(lambda _, args: seen.append(args))
    objective(looks, batch_of(x))
    given, codes = seen[0]

    assert torch.equal(given, objective.standardise(x).repeat(2, 1))
    torch.testing.assert_close(codes, torch.cat([look.code for look in looks]).sigmoid())


def test_several_globals_are_averaged():
    objective, _ = game()
    code = normals(N, CODE, 4, dtype=torch.float32)
    features = make_features(code, code)

    assert torch.allclose(objective.squashed(features), code.mean(dim=2).sigmoid())


def test_score_is_minus_the_error_of_what_the_generator_makes_of_the_codes():
    objective, encoder = game()
    x = samples()
    features = encoder(objective.standardise(x))
    made_of = objective.generator(features.code.sigmoid())
    expected = -(made_of - objective.standardise(x)).square().mean()

    assert objective.score(features, batch_of(x)).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("shape", [(1,), (7,), (2, 5), (1, 33), (1, 1, 1), (3, 9, 8), (1, 64, 32)])
def test_the_discriminator_takes_any_samples_and_judges_each_pair_alone(shape):
    discriminator = made(JointDiscriminator, shape, CODE, 8)
    x, code = normals(4, *shape, dtype=torch.float32), normals(4, CODE, dtype=torch.float32)
    logits = discriminator(x, code)

    assert logits.shape == (4, 1)
    torch.testing.assert_close(discriminator(x[:1], code[:1]), logits[:1])
    assert not torch.allclose(discriminator(x, code.flip(0)), logits)


def test_channels_of_the_discriminator_double_up_to_256():
    layers = JointDiscriminator((1, 128, 128), 3, units=4).of_sample

    widths = [layer.out_channels for layer in layers if isinstance(layer, nn.Conv2d)]
    assert widths == [32, 64, 128, 256, 256]


@pytest.mark.slow
def test_players_reach_the_inverse_on_a_line():
    """Samples are a linear map of a uniform cause: the encoder comes to follow the cause."""
    objective = BidirectionalGAN(
        PRIORS["uniform"],
        made(nn.Sequential, made(nn.Linear, 1, 16), nn.ReLU(), made(nn.Linear, 16, 2)),
        made(JointDiscriminator, (2,), 1, 64),
        nn.Identity(),
        gradient_penalty=0.1,
    )
    encoder = made(nn.Linear, 2, 1)
    optimizer = torch.optim.Adam([*encoder.parameters(), *objective.parameters()], lr=2e-3)
    direction = torch.tensor([[1.5, -0.5]])

    def draw(n, seed):
        cause = torch.rand(n, 1, generator=seeded(seed)) * 2 - 1
        return cause, cause @ direction

    def look(x):
        code = encoder(x)
        return Features(code[:, :, None], code, code, code)

    for seed in range(600):
        _, x = draw(64, seed)
        optimizer.zero_grad()
        torch.stack(list(objective([look(x)], batch_of(x, seed)).values())).sum().backward()
        optimizer.step()
    cause, x = draw(500, 10_000)
    with torch.no_grad():
        code = encoder(x)
        score = objective.score(look(x), batch_of(x))
    correlation = torch.corrcoef(torch.cat([code, cause], dim=1).T)[0, 1].abs()

    assert correlation > 0.99
    # Of a mean square of 0.42: the generator undoes the encoder.
    assert -score < 0.1 * x.square().mean()
