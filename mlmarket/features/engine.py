"""Which of the two compilers computes a specification?

Both give the same numbers. The sweep needs the tables on DuckDB, on one machine; everything else is
left to the reference, which runs where the tables are.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.parts import base_features
from mlmarket.features.preparation import UnsweepableError, prepare_store
from mlmarket.features.program import conditions_of
from mlmarket.features.store import EventStore

if TYPE_CHECKING:
    from mlmarket.features.snapshots import SnapshotSpec
    from mlmarket.market import Market

__all__ = ["Engine", "EngineChoice", "choose_engine", "event_store"]

_LOG: Final = logging.getLogger(__name__)
_STORE: Final = "event store"


class Engine(StrEnum):
    """What computes features."""

    AUTO = "auto"
    REFERENCE = "reference"
    SWEEP = "sweep"


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What computes a specification, and why.

    Parameters
    ----------
    engine : Engine
        ``reference`` or ``sweep``.
    reason : str
        Why it was chosen, in words.
    store : EventStore or None
        What is swept.
    """

    engine: Engine
    reason: str
    store: EventStore | None = None


def choose_engine(
    market: "Market", spec: "SnapshotSpec", engine: str | None = None
) -> EngineChoice:
    """Decide what computes a specification, and prepare what it needs.

    Parameters
    ----------
    market : Market
        The tables.
    spec : SnapshotSpec
        What to compute.
    engine : {"auto", "reference", "sweep"}, optional
        What is wanted; by default what ``[engine] features`` says, and else the sweep where it can.

    Returns
    -------
    EngineChoice
        With its reason, which is logged too.

    Raises
    ------
    ConfigurationError
        Where there is no such engine, or the sweep is asked for and cannot.
    """
    engine = engine or market.settings.engine.features
    if engine not in set(Engine):
        raise ConfigurationError(
            f"There is no engine '{engine}'.",
            "It computes the features.",
            suggestion(engine, [one.value for one in Engine]),
        )
    choice = EngineChoice(Engine.REFERENCE, "it was asked for")
    if engine != Engine.REFERENCE:
        choice = _sweep_if_possible(market, spec)
        if engine == Engine.SWEEP and choice.engine is not Engine.SWEEP:
            raise ConfigurationError(
                f"The sweep cannot compute this: {choice.reason}.",
                "It reads prepared rows of tables on this machine.",
                "leave the engine to mlmarket: engine='auto' takes the reference compiler.",
            )
    _LOG.info("features by the %s: %s", choice.engine.value, choice.reason)
    return choice


def _sweep_if_possible(market: "Market", spec: "SnapshotSpec") -> EngineChoice:
    place = market.table("contacts").get_backend().name
    if place != "duckdb":
        return EngineChoice(Engine.REFERENCE, f"the tables are on {place}")
    base = base_features(spec.features, spec.eligible)
    conditions = conditions_of(base, spec.eligible, spec.label)
    if not conditions:
        return EngineChoice(Engine.REFERENCE, "nothing is made of behaviour")
    try:
        store = event_store(market, conditions)
    except UnsweepableError as error:
        return EngineChoice(Engine.REFERENCE, str(error))
    return EngineChoice(Engine.SWEEP, "the tables are on this machine", store)


def event_store(market: "Market", conditions: Sequence[Behaviour]) -> EventStore:
    """Return the store of a market with the rows of some conditions, prepared once.

    Parameters
    ----------
    market : Market
        The tables; their rows are taken to stay the same for as long as it is open.
    conditions : sequence of Behaviour
        Which rows.

    Returns
    -------
    EventStore
        Kept with the market; prepared anew only where a condition is new.

    Raises
    ------
    UnsweepableError
        Where rows cannot be prepared.
    """
    known = market.prepared.get(_STORE)
    if isinstance(known, EventStore):
        if set(conditions) <= set(known.conditions):
            return known
        conditions = [*conditions, *known.conditions]
    store = prepare_store(market, conditions, folder=market.store_folder)
    market.prepared[_STORE] = store
    return store
