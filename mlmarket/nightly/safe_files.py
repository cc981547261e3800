"""How is a file written so that a crash never leaves half of it?"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mlmarket.errors import RunError

__all__ = ["TEMPORARY", "fsync", "fsync_tree", "replace_file", "writing"]

TEMPORARY: Final = ".tmp-"
"""How the name of everything begins that is not complete yet."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ENOTDIR, errno.EEXIST}
)
_FULL_IN_WORDS: Final = os.strerror(errno.ENOSPC)


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn what a disk refuses into an error that says what to do.

    Parameters
    ----------
    place : Path
        What is written to, for the message.

    Yields
    ------
    None
        While something is written.

    Raises
    ------
    RunError
        Where the disk is full, or the place cannot be written.
    """
    try:
        yield
    except Exception as error:
        refused = _refusal(error, place)
        if refused is None:
            raise
        raise refused from error


def _refusal(error: Exception, place: Path) -> RunError | None:
    code = error.errno if isinstance(error, OSError) else None
    # DuckDB and LightGBM write files of their own and have errors of their own.
    if code in _FULL or (code is None and _FULL_IN_WORDS in str(error)):
        return RunError(
            f"The disk of '{place}' is full.",
            "The stage was not finished; what earlier stages wrote is whole.",
            "free some space (`mlmarket prune` removes old nights), then run the same night again.",
        )
    if code in _REFUSED:
        return RunError(
            f"'{place}' cannot be written: {os.strerror(code)}.",
            "The stage was not finished; what earlier stages wrote is whole.",
            "check the folder and its permissions, then run the same night again.",
        )
    return None


def replace_file(target: Path, write: Callable[[Path], object]) -> None:
    """Write a file so that it is there as a whole or as it was before.

    Parameters
    ----------
    target : Path
        The file.
    write : callable
        Writes the new content to the path it is given.

    Raises
    ------
    RunError
        Where the disk is full or cannot be written.
    """
    temporary = target.parent / f"{TEMPORARY}{os.getpid()}-{target.name}"
    with writing(target.parent):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write(temporary)
            fsync(temporary)
            temporary.replace(target)
            fsync(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


def fsync_tree(folder: Path) -> None:
    """Make everything below a folder safe on the disk.

    Parameters
    ----------
    folder : Path
        Itself included.
    """
    for path in sorted(folder.rglob("*"), reverse=True):
        fsync(path)
    fsync(folder)


def fsync(path: Path) -> None:
    """Make a file, or the names in a folder, safe on the disk.

    Parameters
    ----------
    path : Path
        The file or folder.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
