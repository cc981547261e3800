"""What did the CRM say about a contact then, before it was overwritten?

A CRM keeps only the present value of an attribute. Each night appends the contacts whose
attributes changed, so that later training sees what was known at its cutoff. What was recorded
first counts as known from the start.
"""

import functools
import operator
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from mlmarket.errors import ConfigurationError
from mlmarket.expressions.dialects import engine_of, in_code_order
from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.market.postgres import rows_in_query
from mlmarket.market.time import instant, to_utc, within
from mlmarket.market.try_casts import try_cast

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from mlmarket.market.market import Market

__all__ = [
    "contacts_as_of",
    "looks_like_outcome",
    "read_history",
    "record_contacts",
    "recorded_since",
]

VALID_FROM: Final = "valid_from"
# Columns made here; a name that a source could not have without trying.
_BEGAN: Final = "valid_from::began"
_RECORDED: Final = "valid_from::recorded"
_THEN: Final = "::then"
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

    Raises
    ------
    ConfigurationError
        Where `as_of` is neither an aware datetime nor such a table.
    """
    moments = _Moments.of(as_of)
    rows = moments.beside(contacts)
    if VALID_FROM in contacts.columns:
        begun = rows[VALID_FROM].isnull() | within(rows[VALID_FROM], until=moments.until(rows))
        rows = _latest(rows.filter(begun), moments.keys).drop(VALID_FROM)
    if "created_at" in contacts.columns:
        known = rows.created_at.isnull() | within(rows.created_at, until=moments.until(rows))
        rows = rows.filter(known)
    if VALID_FROM in contacts.columns or history is None:
        return rows
    return _as_recorded(rows, _in_force(moments.beside(history), moments), moments.keys)


@dataclass(frozen=True, slots=True)
class _Moments:
    """One instant for everybody, or a table of instants."""

    moment: "ir.TimestampScalar | None"
    table: "ir.Table | None"

    @classmethod
    def of(cls, as_of: "datetime | ir.Table") -> "_Moments":
        if isinstance(as_of, datetime):
            return cls(instant(as_of), None)
        columns = getattr(as_of, "columns", ())
        if CONTACT_ID not in columns or AS_OF not in columns:
            raise ConfigurationError(
                f"Contacts are wanted as of a {type(as_of).__name__}, which says no instant.",
                "What was known is known at an instant.",
                "pass datetime(…, tzinfo=UTC), or an Ibis table with contact_id and as_of.",
            )
        dtype = as_of[AS_OF].type()
        if not dtype.is_timestamp() or dtype.timezone is not None:
            raise ConfigurationError(
                f"The column 'as_of' is {dtype}, not a time in UTC without a zone.",
                "The tables of a market hold such times, and are compared with it.",
                "convert it to timestamp(6) in UTC.",
            )
        return cls(None, as_of.select(CONTACT_ID, AS_OF).distinct())

    @property
    def keys(self) -> list[str]:
        """What identifies a row."""
        return [CONTACT_ID] if self.table is None else [CONTACT_ID, AS_OF]

    def beside(self, rows: "ir.Table") -> "ir.Table":
        """Return rows of contacts, once for each instant wanted."""
        return rows if self.table is None else rows.inner_join(self.table, CONTACT_ID)

    def until(self, rows: "ir.Table") -> Any:  # noqa: ANN401 - a scalar or a column
        """Return the instant of each row."""
        return self.moment if self.table is None else rows[AS_OF]


def _latest(periods: "ir.Table", keys: list[str]) -> "ir.Table":
    """Return the last period of each contact; one without a beginning is the first."""
    marked = periods.group_by(keys).mutate(**{_BEGAN: periods[VALID_FROM].max()})
    return marked.filter(marked[VALID_FROM].identical_to(marked[_BEGAN])).drop(_BEGAN)


def _in_force(records: "ir.Table", moments: _Moments) -> "ir.Table":
    """Return each contact's record that holds at its instant, else its first."""
    started = within(records[VALID_FROM], until=moments.until(records))
    began = records[VALID_FROM].max(where=started).coalesce(records[VALID_FROM].min())
    marked = records.group_by(moments.keys).mutate(**{_BEGAN: began})
    return marked.filter(marked[VALID_FROM] == marked[_BEGAN]).drop(_BEGAN)


def _as_recorded(rows: "ir.Table", records: "ir.Table", keys: list[str]) -> "ir.Table":
    """Return contacts with what was recorded about them in place of what they hold now."""
    recorded = [name for name in records.columns if name in rows.columns and name not in keys]
    then = records.select(
        *keys, **{_RECORDED: True}, **{f"{name}{_THEN}": records[name] for name in recorded}
    )
    joined = rows.left_join(then, keys)
    columns = {name: joined[name] for name in rows.columns}
    for name in recorded:
        held = joined[f"{name}{_THEN}"]
        if held.type() != joined[name].type():
            held = try_cast(held, joined[name].type(), engine_of(rows))
        columns[name] = joined[_RECORDED].notnull().ifelse(held, joined[name])
    return joined.select(**columns)


def read_history(folder: Path, connection: Any) -> "ir.Table | None":  # noqa: ANN401
    """Open what earlier nights recorded.

    Parameters
    ----------
    folder : Path
        Where :func:`record_contacts` writes.
    connection : ibis.backends.BaseBackend
        Where the contacts are.

    Returns
    -------
    ibis.expr.types.Table or None
        A row for each contact and change; None where nothing is recorded.
    """
    return _read(sorted((folder / "contacts").glob("*.parquet")), connection)


def _read(files: list[Path], connection: Any) -> "ir.Table | None":  # noqa: ANN401
    if not files:
        return None
    if connection.name == "duckdb":
        table = connection.read_parquet([str(path) for path in files], union_by_name=True)
        return cast("ir.Table", table)
    tables = [pq.read_table(path) for path in files]
    records = pa.concat_tables(tables, promote_options="permissive")
    if connection.name == "postgres":
        return rows_in_query(connection, records)
    return ibis.memtable(records)


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
    first: datetime | None = periods[VALID_FROM].min().to_pyarrow().as_py()
    return first


def record_contacts(market: "Market", folder: Path, *, as_of: datetime) -> int:
    """Append the contacts whose attributes changed since the last record.

    Running it again for the same instant writes the same file. An instant before the last
    recorded one changes nothing: the present values of a CRM are not what it held then.

    Parameters
    ----------
    market : Market
        As it is tonight.
    folder : Path
        Where the history is kept, a file a night in ``contacts/``.
    as_of : datetime
        Tonight.

    Returns
    -------
    int
        How many contacts were written.

    Raises
    ------
    ConfigurationError
        Where `as_of` has no zone.
    """
    contacts = market.table("contacts")
    attributes = [name for name in contacts.columns if name not in _NOT_RECORDED]
    if VALID_FROM in contacts.columns or not attributes or market.contacts_derived:
        return 0
    place = folder / "contacts"
    file = place / f"{to_utc(as_of):%Y-%m-%dT%H%M%S}.parquet"
    recorded = sorted(place.glob("*.parquet"))
    if any(path.name > file.name for path in recorded):
        return 0
    tonight = contacts.select(CONTACT_ID, *attributes).mutate(**{VALID_FROM: instant(as_of)})
    before = _read([path for path in recorded if path != file], contacts.get_backend())
    if before is not None:
        in_force = _in_force(before, _Moments.of(as_of))
        tonight = _changed(tonight, in_force, attributes)
    rows = tonight.order_by(in_code_order(tonight[CONTACT_ID])).to_pyarrow()
    if rows.num_rows == 0:
        file.unlink(missing_ok=True)
        return 0
    _write(rows, file)
    return int(rows.num_rows)


def _changed(tonight: "ir.Table", before: "ir.Table", attributes: list[str]) -> "ir.Table":
    """Return the rows of tonight that are new or differ from what was in force."""
    known = [name for name in attributes if name in before.columns]
    held = {f"{name}{_THEN}": before[name].cast(tonight[name].type()) for name in known}
    joined = tonight.left_join(before.select(CONTACT_ID, **{_RECORDED: True}, **held), CONTACT_ID)
    differs = [~joined[name].identical_to(joined[f"{name}{_THEN}"]) for name in known]
    differs += [joined[name].notnull() for name in attributes if name not in known]
    is_new = joined[_RECORDED].isnull()
    return joined.filter(functools.reduce(operator.or_, differs, is_new)).select(*tonight.columns)


def _write(rows: "pa.Table", file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            pq.write_table(rows, stream, compression="zstd")
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
