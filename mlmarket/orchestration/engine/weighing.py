"""Which messages does arbitration have to weigh, and what follows from what it says?"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlmarket.orchestration.arbitration.candidates import Candidates, Offer, Verdicts
from mlmarket.orchestration.arbitration.reasons import Fate, Reason
from mlmarket.orchestration.engine.passes import Passes
from mlmarket.orchestration.engine.walk import Asked, Means, Walk
from mlmarket.orchestration.journeys.actions import Audience, Message
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.journeys.nodes import Node

__all__ = ["apply", "candidates_of", "under_way"]

Rows = npt.NDArray[np.int64]

_HOLDOUTS: Final = int(Reason.GLOBAL_HOLDOUT | Reason.JOURNEY_HOLDOUT)
_ONE_DAY: Final = timedelta(days=1)


def candidates_of(asked: Sequence[Asked], passes: Passes, means: Means) -> Candidates:
    """Lay out what could be sent.

    Parameters
    ----------
    asked : sequence of Asked
        The messages and who stands before them.
    passes : Passes
        All of the tick.
    means : Means
        For what tokens lack.

    Returns
    -------
    Candidates
        One after the other, in the order of the messages.
    """
    rows = np.concatenate([one.rows for one in asked])
    lacking = np.concatenate([means.outbox.lacking(one.node, one.rows) for one in asked])
    return Candidates(
        offers=tuple(_offer(passes.versions[one.place], one.node) for one in asked),
        offer=np.repeat(np.arange(len(asked)), [len(one.rows) for one in asked]),
        person=passes.person[rows],
        entered=passes.entered[rows],
        expires=passes.expires[rows],
        against=passes.held_out[rows] | lacking * int(Reason.MISSING_TOKEN),
        held_since=passes.arrived[rows],
        lot=passes.lots(rows),
    )


def _offer(journey: Journey, node: Node) -> Offer:
    content = node.content
    if not isinstance(content, Message | Audience):
        kind = type(content).__name__
        raise TypeError(kind)
    topic = journey.topic_of(content)
    within = content.within if isinstance(content, Message) else None
    return Offer(
        journey=journey.journey,
        version=journey.version,
        step=node.name,
        channels=content.channels,
        topic=None if topic is None else topic.strip().lower(),
        priority=journey.priority,
        group=journey.group,
        legal_basis=journey.legal_basis,
        transactional=journey.transactional,
        best_time=isinstance(content, Message) and content.send == "best_time",
        within=np.timedelta64(within or _ONE_DAY),
        worth=content.worth if isinstance(content, Message) else None,
        if_blocked=content.if_blocked,
    )


def apply(verdicts: Verdicts, asked: Sequence[Asked], walk: Walk) -> None:
    """Send, hold, defer, drop or pass over, and let those who may walk on.

    Parameters
    ----------
    verdicts : Verdicts
        About the candidates of ``asked``, in their order.
    asked : sequence of Asked
        The messages and who stands before them.
    walk : Walk
        Where people go on.
    """
    names = [f"{walk.passes.versions[one.place].journey}.{one.node.name}" for one in asked]
    counts = [len(one.rows) for one in asked]
    which = np.repeat(np.arange(len(asked)), counts)
    for one, last in zip(asked, np.cumsum(counts), strict=True):
        here = slice(int(last) - len(one.rows), int(last))
        winner = _winners(verdicts.winner[here], which, names)
        _apply_one(_part(verdicts, here), one, winner, walk)


def under_way(passes: Passes) -> pa.Table:
    """Return the passes of exclusion groups that are under way now, those that just began too.

    Parameters
    ----------
    passes : Passes
        All of the tick.

    Returns
    -------
    pyarrow.Table
        version, contact_id, entered_at, holdout.
    """
    grouped = [place for place, one in enumerate(passes.versions) if one.group is not None]
    is_open = passes.active & (passes.expires > passes.now)
    rows = np.flatnonzero(is_open & np.isin(passes.version, grouped))
    return passes.table(rows).select(["version", "contact_id", "entered_at", "holdout"])


def _part(verdicts: Verdicts, here: slice) -> Verdicts:
    return Verdicts(
        fate=verdicts.fate[here],
        channel=verdicts.channel[here],
        not_before=verdicts.not_before[here],
        reasons=verdicts.reasons[here],
        until=verdicts.until[here],
        winner=verdicts.winner[here],
        value=verdicts.value[here],
    )


def _winners(winner: Rows, which: Rows, names: Sequence[str]) -> pa.Array:
    offers = np.where(winner >= 0, which[np.where(winner >= 0, winner, 0)], -1)
    return pa.array(list(names), pa.string()).take(pa.array(offers, mask=offers < 0))


def _apply_one(said: Verdicts, one: Asked, winner: pa.Array, walk: Walk) -> None:
    fate = _with_patience(said, one, walk.passes)
    reasons = np.where(fate != said.fate, said.reasons | int(Reason.HELD_TOO_LONG), said.reasons)
    only_held_out = (said.fate == Fate.ADVANCE) & (reasons != 0) & (reasons & ~_HOLDOUTS == 0)
    log, passes = walk.means.log, walk.passes
    for kind in (Fate.SENT, Fate.FALL_BACK):
        chosen = np.flatnonzero(fate == kind)
        rows, when = one.rows[chosen], np.maximum(said.not_before[chosen], passes.now)
        log.decide(
            rows,
            one.node.name,
            "send",
            reasons=reasons[chosen],
            fate="fall_back" if kind is Fate.FALL_BACK else None,
            channel=said.channel[chosen].astype(np.int64),
            due=when,
        )
        walk.means.outbox.put(
            one.place,
            one.node,
            rows,
            channel=said.channel[chosen].astype(np.int64),
            not_before=when,
        )
        walk.resume(rows, one.node, when)
    rows, planned = one.rows[only_held_out], said.not_before[only_held_out]
    log.decide(rows, one.node.name, "withheld", reasons=reasons[only_held_out])
    # They go on when they would have been written to, so that both groups stay comparable.
    when = np.where(np.isnat(planned), passes.now, np.maximum(planned, passes.now))
    walk.resume(rows, one.node, when)
    for kind in (Fate.ADVANCE, Fate.DROP):
        chosen = np.flatnonzero((fate == kind) & ~only_held_out)
        rows, lost_to = one.rows[chosen], winner.take(pa.array(chosen))
        name = kind.name.lower()
        log.decide(
            rows, one.node.name, "suppressed", reasons=reasons[chosen], fate=name, winner=lost_to
        )
        if kind is Fate.ADVANCE:
            walk.resume(rows, one.node)
        else:
            walk.means.endings.drop(rows)
    _hold(said, fate, one, winner, walk)


def _hold(said: Verdicts, fate: Rows, one: Asked, winner: pa.Array, walk: Walk) -> None:
    passes = walk.passes
    deferred = np.flatnonzero(fate == Fate.DEFER)
    rows = one.rows[deferred]
    passes.due[rows] = np.maximum(said.until[deferred], passes.now)
    passes.changed[rows] = True
    for kind in (Fate.DEFER, Fate.HOLD):
        chosen = np.flatnonzero(fate == kind)
        walk.hold(
            one.node,
            one.rows[chosen],
            said.reasons[chosen],
            fate=kind.name.lower(),
            winner=winner.take(pa.array(chosen)),
        )


def _with_patience(said: Verdicts, one: Asked, passes: Passes) -> Rows:
    """Return the fates, where who was held for too long goes on."""
    content = one.node.content
    fate = said.fate.astype(np.int64)
    if not isinstance(content, Message) or content.hold_for is None:
        return fate
    late = passes.arrived[one.rows] + np.timedelta64(content.hold_for) <= passes.now
    waiting = (fate == Fate.HOLD) | (fate == Fate.DEFER)
    return np.where(late & waiting, int(Fate.ADVANCE), fate)
