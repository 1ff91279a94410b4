"""The trained network whose first layer is made of patches of the images."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import adaptive_avg_pool2d, conv2d, pad

from skdim import DeepInfoMaxTransformer
from skdim.encoders import Adaptable, PatchNetworkEncoder, check_features
from tests.encoders.helpers import adapt

patient = settings(deadline=None, max_examples=25)  # The machine may be busy.


def images(n, *sample, seed=0):
    """Blurred noise: neighbours are alike, as in photographs."""
    noise = torch.randn(n, *sample, generator=torch.Generator().manual_seed(seed))
    blurred = torch.nn.functional.avg_pool2d(pad(noise, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    return blurred / blurred.std()


def make_encoder(sample, n_components=16, seed=0, x=None, **kwargs):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = PatchNetworkEncoder(sample, n_components, **kwargs)
        adapt(encoder, images(50, *sample) if x is None else x)
    return encoder.eval()


@pytest.mark.parametrize(
    ("sample", "side", "stride"),
    [((1, 8, 8), 4, 1), ((1, 28, 28), 6, 2), ((3, 32, 32), 6, 2), ((2, 48, 64), 9, 3)],
)
def test_filters_scale_with_the_image(sample, side, stride):
    encoder = make_encoder(sample)

    assert encoder.stride == stride
    assert encoder.filters.shape == (128, sample[0], side, side)


@patient
@given(st.integers(1, 5), st.integers(8, 40), st.integers(8, 40))
def test_any_image_of_eight_pixels_or_more_is_encoded(channels, height, width):
    x = images(2, channels, height, width)
    features = make_encoder(x.shape[1:], 5, x=x)(x)

    check_features(features, 2, "patch_network")
    assert features.local.shape == (2, 128, 4, 4)
    assert features.conv.shape == (2, 256, 2, 2)
    assert features.hidden.shape == (2, 1024)
    assert features.code.shape == (2, 5)


@pytest.mark.parametrize("sample", [(3, 7, 32), (3, 32, 7), (64,), (1, 1, 1)])
def test_what_is_too_small_is_refused_with_the_least_size(sample):
    with pytest.raises(ValueError, match=r"at least 8x8 pixels.*have shape"):
        PatchNetworkEncoder(sample, 8)


def test_filters_are_white_on_the_patches_that_they_come_from():
    """Unit directions of whitened patches: each response has variance one, but for the damping."""
    x = images(200, 1, 16, 16)
    encoder = make_encoder((1, 16, 16), x=x)
    responses = conv2d(x, encoder.filters, encoder.offset).movedim(1, 0).flatten(1)

    torch.testing.assert_close(responses.mean(1), torch.zeros(128), atol=0.1, rtol=0)
    torch.testing.assert_close(responses.var(1), torch.ones(128), atol=0.25, rtol=0)


@pytest.mark.parametrize("sample", [(1, 8, 8), (3, 32, 32), (2, 21, 30)])
def test_responses_equal_the_plain_form(sample):
    encoder, x = make_encoder(sample), images(3, *sample, seed=1)
    before = (encoder.side - encoder.stride) // 2
    after = encoder.side - encoder.stride - before
    padded = pad(x, (before, after, before, after), mode="reflect")
    response = conv2d(padded, encoder.filters, encoder.offset, stride=encoder.stride)
    signs = [(response - 0.5).relu(), (-response - 0.5).relu()]
    expected = torch.cat([adaptive_avg_pool2d(sign, 4) for sign in signs], dim=1)

    torch.testing.assert_close(encoder.respond(x), expected, atol=1e-5, rtol=1e-5)


def test_images_that_do_not_fit_the_cache_at_once_are_encoded_alike():
    encoder, x = make_encoder((1, 8, 8)), images(70, 1, 8, 8, seed=1)

    torch.testing.assert_close(encoder(x).local[50:], encoder(x[50:]).local)


def test_a_local_feature_sees_a_part_of_the_image_only():
    encoder, x = make_encoder((1, 32, 32)), images(1, 1, 32, 32).requires_grad_()
    encoder(x).local[0, :, 0, 0].sum().backward()
    seen = x.grad[0, 0] != 0

    assert seen[:8, :8].any()
    assert not seen[12:].any()
    assert not seen[:, 12:].any()


def test_filters_are_kept_but_not_trained():
    X = images(40, 1, 8, 8).numpy()
    fitted = DeepInfoMaxTransformer(4, encoder="patch_network", max_epochs=1, random_state=0).fit(X)
    again = DeepInfoMaxTransformer(4, encoder="patch_network", max_epochs=3, random_state=0).fit(X)
    first, second = fitted.encoder_[1], again.encoder_[1]

    assert "filters" not in dict(first.named_parameters())
    assert "filters" in first.state_dict()
    assert torch.equal(first.filters, second.filters)
    assert not torch.equal(first.to_code.weight, second.to_code.weight)


def test_filters_repeat_with_the_seed():
    one, same, other = (make_encoder((1, 8, 8), seed=seed).filters for seed in (0, 0, 1))

    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_equal_images_give_finite_filters():
    x = torch.zeros(2, 3, 8, 8)

    check_features(make_encoder((3, 8, 8), x=x)(x), 2, "patch_network")


def test_it_asks_to_be_adapted():
    assert isinstance(PatchNetworkEncoder((1, 8, 8), 2), Adaptable)
