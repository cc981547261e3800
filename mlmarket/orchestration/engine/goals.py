"""Who has reached the goal of their journey, and when?"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from mlmarket.orchestration.behaviour import Behaviour, goals_reached
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.engine.walk import Times, Walk
from mlmarket.orchestration.journeys.journey import Journey

__all__ = ["first_goals"]

_GOAL_OF: Final = pa.schema({"version": pa.string(), "goal": pa.string()})


def first_goals(
    walk: Walk, versions: Mapping[str, Journey], events: Behaviour, *, now: datetime, bench: Bench
) -> Times:
    """Find the first goal after each entry, all journeys in one join.

    Parameters
    ----------
    walk : Walk
        The enrolments of the tick.
    versions : mapping of str to Journey
        The version that each of them is on.
    events : Behaviour
        Where behaviour is read, from the earliest entry on.
    now : datetime
        UTC without a zone.
    bench : Bench
        Where to compute.

    Returns
    -------
    ndarray of datetime64, shape (n,)
        For each row of the walk, when the goal was first reached after the entry and until
        the expiry; NaT where it was not.
    """
    goals = np.full(len(walk.entered), np.datetime64("NaT", "us"))
    rows = np.flatnonzero(walk.entered < walk.now)
    if not len(rows):
        return goals
    since = walk.entered[rows].min().item()
    types = sorted({journey.goal for journey in versions.values()})
    done = ibis.memtable(goals_reached(events, now, types=types, since=since))
    sought = _sought(walk, rows, versions)
    hits = sought.join(
        done,
        [
            sought["person"] == done["contact_id"],
            sought["goal"] == done["type"],
            done["occurred_at"] > sought["entered_at"],
            done["occurred_at"] <= sought["expires_at"],
        ],
    )
    first = bench.to_pyarrow(hits.group_by("n").agg(at=hits["occurred_at"].min()))
    goals[first["n"].to_numpy()] = first["at"].cast(pa.timestamp("us")).to_numpy()
    return goals


def _sought(walk: Walk, rows: np.ndarray, versions: Mapping[str, Journey]) -> ir.Table:
    names = list(versions)
    goal_of = {"version": names, "goal": [versions[name].goal for name in names]}
    wanted = ibis.memtable(pa.table(goal_of, schema=_GOAL_OF))
    places = pa.array(rows)
    followed = ibis.memtable(
        pa.table(
            {
                "n": rows,
                "person": walk.fixed["contact_id"].take(places),
                "pinned": walk.fixed["version"].take(places),
                "entered_at": walk.entered[rows],
                "expires_at": walk.expires[rows],
            }
        )
    )
    return followed.join(wanted, followed["pinned"] == wanted["version"])
