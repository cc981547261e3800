"""What has changed since the last tick, and what is to be done about it now?

The night decides about everybody. In between, a minute at a time, only those are looked at who did
something, whose consent or record changed, or who are due: a lead who fills in a form on Sunday at
23:00 is answered at 23:01.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from mlmarket.errors import ConfigurationError
from mlmarket.nightly.changes import changed_since
from mlmarket.nightly.night import Night, refuse_future_moment
from mlmarket.nightly.playbook import load_night_playbook
from mlmarket.nightly.predictions import read_predictions_of
from mlmarket.orchestration import StateStore, decide

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.orchestration import Decisions

__all__ = ["MinuteTick", "tick_now"]

_LATE: Final = timedelta(hours=1)
"""How much later than it happened a row may be loaded that does not say when it arrived."""


@dataclass(frozen=True, slots=True)
class MinuteTick:
    """What one tick between two nights did.

    Parameters
    ----------
    now : datetime
        When, in UTC.
    touched : int
        People who did something or whose record changed since the last tick.
    counts : dict of str to int
        Decisions by outcome, messages.
    """

    now: datetime
    touched: int
    counts: dict[str, int]


def tick_now(night: Night, *, now: datetime | None = None) -> MinuteTick:
    """Decide about those for whom something has changed since the last tick.

    Parameters
    ----------
    night : Night
        The last one that was run: its predictions are used.
    now : datetime, optional
        When, with a zone; the present by default.

    Returns
    -------
    MinuteTick
        Its counts.

    Raises
    ------
    ConfigurationError
        Where no night was decided yet.
    """
    moment = now or datetime.now(UTC)
    refuse_future_moment(moment)
    with night.workspace.locked(), StateStore.open(night.workspace.state) as store:
        last = store.last_now()
        if last is None:
            raise ConfigurationError(
                f"No night was decided in '{night.workspace.root}' yet.",
                "A tick goes on from where a night left everybody.",
                "run `mlmarket nightly` first.",
            )
        market = night.market(check=False)
        playbook = load_night_playbook(night.config, night.settings)
        touched = _together(changed_since(market, last - _LATE, moment), store.recorded_since(last))
        looked_at = _together(touched, store.due(moment))
        predictions = read_predictions_of(night.folder.path, looked_at)
        decisions = decide(store, playbook, predictions, market, now=moment, touched=touched)
    return _told(decisions, len(touched))


def _together(some: "pa.Array", others: "pa.Array") -> "pa.Array":
    import pyarrow as pa

    return pa.chunked_array([some, others]).unique().sort()


def _told(decisions: "Decisions", touched: int) -> MinuteTick:
    return MinuteTick(decisions.now, touched, decisions.counts())
