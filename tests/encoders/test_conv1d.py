"""The encoder of signals, and how an array of signals is read."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from skdim import DeepInfoMaxTransformer
from skdim.encoders import Conv1dEncoder, DCGANEncoder, check_features, takes_signals
from skdim.inputs import Layout, Stream, find_layout
from skdim.views import Stretch
from tests.encoders.helpers import draw, on_paper, seeded, sizes


@pytest.mark.parametrize(
    ("sample", "local", "conv", "n_parameters"),
    [
        ((1, 8), (128, 2), (256, 1), 494_784),
        ((2, 64), (128, 16), (256, 8), 2_330_048),
        ((2, 128), (128, 32), (256, 16), 4_427_200),
        ((3, 200), (256, 25), (512, 12), 7_049_920),
        ((2, 1000), (256, 31), (512, 15), 8_632_480),
        ((1, 16_000), (256, 31), (512, 15), 8_636_640),
    ],
)
def test_layers_and_parameters(sample, local, conv, n_parameters):
    assert on_paper("conv1d", sample)[:2] == ((local, conv, (1024,), (64,)), n_parameters)


def multiplications(sample):
    """Of one sample, in the linear layers and convolutions."""
    encoder = seeded(Conv1dEncoder, sample, 64).eval()
    with FlopCounterMode(display=False) as counter:
        encoder(draw(1, *sample))
    return counter.get_total_flops() / 2


def test_multiplications_hardly_grow_with_the_length():
    channels, lengths = (4, 16, 32, 64, 128, 256, 512), (500, 250, 125, 62, 31, 15)
    maps = zip(channels[:-1], channels[1:], lengths, strict=True)
    expected = sum(4 * before * after * length for before, after, length in maps)
    expected += 512 * 15 * 1024 + 1024 * 64

    assert multiplications((4, 1000)) == expected
    assert multiplications((4, 1024)) < 1.1 * multiplications((4, 256))


def test_features_of_real_numbers():
    encoder = seeded(Conv1dEncoder, (2, 37), 6, hidden_units=16)
    features = encoder(draw(5, 2, 37))
    check_features(features, 5, "conv1d")

    assert sizes(features) == ((128, 9), (256, 4), (16,), (6,))
    assert features.local.min() == features.conv.min() == features.hidden.min() == 0
    assert isinstance(encoder.to_code, nn.Linear)


def test_a_local_feature_sees_a_stretch_of_the_signal():
    """Two convolutions of size 4 and stride 2 see 10 values."""
    encoder = seeded(Conv1dEncoder, (2, 64), 4, hidden_units=4).eval()
    x = draw(1, 2, 64).requires_grad_()
    encoder(x).local[0, :, 5].sum().backward()
    seen = x.grad[0].abs().sum(0).nonzero().flatten()

    assert (int(seen[0]), int(seen[-1])) == (17, 26)


@pytest.mark.parametrize("sample", [(2, 7), (64,), (1, 8, 8)])
def test_samples_that_are_no_signal_or_too_short_are_refused(sample):
    with pytest.raises(ValueError, match=r"encodes signals \(C, L\) of at least 8") as raised:
        Conv1dEncoder(sample, 4)
    assert str(sample) in str(raised.value)


# ---------------------------------------------------------------------------------------------
# How arrays are read


@pytest.mark.parametrize(
    ("shape", "image_shape", "channel_axis", "layout"),
    [
        ((9, 50), None, None, Layout((1, 50))),
        ((9, 3, 50), None, None, Layout((3, 50))),
        ((9, 50, 3), None, 1, Layout((50, 3))),
        ((9, 3, 50), None, 1, Layout((3, 50))),
        ((9, 50, 3), None, -1, Layout((3, 50), channels_last=True)),
        ((9, 150), (3, 50), None, Layout((3, 50))),
        ((9, 150), (50, 3), -1, Layout((3, 50), channels_last=True)),
        ((9, 3, 50), (3, 50), None, Layout((3, 50))),
    ],
)
def test_layouts_of_signals(shape, image_shape, channel_axis, layout):
    found = find_layout(shape, image_shape, channel_axis, signals=True)

    assert found == layout
    assert not found.is_image


@pytest.mark.parametrize(
    ("shape", "image_shape", "text"),
    [
        ((9, 3, 8, 8), None, r"have shape \(3, 8, 8\), but this encoder takes signals"),
        ((9, 192), (3, 8, 8), r"have shape \(3, 8, 8\), but this encoder takes signals"),
        ((9, 100), (3, 50), r"image_shape=\(3, 50\) has 150 .* have 100 features"),
        ((9, 50, 3), (3, 50), r"image_shape=\(3, 50\) contradicts .* \(50, 3\)"),
    ],
)
def test_arrays_that_hold_no_signals_are_refused(shape, image_shape, text):
    with pytest.raises(ValueError, match=text):
        find_layout(shape, image_shape, signals=True)


def test_channels_last_are_arranged_first():
    x = draw(4, 6, 3)
    arranged = find_layout(x.shape, None, -1, signals=True).arrange(x.flatten(1))

    assert torch.equal(arranged, x.mT)
    assert arranged.is_contiguous()


@pytest.mark.parametrize(
    ("encoder", "signals"),
    [
        (Conv1dEncoder, True),
        (partial(Conv1dEncoder, hidden_units=4), True),
        (seeded(Conv1dEncoder, (1, 8), 2), True),
        (DCGANEncoder, False),
        (partial(DCGANEncoder, hidden_units=4), False),
        (lambda shape, n: None, False),
        (None, False),
    ],
)
def test_encoders_say_whether_they_take_signals(encoder, signals):
    assert takes_signals(encoder) is signals


def test_a_partial_may_say_so_itself():
    class Plain(nn.Module):
        pass

    said = partial(Plain)
    said.takes_signals = True

    assert takes_signals(said)


# ---------------------------------------------------------------------------------------------
# In the transformer


def make(**kwargs):
    settings = {"encoder": "conv1d", "max_epochs": 1, "batch_size": 8, "random_state": 0}
    return DeepInfoMaxTransformer(4, **(settings | kwargs))


SIGNALS = draw(16, 2, 40).numpy()


def test_three_axes_are_signals():
    dim = make().fit(SIGNALS)

    assert dim.transform(SIGNALS).shape == (16, 4)
    assert dim.encode(SIGNALS, "local").shape == (16, 128, 10)
    assert dim.image_shape_ is None
    assert dim.n_features_in_ == 80
    assert dim.net_.view == Stretch()


def test_one_mean_and_one_scale_a_channel():
    X = SIGNALS * np.array([[2.0], [5.0]], np.float32) + np.array([[7.0], [-3.0]], np.float32)
    standardise = make().fit(X).encoder_[0]

    assert standardise.mean.shape == (1, 2, 1)
    np.testing.assert_allclose(standardise.mean[0, :, 0], X.mean(axis=(0, 2)), rtol=1e-5)
    np.testing.assert_allclose(standardise.scale[0, :, 0], X.std(axis=(0, 2)), rtol=1e-5)


def test_the_same_signals_in_another_form_give_the_same_codes():
    codes = make().fit_transform(SIGNALS)
    turned = np.ascontiguousarray(SIGNALS.swapaxes(1, 2))
    flat = SIGNALS.reshape(16, -1)

    assert np.array_equal(make(channel_axis=-1).fit_transform(turned), codes)
    assert np.array_equal(make(image_shape=(2, 40)).fit_transform(flat), codes)
    assert np.array_equal(make().fit_transform(Stream(SIGNALS)), codes)
    assert np.array_equal(make(encoder=Conv1dEncoder).fit_transform(SIGNALS), codes)


def test_rows_are_signals_of_one_channel():
    X = SIGNALS[:, 0]
    dim = make().fit(X)

    assert dim.encoder_[0].mean.shape == (1, 1, 1)
    assert np.array_equal(dim.transform(X[:, None]), dim.transform(X))
    assert np.array_equal(pickle.loads(pickle.dumps(dim)).transform(X[3:4]), dim.transform(X)[3:4])


def test_signals_of_another_shape_are_refused():
    dim = make().fit(SIGNALS)

    with pytest.raises(ValueError, match=r"\(40, 2\), but the transformer was fitted on .*\(2, 40"):
        dim.transform(SIGNALS.swapaxes(1, 2))


def test_other_encoders_go_on_reading_images():
    assert make(encoder="dcgan", view=None).fit(draw(16, 9, 8).numpy()).image_shape_ == (1, 9, 8)


@pytest.mark.parametrize("sample", [(3, 8, 8), (2, 5)])
def test_what_conv1d_cannot_read_is_said(sample):
    with pytest.raises(ValueError, match="signals"):
        make().fit(draw(6, *sample).numpy())


def test_views_of_images_are_refused():
    with pytest.raises(ValueError, match="a view of images, but the samples are signals of 80"):
        make(view="augment").fit(SIGNALS)


def test_a_code_learns_what_a_signal_is_about():
    """Sines of one of two periods at any phase, under noise: no value tells them apart alone."""
    draws = np.random.default_rng(0)
    n, kind = 300, np.arange(300) % 2
    phase = draws.uniform(0, 2 * np.pi, (n, 1))
    X = np.sin(np.arange(64) / np.where(kind, 2.0, 4.0)[:, None] + phase)
    X = (X + draws.normal(0, 0.7, X.shape)).astype(np.float32)

    def score(**kwargs):
        encoder = partial(Conv1dEncoder, hidden_units=64)
        dim = make(encoder=encoder, batch_size=32, **kwargs)
        pipe = make_pipeline(dim, StandardScaler(), LogisticRegression())
        return pipe.fit(X[:200], kind[:200]).score(X[200:], kind[200:])

    raw = LogisticRegression().fit(X[:200], kind[:200])

    assert raw.score(X[200:], kind[200:]) < 0.7
    assert score(learning_rate=1e-12) < 0.7
    assert score(max_epochs=6) > 0.9
