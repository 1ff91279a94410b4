"""Some samples have labels: the classifier term, and what the transformer takes for labels."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import TensorDataset

from skdim import DeepInfoMaxTransformer
from skdim.inputs import Stream
from tests.estimators.helpers import weights_of
from tests.training.test_waits import Waits

N = 40
ROWS = np.random.default_rng(0).normal(size=(N, 6)).astype(np.float32)
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 8, 8), np.uint8)
# Three classes, and half without any.
Y = np.where(np.arange(N) % 2 == 0, np.arange(N) % 3, -1)


def make(**settings):
    defaults = {"n_components": 4, "max_epochs": 2, "batch_size": 16, "random_state": 0}
    return DeepInfoMaxTransformer(**defaults | {"classifier_weight": 0.5} | settings)


def term(dim):
    return dim.history_["classifier"]


# ---------------------------------------------------------------------------------------------
# What is done with labels


@pytest.mark.parametrize("y", [None, Y, "garbage", [["a"], []], np.full(3, np.nan)], ids=repr)
def test_labels_are_not_looked_at_by_default(y):
    ignoring = make(classifier_weight=0.0).fit(ROWS, y)

    assert weights_of(ignoring) == weights_of(make(classifier_weight=0.0).fit(ROWS))
    assert not hasattr(ignoring, "classes_")
    assert not [name for name in ignoring.history_ if "classifier" in name]
    ignoring.partial_fit(ROWS, y)


@pytest.mark.parametrize(
    ("X", "layer"),
    [(ROWS, "code"), (IMAGES, "hidden"), (IMAGES, "conv"), (ROWS, "local")],
    ids=["rows", "two looks at images", "their last map", "local features"],
)
def test_labels_train_the_encoder(X, layer):
    with_labels = make(classifier_layer=layer).fit(X, Y)
    without = make(classifier_weight=0.0).fit(X)

    assert with_labels.classes_.tolist() == [0, 1, 2]
    assert len(term(with_labels)) == 2
    assert 0 <= with_labels.history_["classifier_accuracy"][-1] <= 1
    assert not np.array_equal(with_labels.transform(X), without.transform(X))
    assert with_labels.score(X) == pytest.approx(with_labels.score(X, Y))


def test_labels_alone_are_something_to_train_for():
    dim = make(local_weight=0.0, max_epochs=60, learning_rate=1e-2).fit(ROWS, Y)

    assert dim.history_["classifier_accuracy"][-1] > 0.9
    assert dim.history_["loss"] == term(dim)
    with pytest.raises(ValueError, match="has no score"):
        dim.score(ROWS)


def test_accuracy_is_the_share_of_right_answers_over_the_epoch():
    """Batches differ in how many of their samples are labelled; one may have none."""
    y = np.full(N, -1)
    y[:3] = [0, 1, 0]
    dim = make(max_epochs=6, batch_size=8).fit(ROWS, y)

    for share in dim.history_["classifier_accuracy"]:
        assert share * 3 == pytest.approx(round(share * 3), abs=1e-6)
    assert np.isfinite(dim.history_["loss"]).all()


def test_unlabelled_rows_are_trained_on_too():
    half = Y >= 0

    assert not np.array_equal(
        make().fit(ROWS, Y).transform(ROWS), make().fit(ROWS[half], Y[half]).transform(ROWS)
    )


def test_labels_of_some_make_the_codes_of_the_others_tell_their_classes():
    X, y = (part[:400] for part in load_digits(return_X_y=True))
    half = np.where(np.arange(len(y)) % 2 == 0, y, -1)
    labelled = half >= 0
    accuracy = {}
    for weight in (0.0, 1.0):
        dim = make(n_components=8, classifier_weight=weight, max_epochs=8, batch_size=64)
        dim.fit(X.astype(np.float32), half)
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        probe.fit(dim.transform(X[labelled]), y[labelled])
        accuracy[weight] = probe.score(dim.transform(X[~labelled]), y[~labelled])

    assert accuracy[1.0] > accuracy[0.0] + 0.02


# ---------------------------------------------------------------------------------------------
# What labels may be

NAMES = np.array(["ant", "bee", "cat"])


def as_objects(y):
    return np.array([NAMES[c] if c >= 0 else -1 for c in y], dtype=object)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (Y.tolist(), [0, 1, 2]),
        (Y.astype(np.float32), [0.0, 1.0, 2.0]),
        (np.where(Y >= 0, 10 * Y + 7, -1), [7, 17, 27]),
        (Y[:, None], [0, 1, 2]),
        (Y.astype(object), [0, 1, 2]),
        (as_objects(Y), ["ant", "bee", "cat"]),
        (pd.Series(as_objects(Y)), ["ant", "bee", "cat"]),
    ],
    ids=["list", "float", "other numbers", "column", "objects", "names", "series"],
)
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_labels_of_any_type_train_alike(y, classes):
    dim = make().fit(ROWS, y)

    assert dim.classes_.tolist() == classes
    assert term(dim) == term(make().fit(ROWS, Y))


@pytest.mark.parametrize("y", [NAMES[np.arange(N) % 3], np.arange(N) % 2 == 0], ids=["str", "bool"])
def test_labels_of_all_rows_need_no_mark(y):
    dim = make().fit(ROWS, y)

    assert dim.classes_.tolist() == np.unique(y).tolist()


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (Y[:-1], r"y has 39 labels, but X has 40 samples"),
        (np.full(N, -1), r"y has 0 class\(es\) in 0 labelled rows of 40"),
        (np.where(Y == 1, 1, -1), r"y has 1 class\(es\) in 6 labelled rows.*set it to 0"),
        (ROWS[:, 0], "Unknown label type: continuous"),
        (np.where(Y >= 0, Y.astype(float), np.nan), "NaN or infinity. -1 marks"),
        (as_objects(Y).astype(str), "give y dtype object, and -1 as a number"),
        (np.where(np.arange(N) % 4 == 0, as_objects(Y), 3), "labels that are strings"),
        (ROWS, "y should be a 1d array"),
    ],
    ids=["none", "short", "no label", "one class", "numbers", "nan", "str", "mixed", "table"],
)
def test_what_holds_no_classes_is_refused(y, text):
    dim = make()
    with pytest.raises(ValueError, match=text):
        dim.fit(ROWS, y)

    assert not [name for name in vars(dim) if name.endswith("_")]


@pytest.mark.parametrize("value", [-0.5, None, "much", np.inf])
def test_weights_that_are_none_are_refused(value):
    dim = make(classifier_weight=value)
    with pytest.raises(ValueError, match="'classifier_weight' parameter"):
        dim.fit(ROWS, Y)
    assert repr(dim)


def test_layers_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"'classifier_layer' parameter.*'code'"):
        make(classifier_layer="last").fit(ROWS, Y)


# ---------------------------------------------------------------------------------------------
# More training, other inputs


def test_classes_are_those_of_the_first_call():
    dim = make().partial_fit(ROWS, Y)
    dim.partial_fit(ROWS[:10], np.full(10, -1))
    assert np.isnan(dim.history_["classifier_accuracy"][-1])
    assert term(dim)[-1] == 0
    dim.partial_fit(ROWS[:10], np.where(np.arange(10) > 7, 2, -1))
    assert dim.classes_.tolist() == [0, 1, 2]

    with pytest.raises(
        ValueError, match=r"not in the first fit: \[3, 5\]. Its classes were \[0, 1, 2\]"
    ):
        dim.partial_fit(ROWS[:4], [3, 1, 5, -1])
    with pytest.raises(ValueError, match="requires y to be passed"):
        dim.partial_fit(ROWS)
    assert len(dim.history_["loss"]) == 3


def test_going_on_keeps_the_classes_and_a_new_fit_forgets_them():
    dim = make(warm_start=True).fit(ROWS, Y)
    dim.fit(ROWS, np.where(Y == 2, -1, Y))
    assert dim.classes_.tolist() == [0, 1, 2]
    assert len(term(dim)) == 4

    dim.set_params(warm_start=False).fit(ROWS, np.where(Y == 2, -1, Y))
    assert dim.classes_.tolist() == [0, 1]
    dim.set_params(classifier_weight=0.0).fit(ROWS)
    assert not hasattr(dim, "classes_")


def test_held_out_rows_do_not_teach():
    dim = make(validation_fraction=0.25, max_epochs=3).fit(ROWS, Y)

    assert len(dim.history_["validation_score"]) == 3


def test_a_data_set_takes_labels_beside_it():
    array = make().fit(ROWS, Y)
    stream = make().fit(Stream(TensorDataset(torch.from_numpy(ROWS))), Y)

    np.testing.assert_allclose(stream.transform(ROWS), array.transform(ROWS), atol=1e-5)


def test_copies_and_pipelines_pass_labels_on():
    pipe = make_pipeline(make(), LogisticRegression())
    labels = np.where(Y >= 0, Y, 0)
    pipe.fit(ROWS, labels)

    assert pipe[0].classes_.tolist() == [0, 1, 2]
    again = pickle.loads(pickle.dumps(pipe))
    np.testing.assert_array_equal(again.predict(ROWS), pipe.predict(ROWS))
    assert clone(pipe[0]).get_params() == pipe[0].get_params()


def test_nothing_waits_for_the_device(monkeypatch):
    waits = Waits(monkeypatch)
    make(callbacks=[waits], optimizer="sgd", learning_rate=1e-3, max_epochs=3).fit(ROWS, Y)
    batches = 3
    of_rows = {"cpu": batches, "numpy": batches}

    for epoch in waits.epochs:
        # Rows on the CPU are taken from an array; all else is read once.
        assert {name: n for name, n in epoch.items() if name not in of_rows} == {"tolist": 1}
