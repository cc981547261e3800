"""What is known about people at a given moment: addresses, consents, behaviour?

All that orchestration reads of a market goes through here, and everything dated after ``now`` is
left out here. Each reading is one small aggregate computed where the data lies.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.errors import DataContractError
from mlmarket.expressions import Type, schema_of

__all__ = [
    "ADDRESSES",
    "Behaviour",
    "activity_known",
    "consents_known",
    "contacts_known",
    "latest_consents",
    "messages_known",
    "one_row_each",
    "setbacks_known",
]

ADDRESSES: Final = ("external_id", "email", "phone")
"""Columns of ``contacts`` that a mailer can be given."""

_SETBACKS: Final = ("bounce", "complaint", "unsubscribe")


class Behaviour(Protocol):
    """A source of people and of what they do; :class:`mlmarket.market.Market` is one."""

    def has(self, table: str) -> bool:
        """Say whether there is a table of that name."""
        ...

    def table(self, name: str) -> ir.Table:
        """Return one of the tables of the data contract."""
        ...

    def activity(self, *types: str) -> ir.Table:
        """Return the behaviour of the given types, or all, with the columns of ``ACTIVITY``."""
        ...


def contacts_known(events: Behaviour, now: datetime) -> ir.Table | None:
    """Return one row a contact with the attributes that hold at a moment.

    Parameters
    ----------
    events : Behaviour
        The source.
    now : datetime
        UTC without a zone.

    Returns
    -------
    ibis.expr.types.Table or None
        Not yet computed: ``contact_id`` as text and every attribute that expressions can use.
        None where there is no such table.
    """
    if not events.has("contacts"):
        return None
    contacts = _texts(events.table("contacts"), "contact_id", *ADDRESSES)
    contacts = contacts.filter(contacts["contact_id"].notnull())
    if "created_at" in contacts.columns:
        contacts = contacts.filter(_not_after(contacts["created_at"], now))
    if "valid_from" in contacts.columns:
        contacts = _latest(contacts.filter(_not_after(contacts["valid_from"], now)))
    usable = [name for name, kind in schema_of(contacts).items() if kind is not Type.UNKNOWN]
    return contacts.select(usable)


def one_row_each(contacts: pa.Table, table: str) -> pa.Table:
    """Return the table, refused where a contact stands in it twice.

    Parameters
    ----------
    contacts : pyarrow.Table
        With ``contact_id``.
    table : str
        Its name, for the message.

    Returns
    -------
    pyarrow.Table
        The same.

    Raises
    ------
    DataContractError
        Where a contact occurs twice or is missing.
    """
    ids = contacts["contact_id"]
    if ids.null_count or len(ids.unique()) < len(ids):
        several = len(ids) - len(ids.unique())
        what = f"Table '{table}' does not hold one row a contact: {several} rows too many"
        what += f", {ids.null_count} without contact_id."
        why = "A person who stands there twice would be messaged twice."
        raise DataContractError(what, why, "keep one row for each contact_id.")
    return contacts


def _latest(contacts: ir.Table) -> ir.Table:
    # A row without valid_from holds from the beginning, so it comes first.
    order = [
        contacts["valid_from"].isnull(),
        contacts["valid_from"].desc(),
    ]
    ranked = contacts.mutate(
        _place=ibis.row_number().over(group_by=contacts["contact_id"], order_by=order)
    )
    return ranked.filter(ranked["_place"] == 0).drop("_place")


def consents_known(
    events: Behaviour, now: datetime, *, channels: Sequence[str], topics: Sequence[str]
) -> pa.Table:
    """Return the latest grant and refusal of each person, channel, topic and legal basis.

    Whatever is not a clear grant counts as a refusal: ``granted`` missing, or a refusal without
    its time (which counts as new) or its channel (which counts for each). A grant without its
    time is no grant.

    Parameters
    ----------
    events : Behaviour
        The source; without the table, nobody has consented.
    now : datetime
        UTC without a zone.
    channels : sequence of str
        Channels that matter.
    topics : sequence of str
        Topics that matter, in small letters.

    Returns
    -------
    pyarrow.Table
        contact_id, channel (empty for a refusal of each), topic (empty for every topic),
        legal_basis (``consent`` where there is none), granted_at, refused_at.
    """
    if not events.has("consents"):
        return _CONSENTS.empty_table()
    return latest_consents(events.table("consents"), now, channels=channels, topics=topics)


def latest_consents(
    table: ir.Table, now: datetime, *, channels: Sequence[str], topics: Sequence[str]
) -> pa.Table:
    """Compute :func:`consents_known` of one table of consents.

    Parameters
    ----------
    table : ibis.expr.types.Table
        With the columns of ``consents``.
    now : datetime
        UTC without a zone.
    channels, topics : sequence of str
        What matters, in small letters.

    Returns
    -------
    pyarrow.Table
        The columns of :func:`consents_known`. What is written in several ways has several rows.
    """
    written = table.select(
        contact_id=table["contact_id"].cast("string"),
        is_grant=table["granted"].cast("boolean").fill_null(False),  # noqa: FBT003
        changed_at=table["changed_at"].cast("timestamp(6)"),
        **{name: _as_written(table, name) for name in _WORDS},
    )
    # There are few ways of writing a channel or topic: reading those is quicker than reading rows.
    spellings = written.select(*_WORDS).distinct().to_pyarrow()
    named = {
        "channel": _spelled(spellings["channel"], ["", *channels]),
        "topic": _spelled(spellings["topic"], ["", *topics]),
    }
    is_grant, changed_at = written["is_grant"], written["changed_at"]
    written = written.filter(
        changed_at.isnull() | (changed_at <= _at(now)),
        *(written[name].isin(values) for name, values in named.items()),
        ~is_grant | changed_at.notnull(),
    )
    dated = written.mutate(changed_at=written["changed_at"].fill_null(_at(now)))
    latest = dated.group_by("contact_id", *_WORDS).agg(
        granted_at=dated["changed_at"].max(where=dated["is_grant"]),
        refused_at=dated["changed_at"].max(where=~dated["is_grant"]),
    )
    rows = latest.to_pyarrow().select(_CONSENTS.names).cast(_CONSENTS)
    for name in _WORDS:
        rows = rows.set_column(rows.schema.get_field_index(name), name, _plain(rows[name]))
    basis = pc.replace_substring_regex(rows["legal_basis"], "[ -]", "_")
    basis = pc.if_else(pc.equal(basis, ""), "consent", basis)
    return rows.set_column(rows.schema.get_field_index("legal_basis"), "legal_basis", basis)


_WORDS: Final = ("channel", "topic", "legal_basis")


def _as_written(table: ir.Table, column: str) -> ir.StringValue:
    if column not in table.columns:
        return ibis.literal("")
    return table[column].cast("string").fill_null("")


def _spelled(spellings: pa.ChunkedArray, wanted: Sequence[str]) -> list[str]:
    """Return the ways in which words are written that mean one of those wanted."""
    different = pc.unique(spellings)
    means = pc.is_in(_plain(different), value_set=pa.array(list(wanted), pa.string()))
    written: list[str] = different.filter(means).to_pylist()
    return written


def _plain(words: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    return pc.utf8_lower(pc.utf8_trim_whitespace(words))


def messages_known(events: Behaviour, now: datetime, *, since: datetime) -> pa.Table:
    """Return the messages that people were sent.

    Parameters
    ----------
    events : Behaviour
        The source; without the table, nothing was sent.
    now : datetime
        UTC without a zone.
    since : datetime
        Only what was sent after this moment.

    Returns
    -------
    pyarrow.Table
        message_id, contact_id, channel, topic (small letters, empty where missing), sent_at.
    """
    if not events.has("messages"):
        return _MESSAGES.empty_table()
    table = events.table("messages")
    sent = table.select(
        message_id=table["message_id"].cast("string"),
        contact_id=table["contact_id"].cast("string"),
        channel=_word(table, "channel"),
        topic=_word(table, "topic"),
        sent_at=table["sent_at"].cast("timestamp(6)"),
    )
    sent = sent.filter(sent["sent_at"] <= _at(now), sent["sent_at"] > _at(since))
    return sent.to_pyarrow().cast(_MESSAGES)


def setbacks_known(events: Behaviour, now: datetime) -> pa.Table:
    """Return when a person's messages last bounced, were reported or led to an unsubscription.

    The channel is that of the message which the activity's ``row_id`` names. Where it cannot be
    found, the setback counts for each channel.

    Parameters
    ----------
    events : Behaviour
        The source.
    now : datetime
        UTC without a zone.

    Returns
    -------
    pyarrow.Table
        contact_id, channel (empty for each), and the last time of each kind: bounce, complaint,
        unsubscribe.
    """
    activity = _known(events.activity(*_SETBACKS), now)
    activity = activity.filter(activity["type"].isin(_SETBACKS))
    activity = activity.select(
        "type",
        contact_id=activity["contact_id"].cast("string"),
        occurred_at=activity["occurred_at"].cast("timestamp(6)"),
        row_id=activity["row_id"].cast("string"),
    )
    if events.has("messages"):
        messages = events.table("messages")
        channels = messages.select(
            message_id=messages["message_id"].cast("string"), channel=_word(messages, "channel")
        ).distinct()
        activity = activity.left_join(channels, activity["row_id"] == channels["message_id"])
        activity = activity.mutate(channel=activity["channel"].fill_null(""))
    else:
        activity = activity.mutate(channel=ibis.literal(""))
    last = activity.group_by("contact_id", "channel").agg(
        **{kind: activity["occurred_at"].max(where=activity["type"] == kind) for kind in _SETBACKS}
    )
    return last.to_pyarrow().cast(_LAST_SETBACKS)


def activity_known(
    events: Behaviour, types: Sequence[str], *, since: datetime, now: datetime
) -> ir.Table:
    """Return what people did after one moment, as far as it is known at another.

    Parameters
    ----------
    events : Behaviour
        The source.
    types : sequence of str
        Types of behaviour.
    since : datetime
        Only what happened after this moment; UTC without a zone.
    now : datetime
        Only what happened, and arrived, up to this moment; UTC without a zone.

    Returns
    -------
    ibis.expr.types.Table
        Not yet computed: the columns of ``Market.activity``, ids as text; ``known_at`` is when a
        row had both happened and arrived.
    """
    activity = _known(events.activity(*types), now)
    activity = activity.filter(activity["type"].isin(types), activity["occurred_at"] > _at(since))
    texts = _texts(activity, "contact_id", "item_id", "row_id")
    occurred = texts["occurred_at"].cast("timestamp(6)")
    arrived = texts["available_at"].cast("timestamp(6)").fill_null(occurred)
    return texts.mutate(occurred_at=occurred, known_at=ibis.greatest(occurred, arrived))


_CONSENTS: Final = pa.schema(
    {
        "contact_id": pa.string(),
        "channel": pa.string(),
        "topic": pa.string(),
        "legal_basis": pa.string(),
        "granted_at": pa.timestamp("us"),
        "refused_at": pa.timestamp("us"),
    }
)
_MESSAGES: Final = pa.schema(
    {
        **dict.fromkeys(("message_id", "contact_id", "channel", "topic"), pa.string()),
        "sent_at": pa.timestamp("us"),
    }
)
_LAST_SETBACKS: Final = pa.schema(
    {
        "contact_id": pa.string(),
        "channel": pa.string(),
        **dict.fromkeys(_SETBACKS, pa.timestamp("us")),
    }
)


def _at(moment: datetime) -> ir.TimestampScalar:
    return ibis.literal(moment, type="timestamp(6)")


def _not_after(column: ir.Value, now: datetime) -> ir.BooleanValue:
    return column.isnull() | (column <= _at(now))


def _known(activity: ir.Table, now: datetime) -> ir.Table:
    happened = activity["occurred_at"] <= _at(now)
    return activity.filter(happened, _not_after(activity["available_at"], now))


def _texts(table: ir.Table, *columns: str) -> ir.Table:
    return table.mutate(**{name: table[name].cast("string") for name in columns if name in table})


def _word(table: ir.Table, column: str) -> ir.StringValue:
    """Return a column as trimmed small letters, empty where missing or not there."""
    if column not in table.columns:
        return ibis.literal("")
    return table[column].cast("string").strip().lower().fill_null("")
