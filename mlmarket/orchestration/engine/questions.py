"""For whom does a condition hold, among the passes that stand before it?

Only rows that are due are asked about, all conditions of one step together.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlmarket.expressions import schema_of
from mlmarket.orchestration.behaviour import Behaviour
from mlmarket.orchestration.conditions.answering import Known, facts
from mlmarket.orchestration.conditions.conditions import ConditionError, Conditions
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.engine.json_text import json_of
from mlmarket.orchestration.engine.people import People

__all__ = ["Answers", "Questions", "Subjects"]

Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, eq=False)
class Subjects:
    """About whom is asked.

    Parameters
    ----------
    person : ndarray of int64, shape (n,)
        By number.
    entered, arrived : ndarray of datetime64[us], shape (n,)
        When the pass began, and when it came to the step.
    """

    person: Rows
    entered: Times
    arrived: Times

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What was found.

    Parameters
    ----------
    holds : mapping of str to ndarray of bool, shape (n,)
        By condition.
    seen : pyarrow.Array of string, shape (n,), or None
        The values that the conditions saw, as JSON, where they were asked for.
    lacking : frozenset of str
        The conditions that tonight's tables lack a column for.
    """

    holds: Mapping[str, Flags]
    seen: pa.Array | None
    lacking: frozenset[str]


class Questions:
    """Answers conditions about the people of a tick.

    Parameters
    ----------
    people : People
        Attributes and predictions.
    events : Behaviour
        Where behaviour is read.
    known : Known
        Memberships, and what was sent before.
    now : datetime
        UTC without a zone.
    bench : Bench
        Where to compute.
    """

    def __init__(
        self, people: People, events: Behaviour, known: Known, *, now: datetime, bench: Bench
    ) -> None:
        self._people, self._events, self._known = people, events, known
        self._now, self._bench = now, bench
        self._schema = schema_of(people.table)

    def permits(
        self,
        texts: Mapping[str, str],
        subjects: Subjects,
        *,
        anchors: Sequence[str] = ("entry", "step"),
        with_seen: bool = False,
    ) -> Answers:
        """Return for whom conditions hold; where one is unknown, it does not.

        Parameters
        ----------
        texts : mapping of str to str
            The conditions by key.
        subjects : Subjects
            About whom.
        anchors : sequence of str, optional
            What ``since`` may name.
        with_seen : bool, default False
            Whether to return the values that were seen.

        Returns
        -------
        Answers
            By key.

        Raises
        ------
        ConditionError
            For a condition that cannot be read.
        """
        return self._answers(texts, subjects, anchors, with_seen=with_seen, unknown=False)

    def suppresses(
        self,
        texts: Mapping[str, str],
        subjects: Subjects,
        *,
        anchors: Sequence[str] = ("entry", "step"),
    ) -> Answers:
        """Return for whom conditions hold; where one is unknown, it does.

        Parameters
        ----------
        texts : mapping of str to str
            The conditions by key.
        subjects : Subjects
            About whom.
        anchors : sequence of str, optional
            What ``since`` may name.

        Returns
        -------
        Answers
            By key, with the values that were seen.

        Raises
        ------
        ConditionError
            For a condition that cannot be read.
        """
        return self._answers(texts, subjects, anchors, with_seen=False, unknown=True)

    def _answers(
        self,
        texts: Mapping[str, str],
        subjects: Subjects,
        anchors: Sequence[str],
        *,
        with_seen: bool,
        unknown: bool,
    ) -> Answers:
        count = len(subjects)
        conditions, lacking = self._read(texts, anchors)
        holds = {key: np.full(count, unknown) for key in texts}
        seen = None
        if count and conditions.expressions:
            table = self._table(conditions, subjects)
            ask = conditions.suppresses if unknown else conditions.permits
            flags = {
                f"flag{place}": ask(key, table) for place, key in enumerate(conditions.expressions)
            }
            if with_seen:
                flags["seen"] = _shown(conditions, table)
            found = self._bench.to_pyarrow(table.select("n", **flags).order_by("n"))
            for place, key in enumerate(conditions.expressions):
                holds[key] = found[f"flag{place}"].to_numpy()
            seen = found["seen"].cast(pa.string()).combine_chunks() if with_seen else None
        return Answers(holds, seen, lacking)

    def _read(
        self, texts: Mapping[str, str], anchors: Sequence[str]
    ) -> tuple[Conditions, frozenset[str]]:
        """Read conditions; leave out those for which tonight's tables lack a column."""
        lacking = set()
        whole = Conditions.parse({}, schema=self._schema)
        for key, text in texts.items():
            try:
                whole = whole | Conditions.parse({key: text}, schema=self._schema, anchors=anchors)
            except ConditionError as error:
                if not self._lacks_column(error):
                    raise
                lacking.add(key)
        return whole, frozenset(lacking)

    def _lacks_column(self, error: ConditionError) -> bool:
        found = _NAME.match(error.text, error.at)
        if found is None:
            return False
        name = found[1].replace('""', '"') if found[1] is not None else found[0]
        is_call = error.text[found.end() :].lstrip().startswith("(")
        return name not in self._schema and not is_call

    def _table(self, conditions: Conditions, subjects: Subjects) -> ir.Table:
        """Return a row a subject with all columns and answers that the conditions read."""
        rows = ibis.memtable(
            pa.table(
                {
                    "n": np.arange(len(subjects)),
                    "who": subjects.person,
                    "entered_at": subjects.entered,
                    "arrived_at": subjects.arrived,
                }
            )
        )
        needed = sorted(conditions.columns - {"contact_id"})
        people = self._people.table.select("person", "contact_id", *needed)
        # A column of the people must not be taken for a moment of the pass.
        taken = set(needed) & {"entered_at", "arrived_at"}
        rows = rows.drop(*taken) if taken else rows
        base = rows.left_join(people, rows["who"] == people["person"]).drop("who", "person")
        if not conditions.questions:
            return base
        base = self._bench.create_table(ibis.util.gen_name("asked"), base, temp=True)
        answers = facts(
            conditions, base, self._events, now=self._now, bench=self._bench, known=self._known
        )
        answers = answers.rename(answered="n")
        return base.left_join(answers, base["n"] == answers["answered"]).drop("answered")


_NAME: Final = re.compile(r'[^\W\d]\w*|"((?:[^"]|"")*)"')


def _shown(conditions: Conditions, table: ir.Table) -> ir.StringValue:
    """Return the values of columns and calls as one JSON object a row."""
    calls = {call.key: call.text for call in conditions.calls}
    names = {name: name for name in conditions.columns} | calls
    whole: ir.StringValue = ibis.literal("{")
    for place, (column, name) in enumerate(sorted(names.items(), key=lambda one: one[1])):
        label = json.dumps(name, ensure_ascii=False)
        value = json_of(table[column])
        whole = whole + f"{', ' if place else ''}{label}: " + value
    return whole + "}"
