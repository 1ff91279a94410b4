"""Decoders give the shape that is asked for, and learn to give back what a code holds."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skdim.decoders import Conv1dDecoder, DCGANDecoder, MLPDecoder, make_decoder
from skdim.encoders import Conv1dEncoder, DCGANEncoder

N, CODE = 3, 5


def made(make, *args, seed=0, **kwargs):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make(*args, **kwargs)


def normals(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


sides = st.integers(8, 70)
images = st.tuples(st.integers(1, 4), sides, sides)
signals = st.tuples(st.integers(1, 3), st.integers(8, 600))
vectors = st.tuples(st.integers(1, 200))
small = st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 7))


@settings(max_examples=25, deadline=None)
@given(st.one_of(images, signals, vectors, small), st.integers(1, 9))
def test_decodes_to_exactly_the_shape_asked_for(shape, n_components):
    decoder = made(make_decoder, shape, n_components)
    samples = decoder(normals(N, n_components))

    assert samples.shape == (N, *shape)
    assert samples.isfinite().all()


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((3, 32, 32), DCGANDecoder),
        ((1, 8, 9), DCGANDecoder),
        ((1, 7, 40), MLPDecoder),
        ((2, 8), Conv1dDecoder),
        ((2, 7), MLPDecoder),
        ((30,), MLPDecoder),
        ((2, 8, 8, 8), MLPDecoder),
    ],
    ids=str,
)
def test_choice_follows_the_shape(shape, kind):
    assert type(make_decoder(shape, CODE)) is kind


@pytest.mark.parametrize("side", [8, 28, 32, 33, 64, 100])
def test_image_maps_are_those_of_the_encoder_mirrored(side):
    """What the encoder comes down to is what the decoder starts from."""
    encoder, decoder = DCGANEncoder((3, side, side), CODE), DCGANDecoder((3, side, side), CODE)
    features = encoder.eval()(torch.zeros(1, 3, side, side))

    first = decoder.eval().to_map(torch.zeros(1, CODE))
    assert first.shape == features.conv.shape
    assert decoder.to_image[:3](first).shape == features.local.shape


@pytest.mark.parametrize("length", [8, 31, 128, 257, 1000])
def test_signal_maps_are_those_of_the_encoder_mirrored(length):
    encoder, decoder = Conv1dEncoder((2, length), CODE), Conv1dDecoder((2, length), CODE)
    features = encoder.eval()(torch.zeros(1, 2, length))

    assert decoder.eval().network[:4](torch.zeros(1, CODE)).shape == features.conv.shape


@pytest.mark.parametrize("shape", [(1, 9, 12), (2, 33), (7,)], ids=str)
def test_every_weight_takes_part_and_every_number_depends_on_the_code(shape):
    decoder, code = made(make_decoder, shape, CODE), normals(N, CODE).requires_grad_()
    samples = decoder(code)
    samples.square().sum().backward()

    assert all(weight.grad.any() for weight in decoder.parameters())
    assert code.grad.any(dim=1).all()
    other = decoder(normals(N, CODE, seed=1))
    assert (samples != other).all()


@pytest.mark.parametrize("shape", [(1, 11, 8), (2, 19), (6,)], ids=str)
def test_in_evaluation_a_sample_depends_on_its_own_code_only(shape):
    decoder = made(make_decoder, shape, CODE)
    decoder(normals(20, CODE))  # so that running statistics are not those of nothing
    codes = normals(N, CODE)
    with torch.no_grad():
        together = decoder.eval()(codes)
        alone = torch.cat([decoder(code[None]) for code in codes])

    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(copy.deepcopy(decoder)(codes), together)


@pytest.mark.parametrize("shape", [(1, 9, 10), (2, 17), (6,)], ids=str)
def test_learns_samples_that_a_code_determines(shape):
    """Standardised samples, a linear map of two numbers: nearly all of their variance is found."""
    codes = normals(32, 2)
    wanted = (codes @ normals(2, math.prod(shape), seed=1)).reshape(32, *shape)
    wanted = wanted / wanted.std()
    decoder = made(make_decoder, shape, 2)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(decoder(codes), wanted)
        loss.backward()
        optimizer.step()

    assert loss.item() < 0.1


@pytest.mark.parametrize(
    ("kind", "shape", "text"),
    [
        (DCGANDecoder, (3, 7, 32), r"at least 8x8 pixels, not to samples of shape \(3, 7, 32\)"),
        (DCGANDecoder, (32,), "images"),
        (Conv1dDecoder, (3, 7), r"at least 8 values a channel, not to samples of shape \(3, 7\)"),
        (Conv1dDecoder, (1, 8, 8), "signals"),
        (MLPDecoder, (), "holds no numbers"),
        (MLPDecoder, (3, 0), "holds no numbers"),
    ],
    ids=str,
)
def test_shapes_that_cannot_be_decoded_to_are_refused(kind, shape, text):
    with pytest.raises(ValueError, match=text):
        kind(shape, CODE)
