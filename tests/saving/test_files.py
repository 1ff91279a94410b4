"""Files replace regular files only, and nothing of the user's is removed beside them."""

import os
import signal
import socket
import stat
import sys

import numpy as np
import pytest

import skdim
from skdim.saving import remove_partial_files, write_atomically
from skdim.training import Checkpoints, find_checkpoint
from skdim.training.checkpoints import BEST, LAST, LOCK

ROWS = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)

unix = pytest.mark.skipif(sys.platform == "win32", reason="a file system of Unix is needed")


@pytest.fixture(scope="module")
def model():
    return skdim.DeepInfoMaxTransformer(
        4, max_epochs=1, batch_size=8, random_state=0, device="cpu"
    ).fit(ROWS)


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


def make_device_link(path):
    path.symlink_to("/dev/zero")


def make_loop(path):
    path.symlink_to(path)


STRANGE = {
    "fifo": (make_fifo, "not a regular file"),
    "socket": (make_socket, "not a regular file"),
    "loop": (make_loop, "symbolic links"),
    "folder": (lambda path: path.mkdir(), "is a directory"),
}

strange = pytest.mark.parametrize(("make", "said"), STRANGE.values(), ids=STRANGE)

# For readers only: a writer that fails to refuse it would destroy a device of the machine.
READ = {"device": (make_device_link, "not a regular file"), **STRANGE}


@unix
@strange
@pytest.mark.parametrize("method", ["save", "to_onnx"])
def test_what_is_not_a_regular_file_is_not_replaced(model, method, make, said, tmp_path):
    path = tmp_path / "model"
    make(path)
    before = os.lstat(path)[:3]

    with pytest.raises(OSError, match=said):
        getattr(model, method)(path)

    assert os.lstat(path)[:3] == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def in_time():
    """Raise an error where opening a FIFO would wait for ever."""

    def end(*args):
        pytest.fail("it waits")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@unix
@pytest.mark.parametrize(("make", "said"), READ.values(), ids=READ)
@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize("name", ["model", LAST, BEST])
def test_what_is_not_a_regular_file_is_not_read(name, make, said, tmp_path):
    make(tmp_path / name)

    with pytest.raises(OSError, match=said):
        skdim.load(tmp_path / name) if name == "model" else find_checkpoint(tmp_path)


def test_a_folder_without_checkpoints_has_none(tmp_path):
    assert find_checkpoint(tmp_path) is None


@unix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o400])
def test_a_file_that_is_replaced_keeps_its_permissions(mode, tmp_path):
    path, link = tmp_path / "model", tmp_path / "link"
    path.write_bytes(b"old")
    path.chmod(mode)
    link.symlink_to(path)

    for name, content in ((path, b"new"), (link, b"newer")):
        write_atomically(name, content)

        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert path.read_bytes() == content


@unix
def test_a_private_file_is_private_while_it_is_written(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.write_bytes(b"old")
    path.chmod(0o600)
    modes = []

    def note(handle):
        modes.extend(stat.S_IMODE(part.stat().st_mode) for part in tmp_path.iterdir())

    monkeypatch.setattr(os, "fsync", note)
    write_atomically(path, b"new")

    assert set(modes) == {0o600}


@unix
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "other").write_bytes(b"")
    write_atomically(tmp_path / "model", b"new")

    assert (tmp_path / "model").stat().st_mode == (tmp_path / "other").stat().st_mode


@unix
@pytest.mark.parametrize("name", ["m" * 255, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 127])
def test_names_may_be_as_long_as_the_file_system_allows(model, name, tmp_path):
    model.save(tmp_path / name)

    np.testing.assert_array_equal(
        skdim.load(tmp_path / name).transform(ROWS), model.transform(ROWS)
    )
    with pytest.raises(OSError, match="too long"):
        model.save(tmp_path / ("m" * 256))


@pytest.mark.parametrize("method", ["save", "to_onnx"])
def test_a_null_character_in_a_path_is_named(model, method, tmp_path):
    path = f"{tmp_path}/a\0b"
    said = r"path must be a path without the null character\. Got '.*a\\x00b'"
    with pytest.raises(ValueError, match=said):
        getattr(model, method)(path)
    with pytest.raises(ValueError, match=said):
        skdim.load(path)


# --- The folder of a training ---


def test_only_what_killed_writers_have_left_is_removed(tmp_path, monkeypatch):
    mine = [tmp_path / ".mine.partial", tmp_path / ".skdim-mine.partial"]
    for path in mine:
        path.write_text("mine")
    for name in (".folder.partial", f".skdim-{16 * '0'}.partial"):
        (tmp_path / name).mkdir()
        mine.append(tmp_path / name)
    with monkeypatch.context() as killed:
        # Nothing of a killed process cleans up.
        killed.setattr("pathlib.Path.replace", lambda *names: None)
        write_atomically(tmp_path / LAST, b"half")
    assert len(list(tmp_path.iterdir())) == len(mine) + 1

    remove_partial_files(tmp_path)

    assert sorted(tmp_path.iterdir()) == sorted(mine)


@unix
def test_a_lock_that_is_a_symbolic_link_overwrites_nothing(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / LOCK).symlink_to(tmp_path / "mine")

    with pytest.raises(OSError, match=LOCK), Checkpoints() as run:
        run.lock(tmp_path)

    assert (tmp_path / "mine").read_text() == "mine"
