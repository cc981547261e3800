"""How do the parts of one tick come together?"""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.orchestration.arbitration.weighing import weigh
from mlmarket.orchestration.behaviour import Behaviour
from mlmarket.orchestration.conditions.answering import Known
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.engine.endings import Endings, cancelled, sought
from mlmarket.orchestration.engine.entries import Doors
from mlmarket.orchestration.engine.goals import first_times
from mlmarket.orchestration.engine.log import Log
from mlmarket.orchestration.engine.outbox import Outbox
from mlmarket.orchestration.engine.passes import Newcomers, Passes
from mlmarket.orchestration.engine.people import People
from mlmarket.orchestration.engine.questions import Questions, Subjects
from mlmarket.orchestration.engine.waits import Waits
from mlmarket.orchestration.engine.walk import Means, Walk
from mlmarket.orchestration.engine.ways import Ways
from mlmarket.orchestration.engine.weighing import apply, candidates_of, under_way
from mlmarket.orchestration.journeys.flow import Wait
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.segments.membership import find_members
from mlmarket.orchestration.segments.rules import Sources
from mlmarket.orchestration.state.standing import State
from mlmarket.orchestration.tables import canonical

__all__ = ["Night"]

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Night:
    """One tick while it runs; its methods are called in their order.

    Parameters
    ----------
    state : State
        Where everybody stands.
    enrolments : pyarrow.Table
        The passes that are followed.
    versions : mapping of str to Journey
        The definitions of all versions.
    people : People
        Who is there.
    events : Behaviour
        Where behaviour is read.
    now : datetime
        UTC without a zone.
    bench : Bench
        Where to compute.
    """

    def __init__(
        self,
        state: State,
        enrolments: pa.Table,
        versions: Mapping[str, Journey],
        people: People,
        events: Behaviour,
        *,
        now: datetime,
        bench: Bench,
    ) -> None:
        self._state, self._people, self._events = state, people, events
        self._now, self._bench = now, bench
        self._passes = Passes(enrolments, list(versions.values()), people, now)
        self._log = Log(self._passes)
        self._endings = Endings(self._passes, self._log)
        self._outbox = Outbox(self._passes, now=now, bench=bench)
        self._members: dict[str, Rows] = {}

    def decide_segments(self, only: pa.Array | None) -> None:
        """Decide who is in which segment."""
        self.segments = find_members(
            self._people.table,
            self._state.playbook,
            self._state.members,
            now=self._now,
            bench=self._bench,
            sources=Sources(self._events, self._state.sent),
            touched=only,
        )

    def members(self, segment: str) -> Rows:
        """Return the people of a segment, by number."""
        if segment not in self._members:
            table = self.segments.memberships
            rows = table.filter(pc.equal(table["segment"], segment))
            numbers = np.unique(self._people.numbers(rows["contact_id"]))
            self._members[segment] = numbers[numbers >= 0]
        return self._members[segment]

    def end_passes(self) -> None:
        """End the passes of those who reached the goal, have to leave, or are too late."""
        passes, count = self._passes, len(self._passes)
        known = Known(memberships=self.segments.memberships, sent=self._state.sent)
        self._questions = Questions(
            self._people, self._events, known, now=self._now, bench=self._bench
        )
        found = first_times(
            sought(passes), 3 * count, self._events, self._people, now=self._now, bench=self._bench
        )
        self._endings.reach_goals(found[:count])
        events = found[count : 2 * count]
        self._endings.leave(self._state.playbook, self.members, events, self._questions)
        self._endings.expire()
        self._happened = found[2 * count :]

    def let_in(self) -> None:
        """Let people come into the journeys that are released."""
        self._doors = Doors(
            self._passes,
            self._state,
            self.segments,
            self._events,
            self._questions,
            now=self._now,
            bench=self._bench,
        )
        self._new = self._come_in(self._doors.newcomers())

    def _come_in(self, newcomers: list[Newcomers]) -> Rows:
        passes = self._passes
        rows = passes.add(newcomers)
        self._endings.grow()
        self._log.decide(rows, "entry", "entered", reasons=passes.held_out[rows])
        return rows

    def move_on(self) -> None:
        """Let everybody walk, have their messages weighed, and let them walk on."""
        passes = self._passes
        self._end_newly_held_out()
        walk = Walk(passes, self._means())
        moving = self._may_move()
        walk.begin(np.flatnonzero(moving & ((passes.due <= passes.now) | self._awaiting())))
        walk.come_in(self._new[moving[self._new]])
        walk.advance()
        asked = walk.candidates()
        if asked:
            candidates = candidates_of(asked, passes, walk.means)
            suppressed = self._suppressed(candidates.person)
            verdicts = weigh(
                candidates,
                contact_ids=self._people.ids,
                playbook=self._state.playbook,
                state=self._state,
                events=self._events,
                people=self._people.table,
                bench=self._bench,
                now=self._now,
                active=under_way(passes),
                memberships=self.segments.memberships,
                handed_over=suppressed["handover"],
                unhygienic=suppressed["hygiene"],
            )
            apply(verdicts, asked, walk)
            walk.advance()
        self._start(walk)

    def _suppressed(self, person: Rows) -> dict[str, Flags]:
        """Return for whom the policy's conditions hold, or are not known, by person."""
        policy = self._state.playbook.policy
        texts = {"handover": policy.handover, "hygiene": policy.hygiene}
        asked = np.unique(person)
        moments = np.full(len(asked), self._passes.now)
        answers = self._questions.suppresses(
            {key: text for key, text in texts.items() if text is not None},
            Subjects(asked, moments, moments),
            anchors=(),
        )
        flags = {key: np.zeros(len(self._people), dtype=np.bool_) for key in texts}
        for key, holds in answers.holds.items():
            flags[key][asked] = holds
        return flags

    def _means(self) -> Means:
        nothing = np.full(len(self._passes) - len(self._happened), np.datetime64("NaT", "us"))
        happened = np.concatenate([self._happened, nothing])
        ways = Ways(self._passes, self._log, self._questions, self.members, happened)
        waits = Waits(self._people, self._bench)
        return Means(self._log, self._endings, waits, ways, self._outbox)

    def _may_move(self) -> Flags:
        """Return whose journey is released, not paused, and decided tonight."""
        passes, releases = self._passes, self._state.releases
        moves = [
            place not in self._endings.stalled
            and journey.journey in releases
            and releases[journey.journey].status == "approved"
            for place, journey in enumerate(passes.versions)
        ]
        flags: Flags = passes.active & passes.known & np.array([*moves, False])[passes.version]
        return flags

    def _awaiting(self) -> Flags:
        """Return who waits until something happens: they are asked at each tick."""
        passes = self._passes
        flags = np.zeros(len(passes), dtype=np.bool_)
        for place, journey in enumerate(passes.versions):
            positions = [
                node.position
                for node in journey.nodes
                if isinstance(node.content, Wait) and node.content.until is not None
            ]
            if positions:
                rows = passes.of_version(place)
                flags[rows] = np.isin(passes.position[rows], positions)
        return flags

    def _end_newly_held_out(self) -> None:
        """End passes of people who came in before the global holdout grew to hold them."""
        passes = self._passes
        ready = np.flatnonzero(
            passes.active & passes.known & (passes.due <= passes.now) & (passes.held_out == 0)
        )
        drawn = self._doors.held_out_everywhere[passes.person[ready]]
        self._endings.hold_out(ready[drawn])

    def _start(self, walk: Walk) -> None:
        """Begin the journeys that others have started; people walk there from the next tick on."""
        passes = self._passes
        for name in sorted({one.journey for one in walk.starting}):
            steps = [one for one in walk.starting if one.journey == name]
            person = np.unique(np.concatenate([passes.person[one.rows] for one in steps]))
            newcomers = self._doors.started(name, person)
            let_in = np.zeros(0, dtype=np.int64) if newcomers is None else newcomers.person
            for one in steps:
                comes = np.isin(passes.person[one.rows], let_in)
                self._log.decide(one.rows[comes], one.node.name, "act", way="let_in")
                self._log.decide(one.rows[~comes], one.node.name, "act", way="not_let_in")
            if newcomers is not None:
                walk.stand(self._come_in([newcomers]))

    def enrolments(self) -> pa.Table:
        """Return the passes that are new or have changed."""
        rows = np.flatnonzero(self._passes.changed)
        return canonical("enrolments", self._passes.table(rows))

    def decisions(self, tick_id: str) -> pa.Table:
        """Return the decisions."""
        return self._log.table(tick_id, self._bench)

    def outbox(self) -> pa.Table:
        """Return what is to be handed over."""
        return self._outbox.table()

    def cancelled(self) -> pa.Table:
        """Return what is not to be handed over any more."""
        return cancelled(self._passes, self._endings, self._state.sent)
