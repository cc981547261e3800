"""Which messages are handed over, to which addresses, and until when?"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import ibis
import pyarrow as pa

from mlmarket.orchestration.behaviour import ADDRESSES
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.engine.walk import Sent
from mlmarket.orchestration.tables import OUTBOX, canonical

__all__ = ["outbox_rows"]

_FROM_ENROLMENT: Final = ("enrolment_id", "contact_id", "journey", "version", "expires_at")


def outbox_rows(
    enrolments: pa.Table, sent: Sequence[Sent], people: pa.Table, *, now: datetime, bench: Bench
) -> pa.Table:
    """Write out what is to be sent.

    Parameters
    ----------
    enrolments : pyarrow.Table
        All rows of the walk, in its order.
    sent : sequence of Sent
        The messages and the rows they go to.
    people : pyarrow.Table
        contact_id and addresses, one row a person.
    now : datetime
        UTC without a zone; nothing is to be sent earlier.
    bench : Bench
        Where to compute.

    Returns
    -------
    pyarrow.Table
        The outbox. ``idempotency_key`` is the SHA-256 of ``enrolment_id|step``: whichever tick
        decides it, one step of one enrolment has one key.
    """
    pieces = [_piece(enrolments, one, now) for one in sent if len(one.rows)]
    if not pieces:
        return OUTBOX.empty_table()
    rows = ibis.memtable(pa.concat_tables(pieces))
    addresses = ibis.memtable(people.select(["contact_id", *ADDRESSES]))
    addresses = addresses.rename(person="contact_id")
    joined = rows.left_join(addresses, rows["contact_id"] == addresses["person"]).drop("person")
    key = (joined["enrolment_id"] + "|" + joined["step"]).hexdigest("sha256")
    return canonical("outbox", bench.to_pyarrow(joined.mutate(idempotency_key=key)))


def _piece(enrolments: pa.Table, one: Sent, now: datetime) -> pa.Table:
    whom = enrolments.select(_FROM_ENROLMENT).take(pa.array(one.rows))
    count = len(one.rows)
    same = {
        "step": one.message.name,
        "channel": one.message.channel,
        "topic": one.message.topic,
        "template": one.message.template,
    }
    for name, value in same.items():
        whom = whom.append_column(name, pa.repeat(pa.scalar(value, pa.string()), count))
    return whom.append_column("not_before", pa.repeat(pa.scalar(now, pa.timestamp("us")), count))
