"""Which single thing explains an item best?

A reason names an item of the history only where that is exact: of everything in the history it adds most to what
the proposing generator says, and where reasons are checked, ranking everybody again without it puts the item
lower or out of the candidates.
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
        Whether an item of the history is named only where ranking without it puts the item lower.
    due : DueItems, optional
        With what it was ranked.

    Returns
    -------
    Causes
        One a slot.
    """
    code = _plain_codes(slots)[slots.source]
    own = recipients.holds(slots.item)
    code[own & (slots.source < len(model.sources))] = _CODES["again"]
    cause = np.full(slots.item.shape, -1, dtype=np.int32)
    for number, (name, generator) in enumerate(model.fitted_generators.items()):
        asked = (slots.source == number) & ~own
        if isinstance(generator, _Explains) and asked.any():
            found, _ = generator.contributions(recipients, np.where(asked, slots.item, -1))
            cause[asked] = found[asked]
            code[asked & (found >= 0)] = _CODES[_BY_CAUSE.get(name, "because_bought")]
    if checked:
        unproven = _not_lower_without(cause, slots, recipients, model, allowed, due)
        cause[unproven], code[unproven] = -1, _CODES["for_you"]
    return Causes(code, cause)


def _plain_codes(slots: "Slots") -> npt.NDArray[np.int8]:
    """Return the code of each source, as long as no item of the history is named; the last one is for none."""
    codes = [_CODES[_code_of(name)] for name in slots.sources]
    return np.array([*codes, -1], dtype=np.int8)


def _code_of(source: str) -> str:
    if source.startswith(POPULAR_BY):
        return _BY_SOURCE.get(source, "popular_segment")
    return _BY_SOURCE.get(source, "for_you")


def _not_lower_without(
    cause: Codes,
    slots: "Slots",
    recipients: Interactions,
    model: "RankingModel",
    allowed: Flags,
    due: "DueItems | None",
) -> Flags:
    """Return which slots keep their score, or gain, when the named item is taken out of the history."""
    recipient, place = np.nonzero(cause >= 0)
    if not len(recipient):
        return cause >= 0
    size = len(recipients.items)
    pairs, of = np.unique(
        recipient.astype(np.int64) * size + cause[recipient, place], return_inverse=True
    )
    who, gone = np.divmod(pairs, size)
    without = recipients.take(who)
    without = without.rows(without.item != gone[without.contact])
    again = model.rank(without, allowed=allowed[who], m=model.candidates, due=due)
    item = slots.item[recipient, place]
    same = again.item[of] == item[:, None]
    score = np.where(same, again.score[of], -np.inf).max(axis=1)
    kept = np.zeros(cause.shape, dtype=np.bool_)
    kept[recipient, place] = score >= slots.score[recipient, place]
    return kept


def reason_table(
    causes: Causes,
    slots: "Slots",
    facts: "ItemFacts",
    *,
    country: "pa.Array | None" = None,
    due: "npt.NDArray[np.datetime64] | None" = None,
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
