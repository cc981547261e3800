"""Whom is it asked for?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.frames import to_arrow
from mlmarket.recommend.identity import IdKind, kind_of
from mlmarket.recommend.interactions import ITEM_ID
from mlmarket.recommend.reading import ids

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["as_item_frame", "asked_contacts", "contacts_table"]

_TABLE = "contacts"


def asked_contacts(asked: object, *, kind: IdKind | None = None) -> "pa.StringArray":
    """Return whom recommendations are asked for, in the order asked.

    Parameters
    ----------
    asked : sequence of str or int, pandas.DataFrame, polars.DataFrame or pyarrow.Table
        Ids, or a frame with ``contact_id``.
    kind : IdKind, optional
        What ids of contacts are made of; by default either will do.

    Returns
    -------
    pyarrow.StringArray
        As text.

    Raises
    ------
    ConfigurationError
        Where they are no ids, or of another kind.
    DataContractError
        Where one is asked for twice.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(asked, str):
        raise ConfigurationError(
            f"'contacts' is the text {asked!r}.",
            "It would be read letter by letter.",
            f"pass a list, such as [{asked!r}].",
        )
    if hasattr(asked, "columns") or hasattr(asked, "column_names"):
        table = to_arrow(asked, name=_TABLE)
    else:
        try:
            table = pa.table({CONTACT_ID: pa.array(asked)})
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
            raise ConfigurationError(
                f"'contacts' is a {type(asked).__name__}, which names nobody.",
                "Recommendations are made for ids.",
                f"pass a list of ids, or a frame with '{CONTACT_ID}'.",
            ) from error
    if kind is not None:
        kind.require(kind_of(table, CONTACT_ID, name=_TABLE))
    who = ids(table, CONTACT_ID, name=_TABLE)
    counts = pc.value_counts(who)
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise DataContractError(
            f"{len(twice):,} contacts are asked for more than once, such as '{twice.field('values')[0]}'.",
            "They would be sent the same items twice.",
            "ask for each once, such as contacts.drop_duplicates().",
        )
    return who


def contacts_table(frame: object | None, *, kinds: Sequence[IdKind]) -> "pa.Table | None":
    """Return facts about contacts, with ids as text.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table or None
        ``contact_id``, and what rules and segments ask for, such as ``country``.
    kinds : sequence of IdKind
        What ids are made of elsewhere.

    Returns
    -------
    pyarrow.Table or None
        The same rows; None where nothing is known.

    Raises
    ------
    ConfigurationError
        Where ids are of another kind.
    DataContractError
        Where an id is missing or stands twice.
    """
    import pyarrow.compute as pc

    if frame is None:
        return None
    table = to_arrow(frame, name=_TABLE)
    for kind in kinds:
        kind.require(kind_of(table, kind.column, name=_TABLE))
    who = ids(table, CONTACT_ID, name=_TABLE)
    if pc.count_distinct(who).as_py() < len(who):
        counts = pc.value_counts(who)
        twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
        raise DataContractError(
            f"Table '{_TABLE}' has {len(twice):,} contacts in more than one row, such as '{twice[0]}'.",
            "It would be chance which of the rows is believed.",
            f"keep one row a contact, such as frame.drop_duplicates('{CONTACT_ID}', keep='last').",
        )
    return table.set_column(table.column_names.index(CONTACT_ID), CONTACT_ID, who)


def as_item_frame(named: object) -> object:
    """Return a list of item ids as a frame; a frame stays what it is.

    Parameters
    ----------
    named : sequence of str or int, pandas.DataFrame, polars.DataFrame or pyarrow.Table
        Items.

    Returns
    -------
    frame
        With ``item_id``.

    Raises
    ------
    ConfigurationError
        Where it names no items.
    """
    import pyarrow as pa

    if hasattr(named, "columns") or hasattr(named, "column_names"):
        return named
    try:
        return pa.table({ITEM_ID: pa.array(named)})
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        raise ConfigurationError(
            f"Items are named by {named!r}, which is no list of ids.",
            "It decides what may be shown.",
            f"pass a list of ids, or a frame with '{ITEM_ID}'.",
        ) from error
