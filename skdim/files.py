"""Files that are written whole or not at all, and folders that only one process works in."""

import errno
import os
import secrets
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["AlreadyLockedError", "locked", "remove_partial_files", "write_atomically"]

PARTIAL = ".partial"

# A process may lock one file twice without noticing: here it notices. The number of the process
# belongs to it, since a forked one inherits the set, but not the locks.
HELD: set[tuple[int, str]] = set()
HOLDING = Lock()

# What a file system says that has no locks.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class AlreadyLockedError(RuntimeError):
    """Somebody else holds a lock."""


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that, whatever happens, its name stands for the old or the new content.

    The content goes to a file beside it, is brought to the disk, and only then gets the name.

    Parameters
    ----------
    path : Path
        In a folder that exists.
    content : bytes or memoryview

    Raises
    ------
    OSError
        If it cannot be written. The old file is then as it was, and nothing new is left.
    """
    # No two writers share it, and it has the permissions of any new file.
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
    """Bring the names in a folder to the disk, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems sync files only.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)


def remove_partial_files(folder: Path) -> None:
    """Remove what writers that were killed have left; for the one who has locked the folder."""
    for path in folder.glob(f".*{PARTIAL}"):
        path.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock, for one thread of one process.

    The system gives the lock back when the process ends, in whatever way, so that no stale one
    is ever in the way. Processes that are forked meanwhile do not hold it.

    Parameters
    ----------
    path : Path
        A file that is made and stays: it names the last holder, for messages.

    Raises
    ------
    AlreadyLockedError
        If somebody holds it; says who.

    Warns
    -----
    UserWarning
        If the file system has no locks: then only this process is kept from it.
    """
    own = (os.getpid(), str(path.resolve()))
    with HOLDING:
        if own in HELD:
            raise AlreadyLockedError("another thread of this process")
        HELD.add(own)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            take_lock(handle, path)
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
            yield
        finally:
            os.close(handle)
    finally:
        HELD.discard(own)


def take_lock(handle: int, path: Path) -> None:
    """Lock an open file, or say who has done so."""
    try:
        if sys.platform == "win32":
            # Beyond what is written there: other processes may read that.
            os.lseek(handle, 1 << 20, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            warnings.warn(
                f"The file system of {str(path)!r} has no locks: nothing keeps other processes "
                "from working there at the same time.",
                UserWarning,
                stacklevel=6,
            )
        elif error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            holder = os.pread(handle, 300, 0) if sys.platform != "win32" else b""
            raise AlreadyLockedError(holder.decode(errors="replace") or "another process") from None
        else:
            raise
