"""What is said of a journey as a whole is what one counts by hand."""

from collections import Counter

import pytest

from mlmarket.orchestration import (
    StateStore,
    decide,
    drawn_counts,
    earned_by,
    journey_counts,
    responses,
)

NAMES = [f"p{n:02}" for n in range(40)]


@pytest.fixture(scope="module")
def crowd(kit):
    """Return forty people: one has no address, two no consent, two bought."""
    return kit.Shop(
        contacts=[kit.person(name, email=None if name == "p01" else "a@b.pt") for name in NAMES],
        consents=[kit.consent(name) for name in NAMES[2:]],
        activity=[
            kit.did("p39", "order", 0.5, value=10),
            kit.did("p38", "order", 3, value=20),
            kit.did("p37", "order", 200, value=1000),
            kit.did("p36", "order", -1, value=1000),
            kit.did("p20", "page_view", -1),
        ],
    )


@pytest.fixture(scope="module")
def story(kit, crowd, tmp_path_factory):
    """Return counts, versions, all decisions and all passes after three nights."""
    split = {
        "split": {
            "name": "lot",
            "arms": [
                {"name": "one", "weight": 50, "steps": [kit.message("left")]},
                {"name": "two", "weight": 50, "steps": [kit.message("right")]},
            ],
        }
    }
    steps = [{"wait": "1D"}, kit.message("first"), split, {"wait": "7D"}, kit.message("second")]
    book = kit.playbook(kit.journey(steps=steps, holdout=0.2))
    risks = kit.scores(**dict.fromkeys(NAMES, 0.9))
    with StateStore.open(tmp_path_factory.mktemp("state") / "state.duckdb") as store:
        store.approve(book.journeys[0], by="ana", at=kit.when(-1))
        made = [decide(store, book, risks, crowd, now=kit.when(day)) for day in (0, 1, 4)]
        state = store.load()
        counted = journey_counts(store.standing_counts(), store.decided_counts(), state.versions)
        followed = store.passes_followed()
    return (
        counted,
        book.journeys[0],
        [d for one in made for d in one.decisions.to_pylist()],
        state,
        followed,
    )


def test_counts_are_those_of_a_hand_that_counts(story):
    counted, journey, decided, state, _ = story
    told = {(r["step"], r["outcome"], r["reason"]): r["people"] for r in counted.to_pylist()}
    passes = state.enrolments.to_pylist()
    assert told["entry", "entered", None] == len(passes) == 40
    held_out = [one for one in passes if one["holdout"]]
    assert 0 < told["entry", "held_out", None] == len(held_out) < 20
    assert told["entry", "holdout", "journey"] == len(held_out)
    for node in journey.nodes:
        here = [
            one for one in passes if one["status"] == "active" and one["position"] == node.position
        ]
        held = [one for one in here if one["held_for"]]
        assert told.get((node.name, "held", None), 0) == len(held)
        assert told.get((node.name, "waiting", None), 0) == len(here) - len(held)
        reasons = Counter(name for one in held for name in one["held_for"].split(", "))
        suppressed = {key[2]: n for key, n in told.items() if key[:2] == (node.name, "suppressed")}
        assert suppressed == dict(reasons)
    people = Counter()
    for outcome, way, step, _ in {
        (d["outcome"], d["way"], d["step"], d["enrolment_id"]) for d in decided
    }:
        if step in {node.name for node in journey.nodes} and outcome != "suppressed":
            people[step, outcome, way] += 1
    kinds = {"send", "withheld", "split", "wait"}
    assert {key: n for key, n in told.items() if key[1] in kinds} == {
        key: n for key, n in people.items() if key[1] in kinds
    }
    assert told["first", "suppressed", "no_consent"] == 2
    assert told["first", "suppressed", "no_address"] == 1
    assert told["end", "goal", None] == 2
    assert told["lot", "split", "one"] + told["lot", "split", "two"] == 40 - 2 - 1


def test_a_drawing_shows_the_same_counts(story):
    counted, journey, *_ = story
    told = {(r["step"], r["outcome"], r["reason"]): r["people"] for r in counted.to_pylist()}
    drawn = drawn_counts(counted, journey)
    assert (drawn.entered, drawn.reached_goal) == (40, 2)
    assert drawn.held_out == told["entry", "held_out", None]
    assert drawn.nodes["first"].suppressed == told["first", "held", None] == 2
    assert drawn.nodes["first"].sent == told["first", "send", None]
    assert drawn_counts(counted.slice(0, 0), journey) is None


def test_what_was_earned_is_summed_from_entry_to_expiry_by_holdout(story, kit, crowd):
    *_, followed = story
    orders = [("p39", 0.5, 10.0), ("p38", 3, 20.0), ("p37", 200, 1000.0), ("p36", -1, 1000.0)]
    expected = {}
    for one in followed.to_pylist():
        key = one["holdout"] is not None
        passes, converted, revenue = expected.get(key, (0, 0, 0.0))
        inside = [
            value
            for name, day, value in orders
            if name == one["contact_id"]
            and one["entered_at"] < kit.at(day) <= min(one["expires_at"], kit.at(4))
        ]
        expected[key] = (
            passes + 1,
            converted + (one["goal_at"] is not None),
            revenue + sum(inside),
        )
    told = earned_by(followed, crowd, now=kit.at(4)).to_pylist()
    found = {
        one["is_held_out"]: (one["passes"], one["converted"], float(one["revenue"])) for one in told
    }
    assert found == expected
    assert sum(revenue for *_, revenue in found.values()) == 30.0


def test_responses_are_people_by_key_or_by_the_name_of_the_step(story, kit, crowd):
    *_, state, _ = story
    rows = [r for r in state.sent.to_pylist() if r["step"] == "first"]
    ana, rui, eva = rows[:3]
    when = 2
    shop = kit.Shop(
        activity=[
            kit.did(ana["contact_id"], "open", when, row_id=ana["idempotency_key"]),
            kit.did(ana["contact_id"], "open", when, campaign_id="win_back.first", row_id="m"),
            kit.did(rui["contact_id"], "open", when, campaign_id="win_back.first", row_id="n"),
            kit.did(rui["contact_id"], "click", when, campaign_id="win_back.first", row_id="n"),
            kit.did(eva["contact_id"], "open", when, campaign_id="another", row_id="o"),
            kit.did(eva["contact_id"], "click", 9, campaign_id="win_back.first", row_id="p"),
            kit.did(eva["contact_id"], "click", -5, campaign_id="win_back.first", row_id="q"),
        ]
    )
    told = {
        (one["step"], one["type"]): one["people"]
        for one in responses(state.sent, shop, now=kit.at(4)).to_pylist()
    }
    assert told == {("first", "open"): 2, ("first", "click"): 1}


def test_where_nothing_was_decided_nothing_is_counted(kit, crowd, tmp_path):
    with StateStore.open(tmp_path / "state.duckdb") as store:
        counted = journey_counts(store.standing_counts(), store.decided_counts(), {})
        assert len(counted) == 0
        assert len(earned_by(store.passes_followed(), crowd, now=kit.at(0))) == 0
        assert len(responses(store.load().sent, crowd, now=kit.at(0))) == 0
