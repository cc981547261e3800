"""Who did what a journey is for, and when first?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlmarket.orchestration.behaviour import Behaviour, activity_known
from mlmarket.orchestration.conditions.matching import EventMatch
from mlmarket.orchestration.engine.bench import Bench, brought
from mlmarket.orchestration.engine.people import People

__all__ = ["Sought", "first_times"]

Rows = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]

NEVER = np.datetime64("NaT", "us")


@dataclass(frozen=True, slots=True, eq=False)
class Sought:
    """A kind of behaviour that some passes look for.

    Parameters
    ----------
    event : str
        The type of behaviour.
    where : str or None
        A condition over the event.
    rows : ndarray of int64, shape (n,)
        Where the answer belongs.
    person : ndarray of int64, shape (n,)
        Who.
    after, until : ndarray of datetime64[us], shape (n,)
        It counts after the one and up to the other.
    """

    event: str
    where: str | None
    rows: Rows
    person: Rows
    after: Times
    until: Times


def first_times(
    sought: Sequence[Sought],
    count: int,
    events: Behaviour,
    people: People,
    *,
    now: datetime,
    bench: Bench,
) -> Times:
    """Find when each row's behaviour first occurred, all kinds in one join.

    Parameters
    ----------
    sought : sequence of Sought
        No row in two of them.
    count : int
        The number of rows.
    events : Behaviour
        Where behaviour is read, from the earliest moment that counts.
    people : People
        Who is there.
    now : datetime
        UTC without a zone.
    bench : Bench
        Where to compute.

    Returns
    -------
    ndarray of datetime64[us], shape (count,)
        NaT where it did not occur.
    """
    found = np.full(count, NEVER)
    asked = [one for one in sought if len(one.rows)]
    if not asked:
        return found
    since = min(one.after.min() for one in asked).item()
    kinds = {(one.event, one.where): place for place, one in enumerate(asked)}
    done = _done(kinds, events, people, since, now, bench)
    wanted = ibis.memtable(
        pa.table(
            {
                "n": np.concatenate([one.rows for one in asked]),
                "who": np.concatenate([one.person for one in asked]),
                "wanted": np.repeat(
                    [kinds[one.event, one.where] for one in asked], [len(one.rows) for one in asked]
                ),
                "after": np.concatenate([one.after for one in asked]),
                "until": np.concatenate([one.until for one in asked]),
            }
        )
    )
    hits = wanted.join(
        done,
        [
            wanted["who"] == done["person"],
            wanted["wanted"] == done["kind"],
            done["occurred_at"] > wanted["after"],
            done["occurred_at"] <= wanted["until"],
        ],
    )
    first = bench.to_pyarrow(hits.group_by("n").agg(at=hits["occurred_at"].min()))
    found[first["n"].to_numpy()] = first["at"].cast(pa.timestamp("us")).to_numpy()
    return found


def _done(
    kinds: dict[tuple[str, str | None], int],
    events: Behaviour,
    people: People,
    since: datetime,
    now: datetime,
    bench: Bench,
) -> ir.Table:
    """Return person, kind and time of what people did."""
    types = sorted({event for event, _ in kinds})
    activity = activity_known(events, types, since=since, now=now)
    pieces = []
    for (event, where), place in kinds.items():
        rows = activity.filter(EventMatch.parse(event, where).matches(activity))
        pieces.append(
            rows.select("contact_id", "occurred_at", kind=ibis.literal(place, type="int64"))
        )
    rows = brought(ibis.union(*pieces) if len(pieces) > 1 else pieces[0], bench)
    who = people.numbers(rows["contact_id"])
    # Numbers are joined several times faster than ids, and take a tenth of the memory.
    return ibis.memtable(rows.drop_columns("contact_id").append_column("person", pa.array(who)))
