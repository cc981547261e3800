"""From which rows does a predictor learn, and on which is it judged?

Snapshots are taken at cutoffs a step apart, counted back from the last label window that is closed.
A model that stands at an origin learns only from cutoffs whose windows had ended by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.evaluation import rolling_origins, stable_fractions, training_cutoffs
from mlmarket.features import Behaviour, SnapshotSpec, build, label_complete_until
from mlmarket.market.columns import AS_OF, AVAILABLE_AT, CONTACT_ID, OCCURRED_AT
from mlmarket.market.time import day_start, within

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlmarket.market import Market

__all__ = ["Rows", "Snapshots", "TrainingPlan", "first_behaviour", "plan_training"]

_LABEL: Final = "label"
_SALT: Final = "training-sample"


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

    def closed_at(self, origin: datetime) -> tuple[datetime, ...]:
        """Return the cutoffs a model may learn from when it stands at an origin."""
        return training_cutoffs(
            origin=origin,
            horizon=self.horizon,
            step=self.step,
            count=self.most_cutoffs,
            earliest=self.earliest,
        )


def first_behaviour(
    market: "Market", behaviour: Behaviour | None, as_of: datetime
) -> datetime | None:
    """Return when a behaviour was first seen, of what was known at an instant.

    Parameters
    ----------
    market : Market
        The tables.
    behaviour : Behaviour or None
        Types of activity; None for any.
    as_of : datetime
        The instant.

    Returns
    -------
    datetime or None
        None where it was never seen.
    """
    types = behaviour.types if behaviour is not None and behaviour.table == "activity" else ()
    rows = market.activity(*types)
    known = rows.filter(
        within(rows[OCCURRED_AT], until=as_of) & within(rows[AVAILABLE_AT], until=as_of)
    )
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
    begin = first_behaviour(market, spec.eligible, as_of)
    if begin is None:
        return None
    until = label_complete_until(market, label, as_of=as_of)
    # Local midnights keep weekdays whole, and make the plan the same all day long.
    end = day_start(min(as_of, until), market.zone)
    step = min(horizon, timedelta(days=30))
    earliest = begin + warm_up
    cutoffs = training_cutoffs(
        origin=end, horizon=horizon, step=step, count=most_cutoffs, earliest=earliest
    )
    if not cutoffs:
        return None
    origins = rolling_origins(last=cutoffs[-1], count=folds, step=step, earliest=earliest + horizon)
    return TrainingPlan(horizon, step, earliest, origins, cutoffs, most_cutoffs)


class Snapshots:
    """Reads snapshots, each cutoff once.

    Parameters
    ----------
    market : Market
        The tables.
    spec : SnapshotSpec
        What to read.
    known_at : datetime or None
        Labels that became available later are not seen.
    most_rows : int
        Where all cutoffs together would have more rows, a stable sample of contacts is read.
    cutoffs : int
        How many cutoffs will be read together.
    """

    def __init__(
        self,
        market: "Market",
        spec: SnapshotSpec,
        *,
        known_at: datetime | None,
        most_rows: int,
        cutoffs: int,
    ) -> None:
        self.market = market
        self.spec = spec
        self.known_at = known_at
        self._only = _sample(market, most_rows, cutoffs)
        self._read: dict[datetime, Rows] = {}

    def at(self, cutoffs: Sequence[datetime]) -> Rows:
        """Return the rows of several cutoffs, one below the other.

        Parameters
        ----------
        cutoffs : sequence of datetime
            At least one.

        Returns
        -------
        Rows
            By cutoff, then by contact.
        """
        import pandas as pd

        parts = [self._one(cutoff) for cutoff in cutoffs]
        if len(parts) == 1:
            return parts[0]
        return Rows(
            pd.concat([part.features for part in parts], ignore_index=True),
            np.concatenate([part.label for part in parts]),
            np.concatenate([part.contact_id for part in parts]),
        )

    def _one(self, cutoff: datetime) -> Rows:
        if cutoff not in self._read:
            import pyarrow as pa

            batches = list(
                build(
                    self.market,
                    self.spec,
                    cutoffs=[cutoff],
                    known_at=self.known_at,
                    only=self._only,
                )
            )
            frame = pa.Table.from_batches(batches).to_pandas() if batches else None
            self._read[cutoff] = _as_rows(frame, self.spec)
        return self._read[cutoff]


def _as_rows(frame: "pd.DataFrame | None", spec: SnapshotSpec) -> Rows:
    import pandas as pd

    if frame is None:
        columns = {feature.name: np.empty(0) for feature in spec.features}
        return Rows(pd.DataFrame(columns), np.empty(0, np.int8), np.empty(0, object))
    return Rows(
        frame.drop(columns=[CONTACT_ID, AS_OF, _LABEL]),
        frame[_LABEL].to_numpy(dtype=np.int8),
        frame[CONTACT_ID].to_numpy(dtype=object),
    )


def _sample(market: "Market", most_rows: int, cutoffs: int) -> "pa.Table | None":
    """Return a stable sample of contacts where reading all would give too many rows."""
    contacts = market.table("contacts")
    people = int(contacts.count().execute())
    share = most_rows / max(people * max(cutoffs, 1), 1)
    if share >= 1.0:
        return None
    ids = contacts.select(CONTACT_ID).distinct().to_pyarrow()
    fractions = stable_fractions(_SALT, ids.column(CONTACT_ID).to_pylist())
    sampled: pa.Table = ids.filter(fractions < share)
    return sampled
