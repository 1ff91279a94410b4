"""Which looks are compared, and that views can be kept."""

import pickle

import pytest

from skdim.views import VIEWS, Augment, Identity, find_pairs
from tests.views.helpers import images, seeded


def test_identity_looks_once_at_the_samples_themselves():
    x = images()
    (look,) = Identity()(x, seeded())

    assert look is x
    assert find_pairs(Identity(), 1) == ((0, 0),)


def test_augmented_looks_are_compared_both_ways_round():
    assert find_pairs(Augment(), 2) == ((0, 1), (1, 0))


@pytest.mark.parametrize(
    ("n_looks", "pairs"),
    [
        (1, {(0, 0)}),
        (2, {(0, 1), (1, 0)}),
        (3, {(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)}),
    ],
)
def test_looks_of_a_plain_callable_meet_all_others(n_looks, pairs):
    found = find_pairs(lambda x, generator: (x,) * n_looks, n_looks)

    assert set(found) == pairs
    assert len(found) == len(pairs)


def test_a_callable_may_say_which_looks_meet():
    def view(x, generator):
        return x, x, x

    view.pairs = ((0, 2),)

    assert find_pairs(view, 3) == ((0, 2),)


@pytest.mark.parametrize("view", [Identity(), Augment(flip=True), *VIEWS.values()], ids=repr)
def test_views_survive_pickling(view):
    assert pickle.loads(pickle.dumps(view)) == view
