"""What augmentation does to colours, against slower ways, and how often it does anything."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from skdim.views import Augment
from skdim.views.base import grey_of, turned
from tests.views.helpers import (
    PLAIN,
    assert_spread_over,
    augments,
    batches,
    images,
    patient,
    seeded,
)

any_seed = st.integers(0, 2**31)
COLOURS = {"saturation": 0.4, "hue": 0.2, "grey": 0.5}


def coloured(n=6, height=5, width=7):
    return images(n, 3, height, width)


def only(**strengths):
    return Augment(**PLAIN | strengths)


def changed_share(x, look):
    return (look != x).flatten(1).any(1).float().mean().item()


# ---------------------------------------------------------------------------------------------
# Nothing


@patient
@given(augments(**PLAIN, saturation=0.0, hue=0.0, grey=0.0, flip=False), batches(), any_seed)
def test_strength_zero_is_the_identity_whatever_the_chances(view, x, seed):
    for look in view(x, seeded(seed)):
        assert torch.equal(look, x)


@patient
@given(
    augments(shift=0.5, shift_chance=0.0, jitter_chance=0.0, grey=0.0, flip=False, crop=1.0),
    batches(),
)
def test_chance_zero_is_the_identity_whatever_the_strengths(view, x):
    for look in view(x, seeded()):
        assert torch.equal(look, x)


@patient
@given(augments(**PLAIN, flip=False), batches(channels=[1]), any_seed)
def test_colours_of_images_of_one_channel_stay(view, x, seed):
    for look in view(x, seeded(seed)):
        assert torch.equal(look, x)


@patient
@given(augments(**PLAIN, flip=False), batches(channels=[1]), any_seed)
def test_grey_images_in_three_channels_stay_but_for_rounding(view, x, seed):
    x = x.expand(-1, 3, -1, -1)

    for look in view(x, seeded(seed)):
        torch.testing.assert_close(look, x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_other_numbers_of_channels_are_refused_where_colours_change(channels):
    x = images(channels=channels)

    for strength in COLOURS:
        with pytest.raises(ValueError, match=rf"of 3 channels .* have {channels}\. Set them to 0"):
            only(**{strength: 0.1})(x, seeded())
    assert len(Augment()(x, seeded())) == 2


# ---------------------------------------------------------------------------------------------
# Saturation and grey


def test_saturation_multiplies_distances_from_grey_by_a_factor_of_each_image():
    x = coloured(400)
    look, _ = only(saturation=0.4)(x, seeded())
    from_grey = x - grey_of(x)
    slopes = ((look - grey_of(x)) * from_grey).sum((1, 2, 3)) / from_grey.square().sum((1, 2, 3))

    torch.testing.assert_close(look, grey_of(x) + slopes[:, None, None, None] * from_grey)
    torch.testing.assert_close(grey_of(look), grey_of(x))
    assert_spread_over(slopes, 0.4)


def test_grey_is_what_pillow_calls_it():
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    expected = np.asarray(image.fromarray(pixels).convert("L"), dtype=np.float32)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    look, _ = only(grey=1.0)(x, seeded())

    assert torch.equal(look[:, 0], look[:, 1])
    assert torch.equal(look[:, 0], look[:, 2])
    assert np.abs(look[0, 0].numpy() - expected).max() <= 1


def test_looks_are_grey_as_often_as_asked_for_and_else_untouched():
    x = coloured(1000)
    first, second = only(grey=0.25)(x, seeded())
    is_grey = [(look == grey_of(x)).flatten(1).all(1) for look in (first, second)]

    assert torch.equal(first[~is_grey[0]], x[~is_grey[0]])
    for drawn in is_grey:
        assert 0.2 < drawn.float().mean() < 0.3
    assert 0.03 < (is_grey[0] & is_grey[1]).float().mean() < 0.1  # Each look by itself.


# ---------------------------------------------------------------------------------------------
# Hue


@pytest.mark.parametrize(("turn", "order"), [(0, [0, 1, 2]), (1, [2, 0, 1]), (2, [1, 2, 0])])
def test_thirds_of_a_turn_change_the_colours_round(turn, order):
    x = coloured()

    torch.testing.assert_close(turned(x, torch.full((6, 1, 1, 1), turn / 3)), x[:, order])


@patient
@given(st.floats(-0.5, 0.5), st.integers(0, 1000))
def test_turns_are_rotations_about_the_axis_of_greys(turn, seed):
    x = torch.rand(1, 3, 4, 5, generator=seeded(seed), dtype=torch.float64)
    rotation = Rotation.from_rotvec(2 * np.pi * turn * np.ones(3) / np.sqrt(3))
    expected = rotation.apply(x[0].flatten(1).T.numpy())
    look = turned(x, torch.full((1, 1, 1, 1), turn, dtype=torch.float64))

    np.testing.assert_allclose(look[0].flatten(1).T, expected, atol=1e-12)


def test_hue_turns_each_image_by_its_own_angle_as_far_as_asked_for():
    x = coloured(400).double()
    look, _ = only(hue=0.2)(x, seeded())
    # On the plane of equal sums, red, green and blue stand a third of a turn apart.
    corners = torch.exp(2j * torch.pi * torch.arange(3, dtype=torch.float64) / 3)
    before, after = (torch.einsum("ncij,c->nij", y.cdouble(), corners) for y in (x, look))
    ratio = after / before

    torch.testing.assert_close(look.sum(1), x.sum(1))
    torch.testing.assert_close(ratio.abs(), torch.ones_like(x[:, 0]))
    torch.testing.assert_close(ratio, ratio[:, :1, :1].expand_as(ratio))
    assert_spread_over(1 + ratio[:, 0, 0].angle() / (2 * torch.pi), 0.2)


# ---------------------------------------------------------------------------------------------
# How often, and all together


def test_shifts_and_jitter_are_left_out_as_often_as_asked_for():
    x = coloured(1000, 9, 9)
    shift = only(shift=0.5, shift_chance=0.6)
    jitter = only(brightness=0.4, saturation=0.4, hue=0.2, jitter_chance=0.6)

    # One of 81 shifts is none.
    assert changed_share(x, shift(x, seeded())[0]) == pytest.approx(0.6 * 80 / 81, abs=0.05)
    for look in jitter(x, seeded()):
        assert changed_share(x, look) == pytest.approx(0.6, abs=0.05)


def test_what_is_jittered_is_jittered_in_all_ways():
    x = coloured(300)
    look, _ = only(brightness=0.4, saturation=0.4, jitter_chance=0.5)(x, seeded())
    jittered = (look != x).flatten(1).any(1)
    brightness = (grey_of(look) / grey_of(x)).mean((1, 2, 3))[jittered]
    from_grey, was = ((y - grey_of(y)).square().sum((1, 2, 3)).sqrt() for y in (look, x))
    saturation = (from_grey / was)[jittered] / brightness

    for factor in (brightness, saturation):
        assert ((factor - 1).abs() > 1e-3).float().mean() > 0.95
        assert 0.59 < factor.min() < 0.7 < 1.3 < factor.max() < 1.41


def test_same_flip_mirrors_both_looks_or_none():
    x = coloured(200)
    first, second = only(flip=True, same_flip=True)(x, seeded())
    mirrored = (first != x).flatten(1).any(1)

    assert torch.equal(first, second)
    assert torch.equal(first[mirrored], x[mirrored].flip(3))
    assert 70 < mirrored.sum() < 130


def test_amdim_has_the_strengths_of_its_code():
    assert Augment.amdim() == Augment(
        shift=4 / 32, shift_chance=0.8, flip=True, same_flip=True, jitter_chance=0.8,
        brightness=0.4, contrast=0.4, saturation=0.4, hue=0.2, grey=0.25,
    )  # fmt: skip


def test_amdim_does_it_all():
    x = coloured(1000, 8, 8)
    look, _ = Augment.amdim()(x, seeded())
    is_grey = torch.isclose(look, grey_of(look)).flatten(1).all(1)
    # Left alone: no mirroring, no shift that is seen (of 9, one is none), no jitter, no grey.
    alone = 0.5 * (0.2 + 0.8 / 9) * 0.2 * 0.75

    assert is_grey.float().mean() == pytest.approx(0.25, abs=0.05)
    assert changed_share(x, look) == pytest.approx(1 - alone, abs=0.02)


def test_the_default_draws_shifts_contrast_and_brightness_and_nothing_else():
    """Its looks are those that the figures of the benchmarks were taken with."""
    x, ours, redrawn = coloured(5, 16, 16), seeded(), seeded()

    for look in Augment()(x, ours):
        down, right = (torch.randint(-1, 2, (5, 1), generator=redrawn) for _ in range(2))
        contrast, brightness = (
            0.8 + 0.4 * torch.rand((5, 1, 1, 1), generator=redrawn) for _ in range(2)
        )
        padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")
        moved = torch.stack([
            image[:, 1 + i : 17 + i, 1 + j : 17 + j]
            for image, i, j in zip(padded, down.flatten(), right.flatten(), strict=True)
        ])  # fmt: skip
        mean = moved.mean((1, 2, 3), keepdim=True)
        torch.testing.assert_close(look, brightness * (mean + contrast * (moved - mean)))
    assert torch.equal(ours.get_state(), redrawn.get_state())
