"""Whatever cuts a training off, the last whole checkpoint is there (rows 34 to 36, 50, 53, 55)."""

import errno
import os
import pickle
import signal
import time

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skdim.saving import FORMAT, remove_partial_files, write_atomically
from skdim.training import Checkpoints, find_checkpoint
from skdim.training.checkpoints import LAST, pack_checkpoint
from tests.reliability import kills
from tests.reliability.mutations import PICKLE_THAT_CALLS, open_up, seal
from tests.reliability.trainings import VECTORS, fit, folder_in, make, outcome

pytestmark = pytest.mark.faults

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")
NAME = "vectors"


@pytest.fixture(scope="module")
def whole():
    return outcome(NAME, fit(NAME))


class At(Callback):
    """Do something at the end of an epoch."""

    def __init__(self, epoch, action):
        self.epoch = epoch
        self.action = action

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            self.action(net)


def raising(error):
    def action(net):
        raise error

    return action


def assert_unfitted(model):
    assert not [name for name in vars(model) if name.endswith("_")]
    assert not model.__sklearn_is_fitted__()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, StopIteration, SystemExit])
def test_an_error_in_a_callback_leaves_the_checkpoint_before_it(error, tmp_path, whole):
    model = make(NAME, checkpoint_dir=tmp_path, callbacks=[At(3, raising(error("mine")))])
    with pytest.raises(error, match="mine"):
        model.fit(VECTORS)

    assert_unfitted(model)
    assert find_checkpoint(folder_in(tmp_path))["epoch"] == 2
    assert outcome(NAME, fit(NAME, checkpoint_dir=tmp_path)) == whole


@pytest.mark.parametrize("value", [np.nan, 1e30])
def test_weights_that_are_lost_reach_no_checkpoint(value, tmp_path, whole):
    def spoil(net):
        with torch.no_grad():
            list(net.module_.parameters())[-1][0] = value

    model = make(NAME, checkpoint_dir=tmp_path, callbacks=[At(3, spoil)])
    with pytest.raises(FloatingPointError, match="diverged in epoch 3: largest code"):
        model.fit(VECTORS)

    assert_unfitted(model)
    assert find_checkpoint(folder_in(tmp_path))["epoch"] == 2
    assert outcome(NAME, fit(NAME, checkpoint_dir=tmp_path)) == whole


@forks
@pytest.mark.usefixtures("ctrl_c_raises")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_a_whole_checkpoint_and_no_lock(number, tmp_path, whole):
    def send(net):
        os.kill(os.getpid(), number)
        time.sleep(60)

    child = kills.fork(lambda: fit(NAME, checkpoint_dir=tmp_path, callbacks=[At(3, send)]))
    _, status = os.waitpid(child, 0)

    assert status != 0
    assert find_checkpoint(folder_in(tmp_path))["epoch"] == 2
    assert outcome(NAME, fit(NAME, checkpoint_dir=tmp_path)) == whole


@pytest.mark.slow
@forks
def test_trainings_killed_at_random_points_go_on_to_the_same():
    summary = kills.run(12, seed=1)
    assert summary["kills"] >= 12
    assert summary["details"] == []


@forks
def test_a_training_in_another_process_holds_the_folder(tmp_path):
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)

    def hold(net):
        os.write(writing, b"held")
        time.sleep(60)

    child = kills.fork(lambda: fit(NAME, checkpoint_dir=tmp_path, callbacks=[At(1, hold)]))
    try:
        assert os.read(reading, 4) == b"held"
        model = make(NAME, checkpoint_dir=tmp_path)
        with pytest.raises(RuntimeError, match="is in use: another thread or process trains there"):
            model.fit(VECTORS)
        assert_unfitted(model)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)
    fit(NAME, checkpoint_dir=tmp_path)  # No stale lock is in the way.


# --- A full disk ---


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_full_disk_leaves_the_checkpoint_before_it(name, tmp_path, monkeypatch, whole):
    def fill(net):
        def fail(*args, **kwargs):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, name, fail)

    model = make(NAME, checkpoint_dir=tmp_path, callbacks=[At(3, fill)])
    with pytest.raises(OSError, match="No space left"):
        model.fit(VECTORS)
    monkeypatch.undo()

    assert_unfitted(model)
    assert sorted(path.name for path in folder_in(tmp_path).iterdir()) == [LAST, "lock"]
    assert find_checkpoint(folder_in(tmp_path))["epoch"] == 2
    assert outcome(NAME, fit(NAME, checkpoint_dir=tmp_path)) == whole


def test_a_file_is_old_or_new_and_nothing_else_is_left(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    monkeypatch.undo()
    write_atomically(path, memoryview(b"new"))
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "file", b"new")


def test_what_killed_writers_have_left_is_removed(tmp_path):
    fit(NAME, checkpoint_dir=tmp_path, max_epochs=1)
    folder = folder_in(tmp_path)
    (folder / ".skdim-0123456789abcdef.partial").write_bytes(b"half")
    (folder / "mine.txt").write_text("mine")
    fit(NAME, checkpoint_dir=tmp_path, max_epochs=1)
    assert sorted(path.name for path in folder.iterdir()) == [LAST, "lock", "mine.txt"]
    remove_partial_files(folder)


def test_a_lock_is_held_once_and_given_back(tmp_path):
    with Checkpoints() as one:
        one.lock(tmp_path)
        for folder in (tmp_path, tmp_path / "."):
            with pytest.raises(RuntimeError, match="is in use"), Checkpoints() as other:
                other.lock(folder)
    with Checkpoints() as again:
        again.lock(tmp_path)


@forks
def test_a_forked_process_neither_holds_nor_gives_back_a_lock(tmp_path):
    held = Checkpoints()
    held.lock(tmp_path)
    ending = kills.fork(held.close)
    os.waitpid(ending, 0)
    with pytest.raises(RuntimeError, match="is in use"), Checkpoints() as other:
        other.lock(tmp_path)

    child = kills.fork(lambda: time.sleep(60))
    try:
        held.close()
        with Checkpoints() as other:
            other.lock(tmp_path)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@forks
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_said(number, tmp_path, monkeypatch):
    import fcntl  # noqa: PLC0415 - not on every system

    def fail(handle, how):
        raise OSError(number, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.warns(UserWarning, match="has no locks"), Checkpoints() as run:
        run.lock(tmp_path)


# --- Damaged checkpoints ---


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    checkpoint_dir = tmp_path_factory.mktemp("run")
    fit(NAME, checkpoint_dir=checkpoint_dir)
    return folder_in(checkpoint_dir)


@pytest.fixture(scope="module")
def content(written):
    return (written / LAST).read_bytes()


@pytest.fixture
def folder(written, tmp_path):
    """A folder in which the same training looks for checkpoints."""
    (tmp_path / written.name).mkdir()
    return tmp_path / written.name


def refuse(folder, content, said):
    """See that a file is refused, and left as it was."""
    (folder / LAST).write_bytes(content)
    model = make(NAME, checkpoint_dir=folder.parent)
    with pytest.raises(ValueError, match=said):
        model.fit(VECTORS)
    assert_unfitted(model)
    assert (folder / LAST).read_bytes() == content


@pytest.mark.parametrize("tenths", range(10))
def test_a_truncated_checkpoint_is_refused(tenths, content, folder):
    said = "is damaged, or not a file of skdim.* Remove the file to start again"
    refuse(folder, content[: len(content) * tenths // 10], said)


@pytest.mark.parametrize("share", np.linspace(0, 0.9999, 9))
def test_a_flipped_bit_is_refused(share, content, folder):
    spoilt = bytearray(content)
    spoilt[int(share * len(content))] ^= 4
    refuse(folder, spoilt, "is damaged.* Remove the file to start again")


def test_a_flipped_bit_of_a_tensor_is_found_by_the_digest(content, folder):
    refuse(folder, content[:-1] + bytes([content[-1] ^ 4]), "is damaged: .* SHA-256")


@pytest.mark.parametrize("other", [b"", b"text", pickle.dumps({"epoch": 3}), bytes(2000)])
def test_other_files_are_refused(other, folder):
    refuse(folder, other, "is damaged, or not a file of skdim|is a safetensors file of another")


EXECUTED = []


class Payload:
    """Executes something when it is unpickled."""

    def __reduce__(self):
        return EXECUTED.append, (True,)


def test_nothing_is_executed(content, folder):
    for other in (pickle.dumps(Payload()), PICKLE_THAT_CALLS, content + pickle.dumps(Payload())):
        refuse(folder, other, "is damaged")
    header, tensors = open_up(content)
    header["checkpoint"] = {"callable": "os.system"}
    refuse(folder, seal(header, tensors), "is not a valid checkpoint of skdim")
    assert EXECUTED == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"format": FORMAT + 1, "versions": {"skdim": "7.0"}},
            rf"has format {FORMAT + 1}, written by skdim 7\.0.*newer",
        ),
        ({"format": "other"}, "does not state which format"),
        ({"versions": 3}, "is not a checkpoint of skdim"),
        ({"checkpoint": {"tensor": ["none"]}}, r"is not a valid checkpoint of skdim\. .*'none'"),
        ({"checkpoint": {"tensor": ["generators.own", 1]}}, "is not a valid checkpoint of skdim"),
        ({"checkpoint": "text"}, "is not a checkpoint of skdim"),
    ],
)
def test_whole_files_of_another_kind_are_refused(changes, said, content, folder):
    header, tensors = open_up(content)
    refuse(folder, seal(header | changes, tensors), said)


def test_a_saved_transformer_is_not_a_checkpoint(folder):
    fit(NAME).save(folder / "model.skdim")
    saved = (folder / "model.skdim").read_bytes()
    refuse(folder, saved, "is not a checkpoint of skdim")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"history": 3}, "has no valid history"),
        ({"epoch": "3", "module": None}, "has no valid module, epoch"),
        ({"module": {}}, r"does not hold the tensors of this training: [\s\S]*Missing key"),
        ({"optimizer": {}}, "does not hold the tensors of this training"),
        ({"generators": {}}, "does not hold the tensors of this training"),
        ({"generators": {"device": "cpu", "own": torch.zeros(3)}}, "does not hold the tensors"),
    ],
)
def test_whole_files_of_a_wrong_content_are_refused(changes, said, content, folder):
    (folder / LAST).write_bytes(content)
    state = find_checkpoint(folder)
    refuse(folder, pack_checkpoint(state | changes), said)


def test_a_folder_that_is_a_file_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="file"):
        fit(NAME, checkpoint_dir=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
