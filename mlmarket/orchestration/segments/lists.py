"""Who is on the list of a segment, with the addresses that a mailer needs?"""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.orchestration.behaviour import Behaviour
from mlmarket.orchestration.engine.people import addresses_known
from mlmarket.orchestration.state.standing import Decisions, utc

__all__ = ["LIST", "segment_list"]

LIST: Final = pa.schema(
    {
        "contact_id": pa.string(),
        "external_id": pa.string(),
        "email": pa.string(),
        "phone": pa.string(),
        "entered_at": pa.timestamp("us"),
        "is_new": pa.bool_(),
        "why": pa.string(),
        "action": pa.string(),
    }
)
"""Columns of a list; ``is_new`` says who entered with this tick."""


def segment_list(decisions: Decisions, segment: str, events: Behaviour) -> pa.Table:
    """Return the members of a segment as a list to look at or to upload.

    Those who left are not on it: a list that is uploaded as it is must not bring them back.
    They are in ``Decisions.changes``.

    Parameters
    ----------
    decisions : Decisions
        The tick.
    segment : str
        The name of the segment.
    events : Behaviour
        Where addresses are read, as they were at the tick.

    Returns
    -------
    pyarrow.Table
        The columns of :data:`LIST`, sorted by contact.

    Raises
    ------
    ConfigurationError
        Where the playbook has no such segment.
    """
    names = {one.name: one for one in decisions.playbook.segments}
    if segment not in names:
        what = f"There is no segment '{segment}'."
        raise ConfigurationError(what, "Its list cannot be written.", suggestion(segment, names))
    members = decisions.memberships.filter(pc.equal(decisions.memberships["segment"], segment))
    came = decisions.changes.filter(
        pc.and_(
            pc.equal(decisions.changes["segment"], segment),
            pc.equal(decisions.changes["change"], "entered"),
        )
    )
    is_new = pc.is_in(members["contact_id"], value_set=came["contact_id"].combine_chunks())
    rows = members.append_column("is_new", is_new)
    action = pa.scalar(names[segment].action, pa.string())
    rows = rows.append_column("action", pa.repeat(action, len(rows)))
    addresses = addresses_known(events, utc(decisions.now))
    if addresses is None:
        for name in ("external_id", "email", "phone"):
            rows = rows.append_column(name, pa.nulls(len(rows), pa.string()))
    else:
        rows = rows.join(addresses, "contact_id", join_type="left outer")
    ordered = rows.select(LIST.names).cast(LIST).sort_by("contact_id")
    return ordered.combine_chunks()
