"""Which single thing explains an item best?

A reason names an item of the history only where that is exact: of everything in the history it adds most to what
the proposing generator says, and where reasons are checked, ranking the same person again without it lowers the item's
score and does not raise its place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from mlmarket.recommend.fallbacks import POPULAR_BY
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.reasons import REASON_CODES

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.recommend.due import DueItems
    from mlmarket.recommend.items import ItemFacts
    from mlmarket.recommend.ranking.model import RankingModel
    from mlmarket.recommend.rules.slots import Slots

__all__ = ["Causes", "causes_of", "reason_table"]

Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

_BY_CAUSE: Final[Mapping[str, str]] = {"together": "together", "attributes": "similar"}
"""Codes of generators that compare with an item of the history; of the others it is ``because_bought``."""
_BY_SOURCE: Final[Mapping[str, str]] = {
    "pinned": "pinned",
    "exploration": "exploration",
    "popularity": "popular",
    "popular": "popular",
    "category": "category",
    "popular_by_category": "category",
    "popular_by_country": "popular_country",
    "newest": "new",
}
"""Codes of what needs no item of the history."""
_CODES: Final = {code: place for place, code in enumerate(REASON_CODES)}


@runtime_checkable
class _Explains(Protocol):
    """A generator whose score is a sum over the history."""

    def contributions(self, recipients: Interactions, item: Codes) -> tuple[Codes, Any]: ...


@dataclass(frozen=True, slots=True)
class Causes:
    """Codes of reasons, slot by slot, and the items of the history they name.

    Parameters
    ----------
    code : ndarray of int8, shape (recipients, k)
        Place of the code in :data:`mlmarket.recommend.reasons.REASON_CODES`; -1 where a slot is empty.
    item : ndarray of int32, shape (recipients, k)
        Item of the history; -1 where none is named.
    """

    code: npt.NDArray[np.int8]
    item: Codes


def causes_of(
    slots: "Slots",
    recipients: Interactions,
    model: "RankingModel",
    *,
    allowed: Flags,
    checked: bool,
    category: Codes,
    due: "DueItems | None" = None,
) -> Causes:
    """Return what explains each slot.

    Parameters
    ----------
    slots : Slots
        What stands where.
    recipients : Interactions
        The histories it was ranked from.
    model : RankingModel
        That ranked it.
    allowed : ndarray of bool, shape (recipients, items)
        What could be shown.
    checked : bool
        Whether an item of the history is named only where ranking without it lowers the score and does not raise
        the place.
    category : ndarray of int32, shape (items,)
        Of each item; -1 where unknown. "More from" a category is said to those who were interested in it.
    due : DueItems, optional
        With what it was ranked.

    Returns
    -------
    Causes
        One a slot.
    """
    code = _plain_codes(slots)[slots.source]
    strange = (code == _CODES["category"]) & ~_of_own_categories(slots.item, recipients, category)
    code[strange] = _CODES["popular"]
    own, bought = recipients.holds(slots.item), recipients.purchases.holds(slots.item)
    ranked = slots.source < len(model.sources)
    code[own & ranked] = _CODES["looked_at"]
    code[bought & ranked] = _CODES["again"]
    cause = np.full(slots.item.shape, -1, dtype=np.int32)
    for number, (name, generator) in enumerate(model.fitted_generators.items()):
        asked = (slots.source == number) & ~own
        if isinstance(generator, _Explains) and asked.any():
            found, _ = generator.contributions(recipients, np.where(asked, slots.item, -1))
            cause[asked] = found[asked]
            code[asked & (found >= 0)] = _CODES[_BY_CAUSE.get(name, "because_bought")]
    viewed = (cause >= 0) & ~recipients.purchases.holds(cause)
    code[viewed & (code == _CODES["because_bought"])] = _CODES["because_viewed"]
    code[viewed & (code == _CODES["together"])] = _CODES["because_viewed"]
    if checked:
        unproven = _not_owed_to(cause, slots, recipients, model, allowed, due)
        cause[unproven], code[unproven] = -1, _CODES["for_you"]
    return Causes(code, cause)


def _of_own_categories(item: Codes, recipients: Interactions, category: Codes) -> Flags:
    """Return which items are of a category that stands in the history."""
    size = int(category.max(initial=-1)) + 1
    kind = category[recipients.item]
    had = recipients.contact[kind >= 0].astype(np.int64) * size + kind[kind >= 0]
    asked = np.where(item >= 0, category[item], -1)
    key = np.arange(len(item), dtype=np.int64)[:, None] * size + asked
    return np.isin(key, had) & (asked >= 0)


def _plain_codes(slots: "Slots") -> npt.NDArray[np.int8]:
    """Return the code of each source, as long as no item of the history is named; the last one is for none."""
    codes = [_CODES[_code_of(name)] for name in slots.sources]
    return np.array([*codes, -1], dtype=np.int8)


def _code_of(source: str) -> str:
    if source.startswith(POPULAR_BY):
        return _BY_SOURCE.get(source, "popular_segment")
    return _BY_SOURCE.get(source, "for_you")


def _not_owed_to(
    cause: Codes,
    slots: "Slots",
    recipients: Interactions,
    model: "RankingModel",
    allowed: Flags,
    due: "DueItems | None",
) -> Flags:
    """Return which slots keep their score, or stand higher, when the named item is taken out of the history."""
    recipient, column = np.nonzero(cause >= 0)
    if not len(recipient):
        return cause >= 0
    size, named = len(recipients.items), cause[recipient, column]
    pairs, of = np.unique(recipient.astype(np.int64) * size + named, return_inverse=True)
    who, gone = np.divmod(pairs, size)
    without = recipients.take(who)
    without = without.rows(without.item != gone[without.contact])
    some = np.unique(recipient)
    most = 2 * model.candidates  # own and new ones
    before = model.rank(recipients.take(some), allowed=allowed[some], m=most, due=due)
    after = model.rank(without, allowed=allowed[who], m=most, due=due)
    item, row = slots.item[recipient, column], np.searchsorted(some, recipient)
    score, place = _standing(before.item[row], before.score[row], item, named)
    score_after, place_after = _standing(after.item[of], after.score[of], item, named)
    kept = np.zeros(cause.shape, dtype=np.bool_)
    kept[recipient, column] = (score_after >= score) | (place_after < place)
    return kept


def _standing(
    ranked: Codes, score: npt.NDArray[np.float32], item: Codes, other: Codes
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return score and place of an item in each ranking, without counting another one; last where it is not there."""
    same = ranked == item[:, None]
    there = same.any(axis=1)
    place = np.where(there, same.argmax(axis=1), ranked.shape[1])
    ahead = np.arange(ranked.shape[1]) < place[:, None]
    place = place - (ahead & (ranked == other[:, None])).sum(axis=1)
    return np.where(same, score, -np.inf).max(axis=1), place


def reason_table(
    causes: Causes,
    slots: "Slots",
    facts: "ItemFacts",
    *,
    country: "pa.Array | None" = None,
    due: "npt.NDArray[np.datetime64] | None" = None,
    today: "np.datetime64 | None" = None,
) -> "pa.Table":
    """Return the reasons of filled slots in the form that texts are written from.

    Parameters
    ----------
    causes : Causes
        What explains each slot.
    slots : Slots
        What stands where.
    facts : ItemFacts
        Titles and categories.
    country : pyarrow.Array, shape (recipients,), optional
        Of each recipient.
    due : ndarray of datetime64[D], shape (recipients, k), optional
        When an item is due; NaT where nobody knows.
    today : datetime64[D], optional
        What was due before it is due now; its day is not told.

    Returns
    -------
    pyarrow.Table
        ``reason, because_title, category, country, date``, a row a filled slot.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    recipient, place = np.nonzero(slots.item >= 0)
    code, item = causes.code[recipient, place], slots.item[recipient, place]
    cause = causes.item[recipient, place]
    when = np.full(len(item), np.datetime64("NaT"), dtype="M8[D]")
    if due is not None:
        when = due[recipient, place].astype("M8[D]")
        if today is not None:
            over = when < today
            code = np.where(over & (code == _CODES["again"]), _CODES["due_soon"], code)
        code = np.where(~np.isnat(when) & (code == _CODES["again"]), _CODES["due"], code)
    titles = pc.coalesce(facts.table.column("title"), facts.table.column(ITEM_ID)).combine_chunks()
    kind = facts.category[item]
    columns = {
        "reason": _coded(code, pa.array(list(REASON_CODES))),
        "because_title": _coded(cause, titles),
        "category": _coded(kind, facts.categories),
        "country": pa.nulls(len(item), pa.string()),
        "date": pa.array(when),
    }
    if country is not None:
        columns["country"] = country.dictionary_encode().take(pa.array(recipient))
    return pa.table(columns)


def _coded(places: npt.NDArray[np.integer], values: "pa.Array") -> "pa.DictionaryArray":
    """Return values by place, missing where it is below 0."""
    import pyarrow as pa

    found = pa.array(places.astype(np.int32), mask=places < 0)
    return pa.DictionaryArray.from_arrays(found, values)
