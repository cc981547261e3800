"""Each finding shows itself where it should, and a good journey has none."""

from datetime import UTC, datetime, timedelta

import pytest

from mlmarket.expressions import Type
from mlmarket.orchestration import Playbook, Segment
from mlmarket.orchestration.lint import Finding, PredictionsAt, exit_code, lint_playbook

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_good_journey_has_no_findings(codes):
    assert codes() == []
    assert lint_playbook(Playbook(), known={}) == ()


def test_a_finding_says_where_what_why_and_what_to_do(found):
    (one,) = found(goal=None)
    assert (one.subject, one.code, one.severity) == (
        "journey 'good'",
        "no-goal-or-exit",
        "warning",
    )
    assert str(one).splitlines()[0].startswith("warning [no-goal-or-exit] journey 'good': It has")
    assert len(str(one).splitlines()) == 3
    assert str(one).splitlines()[2].startswith("Fix: ")


def test_findings_come_in_one_order(found):
    many = found(goal=None, holdout=0.0, topic=None, steps=[{"start": "nowhere"}])
    assert many == sorted(many)
    assert len({one.code for one in many}) > 1


def test_errors_fail_a_build_and_warnings_only_where_that_is_asked():
    warning = Finding("s", "p", "c", "warning", "what", "why", "fix")
    error = Finding("s", "p", "c", "error", "what", "why", "fix")
    assert exit_code([]) == exit_code([warning]) == exit_code([], strict=True) == 0
    assert exit_code([warning], strict=True) == exit_code([warning, error]) == 2


# -- the way through


def test_a_step_that_no_way_leads_to_is_unreachable(found, build):
    step = build.branch("risk > 1", otherwise=[{"end": "no"}])
    step["branch"]["paths"][0]["steps"] = [{"end": "yes"}]
    steps = [step, build.message("never")]
    (one,) = found(steps=steps)
    assert (one.code, one.place) == ("unreachable-node", "step 'never'")


@pytest.mark.parametrize(
    "condition",
    [
        "false",
        "risk > 1 and risk < 0.5",
        "risk > 1 and not risk > 1",
        "country = 'PT' and country = 'ES'",
        "country in ('PT', 'ES') and country not in ('PT', 'ES')",
        "risk between 3 and 2",
        "count(open, within='7d') < 0",
        "is_open and not is_open",
        "(risk > 1 and risk < 0) or (country = 'a' and country = 'b')",
    ],
)
def test_a_path_whose_condition_can_never_hold_is_dead(codes, build, condition):
    assert codes(steps=[build.branch(condition)]) == ["dead-branch"]


@pytest.mark.parametrize("condition", ["true", "count(open, within='7d') >= 0", "risk > 1 or true"])
def test_a_path_that_everybody_takes_makes_the_others_dead(codes, build, condition):
    otherwise = [{"tag": {"add": "x"}}]
    assert codes(steps=[build.branch(condition, otherwise=otherwise)]) == ["dead-branch"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("risk > 0.5", "risk > 0.5"),
        ("risk > 0.5", "0.5<risk"),
        ("risk > 0.5", "risk >= 0.7"),
        ("risk > 0.5", "risk between 0.6 and 0.8"),
        ("risk > 0.5", "risk = 0.6"),
        ("risk > 0.5", "risk in (0.6, 0.9)"),
        ("risk > 0.5", "risk > 0.6 and country = 'PT'"),
        ("country in ('PT', 'ES')", "country = 'PT'"),
        ("country <> 'PT'", "country in ('ES', 'FR')"),
        ("country = 'PT' or risk > 0.5", "risk > 0.6"),
        ("risk > 0.5 and country = 'PT'", "country = 'PT' and risk > 0.5 and is_open"),
        ("count(open, within='14d') >= 1", "count(open, within='14d') >= 3"),
        ("created_at > '2026-01-01'", "created_at > '2026-02-01'"),
        ("not risk > 0.5", "risk < 0.5"),
    ],
)
def test_a_path_that_an_earlier_one_takes_whole_is_shadowed(codes, build, first, second):
    assert codes(steps=[build.branch(first, second)]) == ["shadowed-rule"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("risk >= 0.7", "risk > 0.5"),
        ("risk > 0.5 and country = 'PT'", "risk > 0.5"),
        ("risk > 0.5", "country = 'PT'"),
        ("country = 'PT'", "country in ('PT', 'ES')"),
        ("country in ('ES', 'FR')", "country <> 'PT'"),
        ("count(open, within='14d') >= 3", "count(open, within='14d') >= 1"),
        ("count(open, within='7d') >= 1", "count(open, within='14d') >= 3"),
        ("risk > 0.5", "risk >= 0.5"),
        ("risk < 0.5", "risk is null"),
    ],
)
def test_a_path_that_leaves_somebody_for_the_next_shadows_nothing(codes, build, first, second):
    assert codes(steps=[build.branch(first, second)]) == []


def test_weights_that_do_not_sum_to_100_are_told(codes):
    def split(*weights):
        arms = [{"name": f"a{n}", "weight": w} for n, w in enumerate(weights)]
        return [{"split": {"name": "s", "arms": arms}}, {"tag": {"add": "x"}}]

    assert codes(steps=split(50, 60)) == ["weights-not-100"]
    assert codes(steps=split(33.3, 33.3, 33.4)) == []


def test_a_step_behind_the_expiry_is_never_reached(found, build):
    steps = [{"wait": "20D"}, build.message("late"), {"wait": "10D"}, build.message("too_late")]
    (one,) = found(steps=steps)
    assert (one.code, one.place) == ("expires-too-early", "step 'too_late'")
    assert "30 days after the entry at the soonest" in one.what


def test_a_wait_until_counts_as_long_as_it_takes_at_the_soonest(codes, build):
    wait = {"until": {"event": "click"}, "at_most": "40D"}
    assert codes(steps=[{"wait": {**wait, "met": [build.message("now")]}}]) == []
    late = codes(steps=[{"wait": {**wait, "timed_out": [build.message("late")]}}])
    assert late == ["expires-too-early"]


def test_a_loop_whose_waits_may_all_be_over_at_once_is_told(codes):
    def loop(wait):
        return [{"tag": {"add": "x", "name": "again"}}, {"wait": wait}, {"go_to": "again"}]

    assert codes(steps=loop({"date": "birthday"})) == ["loop-without-wait"]
    assert codes(steps=loop({"best_send_time": "1D"})) == ["loop-without-wait"]
    assert codes(steps=loop("1D")) == []
    assert codes(steps=loop({"time": "09:00"})) == []


def test_two_messages_without_a_wait_between_are_told(found, build):
    between = {"tag": {"add": "x"}}
    steps = [build.message("a", if_blocked="advance"), between, build.message("b")]
    (one,) = found(steps=steps)
    assert (one.code, one.place) == ("messages-in-a-row", "step 'b'")
    assert found(steps=[build.message("a"), {"wait": "1D"}, build.message("b")]) == []


def test_a_message_that_holds_people_back_from_what_needs_no_consent_is_told(codes, build):
    behind = {"alert": {"name": "tell", "to": "sales", "text": "Look"}}
    assert codes(steps=[build.message("a"), behind]) == ["wait-without-timeout"]
    assert codes(steps=[build.message("a", if_blocked="advance"), behind]) == []
    assert codes(steps=[build.message("a", hold_for="2D"), behind]) == []


# -- names


@pytest.mark.parametrize(
    ("changes", "code", "fix"),
    [
        ({"exit": {"when": "rsk > 1"}}, "unknown-field", "'risk'"),
        ({"entry": {"date": "birthdy"}}, "unknown-field", "'birthday'"),
        ({"entry": {"date": "risk"}}, "unknown-field", "another"),
        ({"steps": [{"wait": {"date": "birtday"}}, {"tag": {"add": "x"}}]}, "unknown-field", "day"),
        ({"exit": {"when": "risk > 'a'"}}, "broken-condition", "quotes"),
        ({"exit": {"when": "in_segment(leavin)"}}, "unknown-segment", "'leaving'"),
        ({"goal": "ordr"}, "unknown-event", "'order'"),
        ({"exit": {"when": "count(clik, within='7d') > 1"}}, "unknown-event", "'click'"),
        ({"steps": [{"start": "god"}]}, "unknown-journey", "'good'"),
        ({"exit": {"when": "count(open) > 1"}}, "unbounded-look-back", "365d"),
    ],
)
def test_a_name_that_leads_nowhere_comes_with_the_near_one(found, changes, code, fix):
    (one,) = found(settings={"event_types": ["cart"]}, **changes)
    assert one.code == code
    assert fix in one.fix


def test_a_wait_for_a_segment_that_is_not_there_is_told(codes):
    until = {"until": {"segment": "lost"}, "at_most": "2D"}
    assert codes(steps=[{"wait": until}, {"tag": {"add": "x"}}]) == ["unknown-segment"]


def test_events_are_asked_only_where_they_are_known(codes):
    assert codes(goal="whatever") == []


def test_a_step_may_ask_since_the_entry_and_an_entry_may_not(codes, build):
    assert codes(steps=[build.branch("count(open, since='entry') >= 1")]) == []
    assert codes(steps=[build.branch("count(open, since='step') >= 1")]) == []
    entry = {"segment": "leaving", "when": "count(open, since='entry') >= 1"}
    assert codes(entry=entry) == ["broken-condition"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Hello {nme|there}", "unknown-token"),
        ("Hello {country:loud|there}", "unknown-token"),
        ("Hello {country|there", "unknown-token"),
        ("Hello {country}", "token-without-default"),
        ("{risk:percent|low} of {country}", "token-without-default"),
    ],
)
def test_a_token_that_cannot_be_filled_in_is_told(codes, build, text, code):
    assert codes(steps=[build.message("a", slots={"x": text})]) == [code]


def test_tokens_that_can_be_filled_in_are_fine(codes, build):
    slots = {
        "a": "{country|there} {risk:percent|low}",
        "b": "{trigger_item|it}",
        "c": "{contact_id}",
    }
    assert codes(steps=[build.message("a", slots=slots)]) == []


def test_what_a_message_is_worth_is_read_from_columns_that_are_there(codes, build):
    assert codes(steps=[build.message("a", worth={"probability": "risk", "value": 20})]) == []
    assert codes(steps=[build.message("a", worth={"probability": "country"})]) == ["unknown-field"]
    worth = {"probability": "risk", "value": "prce"}
    assert codes(steps=[build.message("a", worth=worth)]) == ["unknown-field"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"when": "rsk > 1"}, "unknown-field"),
        ({"when": "risk > 1 and risk < 0"}, "dead-branch"),
        ({"when": "risk > 1", "stay": "rsk > 0"}, "unknown-field"),
        ({"when": "risk > 1", "stay": "risk > 2"}, "stay-stricter-than-when"),
        ({"top": {"column": "rsk", "share": 0.1}}, "unknown-field"),
        ({"top": {"column": "country", "share": 0.1}}, "unknown-field"),
        ({"when": "risk > 1", "why": "{rsk:percent} risk"}, "unknown-field"),
        ({"when": "count(order) = 0"}, "unbounded-look-back"),
        ({"when": "count(open, since='entry') = 0"}, "broken-condition"),
    ],
)
def test_segments_are_read_as_well(codes, build, content, code):
    other = Segment(name="other", title="Other", **content)
    assert codes(segments=(build.LEAVING, other)) == [code]


def test_the_policy_is_read_as_well(found):
    (one,) = found(policy={"handover": "stag = 'deal'"})
    assert (one.subject, one.place, one.code) == ("policy", "key 'handover'", "unknown-field")


def test_an_entry_whose_segment_was_skipped_is_told(codes):
    assert codes(settings={"skipped": ["leaving"]}) == ["entry-skipped"]
    assert codes(settings={"skipped": ["other"]}) == []


def test_a_prediction_needs_a_maximum_age_and_one_that_is_not_older(codes, build):
    aged = PredictionsAt(["risk"])
    old = PredictionsAt(["risk"], as_of=NOW - timedelta(days=8), now=NOW)
    young = PredictionsAt(["risk"], as_of=NOW - timedelta(days=6), now=NOW)
    steps = [build.branch("risk > 0.5")]
    dated = [build.branch("fresh(risk, within='7d') > 0.5")]
    assert codes(steps=steps) == []
    assert codes(steps=steps, settings={"predictions": aged}) == ["stale-prediction"]
    assert codes(steps=dated, settings={"predictions": aged}) == []
    assert codes(steps=dated, settings={"predictions": young}) == []
    assert codes(steps=dated, settings={"predictions": old}) == ["stale-prediction"]


def test_links_are_tried_only_where_that_is_asked_and_each_once(codes, build):
    asked = []

    def answer(address):
        asked.append(address)
        return "404" if address.endswith("gone") else None

    slots = {"a": "{country|https://shop.example/gone}", "b": "https://shop.example/new and more"}
    steps = [build.message("m", slots=slots), {"wait": "1D"}, build.message("n", slots=slots)]
    assert codes(steps=steps) == []
    assert codes(steps=steps, settings={"links": answer}) == ["broken-link", "broken-link"]
    assert sorted(asked) == ["https://shop.example/gone", "https://shop.example/new"]


# -- together


def test_a_journey_needs_a_goal_or_an_exit(codes):
    assert codes(goal=None) == ["no-goal-or-exit"]
    assert codes(goal=None, exit={"left_segment": True}) == []
    assert codes(goal=None, exit={"event": "order"}) == []


def test_somebody_must_be_held_out(codes):
    assert codes(holdout=0.0) == ["no-holdout"]
    assert codes(holdout=0.0, share=0.05) == []
    assert codes(holdout=0.0, transactional=True) == []
    assert codes(holdout=0.0, steps=[{"tag": {"add": "x"}}]) == []


def test_messages_and_audiences_need_a_topic(codes, build):
    join = {"audience": {"platform": "linkedin", "add": "x"}}
    leave = {"audience": {"platform": "linkedin", "remove": "x"}}
    assert codes(topic=None, steps=[build.message("a")]) == ["message-without-topic"]
    assert codes(topic=None, steps=[build.message("a", topic="news")]) == []
    assert codes(topic=None, steps=[join]) == ["audience-without-topic"]
    assert codes(topic=None, steps=[leave]) == []
    assert codes(steps=[join]) == []


def test_journeys_that_want_the_same_people_need_an_order(found, build):
    other = {"journey": "other"}
    (one,) = found(other)
    assert (one.code, one.subject) == ("priority-tie", "journey 'good'")
    assert "'other'" in one.what
    assert found({**other, "priority": 60}) == []
    assert found({**other, "entry": {"event": "click"}}) == []
    post = {"message": {"name": "m", "channel": "post", "template": "t"}}
    assert found({**other, "steps": [post]}) == []
    grouped = {**other, "entry": {"event": "click"}, "group": "g"}
    assert [one.code for one in found(grouped, group="g")] == ["priority-tie"]


def test_a_column_that_nobody_predicts_here_is_warned_of_and_not_refused(found, build):
    elsewhere = {"settings": {"elsewhere": {"lead_score": Type.NUMBER}}}
    asked = build.branch("fresh(lead_score, within='7d') > 60")
    (one,) = found(steps=[asked], **elsewhere)
    assert (one.code, one.severity) == ("not-predicted", "warning")
    assert found(steps=[asked])[0].severity == "error"
    slot = build.message("a", slots={"score": "{lead_score|high}"})
    assert [one.code for one in found(steps=[slot], **elsewhere)] == ["not-predicted"]
    wrong = {"when": "lead_score > 60"}
    other = Segment(name="other", title="Other", **wrong)
    (refused,) = found(segments=(build.LEAVING, other), **elsewhere)
    assert (refused.code, refused.severity) == ("unknown-field", "error")


def test_a_channel_that_wakes_people_wants_its_hours(found):
    sms = {"message": {"name": "m", "channel": "sms", "template": "t"}}
    (one,) = found({"journey": "other", "steps": [sms], "priority": 60})
    assert (one.code, one.subject, one.severity) == ("no-quiet-hours", "policy", "warning")
    assert "by sms" in one.what


def test_journeys_that_start_each_other_in_a_circle_are_told(found):
    other = {"journey": "other", "steps": [{"start": "good"}], "priority": 60}
    (one,) = found(other, steps=[{"start": "other"}])
    assert (one.code, one.subject) == ("start-cycle", "journey 'good'")
    assert found({**other, "steps": [{"tag": {"add": "x"}}]}, steps=[{"start": "other"}]) == []
    assert [one.code for one in found(steps=[{"start": "good"}])] == ["start-cycle"]


def cap(name, most, per, **rest):
    return {"name": name, "most": most, "per": per, **rest}


@pytest.mark.parametrize(
    ("caps", "idle"),
    [
        ([cap("a", 3, "7D"), cap("b", 5, "1D")], ["b"]),
        ([cap("a", 3, "7D"), cap("b", 3, "day")], ["b"]),
        ([cap("a", 3, "7D"), cap("b", 2, "1D")], []),
        ([cap("a", 3, "7D"), cap("b", 3, "8D")], ["a"]),
        ([cap("a", 3, "7D"), cap("b", 4, "8D")], []),
        ([cap("a", 3, "week"), cap("b", 4, "7D")], []),
        ([cap("a", 3, "week"), cap("b", 6, "6D")], ["b"]),
        ([cap("a", 3, "week"), cap("b", 3, "day")], ["b"]),
        ([cap("a", 3, "week"), cap("b", 3, "month")], []),
        ([cap("a", 3, "month"), cap("b", 3, "week")], []),
        ([cap("a", 3, "7D"), cap("b", 3, "7D", channel="email")], ["b"]),
        ([cap("a", 3, "7D", channel="email"), cap("b", 3, "7D")], ["a"]),
        ([cap("a", 3, "7D"), cap("b", 3, "7D", topic="offers")], ["b"]),
        ([cap("a", 3, "7D"), cap("b", 3, "7D")], ["b"]),
        ([cap("a", 1, "7D", channel="sms")], ["a"]),
        ([cap("a", 1, "7D", topic="news")], ["a"]),
        ([cap("a", 1, "7D", topic="Offers", channel="email")], []),
    ],
)
def test_a_cap_that_never_binds_is_told(found, caps, idle):
    told = found(policy={"caps": caps})
    assert [(one.code, one.place) for one in told] == [
        ("cap-cannot-bind", f"cap '{name}'") for name in idle
    ]


def test_caps_hold_nothing_where_all_is_transactional(codes):
    assert codes(transactional=True, policy={"caps": [cap("a", 1, "7D")]}) == []
