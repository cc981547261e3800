"""What went wrong in other engines, each tried here where no other test does."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from mlmarket.orchestration import (
    Journey,
    Policy,
    State,
    StateMovedError,
    StateStore,
    decide,
    tick,
)


def test_two_journeys_of_one_group_that_begin_together_do_not_both_write(
    kit, whole_book, steps, walk
):
    low = steps(kit.message("low"), journey="low", priority=10, group="offers")
    high = steps(kit.message("high"), journey="high", priority=90, group="offers")
    book = whole_book(low, high, policy=Policy(at_once=5))
    _, made = walk(book, [0, 1])
    assert kit.sent(made[:1]) == [("ana", "high")]
    (held,) = [r for r in made[0].decisions.to_pylist() if r["outcome"] == "suppressed"]
    assert (held["step"], held["reasons"], held["winner"]) == (
        "low",
        ["exclusion_group"],
        "high.high",
    )


@pytest.mark.parametrize("size", [1, 7, 400])
def test_the_shares_of_a_split_do_not_depend_on_how_many_come_at_once(
    kit, whole_book, steps, walk, size
):
    arms = [{"name": "a", "weight": 50.0}, {"name": "b", "weight": 50.0}]
    journey = steps({"split": {"name": "half", "arms": arms}}, kit.message("hello"))
    journey = journey.model_copy(update={"entry": journey.entry.model_copy(update={"most": size})})
    names = [f"p{n:03}" for n in range(400 if size == 400 else 28)]
    days = range(1 if size == 400 else -(-len(names) // size))
    _, made = walk(whole_book(journey), days, names=names)
    ways = {
        row["contact_id"]: row["way"]
        for decided in made
        for row in decided.decisions.to_pylist()
        if row["outcome"] == "split"
    }
    assert set(ways) == set(names)
    share = sum(way == "a" for way in ways.values()) / len(names)
    # Three standard errors of a fair coin.
    assert abs(share - 0.5) < 1.5 / np.sqrt(len(names))
    _, whole = walk(
        whole_book(steps({"split": {"name": "half", "arms": arms}}, kit.message("hello"))),
        [0],
        names=names,
    )
    alone = {
        row["contact_id"]: row["way"]
        for row in whole[0].decisions.to_pylist()
        if row["outcome"] == "split"
    }
    assert ways == alone, "the same person draws the same arm whoever comes beside them"


def test_an_edited_journey_leaves_nobody_in_limbo(kit, whole_book, steps):
    before = steps({"wait": "2D"}, kit.message("old"))
    after = steps({"wait": "1D"}, kit.message("new"), kit.message("more"))
    shop = kit.Shop(
        contacts=[kit.person("ana"), kit.person("rui", created_at=kit.at(1))],
        consents=[kit.consent("ana"), kit.consent("rui")],
    )
    people = pa.table({"contact_id": ["ana", "rui"]})
    state = kit.released(whole_book(before))
    made = []
    for day in range(6):
        if day == 1:
            state = state.under(whole_book(after)).approving(by="ana", at=kit.when(1))
        decided = tick(state, people, shop, now=kit.when(day))
        state = state.after(decided)
        made.append(decided)
    assert sorted(kit.sent(made)) == [("ana", "old"), ("rui", "more"), ("rui", "new")]
    assert set(state.enrolments["status"].to_pylist()) == {"completed"}


def test_who_is_held_for_a_year_fills_no_log(kit, whole_book, steps, one_shop):
    journey = steps(kit.message("hello"), expires_after="400D")
    state, decided = kit.released(whole_book(journey)), []
    shop = one_shop(consents=[])
    for day in range(0, 360, 30):
        made = tick(state, pa.table({"contact_id": ["ana"]}), shop, now=kit.when(day))
        state = state.after(made)
        decided.append(len(made.decisions))
    assert decided[0] == 2
    assert sum(decided[1:]) == 0


@pytest.mark.parametrize(
    ("zone", "first"),
    [("Europe/Lisbon", datetime(2025, 10, 26)), ("America/New_York", datetime(2025, 11, 2))],  # noqa: DTZ001
)
def test_an_hour_that_comes_twice_runs_a_timetable_once(kit, whole_book, steps, zone, first):
    journey = steps(
        kit.message("hello"),
        entry={"segment": "everybody", "schedule": {"time": "01:30"}, "max_age": "2h"},
        reentry="after_exit",
    )
    book = whole_book(journey, policy=Policy(timezone=zone))
    start = (first - timedelta(hours=1)).replace(tzinfo=UTC)
    long_ago = first - timedelta(days=99)
    shop = kit.Shop(
        contacts=[kit.person("ana", created_at=long_ago)],
        consents=[
            {"contact_id": "ana", "channel": "email", "granted": True, "changed_at": long_ago}
        ],
    )
    state = State().under(book).approving(by="tests", at=start)
    made = []
    for minutes in range(0, 12 * 60, 30):
        decided = tick(
            state,
            pa.table({"contact_id": ["ana"]}),
            shop,
            now=start + timedelta(minutes=minutes),
        )
        state = state.after(decided)
        made.append(decided)
    assert len(kit.sent(made)) == 1


def test_of_two_runs_at_once_only_one_is_kept(kit, whole_book, steps, one_shop, tmp_path):
    book, people = whole_book(steps(kit.message("hello"))), pa.table({"contact_id": ["ana"]})
    with StateStore.open(tmp_path / "state.duckdb") as store:
        for journey in book.journeys:
            store.approve(journey, by="tests", at=kit.when(-1))
        seen = store.load().under(book)
        late = tick(seen, people, one_shop(), now=kit.when(1))
        first = decide(store, book, people, one_shop(), now=kit.when(0))
        with pytest.raises(StateMovedError):
            store.commit(late)
        again = decide(store, book, people, one_shop(), now=kit.when(1))
    assert len(first.outbox) == 1
    assert len(again.outbox) == 0


def test_a_cap_of_nothing_is_refused_in_words():
    with pytest.raises(ValidationError, match="could mean no limit or no message"):
        Policy.model_validate({"caps": [{"name": "none", "most": 0, "per": "7D"}]})


def test_three_a_week_puts_the_fourth_off_by_days_not_weeks(kit, whole_book, walk):
    def journey(name: str) -> Journey:
        return Journey.model_validate(
            {
                "journey": name,
                "title": name,
                "entry": {"segment": "everybody"},
                "reentry": "never",
                "steps": [kit.message(name)],
                "expires_after": "60D",
            }
        )

    policy = Policy.model_validate(
        {"caps": [{"name": "weekly", "most": 3, "per": "7D"}], "at_once": 9}
    )
    book = whole_book(*[journey(name) for name in ("a", "b", "c", "d")], policy=policy)
    _, made = walk(book, [0, 1, 6, 6.99, 7, 8])
    assert [len(decided.outbox) for decided in made] == [3, 0, 0, 0, 1, 0]
    (put_off,) = [r for r in made[0].decisions.to_pylist() if r["outcome"] == "suppressed"]
    assert put_off["fate"] == "defer"
    assert kit.at(6.99) < put_off["due_at"] <= kit.at(7)


def test_consent_that_is_missing_sends_nothing(kit, whole_book, steps):
    shop = kit.Shop(contacts=[kit.person("ana")])
    state = kit.released(whole_book(steps(kit.message("hello"))))
    decided = tick(state, pa.table({"contact_id": ["ana"]}), shop, now=kit.when(0))
    assert len(decided.outbox) == 0


def test_an_event_that_is_loaded_after_a_tick_has_passed_it_lets_in_once(kit, whole_book, steps):
    journey = steps(kit.message("hello"), entry={"event": "form"}, reentry="after_exit")
    state, made = kit.released(whole_book(journey), 0), []
    people = pa.table({"contact_id": ["ana"]})
    for day in (1, 1.01, 1.02, 1.5):
        loaded = [kit.did("ana", "form", 0.99)] if day > 1 else []
        shop = kit.Shop(
            contacts=[kit.person("ana")], consents=[kit.consent("ana")], activity=loaded
        )
        decided = tick(state, people, shop, now=kit.when(day))
        state = state.after(decided)
        made.append(decided)
    assert [len(decided.outbox) for decided in made] == [0, 1, 0, 0]
