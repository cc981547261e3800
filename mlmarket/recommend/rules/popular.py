"""What is shown to those of whom too little is known?

A named chain: what is popular with people of the same source, country or other segment, in the order asked, then with
everybody, and at last any item of the catalogue, so that slots are filled wherever the rules allow enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.time import parse_duration
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.reading import ids
from mlmarket.recommend.rules.directory import Directory
from mlmarket.recommend.rules.slots import Fallback

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PopularChain"]

_DAY: Final = timedelta(days=1)
_ALL: Final = "popular"
_ANY: Final = "catalogue"

Codes = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]
Weights = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Segment:
    name: str
    code: Codes  # of each contact of the directory; the last is of strangers
    scores: Scores  # by segment


@dataclass(frozen=True, slots=True, repr=False)
class PopularChain:
    """Fallbacks for new recipients; made by :meth:`learn`.

    Parameters
    ----------
    directory : Directory
        Contacts whose segments are known.
    segments : tuple
        What is popular in each, in the order they are asked.
    overall : ndarray of float32, shape (items,)
        What is popular with everybody.
    """

    directory: Directory
    segments: tuple[_Segment, ...]
    overall: Scores

    def __repr__(self) -> str:
        return f"PopularChain({', '.join(self.names)})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fallbacks, in their order."""
        return (*(segment.name for segment in self.segments), _ALL, _ANY)

    @classmethod
    def learn(
        cls,
        interactions: Interactions,
        contacts: "pa.Table | None" = None,
        *,
        by: Sequence[str] = (),
        half_life: str | timedelta = "30D",
        fewest: int = 30,
    ) -> Self:
        """Count who touched what lately.

        Parameters
        ----------
        interactions : Interactions
            Histories of everybody.
        contacts : pyarrow.Table, optional
            ``contact_id`` and the columns of `by`.
        by : sequence of str
            Columns of contacts that name segments, such as ``("source", "country")``, in the order they are asked.
        half_life : str or timedelta, default "30D"
            After how long an interaction counts half; where only an order is known all count alike.
        fewest : int, default 30
            Contacts with a history, below which a segment is passed over.

        Returns
        -------
        Self

        Raises
        ------
        ConfigurationError
            Where a column is not there.
        """
        weight = _weights(interactions, parse_duration(half_life) / _DAY)
        size = len(interactions.items)
        overall = np.bincount(interactions.item, weight, minlength=size).astype(np.float32)
        if contacts is None or not by:
            if by:
                raise ConfigurationError(
                    f"Popularity by {', '.join(by)} needs contacts, and none are given.",
                    "Segments are columns of contacts.",
                    "pass the table of contacts.",
                )
            return cls(Directory.of(), (), overall)
        named = ids(contacts, CONTACT_ID, name="contacts")
        directory = Directory.of(named)
        places, known = directory.find(named), directory.find(interactions.contacts)
        segments = []
        for column in by:
            if column not in contacts.column_names:
                raise ConfigurationError(
                    f"Table 'contacts' has no column '{column}', by which popularity is asked for.",
                    "New recipients are shown what is popular with people like them.",
                    suggestion(column, contacts.column_names),
                )
            code, count = _codes(contacts, column, places, len(named))
            own = code[known]
            scores = _by_segment(interactions, own, weight, count, fewest)
            segments.append(_Segment(f"{_ALL}_by_{column}", code, scores))
        return cls(directory, tuple(segments), overall)

    def fallbacks(self, recipients: Interactions) -> tuple[Fallback, ...]:
        """Return the chain for a chunk of recipients.

        Parameters
        ----------
        recipients : Interactions
            Who.

        Returns
        -------
        tuple of Fallback
            In the order of `names`.
        """
        place = self.directory.find(recipients.contacts)
        own = [
            Fallback(segment.name, segment.scores, segment.code[place].astype(np.int64))
            for segment in self.segments
        ]
        every = np.ones(len(self.overall), np.float32)
        return (*own, Fallback(_ALL, self.overall), Fallback(_ANY, every))


def _weights(interactions: Interactions, half_life: float) -> Weights:
    """Return how much each row counts: the latest of a contact and item by its age, the others not at all."""
    age = interactions.age if interactions.timed else np.zeros(len(interactions))
    weight = np.exp2(-age / half_life)
    pair = interactions.contact.astype(np.int64) * len(interactions.items) + interactions.item
    # the latest row of a pair stands for it, so that one eager buyer is one voice
    _, latest = np.unique(pair[::-1], return_index=True)
    counted = np.zeros(len(pair))
    counted[len(pair) - 1 - latest] = 1.0
    return weight * counted


def _codes(
    contacts: "pa.Table", column: str, places: npt.NDArray[np.int64], size: int
) -> tuple[Codes, int]:
    import pyarrow as pa
    import pyarrow.compute as pc

    values = contacts.column(column).cast(pa.string())
    names = pc.unique(pc.drop_null(values))
    names = names.take(pc.sort_indices(names))
    found = pc.fill_null(pc.index_in(values, value_set=names), -1).to_numpy()
    code = np.full(size + 1, -1, np.int32)
    code[places] = found
    return code, len(names)


def _by_segment(
    interactions: Interactions, own: Codes, weight: Weights, count: int, fewest: int
) -> Scores:
    size = len(interactions.items)
    segment = own[interactions.contact]
    known = segment >= 0
    cell = segment[known].astype(np.int64) * size + interactions.item[known]
    scores = np.bincount(cell, weight[known], minlength=count * size).reshape(count, size)
    has = (np.diff(interactions.start) > 0) & (own >= 0)
    people = np.bincount(own[has], minlength=count)
    return np.where((people >= fewest)[:, None], scores, 0.0).astype(np.float32)
