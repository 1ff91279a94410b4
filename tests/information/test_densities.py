"""Masks of the network, and densities that are densities."""

import math

import numpy as np
import pytest
import torch

from skdim.information.densities import AutoregressiveMixture, MaskedLinear, density_inputs


def make(d, n_inputs=3, *, spread=1.0, seed=0):
    """Build a network far from its first weights."""
    torch.manual_seed(seed)
    network = AutoregressiveMixture(d, n_inputs, np.full(d, 1e-3))
    for weights in network.last.parameters():
        torch.nn.init.normal_(weights, std=spread)
    return network


@pytest.mark.parametrize("d", [2, 5, 300])
@pytest.mark.usefixtures("global_random_state_untouched")
def test_each_density_hears_of_all_coordinates_before_it_and_no_other(d):
    with torch.random.fork_rng():
        network = make(d)
        inputs, values = torch.randn(1, d, 3), torch.randn(1, d)
    told = [0, d // 2, d - 1]

    jacobian = torch.autograd.functional.jacobian(
        lambda given: network(given.flatten(1), values)[0, told], inputs
    )
    hears = jacobian[:, 0].abs().amax(dim=2) > 0

    before = torch.arange(d) < torch.tensor(told)[:, None]
    assert hears.equal(before)


def test_densities_integrate_to_one():
    with torch.random.fork_rng():
        network = make(4, spread=0.1)
        inputs = torch.randn(1, 12).expand(20_001, -1)
    values = torch.linspace(-20, 20, 20_001)[:, None].expand(-1, 4)

    densities = network(inputs, values).double().exp() / math.sqrt(2 * math.pi)

    total = torch.trapezoid(densities, values.double(), dim=0)
    torch.testing.assert_close(total, torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-4)


def test_first_densities_are_standard_normal():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = AutoregressiveMixture(6, 3, np.full(6, 1e-4))
        inputs, values = torch.randn(1000, 18), torch.randn(1000, 6)

    difference = network(inputs, values) + values.square() / 2

    assert difference.mean(dim=0).abs().max() < 1e-3


def test_no_component_is_narrower_than_the_least_scale():
    with torch.random.fork_rng():
        network = make(2)
    with torch.no_grad():
        # All components as narrow as can be, around zero.
        network.last.weight.zero_()
        numbers = network.last.bias.view(2, 3, -1)
        numbers[:, :2] = 0
        numbers[:, 2] = -100

    at_zero = network(torch.zeros(1, 6), torch.zeros(1, 2))

    torch.testing.assert_close(at_zero, torch.full((1, 2), math.log(1 / 1e-3)), rtol=1e-4, atol=0)


def test_a_masked_layer_is_the_linear_one_with_weights_taken_away():
    with torch.random.fork_rng():
        mask = torch.rand(4, 7) > 0.5
        layer, x = MaskedLinear(mask), torch.randn(3, 7)

    truth = x @ torch.where(mask, layer.weight, 0).T + layer.bias

    torch.testing.assert_close(layer(x), truth)


def test_inputs_of_points_far_off_stay_small():
    scores = np.random.default_rng(0).standard_normal((50, 2))

    assert density_inputs(scores, 1e5 * scores).abs().max() < 15
    assert density_inputs(scores, scores).shape == (50, 2 * 6)
    assert density_inputs(np.tile(scores, 8), np.tile(scores, 8)).shape == (50, 16 * 4)
