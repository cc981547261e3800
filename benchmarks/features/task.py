"""What is a contestant asked for?"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = ["DAY", "Task"]

DAY = 86_400_000_000
"""Microseconds."""


@dataclass(slots=True)
class Task:
    """Features at some instants, written as a Parquet file an instant, rows by contact.

    Parameters
    ----------
    folder : str
        Where ``contacts.parquet`` and ``events.parquet`` are.
    output : str
        An empty folder.
    cutoffs : list of int
        Instants, in microseconds since 1970, UTC.
    memory_megabytes : int or None
        What it must not exceed.
    """

    folder: str
    output: str
    cutoffs: list[int]
    memory_megabytes: int | None = None
    steps: dict[str, float] = field(default_factory=dict)

    @property
    def events(self) -> str:
        """The log."""
        return str(Path(self.folder) / "events.parquet")

    @property
    def contacts(self) -> str:
        """Who there is."""
        return str(Path(self.folder) / "contacts.parquet")

    def file(self, cutoff: int) -> str:
        """Return where the rows of an instant belong."""
        return str(Path(self.output) / f"{cutoff}.parquet")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Note how much processor time a part of the work took."""
        begin = time.process_time()
        yield
        self.steps[name] = self.steps.get(name, 0.0) + time.process_time() - begin

    def write(self, path: Path) -> None:
        """Write it down for another process."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Task":
        """Read what :meth:`write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))
