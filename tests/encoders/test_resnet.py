"""The residual encoders of the reference code."""

import pytest
import torch
from torch import nn

from skdim.encoders import ENCODERS, ResNetEncoder, check_features
from skdim.encoders.resnet import RESNET34, Bottleneck
from tests.encoders.helpers import draw, on_paper, pixels_seen, seeded, sizes


@pytest.mark.parametrize(
    ("name", "n_parameters", "multiplications", "n_convolutions"),
    [("resnet19", 20_281_216, 150.5, 19), ("resnet34", 22_589_056, 257.4, 37)],
)
def test_layers_parameters_and_multiplications(name, n_parameters, multiplications, n_convolutions):
    layers, counted, multiplied = on_paper(name, (3, 32, 32))
    with torch.device("meta"):
        encoder = ENCODERS[name]((3, 32, 32), 64)
    convolutions = [
        m for n, m in encoder.named_modules() if isinstance(m, nn.Conv2d) and "shortcut" not in n
    ]

    assert layers == ((512, 8, 8), (1024, 4, 4), (1024,), (64,))
    assert counted == n_parameters
    assert round(multiplied / 1e6, 1) == multiplications
    assert len(convolutions) == n_convolutions


@pytest.mark.parametrize(
    ("sample", "local", "conv"),
    [
        ((1, 8, 8), (512, 2, 2), (1024, 1, 1)),
        ((1, 28, 28), (512, 7, 7), (1024, 4, 4)),
        ((3, 64, 64), (512, 16, 16), (1024, 8, 8)),
        ((2, 33, 15), (512, 9, 4), (1024, 5, 2)),
    ],
)
def test_other_sizes_have_maps_of_a_quarter_and_an_eighth(sample, local, conv):
    assert on_paper("resnet19", sample, 10)[0] == (local, conv, (1024,), (10,))


def test_widths_and_strides_of_the_blocks():
    with torch.device("meta"):
        encoder = ResNetEncoder((3, 32, 32), 64, blocks=RESNET34)
    middle = [m.change[1][0] for m in encoder.modules() if isinstance(m, Bottleneck)]

    assert [c.out_channels for c in middle] == [64] * 3 + [128] * 6 + [256] * 3
    assert [c.stride[0] for c in middle] == [1] * 3 + [2] + [1] * 5 + [2] + [1] * 2
    assert all(c.kernel_size == (3, 3) for c in middle)


def test_local_features_come_of_the_first_strided_block():
    encoder = seeded(ResNetEncoder, (1, 16, 16), 4, blocks=(1, 2, 1), hidden_units=8).eval()
    x = draw(2, 1, 16, 16)
    features = encoder(x)
    check_features(features, 2, "resnet")
    stem, first, strided = encoder.to_local

    torch.testing.assert_close(features.local, strided(first(stem(x))))
    assert sizes(features) == ((512, 4, 4), (1024, 2, 2), (8,), (4,))


@pytest.mark.parametrize(("channels", "stride"), [(12, 1), (16, 1), (16, 2)])
def test_a_block_adds_what_three_convolutions_make(channels, stride):
    block = seeded(Bottleneck, channels, 4, stride).eval()
    x = draw(3, channels, 6, 6)
    one, three, last = block.change
    inner = torch.relu(three[:2](torch.relu(one[:2](x))))
    keeps_shape = channels == 16 and stride == 1
    shortcut = x if keeps_shape else block.shortcut[1](block.shortcut[0](x))

    torch.testing.assert_close(block(x), torch.relu(last(inner) + shortcut))
    assert block(x).shape == (3, 16, 6 // stride, 6 // stride)


def test_a_local_feature_sees_a_part_of_the_image():
    """3x3 at stride 2, then 3x3 thrice at stride 2: 15x15 pixels."""
    encoder = seeded(ResNetEncoder, (1, 40, 40), 2, hidden_units=2)
    (top, bottom), (left, right) = pixels_seen(encoder, (1, 40, 40), "local", 5, 4)

    assert (bottom - top, right - left) == (14, 14)
    assert (top - left) == 4


@pytest.mark.parametrize("name", ["resnet19", "resnet34"])
@pytest.mark.parametrize("sample", [(3, 7, 32), (3, 32, 7), (64,), (2, 64)])
def test_samples_that_are_no_image_or_too_small_are_refused(name, sample):
    with pytest.raises(ValueError, match=r"images \(C, H, W\) of at least 8x8 pixels") as raised:
        ENCODERS[name](sample, 16)
    assert str(sample) in str(raised.value)
    assert f"encoder={name!r}" in str(raised.value)
