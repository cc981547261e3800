"""What was decided in a tick, in words?

Decisions are kept as rows and numbers while the tick runs and written out once at its end,
already in the order of their ids, so that a million of them are in memory only once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration.arbitration.reasons import Bits, named
from mlmarket.orchestration.engine.bench import Bench, release_unused
from mlmarket.orchestration.engine.passes import (
    Passes,
    Rows,
    Times,
    leading_bits,
    texts_by_code,
)
from mlmarket.orchestration.tables import DECISIONS, empty

__all__ = ["Log"]


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    rows: Rows
    step: str
    outcome: str
    fate: str | None
    way: str | None
    reasons: Bits | None
    channel: Rows | None
    due: Times | None
    winner: pa.Array | None
    seen: pa.Array | None


class Log:
    """The decisions of a tick.

    Parameters
    ----------
    passes : Passes
        Whose rows are decided about; each row that is, has changed.
    """

    def __init__(self, passes: Passes) -> None:
        self._passes = passes
        self._entries: list[_Entry] = []

    def decide(  # noqa: PLR0913 - one argument for each column
        self,
        rows: Rows,
        step: str,
        outcome: str,
        *,
        reasons: Bits | int = 0,
        fate: str | None = None,
        way: str | None = None,
        channel: Rows | None = None,
        due: Times | None = None,
        winner: pa.Array | None = None,
        seen: pa.Array | None = None,
    ) -> None:
        """Write down one decision about each of some rows.

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
            The passes.
        step, outcome : str
            As in the decisions table; one row has each pair once in a tick.
        reasons : int or ndarray of int64, shape (n,)
            Sums of reasons.
        fate, way : str, optional
            The same for all.
        channel : ndarray of int64, shape (n,), optional
            The place among the channels, -1 for none.
        due : ndarray of datetime64, shape (n,), optional
            Until when.
        winner, seen : pyarrow.Array of string, shape (n,), optional
            Texts.
        """
        if not len(rows):
            return
        self._passes.changed[rows] = True
        bits = np.full(len(rows), int(reasons)) if isinstance(reasons, int) else reasons.copy()
        none_at_all = not bits.any()
        self._entries.append(
            _Entry(
                rows.astype(np.int32),
                step,
                outcome,
                fate,
                way,
                None if none_at_all else bits,
                None if channel is None else channel.astype(np.int8),
                None if due is None else due.copy(),
                winner,
                seen,
            )
        )

    def table(self, tick_id: str, bench: Bench) -> pa.Table:
        """Return the decisions, and forget them.

        Parameters
        ----------
        tick_id : str
            The tick.
        bench : Bench
            Where to compute.

        Returns
        -------
        pyarrow.Table
            With an id each: the SHA-256 of
            ``tick_id|enrolment_id|step|outcome``.
        """
        entries, self._entries = self._entries, []
        if not entries:
            return empty("decisions")
        counts = [len(entry.rows) for entry in entries]
        rows = np.concatenate([entry.rows for entry in entries]).astype(np.int64)
        ids = self._ids(tick_id, rows, entries, counts, bench)
        order = _by_name(ids)
        # By the same name, so that the unordered ids are not kept beside the ordered ones.
        ids = ids.take(pa.array(order))
        release_unused()
        inverse = _places_by_entry(order, counts)
        return self._written(entries, rows[order], inverse, ids, tick_id)

    def _ids(
        self,
        tick_id: str,
        rows: Rows,
        entries: Sequence[_Entry],
        counts: Sequence[int],
        bench: Bench,
    ) -> pa.Array:
        """Return the id of each decision, hashed in batches so that few keys lie in memory."""
        which = np.repeat(np.arange(len(entries), dtype=np.int32), counts)
        names = pa.array([f"|{entry.step}|{entry.outcome}" for entry in entries], pa.string())
        pieces = []
        for begin in range(0, len(rows), _BATCH):
            here = slice(begin, begin + _BATCH)
            key = ibis.memtable(
                pa.table(
                    {
                        "n": np.arange(len(rows[here])),
                        "enrolment_id": self._passes.text("enrolment_id", rows[here]),
                        "name": names.take(pa.array(which[here])),
                    }
                )
            )
            words = f"{tick_id}|" + key["enrolment_id"] + key["name"]
            found = bench.to_pyarrow(key.select("n", decision_id=words.hexdigest("sha256")))
            pieces += _in_place(found["n"].to_numpy(), found["decision_id"]).chunks
        return pa.concat_arrays(pieces)

    def _written(
        self,
        entries: Sequence[_Entry],
        rows: Rows,
        where: tuple[Rows, Rows],
        ids: pa.Array,
        tick_id: str,
    ) -> pa.Table:
        passes, (which, order) = self._passes, where
        version = passes.version[rows]
        moment = pa.scalar(passes.now.item(), pa.timestamp("us"))
        content = {
            "decision_id": ids,
            "tick_id": pa.repeat(tick_id, len(rows)),
            "decided_at": pa.repeat(moment, len(rows)),
            "enrolment_id": passes.text("enrolment_id", rows),
            "contact_id": passes.contacts(rows),
            "journey": texts_by_code([one.journey for one in passes.versions], version),
            "version": texts_by_code([one.version for one in passes.versions], version),
            **{
                name: pa.array([getattr(entry, name) for entry in entries], pa.string()).take(
                    pa.array(which)
                )
                for name in ("step", "outcome", "fate", "way")
            },
            "reasons": _listed(_numbers(entries, "reasons", 0, np.int64)[order]),
            "channel": texts_by_code(CHANNELS, _numbers(entries, "channel", -1, np.int64)[order]),
            "due_at": _moments(_numbers(entries, "due", _NEVER, "datetime64[us]")[order]),
            "winner": _spelled(entries, "winner").take(pa.array(order)),
            "seen": _spelled(entries, "seen").take(pa.array(order)),
        }
        # One column after the other, so that no two forms of all lie in memory.
        columns = [
            _column(content.pop(name), DECISIONS.field(name).type) for name in DECISIONS.names
        ]
        return pa.Table.from_arrays(columns, schema=DECISIONS)


_NEVER: Final = np.datetime64("NaT", "us")
_ZERO: Final = np.datetime64(0, "us")


_BATCH: Final = 500_000


def _in_place(places: Rows, found: pa.ChunkedArray) -> pa.ChunkedArray:
    if (places[1:] > places[:-1]).all():
        return found
    return found.take(pa.array(np.argsort(places, kind="stable")))


def _by_name(ids: pa.Array) -> Rows:
    """Return the order of ids; their first 64 bits nearly always tell them apart."""
    heads = leading_bits(ids)
    order = np.argsort(heads, kind="stable")
    if (np.diff(heads[order]) == 0).any():
        order = pc.sort_indices(ids).to_numpy().astype(np.int64)
    return order


def _places_by_entry(order: Rows, counts: Sequence[int]) -> tuple[Rows, Rows]:
    which = np.repeat(np.arange(len(counts)), counts)
    return which[order], order


def _numbers(
    entries: Sequence[_Entry], name: str, otherwise: object, kind: npt.DTypeLike
) -> np.ndarray:
    pieces = []
    for entry in entries:
        values = getattr(entry, name)
        pieces.append(np.full(len(entry.rows), otherwise, dtype=kind) if values is None else values)
    return np.concatenate(pieces).astype(kind)


def _column(values: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    whole = pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
    return whole.cast(kind)


def _moments(times: Times) -> pa.Array:
    missing = np.isnat(times)
    # What lies under a missing value is part of the bytes: zero, as a file gives it back.
    return pa.array(np.where(missing, _ZERO, times), mask=missing)


def _spelled(entries: Sequence[_Entry], name: str) -> pa.ChunkedArray:
    pieces = [
        pa.nulls(len(entry.rows), pa.string()) if values is None else values
        for entry in entries
        for values in [getattr(entry, name)]
    ]
    return pa.chunked_array(pieces, pa.string())


def _listed(bits: Bits) -> pa.Array:
    different, places = np.unique(bits, return_inverse=True)
    lists = [named(int(one)) for one in different]
    return pa.array(lists, type=pa.list_(pa.string())).take(pa.array(places))
