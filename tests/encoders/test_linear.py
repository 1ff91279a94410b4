"""Linear encoders: set by the closed form, against explicit algebra on a stem that is a table."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, nn

from skdim.closed_form import Sums, rotation, solve
from skdim.encoders import AbstractStem, Adaptable, LinearEncoder, check_features
from skdim.encoders.linear import CellLinear
from tests.encoders.helpers import draw, seeded

patient = settings(deadline=None, max_examples=20)  # The machine may be busy.

BOTH_WAYS = ((0, 1), (1, 0))
GRIDS = [(1,), (3,), (2, 2)]
each_grid = pytest.mark.parametrize("grid", GRIDS, ids=str)
WEIGHTS = [{"local": 1.0}, {"global": 1.0}, {"local": 1.0, "global": 0.5}]


class Table(AbstractStem):
    """Features that are a fixed linear map of vectors, in a grid."""

    def __init__(self, n_inputs, channels, grid):
        super().__init__()
        self.out_shape = (channels, *grid)
        self.register_buffer("map", draw(n_inputs, channels * math.prod(grid), seed=5))
        self.register_buffer("adapted", torch.zeros(()))

    def adapt(self, x):
        self.adapted.fill_(len(x))

    def forward(self, x):
        return (x @ self.map).tanh().reshape(-1, *self.out_shape) + 2.0


def make(grid=(2, 2), channels=5, n_components=3, n_inputs=6, **kwargs):
    given_ = {"local_units": 4, "hidden_units": 8, "n_coordinates": 100} | kwargs
    return seeded(LinearEncoder, Table(n_inputs, channels, grid), n_components, **given_)


def make_looks(n=200, n_inputs=6):
    shared = draw(n, n_inputs, seed=1) * torch.linspace(1.5, 0.2, n_inputs)
    return [shared + 0.4 * draw(n, n_inputs, seed=seed) for seed in (2, 3)]


def solved(encoder, weights=None, looks=None, n_directions=None):
    """Set an encoder by the closed form, and give what was found."""
    looks = make_looks() if looks is None else looks
    n_cells = encoder.mean[0].numel()
    with torch.no_grad():
        standardised = encoder.set_statistics(encoder.stem(torch.cat(looks)))
        basis = encoder.find_basis(standardised, Generator().manual_seed(0))
        weights = weights or {"local": 1.0}
        conv = [encoder.features(look) for look in looks]
        whole = [encoder.whole(look, basis) for look in conv]
        layers = {"local": [encoder.cells(look, basis) for look in conv], "global": whole}
        sums = {name: Sums.of(whole, layers[name], BOTH_WAYS) for name in weights}
        n_directions = n_directions or encoder.to_hidden.out_features
        found = solve(sums, weights, n_cells, n_directions)
        encoder.set_directions(basis, found)
    return basis, found


def share_of_variance(x, axes):
    """Return the variance along axes, as a share of the most that so many can hold."""
    torch.testing.assert_close(axes.T @ axes, torch.eye(axes.shape[1]), atol=1e-4, rtol=0)
    most = torch.linalg.svdvals(x)[: axes.shape[1]].square().sum()
    return ((x @ axes).square().sum() / most).item()


def scales(found):
    return (found.correlations / (1 - found.correlations)).sqrt()


# ---------------------------------------------------------------------------------------------
# Layers


@patient
@given(
    st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.sampled_from([(1,), (4,), (2, 3)])
)
def test_a_linear_layer_for_each_cell_equals_a_loop_over_cells(n, channels, units, grid):
    layer = seeded(CellLinear, channels, units, grid)
    nn.init.normal_(layer.bias, generator=Generator().manual_seed(0))
    x = draw(n, channels, *grid)
    found = layer(x)

    assert found.shape == (n, units, *grid)
    flat, mapped = x.flatten(2), found.flatten(2)
    for k in range(math.prod(grid)):
        expected = flat[:, :, k] @ layer.weight[k] + layer.bias[k]
        torch.testing.assert_close(mapped[:, :, k], expected, atol=1e-5, rtol=1e-5)


def test_a_cell_moves_its_own_local_features_only():
    layer, x = seeded(CellLinear, 3, 2, (2, 2)), draw(1, 3, 2, 2)
    moved = x.clone()
    moved[:, :, 1, 0] += 1
    changed = (layer(moved) != layer(x))[0].any(dim=0)

    assert changed.tolist() == [[False, False], [True, False]]


@each_grid
def test_layers_have_the_sizes_that_were_asked_for(grid):
    features = make(grid, channels=9)(draw(7, 6))

    check_features(features, 7, "linear")
    assert features.conv.shape == (7, 9, *grid)
    assert features.local.shape == (7, 4, *grid)
    assert features.hidden.shape == (7, 8)
    assert features.code.shape == (7, 3)


def test_the_hidden_layer_is_at_most_as_large_as_the_features_and_at_least_as_the_code():
    assert make((1,), channels=5, hidden_units=8).to_hidden.out_features == 5
    assert make((1,), channels=5, n_components=7).to_hidden.out_features == 7
    assert make((2, 2), channels=5, local_units=50).to_local.weight.shape == (4, 5, 8)


@each_grid
def test_every_layer_is_linear_in_the_standardised_features(grid):
    encoder = make(grid)
    solved(encoder)
    features = encoder(draw(5, 6))
    conv = features.conv.flatten(1)

    torch.testing.assert_close(
        features.hidden, conv @ encoder.to_hidden.weight.T + encoder.to_hidden.bias
    )
    torch.testing.assert_close(
        features.code, features.hidden @ encoder.to_code.weight.T + encoder.to_code.bias
    )


def test_adapting_sets_the_stem_and_nothing_else():
    encoder = make()
    before = {n: t.clone() for n, t in encoder.state_dict().items() if not n.startswith("stem")}
    encoder.adapt(draw(13, 6))

    assert isinstance(encoder, Adaptable)
    assert encoder.stem.adapted == 13
    assert all(torch.equal(encoder.state_dict()[name], value) for name, value in before.items())


def test_the_stem_is_no_weight():
    assert {name.partition(".")[0] for name, _ in make().named_parameters()} == {
        *("to_local", "to_hidden", "to_code")
    }


# ---------------------------------------------------------------------------------------------
# Coordinates


@each_grid
def test_features_are_standardised_by_the_samples_that_were_seen(grid):
    encoder, x = make(grid), torch.cat(make_looks())
    solved(encoder)
    conv = encoder(x).conv

    torch.testing.assert_close(conv.mean(0), torch.zeros(5, *grid), atol=1e-4, rtol=0)
    torch.testing.assert_close(conv.std(0), torch.ones(5, *grid), atol=2e-3, rtol=0)


@each_grid
def test_the_basis_of_cells_holds_most_of_the_variance_of_the_channels_of_all_cells(grid):
    encoder, x = make(grid, n_coordinates=3 * math.prod(grid)), torch.cat(make_looks())
    basis, _ = solved(encoder)
    cells = encoder(x).conv.flatten(2).mT.flatten(0, 1)

    assert basis.cell.shape == (5, 3)
    assert 0.5 < share_of_variance(cells, basis.cell) <= 1


@each_grid
def test_the_basis_of_the_whole_holds_most_of_the_variance_of_all_features(grid):
    encoder, x = make(grid, n_coordinates=3), torch.cat(make_looks())
    basis, _ = solved(encoder)

    assert basis.whole.shape == (5 * math.prod(grid), 3)
    assert 0.5 < share_of_variance(encoder(x).conv.flatten(1), basis.whole) <= 1


def test_coordinates_of_cells_are_laid_out_cell_after_cell():
    encoder, x = make((2, 2)), draw(3, 6)
    basis, _ = solved(encoder)
    conv = encoder.features(x)
    cells = [conv[:, :, i, j] @ basis.cell for i in range(2) for j in range(2)]

    torch.testing.assert_close(encoder.cells(conv, basis), torch.cat(cells, dim=1))
    torch.testing.assert_close(encoder.whole(conv, basis), conv.reshape(3, -1) @ basis.whole)


@pytest.mark.parametrize("n", [2, 3])
def test_there_are_fewer_coordinates_than_rows(n):
    encoder = make((1,), channels=9)
    conv = encoder.set_statistics(encoder.stem(draw(n, 6)))
    basis = encoder.find_basis(conv, Generator())

    assert basis.cell.shape == (9, n - 1)
    assert basis.whole.shape == (9, n - 1)


@pytest.mark.parametrize(("n", "expected"), [(20, 19), (22, 20), (44, 22), (80, 40), (200, 50)])
def test_more_than_a_few_coordinates_need_two_rows_each(monkeypatch, n, expected):
    monkeypatch.setattr("skdim.encoders.linear.FEW_AXES", 20)
    encoder = make((1,), channels=50)

    assert encoder.find_basis(draw(n, 50, 1), Generator()).whole.shape == (50, expected)


# ---------------------------------------------------------------------------------------------
# Directions


@each_grid
@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_hidden_holds_the_scaled_directions_rotated(grid, weights):
    encoder, x = make(grid), draw(20, 6, seed=9)
    basis, found = solved(encoder, weights)
    kept = len(found.correlations)
    coordinates = encoder.whole(encoder.features(x), basis).double()
    directions = (coordinates - found.mean) @ found.weight * scales(found)
    hidden = encoder(x).hidden.double()

    assert kept == min(8, 5 * math.prod(grid))
    torch.testing.assert_close(
        hidden @ rotation(hidden.shape[1]).T[:, :kept], directions, atol=1e-4, rtol=1e-4
    )


@each_grid
@pytest.mark.parametrize("n_components", [1, 2, 5])
def test_the_code_is_the_leading_directions_of_hidden_rotated(grid, n_components):
    encoder, x = make(grid, n_components=n_components), draw(20, 6, seed=9)
    solved(encoder)
    features = encoder(x)
    unrotated = features.hidden.double() @ rotation(features.hidden.shape[1]).T
    expected = unrotated[:, :n_components] @ rotation(n_components)

    torch.testing.assert_close(features.code.double(), expected, atol=1e-4, rtol=1e-4)


def test_a_smaller_code_is_had_from_hidden_without_another_fit():
    large, small = make(n_components=5), make(n_components=2)
    for encoder in (large, small):
        solved(encoder)
    x = draw(20, 6, seed=9)
    hidden = large(x).hidden.double()

    expected = (hidden @ rotation(8).T)[:, :2] @ rotation(2)
    torch.testing.assert_close(small(x).code.double(), expected, atol=1e-4, rtol=1e-4)


@each_grid
def test_directions_have_the_variance_of_their_signal_to_noise(grid):
    encoder, looks = make(grid), make_looks()
    _, found = solved(encoder, looks=looks)
    hidden = encoder(torch.cat(looks)).hidden.double()
    kept = len(found.correlations)
    directions = hidden @ rotation(hidden.shape[1]).T[:, :kept]
    expected = found.correlations / (1 - found.correlations)

    # Of mean 0 over the looks that were summed; the ridge takes a part of the variance.
    torch.testing.assert_close(directions.mean(0), torch.zeros(kept).double(), atol=1e-4, rtol=0)
    variances = directions.var(dim=0, correction=0)
    assert (variances <= expected * (1 + 1e-6)).all()
    assert variances[0] > 0.9 * expected[0]


@each_grid
def test_local_features_are_what_each_cell_tells_of_the_directions(grid):
    encoder, x = make(grid), draw(20, 6, seed=9)
    basis, found = solved(encoder)
    estimate = found.estimates["local"]
    coordinates = encoder.cells(encoder.features(x), basis).double()
    coordinates = coordinates.unflatten(1, (math.prod(grid), -1))
    expected = torch.einsum("nkp,kpr->nkr", coordinates, estimate.weight) + estimate.bias
    expected = (expected * scales(found))[:, :, :4].mT

    torch.testing.assert_close(encoder(x).local.flatten(2).double(), expected, atol=1e-4, rtol=1e-4)


@each_grid
def test_local_features_add_up_to_the_directions_where_no_cell_was_compared(grid):
    encoder, x = make(grid), draw(20, 6, seed=9)
    solved(encoder, {"global": 1.0})
    features = encoder(x)
    directions = features.hidden.double() @ rotation(features.hidden.shape[1]).T

    torch.testing.assert_close(
        features.local.flatten(2).sum(dim=2).double(), directions[:, :4], atol=1e-4, rtol=1e-4
    )


def test_what_a_cell_adds_to_the_directions_depends_on_this_cell_alone():
    encoder = make((2, 2))
    solved(encoder, {"global": 1.0})
    conv = encoder.features(draw(1, 6, seed=9))
    moved = conv.clone()
    moved[:, :, 0, 1] += 1
    directions, others = (
        encoder.to_hidden(maps.flatten(1)).double() @ rotation(8).T for maps in (conv, moved)
    )
    change = (encoder.to_local(moved) - encoder.to_local(conv))[0].double()

    torch.testing.assert_close(change[:, 0, 1], (others - directions)[0, :4], atol=1e-4, rtol=1e-4)
    change[:, 0, 1] = 0
    assert not change.any()


def test_correlations_are_kept_and_end_in_zeros():
    encoder = make((1,), channels=5, n_components=7)
    _, found = solved(encoder)

    assert encoder.correlations.shape == (7,)
    torch.testing.assert_close(encoder.correlations[:5], found.correlations.float())
    assert torch.equal(encoder.correlations[5:], torch.zeros(2))


@each_grid
@pytest.mark.parametrize("n", [2, 3])
def test_fewer_rows_than_coordinates_leave_the_other_directions_at_zero(grid, n):
    encoder = make(grid, channels=9, n_components=6)
    looks = [look[:n] for look in make_looks()]
    basis, found = solved(encoder, looks=looks)
    features = encoder(draw(10, 6))
    kept = len(found.correlations)
    directions = features.hidden.double() @ rotation(features.hidden.shape[1]).T

    assert basis.whole.shape[1] == kept == min(2 * n - 1, features.hidden.shape[1])
    assert all(
        layer.isfinite().all()
        for layer in (features.local, features.conv, features.hidden, features.code)
    )
    assert not directions[:, kept:].abs().gt(1e-5 * directions.abs().max()).any()


def test_constant_features_give_a_code_of_zeros():
    encoder = make()
    encoder.stem.map.zero_()
    solved(encoder)
    features = encoder(draw(4, 6))

    assert torch.equal(features.code, torch.zeros(4, 3))
    assert torch.equal(features.hidden, torch.zeros(4, 8))


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_features_that_were_constant_stay_at_zero_whatever_a_sample_is(weights):
    encoder = make()
    looks = make_looks()
    for look in looks:
        look[:, 0] = 0.0
    with torch.no_grad():
        encoder.stem.map[:, 3] = 0.0
        encoder.stem.map[0, 3] = 7.0
    solved(encoder, weights, looks)
    x = draw(4, 6)
    features = encoder(x)
    constant = features.conv.flatten(1)[:, 3]

    assert (encoder.stem(x).flatten(1)[:, 3] != 2.0).all()
    assert constant.abs().max() < 1e-25
    assert (encoder.spread > 1e29).sum() == 1
    assert all(getattr(features, n).isfinite().all() for n in ("local", "hidden", "code"))


def test_the_coordinates_repeat_with_the_generator():
    encoder = make((1,), channels=30, n_coordinates=2)
    conv = encoder.set_statistics(encoder.stem(draw(50, 6)))
    one, same = (encoder.find_basis(conv, Generator().manual_seed(3)) for _ in range(2))

    assert torch.equal(one.whole, same.whole)
    assert torch.equal(one.cell, same.cell)


# ---------------------------------------------------------------------------------------------
# Expanded features


@each_grid
def test_expanded_features_are_zero_before_they_are_set(grid):
    plain, encoder, x = make(grid), make(grid, n_expanded=7), draw(5, 6)
    for each in (plain, encoder):
        solved(each, {"global": 1.0})
    conv = encoder(x).conv

    assert conv.shape == (5, 12, *grid)
    assert not conv[:, 5:].any()
    torch.testing.assert_close(conv[:, :5], plain(x).conv)


def expand(encoder):
    """Set expanded features from a solution without them, and return basis and solution."""
    basis, found = solved(encoder, {"global": 1.0})
    encoder.set_expansion(basis, found, Generator().manual_seed(3))
    return basis, found


@each_grid
def test_expanded_features_are_rectified_random_combinations_of_what_a_cell_adds(grid):
    encoder, x, cells = make(grid, n_expanded=7), draw(20, 6, seed=9), math.prod(grid)
    basis, found = expand(encoder)
    conv = encoder.features(x)[:, :5]
    expanded = encoder.expanded(conv).flatten(2).double()
    weight = basis.whole.double() @ found.weight * scales(found)
    n = len(found.correlations)
    combinations = torch.randn(cells, n, 7, generator=Generator().manual_seed(3)).double()

    for k in range(cells):
        alone = torch.zeros(20, 12, cells)
        alone[:, :5, k] = conv.flatten(2)[:, :, k]
        added = alone.flatten(1).double() @ weight
        expected = (added @ combinations[k]).clamp(min=0)
        torch.testing.assert_close(expanded[:, :, k], expected, atol=1e-4, rtol=1e-4)


@each_grid
def test_expanded_features_have_mean_zero_and_half_the_variance_of_others(grid):
    encoder, looks = make(grid, n_expanded=7), make_looks()
    expand(encoder)
    solved(encoder, {"global": 1.0}, looks)
    conv = encoder(torch.cat(looks)).conv

    torch.testing.assert_close(conv.mean(0), torch.zeros(12, *grid), atol=1e-4, rtol=0)
    torch.testing.assert_close(conv[:, :5].var(0), torch.ones(5, *grid), atol=1e-2, rtol=0)
    torch.testing.assert_close(conv[:, 5:].var(0), torch.full((7, *grid), 0.5), atol=1e-2, rtol=0)


def test_only_the_leading_directions_are_expanded(monkeypatch):
    monkeypatch.setattr("skdim.encoders.linear.EXPANDED", 2)
    encoder = make((1,), n_expanded=7)
    expand(encoder)

    assert torch.linalg.matrix_rank(encoder.expansion[0]) == 2


def test_a_cell_moves_its_own_expanded_features_only():
    encoder = make((2, 2), n_expanded=7)
    expand(encoder)
    conv = encoder.features(draw(1, 6, seed=9))[:, :5]
    moved = conv.clone()
    moved[:, :, 0, 1] += 1
    changed = (encoder.expanded(moved) != encoder.expanded(conv))[0].any(dim=0)

    assert changed.tolist() == [[False, True], [False, False]]


def test_expanded_features_are_no_weights_but_saved():
    encoder = make(n_expanded=7)

    assert "expansion" in encoder.state_dict()
    assert "expansion" not in dict(encoder.named_parameters())
    assert "expansion" not in make().state_dict()


@pytest.mark.parametrize(
    ("n_samples", "uncertainty", "expected"),
    [(10, 0.0, 0.03), (10, 0.25, 0.5), (100, 0.25, 0.05), (1000, 0.25, 0.03)],
)
def test_few_samples_a_coordinate_have_a_larger_ridge(n_samples, uncertainty, expected):
    many = make(uncertainty=uncertainty)  # 20 features, less than coordinates.
    few = make(uncertainty=uncertainty, n_coordinates=10)

    assert many.ridge(n_samples) == pytest.approx(expected)
    assert few.ridge(n_samples) == pytest.approx(max(0.03, expected / 2))
