"""Signals with noise and masked intervals, against the definition of each."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skdim import DeepInfoMaxTransformer
from skdim.views import VIEWS, Distort, Stretch, find_pairs
from tests.views.helpers import (
    assert_nothing_is_read_back_or_sent,
    assert_the_device_is_not_waited_for,
    assert_two_looks_at_signals,
    patient,
    seeded,
    shares,
    signals,
)

STRENGTHS = ("crop", "shift", "scale", "mask", "jitter")
STILL = dict.fromkeys(STRENGTHS, 0.0)
of_signals = pytest.mark.parametrize("view", [Stretch(), Distort()], ids=repr)


def only(**strengths):
    return Distort(**STILL | strengths)


@patient
@given(
    st.builds(Distort, **dict.fromkeys(STRENGTHS, shares)),
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 12)),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 1000),
)
def test_looks_are_two_with_the_shape_and_type_of_the_signals_which_stay(view, shape, dtype, seed):
    assert_two_looks_at_signals(view, torch.randn(shape, generator=seeded(seed), dtype=dtype), seed)


def test_strength_zero_is_the_identity():
    x = signals()

    assert all(torch.equal(look, x) for look in only()(x, seeded()))


def test_without_mask_and_jitter_it_is_stretch():
    x = signals()
    looks = Distort(mask=0.0, jitter=0.0)(x, seeded()), Stretch()(x, seeded())

    assert all(torch.equal(a, b) for a, b in zip(*looks, strict=True))


@pytest.mark.parametrize("strength", STRENGTHS)
def test_looks_differ_from_each_other_and_from_signal_to_signal(strength):
    x = signals(1, 2, 40).expand(8, -1, -1)
    generator = seeded()
    view = only(**{strength: 0.5})
    first, second = view(x, generator)

    assert not torch.equal(first, second)
    assert len(first.flatten(1).unique(dim=0)) == 8
    assert not torch.equal(view(x, generator)[0], first)


def test_noise_is_normal_and_independent_with_a_share_of_the_spread_over_time():
    n, length = 400, 200
    scales = torch.tensor([[1.0], [50.0]])
    x = signals(n, 2, length) * scales + 7
    spread = x.std(dim=2, keepdim=True, correction=0)
    noise = ((only(jitter=0.3)(x, seeded())[0] - x) / spread).double()
    error = (n * length) ** -0.5

    for channel in range(2):
        values = noise[:, channel]
        assert abs(values.mean()) < 4 * 0.3 * error
        assert values.var().item() == pytest.approx(0.09, abs=4 * 0.09 * 2**0.5 * error)
        assert (values**4).mean().item() == pytest.approx(3 * 0.0081, abs=4 * 0.0081 * 10 * error)
    # From a time to the next, from a channel to the other, from a signal to the next.
    for one, other in (
        (noise[:, :, 1:], noise[:, :, :-1]),
        (noise[:, 0], noise[:, 1]),
        (noise[1:], noise[:-1]),
    ):
        assert abs((one * other).mean()) < 4 * 0.09 * error


def test_noise_of_constant_signals_is_none():
    x = torch.full((3, 2, 9), 5.0)

    assert torch.equal(only(jitter=1.0)(x, seeded())[0], x)


def test_an_interval_of_all_channels_has_the_mean_of_each():
    n, length, most = 600, 100, 0.4
    x = signals(n, 3, length)
    look = only(mask=most)(x, seeded())[0]
    masked = (look != x).any(dim=1)
    sizes = masked.sum(dim=1)

    means = x.mean(dim=2, keepdim=True).expand_as(x)
    assert torch.equal(look, torch.where(masked[:, None], means, x))
    # One interval each.
    assert (masked.int().diff(dim=1, prepend=torch.zeros(n, 1)) > 0).sum(dim=1).eq(1).all()
    # Lengths are uniform from 0 to the largest, at least 1; places are uniform in what is left.
    assert (sizes.min(), sizes.max()) == (1, 40)
    assert sizes.double().mean().item() == pytest.approx(20, abs=4 * 40 / (12 * n) ** 0.5)
    place = (masked.int().argmax(dim=1) / (length - sizes)).double()
    assert place.mean().item() == pytest.approx(0.5, abs=4 / (12 * n) ** 0.5)
    assert place.min() < 0.02
    assert place.max() > 0.98


def test_all_of_the_time_may_be_masked():
    look = only(mask=1.0)(signals(1, 2, 1), seeded())[0]

    assert torch.equal(look, signals(1, 2, 1))


@of_signals
def test_nothing_is_read_back_from_the_device_or_sent_to_it(view, monkeypatch):
    assert_nothing_is_read_back_or_sent(view, signals(), monkeypatch)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@of_signals
def test_the_device_is_not_waited_for(view):
    assert_the_device_is_not_waited_for(view, signals())


def test_either_look_is_compared_with_the_other():
    assert find_pairs(Distort(), 2) == ((0, 1), (1, 0))


@pytest.mark.parametrize("shape", [(4, 6), (4, 3, 8, 8), (4,)])
def test_samples_that_are_no_signals_are_refused(shape):
    with pytest.raises(ValueError, match=r"Distort is a view of signals .* Use view='auto' or"):
        Distort()(torch.rand(shape, generator=seeded()), seeded())


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), "x", None, True, [0.5]])
@pytest.mark.parametrize("name", STRENGTHS)
def test_strengths_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"Distort\({name}=.*\): {name} must be a number from 0"):
        Distort(**{name: value})


@pytest.mark.parametrize("encoder", ["kernels", "conv1d"])
def test_it_is_in_the_table_and_named_to_the_transformer(encoder):
    X = np.random.default_rng(0).normal(size=(20, 2, 16))
    epochs = {"max_epochs": 1} if encoder == "conv1d" else {}
    dim = DeepInfoMaxTransformer(3, encoder=encoder, view="distort", random_state=0, **epochs)

    assert VIEWS["distort"] == Distort()
    assert dim.fit(X).net_.view == Distort()
    assert np.isfinite(dim.transform(X)).all()


def test_images_cannot_be_distorted():
    X = np.random.default_rng(0).normal(size=(20, 8, 8))

    with pytest.raises(ValueError, match="Distort is a view of signals"):
        DeepInfoMaxTransformer(3, view="distort", max_epochs=1).fit(X)
