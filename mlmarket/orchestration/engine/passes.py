"""Where does every pass stand during a tick?

One row a pass, as arrays of numbers: persons and versions by number, times as 64-bit integers.
Rows keep their place throughout the tick; passes that begin are added behind.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.orchestration.arbitration.reasons import Bits, Reason, named, read_names
from mlmarket.orchestration.engine.people import People
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.tables import ENROLMENTS

__all__ = ["ACTIVE", "COMPLETED", "EXITED", "EXPIRED", "GOAL", "STATUSES", "Newcomers", "Passes"]

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]

NEVER: Final = np.datetime64("NaT", "us")
STATUSES: Final = ("active", "completed", "goal", "exited", "expired")
ACTIVE, COMPLETED, GOAL, EXITED, EXPIRED = range(5)


@dataclass(frozen=True, slots=True, eq=False)
class Newcomers:
    """Passes that begin in this tick.

    Parameters
    ----------
    version : int
        The place of the version in the tick's versions.
    person : ndarray of int64, shape (n,)
        Who comes in.
    held_out : ndarray of int64, shape (n,)
        The holdouts they are in, as sums of reasons.
    enrolment_id : pyarrow.Array of string, shape (n,)
        The names of the passes.
    trigger_id, trigger_item : pyarrow.Array of string, shape (n,)
        The event that let them in.
    """

    version: int
    person: Rows
    held_out: Bits
    enrolment_id: pa.Array
    trigger_id: pa.Array
    trigger_item: pa.Array

    def __len__(self) -> int:
        return len(self.person)


class Passes:
    """All passes that a tick follows.

    Parameters
    ----------
    enrolments : pyarrow.Table
        Active ones, and completed ones whose goal still counts.
    versions : sequence of Journey
        Every version that a pass is on or may begin on.
    people : People
        The people of the tick.
    now : datetime
        UTC without a zone.
    """

    def __init__(
        self, enrolments: pa.Table, versions: Sequence[Journey], people: People, now: datetime
    ) -> None:
        places = {journey.version: place for place, journey in enumerate(versions)}
        self.now = np.datetime64(now, "us")
        self.versions = tuple(versions)
        self.people = people
        self.person = people.numbers(enrolments["contact_id"])
        self._strangers = enrolments["contact_id"].filter(pa.array(self.person < 0))
        missing = np.flatnonzero(self.person < 0)
        self.person[missing] = len(people) + np.arange(len(missing))
        self.version = _coded(enrolments["version"], lambda text: places[str(text)])
        self.entered = _times(enrolments["entered_at"])
        self.expires = _times(enrolments["expires_at"])
        self.arrived = _times(enrolments["arrived_at"])
        self.due = _times(enrolments["due_at"])
        self.ended = _times(enrolments["ended_at"])
        self.reached = _times(enrolments["goal_at"])
        self.position = enrolments["position"].to_numpy().astype(np.int64)
        self.status = _coded(enrolments["status"], lambda text: STATUSES.index(str(text)))
        self.held = _coded(enrolments["held_for"], read_names)
        self.held_out = _coded(enrolments["holdout"], _holdout_bits)
        self.clock = np.full(len(self.person), self.now)
        self.changed = np.zeros(len(self.person), dtype=np.bool_)
        self._texts = {name: enrolments[name] for name in _TEXTS}

    def __len__(self) -> int:
        return len(self.person)

    @property
    def active(self) -> Flags:
        """Which passes are under way."""
        flags: Flags = self.status == ACTIVE
        return flags

    @property
    def known(self) -> Flags:
        """Which passes are of people who are there."""
        flags: Flags = self.person < len(self.people)
        return flags

    def add(self, newcomers: Sequence[Newcomers]) -> Rows:
        """Put passes that begin now behind the others.

        Parameters
        ----------
        newcomers : sequence of Newcomers
            By version.

        Returns
        -------
        ndarray of int64
            Their rows.
        """
        before = len(self)
        chosen = [one for one in newcomers if len(one)]
        counts = [len(one) for one in chosen]
        if not chosen:
            return np.zeros(0, dtype=np.int64)
        total = sum(counts)
        lasting = [np.timedelta64(self.versions[one.version].expires_after) for one in chosen]
        self._extend("person", np.concatenate([one.person for one in chosen]))
        self._extend("version", np.repeat([one.version for one in chosen], counts))
        self._extend("held_out", np.concatenate([one.held_out for one in chosen]))
        self._extend("expires", self.now + np.repeat(lasting, counts))
        for name in ("entered", "arrived", "due", "clock"):
            self._extend(name, np.full(total, self.now))
        for name in ("ended", "reached"):
            self._extend(name, np.full(total, NEVER))
        for name in ("position", "status", "held"):
            self._extend(name, np.zeros(total, dtype=np.int64))
        self._extend("changed", np.ones(total, dtype=np.bool_))
        for name in _TEXTS:
            added = [getattr(one, name) for one in chosen]
            self._texts[name] = pa.chunked_array([*self._texts[name].chunks, *added], pa.string())
        return np.arange(before, before + total)

    def _extend(self, name: str, values: np.ndarray) -> None:
        have = getattr(self, name)
        setattr(self, name, np.concatenate([have, values.astype(have.dtype)]))

    def of_version(self, place: int) -> Rows:
        """Return the rows on a version, by its place."""
        return np.flatnonzero(self.version == place)

    def journey_of(self, rows: Rows) -> list[str]:
        """Return the names of the journeys of rows."""
        return [self.versions[place].journey for place in self.version[rows]]

    def text(self, name: str, rows: Rows) -> pa.Array:
        """Return ``enrolment_id``, ``trigger_id`` or ``trigger_item`` of rows."""
        taken = self._texts[name].take(pa.array(rows))
        return pa.concat_arrays(taken.chunks) if taken.num_chunks else pa.array([], pa.string())

    def contacts(self, rows: Rows) -> pa.Array:
        """Return the contacts of rows, also of people who are gone."""
        everybody = pa.chunked_array([self.people.ids, *self._strangers.chunks], pa.string())
        taken = everybody.take(pa.array(self.person[rows]))
        return pa.concat_arrays(taken.chunks) if taken.num_chunks else pa.array([], pa.string())

    def lots(self, rows: Rows) -> npt.NDArray[np.uint64]:
        """Return the first 64 bits of the names of passes: a lot that never changes."""
        return leading_bits(self.text("enrolment_id", rows))

    def table(self, rows: Rows) -> pa.Table:
        """Return rows as an enrolments table."""
        journeys = [journey.journey for journey in self.versions]
        names = [journey.version for journey in self.versions]
        version = self.version[rows]
        content = {
            **{name: self.text(name, rows) for name in _TEXTS},
            "contact_id": self.contacts(rows),
            "journey": texts_by_code(journeys, version),
            "version": texts_by_code(names, version),
            "entered_at": self.entered[rows],
            "expires_at": self.expires[rows],
            "position": self.position[rows].astype(np.int32),
            "arrived_at": self.arrived[rows],
            "due_at": self.due[rows],
            "status": texts_by_code(STATUSES, self.status[rows]),
            "holdout": _named(self.held_out[rows], _holdout_text),
            "held_for": _named(self.held[rows], lambda bits: ", ".join(named(bits)) or None),
            "ended_at": self.ended[rows],
            "goal_at": self.reached[rows],
        }
        return pa.table(content).select(ENROLMENTS.names).cast(ENROLMENTS)


_TEXTS: Final = ("enrolment_id", "trigger_id", "trigger_item")


def texts_by_code(texts: Sequence[str | None], codes: Rows) -> pa.Array:
    """Return texts by their places, -1 for none."""
    indices = pa.array(codes, mask=codes < 0)
    return pa.array(list(texts), pa.string()).take(indices)


def leading_bits(names: pa.Array) -> npt.NDArray[np.uint64]:
    """Return the first 16 hex digits of texts as numbers."""
    heads = pc.ascii_rpad(pc.utf8_slice_codeunits(names, 0, _HEAD), _HEAD, padding="\0")
    # Straight from Arrow's memory: a Python object a row would be ten times the size.
    _, _, letters = heads.buffers()
    lots = np.zeros(len(names), dtype=np.uint64)
    if not len(names):
        return lots
    text = np.frombuffer(letters, dtype=np.uint8)[: _HEAD * len(names)].reshape(-1, _HEAD)
    for place in range(_HEAD):
        digit = text[:, place].astype(np.uint64)
        value = np.where(digit >= ord("a"), digit - (ord("a") - 10), digit - ord("0"))
        lots = lots << np.uint64(4) | value
    return lots


_HEAD: Final = 16


def _times(column: pa.ChunkedArray) -> Times:
    # A copy: Arrow's memory may not be written to.
    return np.array(column.to_numpy(), dtype="datetime64[us]")


def _coded(column: pa.ChunkedArray, code: Callable[[str | None], int]) -> Bits:
    """Return a number for each text, asking ``code`` once for each different one."""
    pieces = []
    for chunk in column.chunks:
        encoded = chunk.dictionary_encode(null_encoding="encode")
        codes = np.array([code(text) for text in encoded.dictionary.to_pylist()], dtype=np.int64)
        pieces.append(codes[encoded.indices.to_numpy()])
    return np.concatenate([np.zeros(0, dtype=np.int64), *pieces])


_HOLDOUTS: Final = {"global": Reason.GLOBAL_HOLDOUT, "journey": Reason.JOURNEY_HOLDOUT}


def _holdout_bits(names: str | None) -> int:
    return 0 if names is None else sum(_HOLDOUTS[kind] for kind in names.split(", "))


def _holdout_text(bits: int) -> str | None:
    return ", ".join(name for name, reason in _HOLDOUTS.items() if bits & reason) or None


def _named(bits: Bits, text: Callable[[int], str | None]) -> pa.Array:
    different, places = np.unique(bits, return_inverse=True)
    names = pa.array([text(int(one)) for one in different], type=pa.string())
    return names.take(pa.array(places))
