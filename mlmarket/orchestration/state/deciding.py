"""How is a tick run against a state so that a second run only exports again?"""

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.orchestration.behaviour import Behaviour
from mlmarket.orchestration.engine.ticking import tick, tick_id_of
from mlmarket.orchestration.fingerprints import fingerprint
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.state.seam import Store
from mlmarket.orchestration.state.standing import Decisions

__all__ = ["decide", "model_versions"]


def decide(
    store: Store,
    playbook: Playbook,
    predictions: pa.Table,
    events: Behaviour,
    *,
    now: datetime,
    touched: pa.Array | None = None,
) -> Decisions:
    """Run a tick and commit it, or return it where it was committed before.

    Parameters
    ----------
    store : Store
        The state.
    playbook : Playbook
        The segments, journeys and the holdout in force.
    predictions : pyarrow.Table
        One row a contact.
    events : Behaviour
        People, consents and behaviour.
    now : datetime
        When, with a zone.
    touched : pyarrow.Array of string, optional
        The people about whom something is new since the last tick: only they, and those who have a
        step or an expiry due, are looked at. All by default.

    Returns
    -------
    Decisions
        As committed: a second call with the same moment, playbook and predictions gives the same
        bytes and changes nothing, whatever happened in between. With ``touched``, a second call
        decides for those who are still due, which sends nothing again.

    Raises
    ------
    MlmarketError
        As :func:`~mlmarket.orchestration.engine.tick` and ``StateStore.commit`` do.
    """
    tick_id = tick_id_of(
        playbook, fingerprint(predictions), now=now, is_partial=touched is not None
    )
    if not store.knows(tick_id):
        looked_at = None if touched is None else _with_due(store, touched, now)
        state = store.load(now=now, touched=looked_at, playbook=playbook).under(playbook)
        decided = tick(state, predictions, events, now=now, touched=looked_at)
        if store.commit(decided, models=model_versions(predictions)):
            # What is in the file is refused unless it can be told again byte for byte.
            return decided
    return store.decisions_of(tick_id)


def _with_due(store: Store, touched: pa.Array, now: datetime) -> pa.Array:
    both = pa.chunked_array([touched.cast(pa.string()), store.due(now)])
    different = both.unique()
    return different.take(pc.sort_indices(different))


def model_versions(predictions: pa.Table) -> Mapping[str, list[str]]:
    """Return which models stand behind predictions.

    Parameters
    ----------
    predictions : pyarrow.Table
        Columns whose names end in ``version`` hold the model of each row.

    Returns
    -------
    mapping of str to list of str
        The different versions by column, sorted.

    Examples
    --------
    >>> model_versions(pa.table({"churn_model_version": ["b", "a", None, "b"]}))
    {'churn_model_version': ['a', 'b']}
    """
    columns = [name for name in predictions.column_names if name.endswith("version")]
    return {
        name: sorted(str(one) for one in predictions[name].unique().to_pylist() if one is not None)
        for name in columns
    }
