"""How many people are where in a journey?"""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["JourneyCounts", "NodeCounts"]


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """The people of one step.

    Parameters
    ----------
    waiting : int, default 0
        Who is there now.
    sent : int, default 0
        To whom it was done so far: sent, for a message.
    suppressed : int, default 0
        From whom it was held back so far.
    """

    waiting: int = 0
    sent: int = 0
    suppressed: int = 0


@dataclass(frozen=True, slots=True)
class JourneyCounts:
    """The people of a journey.

    Parameters
    ----------
    nodes : mapping of str to NodeCounts, optional
        By the name of the step; a step that is not there has none of its own.
    entered : int, optional
        Who came in so far.
    held_out : int, optional
        Who of them is followed without messages.
    reached_goal, exited, expired : int, optional
        How passes ended before the last step.
    """

    nodes: Mapping[str, NodeCounts] = field(default_factory=dict)
    entered: int | None = None
    held_out: int | None = None
    reached_goal: int | None = None
    exited: int | None = None
    expired: int | None = None
