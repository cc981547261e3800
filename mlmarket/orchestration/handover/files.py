"""How does a batch become a file that is there as a whole, and once?

A batch is one file. It is written aside, made safe on the disk and renamed, so that whoever
watches the folder never reads half of it. Its name is the hash of its keys: the same batch again
is the same file with the same bytes.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from mlmarket.orchestration.export import write_csv
from mlmarket.orchestration.handover.adapter import ALL_ROWS, Route
from mlmarket.orchestration.handover.backoff import PATIENTLY, Retries
from mlmarket.orchestration.handover.rows import (
    Handover,
    Result,
    about_all,
    outbox_table,
    plain_json,
)

__all__ = ["FileAdapter"]

_ASIDE: Final = ".tmp-"
_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class FileAdapter:
    """Hands batches over as files of a folder.

    Parameters
    ----------
    name : str
        What the configuration calls it; the names of the files begin with it.
    folder : Path
        Where the files go; made if it is not there.
    form : {"csv", "parquet"}
        Their format. CSV has the values of the payload as columns too, which mailers fill in.
    route : Route
        Which rows it is there for.
    batch : int, default 50_000
        Rows of a file at most.
    honours_keys : bool, default False
        Whether whoever reads the files skips keys that were read before. Where it does not, a
        batch whose process died before the file was seen again is in doubt.
    retries : Retries, optional
        How often and how patiently it tries.
    """

    name: str
    folder: Path
    form: Literal["csv", "parquet"] = "csv"
    route: Route = ALL_ROWS
    batch: int = 50_000
    honours_keys: bool = False
    retries: Retries = PATIENTLY

    @property
    def idempotent(self) -> bool:
        """True: the same batch writes the same file."""
        return True

    def accepts(self, row: Handover) -> bool:
        """Return whether the row belongs to its route.

        Parameters
        ----------
        row : Handover
            Of the outbox.
        """
        return self.route.takes(row)

    def path_of(self, batch: Sequence[Handover]) -> Path:
        """Return where a batch is, or will be.

        Parameters
        ----------
        batch : sequence of Handover
            In any order.

        Returns
        -------
        Path
            The name is a SHA-256 of the sorted keys, shortened.
        """
        keys = "\n".join(sorted(one.key for one in batch))
        digest = hashlib.sha256(keys.encode()).hexdigest()[:_DIGITS]
        return self.folder / f"{self.name}-{digest}.{self.form}"

    def send(self, batch: Sequence[Handover]) -> list[Result]:
        """Write a batch as one file.

        Parameters
        ----------
        batch : sequence of Handover
            Its rows.

        Returns
        -------
        list of Result
            ``sent`` for all, or ``retry`` where the disk refuses: no file is there then.
        """
        path = self.path_of(batch)
        aside = _aside(path)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # At once, so that after a crash it tells that the file itself was not there yet.
            aside.touch()
            self._write(batch, aside)
            _make_safe(aside)
            aside.replace(path)
        except (OSError, pa.ArrowException) as error:
            aside.unlink(missing_ok=True)
            return about_all(batch, "retry", _refused(error), receiver_answers=False)
        try:
            _make_safe(self.folder)
        except OSError as error:
            # The file is there, but may be gone after a power cut: somebody may have read it.
            return about_all(batch, "unknown", _refused(error), receiver_answers=False)
        return [Result(one.key, "sent", receiver_id=path.name) for one in batch]

    def recover(self, batch: Sequence[Handover]) -> list[Result]:
        """Look for the file of a batch, or for what was written aside for it.

        Parameters
        ----------
        batch : sequence of Handover
            The rows that a process was handing over.

        Returns
        -------
        list of Result
            ``sent`` where the file is there, ``retry`` where it certainly never was. Without a
            trace, somebody may have taken it away: ``retry`` if keys are honoured, or ``unknown``.
        """
        path = self.path_of(batch)
        if path.exists():
            return [Result(one.key, "sent", receiver_id=path.name) for one in batch]
        aside = _aside(path)
        if aside.exists():
            aside.unlink()
            words = "The process ended while the file was written."
            return [Result(one.key, "retry", words, tried=False) for one in batch]
        if self.honours_keys:
            return about_all(batch, "retry", "The process ended; there is no file.")
        error = f"The process ended; no file {path.name} is there, or it was taken away."
        return about_all(batch, "unknown", error)

    def _write(self, batch: Sequence[Handover], path: Path) -> None:
        table = outbox_table(batch)
        if self.form == "csv":
            write_csv(_with_slots(table, batch), path)
        else:
            pq.write_table(table, path)


def _aside(path: Path) -> Path:
    return path.with_name(f"{_ASIDE}{path.name}")


def _with_slots(table: pa.Table, batch: Sequence[Handover]) -> pa.Table:
    """Return the table with a column for each value of the payloads, in the order of their names."""
    rows = sorted(batch, key=lambda one: one.key)
    slots = sorted({slot for one in rows for slot in one.payload} - set(table.column_names))
    for slot in slots:
        values = [_cell(one.payload, slot) for one in rows]
        table = table.append_column(slot, pa.array(values, pa.string()))
    return table


def _cell(payload: Mapping[str, object], slot: str) -> str | None:
    value = payload.get(slot)
    return value if value is None or isinstance(value, str) else plain_json(value)


def _make_safe(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else None
    return f"The file could not be written: {reason or type(error).__name__}."
