"""How do recipients become rows of items with reasons?

Recipients are answered in chunks, so that the scores of the whole catalogue are in memory for some hundreds of them
only; chunks are answered side by side, and put together in their order.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from mlmarket.market.columns import CONTACT_ID
from mlmarket.recommend.explaining import Causes, causes_of, reason_table
from mlmarket.recommend.fallbacks import Fallbacks
from mlmarket.recommend.fitting import Segments
from mlmarket.recommend.histories import histories_of
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.recommendations import Recommendations
from mlmarket.recommend.rules import CompiledRules, Slots

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.recommend.due import DueItems
    from mlmarket.recommend.probability import SlotProbability
    from mlmarket.recommend.ranking.model import RankingModel
    from mlmarket.recommend.reasons import ReasonTexts

__all__ = ["Counter", "answered"]

_CHUNK: Final = 512
_SPARE: Final = 3
"""So many times the wanted number are ranked: rules about whole lists need something to choose from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Everything that is needed to answer any recipient of one night.

    Parameters
    ----------
    model : RankingModel
        Ranks.
    rules : CompiledRules
        What may be shown to whom.
    facts : ItemFacts
        Of the catalogue.
    fallbacks : Fallbacks
        What fills the slots that the ranking leaves empty.
    segments : Segments
        Who is alike.
    texts : ReasonTexts
        The words.
    probability : SlotProbability or None
        How likely each slot is bought.
    due : DueItems or None
        What is due when.
    exclude : {"seen", "none"}
        Whether items of the history are left out.
    k : int
        Slots.
    checked : bool
        Whether reasons are checked by ranking again.
    horizon_days : float or None
        How far ahead it looks.
    """

    model: "RankingModel"
    rules: CompiledRules
    facts: ItemFacts
    fallbacks: Fallbacks
    segments: Segments
    texts: "ReasonTexts"
    probability: "SlotProbability | None"
    due: "DueItems | None"
    exclude: Literal["seen", "none"]
    k: int
    checked: bool
    horizon_days: float | None


def answered(
    counter: Counter, contacts: "pa.StringArray", histories: Interactions, *, workers: int
) -> Recommendations:
    """Return the items of some recipients.

    Parameters
    ----------
    counter : Counter
        What answers.
    contacts : pyarrow.StringArray
        Whom, in this order.
    histories : Interactions
        Of them and of others.
    workers : int
        Threads.

    Returns
    -------
    Recommendations
        In the order of `contacts`.
    """
    import pyarrow as pa

    def answer(first: int) -> "tuple[pa.Table, pa.Table, pa.Table]":
        return _answer(counter, histories_of(contacts.slice(first, _CHUNK), histories))

    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(answer, range(0, max(len(contacts), 1), _CHUNK)))
    items, short, history = (
        pa.concat_tables([part[place] for part in parts]) for place in range(3)
    )
    return Recommendations(items, short, history, counter.horizon_days)


def _answer(counter: Counter, recipients: Interactions) -> "tuple[pa.Table, pa.Table, pa.Table]":
    allowed = _allowed(counter, recipients)
    ranked = counter.model.rank(recipients, allowed=allowed, m=_SPARE * counter.k)
    fallbacks = counter.fallbacks.of(recipients, counter.segments)
    slots = counter.rules.fill(ranked, recipients, allowed, counter.k, fallbacks=fallbacks)
    causes = causes_of(slots, recipients, counter.model, allowed=allowed, checked=counter.checked)
    return _long_form(counter, recipients, slots, causes), slots.short, slots.history


def _allowed(counter: Counter, recipients: Interactions) -> npt.NDArray[np.bool_]:
    """Return what may be shown; what is due may come back although the history is left out."""
    allowed = counter.rules.allowed(recipients, exclude=counter.exclude)
    if counter.due is None or counter.exclude == "none":
        return allowed
    due = counter.due.mask(recipients.contacts, len(recipients.items))
    return allowed | (due & counter.rules.allowed(recipients, exclude="none"))


def _long_form(
    counter: Counter, recipients: Interactions, slots: Slots, causes: Causes
) -> "pa.Table":
    import pyarrow as pa

    recipient, place = np.nonzero(slots.item >= 0)
    item = slots.item[recipient, place]
    country = _segment_names(counter.segments, recipients)
    dates = None if counter.due is None else counter.due.of(recipients.contacts, slots.item)[0]
    reasons = reason_table(causes, slots, counter.facts, country=country, due=dates)
    chance = _chances(counter, recipients, slots)
    names = pa.array(slots.sources)
    source = pa.array(slots.source[recipient, place].astype(np.int32))
    day = np.full(len(item), np.datetime64("NaT"), "M8[D]")
    if dates is not None:
        day = dates[recipient, place].astype("M8[D]")
    return pa.table(
        {
            CONTACT_ID: recipients.contacts.take(pa.array(recipient)),
            ITEM_ID: recipients.items.take(pa.array(item)),
            "rank": pa.array((place + 1).astype(np.int32)),
            "score": pa.array(slots.score[recipient, place], from_pandas=True),
            "probability": pa.array(chance[recipient, place], from_pandas=True),
            "due_date": pa.array(day),
            "reason": counter.texts.write(reasons),
            "source": names.take(source),
            "propensity": pa.array(slots.propensity[recipient, place]),
        }
    )


def _segment_names(segments: Segments, recipients: Interactions) -> "pa.StringArray":
    import pyarrow as pa

    code = segments.of_contacts(recipients.contacts)
    return segments.names.take(pa.array(code, mask=code < 0))


def _chances(counter: Counter, recipients: Interactions, slots: Slots) -> npt.NDArray[np.float64]:
    """Return chances of what the ranking scored; nothing was ever measured of the other slots."""
    if counter.probability is None:
        return np.full(slots.item.shape, np.nan)
    ranked = slots.source < len(counter.model.sources)
    score = np.where(ranked, slots.score, np.nan).astype(np.float32)
    return counter.probability.predict(recipients, slots.item, score)
