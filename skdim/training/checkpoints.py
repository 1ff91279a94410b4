"""Checkpoints: files from which a training is resumed."""

from pathlib import Path
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Generator, Tensor

from skdim.inputs import Samples
from skdim.parameters import LONGEST_ERROR, Rule, any_of, boolean, cut, instance, integer, none
from skdim.random import pack_states, unpack_states
from skdim.saving import (
    NotPlainError,
    check_regular,
    encode,
    flatten,
    open_container,
    to_bytes,
    unflatten,
    warn_of_versions,
    write_atomically,
)
from skdim.training.callbacks import EarlyStopping

__all__ = ["Checkpoints", "find_checkpoint", "pack_checkpoint", "read_checkpoint"]

LAST = "last.skdim-checkpoint"
BEST = "best.skdim-checkpoint"

A_DICT = instance("a dict", dict)

# What every checkpoint holds.
CONTENT: dict[str, Rule] = {
    "parameters": A_DICT,
    "data": A_DICT,
    "entropy": integer(0),
    "n_epochs": integer(0),
    "epoch": integer(1),
    "ended": boolean(),
    "step": integer(0, 2**63 - 1),
    "module": A_DICT,
    "criterion": A_DICT,
    "optimizer": A_DICT,
    "stopping": any_of(A_DICT, none()),
    "history": Rule(
        "a list of epochs",
        lambda v: (
            isinstance(v, list)
            and all(
                isinstance(epoch, dict) and isinstance(epoch.get("loss"), int | float)
                for epoch in v
            )
        ),
    ),
    "generators": A_DICT,
}

WAY_OUT = "Remove the file to begin anew, or restore a copy of it."


def find_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read the checkpoint of the latest epoch in a folder; None if there is none.

    Raises
    ------
    ValueError
        If a file is damaged.
    OSError
        If it is not a regular file.
    """
    paths = [folder / name for name in (LAST, BEST)]
    found = [read_checkpoint(path) for path in paths if check_regular(path) is not None]
    return max(found, key=lambda state: (state["epoch"], state["ended"]), default=None)


def pack_checkpoint(state: dict[str, Any]) -> bytes:
    """Return the content of a checkpoint file.

    Raises
    ------
    TypeError
        If the state does not consist of tensors and primitives.
    ValueError
        If the dtype of a tensor cannot be saved.
    """
    tree, tensors = flatten(state)
    return to_bytes({"checkpoint": tree}, tensors)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint file, tensors on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, not a checkpoint, or of a newer skdim.

    Warns
    -----
    VersionWarning
        If it was written with other versions.
    """
    try:
        with open_container(path) as (header, stored, check):
            # Without numbers first: what is not a checkpoint takes no memory.
            read_state(
                path,
                header,
                {n: torch.empty(t.shape, dtype=t.dtype, device="meta") for n, t in stored.items()},
            )
            check()
            state = read_state(path, header, {name: t.read() for name, t in stored.items()})
    except ValueError as error:
        raise ValueError(f"{error} {WAY_OUT}") from error
    warn_of_versions(
        f"The checkpoint {str(path)!r}",
        header["versions"],
        "Training goes on, but equals one without a break only where all versions are the same.",
    )
    return state


def read_state(path: Path, header: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return the state in an intact file; raise a ValueError if it is not a checkpoint."""
    try:
        state = unflatten(header.get("checkpoint"), tensors)
    except ValueError as error:
        raise ValueError(f"{path} is not a valid checkpoint of skdim: {error}.") from error
    if not isinstance(state, dict) or not isinstance(header.get("versions"), dict):
        raise ValueError(f"{path} is not a checkpoint of skdim.")
    wrong = [
        name for name, rule in CONTENT.items() if name not in state or not rule.holds(state[name])
    ]
    if not wrong and len(state["history"]) != state["epoch"]:
        wrong = ["history"]
    if wrong:
        raise ValueError(
            f"{path} is not a valid checkpoint of skdim: it has no valid {', '.join(wrong)}."
        )
    return state


class Checkpoints(Callback):
    """Write checkpoints at the end of epochs, and resume from one.

    It must come after all other callbacks, whose changes to the history it records, and whose
    state it overwrites when it resumes.

    Parameters
    ----------
    folder : Path
        An existing folder that no other training uses.
    every : int
        Epochs between checkpoints.
    run : dict
        What identifies this training: ``parameters``, ``data``, ``entropy``, ``n_epochs``.
    found : dict or None
        The checkpoint to resume from.

    Attributes
    ----------
    stopping : EarlyStopping or None
        Set before the training, if it may stop early.
    """

    def __init__(
        self, folder: Path, every: int, run: dict[str, Any], found: dict[str, Any] | None
    ) -> None:
        self.folder = folder
        self.every = every
        self.run = run
        self.found = found
        self.n_epochs = max(run["n_epochs"], 1)  # The closed form alone counts as one.
        self.stopping: EarlyStopping | None = None

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
        """Write the state of the training to one or two files.

        Raises
        ------
        FloatingPointError
            If the training has diverged; earlier checkpoints are kept.
        OSError
            If a file cannot be written; the earlier one is kept.
        TypeError
            If the state of the optimizer does not consist of tensors and primitives.
        """
        state = self.take(net)
        try:
            net.check_encoder(self.rows)
        finally:
            # A module may draw in evaluation mode.
            unpack_states(state["generators"], self.generator.device)
        try:
            content = pack_checkpoint(state)
        except (NotPlainError, ValueError) as error:
            raise TypeError(
                f"The checkpoint cannot be written: with {type(net.optimizer_).__name__}, a "
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
            "generators": {
                "device": self.generator.device.type,
                "own": self.generator.get_state(),
                **pack_states(self.generator.device),
            },
        }

    def restore(self, net: NeuralNet, state: dict[str, Any]) -> None:
        """Set the state of the training; raise a ValueError if it is that of another one."""
        try:
            if state["step"] > net.n_steps:
                raise ValueError(f"it has {state['step']} steps of {net.n_steps}")
            if self.stopping is not None:
                self.stopping.load_state(state["stopping"])
                if self.stopping.best_state_ is not None:
                    net.load_state(self.stopping.best_state_)  # Raise now rather than at the end.
            net.load_state(state)
            if net.optimizer_ is not None:
                net.optimizer_.load_state_dict(state["optimizer"])
            generators = state["generators"]
            # The states of another kind of device cannot be used.
            if generators["device"] == self.generator.device.type:
                self.generator.set_state(generators["own"])
                unpack_states(generators, self.generator.device)
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"The checkpoint in {str(self.folder)!r} does not hold the tensors of this "
                f"training: {cut(str(error), LONGEST_ERROR)}"
            ) from error
        net.history.extend(state["history"])
        self.written, self.ended = state["epoch"], state["ended"]
        net.step = net.n_steps if self.ended else state["step"]


def plain(value: Any) -> Any:
    """Return a value of the history with the ``repr`` of what cannot be saved."""
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
