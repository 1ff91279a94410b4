"""The tutorial's encoder: its printed shapes at 32x32, and any other image that is large enough."""

from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skdim.encoders import ENCODERS, ValidCNNEncoder, check_features

patient = settings(deadline=None, max_examples=10)  # The machine may be busy.


def make_encoder(sample, n_components=16):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ValidCNNEncoder(sample, n_components)


def encode(sample, n_components=16, n=2):
    encoder = make_encoder(sample, n_components)
    return encoder(torch.randn(n, *sample, generator=torch.Generator().manual_seed(0)))


def shapes(features):
    layers = features.local, features.conv, features.hidden, features.code
    return tuple(tuple(layer.shape) for layer in layers)


# ---------------------------------------------------------------------------------------------
# The tutorial's figures


def test_shapes_that_the_tutorial_prints():
    """Of one image: code (1, 64) and local map (1, 128, 26, 26)."""
    encoder = make_encoder((3, 32, 32), 64).eval()
    with torch.no_grad():
        features = encoder(torch.zeros(1, 3, 32, 32))

    assert shapes(features) == ((1, 128, 26, 26), (1, 512, 20, 20), (1, 204_800), (1, 64))


def test_parameters_of_the_tutorial_less_the_biases_that_normalisation_cancels():
    n_parameters = sum(weight.numel() for weight in make_encoder((3, 32, 32), 64).parameters())

    assert n_parameters == 15_865_600 - (128 + 256 + 512)


def test_multiplications_of_the_tutorial():
    """1.22 billion an image, counted layer by layer as the image passes."""
    encoder, counted = make_encoder((3, 32, 32), 64).eval(), []

    def count(module, given, out):
        counted.append(out[0].numel() * prod(module.weight.shape[1:]))

    for module in encoder.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        encoder(torch.zeros(1, 3, 32, 32))

    assert len(counted) == 5
    assert round(sum(counted) / 1e9, 2) == 1.22


def test_layers_are_those_of_the_tutorial():
    encoder = make_encoder((3, 32, 32), 64)
    layers = [m for m in encoder.modules() if not list(m.children())]
    convolutions = [m for m in layers if isinstance(m, nn.Conv2d)]

    block = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert [type(m) for m in layers] == [nn.Conv2d, nn.ReLU, *3 * block, nn.Flatten, nn.Linear]
    assert [(c.kernel_size, c.stride, c.padding) for c in convolutions] == [
        ((4, 4), (1, 1), (0, 0))
    ] * 4
    assert [c.out_channels for c in convolutions] == [64, 128, 256, 512]


def test_layers_equal_the_tutorial_written_out():
    """Also that nothing is overwritten which is still needed: gradients are the plain ones."""
    encoder = make_encoder((3, 14, 15), 5).double()
    x = torch.randn(4, 3, 14, 15, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = list(encoder.parameters())
    conv0, bias0, *rest, code_weight, code_bias = weights
    plain = [torch.conv2d(x, conv0, bias0).relu()]
    for conv, scale, shift in (rest[i : i + 3] for i in (0, 3, 6)):
        y = torch.conv2d(plain[-1], conv)
        mean, variance = (f(y, dim=(0, 2, 3), keepdim=True) for f in (torch.mean, biased_variance))
        y = (y - mean) / (variance + 1e-5).sqrt()
        plain.append((y * scale[:, None, None] + shift[:, None, None]).relu())
    hidden = plain[-1].reshape(4, -1)
    expected = plain[1], plain[-1], hidden, hidden @ code_weight.T + code_bias
    features = encoder(x)
    found = features.local, features.conv, features.hidden, features.code

    torch.testing.assert_close(found, expected)
    gradients, right = (
        torch.autograd.grad(sum(layer.square().sum() for layer in layers), weights)
        for layers in (found, expected)
    )
    torch.testing.assert_close(gradients, right)


def biased_variance(y, dim, keepdim):
    return torch.var(y, dim, correction=0, keepdim=keepdim)


# ---------------------------------------------------------------------------------------------
# Any image


def test_encoder_has_a_name():
    assert ENCODERS["valid_cnn"] is ValidCNNEncoder


@patient
@given(
    channels=st.sampled_from([1, 3, 5]),
    height=st.integers(13, 24),
    width=st.integers(13, 24),
    n_components=st.integers(1, 20),
)
def test_any_size_from_13_on_and_any_number_of_channels(channels, height, width, n_components):
    features = encode((channels, height, width), n_components)
    check_features(features, 2, "valid_cnn")
    conv = 512, height - 12, width - 12

    assert shapes(features) == (
        (2, 128, height - 6, width - 6),
        (2, *conv),
        (2, prod(conv)),
        (2, n_components),
    )
    assert torch.equal(features.hidden, features.conv.flatten(1))


@pytest.mark.parametrize("layer", ["local", "conv", "hidden"])
def test_hidden_layers_end_in_a_relu(layer):
    values = getattr(encode((3, 16, 16), n=4), layer)

    assert values.min() == 0
    assert 0.2 < (values == 0).float().mean() < 0.8


def test_local_features_see_7x7_pixels_each():
    encoder = make_encoder((1, 20, 20), 4).eval()
    x = torch.ones(1, 1, 20, 20).requires_grad_()
    encoder(x).local[0, :, 3, 5].sum().backward()
    moved = x.grad[0, 0] != 0

    assert moved.any(1).nonzero().flatten().tolist() == list(range(3, 10))
    assert moved.any(0).nonzero().flatten().tolist() == list(range(5, 12))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_maps_are_channels_last_whatever_the_images_are(layout):
    """So that locations are rows, one after another, for the critics."""
    encoder = make_encoder((3, 16, 16), 4)
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    features = encoder(x.contiguous(memory_format=layout))

    for layer in (features.local, features.conv):
        assert layer.is_contiguous(memory_format=torch.channels_last)
        assert layer.flatten(2).mT.is_contiguous()


@pytest.mark.parametrize(
    "sample", [(3, 12, 32), (3, 32, 12), (1, 1, 1), (64,), (16, 16), (3, 3, 16, 16)]
)
def test_samples_that_are_no_image_or_too_small_are_refused(sample):
    with pytest.raises(ValueError, match=r"images \(C, H, W\) of at least 13x13") as raised:
        ValidCNNEncoder(sample, 16)
    assert str(sample) in str(raised.value)
