"""The folder of the checkpoints of a training, and whether they are of the same training."""

import errno
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from skdim.inputs import Samples
from skdim.parameters import stacklevel_of_user
from skdim.saving import (
    describe_data,
    describe_parameters,
    fingerprint,
    remove_partial_files,
)
from skdim.training import Checkpoints, EncoderNet, choose_net, find_checkpoint

__all__ = ["Run", "open_run"]

LOCK = "lock"

# Errors of file systems without locks.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def open_run(estimator: Any) -> "Run":
    """Return a training that can be written down.

    Raises
    ------
    ValueError
        If it would go on from another one, or be one of several processes.
    """
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
    return Run()


class Run(ExitStack):
    """One training; it holds the lock of its folder until the context is left."""

    checkpoints: Checkpoints

    def start(self, estimator: Any, rows: Samples, epochs: int, seed: int) -> int:
        """Find the checkpoints of a training, and lock their folder from now on.

        The folder is a subfolder of ``checkpoint_dir``, named by a fingerprint of the parameters
        and the data: whoever trains, a transformer or a clone of it, finds the same one.

        Parameters
        ----------
        estimator : object
        rows : Samples
            What is trained on.
        epochs : int
        seed : int
            What a training that begins now is seeded by.

        Returns
        -------
        int
            The seed, or that of the training which goes on.

        Raises
        ------
        ValueError
            If the checkpoint is damaged, or of more epochs.
        RuntimeError
            If another training goes on there.
        """
        run: dict[str, Any] = {
            "parameters": describe_parameters(estimator),
            "data": describe_data(rows, getattr(estimator, "classes_", None)),
            "entropy": seed,
            "n_epochs": epochs,
        }
        folder = Path(estimator.checkpoint_dir) / name_of(run, estimator.random_state)
        folder.mkdir(parents=True, exist_ok=True)
        self.hold(folder)
        found = find_checkpoint(folder)
        if found is not None:
            check_epochs(found, run, folder)
            run["entropy"] = found["entropy"]
        self.checkpoints = Checkpoints(folder, estimator.checkpoint_every, run, found)
        return int(run["entropy"])

    def hold(self, folder: Path) -> None:
        """Lock a folder, and remove what killed trainings have left there.

        The system releases the lock when this process ends, in whatever way.

        Raises
        ------
        RuntimeError
            If another thread or process holds the lock.

        Warns
        -----
        UserWarning
            If the file system has no locks: then another training is not detected.
        """
        try:
            self.enter_context(FileLock(folder / LOCK).acquire(blocking=False))
        except Timeout:
            raise RuntimeError(
                f"checkpoint_dir={str(folder)!r} is in use: another thread or process trains "
                "there. Wait until it has ended, or give this training another folder."
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            warnings.warn(
                f"The file system of {str(folder)!r} has no locks: a second training in the same "
                "folder is not detected.",
                UserWarning,
                stacklevel=stacklevel_of_user(),
            )
        remove_partial_files(folder)


def name_of(run: dict[str, Any], random_state: object) -> str:
    """Return the name of the folder of a training.

    The number of epochs is part of it where the learning rate of each step depends on it.
    """
    own_seed = run["entropy"] if isinstance(random_state, np.random.RandomState) else None
    is_constant = run["parameters"]["schedule"] == "'constant'"
    n_epochs = None if is_constant and run["n_epochs"] else run["n_epochs"]
    return fingerprint([run["parameters"], run["data"], own_seed, n_epochs])


def check_epochs(found: dict[str, Any], run: dict[str, Any], folder: Path) -> None:
    """Raise a ValueError if more epochs are done than are asked for."""
    # The closed form alone counts as an epoch.
    if max(run["n_epochs"], 1) < found["epoch"]:
        raise ValueError(
            f"{str(folder)!r} holds the checkpoint of a training of {found['epoch']} epochs, but "
            f"max_epochs={run['n_epochs']}. Give at least as many, or another checkpoint_dir."
        )
