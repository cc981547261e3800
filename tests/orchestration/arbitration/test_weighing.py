"""What is read about people before messages are weighed, and what is asked again at the claim."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from mlmarket.orchestration import Playbook, Policy, State
from mlmarket.orchestration.arbitration.past import past_sends
from mlmarket.orchestration.arbitration.reasons import Fate, named
from mlmarket.orchestration.arbitration.rechecking import recheck
from mlmarket.orchestration.arbitration.weighing import weigh
from mlmarket.orchestration.engine.bench import open_bench
from mlmarket.orchestration.journeys.actions import Worth
from mlmarket.orchestration.tables import ENROLMENTS, OUTBOX, SENT

DAY = timedelta(days=1)


@pytest.fixture
def weighed(kit, arena):
    """Return a function that weighs messages to ana and rui, and gives fate and reasons of each."""

    def run(asks, policy=None, state=None, shop=None, book=None, **columns):
        source = shop or kit.Shop(
            contacts=[kit.person("ana"), kit.person("rui")],
            consents=[kit.consent("ana"), kit.consent("rui")],
        )
        rules = Policy.model_validate(policy or {})
        playbook = Playbook(policy=rules) if book is None else book
        rows = {"person": [1, 0], "contact_id": ["rui", "ana"]}
        known = pa.table({**rows, **{name: both[::-1] for name, both in columns.items()}})
        moment = kit.at(20)
        given = [replaced(ask, moment) for ask in asks]
        with open_bench() as bench:
            made = weigh(
                arena.Scene(given).candidates(),
                contact_ids=pa.array(["ana", "rui"]),
                playbook=playbook,
                state=state or State(),
                events=source,
                people=bench.create_table("people", known),
                bench=bench,
                now=moment,
            )
        return [
            (Fate(int(fate)), named(int(reasons)))
            for fate, reasons in zip(made.fate, made.reasons, strict=True)
        ], made

    return run


def replaced(ask, now):
    from dataclasses import replace

    return replace(ask, entered=now - DAY, expires=now + 90 * DAY)


def both(arena, **rest):
    return [arena.Ask(person=0, **rest), arena.Ask(person=1, lot=1, **rest)]


def test_consents_and_addresses_are_read(kit, arena, weighed):
    shop = kit.Shop(contacts=[kit.person("ana"), kit.person("rui")], consents=[kit.consent("rui")])
    said, _ = weighed(both(arena), shop=shop)
    assert said == [(Fate.HOLD, ["no_consent"]), (Fate.SENT, [])]


def test_an_unknown_condition_of_the_policy_counts_as_yes(arena, weighed):
    rules = {"handover": "open_deals > 0", "hygiene": "opens < 1"}
    deals = pa.array([None, 0], pa.int64())
    said, _ = weighed(both(arena), policy=rules, open_deals=deals, opens=pa.array([1, 1]))
    assert said == [(Fate.HOLD, ["handover"]), (Fate.SENT, [])]
    opens = pa.array([0, None], pa.int64())
    said, _ = weighed(both(arena), policy=rules, open_deals=pa.array([0, 0]), opens=opens)
    assert [reasons for _, reasons in said] == [["hygiene"], ["hygiene"]]


def test_conditions_of_the_policy_may_ask_what_people_did(kit, arena, weighed):
    shop = kit.Shop(
        contacts=[kit.person("ana"), kit.person("rui")],
        consents=[kit.consent("ana"), kit.consent("rui")],
        activity=[kit.did("ana", "open", 15)],
    )
    rules = {"hygiene": "count(open, within='30d') = 0"}
    said, _ = weighed(both(arena), policy=rules, shop=shop)
    assert said == [(Fate.SENT, []), (Fate.HOLD, ["hygiene"])]


def test_who_has_no_zone_or_a_wrong_one_lives_in_that_of_the_policy(kit, arena, weighed):
    window = {"opens": "01:00", "closes": "02:00"}
    rules = {"timezone": "Asia/Kathmandu", "channels": {"email": {"window": window}}}
    zones = pa.array(["Atlantis", "Europe/Lisbon"])
    _, made = weighed(both(arena), policy=rules, timezone=zones)
    assert made.not_before.tolist() == [
        kit.at(20) + timedelta(hours=19, minutes=15),
        kit.at(20) + timedelta(hours=1),
    ]
    with pytest.raises(ValidationError, match="there is no time zone 'Atlantis'"):
        weighed(both(arena), policy={"timezone": "Atlantis"})


def test_worth_is_read_from_the_columns_it_names(arena, weighed):
    worth = Worth(probability="chance", value="spend", cost=1.0, needed=0.0)
    columns = {"chance": pa.array([0.5, None]), "spend": pa.array([10, 10])}
    said, made = weighed(both(arena, worth=worth), **columns)
    assert made.value[0] == 4.0
    assert said == [(Fate.SENT, []), (Fate.ADVANCE, ["not_worth_it"])]
    said, made = weighed(both(arena, worth=worth))
    assert np.isnan(made.value).all()


def test_best_times_are_read_as_moment_or_as_weekday_and_hour(kit, arena, weighed):
    best = pa.array([kit.at(20.5), None], pa.timestamp("us"))
    asks = both(arena, best_time=True, within=7 * DAY)
    weekday, hour = pa.array([None, "Monday"]), pa.array([None, 9], pa.int32())
    columns = {"send_at_utc": best, "send_weekday": weekday, "send_hour_local": hour}
    _, made = weighed(asks, **columns)
    monday = kit.at(22) + timedelta(hours=9)
    assert monday.weekday() == 0
    assert made.not_before.tolist() == [kit.at(20.5), monday]
    columns["send_weekday"] = pa.array([None, 0], pa.int64())
    _, again = weighed(asks, **columns)
    assert again.not_before.tolist() == made.not_before.tolist()


def sent_row(kit, key, day, **rest):
    row = {"idempotency_key": key, "contact_id": "ana", "kind": "message", "channel": "email"}
    return {
        **row,
        "not_before": kit.at(day),
        "status": "sent",
        "transactional": False,
        "topic": "offers",
        **rest,
    }


def sent_table(rows):
    return pa.Table.from_pylist(rows, schema=SENT)


CAP = {"caps": [{"name": "weekly", "most": 1, "per": "7D"}]}


@pytest.mark.parametrize(
    ("rest", "counts"),
    [
        ({}, True),
        ({"status": "unknown"}, True),
        ({"status": "pending"}, True),
        ({"status": "failed"}, False),
        ({"status": "cancelled"}, False),
        ({"kind": "alert"}, False),
        ({"transactional": True}, False),
        ({"transactional": None}, True),
        ({"contact_id": "rui"}, False),
    ],
)
def test_past_messages_that_were_sent_or_may_have_been_fill_caps(kit, arena, weighed, rest, counts):
    state = State(sent=sent_table([sent_row(kit, "k", 18, **rest)]))
    said, _ = weighed([arena.Ask()], policy=CAP, state=state)
    assert said == [(Fate.DEFER, ["capped"]) if counts else (Fate.SENT, [])]


def test_a_message_that_stands_in_both_tables_is_one_and_was_sent_when_it_was(kit):
    messages = [
        {"message_id": "k", "contact_id": "ana", "channel": "email", "sent_at": kit.at(19)},
        {"message_id": "other", "contact_id": "ana", "channel": "SMS ", "sent_at": kit.at(17)},
        {"message_id": "gone", "contact_id": "ana", "channel": "email", "sent_at": kit.at(16)},
        {"message_id": "later", "contact_id": "ana", "channel": "email", "sent_at": kit.at(21)},
    ]
    shop = kit.Shop(contacts=[kit.person("ana")], messages=messages)
    rows = [sent_row(kit, "k", 18), sent_row(kit, "gone", 15, status="failed")]
    policy = Policy.model_validate(CAP)
    ids = pa.array(["ana"])
    past = past_sends(sent_table(rows), shop, ids, policy, now=kit.at(20))
    assert sorted(past.at.tolist()) == [kit.at(16), kit.at(17), kit.at(19)]
    nothing = past_sends(sent_table(rows), shop, ids, Policy(), now=kit.at(20))
    assert len(nothing.at) == 0


def test_passes_under_way_of_a_group_are_read_from_the_state(kit, arena, weighed):
    journeys = [
        kit.journey(journey=name, group="sales", priority=priority)
        for name, priority in (("cart", 80), ("win_back", 50))
    ]
    book = kit.playbook(*journeys)
    state = State().under(book).approving(by="ines", at=kit.when(0))

    def said(state, **row):
        content = {"enrolment_id": "e", "journey": "cart", "version": journeys[0].version}
        content |= {"contact_id": "ana", "entered_at": kit.at(1), "expires_at": kit.at(40)}
        table = pa.Table.from_pylist([{**content, "status": "active", **row}], schema=ENROLMENTS)
        from dataclasses import replace

        ask = arena.Ask(journey="win_back", group="sales")
        return weighed([ask], state=replace(state, enrolments=table), book=book)[0]

    assert said(state) == [(Fate.HOLD, ["exclusion_group"])]
    assert said(state, status="completed") == [(Fate.SENT, [])]
    assert said(state, expires_at=kit.at(20)) == [(Fate.SENT, [])]
    assert said(state, holdout="journey") == [(Fate.SENT, [])]
    assert said(state, contact_id="rui") == [(Fate.SENT, [])]


@pytest.fixture
def asked_again(kit):
    """Return a function that asks again about rows of the outbox, and gives the reasons of each."""

    def run(rows, policy=None, sent=(), day=20, **tables):
        usual = {"contacts": [kit.person("ana", timezone="UTC")], "consents": [kit.consent("ana")]}
        shop = kit.Shop(**{**usual, **tables})
        content = {
            "kind": "message",
            "contact_id": "ana",
            "email": "ana@example.com",
            "journey": "j",
            "version": "v",
            "step": "s",
            "channel": "email",
            "topic": "Offers",
            "legal_basis": "consent",
            "transactional": False,
            "priority": 50,
            "expires_at": kit.at(60),
        }
        keys = [f"{n:064x}" for n in range(len(rows))]
        table = pa.Table.from_pylist(
            [
                {**content, "idempotency_key": key, **row}
                for key, row in zip(keys, rows, strict=True)
            ],
            schema=OUTBOX,
        )
        own = [sent_row(kit, key, 15, status="pending") for key in keys]
        state = State(sent=sent_table([*own, *sent]))
        rules = Policy.model_validate(policy or {})
        bits = recheck(table, state=state, events=shop, policy=rules, now=kit.at(day))
        return [named(int(one)) for one in bits]

    return run


def test_what_still_may_go_out_has_no_reason(asked_again):
    assert asked_again([{}], policy=CAP) == [[]]


def test_a_withdrawn_consent_is_seen_at_the_claim(kit, asked_again):
    words = [kit.consent("ana"), kit.consent("ana", False, 19)]
    assert asked_again([{}, {"transactional": True}], consents=words) == [["consent_refused"]] * 2
    assert asked_again([{"kind": "alert", "channel": None}], consents=words) == [[]]


def test_an_expired_row_is_too_late_whatever_it_is(kit, asked_again):
    rows = [{"expires_at": kit.at(20)}, {"kind": "task", "channel": None, "expires_at": kit.at(3)}]
    assert asked_again(rows) == [["too_late"], ["too_late"]]


def test_caps_are_kept_among_what_is_claimed_together_late(asked_again):
    rows = [{"priority": 10}, {"priority": 90}, {"transactional": True}]
    assert asked_again(rows, policy=CAP) == [["capped"], [], []]


def test_only_what_has_left_the_outbox_fills_caps_at_the_claim(kit, asked_again):
    waiting = sent_row(kit, "w", 21, status="pending")
    assert asked_again([{}], policy=CAP, sent=[waiting]) == [[]]
    assert asked_again([{}], policy=CAP, sent=[{**waiting, "status": "claimed"}]) == [["capped"]]


def test_a_worker_that_comes_at_night_finds_the_quiet_hours(asked_again):
    window = {"opens": "08:00", "closes": "20:00"}
    rules = {"channels": {"email": {"window": window}}}
    assert asked_again([{}], policy=rules) == [["quiet_hours"]]
    assert asked_again([{}], policy=rules, day=20.5) == [[]]
