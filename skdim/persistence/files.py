"""The file of a saved transformer: tensors in safetensors, and a header in JSON.

safetensors holds no code: a header with the names, types and shapes of the tensors, and their
numbers. What else there is to say stands in its ``__metadata__``: ``skdim`` is a JSON object, and
``sha256`` the digest of that object and of all tensors with their names, types and shapes.
"""

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from skdim.files import write_atomically

__all__ = ["FORMAT", "read_file", "write_file"]

# Raised with each change after which older versions of skdim would misread a file.
FORMAT = 3

# Of the header in bytes; what safetensors itself allows.
LARGEST_HEADER = 100_000_000

# The types of tensors that a file may hold, by their names in safetensors and in NumPy.
DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
}

Tensors = dict[str, NDArray[Any]]


def write_file(
    path: str | os.PathLike[str], header: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]
) -> None:
    """Write a file as a whole or not at all.

    Parameters
    ----------
    path : path
    header : mapping
        What JSON can hold, infinity and NaN excluded; ``format`` is added.
    tensors : mapping of str to ndarray
        Of the types in ``DTYPES``.

    Raises
    ------
    ValueError
        If a tensor is of another type, or its numbers are not finite.
    OSError
        If the file cannot be written. What was there is then untouched.
    """
    tensors = {name: np.ascontiguousarray(v).reshape(v.shape) for name, v in tensors.items()}
    strange = [f"{name} ({v.dtype})" for name, v in tensors.items() if v.dtype.name not in KNOWN]
    if strange:
        raise ValueError(f"Tensors of these types cannot be saved: {', '.join(strange)}.")
    check_finite(tensors, "These weights cannot be saved")
    text = json.dumps({"format": FORMAT, **header}, allow_nan=False)
    digest = digest_of(text, tensors)
    content = save(dict(tensors), metadata={"skdim": text, "sha256": digest})
    # What a symbolic link leads to is written, not the link replaced.
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder. Name a file in it.")
    write_atomically(target, content)


KNOWN = frozenset(DTYPES.values())


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Tensors]:
    """Read a file that ``write_file`` wrote; execute nothing.

    No more memory is taken than the file is long.

    Returns
    -------
    header : dict
    tensors : dict of str to ndarray

    Raises
    ------
    ValueError
        If the file is damaged, of another program, or of a newer format.
    OSError
        If there is no such file, or it cannot be read.
    """
    check_start(Path(path))
    try:
        # The handle ends with the block: its memory map would outlive it only in what it gave,
        # and get_tensor gives copies.
        with safe_open(os.fspath(path), framework="np") as file:
            text, digest = metadata_of(path, file.metadata())
            header = read_header(path, text)
            tensors = {name: read_tensor(path, file, name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, or no file of skdim's save(): {error}.") from error
    if digest_of(text, tensors) != digest:
        raise ValueError(
            f"{path} is damaged: its content does not have the SHA-256 that was written with it."
        )
    check_finite(tensors, f"{path} cannot be used")
    return header, tensors


def check_start(path: Path) -> None:
    """Check the size of the header before anything is read.

    Raises
    ------
    ValueError
        If the header is longer than the file, or than is allowed.
    OSError
        If there is no such file.
    """
    with path.open("rb") as file:
        start = file.read(8)
    size = path.stat().st_size
    if len(start) < 8:
        raise ValueError(f"{path} is no file of skdim's save(): it has {size} bytes.")
    (length,) = struct.unpack("<Q", start)
    if length > min(size - 8, LARGEST_HEADER):
        raise ValueError(
            f"{path} is damaged, or no file of skdim's save(): it says that its header has "
            f"{length} bytes, but the file has {size}, and {LARGEST_HEADER} are allowed."
        )


def metadata_of(path: Any, metadata: Mapping[str, str] | None) -> tuple[str, str]:
    """Return the text of the header, and the digest.

    Raises
    ------
    ValueError
        If another program wrote the file.
    """
    if not metadata or "skdim" not in metadata or "sha256" not in metadata:
        raise ValueError(
            f"{path} is a safetensors file of another program: it has no header of skdim."
        )
    return metadata["skdim"], metadata["sha256"]


def read_header(path: Any, text: str) -> dict[str, Any]:
    """Read the header, and refuse newer formats before anything of them is interpreted.

    Raises
    ------
    ValueError
        If it is no JSON object, or its format is not known here.
    """
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: its header is no JSON ({error}).") from error
    header: dict[str, Any] = read if isinstance(read, dict) else {}
    number = header.get("format")
    if type(number) is not int or number < 1:
        raise ValueError(f"{path} is damaged: its header does not say which format it has.")
    if number > FORMAT:
        wrote = header.get("versions")
        version = wrote.get("skdim", "a newer version") if isinstance(wrote, dict) else "unknown"
        raise ValueError(
            f"{path} has format {number}, written by skdim {version}. This skdim reads "
            f"formats up to {FORMAT}: install a newer one."
        )
    return header


def read_tensor(path: Any, file: Any, name: str) -> NDArray[Any]:
    """Read one tensor, if it is of a known type.

    Raises
    ------
    ValueError
        If it is not.
    """
    dtype = file.get_slice(name).get_dtype()
    if dtype not in DTYPES:
        raise ValueError(
            f"{path} holds a tensor {name!r} of type {dtype}, which skdim never saves."
        )
    tensor: NDArray[Any] = file.get_tensor(name)
    return tensor


def digest_of(text: str, tensors: Mapping[str, NDArray[Any]]) -> str:
    """Digest the header and all tensors with their names, types and shapes."""
    digest = hashlib.sha256()
    for part in [text, *(f"{name} {v.dtype} {v.shape}" for name, v in sorted(tensors.items()))]:
        # With their lengths, so that no text can be cut in two ways.
        digest.update(struct.pack("<Q", len(part.encode())) + part.encode())
    for _, values in sorted(tensors.items()):
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def check_finite(tensors: Mapping[str, NDArray[Any]], text: str) -> None:
    """Raise an error for weights that are no numbers.

    Raises
    ------
    ValueError
        Naming them.
    """
    broken = [
        name
        for name, values in tensors.items()
        if values.dtype.kind == "f" and not np.isfinite(values).all()
    ]
    if broken:
        raise ValueError(f"{text}: they hold NaN or infinity: {', '.join(broken[:10])}.")
