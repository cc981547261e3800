"""How do people move on through their journeys in one tick?

A journey is walked by position, not by person: all people who stand at the same step of the same
version are decided together. Waits begin when the step before them is done, so a missed night
never lets two messages of one person fall together; a pass comes to each step at most once a tick.

People stop at a message until arbitration has weighed all messages of the tick; then they walk on.
People in a holdout walk the same way. Where nothing but the holdout speaks against a message it
is *withheld* and they move on, as those who were sent it do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlmarket.orchestration.arbitration.reasons import Reason
from mlmarket.orchestration.engine.endings import Endings
from mlmarket.orchestration.engine.log import Log
from mlmarket.orchestration.engine.outbox import Outbox
from mlmarket.orchestration.engine.passes import Passes
from mlmarket.orchestration.engine.waits import Waits
from mlmarket.orchestration.engine.ways import Ways
from mlmarket.orchestration.journeys.actions import Audience, Message, Start
from mlmarket.orchestration.journeys.flow import Branch, Split, Wait
from mlmarket.orchestration.journeys.nodes import Node

__all__ = ["Asked", "Means", "Starting", "Walk"]

Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]

_NEXT: Final = np.timedelta64(1, "us")
"""After this tick and before any other."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a walk is done with.

    Parameters
    ----------
    log : Log
        Where decisions are written.
    endings : Endings
        Ends passes.
    waits : Waits
        Says when waits are over.
    ways : Ways
        Chooses between ways.
    outbox : Outbox
        Takes what is handed over.
    """

    log: Log
    endings: Endings
    waits: Waits
    ways: Ways
    outbox: Outbox


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A message of one version, and the passes that stand before it."""

    place: int
    node: Node
    rows: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Starting:
    """A step that starts another journey, and the passes that came to it."""

    node: Node
    journey: str
    rows: Rows


@dataclass(slots=True)
class Walk:
    """One tick's way through all journeys.

    Parameters
    ----------
    passes : Passes
        Who walks.
    means : Means
        What it is done with.
    asked : list of Asked
        The messages that people have come to; filled by :meth:`advance`.
    starting : list of Starting
        The journeys to be started; filled by :meth:`advance`.
    """

    passes: Passes
    means: Means
    asked: list[Asked] = field(default_factory=list)
    starting: list[Starting] = field(default_factory=list)
    _walking: Flags = field(init=False)
    _arriving: Flags = field(init=False)
    _weighed: Flags = field(init=False)
    _visited: dict[tuple[int, int], Rows] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.passes)
        self._walking = np.zeros(count, dtype=np.bool_)
        self._arriving = np.zeros(count, dtype=np.bool_)
        self._weighed = np.zeros(count, dtype=np.bool_)

    def begin(self, rows: Rows) -> None:
        """Let rows walk from the step at which they stand.

        Parameters
        ----------
        rows : ndarray of int64
            Passes whose next step is due, or that wait for something that may have happened.
        """
        self._walking[rows] = True

    def come_in(self, rows: Rows) -> None:
        """Let new passes come to their first step, and walk on from there."""
        self._arriving[rows] = True
        self._walking[rows] = True

    def stand(self, rows: Rows) -> None:
        """Let new passes come to their first step, and no further in this tick."""
        passes = self.passes
        more = np.zeros(len(passes) - len(self._walking), dtype=np.bool_)
        for name in ("_walking", "_arriving", "_weighed"):
            setattr(self, name, np.concatenate([getattr(self, name), more]))
        for place in np.unique(passes.version[rows]):
            here = rows[passes.version[rows] == place]
            node = passes.versions[place].nodes[0]
            if isinstance(node.content, Wait):
                self._begin_wait(place, node, here)

    def advance(self) -> None:
        """Take everybody who walks as far as they can get now."""
        for place in np.unique(self.passes.version[self._walking]):
            self._advance(int(place))

    def _advance(self, place: int) -> None:
        passes = self.passes
        journey = passes.versions[place]
        rows = np.flatnonzero(self._walking & (passes.version == place))
        for _ in range(len(journey.nodes) + 1):
            if not self._walking[rows].any():
                return
            for node in journey.nodes:
                here = rows[self._walking[rows] & (passes.position[rows] == node.position)]
                here = self._first_visits(place, node, here)
                if len(here):
                    self._do(place, node, here)
            done = rows[self._walking[rows] & (passes.position[rows] >= len(journey.nodes))]
            self._walking[done] = False
            self.means.endings.complete(done)

    def _first_visits(self, place: int, node: Node, rows: Rows) -> Rows:
        """Stop those who have come to a step in this tick before; return the others."""
        before = self._visited.get((place, node.position))
        if before is not None and len(rows):
            again = np.isin(rows, before)
            self._stop(rows[again])
            rows = rows[~again]
        # Who leaves a wait has not come to it, and may come back to it.
        coming = rows[self._arriving[rows]] if isinstance(node.content, Wait) else rows
        self._visited[place, node.position] = (
            coming if before is None else np.concatenate([before, coming])
        )
        return rows

    def _stop(self, rows: Rows) -> None:
        """Let rows come to the step where they stand at the next tick, not in this one."""
        passes = self.passes
        self._walking[rows] = False
        passes.arrived[rows] = passes.now + _NEXT
        passes.due[rows] = np.maximum(passes.due[rows], passes.now + _NEXT)

    def _do(self, place: int, node: Node, rows: Rows) -> None:
        content = node.content
        if isinstance(content, Message) or (isinstance(content, Audience) and content.add):
            self._walking[rows] = False
            self.asked.append(Asked(place, node, rows[~self._weighed[rows]]))
        elif isinstance(content, Wait):
            self._wait(place, node, rows)
        elif isinstance(content, Branch):
            self.means.ways.branch(node, content, rows, self.move)
        elif isinstance(content, Split):
            self.means.ways.split(place, node, content, rows, self.move)
        elif isinstance(content, Start):
            self.starting.append(Starting(node, content.journey, rows))
            self.move(rows, node.next)
        else:
            self._act(place, node, rows)

    def _wait(self, place: int, node: Node, rows: Rows) -> None:
        coming = self._arriving[rows]
        self._begin_wait(place, node, rows[coming])
        stood = rows[~coming]
        content = node.content
        if isinstance(content, Wait) and content.until is not None:
            way = self.means.ways.awaited(node, content.until, stood)
            self._go_on(node, stood, way)
        else:
            self.move(stood, node.next)

    def _begin_wait(self, place: int, node: Node, rows: Rows) -> None:
        if not len(rows) or not isinstance(node.content, Wait):
            return
        passes, journey = self.passes, self.passes.versions[place]
        over = self.means.waits.over(node.content, journey, passes.person[rows], passes.clock[rows])
        passes.due[rows] = over
        self._walking[rows] = False
        waiting = over > passes.now
        if node.content.until is None:
            self.means.log.decide(rows, node.name, "wait", due=over)
            past = rows[~waiting & self._arriving[rows]]
            self._walking[past] = True
            self.move(past, node.next)
            return
        # What it waits for may hold already; an event has to come first.
        way = self.means.ways.at_arrival(node, node.content.until, rows)
        self.means.log.decide(rows[way < 0], node.name, "wait", due=over[way < 0])
        self._walking[rows] = way >= 0
        self._go_on(node, rows, way)

    def _go_on(self, node: Node, rows: Rows, way: Rows) -> None:
        """Take the sides of a wait; -1 stays."""
        self._walking[rows[way < 0]] = False
        for place, name in enumerate(node.way_names):
            chosen = rows[way == place]
            self.means.log.decide(chosen, node.name, "wait", way=name)
            self.move(chosen, node.ways[place])

    def _act(self, place: int, node: Node, rows: Rows) -> None:
        passes, log = self.passes, self.means.log
        lacks = self.means.outbox.lacking(node, rows)
        missing = np.full(len(rows), int(Reason.MISSING_TOKEN))
        self.hold(node, rows[lacks], missing[lacks])
        rows = rows[~lacks]
        held_out = passes.held_out[rows]
        spared, told = rows[held_out != 0], rows[held_out == 0]
        log.decide(spared, node.name, "withheld", reasons=passes.held_out[spared])
        log.decide(told, node.name, "act")
        self.means.outbox.put(place, node, told)
        self.move(rows, node.next)

    def hold(
        self,
        node: Node,
        rows: Rows,
        reasons: Rows,
        *,
        fate: str = "hold",
        winner: pa.Array | None = None,
    ) -> None:
        """Keep rows at a step; write down only reasons that have changed.

        Parameters
        ----------
        node : Node
            The step.
        rows : ndarray of int64, shape (n,)
            Who stays.
        reasons : ndarray of int64, shape (n,)
            Why.
        fate : str, default 'hold'
            What becomes of the message.
        winner : pyarrow.Array of string, shape (n,), optional
            What went first.
        """
        passes = self.passes
        self._walking[rows] = False
        news = passes.held[rows] != reasons
        self.means.log.decide(
            rows[news],
            node.name,
            "suppressed",
            reasons=reasons[news],
            fate=fate,
            due=passes.due[rows[news]] if fate == "defer" else None,
            winner=None if winner is None else winner.filter(pa.array(news)),
        )
        passes.held[rows[news]] = reasons[news]

    def move(self, rows: Rows, position: int) -> None:
        """Bring rows to another step, where they go on walking."""
        passes = self.passes
        passes.position[rows] = position
        passes.arrived[rows] = passes.now
        passes.due[rows] = np.maximum(passes.now, passes.clock[rows])
        passes.held[rows] = 0
        passes.changed[rows] = True
        self._arriving[rows] = True

    def resume(self, rows: Rows, node: Node, clock: Times | None = None) -> None:
        """Let rows go on behind a message that has been decided.

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
            Who.
        node : Node
            The message.
        clock : ndarray of datetime64[us], shape (n,), optional
            When it goes out: a wait behind it begins then.
        """
        if clock is not None:
            self.passes.clock[rows] = clock
        self._weighed[rows] = True
        self.move(rows, node.next)
        self._walking[rows] = True

    def candidates(self) -> Sequence[Asked]:
        """Return the messages to be weighed, in the order of versions and steps; forget them."""
        asked, self.asked = self.asked, []
        found = [one for one in asked if len(one.rows)]
        return sorted(found, key=lambda one: (one.place, one.node.position))
