"""Random kernels of signals, against a plain loop over time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skdim.encoders import KernelEncoder, LinearEncoder, check_features, takes_signals
from skdim.encoders.kernels import KernelStem, above
from tests.encoders.helpers import draw, seeded

patient = settings(deadline=None, max_examples=10)  # The machine may be busy.


def make(sample=(2, 20), n_kernels=6, x=None):
    stem = KernelStem(sample, n_kernels)
    seeded(stem.adapt, draw(12, *sample) if x is None else x)
    return stem


def slow_response(stem, signal, k, kernel):
    """Move one kernel over one signal (C, L), step by step; beyond the ends are zeros."""
    channels, length = signal.shape
    dilation, weight = stem.dilations[k], stem.weight[k, kernel]
    return [
        sum(
            weight[c, j].item() * signal[c, place].item()
            for c in range(channels)
            for j in range(stem.size)
            if 0 <= (place := t + dilation * (j - stem.size // 2)) < length
        )
        for t in range(length)
    ]


@patient
@given(st.integers(1, 3), st.integers(8, 24), st.integers(1, 5))
def test_features_equal_a_loop_over_time(channels, length, n_kernels):
    stem, x = make((channels, length), n_kernels), draw(2, channels, length, seed=4)
    found = stem(x)

    assert found.shape == (2, *stem.out_shape)
    expected = []
    for signal in x:
        row = []
        for k in range(len(stem.dilations)):
            for kernel in range(stem.weight.shape[1]):
                response = torch.tensor(slow_response(stem, signal, k, kernel))
                row.append((response > stem.threshold[k, kernel]).float().mean())
        expected.append(torch.stack(row))
    # A response on the threshold may round to either side: one step in time.
    difference = (found[:, :, 0] - torch.stack(expected)).abs()
    assert difference.max() <= 1.01 / length
    assert (difference > 1e-6).float().mean() <= 0.05


@pytest.mark.parametrize("k", [0, 1])
def test_responses_equal_a_loop_over_time(k):
    stem, x = make(), draw(1, 2, 20, seed=4)
    expected = [slow_response(stem, x[0], k, kernel) for kernel in range(stem.weight.shape[1])]

    torch.testing.assert_close(stem.respond(x, k)[0], torch.tensor(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("length", "size", "dilations"),
    [(8, 7, [1]), (9, 9, [1]), (17, 9, [1, 2]), (16, 9, [1]), (100, 9, [1, 2, 4, 8])],
)
def test_dilations_double_as_far_as_they_fit(length, size, dilations):
    stem = KernelStem((1, length), 10)

    assert stem.size == size
    assert stem.dilations == dilations
    assert stem.dilations[-1] * (size - 1) < length <= 2 * stem.dilations[-1] * (size - 1)
    assert stem.out_shape[0] >= 10


@pytest.mark.parametrize("length", [8, 40])
def test_kernels_of_one_channel_have_two_values_and_mean_zero(length):
    stem = make((1, length), 30)
    kernels = stem.weight[:, :, 0].flatten(0, 1)

    torch.testing.assert_close(kernels.sum(dim=1), torch.zeros(len(kernels)), atol=1e-5, rtol=0)
    for kernel in kernels:
        assert (kernel > 0).sum() == stem.size // 3
        torch.testing.assert_close(kernel.max() - kernel.min(), torch.tensor(3.0))


def test_kernels_see_at_most_nine_channels():
    stem = make((12, 20), 200)
    used = (stem.weight != 0).any(dim=-1).sum(dim=-1)

    assert used.min() == 1
    assert used.max() == 9


def test_features_are_shares_of_time():
    shares = make(n_kernels=40)(draw(9, 2, 20, seed=4))

    assert shares.min() >= 0
    assert shares.max() <= 1
    assert 0.2 < shares.mean() < 0.8


def test_features_ignore_a_constant_of_a_long_signal_but_for_its_ends():
    stem = make((1, 200), 20)
    x = draw(3, 1, 200, seed=4)

    assert (stem(x + 5.0) - stem(x)).abs().mean() < 0.25


def test_signals_that_do_not_fit_the_cache_at_once_are_encoded_alike():
    stem, x = make(), draw(70, 2, 20, seed=4)

    torch.testing.assert_close(stem(x)[50:], stem(x[50:]))
    torch.testing.assert_close(stem(x), stem.shares(x), atol=0.051, rtol=0)


def test_draws_repeat_with_the_seed():
    one, same = make(), make()

    assert torch.equal(one.weight, same.weight)
    assert torch.equal(one.threshold, same.threshold)


@pytest.mark.parametrize("n", [1, 3])
def test_equal_signals_give_finite_features(n):
    x = torch.zeros(n, 2, 20)

    assert make(x=x)(x).isfinite().all()


@pytest.mark.parametrize("shape", [(2, 7), (20,), (1, 8, 8)])
def test_what_is_no_signal_or_too_short_is_refused(shape):
    with pytest.raises(ValueError, match=r"encoder='kernels' encodes signals .* at least 8"):
        KernelEncoder(shape, 2)


def test_it_is_linear_in_shares_and_takes_signals():
    encoder = seeded(KernelEncoder, (2, 20), 3, n_kernels=12, hidden_units=8)
    encoder.adapt(draw(30, 2, 20))
    features = encoder.eval()(draw(4, 2, 20))

    assert isinstance(encoder, LinearEncoder)
    assert takes_signals(KernelEncoder)
    check_features(features, 4, "kernels")
    assert features.conv.shape == (4, 12, 1)
    assert features.hidden.shape == (4, 8)


def test_no_training_response_is_at_a_threshold():
    x = draw(20, 2, 64)
    stem = make((2, 64), 200, x)
    for k in range(len(stem.dilations)):
        responses = stem.respond(x, k)
        gaps = (responses - stem.threshold[k][:, None]).abs().amin(dim=(0, 2))
        assert (gaps > 1e-6).float().mean() > 0.95


def test_thresholds_are_half_way_to_the_next_value():
    values = torch.tensor([[0.0, 3.0, 1.0, 1.0], [2.0, -1.0, 2.0, 0.0]])
    found = above(values, torch.tensor([[1.0], [2.0]]))
    assert found[0] == 2.0
    assert found[1] > 2.0
