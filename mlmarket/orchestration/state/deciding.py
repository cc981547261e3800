"""How is a tick run against a state file so that a second run only exports again?"""

from datetime import datetime

import pyarrow as pa

from mlmarket.orchestration.behaviour import Behaviour
from mlmarket.orchestration.engine.ticking import tick, tick_id_of
from mlmarket.orchestration.fingerprint import fingerprint
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.state.standing import Decisions
from mlmarket.orchestration.state.store import StateStore

__all__ = ["decide"]


def decide(
    store: StateStore,
    playbook: Playbook,
    predictions: pa.Table,
    events: Behaviour,
    *,
    now: datetime,
) -> Decisions:
    """Run a tick and commit it, or return it where it was committed before.

    Parameters
    ----------
    store : StateStore
        The state file.
    playbook : Playbook
        The segments, journeys and the holdout in force.
    predictions : pyarrow.Table
        One row a contact.
    events : Behaviour
        People, consents and behaviour.
    now : datetime
        When, with a zone.

    Returns
    -------
    Decisions
        As committed: a second call with the same moment, playbook and predictions gives the same
        bytes and changes nothing, whatever happened in between.

    Raises
    ------
    MlmarketError
        As :func:`~mlmarket.orchestration.engine.tick` and ``StateStore.commit`` do.
    """
    tick_id = tick_id_of(playbook, fingerprint(predictions), now=now)
    if not store.knows(tick_id):
        store.commit(tick(store.load().under(playbook), predictions, events, now=now))
    return store.decisions_of(tick_id)
