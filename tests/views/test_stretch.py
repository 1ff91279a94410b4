"""Signals stretched, moved and scaled in time, against plain interpolation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skdim import DeepInfoMaxTransformer
from skdim.views import VIEWS, Stretch, find_pairs
from tests.views.helpers import (
    assert_spread_over,
    assert_two_looks_at_signals,
    patient,
    seeded,
    shares,
    signals,
)

STILL = {"crop": 0.0, "shift": 0.0, "scale": 0.0}


def times_of(n, length, **strengths):
    """Read off which time each step of a look shows, from a ramp; shape (n, length)."""
    ramp = torch.arange(float(length)).expand(n, 1, length)
    return Stretch(**STILL | strengths)(ramp, seeded())[0][:, 0]


@patient
@given(
    st.builds(Stretch, crop=shares, shift=shares, scale=shares),
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 12)),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 1000),
)
def test_looks_are_two_with_the_shape_and_type_of_the_signals_which_stay(view, shape, dtype, seed):
    assert_two_looks_at_signals(view, torch.randn(shape, generator=seeded(seed), dtype=dtype), seed)


def test_strength_zero_is_the_identity_up_to_rounding():
    x = signals(length=50)

    for look in Stretch(**STILL)(x, seeded()):
        torch.testing.assert_close(look, x, atol=1e-4, rtol=1e-4)


def test_looks_differ_from_each_other_and_from_signal_to_signal():
    first, second = Stretch()(signals(1).expand(6, -1, -1), seeded())

    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_draws_move_the_generator_on():
    generator = seeded()

    assert not torch.equal(Stretch()(signals(), generator)[0], Stretch()(signals(), generator)[0])


def test_a_crop_stretches_a_part_of_the_time_to_the_whole():
    n, length = 400, 101
    times = times_of(n, length, crop=0.4)
    steps = times.diff(dim=1)

    # As much time passes from each step to the next, and none lies outside.
    torch.testing.assert_close(steps, steps[:, :1].expand(-1, length - 1), atol=1e-3, rtol=1e-3)
    share = steps.mean(1)
    assert 0.6 - 1e-3 <= share.min() < 0.64
    assert 0.96 < share.max() <= 1 + 1e-3
    assert share.mean().item() == pytest.approx(0.8, abs=0.03)
    assert times.min() >= -1e-3
    assert times.max() <= length - 1 + 1e-3
    # Parts lie anywhere: some at either end.
    left, right = times[:, 0], length - 1 - times[:, -1]
    place = (left / (left + right))[share < 0.98]
    assert place.min() < 0.05
    assert place.max() > 0.95


def test_a_shift_moves_all_time_alike_and_repeats_the_ends():
    n, length = 400, 101
    times = times_of(n, length, shift=0.1)
    moved = times[:, 50] - 50

    assert moved.abs().max() <= 0.1 * 100 + 1e-3
    assert moved.min() < -9
    assert moved.max() > 9
    assert moved.mean().item() == pytest.approx(0, abs=1)
    expected = (torch.arange(101.0) + moved[:, None]).clamp(0, 100)
    torch.testing.assert_close(times, expected, atol=1e-2, rtol=0)


def test_a_look_equals_linear_interpolation():
    x = signals(20, 1, 31)
    view = Stretch(crop=0.5, shift=0.2, scale=0.0)
    ramp = torch.arange(31.0).expand(20, 1, 31)
    # The same generator looks at the same parts.
    looks, times = view(x, seeded())[0], view(ramp, seeded())[0]
    for signal, look, time in zip(x[:, 0], looks[:, 0], times[:, 0], strict=True):
        expected = np.interp(time.numpy(), np.arange(31), signal.numpy())
        np.testing.assert_allclose(look.numpy(), expected, atol=1e-3)


def test_each_channel_of_each_signal_has_a_factor_of_its_own():
    x = signals(200, 3, 8).abs() + 1
    look = Stretch(**STILL | {"scale": 0.3})(x, seeded())[0]
    factors = look / x

    torch.testing.assert_close(factors, factors[:, :, :1].expand_as(x), atol=1e-3, rtol=1e-3)
    for channel in range(3):
        assert_spread_over(factors[:, channel, 0].double(), 0.3)
    assert not torch.allclose(factors[:, 0], factors[:, 1], atol=0.01)


def test_all_channels_are_moved_as_one():
    x = signals(20, 1, 30).expand(-1, 3, -1)
    look = Stretch(scale=0.0)(x, seeded())[0]

    assert torch.equal(look[:, 0], look[:, 1])
    assert torch.equal(look[:, 0], look[:, 2])


def test_either_look_is_compared_with_the_other():
    assert find_pairs(Stretch(), 2) == ((0, 1), (1, 0))


@pytest.mark.parametrize("shape", [(4, 6), (4, 3, 8, 8), (4,)])
def test_samples_that_are_no_signals_are_refused(shape):
    with pytest.raises(ValueError, match=r"Stretch is a view of signals .* Use view='auto' or"):
        Stretch()(torch.rand(shape, generator=seeded()), seeded())


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), "x", None, True, [0.5]])
@pytest.mark.parametrize("name", ["crop", "shift", "scale"])
def test_strengths_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"Stretch\({name}=.*\): {name} must be a number from 0"):
        Stretch(**{name: value})


def test_it_is_in_the_table_and_named_to_the_transformer():
    X = np.random.default_rng(0).normal(size=(20, 2, 16))
    dim = DeepInfoMaxTransformer(
        3, encoder="conv1d", view="stretch", max_epochs=1, random_state=0
    ).fit(X)

    assert VIEWS["stretch"] == Stretch()
    assert dim.net_.view == Stretch()
    assert np.isfinite(dim.transform(X)).all()


def test_images_cannot_be_stretched_in_time():
    X = np.random.default_rng(0).normal(size=(20, 8, 8))

    with pytest.raises(ValueError, match="Stretch is a view of signals"):
        DeepInfoMaxTransformer(3, view="stretch", max_epochs=1).fit(X)
