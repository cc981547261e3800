"""How do people in flight come to a newer version of their journey?"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.state.approvals import log, releases
from mlmarket.orchestration.state.committing import keep_journey
from mlmarket.orchestration.state.database import Database
from mlmarket.orchestration.state.reading import read_versions

__all__ = ["MigrationPlan", "Move", "migrate", "plan_migration"]

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of those who stand at one step of one older version.

    Parameters
    ----------
    from_version, from_step : str
        Where they are.
    to_step : str or None
        Where they come to in the new version; None where they stay.
    people : int
        How many.
    """

    from_version: str
    from_step: str
    to_step: str | None
    people: int


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """Who moves to a version and who stays.

    Parameters
    ----------
    journey : str
        The journey.
    to_version : str
        The version they move to.
    moves : tuple of Move
        By version and position.
    done : bool
        False for a dry run.
    """

    journey: str
    to_version: str
    moves: tuple[Move, ...]
    done: bool

    @property
    def moving(self) -> int:
        """How many people move."""
        return sum(move.people for move in self.moves if move.to_step is not None)

    @property
    def staying(self) -> int:
        """How many people stay on their version."""
        return sum(move.people for move in self.moves if move.to_step is None)

    def to_text(self) -> str:
        """Return it in lines to read.

        Returns
        -------
        str
            One line for each step of an older version.
        """
        word = "moved" if self.done else "would move"
        lines = [
            f"{self.journey} to {self.to_version}: {self.moving:,} {word}, {self.staying:,} stay."
        ]
        for move in self.moves:
            where = f"go on at '{move.to_step}'"
            if move.to_step is None:
                where = f"stay; --map {move.from_step}=STEP says where they go on"
            lines.append(
                f"  {move.people:>8,} at '{move.from_step}' of {move.from_version} {where}"
            )
        return "\n".join(lines)


_IN_FLIGHT = """
    SELECT s.version, s.position, count(*) AS people
    FROM standing AS s JOIN enrolments AS e USING (enrolment)
    WHERE s.until IS NULL AND s.status = 'active' AND e.journey = $journey
        AND s.version <> $version
    GROUP BY ALL ORDER BY ALL"""
_MOVE = """
    INSERT INTO standing
    SELECT s.enrolment, $version, e.entered_at + to_microseconds($lasts), m.to_position,
        s.arrived_at, s.due_at, s.status, s.holdout, s.held_for, s.ended_at, s.goal_at, NULL, NULL
    FROM standing AS s JOIN enrolments AS e USING (enrolment)
    JOIN steps AS m ON m.version = s.version AND m.position = s.position
    WHERE s.until IS NULL AND s.status = 'active' AND e.journey = $journey
    ORDER BY s.enrolment"""
_CLOSE = """
    UPDATE standing SET until = $tick WHERE until IS NULL AND version <> $version
        AND enrolment IN (
            SELECT enrolment FROM standing WHERE until IS NULL GROUP BY enrolment
            HAVING count(*) > 1)"""


def plan_migration(
    database: Database, to: Journey, mapping: Mapping[str, str] | None, *, done: bool = False
) -> tuple[MigrationPlan, pa.Table]:
    """Work out who would come where.

    Parameters
    ----------
    database : Database
        The state.
    to : Journey
        The new version.
    mapping : mapping of str to str, optional
        The new step of steps that have no name, or another one now.
    done : bool
        Whether the plan is carried out.

    Returns
    -------
    MigrationPlan, pyarrow.Table
        The plan, and the positions of those who move: version, position, to_position.
    """
    rows = database.rows(_IN_FLIGHT, journey=to.journey, version=to.version)
    versions = read_versions(database)
    old = {str(version): versions[str(version)] for version, _, _ in rows}
    wanted = dict(mapping or {})
    _refuse_unknown(wanted, old, to)
    moves, steps = [], []
    for version, place, people in rows:
        position = int(str(place))
        target = _target(old[str(version)], position, to, wanted)
        step = old[str(version)].step_name(position)
        to_step = None if target is None else to.step_name(target)
        moves.append(Move(str(version), step, to_step, int(str(people))))
        if target is not None:
            row = {"version": str(version), "position": position, "to_position": target}
            steps.append(row)
    schema = pa.schema({"version": pa.string(), "position": pa.int32(), "to_position": pa.int32()})
    plan = MigrationPlan(to.journey, to.version, tuple(moves), done)
    return plan, pa.Table.from_pylist(steps, schema=schema)


def _target(old: Journey, position: int, to: Journey, wanted: Mapping[str, str]) -> int | None:
    """Return the position of the step of the same name; a name by number alone says nothing."""
    places = {node.name: node.position for node in to.nodes}
    name = old.step_name(position)
    if name in wanted:
        return places[wanted[name]]
    if position >= len(old.nodes) or getattr(old.nodes[position].content, "name", None) is None:
        return None
    return places.get(name)


def _refuse_unknown(wanted: Mapping[str, str], old: Mapping[str, Journey], to: Journey) -> None:
    before = {node.name for version in old.values() for node in version.nodes}
    after = {node.name for node in to.nodes}
    for source, target in wanted.items():
        if before and source not in before:
            what = f"No older version of '{to.journey}' that people are on has a step '{source}'."
            why = "Nobody would be moved from it."
            raise ConfigurationError(what, why, suggestion(source, before))
        if target not in after:
            what = f"Version {to.version} of '{to.journey}' has no step '{target}'."
            raise ConfigurationError(what, "Nobody can come to it.", suggestion(target, after))


def migrate(
    database: Database,
    to: Journey,
    mapping: Mapping[str, str] | None,
    *,
    by: str,
    at: datetime,
) -> MigrationPlan:
    """Move people, within a transaction; see :meth:`StateStore.migrate`."""
    released = releases(database).get(to.journey)
    if released is None or released.version != to.version:
        what = f"Version {to.version} of the journey '{to.journey}' is not approved."
        why = "People would be moved to steps that nobody has allowed."
        raise ConfigurationError(what, why, "approve it first, or plan with dry_run=True.")
    plan, steps = plan_migration(database, to, mapping, done=True)
    keep_journey(database, to)
    values = {
        "version": to.version,
        "journey": to.journey,
        "lasts": to.expires_after // _MICROSECOND,
        "tick": database.number("SELECT coalesce(max(number), 0) FROM ticks"),
    }
    with database.lent(steps=steps):
        database.run(_MOVE, **values)
    database.run(_CLOSE, **values)
    detail = f"{plan.moving} people moved, {plan.staying} stayed"
    log(database, "migrated", by=by, at=at, journey=to.journey, version=to.version, detail=detail)
    return plan
