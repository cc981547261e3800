"""When a pass is over, and what becomes of what was decided for it."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.orchestration import tick


def _alert(name="call", text="Call them"):
    return {"alert": {"name": name, "to": "sales", "text": text}}


def _reasons(made):
    return [
        (row["outcome"], *row["reasons"])
        for decided in made
        for row in decided.decisions.to_pylist()
        if row["step"] == "end"
    ]


def test_what_waits_in_the_outbox_of_a_pass_that_ends_is_cancelled(kit, whole_book, steps, walk):
    book = whole_book(steps(kit.message("hello"), {"wait": "9D"}, goal="order"))
    state, made = walk(book, [0, 1, 2], activity=[kit.did("ana", "order", 0.5)])
    assert made[1].cancelled.to_pylist() == [
        {"idempotency_key": made[0].outbox["idempotency_key"][0].as_py(), "reason": "goal"}
    ]
    assert state.sent["status"].to_pylist() == ["cancelled"]
    assert made[2].cancelled.num_rows == 0


def test_who_merely_completes_still_gets_what_was_decided(kit, whole_book, steps, walk):
    state, made = walk(whole_book(steps(kit.message("hello"))), [0, 1])
    assert state.enrolments["status"].to_pylist() == ["completed"]
    assert [one.cancelled.num_rows for one in made] == [0, 0]
    assert state.sent["status"].to_pylist() == ["pending"]


@pytest.mark.parametrize(
    ("leaves", "reason"),
    [
        ({"exit": {"event": "unsubscribed"}}, "exit_event"),
        ({"exit": {"when": "country = 'ES'"}}, "exit_condition"),
        ({"exit": {"when": "count(open, since='entry') >= 1"}}, "exit_condition"),
    ],
)
def test_who_has_to_leave_leaves(kit, whole_book, steps, walk, leaves, reason):
    book = whole_book(steps({"wait": "2D"}, kit.message("hello"), **leaves))
    people = [kit.person("ana", country="PT")]
    state, _ = walk(book, [0], contacts=people)
    moved = [kit.person("ana", country="ES")]
    events = [kit.did("ana", "unsubscribed", 0.5), kit.did("ana", "open", 0.5)]
    _, made = walk(book, [2], contacts=moved, activity=events, state=state)
    assert _reasons(made) == [("exit", reason)]
    assert kit.sent(made) == []


def test_an_exit_that_is_unknown_leaves(kit, whole_book, steps, walk):
    book = whole_book(steps({"wait": "1D"}, kit.message("hello"), exit={"when": "country = 'ES'"}))
    state, _ = walk(book, [0], contacts=[kit.person("ana", country="PT")])
    _, made = walk(book, [1], contacts=[kit.person("ana")], state=state)
    assert _reasons(made) == [("exit", "exit_condition")]


def test_a_predictor_that_was_skipped_ends_no_journey_and_sends_nothing(kit, one_shop):
    leaves = {"exit": {"when": "churn_probability_90d < 0.2"}}
    book = kit.playbook(kit.journey(steps=[{"wait": "1D"}, kit.message("first")], **leaves))
    state, _ = kit.nights(book, one_shop(), kit.scores(ana=0.9), [0])
    nothing = pa.table({"contact_id": ["ana"]})
    decided = tick(state, nothing, one_shop(), now=kit.when(1))
    assert (decided.decisions.num_rows, decided.outbox.num_rows) == (0, 0)
    back = tick(state.after(decided), kit.scores(ana=0.9), one_shop(), now=kit.when(2))
    assert kit.sent([back]) == [("ana", "first")]


def test_whose_contact_is_gone_is_followed_no_longer(kit, whole_book, steps, walk):
    book = whole_book(steps({"wait": "1D"}, kit.message("hello")))
    state, _ = walk(book, [0], names=["ana", "rui"])
    state, made = walk(book, [1], names=["rui"], state=state)
    assert _reasons(made) == [("exit", "unknown_contact"), ("completed",)] or _reasons(made) == [
        ("completed",),
        ("exit", "unknown_contact"),
    ]
    assert kit.sent(made) == [("rui", "hello")]


def test_actions_are_handed_over_but_not_for_who_is_held_out(kit, whole_book, steps, walk):
    names = [f"p{n:02d}" for n in range(40)]
    book = whole_book(
        steps(
            _alert(text="Call {email}"),
            {"task": {"name": "ring", "title": "Ring", "due_in": "2D"}},
            {"set_field": {"field": "stage", "value": "mql"}},
            {"tag": {"add": "hot"}},
            {"audience": {"platform": "linkedin", "remove": "leads"}},
            {"webhook": {"name": "hook", "endpoint": "crm", "data": {"who": "{contact_id}"}}},
            holdout=0.4,
        )
    )
    state, made = walk(book, [0], names=names)
    rows = made[0].outbox.to_pylist()
    held = {row["contact_id"] for row in state.enrolments.to_pylist() if row["holdout"]}
    assert 5 < len(held) < 35
    assert {row["contact_id"] for row in rows} == set(names) - held
    said = {row["kind"]: row for row in rows if row["contact_id"] == rows[0]["contact_id"]}
    who = rows[0]["contact_id"]
    assert {kind: row["payload"] for kind, row in said.items()} == {
        "alert": f'{{"text": "Call {who}@example.com", "to": "sales"}}',
        "task": '{"due_at": "2026-03-03T00:00:00", "title": "Ring"}',
        "set_field": '{"field": "stage", "value": "mql"}',
        "tag": '{"add": "hot"}',
        "audience": '{"platform": "linkedin", "remove": "leads"}',
        "webhook": f'{{"who": "{who}"}}',
    }
    assert said["webhook"]["template"] == "crm"
    assert {row["channel"] for row in rows} == {None}


def test_a_token_without_a_value_holds_the_message_and_is_logged_once(kit, whole_book, steps, walk):
    book = whole_book(steps(kit.message("hello", slots={"city": "{country}"})))
    state, made = walk(book, range(4))
    assert kit.sent(made) == []
    assert state.enrolments["held_for"].to_pylist() == ["missing_token"]
    assert [decided.decisions.num_rows for decided in made] == [2, 0, 0, 0]
    assert [decided.enrolments.num_rows for decided in made] == [1, 0, 0, 0]
    _, later = walk(book, [5], contacts=[kit.person("ana", country="PT")], state=state)
    assert later[0].outbox["payload"].to_pylist() == ['{"city": "PT"}']


def test_who_is_held_too_long_goes_on_without_the_message(kit, whole_book, steps, walk):
    message = kit.message("hello", slots={"city": "{country}"}, hold_for="2D")
    _, made = walk(whole_book(steps(message, _alert())), range(4))
    assert [row["kind"] for one in made for row in one.outbox.to_pylist()] == ["alert"]
    (row,) = [
        one
        for decided in made
        for one in decided.decisions.to_pylist()
        if "held_too_long" in one["reasons"]
    ]
    assert row["fate"] == "advance"


def test_editing_a_live_journey_leaves_nobody_in_between(kit, whole_book, steps, walk):
    first = whole_book(steps({"wait": "2D"}, kit.message("old")))
    state, _ = walk(first, [0])
    second = whole_book(steps(kit.message("new")))
    state = state.under(second).approving(by="eva", at=kit.when(0.5))
    state, made = walk(second, [1, 2], names=["ana", "rui"], state=state)
    assert [kit.sent([one]) for one in made] == [[("rui", "new")], [("ana", "old")]]
    assert set(state.enrolments["status"].to_pylist()) == {"completed"}


def test_a_killed_tick_that_is_repeated_decides_the_same(kit, whole_book, steps, walk):
    book = whole_book(steps({"wait": "1D"}, kit.message("hello"), _alert()))
    state, _ = walk(book, [0], names=["ana", "rui"])
    one = walk(book, [1], names=["ana", "rui"], state=state)[1][0]
    other = walk(book, [1], names=["ana", "rui"], state=state)[1][0]
    assert kit.content(one) == kit.content(other)


@settings(max_examples=8, deadline=None)
@given(
    touched=st.sets(st.sampled_from([f"p{n}" for n in range(8)]), max_size=5),
    bought=st.sets(st.sampled_from([f"p{n}" for n in range(8)]), max_size=5),
    day=st.sampled_from([1.0, 1.5, 3.0]),
)
def test_a_tick_over_some_decides_for_them_what_a_tick_over_all_does(kit, touched, bought, day):
    names = [f"p{n}" for n in range(8)]
    journey = kit.journey(
        steps=[
            {"wait": "2D"},
            {"branch": {"paths": [{"name": "risky", "when": "churn_probability_90d > 0.7"}]}},
            kit.message("first"),
        ],
        exit={},
    )
    book = kit.playbook(journey)
    shop = kit.Shop(
        contacts=[kit.person(name) for name in names],
        consents=[kit.consent(name) for name in names],
        activity=[kit.did(name, "order", 0.7) for name in sorted(bought)],
    )
    state, _ = kit.nights(book, shop, kit.scores(**dict.fromkeys(names[:6], 0.9)), [0])
    later = kit.scores(**{name: 0.5 + n / 20 for n, name in enumerate(names)})
    chosen = pa.array(sorted(touched), pa.string())
    whole = tick(state, later, shop, now=kit.when(day))
    part = tick(state, later, shop, now=kit.when(day), touched=chosen)
    looked_at = set(part.touched.to_pylist())
    assert touched <= looked_at
    for name, dropped in (
        ("enrolments", ()),
        ("outbox", ()),
        ("memberships", ()),
        ("decisions", ("decision_id", "tick_id")),
    ):
        expected = [
            row for row in getattr(whole, name).to_pylist() if row["contact_id"] in looked_at
        ]
        found = getattr(part, name).to_pylist()
        assert _plain(found, dropped) == _plain(expected, dropped)


def _plain(rows, dropped):
    kept = [{key: one for key, one in row.items() if key not in dropped} for row in rows]
    return sorted(kept, key=str)
