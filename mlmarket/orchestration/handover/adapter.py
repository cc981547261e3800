"""What must a receiver's side be able to do so that the outbox can be handed over to it?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.handover.backoff import Retries
from mlmarket.orchestration.handover.rows import Handover, Result

__all__ = ["ALL_ROWS", "KINDS", "Adapter", "Route", "refuse_overlaps"]

KINDS: Final = ("alert", "audience", "message", "set_field", "tag", "task", "webhook")
"""All kinds of rows in the outbox."""


@dataclass(frozen=True, slots=True)
class Route:
    """Which rows of the outbox go one way.

    Parameters
    ----------
    kinds : frozenset of str
        The kinds of rows.
    channels : frozenset of str, optional
        Only rows with one of these channels.
    """

    kinds: frozenset[str] = frozenset(KINDS)
    channels: frozenset[str] | None = None

    def takes(self, row: Handover) -> bool:
        """Return whether a row goes this way.

        Parameters
        ----------
        row : Handover
            Of the outbox.
        """
        through = self.channels is None or row.channel in self.channels
        return row.kind in self.kinds and through

    def meets(self, other: "Route") -> bool:
        """Return whether a row could go both ways.

        Parameters
        ----------
        other : Route
            Another one.
        """
        if not self.kinds & other.kinds:
            return False
        if self.channels is None or other.channels is None:
            return True
        return bool(self.channels & other.channels)


ALL_ROWS: Final = Route()
"""All rows go this way."""


class Adapter(Protocol):
    """The way to one receiver.

    Implementations say the truth about repeating: where ``idempotent`` is false, nothing that may
    have arrived is ever sent again by itself.
    """

    @property
    def name(self) -> str:
        """What the configuration calls it."""

    @property
    def idempotent(self) -> bool:
        """Whether the same batch may be sent again without anything being done twice."""

    @property
    def route(self) -> Route:
        """Which rows it is there for."""

    @property
    def batch(self) -> int:
        """How many rows it takes at a time; so many are in doubt where a process dies."""

    @property
    def retries(self) -> Retries:
        """How often and how patiently it tries."""

    def accepts(self, row: Handover) -> bool:
        """Return whether it can hand over a row of its route; one that it cannot has failed.

        Parameters
        ----------
        row : Handover
            Of its route.
        """

    def send(self, batch: Sequence[Handover]) -> list[Result]:
        """Hand rows over.

        Parameters
        ----------
        batch : sequence of Handover
            At least one row, at most :attr:`batch`, in the order of their keys.

        Returns
        -------
        list of Result
            One a row, in any order. What is raised stands for all rows.
        """

    def recover(self, batch: Sequence[Handover]) -> list[Result]:
        """Say what became of rows that a process was handing over when it died.

        Parameters
        ----------
        batch : sequence of Handover
            The same rows that :meth:`send` was given, or may have been given.

        Returns
        -------
        list of Result
            ``sent`` where there is proof, ``retry`` where it certainly did not arrive or may be
            repeated, ``unknown`` otherwise.
        """


def refuse_overlaps(adapters: Sequence[Adapter]) -> None:
    """Refuse adapters of which two would take the same row.

    Parameters
    ----------
    adapters : sequence of Adapter
        All that are used together.

    Raises
    ------
    ConfigurationError
        With the names of the two.
    """
    for place, one in enumerate(adapters):
        for other in adapters[place + 1 :]:
            if one.name == other.name or one.route.meets(other.route):
                kinds = ", ".join(sorted(one.route.kinds & other.route.kinds))
                raise ConfigurationError(
                    f"[handover.{one.name}] and [handover.{other.name}] both take {kinds}.",
                    "A row would go to whichever comes first, and to the other when that one rests.",
                    "give each its own `kinds`, or its own `channels` for messages.",
                )
