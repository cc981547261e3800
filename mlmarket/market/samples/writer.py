"""How do arrays become the same Parquet bytes each time?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlmarket.market.samples.attributes import Texts
from mlmarket.market.samples.draws import Flags, Floats, Ints

__all__ = [
    "MONEY",
    "TIME",
    "TableWriter",
    "booleans",
    "money",
    "names",
    "numbers",
    "serial",
    "times",
]

MONEY: Final = pa.decimal128(18, 4)
TIME: Final = pa.timestamp("us")

_ROW_GROUP: Final = 1_000_000
_COMPRESSION_LEVEL: Final = 9


def times(values: Ints) -> pa.Array:
    """Return microseconds since 1970 UTC as naive timestamps.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Negative where there is no time.

    Returns
    -------
    pyarrow.Array
        Of type ``timestamp("us")``.

    Examples
    --------
    >>> times(np.array([-1, 86_400_000_000])).to_pylist()
    [None, datetime.datetime(1970, 1, 2, 0, 0)]
    """
    return pa.array(values, type=pa.int64(), mask=values < 0).cast(TIME)


def money(cents: Ints, missing: Flags | None = None) -> pa.Array:
    """Return cents as decimals of the currency.

    Parameters
    ----------
    cents : ndarray of shape (n,)
        Euro cents.
    missing : ndarray of shape (n,), optional
        Where there is no amount.

    Returns
    -------
    pyarrow.Array
        Of type ``decimal128(18, 4)``.

    Examples
    --------
    >>> money(np.array([1250, -5])).to_pylist()
    [Decimal('12.5000'), Decimal('-0.0500')]
    """
    words = np.empty((cents.size, 2), dtype="<i8")
    words[:, 0] = cents * 100
    words[:, 1] = words[:, 0] >> 63
    array = pa.Array.from_buffers(MONEY, cents.size, [None, pa.py_buffer(words)])
    if missing is None:
        return array
    return pc.if_else(pa.array(~missing), array, pa.scalar(None, MONEY))


def names(choices: Sequence[str] | Texts, index: Ints) -> pa.Array:
    """Return the names that indices stand for.

    Parameters
    ----------
    choices : sequence of str
        Names.
    index : ndarray of shape (n,)
        Negative where there is none.

    Returns
    -------
    pyarrow.Array
        Of type ``string``.

    Examples
    --------
    >>> names(["a", "b"], np.array([1, -1])).to_pylist()
    ['b', None]
    """
    return pa.array(choices, type=pa.string()).take(pa.array(index, mask=index < 0))


def serial(prefix: str, count: Ints, width: int) -> pa.Array:
    """Return ids made of a prefix and a number with leading zeros.

    Parameters
    ----------
    prefix : str
        What each id begins with.
    count : ndarray of shape (n,)
        Not negative.
    width : int
        Least number of digits.

    Returns
    -------
    pyarrow.Array
        Of type ``string``.

    Examples
    --------
    >>> serial("C", np.array([123]), 6).to_pylist()
    ['C000123']
    """
    digits = pc.utf8_lpad(pa.array(count).cast(pa.string()), width, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), digits, "")


def numbers(values: Floats | Ints) -> pa.Array:
    """Return numbers as double precision.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Numbers.

    Returns
    -------
    pyarrow.Array
        Of type ``double``.
    """
    return pa.array(values.astype(np.float64))


def booleans(values: Flags) -> pa.Array:
    """Return truth values.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Truth values.

    Returns
    -------
    pyarrow.Array
        Of type ``bool``.
    """
    return pa.array(values)


class TableWriter:
    """Writes tables piece by piece, each to a Parquet file with fixed settings.

    Files appear under their names when the writer is closed without an error.

    Parameters
    ----------
    folder : Path
        Where to; made if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.rows: dict[str, int] = {}
        self._folder = folder
        self._open: dict[str, pq.ParquetWriter] = {}

    def write(self, tables: Mapping[str, pa.Table]) -> None:
        """Append rows to tables.

        Parameters
        ----------
        tables : mapping of str to pyarrow.Table
            Rows by name of the table, such as ``orders`` or ``truth/contacts``.
        """
        for name, table in tables.items():
            if name not in self._open:
                path = self._partial(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                self._open[name] = _parquet_writer(path, table.schema)
            self._open[name].write_table(table, row_group_size=_ROW_GROUP)
            self.rows[name] = self.rows.get(name, 0) + table.num_rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name, writer in self._open.items():
            writer.close()
            if kind is None:
                self._partial(name).replace(self._folder / f"{name}.parquet")
            else:
                self._partial(name).unlink()

    def _partial(self, name: str) -> Path:
        return self._folder / f"{name}.parquet.part"


def _parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a file; times and ids grow along the rows, so that differences pack better."""
    steady = [f.name for f in schema if pa.types.is_timestamp(f.type)]
    dictionary = [f.name for f in schema if f.name not in steady and not _is_serial(f.name)]
    encodings = dict.fromkeys(steady, "DELTA_BINARY_PACKED")
    encodings |= {f.name: "DELTA_BYTE_ARRAY" for f in schema if _is_serial(f.name)}
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=_COMPRESSION_LEVEL,
        use_dictionary=dictionary,
        column_encoding=encodings,
        version="2.6",
        write_statistics=True,
    )


def _is_serial(name: str) -> bool:
    return name in ("event_id", "message_id", "order_id")
