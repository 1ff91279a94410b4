"""A user's own objective: searched, saved, resumed and refused as ours are.

What all objectives keep is in test_baselines_common.py, which has these two among its own.
"""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from torch import nn

import skdim
from skdim import EncoderTransformer
from skdim.objectives import VAE, AbstractObjective
from tests.estimators.own_objectives import Alignment, Decoding

DRAWS = np.random.default_rng(0)
ROWS = DRAWS.normal(size=(40, 9)).astype(np.float32)

each_own = pytest.mark.parametrize("kind", [Alignment, Decoding])


def small(objective, **parameters):
    settings = {"max_epochs": 2, "batch_size": 16, "random_state": 0, "device": "cpu"}
    return EncoderTransformer(4, objective=objective, **settings | parameters)


@each_own
def test_it_is_given_again_on_loading(kind, tmp_path):
    fitted = small(kind()).fit(ROWS)
    fitted.save(tmp_path / "own.skdim")

    with pytest.raises(ValueError, match=r"skdim.load\(path, objective=...\)"):
        skdim.load(tmp_path / "own.skdim")
    loaded = skdim.load(tmp_path / "own.skdim", objective=kind())

    np.testing.assert_array_equal(loaded.transform(ROWS), fitted.transform(ROWS))
    assert loaded.score(ROWS) == fitted.score(ROWS)


def test_its_parameters_are_searched():
    pipe = Pipeline([("dim", small(Alignment())), ("clf", LogisticRegression())])
    grid = {"dim__objective__temperature": [0.1, 1.0]}
    search = GridSearchCV(pipe, grid, cv=2).fit(ROWS, np.arange(40) % 2)

    assert set(search.cv_results_["param_dim__objective__temperature"]) == {0.1, 1.0}
    fitted = search.best_estimator_["dim"]
    assert fitted.objective.temperature == search.best_params_["dim__objective__temperature"]


@each_own
def test_it_stops_early_by_its_score(kind):
    fitted = small(kind(), max_epochs=6, early_stopping=True, n_iter_no_change=1, tol=10.0)

    assert fitted.fit(ROWS).n_iter_ == 1


def test_its_rules_are_checked_and_named():
    with pytest.raises(ValueError, match=r"'temperature' parameter of Alignment must be a float"):
        small(Alignment(temperature=0.0)).fit(ROWS)


def test_a_change_of_its_parameters_ends_a_warm_start():
    fitted = small(Alignment(), warm_start=True).fit(ROWS)
    fitted.set_params(objective__temperature=2.0)

    with pytest.raises(ValueError, match=r"objective=Alignment\(temperature=2.0\) \(was Align"):
        fitted.fit(ROWS)


def test_a_change_of_its_parameters_leaves_what_was_fitted():
    class Scaled(Alignment):
        def score(self, features, batch):
            return features.code.std() * self.temperature

    fitted = small(Scaled()).fit(ROWS)
    score = fitted.score(ROWS)
    fitted.set_params(objective__temperature=2.0)

    assert fitted.score(ROWS) == score


def test_a_pickle_after_a_change_keeps_the_fitted_net():
    fitted = small(VAE()).fit(ROWS)
    codes = fitted.transform(ROWS)
    fitted.set_params(objective__beta=3.0)
    copied = pickle.loads(pickle.dumps(fitted))

    assert copied.objective.beta == 3.0
    assert copied.net_.criterion_.beta == 1.0
    np.testing.assert_array_equal(copied.transform(ROWS), codes)


def test_a_clone_has_an_objective_of_its_own():
    model = small(Alignment())
    copied = clone(model).set_params(objective__temperature=3.0)

    assert model.objective.temperature == 0.5
    assert copied.objective.temperature == 3.0


class Nothing(AbstractObjective):
    pass


class NoCriterion(AbstractObjective):
    def build(self, setting):
        return nn.Linear(2, 2)


def test_what_is_missing_is_named():
    with pytest.raises(NotImplementedError, match="Nothing implements neither terms nor build"):
        small(Nothing()).fit(ROWS)
    with pytest.raises(TypeError, match="build of NoCriterion returned an object of type Linear"):
        small(NoCriterion()).fit(ROWS)
    with pytest.raises(ValueError, match="'objective' parameter of EncoderTransformer must be a"):
        small(VAE).fit(ROWS)


def test_without_a_score_nothing_is_held_out():
    class Quiet(Alignment):
        def score(self, features, batch):
            return None

    with pytest.raises(ValueError, match="need a term that measures information"):
        small(Quiet(), early_stopping=True).fit(ROWS)
    with pytest.raises(ValueError, match="has no score"):
        small(Quiet()).fit(ROWS).score(ROWS)


def test_no_objective_is_deep_infomax():
    settings = {"max_epochs": 1, "random_state": 0}
    one = EncoderTransformer(4, **settings).fit_transform(ROWS)
    other = skdim.DeepInfoMaxTransformer(4, **settings).fit_transform(ROWS)

    np.testing.assert_array_equal(one, other)
