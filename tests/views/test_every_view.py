"""What all views promise, for any strengths and any images."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skdim.views import VIEWS, Augment, Occlude, Stretch
from tests.conftest import global_random_states
from tests.views.helpers import (
    assert_nothing_is_read_back_or_sent,
    assert_the_device_is_not_waited_for,
    augments,
    batches,
    images,
    occlusions,
    patient,
    seeded,
)

OF_IMAGES = {name: view for name, view in VIEWS.items() if not isinstance(view, Stretch)}
STRONG = {
    **OF_IMAGES,
    "amdim": Augment.amdim(),
    "crops": Augment.crops(colours=True),
    "crops of grey images": Augment.crops(colours=False),
    "each flip by itself": Augment(flip=True, shift_chance=0.5, jitter_chance=0.5),
    "a fill": Occlude(fill=0.0),
    "both": Occlude(before=Augment.amdim()),
}
every_view = pytest.mark.parametrize("view", STRONG.values(), ids=STRONG)
any_view = augments() | occlusions() | st.builds(Occlude, before=augments())
any_seed = st.integers(0, 2**31)


@patient
@given(any_view, batches(), any_seed)
def test_looks_are_two_with_the_shape_and_type_of_the_samples_which_stay(view, x, seed):
    before = x.clone()
    looks = view(x, seeded(seed))

    assert [look.shape for look in looks] == [x.shape] * 2
    assert [look.dtype for look in looks] == [x.dtype] * 2
    assert all(look.isfinite().all() for look in looks)
    assert torch.equal(x, before)


@patient
@given(any_view, batches(), any_seed)
def test_draws_come_from_the_generator_alone(view, x, seed):
    before = global_random_states()
    once, again = (torch.cat(view(x, seeded(seed))) for _ in range(2))

    assert torch.equal(once, again)
    assert global_random_states() == before


@every_view
def test_draws_move_the_generator_on(view):
    x, generator = images(channels=3, height=8, width=8), seeded()
    one, other = view(x, generator)[0], view(x, generator)[0]

    assert not torch.equal(one, other)


@every_view
def test_each_image_has_draws_of_its_own(view):
    x = images(1, 3, 12, 12).expand(40, -1, -1, -1)
    looks = view(x, seeded())[0]

    # An image and its mirror image are two.
    assert len(looks.flatten(1).unique(dim=0)) > (1 if view is VIEWS["mirror"] else 20)


@every_view
def test_a_half_keeps_its_type(view):
    x = images(channels=3).half()

    assert {look.dtype for look in view(x, seeded())} == {torch.float16}


@every_view
@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_is_read_back_from_the_device_or_sent_to_it(view, channels, monkeypatch):
    assert_nothing_is_read_back_or_sent(view, images(channels=channels), monkeypatch)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_view
def test_the_device_is_not_waited_for(view):
    assert_the_device_is_not_waited_for(view, images(channels=3))


@pytest.mark.parametrize("view", [Augment(), Occlude()], ids=repr)
@pytest.mark.parametrize("shape", [(4, 6), (4, 2, 9)])
def test_samples_that_are_no_images_are_refused(view, shape):
    with pytest.raises(ValueError, match=r"is a view of images, .* Give image_shape, or use view="):
        view(torch.rand(shape, generator=seeded()), seeded())


NO_SHARE = [-0.1, 1.1, float("nan"), float("inf"), "x", None, True, [0.5]]


@pytest.mark.parametrize("value", NO_SHARE)
@pytest.mark.parametrize(
    "name",
    [
        *("shift", "brightness", "contrast", "saturation", "hue", "grey"),
        *("shift_chance", "jitter_chance", "crop"),
    ],
)
def test_strengths_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"Augment\({name}=.*\): {name} must be a number from 0"):
        Augment(**{name: value})


def test_a_turn_beyond_half_the_circle_is_refused():
    with pytest.raises(ValueError, match=r"hue must be a number from 0 to 0\.5"):
        Augment(hue=0.6)


@pytest.mark.parametrize("value", NO_SHARE)
@pytest.mark.parametrize("name", ["smallest", "largest"])
def test_sizes_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"Occlude\({name}=.*\): {name} must be a number from 0"):
        Occlude(**{name: value})


def test_sizes_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="smallest must not be above largest"):
        Occlude(smallest=0.6, largest=0.3)


@pytest.mark.parametrize("fill", ["mean", float("nan"), float("inf"), True, [0.0]])
def test_a_fill_that_is_no_value_is_refused(fill):
    with pytest.raises(ValueError, match="fill must be a finite pixel value, or None"):
        Occlude(fill=fill)


def test_a_view_before_that_is_none_is_refused():
    with pytest.raises(TypeError, match=r"before must be a callable .* such as .*Augment"):
        Occlude(before="augment")


def test_half_of_the_looks_are_mirrored():
    x = torch.arange(400 * 2 * 3.0).reshape(400, 1, 2, 3)
    (once,) = VIEWS["mirror"](x, torch.Generator().manual_seed(0))
    (again,) = VIEWS["mirror"](x, torch.Generator().manual_seed(0))
    turned = (once == x.flip(-1)).flatten(1).all(1)
    kept = (once == x).flatten(1).all(1)

    assert torch.equal(once, again)
    assert (turned ^ kept).all()
    assert 160 < turned.sum() < 240
