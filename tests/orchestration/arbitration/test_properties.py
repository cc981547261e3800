"""Whatever messages, people and rules: what always holds, and a slow second opinion on every verdict."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlmarket.orchestration.arbitration.reasons import Fate, Reason
from mlmarket.orchestration.documents import WEEKDAYS
from mlmarket.orchestration.journeys.actions import Worth

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 3, 28, 20)  # noqa: DTZ001 - UTC without a zone; clocks change that night
ZONES = ("UTC", "Europe/Lisbon", "America/Sao_Paulo")
HELD = int(Reason.GLOBAL_HOLDOUT), int(Reason.JOURNEY_HOLDOUT)
CAPS = (
    {"most": 1, "per": "24h"},
    {"most": 2, "per": "7D"},
    {"most": 1, "per": "day"},
    {"most": 2, "per": "week"},
    {"most": 3, "per": "month"},
    {"most": 1, "per": "3D", "channel": "email"},
    {"most": 1, "per": "week", "topic": "offers"},
    {"most": 1, "per": "day", "channel": "ads"},
)
WINDOWS = (
    {"opens": "08:00", "closes": "21:00"},
    {"opens": "22:00", "closes": "03:00", "weekdays": ["sat", "wed"]},
    {"opens": "01:00", "closes": "02:00"},
)


@st.composite
def policies(draw, arena):
    caps = draw(st.lists(st.sampled_from(CAPS), max_size=3, unique_by=str))
    channels = {}
    for name in ("email", "sms"):
        rule = {"cost": draw(st.sampled_from([0.0, 0.25]))}
        if draw(st.booleans()):
            rule["window"] = draw(st.sampled_from(WINDOWS))
        if draw(st.booleans()):
            rule["throughput"] = {"most": draw(st.integers(1, 3)), "per": "6h"}
        channels[name] = rule
    content = {
        "caps": [{"name": f"c{n}", **cap} for n, cap in enumerate(caps)],
        "channels": channels,
        "at_once": draw(st.integers(1, 3)),
    }
    if draw(st.booleans()):
        content["fatigue"] = {"cost": 0.25, "within": "3D"}
    return arena.policy(**content)


@st.composite
def asks(draw, arena, lot):
    channels = draw(st.sampled_from([("email",), ("sms",), ("email", "sms"), ("ads",)]))
    reasons = st.sampled_from([0, 0, 0, int(Reason.NO_CONSENT), int(Reason.BOUNCED)])
    worth = None
    if draw(st.booleans()):
        worth = Worth(probability="p", cost=0.25, needed=draw(st.sampled_from([None, 0.0])))
    return arena.Ask(
        person=draw(st.integers(0, 1)),
        channels=channels,
        closed=tuple(draw(reasons) for _ in channels),
        topic=draw(st.sampled_from([None, "offers", "news"])),
        priority=draw(st.integers(1, 4)) * 10,
        group=draw(st.sampled_from([None, None, "g"])),
        transactional=draw(st.integers(0, 4)) == 0,
        best_time=draw(st.booleans()),
        within=draw(st.sampled_from([6 * HOUR, 2 * DAY])),
        worth=worth,
        if_blocked=draw(st.sampled_from(["hold", "advance", "drop"])),
        journey=f"j{lot}",
        entered=START - draw(st.integers(1, 3)) * DAY,
        expires=START + draw(st.sampled_from([HOUR, 12 * HOUR, 3 * DAY, 60 * DAY])),
        against=draw(st.sampled_from([0, 0, 0, 0, *HELD, int(Reason.MISSING_TOKEN)])),
        lot=draw(st.integers(0, 1)) * 100 + lot,
        probability=draw(st.sampled_from([0.0, 0.25, 0.5, 1.0, float("nan"), 2.0])),
        gain=draw(st.sampled_from([1.0, 4.0, float("inf")])),
    )


@st.composite
def scenes(draw, arena, most=6):
    people = [
        arena.Person(
            zone=draw(st.sampled_from(ZONES)),
            handed_over=draw(st.integers(0, 9)) == 0,
            unhygienic=draw(st.integers(0, 9)) == 0,
            send_at=draw(st.sampled_from([None, START + 5 * HOUR, START + DAY])),
        )
        for _ in range(2)
    ]
    past = [
        arena.Had(
            draw(st.integers(-1, 1)),
            START + draw(st.integers(-200, 30)) * HOUR,
            draw(st.sampled_from(["email", "sms", "ads"])),
            draw(st.sampled_from([None, "offers"])),
            draw(st.integers(0, 4)) == 0,
        )
        for _ in range(draw(st.integers(0, 6)))
    ]
    passes = [
        arena.On(draw(st.integers(0, 1)), f"p{n}", draw(st.integers(1, 4)) * 10, "g")
        for n in range(draw(st.integers(0, 1)))
    ]
    rows = [draw(asks(arena, lot)) for lot in range(draw(st.integers(1, most)))]
    return arena.Scene(rows, people, past, passes, draw(policies(arena)), START)


_LOST_TO = Reason.OUTRANKED | Reason.EXCLUSION_GROUP | Reason.CAPPED


class Slow:
    """The rules again, one message after the other, hour by hour, in plain Python."""

    def __init__(self, scene):
        self.scene, self.policy, self.now = scene, scene.policy, scene.now
        self.chosen = []

    def local(self, person, moment):
        zone = ZoneInfo(self.scene.people[person].zone)
        return moment.replace(tzinfo=UTC).astimezone(zone)

    def rule(self, channel):
        return self.policy.channels.get(channel)

    def is_open(self, person, channel, moment):
        rule = self.rule(channel)
        if rule is None or rule.window is None:
            return True
        window, clock = rule.window, self.local(person, moment)
        days = window.weekdays or WEEKDAYS
        today, yesterday = WEEKDAYS[clock.weekday()], WEEKDAYS[clock.weekday() - 1]
        if window.opens < window.closes:
            return today in days and window.opens <= clock.time() < window.closes
        late = today in days and clock.time() >= window.opens
        return late or (yesterday in days and clock.time() < window.closes)

    def opening(self, person, channel, moment):
        while not self.is_open(person, channel, moment):
            moment += HOUR
        return moment

    def channel_of(self, ask):
        fallen = 0
        for channel, closed in zip(ask.channels, ask.closed, strict=True):
            if not closed:
                return channel, fallen, ask.channels.index(channel)
            fallen |= closed
        return ask.channels[0], fallen, -1

    def planned(self, ask, channel):
        """Return when it would go out, and whether the channel is closed before."""
        best = self.scene.people[ask.person].send_at
        if ask.best_time and best is not None and best >= self.now:
            opened = self.opening(ask.person, channel, best)
            if opened <= self.now + ask.within and opened < ask.expires:
                return opened, opened > best
        opened = self.opening(ask.person, channel, self.now)
        return opened, opened > self.now

    def value(self, ask, channel):
        if ask.worth is None or not 0 <= ask.probability <= 1 or ask.gain == float("inf"):
            return None
        rule = self.rule(channel)
        spent = ask.worth.cost + (0.0 if rule is None else rule.cost)
        if self.policy.fatigue is not None and not ask.transactional:
            since = self.now - self.policy.fatigue.within
            had = [
                one
                for one in self.scene.past
                if one.person == ask.person and one.at > since
                if not one.transactional and one.channel != "ads"
            ]
            spent += self.policy.fatigue.cost * len(had)
        return ask.probability * ask.gain - spent

    def counts(self, cap, channel, topic):
        if cap.channel is None and channel == "ads":
            return False
        return cap.channel in (None, channel) and cap.topic in (None, topic)

    def sends(self, person, cap):
        past = [
            one.at
            for one in self.scene.past
            if one.person == person and not one.transactional
            if self.counts(cap, one.channel, one.topic)
        ]
        return past + [
            at
            for ask, channel, at in self.chosen
            if ask.person == person and not ask.transactional
            if self.counts(cap, channel, ask.topic)
        ]

    def period(self, person, cap, moment):
        clock = self.local(person, moment)
        if cap.per == "day":
            return clock.date()
        return clock.isocalendar()[:2] if cap.per == "week" else (clock.year, clock.month)

    def has_room(self, ask, cap, at):
        sends = self.sends(ask.person, cap)
        if isinstance(cap.per, str):
            period = self.period(ask.person, cap, at)
            return sum(self.period(ask.person, cap, one) == period for one in sends) < cap.most
        return fits(sends, at, cap.most, cap.per)

    def room(self, ask, channel, at):
        """Return the first hour that all caps and the window permit."""
        caps = [cap for cap in self.policy.caps if self.counts(cap, channel, ask.topic)]
        if ask.transactional:
            caps = []
        while not (
            self.is_open(ask.person, channel, at)
            and all(self.has_room(ask, cap, at) for cap in caps)
        ):
            at += HOUR
        return at

    def free(self, channel, at):
        """Return when the last full stretch that holds a moment ends."""
        rule = self.rule(channel)
        if rule is None or rule.throughput is None:
            return at
        most, per = rule.throughput.most, rule.throughput.per
        sends = [one.at for one in self.scene.past if one.channel == channel]
        sends += [when for _, used, when in self.chosen if used == channel]
        full = [
            start
            for start in {*sends, at}
            if start <= at < start + per
            if sum(start <= one < start + per for one in sends) >= most
        ]
        return max(full) + per if full else at

    def outgrouped(self, ask):
        if ask.group is None:
            return False, -1
        others = [
            ((-one.priority, one.entered, one.journey), -1)
            for one in self.scene.passes
            if one.person == ask.person and one.group == ask.group
        ]
        others += [
            ((-one.priority, one.entered, one.journey), row)
            for row, one in enumerate(self.scene.asks)
            if one.person == ask.person and one.group == ask.group and one.against not in HELD
        ]
        before = [one for one in others if one[0] < (-ask.priority, ask.entered, ask.journey)]
        return (True, min(before)[1]) if before else (False, -1)

    def verdicts(self):
        rows = range(len(self.scene.asks))
        values = {}
        for row in rows:
            ask = self.scene.asks[row]
            values[row] = self.value(ask, self.channel_of(ask)[0])

        def rank(row):
            ask, value = self.scene.asks[row], values[row]
            return -ask.priority, value is None, -(value or 0.0), ask.lot

        said = {row: self.verdict(row, values[row]) for row in sorted(rows, key=rank)}
        return [said[row] for row in rows]

    def sharing(self, ask, channel):
        """Return the first message to the same person that one of the same caps counts."""
        caps = [cap for cap in self.policy.caps if self.counts(cap, channel, ask.topic)]
        for one, used, _ in self.chosen:
            shared = any(self.counts(cap, used, one.topic) for cap in caps)
            if one.person == ask.person and not one.transactional and shared:
                return self.scene.asks.index(one)
        return -1

    def verdict(self, row, value):
        ask = self.scene.asks[row]
        channel, fallen, rung = self.channel_of(ask)
        at, waits = self.planned(ask, channel)
        grouped, winner = self.outgrouped(ask)
        person = self.scene.people[ask.person]
        needed = None if ask.worth is None else ask.worth.needed
        found = Reason(fallen | ask.against)
        hard = rung < 0 or ask.against not in (0, *HELD)
        tests = {
            Reason.HANDOVER: person.handed_over,
            Reason.HYGIENE: person.unhygienic,
            Reason.EXCLUSION_GROUP: grouped,
            Reason.NOT_WORTH_IT: needed is not None and (value is None or value <= needed),
            Reason.TOO_LATE: at >= ask.expires,
        }
        for reason, holds in tests.items():
            found |= reason if holds else Reason(0)
            hard = hard or holds
        found |= Reason.QUIET_HOURS if waits else Reason(0)
        rivals = [
            self.scene.asks.index(one)
            for one, used, _ in self.chosen
            if one.person == ask.person and not one.transactional and used != "ads"
        ]
        until = at
        if not ask.transactional and channel != "ads" and len(rivals) >= self.policy.at_once:
            found |= Reason.OUTRANKED
            winner = rivals[0]
        room, free = self.room(ask, channel, at), self.free(channel, at)
        if room > at:
            found |= Reason.CAPPED
            taker = self.sharing(ask, channel)
            # Who took the place in this tick is named before who leads the group.
            winner = taker if taker >= 0 and not found & Reason.OUTRANKED else winner
        if free > at:
            found |= Reason.THROUGHPUT
        until = max(room, free)
        late = until > at and until >= ask.expires
        found |= Reason.TOO_LATE if late else Reason(0)
        soft = found & (Reason.OUTRANKED | Reason.CAPPED | Reason.THROUGHPUT)
        if not hard and not soft and ask.against not in HELD:
            self.chosen.append((ask, channel, at))
        fate = self.fate(ask, found, rung, soft)
        only_held = not hard and not soft and ask.against in HELD
        return {
            "fate": fate,
            "channel": channel if fate in (Fate.SENT, Fate.FALL_BACK) else None,
            "at": at if fate in (Fate.SENT, Fate.FALL_BACK) or only_held else None,
            "reasons": int(found) if not only_held else ask.against,
            "until": (until if until > at else self.now) if fate is Fate.DEFER else None,
            "value": value,
        }, winner if found & _LOST_TO else None

    def fate(self, ask, found, rung, soft):
        blocked = rung < 0 or found & (Reason.HYGIENE | Reason.MISSING_TOKEN)
        order = [
            (
                blocked,
                {"hold": Fate.HOLD, "advance": Fate.ADVANCE, "drop": Fate.DROP}[ask.if_blocked],
            ),
            (found & (Reason.HANDOVER | Reason.EXCLUSION_GROUP), Fate.HOLD),
            (found & (Reason.TOO_LATE | Reason.NOT_WORTH_IT), Fate.ADVANCE),
            (soft, Fate.DEFER),
            (ask.against in HELD, Fate.ADVANCE),
            (rung > 0, Fate.FALL_BACK),
        ]
        return next((fate for applies, fate in order if applies), Fate.SENT)


def fits(sends, at, most, length):
    """Say whether no stretch of a length that holds a moment would hold too many."""
    every = [*sends, at]
    return all(
        sum(start <= one < start + length for one in every) <= most
        for start in every
        if start <= at < start + length
    )


def bits(names):
    return sum(int(Reason[name.upper()]) for name in names)


def test_every_verdict_is_that_of_the_plain_rules(arena):
    seen = Counter()

    @settings(max_examples=800, deadline=None)
    @given(scenes(arena))
    def compare(scene):
        found = scene.said()
        for said, (expected, winner) in zip(found, Slow(scene).verdicts(), strict=True):
            one = {**said, "reasons": bits(said["reasons"])}
            if winner is not None:
                assert one["winner"] == winner
            del one["winner"]
            assert one == expected
            seen[one["fate"]] += 1
            assert one["fate"] in (Fate.SENT, Fate.FALL_BACK) or one["reasons"]

    compare()
    assert set(seen) == set(Fate)


def test_the_order_of_candidates_changes_nothing(arena):
    @settings(max_examples=60, deadline=None)
    @given(scenes(arena), st.data())
    def compare(scene, data):
        order = data.draw(st.permutations(range(len(scene.asks))))
        mixed = replace(scene, asks=[scene.asks[n] for n in order]).said()
        for place, said in zip(order, mixed, strict=True):
            winner = said["winner"]
            restored = {**said, "winner": -1 if winner < 0 else order[winner]}
            assert restored == scene.said()[place]

    compare()


def test_a_raised_priority_never_makes_a_message_lose(arena):
    @settings(max_examples=100, deadline=None)
    @given(scenes(arena), st.data())
    def compare(scene, data):
        sent = [n for n, said in enumerate(scene.said()) if said["channel"] is not None]
        assume(sent)
        row = data.draw(st.sampled_from(sent))
        raised = replace(scene.asks[row], priority=scene.asks[row].priority + 25)
        asks = [raised if n == row else ask for n, ask in enumerate(scene.asks)]
        assert replace(scene, asks=asks).said()[row]["channel"] == scene.said()[row]["channel"]

    compare()


def test_a_message_of_lower_priority_changes_nothing_for_the_others(arena):
    @settings(max_examples=100, deadline=None)
    @given(scenes(arena), st.data())
    def compare(scene, data):
        lower = replace(data.draw(asks(arena, 50)), priority=5)
        assert replace(scene, asks=[*scene.asks, lower]).said()[:-1] == scene.said()

    compare()


def test_no_stretch_of_time_ever_holds_more_than_a_cap_or_a_channel_allows(arena):
    @settings(max_examples=60, deadline=None)
    @given(st.lists(scenes(arena, most=4), min_size=2, max_size=5), st.data())
    def live(nights, data):
        first = nights[0]
        past, now = [], START
        for night in nights:
            now += data.draw(st.integers(0, 40)) * HOUR
            moved = [replace(ask, expires=now + 60 * DAY) for ask in night.asks]
            scene = replace(first, asks=moved, past=past, now=now)
            past = past + [
                arena.Had(ask.person, said["at"], said["channel"], ask.topic, ask.transactional)
                for ask, said in zip(moved, scene.said(), strict=True)
                if said["channel"] is not None
            ]
        held(replace(first, past=past))

    live()


def held(scene):
    """Check all sends of a scene against its rules."""
    slow = Slow(scene)
    for cap in scene.policy.caps:
        for person in (0, 1):
            sends = slow.sends(person, cap)
            if isinstance(cap.per, str):
                counted = Counter(slow.period(person, cap, at) for at in sends)
                assert max(counted.values(), default=0) <= cap.most
            else:
                assert_kept(sends, cap.most, cap.per)
    for channel, rule in scene.policy.channels.items():
        if rule.throughput is not None:
            sends = [one.at for one in scene.past if one.channel == channel]
            assert_kept(sends, rule.throughput.most, rule.throughput.per)
    for one in scene.past:
        assert slow.is_open(one.person, one.channel, one.at)


def assert_kept(sends, most, length):
    for start in sends:
        assert sum(start <= one < start + length for one in sends) <= most


def test_without_an_open_channel_nothing_is_ever_sent(arena):
    @settings(max_examples=60, deadline=None)
    @given(scenes(arena))
    def compare(scene):
        for ask, said in zip(scene.asks, scene.said(), strict=True):
            if said["channel"] is not None:
                assert ask.closed[ask.channels.index(said["channel"])] == 0
                assert ask.against == 0

    compare()
