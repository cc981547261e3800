"""Who is on the list of a segment, with the addresses that a mailer needs?"""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.orchestration.behaviour import ADDRESSES, Behaviour, contacts_known, one_row_each
from mlmarket.orchestration.segments.definition import Segment
from mlmarket.orchestration.state.standing import Decisions, utc

__all__ = ["CHANGED_LIST", "LIST", "MAILING_LIST", "mailing_list", "segment_list"]

_TEXT: Final = pa.string()

LIST: Final = pa.schema(
    {
        "contact_id": _TEXT,
        "external_id": _TEXT,
        "email": _TEXT,
        "phone": _TEXT,
        "entered_at": pa.timestamp("us"),
        "is_new": pa.bool_(),
        "why": _TEXT,
        "action": _TEXT,
    }
)
"""Columns of a list; ``is_new`` says who entered with this tick."""

CHANGED_LIST: Final = pa.schema(
    {
        **{name: LIST.field(name).type for name in ("contact_id", *ADDRESSES)},
        "change": _TEXT,
        "why": _TEXT,
        "action": _TEXT,
    }
)
"""Columns of a list of changes; ``change`` is ``entered`` or ``left``."""

MAILING_LIST: Final = pa.schema(
    {
        "email": _TEXT,
        "external_id": _TEXT,
        "phone": _TEXT,
        "segment": _TEXT,
        "change": _TEXT,
        "why": _TEXT,
    }
)
"""Columns of a list for a mailer, the address first; ``change`` is ``add`` or ``remove``."""


def segment_list(
    decisions: Decisions, segment: str, events: Behaviour, *, changed_only: bool = False
) -> pa.Table:
    """Return the members of a segment as a list to look at or to upload.

    Those who left are not on it: a list that is uploaded as it is must not bring them back.
    They are on the list of changes.

    Parameters
    ----------
    decisions : Decisions
        The tick.
    segment : str
        The name of the segment.
    events : Behaviour
        Where addresses are read, as they were at the tick.
    changed_only : bool, default False
        Only those who entered or left with this tick, with a column that says which.

    Returns
    -------
    pyarrow.Table
        The columns of :data:`LIST`, or of :data:`CHANGED_LIST`, sorted by contact.

    Raises
    ------
    ConfigurationError
        Where the playbook has no such segment, or all members are asked of a tick that looked at
        some people only.
    """
    found = segment_named(decisions, segment)
    changes = decisions.changes.filter(pc.equal(decisions.changes["segment"], segment))
    if changed_only:
        return _finished(changes, found, decisions, events, CHANGED_LIST)
    members = members_of(decisions, segment)
    came = changes.filter(pc.equal(changes["change"], "entered"))
    is_new = pc.is_in(members["contact_id"], value_set=came["contact_id"].combine_chunks())
    rows = members.append_column("is_new", is_new)
    return _finished(rows, found, decisions, events, LIST)


def mailing_list(
    decisions: Decisions,
    segment: str,
    events: Behaviour,
    *,
    may: pa.Array,
    changed_only: bool = False,
) -> pa.Table:
    """Return a segment as a mailer imports it: one row an address, the address first.

    Addresses are trimmed and in small letters, as mailers compare them. People without an
    address are left out, and where several contacts share one, the first by ``contact_id``
    stands for them.

    Parameters
    ----------
    decisions : Decisions
        The tick.
    segment : str
        The name of the segment.
    events : Behaviour
        Where addresses are read, as they were at the tick.
    may : pyarrow.Array of string
        The contacts who may be written to by e-mail; who is not among them is not added. For
        removal no permission is needed.
    changed_only : bool, default False
        Only who is to be added or removed since the last tick. Who stays and has lost the
        permission is in no change: upload the whole list from time to time.

    Returns
    -------
    pyarrow.Table
        The columns of :data:`MAILING_LIST`, sorted by address.

    Raises
    ------
    ConfigurationError
        As :func:`segment_list` does.
    """
    rows = segment_list(decisions, segment, events, changed_only=changed_only)
    change = pa.repeat("add", len(rows))
    if changed_only:
        change = pc.if_else(pc.equal(rows["change"], "left"), "remove", "add")
    content = {
        **{name: rows[name] for name in ("contact_id", "external_id", "phone", "why")},
        "email": _tidied(rows["email"]),
        "segment": pa.repeat(segment, len(rows)),
        "change": change,
    }
    table = pa.table(content)
    adds = pc.and_(pc.equal(change, "add"), pc.is_in(rows["contact_id"], value_set=may.cast(_TEXT)))
    removes = pc.equal(change, "remove")
    if changed_only:
        # An address that another member has as well stays.
        still = _tidied(_members_with_addresses(decisions, segment, events, may)["email"])
        still_there = pc.is_in(table["email"], value_set=still.combine_chunks())
        removes = pc.and_(removes, pc.invert(still_there))
    usable = pc.fill_null(pc.match_substring(table["email"], "@"), False)  # noqa: FBT003
    kept = table.filter(pc.and_(usable, pc.or_(adds, removes)))
    order = [("email", "ascending"), ("contact_id", "ascending")]
    ordered = kept.sort_by(order).combine_chunks()
    return _first_of_each(ordered, "email").select(MAILING_LIST.names).cast(MAILING_LIST)


def _tidied(emails: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_lower(pc.utf8_trim_whitespace(emails))


def _members_with_addresses(
    decisions: Decisions, segment: str, events: Behaviour, may: pa.Array
) -> pa.Table:
    """Return who is in a segment, as far as the tick knows, and may be written to."""
    rows = decisions.memberships.filter(pc.equal(decisions.memberships["segment"], segment))
    rows = rows.filter(pc.is_in(rows["contact_id"], value_set=may.cast(_TEXT)))
    return rows.join(addresses_of(decisions, events), "contact_id", join_type="inner")


def segment_named(decisions: Decisions, segment: str) -> Segment:
    """Return a segment of the tick's playbook.

    Parameters
    ----------
    decisions : Decisions
        The tick.
    segment : str
        Its name.

    Returns
    -------
    Segment
        Its definition.

    Raises
    ------
    ConfigurationError
        Where there is none of that name.
    """
    names = {one.name: one for one in decisions.playbook.segments}
    if segment not in names:
        what = f"There is no segment '{segment}'."
        raise ConfigurationError(what, "Its list cannot be written.", suggestion(segment, names))
    return names[segment]


def members_of(decisions: Decisions, segment: str) -> pa.Table:
    """Return the memberships of a segment after a tick that looked at everybody.

    Parameters
    ----------
    decisions : Decisions
        The tick.
    segment : str
        The name of the segment.

    Returns
    -------
    pyarrow.Table
        The columns of ``MEMBERSHIPS``.

    Raises
    ------
    ConfigurationError
        Where the tick looked at some people only.
    """
    if decisions.touched is not None:
        what = f"The tick looked at {len(decisions.touched):,} people, not at everybody."
        why = f"A list of segment '{segment}' made of it would lack the others."
        raise ConfigurationError(what, why, "ask for the changes: changed_only=True.")
    return decisions.memberships.filter(pc.equal(decisions.memberships["segment"], segment))


def addresses_of(decisions: Decisions, events: Behaviour, *further: str) -> pa.Table:
    """Return where people could be reached at the tick.

    Parameters
    ----------
    decisions : Decisions
        The tick.
    events : Behaviour
        Where contacts are read.
    *further : str
        More columns of the contacts, as text.

    Returns
    -------
    pyarrow.Table
        contact_id, external_id, email, phone and the further columns, all text, missing where
        contacts have no such column; without a row where there is no table of contacts.
    """
    names = ("contact_id", *ADDRESSES, *further)
    known = contacts_known(events, utc(decisions.now))
    if known is None:
        return pa.schema(dict.fromkeys(names, _TEXT)).empty_table()
    there = [name for name in names if name in known.columns]
    rows = one_row_each(known.select(there).to_pyarrow(), "contacts")
    return pa.table(
        {
            name: rows[name].cast(_TEXT) if name in there else pa.nulls(len(rows), _TEXT)
            for name in names
        }
    )


def _finished(
    rows: pa.Table, segment: Segment, decisions: Decisions, events: Behaviour, schema: pa.Schema
) -> pa.Table:
    action = pa.scalar(segment.action, _TEXT)
    rows = rows.append_column("action", pa.repeat(action, len(rows)))
    rows = rows.join(addresses_of(decisions, events), "contact_id", join_type="left outer")
    ordered = rows.select(schema.names).cast(schema).sort_by("contact_id")
    return ordered.combine_chunks()


def _first_of_each(ordered: pa.Table, column: str) -> pa.Table:
    values = ordered[column].combine_chunks()
    if len(values) < 2:
        return ordered
    is_first = pa.concat_arrays([pa.array([True]), pc.not_equal(values[1:], values[:-1])])
    return ordered.filter(is_first)
