"""Streams that cannot be read are refused in words, and leave nothing behind."""

import multiprocessing
import pickle
import threading

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback

from skdim import DeepInfoMaxTransformer
from skdim.inputs import Stream
from tests.inputs.datasets import (
    Drawing,
    Endless,
    Failing,
    Items,
    Killing,
    OwnError,
    Unsized,
    images,
)

pytestmark = pytest.mark.usefixtures("forked_workers")

N = 90
VECTORS = images(N, (6,))
any_number_of_workers = pytest.mark.parametrize("n_workers", [0, 2])
each_method = pytest.mark.parametrize(
    "method", ["fit", "partial_fit", "transform", "encode", "score"]
)


def make(**params):
    given = {"n_components": 4, "max_epochs": 2, "batch_size": 16, "random_state": 0}
    return DeepInfoMaxTransformer(**given | params)


@pytest.fixture(scope="module")
def fitted():
    return make().fit(VECTORS)


def ready(fitted, method):
    """Give an unfitted transformer where the method fits, else the fitted one."""
    return make() if "fit" in method else fitted


def assert_no_workers():
    assert multiprocessing.active_children() == []


def assert_unfitted(model):
    assert set(vars(model)) == set(model.get_params(deep=False))
    with pytest.raises(NotFittedError):
        model.transform(VECTORS)


@each_method
@pytest.mark.parametrize(
    ("X", "error", "said"),
    [
        (Endless(), TypeError, "IterableDataset, which cannot be shuffled"),
        (Unsized(), TypeError, "X is a Unsized without __len__"),
        (Items(["text", "text"]), TypeError, "Sample 0 of X is of type str. It must be a tensor"),
        (Items([{"image": 1}] * 2), TypeError, "Sample 0 of X is of type dict. It must be"),
        (Items(VECTORS + 1j), TypeError, r"Sample 0 of X is of dtype complex\d+. Real numbers"),
        (Items(VECTORS[:0]), ValueError, r"X has 0 sample\(s\) while a minimum of \d is required"),
        (Stream(VECTORS[:0]), ValueError, r"X has 0 sample\(s\) while a minimum of \d is required"),
        (Items(VECTORS[:, :0]), ValueError, r"0 feature\(s\) .* while a minimum of 1 is required"),
    ],
)
def test_what_is_no_data_set_is_refused(fitted, method, X, error, said):
    with pytest.raises(error, match=said):
        getattr(ready(fitted, method), method)(X)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "score"])
def test_one_sample_is_not_enough(fitted, method):
    with pytest.raises(ValueError, match=r"X has 1 sample\(s\) while a minimum of 2 is required"):
        getattr(ready(fitted, method), method)(Items(VECTORS[:1]))


def test_one_sample_can_be_transformed(fitted):
    codes = fitted.transform(VECTORS)

    np.testing.assert_array_equal(fitted.transform(Items(VECTORS[:1])), codes[:1])


@pytest.mark.parametrize("items", [np.float32([1, 2, 3]), images(3, (2, 3, 4, 5))])
def test_items_of_too_few_or_too_many_axes_are_refused(items):
    with pytest.raises(ValueError, match=r"X has shape \(3.*Expected \(n, features\), \(n, H, W\)"):
        make().fit(Items(items))


@each_method
@any_number_of_workers
def test_bad_samples_are_refused_by_their_number(fitted, method, n_workers):
    array = VECTORS.copy()
    array[77, 1] = np.inf
    model = ready(fitted, method)
    with pytest.raises(ValueError, match=r"X contains NaN, infinity .* in sample 77\."):
        getattr(model, method)(Stream(Items(array), n_workers))
    with pytest.raises(ValueError, match=r"Sample 77 of X has shape \(5,\), but sample 0 has sh"):
        getattr(model, method)(Stream(Items(VECTORS, lambda x, i: x[i == 77 :]), n_workers))
    if model is not fitted:
        assert_unfitted(model)
    assert_no_workers()


@pytest.mark.faults
@each_method
@any_number_of_workers
def test_an_error_of_the_data_set_comes_through(fitted, method, n_workers):
    model = ready(fitted, method)
    with pytest.raises(OwnError) as raised:
        getattr(model, method)(Stream(Failing(VECTORS, 77, OwnError("mine", 77)), n_workers))

    assert raised.value.args == ("mine", 77)
    if model is not fitted:
        assert_unfitted(model)
    assert_no_workers()


class Later(Items):
    """Samples of which one goes bad once training has begun."""

    spoil = None

    def __getitem__(self, number):
        if self.spoil and number == 77:
            self.spoil()
        return self.array[number]


def spoiled(dataset, spoil, n_workers=0):
    """Fit, and spoil the data when the second epoch begins."""

    class Spoil(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 2:
                dataset.spoil = spoil

    model = make(callbacks=[Spoil()])
    return model, lambda: model.fit(Stream(dataset, n_workers))


@pytest.mark.faults
def test_an_error_in_the_second_epoch_leaves_nothing():
    def spoil():
        raise OwnError("late", 77)

    model, fit = spoiled(Later(VECTORS), spoil)
    with pytest.raises(OwnError):
        fit()
    assert_unfitted(model)


# torch opens temporary files when it loses a worker; its handler of signals may interrupt that.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <_io:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.faults
@each_method
def test_a_killed_worker_is_an_error_and_leaves_nothing(fitted, method):
    model = ready(fitted, method)
    with pytest.raises(RuntimeError, match="worker"):
        getattr(model, method)(Stream(Killing(VECTORS, 77), 2))
    if model is not fitted:
        assert_unfitted(model)
    assert_no_workers()


@pytest.mark.faults
@pytest.mark.parametrize("event", ["on_train_begin", "on_batch_end", "on_epoch_end"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OwnError])
def test_an_error_elsewhere_ends_the_workers(event, error):
    class Raise(Callback):
        pass

    def raise_it(self, net, *args, **kwargs):
        raise error("mine", 1)

    setattr(Raise, event, raise_it)
    model = make(callbacks=[Raise()])
    with pytest.raises(error) as raised:
        model.fit(Stream(VECTORS, 2))

    assert_no_workers()  # Though the traceback, which is alive, holds the loop.
    assert raised.tb is not None
    assert_unfitted(model)


@pytest.mark.faults
def test_an_encoder_that_fails_ends_the_workers(fitted):
    dim = pickle.loads(pickle.dumps(fitted))
    dim.encoder_.register_forward_hook(lambda *given: 1 / 0)
    for method in ("transform", "encode", "score"):
        with pytest.raises(ZeroDivisionError) as raised:
            getattr(dim, method)(Stream(VECTORS, 2))
        assert_no_workers()
        assert raised.tb is not None


def test_threads_stream_at_the_same_time():
    found = {}

    def work(seed):
        found[seed] = make(random_state=seed).fit_transform(Stream(Drawing(VECTORS), seed % 2))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for seed in range(2):
        expected = make(random_state=seed).fit_transform(Stream(Drawing(VECTORS), 1))
        np.testing.assert_array_equal(found[seed], expected)
    assert_no_workers()
