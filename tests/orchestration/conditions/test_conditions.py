from datetime import UTC, datetime, timedelta, timezone

import pytest

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.expressions import ExpressionError, Type
from mlmarket.orchestration.conditions import (
    ConditionError,
    Conditions,
    EventMatch,
    evaluate_events,
)

SCHEMA = {"score": Type.NUMBER, "vip": Type.BOOLEAN, "as_of": Type.TIME}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def read(*texts, **settings):
    named = {f"rule {place}": text for place, text in enumerate(texts)}
    return Conditions.parse(named, schema=SCHEMA, **settings)


def test_conditions_share_what_they_ask():
    asked = read("count(open, within='2w') > 1", "COUNT('open', Within='14D') > 3 and vip")
    assert [call.text for call in asked.calls] == ["count(open, within='14d')"]
    assert asked.columns == {"vip"}
    assert asked.types == ("open",)


def test_conditions_say_what_they_need():
    asked = read(
        "fresh(score, within='7d') > 1 and in_segment(loyal)",
        "received(welcome) or last(click) > as_of",
        "in_segment('at risk')",
    )
    assert asked.columns == {"score", "as_of"}
    assert asked.segments == {"loyal", "at risk"}
    assert asked.types == ("click", "send")


def test_a_look_at_all_of_history_is_told():
    asked = read(
        "count(open) > 1 and count(open, within='1d') > 0",
        "received(welcome, since='entry') or in_segment(loyal)",
        "days_since(open) > 3 or fresh(vip, within='7d')",
        anchors=("entry", "step"),
    )
    assert asked.unbounded == (("rule 0", "count(open)"), ("rule 2", "days_since(open)"))


def test_two_sets_of_conditions_become_one():
    entries = Conditions.parse({"entry": "count(open) > 1"}, schema=SCHEMA)
    branches = Conditions.parse(
        {"branch": "count(open) > 1 and count(click, since='entry') > 0"},
        schema=SCHEMA,
        anchors=("entry", "step"),
    )
    both = entries | branches
    assert list(both.expressions) == ["entry", "branch"]
    assert len(both.calls) == 2
    assert (both | entries).calls == both.calls
    other = Conditions.parse({"entry": "vip"}, schema=SCHEMA)
    with pytest.raises(ConfigurationError, match="Two conditions are called 'entry'"):
        both | other


def test_unknown_is_no_for_a_permit_and_yes_for_a_suppression():
    asked = read("score > 1", "not (score > 1)")
    for key in asked.expressions:
        assert asked.permits_row(key, {"score": None}) is False
        assert asked.suppresses_row(key, {"score": None}) is True
    assert asked.permits_row("rule 0", {"score": 2.0}) is True
    assert asked.suppresses_row("rule 0", {"score": 0.0}) is False


def test_an_error_says_which_condition_it_is_in_and_points_at_it():
    with pytest.raises(ConditionError) as caught:
        read("vip", "vip and count(opne) > 1", events=("open", "click"))
    assert caught.value.key == "rule 1"
    assert caught.value.what.startswith("rule 1: There is no 'opne'")
    assert caught.value.at == 14
    assert "did you mean 'open'?" in str(caught.value)
    assert " " * (4 + 14) + "^" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("in_segment(loial)", {"segments": ("loyal",)}, "did you mean 'loyal'"),
        ("received(welcom)", {"campaigns": ("welcome",)}, "did you mean 'welcome'"),
        ("count(open, since='entry') > 1", {}, "nobody is on their way"),
        ("count(open, since='entri') > 1", {"anchors": ("entry", "step")}, "did you mean 'entry'"),
        ("count(open, within='14 days') > 1", {}, "is not a duration"),
        ("fresh(score) > 1", {}, "fresh needs within="),
        ("fresh(scoer, within='7d') > 1", {}, "did you mean 'score'"),
        ("cout(open) > 1", {}, "did you mean 'count'"),
        ("count(open)", {}, "A condition is true or false"),
        ("last(open) > 5", {}, "needs values of one kind"),
    ],
)
def test_a_slip_is_refused_with_the_near_name(text, settings, message):
    with pytest.raises(ConditionError, match="Fix: ") as caught:
        read(text, **settings)
    assert message in str(caught.value)


def test_without_a_date_of_the_predictions_nothing_is_fresh():
    with pytest.raises(ConditionError, match="'fresh' is not a function"):
        Conditions.parse({"it": "fresh(score, within='7d') > 1"}, schema={"score": Type.NUMBER})


def test_an_event_is_meant_by_its_type_and_its_condition():
    large = EventMatch.parse("order", "value > 20 and item_id <> 'gift'")
    row = {"type": "order", "value": 25.0, "item_id": "shoe"}
    assert large.matches_row(row) is True
    assert large.matches_row({**row, "type": "return"}) is False
    assert large.matches_row({**row, "value": 20.0}) is False
    assert large.matches_row({**row, "item_id": None}) is False
    assert EventMatch.parse("order").matches_row(row) is True


def test_the_table_finds_the_same_events():
    ibis = pytest.importorskip("ibis")
    rows = [
        {"type": "order", "value": 25.0},
        {"type": "order", "value": None},
        {"type": "order", "value": float("nan")},
        {"type": "open", "value": 99.0},
        {"type": None, "value": 25.0},
    ]
    table = ibis.memtable(rows)
    for match in (EventMatch.parse("order", "not value <= 20"), EventMatch.parse("order")):
        found = table.select(it=match.matches(table)).to_pyarrow()["it"].to_pylist()
        assert found == [match.matches_row(row) for row in rows]


@pytest.mark.parametrize(
    ("event", "where", "message"),
    [
        ("ordr", None, "did you mean 'order'"),
        ("order", "valeu > 1", "did you mean 'value'"),
        ("order", "value", "A condition is true or false"),
        ("order", "count(open) > 1", "no functions here"),
    ],
)
def test_an_event_that_cannot_happen_is_refused(event, where, message):
    with pytest.raises(ConfigurationError, match="Fix: ") as caught:
        EventMatch.parse(event, where, events=frozenset({"order"}))
    assert message in str(caught.value)


def test_a_condition_over_events_points_at_the_character():
    with pytest.raises(ExpressionError) as caught:
        EventMatch.parse("order", "value > 1 and itm_id = 'a'")
    assert caught.value.at == 14


def test_times_of_any_zone_are_instants():
    lisbon = timezone(timedelta(hours=1))
    asked = read("last(open, since='entry') is null", anchors=("entry",))
    events = [{"type": "open", "occurred_at": NOW.astimezone(lisbon), "available_at": NOW}]
    found = evaluate_events(asked.calls, events, now=NOW, entered_at=NOW - timedelta(hours=1))
    assert list(found.values()) == [NOW.replace(tzinfo=None)]


def test_an_event_without_a_time_never_counts():
    asked = read("count(open) > 1")
    events = [{"type": "open", "occurred_at": None}]
    assert evaluate_events(asked.calls, events, now=NOW) == {"count(open)": 0}


def test_what_is_no_time_is_refused():
    asked = read("count(open) > 1")
    with pytest.raises(DataContractError, match="is not a time"):
        evaluate_events(asked.calls, [{"type": "open", "occurred_at": "today"}], now=NOW)
