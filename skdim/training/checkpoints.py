"""Write checkpoints of a training to its folder, and resume from them."""

import errno
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import torch
from filelock import FileLock, Timeout
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Generator, Tensor

from skdim.inputs import Samples
from skdim.parameters import MAX_ERROR_LENGTH, cut, is_integer, warn_user
from skdim.random import pack_states, unpack_states
from skdim.saving import (
    EncodeError,
    check_regular,
    describe_training,
    encode,
    flatten,
    open_container,
    remove_partial_files,
    to_bytes,
    unflatten,
    warn_of_versions,
    write_atomically,
)
from skdim.training.callbacks import EarlyStopping
from skdim.training.distributed import is_shared

LAST = "last.skdim-checkpoint"
BEST = "best.skdim-checkpoint"
LOCK = "lock"

# Errors of file systems without locks.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}

DICTS = ("parameters", "data", "module", "criterion", "optimizer", "generators")


def find_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read the checkpoint of the latest epoch in a folder; None if there is none.

    A ValueError is raised if a file is damaged, an OSError if it is not a regular file.
    """
    paths = [folder / name for name in (LAST, BEST)]
    found = [read_checkpoint(path) for path in paths if check_regular(path) is not None]
    return max(found, key=lambda state: (state["epoch"], state["ended"]), default=None)


def pack_checkpoint(state: dict[str, Any]) -> bytes:
    """Return the content of a checkpoint file.

    EncodeError is raised for values that cannot be encoded, a ValueError for tensors of dtypes that
    cannot be saved.
    """
    tree, tensors = flatten(state)
    return to_bytes({"checkpoint": tree}, tensors)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint file, tensors on the CPU; warn of other versions.

    A ValueError is raised if it is damaged, not a checkpoint, or of a newer skdim.
    """
    try:
        with open_container(path) as (header, stored, check):
            # Without memory first, in case it is not a checkpoint.
            empty = {
                name: torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
                for name, tensor in stored.items()
            }
            read_state(path, header, empty)
            check()
            tensors = {name: tensor.read() for name, tensor in stored.items()}
            state = read_state(path, header, tensors)
    except ValueError as error:
        raise ValueError(
            f"{error} Remove the file to start again, or restore a copy of it."
        ) from error
    warn_of_versions(
        f"The checkpoint {str(path)!r}",
        header["versions"],
        "Training is resumed, but the result may differ from that of an uninterrupted training.",
    )
    return state


def read_state(path: Path, header: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return the state in a file; raise a ValueError if it is not a checkpoint."""
    encoded = header.get("checkpoint")
    if not isinstance(encoded, dict) or not isinstance(header.get("versions"), dict):
        raise ValueError(f"{path} is not a checkpoint of skdim.")
    try:
        state = unflatten(encoded, tensors)
    except ValueError as error:
        raise ValueError(f"{path} is not a valid checkpoint of skdim. {error}.") from error
    content = check_content(state if isinstance(state, dict) else {})
    invalid = ", ".join(name for name, valid in content.items() if not valid)
    if invalid:
        raise ValueError(f"{path} is not a valid checkpoint of skdim: it has no valid {invalid}.")
    return dict(state)


def check_content(state: Mapping[str, Any]) -> dict[str, bool]:
    """Return which parts of a state are valid."""
    history = state.get("history")
    return {
        **{name: isinstance(state.get(name), dict) for name in DICTS},
        **{name: is_integer(state.get(name), 0) for name in ("entropy", "n_epochs")},
        "epoch": is_integer(state.get("epoch"), 1),
        "ended": isinstance(state.get("ended"), bool),
        "step": is_integer(state.get("step"), 0, 2**63 - 1),
        "stopping": isinstance(state.get("stopping"), dict | None),
        "history": isinstance(history, list)
        and len(history) == state.get("epoch")
        and all(isinstance(epoch, dict) for epoch in history)
        and all(isinstance(epoch.get("loss"), int | float) for epoch in history),
    }


class Checkpoints(ExitStack, Callback):
    """Callback that writes checkpoints, and context manager that locks their folder.

    It must be the last callback: it records the changes of others to the history, and overwrites
    their state when it resumes.

    Attributes
    ----------
    stopping : EarlyStopping or None
        Set before the training, if it may stop early.
    """

    stopping: EarlyStopping | None = None

    @classmethod
    def of(cls, estimator: Any) -> Self:
        """Create the callback; raise a ValueError if the estimator does not support checkpoints."""
        if estimator.warm_start:
            raise ValueError(
                "checkpoint_dir and warm_start=True cannot be combined: a checkpoint belongs to "
                "one training from its start, and a warm start continues another. Use "
                "warm_start=False, or checkpoint_dir=None and save between the trainings."
            )
        if is_shared(estimator.device):
            raise ValueError(
                "checkpoint_dir is for trainings on one process, but device='accelerate' trains on "
                "several. Use checkpoint_dir=None there."
            )
        return cls()

    def start(self, estimator: Any, rows: Samples, epochs: int, seed: int) -> int:
        """Lock the folder of a training, read its checkpoint, and return the seed to use.

        The folder is a subfolder of ``checkpoint_dir``, named by a fingerprint of the parameters
        and the data, so that a clone has the same one. The seed is the given one, or that of the
        checkpoint. A ValueError is raised if the checkpoint is damaged or of more epochs, a
        RuntimeError if another training uses the folder.
        """
        name, description = describe_training(estimator, rows, epochs, seed)
        self.folder = Path(estimator.checkpoint_dir) / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock(self.folder)
        self.every = estimator.checkpoint_every
        self.n_epochs = max(epochs, 1)  # The closed form alone counts as one epoch.
        self.found = find_checkpoint(self.folder)
        if self.found is not None:
            seed = self.found["entropy"]
            if self.found["epoch"] > self.n_epochs:
                raise ValueError(
                    f"{str(self.folder)!r} holds the checkpoint of a training of "
                    f"{self.found['epoch']} epochs, but max_epochs={epochs}. Use at least as "
                    "many, or another checkpoint_dir."
                )
        self.run = {**description, "entropy": seed, "n_epochs": epochs}
        return int(seed)

    def lock(self, folder: Path) -> None:
        """Lock a folder, and remove temporary files of killed trainings.

        The system releases the lock when this process ends, even if it is killed. RuntimeError is
        raised if another thread or process holds it; on file systems without locks, that is not
        detected.
        """
        try:
            self.enter_context(FileLock(folder / LOCK).acquire(blocking=False))
        except Timeout:
            raise RuntimeError(
                f"checkpoint_dir={str(folder)!r} is in use: another thread or process trains "
                "there. Wait until it has ended, or use another folder."
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            warn_user(
                f"The file system of {str(folder)!r} has no locks: a second training in the same "
                "folder is not detected.",
            )
        remove_partial_files(folder)

    def on_train_begin(self, net: NeuralNet, X: Samples | None = None, **kwargs: Any) -> None:
        """Resume the training from the checkpoint."""
        self.rows = X
        self.generator: Generator = net.generator
        self.written, self.ended = 0, False
        if self.found is not None:
            self.restore(net, self.found)
            self.found = None

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Write a checkpoint every few epochs, and for the best epoch."""
        epoch = len(net.history)
        is_best = self.stopping is not None and self.stopping.best_epoch_ == epoch
        is_time = epoch % self.every == 0 or epoch == self.n_epochs
        if is_best or is_time:
            self.write(net, [BEST] * is_best + [LAST] * is_time)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Write a checkpoint of a training that ended before its last epoch."""
        if not self.ended and self.written < self.n_epochs:
            self.ended = True
            self.write(net, [LAST])

    def write(self, net: NeuralNet, names: list[str]) -> None:
        """Write the state of the training to one or two files; after an error, they are unchanged.

        FloatingPointError is raised if the training has diverged, TypeError if the state of the
        optimizer has more than tensors and primitives.
        """
        state = self.get_state(net)
        try:
            net.check_encoder(self.rows)
        finally:
            # A module may draw random numbers in evaluation mode.
            unpack_states(state["generators"], self.generator.device)
        try:
            content = pack_checkpoint(state)
        except (EncodeError, ValueError) as error:
            raise TypeError(
                f"The checkpoint cannot be written: with {type(net.optimizer_).__name__}, a "
                "checkpoint holds more than tensors and primitives. Use another optimizer, or "
                f"checkpoint_dir=None. ({error})"
            ) from error
        for name in names:
            write_atomically(self.folder / name, content)
        self.written = len(net.history)

    def get_state(self, net: NeuralNet) -> dict[str, Any]:
        """Return the state of the training as tensors and primitives."""
        return self.run | {
            "epoch": len(net.history),
            "ended": self.ended,
            "step": net.step,
            **net.state(),
            "optimizer": {} if net.optimizer_ is None else net.optimizer_.state_dict(),
            "stopping": None if self.stopping is None else self.stopping.state(),
            "history": storable(net.history),
            "generators": {
                "device": self.generator.device.type,
                "own": self.generator.get_state(),
                **pack_states(self.generator.device),
            },
        }

    def restore(self, net: NeuralNet, state: dict[str, Any]) -> None:
        """Set the state of the training; raise a ValueError if it belongs to another one."""
        try:
            if state["step"] > net.n_steps:
                raise ValueError(f"it has {state['step']} steps of {net.n_steps}")
            if self.stopping is not None:
                self.stopping.load_state(state["stopping"])
                if self.stopping.best_state_ is not None:
                    net.load_state(self.stopping.best_state_)  # Raise here, not at the end.
            net.load_state(state)
            if net.optimizer_ is not None:
                net.optimizer_.load_state_dict(state["optimizer"])
            generators = state["generators"]
            # States of generators of another device type cannot be used.
            if generators["device"] == self.generator.device.type:
                self.generator.set_state(generators["own"])
                unpack_states(generators, self.generator.device)
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"The checkpoint in {str(self.folder)!r} does not hold the tensors of this "
                f"training: {cut(str(error), MAX_ERROR_LENGTH)}"
            ) from error
        net.history.extend(state["history"])
        self.written, self.ended = state["epoch"], state["ended"]
        net.step = net.n_steps if self.ended else state["step"]


def storable(value: Any) -> Any:
    """Return a value of the history, with the ``repr`` of what cannot be saved."""
    if isinstance(value, dict):
        return {str(name): storable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [storable(part) for part in value]
    if not isinstance(value, Tensor):
        try:
            encode(value)
        except EncodeError:
            return repr(value)
    return value
