"""What do the rules of a shop mean for the recipients of one night?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.rules import filling, masks
from mlmarket.recommend.rules.consent import Consents
from mlmarket.recommend.rules.directory import Directory, Pairs
from mlmarket.recommend.rules.likeness import Likeness
from mlmarket.recommend.rules.slots import (
    Fallback,
    RankedItems,
    ShortFacts,
    Slots,
    shortage_table,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CompiledRules"]

Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.float64]

_NEVER: Final = -np.inf
_FEW: Final = 50
"""Items of a fallback among which the least alike are looked for."""
PINNED: Final = "pinned"
EXPLORATION: Final = "exploration"


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class CompiledRules:
    """Rules for a catalogue and a night; made by :meth:`Rules.compile`.

    Parameters
    ----------
    items : pyarrow.StringArray, shape (items,)
        The catalogue.
    permitted : ndarray of bool, shape (countries + 1, items)
        What is allowed to anybody, by country; the last row is for those whose country is not known.
    directory : Directory
        Contacts of whom something is known.
    country : ndarray of int32, shape (contacts + 1,)
        Rows of `permitted`; the last is for contacts that are not in the directory.
    blocked : tuple of Pairs
        What is never shown to whom.
    carts, eligible, pinned : Pairs or None
        What was put into a cart and when, what alone is shown to whom, and what stands where.
    pinned_for_all : tuple of int32 and float64 ndarrays
        Items and ranks, by rank.
    consents : Consents or None
        Where consent is asked for.
    topic : ndarray of int32, shape (items,)
        Places in the topics; -1 for an item without one.
    price : ndarray of float64, shape (items,)
        NaN where unknown.
    usual_price : tuple of two floats, or None
        Multiples of what the contact usually pays.
    usual_price_unknown : float
        NaN where those without a usual price are shown nothing.
    not_bought_days : float
        How long a purchase keeps an item away; 0 for not at all.
    category, cap : ndarray of int32, shape (items,) and (categories + 1,)
        The last category is of items without one; a cap of -1 is none.
    diversity : float
        Weight of likeness.
    likeness : Likeness
        What items are compared by.
    new : ndarray of bool, shape (items,)
        New arrivals.
    new_share : float
        The least share of them.
    left_out : dict of str to int
        Items that each rule alone does not allow to anybody, and rules about items that do not exist, by rule.
    """

    items: "pa.StringArray"
    permitted: Flags
    directory: Directory
    country: Codes
    blocked: tuple[Pairs, ...]
    carts: Pairs | None
    eligible: Pairs | None
    pinned: Pairs | None
    pinned_for_all: tuple[Codes, Numbers]
    consents: Consents | None
    topic: Codes
    price: Numbers
    usual_price: tuple[float, float] | None
    usual_price_unknown: float
    not_bought_days: float
    category: Codes
    cap: Codes
    diversity: float
    likeness: Likeness
    new: Flags
    new_share: float
    left_out: dict[str, int]

    def __repr__(self) -> str:
        anybody = int(self.permitted.any(axis=0).sum())
        return f"CompiledRules({anybody:,} of {len(self.items):,} items may be shown to somebody)"

    def allowed(
        self,
        recipients: Interactions,
        *,
        exclude: Literal["seen", "none"] = "seen",
        bought: Interactions | None = None,
    ) -> Flags:
        """Return which items may be shown to each of a chunk of recipients.

        Parameters
        ----------
        recipients : Interactions
            Their histories, in the catalogue of these rules.
        exclude : {"seen", "none"}, default "seen"
            Whether items of the history are left out.
        bought : Interactions, optional
            Their purchases, the same recipients in the same order, where the histories hold other things too.

        Returns
        -------
        ndarray of bool, shape (recipients, items)
            What is not known is not allowed.

        Raises
        ------
        ConfigurationError
            Where the histories cannot say what the rules ask for.
        """
        if exclude not in ("seen", "none"):
            raise ConfigurationError(
                f"exclude is {exclude!r}.",
                "Items would be shown again that were meant to be left out.",
                "write 'seen' or 'none'; pass a frame as RuleTables(exclude=frame).",
            )
        purchases = recipients if bought is None else bought
        self._require(recipients, purchases)
        contact = self.directory.find(recipients.contacts)
        mask = self.permitted[self.country[contact]]
        if exclude == "seen":
            masks.block_history(mask, recipients.start, recipients.item, recipients.at, _NEVER)
        if self.not_bought_days:
            since = purchases.now - self.not_bought_days
            masks.block_history(mask, purchases.start, purchases.item, purchases.at, since)
        self._ask_contacts(mask, contact, purchases)
        return mask

    def _ask_contacts(
        self, mask: Flags, contact: npt.NDArray[np.int64], purchases: Interactions
    ) -> None:
        always = np.full(len(contact), _NEVER)
        for pairs in self.blocked:
            masks.block_pairs(mask, contact, pairs.start, pairs.item, pairs.number, always)
        if self.carts is not None:
            carts = self.carts
            last = _last_at(purchases)
            masks.block_pairs(mask, contact, carts.start, carts.item, carts.number, last)
        if self.eligible is not None:
            masks.keep_pairs(mask, contact, self.eligible.start, self.eligible.item)
        if self.consents is not None:
            said = self.consents
            spoken = (said.start, said.topic, said.granted)
            topics = int(max(self.topic.max(initial=-1), said.topic.max(initial=-1))) + 1
            masks.keep_consented(mask, contact, said.general, spoken, self.topic, topics)
        if self.usual_price is not None:
            start, item, price = purchases.start, purchases.item, self.price
            unknown = self.usual_price_unknown
            masks.keep_usual_price(mask, start, item, price, self.usual_price, unknown)

    def fill(
        self,
        ranked: RankedItems,
        recipients: Interactions,
        allowed: Flags,
        k: int,
        *,
        fallbacks: Sequence[Fallback] = (),
    ) -> Slots:
        """Return exactly `k` items of each recipient, or fewer with a reason.

        Parameters
        ----------
        ranked : RankedItems
            Of these recipients, the best first.
        recipients : Interactions
            Their histories.
        allowed : ndarray of bool, shape (recipients, items)
            From :meth:`allowed`.
        k : int
            Slots of each.
        fallbacks : sequence of Fallback
            What fills the slots that the ranking leaves empty, in this order.

        Returns
        -------
        Slots
            Pinned items stand at their rank, as far as they are allowed and there are enough others to reach it.

        Raises
        ------
        ConfigurationError
            Where ranking, mask and fallbacks are not about these recipients and this catalogue.
        """
        shape = (len(recipients.contacts), len(self.items))
        self._require_shapes(ranked, allowed, k, fallbacks, shape)
        names = (*ranked.sources, *(one.name for one in fallbacks), PINNED, EXPLORATION)
        page = filling.Page(
            np.full((shape[0], k), -1, np.int32),
            np.full((shape[0], k), np.nan, np.float32),
            np.full((shape[0], k), -1, np.int8),
            allowed,
        )
        limits = self.limits
        self._place_pins(page, recipients, names.index(PINNED, len(ranked.sources)))
        filling.take(page, limits, ranked.item, ranked.score, ranked.source)
        for place, fallback in enumerate(fallbacks, len(ranked.sources)):
            known = fallback.rows(shape[0])
            filling.take_fallback(page, limits, known, place, max(_FEW, 5 * k))
        self._add_new(page, ranked, fallbacks, k)
        filling.move_up(page)
        return self._slots(page, recipients, names, len(fallbacks))

    @property
    def limits(self) -> "filling.Limits":
        """What holds for the items of one recipient together."""
        words = self.likeness
        return filling.Limits(self.category, self.cap, self.diversity, words.start, words.word)

    def _place_pins(self, page: "filling.Page", recipients: Interactions, code: int) -> None:
        own = self.pinned
        every_item, every_rank = self.pinned_for_all
        if own is None and not len(every_item):
            return
        contact = np.full(len(recipients.contacts), -1, np.int64)
        if own is None:
            own = Pairs(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0))
        else:
            contact = self.directory.find(recipients.contacts)
        pins = filling.Pins(contact, own.start, own.item, own.number, every_item, every_rank)
        filling.place_pins(page, self.limits, pins, code)

    def _add_new(
        self, page: "filling.Page", ranked: RankedItems, fallbacks: Sequence[Fallback], k: int
    ) -> None:
        wanted = math.ceil(self.new_share * k - 1e-9)
        if not wanted:
            return
        pinned = len(ranked.sources) + len(fallbacks)
        limits = self.limits
        found = (ranked.item, ranked.score, ranked.source)
        filling.swap_new(page, limits, found, self.new, wanted, pinned)
        for place, fallback in enumerate(fallbacks, len(ranked.sources)):
            known = fallback.rows(len(page.item))
            codes = (place, pinned)
            filling.swap_new_fallback(page, limits, known, self.new, wanted, codes)

    def _slots(
        self, page: "filling.Page", recipients: Interactions, names: tuple[str, ...], fallbacks: int
    ) -> Slots:
        filled = (page.item >= 0).sum(axis=1)
        k = page.item.shape[1]
        capped = np.zeros(len(filled), np.bool_)
        counts = np.zeros(len(filled), np.int64)
        for row in np.flatnonzero(filled < k):
            counts[row] = np.count_nonzero(page.allowed[row])
            capped[row] = filling.only_capped(page, self.limits, int(row))
        why = ShortFacts(len(self.items), counts, capped)
        first = len(names) - 2 - fallbacks
        return Slots(
            contacts=recipients.contacts,
            items=self.items,
            item=page.item,
            score=page.score,
            source=page.source,
            propensity=(page.item >= 0).astype(np.float32),
            sources=names,
            is_fallback=tuple(first <= place < first + fallbacks for place in range(len(names))),
            occasions=_occasions(recipients),
            short=shortage_table(recipients.contacts, filled, k, why),
        )

    def _require(self, recipients: Interactions, purchases: Interactions) -> None:
        if len(recipients.items) != len(self.items):
            raise ConfigurationError(
                f"The histories have a catalogue of {len(recipients.items):,} items, the rules one "
                f"of {len(self.items):,}.",
                "Places in one catalogue would be read in another.",
                "read both with the same items, such as Interactions.from_frame(…, items=facts.ids).",
            )
        if len(purchases.contacts) != len(recipients.contacts):
            raise ConfigurationError(
                f"There are {len(recipients.contacts):,} recipients and purchases of "
                f"{len(purchases.contacts):,}.",
                "Purchases of one contact would be taken for another's.",
                "pass the same contacts in the same order, such as histories_of(contacts, bought).",
            )
        if self.not_bought_days and not purchases.timed:
            raise ConfigurationError(
                "The rule 'not_bought_within' asks when items were bought, and only an order is known.",
                "Thirty days are not thirty purchases.",
                "give the interactions 'occurred_at', or leave the rule out.",
            )

    @staticmethod
    def _require_shapes(
        ranked: RankedItems,
        allowed: Flags,
        k: int,
        fallbacks: Sequence[Fallback],
        shape: tuple[int, int],
    ) -> None:
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise ConfigurationError(
                f"k is {k!r}.", "It is the number of slots.", "pass a whole number from 1 up."
            )
        found: dict[str, tuple[tuple[int, ...], list[tuple[int, ...]]]] = {
            "the mask of allowed items": (allowed.shape, [shape]),
            "the ranking": (ranked.item.shape[:1], [shape[:1]]),
        }
        for one in fallbacks:
            by_group = one.group is not None and np.ndim(one.scores) == len(shape)
            wide = [np.shape(one.scores)[:1] + shape[1:]] if by_group else [shape, shape[1:]]
            found[f"the fallback '{one.name}'"] = (np.shape(one.scores), wide)
            if one.group is not None:
                found[f"the groups of the fallback '{one.name}'"] = (one.group.shape, [shape[:1]])
        for what, (given, expected) in found.items():
            if given not in expected:
                raise ConfigurationError(
                    f"There are {shape[0]:,} recipients and {shape[1]:,} items, and {what} has the "
                    f"shape {given}.",
                    "Items of one recipient would be shown to another.",
                    "pass arrays about the same recipients and the same catalogue.",
                )


def _last_at(purchases: Interactions) -> Numbers:
    """Return when each recipient last bought; never for those who did not."""
    last = np.full(len(purchases.contacts), _NEVER)
    has = np.diff(purchases.start) > 0
    last[has] = purchases.at[purchases.start[1:][has] - 1]
    return last


def _occasions(recipients: Interactions) -> Codes:
    count = np.zeros(len(recipients.contacts), np.int32)
    has = np.diff(recipients.start) > 0
    count[has] = recipients.occasions_back[recipients.start[:-1][has]] + 1
    return count
