"""Trainings that go on from a checkpoint come to what they would have come to (rows 54 to 57)."""

import functools
import json
import shutil
import warnings

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback
from torch import nn

from skdim.saving import versions
from skdim.training import find_checkpoint
from skdim.training.checkpoints import BEST, LAST, read_checkpoint
from tests.reliability.trainings import (
    EPOCHS,
    IMAGES,
    LABELS,
    TRAININGS,
    VECTORS,
    Dropping,
    fit,
    folder_in,
    make,
    outcome,
)
from tests.saving.reading import read_container

pytestmark = pytest.mark.faults


class CutError(Exception):
    """What cuts a training off."""


class Cut(Callback):
    """Cut a training off in the epoch after the given one."""

    def __init__(self, after):
        self.after = after

    def on_batch_end(self, net, **kwargs):
        if len(net.history) > self.after and kwargs["training"]:
            raise CutError


EPOCHS_BEGUN = []


class Count(Callback):
    """Count epochs, also as a copy: a search clones callbacks."""

    def on_train_begin(self, net, **kwargs):
        EPOCHS_BEGUN.clear()

    def on_epoch_begin(self, net, **kwargs):
        EPOCHS_BEGUN.append(len(net.history))


@functools.cache
def whole(name):
    """Train without a break, and without checkpoints."""
    return outcome(name, fit(name))


def begin(name, folder, after, **params):
    with pytest.raises(CutError):
        fit(name, checkpoint_dir=folder, callbacks=[Cut(after)], **params)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_that_goes_on_equals_one_without_a_break(name, tmp_path):
    begin(name, tmp_path, 3)
    assert outcome(name, fit(name, checkpoint_dir=tmp_path)) == whole(name)


def test_a_training_may_be_cut_off_in_every_epoch(tmp_path):
    name = "dropped and stopped"
    for after in range(1, min(whole(name)["n_iter"], EPOCHS)):
        begin(name, tmp_path, after)
    assert outcome(name, fit(name, checkpoint_dir=tmp_path)) == whole(name)


@pytest.mark.parametrize("name", ["vectors", "stopping", "dropped and stopped"])
def test_a_finished_training_is_given_back_without_an_epoch(name, tmp_path):
    fit(name, checkpoint_dir=tmp_path)
    EPOCHS_BEGUN.append("something")
    again = fit(name, checkpoint_dir=tmp_path, callbacks=[Count()])

    assert EPOCHS_BEGUN == []
    assert outcome(name, again) == whole(name)


def test_only_epochs_after_the_checkpoint_are_trained(tmp_path):
    begin("labels", tmp_path, 4)  # every third epoch has one
    fit("labels", checkpoint_dir=tmp_path, callbacks=[Count()])
    assert len(EPOCHS_BEGUN) == EPOCHS - 3


def test_the_best_epoch_has_a_checkpoint_of_its_own(tmp_path):
    model = fit("stopping", checkpoint_dir=tmp_path, checkpoint_every=1000)
    best = read_checkpoint(folder_in(tmp_path) / BEST)

    assert best["epoch"] == best["stopping"]["epoch"] == model.n_iter_
    weights = model.net_.state()["module"]
    assert all(torch.equal(best["module"][name], weights[name]) for name in weights)
    # It is gone on from where it is further than the last one.
    (folder_in(tmp_path) / LAST).unlink()
    assert outcome("stopping", fit("stopping", checkpoint_dir=tmp_path)) == whole("stopping")


def test_a_checkpoint_holds_tensors_and_primitives_only(tmp_path):
    begin("dropped and stopped", tmp_path, 2)
    header, tensors = read_container(folder_in(tmp_path) / LAST)
    state = read_checkpoint(folder_in(tmp_path) / LAST)

    assert json.loads(json.dumps(header)) == header
    assert header["versions"] == versions()
    assert {"optimizer.state.0.exp_avg", "generators.own"} <= tensors.keys()
    assert state["epoch"] == len(state["history"]) == 2
    assert {"own", "torch"} <= set(state["generators"])
    assert {"module", "criterion", "optimizer", "stopping"} <= set(state)


def test_other_verbosity_callbacks_and_intervals_may_be_asked_for(tmp_path, capsys):
    begin("vectors", tmp_path, 2)
    model = fit("vectors", checkpoint_dir=str(tmp_path), checkpoint_every=2, verbose=1)
    assert outcome("vectors", model) == whole("vectors")
    assert str(EPOCHS) in capsys.readouterr().out


@pytest.mark.parametrize("every", [1, 2])
def test_more_epochs_may_be_asked_for_at_a_constant_rate(every, tmp_path):
    fit("vectors", checkpoint_dir=tmp_path, max_epochs=3, checkpoint_every=every)
    assert outcome("vectors", fit("vectors", checkpoint_dir=tmp_path)) == whole("vectors")
    with pytest.raises(ValueError, match=f"of {EPOCHS} epochs, but max_epochs=2"):
        fit("vectors", checkpoint_dir=tmp_path, max_epochs=2)


def test_more_epochs_begin_anew_where_the_rate_depends_on_them(tmp_path):
    begin("views", tmp_path, 2)
    fit("views", checkpoint_dir=tmp_path, max_epochs=6)

    assert len(list(tmp_path.iterdir())) == 2


def test_fewer_epochs_than_are_done_are_refused(tmp_path):
    fit("views", checkpoint_dir=tmp_path, schedule="constant", max_epochs=3)
    with pytest.raises(ValueError, match="of 3 epochs, but max_epochs=2"):
        fit("views", checkpoint_dir=tmp_path, schedule="constant", max_epochs=2)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_components": 5},
        {"output": "hidden"},
        {"learning_rate": 0.01},
        {"random_state": 1},
        {"encoder": Dropping()},
        {"n_components": 5, "tol": 1},
    ],
    ids=str,
)
def test_other_parameters_have_a_folder_of_their_own(changes, tmp_path):
    begin("vectors", tmp_path, 2)
    before = folder_in(tmp_path)
    content = (before / LAST).read_bytes()
    make("vectors", checkpoint_dir=tmp_path, **changes).fit(VECTORS)

    assert len(list(tmp_path.iterdir())) == 2
    assert (before / LAST).read_bytes() == content


@pytest.mark.parametrize(
    "X",
    [VECTORS[:-1], VECTORS[:, :-1], VECTORS[::-1], IMAGES],
    ids=["rows", "columns", "order", "dtype"],
)
def test_other_data_have_a_folder_of_their_own(X, tmp_path):
    begin("vectors", tmp_path, 2)
    make("vectors", checkpoint_dir=tmp_path).fit(X)

    assert len(list(tmp_path.iterdir())) == 2


def test_other_labels_have_a_folder_of_their_own(tmp_path):
    begin("labels", tmp_path, 3)
    make("labels", checkpoint_dir=tmp_path).fit(IMAGES, np.roll(LABELS, 1))

    assert len(list(tmp_path.iterdir())) == 2


def test_other_samples_of_a_stream_have_a_folder_of_their_own(tmp_path):
    begin("stream", tmp_path, 2)
    other = torch.utils.data.TensorDataset(torch.from_numpy(VECTORS + 1))
    make("stream", checkpoint_dir=tmp_path).fit(other)

    assert len(list(tmp_path.iterdir())) == 2


def test_a_clone_finds_the_checkpoint_of_its_original(tmp_path):
    begin("vectors", tmp_path, 2)
    model = clone(make("vectors", checkpoint_dir=tmp_path, callbacks=[Count()]))
    model.fit(VECTORS)

    assert list(range(3, EPOCHS + 1)) == EPOCHS_BEGUN
    assert outcome("vectors", model) == whole("vectors")
    assert len(list(tmp_path.iterdir())) == 1


def scaled(factor):
    return lambda x, generator: (x * factor,)


def test_functions_are_discriminated_by_their_code_and_their_closure(tmp_path):
    begin("vectors", tmp_path, 2, view=scaled(2.0))
    fit("vectors", checkpoint_dir=tmp_path, view=scaled(3.0))
    assert len(list(tmp_path.iterdir())) == 2
    fit("vectors", checkpoint_dir=tmp_path, view=scaled(2.0))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("make_state", [lambda: None, lambda: np.random.RandomState(3)])
def test_a_training_without_a_fixed_seed_goes_on_with_its_own(make_state, tmp_path):
    begin("vectors", tmp_path / "cut", 2, random_state=make_state())
    shutil.copytree(tmp_path / "cut", tmp_path / "copy")
    ends = [
        outcome("vectors", fit("vectors", checkpoint_dir=folder, random_state=make_state()))
        for folder in (tmp_path / "cut", tmp_path / "copy")
    ]
    assert ends[0] == ends[1]


# --- Whose folder it is ---


class Inner(Callback):
    """Train once more in the same folder while a training is at it."""

    def __init__(self, folder):
        self.folder = folder

    def on_epoch_end(self, net, **kwargs):
        with pytest.raises(RuntimeError, match="is in use: another thread or process trains"):
            fit("vectors", checkpoint_dir=self.folder)


def test_a_second_training_in_a_folder_is_refused(tmp_path):
    model = fit("vectors", checkpoint_dir=tmp_path, callbacks=[Inner(tmp_path)])
    assert outcome("vectors", model) == whole("vectors")


def test_a_search_has_a_folder_for_each_candidate_and_fold(tmp_path):
    model = make("vectors", max_epochs=2, checkpoint_dir=tmp_path)
    grid = {"learning_rate": [1e-3, 1e-2]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(VECTORS)
    folders = sorted(path for path in tmp_path.iterdir() if path.is_dir())

    assert len(folders) == 2 * 2 + 1  # and the best, on all data
    assert all((folder / LAST).exists() for folder in folders)

    model.set_params(callbacks=[Count()])
    EPOCHS_BEGUN.append("something")
    again = GridSearchCV(model, grid, cv=2, error_score="raise").fit(VECTORS)
    assert EPOCHS_BEGUN == []
    assert sorted(path for path in tmp_path.iterdir() if path.is_dir()) == folders
    assert again.best_score_ == search.best_score_


@pytest.mark.usefixtures("forked_workers")
def test_folds_in_processes_have_folders_too(tmp_path):
    pipe = make_pipeline(make("vectors", max_epochs=1, checkpoint_dir=tmp_path))
    with parallel_config("multiprocessing"):
        scores = [cross_validate(pipe, VECTORS, cv=2, n_jobs=n)["test_score"] for n in (2, None)]
    np.testing.assert_array_equal(*scores)
    assert len(list(tmp_path.glob(f"*/{LAST}"))) == 2


def test_a_clone_forgets_nothing_but_what_was_fitted(tmp_path):
    model = fit("vectors", checkpoint_dir=tmp_path)
    assert not hasattr(clone(model), "net_")
    assert clone(model).checkpoint_dir == tmp_path


# --- What is refused ---


def test_a_warm_start_is_refused(tmp_path):
    with pytest.raises(ValueError, match="checkpoint_dir and warm_start=True cannot be combined"):
        fit("vectors", checkpoint_dir=tmp_path, warm_start=True)


@pytest.mark.parametrize("params", [{"checkpoint_dir": 3}, {"checkpoint_every": 0}])
def test_wrong_parameters_are_named(params):
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of DeepInfoMax"):
        fit("vectors", **params)


class Odd(torch.optim.SGD):
    """An optimizer whose state is no tensors and primitives."""

    def state_dict(self):
        return super().state_dict() | {"odd": nn.Identity()}


def test_an_optimizer_that_cannot_be_written_down_is_refused_at_once(tmp_path):
    with pytest.raises(TypeError, match="with Odd, a checkpoint holds more than tensors and prim"):
        fit("vectors", checkpoint_dir=tmp_path, optimizer=Odd)
    assert find_checkpoint(folder_in(tmp_path)) is None


def test_other_versions_are_named(tmp_path, monkeypatch):
    with monkeypatch.context() as then:
        then.setattr(np, "__version__", "9.9")
        begin("vectors", tmp_path, 2)
    with pytest.warns(UserWarning, match=r"was written with numpy 9\.9 \(here: .*Training"):
        fit("vectors", checkpoint_dir=tmp_path)


def test_what_callbacks_note_is_kept_as_far_as_it_can_be(tmp_path):
    class Note(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("mine", {"number": np.float64(1.5), "object": nn})

    fit("vectors", checkpoint_dir=tmp_path, callbacks=[Note()])
    noted = find_checkpoint(folder_in(tmp_path))["history"][0]["mine"]
    assert noted == {"number": 1.5, "object": repr(nn)}


def test_no_parameter_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit("vectors")
    assert list(tmp_path.iterdir()) == []
