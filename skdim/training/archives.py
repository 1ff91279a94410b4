"""Checkpoint files: what is in them is whole, and nothing in them is ever executed."""

import hashlib
import io
import platform
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch

from skdim.about import __version__
from skdim.files import write_atomically

__all__ = ["dump", "read_archive", "write_archive"]

FORMAT = "skdim checkpoint"
FORMAT_NUMBER = 1

# The SHA-256 of all that stands before it is the comment that ends the zip archive of torch: so
# torch.load reads the file as it is.
N_DIGITS = 64

# What every checkpoint holds, for readers that are to trust it.
CONTENT: dict[str, type | tuple[type, ...]] = {
    "versions": dict,
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


def versions() -> dict[str, str]:
    """Return the versions of all that takes part in a training."""
    return {
        "skdim": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "Python": platform.python_version(),
    }


def dump(state: dict[str, Any]) -> bytes:
    """Write a state as the bytes of a checkpoint file.

    Parameters
    ----------
    state : dict
        Of tensors and primitives.

    Raises
    ------
    TypeError
        If it holds anything else, which only pickle could read again.
    """
    header = {"format": FORMAT, "format_number": FORMAT_NUMBER, "versions": versions()}
    stream = io.BytesIO()
    torch.save(header | state, stream)
    content = stream.getbuffer()
    content[-2:] = N_DIGITS.to_bytes(2, "little")  # How long the comment is.
    digest = hashlib.sha256(content).hexdigest().encode()
    content.release()
    stream.seek(0, io.SEEK_END)
    stream.write(digest)
    return stream.getvalue()


def write_archive(path: Path, content: bytes) -> None:
    """Put what ``dump`` gave into a file, whole or not at all."""
    write_atomically(path, content)


def read_archive(path: Path) -> dict[str, Any]:
    """Read a checkpoint file, tensors on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is damaged, no checkpoint, or one of a newer skdim.

    Warns
    -----
    UserWarning
        If it was written with other versions.
    """
    content = path.read_bytes()
    body, digest = content[:-N_DIGITS], content[-N_DIGITS:]
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError(
            f"{str(path)!r} is damaged, or no checkpoint of skdim: its content does not have the "
            f"SHA-256 that stands at its end. {WAY_OUT}"
        )
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen kinds
        raise ValueError(
            f"{str(path)!r} is no checkpoint of skdim: {describe_error(error)}. {WAY_OUT}"
        ) from error
    check_content(state, path)
    warn_of_versions(state["versions"], path)
    return dict(state)


WAY_OUT = "Remove the file to begin anew, or put back a copy of it."


def describe_error(error: Exception) -> str:
    """Return the first line of an error of torch."""
    lines = str(error).splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def check_content(state: Any, path: Path) -> None:
    """Raise an error for an intact file that is no checkpoint of this version of the format."""
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{str(path)!r} is no checkpoint of skdim. {WAY_OUT}")
    number = state.get("format_number")
    if number != FORMAT_NUMBER:
        raise ValueError(
            f"{str(path)!r} is a checkpoint of format {number!r}; this skdim {__version__} reads "
            f"format {FORMAT_NUMBER}. Go on with the version that began the training."
        )
    wrong = [
        name
        for name, kind in CONTENT.items()
        if not isinstance(state.get(name), kind) or name not in state
    ]
    if wrong:
        raise ValueError(
            f"{str(path)!r} is no checkpoint of skdim: it has no proper {', '.join(wrong)}. "
            f"{WAY_OUT}"
        )


def warn_of_versions(written: dict[str, Any], path: Path) -> None:
    """Warn where another version wrote a checkpoint."""
    others = [
        f"{name} {written.get(name)} (now {version})"
        for name, version in versions().items()
        if written.get(name) != version
    ]
    if others:
        warnings.warn(
            f"The checkpoint {str(path)!r} was written with {', '.join(others)}. Training goes on, "
            "but equals one that was never cut off only where all versions are the same.",
            UserWarning,
            stacklevel=2,
        )
