"""What did the CRM say about a contact then, before it was overwritten?

A CRM keeps only the present value of an attribute. Each night appends the contacts whose
attributes changed, so that later training sees what was known at its cutoff. What was recorded
first counts as known from the start.
"""

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.market.time import instant, to_utc, within

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from mlmarket.market.market import Market

__all__ = ["contacts_as_of", "looks_like_outcome", "record_contacts", "recorded_since"]

VALID_FROM: Final = "valid_from"
_NOT_RECORDED: Final = frozenset(
    {"contact_id", "external_id", "email", "phone", "created_at", "valid_from"}
)
"""Never recorded: keys, dates that do not change, and addresses, which belong in one place."""

_OUTCOME_WORDS: Final = re.compile(
    r"(^|_)(stage|status|owner|score|scoring|grade|rating|mql|sql|won|lost|converted|conversion|"
    r"churned|churn|customer_since|deal|opportunity|lifecycle|segment|tier_now)(_|$)",
    re.IGNORECASE,
)


def looks_like_outcome(attribute: str) -> bool:
    """Return whether an attribute's name says that it is filled in by what is to be predicted.

    Parameters
    ----------
    attribute : str
        Name of a column of contacts.

    Returns
    -------
    bool
        True for names such as ``lifecycle_stage``, ``owner`` or ``lead_score``.

    Examples
    --------
    >>> looks_like_outcome("lifecycle_stage"), looks_like_outcome("industry")
    (True, False)
    """
    return _OUTCOME_WORDS.search(attribute) is not None


def contacts_as_of(
    contacts: "ir.Table",
    history: "ir.Table | None",
    *,
    as_of: "datetime | ir.Table",
) -> "ir.Table":
    """Return the contacts known at an instant, with the attributes they had then.

    Parameters
    ----------
    contacts : ibis.expr.types.Table
        As they are now, or with ``valid_from``, one row a period.
    history : ibis.expr.types.Table or None
        What earlier nights recorded.
    as_of : datetime or ibis.expr.types.Table
        The instant; or a table of ``contact_id, as_of``, one instant or several for a contact.

    Returns
    -------
    ibis.expr.types.Table
        One row a contact (and instant), without ``valid_from``.
    """
    contacts, keys, until = _at(contacts, as_of)
    if "created_at" in contacts.columns:
        known = contacts.created_at.isnull() | within(contacts.created_at, until=until(contacts))
        contacts = contacts.filter(known)
    if VALID_FROM in contacts.columns:
        return _in_force(contacts, keys, until).drop(VALID_FROM)
    if history is None:
        return contacts
    periods, _, _ = _at(history, as_of)
    then = _in_force(periods, keys, until)
    recorded = [name for name in then.columns if name in contacts.columns and name not in keys]
    then = then.select(*keys, was_recorded=True, **{f"{n}_then": then[n] for n in recorded})
    joined = contacts.left_join(then, keys)
    return joined.select(
        **{
            name: joined.was_recorded.notnull().ifelse(joined[f"{name}_then"], joined[name])
            if name in recorded
            else joined[name]
            for name in contacts.columns
        }
    )


def _at(
    table: "ir.Table", as_of: "datetime | ir.Table"
) -> "tuple[ir.Table, list[str], Callable[[ir.Table], Any]]":
    """Return a table beside its instants, what identifies a row, and how to find its instant."""
    if isinstance(as_of, datetime):
        moment = instant(as_of)
        return table, [CONTACT_ID], lambda _: moment
    return table.inner_join(as_of, CONTACT_ID), [CONTACT_ID, AS_OF], lambda rows: rows[AS_OF]


def _in_force(
    periods: "ir.Table", keys: list[str], until: "Callable[[ir.Table], Any]"
) -> "ir.Table":
    """Return each contact's period that holds at its instant, else its first."""
    begun = periods[VALID_FROM].max(where=within(periods[VALID_FROM], until=until(periods)))
    marked = periods.group_by(keys).mutate(in_force=begun.coalesce(periods[VALID_FROM].min()))
    chosen = marked.filter(marked[VALID_FROM] == marked.in_force)
    return chosen.drop("in_force")


def recorded_since(market: "Market") -> datetime | None:
    """Return since when the attributes of contacts are recorded.

    Parameters
    ----------
    market : Market
        With or without a history.

    Returns
    -------
    datetime or None
        Naive, in UTC; None where nothing is recorded.
    """
    contacts = market.table("contacts")
    periods = contacts if VALID_FROM in contacts.columns else market.history
    if periods is None:
        return None
    first = periods[VALID_FROM].min().execute()
    return None if first is None or first != first else first.to_pydatetime()


def record_contacts(market: "Market", folder: Path, *, as_of: datetime) -> int:
    """Append the contacts whose attributes changed since the last record.

    Running it again for the same day writes the same file. A day before the last recorded one
    changes nothing: the present values of a CRM are not what it held then.

    Parameters
    ----------
    market : Market
        As it is tonight.
    folder : Path
        Where the history is kept, a file a day in ``contacts/``.
    as_of : datetime
        Tonight.

    Returns
    -------
    int
        How many contacts were written.
    """
    contacts = market.table("contacts")
    attributes = [name for name in contacts.columns if name not in _NOT_RECORDED]
    if VALID_FROM in contacts.columns or not attributes or market.contacts_derived:
        return 0
    place = folder / "contacts"
    file = place / f"{to_utc(as_of):%Y-%m-%dT%H%M}.parquet"
    earlier = [path for path in sorted(place.glob("*.parquet")) if path.name < file.name]
    if any(path.name > file.name for path in place.glob("*.parquet")):
        return 0
    tonight = contacts.select(CONTACT_ID, *attributes).mutate(valid_from=instant(as_of))
    if earlier and market.workbench is not None:
        before = market.workbench.connection.read_parquet(
            [str(path) for path in earlier], union_by_name=True
        )
        in_force = _in_force(before, [CONTACT_ID], lambda _: instant(as_of))
        tonight = _changed(tonight, in_force, attributes)
    rows = tonight.order_by(CONTACT_ID).to_pyarrow()
    if rows.num_rows == 0:
        file.unlink(missing_ok=True)
        return 0
    _write(rows, file)
    return int(rows.num_rows)


def _changed(tonight: "ir.Table", before: "ir.Table", attributes: list[str]) -> "ir.Table":
    """Return the rows of tonight that are new or differ from what was in force."""
    import functools
    import operator

    import ibis

    known = [name for name in attributes if name in before.columns]
    then = before.select(CONTACT_ID, known=True, **{f"{name}_then": before[name] for name in known})
    joined = tonight.left_join(then, CONTACT_ID)
    differs = [~joined[name].identical_to(joined[f"{name}_then"]) for name in known]
    differs += [joined[name].notnull() for name in attributes if name not in known]
    new = joined.known.isnull()
    changed = functools.reduce(operator.or_, differs, ibis.literal(value=False))
    return joined.filter(new | changed).select(*tonight.columns)


def _write(rows: object, file: Path) -> None:
    import os

    import pyarrow.parquet as pq

    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        pq.write_table(rows, temporary, compression="zstd")
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
