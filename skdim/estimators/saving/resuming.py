"""Where a training is written down, and whether it is the one that was begun there."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from skdim.estimators.saving.fingerprints import (
    describe_data,
    describe_parameters,
    digest_of,
    short,
)
from skdim.files import AlreadyLockedError, locked, remove_partial_files
from skdim.inputs import Rows
from skdim.training import Checkpoints, EncoderNet, choose_net, find_checkpoint

__all__ = ["Run", "check_checkpoints"]

LOCK = "lock"


def check_checkpoints(estimator: Any) -> None:
    """Raise an error for settings with which a training cannot be written down.

    Raises
    ------
    ValueError
        If it would go on from another one, or be one of several processes.
    """
    if estimator.checkpoint_dir is None:
        return
    if estimator.warm_start:
        raise ValueError(
            "checkpoint_dir and warm_start=True do not go together: a checkpoint is of one "
            "training from its beginning, a warm start goes on from another. Use warm_start=False, "
            "or checkpoint_dir=None and save between the trainings."
        )
    if choose_net(estimator.device) is not EncoderNet:
        raise ValueError(
            "checkpoint_dir is for trainings on one process, but device='accelerate' trains on "
            "several. Use checkpoint_dir=None there."
        )


class Run(ExitStack):
    """One training, from the lock on its folder to the end; left, it gives the lock back."""

    checkpoints: Checkpoints | None = None

    def start(
        self, estimator: Any, rows: Rows, epochs: int, seed: int, *, apart: bool = False
    ) -> int:
        """Find the checkpoints of a training, and lock their folder from now on.

        Parameters
        ----------
        estimator : object
        rows : Rows
            What is trained on.
        epochs : int
        seed : int
            What a training that begins now is seeded by.
        apart : bool, default=False
            Whether the training has a subfolder of its own, named by its fingerprint.

        Returns
        -------
        int
            The seed, or that of the training which goes on.

        Raises
        ------
        ValueError
            If another training was begun there, or its checkpoint is damaged.
        RuntimeError
            If another training goes on there.
        """
        if estimator.checkpoint_dir is None:
            return seed
        run: dict[str, Any] = {
            "parameters": describe_parameters(estimator),
            "data": describe_data(rows, getattr(estimator, "classes_", None)),
            "entropy": seed,
            "n_epochs": epochs,
        }
        folder = Path(estimator.checkpoint_dir)
        if apart:
            folder /= fingerprint(run, estimator.random_state)
        folder.mkdir(parents=True, exist_ok=True)
        self.hold(folder)
        found = find_checkpoint(folder)
        if found is not None:
            check_same(found, run, folder)
            run["entropy"] = found["entropy"]
        self.checkpoints = Checkpoints(folder, estimator.checkpoint_every, run, found)
        return int(run["entropy"])

    def hold(self, folder: Path) -> None:
        """Lock a folder, and tidy it."""
        try:
            self.enter_context(locked(folder / LOCK))
        except AlreadyLockedError as error:
            raise RuntimeError(
                f"checkpoint_dir={str(folder)!r} is in use: {error} trains there. Wait until it "
                "has ended, or give this training a folder of its own."
            ) from None
        remove_partial_files(folder)


def fingerprint(run: dict[str, Any], random_state: Any) -> str:
    """Name a training by its data and parameters."""
    said = [f"{name}={text}" for part in ("parameters", "data") for name, text in run[part].items()]
    if isinstance(random_state, np.random.RandomState):
        said.append(str(run["entropy"]))
    return short(digest_of(*said, str(run["n_epochs"])))


def check_same(found: dict[str, Any], run: dict[str, Any], folder: Path) -> None:
    """Raise an error if the training was one of other data or parameters.

    Raises
    ------
    ValueError
        Naming what differs.
    """
    differences = [
        f"{name} (was {found[part].get(name)}, is {run[part].get(name)})"
        for part in ("parameters", "data")
        for name in {**found[part], **run[part]}
        if found[part].get(name) != run[part].get(name)
    ]
    if differences:
        raise ValueError(
            f"checkpoint_dir={str(folder)!r} holds a training that differs in "
            f"{', '.join(differences)}. Go on with the same data and parameters, or give another "
            "folder to begin anew."
        )
    check_epochs(found, run, folder)


def check_epochs(found: dict[str, Any], run: dict[str, Any], folder: Path) -> None:
    """Raise an error for a number of epochs with which the training cannot be continued.

    Raises
    ------
    ValueError
        If the learning rate depends on the number, or more epochs are done.
    """
    was, now, schedule = found["n_epochs"], run["n_epochs"], run["parameters"]["schedule"]
    if was == now:
        return
    beginning = f"checkpoint_dir={str(folder)!r} holds a training of max_epochs={was}, not {now}"
    if schedule != "'constant'":
        raise ValueError(
            f"{beginning}. With schedule={schedule} each learning rate depends on that number, so "
            "that the epochs behind it cannot be gone on from. Give the same max_epochs, or "
            "another folder to begin anew."
        )
    if now < found["epoch"]:
        raise ValueError(
            f"{beginning}, and {found['epoch']} epochs are done. Give at least as many, or another "
            "folder to begin anew."
        )
