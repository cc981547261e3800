"""How do people move on through their journeys in one tick?

A journey is walked by position, not by person: all people who stand at the same step of the same
version are decided together. Waits begin when the step before them is done, so a missed night
never lets two messages of one person fall together.

People in a holdout walk the same way. Where nothing but the holdout speaks against a message it
is *withheld* and they move on, as those who were sent it do; for any other reason they are held
at the step like everybody else. So both groups stay comparable.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.orchestration.arbitration.gates import Bits, Gatekeeper, Reason, named, read_names
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.journeys.journey import Journey, Message, WaitStep
from mlmarket.orchestration.tables import DECISIONS, ENROLMENTS, canonical

__all__ = ["Sent", "Walk"]

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]

_NEVER: Final = np.datetime64("NaT", "us")
_FIXED: Final = ("enrolment_id", "journey", "version", "contact_id", "holdout")


@dataclass(frozen=True, slots=True)
class Sent:
    """One message of one version and the rows of the walk that it goes to."""

    rows: Rows
    version: str
    message: Message


@dataclass(frozen=True, slots=True)
class _Decided:
    rows: Rows
    step: str
    outcome: str
    reasons: Bits
    due: Times


class Walk:
    """The enrolments that a tick follows, and what is decided about each.

    Parameters
    ----------
    enrolments : pyarrow.Table
        Rows of the enrolments table; active ones, and completed ones whose goal still counts.
    now : datetime
        UTC without a zone.
    """

    def __init__(self, enrolments: pa.Table, now: datetime) -> None:
        table = enrolments.combine_chunks()
        self.now = np.datetime64(now, "us")
        self.fixed = table.select(_FIXED)
        self.entered = _times(table["entered_at"])
        self.expires = _times(table["expires_at"])
        self.due = _times(table["due_at"])
        self.ended = _times(table["ended_at"])
        self.reached = _times(table["goal_at"])
        self.position = np.array(table["position"].to_numpy(), dtype=np.int32)
        self.status = np.array(table["status"].to_numpy(zero_copy_only=False), dtype=object)
        self.held = _coded(table["held_for"], read_names)
        self.held_out = _coded(table["holdout"], _holdout_bits)
        self.sent: list[Sent] = []
        self._changed = np.zeros(len(table), dtype=np.bool_)
        self._decided: list[_Decided] = []

    def enter(self, rows: Rows) -> None:
        """Record that the people of these rows have just come in."""
        self._decide(rows, "entry", "entered", self.held_out[rows])

    def reach_goals(self, goals: Times) -> None:
        """End the journeys whose goal was reached after the entry and until the expiry.

        Parameters
        ----------
        goals : ndarray of datetime64, shape (n,)
            When the goal was first reached, NaT where it was not.
        """
        reached = (goals > self.entered) & (goals <= self.expires)
        rows = np.flatnonzero(reached)
        self.reached[rows] = goals[rows]
        self._end(rows, "goal", "goal", self._none(rows))

    def leave(self, rows: Rows, reason: Reason) -> None:
        """End the active journeys of these rows before their last step."""
        rows = rows[self.active[rows]]
        self._end(rows, "exited", "exit", np.full(len(rows), int(reason), dtype=np.int64))

    def expire(self) -> None:
        """End the active journeys whose time is over."""
        rows = np.flatnonzero(self.active & (self.expires <= self.now))
        self._end(rows, "expired", "expired", self.held[rows])

    @property
    def active(self) -> Flags:
        """Which rows are on their way."""
        on_their_way: Flags = self.status == "active"
        return on_their_way

    def ready(self) -> Rows:
        """Return the rows that are on their way and whose next step is due."""
        return np.flatnonzero(self.active & (self.due <= self.now))

    def of_version(self, version: str) -> Flags:
        """Return which rows are on a version of a journey."""
        flags: Flags = pc.equal(self.fixed["version"], version).to_numpy()
        return flags

    def advance(self, journey: Journey, gates: Gatekeeper) -> None:
        """Take everybody on one version as far as they can get now.

        Parameters
        ----------
        journey : Journey
            The version.
        gates : Gatekeeper
            Who may be messaged.
        """
        here = self.of_version(journey.version)
        for position, step in enumerate(journey.steps):
            rows = self._at(here, position)
            if not len(rows):
                continue
            if isinstance(step, WaitStep):
                self._wait(rows, step, journey.step_name(position))
            else:
                self._message(rows, step.message, journey.version, gates)
        rows = self._at(here, len(journey.steps))
        self._end(rows, "completed", "completed", self._none(rows))

    def _at(self, here: Flags, position: int) -> Rows:
        return np.flatnonzero(
            here & self.active & (self.position == position) & (self.due <= self.now)
        )

    def _wait(self, rows: Rows, step: WaitStep, name: str) -> None:
        self.due[rows] = self.now + np.timedelta64(step.wait)
        self.position[rows] += 1
        self._decide(rows, name, "wait", self._none(rows), due=self.due[rows])

    def _message(self, rows: Rows, message: Message, version: str, gates: Gatekeeper) -> None:
        contacts = self.fixed["contact_id"].take(pa.array(rows)).combine_chunks()
        against = gates.ask(contacts, message)
        reasons = against | self.held_out[rows]
        is_held = against != 0
        news = is_held & (reasons != self.held[rows])
        self._decide(rows[news], message.name, "suppressed", reasons[news])
        self.held[rows[news]] = reasons[news]
        for outcome, chosen in (
            ("withheld", ~is_held & (reasons != 0)),
            ("send", reasons == 0),
        ):
            passing = rows[chosen]
            self._decide(passing, message.name, outcome, reasons[chosen])
            self.position[passing] += 1
            self.held[passing] = 0
        self.sent.append(Sent(rows[reasons == 0], version, message))

    def _end(self, rows: Rows, status: str, outcome: str, reasons: Bits) -> None:
        self.status[rows] = status
        self.ended[rows] = self.now
        self.held[rows] = 0
        self._decide(rows, "end", outcome, reasons)

    def _none(self, rows: Rows) -> Bits:
        return np.zeros(len(rows), dtype=np.int64)

    def _decide(
        self, rows: Rows, step: str, outcome: str, reasons: Bits, *, due: Times | None = None
    ) -> None:
        if not len(rows):
            return
        self._changed[rows] = True
        whens = np.full(len(rows), _NEVER) if due is None else due
        self._decided.append(_Decided(rows, step, outcome, reasons.copy(), whens.copy()))

    def table(self) -> pa.Table:
        """Return all rows as an enrolments table, in the order they were given."""
        content = {
            **{name: self.fixed[name] for name in _FIXED},
            "entered_at": self.entered,
            "expires_at": self.expires,
            "position": self.position,
            "due_at": self.due,
            "status": self.status,
            "held_for": _named_column(self.held),
            "ended_at": self.ended,
            "goal_at": self.reached,
        }
        return pa.table(content).select(ENROLMENTS.names).cast(ENROLMENTS)

    def changed(self) -> pa.Table:
        """Return the enrolments that are new or have changed."""
        return canonical("enrolments", self.table().filter(pa.array(self._changed)))

    def decisions(self, tick_id: str, bench: Bench) -> pa.Table:
        """Return the decisions of the tick.

        Parameters
        ----------
        tick_id : str
            The tick.
        bench : Bench
            Where to compute.

        Returns
        -------
        pyarrow.Table
            With an id each: the SHA-256 of ``tick_id|enrolment_id|step|outcome``.
        """
        pieces = [self._piece(decided) for decided in self._decided]
        rows = ibis.memtable(pa.concat_tables([_WITHOUT_IDS.empty_table(), *pieces]))
        key = f"{tick_id}|" + rows["enrolment_id"] + "|" + rows["step"] + "|" + rows["outcome"]
        now = ibis.literal(self.now.item(), type="timestamp(6)")
        with_ids = rows.mutate(
            decision_id=key.hexdigest("sha256"), tick_id=ibis.literal(tick_id), decided_at=now
        )
        return canonical("decisions", bench.to_pyarrow(with_ids))

    def _piece(self, decided: _Decided) -> pa.Table:
        whom = self.fixed.take(decided.rows)
        count = len(decided.rows)
        content = {
            **{name: whom[name] for name in ("enrolment_id", "contact_id", "journey", "version")},
            "step": pa.repeat(decided.step, count),
            "outcome": pa.repeat(decided.outcome, count),
            "reasons": _listed(decided.reasons),
            "due_at": decided.due,
        }
        return pa.table(content).select(_WITHOUT_IDS.names).cast(_WITHOUT_IDS)


_WITHOUT_IDS: Final = pa.schema(
    [field for field in DECISIONS if field.name not in {"decision_id", "tick_id", "decided_at"}]
)


def _times(column: pa.ChunkedArray) -> Times:
    # A copy: Arrow's memory may not be written to.
    return np.array(column.to_numpy(), dtype="datetime64[us]")


def _coded(column: pa.ChunkedArray, code: Callable[[str | None], int]) -> Bits:
    """Return a number for each text, asking ``code`` once for each different one."""
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    codes = np.array([code(text) for text in encoded.dictionary.to_pylist()], dtype=np.int64)
    places = encoded.indices.to_numpy()
    return codes[places] if len(places) else np.zeros(0, dtype=np.int64)


def _holdout_bits(names: str | None) -> int:
    kinds = [] if names is None else names.split(", ")
    return sum(Reason[f"{kind.upper()}_HOLDOUT"] for kind in kinds)


def _named_column(bits: Bits) -> pa.Array:
    different, places = np.unique(bits, return_inverse=True)
    names = [", ".join(named(int(one))) or None for one in different]
    return pa.array(names, type=pa.string()).take(pa.array(places))


def _listed(bits: Bits) -> pa.Array:
    different, places = np.unique(bits, return_inverse=True)
    lists = [named(int(one)) for one in different]
    return pa.array(lists, type=pa.list_(pa.string())).take(pa.array(places))
