"""Critics score the pairs they say, as a slow loop over pairs does."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from skdim.bounds import BOUNDS
from skdim.critics import (
    CRITICS,
    AbstractCritic,
    ConcatCritic,
    Discriminator,
    DotCritic,
    MapCritic,
    takes_map,
)
from skdim.critics.abstract import at_positions
from skdim.pairs import bound_of_pairs, pair_blocks, split_own

N, CODE, LOCAL, UNITS = 5, 6, 4, 8

# As in the paper: a network beside each linear projection.
PAPERS_DOT = partial(DotCritic, network=True)
# Those that compare codes with each location; one compares with the whole map.
KINDS = {"dot": DotCritic, "concat": ConcatCritic, "dot with network": PAPERS_DOT}

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


def n_parameters(module):
    return sum(weight.numel() for weight in module.parameters())


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
            network = projection.network
            linear, batch_norm, last = network.first, network.norm, network.last
            hidden = linear.weight @ vector
            hidden = (hidden - batch_norm.running_mean) / (batch_norm.running_var + 1e-5).sqrt()
            hidden = (hidden * batch_norm.weight + batch_norm.bias).relu()
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
    rest = nn.ReLU(), *critic.hidden, nn.ReLU(), critic.last
    return nn.Sequential(first, *copy.deepcopy(rest))


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
    positive, negative = split_own(critic(code, local), 0)
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


def single(name):
    """Build a critic in single precision: where layers may be computed as convolutions."""
    critic = make_critic(name).float()
    code, local = (each.float() for each in features((2,), (4, 5)))
    return critic, code.requires_grad_(), local.requires_grad_()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@each_critic
def test_scores_and_gradients_in_single_precision_are_those_in_double(name, layout):
    critic, code, local = single(name)
    exact = copy.deepcopy(critic).double()
    given = [code, local.contiguous(memory_format=layout)]
    expected = [each.detach().double().requires_grad_() for each in given]
    weights = normals(N, 2, N, 20, seed=3)
    single_scores, scores = critic(*given), exact(*expected)

    torch.testing.assert_close(single_scores.double(), scores, rtol=1e-4, atol=1e-5)
    gradients = torch.autograd.grad(
        (weights.float() * single_scores).sum(), [*given, *critic.parameters()]
    )
    exact_gradients = torch.autograd.grad(
        (weights * scores).sum(), [*expected, *exact.parameters()]
    )
    for found, right in zip(gradients, exact_gradients, strict=True):
        torch.testing.assert_close(found.double(), right, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("batch", [(), (1,), (20,), (3, 20)], ids=str)
@pytest.mark.parametrize("positions", [1, 9])
def test_layers_at_positions_are_linear_layers(relu, batch, positions):
    """On a CPU they are convolutions, by oneDNN from 16 on in a batch; the sums are the same."""
    layer = made(nn.Linear, CODE, UNITS)
    features = normals(*batch, CODE, positions).float().mT.requires_grad_()
    expected = layer(features)
    expected = expected.relu() if relu else expected
    found = at_positions(layer, features, relu=relu)

    torch.testing.assert_close(found, expected)
    weights = normals(*found.shape, seed=1).float()
    given = [features, *layer.parameters()]
    gradients, right = (
        torch.autograd.grad((weights * each).sum(), given) for each in (found, expected)
    )
    torch.testing.assert_close(gradients, right, rtol=1e-4, atol=1e-4)


@each_critic
def test_scores_are_the_same_without_gradients(name):
    critic, code, local = single(name)
    with torch.no_grad():
        untrained = critic(code, local)

    torch.testing.assert_close(untrained, critic(code, local))
    assert not untrained.requires_grad


@pytest.mark.parametrize("max_floats", [2**10, 2**24])
def test_one_false_pair_a_location_is_two_joins_and_no_more(max_floats):
    """Every location meets its own code and that of one other sample, and is projected once."""
    critic = make_critic("concat")
    code, local = features((), (3, 3))
    seen = {"first": 0, "second": 0}

    def count(name):
        def hook(module, given, out):
            seen[name] += out.shape[:-1].numel()

        return hook

    critic.from_local.register_forward_hook(count("first"))
    critic.hidden[0].register_forward_hook(count("second"))
    code.requires_grad_()
    bound_of_pairs(
        BOUNDS["jsd"],
        critic.join,
        critic.project_code(code),
        critic.project_local(local),
        "shift",
        pair_floats=critic.pair_floats,
        max_floats=max_floats,
    ).backward()

    in_blocks = max_floats < 2**20
    assert seen == {"first": N * 9, "second": 2 * N * 9 + in_blocks}


# ---------------------------------------------------------------------------------------------
# Whole maps

MAP = (LOCAL, 6, 7)


def make_map_critic(units=UNITS):
    return made(MapCritic, CODE, MAP, units).double()


def map_score(critic):
    """Score one pair as the tutorial does: everything again for every pair."""
    first, second = (m for m in critic.summarise if isinstance(m, nn.Conv2d))
    compare = critic.compare
    undivided = torch.cat([compare.from_code.weight, compare.from_local.weight], dim=1)

    def score(y, local):
        rest = second(first(local[None]).relu()).flatten()
        hidden = (undivided @ torch.cat([y, rest]) + compare.from_code.bias).relu()
        return compare.last(compare.hidden[0](hidden).relu())

    return score


@pytest.mark.parametrize("code_grid", [(), (2,)])
def test_scores_of_whole_maps_equal_a_slow_loop_over_pairs(code_grid):
    critic = make_map_critic()
    code, local = normals(N, CODE, *code_grid, seed=1), normals(N, *MAP, seed=2)
    score = map_score(critic)
    expected = [[[score(y, m).item() for m in local] for y in vectors_of(c)] for c in code]

    scores = critic(code, local)
    assert scores.shape == (N, max(1, sum(code_grid)), N, 1)
    torch.testing.assert_close(scores[..., 0], torch.tensor(expected, dtype=torch.float64))


def test_a_map_is_summarised_once_however_many_pairs_it_is_in():
    critic = make_map_critic()
    code, local = normals(N, CODE, seed=1).requires_grad_(), normals(N, *MAP, seed=2)
    summarised = []
    critic.summarise.register_forward_hook(lambda module, given, out: summarised.append(len(out)))
    projections = critic.project_code(code), critic.project_local(local)

    assert projections[1].shape == (N, 1, UNITS)
    for negatives in ("all", "shift", 3):
        bound_of_pairs(BOUNDS["jsd"], critic.join, *projections, negatives)
    assert summarised == [N]


def test_map_critic_has_the_parameters_of_the_tutorial():
    critic = MapCritic(64, (128, 26, 26))
    convolutions = 128 * 64 * 9 + 64 + 64 * 32 * 9 + 32
    network = (64 + 32 * 22 * 22) * 512 + 512 + 512 * 512 + 512 + 512 + 1

    assert n_parameters(critic) == convolutions + network
    assert critic.pair_floats == 1024
    assert [type(m) for m in critic.summarise] == [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.Flatten]


def test_map_critic_starts_as_torch_starts_one_layer():
    compare = make_map_critic(units=50).compare
    largest = 1 / (CODE + 32 * 2 * 3) ** 0.5

    for half in (compare.from_code, compare.from_local):
        assert 0.9 * largest < half.weight.abs().max() <= largest
    assert compare.from_code.bias.abs().max() <= largest


@pytest.mark.parametrize("channels", [1, 3, 128])
def test_map_critic_takes_any_number_of_channels_from_5x5_on(channels):
    critic = made(MapCritic, CODE, (channels, 5, 5), UNITS)

    assert critic(torch.zeros(N, CODE), torch.zeros(N, channels, 5, 5)).shape == (N, 1, N, 1)


@pytest.mark.parametrize("shape", [128, (128,), (128, 4, 9), (128, 9, 4), (3, 9, 9, 9), (64, 676)])
def test_what_is_no_map_of_that_size_is_refused(shape):
    with pytest.raises(ValueError, match=r"critic='map'.*at least 5x5.*'valid_cnn'") as raised:
        MapCritic(CODE, shape)
    assert f"got {shape!r}" in str(raised.value)


def test_who_takes_maps():
    assert takes_map(MapCritic)
    assert takes_map(make_map_critic())
    assert takes_map(partial(partial(MapCritic, units=3), units=4))
    assert not any(takes_map(other) for other in (None, DotCritic, PAPERS_DOT, print))
    assert [name for name, critic in CRITICS.items() if takes_map(critic)] == ["map"]


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


@pytest.mark.parametrize("units", [2048, 512, 256, 64])
def test_dot_critic_has_the_parameters_of_the_reference(units):
    """Two heads: a layer without bias, batch norm, a layer; a shortcut; a layer norm."""
    heads = [f * units + 2 * units + units**2 + units + f * units + 3 * units for f in (64, 128)]

    assert n_parameters(PAPERS_DOT(64, 128, units)) == sum(heads)
    assert {2048: 9.20, 512: 0.73, 256: 0.23, 64: 0.03}[units] == round(sum(heads) / 1e6, 2)


def test_halves_of_the_concat_critic_are_those_of_one_layer():
    critic = made(ConcatCritic, CODE, CODE, UNITS)
    weight = made(nn.Linear, 2 * CODE, UNITS).weight

    assert torch.equal(critic.from_code.weight, weight[:, :CODE])
    assert torch.equal(critic.from_local.weight, weight[:, CODE:])


def test_concat_critic_has_the_parameters_of_the_paper():
    assert n_parameters(ConcatCritic(64, 128)) == 361_985
    layers = [layer for layer in ConcatCritic(64, 128).modules() if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in layers] == [512, 512, 512, 1]


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
