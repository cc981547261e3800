"""Who may be shown to an advertising platform?"""

from datetime import datetime

import pyarrow as pa

from mlmarket.orchestration.arbitration.gates import Gate, Gatekeeper
from mlmarket.orchestration.behaviour import Behaviour
from mlmarket.orchestration.engine.people import addresses_known
from mlmarket.orchestration.state.standing import State, utc

__all__ = ["may_join_audience"]


def may_join_audience(
    state: State, events: Behaviour, *, now: datetime, topic: str = ""
) -> pa.Array:
    """Return the contacts against whose joining an audience nothing speaks.

    Parameters
    ----------
    state : State
        Its suppressions and recorded consents count beside those of the tables.
    events : Behaviour
        Contacts, consents and setbacks.
    now : datetime
        With a zone.
    topic : str, optional
        What the audience is for, as consents name it; by default every topic must be consented to.

    Returns
    -------
    pyarrow.Array of string
        Sorted; nobody whose consent to the channel ``ads`` is not known.
    """
    moment = utc(now)
    addresses = addresses_known(events, moment)
    if addresses is None:
        return pa.array([], pa.string())
    ordered = addresses.sort_by("contact_id").combine_chunks()
    contacts = pa.concat_arrays([pa.array([], pa.string()), *ordered["contact_id"].chunks])
    gate = Gate("ads", topic.strip().lower(), "consent")
    gates = Gatekeeper(events, ordered, contacts, asked=[gate], now=moment, state=state)
    return contacts.filter(pa.array(gates.closed(gate) == 0))
