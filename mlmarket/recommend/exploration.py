"""Which new items are shown to a few, so that something is learned about them?

An item nobody has touched is never recommended by what others did. In one slot of a few recipients, drawn anew each
night, such an item is drawn instead. The chance of every item in every slot is known and kept, so that what is
learned can be weighed by it.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Final

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.assignment import stable_fractions
from mlmarket.recommend.generators.previous import previous_rows
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.rules.compiled import EXPLORATION, PINNED, CompiledRules
from mlmarket.recommend.rules.slots import Slots

if TYPE_CHECKING:
    from mlmarket.recommend.rules.filling import Limits

__all__ = ["Exploration", "cold_items"]

_SALT: Final = "exploration"

Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]
Weights = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """In how many slots items are drawn.

    Parameters
    ----------
    share : float, default 0.05
        Of recipients, in one slot each.
    rank : int, optional
        The slot, from 1; by default the last. Of somebody with fewer items the last one, and never a pinned one.
    salt : str, default "exploration"
        Another salt draws other recipients and items.

    Raises
    ------
    ConfigurationError
        Where a value cannot be meant.

    References
    ----------
    Horvitz and Thompson (1952), "A generalization of sampling without replacement from a finite universe", Journal of
    the American Statistical Association 47, 663-685.
    """

    share: float = 0.05
    rank: int | None = None
    salt: str = _SALT

    def __post_init__(self) -> None:
        share, rank = self.share, self.rank
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise _bad("share", share, "write a number from 0 to 1, such as 0.05.")
        if rank is not None and (isinstance(rank, bool) or not isinstance(rank, int) or rank < 1):
            raise _bad("rank", rank, "write a whole number from 1 up, or leave it out.")
        if not isinstance(self.salt, str) or not self.salt:
            raise _bad("salt", self.salt, "write a text that names the experiment.")

    def apply(
        self, slots: Slots, rules: CompiledRules, allowed: Flags, weight: Weights, *, night: date
    ) -> Slots:
        """Return slots of which a few hold an item that was drawn.

        Parameters
        ----------
        slots : Slots
            Filled by `rules`.
        rules : CompiledRules
            Their caps on categories hold for drawn items too.
        allowed : ndarray of bool, shape (recipients, items)
            From :meth:`CompiledRules.allowed`.
        weight : ndarray of float64, shape (items,)
            How likely each item is drawn, relative to the others; 0 for items that are not explored.
        night : date
            Each night draws anew; the same night draws the same.

        Returns
        -------
        Slots
            With ``propensity``: the chance with which what stands in a slot stands there, before anything was drawn.
            Where an item stands that is not drawn, 1 less the share, plus the share times its chance to be drawn;
            where one was drawn, the share times that chance (plus the rest where it would have stood there anyway).
            In slots where nothing can be drawn, 1.

        Raises
        ------
        ConfigurationError
            Where the arrays are not about these recipients and items.
        """
        weight = self._checked(slots, allowed, weight)
        who = slots.contacts.to_pylist()
        salt = f"{self.salt}|{night.isoformat()}"
        drawn = stable_fractions(salt, who) < self.share
        place = stable_fractions(f"{salt}|item", who)
        slot = self._slot(slots)
        pool = (slots.item, allowed, slot, weight)
        item, chance, own = draw_items(*pool, rules.limits, place)
        can = item >= 0
        rows = np.flatnonzero(can)
        shown = np.where(drawn & can, item, slots.item[np.arange(len(slot)), slot])
        propensity = slots.propensity.copy()
        stood = slots.item[rows, slot[rows]]
        by_draw = np.where(drawn, chance, own)[rows] * self.share
        stays = (shown[rows] == stood) * (1.0 - self.share)
        propensity[rows, slot[rows]] = by_draw + stays
        return _with_drawn(slots, np.flatnonzero(drawn & can), slot, item, propensity)

    def _slot(self, slots: Slots) -> npt.NDArray[np.int64]:
        """Return the slot in which an item may be drawn, of each recipient; -1 for none."""
        k = slots.item.shape[1]
        open_slots = (slots.item >= 0) & (
            slots.source != slots.sources.index(PINNED, self._after(slots))
        )
        open_slots &= np.arange(k) < (k if self.rank is None else self.rank)
        last = k - 1 - np.argmax(open_slots[:, ::-1], axis=1)
        return np.where(open_slots.any(axis=1), last, -1)

    @staticmethod
    def _after(slots: Slots) -> int:
        return len(slots.sources) - 2  # a source may be called "pinned" too; ours stand last

    def _checked(self, slots: Slots, allowed: Flags, weight: Weights) -> Weights:
        numbers = np.asarray(weight, np.float64)
        shape = (len(slots.contacts), len(slots.items))
        if allowed.shape != shape or numbers.shape != shape[1:]:
            raise ConfigurationError(
                f"There are {shape[0]:,} recipients and {shape[1]:,} items, a mask of the shape "
                f"{allowed.shape} and weights of the shape {numbers.shape}.",
                "Items of one recipient would be drawn for another.",
                "pass the mask that the slots were filled with, and one weight for each item.",
            )
        if not np.isfinite(numbers).all() or (numbers < 0).any():
            raise ConfigurationError(
                "The weights of exploration are missing, not finite or below 0.",
                "Chances are made of them.",
                "write 0 for items that are not explored.",
            )
        return numbers


def cold_items(interactions: Interactions, *, fewer_than: int = 5) -> Weights:
    """Return weights for items that hardly anybody has touched.

    Parameters
    ----------
    interactions : Interactions
        All that was learned from.
    fewer_than : int, default 5
        Contacts who touched an item that is explored.

    Returns
    -------
    ndarray of float64, shape (items,)
        1 for those, else 0.

    Raises
    ------
    ConfigurationError
        Where `fewer_than` is no count.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rows = pa.table({"contact_id": ["a", "b"], "item_id": ["x", "x"], "order": [1, 1]})
    >>> cold_items(Interactions.from_frame(rows, items=pa.array(["x", "y"])), fewer_than=2)
    array([0., 1.])
    """
    if isinstance(fewer_than, bool) or not isinstance(fewer_than, int) or fewer_than < 1:
        raise _bad("fewer_than", fewer_than, "write a whole number from 1 up.")
    first = previous_rows(interactions) < 0
    touched = np.bincount(interactions.item[first], minlength=len(interactions.items))
    return (touched < fewer_than).astype(np.float64)


def _with_drawn(
    slots: Slots,
    rows: npt.NDArray[np.int64],
    slot: npt.NDArray[np.int64],
    item: Codes,
    propensity: npt.NDArray[np.float32],
) -> Slots:
    new_item, score, source = slots.item.copy(), slots.score.copy(), slots.source.copy()
    new_item[rows, slot[rows]] = item[rows]
    score[rows, slot[rows]] = np.nan
    source[rows, slot[rows]] = slots.sources.index(EXPLORATION, len(slots.sources) - 1)
    return replace(slots, item=new_item, score=score, source=source, propensity=propensity)


def _draw_items(
    shown: Codes,
    allowed: Flags,
    slot: npt.NDArray[np.int64],
    weight: Weights,
    limits: "Limits",
    place: Weights,
) -> tuple[Codes, Weights, Weights]:
    """Return the item drawn for each recipient, its chance, and the chance of what stands there."""
    rows = len(slot)
    item = np.full(rows, -1, np.int32)
    chance, own = np.zeros(rows), np.zeros(rows)
    category, cap = limits.category, limits.cap
    reach = np.empty(len(weight), np.float64)
    for row in range(rows):
        if slot[row] < 0:
            continue
        others = shown[row].copy()
        stood = others[slot[row]]
        others[slot[row]] = -1
        total = 0.0
        for one in range(len(weight)):
            if weight[one] > 0.0 and allowed[row, one]:
                count, fits = 0, True
                for other in others:
                    fits &= other != one
                    count += other >= 0 and category[other] == category[one]
                if fits and (cap[category[one]] < 0 or count < cap[category[one]]):
                    total += weight[one]
            reach[one] = total
        if total <= 0.0:
            continue
        found = np.searchsorted(reach, place[row] * total, side="right")
        item[row] = found
        chance[row] = weight[found] / total
        before = reach[stood - 1] if stood > 0 else 0.0
        own[row] = (reach[stood] - before) / total
    return item, chance, own


draw_items = numba.njit(cache=True, nogil=True, error_model="numpy")(_draw_items)


def _bad(name: str, value: object, fix: str) -> ConfigurationError:
    return ConfigurationError(
        f"'{name}' of the exploration is {value!r}.",
        "It decides how often people are shown an item that is drawn.",
        fix,
    )
