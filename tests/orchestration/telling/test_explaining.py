"""Why did this person get this message, or not?"""

import json

from mlmarket.orchestration import State, StateStore, decide, explain, tick


def test_a_persons_whole_story_is_told_in_order(kit, one_shop, tmp_path):
    consents = [kit.consent("ana", True, -1), kit.consent("ana", False, 5)]
    shop = one_shop(consents=consents)
    with StateStore.open(tmp_path / "state.duckdb") as store:
        store.approve(kit.journey(), by="ana", at=kit.when(-1))
        for day in (0, 1, 8):
            decide(store, kit.playbook(), kit.scores(ana=0.9), shop, now=kit.when(day))
        story = explain(store.load(), "ana", decisions=store.decisions_about("ana"))
    (member,) = story.memberships
    assert (member.segment, member.entered_at) == ("leaving", kit.when(0))
    assert member.why == "90% risk of leaving"
    (enrolled,) = story.enrolments
    assert (enrolled.journey, enrolled.status, enrolled.step) == ("win_back", "active", "second")
    assert enrolled.held_for == ("consent_refused",)
    assert enrolled.expires_at == kit.when(30)
    assert [(one.step, one.outcome, one.reasons) for one in story.decisions] == [
        ("entry", "entered", ()),
        ("wait_1", "wait", ()),
        ("first", "send", ()),
        ("wait_3", "wait", ()),
        ("second", "suppressed", ("consent_refused",)),
    ]
    assert story.decisions[3].due_at == kit.when(8)


def test_a_person_of_whom_nothing_is_known_has_an_empty_story(kit, one_shop):
    decided = tick(State().under(kit.playbook()), kit.scores(ana=0.9), one_shop(), now=kit.when(0))
    state = State().after(decided)
    story = explain(state, "nobody", decisions=decided.decisions)
    assert (story.memberships, story.enrolments, story.decisions) == ((), (), ())


def test_ways_and_the_values_that_chose_them_are_told_in_the_order_of_the_steps(kit, one_shop):
    branch = {
        "branch": {
            "name": "how",
            "paths": [
                {"name": "keen", "when": "count(page_view) >= 2", "steps": [kit.message("a")]}
            ],
            "otherwise": [kit.message("b")],
        }
    }
    first = {"task": {"name": "call", "title": "Call"}}
    book = kit.playbook(kit.journey(steps=[first, branch, {"wait": "2D"}, kit.message("z")]))
    shop = one_shop(activity=[kit.did("ana", "page_view", day) for day in (-3, -2)])
    state, made = kit.nights(book, shop, kit.scores(ana=0.9), [0])
    story = explain(state, "ana", decisions=made[0].decisions)
    assert [(one.step, one.outcome, one.way) for one in story.decisions] == [
        ("entry", "entered", None),
        ("call", "act", None),
        ("how", "branch", "keen"),
        ("a", "send", None),
        ("wait_5", "wait", None),
    ]
    (chosen,) = [one for one in story.decisions if one.outcome == "branch"]
    assert list(chosen.seen.values()) == [2]
    assert "-> keen" in chosen.in_words
    assert "count(page_view) = 2" in chosen.in_words
    assert json.dumps(dict(chosen.seen)).startswith('{"count(page_view)')


def test_who_went_first_is_named(kit, one_shop):
    strong = kit.journey(journey="strong", priority=80, steps=[kit.message("first")])
    weak = kit.journey(journey="weak", priority=20, steps=[kit.message("second")])
    book = kit.playbook(strong, weak)
    state, made = kit.nights(book, one_shop(), kit.scores(ana=0.9), [0])
    story = explain(state, "ana", decisions=made[0].decisions, journey="weak")
    (lost,) = [one for one in story.decisions if one.step == "second"]
    assert (lost.outcome, lost.winner, lost.fate) == ("suppressed", "strong.first", "defer")
    assert "outranked" in lost.reasons
    assert lost.due_at is not None
    assert "after strong.first" in lost.in_words
    assert {one.journey for one in story.enrolments} == {"weak"}
