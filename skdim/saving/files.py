"""Files that are written completely or not at all."""

import errno
import os
import secrets
import sys
from pathlib import Path

__all__ = ["remove_partial_files", "write_atomically"]

PARTIAL = ".partial"


def write_atomically(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a file such that, whatever happens, its name refers to the old or the new content.

    The content is written to a file beside it, synchronised with the disk, and renamed. Of a
    symbolic link, the target is replaced.

    Parameters
    ----------
    path : path
        In a folder that exists.
    content : bytes or memoryview

    Raises
    ------
    OSError
        If it cannot be written. The old file is then unchanged, and no other file is left.
    """
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name a file in it.")
    # Two writers never share its name, and it has the permissions of any new file.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}{PARTIAL}")
    try:
        with partial.open("xb") as file:
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
    for path in folder.glob(f".*{PARTIAL}"):
        path.unlink()
