"""A file is there as a whole, or as it was before; and what a disk refuses is said plainly."""

import contextlib
import errno
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmarket.errors import RunError
from mlmarket.nightly.safe_files import replace_file, writing


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        duckdb.IOException('Could not write file "x": No space left on device'),
    ],
)
def test_a_full_disk_is_known_whoever_wrote(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(RunError, match="is full"), writing(tmp_path):
        raise error


def test_other_errors_are_left_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), writing(tmp_path):
        raise ConnectionResetError(errno.ECONNRESET, "a database went away")
    with pytest.raises(ValueError, match="of another kind"), writing(tmp_path):
        raise ValueError("of another kind")


@given(old=st.binary(max_size=50), new=st.binary(max_size=50), fails=st.booleans())
def test_a_file_is_never_half_written(
    tmp_path_factory: pytest.TempPathFactory, old: bytes, new: bytes, *, fails: bool
) -> None:
    folder = tmp_path_factory.mktemp("file")
    target = folder / "report.html"
    target.write_bytes(old)

    def write(path: Path) -> None:
        path.write_bytes(new[: len(new) // 2])
        if fails:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(new)

    with contextlib.suppress(RunError):
        replace_file(target, write)
    assert target.read_bytes() == (old if fails else new)
    assert [path.name for path in folder.iterdir()] == ["report.html"]
