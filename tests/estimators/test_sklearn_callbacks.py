"""scikit-learn's callbacks see epochs and batches, alone, in a pipeline and in a search."""

import io
from contextlib import redirect_stdout

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skdim import DeepInfoMaxTransformer, EncoderTransformer
from skdim.objectives import VAE

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has no callbacks yet")

X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
Y = np.arange(40) % 2
VISITS = []


class Visits:
    """Record the tasks that begin and end, and what the estimator would give then."""

    max_propagation_depth = None

    def __init__(self, stop_after=None):
        self.stop_after = stop_after

    def setup(self, estimator, context):
        VISITS.clear()

    def teardown(self, estimator, context):
        VISITS.append("torn down")

    def on_fit_task_begin(self, estimator, context):
        VISITS.append(("begin", context.task_name, context.task_id, context.max_subtasks))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        VISITS.append(("end", context.task_name, context.task_id))
        if context.task_name == "epoch":
            assert fitted_estimator.transform(X).shape == (40, 4)
            assert not fitted_estimator.net_.module_.training
            return self.stop_after is not None and context.task_id + 1 >= self.stop_after
        return False


def make(**params):
    given = {"max_epochs": 2, "batch_size": 20, "random_state": 0, "device": "cpu"}
    return DeepInfoMaxTransformer(4, **given | params)


def names(kind):
    return [visit[1] for visit in VISITS if visit[0] == kind]


def test_epochs_and_batches_are_tasks():
    make().set_callbacks(Visits()).fit(X)

    tasks = ["epoch", "batch", "batch"]
    assert names("begin") == ["fit", *tasks, *tasks]
    assert names("end") == ["batch", "batch", "epoch", "batch", "batch", "epoch", "fit"]
    assert VISITS[0] == ("begin", "fit", 0, 2)
    assert ("begin", "epoch", 1, 2) in VISITS
    assert VISITS[-1] == "torn down"


def test_the_closed_form_is_one_epoch_without_batches():
    make(max_epochs=0, batch_size=64).set_callbacks(Visits()).fit(X)

    assert names("begin") == ["fit", "epoch"]
    assert ("begin", "epoch", 0, 0) in VISITS


def test_callbacks_change_no_code():
    plain = make().fit_transform(X)

    np.testing.assert_array_equal(make().set_callbacks(Visits()).fit_transform(X), plain)


def test_a_callback_may_stop_the_training():
    fitted = make(max_epochs=5).set_callbacks(Visits(stop_after=2)).fit(X)

    assert fitted.n_iter_ == 2


def test_callbacks_are_torn_down_after_an_error():
    with pytest.raises(ValueError, match="'batch_size'"):
        make(batch_size=1).set_callbacks(Visits()).fit(X)
    with pytest.raises(FloatingPointError):
        make(learning_rate=1e30, optimizer="sgd").set_callbacks(Visits()).fit(X)

    assert VISITS[-1] == "torn down"


def test_no_task_begins_for_a_fit_that_cannot_be_completed():
    VISITS.clear()
    with pytest.raises(ValueError, match="max_epochs=0"):
        make(max_epochs=0, encoder="mlp").set_callbacks(Visits()).fit(X)

    assert VISITS == []


@pytest.mark.parametrize("event", ["on_fit_task_begin", "on_fit_task_end"])
def test_nothing_looks_fitted_after_an_error_of_a_callback(event, monkeypatch):
    """On the tasks of the fit itself, before and after the training."""

    def fail(self, estimator, context, **kwargs):
        if context.task_name == "fit":
            raise OSError("the disk is full")

    monkeypatch.setattr(Visits, event, fail)
    dim = make().set_callbacks(Visits())

    with pytest.raises(OSError, match="the disk is full"):
        dim.fit(X)

    assert not hasattr(dim, "net_")


def test_they_are_propagated_by_pipelines():
    pipe = make_pipeline(make(), LogisticRegression())
    pipe.set_callbacks(Visits()).fit(X, Y)

    assert names("begin").count("epoch") == 2
    assert names("begin").count("batch") == 4


@pytest.fixture
def no_workers_left():
    """End the processes of the search."""
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.mark.usefixtures("no_workers_left")
@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:The total space of parameters:UserWarning")
def test_progress_bars_are_drawn_alone_in_pipelines_and_in_searches(n_jobs, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "200")
    alone = EncoderTransformer(4, objective=VAE(), max_epochs=1, random_state=0)
    pipe = make_pipeline(make(), LogisticRegression())
    grid = {"deepinfomaxtransformer__learning_rate": [1e-3, 1e-2]}
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=n_jobs)
    for model in (alone, pipe, search):
        printed = io.StringIO()
        with redirect_stdout(printed):
            model.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, Y)
        model.set_callbacks()
        assert "100%" in printed.getvalue()
        assert "epoch" in printed.getvalue()


def test_a_scoring_monitor_records_each_epoch():
    monitor = callback.ScoringMonitor(scoring=lambda estimator, X, y: estimator.score(X))
    make(max_epochs=3).set_callbacks(monitor).fit(X)
    log = monitor.get_logs()

    assert log
