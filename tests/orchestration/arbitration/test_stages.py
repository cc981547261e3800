"""Each stage of arbitration by itself: what it asks, and what becomes of those it refuses."""

from datetime import datetime, timedelta

import pytest

from mlmarket.orchestration.arbitration.reasons import Fate, Reason
from mlmarket.orchestration.journeys.actions import Worth

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def test_a_message_that_nothing_speaks_against_is_sent_now(arena):
    said = arena.one(arena.Ask())
    assert said["fate"] is Fate.SENT
    assert (said["channel"], said["at"], said["reasons"]) == ("email", arena.NOW, [])
    assert (said["until"], said["winner"]) == (None, -1)


def test_a_closed_channel_falls_back_to_the_next_of_the_ladder(arena):
    closed = (int(Reason.BOUNCED | Reason.NO_CONSENT), 0)
    said = arena.one(arena.Ask(channels=("email", "sms"), closed=closed))
    assert (said["fate"], said["channel"]) == (Fate.FALL_BACK, "sms")
    assert said["reasons"] == ["no_consent", "bounced"]


def test_a_channel_behind_the_open_one_is_not_asked(arena):
    said = arena.one(arena.Ask(channels=("email", "sms"), closed=(0, int(Reason.BOUNCED))))
    assert (said["fate"], said["channel"], said["reasons"]) == (Fate.SENT, "email", [])


@pytest.mark.parametrize(
    ("if_blocked", "fate"),
    [("hold", Fate.HOLD), ("advance", Fate.ADVANCE), ("drop", Fate.DROP)],
)
def test_where_no_channel_is_open_the_message_says_what_becomes_of_it(arena, if_blocked, fate):
    closed = (int(Reason.BOUNCED), int(Reason.SUPPRESSED))
    ask = arena.Ask(channels=("email", "sms"), closed=closed, if_blocked=if_blocked)
    said = arena.one(ask)
    assert (said["fate"], said["channel"]) == (fate, None)
    assert said["reasons"] == ["bounced", "suppressed"]


def test_somebody_erased_leaves_whatever_else_is_so(arena):
    said = arena.one(arena.Ask(closed=(int(Reason.ERASED),), against=int(Reason.GLOBAL_HOLDOUT)))
    assert said["fate"] is Fate.DROP


def test_a_human_conversation_holds_messages_also_transactional_ones(arena):
    people = [arena.Person(handed_over=True)]
    for transactional in (False, True):
        said = arena.one(arena.Ask(transactional=transactional), people=people)
        assert (said["fate"], said["reasons"]) == (Fate.HOLD, ["handover"])


def test_an_address_to_be_left_alone_is_a_blocked_one(arena):
    people = [arena.Person(unhygienic=True)]
    said = arena.one(arena.Ask(if_blocked="advance"), people=people)
    assert (said["fate"], said["reasons"]) == (Fate.ADVANCE, ["hygiene"])


@pytest.mark.parametrize("holdout", [Reason.GLOBAL_HOLDOUT, Reason.JOURNEY_HOLDOUT])
def test_who_is_only_held_out_goes_on_without_the_message(arena, holdout):
    said = arena.one(arena.Ask(against=int(holdout)))
    assert (said["fate"], said["channel"], said["at"]) == (Fate.ADVANCE, None, arena.NOW)
    assert said["reasons"] == [holdout.name.lower()]


def test_who_is_held_out_waits_as_all_others_do(arena):
    held, free = (
        arena.one(arena.Ask(against=against, closed=(int(Reason.BOUNCED),)))
        for against in (int(Reason.JOURNEY_HOLDOUT), 0)
    )
    assert held["fate"] is free["fate"] is Fate.HOLD
    assert held["reasons"] == ["bounced", "journey_holdout"]


def test_who_is_held_out_takes_nothing_from_others(arena):
    rules = arena.policy(caps=[{"name": "a", "most": 1, "per": "7D"}])
    others = [arena.Ask(priority=40, lot=1), arena.Ask(priority=30, lot=2)]
    alone = arena.Scene(others, policy=rules).said()
    held = arena.Ask(priority=90, against=int(Reason.JOURNEY_HOLDOUT))
    beside = arena.Scene([*others, held], policy=rules).said()
    assert beside[:2] == alone
    assert beside[2]["fate"] is Fate.ADVANCE


def test_outside_its_hours_a_message_is_sent_with_a_later_time(arena):
    hours = {"email": {"window": {"opens": "14:00", "closes": "18:00"}}}
    said = arena.one(arena.Ask(), policy=arena.policy(channels=hours))
    assert (said["fate"], said["reasons"]) == (Fate.SENT, ["quiet_hours"])
    assert said["at"] == arena.NOW + 2 * HOUR


def test_hours_are_those_where_the_person_is(arena):
    hours = {"email": {"window": {"opens": "09:00", "closes": "21:00"}}}
    people = [arena.Person("America/Sao_Paulo"), arena.Person("Asia/Kathmandu")]
    night = datetime(2026, 3, 11, 2)
    asks = [arena.Ask(person=0), arena.Ask(person=1)]
    rules = arena.policy(channels=hours)
    said = arena.Scene(asks, people=people, policy=rules, now=night).said()
    assert said[0]["at"] == datetime(2026, 3, 11, 12)
    assert said[1]["at"] == datetime(2026, 3, 11, 3, 15)


def test_a_message_that_can_only_go_out_behind_the_expiry_is_too_late(arena):
    hours = {"email": {"window": {"opens": "14:00", "closes": "18:00"}}}
    rules = arena.policy(channels=hours)
    at_the_end = arena.one(arena.Ask(expires=arena.NOW + 2 * HOUR), policy=rules)
    assert (at_the_end["fate"], at_the_end["at"]) == (Fate.ADVANCE, None)
    assert at_the_end["reasons"] == ["quiet_hours", "too_late"]
    just = arena.NOW + 2 * HOUR + timedelta(microseconds=1)
    assert arena.one(arena.Ask(expires=just), policy=rules)["fate"] is Fate.SENT


def test_the_journey_of_the_highest_priority_of_a_group_goes_first(arena):
    passes = [arena.On(0, "cart", 80, "sales"), arena.On(0, "win_back", 50, "sales")]
    said = arena.one(arena.Ask(journey="win_back", group="sales"), passes=passes)
    assert (said["fate"], said["reasons"], said["winner"]) == (Fate.HOLD, ["exclusion_group"], -1)
    free = arena.one(arena.Ask(journey="cart", group="sales", priority=80), passes=passes)
    assert free["fate"] is Fate.SENT
    other = arena.one(arena.Ask(journey="news", group="news"), passes=passes)
    assert other["fate"] is Fate.SENT


def test_two_journeys_of_a_group_name_the_one_that_went_first(arena):
    first = arena.Ask(journey="a", group="g", priority=60, lot=1)
    second = arena.Ask(journey="b", group="g", lot=2)
    said = arena.Scene([second, first], policy=arena.policy(at_once=5)).said()
    assert (said[0]["reasons"], said[0]["winner"]) == (["exclusion_group"], 1)
    assert said[1]["fate"] is Fate.SENT


def test_of_equal_journeys_of_a_group_the_one_entered_first_goes_first(arena):
    older = arena.Ask(journey="b", group="g", entered=arena.NOW - 5 * DAY, lot=9)
    newer = arena.Ask(journey="a", group="g", entered=arena.NOW - 4 * DAY, lot=1)
    said = arena.Scene([newer, older], policy=arena.policy(at_once=5)).said()
    assert [one["fate"] for one in said] == [Fate.HOLD, Fate.SENT]


def test_a_journey_that_is_held_out_leaves_the_word_to_its_group(arena):
    held = arena.Ask(journey="a", group="g", priority=90, against=int(Reason.JOURNEY_HOLDOUT))
    said = arena.Scene([held, arena.Ask(journey="b", group="g", lot=1)]).said()
    assert [one["fate"] for one in said] == [Fate.ADVANCE, Fate.SENT]


def test_a_full_cap_defers_until_the_first_moment_with_room(arena):
    rules = arena.policy(caps=[{"name": "weekly", "most": 2, "per": "7D"}])
    past = [arena.Had(0, arena.NOW - 6 * DAY), arena.Had(0, arena.NOW - 1 * DAY)]
    said = arena.one(arena.Ask(), past=past, policy=rules)
    assert (said["fate"], said["reasons"]) == (Fate.DEFER, ["capped"])
    assert said["until"] == arena.NOW + 1 * DAY
    assert arena.one(arena.Ask(), past=past[1:], policy=rules)["fate"] is Fate.SENT


def test_a_cap_of_three_a_week_is_never_moved_by_weeks(arena):
    rules = arena.policy(caps=[{"name": "weekly", "most": 3, "per": "7D"}])
    past = [arena.Had(0, arena.NOW - days * DAY) for days in (1, 2, 3)]
    said = arena.one(arena.Ask(), past=past, policy=rules)
    assert said["until"] == arena.NOW + 4 * DAY


def test_messages_just_the_length_of_a_cap_apart_are_both_sent(arena):
    rules = arena.policy(caps=[{"name": "weekly", "most": 1, "per": "7D"}])
    at = arena.NOW - 7 * DAY
    assert arena.one(arena.Ask(), past=[arena.Had(0, at)], policy=rules)["fate"] is Fate.SENT
    at += timedelta(microseconds=1)
    assert arena.one(arena.Ask(), past=[arena.Had(0, at)], policy=rules)["fate"] is Fate.DEFER


def test_a_message_planned_ahead_takes_its_place_in_the_cap(arena):
    rules = arena.policy(caps=[{"name": "weekly", "most": 1, "per": "7D"}])
    planned = [arena.Had(0, arena.NOW + 2 * DAY)]
    said = arena.one(arena.Ask(), past=planned, policy=rules)
    assert (said["fate"], said["until"]) == (Fate.DEFER, arena.NOW + 9 * DAY)


@pytest.mark.parametrize(
    ("per", "until"),
    [
        ("day", datetime(2026, 3, 12, 3)),
        ("week", datetime(2026, 3, 16, 3)),
        ("month", datetime(2026, 4, 1, 3)),
    ],
)
def test_calendar_caps_begin_anew_at_midnight_where_the_person_is(arena, per, until):
    rules = arena.policy(caps=[{"name": "c", "most": 1, "per": per}])
    people = [arena.Person("America/Sao_Paulo")]
    past = [arena.Had(0, arena.NOW - 8 * HOUR)]
    said = arena.one(arena.Ask(), people=people, past=past, policy=rules)
    assert (said["fate"], said["until"]) == (Fate.DEFER, until)
    earlier = [arena.Had(0, datetime(2026, 2, 28, 2))]
    free = arena.one(arena.Ask(), people=people, past=earlier, policy=rules)
    assert free["fate"] is Fate.SENT


def test_a_cap_counts_only_its_channel_and_topic(arena):
    caps = [{"name": "c", "most": 1, "per": "7D", "channel": "email", "topic": "offers"}]
    rules = arena.policy(caps=caps)
    past = [arena.Had(0, arena.NOW - DAY)]

    def fate(**ask):
        return arena.one(arena.Ask(**ask), past=past, policy=rules)["fate"]

    assert fate() is Fate.DEFER
    assert fate(topic="news") is Fate.SENT
    assert fate(topic=None) is Fate.SENT
    assert fate(channels=("sms",)) is Fate.SENT


def test_room_behind_a_cap_is_looked_for_within_the_hours(arena):
    rules = arena.policy(
        caps=[{"name": "daily", "most": 1, "per": "24h"}],
        channels={"email": {"window": {"opens": "09:00", "closes": "13:00"}}},
    )
    past = [arena.Had(0, arena.NOW - HOUR * 20)]
    said = arena.one(arena.Ask(), past=past, policy=rules)
    assert said["until"] == datetime(2026, 3, 12, 9)


def test_caps_are_consumed_in_order_of_priority(arena):
    rules = arena.policy(at_once=5, caps=[{"name": "c", "most": 1, "per": "7D"}])
    asks = [arena.Ask(priority=10, lot=1), arena.Ask(priority=90, lot=2)]
    low, high = arena.Scene(asks, policy=rules).said()
    assert (high["fate"], low["fate"]) == (Fate.SENT, Fate.DEFER)
    assert (low["reasons"], low["winner"]) == (["capped"], 1)
    assert low["until"] == arena.NOW + 7 * DAY


def test_what_is_not_sent_consumes_nothing(arena):
    rules = arena.policy(caps=[{"name": "c", "most": 1, "per": "7D"}])
    asks = [arena.Ask(priority=90, closed=(int(Reason.BOUNCED),)), arena.Ask(lot=1)]
    assert arena.Scene(asks, policy=rules).said()[1]["fate"] is Fate.SENT


def test_one_marketing_message_goes_out_at_once(arena):
    asks = [arena.Ask(priority=10, lot=1), arena.Ask(priority=90, lot=2)]
    low, high = arena.Scene(asks).said()
    assert high["fate"] is Fate.SENT
    assert (low["fate"], low["reasons"], low["winner"]) == (Fate.DEFER, ["outranked"], 1)
    assert low["until"] == arena.NOW


def test_every_reason_of_a_loser_is_kept(arena):
    rules = arena.policy(caps=[{"name": "c", "most": 1, "per": "7D"}])
    loser = arena.Ask(
        closed=(int(Reason.BOUNCED),),
        against=int(Reason.GLOBAL_HOLDOUT | Reason.MISSING_TOKEN),
        worth=Worth(probability="p", needed=1.0),
        lot=1,
    )
    people = [arena.Person(handed_over=True, unhygienic=True)]
    past = [arena.Had(0, arena.NOW - DAY)]
    said = arena.one(loser, people=people, past=past, policy=rules)
    assert said["reasons"] == [
        "bounced",
        "global_holdout",
        "handover",
        "hygiene",
        "capped",
        "not_worth_it",
        "missing_token",
    ]


def test_transactional_messages_pass_caps_and_are_not_counted(arena):
    rules = arena.policy(caps=[{"name": "c", "most": 1, "per": "7D"}])
    asks = [arena.Ask(priority=90, transactional=True), arena.Ask(lot=1)]
    both = arena.Scene(asks, policy=rules).said()
    assert [one["fate"] for one in both] == [Fate.SENT, Fate.SENT]
    full = [arena.Had(0, arena.NOW - DAY)]
    assert arena.one(asks[0], past=full, policy=rules)["fate"] is Fate.SENT
    sent_before = [arena.Had(0, arena.NOW - DAY, transactional=True)]
    assert arena.one(asks[1], past=sent_before, policy=rules)["fate"] is Fate.SENT


@pytest.mark.parametrize(
    "reason", [Reason.ERASED, Reason.BOUNCED, Reason.NO_CONSENT, Reason.SUPPRESSED]
)
def test_transactional_messages_never_pass_a_closed_channel(arena, reason):
    said = arena.one(arena.Ask(transactional=True, closed=(int(reason),)))
    assert said["channel"] is None
    assert said["reasons"] == [reason.name.lower()]


def test_an_audience_is_no_message_that_arrives(arena):
    caps = [{"name": "all", "most": 1, "per": "7D"}]
    ads = arena.Ask(channels=("ads",), priority=90)
    rules = arena.policy(caps=caps)
    both = arena.Scene([ads, arena.Ask(lot=1)], policy=rules).said()
    assert [one["fate"] for one in both] == [Fate.SENT, Fate.SENT]
    named = arena.policy(caps=[{**caps[0], "channel": "ads"}])
    past = [arena.Had(0, arena.NOW - DAY, channel="ads")]
    assert arena.one(ads, past=past, policy=named)["fate"] is Fate.DEFER


def test_expected_value_decides_between_equal_priorities(arena):
    worth = Worth(probability="p", value="v", cost=1.0)
    rules = arena.policy(channels={"sms": {"cost": 3.0}})
    mail = arena.Ask(worth=worth, probability=0.1, gain=50.0, lot=2)
    text = arena.Ask(worth=worth, probability=0.1, gain=60.0, channels=("sms",), lot=1)
    said = arena.Scene([text, mail], policy=rules).said()
    assert [one["value"] for one in said] == [2.0, 4.0]
    assert [one["fate"] for one in said] == [Fate.DEFER, Fate.SENT]


def test_a_value_that_is_not_known_comes_last(arena):
    worth = Worth(probability="p")
    known = arena.Ask(worth=worth, probability=0.0, gain=1.0, lot=9)
    for unknown in (float("nan"), -0.1, 1.1):
        other = arena.Ask(worth=worth, probability=unknown, gain=1.0, lot=1)
        said = arena.Scene([other, known]).said()
        assert [one["fate"] for one in said] == [Fate.DEFER, Fate.SENT]
        assert said[0]["value"] != said[0]["value"]


def test_what_is_not_worth_it_goes_on_without(arena):
    worth = Worth(probability="p", cost=0.5, needed=0.0)

    def fate(probability, gain=1.0):
        return arena.one(arena.Ask(worth=worth, probability=probability, gain=gain))["fate"]

    assert fate(0.6) is Fate.SENT
    assert fate(0.5) is Fate.ADVANCE
    assert fate(float("nan")) is Fate.ADVANCE
    assert fate(0.6, float("inf")) is Fate.ADVANCE


def test_messages_had_lately_count_against_the_value(arena):
    worth = Worth(probability="p", needed=0.0)
    rules = arena.policy(fatigue={"cost": 0.25, "within": "7D"})
    past = [arena.Had(0, arena.NOW - days * DAY) for days in (1, 2, 8)]
    ask = arena.Ask(worth=worth, probability=0.5, gain=1.0)
    said = arena.one(ask, past=past, policy=rules)
    assert (said["value"], said["reasons"]) == (0.0, ["not_worth_it"])
    confirmation = arena.Ask(worth=worth, probability=0.5, gain=1.0, transactional=True)
    assert arena.one(confirmation, past=past, policy=rules)["value"] == 0.5


def test_a_best_time_ahead_is_waited_for(arena):
    ask = arena.Ask(best_time=True)
    ahead = [arena.Person(send_at=arena.NOW + 5 * HOUR)]
    said = arena.one(ask, people=ahead)
    assert (said["fate"], said["at"], said["reasons"]) == (Fate.SENT, ahead[0].send_at, [])
    assert arena.one(arena.Ask(), people=ahead)["at"] == arena.NOW
    too_far = [arena.Person(send_at=arena.NOW + 25 * HOUR)]
    assert arena.one(ask, people=too_far)["at"] == arena.NOW
    ends_before = arena.Ask(best_time=True, expires=arena.NOW + 2 * HOUR)
    assert arena.one(ends_before, people=ahead)["at"] == arena.NOW


def test_a_best_time_that_is_over_is_taken_from_the_weekly_hour(arena):
    past = arena.NOW - DAY
    ask = arena.Ask(best_time=True, within=7 * DAY)
    people = [arena.Person("Europe/Lisbon", send_at=past, send_weekday=4, send_hour=9)]
    assert arena.one(ask, people=people)["at"] == datetime(2026, 3, 13, 9)
    daily = [arena.Person("Europe/Lisbon", send_at=past, send_hour=9)]
    assert arena.one(ask, people=daily)["at"] == datetime(2026, 3, 12, 9)
    this_hour = [arena.Person("Europe/Lisbon", send_hour=12)]
    half_past = arena.NOW + HOUR / 2
    assert arena.one(ask, people=this_hour, now=half_past)["at"] == half_past
    assert arena.one(ask, people=[arena.Person(send_at=past)])["at"] == arena.NOW


def test_a_best_time_lies_within_the_hours(arena):
    rules = arena.policy(channels={"email": {"window": {"opens": "09:00", "closes": "20:00"}}})
    people = [arena.Person(send_at=arena.NOW + 9 * HOUR)]
    said = arena.one(arena.Ask(best_time=True), people=people, policy=rules)
    assert said["at"] == datetime(2026, 3, 12, 9)
    assert said["reasons"] == ["quiet_hours"]


def test_what_is_above_the_throughput_waits_in_order_of_priority(arena):
    rules = arena.policy(channels={"email": {"throughput": {"most": 2, "per": "1h"}}})
    people = [arena.Person()] * 4
    asks = [arena.Ask(person=n, priority=50 + n, lot=n) for n in range(4)]
    said = arena.Scene(asks, people=people, policy=rules).said()
    assert [one["fate"] for one in said] == [Fate.DEFER, Fate.DEFER, Fate.SENT, Fate.SENT]
    assert said[0]["reasons"] == ["throughput"]
    assert said[0]["until"] == arena.NOW + HOUR


def test_transactional_and_past_messages_fill_the_throughput(arena):
    rules = arena.policy(channels={"email": {"throughput": {"most": 2, "per": "1h"}}})
    past = [arena.Had(-1, arena.NOW - HOUR / 2, transactional=True)]
    asks = [arena.Ask(transactional=True, priority=90), arena.Ask(lot=1)]
    said = arena.Scene(asks, past=past, policy=rules).said()
    assert [one["fate"] for one in said] == [Fate.SENT, Fate.DEFER]
    assert said[1]["until"] == arena.NOW + HOUR / 2


def test_no_room_before_the_expiry_is_too_late(arena):
    rules = arena.policy(caps=[{"name": "c", "most": 1, "per": "7D"}])
    past = [arena.Had(0, arena.NOW - DAY)]
    said = arena.one(arena.Ask(expires=arena.NOW + 2 * DAY), past=past, policy=rules)
    assert (said["fate"], said["reasons"]) == (Fate.ADVANCE, ["capped", "too_late"])


def test_nothing_to_decide_is_decided(arena):
    scene = arena.Scene([arena.Ask()])
    facts, candidates = scene.facts(), scene.candidates()
    from dataclasses import replace

    from mlmarket.orchestration.arbitration.arbitrate import arbitrate

    none = replace(
        candidates,
        **{
            name: getattr(candidates, name)[:0]
            for name in ("offer", "person", "entered", "expires", "against", "held_since", "lot")
        },
    )
    empty = replace(
        facts, closed=facts.closed[:0], probability=facts.probability[:0], gain=facts.gain[:0]
    )
    assert len(arbitrate(none, empty, scene.policy, now=arena.NOW).fate) == 0
