"""The transformer inside scikit-learn's own compositions and searches."""

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, learning_curve
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch.utils.data import TensorDataset

from skdim import DeepInfoMaxTransformer
from skdim.views import Identity
from tests.estimators.helpers import weights_of

DIGITS = load_digits()
IMAGES = DIGITS.images[:240, None].astype(np.float32)
LABELS = DIGITS.target[:240]
ROWS = IMAGES.reshape(240, -1)[:, 16:24]
NAMES = [f"pixel {i}" for i in range(16, 24)]
TABLE = pd.DataFrame(ROWS, columns=NAMES, index=[f"digit {i}" for i in range(240)])
CHANCE = 0.1


def brief(**parameters):
    defaults = {"n_components": 8, "max_epochs": 2, "random_state": 0}
    return DeepInfoMaxTransformer(**defaults | parameters)


def probe():
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


# ---------------------------------------------------------------------------------------------
# Compositions


def test_pipeline_is_its_steps_one_after_the_other():
    pipe = make_pipeline(StandardScaler(), brief(), LogisticRegression(max_iter=2000))
    pipe.fit(ROWS, LABELS)
    scaled = StandardScaler().fit_transform(ROWS)
    codes = brief().fit_transform(scaled)
    by_hand = LogisticRegression(max_iter=2000).fit(codes, LABELS)

    np.testing.assert_array_equal(pipe[:-1].transform(ROWS), codes)
    np.testing.assert_array_equal(pipe.predict(ROWS), by_hand.predict(codes))


def test_probe_of_images_does_better_than_chance_on_new_ones():
    pipe = make_pipeline(brief(), StandardScaler(), SVC(kernel="linear"))

    assert pipe.fit(IMAGES[:160], LABELS[:160]).score(IMAGES[160:], LABELS[160:]) > 4 * CHANCE


def test_clone_of_a_fitted_pipeline_is_unfitted_and_fits_alike():
    pipe = make_pipeline(brief(), probe()).fit(ROWS, LABELS)
    cloned = clone(pipe)

    with pytest.raises(NotFittedError):
        cloned[0].transform(ROWS)
    assert weights_of(cloned.fit(ROWS, LABELS)[0]) == weights_of(pipe[0])


def test_cross_validation_of_a_data_set_scores_as_of_its_array():
    pipe = make_pipeline(brief(max_epochs=0), probe())
    dataset = TensorDataset(torch.tensor(IMAGES[:120]), torch.tensor(LABELS[:120]))
    found, expected = (
        cross_val_score(pipe, X, LABELS[:120], cv=2) for X in (dataset, IMAGES[:120])
    )
    assert np.array_equal(found, expected)


def test_set_output_reaches_through_a_pipeline():
    pipe = make_pipeline(StandardScaler(), brief(n_components=3)).set_output(transform="pandas")
    codes = pipe.fit_transform(TABLE)
    names = [f"deepinfomaxtransformer{i}" for i in range(3)]

    assert codes.columns.tolist() == names
    assert codes.index.equals(TABLE.index)
    assert pipe.get_feature_names_out().tolist() == names
    assert pipe[1].feature_names_in_.tolist() == NAMES


def test_column_transformer_encodes_some_columns_and_keeps_others():
    both = ColumnTransformer(
        [("dim", brief(n_components=3), NAMES[:5]), ("rest", "passthrough", NAMES[5:])]
    ).fit(TABLE)
    expected = np.hstack([brief(n_components=3).fit_transform(ROWS[:, :5]), ROWS[:, 5:]])

    np.testing.assert_array_equal(both.transform(TABLE), expected)
    assert both.get_feature_names_out().tolist() == [
        *(f"dim__deepinfomaxtransformer{i}" for i in range(3)),
        *(f"rest__{name}" for name in NAMES[5:]),
    ]
    # By name, so that the order of the columns is free here.
    np.testing.assert_array_equal(both.transform(TABLE[NAMES[::-1]]), expected)


def test_feature_union_sets_codes_beside_others():
    union = make_union(brief(n_components=3), PCA(2, random_state=0)).fit(ROWS)
    codes = brief(n_components=3).fit_transform(ROWS)
    components = PCA(2, random_state=0).fit_transform(ROWS)

    np.testing.assert_allclose(union.transform(ROWS), np.hstack([codes, components]), rtol=1e-5)
    assert len(union.get_feature_names_out()) == 5


def test_feature_union_of_several_layers():
    union = FeatureUnion([(layer, brief(output=layer)) for layer in ("code", "hidden")])
    both = union.fit_transform(ROWS)

    np.testing.assert_array_equal(both[:, :8], brief().fit_transform(ROWS))
    assert both.shape[1] == len(union.get_feature_names_out()) > 8


class CountingView(Identity):
    """Count the batches of all trainings in this process."""

    batches = 0

    def __call__(self, x, generator):
        CountingView.batches += 1
        return (x,)


def test_pipeline_memory_trains_once(tmp_path):
    def fit(**parameters):
        before = CountingView.batches
        dim = brief(view=CountingView(), **parameters)
        pipe = make_pipeline(dim, probe(), memory=str(tmp_path)).fit(ROWS, LABELS)
        return pipe, CountingView.batches - before

    first, n_first = fit()
    second, n_second = fit()
    _, n_other = fit(local_weight=2.0)

    assert n_first > 0
    assert n_second == 0
    assert n_other == n_first
    assert weights_of(second[0]) == weights_of(first[0])
    np.testing.assert_array_equal(second.predict(ROWS), first.predict(ROWS))


def test_frozen_estimator_keeps_its_weights():
    dim = brief().fit(IMAGES[:120])
    before = weights_of(dim)
    pipe = make_pipeline(FrozenEstimator(dim), probe()).fit(IMAGES[120:], LABELS[120:])
    cloned = clone(pipe).fit(IMAGES[:60], LABELS[:60])

    assert weights_of(pipe[0].estimator) == before
    assert weights_of(cloned[0].estimator) == before
    np.testing.assert_array_equal(cloned[0].transform(IMAGES), dim.transform(IMAGES))


# ---------------------------------------------------------------------------------------------
# Searches

GRID = [
    {"deepinfomaxtransformer__local_weight": [0.5, 1.0]},
    {
        "deepinfomaxtransformer__local_weight": [0.0],
        "deepinfomaxtransformer__global_weight": [1.0],
        "deepinfomaxtransformer__prior_weight": [0.1],
    },
]


@pytest.fixture
def two_workers():
    """Give two processes of one torch thread each, as this one has."""
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        yield
    get_reusable_executor().shutdown(wait=True)


def search_results(search):
    """What a search has found, times left out."""
    return {name: values for name, values in search.cv_results_.items() if "_time" not in name}


@pytest.mark.slow
def test_grid_search_in_two_processes_is_the_one_in_one(two_workers):
    threads = joblib.Parallel()(joblib.delayed(torch.get_num_threads)() for _ in range(4))
    assert threads == [torch.get_num_threads()] * 4 == [1] * 4

    few, labels, dim = IMAGES[:80], LABELS[:80], brief(max_epochs=1)
    search = GridSearchCV(make_pipeline(dim, probe()), GRID, cv=2)
    of_codes = GridSearchCV(dim, {"n_components": [2, 8]}, cv=2)
    for each, y in ((search, labels), (of_codes, None)):
        parallel = clone(each).set_params(n_jobs=2).fit(few, y)
        serial = clone(each).set_params(n_jobs=1).fit(few, y)

        assert parallel.best_params_ == serial.best_params_
        np.testing.assert_equal(search_results(parallel), search_results(serial))
        assert parallel.score(few, y) == serial.score(few, y)


def test_search_without_labels_goes_by_the_score_of_the_transformer():
    few = ROWS[:120]
    search = GridSearchCV(brief(), {"max_epochs": [1, 6]}, cv=2).fit(few)

    assert search.best_params_ == {"max_epochs": 6}
    assert search.score(few) == search.best_estimator_.score(few)
    assert weights_of(search.best_estimator_) == weights_of(brief(max_epochs=6).fit(few))


def test_cross_validation_of_images():
    scores = cross_val_score(make_pipeline(brief(), probe()), IMAGES[:160], LABELS[:160], cv=2)

    assert scores.shape == (2,)
    assert scores.mean() > 4 * CHANCE


def test_learning_curve_of_images():
    sizes, of_fitted, of_new = learning_curve(
        make_pipeline(brief(), probe()), IMAGES, LABELS, train_sizes=[0.3, 1.0], cv=2
    )

    assert sizes.tolist() == [36, 120]
    assert of_fitted.shape == of_new.shape == (2, 2)
    assert of_new[1].mean() > of_new[0].mean() > CHANCE
