"""What is hidden of an image, where, how much, and by what."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skdim.views import Augment, Occlude, find_pairs
from tests.views.helpers import batches, images, occlusions, patient, seeded

MARK = -1.0  # No pixel of the test images has this value.


def rectangles(x, look):
    """Find what is hidden of each image: ``(top, left, height, width)``, a full rectangle."""
    found = []
    for image, seen in zip(x, look, strict=True):
        hidden = seen == MARK
        assert torch.equal(seen[~hidden], image[~hidden])
        rows, columns = (hidden.any(0).any(axis).nonzero().flatten() for axis in (1, 0))
        top, left = rows[0].item(), columns[0].item()
        height, width = len(rows), len(columns)
        assert hidden[:, top : top + height, left : left + width].all()
        assert hidden.sum() == len(image) * height * width
        found.append((top, left, height, width))
    return found


@patient
@given(st.data(), batches())
def test_a_rectangle_of_the_asked_for_size_is_hidden_in_all_channels(data, x):
    view = data.draw(occlusions(fill=MARK).filter(lambda view: view.largest > 0))
    look, whole = view(x, seeded(data.draw(st.integers(0, 1000))))
    rounding = 0.5 + 1e-5

    assert whole is x
    for _, _, *lengths in rectangles(x, look):
        shares = [view.smallest, view.largest]
        for length, side in zip(lengths, x.shape[2:], strict=True):
            low, high = (max(1, share * side) for share in (view.smallest, view.largest))
            assert low - rounding <= length <= high + rounding
            if length > 1:  # The share that was drawn is one for both sides.
                shares = [
                    max(shares[0], (length - rounding) / side),
                    min(shares[1], (length + rounding) / side),
                ]
        assert shares[0] <= shares[1] + 1e-5


@pytest.mark.parametrize(
    ("share", "height", "width", "size"),
    [(0.5, 8, 6, (4, 3)), (0.25, 8, 8, (2, 2)), (0.3, 10, 20, (3, 6)), (0.1, 4, 4, (1, 1)),
     (0.5, 1, 10, (1, 5)), (1.0, 5, 7, (5, 7))],
)  # fmt: skip
def test_a_single_share_hides_just_so_many_pixels(share, height, width, size):
    x = images(20, 2, height, width)
    look, _ = Occlude(smallest=share, largest=share, fill=MARK)(x, seeded())

    assert {rectangle[2:] for rectangle in rectangles(x, look)} == {size}


def test_all_sizes_between_the_shares_are_drawn():
    x = images(2000, 1, 32, 32)
    look, _ = Occlude(fill=MARK)(x, seeded())
    sizes = Counter(height for _, _, height, _ in rectangles(x, look))

    assert set(sizes) == set(range(8, 17))
    # Half as often at the ends, to which one side only is rounded.
    assert all(200 < sizes[size] < 300 for size in range(9, 16))
    assert all(80 < sizes[size] < 170 for size in (8, 16))


def test_all_places_are_as_likely():
    x = images(1500, 1, 4, 6)
    look, _ = Occlude(smallest=0.5, largest=0.5, fill=MARK)(x, seeded())
    places = Counter(rectangle[:2] for rectangle in rectangles(x, look))

    assert set(places) == {(top, left) for top in range(3) for left in range(4)}
    assert all(80 < count < 170 for count in places.values())


def test_what_is_hidden_is_filled_with_the_mean_of_the_image_in_each_channel():
    x = images(30, 3, 8, 8)
    look, _ = Occlude()(x, seeded())
    marked, _ = Occlude(fill=MARK)(x, seeded())
    mean = x.mean((2, 3), keepdim=True).expand_as(x)
    hidden = marked == MARK

    torch.testing.assert_close(look[hidden], mean[hidden])
    assert torch.equal(look[~hidden], x[~hidden])


@patient
@given(batches(), st.integers(0, 1000))
def test_values_stay_among_those_of_the_image(x, seed):
    look, _ = Occlude()(x, seeded(seed))
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    rounding = 1e-5 * high

    assert (look >= low - rounding).all()
    assert (look <= high + rounding).all()


def test_size_zero_is_the_identity():
    x = images()

    assert all(torch.equal(look, x) for look in Occlude(0.0, 0.0)(x, seeded()))


def test_the_code_is_of_the_hidden_look_and_local_features_of_the_whole_one():
    assert find_pairs(Occlude(), 2) == ((0, 1),)
    assert find_pairs(Occlude(before=Augment()), 2) == ((0, 1),)


def test_with_augmentation_one_look_has_a_part_hidden_and_the_other_is_whole():
    x = images(20, 3, 8, 8)
    hidden, whole = Occlude(fill=MARK, before=Augment.amdim())(x, seeded())
    first, second = Augment.amdim()(x, seeded())

    assert torch.equal(whole, second)
    assert len(rectangles(first, hidden)) == 20
