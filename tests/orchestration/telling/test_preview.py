"""What would a journey do with real people, before anybody approves it?"""

import json

import pyarrow as pa
import pytest

from mlmarket.orchestration import Guard, State, preview

NAMES = [f"p{n:02}" for n in range(20)]


@pytest.fixture
def shop(kit):
    """Return a function that builds a shop of twenty, with some behaviour."""

    def build(*, activity=(), consents=(), **attributes):
        return kit.Shop(
            contacts=[kit.person(name, **attributes) for name in NAMES],
            consents=[*(kit.consent(name) for name in NAMES), *consents],
            activity=activity,
        )

    return build


def _risky(kit):
    return kit.scores(**{name: 0.9 if n < 12 else 0.1 for n, name in enumerate(NAMES)})


def _outcomes(person):
    return [(step.step, step.outcome) for step in person.steps]


def test_people_go_through_to_the_end_and_nothing_is_kept(kit, shop):
    journey = kit.journey(steps=[kit.message("hi", slots={"name": "{contact_id}"}), {"wait": "3D"}])
    book = kit.playbook(journey)
    state = State().under(book)
    before = {name: getattr(state, name) for name in ("enrolments", "members", "sent", "passes")}
    told = preview(journey, state, _risky(kit), shop(), now=kit.when(0), people=3)
    assert (told.journey, told.version, told.now) == (journey.journey, journey.version, kit.when(0))
    assert (told.entrants, told.held_out, len(told.people)) == (12, 0, 3)
    assert _outcomes(told.people[0]) == [
        ("entry", "entered"),
        ("hi", "send"),
        ("wait_2", "wait"),
        ("end", "completed"),
    ]
    assert told.people[0].why == "90% risk of leaving"
    assert json.loads(told.people[0].handed_over["hi"]) == {"name": "p00"}
    assert {name: getattr(state, name) for name in before} == before
    assert state.releases == {}
    assert state.last_now is None
    again = preview(journey, state, _risky(kit), shop(), now=kit.when(0), people=3)
    assert again == told


def test_what_happens_after_the_moment_changes_nothing(kit, shop):
    journey = kit.journey(
        steps=[
            {"wait": {"until": {"event": "open"}, "at_most": "5D"}},
            kit.message("hi"),
            {"wait": "2D"},
            kit.message("bye"),
        ]
    )
    state = State().under(kit.playbook(journey))
    known = [kit.did("p00", "open", -1)]
    later = [
        *(kit.did(name, "open", 1) for name in NAMES),
        *(kit.did(name, "order", 2, value=5) for name in NAMES),
        *(kit.did(name, "open", -0.5, available_at=kit.at(1)) for name in NAMES),
    ]
    refused = [kit.consent(name, False, 3) for name in NAMES]
    calm = preview(journey, state, _risky(kit), shop(activity=known), now=kit.when(0))
    busy = shop(activity=[*known, *later], consents=refused)
    assert preview(journey, state, _risky(kit), busy, now=kit.when(0)) == calm
    assert ("bye", "send") in _outcomes(calm.people[0])


def test_people_as_different_as_there_are_come_first(kit, shop):
    branch = {
        "branch": {
            "name": "who",
            "paths": [{"name": "few", "when": "contact_id = 'p07'", "steps": [kit.message("x")]}],
            "otherwise": [kit.message("y")],
        }
    }
    journey = kit.journey(steps=[branch])
    refused = [kit.consent("p09", False, -1)]
    told = preview(
        journey,
        State().under(kit.playbook(journey)),
        _risky(kit),
        shop(consents=refused),
        now=kit.when(0),
        people=3,
    )
    assert {one.contact_id for one in told.people} == {"p00", "p07", "p09"}
    ways = {step.way for one in told.people for step in one.steps if step.outcome == "branch"}
    assert len(ways) == 2
    text = told.to_text()
    assert "consent refused" in text
    assert "-> few" in text
    assert text.splitlines()[0].endswith("12 would come in, 0 of them held out.")


def test_who_is_held_out_is_shown_and_counted(kit, shop):
    journey = kit.journey(steps=[kit.message("hi")], holdout=0.5)
    state = State().under(kit.playbook(journey))
    told = preview(journey, state, _risky(kit), shop(), now=kit.when(0), people=12)
    withheld = [one for one in told.people if ("hi", "withheld") in _outcomes(one)]
    assert 0 < told.held_out == len(withheld) < 12
    assert all(not one.handed_over for one in withheld)


def test_an_event_of_lately_stands_for_the_next_one(kit, shop):
    journey = kit.journey(entry={"event": "cart"}, exit={}, steps=[kit.message("cart")])
    carts = [kit.did("p03", "cart", -0.5), kit.did("p04", "cart", -3), kit.did("p05", "cart", 0.1)]
    state = State().under(kit.playbook(journey))
    told = preview(journey, state, _risky(kit), shop(activity=carts), now=kit.when(0))
    assert [one.contact_id for one in told.people] == ["p03"]


@pytest.mark.parametrize(("on", "count"), [("enter", 12), ("leave", 8)])
def test_members_stand_for_those_who_come_and_others_for_those_who_leave(kit, shop, on, count):
    journey = kit.journey(
        entry={"segment": "leaving", "on": on}, exit={}, steps=[kit.message("hi")]
    )
    guarded = kit.LEAVING.model_copy(update={"guard": Guard(change=0.1)})
    book = kit.playbook(journey, segments=[guarded])
    told = preview(journey, State().under(book), _risky(kit), shop(), now=kit.when(0))
    assert told.entrants == count
    assert ("hi", "send") in _outcomes(told.people[0])


def test_a_date_to_come_is_looked_for_a_month_ahead(kit, shop):
    entry = {"date": "created_at", "every": "year"}
    journey = kit.journey(entry=entry, exit={}, steps=[kit.message("birthday")])
    state = State().under(kit.playbook(journey))
    soon = shop(created_at=kit.at(9 - 365))
    told = preview(journey, state, _risky(kit), soon, now=kit.when(0))
    assert told.entrants == len(NAMES)
    assert told.now > kit.when(8)
    nobody = preview(journey, state, _risky(kit), shop(), now=kit.when(0))
    assert (nobody.entrants, nobody.people) == (0, ())
    assert "0 would come in" in nobody.to_text()


def test_a_set_time_is_looked_for_ahead(kit, shop):
    entry = {"segment": "leaving", "schedule": {"weekdays": ["fri"], "time": "09:00"}}
    journey = kit.journey(entry=entry, exit={}, steps=[kit.message("weekly")])
    state = State().under(kit.playbook(journey))
    told = preview(journey, state, _risky(kit), shop(), now=kit.when(0))
    assert told.entrants == 12
    assert kit.when(0) < told.now <= kit.when(7)


def test_who_was_in_the_journey_before_follows_its_rule_for_coming_again(kit, shop):
    journey = kit.journey(steps=[kit.message("hi")], reentry="never")
    book = kit.playbook(journey)
    state, _ = kit.nights(book, shop(), _risky(kit).slice(0, 5), [0])
    told = preview(journey, state, _risky(kit), shop(), now=kit.when(1))
    assert told.entrants == 12 - 5


def test_a_frame_has_a_row_for_each_decision_and_what_is_handed_over(kit, shop):
    journey = kit.journey(steps=[kit.message("hi", slots={"a": "b"}), {"wait": "1D"}])
    state = State().under(kit.playbook(journey))
    told = preview(journey, state, _risky(kit), shop(), now=kit.when(0), people=2)
    frame = told.to_frame()
    assert len(frame) == sum(len(one.steps) for one in told.people)
    assert list(frame.loc[frame.outcome == "send", "payload"]) == ['{"a": "b"}'] * 2
    assert frame.loc[frame.outcome != "send", "payload"].isna().all()
    assert "p00" in told._repr_html_()


def test_a_loop_is_cut_off_and_says_so(kit, shop):
    steps = [
        {"tag": {"name": "mark", "add": "again"}},
        {"wait": "1h"},
        {"go_to": "mark"},
    ]
    journey = kit.journey(steps=steps)
    state = State().under(kit.playbook(journey))
    told = preview(journey, state, _risky(kit), shop(), now=kit.when(0), people=1)
    assert told.people[0].goes_on
    assert told.to_text().endswith("and so on")


def test_a_prediction_that_nobody_has_is_lacking_for_those_who_are_followed_too(kit, shop):
    branch = {
        "branch": {
            "name": "value",
            "paths": [{"name": "rich", "when": "value_decile >= 9", "steps": [kit.message("x")]}],
            "otherwise": [kit.message("y")],
        }
    }
    journey = kit.journey(steps=[{"wait": "1D"}, branch])
    risks = _risky(kit)
    silent = risks.append_column("value_decile", pa.nulls(len(risks), pa.float64()))
    state = State().under(kit.playbook(journey))
    absent = preview(journey, state, risks, shop(), now=kit.when(0), people=1)
    told = preview(journey, state, silent, shop(), now=kit.when(0), people=1)
    assert [s.in_words for s in told.people[0].steps] == [
        s.in_words for s in absent.people[0].steps
    ]
