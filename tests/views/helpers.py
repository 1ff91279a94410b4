"""What the tests of views share: seeded generators, images, and what light did to them."""

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st

from skdim.views import Augment, Occlude
from tests.conftest import global_random_states
from tests.training.test_waits import Waits

patient = settings(deadline=None)  # The machine may be busy.

PLAIN = {"shift": 0.0, "brightness": 0.0, "contrast": 0.0, "crop": 1.0}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=6, channels=2, height=5, width=7, seed=1):
    return torch.rand(n, channels, height, width, generator=seeded(seed)) + 0.5


def signals(n=6, channels=2, length=11, seed=1):
    return torch.randn(n, channels, length, generator=seeded(seed))


def assert_two_looks_at_signals(view, x, seed):
    """Looks are two, like the signals, repeat with the seed, and leave all else as it is."""
    before, states = x.clone(), global_random_states()
    looks = view(x, seeded(seed))

    assert [look.shape for look in looks] == [x.shape] * 2
    assert [look.dtype for look in looks] == [x.dtype] * 2
    assert all(look.isfinite().all() for look in looks)
    assert all(torch.equal(a, b) for a, b in zip(looks, view(x, seeded(seed)), strict=True))
    assert torch.equal(x, before)
    assert global_random_states() == states


def assert_nothing_is_read_back_or_sent(view, x, monkeypatch):
    generator, waits = seeded(), Waits(monkeypatch)
    for name in ("tensor", "as_tensor", "from_numpy"):
        monkeypatch.setattr(torch, name, waits.counting(name, getattr(torch, name)))
    view(x, generator)

    assert not waits.now


def assert_the_device_is_not_waited_for(view, x):
    x, generator = x.cuda(), torch.Generator(device="cuda").manual_seed(0)
    view(x, generator)
    torch.cuda.set_sync_debug_mode("error")
    try:
        looks = view(x, generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert {look.device for look in looks} == {x.device}


def slopes_of(x, look):
    """Fit ``look = slope * x + constant`` for each image, and give the slopes."""
    x, look = x.flatten(1).double(), look.flatten(1).double()
    x_centred, look_centred = x - x.mean(1, keepdim=True), look - look.mean(1, keepdim=True)
    slope = (x_centred * look_centred).sum(1) / x_centred.square().sum(1)
    torch.testing.assert_close(look_centred, slope[:, None] * x_centred, atol=1e-5, rtol=0)
    return slope


def assert_spread_over(slopes, strength):
    """About uniform on ``[1 - strength, 1 + strength]``, one an image."""
    assert 1 - strength - 1e-5 <= slopes.min() < 1 - 0.9 * strength
    assert 1 + 0.9 * strength < slopes.max() <= 1 + strength + 1e-5
    assert slopes.mean() == pytest.approx(1, abs=4 * strength / (3 * len(slopes)) ** 0.5)


# ---------------------------------------------------------------------------------------------
# Any view of any images

shares = st.floats(0, 1)
sides = st.integers(1, 9)


def augments(**given):
    """Draw strengths of all kinds; what is given stays."""
    drawn = {
        **dict.fromkeys(("shift", "brightness", "contrast", "saturation", "grey"), shares),
        **dict.fromkeys(("shift_chance", "jitter_chance", "crop"), shares | st.just(1.0)),
        **dict.fromkeys(("flip", "same_flip"), st.booleans()),
        "hue": st.floats(0, 0.5),
    }
    return st.builds(Augment, **drawn | {name: st.just(value) for name, value in given.items()})


@st.composite
def occlusions(draw, **given):
    smallest, largest = sorted((draw(shares), draw(shares)))
    return Occlude(**{"smallest": smallest, "largest": largest} | given)


@st.composite
def batches(draw, channels=(1, 3)):
    """Draw batches of any sides, of one image too, grey or in colours, in either precision."""
    shape = (draw(st.integers(1, 5)), draw(st.sampled_from(channels)), draw(sides), draw(sides))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    scale = draw(st.sampled_from([1.0, 16.0, 255.0]))
    seed = draw(st.integers(0, 1000))
    return scale * torch.rand(shape, generator=seeded(seed), dtype=dtype)
