"""What do models of value learn from, and on what are they judged?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from mlmarket.churn.value.contest import Exam, Season
from mlmarket.churn.value.learners import Lesson
from mlmarket.features import Feature, SnapshotSpec, days_active, first_touch, recency, total
from mlmarket.features.defaults import DEFAULT
from mlmarket.features.labels import label_complete_until
from mlmarket.market.time import day_start
from mlmarket.prediction.study import features_of_plan
from mlmarket.prediction.training import Snapshots, TrainingPlan, first_behaviour

if TYPE_CHECKING:
    from mlmarket.market import Market

__all__ = [
    "FEATURES",
    "WARM_UP",
    "Target",
    "ValueStudy",
    "longest_horizon",
    "open_value_study",
    "wanted_features",
]

Target = Literal["value", "orders"]

WARM_UP: Final = timedelta(days=28)
"""Past that the first cutoff needs."""

FEATURES: Final[tuple[Feature, ...]] = (
    recency("order"),
    first_touch("order"),
    days_active("order"),
    days_active("order", "365D"),
    total("order"),
    total("order | return", name="net_order_total"),
    total("order | return", "90D", name="net_order_total_90d"),
    total("order | return", "365D", name="net_order_total_365d"),
)
"""What the rules are made of, and money net of returns: known whatever else is asked for."""

_YEAR: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class ValueStudy:
    """What is read, when, and what was left out.

    Parameters
    ----------
    plan : TrainingPlan
        When.
    snapshots : Snapshots
        Where from.
    features : tuple of Feature
        What is known of each contact.
    left_out : tuple of (str, str)
        Attributes that are not used, and why.
    """

    plan: TrainingPlan
    snapshots: Snapshots
    features: tuple[Feature, ...]
    left_out: tuple[tuple[str, str], ...]

    def exams(self, target: Target) -> tuple[Exam, ...]:
        """Return what candidates learn from and are judged on, at every origin.

        Parameters
        ----------
        target : {"value", "orders"}
            What is to be learned.

        Returns
        -------
        tuple of Exam
            Of the origins at which there is something to learn from.
        """
        return tuple(
            Exam(
                origin,
                self.lesson(target, self.plan.closed_at(origin), present=origin, known_at=origin),
                self.snapshots.at([origin]).contact_id,
                self.amount(target, [origin]),
                self.season(target, origin),
            )
            for origin in self.plan.origins
            if self.plan.closed_at(origin)
        )

    def lesson(
        self,
        target: Target,
        cutoffs: Sequence[datetime],
        *,
        present: datetime,
        known_at: datetime,
    ) -> Lesson:
        """Return what a model that stands at an instant learns from.

        Parameters
        ----------
        target : {"value", "orders"}
            What is to be learned.
        cutoffs : sequence of datetime
            Whose label windows had ended.
        present : datetime
            Where it stands.
        known_at : datetime
            What became available later is not seen.

        Returns
        -------
        Lesson
            By cutoff, then by contact.
        """
        return Lesson(
            self.snapshots.at(cutoffs, known_at=known_at).features,
            self.amount(target, cutoffs, known_at=known_at),
            self.snapshots.features_at(present),
        )

    def amount(
        self, target: Target, cutoffs: Sequence[datetime], *, known_at: datetime | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the amounts that followed some cutoffs.

        Parameters
        ----------
        target : {"value", "orders"}
            Which amount.
        cutoffs : sequence of datetime
            Whose label windows had ended.
        known_at : datetime, optional
            What became available later is not seen.

        Returns
        -------
        ndarray of float64, shape (rows,)
            By cutoff, then by contact.
        """
        bought = self.snapshots.bought_at(cutoffs, known_at=known_at)
        return bought.value if target == "value" else bought.orders

    def season(self, target: Target, origin: datetime) -> Season | None:
        """Return the window a year before an instant, where more than a year supports it.

        Parameters
        ----------
        target : {"value", "orders"}
            Which amount.
        origin : datetime
            The instant.

        Returns
        -------
        Season or None
            None where the past at the instant is shorter than a year and the horizon, or the
            horizon is longer than a year.
        """
        moment = year_before(self.plan, origin)
        if moment is None:
            return None
        amount = self.amount(target, [moment], known_at=origin)
        return Season(self.snapshots.features_at(moment), amount)


def year_before(plan: TrainingPlan, origin: datetime) -> datetime | None:
    """Return the instant a year earlier, None where the past does not reach far enough."""
    supported = origin - plan.earliest >= _YEAR + plan.horizon and plan.horizon <= _YEAR
    return origin - _YEAR if supported else None


def wanted_features(asked: Sequence[Feature | str] | None) -> tuple[Feature | str, ...]:
    """Return what is read of each contact: what was asked for, and what the rules are made of.

    Parameters
    ----------
    asked : sequence of Feature or str, or None
        Features, and names of sets; None for all that the tables allow.

    Returns
    -------
    tuple of Feature or str
        Asked for by themselves, the last ones keep the names that the rules read.
    """
    return (*((DEFAULT,) if asked is None else asked), *FEATURES)


def open_value_study(
    market: "Market",
    asked: SnapshotSpec,
    plan: TrainingPlan,
    *,
    features: Sequence[Feature | str] | None,
    known_at: datetime,
    most_rows: int,
    present: datetime,
) -> ValueStudy:
    """Choose features as they could have been chosen at the first origin, and open the past.

    Parameters
    ----------
    market : Market
        The tables.
    asked : SnapshotSpec
        Of whom, what, and within which time.
    plan : TrainingPlan
        When to look; with an origin.
    features : sequence of Feature or str, or None
        What was asked for.
    known_at : datetime
        Where whoever judges stands: labels that became available later are not seen.
    most_rows : int
        Rows to learn from at most.
    present : datetime
        Where the final model stands.

    Returns
    -------
    ValueStudy
        Nothing of the snapshots is read yet.
    """
    chosen = features_of_plan(market, plan, wanted_features(features))
    years = (year_before(plan, origin) for origin in (*plan.origins, present))
    planned = {*plan.instants, present, *(moment for moment in years if moment is not None)}
    snapshots = Snapshots(
        market,
        replace(asked, features=chosen.features, horizon=plan.horizon),
        known_at=known_at,
        most_rows=most_rows,
        cutoffs=len(plan.cutoffs),
        latest=max(plan.cutoffs[-1], plan.origins[-1]),
        planned=planned,
    )
    return ValueStudy(plan, snapshots, chosen.features, chosen.left_out)


def longest_horizon(market: "Market", asked: SnapshotSpec, *, as_of: datetime) -> timedelta:
    """Return the longest horizon of which two windows are closed, one to learn from and one to judge.

    Parameters
    ----------
    market : Market
        The tables.
    asked : SnapshotSpec
        Of whom, and what.
    as_of : datetime
        Rows after it are not looked at.

    Returns
    -------
    timedelta
        Whole days; zero where there is none.
    """
    if asked.label is None:
        return timedelta(0)
    # Where absence makes eligible, any order begins the past.
    begin = first_behaviour(market, [asked.label], as_of)
    if begin is None:
        return timedelta(0)
    until = label_complete_until(market, asked.label, as_of=as_of)
    end = day_start(min(as_of.astimezone(UTC), until), market.zone)
    return timedelta(days=max((end - begin - WARM_UP).days // 2, 0))
