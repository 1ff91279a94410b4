"""The features of a row are its own: not a bit depends on its neighbours, order or number."""

import copy
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skdim.encoders import LAYERS, DCGANEncoder, Features, MLPEncoder, layer_of
from skdim.inference import CHUNK, encode_rows
from skdim.inputs import ArraySamples, Layout, Standardise

N = 150
SHAPES = {"mlp": (13,), "dcgan": (2, 9, 8)}
ENCODERS = {
    "mlp": lambda: MLPEncoder((13,), 7),
    "dcgan": lambda: DCGANEncoder((2, 9, 8), 7, hidden_units=32),
}

patient = settings(deadline=None, max_examples=20)  # The machine may be busy.
each_encoder = pytest.mark.parametrize("name", sorted(ENCODERS))


def table_of(name):
    layout = Layout(SHAPES[name])
    return np.random.default_rng(0).normal(3, 2, (N, layout.n_features)).astype(np.float32), layout


@cache
def module_of(name):
    """Make an encoder whose batch normalisation has seen some data."""
    table, layout = table_of(name)
    channels = layout.shape[0]
    standardise = Standardise(np.full(channels, 3.0), np.full(channels, 2.0), len(layout.shape) - 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(standardise, ENCODERS[name]())
    module(layout.arrange(torch.from_numpy(table)))
    return module.eval()


def encode(name, table, layer="code"):
    rows = ArraySamples(table, Layout(SHAPES[name]))
    chunks = [chunk for (chunk,) in encode_rows(module_of(name), rows, layer)]
    return torch.cat(chunks).numpy()


@cache
def alone(name, layer):
    """Encode each row in a data set of its own."""
    table, _ = table_of(name)
    return np.concatenate([encode(name, row[None], layer) for row in table])


@pytest.mark.parametrize("layer", LAYERS)
@each_encoder
def test_rows_have_the_same_features_alone_and_together(name, layer):
    assert np.array_equal(encode(name, table_of(name)[0], layer), alone(name, layer))


@each_encoder
@patient
@given(picked=st.lists(st.integers(0, N - 1), min_size=1, max_size=N))
def test_features_depend_on_no_neighbour_no_order_and_no_number_of_rows(name, picked):
    table, _ = table_of(name)

    assert np.array_equal(encode(name, table[picked]), alone(name, "code")[picked])


@each_encoder
def test_features_do_not_depend_on_what_the_neighbours_hold(name):
    table, _ = table_of(name)
    strange = 1e4 * np.random.default_rng(1).normal(size=table.shape).astype(np.float32)
    strange[70] = table[70]

    assert np.array_equal(encode(name, strange)[70], alone(name, "code")[70])


@pytest.mark.parametrize("n", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, N])
def test_chunks_are_full_but_for_the_last(n):
    table, layout = table_of("mlp")
    sizes = [
        len(c) for (c,) in encode_rows(module_of("mlp"), ArraySamples(table[:n], layout), "code")
    ]

    assert sum(sizes) == n
    assert all(size == CHUNK for size in sizes[:-1])


def test_the_encoder_sees_chunks_of_one_size_only():
    seen = []
    module = copy.deepcopy(module_of("mlp"))
    module.register_forward_hook(lambda m, given, out: seen.append(len(given[0])))
    table, layout = table_of("mlp")
    for n in (1, 2, CHUNK, N):
        list(encode_rows(module, ArraySamples(table[:n], layout), "code"))

    assert set(seen) == {CHUNK}


def test_no_rows_give_no_chunk():
    table, layout = table_of("mlp")

    assert list(encode_rows(module_of("mlp"), ArraySamples(table[:0], layout), "code")) == []


def test_a_part_is_encoded_by_its_own_rows():
    table, layout = table_of("mlp")
    picked = np.array([140, 3, 77])
    part = ArraySamples(table, layout).part(picked)

    assert np.array_equal(
        torch.cat([codes for (codes,) in encode_rows(module_of("mlp"), part, "code")]),
        alone("mlp", "code")[picked],
    )


@each_encoder
def test_statistics_of_batches_stay_as_they_were(name):
    module = module_of(name)
    before = copy.deepcopy(module.state_dict())
    encode(name, table_of(name)[0])
    after = module.state_dict()

    assert any("running_mean" in key for key in before)
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_features_carry_no_gradient():
    table, layout = table_of("mlp")

    codes, hidden = next(
        encode_rows(module_of("mlp"), ArraySamples(table, layout), "code", "hidden")
    )
    assert not codes.requires_grad
    assert not hidden.requires_grad


# ---------------------------------------------------------------------------------------------
# One layer of several


def features_with(code):
    maps = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return Features(maps, 2 * maps, maps.flatten(1), code)


def test_layers_are_taken_by_name():
    features = features_with(torch.ones(2, 5))

    for layer in LAYERS:
        assert layer_of(features, layer) is getattr(features, layer)


@pytest.mark.parametrize("grid", [(4,), (2, 3)])
def test_several_globals_are_averaged(grid):
    code = torch.rand(2, 5, *grid, generator=torch.Generator().manual_seed(1))
    averaged = layer_of(features_with(code), "code")

    assert averaged.shape == (2, 5)
    np.testing.assert_allclose(averaged, code.numpy().reshape(2, 5, -1).mean(2), rtol=1e-6)


def test_maps_are_not_averaged():
    assert layer_of(features_with(torch.ones(2, 5)), "conv").shape == (2, 3, 4, 4)
