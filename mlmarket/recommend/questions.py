"""What was known at a moment of the past, and what was taken after it?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.checks import require_count
from mlmarket.market.columns import CONTACT_ID, OCCURRED_AT
from mlmarket.market.frames import to_arrow
from mlmarket.market.time import duration_text, to_utc
from mlmarket.recommend.contestants import Question
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.items import ItemFacts, catalogue
from mlmarket.recommend.reading import days, ids

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Fold", "questions"]

Codes = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_TABLE: Final = "interactions"
_END: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Fold:
    """A question whose answer is known.

    Parameters
    ----------
    question : Question
        What was known.
    group : ndarray of int64, shape (recipients,)
        The contact behind each recipient: the same number at every origin.
    start : ndarray of int64, shape (recipients + 1,)
        What recipient ``r`` took is ``item[start[r]:start[r + 1]]``.
    item : ndarray of int32
        Places in the catalogue, ascending within a recipient, each once; also items that nobody could know yet.
    """

    question: Question
    group: Offsets
    start: Offsets
    item: Codes

    def relevant(self, *, new: bool) -> tuple[Offsets, Codes]:
        """Return what recipients took.

        Parameters
        ----------
        new : bool
            Only what they never had before.

        Returns
        -------
        start : ndarray of int64, shape (recipients + 1,)
            Where each recipient's items begin.
        item : ndarray of int32
            Places in the catalogue.
        """
        if not new:
            return self.start, self.item
        people, size = self.question.recipients, len(self.question.known.items)
        contact = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        had = np.unique(people.contact.astype(np.int64) * size + people.item)
        first = ~np.isin(contact * size + self.item, had)
        start = np.concatenate([[0], np.cumsum(first)])[self.start]
        return start.astype(np.int64), self.item[first]


def questions(
    interactions: object,
    *,
    origins: Sequence[datetime] = (),
    horizon: timedelta | None = None,
    items: object | None = None,
    contacts: object | None = None,
    most: int | None = None,
    random_state: int = 0,
) -> list[Fold]:
    """Return the questions that the past answers.

    Parameters
    ----------
    interactions : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        As for :func:`mlmarket.recommend.backtesting.backtest`, like everything else.
    origins : sequence of datetime
        See there.
    horizon : timedelta, optional
        See there.
    items, contacts : frames, optional
        See there.
    most : int, optional
        Recipients of a question at most.
    random_state : int, default 0
        Seed of the draw of recipients.

    Returns
    -------
    list of Fold
        By origin; one without an origin where only an order is known.

    Raises
    ------
    ConfigurationError
        Where an argument cannot be used, a window is not over, or nobody can be asked about.
    """
    table = to_arrow(interactions, name=_TABLE)
    timed = OCCURRED_AT in table.column_names
    moments = sorted({to_utc(origin).replace(tzinfo=UTC) for origin in origins})
    _refuse_question(timed, moments, horizon)
    if most is not None:
        require_count(most, "recipients")
    past = _Past.of(table, items, contacts, _END if timed else None)
    rng = np.random.default_rng(random_state)
    if horizon is None:
        return [past.last_occasion(most, rng)]
    return [past.at(moment, horizon, most, rng) for moment in moments]


@dataclass(frozen=True, slots=True)
class _Past:
    """Everything that happened."""

    whole: Interactions
    table: "pa.Table"
    items: object | None
    contacts: object | None
    facts: ItemFacts
    listed: Flags

    @classmethod
    def of(
        cls,
        table: "pa.Table",
        items: object | None,
        contacts: object | None,
        end: datetime | None,
    ) -> "_Past":
        import pyarrow.compute as pc

        whole = Interactions.from_frame(table, as_of=end)
        listed = np.zeros(len(whole.items), dtype=np.bool_)
        if items is not None:
            there = catalogue(whole.items, items)
            whole = Interactions.from_frame(table, as_of=end, items=there)
            own = ids(to_arrow(items, name="items"), ITEM_ID, name="items")
            listed = pc.is_in(there, value_set=own).to_numpy(zero_copy_only=False)
        facts = ItemFacts.from_frame(items, whole.items)
        return cls(whole, table, items, contacts, facts, listed)

    def at(
        self, origin: datetime, horizon: timedelta, most: int | None, rng: np.random.Generator
    ) -> Fold:
        """Stand at an instant: rows at or before it are known."""
        moment, until = days(origin), days(origin + horizon)
        end = float(self.whole.at.max(initial=-np.inf))
        if until > end:
            raise ConfigurationError(
                f"The window of {duration_text(horizon)} after {origin:%Y-%m-%d %H:%M} is not over: the latest row is "
                f"{until - end:.1f} days before its end.",
                "What was not taken yet would count as not taken.",
                "use earlier origins or a shorter horizon.",
            )
        whole = self.whole
        there = self.listed & ~(self.facts.published > moment)
        answers = whole.rows((whole.at > moment) & (whole.at <= until))
        rows = _until(self.table, origin)
        return self._fold(origin, whole.before(moment), rows, there, answers, most, rng)

    def last_occasion(self, most: int | None, rng: np.random.Generator) -> Fold:
        """Stand before the latest occasion of each history."""
        known = self.whole.without_last(1)
        answers = self.whole.rows(self.whole.occasions_back == 0)
        return self._fold(None, known, _before_last(self.table), self.listed, answers, most, rng)

    def _fold(
        self,
        origin: datetime | None,
        known: Interactions,
        rows: "pa.Table",
        there: Flags,
        answers: Interactions,
        most: int | None,
        rng: np.random.Generator,
    ) -> Fold:
        asked = np.flatnonzero((np.diff(known.start) > 0) & (np.diff(answers.start) > 0))
        if not len(asked):
            when = "before the latest occasion" if origin is None else f"at {origin:%Y-%m-%d}"
            raise ConfigurationError(
                f"Nobody who was known {when} took anything after it.",
                "There is no answer to compare lists with.",
                "use origins between the first and the last rows, and a longer horizon.",
            )
        if most is not None and most < len(asked):
            asked = np.sort(rng.choice(asked, most, replace=False))
        taken = answers.take(asked)
        size = len(known.items)
        pairs = np.unique(taken.contact.astype(np.int64) * size + taken.item)
        contact, item = np.divmod(pairs, size)
        touched = np.zeros(size, dtype=np.bool_)
        touched[known.item] = True
        question = Question(
            origin=origin,
            known=known,
            recipients=known.take(asked),
            available=there | touched,
            rows=rows,
            items=self.items,
            contacts=self.contacts,
            facts=self.facts,
        )
        start = np.searchsorted(contact, np.arange(len(asked) + 1)).astype(np.int64)
        return Fold(question, asked.astype(np.int64), start, item.astype(np.int32))


def _refuse_question(timed: bool, origins: Sequence[datetime], horizon: timedelta | None) -> None:  # noqa: FBT001
    if timed and (not origins or horizon is None):
        raise ConfigurationError(
            f"Table '{_TABLE}' has times, and {'no origin' if not origins else 'no horizon'} is given.",
            "A back-test stands at moments of the past and looks a while ahead.",
            'pass origins=[datetime(…, tzinfo=UTC)] and horizon="30D".',
        )
    if not timed and (origins or horizon is not None):
        raise ConfigurationError(
            f"Table '{_TABLE}' has no column '{OCCURRED_AT}', and an origin or a horizon is given.",
            "Where only an order is known, the latest occasion of each contact is asked for.",
            f"leave origins= and horizon= out, or name the column of times '{OCCURRED_AT}'.",
        )


def _until(table: "pa.Table", origin: datetime) -> "pa.Table":
    """Return the rows at or before an instant, as they were passed in."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table.column(OCCURRED_AT)
    zone = column.type.tz if pa.types.is_timestamp(column.type) else None
    times = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
    moment = (to_utc(origin) - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001
    return table.filter(pc.less_equal(times, moment))


def _before_last(table: "pa.Table") -> "pa.Table":
    """Return the rows before the latest occasion of each contact, as they were passed in."""
    who = ids(table, CONTACT_ID, name=_TABLE).dictionary_encode().indices.to_numpy()
    order = table.column("order").to_numpy().astype(np.float64)
    latest = np.full(int(who.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(latest, who, order)
    return table.filter(order < latest[who])
