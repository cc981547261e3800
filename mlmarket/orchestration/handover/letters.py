"""What was not handed over, and how does a person decide about it?"""

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.handover.store import OutboxStore
from mlmarket.orchestration.state.claims import RESULTS
from mlmarket.orchestration.state.standing import utc

__all__ = ["dead_letters", "in_doubt", "requeue", "retry_unknown"]


def dead_letters(store: OutboxStore) -> pa.Table:
    """Return what has failed for good.

    Parameters
    ----------
    store : OutboxStore
        Where the outbox is.

    Returns
    -------
    pyarrow.Table
        The columns of the outbox, ``status``, ``attempts`` and ``last_error``.
    """
    return store.outbox("failed")


def in_doubt(store: OutboxStore) -> pa.Table:
    """Return what may have arrived or not.

    Parameters
    ----------
    store : OutboxStore
        Where the outbox is.

    Returns
    -------
    pyarrow.Table
        As :func:`dead_letters`.
    """
    return store.outbox("unknown")


def requeue(store: OutboxStore, keys: Iterable[str], *, now: datetime) -> int:
    """Put dead letters back into the outbox, with all their attempts before them.

    Parameters
    ----------
    store : OutboxStore
        Where the outbox is.
    keys : iterable of str
        Idempotency keys of :func:`dead_letters`.
    now : datetime
        With a zone; they are due from here on, until they expire.

    Returns
    -------
    int
        How many.

    Raises
    ------
    ConfigurationError
        Where a key is no dead letter; nothing is put back then.
    """
    return _put_back(store, keys, "failed", now)


def retry_unknown(store: OutboxStore, keys: Iterable[str], *, now: datetime) -> int:
    """Hand over again what may have arrived already.

    Parameters
    ----------
    store : OutboxStore
        Where the outbox is.
    keys : iterable of str
        Idempotency keys of :func:`in_doubt`. Look them up at the receiver first: what did arrive
        would be done twice.
    now : datetime
        With a zone; they are due from here on, until they expire.

    Returns
    -------
    int
        How many.

    Raises
    ------
    ConfigurationError
        Where a key is not in doubt; nothing is put back then.
    """
    return _put_back(store, keys, "unknown", now)


def _put_back(store: OutboxStore, keys: Iterable[str], status: str, now: datetime) -> int:
    wanted = sorted({keys} if isinstance(keys, str) else set(keys))
    moment = utc(now)
    known = store.outbox(status)["idempotency_key"]
    given = pa.array(wanted, pa.string())
    strange = given.filter(pc.invert(pc.is_in(given, value_set=known.combine_chunks())))
    if len(strange):
        raise ConfigurationError(
            f"{len(strange)} of {len(wanted)} keys are not {status}, such as '{strange[0]}'.",
            "What is pending, sent or cancelled must not be handed over again.",
            f"take the keys from the rows whose status is {status}.",
        )
    rows = [
        {"idempotency_key": key, "status": "pending", "next_attempt_at": moment} for key in wanted
    ]
    if rows:
        store.settle(pa.Table.from_pylist(rows, schema=RESULTS), now=now)
    return len(rows)
