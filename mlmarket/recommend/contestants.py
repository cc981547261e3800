"""How does anything that recommends answer one question of a back-test?

Generators, ranking models and whole recommenders differ in what they learn from and in how they are asked. A back-test asks all of
them for lists of places in one catalogue.
"""

from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.frames import to_arrow
from mlmarket.recommend.generators.generator import Generator
from mlmarket.recommend.generators.selection import largest
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.reading import ids
from mlmarket.recommend.recommender import Recommender

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Answer", "Contestant", "Question", "RecommenderLike", "contestant_of"]

Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

_CELLS_AT_ONCE: Final = 20_000_000
"""Scores of recipients and items that are in memory at once."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was known at an origin, and whom is asked about.

    Parameters
    ----------
    origin : datetime or None
        Where models stand; None where only the order of rows is known.
    known : Interactions
        What may be learned from.
    recipients : Interactions
        Histories of those who are asked about, all in `known`.
    available : ndarray of bool, shape (items,)
        Which items of the catalogue there were: touched by then, or listed.
    rows : pyarrow.Table
        The rows of `known` as they were passed in, for models that read frames.
    items, contacts : object or None
        Facts, as they were passed in.
    facts : ItemFacts
        Of the catalogue.
    """

    origin: datetime | None
    known: Interactions
    recipients: Interactions
    available: Flags
    rows: "pa.Table"
    items: object | None
    contacts: object | None
    facts: ItemFacts


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model would have shown.

    Parameters
    ----------
    item : ndarray of int32, shape (recipients, k)
        Places in the catalogue, the best first; -1 where nothing was shown.
    by_fallback : ndarray of int64, shape (recipients,)
        How many of them were filled because the model knew no more.
    """

    item: Codes
    by_fallback: npt.NDArray[np.int64]


class Contestant(Protocol):
    """Anything that can be asked."""

    def learn(self, question: Question) -> None:
        """Learn from what was known at the origin."""
        ...

    def answer(self, question: Question, *, k: int, new: bool) -> Answer:
        """Return a list for each recipient, of items they do not know yet where `new`."""
        ...


class RecommenderLike(Protocol):
    """What a back-test needs of a recommender, ours or another."""

    def fit(
        self,
        interactions: object,
        items: object | None = None,
        contacts: object | None = None,
        *,
        as_of: datetime | None = None,
    ) -> object:
        """Learn from the rows of a frame, none of which is later than `as_of`."""
        ...

    def recommend(self, contacts: object, k: int = 10, *, exclude: str = "seen") -> Any:  # noqa: ANN401
        """Return ``contact_id, item_id, rank`` as a frame, or as what has ``to_arrow()``."""
        ...


def contestant_of(model: object, *, name: str, filler: Generator | None) -> Contestant:
    """Return how a model is asked.

    Parameters
    ----------
    model : Generator, RankingModel, RecommenderLike or Contestant
        Not fitted; it is copied, and the copy is fitted at every origin.
    name : str
        For messages.
    filler : Generator or None
        What fills the places that a generator or a ranking model leaves empty; not fitted.

    Returns
    -------
    Contestant
        With a copy of the model.

    Raises
    ------
    ConfigurationError
        Where it can do none of what is needed.
    """
    able = {
        one
        for one in ("learn", "answer", "fit", "recommend", "rank", "scores")
        if hasattr(model, one)
    }
    own = deepcopy(model)
    if {"learn", "answer"} <= able:
        return own  # type: ignore[return-value]
    if {"fit", "recommend"} <= able:
        return _Recommender(own, name)
    if {"fit", "rank"} <= able:
        return _Ranking(own, deepcopy(filler))
    if {"fit", "scores"} <= able:
        return _Generator(own, deepcopy(filler))
    raise ConfigurationError(
        f"Model '{name}' is a {type(model).__name__}, which cannot be asked for recommendations.",
        "A back-test fits it at every origin and compares its lists.",
        "pass a generator, a RankingModel or anything with fit() and recommend().",
    )


class _Filled:
    """Lists that are filled up by a generator that knows everybody."""

    def __init__(self, model: Any, filler: Generator | None) -> None:  # noqa: ANN401 - seen by contestant_of
        self._model = model
        self._filler = filler

    def learn(self, question: Question) -> None:
        self._fit(question)
        if self._filler is not None:
            self._filler.fit(question.known)

    def answer(self, question: Question, *, k: int, new: bool) -> Answer:
        people = len(question.recipients.contacts)
        chunk = max(1, _CELLS_AT_ONCE // max(len(question.known.items), 1))
        parts = [
            self._part(
                question.recipients.chunk(first, min(first + chunk, people)), question, k, new=new
            )
            for first in range(0, people, chunk)
        ]
        return Answer(
            np.concatenate([np.empty((0, k), np.int32), *(one.item for one in parts)]),
            np.concatenate([np.empty(0, np.int64), *(one.by_fallback for one in parts)]),
        )

    def _part(self, recipients: Interactions, question: Question, k: int, *, new: bool) -> Answer:
        allowed = np.tile(question.available, (len(recipients.contacts), 1))
        if new:
            allowed[recipients.contact, recipients.item] = False
        item = np.full((len(allowed), k), -1, dtype=np.int32)
        found = self._best(recipients, allowed, k)
        item[:, : found.shape[1]] = found[:, :k]
        empty = item < 0
        if self._filler is not None and empty.any():
            rows, places = np.nonzero(~empty)
            allowed[rows, item[rows, places]] = False
            _fill(item, _best_of(self._filler, recipients, allowed, k))
        return Answer(item, (empty & (item >= 0)).sum(axis=1))

    def _fit(self, question: Question) -> None:
        raise NotImplementedError

    def _best(self, recipients: Interactions, allowed: Flags, k: int) -> Codes:
        raise NotImplementedError


class _Generator(_Filled):
    """A generator alone: its scores are the order."""

    def _fit(self, question: Question) -> None:
        self._model.fit(question.known)

    def _best(self, recipients: Interactions, allowed: Flags, k: int) -> Codes:
        return _best_of(self._model, recipients, allowed, k)


class _Ranking(_Filled):
    """A model that orders what generators propose."""

    def _fit(self, question: Question) -> None:
        self._model.fit(question.known, question.facts)

    def _best(self, recipients: Interactions, allowed: Flags, k: int) -> Codes:
        found: Codes = self._model.rank(recipients, allowed=allowed, m=k).item
        return found


class _Recommender:
    """A recommender that reads frames and has fallbacks of its own."""

    def __init__(self, model: Any, name: str) -> None:  # noqa: ANN401 - seen by contestant_of
        self._model = model
        self._name = name

    def learn(self, question: Question) -> None:
        self._model.fit(question.rows, question.items, question.contacts, as_of=question.origin)

    def answer(self, question: Question, *, k: int, new: bool) -> Answer:
        import pyarrow as pa
        import pyarrow.compute as pc

        asked = question.recipients.contacts
        kind = question.rows.schema.field(CONTACT_ID).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        contacts = pa.table({CONTACT_ID: asked.cast(kind)})
        exclude = "seen" if new else "none"
        # Lists are compared, not their reasons, whose check costs as much as the lists.
        unchecked = {"check_reasons": False} if isinstance(self._model, Recommender) else {}
        result = self._model.recommend(contacts, k, exclude=exclude, **unchecked)
        told = f"recommendations of {self._name}"
        table = result.to_arrow() if hasattr(result, "to_arrow") else to_arrow(result, name=told)
        who = pc.index_in(ids(table, CONTACT_ID, name=told), value_set=asked)
        what = pc.index_in(ids(table, ITEM_ID, name=told), value_set=question.known.items)
        rank = table.column("rank").to_numpy()
        if who.null_count or what.null_count or ((rank < 1) | (rank > k)).any():
            raise ConfigurationError(
                f"Model '{self._name}' recommended to strangers, an item that is in no table, or past rank {k}.",
                "Its lists cannot be compared with what was bought.",
                "return the contacts that are asked for, items of the catalogue, and ranks from 1 to k.",
            )
        item = np.full((len(asked), k), -1, dtype=np.int32)
        item[who.to_numpy(), rank - 1] = what.to_numpy()
        return Answer(item, self._by_fallback(result, asked))

    def _by_fallback(self, result: object, asked: "pa.StringArray") -> npt.NDArray[np.int64]:
        import pyarrow.compute as pc

        history = getattr(result, "history", None)
        counts = np.zeros(len(asked), dtype=np.int64)
        if history is not None:
            place = pc.index_in(history.column(CONTACT_ID).combine_chunks(), value_set=asked)
            counts[place.to_numpy()] = history.column("by_fallback").to_numpy()
        return counts


def _best_of(generator: Generator, recipients: Interactions, allowed: Flags, k: int) -> Codes:
    scores = np.where(allowed, generator.scores(recipients), np.float32(-np.inf))
    return largest(scores, min(k, scores.shape[1]))[0]


def _fill(item: Codes, more: Codes) -> None:
    """Move items to the front of their lists and put further ones behind them."""
    both = np.concatenate([item, more], axis=1)
    order = np.argsort(both < 0, axis=1, kind="stable")[:, : item.shape[1]]
    item[:] = np.take_along_axis(both, order, axis=1)
