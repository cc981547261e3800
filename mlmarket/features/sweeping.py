"""How are features read from an event store, bucket by bucket?

Each bucket of contacts is read once for all instants; as many buckets are in work at a time as there
are threads, and their results come in the order of the contacts.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import numpy as np
import numpy.typing as npt

from mlmarket.features.feature import Feature, Operation
from mlmarket.features.labels import LABEL
from mlmarket.features.parts import ELIGIBLE, base_features, refuse_names
from mlmarket.features.present import ContactsThen, Pairs, Present, microseconds
from mlmarket.features.program import NEVER, Integers, condition_of, make_program
from mlmarket.features.store import Bucket, EventStore
from mlmarket.market.columns import AS_OF, CONTACT_ID

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

    from mlmarket.features.snapshots import SnapshotSpec
    from mlmarket.features.sweep import Ahead
    from mlmarket.market import Market

__all__ = ["Sweep"]

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]
Result = TypeVar("Result")

_MOST_ROWS: Final = 1 << 19
"""Rows of a bucket: some 20 MB."""

_MOST_NUMBERS: Final = 1 << 22
"""Numbers that the features of a bucket come to: 32 MB."""


@dataclass(frozen=True, slots=True)
class _Swept:
    """What a sweep gave for some places.

    Parameters
    ----------
    numbers : ndarray of float64, shape (features, places)
        By base feature that is no attribute.
    label : ndarray of int8, shape (places,)
        Whether the label's rows follow.
    """

    numbers: Floats
    label: Labels

    @classmethod
    def empty(cls, features: int, places: int) -> "_Swept":
        """Return room for some places."""
        return cls(np.empty((features, places)), np.zeros(places, np.int8))


class Sweep:
    """Computes a specification from an event store.

    Parameters
    ----------
    market : Market
        The tables.
    spec : SnapshotSpec
        What to compute.
    store : EventStore
        With the conditions of the features, of who is eligible, and of the label.
    known_at : datetime, optional
        Label rows that became available later are not seen.
    only : pyarrow.Table, optional
        Only contacts whose ``contact_id`` is in it.
    """

    def __init__(
        self,
        market: "Market",
        spec: "SnapshotSpec",
        store: EventStore,
        *,
        known_at: datetime | None = None,
        only: "pa.Table | None" = None,
    ) -> None:
        refuse_names(spec.features)
        self._spec = spec
        self._store = store
        self._base = base_features(spec.features, spec.eligible)
        self._names = {feature: name for name, feature in self._base.items()}
        rows = {
            name: feature
            for name, feature in self._base.items()
            if feature.operation is not Operation.ATTRIBUTE
        }
        self._places = {name: place for place, name in enumerate(rows)}
        self._program = make_program(list(rows.values()), store.conditions)
        self._ahead = _ahead(spec, store, known_at)
        self._contacts = ContactsThen(market, self._base, store.contact_ids)
        self._threads = market.settings.engine.threads or _cores()
        self._only = None if only is None else _chosen(store, only)

    def at_instants(self, cutoffs: Sequence[datetime]) -> "Iterator[pa.RecordBatch]":
        """Return rows at instants, the same for all contacts.

        Parameters
        ----------
        cutoffs : sequence of datetime
            With a zone.

        Yields
        ------
        pyarrow.RecordBatch
            Each of one cutoff, ascending by contact; those of a cutoff ascend as well.
        """
        if not cutoffs:
            return
        present = [self._contacts.at(cutoff) for cutoff in cutoffs]
        width = max(len(self._places), 1) * len(cutoffs)
        buckets = self._store.buckets(
            most_rows=_MOST_ROWS, most_contacts=max(_MOST_NUMBERS // width, 1)
        )

        def work(bucket: Bucket) -> "list[pa.RecordBatch]":
            return self._bucket_at(bucket, cutoffs, present)

        for batches in _in_order(work, buckets, self._threads):
            yield from batches

    def at_pairs(self, at: "ir.Table", pairs: "pa.Table") -> "Iterator[pa.RecordBatch]":
        """Return rows at an instant of each contact's own.

        Parameters
        ----------
        at : ibis.expr.types.Table
            Of ``contact_id, as_of``.
        pairs : pyarrow.Table
            The same rows.

        Yields
        ------
        pyarrow.RecordBatch
            By ``as_of`` and contact.
        """
        import pyarrow as pa

        found = self._contacts.pairs(at, pairs)
        if self._only is not None:
            found = _some(found, np.flatnonzero(self._only[found.contact]))
        swept = _Swept.empty(len(self._places), len(found.contact))
        by_contact = np.argsort(found.contact, kind="stable")
        of_contact = found.contact[by_contact]

        def work(bucket: Bucket) -> None:
            first, last = np.searchsorted(of_contact, [bucket.first, bucket.last])
            mine = by_contact[first:last]
            begin = np.searchsorted(
                of_contact[first:last], np.arange(bucket.first, bucket.last + 1)
            )
            self._run(bucket, (begin, found.moment[mine], mine), swept)

        buckets = self._store.buckets(most_rows=_MOST_ROWS, most_contacts=_MOST_NUMBERS)
        for _ in _in_order(work, buckets, self._threads):
            pass
        ids = self._store.contact_ids.take(pa.array(found.contact))
        yield self._batch(ids, found.moment, swept, found.attributes)

    def _bucket_at(
        self, bucket: Bucket, cutoffs: Sequence[datetime], present: Sequence[Present]
    ) -> "list[pa.RecordBatch]":
        """Return the rows of a bucket, a batch a cutoff."""
        here = slice(bucket.first, bucket.last)
        wanted = np.stack([one.known[here] for one in present])
        if self._only is not None:
            wanted &= self._only[here]
        places = np.where(wanted, np.cumsum(wanted).reshape(wanted.shape) - 1, -1)
        swept = _Swept.empty(len(self._places), int(wanted.sum()))
        moments = np.array([microseconds(cutoff) for cutoff in cutoffs], np.int64)
        begin = np.arange(len(bucket) + 1, dtype=np.int64) * len(cutoffs)
        if wanted.any():
            instants = begin, np.tile(moments, len(bucket)), places.T.ravel()
            self._run(bucket, instants, swept)
        return [
            self._cutoff(bucket, *found, swept)
            for found in zip(moments, wanted, places, present, strict=True)
        ]

    def _cutoff(
        self,
        bucket: Bucket,
        moment: np.int64,
        wanted: npt.NDArray[np.bool_],
        places: Integers,
        present: Present,
        swept: _Swept,
    ) -> "pa.RecordBatch":
        """Return the rows of a bucket at one cutoff."""
        import pyarrow as pa

        rows = pa.array(bucket.first + np.flatnonzero(wanted))
        mine = places[wanted]
        part = slice(mine[0], mine[-1] + 1) if len(mine) else slice(0, 0)
        return self._batch(
            self._store.contact_ids.take(rows),
            np.full(len(mine), moment),
            _Swept(swept.numbers[:, part], swept.label[part]),
            {name: values.take(rows) for name, values in present.attributes.items()},
        )

    def _run(
        self, bucket: Bucket, instants: tuple[Integers, Integers, Integers], swept: _Swept
    ) -> None:
        """Read the rows of a bucket and fill the places of its instants."""
        from mlmarket.features.sweep import Instants, Log, sweep

        contents = self._store.contents
        marks = [f"marks_{word}" for word in range(len(self._program.used))]
        columns = [
            "time",
            *marks,
            *(["late"] if contents.late else []),
            *(["value"] if contents.valued else []),
        ]
        rows = self._store.read(bucket, columns)
        none = np.empty(0, np.int64)
        log = Log(
            rows.begin,
            rows.columns["time"],
            rows.columns.get("late", none),
            rows.columns.get("value", none),
            np.stack([rows.columns[name] for name in marks]),
        )
        sweep(log, self._program, Instants(*instants), self._ahead, swept.numbers, swept.label)

    def _batch(
        self,
        ids: "pa.Array",
        moments: Integers,
        swept: _Swept,
        attributes: "Mapping[str, pa.Array]",
    ) -> "pa.RecordBatch":
        """Return the rows of those who are eligible."""
        import pyarrow as pa

        columns: dict[str, Any] = {
            CONTACT_ID: ids,
            AS_OF: pa.array(moments).cast(pa.timestamp("us")),
        }
        for feature in self._spec.features:
            columns[feature.name] = self._column(feature, swept, attributes)
        if self._spec.label is not None:
            columns[LABEL] = pa.array(swept.label ^ 1 if self._spec.label.negated else swept.label)
        batch = pa.RecordBatch.from_pydict(columns)
        if self._spec.eligible is None:
            return batch
        met = swept.numbers[self._places[ELIGIBLE]] > 0
        return batch.filter(pa.array(met != self._spec.eligible.negated))

    def _column(
        self, feature: Feature, swept: _Swept, attributes: "Mapping[str, pa.Array]"
    ) -> "pa.Array":
        import pyarrow as pa

        if feature.operation is Operation.ATTRIBUTE:
            return attributes[self._names[feature]]
        return pa.array(self._numbers(feature, swept, attributes), from_pandas=True)

    def _numbers(
        self, feature: Feature, swept: _Swept, attributes: "Mapping[str, pa.Array]"
    ) -> Floats:
        if feature.operation is Operation.RATIO:
            above, below = (self._numbers(part, swept, attributes) for part in feature.parts)
            with np.errstate(over="ignore"):
                missing: Floats = np.full(len(above), np.nan)
                return np.divide(above, below, out=missing, where=below != 0.0)
        name = self._names[feature]
        if feature.operation is Operation.ATTRIBUTE:
            values = attributes[name].to_numpy(zero_copy_only=False)
            return cast("Floats", values.astype(np.float64))
        return cast("Floats", swept.numbers[self._places[name]])


def _ahead(spec: "SnapshotSpec", store: EventStore, known_at: datetime | None) -> "Ahead":
    from mlmarket.features.sweep import Ahead

    if spec.label is None or spec.horizon is None:
        return Ahead(-1, 0, 0)
    return Ahead(
        store.conditions.index(condition_of(spec.label)),
        spec.horizon // timedelta(microseconds=1),
        NEVER if known_at is None else microseconds(known_at),
    )


def _chosen(store: EventStore, only: "pa.Table") -> npt.NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = only.column(CONTACT_ID).cast(pa.string()).combine_chunks()
    return np.asarray(pc.is_in(store.contact_ids, value_set=ids), dtype=np.bool_)


def _some(pairs: Pairs, rows: Integers) -> Pairs:
    import pyarrow as pa

    attributes = {name: values.take(pa.array(rows)) for name, values in pairs.attributes.items()}
    return Pairs(pairs.contact[rows], pairs.moment[rows], attributes)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _in_order(
    work: "Callable[[Bucket], Result]", buckets: Iterable[Bucket], threads: int
) -> Iterator[Result]:
    """Yield the results of buckets in their order, working on a few at a time."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(max_workers=threads) as pool:
        try:
            for bucket in buckets:
                waiting.append(pool.submit(work, bucket))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
