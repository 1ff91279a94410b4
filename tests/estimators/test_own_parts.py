"""Bounds and schedules of the user's own."""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import skdim
from skdim import DeepInfoMaxTransformer
from skdim.bounds import BOUNDS, Bound
from skdim.views import Mirror

VECTORS = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)


def halved(progress):
    """Train at half of the learning rate from the middle on."""
    return 1.0 if progress < 0.5 else 0.5


def twice_jsd(positive, negative):
    gain, cost = BOUNDS["jsd"].anchors(positive, negative)
    return 2 * gain, 2 * cost


TWICE = Bound(twice_jsd, lambda gain, cost: gain.mean() - cost.mean())


def make(**settings):
    settings = {"max_epochs": 2, "batch_size": 10, "device": "cpu", "random_state": 0} | settings
    return DeepInfoMaxTransformer(3, **settings)


def test_an_own_bound_trains_and_scores():
    found, expected = (make(bound=bound).fit(VECTORS) for bound in (TWICE, "jsd"))

    assert found.history_["loss"][0] == pytest.approx(2 * expected.history_["loss"][0], rel=0.05)
    # Adam does not depend on the scale of a loss.
    np.testing.assert_allclose(
        found.transform(VECTORS), expected.transform(VECTORS), rtol=1e-2, atol=1e-2
    )
    assert found.score(VECTORS) == pytest.approx(2 * expected.score(VECTORS), rel=0.05)


def test_a_bound_of_the_table_given_as_an_object_is_that_of_its_name(tmp_path):
    model, named = (make(bound=bound).fit(VECTORS) for bound in (BOUNDS["kl"], "kl"))
    np.testing.assert_array_equal(model.transform(VECTORS), named.transform(VECTORS))
    model.save(tmp_path / "model")
    loaded = skdim.load(tmp_path / "model")

    assert loaded.bound == BOUNDS["kl"]
    np.testing.assert_array_equal(loaded.transform(VECTORS), model.transform(VECTORS))


def test_an_own_schedule_sets_the_learning_rate_of_each_step():
    model = make(schedule=halved, max_epochs=4, learning_rate=1e-3).fit(VECTORS)

    assert model.history_["learning_rate"] == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4])


def test_own_parts_are_cloned_pickled_searched_and_given_again_on_loading(tmp_path):
    model = make(bound=TWICE, schedule=halved).fit(VECTORS)
    codes = model.transform(VECTORS)

    assert clone(model).bound == TWICE
    again = pickle.loads(pickle.dumps(make(schedule=halved).fit(VECTORS)))
    assert again.schedule is halved
    search = GridSearchCV(make(), {"bound": ["jsd", TWICE], "schedule": ["constant", halved]}, cv=2)
    assert len(search.fit(VECTORS).cv_results_["params"]) == 4
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="bound"):
        skdim.load(tmp_path / "model")
    loaded = skdim.load(tmp_path / "model", bound=TWICE, schedule=halved)
    np.testing.assert_array_equal(loaded.transform(VECTORS), codes)
    loaded.fit(VECTORS)
    np.testing.assert_array_equal(loaded.transform(VECTORS), codes)


@pytest.mark.parametrize("settings", [{"bound": torch.nn.Linear}, {"schedule": 3}])
def test_what_is_neither_a_name_nor_a_part_is_refused(settings):
    with pytest.raises(ValueError, match=f"'{next(iter(settings))}' parameter"):
        make(**settings).fit(VECTORS)


@dataclass(frozen=True, slots=True)
class Shifted:
    """A view whose attributes are slots."""

    by: float = 0.1

    def __call__(self, x, generator):
        return (x, x + self.by)


def test_training_goes_on_with_a_view_of_slots():
    model = make(view=Shifted(), warm_start=True).fit(VECTORS)
    model.set_params(view=Shifted()).fit(VECTORS)

    assert model.n_iter_ == 4
    with pytest.raises(ValueError, match="view="):
        model.set_params(view=Shifted(0.2)).fit(VECTORS)


class Stronger(Mirror):
    """A view with an attribute that is not a field."""

    def __init__(self, strength):
        super().__init__()
        self.strength = strength


def test_training_does_not_go_on_with_another_attribute_of_a_view():
    X = np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8)
    model = make(view=Stronger(1), warm_start=True, max_epochs=1).fit(X)
    with pytest.raises(ValueError, match="view="):
        model.set_params(view=Stronger(2)).fit(X)


class Compared(torch.nn.Linear):
    """A network that compares with anything by a tensor."""

    __hash__ = torch.nn.Module.__hash__

    def __eq__(self, other):
        return torch.tensor([True, False])

    def forward(self, x):
        code = super().forward(x)
        return code[:, :, None], code


def test_parts_that_compare_in_their_own_way_are_used_as_they_are():
    assert make(encoder=Compared(6, 3)).fit(VECTORS).transform(VECTORS).shape == (40, 3)


def test_a_weight_that_a_callback_changes_is_that_of_the_bound():
    model = make().fit(VECTORS)
    model.net_.criterion_.members()[0].weight = 0.25

    assert model.net_.criterion_.weights_of_bounds == {"local": 0.25}
