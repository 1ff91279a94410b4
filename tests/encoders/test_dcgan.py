"""The paper's encoder: its figures at 32x32, and any other image."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skdim.encoders import DCGANEncoder, check_features
from tests.encoders.helpers import on_paper

patient = settings(deadline=None, max_examples=25)  # The machine may be busy.


def make_encoder(sample, n_components=16, **kwargs):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DCGANEncoder(sample, n_components, **kwargs)


def encode(sample, n_components=16, n=2, **kwargs):
    encoder = make_encoder(sample, n_components, **kwargs)
    return encoder(torch.randn(n, *sample, generator=torch.Generator().manual_seed(0)))


def shapes(features):
    return tuple(
        tuple(layer.shape[1:])
        for layer in (features.local, features.conv, features.hidden, features.code)
    )


# ---------------------------------------------------------------------------------------------
# The paper's figures


def test_parameters_of_the_paper():
    encoder = DCGANEncoder((3, 32, 32), 64)

    assert sum(weight.numel() for weight in encoder.parameters()) == 4_921_280


def test_multiplications_of_the_paper():
    _, n_parameters, multiplications = on_paper("dcgan", (3, 32, 32))

    assert n_parameters == 4_921_280
    assert round(multiplications / 1e6, 2) == 21.82


def test_28x28_images_of_the_reference():
    """Two 5x5 convolutions; the local features are the last map."""
    basic28x28 = partial(DCGANEncoder, kernel_size=5, n_stages=2, local_is_conv=True)
    layers, n_parameters, _ = on_paper(basic28x28, (1, 28, 28))

    assert layers == ((128, 7, 7), (128, 7, 7), (1024,), (64,))
    assert n_parameters == 6_696_960


def test_64x64_images_of_the_reference():
    layers, n_parameters, _ = on_paper("dcgan", (3, 64, 64))

    assert layers == ((256, 8, 8), (512, 4, 4), (1024,), (64,))
    assert n_parameters == 11_213_760


@pytest.mark.parametrize(
    ("sample", "local", "conv"),
    [
        ((1, 8, 8), (128, 2, 2), (256, 1, 1)),
        ((1, 28, 28), (128, 7, 7), (256, 3, 3)),
        ((3, 32, 32), (128, 8, 8), (256, 4, 4)),
        ((3, 64, 64), (256, 8, 8), (512, 4, 4)),
        ((3, 32, 64), (128, 8, 16), (256, 4, 8)),
        ((2, 28, 17), (128, 7, 4), (256, 3, 2)),
        ((1, 128, 128), (512, 8, 8), (512, 4, 4)),
    ],
)
def test_shapes_of_the_layers(sample, local, conv):
    assert shapes(encode(sample, 10, hidden_units=32)) == (local, conv, (32,), (10,))


def test_hidden_layer_has_1024_units():
    assert shapes(encode((1, 8, 8)))[2] == (1024,)


def test_layers_are_those_of_the_reference():
    encoder = DCGANEncoder((3, 32, 32), 64)
    convolutions = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]

    assert [(c.kernel_size, c.stride, c.padding) for c in convolutions] == [
        ((4, 4), (2, 2), (1, 1))
    ] * 3
    # No bias where batch normalisation follows; the code is linear.
    assert all(c.bias is None for c in convolutions)
    assert [m.bias is None for m in encoder.modules() if isinstance(m, nn.Linear)] == [True, False]
    assert isinstance(encoder.to_code, nn.Linear)


@pytest.mark.parametrize("layer", ["local", "conv", "hidden"])
def test_hidden_layers_end_in_a_relu(layer):
    values = getattr(encode((3, 32, 32), n=4), layer)

    assert values.min() == 0
    assert 0.2 < (values == 0).float().mean() < 0.8


# ---------------------------------------------------------------------------------------------
# Any image


@patient
@given(
    channels=st.sampled_from([1, 2, 3, 4, 7]),
    height=st.integers(8, 96),
    width=st.integers(8, 96),
    n_components=st.integers(1, 20),
)
def test_any_size_and_any_number_of_channels(channels, height, width, n_components):
    features = encode((channels, height, width), n_components, hidden_units=8)
    check_features(features, 2, "dcgan")

    assert features.code.shape == (2, n_components)
    assert features.local.shape[2] >= 2
    assert features.local.shape[3] >= 2


def receptive_field(sample, row, column):
    """Say which rows and columns of the image move one local feature."""
    encoder = make_encoder(sample, 4, hidden_units=8).eval()
    x = torch.ones(1, *sample).requires_grad_()
    encoder(x).local[0, :, row, column].sum().backward()
    moved = x.grad[0].abs().sum(0) > 0
    return moved.any(1).nonzero().flatten().tolist(), moved.any(0).nonzero().flatten().tolist()


def test_local_features_see_a_part_of_the_image_each():
    """Two 4x4 convolutions of stride 2 see 10x10 pixels."""
    rows, columns = receptive_field((1, 32, 32), 3, 4)

    assert (rows[0], rows[-1]) == (9, 18)
    assert (columns[0], columns[-1]) == (13, 22)


@pytest.mark.parametrize("sample", [(3, 7, 32), (3, 32, 7), (1, 1, 1), (64,), (8, 8), (3, 3, 8, 8)])
def test_samples_that_are_no_image_or_too_small_are_refused(sample):
    with pytest.raises(ValueError, match=r"images \(C, H, W\) of at least 8x8 pixels") as raised:
        DCGANEncoder(sample, 16)
    assert str(sample) in str(raised.value)
