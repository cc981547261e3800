"""How do the answers of all predictors become one table?"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlmarket.market import Market
from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.market.time import to_utc
from mlmarket.prediction import Predictions

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["join_predictions", "no_reasons", "read_predictions", "write_predictions"]

_CONTACTS: Final = "contacts.parquet"
_MISSING: Final = "missing.parquet"
_REASONS: Final = (CONTACT_ID, "predictor", "reason")


def join_predictions(
    market: Market, answers: Sequence[Predictions], *, as_of: datetime
) -> Predictions:
    """Return one row a contact with the columns of every predictor.

    Parameters
    ----------
    market : Market
        The tables.
    answers : sequence of Predictions
        One a predictor.
    as_of : datetime
        Tonight.

    Returns
    -------
    Predictions
        Everybody known tonight, sorted by contact; missing where a predictor has no answer.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    everybody = market.contacts(as_of=as_of).select(CONTACT_ID).distinct().to_pyarrow()
    ids = pc.cast(everybody.column(CONTACT_ID), pa.string()).combine_chunks()
    ids = ids.take(pc.sort_indices(ids))
    columns = {CONTACT_ID: ids, AS_OF: pa.repeat(_moment(as_of), len(ids))}
    for answer in answers:
        place = pc.index_in(ids, value_set=answer.contacts.column(CONTACT_ID).combine_chunks())
        for name in answer.contacts.column_names:
            if name != CONTACT_ID:
                columns[name] = answer.contacts.column(name).combine_chunks().take(place)
    missing = pa.concat_tables([no_reasons(), *(answer.missing for answer in answers)])
    return Predictions(
        pa.table(columns), missing.sort_by([(CONTACT_ID, "ascending"), ("predictor", "ascending")])
    )


def _moment(as_of: datetime) -> "pa.Scalar":
    import pyarrow as pa

    return pa.scalar(to_utc(as_of), pa.timestamp("us"))


def no_reasons() -> "pa.Table":
    """Return the table of who has no prediction, and why, without a row.

    Returns
    -------
    pyarrow.Table
        ``contact_id, predictor, reason``.
    """
    import pyarrow as pa

    return pa.table({name: pa.array([], pa.string()) for name in _REASONS})


def write_predictions(predictions: Predictions, place: Path) -> None:
    """Write ``predictions/contacts.parquet`` and ``predictions/missing.parquet``.

    Parameters
    ----------
    predictions : Predictions
        One row a contact.
    place : Path
        The run folder, or a stage's.
    """
    import pyarrow.parquet as pq

    folder = place / "predictions"
    folder.mkdir()
    # Without a schema from pandas, equal tables are equal bytes.
    for name, table in ((_CONTACTS, predictions.contacts), (_MISSING, predictions.missing)):
        plain = table.replace_schema_metadata(None).combine_chunks()
        pq.write_table(plain, folder / name, compression="zstd")


def read_predictions(run: Path) -> Predictions:
    """Return the predictions of a night.

    Parameters
    ----------
    run : Path
        Its run folder.

    Returns
    -------
    Predictions
        As they were written.
    """
    import pyarrow.parquet as pq

    folder = run / "predictions"
    return Predictions(pq.read_table(folder / _CONTACTS), pq.read_table(folder / _MISSING))
