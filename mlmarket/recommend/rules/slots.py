"""What stands in whose slots, and why are some empty?"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, cast

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.market.columns import CONTACT_ID

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Fallback", "RankedItems", "Shortage", "Slots", "joined_slots"]

Codes = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]
Offsets = npt.NDArray[np.int64]


class RankedItems(Protocol):
    """What a ranking hands over: items by recipient, the best first."""

    @property
    def contacts(self) -> "pa.StringArray":
        """Who, shape (recipients,)."""

    @property
    def items(self) -> "pa.StringArray":
        """The catalogue."""

    @property
    def item(self) -> Codes:
        """Places in the catalogue, shape (recipients, m); -1 where there are no more."""

    @property
    def score(self) -> Scores:
        """Larger is better, shape (recipients, m)."""

    @property
    def source(self) -> npt.NDArray[np.int8]:
        """What proposed each, shape (recipients, m)."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of what proposes."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """What fills slots that the ranking leaves empty.

    Parameters
    ----------
    name : str
        Such as ``"popular_by_country"``.
    scores : ndarray of float32, shape (items,), (groups, items) or (recipients, items)
        Larger is better; what is not above 0 is not shown.
    group : ndarray of int64, shape (recipients,), optional
        Which row of `scores` is of whom, where they are of groups; -1 for nobody.
    """

    name: str
    scores: Scores
    group: npt.NDArray[np.int64] | None = None

    def rows(self, recipients: int) -> tuple[Scores, Offsets]:
        """Return scores by row, and the row of each recipient.

        Parameters
        ----------
        recipients : int
            How many there are.

        Returns
        -------
        scores : ndarray of float32, shape (rows, items)
        row : ndarray of int64, shape (recipients,)
        """
        scores = np.atleast_2d(np.asarray(self.scores, np.float32))
        if self.group is not None:
            return scores, self.group
        if self.scores.ndim == 1:
            return scores, np.zeros(recipients, np.int64)
        return scores, np.arange(recipients)


class Shortage(StrEnum):
    """Why somebody gets fewer items than were wanted, in the order they are asked."""

    NOTHING_ALLOWED = "nothing_allowed"
    SMALL_CATALOGUE = "small_catalogue"
    FEW_ALLOWED = "few_allowed"
    CATEGORY_CAPS = "category_caps"
    NO_CANDIDATE = "no_candidate"


_WORDS: Final = {
    Shortage.NOTHING_ALLOWED: "The rules allow no item to this contact.",
    Shortage.SMALL_CATALOGUE: "The catalogue has {items} items.",
    Shortage.FEW_ALLOWED: "The rules allow {allowed} items to this contact.",
    Shortage.CATEGORY_CAPS: "The caps on categories leave none of the {allowed} allowed items.",
    Shortage.NO_CANDIDATE: "Of {allowed} allowed items neither the ranking nor a fallback knows more.",
}


@dataclass(frozen=True, slots=True, repr=False)
class Slots:
    """The items of each recipient, in the order they are shown.

    Parameters
    ----------
    contacts : pyarrow.StringArray, shape (recipients,)
        Who.
    items : pyarrow.StringArray, shape (items,)
        The catalogue.
    item : ndarray of int32, shape (recipients, k)
        Places in `items`; -1 where a slot is empty, after the filled ones.
    score : ndarray of float32, shape (recipients, k)
        Of what put it there; NaN for pinned, drawn and missing items.
    source : ndarray of int8, shape (recipients, k)
        Places in `sources`; -1 where a slot is empty.
    propensity : ndarray of float32, shape (recipients, k)
        The chance with which this item stands in this slot; 1 where nothing is drawn, 0 where it is empty.
    sources : tuple of str
        The ranking's, the fallbacks' by name, ``pinned`` and ``exploration``.
    is_fallback : tuple of bool
        Which of `sources` are fallbacks.
    occasions : ndarray of int32, shape (recipients,)
        How long the history of each is, in occasions.
    short : pyarrow.Table
        ``contact_id, wanted, filled, reason, words`` of those who got fewer than wanted; `reason` is a
        :class:`Shortage`.
    """

    contacts: "pa.StringArray"
    items: "pa.StringArray"
    item: Codes
    score: Scores
    source: npt.NDArray[np.int8]
    propensity: Scores
    sources: tuple[str, ...]
    is_fallback: tuple[bool, ...]
    occasions: Codes
    short: "pa.Table"

    def __repr__(self) -> str:
        people, k = self.item.shape
        return f"Slots({people:,} contacts, {k} slots each, {self.short.num_rows:,} short)"

    @property
    def filled(self) -> Offsets:
        """How many slots of each recipient are filled."""
        return cast("Offsets", np.count_nonzero(self.item >= 0, axis=1))

    @property
    def by_fallback(self) -> Offsets:
        """How many slots of each recipient a fallback filled."""
        flags = np.array([*self.is_fallback, False])
        return cast("Offsets", np.count_nonzero(flags[self.source], axis=1))

    @property
    def history(self) -> "pa.Table":
        """``contact_id, occasions, filled, by_fallback``, one row a recipient."""
        import pyarrow as pa

        return pa.table(
            {
                CONTACT_ID: self.contacts,
                "occasions": pa.array(self.occasions),
                "filled": pa.array(self.filled),
                "by_fallback": pa.array(self.by_fallback),
            }
        )


def joined_slots(parts: Sequence[Slots]) -> Slots:
    """Return the slots of several chunks of recipients.

    Parameters
    ----------
    parts : sequence of Slots
        With the same catalogue, sources and number of slots.

    Returns
    -------
    Slots

    Raises
    ------
    ConfigurationError
        Where they do not belong together, or there are none.
    """
    import pyarrow as pa

    if not parts or any(
        (part.sources, part.item.shape[1]) != (parts[0].sources, parts[0].item.shape[1])
        for part in parts
    ):
        raise ConfigurationError(
            "These slots were not filled in the same way.",
            "A place in one list of sources would be read in another.",
            "fill all chunks with the same ranking, fallbacks and k.",
        )
    return Slots(
        contacts=pa.concat_arrays([part.contacts for part in parts]),
        items=parts[0].items,
        item=np.concatenate([part.item for part in parts]),
        score=np.concatenate([part.score for part in parts]),
        source=np.concatenate([part.source for part in parts]),
        propensity=np.concatenate([part.propensity for part in parts]),
        sources=parts[0].sources,
        is_fallback=parts[0].is_fallback,
        occasions=np.concatenate([part.occasions for part in parts]),
        short=pa.concat_tables([part.short for part in parts]),
    )


def shortage_table(
    contacts: "pa.StringArray", filled: npt.NDArray[np.int64], k: int, why: "ShortFacts"
) -> "pa.Table":
    """Return who got fewer than wanted, and why.

    Parameters
    ----------
    contacts : pyarrow.StringArray, shape (recipients,)
        Who.
    filled : ndarray of int64, shape (recipients,)
        How many each got.
    k : int
        How many were wanted.
    why : ShortFacts
        What is known of them.

    Returns
    -------
    pyarrow.Table
        See :class:`Slots`.
    """
    import pyarrow as pa

    rows = np.flatnonzero(filled < k)
    reasons = [why.reason(int(row), int(filled[row])) for row in rows]
    words = [
        _WORDS[reason].format(items=f"{why.items:,}", allowed=f"{int(why.allowed[row]):,}")
        for reason, row in zip(reasons, rows, strict=True)
    ]
    return pa.table(
        {
            CONTACT_ID: contacts.take(pa.array(rows)),
            "wanted": pa.array(np.full(len(rows), k), pa.int32()),
            "filled": pa.array(filled[rows], pa.int32()),
            "reason": pa.array([str(reason) for reason in reasons], pa.string()),
            "words": pa.array(words, pa.string()),
        }
    )


@dataclass(frozen=True, slots=True)
class ShortFacts:
    """What explains an empty slot.

    Parameters
    ----------
    items : int
        In the catalogue.
    allowed : ndarray of int64, shape (recipients,)
        Items that the rules allow to each.
    capped : ndarray of bool, shape (recipients,)
        Whether the caps on categories leave no allowed item that does not stand there already.
    """

    items: int
    allowed: npt.NDArray[np.int64]
    capped: npt.NDArray[np.bool_]

    def reason(self, row: int, filled: int) -> Shortage:
        """Return why a recipient's slots are not all filled.

        Parameters
        ----------
        row : int
            Place of the recipient.
        filled : int
            How many are.

        Returns
        -------
        Shortage
        """
        if not self.allowed[row]:
            return Shortage.NOTHING_ALLOWED
        if filled == self.items:
            return Shortage.SMALL_CATALOGUE
        if filled == self.allowed[row]:
            return Shortage.FEW_ALLOWED
        return Shortage.CATEGORY_CAPS if self.capped[row] else Shortage.NO_CANDIDATE
