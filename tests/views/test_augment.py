"""What augmentation moves and lights, against slow loops."""

from collections import Counter

import numpy as np
import pytest
import torch

from skdim.views import VIEWS, Augment
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
