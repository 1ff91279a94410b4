"""Searches run on workers of Dask, as on the processes of joblib."""

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skdim import DeepInfoMaxTransformer

DIGITS = load_digits()
X, Y = DIGITS.images[:120].astype(np.float32), DIGITS.target[:120]


# Dask and its event loop warn of what the next versions change.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.slow
def test_a_search_through_dask_gives_what_a_serial_one_gives():
    # It changes how all exceptions are pickled.
    distributed = pytest.importorskip("distributed")
    pipe = make_pipeline(DeepInfoMaxTransformer(random_state=0), LogisticRegression(max_iter=1000))
    search = GridSearchCV(pipe, {"deepinfomaxtransformer__n_components": [2, 8]}, cv=2)
    serial = clone(search).fit(X, Y)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        found = clone(search).fit(X, Y)
    assert found.best_params_ == serial.best_params_
    for name, values in serial.cv_results_.items():
        if "score" in name and "time" not in name:
            np.testing.assert_array_equal(found.cv_results_[name], values)
