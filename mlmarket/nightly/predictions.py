"""How do the answers of all predictors become one table?"""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.market.time import to_utc
from mlmarket.nightly.parts import Parts
from mlmarket.nightly.retention import Retention
from mlmarket.prediction import Predictions
from mlmarket.prediction.buckets import BUCKET

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = [
    "contacts_file",
    "join_predictions",
    "no_reasons",
    "read_predictions",
    "read_predictions_of",
    "write_predictions",
]

_CONTACTS: Final = "contacts.parquet"
_MISSING: Final = "missing.parquet"
_ITEMS: Final = "items"
_MISSING_COLUMNS: Final = (CONTACT_ID, "predictor", "reason")


def join_predictions(
    parts: Parts,
    predictors: Sequence[str],
    place: Path,
    *,
    as_of: datetime,
    retention: Retention | None = None,
) -> dict[str, int]:
    """Write ``predictions/contacts.parquet``, ``missing.parquet`` and ``items/PREDICTOR.parquet``.

    Bucket by bucket: everybody known tonight, sorted by contact, with the columns of every
    predictor, missing where it has no answer. A bucket is a row group, so that the bytes do not
    depend on where a night was interrupted.

    Parameters
    ----------
    parts : Parts
        What the predictors answered.
    predictors : sequence of str
        Their names, in the order of their columns.
    place : Path
        The run folder, or a stage's.
    as_of : datetime
        Tonight.
    retention : Retention, optional
        Adds what keeping each person would save.

    Returns
    -------
    dict of str to int
        Rows: ``contacts``, ``missing``, and ``items_PREDICTOR`` where one answers about items.
    """
    folder = place / "predictions"
    folder.mkdir()
    with ExitStack() as files:
        contacts = files.enter_context(_Writer(folder / _CONTACTS))
        missing = files.enter_context(_Writer(folder / _MISSING))
        about_items = {
            name: files.enter_context(_Writer(folder / _ITEMS / f"{name}.parquet"))
            for name in predictors
        }
        for bucket in range(len(parts.roll)):
            people = parts.roll[bucket]
            answers = [parts.bucket(name, bucket) for name in predictors]
            table = _beside(people, [answer.contacts for answer in answers], as_of)
            contacts.write(table if retention is None else retention.beside(table))
            missing.write(_below([answer.missing for answer in answers]))
            for name, answer in zip(predictors, answers, strict=True):
                if answer.items is not None:
                    about_items[name].write(answer.items)
    counted = {f"items_{name}": file.rows for name, file in about_items.items() if file.begun}
    return {"contacts": contacts.rows, "missing": missing.rows, **counted}


def _beside(people: "pa.StringArray", answers: "Sequence[pa.Table]", as_of: datetime) -> "pa.Table":
    import pyarrow as pa

    moment = pa.scalar(to_utc(as_of), pa.timestamp("us"))
    columns = {CONTACT_ID: people, AS_OF: pa.repeat(moment, len(people))}
    for answer in answers:
        columns |= {name: answer.column(name) for name in answer.column_names}
    return pa.table(columns)


def _below(missing: "Sequence[pa.Table]") -> "pa.Table":
    import pyarrow as pa

    together = pa.concat_tables([no_reasons(), *missing])
    return together.sort_by([(CONTACT_ID, "ascending"), ("predictor", "ascending")])


def write_predictions(predictions: Predictions, place: Path) -> dict[str, int]:
    """Write the same files from predictions that are whole already.

    Parameters
    ----------
    predictions : Predictions
        One row a contact, ascending.
    place : Path
        The run folder, or a stage's.

    Returns
    -------
    dict of str to int
        Rows, ``contacts`` and ``missing``.
    """
    folder = place / "predictions"
    folder.mkdir()
    tables = {_CONTACTS: predictions.contacts, _MISSING: predictions.missing}
    for name, table in tables.items():
        with _Writer(folder / name) as file:
            plain = table.replace_schema_metadata(None)
            for first in range(0, max(table.num_rows, 1), BUCKET):
                file.write(plain.slice(first, BUCKET))
    return {"contacts": predictions.contacts.num_rows, "missing": predictions.missing.num_rows}


def no_reasons() -> "pa.Table":
    """Return the table of who has no prediction, and why, without a row.

    Returns
    -------
    pyarrow.Table
        ``contact_id, predictor, reason``.
    """
    import pyarrow as pa

    return pa.table({name: pa.array([], pa.string()) for name in _MISSING_COLUMNS})


class _Writer:
    """Writes a Parquet file, a row group for each table that has rows."""

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._path = path
        self._file: pq.ParquetWriter | None = None

    def __enter__(self) -> "_Writer":
        return self

    def write(self, table: "pa.Table") -> None:
        """Write a table; the first one gives the file its columns."""
        import pyarrow.parquet as pq

        if self._file is None:
            self._path.parent.mkdir(exist_ok=True)
            self._file = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        if table.num_rows:
            # Its chunks would decide where pages begin.
            self._file.write_table(table.combine_chunks(), row_group_size=table.num_rows)
        self.rows += table.num_rows

    @property
    def begun(self) -> bool:
        """Whether there is a file."""
        return self._file is not None

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def contacts_file(run: Path) -> Path:
    """Return where the predictions of a night are.

    Parameters
    ----------
    run : Path
        Its run folder, or a stage's.

    Returns
    -------
    Path
        A Parquet file, one row a contact.
    """
    return run / "predictions" / _CONTACTS


def read_predictions(run: Path, *, columns: Sequence[str] | None = None) -> Predictions:
    """Return the predictions of a night.

    Parameters
    ----------
    run : Path
        Its run folder.
    columns : sequence of str, optional
        Those of the contacts that are wanted, by default all.

    Returns
    -------
    Predictions
        As they were written.
    """
    import pyarrow.parquet as pq

    wanted = None if columns is None else list(columns)
    contacts = pq.read_table(contacts_file(run), columns=wanted)
    return Predictions(contacts, pq.read_table(run / "predictions" / _MISSING))


def read_predictions_of(run: Path, people: "pa.Array") -> "pa.Table":
    """Return what a night predicted of some people; no other rows leave the file.

    Parameters
    ----------
    run : Path
        Its run folder.
    people : pyarrow.Array of string
        Contact ids.

    Returns
    -------
    pyarrow.Table
        One row a contact, without the columns that nobody has a value of: there, the predictor
        said nothing, which is not the same as a person of whom it said nothing.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    file = pq.ParquetFile(contacts_file(run))
    telling = [
        name for place, name in enumerate(file.schema_arrow.names) if _says_something(file, place)
    ]
    return pq.read_table(
        contacts_file(run), columns=telling, filters=pc.field(CONTACT_ID).isin(people)
    )


def _says_something(file: "pq.ParquetFile", column: int) -> bool:
    """Return whether anybody has a value, by what the file says of itself."""
    groups = (file.metadata.row_group(place) for place in range(file.metadata.num_row_groups))
    for group in groups:
        said = group.column(column).statistics
        if said is None or not said.has_null_count or said.null_count < group.num_rows:
            return True
    return False
