"""Are these the same predictions as before?"""

import hashlib
import json
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from mlmarket.errors import DataContractError
from mlmarket.orchestration.behaviour import one_row_each

__all__ = ["fingerprint"]

Content: TypeAlias = bytes | memoryview
_EPOCH_UNIT: Final = pa.timestamp("us")


def fingerprint(table: pa.Table) -> str:
    """Return a hash of what a predictions table says, however its rows are laid out.

    The one place where predictions are hashed. Rows are taken in the order of ``contact_id`` and
    columns in the order of their names; each column adds its name, its type, which values are
    missing, and the others. Neither the order of rows or columns nor chunks, dictionaries or the
    width of text offsets matter.

    Parameters
    ----------
    table : pyarrow.Table
        One row a contact, with ``contact_id``.

    Returns
    -------
    str
        64 hex digits.

    Raises
    ------
    DataContractError
        Where a contact occurs twice or is missing.

    Examples
    --------
    >>> forth = pa.table({"contact_id": ["a", "b"], "risk": [0.1, None]})
    >>> back = pa.table({"risk": [None, 0.1], "contact_id": ["b", "a"]})
    >>> fingerprint(forth) == fingerprint(back)
    True
    """
    if "contact_id" not in table.column_names:
        what = "The predictions have no column 'contact_id'."
        why = "Nobody could be told from anybody else."
        raise DataContractError(what, why, "keep contact_id when predictions are selected.")
    one_row_each(table, "predictions")
    rows = _in_order(table)
    digest = hashlib.sha256(f"{len(table)}".encode())
    for name in sorted(table.column_names):
        kind, content = _content(rows[name])
        header = json.dumps([name, kind, len(content)])
        digest.update(header.encode())
        digest.update(np.packbits(_missing(rows[name])).tobytes())
        digest.update(content)
    return digest.hexdigest()


def _in_order(table: pa.Table) -> pa.Table:
    """Return the rows by contact; most tables come sorted, and sorting moves every column."""
    keys = table["contact_id"].cast(pa.large_string())
    if len(keys) > 1 and not pc.all(pc.less(keys[:-1], keys[1:])).as_py():
        return table.take(pc.sort_indices(keys))
    return table


def _missing(column: pa.ChunkedArray) -> np.ndarray:
    missing: np.ndarray = column.is_null().to_numpy()
    return missing


def _content(column: pa.ChunkedArray) -> tuple[str, Content]:
    """Return the name of a column's type and its values as bytes, missing ones as zero."""
    kind = column.type
    if pat.is_dictionary(kind):
        return _content(column.cast(kind.value_type))
    if pat.is_string(kind) or pat.is_large_string(kind) or pat.is_string_view(kind):
        return "text", _text(column.cast(pa.large_string()))
    if pat.is_list(kind) or pat.is_large_list(kind):
        return _listed(column.cast(pa.large_list(kind.value_type)))
    if pat.is_decimal(kind):
        return str(kind), _text(column.cast(pa.large_string()))
    return _of_fixed_width(column, kind)


def _of_fixed_width(column: pa.ChunkedArray, kind: pa.DataType) -> tuple[str, Content]:
    if pat.is_boolean(kind):
        return "boolean", _plain(column.cast(pa.uint8()))
    if pat.is_timestamp(kind) and kind.tz is None:
        return "time", _plain(column.cast(_EPOCH_UNIT).cast(pa.int64()))
    if pat.is_integer(kind) or pat.is_floating(kind):
        return str(kind), _plain(column)
    return str(kind), json.dumps(column.to_pylist(), default=str).encode()


def _plain(column: pa.ChunkedArray) -> memoryview:
    zero = pa.scalar(0, type=column.type)
    values: npt.NDArray[np.generic] = column.fill_null(zero).to_numpy()
    return np.ascontiguousarray(values).view(np.uint8).data


def _text(column: pa.ChunkedArray) -> bytes:
    """Return the lengths, then all text on end, straight from Arrow's own memory."""
    values = _whole(column.fill_null(""))
    lengths = pc.binary_length(values).cast(pa.int64()).to_numpy()
    if not len(values):
        return b""
    _, offsets, letters = values.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[values.offset : values.offset + len(values) + 1]
    text = b"" if letters is None else memoryview(letters)[ends[0] : ends[-1]]
    return b"".join((lengths.tobytes(), text))


def _listed(column: pa.ChunkedArray) -> tuple[str, bytes]:
    """Return the lengths of lists, then what lies in them as one column with its own missing."""
    lists = _whole(column)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int64()).to_numpy()
    inner = pa.chunked_array([lists.flatten()])
    kind, content = _content(inner)
    missing = np.packbits(_missing(inner)).tobytes()
    return f"list<{kind}>", b"".join((lengths.tobytes(), missing, content))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return pa.concat_arrays(joined.chunks) if isinstance(joined, pa.ChunkedArray) else joined
