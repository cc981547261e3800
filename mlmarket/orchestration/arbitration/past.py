"""Which messages has everybody had, or is planned to get, apart from tonight's?

What mlmarket decided and what the table of messages tells overlap: where a receiver keeps our
keys, the same message stands in both. It is one message then, at the time at which it was sent.
"""

from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration.arbitration.caps import LONGEST_MONTH, longest
from mlmarket.orchestration.arbitration.facts import PastSends
from mlmarket.orchestration.arbitration.gates import numbers_of
from mlmarket.orchestration.arbitration.zones import DAY
from mlmarket.orchestration.behaviour import Behaviour, messages_known
from mlmarket.orchestration.policy import Policy

__all__ = ["look_back", "past_sends"]

_KINDS: Final = ("message", "audience")
_NEEDED: Final = ["contact_id", "not_before", "channel", "topic", "transactional"]
_NOT_SENT: Final = ("cancelled", "failed")
_SLACK: Final = timedelta(days=1)
"""Zones lie up to 14 hours apart."""


def look_back(policy: Policy) -> timedelta:
    """Return how far back past messages matter to a policy.

    Parameters
    ----------
    policy : Policy
        Its caps, fatigue and throughput.

    Returns
    -------
    timedelta
        0 where they do not.
    """
    lengths = [timedelta(microseconds=longest(policy))]
    lengths += [] if policy.fatigue is None else [policy.fatigue.within]
    lengths += [one.throughput.per for one in policy.channels.values() if one.throughput]
    reach = max(lengths)
    if any(isinstance(cap.per, str) for cap in policy.caps):
        reach = max(reach, timedelta(microseconds=LONGEST_MONTH + DAY))
    return reach + _SLACK if reach else reach


def past_sends(
    sent: pa.Table,
    events: Behaviour,
    contact_ids: pa.Array,
    policy: Policy,
    *,
    now: datetime,
) -> PastSends:
    """Collect the messages that caps, fatigue and throughput count.

    Parameters
    ----------
    sent : pyarrow.Table
        What was decided to be sent, of the state. What was cancelled or has failed was not.
    events : Behaviour
        Where messages are read. Whether others' messages are transactional is not known, so caps
        count them.
    contact_ids : pyarrow.Array of string, shape (people,)
        Everybody, in order of their numbers.
    policy : Policy
        The rules.
    now : datetime
        UTC without a zone.

    Returns
    -------
    PastSends
        Planned ones too.
    """
    topics = sorted({cap.topic.lower() for cap in policy.caps if cap.topic is not None})
    reach = look_back(policy)
    # Without rules that look back, nothing was sent between now and now.
    theirs = messages_known(events, now, since=now - reach)
    ours, theirs = _without_twins(sent, theirs)
    # Keys are long: they are left behind before rows are copied.
    kept = pc.and_(_is_sent(ours), pc.is_in(ours["kind"], value_set=pa.array(_KINDS)))
    since = pa.scalar(now - reach, pa.timestamp("us"))
    ours = ours.select(_NEEDED).filter(pc.and_(kept, pc.greater(ours["not_before"], since)))
    contacts = pa.chunked_array(
        [*ours["contact_id"].chunks, *theirs["contact_id"].chunks], pa.string()
    )
    at = pa.chunked_array(
        [*ours["not_before"].chunks, *theirs["sent_at"].chunks], pa.timestamp("us")
    )
    mine = ours["transactional"].fill_null(False).to_numpy()  # noqa: FBT003
    return PastSends(
        numbers_of(contacts, contact_ids),
        at.to_numpy(),
        _codes(ours["channel"], theirs["channel"], list(CHANNELS)),
        _codes(ours["topic"], theirs["topic"], topics),
        np.concatenate([mine, np.zeros(len(theirs), np.bool_)]).astype(np.bool_),
        tuple(topics),
    )


def _without_twins(ours: pa.Table, theirs: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return ours with the time at which they were sent, and theirs without ours.

    A message that is said to have failed and yet was sent is theirs.
    """
    if not len(theirs) or not len(ours):
        return ours, theirs
    known = pc.or_(_is_sent(ours), ours["transactional"].fill_null(False))  # noqa: FBT003
    keys = pc.if_else(known, ours["idempotency_key"], None).combine_chunks()
    twin = pc.index_in(keys, value_set=theirs["message_id"].combine_chunks(), skip_nulls=True)
    sent_at = theirs["sent_at"].combine_chunks().take(twin)
    at = pc.coalesce(sent_at, ours["not_before"].combine_chunks())
    ours = ours.set_column(ours.schema.get_field_index("not_before"), "not_before", at)
    is_ours = pc.is_in(theirs["message_id"], value_set=keys, skip_nulls=True)
    return ours, theirs.filter(pc.invert(is_ours))


def _is_sent(ours: pa.Table) -> pa.ChunkedArray:
    return pc.invert(pc.is_in(ours["status"], value_set=pa.array(_NOT_SENT)))


def _codes(ours: pa.ChunkedArray, theirs: pa.ChunkedArray, known: list[str]) -> np.ndarray:
    words = pa.chunked_array([*ours.chunks, *theirs.chunks], pa.string())
    word = pc.utf8_lower(pc.utf8_trim_whitespace(words.fill_null("")))
    places = pc.index_in(word, value_set=pa.array(known, pa.string()))
    codes: np.ndarray = places.fill_null(-1).to_numpy().astype(np.int64)
    return codes
