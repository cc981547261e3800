"""What does a mailer need: one row a recipient, and a column for everything that a template prints?

Mailers fill templates from columns. The long form, one row an item, is turned here into ``rec_1_id, rec_1_title, …``, whose
columns depend on the number of slots alone, so that a template never meets a column that is not there.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, DataContractError, suggestion
from mlmarket.evaluation.checks import require_count
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.frames import to_arrow
from mlmarket.recommend.interactions import ITEM_ID
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.plain_text import one_line_each, web_addresses
from mlmarket.recommend.reading import ids

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["mailer_schema", "mailer_table"]

_TABLE: Final = "recommendations"
_FACTS: Final = {"title": "title", "url": "url", "image": "image_url", "price": "price"}
"""Columns of a slot that come from the table of items."""


def mailer_schema(k: int) -> "pa.Schema":
    """Return the columns of a mailer's table.

    Parameters
    ----------
    k : int
        Slots a recipient.

    Returns
    -------
    pyarrow.Schema
        ``contact_id``, then ``rec_N_id, rec_N_title, rec_N_url, rec_N_image, rec_N_price, rec_N_reason`` of each
        slot: texts, and the price as ``decimal(18, 2)``.

    Raises
    ------
    ConfigurationError
        Where `k` is not a whole number above 0.

    Examples
    --------
    >>> mailer_schema(1).names
    ['contact_id', 'rec_1_id', 'rec_1_title', 'rec_1_url', 'rec_1_image', 'rec_1_price', 'rec_1_reason']
    """
    import pyarrow as pa

    require_count(k, "k")
    parts = ("id", "title", "url", "image", "price", "reason")
    kinds = {"price": pa.decimal128(18, 2)}
    slots = [
        pa.field(f"rec_{slot}_{part}", kinds.get(part, pa.string()))
        for slot in range(1, k + 1)
        for part in parts
    ]
    return pa.schema([pa.field(CONTACT_ID, pa.string()), *slots])


def mailer_table(
    recommendations: object,
    facts: ItemFacts,
    *,
    k: int,
    contacts: "pa.StringArray | None" = None,
) -> "pa.Table":
    """Return one row a recipient, with the items of all slots beside each other.

    Texts stand on one line and without control characters, and an address that is not of the web is left out. Write the
    file with :func:`mlmarket.orchestration.write_csv`, which also keeps spreadsheets from running a title as a
    formula.

    Parameters
    ----------
    recommendations : Recommendations, pandas.DataFrame, polars.DataFrame or pyarrow.Table
        The long form: ``contact_id``, ``item_id``, ``rank`` from 1, and ``reason`` where there is one.
    facts : ItemFacts
        Where titles, addresses, pictures and prices are read.
    k : int
        Slots of the template. Ranks after it are left out; slots without an item are empty.
    contacts : pyarrow.StringArray, optional
        Who gets a row, in this order, also those without an item; by default those who have one, ascending.

    Returns
    -------
    pyarrow.Table
        The columns of :func:`mailer_schema`.

    Raises
    ------
    ConfigurationError
        Where a column is missing, or a rank is no number from 1.
    DataContractError
        Where a recipient has two items of one rank, or an item is not in `facts`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = mailer_schema(k)
    table = to_arrow(recommendations, name=_TABLE)
    who, what = ids(table, CONTACT_ID, name=_TABLE), ids(table, ITEM_ID, name=_TABLE)
    if contacts is None:
        contacts = pc.unique(who)
        contacts = contacts.take(pc.sort_indices(contacts))
    rank = _ranks(table)
    item = np.append(_places(what, facts), -1)  # the last one is that of no row
    person = pc.fill_null(pc.index_in(who, value_set=contacts), -1).to_numpy()
    rows = np.flatnonzero((rank <= k) & (person >= 0))
    row_of = np.full((len(contacts), k), -1, dtype=np.int64)
    row_of[person[rows], rank[rows] - 1] = rows
    _refuse_two(row_of, rows, who, rank)
    shown = {"id": facts.ids, **{part: _facts(facts, part) for part in _FACTS}}
    reasons = _reasons(table)
    wide = [contacts]
    for field in list(schema)[1:]:
        _, slot, part = field.name.split("_")
        row = row_of[:, int(slot) - 1]
        place = row if part == "reason" else item[row]
        values = reasons if part == "reason" else shown[part]
        wide.append(values.take(pa.array(place, mask=place < 0)))
    return pa.Table.from_arrays(wide, schema=schema)


def _ranks(table: "pa.Table") -> npt.NDArray[np.int64]:
    import pyarrow as pa
    import pyarrow.types as types

    if "rank" not in table.column_names:
        raise ConfigurationError(
            f"Table '{_TABLE}' has no column 'rank'.",
            "It says which slot an item fills.",
            suggestion("rank", table.column_names),
        )
    column = table.column("rank")
    numbers = column.fill_null(0).to_numpy() if types.is_integer(column.type) else np.zeros(1)
    if (numbers < 1).any():
        raise ConfigurationError(
            f"Column 'rank' of table '{_TABLE}' holds something that is no whole number from 1.",
            "The first slot is filled by rank 1.",
            "pass the long form as Recommender.recommend() returns it.",
        )
    ranks: npt.NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    return ranks


def _places(what: "pa.StringArray", facts: ItemFacts) -> npt.NDArray[np.int64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    places = pc.index_in(what, value_set=facts.ids)
    if places.null_count:
        unknown = what.filter(pc.is_null(places))
        raise DataContractError(
            f"{places.null_count:,} rows of table '{_TABLE}' name an item that is not in the catalogue, such as "
            f"'{unknown[0]}'.",
            "A mail would show a slot without a title.",
            "pass the ItemFacts that the recommendations were made with.",
        )
    found: npt.NDArray[np.int64] = places.cast(pa.int64()).to_numpy()
    return found


def _refuse_two(
    row_of: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    who: "pa.StringArray",
    rank: npt.NDArray[np.int64],
) -> None:
    kept = np.zeros(len(who), dtype=np.bool_)
    kept[row_of[row_of >= 0]] = True
    lost = rows[~kept[rows]]
    if len(lost):
        raise DataContractError(
            f"Table '{_TABLE}' has {len(lost):,} rows more than slots: contact '{who[int(lost[0])]}' has two items "
            f"of rank {rank[lost[0]]}.",
            "It would be chance which of them is shown.",
            "keep one row a contact and rank.",
        )


def _facts(facts: ItemFacts, part: str) -> "pa.Array":
    """Return what a slot shows of every item of the catalogue."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = facts.table.column(_FACTS[part]).combine_chunks()
    if part == "price":
        return pc.round(column, 2).cast(pa.decimal128(18, 2), safe=False)
    return one_line_each(column) if part == "title" else web_addresses(column)


def _reasons(table: "pa.Table") -> "pa.StringArray":
    import pyarrow as pa

    if "reason" not in table.column_names:
        return pa.nulls(table.num_rows, pa.string())
    column = table.column("reason").combine_chunks()
    if not pa.types.is_dictionary(column.type):
        return one_line_each(column)
    # Few different texts: each is cleaned once.
    plain = one_line_each(column.dictionary)
    return plain.take(column.indices)
