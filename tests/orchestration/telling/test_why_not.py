"""Each thing that keeps a person out of a journey, or lets them in."""

from dataclasses import replace

import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration import Segment, State, person_known, tick, why_not_in


@pytest.fixture
def asked(kit, one_shop):
    """Return a function that asks everything about ana, as words by whether they permit."""

    def ask(journey, *, state, risk=0.9, day=0, segments=(kit.LEAVING,), **tables):
        standing = state.under(kit.playbook(journey, segments=segments))
        person = person_known(
            "ana", standing, kit.scores(ana=risk), one_shop(**tables), now=kit.when(day)
        )
        return why_not_in(journey, person, standing, now=kit.when(day))

    return ask


@pytest.fixture
def member(kit):
    """Return a function that makes ana a member of the segments at day 0."""

    def inside(state, day=0):
        shop = kit.Shop(contacts=[kit.person("ana")])
        return state.after(tick(state, kit.scores(ana=0.9), shop, now=kit.when(day)))

    return inside


def _said(grounds, text):
    (found,) = [one for one in grounds if text in one.text]
    return found.permits


def test_a_draft_lets_nobody_in_and_an_approved_journey_does(kit, asked):
    draft = State().under(kit.playbook())
    assert not _said(asked(kit.journey(), state=draft), "a draft: it was never approved")
    approved = draft.approving(by="ana", at=kit.when(-1))
    assert _said(asked(kit.journey(), state=approved), "approved by ana")


def test_a_paused_journey_lets_nobody_in(kit, asked):
    approved = kit.released(kit.playbook())
    release = approved.releases["win_back"]
    paused = replace(approved, releases={"win_back": replace(release, status="paused", by="rui")})
    assert not _said(asked(kit.journey(), state=paused), "paused by rui")


def test_the_version_that_was_approved_is_the_one_that_asks(kit, asked):
    old = kit.journey(entry={"event": "cart"}, exit={})
    new = kit.journey(entry={"event": "visit"}, exit={})
    state = kit.released(kit.playbook(old))
    grounds = asked(new, state=state, day=1, activity=[kit.did("ana", "cart", 0.5)])
    assert _said(grounds, f"approved is version {old.version}; its file now says {new.version}")
    assert _said(grounds, "did 'cart'")


def test_each_clause_of_the_segments_rule_is_asked_with_the_values_seen(kit, asked, member):
    segment = kit.LEAVING.model_copy(
        update={"when": "churn_probability_90d >= 0.5 and count(order, within='30d') = 0"}
    )
    state = kit.released(kit.playbook(segments=[segment]))
    orders = [kit.did("ana", "order", -3)]
    grounds = asked(kit.journey(), state=state, segments=[segment], activity=orders, day=1)
    assert not _said(grounds, "not in the segment 'leaving'")
    (risk,) = [one for one in grounds if one.seen.get("churn_probability_90d") == 0.9]
    assert risk.permits
    (count,) = [one for one in grounds if 1 in one.seen.values()]
    assert not count.permits
    assert count.in_words.startswith("NO ")
    assert "count(order" in count.in_words
    inside = asked(kit.journey(), state=member(state), segments=[segment], day=1)
    assert _said(inside, "is in the segment 'leaving'")


@pytest.mark.parametrize(("share", "other"), [(0.5, False), (None, True)])
def test_segments_that_a_segment_is_made_of_are_asked(kit, asked, member, share, other):
    loyal = Segment(name="loyal", title="Loyal", when="contact_id = 'ana'")
    rest = {"top": {"column": "churn_probability_90d", "share": share}} if share else {}
    both = Segment.model_validate(
        {"name": "leaving", "title": "L", "not_in": ["loyal"], "any_of": ["vip"], **rest}
    )
    vip = Segment(name="vip", title="V", when="contact_id = 'ana'")
    segments = [loyal, vip, both]
    journey = kit.journey()
    state = kit.released(kit.playbook(journey, segments=segments))
    grounds = asked(journey, state=member(state), segments=segments, day=1)
    assert not _said(grounds, "is in the segment 'loyal'")
    assert _said(grounds, "is in the segment 'vip'")
    assert any("top 50%" in one.text for one in grounds) is not other


def test_a_list_and_a_column_that_is_not_there_are_told(kit, asked):
    listed = Segment.model_validate(
        {"name": "leaving", "title": "L", "list": {"file": "vips.csv", "people": ["rui"]}}
    )
    state = kit.released(kit.playbook(segments=[listed]))
    grounds = asked(kit.journey(), state=state, segments=[listed], day=1)
    assert not _said(grounds, "on the list vips.csv")
    journey = kit.journey(entry={"segment": "leaving", "when": "value_decile > 3"})
    absent = asked(journey, state=kit.released(kit.playbook(journey)), day=1)
    assert not _said(absent, "value_decile > 3: ")


@pytest.mark.parametrize(("came", "permits"), [(0.5, True), (-2, False)])
def test_who_became_a_member_before_the_approval_does_not_come_in(
    kit, asked, member, came, permits
):
    journey = kit.journey(entry={"segment": "leaving", "on": "enter"})
    draft = State().under(kit.playbook(journey))
    state = member(draft, came).approving(by="ana", at=kit.when(-1))
    grounds = asked(journey, state=state, day=0.8)
    assert _said(grounds, "is in the segment")
    assert _said(grounds, "came into it after") is permits


@pytest.mark.parametrize("risk", [0.9, 0.1])
def test_who_comes_in_by_leaving_is_told_so(kit, asked, member, risk):
    journey = kit.journey(entry={"segment": "leaving", "on": "leave"}, exit={})
    state = kit.released(kit.playbook(journey))
    grounds = asked(journey, state=member(state) if risk > 0.5 else state, risk=risk)
    words = "still in the segment 'leaving'" if risk > 0.5 else "is not in 'leaving'"
    assert not _said(grounds, words)


@pytest.mark.parametrize(
    ("activity", "text", "permits"),
    [
        ([], "never did 'cart' where value > 20", False),
        ([("cart", 0.5, 10)], "never did 'cart' where value > 20", False),
        ([("cart", 0.5, 30)], "did 'cart' where value > 20 after", True),
        ([("cart", -1.5, 30)], "did 'cart' where value > 20 after", False),
        ([("cart", 0.5, 30), ("order", 0.6, 9)], "has done 'order' since", False),
    ],
)
def test_an_event_has_to_be_fresh_and_the_goal_still_open(kit, asked, activity, text, permits):
    journey = kit.journey(entry={"event": "cart", "where": "value > 20"}, exit={})
    rows = [kit.did("ana", what, day, value=value) for what, day, value in activity]
    grounds = asked(journey, state=kit.released(kit.playbook(journey)), activity=rows, day=0.8)
    assert _said(grounds, text) is permits


@pytest.mark.parametrize(
    ("day", "text", "permits"),
    [(1, "came round", True), (-100, "came round", False), (None, "is missing", False)],
)
def test_a_date_has_to_have_come_round(kit, asked, day, text, permits):
    journey = kit.journey(entry={"date": "created_at", "after": "1D"}, exit={})
    born = None if day is None else kit.at(day - 1)
    state = kit.released(kit.playbook(journey), -3)
    person = kit.person("ana", created_at=born)
    grounds = asked(journey, state=state, contacts=[person], day=1)
    assert _said(grounds, text) is permits


@pytest.mark.parametrize(("day", "permits"), [(1.0, True), (3.0, False)])
def test_a_set_time_has_to_have_come_round(kit, asked, day, permits):
    # The start is a Sunday.
    schedule = {"weekdays": ["sun"], "time": "09:00"}
    journey = kit.journey(entry={"segment": "leaving", "schedule": schedule})
    grounds = asked(journey, state=kit.released(kit.playbook(journey), -3), day=day)
    assert _said(grounds, "its time came round") is permits
    assert not _said(grounds, "not in the segment 'leaving'")


@pytest.mark.parametrize(
    ("rule", "day", "expected"),
    [
        ("never", 40, {"only once": False}),
        ("90D", 40, {"may come in again": False, "not under way": True}),
        ("30D", 40, {"may come in again": True, "not under way": True}),
        ("30D", 25, {"may come in again": False, "is under way": False}),
        ("after_exit", 40, {"not under way": True}),
        ("after_exit", 25, {"is under way": False}),
    ],
)
def test_the_rule_for_coming_again_is_told(kit, asked, rule, day, expected):
    journey = kit.journey(reentry=rule)
    days = [0, day] if day > 30 else [0]
    shop = kit.Shop(contacts=[kit.person("ana")], consents=[kit.consent("ana")])
    book = kit.playbook(journey)
    state = kit.released(book)
    for moment, risk in zip(days, (0.9, 0.1), strict=False):
        state = state.after(tick(state, kit.scores(ana=risk), shop, now=kit.when(moment)))
    grounds = asked(journey, state=state, day=day)
    for text, permits in expected.items():
        assert _said(grounds, text) is permits


def test_who_never_came_in_may(kit, asked):
    grounds = asked(kit.journey(), state=kit.released(kit.playbook()))
    assert _said(grounds, "was never in the journey")


@pytest.mark.parametrize(("country", "permits"), [("PT", True), ("ES", False), (None, False)])
def test_the_entrys_own_condition_is_asked_and_unknown_is_no(kit, asked, country, permits):
    journey = kit.journey(entry={"segment": "leaving", "when": "country = 'PT'"})
    person = kit.person("ana", country=country)
    grounds = asked(journey, contacts=[person], state=kit.released(kit.playbook(journey)))
    (ground,) = [one for one in grounds if "country" in one.seen]
    assert ground.permits is permits
    assert ("missing" in ground.in_words) is (country is None)


@pytest.mark.parametrize(("country", "permits"), [("PT", False), ("ES", True), (None, False)])
def test_who_would_leave_at_once_does_not_come_in_and_unknown_leaves(kit, asked, country, permits):
    journey = kit.journey(exit={"when": "country = 'PT'"})
    person = kit.person("ana", country=country)
    grounds = asked(journey, contacts=[person], state=kit.released(kit.playbook(journey)))
    (ground,) = [one for one in grounds if "leave at once" in one.text]
    assert ground.permits is permits


def test_a_text_column_without_a_value_is_still_a_text(kit, one_shop):
    journey = kit.journey(entry={"segment": "leaving", "when": "churn_risk in ('high', 'low')"})
    state = kit.released(kit.playbook(journey))
    predictions = kit.scores(ana=0.9).append_column("churn_risk", pa.nulls(1, pa.string()))
    person = person_known("ana", state, predictions, one_shop(), now=kit.when(0))
    (ground,) = [
        one for one in why_not_in(journey, person, state, now=kit.when(0)) if "risk in" in one.text
    ]
    assert not ground.permits


def test_amounts_can_be_reckoned_with(kit, one_shop):
    journey = kit.journey(entry={"event": "cart", "where": "value * 1.5 > 20"}, exit={})
    state = kit.released(kit.playbook(journey))
    shop = one_shop(activity=[kit.did("ana", "cart", -0.5, value=15)])
    person = person_known("ana", state, kit.scores(ana=0.9), shop, now=kit.when(0))
    assert _said(why_not_in(journey, person, state, now=kit.when(0)), "did 'cart'")


def test_who_is_only_predicted_about_is_known_and_who_is_not_is_refused(kit):
    shop = kit.Shop()
    state = kit.released(kit.playbook())
    known = person_known("ana", state, kit.scores(ana=0.9), shop, now=kit.when(0))
    assert known.row["churn_probability_90d"] == 0.9
    with pytest.raises(ConfigurationError, match="Nobody with the contact_id 'eva'"):
        person_known("eva", state, kit.scores(ana=0.9), shop, now=kit.when(0))


def test_what_comes_later_is_not_known(kit, one_shop):
    rows = [
        kit.did("ana", "cart", 2),
        kit.did("ana", "cart", -1, available_at=kit.at(2)),
        kit.did("ana", "cart", -2),
    ]
    state = kit.released(kit.playbook())
    person = person_known(
        "ana", state, kit.scores(ana=0.9), one_shop(activity=rows), now=kit.when(0)
    )
    assert [one["occurred_at"] for one in person.events] == [kit.at(-2)]
