"""Critics score the pairs they say, as a slow loop over pairs does."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from skdim.critics import CRITICS, AbstractCritic, ConcatCritic, Discriminator, DotCritic
from skdim.pairs import pair_blocks, split_pairs

N, CODE, LOCAL, UNITS = 5, 6, 4, 8

# As in the paper: a network beside each linear projection.
PAPERS_DOT = partial(DotCritic, network=True)
KINDS = CRITICS | {"dot with network": PAPERS_DOT}

each_critic = pytest.mark.parametrize("name", sorted(KINDS))
each_grid = pytest.mark.parametrize(
    ("code_grid", "local_grid"),
    [((), ()), ((), (3,)), ((), (2, 3)), ((2,), (3,)), ((2, 1), (2, 2))],
    ids=str,
)


def normals(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def made(make, *args, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make(*args)


def make_critic(name):
    """Build one in float64, whose batch normalisation has seen some data."""
    critic = made(KINDS[name], CODE, LOCAL, UNITS).double()
    critic(normals(50, CODE, seed=8), normals(50, LOCAL, 3, seed=9))
    return critic.eval()


def features(code_grid, local_grid):
    return normals(N, CODE, *code_grid, seed=1), normals(N, LOCAL, *local_grid, seed=2)


def vectors_of(sample):
    """List the vectors (channels,) of one sample's map, in the order of its flattened grid."""
    flat = sample.reshape(len(sample), -1)
    return [flat[:, k] for k in range(flat.shape[1])]


def slow_scores(score, code, local):
    """Call ``score`` on one pair of vectors at a time: ``[i][a][j][k]``."""
    return torch.tensor(
        [
            [
                [[score(y, c).item() for c in vectors_of(sample)] for sample in local]
                for y in vectors_of(of_code)
            ]
            for of_code in code
        ],
        dtype=torch.float64,
    )


# ---------------------------------------------------------------------------------------------
# Scores of all pairs


def dot_score(critic):
    def projected(projection, vector):
        # Layer by layer, as the paper's figure has it: network beside shortcut, then the norm.
        both = projection.shortcut.weight @ vector + projection.shortcut.bias
        if projection.network is not None:
            linear, batch_norm, relu, last = projection.network
            hidden = linear.weight @ vector
            hidden = (hidden - batch_norm.running_mean) / (batch_norm.running_var + 1e-5).sqrt()
            hidden = relu(hidden * batch_norm.weight + batch_norm.bias)
            both = both + last.weight @ hidden + last.bias
        centred = both - both.mean()
        normed = centred / (centred.square().mean() + 1e-5).sqrt()
        return normed * projection.norm.weight + projection.norm.bias

    def score(y, c):
        u = projected(critic.code_projection, y)
        v = projected(critic.local_projection, c)
        return (u * v).sum() / len(u) ** 0.5

    return score


def concat_network(critic):
    """One plain network on the concatenated inputs, with the critic's weights."""
    first = nn.Linear(CODE + LOCAL, UNITS).double()
    with torch.no_grad():
        first.weight.copy_(torch.cat([critic.from_code.weight, critic.from_local.weight], dim=1))
        first.bias.copy_(critic.from_code.bias)
    return nn.Sequential(first, *copy.deepcopy(critic.rest))


def concat_score(critic):
    network = concat_network(critic)
    return lambda y, c: network(torch.cat([y, c]))


SLOW = {"dot": dot_score, "dot with network": dot_score, "concat": concat_score}


@each_grid
@each_critic
def test_scores_equal_a_slow_loop_over_pairs(name, code_grid, local_grid):
    critic = make_critic(name)
    code, local = features(code_grid, local_grid)
    expected = slow_scores(SLOW[name](critic), code, local)

    torch.testing.assert_close(critic(code, local), expected)


@each_grid
@each_critic
def test_a_sample_moves_its_own_scores_only(name, code_grid, local_grid):
    critic = make_critic(name)
    code, local = features(code_grid, local_grid)
    before = critic(code, local)
    moved_code, moved_local = code.clone(), local.clone()
    moved_code[1] += 1
    moved_local[3] += 1

    by_code = (critic(moved_code, local) != before).nonzero()
    by_local = (critic(code, moved_local) != before).nonzero()
    assert set(by_code[:, 0].tolist()) == {1}
    assert set(by_local[:, 2].tolist()) == {3}


@each_critic
def test_blocks_of_pairs_hold_the_scores_of_forward(name):
    critic = make_critic(name)
    code, local = features((2,), (2, 2))
    positive, negative = split_pairs(critic(code, local))
    projections = critic.project_code(code), critic.project_local(local)
    (block,) = pair_blocks(critic.join, *projections, "all")

    torch.testing.assert_close(block, (positive, negative))


@each_critic
def test_join_broadcasts_leading_axes(name):
    critic = make_critic(name)
    code, local = normals(4, 1, 2, UNITS, seed=1), normals(3, 5, UNITS, seed=2)
    joined = critic.join(code, local)

    assert joined.shape == (4, 3, 2, 5)
    for i in range(4):
        for j in range(3):
            torch.testing.assert_close(joined[i, j], critic.join(code[i, 0], local[j]))


@each_critic
def test_projections_have_one_row_a_position(name):
    critic = make_critic(name)
    code, local = features((3, 2), (4, 5))

    assert critic.project_code(code).shape == (N, 6, UNITS)
    assert critic.project_local(local).shape == (N, 20, UNITS)


@each_critic
def test_pair_floats_is_what_the_join_holds_for_a_pair(name):
    """Of what a pair alone needs, at the widest point: two hidden layers, or the score."""
    critic = KINDS[name](CODE, LOCAL, UNITS)

    assert critic.pair_floats == (2 * UNITS if name == "concat" else 1)


def test_a_critic_of_ones_own_needs_three_methods():
    class Distance(AbstractCritic):
        def project_code(self, code):
            return code.flatten(2).mT if code.ndim > 2 else code[:, None]

        def project_local(self, local):
            return local.flatten(2).mT

        def join(self, code, local):
            return -torch.cdist(code, local)

    code, local = normals(N, 3, seed=1), normals(N, 3, 2, seed=2)
    scores = Distance()(code, local)

    assert scores.shape == (N, 1, N, 2)
    assert scores[1, 0, 3, 1].item() == pytest.approx(-(code[1] - local[3, :, 1]).norm().item())


# ---------------------------------------------------------------------------------------------
# How they start


@pytest.mark.parametrize("units", [16, 64, 256, 1024])
def test_dot_scores_start_with_a_spread_of_about_one_whatever_the_units(units):
    critic = made(DotCritic, 64, 128, units).double()
    scores = critic(normals(64, 64, seed=1), normals(64, 128, 2, 2, seed=2))

    assert 0.7 < scores.std().item() < 1.4


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_dot_scores_start_with_a_spread_of_about_one_whatever_the_scale_of_features(scale):
    critic = made(PAPERS_DOT, 64, 128, 64).double()
    scores = critic(scale * normals(64, 64, seed=1), scale * normals(64, 128, 2, 2, seed=2))

    assert 0.5 < scores.std().item() < 2


def test_shortcut_starts_as_a_noisy_copy_where_units_allow():
    critic = made(PAPERS_DOT, CODE, LOCAL, UNITS)

    for projection, features in ((critic.code_projection, CODE), (critic.local_projection, LOCAL)):
        noise = projection.shortcut.weight.detach() - torch.eye(UNITS, features)
        assert 0 < noise.abs().max() <= 0.01
        assert torch.count_nonzero(noise.diagonal()) == 0


def test_shortcut_is_not_a_copy_where_units_are_too_few():
    critic = made(PAPERS_DOT, CODE, LOCAL, 3)

    assert critic(torch.randn(N, CODE, generator=torch.Generator()), torch.ones(N, LOCAL)).shape
    assert not torch.equal(critic.code_projection.shortcut.weight.diagonal(), torch.ones(3))


def test_concat_critic_starts_as_torch_starts_one_layer():
    """Two halves drawn apart would each be spread as if the other were not there."""
    critic = made(ConcatCritic, 10, 90, 50)
    largest = 1 / 100**0.5

    for half in (critic.from_code, critic.from_local):
        assert 0.9 * largest < half.weight.abs().max() <= largest
    assert critic.from_code.bias.abs().max() <= largest
    assert critic.from_local.bias is None


# ---------------------------------------------------------------------------------------------
# The paper's sizes


def n_parameters(module):
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize("units", [2048, 512, 256, 64])
def test_dot_critic_has_the_parameters_of_the_reference(units):
    """Two heads: a layer without bias, batch norm, a layer; a shortcut; a layer norm."""
    heads = [f * units + 2 * units + units**2 + units + f * units + 3 * units for f in (64, 128)]

    assert n_parameters(PAPERS_DOT(64, 128, units)) == sum(heads)
    assert {2048: 9.20, 512: 0.73, 256: 0.23, 64: 0.03}[units] == round(sum(heads) / 1e6, 2)


def test_concat_critic_has_the_parameters_of_the_paper():
    assert n_parameters(ConcatCritic(64, 128)) == 361_985
    assert [layer.out_features for layer in ConcatCritic(64, 128).rest[1::2]] == [512, 1]


def test_discriminator_is_the_one_of_the_paper():
    discriminator = Discriminator(64)
    sizes = [(m.in_features, m.out_features) for m in discriminator.modules() if hasattr(m, "bias")]

    assert sizes == [(64, 1000), (1000, 200), (200, 1)]
    assert discriminator(torch.zeros(N, 64)).shape == (N, 1)
    # Nothing squashes the last logit, nor the hidden layers other than by a ReLU.
    assert [type(m) for m in discriminator.network[1::2]] == [nn.ReLU, nn.ReLU]


@each_critic
def test_every_weight_moves_the_scores(name):
    critic = made(KINDS[name], CODE, LOCAL, UNITS).double()
    scores = critic(normals(N, CODE, seed=1), normals(N, LOCAL, 3, seed=2))
    weights = normals(*scores.shape, seed=3)
    (weights * scores).sum().backward()

    assert all(weight.grad.abs().max() > 0 for weight in critic.parameters())
