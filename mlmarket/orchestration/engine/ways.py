"""Which way do people take where a journey parts?"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlmarket.evaluation.assignment import stable_fractions
from mlmarket.orchestration.engine.log import Log
from mlmarket.orchestration.engine.passes import Passes
from mlmarket.orchestration.engine.questions import Questions, Subjects
from mlmarket.orchestration.journeys.flow import Branch, Split, Until
from mlmarket.orchestration.journeys.nodes import Node

__all__ = ["Members", "Ways"]

Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]

_MET, _TIMED_OUT, _STAYS = 0, 1, -1

Members = Callable[[str], Rows]
"""Returns the people of a segment, by number."""
Mover = Callable[[Rows, int], None]


class Ways:
    """Decides branches, splits and what waits are for.

    Parameters
    ----------
    passes : Passes
        Who has come there.
    log : Log
        Where decisions are written.
    questions : Questions
        Who answers conditions.
    members : callable
        Returns the people of a segment, by number.
    happened : ndarray of datetime64[us]
        When the event that a pass waits for occurred, NaT where it did not.
    """

    def __init__(
        self,
        passes: Passes,
        log: Log,
        questions: Questions,
        members: Members,
        happened: Times,
    ) -> None:
        self._passes, self._log, self._questions = passes, log, questions
        self._members, self._happened = members, happened
        # A branch looks back at the step that people stood at, where the time has passed.
        self._stood = passes.arrived.copy()

    def _subjects(self, rows: Rows) -> Subjects:
        passes = self._passes
        return Subjects(passes.person[rows], passes.entered[rows], self._stood[rows])

    def branch(self, node: Node, branch: Branch, rows: Rows, move: Mover) -> None:
        """Send everybody the first way whose condition holds.

        Parameters
        ----------
        node : Node
            The step.
        branch : Branch
            Its conditions.
        rows : ndarray of int64
            Who has come there.
        move : callable
            Brings rows to a position.
        """
        texts = {f"{node.name}, {path.name}": path.when for path in branch.paths}
        answers = self._questions.permits(texts, self._subjects(rows), with_seen=True)
        flags = np.array([answers.holds[key] for key in texts])
        way = np.where(flags.any(axis=0), flags.argmax(axis=0), len(branch.paths))
        for place, name in enumerate(node.way_names):
            chosen = np.flatnonzero(way == place)
            seen = None if answers.seen is None else answers.seen.take(pa.array(chosen))
            self._log.decide(rows[chosen], node.name, "branch", way=name, seen=seen)
            move(rows[chosen], node.ways[place])

    def split(self, place: int, node: Node, split: Split, rows: Rows, move: Mover) -> None:
        """Send everybody the way that their lot falls on, whoever else comes there.

        Parameters
        ----------
        place : int
            The version.
        node : Node
            The step.
        split : Split
            Its arms.
        rows : ndarray of int64
            Who has come there.
        move : callable
            Brings rows to a position.
        """
        salt = f"split|{self._passes.versions[place].journey}|{split.name}"
        lots = stable_fractions(salt, self._passes.contacts(rows).to_pylist())
        upper = np.cumsum(split.shares)[:-1]
        way = np.searchsorted(upper, lots, side="right")
        for arm, name in enumerate(node.way_names):
            chosen = rows[way == arm]
            self._log.decide(chosen, node.name, "split", way=name)
            move(chosen, node.ways[arm])

    def at_arrival(self, node: Node, until: Until, rows: Rows) -> Rows:
        """Return who need not wait at all: 0, and -1 for those who have to."""
        if until.event is not None:
            return np.full(len(rows), _STAYS)
        return np.where(self._holds(node, until, rows), _MET, _STAYS)

    def awaited(self, node: Node, until: Until, rows: Rows) -> Rows:
        """Return 0 for those for whom it happened, 1 where the time is up, -1 for the others."""
        if not len(rows):
            return np.zeros(0, dtype=np.int64)
        if until.event is not None:
            met = ~np.isnat(self._happened[rows])
        else:
            met = self._holds(node, until, rows)
        late = self._passes.due[rows] <= self._passes.now
        return np.where(met, _MET, np.where(late, _TIMED_OUT, _STAYS))

    def _holds(self, node: Node, until: Until, rows: Rows) -> Flags:
        person = self._passes.person[rows]
        if until.segment is not None:
            return np.isin(person, self._members(until.segment))
        if until.left_segment is not None:
            return ~np.isin(person, self._members(until.left_segment))
        key = f"{node.name}, until.when"
        answers = self._questions.permits({key: str(until.when)}, self._subjects(rows))
        return answers.holds[key]
