"""Who is sent what, and what becomes of it?"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from mlmarket.market.samples.calendar import HOUR, MINUTE, SECOND, Calendar
from mlmarket.market.samples.campaigns import Campaigns
from mlmarket.market.samples.draws import Flags, Floats, Ints, choose
from mlmarket.market.samples.people import People
from mlmarket.market.samples.purchases import CLICK_GAIN

__all__ = ["SOFT_BOUNCE", "UNSET", "Batch", "Postman", "click_chance"]

UNSET: Final = -1
SOFT_BOUNCE: Final = 0.008

_COMPLAINT_SHARE: Final = 0.08
_PROXY_OPENS: Final = 0.92
_PROXY_FLAGGED: Final = 0.9


@dataclass(frozen=True, slots=True)
class Batch:
    """The messages of one campaign to some people; arrays of shape (n_messages,).

    Times are microseconds since 1970 UTC, ``UNSET`` where it did not happen.

    Parameters
    ----------
    campaign : int
        Index into the plan.
    person : ndarray
        Recipients.
    variant : ndarray
        Index into ``campaigns.VARIANTS``.
    sent, delivered, bounced, proxied, read, clicked, left : ndarray
        Sending, delivery or return, the proxy's open, the person's open, click, departure.
    flagged : ndarray
        Whether the proxy's open is known to be one.
    complained : ndarray
        Whether the departure is a complaint instead of an unsubscription.
    read_day : ndarray
        Business day of the person's open, ``UNSET`` where there is none.
    """

    campaign: int
    person: Ints
    variant: Ints
    sent: Ints
    delivered: Ints
    bounced: Ints
    proxied: Ints
    read: Ints
    clicked: Ints
    left: Ints
    flagged: Flags
    complained: Flags
    read_day: Ints


def click_chance(clicks: Floats, effect: Floats | float, mood: Ints) -> Floats:
    """Return the chance that an opened message is clicked.

    Parameters
    ----------
    clicks : ndarray of shape (n,)
        The person's trait.
    effect : ndarray of shape (n,) or float
        Multiplier of the variant.
    mood : ndarray of shape (n,)
        Mood of the day.

    Returns
    -------
    ndarray of shape (n,)
        Chance, at most 0.9.
    """
    chance: Floats = np.minimum(0.9, clicks * effect * CLICK_GAIN[mood])
    return chance


@dataclass(slots=True)
class Postman:
    """Sends the campaigns day by day and remembers what is still unread.

    Parameters
    ----------
    people : People
        Possible recipients.
    calendar : Calendar
        The days.
    campaigns : Campaigns
        The plan.
    ahead : ndarray of shape (n_zones, n_days)
        Hours by which each zone's clocks are ahead of the business's.
    batches : list of Batch
        What was sent so far.
    """

    people: People
    calendar: Calendar
    campaigns: Campaigns
    ahead: Ints
    batches: list[Batch] = field(default_factory=list)
    _unread: dict[int, list[tuple[Batch, Ints]]] = field(default_factory=lambda: defaultdict(list))

    def deliver(
        self, rng: np.random.Generator, day: int, mood: Ints, boosted: Flags, reachable: Flags
    ) -> None:
        """Live through one day of mail; ``boosted`` and ``reachable`` are changed in place.

        What is read before the day's send counts before it, so that nobody is written to
        after having left.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of chance.
        day : int
            Index of the day.
        mood : ndarray of shape (n_people,)
            Moods of the day.
        boosted : ndarray of shape (n_people,)
            Set for those who click.
        reachable : ndarray of shape (n_people,)
            Cleared for those who leave and for mailboxes that do not exist.
        """
        today = np.flatnonzero(self.campaigns.day == day)
        slot = self.calendar.end
        due = self._unread.pop(day, [])
        if today.size:
            hour = self.campaigns.hour[today]
            slot = int(self.calendar.at(np.array([day]), hour * 3600.0)[0])
            for batch, rows in due:
                self._read(rng, batch, rows[batch.read[rows] < slot], mood, boosted, reachable)
            self._send(rng, int(today[0]), slot, reachable)
            due = [(batch, rows[batch.read[rows] >= slot]) for batch, rows in due]
            due += self._unread.pop(day, [])
        for batch, rows in due:
            self._read(rng, batch, rows, mood, boosted, reachable)

    def _send(self, rng: np.random.Generator, campaign: int, slot: int, reachable: Flags) -> None:
        plan, mailing = self.campaigns, self.people.mailing
        push = bool(plan.push[campaign])
        permitted = mailing.push_at < slot if push else (mailing.email_at < slot) & reachable
        chosen = rng.random(self.people.size) < plan.share[campaign]
        person = np.flatnonzero(permitted & chosen)
        size = person.size
        sent = slot + rng.integers(0, 300, size) * SECOND
        gone = (mailing.dead[person] & (not push)) | (rng.random(size) < SOFT_BOUNCE)
        settled = sent + rng.integers(1, 45, size) * SECOND
        proxied = mailing.proxy[person] & (not push) & ~gone & (rng.random(size) < _PROXY_OPENS)
        proxy_time = settled + np.ceil(rng.lognormal(5.0, 1.3, size)).astype(np.int64) * SECOND
        read, read_day = self._readings(rng, campaign, slot, person, gone)
        batch = Batch(
            campaign=campaign,
            person=person,
            variant=choose(rng, plan.propensity[campaign], size),
            sent=sent,
            delivered=np.where(gone, UNSET, settled),
            bounced=np.where(gone, settled, UNSET),
            proxied=np.where(proxied & (proxy_time < self.calendar.end), proxy_time, UNSET),
            read=read,
            clicked=np.full(size, UNSET, dtype=np.int64),
            left=np.full(size, UNSET, dtype=np.int64),
            flagged=rng.random(size) < _PROXY_FLAGGED,
            complained=rng.random(size) < _COMPLAINT_SHARE,
            read_day=read_day,
        )
        self.batches.append(batch)
        reachable[person[mailing.dead[person] & (not push)]] = False
        for day in np.unique(read_day[read_day >= 0]):
            self._unread[int(day)].append((batch, np.flatnonzero(read_day == day)))

    def _readings(
        self, rng: np.random.Generator, campaign: int, slot: int, person: Ints, gone: Flags
    ) -> tuple[Ints, Ints]:
        day, hour = int(self.campaigns.day[campaign]), int(self.campaigns.hour[campaign])
        ahead = self.ahead[self.people.arrivals.place[person], day]
        hour_of_week = (24 * int(self.calendar.weekday[day]) + hour + ahead) % 168
        hours = self.people.habits.first_reading(rng, person, hour_of_week)
        opens = rng.random(person.size) < self.people.mailing.reads[person]
        first_minute = np.where(hours == 0, 6, 0)
        minutes = first_minute + np.floor(rng.random(person.size) * (59.9 - first_minute))
        seconds = rng.integers(0, 60, person.size)
        read = slot + hours * HOUR + minutes.astype(np.int64) * MINUTE + seconds * SECOND
        happens = (hours >= 0) & opens & ~gone & (read < self.calendar.end - HOUR)
        return (
            np.where(happens, read, UNSET),
            np.where(happens, day + (hour + hours) // 24, UNSET),
        )

    def _read(
        self,
        rng: np.random.Generator,
        batch: Batch,
        rows: Ints,
        mood: Ints,
        boosted: Flags,
        reachable: Flags,
    ) -> None:
        person = batch.person[rows]
        mailing = self.people.mailing
        effect = self.campaigns.effect[batch.campaign, batch.variant[rows]]
        chance = click_chance(mailing.clicks[person], effect, mood[person])
        clicks = rows[rng.random(rows.size) < chance]
        boosted[batch.person[clicks]] = True
        batch.clicked[clicks] = batch.read[clicks] + rng.integers(10, 240, clicks.size) * SECOND
        if not self.campaigns.push[batch.campaign]:
            # Six minutes and more: after the last message of a send that started meanwhile.
            leaves = rows[rng.random(rows.size) < mailing.leaves[person]]
            leaves = leaves[reachable[batch.person[leaves]]]
            reachable[batch.person[leaves]] = False
            wait = rng.integers(6 * 60, 20 * 60, leaves.size) * SECOND
            batch.left[leaves] = batch.read[leaves] + wait
