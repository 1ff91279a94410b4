"""Read and write the files of ``save`` and of checkpoints: tensors, and a header in JSON.

The format is safetensors, which holds no code: a table of the names, types and shapes of the
tensors, and their values. The rest is in its ``__metadata__``: ``skdim`` is the header, ``sha256``
the digest of the header and of all tensors with their names, types and shapes.
``sha256_of_header``, which older versions do not write, is the digest without the values: it
verifies names, types and shapes before a value is read.
"""

import errno
import functools
import hashlib
import json
import os
import secrets
import stat
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from skdim.about import __version__
from skdim.parameters import cut, shown, warn_user

# Incremented with each change after which older versions of skdim would misread a file.
FORMAT = 5

# Names of incomplete files, with random digits.
PARTIAL = ".skdim-{}.partial"
N_DIGITS = 16

# The dtypes of tensors that a file may hold, by their names in safetensors.
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

# Errors of safetensors and torch for invalid files.
UNREADABLE = (SafetensorError, MemoryError, OverflowError, RuntimeError, TypeError)


@dataclass(frozen=True)
class Stored:
    """A tensor in an open file; ``mapped`` returns it as a memory map."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    mapped: Callable[[], Tensor]

    def read(self) -> Tensor:
        """Return a copy in memory, since the file may be replaced."""
        return self.mapped().clone()


def to_bytes(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """Return the content of a file; raise a ValueError for tensors of dtypes not in ``DTYPES``.

    ``format`` and ``versions`` are added to the header. Tensors may share memory, which safetensors
    itself does not support.
    """
    unsupported = [
        f"{name} ({tensor.dtype}, {tensor.layout})"
        for name, tensor in tensors.items()
        if not is_supported(tensor)
    ]
    if unsupported:
        names = cut(", ".join(unsupported))
        raise ValueError(
            f"Tensors of these types cannot be saved: {names}. Only pickles hold them."
        )
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"format": FORMAT, "versions": versions(), **header}, allow_nan=False)
    table: dict[str, Any] = {
        "__metadata__": {
            "skdim": text,
            "sha256": digest_of(text, tensors),
            "sha256_of_header": digest_of(text, tensors, values=False),
        }
    }
    stop = 0
    # The largest dtypes first, so that all values are aligned.
    ordered = sorted(tensors.items(), key=lambda pair: (-pair[1].element_size(), pair[0]))
    for name, tensor in ordered:
        start, stop = stop, stop + tensor.nbytes
        shape, dtype = list(tensor.shape), NAMES[tensor.dtype]
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}
    start_text = json.dumps(table).encode()
    start_text += b" " * (-len(start_text) % 8)
    length = struct.pack("<Q", len(start_text))
    return b"".join([length, start_text, *(bytes_of(tensor) for _, tensor in ordered)])


def is_supported(tensor: Tensor) -> bool:
    """Whether a file can hold a tensor."""
    return tensor.dtype in NAMES and tensor.layout is torch.strided


def bytes_of(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor; NumPy does not have all dtypes of torch."""
    return tensor.flatten().view(torch.uint8).numpy().data


@contextmanager
def open_container(
    path: str | os.PathLike[str],
) -> Iterator[tuple[dict[str, Any], dict[str, Stored], Callable[[], None]]]:
    """Open a file whose content ``to_bytes`` made; execute nothing, and read no values.

    Yields
    ------
    header : dict
    tensors : dict of str to Stored
    check : callable
        Reads all values; raises a ValueError if they are damaged.

    Raises
    ------
    ValueError
        If the file is damaged, of another program or of a newer format.
    OSError
        If it cannot be read or is not a regular file.
    """
    check_regular(path)
    Path(path).open("rb").close()  # safetensors reports all errors as missing files.
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            metadata = file.metadata() or {}
            header = read_header(path, metadata)
            tensors = {name: find_tensor(path, file, name) for name in file.keys()}  # noqa: SIM118
            text, of_header = metadata["skdim"], metadata.get("sha256_of_header")
            if of_header is not None:
                check_digest(path, digest_of(text, tensors, values=False), of_header)
            yield (
                header,
                tensors,
                lambda: check_digest(path, digest_of(text, tensors), metadata["sha256"]),
            )
    except BaseException as error:
        # Panics of safetensors are not of a subclass of Exception.
        if isinstance(error, UNREADABLE) or type(error).__name__ == "PanicException":
            raise ValueError(
                f"{path} is damaged, or not a file of skdim: {cut(str(error))}."
            ) from error
        raise


def check_digest(path: object, digest: str, written: str) -> None:
    """Raise a ValueError if a digest differs from the one that was written."""
    if digest != written:
        raise ValueError(
            f"{path} is damaged: its content does not have the SHA-256 that was written with it."
        )


def read_header(path: object, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Read the header; raise a ValueError for other programs and for formats that are not read."""
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
    if number not in (1, FORMAT):
        packages = header.get("versions")
        version = packages.get("skdim", "unknown") if isinstance(packages, dict) else "unknown"
        raise ValueError(
            f"{path} has format {shown(number)}, written by skdim {cut(str(version))}. This skdim "
            f"reads formats 1 and {FORMAT}: install a newer one, or fit again and save."
        )
    unknown = metadata.keys() - {"skdim", "sha256", "sha256_of_header"}
    if unknown:
        raise ValueError(f"{path} is damaged: its table has {cut(repr(sorted(unknown)))}.")
    return header


def find_tensor(path: object, file: Any, name: str) -> Stored:
    """Describe one tensor; raise a ValueError if its dtype is not in ``DTYPES``."""
    part = file.get_slice(name)
    dtype = part.get_dtype()
    if dtype not in DTYPES:
        raise ValueError(
            f"{path} holds a tensor {cut(repr(name))} of type {dtype}, which skdim never saves."
        )
    return Stored(tuple(part.get_shape()), DTYPES[dtype], lambda: file.get_tensor(name))


def digest_of(text: str, tensors: Mapping[str, Tensor | Stored], *, values: bool = True) -> str:
    """Return the SHA-256 of the header, the names, dtypes and shapes of all tensors, and values."""
    digest, ordered = hashlib.sha256(), sorted(tensors.items())
    titles = [
        f"{name} {str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
        for name, tensor in ordered
    ]
    for part in [text, *titles]:
        # With their lengths, so that no two lists of parts have the same bytes.
        digest.update(struct.pack("<Q", len(part.encode())) + part.encode())
    for _, tensor in ordered if values else ():
        digest.update(bytes_of(tensor.mapped() if isinstance(tensor, Stored) else tensor))
    return digest.hexdigest()


def check_finite(tensors: Mapping[str, Tensor], text: str) -> None:
    """Raise a ValueError that names the weights that hold NaN or infinity.

    Weights that cannot be saved are left to ``to_bytes``.
    """
    invalid = []
    for name, tensor in tensors.items():
        values = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        # Unlike ``Tensor.isfinite``, without memory for each value.
        ends = torch.aminmax(values) if values.numel() and is_supported(values) else ()
        if not all(bool(end.isfinite()) for end in ends):
            invalid.append(name)
    if invalid:
        raise ValueError(f"{text}: they hold NaN or infinity: {cut(', '.join(invalid[:10]))}.")


class VersionWarning(UserWarning):
    """Warning that a pickle or a checkpoint was written with other versions of packages."""


def versions() -> dict[str, str]:
    """Return the versions of packages that results depend on, without the build of torch."""
    return {
        "skdim": __version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__.partition("+")[0],
        "numpy": np.__version__,
    }


def warn_of_versions(name: str, then: Mapping[str, str], consequence: str) -> None:
    """Warn if something was written with other versions than those of ``versions``."""
    differing = [
        f"{package} {cut(str(then.get(package, 'unknown')))} (here: {version})"
        for package, version in versions().items()
        if then.get(package) != version
    ]
    if differing:
        warn_user(f"{name} was written with {', '.join(differing)}. {consequence}", VersionWarning)


def check_regular(path: str | os.PathLike[str]) -> int | None:
    """Return the permissions of a file, symbolic links followed; None if it does not exist.

    An OSError is raised if it is not a regular file, a ValueError if it has the null character.
    """
    if "\0" in str(path):
        raise ValueError(f"path must be a path without the null character. Got {shown(str(path))}.")
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path} is a directory, not a file. Name a file in it.")
    if not stat.S_ISREG(mode):
        raise OSError(f"{path} is a device, a FIFO or a socket, not a regular file.")
    return stat.S_IMODE(mode) & 0o777


def write_atomically(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a file atomically: at any time, its path has the old or the new content.

    The content is written to a temporary file in the same folder, synchronised with the disk, and
    renamed. The permissions of a replaced file are preserved. If the path is a symbolic link,
    its target is replaced. After an error, no temporary file is left.
    """
    mode = check_regular(path)
    path = Path(os.path.realpath(path))
    # A random and short name: no other writer uses it, and ``path`` may be as long as allowed.
    partial = path.with_name(PARTIAL.format(secrets.token_hex(N_DIGITS // 2)))
    try:
        with open(partial, "xb", opener=functools.partial(os.open, mode=mode or 0o666)) as file:
            if mode is not None:
                partial.chmod(mode)  # ``open`` applies the umask.
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Synchronise the names in a folder with the disk, where the system supports it."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems synchronise files only.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)


def remove_partial_files(folder: Path) -> None:
    """Remove temporary files of killed writers; the caller must have locked the folder."""
    for path in folder.glob(PARTIAL.format("[0-9a-f]" * N_DIGITS)):
        if path.is_file():
            path.unlink()
