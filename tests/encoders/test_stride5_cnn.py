"""The Keras tutorial's encoder."""

import pytest
import torch
from torch import nn

from skdim.encoders import Stride5CNNEncoder, check_features
from tests.encoders.helpers import draw, on_paper, pixels_seen, seeded, sizes


def test_layers_parameters_and_multiplications_of_the_tutorial():
    layers, n_parameters, multiplications = on_paper("stride5_cnn", (1, 28, 28), 32)

    assert layers == ((256, 5, 5), (256, 5, 5), (256,), (32,))
    assert n_parameters == 1_691_520
    assert multiplications == 25 * (36 * 32 + 32 * 64 + 64 * 128 + 128 * 256) + 6400 * 256 + 8192


def test_layers_are_those_of_the_tutorial():
    with torch.device("meta"):
        encoder = Stride5CNNEncoder((1, 28, 28), 32)
    first, *others = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]

    assert (first.kernel_size, first.stride, first.padding) == ((6, 6), (5, 5), (0, 0))
    assert [c.kernel_size for c in others] == [(1, 1)] * 3
    assert [c.out_channels for c in (first, *others)] == [32, 64, 128, 256]
    assert not any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in encoder.modules())
    assert all(m.bias is not None for m in encoder.modules() if hasattr(m, "weight"))


@pytest.mark.parametrize(
    ("sample", "grid"),
    [((1, 11, 11), (2, 2)), ((3, 32, 32), (6, 6)), ((2, 15, 31), (2, 6)), ((1, 64, 64), (12, 12))],
)
def test_other_sizes(sample, grid):
    layers, _, _ = on_paper("stride5_cnn", sample, 7)

    assert layers == ((256, *grid), (256, *grid), (256,), (7,))


def test_a_local_feature_sees_one_patch():
    encoder = seeded(Stride5CNNEncoder, (2, 28, 28), 3, hidden_units=4)

    assert pixels_seen(encoder, (2, 28, 28), "local", 0, 0) == ((0, 5), (0, 5))
    assert pixels_seen(encoder, (2, 28, 28), "local", 3, 4) == ((15, 20), (20, 25))


def test_features_of_real_numbers():
    encoder = seeded(Stride5CNNEncoder, (1, 13, 12), 5, hidden_units=16)
    features = encoder(draw(4, 1, 13, 12))
    check_features(features, 4, "stride5_cnn")

    assert sizes(features) == ((256, 2, 2), (256, 2, 2), (16,), (5,))
    assert features.local.min() == features.hidden.min() == 0
    assert features.code.min() < 0 < features.code.max()


@pytest.mark.parametrize("sample", [(1, 10, 28), (1, 28, 10), (64,), (2, 64)])
def test_samples_that_are_no_image_or_too_small_are_refused(sample):
    with pytest.raises(ValueError, match=r"images \(C, H, W\) of at least 11x11 pixels") as raised:
        Stride5CNNEncoder(sample, 16)
    assert str(sample) in str(raised.value)


@pytest.mark.parametrize(
    ("shape", "advice"), [((6,), "encode their pixels as vectors"), ((1, 9, 9), "use 'dcgan' or")]
)
def test_what_is_no_large_image_is_refused_with_advice_for_it(shape, advice):
    with pytest.raises(ValueError, match=advice):
        Stride5CNNEncoder(shape, 4)
