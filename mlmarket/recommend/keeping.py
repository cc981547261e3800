"""How is a recommender kept from one night to the next?

Histories are not: whoever asks brings those of tonight.
"""

import copy
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlmarket.recommend.fallbacks import Fallbacks
from mlmarket.recommend.identity import IdKind
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.probability import SlotProbability
from mlmarket.recommend.recommender import Learned, Recommender
from mlmarket.recommend.storage import read_state, write_state

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.recommend.rules import Rules

__all__ = ["read_recommender", "with_facts", "write_recommender"]

_STATE: Final = "recommender"
_ITEMS: Final = "items.parquet"


def write_recommender(recommender: Recommender, folder: Path) -> None:
    """Write what a recommender learned, in numpy's, LightGBM's and Parquet's own forms.

    Parameters
    ----------
    recommender : Recommender
        Fitted, on histories with times.
    folder : Path
        It exists.
    """
    import pyarrow.parquet as pq

    learned = recommender._require_learned()
    chance = learned.probability
    state: dict[str, Any] = {
        "horizon": recommender.horizon,
        "ranker": recommender.ranker,
        "segment": recommender.segment,
        "random_state": recommender.random_state,
        "generators": list(learned.model.sources),
        "model": learned.model.to_state(),
        "fallbacks": learned.fallbacks.to_state(),
        "probability": None if chance is None else chance.to_state(),
        "segments": learned.segments.to_pylist(),
        "integers": [kind.integer for kind in learned.kinds],
        "as_of": None if learned.as_of is None else learned.as_of.isoformat(),
        "now": learned.histories.now,
    }
    write_state(state, folder, _STATE)
    pq.write_table(learned.facts.table, folder / _ITEMS)


def read_recommender(folder: Path, *, rules: "Rules | None" = None) -> Recommender:
    """Return the recommender that :func:`write_recommender` wrote.

    Parameters
    ----------
    folder : Path
        Where it was written.
    rules : Rules, optional
        Which items may be shown to whom.

    Returns
    -------
    Recommender
        Answers the same for the same histories; it knows none of its own.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    state = read_state(folder, _STATE)
    table = pq.read_table(folder / _ITEMS)
    facts = ItemFacts(table.column(ITEM_ID).combine_chunks(), table)
    found = Recommender(
        horizon=state["horizon"],
        ranker=state["ranker"],
        segment=state["segment"],
        rules=rules,
        random_state=state["random_state"],
    )
    # As if baskets were known, so that all generators are there; then those that were kept.
    model = found._model(_one_basket(facts.ids, state["now"]), facts)
    model.generators = {name: model.generators[name] for name in state["generators"]}
    kinds = [
        IdKind(column, integer, "interactions")
        for column, integer in zip(("contact_id", ITEM_ID), state["integers"], strict=True)
    ]
    chance, as_of = state["probability"], state["as_of"]
    found._learned = Learned(
        model=model.from_state(state["model"]),
        fallbacks=Fallbacks.from_state(state["fallbacks"]),
        probability=None if chance is None else SlotProbability.from_state(chance),
        facts=facts,
        histories=_nobody(facts.ids, state["now"]),
        contacts=None,
        segments=pa.array(state["segments"], pa.string()),
        kinds=(kinds[0], kinds[1]),
        as_of=None if as_of is None else datetime.fromisoformat(as_of),
    )
    return found


def with_facts(recommender: Recommender, facts: ItemFacts) -> Recommender:
    """Return a recommender that knows items as they are tonight.

    Parameters
    ----------
    recommender : Recommender
        Fitted, some time ago.
    facts : ItemFacts
        Of the same catalogue: prices, stock and titles change from night to night.

    Returns
    -------
    Recommender
        A copy; what it learned is the same.
    """
    other = copy.copy(recommender)
    other._learned = replace(recommender._require_learned(), facts=facts)
    return other


def _nobody(items: "pa.StringArray", now: float) -> Interactions:
    import pyarrow as pa

    return Interactions(
        contacts=pa.array([], pa.string()),
        items=items,
        start=np.zeros(1, np.int64),
        item=np.empty(0, np.int32),
        at=np.empty(0),
        weight=np.empty(0, np.float32),
        now=now,
    )


def _one_basket(items: "pa.StringArray", now: float) -> Interactions:
    import pyarrow as pa

    return replace(
        _nobody(items, now),
        contacts=pa.array([""]),
        start=np.array([0, 2]),
        item=np.zeros(2, np.int32),
        at=np.zeros(2),
        weight=np.ones(2, np.float32),
    )
