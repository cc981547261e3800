"""Where are temporary files put, and who clears them away after a kill?"""

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from mlmarket.errors import ConfigurationError

__all__ = ["Scratch", "clear_scratch"]

_PREFIX: Final = "mlmarket-"
_LOCK: Final = ".lock"
"""Held as long as the process lives, however it dies. A folder without one is nobody's to clear."""


class Scratch:
    """A folder for the temporary files of one connection.

    Parameters
    ----------
    parent : Path, optional
        Where it is made; by default the system's folder for temporary files.

    Raises
    ------
    ConfigurationError
        Where there is no such folder, or it cannot be written to.
    """

    def __init__(self, parent: Path | None = None) -> None:
        while True:
            try:
                self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            except OSError as error:
                raise ConfigurationError(
                    f"No temporary file can be written to '{parent or tempfile.gettempdir()}': "
                    f"{error.strerror}.",
                    "What does not fit into memory is put there.",
                    "make the folder, or set `scratch` in [engine] to one on a disk with room.",
                ) from error
            self._lock = _lock_of(self.folder)
            self._lock.acquire()
            # Somebody who cleared up may have held it a moment before.
            if (self.folder / _LOCK).is_file():
                return
            self._lock.release()

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()


def clear_scratch(parent: Path | None = None) -> int:
    """Remove the folders of processes that were killed.

    Parameters
    ----------
    parent : Path, optional
        Where they were made; by default the system's folder for temporary files.

    Returns
    -------
    int
        How many were removed. Those of living processes and of other users stay.
    """
    removed = 0
    for folder in sorted(Path(parent or tempfile.gettempdir()).glob(f"{_PREFIX}*")):
        if not _is_ours(folder):
            continue
        lock = _lock_of(folder)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        removed += 1
    return removed


def _is_ours(folder: Path) -> bool:
    try:
        found, lock = folder.lstat(), (folder / _LOCK).lstat()
    except OSError:
        return False
    whole = stat.S_ISDIR(found.st_mode) and stat.S_ISREG(lock.st_mode)
    return whole and found.st_uid == lock.st_uid == os.getuid()


def _lock_of(folder: Path) -> FileLock:
    # Let go by whatever thread comes last.
    return FileLock(folder / _LOCK, thread_local=False)
