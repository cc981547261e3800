"""Segments by what people did."""

from datetime import datetime, timedelta

import ibis
import pyarrow as pa
import pytest

from mlmarket.orchestration.segments.rules import Sources

ACTIVITY = pa.schema(
    {
        **dict.fromkeys(("contact_id", "type"), pa.string()),
        **dict.fromkeys(("occurred_at", "available_at"), pa.timestamp("us")),
        "item_id": pa.string(),
        "value": pa.decimal128(18, 4),
        **dict.fromkeys(("campaign_id", "source", "row_id"), pa.string()),
    }
)


class Diary:
    """A source of behaviour from (contact, type, days before the start)."""

    def __init__(self, *did):
        start = datetime(2026, 3, 1)  # noqa: DTZ001 - tables hold UTC without a zone
        rows = [
            {
                "contact_id": who,
                "type": what,
                "occurred_at": start - timedelta(days=days),
                "row_id": f"r{place}",
            }
            for place, (who, what, days) in enumerate(did)
        ]
        self._activity = ibis.memtable(pa.Table.from_pylist(rows, schema=ACTIVITY))

    def has(self, _table):
        return False

    def table(self, name):
        raise KeyError(name)

    def activity(self, *types):
        return self._activity.filter(self._activity["type"].isin(types))


DIARY = Diary(("a", "order", 3), ("a", "order", 40), ("b", "order", 40), ("b", "open", 1))


@pytest.fixture(scope="module")
def people(town):
    return town.risks(a=0.9, b=0.9, c=0.1)


def test_a_segment_may_ask_what_people_did(town, people):
    buyers = town.segment("buyers", when="count(order, within='30d') >= 1")
    quiet = town.segment("quiet", when="days_since(order) > 30 and risk > 0.5")
    found = town.decide(people, [buyers, quiet], sources=Sources(DIARY))
    assert town.members(found, "buyers") == {"a"}
    assert town.members(found, "quiet") == {"b"}


def test_members_stay_by_what_they_did(town, people):
    segment = town.segment(
        "active", when="count(open, within='7d') > 0", stay="count(order, within='50d') > 0"
    )
    before = town.memberships([{"segment": "active", "contact_id": "a"}])
    found = town.decide(people, [segment], before, sources=Sources(DIARY))
    assert town.members(found, "active") == {"a", "b"}


def test_without_a_source_of_behaviour_a_segment_that_asks_stays_as_it_was(town, people):
    buyers = town.segment("buyers", when="count(order, within='30d') >= 1")
    before = town.memberships([{"segment": "buyers", "contact_id": "c"}])
    found = town.decide(people, [buyers], before)
    assert town.members(found, "buyers") == {"c"}
    (said,) = found.skipped.to_pylist()
    assert said["reason"] == "tonight's tables have no count(order, within='30d')"


def test_a_rule_may_ask_for_segments_that_were_decided_just_now(town, people):
    buyers = town.segment("buyers", when="count(order, within='30d') >= 1")
    lost = town.segment("lost", when="risk > 0.5 and not in_segment(buyers)")
    rest = town.segment("rest", when="not in_segment('lost')", stay="in_segment(buyers)")
    found = town.decide(people, [rest, lost, buyers], sources=Sources(DIARY))
    assert town.members(found, "lost") == {"b"}
    assert town.members(found, "rest") == {"a", "c"}


def test_a_prediction_that_has_grown_old_counts_as_unknown(town, people):
    days = pa.array([town.START - timedelta(days=n) for n in (1, 9, 1)], pa.timestamp("us"))
    dated = people.append_column("as_of", days)
    fresh = town.segment("fresh", when="fresh(risk, within='7d') > 0.5")
    found = town.decide(dated, [fresh], sources=Sources(DIARY))
    assert town.members(found, "fresh") == {"a"}


def test_without_predictions_nothing_is_fresh_and_members_stay(town):
    fresh = town.segment("fresh", when="fresh(risk, within='7d') > 0.5 and country = 'PT'")
    before = town.memberships([{"segment": "fresh", "contact_id": "a"}])
    people = pa.table({"contact_id": ["a"], "country": ["PT"]})
    found = town.decide(people, [fresh], before, sources=Sources(DIARY))
    assert town.members(found, "fresh") == {"a"}
    assert found.skipped["reason"].to_pylist() == ["tonight's tables have no as_of, risk"]


def test_words_may_say_what_people_did(town, people):
    buyers = town.segment(
        "buyers",
        when="count(order, within='60d') >= 1",
        why="{count(order, within='60d'):number} orders; {risk:percent} risk",
    )
    found = town.decide(people, [buyers], sources=Sources(DIARY))
    assert found.memberships["why"].to_pylist() == ["2 orders; 90% risk", "1 orders; 90% risk"]
