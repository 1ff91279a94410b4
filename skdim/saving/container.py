"""The files of skdim: tensors in safetensors and a header in JSON, written at once or not at all.

safetensors holds no code: a table of the names, types and shapes of the tensors, and their numbers.
Its ``__metadata__`` holds the rest: ``skdim`` is a JSON object, the header, and ``sha256`` the
digest of that object and of all tensors with their names, types and shapes. ``sha256_of_header``,
which older versions do not write, is the digest without the numbers: by it, names, types and shapes
are trusted before a number is read. ``save`` and checkpoints of trainings write such files.
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
import warnings
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
from skdim.parameters import cut, shown, stacklevel_of_user

__all__ = [
    "FORMAT",
    "Stored",
    "VersionWarning",
    "check_finite",
    "check_regular",
    "open_container",
    "remove_partial_files",
    "to_bytes",
    "versions",
    "warn_of_versions",
    "write_atomically",
]

# Raised with each change after which older versions of skdim would misread a file.
FORMAT = 5

# Names of files that are not complete, with the digits that discriminate them.
PARTIAL = ".skdim-{}.partial"
N_DIGITS = 16

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

PICKLED = (
    "Its codes may differ, or it may fail. Fit it again, or use its save() and skdim.load(), whose "
    "files are read by later versions."
)

# Of safetensors and torch, for a file that is not what it should be.
UNREADABLE = (SafetensorError, MemoryError, OverflowError, RuntimeError, TypeError)


@dataclass(frozen=True)
class Stored:
    """A tensor in a file; while that is open, ``mapped`` returns it with the file as its memory."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    mapped: Callable[[], Tensor]

    def read(self) -> Tensor:
        """Return a copy in memory: the file may be replaced."""
        return self.mapped().clone()


def to_bytes(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """Return the content of a file; raise a ValueError for tensors of types not in ``DTYPES``.

    ``format`` and ``versions`` are added to the header. Tensors may share memory, for which
    safetensors itself has no form.
    """
    strange = [
        f"{name} ({tensor.dtype}, {tensor.layout})"
        for name, tensor in tensors.items()
        if tensor.dtype not in NAMES or tensor.layout is not torch.strided
    ]
    if strange:
        raise ValueError(f"Tensors of these types cannot be saved: {cut(', '.join(strange))}.")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"format": FORMAT, "versions": versions(), **header}, allow_nan=False)
    table: dict[str, Any] = {
        "__metadata__": {
            "skdim": text,
            "sha256": digest_of(text, tensors),
            "sha256_of_header": header_digest(text, tensors).hexdigest(),
        }
    }
    stop = 0
    # The largest types first, so that all numbers are aligned.
    ordered = sorted(tensors.items(), key=lambda pair: (-pair[1].element_size(), pair[0]))
    for name, tensor in ordered:
        start, stop = stop, stop + tensor.nbytes
        shape, dtype = list(tensor.shape), NAMES[tensor.dtype]
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}
    start_text = json.dumps(table).encode()
    start_text += b" " * (-len(start_text) % 8)
    parts = [struct.pack("<Q", len(start_text)), start_text]
    return b"".join([*parts, *(bytes_of(tensor) for _, tensor in ordered)])


def bytes_of(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor: NumPy does not have all types of torch."""
    return tensor.flatten().view(torch.uint8).numpy().data


@contextmanager
def open_container(
    path: str | os.PathLike[str],
) -> Iterator[tuple[dict[str, Any], dict[str, Stored], Callable[[], None]]]:
    """Open a file whose content ``to_bytes`` made; execute nothing, and read no numbers.

    Yields the header, the tensors, and a function that reads all numbers and raises a ValueError if
    they are damaged. So does what is damaged otherwise, of another program or of a newer format; an
    OSError is raised if the file cannot be read or is not a regular file.
    """
    check_regular(path)
    with Path(path).open("rb") as start:
        check_start(path, start.read(8), os.fstat(start.fileno()).st_size)
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            metadata = file.metadata() or {}
            header = read_header(path, metadata)
            tensors = {name: find_tensor(path, file, name) for name in file.keys()}  # noqa: SIM118
            text, of_header = metadata["skdim"], metadata.get("sha256_of_header")
            if of_header is not None:
                check_digest(path, header_digest(text, tensors).hexdigest(), of_header)
            yield (
                header,
                tensors,
                lambda: check_digest(path, digest_of(text, tensors), metadata["sha256"]),
            )
    except BaseException as error:
        # Errors within safetensors' own code are not of a subclass of Exception.
        if isinstance(error, UNREADABLE) or type(error).__name__ == "PanicException":
            raise ValueError(
                f"{path} is damaged, or not a file of skdim: {cut(str(error))}."
            ) from error
        raise


def check_start(path: object, start: bytes, size: int) -> None:
    """Raise a ValueError for a header longer than the file or than is allowed, before reading."""
    if len(start) < 8:
        raise ValueError(f"{path} is damaged, or not a file of skdim: it has {size} bytes.")
    (length,) = struct.unpack("<Q", start)
    if length > min(size - 8, LARGEST_HEADER):
        raise ValueError(
            f"{path} is damaged, or not a file of skdim: its header should have {length} bytes, "
            f"but the file has {size}, and {LARGEST_HEADER} are allowed."
        )


def check_digest(path: object, digest: str, written: str) -> None:
    """Raise a ValueError if a digest is not the one that was written."""
    if digest != written:
        raise ValueError(
            f"{path} is damaged: its content does not have the SHA-256 that was written with it."
        )


def read_header(path: object, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Read the header; raise a ValueError for other programs and newer formats before all else."""
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
        version = wrote.get("skdim", "unknown") if isinstance(wrote, dict) else "unknown"
        raise ValueError(
            f"{path} has format {shown(number)}, written by skdim {cut(str(version))}. This skdim "
            f"reads formats up to {FORMAT}: install a newer one."
        )
    if 1 < number < FORMAT:
        raise ValueError(
            f"{path} has format {number}, of a development version of skdim that was never "
            "released, and is not read: fit again, and save."
        )
    strange = metadata.keys() - {"skdim", "sha256", "sha256_of_header"}
    if strange:
        raise ValueError(f"{path} is damaged: its table has {cut(repr(sorted(strange)))}.")
    return header


def find_tensor(path: object, file: Any, name: str) -> Stored:
    """Describe one tensor; raise a ValueError if it is not of a known type."""
    part = file.get_slice(name)
    dtype = part.get_dtype()
    if dtype not in DTYPES:
        raise ValueError(
            f"{path} holds a tensor {cut(repr(name))} of type {dtype}, which skdim never saves."
        )
    return Stored(tuple(part.get_shape()), DTYPES[dtype], lambda: file.get_tensor(name))


def header_digest(text: str, tensors: Mapping[str, Tensor | Stored]) -> "hashlib._Hash":
    """Compute the SHA-256 of the header and of the names, types and shapes of all tensors."""
    digest = hashlib.sha256()
    titles = [
        f"{name} {str(v.dtype).removeprefix('torch.')} {tuple(v.shape)}"
        for name, v in sorted(tensors.items())
    ]
    for part in [text, *titles]:
        # With their lengths, so that no two lists of parts have the same bytes.
        digest.update(struct.pack("<Q", len(part.encode())) + part.encode())
    return digest


def digest_of(text: str, tensors: Mapping[str, Tensor | Stored]) -> str:
    """Return the SHA-256 of the header and all tensors with their names, types and shapes."""
    digest = header_digest(text, tensors)
    for _, tensor in sorted(tensors.items()):
        digest.update(bytes_of(tensor.mapped() if isinstance(tensor, Stored) else tensor))
    return digest.hexdigest()


def check_finite(tensors: Mapping[str, Tensor], text: str) -> None:
    """Raise a ValueError that names the weights that are not finite numbers."""
    broken = []
    for name, tensor in tensors.items():
        values = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        # Unlike ``Tensor.isfinite``, without memory for each number.
        if values.numel() and not all(bool(end.isfinite()) for end in torch.aminmax(values)):
            broken.append(name)
    if broken:
        raise ValueError(f"{text}: they hold NaN or infinity: {cut(', '.join(broken[:10]))}.")


class VersionWarning(UserWarning):
    """A pickle or a checkpoint was written with other versions than those that read it."""


def versions() -> dict[str, str]:
    """Return the versions that numbers depend on; the build of torch differs between machines."""
    return {
        "skdim": __version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__.partition("+")[0],
        "numpy": np.__version__,
    }


def warn_of_versions(name: str, then: Mapping[str, str], consequence: str = PICKLED) -> None:
    """Warn if something was written when ``versions`` returned others than now."""
    differing = [
        f"{package} {cut(str(then.get(package, 'unknown')))} (here: {version})"
        for package, version in versions().items()
        if then.get(package) != version
    ]
    if differing:
        warnings.warn(
            f"{name} was written with {', '.join(differing)}. {consequence}",
            VersionWarning,
            stacklevel=stacklevel_of_user(),
        )


def check_regular(path: str | os.PathLike[str]) -> int | None:
    """Return the permissions of a file, symbolic links followed; None if there is none.

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
    """Write a file such that, whatever happens, its name refers to the old or the new content.

    The content is written to a file beside it, synchronised with the disk, and renamed. A file that
    is replaced passes its permissions on. Of a symbolic link, the target is replaced. If it cannot
    be written, or what exists is not a regular file, no other file is left.
    """
    mode = check_regular(path)
    path = Path(os.path.realpath(path))
    # Two writers never share its name, which is short: that of the file may be as long as allowed.
    partial = path.with_name(PARTIAL.format(secrets.token_hex(N_DIGITS // 2)))
    try:
        with open(partial, "xb", opener=functools.partial(os.open, mode=mode or 0o666)) as file:
            if mode is not None:
                partial.chmod(mode)  # The system has masked it.
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
    """Remove what killed writers have left; only for the process that has locked the folder."""
    for path in folder.glob(PARTIAL.format("[0-9a-f]" * N_DIGITS)):
        if path.is_file():
            path.unlink()
