"""Data sets, folders and memory maps stream through every method, as if they were in memory."""

import gc
import multiprocessing
import os
import pickle
import weakref
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from skdim import DeepInfoMaxTransformer
from skdim.encoders import PatchEncoder
from skdim.inputs import ImageFolder, Stream
from tests.estimators.helpers import weights_of
from tests.inputs.datasets import Drawing, Items, images

pytestmark = pytest.mark.usefixtures("forked_workers")

N = 90  # More than the features are computed of at a time.
SETS = {
    "vectors": images(N, (6,)),
    "grey images": images(N, (8, 8)),
    "bytes, channels first": images(N, (3, 8, 8), dtype=np.uint8),
    "bytes, channels last": images(N, (8, 8, 3), dtype=np.uint8),
}
any_number_of_workers = pytest.mark.parametrize("n_workers", [0, 2])
VECTORS, GREY = SETS["vectors"], SETS["grey images"]


def make(**params):
    given = {"n_components": 4, "max_epochs": 1, "batch_size": 16, "random_state": 0}
    return DeepInfoMaxTransformer(**given | params)


@pytest.fixture(scope="module")
def fitted():
    return {name: make().fit(X) for name, X in SETS.items()}


def assert_no_workers():
    assert multiprocessing.active_children() == []


# ---------------------------------------------------------------------------------------------
# The same as in memory


@pytest.mark.parametrize(
    ("name", "n_workers"),
    [("vectors", 0), ("vectors", 2), *zip(list(SETS)[1:], (1, 2, 0), strict=True)],
)
@pytest.mark.usefixtures("global_random_state_untouched")
def test_a_data_set_gives_what_its_array_gives(name, n_workers):
    X = SETS[name]
    params = {"validation_fraction": 0.2, "max_epochs": 2}
    if X.ndim > 2:
        params["encoder"] = partial(PatchEncoder, n_filters=4, n_second=4, hidden_units=8)
    expected, dim = make(**params).fit(X), make(**params)
    dim.fit(Stream(Items(X, lambda x, i: (x, i)), n_workers))

    assert weights_of(dim) == weights_of(expected)
    assert dim.history_["loss"] == expected.history_["loss"]
    assert dim.history_["validation_score"] == expected.history_["validation_score"]
    assert dim.image_shape_ == expected.image_shape_
    assert dim.n_features_in_ == expected.n_features_in_
    stream = Stream(Items(X), n_workers)
    np.testing.assert_array_equal(dim.transform(stream), expected.transform(X))
    assert torch.equal(dim.encode(stream, "conv"), expected.encode(X, "conv"))
    assert dim.score(stream) == expected.score(X)
    assert_no_workers()


@pytest.mark.parametrize("n_workers", [0, 2])
def test_partial_fit_reads_streams_as_arrays(n_workers):
    expected = make().partial_fit(VECTORS[:50]).partial_fit(VECTORS[50:])
    dim = make().partial_fit(Stream(VECTORS[:50], n_workers))
    dim.partial_fit(Stream(Items(VECTORS[50:]), n_workers))

    assert weights_of(dim) == weights_of(expected)


def test_warm_start_goes_on_with_a_stream():
    expected = make(warm_start=True).fit(VECTORS).fit(VECTORS)
    dim = make(warm_start=True).fit(Items(VECTORS)).fit(Stream(VECTORS, 1))

    assert weights_of(dim) == weights_of(expected)


def test_workers_are_started_twice_a_fit_and_not_every_epoch(tmp_path):
    def note(sample, number):
        (tmp_path / str(os.getpid())).touch()
        return sample

    model = make(max_epochs=4, validation_fraction=0.2)
    model.fit(Stream(Items(VECTORS, note), 1))
    by_this, *by_workers = sorted(
        tmp_path.iterdir(), key=lambda file: file.name != str(os.getpid())
    )

    assert by_this.name == str(os.getpid())
    assert len(by_workers) == 2  # To measure the data, and to train.
    model.transform(Stream(Items(VECTORS, note), 1))
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    "dataset",
    [
        Items(GREY),
        Items(GREY, lambda x, i: x[None]),
        Items(GREY, lambda x, i: x.ravel()),
        TensorDataset(torch.from_numpy(GREY), torch.arange(N)),
        ConcatDataset([Items(GREY[:40]), Items(GREY[40:])]),
        Subset(Items(GREY[::-1]), range(N - 1, -1, -1)),
    ],
    ids=["plain", "one channel", "flat", "TensorDataset", "ConcatDataset", "Subset"],
)
def test_data_sets_of_any_kind_are_taken_as_they_are(dataset, fitted):
    flat = dataset[0][0].ndim == 0
    model = make(image_shape=(8, 8) if flat else None)

    np.testing.assert_array_equal(
        model.fit_transform(dataset), fitted["grey images"].transform(GREY)
    )


def test_pictures_are_read_by_the_rules_of_arrays():
    X = SETS["bytes, channels last"]
    pictures = Items(X, lambda x, i: Image.fromarray(x))
    dim = make().fit(pictures)

    assert dim.image_shape_ == (3, 8, 8)
    np.testing.assert_array_equal(dim.transform(pictures), make().fit_transform(X))


def test_channel_axis_says_where_the_channels_of_items_are():
    X = images(N, (8, 10, 9))
    with pytest.raises(ValueError, match=r"channel_axis=1 .* or channel_axis=-1"):
        make().fit(Items(X))

    assert make(channel_axis=-1).fit(Items(X)).image_shape_ == (9, 8, 10)
    assert make(channel_axis=1).fit(Items(X)).image_shape_ == (8, 10, 9)


def test_a_folder_of_images_is_a_data_set(tmp_path):
    X = images(N, (12, 9, 3), dtype=np.uint8)
    for number, image in enumerate(X):
        Image.fromarray(image).save(tmp_path / f"{number:03}.png")
    folder = ImageFolder(tmp_path, size=(12, 9))
    dim = make().fit(folder)

    assert dim.image_shape_ == (3, 12, 9)
    np.testing.assert_array_equal(dim.transform(Stream(folder, 1)), make().fit_transform(X))


# ---------------------------------------------------------------------------------------------
# Seeds


@any_number_of_workers
@pytest.mark.usefixtures("global_random_state_untouched")
def test_data_that_are_drawn_are_drawn_by_the_seed(n_workers):
    drawn = Drawing(VECTORS)
    params = {"validation_fraction": 0.2, "max_epochs": 2}
    first = make(**params).fit(drawn)
    again = make(**params).fit(Stream(drawn, n_workers))
    other = make(**params, random_state=1).fit(Stream(drawn, n_workers))

    assert weights_of(again) == weights_of(first)
    assert weights_of(other) != weights_of(first)
    codes = again.transform(Stream(drawn, n_workers))
    np.testing.assert_array_equal(codes, first.transform(drawn))
    assert first.score(drawn) == again.score(Stream(drawn, n_workers))


def test_every_epoch_reads_in_another_order_and_draws_anew():
    read = []
    drawn = Drawing(np.zeros((N, 3), np.float32))
    model = make(max_epochs=2, callbacks=[Begin(read)])
    model.fit(Items(VECTORS, lambda x, i: read.append(i) or x))
    first, second = (read[read.index(mark) + 1 :][:N] for mark in ("epoch 0", "epoch 1"))

    assert sorted(first) == sorted(second) == list(range(N))
    assert first != second
    seen = []
    make(max_epochs=2, view=watching(seen)).fit(drawn)
    epochs = torch.cat(seen[-2 * 6 :])  # Six batches an epoch, after two samples at the start.
    assert len(epochs) == 2 * N
    assert len(epochs.unique()) == epochs.numel()


class Begin(Callback):
    """Mark in a list where each epoch begins."""

    def __init__(self, marks):
        self.marks = marks

    def on_epoch_begin(self, net, **kwargs):
        self.marks.append(f"epoch {len(net.history) - 1}")


def watching(seen):
    def view(x, generator):
        seen.append(x)
        return (x,)

    return view


# ---------------------------------------------------------------------------------------------
# scikit-learn


def test_features_are_counted_and_compared(fitted):
    dim = make().fit(Items(VECTORS))

    assert dim.n_features_in_ == 6
    assert not hasattr(dim, "feature_names_in_")
    for wrong in (Items(VECTORS[:, :5]), Stream(VECTORS[:, :5])):
        with pytest.raises(ValueError, match="X has 5 features, but DeepInfoMaxTransformer is exp"):
            dim.transform(wrong)
    with pytest.raises(ValueError, match=r"fitted on samples of shape .* Transpose X"):
        fitted["bytes, channels first"].transform(Items(SETS["bytes, channels last"]))


def test_a_refit_on_a_data_set_forgets_the_names_of_a_table():
    table = pd.DataFrame(VECTORS, columns=list("abcdef"))
    dim = make().fit(table)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        codes = dim.transform(Items(VECTORS))

    np.testing.assert_array_equal(codes, dim.transform(table))
    assert not hasattr(dim.fit(Items(VECTORS)), "feature_names_in_")


def test_pipelines_and_data_frames_take_data_sets():
    labels = np.arange(N) % 2
    steps = make(), StandardScaler(), LogisticRegression()
    expected = make_pipeline(*steps).fit(VECTORS, labels).predict(VECTORS)
    stream = Stream(Items(VECTORS), 1)

    np.testing.assert_array_equal(
        make_pipeline(*steps).fit(stream, labels).predict(stream), expected
    )
    framed = make().set_output(transform="pandas").fit_transform(stream)
    assert framed.shape == (N, 4)


def test_a_fitted_transformer_holds_no_data():
    dataset = Items(VECTORS)
    dim = make().fit(Stream(dataset, 1))
    watched = weakref.ref(dataset)
    size, other = len(pickle.dumps(dim)), len(pickle.dumps(make().fit(VECTORS)))
    del dataset
    gc.collect()

    assert watched() is None
    assert abs(size - other) < 200
