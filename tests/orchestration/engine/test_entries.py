"""Who comes in, when, and how often."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from mlmarket.orchestration import State, tick


def _entered(made):
    return [
        sorted(
            row["contact_id"]
            for row in decided.decisions.to_pylist()
            if row["outcome"] == "entered"
        )
        for decided in made
    ]


def test_a_journey_that_nobody_approved_lets_nobody_in(kit, whole_book, steps, one_shop):
    state = State().under(whole_book(steps(kit.message("hello"))))
    decided = tick(state, kit.scores(ana=0.9), one_shop(), now=kit.when(0))
    assert len(decided.decisions) == 0
    assert len(decided.memberships) == 1


def test_new_people_come_into_the_version_that_was_approved(kit, whole_book, steps, walk):
    approved = whole_book(steps(kit.message("hello")))
    edited = whole_book(steps(kit.message("other")))
    state = kit.released(approved).under(edited)
    _, made = walk(approved, [0], state=state)
    assert kit.sent(made) == [("ana", "hello")]


def test_a_paused_journey_lets_nobody_in_and_nobody_moves_on(kit, whole_book, steps, walk):
    book = whole_book(steps({"wait": "1D"}, kit.message("hello"), goal="order"))
    state, _ = walk(book, [0])
    releases = {name: _paused(one) for name, one in state.releases.items()}
    bought = [kit.did("ana", "order", 1.5)]
    paused = _with_releases(state, releases)
    people = ["ana", "rui"]
    later, made = walk(book, [1, 2], names=people, activity=bought, state=paused)
    assert _entered(made) == [[], []]
    assert kit.sent(made) == []
    assert later.enrolments["status"].to_pylist() == ["goal"]


def _paused(release):
    return type(release)(release.journey, release.version, "paused", release.by, release.at)


def _with_releases(state, releases):
    from dataclasses import replace

    return replace(state, releases=releases)


CART = {"event": "cart", "max_age": "1D"}


def test_an_event_lets_in_once_with_its_item(kit, whole_book, steps, walk):
    message = kit.message("hello", slots={"item": "{trigger_item}"})
    book = whole_book(steps(message, entry=CART, reentry="after_exit"))
    carts = [
        kit.did("ana", "cart", 0.5, item_id="shoe", row_id="e1"),
        kit.did("ana", "cart", 0.6, item_id="hat", row_id="e2"),
    ]
    _, made = walk(book, [0, 1, 2, 3], activity=carts)
    assert _entered(made) == [[], ["ana"], [], []]
    (row,) = made[1].outbox.to_pylist()
    assert row["payload"] == '{"item": "shoe"}'
    (enrolment,) = made[1].enrolments.to_pylist()
    assert (enrolment["trigger_id"], enrolment["trigger_item"]) == ("e1", "shoe")


def test_an_approval_never_releases_a_backlog_of_events(kit, whole_book, steps, walk):
    book = whole_book(steps(kit.message("hello"), entry={"event": "cart", "max_age": "30D"}))
    carts = [kit.did("ana", "cart", -2), kit.did("rui", "cart", 0.5)]
    state = State().under(book).approving(by="eva", at=kit.when(0))
    _, made = walk(book, [0, 1], names=["ana", "rui"], activity=carts, state=state)
    assert _entered(made) == [[], ["rui"]]


def test_an_outage_never_releases_a_backlog_of_events(kit, whole_book, steps, walk):
    book = whole_book(steps(kit.message("hello"), entry=CART))
    carts = [kit.did("ana", "cart", 1), kit.did("rui", "cart", 9.5)]
    _, made = walk(book, [0, 10], names=["ana", "rui"], activity=carts)
    assert _entered(made) == [[], ["rui"]]


def test_an_event_counts_when_it_is_known(kit, whole_book, steps, walk):
    book = whole_book(steps(kit.message("hello"), entry=CART))
    late = [kit.did("ana", "cart", 0.5, available_at=kit.at(1.2))]
    _, made = walk(book, [0, 1, 1.3, 1.4], activity=late)
    assert _entered(made) == [[], [], ["ana"], []]


def test_only_the_meant_event_lets_in(kit, whole_book, steps, walk):
    entry = {"event": "cart", "where": "value > 20"}
    book = whole_book(steps(kit.message("hello"), entry=entry))
    carts = [kit.did("ana", "cart", 0.5, value=10), kit.did("rui", "cart", 0.5, value=30)]
    _, made = walk(book, [0, 1], names=["ana", "rui"], activity=carts)
    assert _entered(made)[1] == ["rui"]


def test_who_has_bought_since_gets_no_cart_reminder(kit, whole_book, steps, walk):
    journey = steps({"wait": "1h"}, kit.message("cart"), entry=CART, goal="order")
    events = [
        kit.did("ana", "cart", 0.5),
        kit.did("ana", "order", 0.6),
        kit.did("rui", "cart", 0.5),
        kit.did("rui", "order", 1.02),
        kit.did("eva", "order", 0.4),
        kit.did("eva", "cart", 0.5),
    ]
    _, made = walk(whole_book(journey), [0, 1, 1.05], names=["ana", "eva", "rui"], activity=events)
    assert _entered(made) == [[], ["eva", "rui"], []]
    assert kit.sent(made) == [("eva", "cart")]


def test_becoming_a_member_counts_from_the_approval_on(kit, whole_book, steps, walk):
    entry = {"segment": "everybody", "on": "enter"}
    book = whole_book(steps(kit.message("hello"), entry=entry))
    state, made = walk(book, [-1], state=State().under(book))
    state = state.approving(by="eva", at=kit.when(-0.5))
    _, made = walk(book, [0, 1, 2], names=["ana", "rui"], state=state)
    assert _entered(made) == [["rui"], [], []]


def test_ceasing_to_be_a_member_lets_in(kit, one_shop):
    journey = kit.journey(
        entry={"segment": "leaving", "on": "leave"}, exit={}, steps=[kit.message("stays")]
    )
    book, shop = kit.playbook(journey), one_shop()
    state = kit.released(book)
    for day, risk in enumerate([0.9, 0.1, 0.1]):
        decided = tick(state, kit.scores(ana=risk), shop, now=kit.when(day))
        state = state.after(decided)
        assert kit.sent([decided]) == ([("ana", "stays")] if day == 1 else [])


def test_a_journey_once_is_entered_once_however_often_it_could_be(kit, whole_book, steps, walk):
    events = [kit.did("ana", "cart", day + 0.5) for day in range(4)]
    book = whole_book(steps(kit.message("hello"), entry=CART, reentry="never"))
    state, made = walk(book, range(6), activity=events)
    assert _entered(made).count(["ana"]) == 1
    assert len(state.passes) == 1


def test_two_overlapping_runs_name_the_same_pass(kit, whole_book, steps, one_shop):
    state = kit.released(whole_book(steps(kit.message("hello"))))
    one = tick(state, kit.scores(ana=0.9), one_shop(), now=kit.when(0))
    other = tick(state, kit.scores(ana=0.8), one_shop(), now=kit.when(0))
    assert one.tick_id != other.tick_id
    assert one.previous == other.previous
    assert one.outbox["idempotency_key"] == other.outbox["idempotency_key"]


def test_at_most_so_many_come_in_and_the_others_wait(kit, whole_book, steps, walk):
    names = [f"p{n}" for n in range(10)]
    entry = {"segment": "everybody", "most": 4}
    book = whole_book(steps(kit.message("hello"), entry=entry))
    _, made = walk(book, range(4), names=names)
    found = _entered(made)
    assert [len(one) for one in found] == [4, 4, 2, 0]
    assert sorted(name for one in found for name in one) == names


def test_the_condition_of_an_entry_that_is_unknown_is_no(kit, whole_book, steps, walk):
    entry = {"segment": "everybody", "when": "country = 'PT'"}
    book = whole_book(steps(kit.message("hello"), entry=entry))
    people = [kit.person("ana", country="PT"), kit.person("rui"), kit.person("x", country="ES")]
    _, made = walk(book, [0], contacts=people)
    assert _entered(made) == [["ana"]]


def test_who_would_leave_at_once_does_not_come_in(kit, whole_book, steps, walk):
    book = whole_book(steps(kit.message("hello"), exit={"when": "country = 'PT'"}))
    people = [kit.person("ana", country="PT"), kit.person("x", country="ES")]
    _, made = walk(book, [0, 1], contacts=people)
    assert _entered(made) == [["x"], []]


@pytest.mark.parametrize(
    ("born", "zone", "hours"),
    [("1990-03-03", "UTC", 9), ("1992-02-29", "UTC", 9), ("1990-03-03", "America/New_York", 14)],
)
def test_an_anniversary_comes_once_a_year_on_the_clock_of_the_person(
    kit, whole_book, steps, one_shop, born, zone, hours
):
    entry = {"date": "born", "every": "year", "time": "09:00"}
    book = whole_book(steps(kit.message("happy"), entry=entry, reentry="after_exit"))
    state = kit.released(book, -400)
    birthday = datetime.fromisoformat(born)
    table = pa.table({"contact_id": ["ana"], "born": [birthday], "timezone": [zone]})
    day = 28 if birthday.month == 2 else birthday.day
    due = datetime(2026, birthday.month, day, hours, tzinfo=UTC)
    shop = one_shop(contacts=None)
    for minutes, comes in ((-1, 0), (0, 1), (1, 0), (1000, 0)):
        from datetime import timedelta

        decided = tick(state, table, shop, now=due + timedelta(minutes=minutes))
        state = state.after(decided)
        assert decided.counts().get("entered", 0) == comes


def test_a_date_lets_in_before_it(kit, whole_book, steps, walk):
    entry = {"date": "created_at", "after": "3D", "max_age": "2D"}
    book = whole_book(steps(kit.message("hello"), entry=entry))
    people = [kit.person("ana", created_at=kit.at(-2)), kit.person("old", created_at=kit.at(-50))]
    _, made = walk(book, [0, 0.9, 1, 2, 3], contacts=people)
    assert _entered(made) == [[], [], ["ana"], [], []]


def test_a_timetable_runs_once_for_each_time_also_when_clocks_go_back(
    kit, whole_book, steps, one_shop
):
    entry = {"segment": "everybody", "schedule": {"time": "01:30"}, "max_age": "6h"}
    policy = {"timezone": "Europe/Lisbon"}
    journey = steps(kit.message("news"), entry=entry, reentry="after_exit")
    state = kit.released(whole_book(journey, policy=policy), -1)
    hours = []
    for hour in range(48):
        now = datetime(2026, 10, 24, 12, 15, tzinfo=UTC).replace() + hour * _HOUR
        decided = tick(state, kit.scores(ana=0.5), one_shop(), now=now)
        state = state.after(decided)
        if decided.counts().get("entered", 0):
            hours.append(decided.now)
    assert hours == [
        datetime(2026, 10, 25, 1, 15, tzinfo=UTC),
        datetime(2026, 10, 26, 2, 15, tzinfo=UTC),
    ]


_HOUR = datetime(2026, 1, 1, 1, tzinfo=UTC) - datetime(2026, 1, 1, tzinfo=UTC)


def test_an_order_lets_people_in_who_are_to_order_again(kit, one_shop):
    journey = kit.journey(
        entry={"event": "order"}, exit={}, reentry="after_exit", steps=[kit.message("thanks")]
    )
    book = kit.playbook(journey)
    orders = [kit.did("ana", "order", 0.2, value=5), kit.did("ana", "order", 0.4, value=5)]
    _, made = kit.nights(book, one_shop(activity=orders), kit.scores(ana=0.1), [0, 0.5, 1])
    assert kit.sent(made) == [("ana", "thanks")]
