"""Who stands on a list that somebody made by hand or got from elsewhere?

A list is a file of contact ids, e-mail addresses or external ids. It is read once, when the
segments are loaded, and what it says becomes part of the playbook: another list is another
playbook, so that the same night with a changed list is decided anew.
"""

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from mlmarket.errors import suggestion
from mlmarket.orchestration.documents import DocumentError, StrictModel, Text

__all__ = ["LIST_KEYS", "StaticList", "read_list"]

LIST_KEYS: Final = ("contact_id", "email", "external_id")
"""What people can be listed by."""

_READABLE: Final = (".csv", ".parquet", ".txt")


class StaticList(StrictModel):
    """People named one by one in a file.

    Parameters
    ----------
    file : str
        A CSV or Parquet file with a column for ``by``, or a text file with one entry a line; the
        path is relative to the file of segments.
    by : str, optional
        ``contact_id``, ``email`` or ``external_id``; for CSV and Parquet by default the first of
        these that is a column. E-mail addresses are compared without regard to case.
    sha256 : str, optional
        The hash of ``by`` and of who is listed, in any order; computed, not written.
    people : tuple of str, optional
        Who is listed; read from the file, not written. None where the file was not read.
    """

    file: Text
    by: Literal["contact_id", "email", "external_id"] | None = None
    sha256: SkipJsonSchema[str | None] = None
    people: Annotated[SkipJsonSchema[tuple[str, ...] | None], Field(exclude=True, repr=False)] = (
        None
    )

    @model_validator(mode="before")
    @classmethod
    def _say_what_it_holds(cls, data: object) -> object:
        if isinstance(data, str):
            return {"file": data}
        if not isinstance(data, Mapping) or data.get("people") is None:
            return data
        by = data.get("by") or "contact_id"
        people = sorted(_tidied(data["people"], by=str(by)))
        digest = hashlib.sha256(json.dumps([by, people]).encode()).hexdigest()
        return {**data, "by": by, "people": tuple(people), "sha256": digest}


def _tidied(entries: Iterable[object], *, by: str) -> set[str]:
    texts = (str(entry).strip() for entry in entries if entry is not None)
    return {text.lower() if by == "email" else text for text in texts if text}


def read_list(listed: StaticList, *, path: Path | str, subject: str) -> StaticList:
    """Read the file of a list.

    Parameters
    ----------
    listed : StaticList
        As it was written down.
    path : Path or str
        The file of segments that it was written in.
    subject : str
        The segment, for messages.

    Returns
    -------
    StaticList
        With the people and their hash.

    Raises
    ------
    DocumentError
        Where the file is not there, cannot be read or has no such column.
    """

    def refuse(problem: str, fix: str) -> DocumentError:
        return DocumentError(path, f"{subject}, key 'list'", problem, fix)

    file = Path(path).parent / listed.file
    if file.suffix.lower() not in _READABLE:
        problem = f"'{listed.file}' is none of {', '.join(_READABLE)}"
        raise refuse(problem, "save the list as CSV, Parquet or text.")
    try:
        by, entries = _entries(file, listed.by, refuse)
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowInvalid) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        problem = f"the list {file} cannot be read: {reason}"
        raise refuse(problem, "check the path, which is relative to the segments.") from error
    return StaticList(file=listed.file, by=by, people=tuple(_tidied(entries, by=by)))


_Refuse = Callable[[str, str], DocumentError]


def _entries(file: Path, by: str | None, refuse: _Refuse) -> tuple[str, list[object]]:
    if file.suffix.lower() == ".txt":
        if by is None:
            problem = f"nothing says what the lines of '{file.name}' are"
            raise refuse(problem, f"write 'by: email', or one of {', '.join(LIST_KEYS)}.")
        return by, list(file.read_text(encoding="utf-8-sig").splitlines())
    if file.suffix.lower() == ".parquet":
        columns = pq.read_schema(file).names
        found = _column(columns, by, file, refuse)
        return found, pq.read_table(file, columns=[found])[found].to_pylist()
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = csv.DictReader(opened, strict=True)
        found = _column([name.strip() for name in rows.fieldnames or ()], by, file, refuse)
        rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
        return found, [row[found] for row in rows]


def _column(columns: Iterable[str], by: str | None, file: Path, refuse: _Refuse) -> str:
    there = list(columns)
    if by is None:
        by = next((name for name in LIST_KEYS if name in there), None)
        if by is None:
            problem = f"'{file.name}' has no column {', '.join(LIST_KEYS[:-1])} or {LIST_KEYS[-1]}"
            raise refuse(problem, f"name one of its columns so; it has {', '.join(there)}.")
    elif by not in there:
        raise refuse(f"'{file.name}' has no column '{by}'", suggestion(by, there))
    return by
