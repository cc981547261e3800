"""What is the true chance of an order, for someone who knows everything but the future?

The oracle knows each person's traits and state, the season, the decline and the plan of
campaigns. It does not know what will be drawn. The chance that no order falls into a window
is summed exactly over moods, boosts and reachability, day by day: as long as nothing is
ordered the purchase clock moves on without chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlmarket.market.samples.calendar import DAY, HOUR, Calendar
from mlmarket.market.samples.campaigns import Campaigns
from mlmarket.market.samples.draws import Flags, Floats, Ints
from mlmarket.market.samples.habits import LAGS
from mlmarket.market.samples.life import Lives, State
from mlmarket.market.samples.mail import SOFT_BOUNCE, Batch, click_chance
from mlmarket.market.samples.people import People
from mlmarket.market.samples.purchases import (
    AWAY,
    BOOST_END,
    COOL,
    COOL_GAIN,
    FURTHEST,
    WARM,
    clock_hazard,
    dropout,
)

__all__ = ["HORIZONS", "Foresight", "foresee"]

HORIZONS: Final = (30, 90)
"""Days for which the oracle is asked."""


@dataclass(frozen=True, slots=True)
class Foresight:
    """The chance of at least one order in ``(as_of, as_of + horizon]``.

    Parameters
    ----------
    as_of : int
        Microseconds since 1970 UTC.
    horizon_days : int
        Length of the window.
    person : ndarray of shape (n,)
        Who.
    chance : ndarray of shape (n,)
        How likely.
    """

    as_of: int
    horizon_days: int
    person: Ints
    chance: Floats


@dataclass(frozen=True, slots=True)
class _World:
    """What the oracle knows at any moment; ``reading`` has the shape (campaigns, lags, people)."""

    people: People
    calendar: Calendar
    campaigns: Campaigns
    ahead: Ints
    reading: Floats


@dataclass(frozen=True, slots=True)
class _Mail:
    """Chances by day and person to click an email or a push (by mood), and to leave the list."""

    email: Floats
    push: Floats
    leaves: Floats


def foresee(
    people: People, calendar: Calendar, campaigns: Campaigns, ahead: Ints, lives: Lives
) -> Iterator[Foresight]:
    """Ask the oracle on the first of each month, for windows that end within the period.

    Parameters
    ----------
    people : People
        The people.
    calendar : Calendar
        The days.
    campaigns : Campaigns
        The plan.
    ahead : ndarray of shape (n_zones, n_days)
        Hours by which each zone's clocks are ahead of the business's.
    lives : Lives
        What happened; of it, only states and unread messages at the moment are used.

    Yields
    ------
    Foresight
        One answer for each moment and horizon.
    """
    reading = _reading_chances(people, calendar, campaigns, ahead)
    world = _World(people, calendar, campaigns, ahead, reading)
    for day, state in lives.snapshots.items():
        as_of = int(calendar.starts[day])
        horizons = [h for h in HORIZONS if as_of + h * DAY <= calendar.starts[-1]]
        known = np.flatnonzero(people.arrivals.day < day)
        if day == 0 or not horizons or not known.size:
            continue
        span = min(max(horizons) + 2, calendar.days - day)
        mail = _expected_mail(world, lives.batches, day, span)
        kept = _survival(world, state, mail, day)
        for horizon in horizons:
            still = _none_until(world, kept, day, as_of + horizon * DAY)[known]
            yield Foresight(as_of, horizon, known, np.clip(1.0 - still, 1e-6, 1 - 1e-6))


def _reading_chances(
    people: People, calendar: Calendar, campaigns: Campaigns, ahead: Ints
) -> Floats:
    chances = np.zeros((campaigns.day.size, LAGS, people.size))
    for i, (day, hour) in enumerate(zip(campaigns.day, campaigns.hour, strict=True)):
        local = ahead[people.arrivals.place, day]
        hour_of_week = (24 * calendar.weekday[day] + hour + local) % 168
        met = people.habits.reading_chances(int(hour), hour_of_week)
        chances[i] = met * people.mailing.reads * (1 - SOFT_BOUNCE)
        if not campaigns.push[i]:
            chances[i][:, people.mailing.dead] = 0.0
    return chances


def _expected_mail(world: _World, batches: tuple[Batch, ...], day: int, span: int) -> _Mail:
    plan, size = world.campaigns, world.people.size
    mail = _Mail(np.zeros((span, 3, size)), np.zeros((span, 3, size)), np.zeros((span, size)))
    for batch in batches:
        begun = day - int(plan.day[batch.campaign])
        if 0 < begun < LAGS:
            effect = np.ones(size)
            effect[batch.person] = plan.effect[batch.campaign, batch.variant]
            reads = _still_unread(world.reading[batch.campaign], batch, day, begun)
            _add(world, mail, batch.campaign, 0, (reads, _clicks(world.people, effect)))
    for campaign in np.flatnonzero((plan.day >= day) & (plan.day < day + span)):
        reads = world.reading[campaign] * plan.share[campaign] * _permitted(world, int(campaign))
        clicks = np.zeros((3, size))
        for chance, effect in zip(plan.propensity[campaign], plan.effect[campaign], strict=True):
            clicks += chance * _clicks(world.people, np.full(size, effect))
        _add(world, mail, int(campaign), int(plan.day[campaign]) - day, (reads, clicks))
    return mail


def _still_unread(reading: Floats, batch: Batch, day: int, begun: int) -> Floats:
    """Chances to read on the coming days what was sent before and is known to be unread."""
    waiting = (batch.delivered >= 0) & ((batch.read_day < 0) | (batch.read_day >= day))
    unread = np.zeros(reading.shape[1])
    unread[batch.person[waiting]] = 1.0
    left: Floats = unread * reading[begun:] / (1.0 - reading[:begun].sum(axis=0))
    return left


def _clicks(people: People, effect: Floats) -> Floats:
    moods = (AWAY, COOL, WARM)
    return np.stack(
        [click_chance(people.mailing.clicks, effect, np.full(effect.size, m)) for m in moods]
    )


def _permitted(world: _World, campaign: int) -> Flags:
    plan, mailing = world.campaigns, world.people.mailing
    slot = world.calendar.at(plan.day[[campaign]], plan.hour[[campaign]] * 3600.0)[0]
    permitted: Flags = (mailing.push_at if plan.push[campaign] else mailing.email_at) < slot
    return permitted


def _add(
    world: _World, mail: _Mail, campaign: int, begin: int, chances: tuple[Floats, Floats]
) -> None:
    reads, clicks = chances
    push = world.campaigns.push[campaign]
    target = mail.push if push else mail.email
    for day, read in enumerate(reads[: len(target) - begin], start=begin):
        target[day] += read * clicks
        if not push:
            mail.leaves[day] += read * world.people.mailing.leaves


def _survival(world: _World, state: State, mail: _Mail, day: int) -> Floats:
    """Return the chance that nothing is ordered before each coming day, (days + 1, people)."""
    buying, size = world.people.buying, world.people.size
    weight = np.zeros((3, 2, 2, size))  # mood, boosted, reachable
    weight[state.mood, state.boosted.astype(int), state.reachable.astype(int), np.arange(size)] = 1
    clock = np.minimum(state.clock, FURTHEST)
    kept = np.ones((len(mail.leaves) + 1, size))
    for ahead in range(len(mail.leaves)):
        _turn_moods(world, weight, day + ahead)
        later = clock + buying.rate * world.calendar.pace[day + ahead]
        passed = clock_hazard(buying.shape, later) - clock_hazard(buying.shape, clock)
        for mood, gain in ((COOL, COOL_GAIN), (WARM, buying.warm_gain)):
            weight[mood, 0] *= np.exp(-passed * gain)
            weight[mood, 1] *= np.exp(-passed * gain * buying.boost_gain)
        clock = np.minimum(later, FURTHEST)
        kept[ahead + 1] = weight.sum(axis=(0, 1, 2))
        _turn_boosts(weight, mail, ahead)
    return kept


def _turn_moods(world: _World, weight: Floats, day: int) -> None:
    buying, born = world.people.buying, world.people.arrivals.day
    leaves = dropout(buying, np.maximum(day - born, 0), world.calendar, day)
    away, cool, warm = weight[AWAY].copy(), weight[COOL].copy(), weight[WARM].copy()
    weight[AWAY] = away * (1 - buying.wake) + (cool + warm) * leaves
    weight[COOL] = away * buying.wake + cool * (1 - leaves - buying.warm_up)
    weight[COOL] += warm * buying.cool_down
    weight[WARM] = cool * buying.warm_up + warm * (1 - leaves - buying.cool_down)


def _turn_boosts(weight: Floats, mail: _Mail, ahead: int) -> None:
    ended = weight[:, 1] * BOOST_END
    weight[:, 1] -= ended
    weight[:, 0] += ended
    email, push, leaves = mail.email[ahead], mail.push[ahead], mail.leaves[ahead]
    for reachable, chance in ((0, push), (1, push + email)):
        clicked = weight[:, 0, reachable] * chance
        weight[:, 0, reachable] -= clicked
        weight[:, 1, reachable] += clicked
    left = weight[:, :, 1] * leaves
    weight[:, :, 1] -= left
    weight[:, :, 0] += left


def _none_until(world: _World, kept: Floats, day: int, end: int) -> Floats:
    """Return the chance that nothing is ordered until an instant.

    A window that spans a change of the clocks ends an hour beside midnight; that day's chance
    is shared out by the hours in which each person shops.
    """
    calendar = world.calendar
    last = int(np.searchsorted(calendar.starts, end, side="right")) - 1
    hours = (end - int(calendar.starts[last])) // HOUR
    before: Floats = kept[last - day]
    if hours == 0:
        return before
    ahead = world.ahead[world.people.arrivals.place, last]
    habits, weekday = world.people.habits, int(calendar.weekday[last])
    share = np.zeros(before.size)
    for hour in range(hours):
        share += habits.chance_of_hour(weekday, (hour + ahead) % 24)
    partly: Floats = before + (kept[last - day + 1] - before) * share
    return partly
