"""The paper's encoder of larger images."""

import pytest
import torch
from torch import nn

from skdim.encoders import AlexNetEncoder, check_features
from tests.encoders.helpers import draw, on_paper, pixels_seen, seeded, sizes


def test_layers_parameters_and_multiplications_of_64x64_images():
    layers, n_parameters, multiplications = on_paper("alexnet", (3, 64, 64))

    assert layers == ((384, 15, 15), (192, 7, 7), (4096,), (64,))
    assert n_parameters == 58_416_160
    assert round(multiplications / 1e6, 1) == 822.8


@pytest.mark.parametrize(
    ("sample", "local", "conv"),
    [
        ((1, 15, 15), (384, 3, 3), (192, 1, 1)),
        ((3, 32, 32), (384, 7, 7), (192, 3, 3)),
        ((3, 96, 64), (384, 23, 15), (192, 11, 7)),
        ((2, 33, 17), (384, 7, 3), (192, 3, 1)),
    ],
)
def test_other_sizes_halve_likewise(sample, local, conv):
    assert on_paper("alexnet", sample, 10)[0] == (local, conv, (4096,), (10,))


def test_layers_are_those_of_the_reference():
    with torch.device("meta"):
        encoder = AlexNetEncoder((3, 64, 64), 64)
    convolutions = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    linears = [m for m in encoder.modules() if isinstance(m, nn.Linear)]

    assert [c.out_channels for c in convolutions] == [96, 192, 384, 384, 192]
    assert all((c.kernel_size, c.padding, c.bias) == ((3, 3), (1, 1), None) for c in convolutions)
    assert [m.out_features for m in linears] == [4096, 4096, 64]
    assert [m.bias is None for m in linears] == [True, True, False]


def test_features_of_real_numbers():
    encoder = seeded(AlexNetEncoder, (2, 20, 17), 6, hidden_units=16)
    features = encoder(draw(4, 2, 20, 17))
    check_features(features, 4, "alexnet")

    assert sizes(features) == ((384, 4, 3), (192, 1, 1), (16,), (6,))
    assert features.local.min() == features.hidden.min() == 0
    # The second hidden layer is the one before the code.
    torch.testing.assert_close(features.code, encoder.to_code(features.hidden))


def test_a_local_feature_sees_a_part_of_the_image():
    """Two times 3x3 and a maximum over 3x3 at stride 2, then 3x3: 21x21 pixels."""
    encoder = seeded(AlexNetEncoder, (1, 40, 40), 2, hidden_units=2)

    assert pixels_seen(encoder, (1, 40, 40), "local", 4, 3) == ((9, 29), (5, 25))


@pytest.mark.parametrize("sample", [(3, 14, 64), (3, 64, 14), (64,), (2, 64), (3, 3, 64, 64)])
def test_samples_that_are_no_image_or_too_small_are_refused(sample):
    with pytest.raises(ValueError, match=r"images \(C, H, W\) of at least 15x15 pixels") as raised:
        AlexNetEncoder(sample, 16)
    assert str(sample) in str(raised.value)
    assert "encoder='alexnet'" in str(raised.value)
