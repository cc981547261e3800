"""May this message go to this person, and if not, for which reasons?

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

A bounce on a channel closes it for good, since nothing tells hard bounces from soft ones. A
complaint or an unsubscription closes it until a grant that applies comes later.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from mlmarket.orchestration.arbitration.reasons import Bits, Reason
from mlmarket.orchestration.behaviour import (
    ADDRESSES,
    Behaviour,
    consents_known,
    setbacks_known,
)
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.journeys.actions import Message
from mlmarket.orchestration.journeys.journey import Journey

__all__ = ["Gatekeeper"]

_ADDRESS_OF: Final = {
    "email": ("email",),
    "sms": ("phone",),
    "whatsapp": ("phone",),
    "push": ("external_id",),
    "in_app": ("external_id",),
    "ads": ("email", "phone"),
    "post": ("external_id",),
}


class Gatekeeper:
    """Asks all gates for many people at once.

    Parameters
    ----------
    events : Behaviour
        Where consents and setbacks are read, once.
    people : pyarrow.Table
        contact_id and addresses, one row a person.
    journeys : iterable of Journey
        All versions whose messages may be asked about.
    now : datetime
        UTC without a zone.
    bench : Bench
        Where to compute.
    """

    def __init__(
        self,
        events: Behaviour,
        people: pa.Table,
        journeys: Iterable[Journey],
        *,
        now: datetime,
        bench: Bench,
    ) -> None:
        messages = [
            step.message
            for journey in journeys
            for step in journey.steps
            if isinstance(step, MessageStep)
        ]
        channels = sorted({message.channel for message in messages})
        topics = sorted({_topic(message) for message in messages} - {""})
        consents = consents_known(events, now, channels=channels, topics=topics)
        self._bench = bench
        self._consents = bench.create_table("consents", consents)
        self._setbacks = bench.create_table("setbacks", setbacks_known(events, now))
        self._people = bench.create_table("addresses", people.select(["contact_id", *ADDRESSES]))

    def ask(self, contacts: pa.Array, message: Message) -> Bits:
        """Return the reasons against a message, without the holdouts.

        Parameters
        ----------
        contacts : pyarrow.Array of string, shape (n,)
            The people.
        message : Message
            The message.

        Returns
        -------
        ndarray of int64, shape (n,)
            Sums of :class:`Reason`, 0 where it may go.
        """
        asked = ibis.memtable(pa.table({"n": np.arange(len(contacts)), "contact_id": contacts}))
        facts = self._with_addresses(asked, message.channel)
        for prefix, topic in (("general", ""), ("topical", _topic(message) or None)):
            facts = self._with_consents(facts, message.channel, topic, prefix)
        facts = self._with_setbacks(facts, message.channel)
        bits = facts.select("n", bits=_failing(facts)).order_by("n")
        answered: Bits = self._bench.to_pyarrow(bits)["bits"].to_numpy()
        return answered

    def _with_addresses(self, asked: ir.Table, channel: str) -> ir.Table:
        people = self._people
        known = [_is_address(people[name], name) for name in _ADDRESS_OF[channel]]
        flags = people.select(person="contact_id", has_address=ibis.or_(*known))
        return asked.left_join(flags, asked["contact_id"] == flags["person"]).drop("person")

    def _with_consents(
        self, facts: ir.Table, channel: str, topic: str | None, prefix: str
    ) -> ir.Table:
        consents = self._consents
        # A refusal without a channel counts for each, at the level it was made on.
        rows = consents.filter(
            consents["channel"].isin([channel, ""]),
            consents["topic"] == topic if topic is not None else ibis.literal(False),  # noqa: FBT003
        )
        words = rows.group_by(person="contact_id").agg(
            **{
                f"{prefix}_grant": rows["granted_at"].max(),
                f"{prefix}_refusal": rows["refused_at"].max(),
            }
        )
        return facts.left_join(words, facts["contact_id"] == words["person"]).drop("person")

    def _with_setbacks(self, facts: ir.Table, channel: str) -> ir.Table:
        setbacks = self._setbacks
        rows = setbacks.filter(setbacks["channel"].isin([channel, ""]))
        last = rows.group_by(person="contact_id").agg(
            bounce=rows["bounce"].max(),
            complaint=rows["complaint"].max(),
            unsubscribe=rows["unsubscribe"].max(),
        )
        return facts.left_join(last, facts["contact_id"] == last["person"]).drop("person")


def _topic(message: Message) -> str:
    return "" if message.topic is None else message.topic.strip().lower()


def _is_address(column: ir.StringValue, name: str) -> ir.BooleanValue:
    text = column.strip().fill_null("")
    # "n/a" and "unknown" are common in the place of an address.
    return text.contains("@") if name == "email" else text.length() > 0


def _failing(facts: ir.Table) -> ir.IntegerValue:
    grant, refused = _standing(facts)
    last_grant = ibis.greatest(facts["general_grant"], facts["topical_grant"])
    failing = {
        Reason.NO_ADDRESS: ~facts["has_address"].fill_null(False),  # noqa: FBT003
        Reason.NO_CONSENT: ~grant & ~refused,
        Reason.CONSENT_REFUSED: refused,
        Reason.BOUNCED: facts["bounce"].notnull(),
        Reason.COMPLAINED: _stands(facts["complaint"], last_grant),
        Reason.UNSUBSCRIBED: _stands(facts["unsubscribe"], last_grant),
    }
    bits = [flag.ifelse(int(reason), 0).cast("int64") for reason, flag in failing.items()]
    total = bits[0]
    for bit in bits[1:]:
        total = total + bit
    return total


def _standing(facts: ir.Table) -> tuple[ir.BooleanValue, ir.BooleanValue]:
    """Return whether a grant applies, and whether a refusal stands against it."""
    general, topical = facts["general_grant"], facts["topical_grant"]
    general_no, topical_no = facts["general_refusal"], facts["topical_refusal"]
    granted = general.notnull() | topical.notnull()
    topic_refused = topical_no.notnull() & _stands(topical_no, topical)
    refused = topic_refused | _stands(general_no, ibis.greatest(general, topical))
    return granted, refused


def _stands(refusal: ir.TimestampValue, grant: ir.TimestampValue) -> ir.BooleanValue:
    """Return whether a refusal was made and no grant came strictly after it."""
    return refusal.notnull() & (grant.isnull() | (refusal >= grant))
