"""Checkpoints: files of the state of a training, from which it is resumed."""

from pathlib import Path
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Generator, Tensor

from skdim.random import pack_states, unpack_states
from skdim.saving import (
    NotPlainError,
    encode,
    flatten,
    read_container,
    to_bytes,
    unflatten,
    warn_of_versions,
    write_atomically,
)
from skdim.training.stopping import EarlyStopping

__all__ = ["Checkpoints", "find_checkpoint", "pack_checkpoint", "read_checkpoint"]

LAST = "last.skdim-checkpoint"
BEST = "best.skdim-checkpoint"

# What every checkpoint holds.
CONTENT: dict[str, type | tuple[type, ...]] = {
    "parameters": dict,
    "data": dict,
    "entropy": int,
    "n_epochs": int,
    "epoch": int,
    "ended": bool,
    "step": int,
    "module": dict,
    "criterion": dict,
    "optimizer": dict,
    "stopping": (dict, type(None)),
    "history": list,
    "generators": dict,
}

WAY_OUT = "Remove the file to begin anew, or restore a copy of it."


def find_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read the checkpoint of the most epochs.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict or None
        None if there is none.

    Raises
    ------
    ValueError
        If one of the two files is damaged.
    """
    found = [read_checkpoint(folder / name) for name in (LAST, BEST) if (folder / name).exists()]
    return max(found, key=lambda state: (state["epoch"], state["ended"]), default=None)


def pack_checkpoint(state: dict[str, Any]) -> bytes:
    """Return the content of the file of a checkpoint.

    Raises
    ------
    TypeError
        If the state holds anything but tensors and primitives.
    ValueError
        If a tensor is of a type that cannot be saved.
    """
    tree, tensors = flatten(state)
    return to_bytes({"checkpoint": tree}, tensors)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read the file of a checkpoint, tensors on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is damaged, not a checkpoint, or one of a newer skdim.

    Warns
    -----
    VersionWarning
        If it was written with other versions.
    """
    try:
        header, tensors = read_container(path)
        state = read_state(path, header, tensors)
    except ValueError as error:
        raise ValueError(f"{error} {WAY_OUT}") from error
    warn_of_versions(
        f"The checkpoint {str(path)!r}",
        header["versions"],
        "Training goes on, but equals one without a break only where all versions are the same.",
    )
    return state


def read_state(path: Path, header: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return the state that an intact file holds.

    Raises
    ------
    ValueError
        If it is not a checkpoint.
    """
    try:
        state = unflatten(header.get("checkpoint"), tensors)
    except ValueError as error:
        raise ValueError(f"{path} is not a valid checkpoint of skdim: {error}.") from error
    if not isinstance(state, dict) or not isinstance(header.get("versions"), dict):
        raise ValueError(f"{path} is not a checkpoint of skdim.")
    wrong = [
        name
        for name, kind in CONTENT.items()
        if name not in state or not isinstance(state[name], kind)
    ]
    if wrong:
        raise ValueError(
            f"{path} is not a valid checkpoint of skdim: it has no valid {', '.join(wrong)}."
        )
    return state


class Checkpoints(Callback):
    """Write checkpoints at the end of epochs; begin from one where there is one.

    It comes after all other callbacks: it records what they have done to an epoch, and overwrites
    what they do when an interrupted training is resumed.

    Parameters
    ----------
    folder : Path
        It exists, and no other training writes there.
    every : int
        Epochs from one checkpoint to the next.
    run : dict
        What identifies this training: ``parameters``, ``data``, ``entropy``, ``n_epochs``.
    found : dict or None
        The checkpoint to begin from.
    """

    def __init__(
        self, folder: Path, every: int, run: dict[str, Any], found: dict[str, Any] | None
    ) -> None:
        self.folder = folder
        self.every = every
        self.run = run
        self.found = found

    def watch(self, stopping: EarlyStopping | None, *, n_epochs: int) -> None:
        """Set what else belongs to the state of the training.

        Parameters
        ----------
        stopping : EarlyStopping or None
        n_epochs : int
            Epochs of the training, the closed form included.
        """
        self.n_epochs = n_epochs
        self.stopping = stopping

    def on_train_begin(self, net: NeuralNet, X: Any = None, **kwargs: Any) -> None:
        """Take up the training where the checkpoint left it."""
        self.rows = X
        self.generator: Generator = net.generator
        self.written, self.ended = 0, False
        if self.found is not None:
            self.restore(net, self.found)
            self.found = None

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Write a checkpoint, if it is time or this epoch is the best one."""
        epoch = len(net.history)
        is_best = self.stopping is not None and self.stopping.best_epoch_ == epoch
        is_time = epoch % self.every == 0 or epoch == self.n_epochs
        if is_best or is_time:
            self.write(net, [BEST] * is_best + [LAST] * is_time)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Write that a training has ended before its last epoch."""
        if not self.ended and self.written < self.n_epochs:
            self.ended = True
            self.write(net, [LAST])

    def write(self, net: NeuralNet, names: list[str]) -> None:
        """Write the state of the training to one or two files.

        Raises
        ------
        FloatingPointError
            If the training has diverged; earlier checkpoints stay.
        OSError
            If a file cannot be written; what was there stays.
        TypeError
            If the optimizer's state is no tensors and primitives.
        """
        state = self.take(net)
        try:
            net.check_encoder(self.rows)
        finally:
            # A module may draw in evaluation mode too.
            unpack_states(state["generators"], self.generator.device)
        try:
            content = pack_checkpoint(state)
        except (NotPlainError, ValueError) as error:
            raise TypeError(
                f"The training cannot be written: with {type(net.optimizer_).__name__}, a "
                "checkpoint holds more than tensors and primitives. Use another optimizer, or "
                f"checkpoint_dir=None. ({error})"
            ) from error
        for name in names:
            write_atomically(self.folder / name, content)
        self.written = len(net.history)

    def take(self, net: NeuralNet) -> dict[str, Any]:
        """Return the state of the training as tensors and primitives."""
        stopping = self.stopping
        return self.run | {
            "epoch": len(net.history),
            "ended": self.ended,
            "step": net.step,
            **net.state(),
            "optimizer": {} if net.optimizer_ is None else net.optimizer_.state_dict(),
            "stopping": None if stopping is None else stopping.state(),
            "history": [plain(epoch) for epoch in net.history],
            "generators": self.take_generators(),
        }

    def take_generators(self) -> dict[str, Any]:
        """Return the states of all generators that the training draws from."""
        device = self.generator.device
        own = {"device": device.type, "own": self.generator.get_state()}
        return own | pack_states(device)

    def restore(self, net: NeuralNet, state: dict[str, Any]) -> None:
        """Set the training to where a checkpoint left it.

        Raises
        ------
        ValueError
            If its tensors are not those of this training.
        """
        try:
            net.load_state(state)
            if net.optimizer_ is not None:
                net.optimizer_.load_state_dict(state["optimizer"])
            if self.stopping is not None:
                self.stopping.load_state(state["stopping"])
            self.set_generators(state["generators"])
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"The checkpoint in {str(self.folder)!r} does not hold the tensors of this "
                f"training: {error}"
            ) from error
        net.history.extend(state["history"])
        self.written, self.ended = state["epoch"], state["ended"]
        net.step = net.n_steps if self.ended else state["step"]

    def set_generators(self, states: dict[str, Any]) -> None:
        """Set all generators; those of another kind of device are left as they are."""
        if states["device"] == self.generator.device.type:
            self.generator.set_state(states["own"])
            unpack_states(states, self.generator.device)


def plain(value: Any) -> Any:
    """Return what callbacks recorded in the history, and the ``repr`` of what cannot be saved."""
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float | Tensor):
        return value
    try:
        encode(value)
    except NotPlainError:
        return repr(value)
    return value
