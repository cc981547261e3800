"""Of all that could be sent in one tick, what is, when, by which channel, and why not the rest?

The stages, in the order in which their reasons are listed:

1. gates of each channel of the ladder: erased, suppressed, bounced, complained, unsubscribed,
   consent for channel, topic and legal basis, address;
2. a human has taken over;
3. the legal hours of the channel where the person is;
4. holdouts;
5. exclusion groups;
6. list hygiene;
7. frequency caps, consumed in order of rank;
8. the choice by priority, expected value and lot;
9. the channel: the first of the ladder whose gates are open;
10. the time: at once or the best one, within the hours, before the expiry;
11. the throughput of the channel.

Every stage is asked about every candidate, also where an earlier one has refused it. Where no
channel is open, the first of the ladder stands for the stages that need one.

Transactional messages pass caps and the number of messages at once, and fatigue is not charged;
nothing else is different for them. They are not counted by caps either, so that a confirmation
never takes the place of a newsletter. All messages count for throughput.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration.arbitration.candidates import Candidates, Rows, Verdicts
from mlmarket.orchestration.arbitration.caps import caps_of, counting
from mlmarket.orchestration.arbitration.choice import (
    BLOCKED,
    HELD_OUT,
    TAKES_TURNS,
    Contest,
    Past,
    Result,
    Rules,
    choose,
    ranked,
)
from mlmarket.orchestration.arbitration.facts import Flags, PeopleFacts, microseconds
from mlmarket.orchestration.arbitration.groups import outgrouped
from mlmarket.orchestration.arbitration.reasons import Bits, Fate, Reason
from mlmarket.orchestration.arbitration.throughput import Load, load_of, no_load
from mlmarket.orchestration.arbitration.timing import Plan, calendar_of, planned
from mlmarket.orchestration.arbitration.worth import Floats, expected_values, not_worth_it
from mlmarket.orchestration.policy import Policy

__all__ = ["arbitrate"]

Codes = npt.NDArray[np.int8]

_ADS: Final = CHANNELS.index("ads")
_HOLDOUTS: Final = int(Reason.GLOBAL_HOLDOUT | Reason.JOURNEY_HOLDOUT)
_IF_BLOCKED: Final = {"hold": Fate.HOLD, "advance": Fate.ADVANCE, "drop": Fate.DROP}


@dataclass(frozen=True, slots=True, eq=False)
class _Rungs:
    """Which channel of the ladder each candidate uses.

    ``place`` is -1 where none is open; ``channel`` is then the first. ``reasons`` are those against
    the channels before it, or against all.
    """

    place: Rows
    channel: Rows
    reasons: Bits


def arbitrate(
    candidates: Candidates,
    people: PeopleFacts,
    policy: Policy,
    *,
    now: datetime,
    reasons: bool = True,
) -> Verdicts:
    """Decide about all candidates of a tick.

    Parameters
    ----------
    candidates : Candidates
        What could be sent.
    people : PeopleFacts
        What is known.
    policy : Policy
        The rules over all journeys.
    now : datetime
        UTC without a zone.
    reasons : bool, default True
        False to find out only what goes out: ``fate``, ``reasons`` and ``until`` of what does not
        may then lack some.

    Returns
    -------
    Verdicts
        Of each candidate. One that is held out is decided like all others but takes nothing from
        anybody: where it would have been sent it advances, and ``not_before`` says when that
        would have been; nothing but its holdouts is a reason then.
    """
    moment = int(np.datetime64(now, "us").astype(np.int64))
    rungs = _climbed(candidates, people)
    calendar = calendar_of(candidates, people, policy, now=moment)
    plan = planned(candidates, people, calendar, channel=rungs.channel, now=moment)
    recent = _recent(people, policy, moment)[candidates.person]
    value = expected_values(candidates, people, policy, channel=rungs.channel, recent=recent)
    alone, group_winner = _alone(candidates, people, rungs, plan, value)
    contest = _contest(candidates, people, policy, rungs, plan, (alone, value))
    past = _past(people, policy)
    loads = _loads(contest, people, policy, moment)
    rules = Rules(caps_of(policy), calendar, loads, policy.at_once, reasons)
    result = _decided(contest, past, rules)
    return _verdicts(candidates, rungs, plan, value, (alone, group_winner), result, moment)


def _climbed(candidates: Candidates, people: PeopleFacts) -> _Rungs:
    """Find the first open channel of each ladder; it depends on gates alone."""
    widest = people.closed.shape[1]
    ladders = np.full((len(candidates.offers), widest), -1, np.int64)
    for place, offer in enumerate(candidates.offers):
        ladders[place, : len(offer.channels)] = [CHANNELS.index(name) for name in offer.channels]
    place = np.full(len(candidates), -1, np.int64)
    against = np.zeros(len(candidates), np.int64)
    channel: Rows = ladders[:, 0][candidates.offer]
    for rung in range(widest):
        here = ladders[candidates.offer, rung]
        asked = (place < 0) & (here >= 0)
        closed = people.closed[:, rung]
        opened = asked & (closed == 0)
        place[opened], channel[opened] = rung, here[opened]
        against[asked] |= closed[asked]
    return _Rungs(place, channel, against)


def _alone(
    candidates: Candidates, people: PeopleFacts, rungs: _Rungs, plan: Plan, value: Floats
) -> tuple[Bits, Rows]:
    """Return the reasons that depend on no other candidate, and the winners of groups."""
    held_out = (candidates.against & _HOLDOUTS) != 0
    behind, winner = outgrouped(candidates, people.passes, held_out)
    bits = candidates.against | rungs.reasons
    person = candidates.person
    failing = {
        Reason.HANDOVER: people.handed_over[person],
        Reason.QUIET_HOURS: plan.waits,
        Reason.EXCLUSION_GROUP: behind,
        Reason.HYGIENE: people.unhygienic[person],
        Reason.NOT_WORTH_IT: not_worth_it(candidates, value),
        Reason.TOO_LATE: plan.at >= microseconds(candidates.expires),
    }
    for reason, flags in failing.items():
        bits = bits | np.where(flags, int(reason), 0)
    return bits, winner


def _contest(
    candidates: Candidates,
    people: PeopleFacts,
    policy: Policy,
    rungs: _Rungs,
    plan: Plan,
    alone_and_value: tuple[Bits, Floats],
) -> Contest:
    alone, value = alone_and_value
    offers = candidates.offers
    transactional = np.array([one.transactional for one in offers], np.bool_)[candidates.offer]
    topics = sorted({offer.topic for offer in offers if offer.topic is not None})
    topic_of = [-1 if one.topic is None else topics.index(one.topic) for one in offers]
    topic = np.array(topic_of, np.int64)[candidates.offer]
    counted = np.where(transactional, 0, counting(policy, rungs.channel, topic, topics))
    speaks = _blocks(alone, candidates, rungs)
    flags = np.where(speaks, BLOCKED, 0)
    flags |= np.where((candidates.against & _HOLDOUTS) != 0, HELD_OUT, 0)
    flags |= np.where(~transactional & (rungs.channel != _ADS), TAKES_TURNS, 0)
    return Contest(
        ranked(candidates, value),
        candidates.person,
        people.zone[candidates.person],
        rungs.channel,
        plan.pair,
        plan.at,
        counted,
        flags,
    )


def _blocks(alone: Bits, candidates: Candidates, rungs: _Rungs) -> Flags:
    """Return whether a reason stands that neither waiting for the hours nor a ladder removes."""
    passing = _HOLDOUTS | int(Reason.QUIET_HOURS)
    of_rungs = rungs.reasons & ~candidates.against
    blocking: Flags = ((alone & ~passing & ~of_rungs) != 0) | (rungs.place < 0)
    return blocking


def _recent(people: PeopleFacts, policy: Policy, now: int) -> Rows:
    """Return how many marketing messages each person has had lately."""
    count = len(people.zone)
    if policy.fatigue is None:
        return np.zeros(count, np.int64)
    past = people.past
    since = now - int(np.timedelta64(policy.fatigue.within, "us").astype(np.int64))
    lately = (microseconds(past.at) > since) & (past.person >= 0)
    lately &= ~past.transactional & (past.channel != _ADS)
    return np.bincount(past.person[lately], minlength=count).astype(np.int64)


def _past(people: PeopleFacts, policy: Policy) -> Past:
    """Lay the sends that caps count out by person and time."""
    past = people.past
    counted = counting(policy, past.channel, past.topic, list(past.topics))
    rows = np.flatnonzero((counted != 0) & (past.person >= 0) & ~past.transactional)
    at = microseconds(past.at[rows])
    rows = rows[np.lexsort((at, past.person[rows]))]
    sizes = np.bincount(past.person[rows], minlength=len(people.zone))
    begin = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Past(begin, microseconds(past.at[rows]), counted[rows])


def _loads(contest: Contest, people: PeopleFacts, policy: Policy, now: int) -> tuple[Load, ...]:
    loads = []
    for place, name in enumerate(CHANNELS):
        rule = policy.channels.get(name)
        if rule is None or rule.throughput is None:
            loads.append(no_load())
            continue
        length = int(np.timedelta64(rule.throughput.per, "us").astype(np.int64))
        at = microseconds(people.past.at[people.past.channel == place])
        going = contest.planned[contest.channel == place]
        most = rule.throughput.most
        loads.append(load_of(at[at > now - length], going, most=most, length=length))
    return tuple(loads)


def _decided(contest: Contest, past: Past, rules: Rules) -> Result:
    count = len(contest.order)
    result = Result(
        np.zeros(count, np.int64),
        contest.planned.copy(),
        np.full(count, -1, np.int64),
        np.zeros(count, np.bool_),
        np.full(count, -1, np.int64),
    )
    choose(contest, past, rules, result)
    return result


def _verdicts(
    candidates: Candidates,
    rungs: _Rungs,
    plan: Plan,
    value: Floats,
    alone_and_winner: tuple[Bits, Rows],
    result: Result,
    now: int,
) -> Verdicts:
    alone, winner = alone_and_winner
    bits = alone | result.reasons
    waits = (result.reasons & int(Reason.CAPPED | Reason.THROUGHPUT)) != 0
    bits |= np.where(
        waits & (result.until >= microseconds(candidates.expires)), int(Reason.TOO_LATE), 0
    )
    fate = _fates(candidates, bits, rungs, waits)
    goes = result.chosen
    only_held_out = (fate == Fate.ADVANCE) & ~_blocks(bits, candidates, rungs)
    bits = np.where(only_held_out, bits & _HOLDOUTS, bits)
    planned_for = goes | only_held_out
    until = np.where(waits, result.until, now)
    nothing = np.datetime64("NaT", "us")
    return Verdicts(
        fate,
        np.where(goes, rungs.channel, -1).astype(np.int8),
        np.where(planned_for, plan.at.astype("datetime64[us]"), nothing),
        bits,
        np.where(fate == Fate.DEFER, until.astype("datetime64[us]"), nothing),
        np.where(result.winner >= 0, result.winner, winner),
        value,
    )


def _fates(candidates: Candidates, bits: Bits, rungs: _Rungs, waits: Flags) -> Codes:
    """Return what becomes of each; the first that applies decides."""
    of_offer = np.array([_IF_BLOCKED[offer.if_blocked] for offer in candidates.offers], np.int8)
    if_blocked = of_offer[candidates.offer]
    closed = rungs.place < 0
    closed |= (bits & int(Reason.HYGIENE | Reason.MISSING_TOKEN)) != 0
    known = Reason.TOO_LATE | Reason.NOT_WORTH_IT | Reason.OUTRANKED | Reason.QUIET_HOURS
    settled = int(known | Reason.CAPPED | Reason.THROUGHPUT) | _HOLDOUTS
    others = bits & ~settled & ~(rungs.reasons & ~candidates.against)
    cases: list[tuple[Flags, Codes]] = [
        ((bits & int(Reason.ERASED)) != 0, _code(Fate.DROP)),
        (closed, if_blocked),
        (others != 0, _code(Fate.HOLD)),
        ((bits & int(Reason.TOO_LATE | Reason.NOT_WORTH_IT)) != 0, _code(Fate.ADVANCE)),
        (waits | ((bits & int(Reason.OUTRANKED)) != 0), _code(Fate.DEFER)),
        ((bits & _HOLDOUTS) != 0, _code(Fate.ADVANCE)),
        (rungs.place > 0, _code(Fate.FALL_BACK)),
    ]
    fates = _code(Fate.SENT).repeat(len(bits))
    for applies, becomes in reversed(cases):
        fates = np.where(applies, becomes, fates)
    return fates


def _code(fate: Fate) -> Codes:
    return np.array([fate], np.int8)
