"""Is it time for somebody to take an item again?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.repeat.returning import Returning

__all__ = ["OWN", "RepeatFeatures"]

Values = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]

OWN: Final = "own_takings"
"""The feature that is above 0 for what a recipient has had."""

_OF_PAIR: Final = (
    OWN,
    "own_share",
    "own_share_since_first",
    "own_by_occasion",
    "own_fading_fast",
    "own_fading",
    "own_fading_slowly",
    "own_since",
    "own_occasions_since",
    "own_since_first",
    "own_gap",
    "own_overdue",
)
_OF_CONTACT: Final = (
    "contact_occasions",
    "contact_since",
    "contact_gap",
    "contact_items",
    "contact_repeats",
)
_OF_ITEM: Final = ("item_returns", "item_category_returns", "item_returns_lately", "item_gap")

_BY_OCCASION: Final = 0.8
"""What a taking counts less with each occasion after it."""

_FADING: Final = (1.0, 4.0, 12.0)
"""Half-lives of fading counts, in cadences of the shop's contacts."""

_OWN_GAPS: Final = 1.0
"""Own gaps that count as much as the item's typical one when the next taking is expected."""


@dataclass(frozen=True, slots=True, eq=False)
class RepeatFeatures:
    """Features of recipients and items they have had.

    Of a pair: takings, their share of occasions, fading counts, time and occasions since the latest and the first,
    own gap, and the time since the latest in units of the gap expected (own gaps and the item's typical one
    together): above 1 it is overdue. Of a contact: occasions, cadence, share of repeats. Of an item: how readily it
    comes back, and after how long.

    Parameters
    ----------
    window : float, default 30
        Days that count as lately.
    returning : Returning, optional
        What was learned; :meth:`fit` fills it.

    Notes
    -----
    Times are days, or occasions where only an order is known. What is new to a recipient is NaN in all features of
    the pair but the takings, which are 0.
    """

    window: float = 30.0
    returning: Returning | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return (*_OF_PAIR, *_OF_CONTACT, *_OF_ITEM)

    def fit(self, interactions: Interactions, facts: ItemFacts) -> Self:
        """Learn how readily items come back.

        Parameters
        ----------
        interactions : Interactions
            Histories up to ``interactions.now``.
        facts : ItemFacts
            Of the same catalogue.

        Returns
        -------
        Self
            A fitted copy.
        """
        return type(self)(self.window, Returning.learn(interactions, facts, window=self.window))

    def values(self, recipients: Interactions, item: Codes) -> Values:
        """Return the features of candidates.

        Parameters
        ----------
        recipients : Interactions
            Histories.
        item : ndarray of int32, shape (recipients, m)
            Places in the catalogue, -1 where there is no candidate.

        Returns
        -------
        ndarray of float32, shape (recipients, m, features)
            In the order of `names`.
        """
        learned = self._learned()
        out = np.full((*item.shape, len(self.names)), np.nan, dtype=np.float32)
        half_lives = np.array(_FADING) * learned.cadence
        first_of_item = len(_OF_PAIR)
        _fill(
            recipients.start,
            recipients.item,
            recipients.age,
            recipients.occasions_back,
            item,
            learned.gap,
            np.log(2.0) / half_lives,
            out[:, :, : first_of_item + len(_OF_CONTACT)],
        )
        place = first_of_item + len(_OF_CONTACT)
        known = (learned.rate, learned.category_rate, learned.lately, learned.gap)
        for of_item in known:
            out[:, :, place] = of_item[np.maximum(item, 0)]
            place += 1
        return out

    def to_state(self) -> dict[str, Any]:
        """Return what was learned."""
        return {"window": self.window, "returning": self._learned().to_state()}

    def from_state(self, state: Mapping[str, Any]) -> Self:
        """Return a copy that knows what :meth:`to_state` gave."""
        return type(self)(float(state["window"]), Returning.from_state(state["returning"]))

    def _learned(self) -> Returning:
        if self.returning is None:
            raise ConfigurationError(
                f"{type(self).__name__} has learned nothing yet.",
                "Its features come from what earlier histories say.",
                "call fit first, and use what it returns.",
            )
        return self.returning


def _fill(  # noqa: C901, PLR0913, PLR0915 - one pass over each history, compiled
    start: npt.NDArray[np.int64],
    history: Codes,
    age: npt.NDArray[np.float64],
    back: Codes,
    item: Codes,
    gap: npt.NDArray[np.float64],
    decay: npt.NDArray[np.float64],
    out: Values,
) -> None:
    slot = np.full(len(gap), -1, dtype=np.int32)
    for recipient in range(len(start) - 1):
        begin, end = start[recipient], start[recipient + 1]
        rows = end - begin
        count = np.zeros(rows)
        latest = np.zeros(rows, dtype=np.int64)
        earliest = np.zeros(rows, dtype=np.int64)
        fading = np.zeros((rows, 4))
        found = 0
        for row in range(begin, end):
            place = slot[history[row]]
            if place < 0:
                place = found
                slot[history[row]] = place
                earliest[place] = row
                found += 1
            count[place] += 1.0
            latest[place] = row
            fading[place, 0] += _BY_OCCASION ** back[row]
            for speed in range(3):
                fading[place, speed + 1] += np.exp(-decay[speed] * age[row])
        occasions = back[begin] + 1.0 if rows else 0.0
        for column in range(item.shape[1]):
            candidate = item[recipient, column]
            if candidate < 0:
                continue
            known = out[recipient, column]
            known[12] = occasions
            known[15] = found
            if rows:
                known[13] = age[end - 1]
                known[16] = (rows - found) / rows
            if occasions > 1:
                known[14] = (age[begin] - age[end - 1]) / (occasions - 1.0)
            place = slot[candidate]
            known[0] = 0.0
            if place < 0:
                continue
            last, first, times = latest[place], earliest[place], count[place]
            known[0] = times
            known[1] = times / occasions
            known[2] = times / (back[first] + 1.0)
            for kind in range(4):
                known[3 + kind] = fading[place, kind]
            known[7] = age[last]
            known[8] = back[last]
            known[9] = age[first]
            if times > 1.0:
                known[10] = (age[first] - age[last]) / (times - 1.0)
            expected = (age[first] - age[last] + gap[candidate]) / times
            known[11] = age[last] / max(expected, 1e-6)
        for row in range(begin, end):
            slot[history[row]] = -1


_fill = numba.njit(cache=True, nogil=True, error_model="numpy")(_fill)
