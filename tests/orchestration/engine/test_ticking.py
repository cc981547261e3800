"""What the tick decides, seen from outside."""

from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.orchestration import EarlierTickError, KnownTickError, State, tick
from mlmarket.orchestration.engine.ticking import tick_id_of


def test_a_person_at_risk_gets_each_message_once_at_its_time(kit, one_shop):
    _, made = kit.nights(kit.playbook(), one_shop(), kit.scores(ana=0.9), range(12))
    assert [len(decided.outbox) for decided in made] == [0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
    assert kit.sent(made) == [("ana", "first"), ("ana", "second")]
    assert kit.outcomes(made, "ana") == [
        ("entry", "entered", ()),
        ("wait_1", "wait", ()),
        ("first", "send", ()),
        ("wait_3", "wait", ()),
        ("second", "send", ()),
        ("end", "completed", ()),
    ]


def test_an_outbox_row_says_all_that_a_mailer_needs(kit, one_shop):
    _, made = kit.nights(kit.playbook(), one_shop(), kit.scores(ana=0.9), [0, 1])
    (row,) = made[-1].outbox.to_pylist()
    assert len(row.pop("idempotency_key")) == 64
    assert len(row.pop("enrolment_id")) == 32
    assert row == {
        "kind": "message",
        "legal_basis": "consent",
        "transactional": False,
        "payload": "{}",
        "priority": 50,
        "contact_id": "ana",
        "external_id": "x-ana",
        "email": "ana@example.com",
        "phone": "+351910000000",
        "journey": "win_back",
        "version": kit.journey().version,
        "step": "first",
        "channel": "email",
        "topic": "offers",
        "template": "t_first",
        "not_before": kit.at(1),
        "expires_at": kit.at(30),
    }


def test_nights_that_were_missed_never_let_two_messages_fall_together(kit, one_shop):
    _, made = kit.nights(kit.playbook(), one_shop(), kit.scores(ana=0.9), [0, 20, 21, 27])
    assert [len(decided.outbox) for decided in made] == [0, 1, 0, 1]


def test_a_member_who_came_while_no_tick_ran_still_enters(kit, one_shop):
    book = kit.playbook()
    alone = book.model_copy(update={"journeys": ()})
    first = tick(kit.released(alone), kit.scores(ana=0.9), one_shop(), now=kit.when(0))
    state = State().after(first).under(book).approving(by="ana", at=kit.when(0.5))
    later = tick(state, kit.scores(ana=0.9), one_shop(), now=kit.when(1))
    assert later.changes.num_rows == 0
    assert kit.outcomes([later], "ana")[0] == ("entry", "entered", ())


def test_the_same_person_enters_again_only_after_the_reentry_time(kit, one_shop):
    days = [0, 40, 100, 179, 180]
    _, made = kit.nights(kit.playbook(), one_shop(), kit.scores(ana=0.9), days)
    entered = [decided.counts().get("entered", 0) for decided in made]
    assert entered == [1, 0, 0, 0, 1]


def test_a_journey_of_once_is_entered_once(kit, one_shop):
    book = kit.playbook(kit.journey(reentry="never"))
    _, made = kit.nights(book, one_shop(), kit.scores(ana=0.9), [0, 40, 4000])
    assert sum(decided.counts().get("entered", 0) for decided in made) == 1


def test_an_order_before_the_message_ends_the_journey_without_it(kit, one_shop):
    shop = one_shop(activity=[kit.did("ana", "order", 0.5)])
    state, made = kit.nights(kit.playbook(), shop, kit.scores(ana=0.9), [0, 1, 8, 9])
    assert kit.sent(made) == []
    assert ("end", "goal", ()) in kit.outcomes(made, "ana")
    assert state.enrolments["goal_at"].to_pylist() == [kit.at(0.5)]


@pytest.mark.parametrize(("day", "reached"), [(-1, False), (0, False), (0.001, True), (30, True)])
def test_the_goal_counts_after_the_entry_and_until_the_expiry(kit, one_shop, day, reached):
    shop = one_shop(activity=[kit.did("ana", "order", day)])
    state, _ = kit.nights(kit.playbook(), shop, kit.scores(ana=0.9), [0, 1, 8, 31])
    assert (state.enrolments["status"].to_pylist() == ["goal"]) is reached


def test_an_order_at_the_very_entry_does_not_hide_the_one_after_it(kit):
    names = ("ana", "rui")
    shop = kit.Shop(
        contacts=[kit.person("rui"), kit.person("ana", created_at=kit.at(2))],
        consents=[kit.consent(name) for name in names],
        activity=[kit.did("ana", "order", 2), kit.did("ana", "order", 3)],
    )
    state, _ = kit.nights(kit.playbook(), shop, kit.scores(ana=0.9, rui=0.9), [0, 2, 4])
    goals = {row["contact_id"]: row["goal_at"] for row in state.enrolments.to_pylist()}
    assert goals == {"ana": kit.at(3), "rui": None}


def test_a_goal_after_the_expiry_is_not_the_journeys(kit, one_shop):
    shop = one_shop(activity=[kit.did("ana", "order", 30.01)])
    state, _ = kit.nights(kit.playbook(), shop, kit.scores(ana=0.9), [0, 1, 8, 31, 40])
    assert state.enrolments["status"].to_pylist() == ["completed"]


def test_a_goal_after_the_last_message_still_counts(kit, one_shop):
    shop = one_shop(activity=[kit.did("ana", "order", 12)])
    state, made = kit.nights(kit.playbook(), shop, kit.scores(ana=0.9), [0, 1, 8, 13])
    assert len(kit.sent(made)) == 2
    assert state.enrolments["status"].to_pylist() == ["goal"]


def test_behaviour_counts_when_it_arrives_not_when_it_happened(kit, one_shop):
    late = kit.did("ana", "order", 0.5, available_at=kit.at(1.5))
    _, made = kit.nights(
        kit.playbook(), one_shop(activity=[late]), kit.scores(ana=0.9), [0, 1, 1.4, 2]
    )
    ends = [("end", "goal", ()) in kit.outcomes([decided], "ana") for decided in made]
    assert ends == [False, False, False, True]


def test_who_leaves_the_segment_leaves_the_journey(kit, one_shop):
    book, shop = kit.playbook(), one_shop()
    state, _ = kit.nights(book, shop, kit.scores(ana=0.9), [0])
    decided = tick(state, kit.scores(ana=0.1), shop, now=kit.when(1))
    assert kit.outcomes([decided], "ana") == [("end", "exit", ("left_segment",))]
    assert decided.outbox.num_rows == 0


def test_who_leaves_the_segment_stays_where_the_journey_allows_it(kit, one_shop):
    book, shop = kit.playbook(kit.journey(exit={})), one_shop()
    state, _ = kit.nights(book, shop, kit.scores(ana=0.9), [0])
    decided = tick(state, kit.scores(ana=0.1), shop, now=kit.when(1))
    assert kit.sent([decided]) == [("ana", "first")]


def test_people_under_way_stay_on_their_version(kit, one_shop):
    state, _ = kit.nights(kit.playbook(), one_shop(), kit.scores(ana=0.9), [0])
    changed = kit.playbook(kit.journey(steps=[kit.message("other")]))
    decided = tick(state.under(changed), kit.scores(ana=0.9), one_shop(), now=kit.when(1))
    assert kit.sent([decided]) == [("ana", "first")]
    assert decided.counts().get("entered", 0) == 0


def test_a_journey_that_is_removed_stops(kit, one_shop):
    book = kit.playbook()
    state, _ = kit.nights(book, one_shop(), kit.scores(ana=0.9), [0])
    without = book.model_copy(update={"journeys": ()})
    decided = tick(state.under(without), kit.scores(ana=0.9), one_shop(), now=kit.when(1))
    assert kit.outcomes([decided], "ana") == [("end", "exit", ("journey_withdrawn",))]


def test_a_held_person_is_tried_each_night_but_logged_only_when_the_reasons_change(kit, one_shop):
    consents = [kit.consent("ana", None, -10), kit.consent("ana", True, 4)]
    bounced = kit.did("ana", "bounce", 2.5)
    shop = one_shop(consents=consents, activity=[bounced])
    _, made = kit.nights(kit.playbook(), shop, kit.scores(ana=0.9), range(7))
    assert kit.outcomes(made, "ana")[2:] == [
        ("first", "suppressed", ("consent_refused",)),
        ("first", "suppressed", ("consent_refused", "bounced")),
        ("first", "suppressed", ("bounced",)),
    ]


def test_a_held_person_is_sent_to_once_nothing_speaks_against_it(kit, one_shop):
    shop = one_shop(consents=[kit.consent("ana", True, 4)])
    _, made = kit.nights(kit.playbook(), shop, kit.scores(ana=0.9), range(7))
    assert [len(decided.outbox) for decided in made] == [0, 0, 0, 0, 1, 0, 0]


def test_a_person_held_until_the_end_expires_with_the_reasons(kit, one_shop):
    shop = one_shop(consents=[])
    _, made = kit.nights(kit.playbook(), shop, kit.scores(ana=0.9), [0, 1, 29, 30])
    assert kit.outcomes(made, "ana")[-1] == ("end", "expired", ("no_consent",))


def test_held_out_people_walk_along_but_are_never_messaged(kit):
    names = [f"p{n}" for n in range(60)]
    shop = kit.Shop(
        contacts=[kit.person(name) for name in names],
        consents=[kit.consent(name) for name in names],
        activity=[kit.did(name, "order", 12) for name in names[:30]],
    )
    book = kit.playbook(kit.journey(holdout=0.3), share=0.3)
    risks = kit.scores(**dict.fromkeys(names, 0.9))
    state, made = kit.nights(book, shop, risks, [0, 1, 8, 13])
    held = {row["contact_id"] for row in state.enrolments.to_pylist() if row["holdout"] is not None}
    messaged = {name for name, _ in kit.sent(made)}
    assert 15 < len(held) < 50
    assert messaged == set(names) - held
    kinds = set(state.enrolments["holdout"].to_pylist())
    assert kinds == {None, "global", "journey", "global, journey"}
    for name in held:
        steps = [(step, outcome) for step, outcome, _ in kit.outcomes(made, name)]
        assert ("first", "withheld") in steps
        assert ("second", "withheld") in steps
    goals = {row["contact_id"] for row in state.enrolments.to_pylist() if row["status"] == "goal"}
    assert goals == set(names[:30])


def test_a_held_out_person_without_consent_is_held_like_everybody_else(kit, one_shop):
    book = kit.playbook(kit.journey(holdout=0.999999))
    _, made = kit.nights(book, one_shop(consents=[]), kit.scores(ana=0.9), range(3))
    expected = ("first", "suppressed", ("no_consent", "journey_holdout"))
    assert kit.outcomes(made, "ana")[-1] == expected


def test_who_is_newly_held_out_leaves_before_the_next_message(kit, one_shop):
    state, _ = kit.nights(kit.playbook(), one_shop(), kit.scores(ana=0.9), [0, 1])
    larger = kit.playbook(share=0.999999)
    decided = tick(state.under(larger), kit.scores(ana=0.9), one_shop(), now=kit.when(8))
    assert kit.outcomes([decided], "ana") == [("end", "exit", ("global_holdout",))]
    assert decided.outbox.num_rows == 0


def test_without_a_table_of_consents_nobody_is_messaged(kit, one_shop):
    _, made = kit.nights(kit.playbook(), one_shop(consents=None), kit.scores(ana=0.9), [0, 1, 8])
    assert kit.sent(made) == []
    assert kit.outcomes(made, "ana")[-1] == ("first", "suppressed", ("no_consent",))


def test_without_a_table_of_contacts_nobody_has_an_address(kit, one_shop):
    _, made = kit.nights(kit.playbook(), one_shop(contacts=None), kit.scores(ana=0.9), [0, 1, 8])
    assert kit.outcomes(made, "ana")[-1] == ("first", "suppressed", ("no_address",))


def test_predictions_about_people_who_are_not_contacts_are_not_used(kit, one_shop):
    _, made = kit.nights(kit.playbook(), one_shop(), kit.scores(ana=0.9, gone=0.9), [0])
    assert made[0].memberships["contact_id"].to_pylist() == ["ana"]


def test_without_predictions_nothing_happens(kit, one_shop):
    state, made = kit.nights(kit.playbook(), one_shop(), kit.scores(), range(3))
    assert made[-1].counts() == {"members": 0, "changes": 0, "outbox": 0, "cancelled": 0}
    assert state.enrolments.num_rows == 0


def test_an_earlier_moment_is_refused(kit, one_shop):
    state, _ = kit.nights(kit.playbook(), one_shop(), kit.scores(ana=0.9), [3])
    with pytest.raises(EarlierTickError) as caught:
        tick(state, kit.scores(ana=0.9), one_shop(), now=kit.when(2.99))
    assert len(str(caught.value).splitlines()) == 3
    assert "2026-03-04T00:00:00+00:00" in str(caught.value)


def test_the_same_tick_is_not_decided_twice(kit, one_shop):
    state, _ = kit.nights(kit.playbook(), one_shop(), kit.scores(ana=0.9), [3])
    with pytest.raises(KnownTickError):
        tick(state, kit.scores(ana=0.9), one_shop(), now=kit.when(3))


def test_other_predictions_at_the_same_moment_send_nothing_again(kit, one_shop):
    state, made = kit.nights(kit.playbook(), one_shop(), kit.scores(ana=0.9), [0, 1])
    again = tick(state, kit.scores(ana=0.8), one_shop(), now=kit.when(1))
    assert kit.sent(made) == [("ana", "first")]
    assert kit.sent([again]) == []
    assert again.tick_id not in {decided.tick_id for decided in made}


def test_a_moment_needs_its_zone_and_any_zone_will_do(kit, one_shop):
    state = kit.released(kit.playbook())
    with pytest.raises(ConfigurationError, match="has no zone"):
        tick(state, kit.scores(ana=0.9), one_shop(), now=kit.at(0))
    lisbon = timezone(timedelta(hours=1))
    there = kit.when(0).astimezone(lisbon)
    here = tick(state, kit.scores(ana=0.9), one_shop(), now=kit.when(0))
    assert kit.content(tick(state, kit.scores(ana=0.9), one_shop(), now=there)) == kit.content(here)


def test_a_contact_who_stands_twice_is_refused(kit, one_shop):
    state = kit.released(kit.playbook())
    with pytest.raises(DataContractError, match="predictions"):
        tick(state, pa.concat_tables([kit.scores(a=0.9)] * 2), one_shop(), now=kit.when(0))
    double = one_shop(contacts=[kit.person("ana"), kit.person("ana")])
    with pytest.raises(DataContractError, match="contacts"):
        tick(state, kit.scores(ana=0.9), double, now=kit.when(0))


def test_the_name_of_a_tick_depends_on_moment_playbook_and_predictions(kit):
    now = datetime(2026, 3, 1, tzinfo=UTC)
    names = {
        tick_id_of(kit.playbook(), "f", now=now),
        tick_id_of(kit.playbook(), "f", now=now + timedelta(microseconds=1)),
        tick_id_of(kit.playbook(share=0.1), "f", now=now),
        tick_id_of(kit.playbook(), "g", now=now),
    }
    assert len(names) == 4


# What must never happen.

PEOPLE = tuple(f"p{n}" for n in range(12))
WORDS = st.fixed_dictionaries(
    {
        "contact_id": st.sampled_from(PEOPLE),
        "channel": st.sampled_from(["email", "email", "Email ", "sms", "", None, "e-mail"]),
        "topic": st.sampled_from([None, None, "", "offers", "Offers", "news"]),
        "granted": st.sampled_from([True, True, False, None]),
        "day": st.sampled_from([None, -5, -1, 0, 1, 1.5, 2, 6, 8, 9]),
    }
)


def _plain(word: str | None) -> str:
    return (word or "").strip().lower()


def _may_be_mailed(words, name, now, kit):
    """Return whether somebody may be e-mailed about offers, in the plainest words."""
    grants, refusals = [], []
    for word in words:
        moment = now if word["day"] is None else kit.at(word["day"])
        about = _plain(word["topic"]) in {"", "offers"}
        if word["contact_id"] != name or not about or moment > now:
            continue
        if word["granted"] and _plain(word["channel"]) == "email" and word["day"] is not None:
            grants.append(moment)
        if not word["granted"] and _plain(word["channel"]) in {"email", ""}:
            refusals.append(moment)
    return bool(grants) and all(refusal < max(grants) for refusal in refusals)


@settings(max_examples=8, deadline=None)
@given(words=st.lists(WORDS, min_size=20, max_size=40))
def test_nobody_without_a_recorded_grant_is_ever_in_the_outbox(kit, words):
    consents = [
        {
            **{key: word[key] for key in ("contact_id", "channel", "topic", "granted")},
            "changed_at": None if word["day"] is None else kit.at(word["day"]),
        }
        for word in words
    ]
    shop = kit.Shop(contacts=[kit.person(name) for name in PEOPLE], consents=consents)
    risks = kit.scores(**dict.fromkeys(PEOPLE, 0.9))
    _, made = kit.nights(kit.playbook(), shop, risks, [0, 1, 2, 9])
    for decided in made:
        now = decided.now.replace(tzinfo=None)
        for row in decided.outbox.to_pylist():
            assert _may_be_mailed(words, row["contact_id"], now, kit)


@settings(max_examples=6, deadline=None)
@given(
    hours=st.lists(st.integers(0, 24 * 12), min_size=2, max_size=6),
    risks=st.lists(st.sampled_from([0.2, 0.9]), min_size=8, max_size=8),
)
def test_however_time_is_cut_into_ticks_no_step_is_sent_twice(kit, one_shop, hours, risks):
    book = kit.playbook(kit.journey(exit={}, reentry="30D"))
    state, made = kit.released(book), []
    for hour, risk in zip(sorted(hours), risks, strict=False):
        try:
            decided = tick(state, kit.scores(ana=risk), one_shop(), now=kit.when(hour / 24))
        except KnownTickError:
            continue
        state = state.after(decided)
        made.append(decided)
    keys = [key for one in made for key in one.outbox["idempotency_key"].to_pylist()]
    assert len(keys) == len(set(keys))
    assert len(kit.sent(made)) == len(set(kit.sent(made)))


@settings(max_examples=3, deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(kit, random):
    names = [f"p{n}" for n in range(12)]
    contacts = [kit.person(name) for name in names]
    consents = [kit.consent(name, n % 3 != 0, -n) for n, name in enumerate(names)]
    activity = [kit.did(name, "order", n / 4) for n, name in enumerate(names)]
    predictions = kit.scores(**{name: n / 12 for n, name in enumerate(names)})
    book = kit.playbook(kit.journey(holdout=0.2), share=0.1)
    straight = kit.Shop(contacts=contacts, consents=consents, activity=activity)
    _, expected = kit.nights(book, straight, predictions, [0, 1, 8])
    for rows in (contacts, consents, activity):
        random.shuffle(rows)
    order = random.sample(range(12), 12)
    mixed = pa.concat_tables([predictions.take(order[:5]), predictions.take(order[5:])])
    _, found = kit.nights(
        book,
        kit.Shop(contacts=contacts, consents=consents, activity=activity),
        mixed,
        [0, 1, 8],
    )
    for one, other in zip(expected, found, strict=True):
        assert one.tick_id == other.tick_id
        assert kit.content(one) == kit.content(other)


@settings(max_examples=6, deadline=None)
@given(
    day=st.floats(1.0001, 50),
    granted=st.sampled_from([True, False, None]),
    kind=st.sampled_from(["order", "bounce", "unsubscribe", "complaint"]),
)
def test_what_comes_after_now_changes_nothing(kit, one_shop, day, granted, kind):
    state, _ = kit.nights(kit.playbook(), one_shop(), kit.scores(ana=0.9), [0])
    expected = tick(state, kit.scores(ana=0.9), one_shop(), now=kit.when(1))
    shop = one_shop(
        contacts=[kit.person("ana"), kit.person("new", created_at=kit.at(day))],
        consents=[kit.consent("ana"), kit.consent("ana", granted, day)],
        activity=[
            kit.did("ana", kind, day),
            kit.did("ana", kind, 0.5, available_at=kit.at(day)),
        ],
    )
    predictions = kit.scores(ana=0.9)
    found = tick(state, predictions, shop, now=kit.when(1))
    assert kit.content(found) == kit.content(expected)
