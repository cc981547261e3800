"""What was shown to whom, in which place, and what came of it?

What stands on top is taken more often because it stands on top. Lists that were shown teach what people take only
where the place is told from the item.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.frames import to_arrow
from mlmarket.recommend.identity import IdKind, kind_of
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.ranking.pools import Proposer, Stage, chunks
from mlmarket.recommend.ranking.shown_lessons import ShownLessons
from mlmarket.recommend.reading import days_of, ids, numbers_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ShownLists", "ToldSlots", "lessons_from_lists"]

Scores = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_TABLE: Final = "slots"
_AT, _POSITION, _TAKEN, _LIST = "shown_at", "position", "taken", "message_id"


@dataclass(frozen=True, slots=True, eq=False)
class ShownLists:
    """Lists that contacts were shown.

    Parameters
    ----------
    contact : ndarray of int64, shape (lists,)
        Whom, as places in the contacts of the interactions it was read with; ascending by contact and time.
    at : ndarray of float64, shape (lists,)
        When, in days since 1970.
    over : ndarray of float64, shape (lists,)
        When it was known what was taken.
    start : ndarray of int64, shape (lists + 1,)
        Where the items of each list begin.
    item, position : ndarray of int32
        Places in the catalogue, and in the list, from 1.
    taken : ndarray of bool
        Whether it was.
    left_out : mapping of str to int
        Rows that are not in it, by reason.
    """

    contact: Integers
    at: Floats
    over: Floats
    start: Integers
    item: Codes
    position: Codes
    taken: Flags
    left_out: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(
        cls,
        frame: object,
        interactions: Interactions,
        *,
        horizon: float,
        kinds: Sequence[IdKind] = (),
    ) -> Self:
        """Read a log of slots.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            ``contact_id, item_id, position`` (from 1) and ``shown_at`` (UTC where it has no zone); ``taken`` (whether
            it was clicked or bought; without it, whether the interactions say so within the horizon);
            ``message_id`` where one contact was shown several lists at once.
        interactions : Interactions
            With times; rows after ``interactions.now`` are left out.
        horizon : float
            Days.
        kinds : sequence of IdKind, optional
            What ids are made of elsewhere.

        Returns
        -------
        Self
            ``left_out`` says what was not used.

        Raises
        ------
        ConfigurationError
            Where a column is missing or holds something else, or only an order is known.
        DataContractError
            Where a position is no whole number from 1 up, or `taken` is neither yes nor no.
        """
        import pyarrow.compute as pc

        if not interactions.timed:
            raise ConfigurationError(
                "Slots were given beside interactions without times.",
                "Nobody can say what was known when a list was shown.",
                "give interactions with occurred_at, or leave slots out.",
            )
        table = to_arrow(frame, name=_TABLE)
        for kind in kinds:
            kind.require(kind_of(table, kind.column, name=_TABLE))
        who, what = ids(table, CONTACT_ID, name=_TABLE), ids(table, ITEM_ID, name=_TABLE)
        at, position = days_of(table, _AT, name=_TABLE), _positions(table)
        contact = _codes(pc.index_in(who, value_set=interactions.contacts))
        item = _codes(pc.index_in(what, value_set=interactions.items))
        group = np.zeros(len(at), dtype=np.int64)
        if _LIST in table.column_names:
            group = _codes(ids(table, _LIST, name=_TABLE).dictionary_encode().indices)
        told = _told(table)
        last = interactions.now if told is not None else interactions.now - horizon
        counted: dict[str, int] = {}
        keep = np.ones(len(at), dtype=np.bool_)
        for reason, good in (
            ("after as_of", at <= interactions.now),
            ("whose horizon is not over", (at <= last) | (at > interactions.now)),
            ("of items that are not known", item >= 0),
            ("of contacts without a history", contact >= 0),
        ):
            lost = int((keep & ~good).sum())
            counted |= {reason: lost} if lost else {}
            keep &= good
        told_of: list[npt.NDArray[Any]] = [contact, at, group, item, position]
        columns = [column[keep] for column in told_of]
        taken = _taken(columns, interactions, horizon) if told is None else told[keep]
        return cls._of(columns, taken, horizon, counted)

    @classmethod
    def _of(
        cls,
        columns: Sequence[npt.NDArray[Any]],
        taken: Flags,
        horizon: float,
        left_out: dict[str, int],
    ) -> Self:
        """Put rows of one list together; of an item that stands twice the first place counts."""
        contact, at, group, item, position = columns
        by_time = np.zeros(len(at)) if len(np.unique(group)) > 1 else at
        order = np.lexsort((position, item, group, by_time, contact))
        contact, at, group = contact[order], at[order], group[order]
        item, position, by_time = item[order], position[order], by_time[order]
        new_list = np.ones(len(at), dtype=np.bool_)
        new_list[1:] = (np.diff(contact) != 0) | (np.diff(by_time) != 0) | (np.diff(group) != 0)
        new = new_list.copy()
        new[1:] |= np.diff(item) != 0
        first = np.flatnonzero(new)
        if len(first) < len(new):
            left_out["that stood twice in a list"] = len(new) - len(first)
        begin = np.flatnonzero(new_list)
        shown = np.minimum.reduceat(at, begin) if len(begin) else at
        return cls(
            contact[begin],
            shown,
            shown + horizon,
            np.append(np.searchsorted(first, begin), len(first)).astype(np.int64),
            item[first].astype(np.int32),
            position[first].astype(np.int32),
            np.logical_or.reduceat(taken[order], first) if len(first) else taken[order],
            left_out,
        )

    def __len__(self) -> int:
        """Return the number of lists."""
        return len(self.contact)

    def lists(self, keep: Flags) -> "ShownLists":
        """Return some of the lists.

        Parameters
        ----------
        keep : ndarray of bool, shape (lists,)
            Which.

        Returns
        -------
        ShownLists
            In the same order.
        """
        size = np.diff(self.start)
        rows = np.repeat(keep, size)
        start = np.concatenate([[0], np.cumsum(size[keep])]).astype(np.int64)
        parts = (self.item[rows], self.position[rows], self.taken[rows])
        return ShownLists(
            self.contact[keep], self.at[keep], self.over[keep], start, *parts, self.left_out
        )

    @property
    def telling(self) -> Flags:
        """Which lists say something of the order: something was taken, and something was not."""
        size = np.diff(self.start)
        owner = np.repeat(np.arange(len(self)), size)
        hits = np.bincount(owner, weights=self.taken, minlength=len(self))
        return (hits > 0) & (hits < size)

    def histories(self, interactions: Interactions, now: float) -> Interactions:
        """Return what was known of each list's contact before it was shown.

        Parameters
        ----------
        interactions : Interactions
            Of everybody, as it was read with.
        now : float
            The instant at which all histories end: each is moved, so that ages are those when its list was shown.

        Returns
        -------
        Interactions
            One history a list; rows at the very moment are left out.
        """
        histories = interactions.take(self.contact)
        shown = np.repeat(self.at, np.diff(histories.start))
        moved = replace(histories, at=histories.at - shown + now, now=now)
        return moved.rows(histories.at < shown)


class ToldSlots:
    """Lessons of shown lists, collected stage by stage.

    Parameters
    ----------
    slots : ShownLists
        All of them.
    interactions : Interactions
        Of everybody, as they were read with.
    """

    def __init__(self, slots: ShownLists, interactions: Interactions) -> None:
        self._slots = slots
        self._interactions = interactions
        self._parts: list[ShownLessons] = []

    @property
    def lists(self) -> int:
        """How many lists were learned from."""
        return sum(len(part.size) for part in self._parts)

    def add(self, stage: Stage, proposer: Proposer, period: tuple[float, float], most: int) -> None:
        """Learn from lists that were shown in a period.

        Parameters
        ----------
        stage : Stage
            What was known as it began.
        proposer : Proposer
            Shown items are looked at among the candidates it names.
        period : tuple of float
            Its beginning, and its end, which is no part of it.
        most : int
            At most so many lists, the latest ones.
        """
        begin, end = period
        slots = self._slots
        some = np.flatnonzero(slots.telling & (slots.at >= begin) & (slots.at < end))
        latest = np.sort(some[np.argsort(-slots.at[some], kind="stable")][:most])
        keep = np.zeros(len(slots), dtype=np.bool_)
        keep[latest] = True
        if len(latest):
            lists = slots.lists(keep)
            self._parts.append(
                lessons_from_lists(lists, self._interactions, stage, proposer, begin)
            )

    def lessons(self) -> ShownLessons | None:
        """Return what all of them teach; None where there is none."""
        return ShownLessons.joined(self._parts) if self._parts else None


def lessons_from_lists(
    lists: ShownLists,
    interactions: Interactions,
    stage: Stage,
    proposer: Proposer,
    now: float,
) -> ShownLessons:
    """Return what shown lists teach.

    Parameters
    ----------
    lists : ShownLists
        Shown at `now` or later.
    interactions : Interactions
        Of everybody, as they were read with.
    stage : Stage
        What was known at `now`.
    proposer : Proposer
        Shown items are looked at among the candidates it names.
    now : float
        When the stage learned.

    Returns
    -------
    ShownLessons
        Items that may be no candidates, such as own ones where nothing comes back, are left out.
    """
    histories = lists.histories(interactions, now)
    features, keeps, sizes = [], [], []
    for first, last in chunks(len(lists)):
        recipients = histories.chunk(first, last)
        begin, end = lists.start[first], lists.start[last]
        size = np.diff(lists.start[first : last + 1])
        owner, item = np.repeat(np.arange(last - first), size), lists.item[begin:end]
        wanted = np.zeros((last - first, len(recipients.items)), dtype=np.bool_)
        wanted[owner, item] = True
        pool = proposer.pool(stage, recipients, None, wanted)
        place = np.full(wanted.shape, -1, dtype=np.int32)
        who, column = np.nonzero(pool.item >= 0)
        place[who, pool.item[who, column]] = column
        at = place[owner, item]
        keep = at >= 0
        features.append(pool.features[owner[keep], at[keep]])
        keeps.append(keep)
        sizes.append(np.bincount(owner[keep], minlength=last - first))
    kept, size = np.concatenate(keeps), np.concatenate(sizes).astype(np.int64)
    there = size > 0
    return ShownLessons(
        np.concatenate(features),
        lists.taken[kept],
        lists.position[kept],
        size[there],
        lists.over[there],
    )


def _codes(places: "pa.Array") -> Integers:
    codes: Integers = places.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _positions(table: "pa.Table") -> Codes:
    position = numbers_of(table, _POSITION, name=_TABLE)
    bad = np.flatnonzero((position < 1) | (position != np.floor(position)))
    if len(bad):
        who = table.column(CONTACT_ID)[int(bad[0])].as_py()
        raise DataContractError(
            f"Table '{_TABLE}' has {len(bad):,} rows with a '{_POSITION}' that is no whole number from 1 up, "
            f"such as {position[bad[0]]:g} of contact '{who}'.",
            "The first place is 1; how much a place adds is learned from them.",
            "count places from 1, such as frame['position'] + 1.",
        )
    return position.astype(np.int32)


def _told(table: "pa.Table") -> Flags | None:
    """Return what the column `taken` says; None where there is none."""
    import pyarrow as pa

    if _TAKEN not in table.column_names:
        return None
    if pa.types.is_boolean(table.schema.field(_TAKEN).type):
        table = table.set_column(
            table.column_names.index(_TAKEN), _TAKEN, table.column(_TAKEN).cast(pa.int8())
        )
    taken = numbers_of(table, _TAKEN, name=_TABLE)
    bad = np.flatnonzero((taken != 0) & (taken != 1))
    if len(bad):
        raise DataContractError(
            f"Table '{_TABLE}' has {len(bad):,} rows whose '{_TAKEN}' is neither 0 nor 1, such as {taken[bad[0]]:g}.",
            "It says whether what was shown was clicked or bought.",
            "write True or False, such as frame['clicks'] > 0.",
        )
    return taken > 0


def _taken(
    columns: Sequence[npt.NDArray[Any]], interactions: Interactions, horizon: float
) -> Flags:
    """Return whether the contact took the item within the horizon after it was shown."""
    contact, at, _, item, _ = columns
    size = len(interactions.items)
    asked = contact * size + item
    key = interactions.contact.astype(np.int64) * size + interactions.item
    some = np.isin(key, np.unique(asked))
    key, when = np.append(key[some], asked), np.append(interactions.at[some], at)
    taking = np.arange(len(key)) < int(some.sum())
    order = np.lexsort(
        (~taking, when, key)
    )  # what was taken at that very moment was not taken after it
    rows = np.arange(len(key))
    following = np.where(taking[order], rows, len(key))[::-1]
    following = np.minimum.accumulate(following)[::-1]
    then = order[np.minimum(following, len(key) - 1)]
    found = np.zeros(len(key), dtype=np.bool_)
    found[order] = (
        (following < len(key)) & (key[then] == key[order]) & (when[then] <= when[order] + horizon)
    )
    return found[~taking]
