"""What augmentation moves and lights, against slow loops."""

from collections import Counter

import numpy as np
import pytest
import torch

from skdim.views import VIEWS, Augment, find_pairs
from tests.views.helpers import PLAIN, assert_spread_over, images, seeded, slopes_of


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sample", [(1, 8, 8), (3, 5, 9), (4, 1, 6), (1, 1, 1)])
def test_looks_are_two_with_the_shape_and_type_of_the_samples(sample, dtype):
    x = torch.rand(4, *sample, generator=seeded(), dtype=dtype)
    looks = Augment(flip=True)(x, seeded())

    assert [look.shape for look in looks] == [x.shape] * 2
    assert [look.dtype for look in looks] == [dtype] * 2


def test_looks_differ_from_each_other_and_from_image_to_image():
    x = images(1).expand(6, -1, -1, -1)
    first, second = Augment()(x, seeded())

    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_samples_stay_as_they_were():
    x = images()
    before = x.clone()
    Augment(flip=True)(x, seeded())

    assert torch.equal(x, before)


@pytest.mark.usefixtures("global_random_state_untouched")
def test_draws_come_from_the_generator_alone():
    once, again, other = (torch.cat(Augment(flip=True)(images(), seeded(s))) for s in (3, 3, 4))

    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_draws_move_the_generator_on():
    generator = seeded()

    assert not torch.equal(Augment()(images(), generator)[0], Augment()(images(), generator)[0])


def test_strength_zero_is_the_identity():
    x = images()

    for look in Augment(**PLAIN)(x, seeded()):
        assert torch.equal(look, x)


# ---------------------------------------------------------------------------------------------
# Shift


def offsets_found(image, look, most):
    """Search all crops of the image, padded by NumPy's reflection, for those that the look is."""
    height, width = image.shape[1:]
    by_rows, by_columns = (min(m, side - 1) for m, side in zip(most, (height, width), strict=True))
    padded = np.pad(
        image.numpy(), ((0, 0), (by_rows, by_rows), (by_columns, by_columns)), mode="reflect"
    )
    found = []
    for down in range(-by_rows, by_rows + 1):
        for right in range(-by_columns, by_columns + 1):
            top, left = by_rows + down, by_columns + right
            if np.array_equal(padded[:, top : top + height, left : left + width], look):
                found.append((down, right))
    return found


@pytest.mark.parametrize(
    ("shift", "height", "width", "most"),
    [
        (0.125, 8, 8, (1, 1)),
        (0.01, 8, 8, (1, 1)),  # At least one pixel.
        (0.25, 9, 16, (2, 4)),
        (0.5, 4, 6, (2, 3)),
        (0.6, 4, 5, (2, 3)),
        (0.3, 1, 5, (0, 2)),
    ],
)
def test_shift_equals_a_crop_of_the_reflected_image(shift, height, width, most):
    x = images(300, 2, height, width)
    looks = Augment(**PLAIN | {"shift": shift})(x, seeded())
    offsets = Counter()
    for look in looks:
        for image, seen in zip(x, look, strict=True):
            found = offsets_found(image, seen, most)
            assert len(found) == 1  # All channels move as one.
            offsets.update(found)

    # Every offset up to the largest is drawn, none far more often than others.
    share = 600 / len(offsets)
    assert len(offsets) == (2 * most[0] + 1) * (2 * most[1] + 1)
    assert max(offsets.values()) < share + 6 * share**0.5


def test_shift_by_a_whole_side_goes_as_far_as_a_reflection_reaches():
    x = images(50, 2, 3, 4)

    for image, look in zip(x, Augment(**PLAIN | {"shift": 1.0})(x, seeded())[0], strict=True):
        assert offsets_found(image, look, (2, 3))


# ---------------------------------------------------------------------------------------------
# Flip


def test_flip_mirrors_about_half_of_the_looks_left_to_right():
    x = images(200)
    mirrored = 0
    for look in Augment(**PLAIN, flip=True)(x, seeded()):
        for image, seen in zip(x, look, strict=True):
            is_mirrored = torch.equal(seen, image.flip(-1))
            assert is_mirrored or torch.equal(seen, image)
            mirrored += is_mirrored

    assert 150 < mirrored < 250


def test_nothing_is_mirrored_unless_asked_for():
    x = images(100)
    looks = Augment(**PLAIN)(x, seeded())

    assert all(torch.equal(look, x) for look in looks)
    assert Augment().flip is False
    assert VIEWS["augment"].flip is False


# ---------------------------------------------------------------------------------------------
# Light


def test_brightness_multiplies_each_image_by_its_own_factor():
    x = images(400)
    look, _ = Augment(**PLAIN | {"brightness": 0.3})(x, seeded())
    slopes = slopes_of(x, look)

    torch.testing.assert_close(look, slopes.float()[:, None, None, None] * x)
    assert_spread_over(slopes, 0.3)


def test_contrast_leaves_the_mean_of_each_image():
    x = images(400)
    look, _ = Augment(**PLAIN | {"contrast": 0.6})(x, seeded())

    torch.testing.assert_close(look.mean((1, 2, 3)), x.mean((1, 2, 3)))
    assert_spread_over(slopes_of(x, look), 0.6)


def test_contrast_and_brightness_are_drawn_apart():
    x = images(200)
    look, _ = Augment(**PLAIN | {"contrast": 0.5, "brightness": 0.5})(x, seeded())
    brightness = look.mean((1, 2, 3)) / x.mean((1, 2, 3))
    contrast = slopes_of(x, look) / brightness

    assert abs(np.corrcoef(brightness, contrast)[0, 1]) < 0.3


# ---------------------------------------------------------------------------------------------
# Crop


def boxes_found(size=33, n=300, crop=0.7):
    """Read off which part of an image each look shows, from a ramp in each direction.

    Returns
    -------
    tuple of four Tensors of shape (n,)
        First and last row, then first and last column, in pixels.
    """
    ramp = torch.arange(float(size))
    image = torch.stack(torch.meshgrid(ramp, ramp, indexing="ij"))
    look, _ = Augment(**PLAIN | {"crop": crop})(image.expand(n, -1, -1, -1), seeded())
    # Pixels of a crop are where their centres are, between its edges.
    rows, columns = look[:, 0, :, size // 2], look[:, 1, size // 2]
    return rows[:, 0], rows[:, -1], columns[:, 0], columns[:, -1]


def test_a_crop_shows_a_share_of_the_area_in_the_image():
    size, n, least = 33, 300, 0.7
    top, bottom, left, right = boxes_found(size, n, least)
    # From centre to centre of the outermost pixels there are size - 1 of size steps.
    height, width = (bottom - top) / (size - 1), (right - left) / (size - 1)
    area = height * width

    for first, last in ((top, bottom), (left, right)):
        assert (first >= -1e-3).all()
        assert (last <= size - 1 + 1e-3).all()
    assert (height <= 1 + 1e-4).all()
    assert (width <= 1 + 1e-4).all()
    assert (area > least * 0.85).all()
    assert area.min() < least + 0.1
    assert area.max() > 0.95
    ratio = width / height
    assert (ratio >= np.exp(-0.3) - 1e-3).all()
    assert (ratio <= np.exp(0.3) + 1e-3).all()
    # Each image has a place and proportions of its own.
    assert len(area.round(decimals=5).unique()) > n / 2


def test_a_crop_lies_anywhere():
    top, bottom, left, right = boxes_found(crop=0.3)

    for first, last in ((top, bottom), (left, right)):
        place = (first / (first + 32 - last))[(last - first) < 31]
        assert place.min() < 0.1
        assert place.max() > 0.9
        assert place.mean().item() == pytest.approx(0.5, abs=0.08)


def test_a_crop_equals_bilinear_interpolation_of_the_part_that_it_shows():
    x = images(20, 2, 9, 11)
    look, _ = Augment(**PLAIN | {"crop": 0.5})(x, seeded())
    ramps = torch.stack(
        torch.meshgrid(torch.arange(9.0), torch.arange(11.0), indexing="ij")
    ).expand(20, -1, -1, -1)
    # The same generator cuts the same parts; where each pixel comes from is read off the ramps.
    where, _ = Augment(**PLAIN | {"crop": 0.5})(ramps, seeded())
    for image, seen, (rows, columns) in zip(x, look, where, strict=True):
        inside = (rows > 0) & (rows < 8) & (columns > 0) & (columns < 10)
        i, j = rows.floor().long().clamp(0, 7), columns.floor().long().clamp(0, 9)
        down, across = rows - i, columns - j
        expected = (
            (1 - down) * (1 - across) * image[:, i, j]
            + (1 - down) * across * image[:, i, j + 1]
            + down * (1 - across) * image[:, i + 1, j]
            + down * across * image[:, i + 1, j + 1]
        )
        torch.testing.assert_close(seen[:, inside], expected[:, inside], atol=1e-4, rtol=1e-4)


def test_a_crop_of_the_whole_area_is_the_identity():
    x = images()

    for look in Augment(**PLAIN)(x, seeded()):
        assert torch.equal(look, x)


def test_a_crop_leaves_a_constant_image():
    x = torch.full((5, 3, 6, 7), 0.7)

    for look in Augment(**PLAIN | {"crop": 0.2})(x, seeded()):
        torch.testing.assert_close(look, x)


@pytest.mark.parametrize("colours", [False, True])
def test_crops_are_gently_lit_and_never_mirrored_with_three_looks_at_colours(colours):
    view = Augment.crops(colours=colours)

    assert view == Augment(
        shift=0.0,
        crop=0.7,
        brightness=0.2,
        contrast=0.2,
        flip=False,
        saturation=0.2 if colours else 0.0,
        grey=0.2 if colours else 0.0,
        jitter_chance=0.8,
        n_looks=3 if colours else 2,
        pairs=None,
    )
    channels = 3 if colours else 2
    looks = view(images(channels=channels), seeded())
    assert [look.shape for look in looks] == [(6, channels, 5, 7)] * view.n_looks


# ---------------------------------------------------------------------------------------------
# Number of looks


@pytest.mark.parametrize("n_looks", [1, 2, 3, 5])
def test_there_are_as_many_looks_as_asked_for_and_all_differ(n_looks):
    x = images()
    looks = Augment(n_looks=n_looks)(x, seeded())

    assert len(looks) == n_looks
    assert not any(torch.equal(look, x) for look in looks)
    assert not any(torch.equal(looks[i], looks[j]) for i in range(n_looks) for j in range(i))


def test_fewer_looks_are_the_first_of_more():
    some, more = (Augment(n_looks=n)(images(), seeded()) for n in (2, 4))

    assert all(torch.equal(one, other) for one, other in zip(some, more[:2], strict=True))


@pytest.mark.parametrize("n_looks", [0, -1])
def test_less_than_one_look_is_refused(n_looks):
    with pytest.raises(ValueError, match=rf"n_looks={n_looks}\).*at least 1"):
        Augment(n_looks=n_looks)


@pytest.mark.parametrize("n_looks", [2, 3, 4])
def test_each_look_is_compared_with_all_others_unless_pairs_are_given(n_looks):
    found = find_pairs(Augment(n_looks=n_looks), n_looks)

    assert sorted(found) == [(i, j) for i in range(n_looks) for j in range(n_looks) if i != j]
    assert find_pairs(Augment(n_looks=n_looks, pairs=((1, 0),)), n_looks) == ((1, 0),)


def test_a_single_look_is_compared_with_itself():
    assert find_pairs(Augment(n_looks=1), 1) == ((0, 0),)


def test_all_looks_at_an_image_are_mirrored_alike_where_asked_for():
    x = images(100)
    looks = Augment(**PLAIN, flip=True, same_flip=True, n_looks=3)(x, seeded())

    assert not torch.equal(looks[0], x)
    assert all(torch.equal(look, looks[0]) for look in looks)
