"""Encoders of crops: what a crop sees, how crops are folded, one global and several."""

import numpy as np
import pytest
import torch
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.encoders import (
    ENCODERS,
    FoldedAlexNetEncoder,
    FoldedAlexNetMultiEncoder,
    FoldedResNetEncoder,
    ResNetEncoder,
    check_features,
)
from skdim.encoders.folded import Crops
from skdim.encoders.resnet import RESNET34
from tests.encoders.helpers import draw, on_paper, pixels_seen, seeded, sizes


@pytest.mark.parametrize(
    ("name", "sample", "layers", "n_parameters"),
    [
        ("folded_alexnet", (3, 64, 64), ((192, 7, 7), (384, 3, 3), (4096,), (64,)), 17_915_680),
        (
            "folded_alexnet_multi",
            (3, 64, 64),
            ((192, 7, 7), (192, 5, 5), (4800,), (64, 5, 5)),
            3_169_696,
        ),
        ("folded_resnet19", (3, 32, 32), ((1024, 7, 7),) * 2 + ((1024,), (64,)), 54_884_224),
        ("folded_resnet34", (3, 32, 32), ((1024, 7, 7),) * 2 + ((1024,), (64,)), 57_192_064),
        # The whole STL-10 image, and shapes that are not square.
        ("folded_alexnet", (3, 96, 96), ((192, 11, 11), (384, 5, 5), (4096,), (64,)), 43_081_504),
        (
            "folded_alexnet_multi",
            (1, 32, 56),
            ((192, 3, 6), (192, 1, 4), (768,), (64, 1, 4)),
            3_167_968,
        ),
        ("folded_resnet19", (1, 28, 12), ((1024, 6, 2),) * 2 + ((1024,), (64,)), 16_085_760),
    ],
)
def test_layers_and_parameters(name, sample, layers, n_parameters):
    assert on_paper(name, sample)[:2] == (layers, n_parameters)


def test_reference_has_25_globals_of_192():
    layers, _, _ = on_paper("folded_alexnet_multi", (3, 64, 64), 192)

    assert layers[-1] == (192, 5, 5)


@pytest.mark.parametrize("blocks", [(2, 2, 2), RESNET34])
def test_crops_go_through_all_blocks_down_to_one_location(blocks):
    """In the reference's foldresnet34, two blocks are missing and crops stay 4x4."""
    with torch.device("meta"):
        folded = FoldedResNetEncoder((3, 32, 32), 64, blocks=blocks)
        whole = ResNetEncoder((3, 32, 32), 64, blocks=blocks)
    shapes = {name: weight.shape for name, weight in folded.to_local.trunk.named_parameters()}
    trunk = nn.Sequential(*whole.to_local, *whole.to_conv)

    assert shapes == {name: weight.shape for name, weight in trunk.named_parameters()}


# ---------------------------------------------------------------------------------------------
# Crops


class Flatten(nn.Module):
    """Give the pixels of a crop as channels."""

    def forward(self, crops):
        return crops.flatten(1)[:, :, None, None]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (32, 32), (21, 14), (8, 15)])
def test_a_location_holds_the_pixels_of_its_own_crop(height, width):
    x = draw(3, 2, height, width)
    local = Crops(Flatten(), 8)(x)
    rows, columns = (height - 4) // 4, (width - 4) // 4

    assert local.shape == (3, 2 * 8 * 8, rows, columns)
    for i in range(rows):
        for j in range(columns):
            crop = x[:, :, 4 * i : 4 * i + 8, 4 * j : 4 * j + 8]
            assert torch.equal(local[:, :, i, j], crop.flatten(1))


@pytest.mark.parametrize(
    ("make", "sample", "side"),
    [
        (FoldedAlexNetEncoder, (1, 40, 32), 16),
        (FoldedAlexNetMultiEncoder, (1, 32, 40), 16),
        (FoldedResNetEncoder, (1, 16, 20), 8),
    ],
)
def test_a_local_feature_depends_on_the_pixels_of_its_own_crop_only(make, sample, side):
    encoder = seeded(make, sample, 4).eval()
    rows, columns = encoder(draw(1, *sample)).local.shape[2:]
    stride = side // 2

    for row, column in [(0, 0), (rows - 1, columns - 1), (1, 2)]:
        (top, bottom), (left, right) = pixels_seen(encoder, sample, "local", row, column)
        # Some pixels at a crop's border may be seen by dead units only.
        assert stride * row <= top < bottom < stride * row + side
        assert stride * column <= left < right < stride * column + side
        assert bottom - top >= side - 3
        assert right - left >= side - 3


def test_each_global_sees_3x3_crops():
    encoder = seeded(FoldedAlexNetMultiEncoder, (1, 40, 48), 4)
    (top, bottom), (left, right) = pixels_seen(encoder, (1, 40, 48), "code", 1, 2)

    assert 8 <= top < bottom < 40
    assert 16 <= left < right < 48
    assert bottom - top >= 29
    assert right - left >= 29


@pytest.mark.parametrize("name", [name for name in ENCODERS if name.startswith("folded")])
@pytest.mark.parametrize("sample", [(3, 11, 64), (3, 64, 11), (64,), (2, 64)])
def test_samples_that_are_no_image_or_too_small_are_refused(name, sample):
    with pytest.raises(ValueError, match=rf"encoder='{name}' encodes images \(C, H, W\)") as raised:
        ENCODERS[name](sample, 16)
    assert str(sample) in str(raised.value)


@pytest.mark.parametrize(
    ("name", "least"),
    [("folded_alexnet", 32), ("folded_alexnet_multi", 32), ("folded_resnet34", 12)],
)
def test_least_sizes_are_named_and_work(name, least):
    with pytest.raises(ValueError, match=f"of at least {least}x{least} pixels"):
        ENCODERS[name]((1, least, least - 1), 4)
    layers, _, _ = on_paper(name, (1, least, least), 4)

    assert layers[-1] in ((4,), (4, 1, 1))


# ---------------------------------------------------------------------------------------------
# Dropout, and several globals


def images(n, side):
    return np.random.default_rng(0).normal(size=(n, 1, side, side)).astype(np.float32)


def small_folded(dropout):
    def make(input_shape, n_components):
        return FoldedAlexNetEncoder(input_shape, n_components, hidden_units=8, dropout=dropout)

    return make


def test_dropout_is_off_outside_training():
    encoder = seeded(FoldedAlexNetEncoder, (1, 32, 32), 4, hidden_units=32)
    x = draw(4, 1, 32, 32)

    assert not torch.equal(encoder(x).code, encoder(x).code)
    assert torch.equal(encoder.eval()(x).code, encoder(x).code)
    assert sizes(encoder(x)) == ((192, 3, 3), (384, 1, 1), (32,), (4,))


def test_dropout_repeats_with_the_seed(monkeypatch):
    # By name, so that nothing but the dropout itself calls for the guard over torch's generators.
    monkeypatch.setitem(ENCODERS, "folded_alexnet", small_folded(0.1))
    monkeypatch.setattr("skdim.inference.CHUNK", 4)
    X = images(4, 32)
    dim = DeepInfoMaxTransformer(
        3, encoder="folded_alexnet", max_epochs=1, batch_size=2, view=None, random_state=0
    )
    codes = []
    for stand in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(stand)
            before = torch.get_rng_state()
            codes.append(dim.fit(X).transform(X))
            assert torch.equal(before, torch.get_rng_state())

    assert np.array_equal(*codes)


def test_several_globals_train_and_their_mean_is_the_code(monkeypatch):
    monkeypatch.setattr("skdim.inference.CHUNK", 4)
    X = images(4, 40)
    dim = DeepInfoMaxTransformer(
        5,
        encoder="folded_alexnet_multi",
        global_weight=0.5,
        local_weight=1.0,
        prior_weight=0.1,
        max_epochs=1,
        view=None,
        random_state=0,
    ).fit(X)
    with torch.no_grad():
        features = dim.encoder_(torch.from_numpy(X))
    check_features(features, 4, "multi")

    assert features.code.shape == (4, 5, 2, 2)
    assert dim.transform(X).shape == (4, 5)
    np.testing.assert_allclose(dim.transform(X), features.code.mean(dim=(2, 3)), atol=1e-5)
    assert dim.encode(X, "local").shape == (4, 192, 4, 4)
    assert all(np.isfinite(values).all() for values in dim.history_.values())
    assert np.isfinite(dim.score(X))


def test_every_global_is_compared_with_every_location():
    """Gradient of the local term in each global of the grid."""
    encoder = seeded(FoldedAlexNetMultiEncoder, (1, 40, 40), 4)
    seen = []
    dim = DeepInfoMaxTransformer(
        4, encoder=encoder, max_epochs=1, batch_size=4, random_state=0, view=None
    )
    encoder.to_code.register_full_backward_hook(
        lambda module, to_input, to_output: seen.append(to_output[0].abs().sum(dim=1))
    )
    dim.fit(images(4, 40))

    assert seen[0].shape == (4, 2, 2)
    assert (seen[0] > 0).all()
