"""How do recipients become rows of items with reasons?

Recipients are answered in chunks, so that the scores of the whole catalogue are in memory for some hundreds of them
only; chunks are answered side by side, and put together in their order.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from mlmarket.market.columns import CONTACT_ID
from mlmarket.recommend.explaining import Causes, causes_of, reason_table
from mlmarket.recommend.fallbacks import Fallbacks
from mlmarket.recommend.fitting import Segments
from mlmarket.recommend.histories import histories_at, places_in
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.ranking.ranked import Ranked
from mlmarket.recommend.recommendations import Recommendations
from mlmarket.recommend.rules import CompiledRules, Slots
from mlmarket.recommend.scarce import Allotment, allot

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.recommend.due import DueItems
    from mlmarket.recommend.exploration import Exploration
    from mlmarket.recommend.probability import SlotProbability
    from mlmarket.recommend.ranking.model import RankingModel
    from mlmarket.recommend.reasons import ReasonTexts

__all__ = ["Counter", "Queue", "allotted", "answered"]

T = TypeVar("T")

_CHUNK: Final = 512
_BIDS: Final = 50
"""Items a recipient bids for where some are scarce."""
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
    segments : mapping of str to Segments
        Who is alike, by column of contacts.
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
    exploration : Exploration or None
        What is drawn by chance.
    weight : ndarray of float64, shape (items,)
        How likely each item is drawn.
    night : date
        Each night draws anew.
    """

    model: "RankingModel"
    rules: CompiledRules
    facts: ItemFacts
    fallbacks: Fallbacks
    segments: Mapping[str, Segments]
    texts: "ReasonTexts"
    probability: "SlotProbability | None"
    due: "DueItems | None"
    exclude: Literal["seen", "none"]
    k: int
    checked: bool
    horizon_days: float | None
    exploration: "Exploration | None"
    weight: npt.NDArray[np.float64]
    night: date


@dataclass(frozen=True, slots=True)
class Queue:
    """Who is answered, and by how many at a time.

    Parameters
    ----------
    contacts : pyarrow.StringArray
        Whom, in this order.
    histories : Interactions
        Of them and of others.
    workers : int
        Threads.
    place : ndarray of int64, shape (contacts,)
        Where each stands in the histories; -1 for those never seen.
    """

    contacts: "pa.StringArray"
    histories: Interactions
    workers: int
    place: npt.NDArray[np.int64]

    @classmethod
    def of(cls, contacts: "pa.StringArray", histories: Interactions, workers: int) -> "Queue":
        """Return a queue; everybody's place is looked up once, not once for every chunk."""
        return cls(contacts, histories, workers, places_in(contacts, histories))

    def chunk(self, first: int) -> Interactions:
        """Return the histories of the recipients from a place on."""
        contacts = self.contacts.slice(first, _CHUNK)
        return histories_at(contacts, self.place[first : first + len(contacts)], self.histories)

    def each(self, work: "Callable[[int], T]", first: int, last: int) -> "list[T]":
        """Return what some work gives for each chunk between two places, in order."""
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(work, range(first, max(last, first + 1), _CHUNK)))


def allotted(counter: Counter, queue: Queue, capacity: npt.NDArray[np.float64]) -> Allotment:
    """Return who may be shown what there is not enough of.

    Parameters
    ----------
    counter : Counter
        What answers.
    queue : Queue
        Everybody who is asked for tonight.
    capacity : ndarray of float64, shape (items,)
        How often each item may be shown.

    Returns
    -------
    Allotment
        For all of them at once.
    """

    def bids(first: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        recipients = queue.chunk(first)
        most = max(_BIDS, _SPARE * counter.k)
        ranked = counter.model.rank(
            recipients, allowed=_allowed(counter, recipients), m=most, due=counter.due
        )
        return ranked.item, _worth(counter, recipients, ranked)

    parts = queue.each(bids, 0, len(queue.contacts))
    item, value = (np.concatenate([part[place] for part in parts]) for place in range(2))
    return allot(item.astype(np.int32), value, capacity, counter.k)


def _worth(counter: Counter, recipients: Interactions, ranked: Ranked) -> npt.NDArray[np.float64]:
    """Return what items are worth to recipients: their chance, or how near they are to the best."""
    if counter.probability is not None:
        chance = counter.probability.predict(recipients, ranked.item, ranked.score)
        return np.nan_to_num(chance)
    place = np.arange(ranked.item.shape[1])
    return np.where(ranked.item >= 0, 1.0 / np.log2(place + 2.0), 0.0)


def answered(
    counter: Counter,
    queue: Queue,
    first: int,
    last: int,
    *,
    allotment: Allotment | None = None,
) -> Recommendations:
    """Return the items of some recipients.

    Parameters
    ----------
    counter : Counter
        What answers.
    queue : Queue
        Everybody who is asked for tonight.
    first, last : int
        Places of the recipients in the queue; `last` is not among them.
    allotment : Allotment, optional
        Of everybody in the queue.

    Returns
    -------
    Recommendations
        In the order of the queue.
    """
    import pyarrow as pa

    last = min(last, len(queue.contacts))
    some = replace(queue, contacts=queue.contacts.slice(0, last))

    def answer(place: int) -> "tuple[pa.Table, pa.Table, pa.Table]":
        recipients = some.chunk(place)
        allowed = _allowed(counter, recipients)
        if allotment is not None:
            allowed &= allotment.mask(place, place + len(recipients.contacts))
        return _answer(counter, recipients, allowed)

    parts = some.each(answer, first, last)
    items, short, history = (
        pa.concat_tables([part[place] for part in parts]) for place in range(3)
    )
    return Recommendations(items, short, history, counter.horizon_days)


def _answer(
    counter: Counter, recipients: Interactions, allowed: npt.NDArray[np.bool_]
) -> "tuple[pa.Table, pa.Table, pa.Table]":
    ranked = counter.model.rank(recipients, allowed=allowed, m=_SPARE * counter.k, due=counter.due)
    # Of people without a history a ranking knows no more than what is popular, and not even where.
    ranked.item[np.diff(recipients.start) == 0] = -1
    fallbacks = counter.fallbacks.of(recipients, counter.segments)
    slots = counter.rules.fill(ranked, recipients, allowed, counter.k, fallbacks=fallbacks)
    if counter.exploration is not None:
        slots = counter.exploration.apply(
            slots, counter.rules, allowed, counter.weight, night=counter.night
        )
    causes = causes_of(
        slots,
        recipients,
        counter.model,
        allowed=allowed,
        checked=counter.checked,
        category=counter.facts.category,
        due=counter.due,
    )
    return _long_form(counter, recipients, slots, causes), slots.short, slots.history


def _allowed(counter: Counter, recipients: Interactions) -> npt.NDArray[np.bool_]:
    """Return what may be shown; what is due may come back although the history is left out."""
    bought = recipients.purchases
    allowed = counter.rules.allowed(recipients, exclude=counter.exclude, bought=bought)
    if counter.due is None or counter.exclude == "none":
        return allowed
    due = counter.due.mask(recipients.contacts, len(recipients.items))
    return allowed | (due & counter.rules.allowed(recipients, exclude="none", bought=bought))


def _long_form(
    counter: Counter, recipients: Interactions, slots: Slots, causes: Causes
) -> "pa.Table":
    import pyarrow as pa

    recipient, place = np.nonzero(slots.item >= 0)
    item = slots.item[recipient, place]
    country = _countries(counter, recipients)
    dates = None if counter.due is None else counter.due.of(recipients.contacts, slots.item)[0]
    today = np.datetime64(int(recipients.now), "D") if recipients.timed else None
    reasons = reason_table(causes, slots, counter.facts, country=country, due=dates, today=today)
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


def _countries(counter: Counter, recipients: Interactions) -> "pa.StringArray | None":
    import pyarrow as pa

    segments = counter.segments.get("country")
    if segments is None:
        return None
    code = segments.of_contacts(recipients.contacts)
    return segments.names.take(pa.array(code, mask=code < 0))


def _chances(counter: Counter, recipients: Interactions, slots: Slots) -> npt.NDArray[np.float64]:
    """Return chances of what the ranking scored; nothing was ever measured of the other slots."""
    if counter.probability is None:
        return np.full(slots.item.shape, np.nan)
    ranked = slots.source < len(counter.model.sources)
    score = np.where(ranked, slots.score, np.nan).astype(np.float32)
    return counter.probability.predict(recipients, slots.item, score)
