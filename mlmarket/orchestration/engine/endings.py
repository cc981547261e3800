"""Whose pass is over before its last step, and why?

A goal comes before an exit, an exit before the expiry. Goals, exits and expiry count in paused
journeys as well.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.orchestration.arbitration.reasons import Reason, named
from mlmarket.orchestration.engine.goals import Sought
from mlmarket.orchestration.engine.log import Log
from mlmarket.orchestration.engine.passes import (
    COMPLETED,
    EXITED,
    EXPIRED,
    GOAL,
    Passes,
)
from mlmarket.orchestration.engine.questions import Questions, Subjects
from mlmarket.orchestration.journeys.flow import Until, Wait
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.tables import CANCELLED, canonical

__all__ = ["Endings", "cancelled", "sought"]

Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]
Members = Callable[[str], Rows]


def sought(passes: Passes) -> list[Sought]:
    """Return all behaviour that goals, exits and waits look for, to be found in one join.

    Parameters
    ----------
    passes : Passes
        Before anything is decided.

    Returns
    -------
    list of Sought
        The answers to goals stand at the row itself, those to exits at the row plus the number
        of passes, those to waits at the row plus twice that number.
    """
    found = []
    count = len(passes)
    for place, journey in enumerate(passes.versions):
        rows = passes.of_version(place)
        rows = rows[passes.known[rows] & (passes.entered[rows] < passes.now)]
        if journey.goal is not None:
            goal = journey.goal
            found.append(_sought(passes, goal.event, goal.where, rows, 0, passes.entered))
        rows = rows[passes.active[rows]]
        if journey.exit.event is not None:
            found.append(_sought(passes, journey.exit.event, None, rows, count, passes.entered))
        for position, until in _events_awaited(journey):
            here = rows[passes.position[rows] == position]
            found.append(
                _sought(passes, str(until.event), until.where, here, 2 * count, passes.arrived)
            )
    return found


def _events_awaited(journey: Journey) -> list[tuple[int, Until]]:
    return [
        (node.position, node.content.until)
        for node in journey.nodes
        if isinstance(node.content, Wait)
        and node.content.until is not None
        and node.content.until.event is not None
    ]


def _sought(
    passes: Passes, event: str, where: str | None, rows: Rows, offset: int, after: Times
) -> Sought:
    waiting = offset == 2 * len(passes)
    until = passes.due[rows] if waiting else passes.expires[rows]
    return Sought(event, where, rows + offset, passes.person[rows], after[rows], until)


class Endings:
    """Ends passes, and writes down why.

    Parameters
    ----------
    passes : Passes
        All of the tick.
    log : Log
        Where decisions are written.
    """

    def __init__(self, passes: Passes, log: Log) -> None:
        self._passes, self._log = passes, log
        self._why = np.zeros(len(passes), dtype=np.int64)
        self.stalled: set[int] = set()

    def reach_goals(self, goals: Times) -> None:
        """End the passes whose goal was reached.

        Parameters
        ----------
        goals : ndarray of datetime64[us], shape (n,)
            When it first was, NaT where it was not.
        """
        rows = np.flatnonzero(~np.isnat(goals))
        self._passes.reached[rows] = goals[rows]
        self._end(rows, GOAL, "goal", 0)

    def leave(
        self, playbook: Playbook, members: Members, events: Times, questions: Questions
    ) -> None:
        """End the passes of those who are to leave.

        Parameters
        ----------
        playbook : Playbook
            Journeys that are not in it any more are left by everybody.
        members : callable
            Returns the people of a segment, by number.
        events : ndarray of datetime64[us], shape (n,)
            When the event of the exit occurred, NaT where it did not.
        questions : Questions
            Who answers conditions.
        """
        passes = self._passes
        if passes.people.all_known:
            self._exit(np.flatnonzero(~passes.known), Reason.UNKNOWN_CONTACT)
        for place, journey in enumerate(passes.versions):
            rows = passes.of_version(place)
            if playbook.journey(journey.journey) is None:
                # Whoever removes a journey's file wants it to stop, for older versions too.
                self._exit(rows, Reason.JOURNEY_WITHDRAWN)
                continue
            if journey.exit.left_segment:
                inside = np.isin(passes.person[rows], members(str(journey.entry.segment)))
                self._exit(rows[~inside], Reason.LEFT_SEGMENT)
            self._exit(rows[~np.isnat(events[rows])], Reason.EXIT_EVENT)
            self._exit_by_condition(place, journey, rows, questions)

    def _exit_by_condition(
        self, place: int, journey: Journey, rows: Rows, questions: Questions
    ) -> None:
        passes = self._passes
        rows = rows[passes.active[rows] & passes.known[rows]]
        if journey.exit.when is None or not len(rows):
            return
        subjects = Subjects(passes.person[rows], passes.entered[rows], passes.arrived[rows])
        key = f"{journey.journey}, exit.when"
        answers = questions.suppresses({key: journey.exit.when}, subjects)
        if answers.lacking:
            # A predictor that was skipped tonight must not end everybody's journey; but nobody
            # moves on who might have left.
            self.stalled.add(place)
            return
        self._exit(rows[answers.holds[key]], Reason.EXIT_CONDITION)

    def hold_out(self, rows: Rows) -> None:
        """End passes of people whom the global holdout has come to cover since."""
        self._exit(rows, Reason.GLOBAL_HOLDOUT)

    def drop(self, rows: Rows) -> None:
        """End passes whose message says so."""
        self._exit(rows, Reason.DROPPED)

    def expire(self) -> None:
        """End the active passes whose time is over."""
        passes = self._passes
        rows = np.flatnonzero(passes.active & (passes.expires <= passes.now))
        self._end(rows, EXPIRED, "expired", passes.held[rows])

    def complete(self, rows: Rows) -> None:
        """End passes that have done all their steps."""
        self._end(rows, COMPLETED, "completed", 0)

    def grow(self) -> None:
        """Make room for passes that were added."""
        more = len(self._passes) - len(self._why)
        self._why = np.concatenate([self._why, np.zeros(more, dtype=np.int64)])

    def reasons(self, rows: Rows) -> list[str]:
        """Return in words why passes ended: the status, or the reason of an exit."""
        statuses = {GOAL: "goal", EXPIRED: "expired"}
        ended = zip(self._passes.status[rows].tolist(), self._why[rows].tolist(), strict=True)
        return [statuses.get(status) or named(why)[0] for status, why in ended]

    def _exit(self, rows: Rows, reason: Reason) -> None:
        rows = rows[self._passes.active[rows]]
        self._why[rows] = int(reason)
        self._end(rows, EXITED, "exit", int(reason))

    def _end(
        self, rows: Rows, status: int, outcome: str, reasons: npt.NDArray[np.int64] | int
    ) -> None:
        passes = self._passes
        self._log.decide(rows, "end", outcome, reasons=reasons)
        passes.status[rows] = status
        passes.ended[rows] = passes.now
        passes.held[rows] = 0


_ENDS_MESSAGES: Final = (GOAL, EXITED, EXPIRED)


def cancelled(passes: Passes, endings: Endings, sent: pa.Table) -> pa.Table:
    """Return what waits in the outbox for passes that have just ended.

    Who has merely come to the last step still gets what was decided before.

    Parameters
    ----------
    passes : Passes
        At the end of the tick.
    endings : Endings
        Why they ended.
    sent : pyarrow.Table
        What was decided to be sent before this tick.

    Returns
    -------
    pyarrow.Table
        The table ``cancelled``.
    """
    pending = sent.filter(pc.equal(sent["status"], "pending"))
    ended = np.flatnonzero(
        np.isin(passes.status, _ENDS_MESSAGES) & (passes.ended == passes.now) & passes.changed
    )
    if not len(pending) or not len(ended):
        return CANCELLED.empty_table()
    place = pc.index_in(pending["enrolment_id"], value_set=passes.text("enrolment_id", ended))
    hit = pending["idempotency_key"].filter(place.is_valid())
    rows = ended[place.drop_null().to_numpy()]
    table = pa.table({"idempotency_key": hit, "reason": endings.reasons(rows)}, schema=CANCELLED)
    return canonical("cancelled", table)
