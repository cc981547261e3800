"""How are recommendations written down for a night?"""

from typing import TYPE_CHECKING, Any, Final

from mlmarket.market.columns import CONTACT_ID
from mlmarket.prediction.predictor import OutputColumn, Predictions
from mlmarket.recommend.interactions import ITEM_ID

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.prediction.predictor import Schema
    from mlmarket.recommend.items import ItemFacts
    from mlmarket.recommend.recommendations import Recommendations

__all__ = ["NAME", "PROBABILITY", "as_predictions", "columns_of", "reasons_for"]

NAME: Final = "recommend"
PROBABILITY: Final = "rec_probability"
VERSION: Final = "rec_model_version"
_PARTS: Final = {
    "id": ("text", "item", "the item of slot {slot}"),
    "title": ("text", "words", "its title"),
    "url": ("text", "address", "its page"),
    "image": ("text", "address", "its picture"),
    "price": ("number", "currency", "its price"),
    "reason": ("text", "words", "why it is shown"),
}
_EMPTY: Final = (
    "an empty slot, or the table of items does not say it; the reason is in missing.parquet"
)


def columns_of(slots: int, horizon: str) -> "Schema":
    """Return the columns of the predictions table.

    Parameters
    ----------
    slots : int
        Items a contact.
    horizon : str
        Within which time a purchase counts.

    Returns
    -------
    mapping of str to OutputColumn
        In their order there.
    """
    columns = [
        OutputColumn(
            f"rec_{slot}_{part}", kind, NAME, unit, says.format(slot=slot), null_rule=_EMPTY
        )
        for slot in range(1, slots + 1)
        for part, (kind, unit, says) in _PARTS.items()
    ]
    chance = f"probability that the item of slot 1 is taken within {horizon}"
    unknown = "no item, or too little was taken in the past to tell a probability"
    columns.append(OutputColumn(PROBABILITY, "number", NAME, "probability", chance, unknown))
    version = "which trained model gave the answer"
    columns.append(OutputColumn(VERSION, "text", NAME, "version", version))
    return {column.name: column for column in columns}


def as_predictions(
    people: "pa.StringArray", found: "Recommendations", facts: "ItemFacts", *, k: int, version: str
) -> Predictions:
    """Return recommendations in the form of a night.

    Parameters
    ----------
    people : pyarrow.StringArray
        Who was asked about, ascending.
    found : Recommendations
        What they are shown.
    facts : ItemFacts
        Tonight's titles and prices.
    k : int
        Slots.
    version : str
        Of the model.

    Returns
    -------
    Predictions
        With ``items``. Who has no item at all is in ``missing`` alone; who has fewer than `k` is in both.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from mlmarket.recommend.mailer import mailer_table

    long = _plain(found.to_arrow())
    shown = people.filter(pc.is_in(people, value_set=_who(long)))
    wide = mailer_table(long, facts, k=k, contacts=shown)
    columns: dict[str, Any] = {
        name: column.cast(pa.float64()) if name.endswith("_price") else column
        for name, column in zip(wide.column_names, wide.columns, strict=True)
    }
    first = long.filter(pc.equal(long.column("rank"), 1))
    place = pc.index_in(shown, value_set=_who(first))
    columns[PROBABILITY] = first.column("probability").combine_chunks().take(place)
    columns[VERSION] = pa.repeat(pa.scalar(version), len(shown))
    return Predictions(pa.table(columns), _missing(found), _items(long, found))


def reasons_for(contacts: "pa.StringArray", why: str) -> "pa.Table":
    """Return why contacts have no answer.

    Parameters
    ----------
    contacts : pyarrow.StringArray
        Who has none.
    why : str
        In words.

    Returns
    -------
    pyarrow.Table
        ``contact_id, predictor, reason``.
    """
    import pyarrow as pa

    return pa.table(
        {
            CONTACT_ID: contacts,
            "predictor": pa.repeat(pa.scalar(NAME), len(contacts)),
            "reason": pa.repeat(pa.scalar(why), len(contacts)),
        }
    )


def _who(table: "pa.Table") -> "pa.StringArray":
    import pyarrow as pa

    column = table.column(CONTACT_ID)
    return pa.concat_arrays(column.chunks or [pa.array([], pa.string())])


def _plain(table: "pa.Table") -> "pa.Table":
    """Return a table whose texts are written out."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            told = table.column(place).cast(field.type.value_type)
            table = table.set_column(place, field.name, told)
    return table.combine_chunks()


def _items(long: "pa.Table", found: "Recommendations") -> "pa.Table":
    """Return the rows of ``items/recommend.parquet``; how long each history is lets a report tell who got what."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from mlmarket.recommend.fallbacks import FALLBACKS, POPULAR_BY

    history = found.history.combine_chunks()
    place = pc.index_in(long.column(CONTACT_ID), value_set=_who(history))
    occasions = history.column("occasions").combine_chunks().take(place.combine_chunks())
    source = long.column("source")
    by_fallback = pc.or_(
        pc.is_in(source, value_set=pa.array(FALLBACKS)),
        pc.starts_with(source, pattern=POPULAR_BY),
    )
    return pa.table(
        {
            CONTACT_ID: long.column(CONTACT_ID),
            ITEM_ID: long.column(ITEM_ID),
            "rank": long.column("rank").cast(pa.int64()),
            "score": long.column("score").cast(pa.float64()),
            "probability": long.column("probability"),
            "due_date": long.column("due_date").cast(pa.timestamp("us")),
            "reason": long.column("reason"),
            "source": source,
            "by_fallback": by_fallback,
            "occasions": occasions.cast(pa.int64()),
        }
    )


def _missing(found: "Recommendations") -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    short = _plain(found.short)
    filled, wanted = (short.column(name).cast(pa.string()) for name in ("filled", "wanted"))
    words = short.column("words" if "words" in short.column_names else "reason")
    said = pc.binary_join_element_wise(filled, " of ", wanted, " slots are filled: ", words, "")
    table = reasons_for(_who(short), "")
    return table.set_column(2, "reason", said).sort_by(CONTACT_ID)
