"""What is popular now: everywhere, in the categories somebody likes, and among people like them?"""

from copy import copy
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.generators.generator import Candidates, best
from mlmarket.recommend.generators.previous import previous_rows
from mlmarket.recommend.generators.recency import by_occasion, of_rows
from mlmarket.recommend.generators.stored import State, Stored

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.recommend.interactions import Interactions

__all__ = ["CategoryPopularity", "Popularity", "SegmentPopularity"]

Codes = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]


def _recent_counts(interactions: "Interactions", half_life: float | None) -> Numbers:
    """Return how many contacts touched each item, each by its latest time, so that one does not make a trend."""
    fading = of_rows(interactions, half_life) / np.maximum(interactions.weight, 1e-30)
    previous = previous_rows(interactions)
    last = np.ones(len(previous), dtype=np.bool_)
    last[previous[previous >= 0]] = False
    item = interactions.item[last]
    counts = np.bincount(item, weights=fading[last], minlength=len(interactions.items))
    return counts.astype(np.float64)


def _refuse_other_catalogue(fitted: int, recipients: "Interactions") -> None:
    if len(recipients.items) != fitted:
        raise ConfigurationError(
            f"The histories are of a catalogue of {len(recipients.items):,} items; "
            f"the popularity was counted in one of {fitted:,}.",
            "Places in one catalogue are other items in the other.",
            "read the histories with items=…, the catalogue of the fit.",
        )


class Popularity(Stored):
    """How many contacts touched each item lately: the same for everybody.

    Parameters
    ----------
    half_life : float or None, default 14
        Days after which a contact counts half; where only an order is known all count alike.
    """

    def __init__(self, *, half_life: float | None = 14.0) -> None:
        self.half_life = half_life

    def fit(self, interactions: "Interactions") -> Self:
        """Count contacts by item.

        Parameters
        ----------
        interactions : Interactions
            Histories up to ``interactions.now``.

        Returns
        -------
        Self
            With ``popularity_``, shape (items,), as a share of the most popular.
        """
        counts = _recent_counts(interactions, self.half_life)
        self.popularity_ = (counts / max(counts.max(initial=0.0), 1e-30)).astype(np.float32)
        return self

    def scores(self, recipients: "Interactions") -> Scores:
        """Return a score for every recipient and item.

        Parameters
        ----------
        recipients : Interactions
            Anyone.

        Returns
        -------
        ndarray of float32, shape (recipients, items)
            The same row for all; not to be written to.
        """
        _refuse_other_catalogue(len(self.popularity_), recipients)
        shape = (len(recipients.contacts), len(self.popularity_))
        return np.broadcast_to(self.popularity_, shape)

    def candidates(self, recipients: "Interactions", k: int) -> Candidates:
        """Return the `k` best items of each recipient; see :meth:`scores`."""
        return best(self.scores(recipients), recipients, k)


class CategoryPopularity(Stored):
    """What is popular in the categories of the recipient's history.

    A score is the item's popularity times the share of its category in the recent history: of two equally popular
    items the one of the category somebody buys. With few rows, the taste of everybody counts too.

    Parameters
    ----------
    category : ndarray of int32, shape (items,)
        Code of each item's category, -1 for none: ``ItemFacts.category``.
    half_life : float or None, default 14
        Days after which a contact counts half in the popularity.
    power : float, default 0.5
        The n-th occasion of a history from its end counts ``n ** -power`` in the taste.
    prior : float, default 1
        Rows with which the taste of everybody counts in that of one.
    """

    def __init__(
        self,
        category: Codes,
        *,
        half_life: float | None = 14.0,
        power: float = 0.5,
        prior: float = 1.0,
    ) -> None:
        self.category = category
        self.half_life = half_life
        self.power = power
        self.prior = prior

    def fit(self, interactions: "Interactions") -> Self:
        """Count contacts by item and by category.

        Parameters
        ----------
        interactions : Interactions
            Histories up to ``interactions.now``.

        Returns
        -------
        Self
            With ``popularity_``, shape (items,), as a share of the most popular, and ``taste_``, shape
            (categories,), of everybody.
        """
        _refuse_other_catalogue(len(self.category), interactions)
        counts = _recent_counts(interactions, self.half_life)
        self.popularity_ = (counts / max(counts.max(initial=0.0), 1e-30)).astype(np.float32)
        size = int(self.category.max(initial=-1)) + 1
        known = self.category >= 0
        taste = np.bincount(self.category[known], weights=counts[known], minlength=size)
        self.taste_ = (taste / max(taste.sum(), 1e-30)).astype(np.float32)
        return self

    def scores(self, recipients: "Interactions") -> Scores:
        """Return a score for every recipient and item.

        Parameters
        ----------
        recipients : Interactions
            Histories of anyone.

        Returns
        -------
        ndarray of float32, shape (recipients, items)
            0 for items without a category.
        """
        _refuse_other_catalogue(len(self.category), recipients)
        taste = self._taste(recipients)
        if not taste.shape[1]:
            return np.zeros((len(taste), len(self.category)), dtype=np.float32)
        out = taste[:, np.maximum(self.category, 0)]
        out *= np.where(self.category >= 0, self.popularity_, np.float32(0.0))
        return out

    def _taste(self, recipients: "Interactions") -> Scores:
        fading = by_occasion(self.power)
        back = np.minimum(recipients.occasions_back, len(fading) - 1)
        of = self.category[recipients.item]
        known = of >= 0
        size, people = len(self.taste_), len(recipients.contacts)
        cell = recipients.contact[known].astype(np.int64) * size + of[known]
        weight = (recipients.weight * fading[back])[known]
        mine = np.bincount(cell, weights=weight, minlength=people * size).reshape(people, size)
        total = mine.sum(axis=1, keepdims=True) + self.prior
        shares = (mine + self.prior * self.taste_) / np.maximum(total, 1e-30)
        return cast("Scores", shares.astype(np.float32))

    def candidates(self, recipients: "Interactions", k: int) -> Candidates:
        """Return the `k` best items of each recipient; see :meth:`scores`."""
        return best(self.scores(recipients), recipients, k)


class SegmentPopularity(Stored):
    """What is popular among people of the recipient's segment, such as a country.

    Parameters
    ----------
    contacts : pyarrow.StringArray, shape (members,), optional
        Who belongs to a segment.
    segment : ndarray of int32, shape (members,), optional
        Code of each member's segment, from 0; -1 for none.
    half_life : float or None, default 14
        Days after which a contact counts half.
    prior : float, default 20
        Contacts with which everybody's popularity counts in that of a segment.

    Notes
    -----
    People move and new ones come: members are not part of the learned state; see :meth:`with_members`.
    """

    def __init__(
        self,
        contacts: "pa.StringArray | None" = None,
        segment: Codes | None = None,
        *,
        half_life: float | None = 14.0,
        prior: float = 20.0,
    ) -> None:
        self.contacts = contacts
        self.segment = segment
        self.half_life = half_life
        self.prior = prior

    def with_members(self, contacts: "pa.StringArray", segment: Codes) -> Self:
        """Return the same popularity for other people.

        Parameters
        ----------
        contacts : pyarrow.StringArray, shape (members,)
            Who belongs to a segment.
        segment : ndarray of int32, shape (members,)
            Code of each member's segment, as in the fit.

        Returns
        -------
        Self
            A copy.
        """
        other = copy(self)
        other.contacts, other.segment = contacts, segment
        return other

    def fit(self, interactions: "Interactions") -> Self:
        """Count contacts by item and segment.

        Parameters
        ----------
        interactions : Interactions
            Histories up to ``interactions.now``.

        Returns
        -------
        Self
            With ``popularity_``, shape (segments + 1, items); the last row is everybody's.
        """
        of = self._segment_of(interactions)
        everybody = _recent_counts(interactions, self.half_life)
        share = everybody / max(everybody.sum(), 1e-30)
        size = int(of.max(initial=-1)) + 1
        rows = np.empty((size + 1, len(interactions.items)))
        for code in range(size):
            members = interactions.take(np.flatnonzero(of == code))
            counts = _recent_counts(members, self.half_life)
            rows[code] = (counts + self.prior * share) / (counts.sum() + self.prior)
        rows[size] = share
        self.popularity_ = (
            rows / np.maximum(rows.max(axis=1, initial=0.0), 1e-30)[:, None]
        ).astype(np.float32)
        return self

    def scores(self, recipients: "Interactions") -> Scores:
        """Return a score for every recipient and item.

        Parameters
        ----------
        recipients : Interactions
            Anyone; who is in no known segment is shown what is popular with everybody.

        Returns
        -------
        ndarray of float32, shape (recipients, items)
            As a share of the segment's most popular item.
        """
        _refuse_other_catalogue(self.popularity_.shape[1], recipients)
        of = self._segment_of(recipients)
        everybody = len(self.popularity_) - 1
        row = np.where((of >= 0) & (of < everybody), of, everybody)
        return cast("Scores", self.popularity_[row])

    def candidates(self, recipients: "Interactions", k: int) -> Candidates:
        """Return the `k` best items of each recipient; see :meth:`scores`."""
        return best(self.scores(recipients), recipients, k)

    def to_state(self) -> State:
        """Return arguments and learned state by name, without the members."""
        state = super().to_state()
        return {name: state[name] for name in state if name not in ("contacts", "segment")}

    def _segment_of(self, interactions: "Interactions") -> Codes:
        import pyarrow.compute as pc

        if self.contacts is None or self.segment is None:
            return np.full(len(interactions.contacts), -1, dtype=np.int32)
        place = pc.index_in(interactions.contacts, value_set=self.contacts)
        found = pc.fill_null(place, len(self.segment)).to_numpy()
        return cast("Codes", np.append(self.segment, np.int32(-1))[found])
