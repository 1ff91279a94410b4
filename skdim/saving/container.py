"""The one format of files of skdim: tensors in safetensors, and a header in JSON.

safetensors holds no code: a table of the names, types and shapes of the tensors, and their numbers.
Its ``__metadata__`` holds the rest: ``skdim`` is a JSON object, the header, and ``sha256`` the
digest of that object and of all tensors with their names, types and shapes. ``save`` and
checkpoints of trainings write such files.
"""

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from skdim.saving.versions import versions

__all__ = ["FORMAT", "check_finite", "read_container", "read_file", "to_bytes"]

# Raised with each change after which older versions of skdim would misread a file.
FORMAT = 3

# Of the header in bytes; what safetensors itself allows.
LARGEST_HEADER = 100_000_000

# The types of tensors that a file may hold, by their names in safetensors.
DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def to_bytes(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """Return the content of a file.

    Parameters
    ----------
    header : mapping
        What JSON can hold, infinity and NaN excluded; ``format`` and ``versions`` are added.
    tensors : mapping of str to Tensor
        Of the types in ``DTYPES``, on any device. They may share memory, for which safetensors
        itself has no form.

    Raises
    ------
    ValueError
        If a tensor is of another type.
    """
    strange = [
        f"{name} ({tensor.dtype}, {tensor.layout})"
        for name, tensor in tensors.items()
        if tensor.dtype not in NAMES or tensor.layout is not torch.strided
    ]
    if strange:
        raise ValueError(f"Tensors of these types cannot be saved: {', '.join(strange)}.")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"format": FORMAT, "versions": versions(), **header}, allow_nan=False)
    table: dict[str, Any] = {"__metadata__": {"skdim": text, "sha256": digest_of(text, tensors)}}
    stop = 0
    # The largest types first, so that all numbers are aligned.
    ordered = sorted(tensors.items(), key=lambda pair: (-pair[1].element_size(), pair[0]))
    for name, tensor in ordered:
        start, stop = stop, stop + tensor.nbytes
        shape, dtype = list(tensor.shape), NAMES[tensor.dtype]
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}
    start_text = json.dumps(table).encode()
    start_text += b" " * (-len(start_text) % 8)
    length = struct.pack("<Q", len(start_text))
    return b"".join([length, start_text, *(bytes_of(tensor) for _, tensor in ordered)])


def bytes_of(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor: NumPy does not have all types of torch."""
    return tensor.flatten().view(torch.uint8).numpy().data


def read_container(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a file whose content ``to_bytes`` made; execute nothing.

    No more memory is taken than the file is long.

    Returns
    -------
    header : dict
    tensors : dict of str to Tensor
        On the CPU.

    Raises
    ------
    ValueError
        If the file is damaged, of another program, or of a newer format.
    OSError
        If there is no such file, or it cannot be read.
    """
    check_start(Path(path))
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            metadata = file.metadata() or {}
            header = read_header(path, metadata)
            tensors = {name: read_tensor(path, file, name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, or not a file of skdim: {error}.") from error
    if digest_of(metadata["skdim"], tensors) != metadata["sha256"]:
        raise ValueError(
            f"{path} is damaged: its content does not have the SHA-256 that was written with it."
        )
    return header, tensors


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read a file of weights; see ``read_container``.

    Returns
    -------
    header : dict
    arrays : dict of str to ndarray

    Raises
    ------
    ValueError
        Also if weights are not finite, or of a type that NumPy lacks.
    """
    header, tensors = read_container(path)
    check_finite(tensors, f"{path} cannot be used")
    try:
        return header, {name: tensor.numpy() for name, tensor in tensors.items()}
    except TypeError as error:
        raise ValueError(f"{path} holds weights that skdim never saves: {error}.") from error


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
        raise ValueError(f"{path} is damaged, or not a file of skdim: it has {size} bytes.")
    (length,) = struct.unpack("<Q", start)
    if length > min(size - 8, LARGEST_HEADER):
        raise ValueError(
            f"{path} is damaged, or not a file of skdim: its header should have {length} bytes, "
            f"but the file has {size}, and {LARGEST_HEADER} are allowed."
        )


def read_header(path: object, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Read the header, and raise for newer formats before anything else is interpreted.

    Raises
    ------
    ValueError
        If another program wrote the file, the header is not a JSON object, or its format is not
        known.
    """
    if "skdim" not in metadata or "sha256" not in metadata:
        raise ValueError(
            f"{path} is a safetensors file of another program: it has no header of skdim."
        )
    try:
        read = json.loads(metadata["skdim"])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: its header is not valid JSON ({error}).") from error
    header: dict[str, Any] = read if isinstance(read, dict) else {}
    number = header.get("format")
    if type(number) is not int or number < 1:
        raise ValueError(f"{path} is damaged: its header does not state which format it has.")
    if number > FORMAT:
        wrote = header.get("versions")
        version = wrote.get("skdim", "a newer version") if isinstance(wrote, dict) else "unknown"
        raise ValueError(
            f"{path} has format {number}, written by skdim {version}. This skdim reads "
            f"formats up to {FORMAT}: install a newer one."
        )
    return header


def read_tensor(path: object, file: Any, name: str) -> Tensor:
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
    # A copy: what safetensors returns is mapped from the file, which may be replaced.
    tensor: Tensor = file.get_tensor(name).clone()
    return tensor


def digest_of(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the header and all tensors with their names, types and shapes."""
    digest = hashlib.sha256()
    named = sorted(tensors.items())
    titles = [f"{name} {str(v.dtype).removeprefix('torch.')} {tuple(v.shape)}" for name, v in named]
    for part in [text, *titles]:
        # With their lengths, so that no two lists of parts have the same bytes.
        digest.update(struct.pack("<Q", len(part.encode())) + part.encode())
    for _, tensor in named:
        digest.update(bytes_of(tensor))
    return digest.hexdigest()


def check_finite(tensors: Mapping[str, Tensor], text: str) -> None:
    """Raise an error for weights that are not finite numbers.

    Raises
    ------
    ValueError
        Naming them.
    """
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        raise ValueError(f"{text}: they hold NaN or infinity: {', '.join(broken[:10])}.")
