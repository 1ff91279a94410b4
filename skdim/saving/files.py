"""Regular files that are written completely or not at all."""

import errno
import functools
import os
import secrets
import stat
import sys
from pathlib import Path

from skdim.parameters import shown

__all__ = ["check_regular", "remove_partial_files", "write_atomically"]

# Names of files that are not complete, with the digits that discriminate them.
PARTIAL = ".skdim-{}.partial"
N_DIGITS = 16


def check_regular(path: str | os.PathLike[str]) -> int | None:
    """Raise an error for what exists and is not a regular file; follow symbolic links.

    Parameters
    ----------
    path : path

    Returns
    -------
    int or None
        The permissions of the file; None if there is none.

    Raises
    ------
    ValueError
        If the path contains the null character.
    OSError
        If it is a directory, a device, a FIFO, a socket, or a loop of symbolic links.
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
    is replaced passes its permissions on. Of a symbolic link, the target is replaced.

    Parameters
    ----------
    path : path
        In a folder that exists.
    content : bytes or memoryview

    Raises
    ------
    ValueError, OSError
        If it cannot be written, or what exists is not a regular file. It is then unchanged, and no
        other file is left.
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
