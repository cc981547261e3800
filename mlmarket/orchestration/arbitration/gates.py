"""Is a channel open to a person, and if not, for which reasons?

All gates are always asked, in a fixed order, and every reason is kept. Consent is a permit:
what is unknown forbids.

A message on a channel about a topic is permitted where

- the person's latest word on that topic is not a refusal, *and*
- they granted the channel for that topic, or have said nothing on the topic and granted the
  channel for every topic, *and*
- no refusal of the whole channel came at the same time as or after the latest such grant.

So a refusal of one topic stands against a later general grant until that topic itself is
granted again. Grants and refusals of one moment count as a refusal. Channels and topics are
compared without regard to case and surrounding spaces.

A grant counts only for messages that rest on its own legal basis; one without a basis is a
consent. A refusal counts whatever a message rests on.

A bounce on a channel closes it for good, since nothing tells hard bounces from soft ones. A
complaint or an unsubscription closes it until a grant that applies comes later.

A suppression without a channel, or on one that does not exist, closes every channel; so does the
suppression of somebody who was erased, which has the reason ``erased``.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration.arbitration.facts import NEVER
from mlmarket.orchestration.arbitration.reasons import Bits, Reason
from mlmarket.orchestration.behaviour import (
    ADDRESSES,
    Behaviour,
    consents_known,
    latest_consents,
    setbacks_known,
)
from mlmarket.orchestration.state.standing import State

__all__ = ["Gate", "Gatekeeper", "numbers_of"]

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_ADDRESS_OF: Final = {
    "email": ("email",),
    "sms": ("phone",),
    "whatsapp": ("phone",),
    "push": ("external_id",),
    "in_app": ("external_id",),
    "ads": ("email", "phone"),
    "post": ("external_id",),
}
_SETBACKS: Final = ("bounce", "complaint", "unsubscribe")


class Gate(NamedTuple):
    """What is asked about: messages of one channel, topic and legal basis.

    Parameters
    ----------
    channel : str
        Of the data contract.
    topic : str
        Empty for a message without one.
    legal_basis : str
        What the messages rest on.
    """

    channel: str
    topic: str
    legal_basis: str


class Gatekeeper:
    """Asks all gates for all people at once.

    Parameters
    ----------
    events : Behaviour
        Where consents and setbacks are read, once.
    addresses : pyarrow.Table
        contact_id and addresses, one row a person.
    contact_ids : pyarrow.Array of string, shape (people,)
        Who may be asked about.
    asked : iterable of Gate
        All that may be asked about.
    now : datetime
        UTC without a zone.
    state : State, optional
        Its suppressions and recorded consents count as well; none by default.
    """

    def __init__(
        self,
        events: Behaviour,
        addresses: pa.Table,
        contact_ids: pa.Array,
        *,
        asked: Iterable[Gate],
        now: datetime,
        state: State | None = None,
    ) -> None:
        self._ids = contact_ids
        self._topics = ["", *sorted({gate.topic for gate in asked} - {""})]
        person = _numbers_of_all(addresses["contact_id"], contact_ids)
        self._has = {
            name: self._spread(person, _is_address(addresses[name], name)) for name in ADDRESSES
        }
        self._setbacks = _Setbacks(setbacks_known(events, now), contact_ids)
        kept = State() if state is None else state
        self._suppressed = self._suppressions(kept.suppressions, now)
        known = consents_known(events, now, channels=CHANNELS, topics=self._topics)
        if len(kept.consent_events):
            recorded = ibis.memtable(kept.consent_events)
            told = latest_consents(recorded, now, channels=CHANNELS, topics=self._topics)
            known = pa.concat_tables([known, told])
        self._words = _Words(known, contact_ids, self._topics)

    def closed(self, gate: Gate) -> Bits:
        """Return the reasons against messages, for everybody.

        Parameters
        ----------
        gate : Gate
            One of those asked about.

        Returns
        -------
        ndarray of int64, shape (people,)
            Sums of :class:`Reason`, 0 where the channel is open.
        """
        granted, refused, last = self._words.about(gate)
        bounce, complaint, unsubscribe = self._setbacks.on(gate.channel)
        reached = np.zeros(len(self._ids), np.bool_)
        for name in _ADDRESS_OF[gate.channel]:
            reached |= self._has[name]
        failing = {
            Reason.NO_ADDRESS: ~reached,
            Reason.NO_CONSENT: ~granted & ~refused,
            Reason.CONSENT_REFUSED: refused,
            Reason.BOUNCED: bounce > NEVER,
            Reason.COMPLAINED: (complaint > NEVER) & (complaint >= last),
            Reason.UNSUBSCRIBED: (unsubscribe > NEVER) & (unsubscribe >= last),
        }
        bits: Bits = self._suppressed[CHANNELS.index(gate.channel)].copy()
        for reason, flags in failing.items():
            bits[flags] |= int(reason)
        return bits

    def _spread(self, person: Integers, has: pa.ChunkedArray) -> Flags:
        spread = np.zeros(len(self._ids), np.bool_)
        spread[_found(person[has.to_numpy()])] = True
        return spread

    def _suppressions(self, listed: pa.Table, now: datetime) -> Bits:
        """Return the reasons against each channel, by channel and person."""
        since = listed["since"].fill_null(pa.scalar(now, pa.timestamp("us")))
        rows = listed.filter(pc.less_equal(since, pa.scalar(now, pa.timestamp("us"))))
        person = numbers_of(rows["contact_id"], self._ids)
        channel = _codes(_word(rows["channel"]), list(CHANNELS))
        erased = pc.equal(_word(rows["reason"]), "erased").to_numpy().astype(np.bool_)
        why = np.where(erased, int(Reason.ERASED), int(Reason.SUPPRESSED))
        closed = np.zeros((len(CHANNELS), len(self._ids)), np.int64)
        for place in range(len(CHANNELS)):
            here = (person >= 0) & ((channel == place) | (channel < 0) | erased)
            np.bitwise_or.at(closed[place], person[here], why[here])
        return closed


class _Words:
    """The latest grants and refusals, by person number."""

    def __init__(self, known: pa.Table, contact_ids: pa.Array, topics: list[str]) -> None:
        self._people, self._topics = len(contact_ids), topics
        self._bases = known["legal_basis"].unique().to_pylist()
        self._person = numbers_of(known["contact_id"], contact_ids)
        # A refusal without a channel counts for each; it has the code -1.
        self._channel = _codes(known["channel"], list(CHANNELS))
        self._topic = _codes(known["topic"], topics)
        self._basis = _codes(known["legal_basis"], self._bases)
        self._granted = _times(known["granted_at"])
        self._refused = _times(known["refused_at"])

    def about(self, gate: Gate) -> tuple[Flags, Flags, Integers]:
        """Return whether a grant applies, whether a refusal stands, and the last grant."""
        here = (self._person >= 0) & (self._channel == CHANNELS.index(gate.channel))
        general = self._topic == 0
        basis = self._bases.index(gate.legal_basis) if gate.legal_basis in self._bases else -1
        grants = here & (self._basis == basis)
        refusals = here | ((self._person >= 0) & (self._channel < 0))
        grant = self._latest(self._granted, grants & general)
        refusal = self._latest(self._refused, refusals & general)
        topic_refused = np.zeros(self._people, np.bool_)
        if gate.topic:
            topical = self._topic == self._topics.index(gate.topic)
            topic_grant = self._latest(self._granted, grants & topical)
            topic_refusal = self._latest(self._refused, refusals & topical)
            topic_refused = (topic_refusal > NEVER) & (topic_refusal >= topic_grant)
            grant = np.maximum(grant, topic_grant)
        refused = topic_refused | ((refusal > NEVER) & (refusal >= grant))
        return grant > NEVER, refused, grant

    def _latest(self, times: Integers, rows: Flags) -> Integers:
        return _latest(self._person[rows], times[rows], self._people)


class _Setbacks:
    """When messages last came back, were reported or led to an unsubscription."""

    def __init__(self, known: pa.Table, contact_ids: pa.Array) -> None:
        self._people = len(contact_ids)
        self._person = numbers_of(known["contact_id"], contact_ids)
        self._channel = known["channel"].to_numpy()
        self._times = {kind: _times(known[kind]) for kind in _SETBACKS}

    def on(self, channel: str) -> list[Integers]:
        """Return the last time of each kind on a channel, by person."""
        rows = (self._person >= 0) & np.isin(self._channel, [channel, ""])
        person = self._person[rows]
        return [_latest(person, times[rows], self._people) for times in self._times.values()]


def numbers_of(contacts: pa.ChunkedArray, contact_ids: pa.Array) -> Integers:
    """Return the numbers of people.

    Parameters
    ----------
    contacts : pyarrow.ChunkedArray of string, shape (n,)
        Who.
    contact_ids : pyarrow.Array of string, shape (people,)
        Everybody, in order of their numbers.

    Returns
    -------
    ndarray of int64, shape (n,)
        -1 where somebody is not among them.
    """
    if not len(contacts):
        return np.empty(0, np.int64)
    places = pc.index_in(contacts.cast(contact_ids.type), value_set=contact_ids)
    numbers: Integers = places.fill_null(-1).to_numpy().astype(np.int64)
    return numbers


def _numbers_of_all(contacts: pa.ChunkedArray, contact_ids: pa.Array) -> Integers:
    """Return numbers; a table of exactly these people in their order needs no looking up."""
    if len(contacts) == len(contact_ids) and contacts.equals(pa.chunked_array([contact_ids])):
        return np.arange(len(contact_ids))
    return numbers_of(contacts, contact_ids)


def _found(numbers: Integers) -> Integers:
    return numbers[numbers >= 0]


def _latest(person: Integers, times: Integers, people: int) -> Integers:
    latest = np.full(people, NEVER, np.int64)
    np.maximum.at(latest, person, times)
    return latest


def _codes(words: pa.ChunkedArray, known: list[str]) -> Integers:
    places = pc.index_in(words, value_set=pa.array(known, pa.string()))
    codes: Integers = places.fill_null(-1).to_numpy().astype(np.int64)
    return codes


def _times(column: pa.ChunkedArray) -> Integers:
    times: Integers = column.cast(pa.int64()).fill_null(NEVER).to_numpy()
    return times


def _word(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_lower(pc.utf8_trim_whitespace(column.fill_null("")))


def _is_address(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    text = pc.utf8_trim_whitespace(column.fill_null(""))
    # "n/a" and "unknown" are common in the place of an address.
    return pc.match_substring(text, "@") if name == "email" else pc.greater(pc.utf8_length(text), 0)
