"""From which rows does a predictor learn, and on which is it judged?

Snapshots are taken at cutoffs a step apart, counted back from the last label window that is closed.
A model that stands at an origin learns only from cutoffs whose windows had ended by then.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import numpy.typing as npt

from mlmarket.evaluation import drawn_below, rolling_origins, stable_fractions, training_cutoffs
from mlmarket.features import Behaviour, SnapshotSpec, build, label_complete_until
from mlmarket.features.labels import (
    ORDER_DAYS,
    VALUE,
    compile_label,
    compile_value_label,
    refuse_open_windows,
)
from mlmarket.features.rows import known_rows, matches, tables_of
from mlmarket.market.columns import AS_OF, AVAILABLE_AT, CONTACT_ID, OCCURRED_AT
from mlmarket.market.time import day_start, to_utc

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlmarket.market import Market

__all__ = [
    "Bought",
    "Rows",
    "Snapshots",
    "TrainingPlan",
    "first_behaviour",
    "plan_training",
    "step_of",
]

_SALT: Final = "training-sample"
_LONGEST_STEP: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Rows:
    """Feature rows with their labels.

    Parameters
    ----------
    features : pandas.DataFrame
        Numbers, and text for categories.
    label : ndarray of int8
        0 or 1.
    contact_id : ndarray of str
        Whose rows they are.
    """

    features: "pd.DataFrame"
    label: npt.NDArray[np.int8]
    contact_id: npt.NDArray[np.object_]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.label)


@dataclass(frozen=True, slots=True)
class Bought:
    """What the contacts of feature rows bought within the horizon.

    Parameters
    ----------
    value : ndarray of float64
        Worth of orders less that of returns, in currency, zero or more.
    orders : ndarray of float64
        Days with an order.
    """

    value: npt.NDArray[np.float64]
    orders: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """When a predictor looks at the past.

    Parameters
    ----------
    horizon : timedelta
        How far labels look.
    step : timedelta
        Time between cutoffs.
    earliest : datetime
        No cutoff before it: there would be no past to look at.
    origins : tuple of datetime
        Where models stand to be judged, ascending.
    cutoffs : tuple of datetime
        What the final model learns from, ascending.
    most_cutoffs : int
        How many cutoffs a model learns from at most.
    """

    horizon: timedelta
    step: timedelta
    earliest: datetime
    origins: tuple[datetime, ...]
    cutoffs: tuple[datetime, ...]
    most_cutoffs: int

    @property
    def instants(self) -> frozenset[datetime]:
        """Every cutoff and origin that is looked from."""
        learned = (cutoff for origin in self.origins for cutoff in self.closed_at(origin))
        return frozenset({*self.cutoffs, *self.origins, *learned})

    def closed_at(self, origin: datetime) -> tuple[datetime, ...]:
        """Return the cutoffs a model may learn from when it stands at an origin.

        Parameters
        ----------
        origin : datetime
            Where it stands.

        Returns
        -------
        tuple of datetime
            Ascending; empty where no window was closed by then.
        """
        return training_cutoffs(
            origin=origin,
            horizon=self.horizon,
            step=self.step,
            count=self.most_cutoffs,
            earliest=self.earliest,
        )


def step_of(horizon: timedelta) -> timedelta:
    """Return the time between cutoffs.

    Parameters
    ----------
    horizon : timedelta
        How far labels look.

    Returns
    -------
    timedelta
        The horizon, but at most 30 days: beyond, windows overlap.
    """
    return min(horizon, _LONGEST_STEP)


def first_behaviour(
    market: "Market", behaviours: Sequence[Behaviour], as_of: datetime
) -> datetime | None:
    """Return when one of some behaviours was first seen, of what was known at an instant.

    Parameters
    ----------
    market : Market
        The tables.
    behaviours : sequence of Behaviour
        What to look for; nothing means any activity.
    as_of : datetime
        The instant.

    Returns
    -------
    datetime or None
        None where none was ever seen.
    """
    import functools
    import operator

    known = known_rows(market, behaviours, at=as_of)
    if behaviours:
        found = functools.reduce(operator.or_, (matches(known, one) for one in behaviours))
        known = known.filter(found)
    first = known.aggregate(first=known[OCCURRED_AT].min()).to_pyarrow().column(0)[0].as_py()
    return None if first is None else first.replace(tzinfo=UTC)


def plan_training(
    market: "Market",
    spec: SnapshotSpec,
    *,
    as_of: datetime,
    folds: int,
    warm_up: timedelta,
    most_cutoffs: int,
) -> TrainingPlan | None:
    """Decide where to learn and where to judge.

    Parameters
    ----------
    market : Market
        The tables.
    spec : SnapshotSpec
        With label and horizon.
    as_of : datetime
        Only what was known then is used.
    folds : int
        Origins to be judged at.
    warm_up : timedelta
        Past that the first cutoff needs.
    most_cutoffs : int
        Cutoffs a model learns from at most.

    Returns
    -------
    TrainingPlan or None
        None where not a single label window is closed.
    """
    label, horizon = spec.label, spec.horizon
    if label is None or horizon is None:
        return None
    begin = first_behaviour(market, _beginning(spec), as_of)
    if begin is None:
        return None
    until = label_complete_until(market, label, as_of=as_of)
    # Local midnights keep weekdays whole, and make the plan the same all day long.
    end = day_start(min(as_of, until), market.zone)
    step = step_of(horizon)
    earliest = begin + warm_up
    cutoffs = training_cutoffs(
        origin=end, horizon=horizon, step=step, count=most_cutoffs, earliest=earliest
    )
    if not cutoffs:
        return None
    origins = rolling_origins(last=cutoffs[-1], count=folds, step=step, earliest=earliest + horizon)
    return TrainingPlan(horizon, step, earliest, origins, cutoffs, most_cutoffs)


def _beginning(spec: SnapshotSpec) -> list[Behaviour]:
    """Return the behaviours whose first row begins the past that can be learned from."""
    if spec.eligible is not None and not spec.eligible.negated:
        return [replace(spec.eligible, within=None)]
    if spec.label is not None and spec.label.table == "outcomes":
        return [spec.label]
    return []


class Snapshots:
    """Reads snapshots, each cutoff once.

    Parameters
    ----------
    market : Market
        The tables.
    spec : SnapshotSpec
        What to read; with label and horizon.
    known_at : datetime or None
        When the reader stands: labels that became available later are not seen.
    most_rows : int
        Where all cutoffs together would have more rows, a stable sample of contacts is read.
    cutoffs : int
        How many cutoffs will be read together.
    latest : datetime
        The last of them.
    planned : sequence of datetime, optional
        Cutoffs that will be asked for: they are read together, which takes one look at each
        contact's past instead of one a cutoff.
    """

    def __init__(
        self,
        market: "Market",
        spec: SnapshotSpec,
        *,
        known_at: datetime | None,
        most_rows: int,
        cutoffs: int,
        latest: datetime,
        planned: Collection[datetime] = (),
    ) -> None:
        self.market = market
        self.spec = spec
        self.known_at = known_at
        self._only = _sample(market, latest, most_rows, cutoffs)
        self._planned = frozenset(planned)
        self._late = spec.label is not None and _may_be_late(market, spec.label)
        self._read: dict[datetime, tuple[pd.DataFrame, npt.NDArray[np.object_]]] = {}
        self._labels: dict[tuple[datetime, datetime | None], npt.NDArray[np.int8]] = {}
        self._bought: dict[tuple[datetime, datetime | None], Bought] = {}

    def at(self, cutoffs: Sequence[datetime], *, known_at: datetime | None = None) -> Rows:
        """Return the rows of several cutoffs, one below the other.

        Parameters
        ----------
        cutoffs : sequence of datetime
            When to look.
        known_at : datetime, optional
            Labels whose rows became available later are not seen; by default what is known where
            the reader stands.

        Returns
        -------
        Rows
            By cutoff, then by contact.

        Raises
        ------
        OpenLabelWindowError
            Where a label window has not ended.
        """
        import pandas as pd

        parts = [self._one(cutoff, known_at or self.known_at) for cutoff in cutoffs]
        if len(parts) == 1:
            return parts[0]
        # Frames without rows have columns of no certain type, which would spread.
        frames = [part.features for part in parts if len(part)]
        return Rows(
            pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(),
            np.concatenate([np.empty(0, np.int8), *(part.label for part in parts)]),
            np.concatenate([np.empty(0, object), *(part.contact_id for part in parts)]),
        )

    def bought_at(self, cutoffs: Sequence[datetime], *, known_at: datetime | None = None) -> Bought:
        """Return what the contacts of :meth:`at` bought, in the order of its rows.

        Parameters
        ----------
        cutoffs : sequence of datetime
            When to look.
        known_at : datetime, optional
            As for :meth:`at`.

        Returns
        -------
        Bought
            By cutoff, then by contact.

        Raises
        ------
        OpenLabelWindowError
            Where a label window has not ended.
        """
        parts = [self._bought_after(cutoff, known_at or self.known_at) for cutoff in cutoffs]
        return Bought(
            np.concatenate([np.empty(0), *(part.value for part in parts)]),
            np.concatenate([np.empty(0), *(part.orders for part in parts)]),
        )

    def features_at(self, cutoff: datetime) -> "pd.DataFrame":
        """Return the features of a cutoff, whether its label window has ended or not.

        Parameters
        ----------
        cutoff : datetime
            When to look.

        Returns
        -------
        pandas.DataFrame
            By contact.
        """
        return self._known(cutoff)[0]

    def _bought_after(self, cutoff: datetime, known_at: datetime | None) -> Bought:
        import pyarrow as pa
        import pyarrow.compute as pc

        horizon = self._closed(cutoff)
        key = cutoff, known_at if self._late else self.known_at
        if key not in self._bought:
            found = compile_value_label(self.market, at=cutoff, horizon=horizon, known_at=key[1])
            table = found.to_pyarrow()
            ids = table.column(CONTACT_ID).combine_chunks().cast(pa.string())
            place = pc.index_in(pa.array(self._known(cutoff)[1], pa.string()), value_set=ids)
            self._bought[key] = Bought(
                *(
                    np.asarray(
                        pc.fill_null(table.column(name).combine_chunks().take(place), 0.0),
                        dtype=np.float64,
                    )
                    for name in (VALUE, ORDER_DAYS)
                )
            )
        return self._bought[key]

    def _closed(self, cutoff: datetime) -> timedelta:
        """Return the horizon, or refuse a cutoff whose window has not ended."""
        label, horizon = self.spec.label, self.spec.horizon
        if label is None or horizon is None:
            message = "what was bought is asked within a horizon"
            raise TypeError(message)
        # Where everything is known, whoever judges stands at the end of the window.
        end = self.known_at or cutoff + horizon
        refuse_open_windows(self.market, label, cutoffs=[cutoff], horizon=horizon, known_at=end)
        return horizon

    def _known(self, cutoff: datetime) -> "tuple[pd.DataFrame, npt.NDArray[np.object_]]":
        if cutoff not in self._read:
            self._read_features(sorted(self._planned - self._read.keys() | {cutoff}))
        return self._read[cutoff]

    def _one(self, cutoff: datetime, known_at: datetime | None) -> Rows:
        features, contacts = self._known(cutoff)
        return Rows(features, self._label(cutoff, contacts, known_at), contacts)

    def _read_features(self, cutoffs: Sequence[datetime]) -> None:
        """Read what was known at some cutoffs, of which batches come in turns."""
        import pyarrow as pa

        bare = replace(self.spec, label=None, horizon=None)
        parts: dict[datetime, list[pa.RecordBatch]] = {to_utc(one): [] for one in cutoffs}
        schema = None
        for batch in build(self.market, bare, cutoffs=cutoffs, only=self._only):
            schema = batch.schema
            if batch.num_rows:
                parts[batch.column(AS_OF)[0].as_py()].append(batch)
        for cutoff in cutoffs:
            frame = pa.Table.from_batches(parts.pop(to_utc(cutoff)), schema).to_pandas()
            contacts = frame[CONTACT_ID].to_numpy(dtype=object)
            self._read[cutoff] = frame.drop(columns=[CONTACT_ID, AS_OF]), contacts

    def _label(
        self, cutoff: datetime, contacts: npt.NDArray[np.object_], known_at: datetime | None
    ) -> npt.NDArray[np.int8]:
        import pyarrow as pa
        import pyarrow.compute as pc

        label = self.spec.label
        if label is None or self.spec.horizon is None:
            return np.zeros(len(contacts), np.int8)
        # Where no row can be late, what was known later is what was known then.
        key = cutoff, known_at if self._late else self.known_at
        if key not in self._labels:
            horizon = self._closed(cutoff)
            did = compile_label(self.market, label, at=cutoff, horizon=horizon, known_at=key[1])
            ids = did.to_pyarrow().column(CONTACT_ID).combine_chunks()
            found = pc.is_in(pa.array(contacts, pa.string()), value_set=ids.cast(pa.string()))
            happened = np.asarray(found, dtype=bool)
            self._labels[key] = (~happened if label.negated else happened).astype(np.int8)
        return self._labels[key]


def _may_be_late(market: "Market", label: Behaviour) -> bool:
    return any(AVAILABLE_AT in market.table(name).columns for name in tables_of(label))


def _sample(market: "Market", latest: datetime, most_rows: int, cutoffs: int) -> "pa.Table | None":
    """Return a stable sample of contacts where reading all would give too many rows."""
    contacts = market.contacts(as_of=latest).select(CONTACT_ID)
    people = int(contacts.count().to_pyarrow().as_py())
    share = most_rows / max(people * max(cutoffs, 1), 1)
    if share >= 1.0:
        return None
    if contacts.get_backend().name != "duckdb":  # only the sample leaves where the contacts are
        drawn = drawn_below(contacts[CONTACT_ID], salt=_SALT, share=share)
        return cast("pa.Table", contacts.filter(drawn).to_pyarrow())
    ids = contacts.to_pyarrow()
    fractions = stable_fractions(_SALT, ids.column(CONTACT_ID).to_pylist())
    return cast("pa.Table", ids.filter(fractions < share))
