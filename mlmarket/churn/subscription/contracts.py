"""Who was under contract at an instant, since when, and in which month after it did the contract end?"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import numpy.typing as npt

from mlmarket.evaluation import training_cutoffs
from mlmarket.features import Behaviour, Feature, count, recency
from mlmarket.features.rows import behaviour_rows, known_rows, matches
from mlmarket.market.columns import AVAILABLE_AT, CONTACT_ID, OCCURRED_AT
from mlmarket.market.time import to_utc, within
from mlmarket.prediction.columns import FeatureRows, numbers_of
from mlmarket.prediction.training import Rows, Snapshots, TrainingPlan

if TYPE_CHECKING:
    import pandas as pd

    from mlmarket.market import Market

__all__ = [
    "BEGUN",
    "CLOSED_FROM",
    "CONTRACT_DAYS",
    "END_DAYS",
    "PERIOD",
    "ContractRows",
    "contract_features",
    "ends_without_start",
    "month_cutoffs",
    "planned_instants",
    "under_contract",
    "without_contract",
]

CONTRACT_DAYS: Final = "contract_days"
"""Feature that says for how long a contract has run."""

END_DAYS: Final = "days_since_contract_end"
"""Feature that says how long ago an earlier contract ended; no model is shown it."""

BEGUN: Final = "contracts_begun"
"""Feature that counts contracts, this one among them."""

PERIOD: Final = timedelta(days=30)
"""What a month is: windows and cutoffs are made of days."""

CLOSED_FROM: Final = 0
"""Codes from here on say what came of the whole horizon."""

_LASTED: Final = 0
_OPEN_LASTED: Final = -1
_OPEN_ENDED: Final = -2

_Batch = TypeVar("_Batch", bound=FeatureRows)


def contract_features(starts: Behaviour, ends: Behaviour) -> tuple[Feature, ...]:
    """Return the features that recognise a contract.

    Parameters
    ----------
    starts, ends : Behaviour
        What begins a contract, and what ends it.

    Returns
    -------
    tuple of Feature
        Days since the last start and since the last end, and how many starts there were.
    """
    return (
        recency(starts, name=CONTRACT_DAYS),
        recency(ends, name=END_DAYS),
        count(starts, name=BEGUN),
    )


def without_contract(
    features: Sequence[Feature], starts: Behaviour, ends: Behaviour
) -> tuple[Feature, ...]:
    """Return features of which none is made of starts and ends, but those that recognise a contract.

    Such a feature says again since when a contract runs, but would stand still while the model lets
    time pass; where it counts other rows too, such as any event, it goes on to count those.

    Parameters
    ----------
    features : sequence of Feature
        Any.
    starts, ends : Behaviour
        What begins a contract, and what ends it.

    Returns
    -------
    tuple of Feature
        In their order.
    """
    own = contract_features(starts, ends)
    types = frozenset({*starts.types, *ends.types})
    kept = (one if one in own else _of_others(one, types) for one in features)
    return tuple(one for one in kept if one is not None)


def _of_others(feature: Feature, types: frozenset[str]) -> Feature | None:
    """Return a feature that counts no rows of some types; None where nothing is left of it."""
    if feature.parts:
        parts = tuple(_of_others(part, types) for part in feature.parts)
        whole = tuple(part for part in parts if part is not None)
        return replace(feature, parts=whole) if len(whole) == len(parts) else None
    behaviour = feature.behaviour
    if behaviour is None or not types & set(behaviour.types):
        return feature
    others = tuple(kind for kind in behaviour.types if kind not in types)
    return replace(feature, behaviour=replace(behaviour, types=others)) if others else None


def under_contract(rows: FeatureRows) -> npt.NDArray[np.bool_]:
    """Return whose last start is not before their last end.

    Parameters
    ----------
    rows : pandas.DataFrame or pyarrow.RecordBatch
        With the columns of :func:`contract_features`.

    Returns
    -------
    ndarray of bool, shape (rows,)
        A start at the very instant of an end, as a change of plan is often written, begins anew.
    """
    since_start, since_end = numbers_of(rows, CONTRACT_DAYS), numbers_of(rows, END_DAYS)
    runs: npt.NDArray[np.bool_] = np.isfinite(since_start) & ~(since_end < since_start)
    return runs


def ends_without_start(
    market: "Market", starts: Behaviour, ends: Behaviour, *, as_of: datetime
) -> int:
    """Count the contacts whose first end was known before any start.

    Parameters
    ----------
    market : Market
        The tables.
    starts, ends : Behaviour
        What begins a contract, and what ends it.
    as_of : datetime
        Rows after it are not looked at.

    Returns
    -------
    int
        Contracts that began before the data does, or whose start was not written down.
    """
    import ibis

    rows = known_rows(market, [starts, ends], at=as_of)
    moment = rows[OCCURRED_AT]
    first = rows.group_by(CONTACT_ID).aggregate(
        start=moment.min(where=matches(rows, starts)), end=moment.min(where=matches(rows, ends))
    )
    # Without a start the comparison is unknown, and the row would fall out: it counts.
    late = first.start.coalesce(first.end + ibis.interval(seconds=1))
    return int(first.filter(first.end < late).count().to_pyarrow().as_py())


class ContractRows:
    """Reads who was under contract, and what came of it.

    Parameters
    ----------
    snapshots : Snapshots
        Reads features, those of :func:`contract_features` among them; without a label.
    ends : Behaviour
        What ends a contract.
    plan : TrainingPlan
        When to look.
    known_at : datetime or None
        Ends that became known later are not seen; None sees all there are.

    Notes
    -----
    A label is a code: of rows whose horizon is over by then, the period in which the contract ended,
    counted from 1, or 0 where it lasted. Of later rows only the first period is over: -2 where it
    ended in it, -1 where it did not. They teach a hazard what the latest months were like, long
    before a classifier of the whole horizon may look at them.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        ends: Behaviour,
        plan: TrainingPlan,
        *,
        known_at: datetime | None,
    ) -> None:
        self.snapshots = snapshots
        self.ends = ends
        self.plan = plan
        self.known_at = known_at

    @property
    def period(self) -> timedelta:
        """What a hazard looks at: a month, or the horizon where that is shorter."""
        return self.plan.step

    def judged(self, origin: datetime) -> Rows:
        """Return the rows to be judged at an origin.

        Parameters
        ----------
        origin : datetime
            Where models stand.

        Returns
        -------
        Rows
            With 1 for contracts that ended within the horizon.
        """
        rows = self._at(origin, until=origin + self.plan.horizon, known_at=self.known_at)
        return Rows(rows.features, (rows.label > 0).astype(np.int8), rows.contact_id)

    def learned(self, *, until: datetime, known_at: datetime | None = None) -> Rows:
        """Return the rows that can be learned from at an instant.

        Parameters
        ----------
        until : datetime
            Label windows must have ended by then.
        known_at : datetime, optional
            When the learner stands; by default where the reader stands.

        Returns
        -------
        Rows
            By cutoff, then by contact, with codes for labels.
        """
        import pandas as pd

        known_at = known_at or self.known_at
        parts = [self._at(cutoff, until=until, known_at=known_at) for cutoff in self.cutoffs(until)]
        parts = [part for part in parts if len(part)]
        return Rows(
            pd.concat([part.features for part in parts], ignore_index=True)
            if parts
            else pd.DataFrame(),
            np.concatenate([np.empty(0, np.int8), *(part.label for part in parts)]),
            np.concatenate([np.empty(0, object), *(part.contact_id for part in parts)]),
        )

    def cutoffs(self, until: datetime) -> tuple[datetime, ...]:
        """Return the cutoffs whose first period has ended by an instant, ascending.

        Parameters
        ----------
        until : datetime
            The instant.

        Returns
        -------
        tuple of datetime
            As many as a model may learn from, and those whose horizon is not over.
        """
        return month_cutoffs(self.plan, until)

    def _at(self, cutoff: datetime, *, until: datetime, known_at: datetime | None) -> Rows:
        rows = self.snapshots.at([cutoff])
        runs = under_contract(rows.features)
        contacts = rows.contact_id[runs]
        # When an earlier contract ended is for recognising this one: few have it, and of few a
        # model learns what is not so.
        features: pd.DataFrame = rows.features[runs].drop(columns=END_DAYS).reset_index(drop=True)
        ended = self._periods(cutoff, known_at)
        period = np.array([ended.get(contact, _LASTED) for contact in contacts], dtype=np.int8)
        if cutoff + self.plan.horizon > until:
            period = np.where(period == 1, _OPEN_ENDED, _OPEN_LASTED).astype(np.int8)
        return Rows(features, period, contacts)

    def _periods(self, cutoff: datetime, known_at: datetime | None) -> dict[str, int]:
        """Return the period of the first end after a cutoff, by contact."""
        ends = self._ends_by_time
        begin, until = (to_utc(moment) for moment in (cutoff, cutoff + self.plan.horizon))
        seen = (ends[OCCURRED_AT] > begin) & (ends[OCCURRED_AT] <= until)
        if known_at is not None:
            seen &= ends[AVAILABLE_AT] <= to_utc(known_at)
        first = ends[seen].drop_duplicates(CONTACT_ID)
        step = self.period // timedelta(microseconds=1)
        # From 1 up: an end at the very end of a period lies in it.
        period = -((begin - first[OCCURRED_AT]).dt.as_unit("us").astype(np.int64) // step)
        return dict(zip(first[CONTACT_ID], period, strict=True))

    @cached_property
    def _ends_by_time(self) -> "pd.DataFrame":
        """Every end that a label window of the plan may hold: there are few of them a contact."""
        rows = behaviour_rows(self.snapshots.market, [self.ends])
        instants = planned_instants(self.plan)
        after, until = instants[0], instants[-1] + self.plan.horizon
        rows = rows.filter(within(rows[OCCURRED_AT], after=after, until=until))
        rows = rows.filter(matches(rows, self.ends))
        ends: pd.DataFrame = rows.select(CONTACT_ID, OCCURRED_AT, AVAILABLE_AT).to_pandas()
        return ends.sort_values([OCCURRED_AT, CONTACT_ID], ignore_index=True)


def month_cutoffs(plan: TrainingPlan, until: datetime) -> tuple[datetime, ...]:
    """Return the cutoffs of a plan whose first period has ended by an instant.

    Parameters
    ----------
    plan : TrainingPlan
        Its step is the period.
    until : datetime
        The instant.

    Returns
    -------
    tuple of datetime
        Ascending. Those whose horizon has ended too are the plan's own.
    """
    closed = plan.closed_at(until)
    grid = training_cutoffs(
        origin=until,
        horizon=plan.step,
        step=plan.step,
        count=max(int(plan.horizon / plan.step), 1),
        earliest=plan.earliest,
    )
    later = tuple(one for one in grid if one + plan.horizon > until)
    return (*closed, *later)


def planned_instants(plan: TrainingPlan) -> Sequence[datetime]:
    """Return every instant that a training looks from, to be read together.

    Parameters
    ----------
    plan : TrainingPlan
        With cutoffs.

    Returns
    -------
    sequence of datetime
        Ascending.
    """
    ends = [*plan.origins, plan.cutoffs[-1] + plan.horizon]
    learned = {cutoff for end in ends for cutoff in month_cutoffs(plan, end)}
    return sorted(plan.instants | learned)
