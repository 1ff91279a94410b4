"""Saved models that are damaged, of other kinds or in other places, and damaged checkpoints."""

import os
import pickle
import socket
import stat
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from safetensors.torch import save_file

import skdim
from skdim.training.checkpoints import LAST
from tests.reliability.attacks.inputs import small_model
from tests.reliability.attacks.models import draw_data, pick
from tests.reliability.attacks.oracles import Wrong, check_refused, codes_of, quiet, same_bits
from tests.reliability.mutations import FORGERIES, damaged, forged

__all__ = ["checkpoints", "damaged_files", "other_files", "save_to"]

REFUSALS = (ValueError, OSError)


def fitted(rng):
    """Fit a small model; return it with samples and their codes."""
    data = pick(rng, ["vectors", "images", "signals"])
    X, model = draw_data(rng, data), small_model(rng, data)
    if rng.random() < 0.3:
        model = skdim.DeepInfoMaxClassifier(model, random_state=0)
        y = np.arange(len(X)) % 2
    with quiet():
        model = model.fit(X, y) if isinstance(model, skdim.DeepInfoMaxClassifier) else model.fit(X)
        return model, X, codes_of(model, X)


def check_loaded(path, X, codes):
    """Check that a file is read as the model that was saved."""
    with quiet():
        if not same_bits(codes_of(skdim.load(path), X), codes):
            raise Wrong("another model was loaded")


def damaged_files(rng):
    """Read a saved model after a damage: the same model, or an error that names the file."""
    model, X, codes = fitted(rng)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.skdim"
        model.save(path)
        check_loaded(path, X, codes)
        content = path.read_bytes()
        forge = rng.random() < 0.5
        name, other = forged(content, rng, FORGERIES) if forge else damaged(content, rng)
        path.write_bytes(other)
        try:
            check_refused(lambda: skdim.load(path), ["model.skdim"], errors=REFUSALS)
        except Wrong as wrong:
            # What was forged can be a whole file.
            if not str(wrong).startswith("not refused"):
                raise Wrong(f"{name}: {wrong}") from wrong
            if not forge:
                check_loaded(path, X, codes)
            return f"loaded {name}"
    return f"refused {name}"


def make_socket(path):
    """Make a socket; its path is relative, as it must be short."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


def make_sparse(path):
    """Make a file of many zeros that takes no room."""
    with path.open("wb") as file:
        file.truncate(2**36)


def make_sparse_after_header(path):
    """Make a file whose header has its length, before many zeros."""
    text = b'{"a":{"dtype":"U8","shape":[68719476736],"data_offsets":[0,68719476736]}}'
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + 2**36)


def make_zip(path):
    """Make an archive."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data.pkl", b"x")


# How to make what is not a saved model. Devices are only read.
OTHERS = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello, world\n" * 100),
    "zeros": lambda path: path.write_bytes(bytes(1000)),
    "sparse": make_sparse,
    "sparse after a header": make_sparse_after_header,
    "pickle": lambda path: path.write_bytes(pickle.dumps({"a": 1})),
    "torch": lambda path: torch.save({"a": torch.ones(3)}, path),
    "safetensors": lambda path: save_file({"a": torch.ones(3)}, path),
    "arrays": lambda path: np.savez(path.open("wb"), a=np.ones(3)),
    "archive": make_zip,
    "folder": lambda path: path.mkdir(),
    "FIFO": os.mkfifo,
    "socket": make_socket,
    "loop": lambda path: path.symlink_to(path),
    "dangling link": lambda path: path.symlink_to(path.with_name("nothing")),
    "zero device": lambda path: path.symlink_to("/dev/zero"),
    "null device": lambda path: path.symlink_to("/dev/null"),
    "terminal": lambda path: path.symlink_to("/dev/tty"),
    "missing": lambda path: None,
}
NO_PATHS = ["\0", "a\0b", "", None, 3.5, b"\xff\0", ["x"], "x" * 300, object(), "\ud800", -7]


def other_files(rng):
    """Read what is not a saved model."""
    if rng.random() < 0.2:
        value = pick(rng, NO_PATHS)
        words = ["path", "file", "str", "name", "directory", ".*"]
        errors = (*REFUSALS, TypeError)
        check_refused(lambda: skdim.load(value), words, errors=errors)
        return "refused path"
    name = pick(rng, OTHERS)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.skdim"
        OTHERS[name](path)
        check_refused(lambda: skdim.load(path), ["model.skdim"], errors=REFUSALS)
    return f"refused {name}"


PLACES = {
    "folder": lambda path: path.mkdir(),
    "FIFO": os.mkfifo,
    "socket": make_socket,
    "loop": lambda path: path.symlink_to(path),
    "file": lambda path: path.write_bytes(b"old"),
    "private file": lambda path: path.touch(0o600),
    "link to a file": lambda path: path.symlink_to(shared_file(path)),
    "dangling link": lambda path: path.symlink_to(path.with_name("target")),
    "nothing": lambda path: None,
}


def shared_file(path):
    """Make a file that a link is to refer to."""
    target = path.with_name("target")
    target.write_bytes(b"old")
    return target


def save_to(rng):
    """Save to a place: the same model can be read, or an error is raised and nothing changes."""
    model, X, codes = fitted(rng)
    name = pick(rng, PLACES)
    with TemporaryDirectory() as folder:
        names = ["model.skdim", "n" * 255, "ü" * 120, "a b\n.x", "-"]
        # The addresses of sockets are short.
        path = Path(folder) / pick(rng, names[:1] if name == "socket" else names)
        PLACES[name](path)
        if name == "file" and rng.random() < 0.3:
            os.truncate(path, 0)
        before = kinds_in(folder)
        if name in ("folder", "FIFO", "socket", "loop"):
            # A path is quoted by its name.
            check_refused(lambda: model.save(path), [".*"], errors=(OSError,))
            if kinds_in(folder) != before:
                raise Wrong(f"the folder has changed: {before}, {kinds_in(folder)}")
            return f"refused {name}"
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
        model.save(path)
        if mode is not None and stat.S_IMODE(path.stat().st_mode) != mode:
            raise Wrong("the permissions have changed")
        if "link" in name and not path.is_symlink():
            raise Wrong("the link was replaced")
        if len(kinds_in(folder)) > max(len(before), 1) + (name == "dangling link"):
            raise Wrong(f"other files are left: {kinds_in(folder)}")
        check_loaded(path, X, codes)
    return f"held {name}"


def kinds_in(folder):
    """Return the names in a folder and what is there."""
    return {path.name: stat.S_IFMT(path.lstat().st_mode) for path in Path(folder).iterdir()}


CHECKPOINT_OTHERS = [name for name in OTHERS if name != "missing"]


def checkpoints(rng):
    """Train again from a damaged checkpoint: the same codes, or an error that names the file."""
    X = draw_data(rng, "vectors")
    with TemporaryDirectory() as folder:

        def fit():
            return skdim.DeepInfoMaxTransformer(
                3, max_epochs=3, batch_size=8, random_state=0, device="cpu", checkpoint_dir=folder
            ).fit(X)

        with quiet():
            codes = fit().transform(X)
        (path,) = Path(folder).glob(f"*/{LAST}")
        if rng.random() < 0.5:
            name, content = damaged(path.read_bytes(), rng)
            path.write_bytes(content)
        else:
            name = pick(rng, CHECKPOINT_OTHERS)
            path.unlink()
            OTHERS[name](path)
        try:
            check_refused(fit, ["skdim-checkpoint"], errors=REFUSALS)
        except Wrong as wrong:
            if not str(wrong).startswith("not refused"):
                raise Wrong(f"{name}: {wrong}") from wrong
            with quiet():
                if not same_bits(fit().transform(X), codes):
                    raise Wrong(f"other codes after {name}") from wrong
            return f"held {name}"
    return f"refused {name}"
