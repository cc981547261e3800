"""Branches, splits and waits."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from mlmarket.evaluation.assignment import stable_fractions
from mlmarket.market import Market
from mlmarket.orchestration import tick


def _branch(*paths, otherwise=()):
    listed = [{"name": name, "when": when, "steps": list(steps)} for name, when, *steps in paths]
    return {"branch": {"paths": listed, "otherwise": list(otherwise)}}


def test_the_first_way_whose_condition_holds_is_taken(kit, whole_book, steps, walk, taken):
    branch = _branch(
        ("iberia", "country in ('PT', 'ES')", kit.message("ola")),
        ("portugal", "country = 'PT'", kit.message("never")),
        otherwise=[kit.message("hello")],
    )
    people = [kit.person("ana", country="PT"), kit.person("rui"), kit.person("eva", country="DE")]
    _, made = walk(whole_book(steps(branch)), [0], contacts=people)
    assert sorted(kit.sent(made)) == [("ana", "ola"), ("eva", "hello"), ("rui", "hello")]
    rows = {row["contact_id"]: row for row in made[0].decisions.to_pylist() if row["way"]}
    assert rows["ana"]["way"] == "iberia"
    assert rows["ana"]["seen"] == '{"country": "PT"}'
    assert rows["rui"]["seen"] == '{"country": null}'


def test_behaviour_chooses_the_way(kit, whole_book, steps, walk, taken):
    branch = _branch(
        ("keen", "count(page_view, within='7D', since='entry') >= 2", kit.message("keen")),
        otherwise=[kit.message("calm")],
    )
    views = [kit.did("ana", "page_view", day) for day in (-1, 0.5, 1)]
    views += [kit.did("rui", "page_view", day) for day in (-2, -1, 0.5)]
    book = whole_book(steps({"wait": "2D"}, branch))
    _, made = walk(book, [0, 2], names=["ana", "rui"], activity=views)
    assert sorted(kit.sent(made)) == [("ana", "keen"), ("rui", "calm")]
    (row,) = [one for one in made[1].decisions.to_pylist() if one["way"] == "keen"]
    assert "2" in row["seen"]


def test_a_branch_looks_back_at_the_step_that_people_stood_at(kit, whole_book, steps, walk):
    branch = _branch(("opened", "count(open, since='step') >= 1", kit.message("warm")))
    book = whole_book(steps(kit.message("hello"), {"wait": "2D"}, branch, kit.message("cold")))
    opens = [kit.did("ana", "open", 1), kit.did("rui", "open", -0.5)]
    _, made = walk(book, [0, 2], names=["ana", "rui"], activity=opens)
    assert sorted(kit.sent([made[1]])) == [("ana", "warm"), ("rui", "cold")]


def test_machines_that_open_messages_choose_no_way(kit, whole_book, steps):
    branch = _branch(("opened", "count(open) >= 1", kit.message("warm")))
    book = whole_book(steps({"wait": "1D"}, branch, kit.message("cold")))
    names = ["ana", "bot"]
    rows = {
        "message_id": ["m1", "m2"],
        "contact_id": names,
        "channel": ["email", "email"],
        "sent_at": [kit.at(-3)] * 2,
        "opened_at": [kit.at(0.5)] * 2,
        "is_machine_open": [False, True],
    }
    market = Market.from_tables(
        contacts=pa.table(
            {"contact_id": names, "email": ["a@example.com", "b@example.com"]}
        ).to_pandas(),
        messages=pa.table(rows).to_pandas(),
        consents=pa.table(
            {
                "contact_id": names,
                "channel": ["email"] * 2,
                "granted": [True] * 2,
                "changed_at": [kit.at(-9)] * 2,
            }
        ).to_pandas(),
    )
    state, made = kit.released(book), []
    for day in (0, 1):
        made.append(tick(state, pa.table({"contact_id": names}), market, now=kit.when(day)))
        state = state.after(made[-1])
    assert sorted(kit.sent(made)) == [("ana", "warm"), ("bot", "cold")]


def _split(kit):
    arms = [
        {"name": "a", "weight": 50.0, "steps": [kit.message("one")]},
        {"name": "b", "weight": 30.0, "steps": [kit.message("two")]},
        {"name": "c", "weight": 20.0},
    ]
    return {"split": {"name": "words", "arms": arms}}


def test_a_split_gives_everybody_their_own_arm_however_many_come_at_once(
    kit, whole_book, steps, walk
):
    names = [f"p{n:03d}" for n in range(400)]
    lots = stable_fractions("split|path|words", names)
    expected = dict(
        zip(names, np.where(lots < 0.5, "a", np.where(lots < 0.8, "b", "c")), strict=True)
    )
    for most in (400, 150):
        entry = {"segment": "everybody", "most": most}
        _, made = walk(whole_book(steps(_split(kit), entry=entry)), range(3), names=names)
        found = {
            row["contact_id"]: row["way"]
            for decided in made
            for row in decided.decisions.to_pylist()
            if row["outcome"] == "split"
        }
        assert found == expected
    counts = [list(expected.values()).count(arm) for arm in "abc"]
    shares = np.array([0.5, 0.3, 0.2])
    assert (np.abs(np.array(counts) - 400 * shares) < 4 * np.sqrt(400 * shares)).all()


def test_a_loop_is_walked_once_a_round_and_each_message_has_its_own_key(
    kit, whole_book, steps, walk
):
    loop = [{"wait": {"duration": "2D", "name": "pause"}}, kit.message("again"), {"go_to": "pause"}]
    state, made = walk(whole_book(steps(*loop)), range(9))
    assert [len(decided.outbox) for decided in made] == [0, 0, 1, 0, 1, 0, 1, 0, 1]
    keys = [key for one in made for key in one.outbox["idempotency_key"].to_pylist()]
    assert len(set(keys)) == 4
    assert state.enrolments["status"].to_pylist() == ["active"]


def test_a_loop_whose_wait_has_passed_does_not_go_round_in_one_tick(kit, whole_book, steps, walk):
    wait = {"wait": {"date": "created_at", "name": "pause"}}
    tag = {"tag": {"add": "seen", "name": "tagged"}}
    people = [kit.person("ana", created_at=kit.at(-9))]
    _, made = walk(whole_book(steps(wait, tag, {"go_to": "pause"})), range(3), contacts=people)
    assert [len(decided.outbox) for decided in made] == [1, 1, 1]


def test_two_messages_on_end_go_out_in_two_ticks(kit, whole_book, steps, walk):
    book = whole_book(steps(kit.message("one"), kit.message("two")))
    _, made = walk(book, [0, 0.1, 0.2])
    assert [kit.sent([one]) for one in made] == [[("ana", "one")], [("ana", "two")], []]


def test_a_wait_begins_when_the_message_goes_out(kit, whole_book, steps, walk):
    policy = {"channels": {"email": {"window": {"opens": "09:00", "closes": "20:00"}}}}
    journey = steps(kit.message("one"), {"wait": "1D"}, kit.message("two"))
    state, made = walk(whole_book(journey, policy=policy), [0])
    if made[0].outbox.num_rows:
        assert made[0].outbox["not_before"].to_pylist() == [kit.at(0) + timedelta(hours=9)]
        assert state.enrolments["due_at"].to_pylist() == [kit.at(1) + timedelta(hours=9)]


WAITS = [
    ({"time": "09:00"}, {}, timedelta(hours=9)),
    ({"time": "09:00"}, {"timezone": "America/New_York"}, timedelta(hours=14)),
    # 1 March 2026 is a Sunday.
    ({"time": "09:00", "weekdays": ["tue"]}, {}, timedelta(days=2, hours=9)),
    ({"date": "next_order", "before": "2D"}, {}, timedelta(days=3)),
    ({"date": "next_order", "time": "10:00"}, {}, timedelta(days=5, hours=10)),
    ({"date": "gone"}, {}, None),
    ({"date": "past"}, {}, None),
    ({"best_send_time": "2D"}, {}, timedelta(hours=18)),
    ({"best_send_time": "5D"}, {"send_weekday": 1}, timedelta(days=2, hours=18)),
    ({"best_send_time": "1D"}, {"send_at_utc": timedelta(hours=7)}, timedelta(hours=7)),
    ({"best_send_time": "1D"}, {"send_hour_local": None}, None),
]


@pytest.mark.parametrize(("wait", "about", "over"), WAITS)
def test_how_long_people_wait(kit, whole_book, steps, one_shop, wait, about, over):
    row = {"next_order": kit.at(5), "past": kit.at(-3), "send_hour_local": 18, **about}
    if isinstance(row.get("send_at_utc"), timedelta):
        row["send_at_utc"] = kit.at(0) + row["send_at_utc"]
    table = pa.Table.from_pylist([{"contact_id": "ana", **row}])
    book = whole_book(steps({"wait": wait}, kit.message("hello")))
    decided = tick(kit.released(book), table, one_shop(contacts=None), now=kit.when(0))
    (enrolment,) = decided.enrolments.to_pylist()
    assert enrolment["position"] == (1 if over is None else 0)
    assert enrolment["due_at"] == kit.at(0) + (over or timedelta(0))


def test_a_wait_of_days_is_counted_in_utc_when_clocks_change(kit, whole_book, steps, one_shop):
    policy = {"timezone": "Europe/Lisbon"}
    book = whole_book(steps({"wait": "1D"}, kit.message("hello")), policy=policy)
    now = datetime(2026, 10, 24, 12, tzinfo=UTC)
    state = kit.released(book)
    decided = tick(state, kit.scores(ana=0.5), one_shop(), now=now)
    due = decided.enrolments["due_at"].to_pylist()
    assert due == [datetime(2026, 10, 25, 12)]  # noqa: DTZ001


def test_an_hourly_tick_plans_no_wait_anew_when_clocks_go_back(kit, whole_book, steps, one_shop):
    policy = {"timezone": "Europe/Lisbon"}
    book = whole_book(steps({"wait": {"time": "01:30"}}, kit.message("hello")), policy=policy)
    state, sent = kit.released(book), []
    for hour in range(30):
        now = datetime(2026, 10, 24, 12, 10, tzinfo=UTC) + timedelta(hours=hour)
        decided = tick(state, kit.scores(ana=0.5), one_shop(), now=now)
        state = state.after(decided)
        sent += [decided.now] * decided.outbox.num_rows
        if 0 < hour < 13:
            assert decided.decisions.num_rows == 0
    assert sent == [datetime(2026, 10, 25, 1, 10, tzinfo=UTC)]


def _until(kit, **until):
    return {
        "wait": {
            "until": until,
            "at_most": "3D",
            "met": [kit.message("met")],
            "timed_out": [kit.message("late")],
        }
    }


def test_a_wait_for_an_event_ends_with_it_or_with_its_time(kit, whole_book, steps, walk, taken):
    events = [
        kit.did("ana", "order", 1.5, value=30),
        kit.did("rui", "order", 1.5, value=5),
        kit.did("eva", "order", -1, value=30),
        kit.did("zoe", "order", 3.5, value=30),
    ]
    wait = _until(kit, event="order", where="value > 20")
    names = ["ana", "eva", "rui", "zoe"]
    _, made = walk(whole_book(steps(wait)), [0, 1, 2, 3, 4], names=names, activity=events)
    sent = [(day, *one) for day, decided in enumerate(made) for one in kit.sent([decided])]
    assert sent == [(2, "ana", "met"), *((3, name, "late") for name in ("eva", "rui", "zoe"))] or {
        *sent
    } == {(2, "ana", "met"), (3, "eva", "late"), (3, "rui", "late"), (3, "zoe", "late")}
    assert taken(made) == [("wait_1", "wait", "met")]


def test_an_event_in_time_is_met_even_when_it_is_seen_late(kit, whole_book, steps, walk):
    events = [kit.did("ana", "order", 2), kit.did("rui", "order", 4)]
    book = whole_book(steps(_until(kit, event="order")))
    _, made = walk(book, [0, 9], names=["ana", "rui"], activity=events)
    assert sorted(kit.sent(made)) == [("ana", "met"), ("rui", "late")]


def test_a_wait_for_a_condition_or_a_segment_is_asked_at_each_tick(
    kit, whole_book, steps, one_shop
):
    for until in ({"when": "churn_probability_90d < 0.2"}, {"left_segment": "leaving"}):
        journey = kit.journey(steps=[_until(kit, **until)], exit={})
        state, made = kit.released(kit.playbook(journey)), []
        for day, risk in enumerate([0.9, 0.6, 0.1]):
            made.append(tick(state, kit.scores(ana=risk), one_shop(), now=kit.when(day)))
            state = state.after(made[-1])
        assert [kit.sent([one]) for one in made] == [[], [], [("ana", "met")]]


def test_what_holds_already_needs_no_wait(kit, whole_book, steps, walk):
    book = whole_book(steps(_until(kit, segment="everybody")))
    _, made = walk(book, [0])
    assert kit.sent(made) == [("ana", "met")]


def test_a_journey_starts_another_which_begins_in_the_same_tick(kit, whole_book, steps, walk):
    first = steps({"start": "second"}, kit.message("one"))
    second = steps(
        {"wait": "1D"},
        kit.message("two"),
        journey="second",
        entry={"event": "never"},
    )
    state, made = walk(whole_book(first, second), [0, 1, 2])
    assert kit.sent(made) == [("ana", "one"), ("ana", "two")]
    entered = [
        (row["journey"], row["due_at"], row["entered_at"]) for row in state.enrolments.to_pylist()
    ]
    assert sorted(entered)[1][0] == "second"
    assert {entry for _, _, entry in entered} == {kit.at(0)}
    assert made[0].counts()["entered"] == 2


def test_a_draft_is_not_started(kit, whole_book, steps, walk):
    first = steps({"start": "second"}, kit.message("one"))
    second = steps(kit.message("two"), journey="second", entry={"event": "never"})
    book = whole_book(first, second)
    from mlmarket.orchestration import State

    state = State().under(book).approving("path", by="eva", at=kit.when(-1))
    _, made = walk(book, [0, 1], state=state)
    assert kit.sent(made) == [("ana", "one")]
    ways = [row["way"] for row in made[0].decisions.to_pylist() if row["outcome"] == "act"]
    assert ways == ["not_let_in"]
