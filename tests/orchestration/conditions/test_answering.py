"""The query over everybody answers as the evaluation of one person does."""

import random
from datetime import datetime, timedelta
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.expressions import Type
from mlmarket.market import Market
from mlmarket.orchestration.conditions import Conditions, Known, evaluate_events, facts, own_sends
from mlmarket.orchestration.tables import SENT

NOW = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - tables hold UTC without a zone
DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
SCHEMA = {
    "score": Type.NUMBER,
    "country": Type.TEXT,
    "vip": Type.BOOLEAN,
    "as_of": Type.TIME,
}
TIMES = [
    NOW,
    NOW - TICK,
    NOW + TICK,
    NOW - DAY,
    NOW - DAY + TICK,
    NOW - DAY - TICK,
    NOW - 14 * DAY,
    NOW - 14 * DAY + TICK,
    NOW - 5 * DAY,
    NOW - 5 * DAY + TICK,
    NOW - 2 * DAY,
    NOW - 2 * DAY + TICK,
    NOW - 40 * DAY,
]
ENTERED = [NOW - 5 * DAY, NOW - 14 * DAY, NOW, NOW - 40 * DAY, None]
ARRIVED = [NOW - 2 * DAY, NOW - DAY, NOW, None]
TYPES = ["open", "Open", "order", "send", "page view", "it's"]
ACTIVITY = {
    "contact_id": pa.string(),
    "type": pa.string(),
    "occurred_at": pa.timestamp("us"),
    "available_at": pa.timestamp("us"),
    "item_id": pa.string(),
    "value": pa.decimal128(18, 4),
    "campaign_id": pa.string(),
    "source": pa.string(),
    "row_id": pa.string(),
}
SUBJECTS = {
    "n": pa.int64(),
    "contact_id": pa.string(),
    "entered_at": pa.timestamp("us"),
    "arrived_at": pa.timestamp("us"),
    "score": pa.float64(),
    "country": pa.string(),
    "vip": pa.bool_(),
    "as_of": pa.timestamp("us"),
}


class Source:
    """Behaviour in memory."""

    def __init__(self, activity):
        self._activity = ibis.memtable(activity)

    def activity(self, *types):
        return self._activity.filter(self._activity["type"].isin(types))


def population(seed):
    """A dozen people, what they did, their segments and what they were sent."""
    drawn = random.Random(seed)  # noqa: S311 - no secrets here
    people = [f"p{number}" for number in range(8)]
    activity = [
        {
            "contact_id": drawn.choice([*people, None]),
            "type": drawn.choice(TYPES),
            "occurred_at": drawn.choice(TIMES),
            "available_at": drawn.choice([None, None, NOW, NOW + TICK, NOW - DAY]),
            "item_id": drawn.choice(["shoe", "Shoe", "it's", None]),
            "value": drawn.choice(
                [Decimal("20.0000"), Decimal("20.0001"), Decimal("-1.5000"), None]
            ),
            "campaign_id": drawn.choice(["welcome", "welcome.first", "welcomes", "Welcome", None]),
            "source": drawn.choice(["events", "messages"]),
            "row_id": drawn.choice(["r1", "r2", None]),
        }
        for _ in range(drawn.randrange(60))
    ]
    subjects = [
        {
            "n": number * 3,
            "contact_id": drawn.choice(people),
            "entered_at": drawn.choice(ENTERED),
            "arrived_at": drawn.choice(ARRIVED),
            "score": drawn.choice([0.0, 0.5, 1.0, float("nan"), None]),
            "country": drawn.choice(["PT", "ES", None]),
            "vip": drawn.choice([True, False, None]),
            "as_of": drawn.choice([NOW, NOW - 7 * DAY, NOW - 7 * DAY + TICK, NOW + DAY, None]),
        }
        for number in range(12)
    ]
    memberships = [
        {"segment": name, "contact_id": person}
        for name in ("loyal", "at risk", "other")
        for person in people
        if drawn.random() < 0.4
    ]
    sent = [
        {
            "contact_id": drawn.choice(people),
            "journey": drawn.choice(["welcome", "win_back"]),
            "step": drawn.choice(["first", "second"]),
            "kind": drawn.choice(["message", "message", "alert"]),
            "not_before": drawn.choice(TIMES),
            "status": drawn.choice(
                ["pending", "claimed", "sent", "unknown", "failed", "cancelled"]
            ),
        }
        for _ in range(drawn.randrange(8))
    ]
    return subjects, activity, memberships, sent


def sent_table(rows):
    cells = [{**dict.fromkeys(SENT.names), **row} for row in rows]
    return pa.Table.from_pylist(cells, schema=SENT)


def one_of(*texts):
    return st.sampled_from(texts)


EVENTS = one_of("open", "Open", "'open'", "order", "send", "'page view'", "'it''s'", "never")
PARTS = [
    one_of("", ", within='14d'", ", WITHIN='2W'", ", within='1d'", ", within='24H'"),
    one_of("", "", ", since='entry'", ", since='step'", ", Since='Step'"),
]
WHERE = one_of(
    "",
    "",
    ", where value > 20",
    ", where not (value > 20 and item_id = 'shoe')",
    ", WHERE item_id like 'S%' or campaign_id is null",
    ", where not (campaign_id in ('welcome', null)) is true",
    ", where source = 'events' and occurred_at > '2026-02-20'",
)


def call(name, subjects, *parts):
    return st.tuples(subjects, *parts).map(lambda drawn: f"{name}({''.join(drawn)})")


LEAVES = st.one_of(
    st.tuples(
        call("count", EVENTS, *PARTS, WHERE), one_of(" > 0", " = 0", " >= 2", " % 2 = 1")
    ).map("".join),
    st.tuples(
        call("days_since", EVENTS, *PARTS, WHERE), one_of(" > 2", " <= 5", " = 14", " is null")
    ).map("".join),
    st.tuples(
        call("last", EVENTS, *PARTS, WHERE),
        one_of(" > '2026-02-24 12:00'", " = '2026-03-01 12:00'", " is not null", " < as_of"),
    ).map("".join),
    call(
        "received",
        one_of("welcome", "'welcome.first'", "win_back", "'win_back.second'", "welcom"),
        *PARTS,
    ),
    call("in_segment", one_of("loyal", "'at risk'", "nobody")),
    call("Fresh", one_of("score", '"score"'), one_of(", within='7d'", ", within='1w'")).map(
        lambda text: f"{text} >= 0.5"
    ),
    call("fresh", one_of("vip"), one_of(", within='8D'")),
    one_of("score > 0.4", "country = 'PT'", "vip", "country is null", "null"),
)


def conditions(depth):
    if depth == 0:
        return LEAVES
    inner = st.deferred(lambda: conditions(depth - 1))
    return st.one_of(
        LEAVES,
        inner.map("not ({})".format),
        st.tuples(inner, one_of("and", "or"), inner).map(lambda p: f"({p[0]}) {p[1]} ({p[2]})"),
        inner.map("not (not ({}))".format),
        inner.map("({}) is not true".format),
    )


CONDITIONS = st.one_of(conditions(3), conditions(2)).filter(lambda text: text != "null")


@pytest.fixture(scope="module")
def bench():
    opened = ibis.duckdb.connect()
    yield opened
    opened.disconnect()


def answers_of_rows(asked, subjects, activity, memberships, sent):
    answers = {}
    for subject in subjects:
        person = subject["contact_id"]
        mine = [row for row in activity if row["contact_id"] == person]
        mine += own_sends(row for row in sent if row["contact_id"] == person)
        answers[subject["n"]] = evaluate_events(
            asked.calls,
            mine,
            now=NOW,
            entered_at=subject["entered_at"],
            arrived_at=subject["arrived_at"],
            memberships={row["segment"] for row in memberships if row["contact_id"] == person},
            person=subject,
        )
    return answers


def cleaned(value):
    return None if isinstance(value, float) and value != value else value


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.lists(CONDITIONS, min_size=2, max_size=6))
def test_everybody_at_once_and_one_person_get_the_same_answers(bench, seed, texts):
    subjects, activity, memberships, sent = population(seed)
    asked = Conditions.parse(
        {str(place): text for place, text in enumerate(texts)},
        schema=SCHEMA,
        anchors=("entry", "step"),
    )
    people = ibis.memtable(pa.Table.from_pylist(subjects, schema=pa.schema(SUBJECTS)))
    known = Known(
        memberships=pa.Table.from_pylist(
            memberships, schema=pa.schema({"segment": pa.string(), "contact_id": pa.string()})
        ),
        sent=sent_table(sent),
    )
    source = Source(pa.Table.from_pylist(activity, schema=pa.schema(ACTIVITY)))
    found = facts(asked, people, source, now=NOW, bench=bench, known=known)
    answers = {row.pop("n"): row for row in bench.to_pyarrow(found).to_pylist()}
    expected = answers_of_rows(asked, subjects, activity, memberships, sent)
    cleaned_answers = {n: {k: cleaned(v) for k, v in row.items()} for n, row in answers.items()}
    assert cleaned_answers == {
        n: {k: cleaned(v) for k, v in row.items()} for n, row in expected.items()
    }
    table = people.join(found, "n")
    decided = bench.to_pyarrow(
        table.select(
            "n",
            **{f"permits{key}": asked.permits(key, table) for key in asked.expressions},
            **{f"suppresses{key}": asked.suppresses(key, table) for key in asked.expressions},
        )
    ).to_pylist()
    assert len(decided) == len(subjects)
    rows = {subject["n"]: {**subject, **expected[subject["n"]]} for subject in subjects}
    for row in decided:
        for key in asked.expressions:
            assert row[f"permits{key}"] is asked.permits_row(key, rows[row["n"]]), texts[int(key)]
            assert row[f"suppresses{key}"] is asked.suppresses_row(key, rows[row["n"]])


def one(bench, text, activity, *, known=None, **subject):
    """Return the answer to one call about one person."""
    asked = Conditions.parse(
        {"it": f"{text} is not null"}, schema=SCHEMA, anchors=("entry", "step")
    )
    row = {**dict.fromkeys(SUBJECTS), "n": 7, "contact_id": "ana", **subject}
    people = ibis.memtable(pa.Table.from_pylist([row], schema=pa.schema(SUBJECTS)))
    cells = [{**dict.fromkeys(ACTIVITY), "contact_id": "ana", **event} for event in activity]
    source = Source(pa.Table.from_pylist(cells, schema=pa.schema(ACTIVITY)))
    found = bench.to_pyarrow(facts(asked, people, source, now=NOW, bench=bench, known=known))
    (answer,) = found.drop("n").to_pylist()
    return answer[asked.calls[0].key]


def opened(at, **rest):
    return {"type": "open", "occurred_at": at, **rest}


@pytest.mark.parametrize(
    ("text", "subject", "expected"),
    [
        ("count(open, within='14d')", {}, 2),
        ("count(open, within='14d', since='entry')", {"entered_at": NOW - DAY}, 1),
        ("count(open, since='entry')", {"entered_at": NOW - 14 * DAY}, 2),
        ("count(open, since='entry')", {"entered_at": NOW - 14 * DAY - TICK}, 3),
        ("count(open, since='entry')", {"entered_at": NOW}, 0),
        ("count(open, since='step')", {"arrived_at": NOW - TICK}, 1),
        ("count(open, since='step')", {}, 0),
        ("count(open)", {}, 3),
        ("count(click)", {}, 0),
        ("last(open, within='14d')", {}, NOW),
        ("last(click)", {}, None),
        ("days_since(open)", {}, 0.0),
        ("days_since(click)", {}, None),
    ],
)
def test_a_window_is_open_at_its_beginning_and_closed_at_its_end(bench, text, subject, expected):
    events = [opened(NOW - 14 * DAY), opened(NOW - 14 * DAY + TICK), opened(NOW)]
    assert one(bench, text, events, **subject) == expected


def test_days_are_counted_in_fractions(bench):
    events = [opened(NOW - 36 * timedelta(hours=1))]
    assert one(bench, "days_since(open)", events) == 1.5


def test_what_was_not_known_by_now_does_not_count(bench):
    events = [
        opened(NOW - DAY, available_at=NOW + TICK),
        opened(NOW - DAY, available_at=NOW),
        opened(NOW + TICK, available_at=NOW),
    ]
    assert one(bench, "count(open)", events) == 1


def test_an_order_of_many_lines_counts_once(bench):
    lines = [{"type": "order", "occurred_at": NOW, "row_id": name} for name in "aaabb"]
    unnamed = [{"type": "order", "occurred_at": NOW}] * 2
    assert one(bench, "count(order)", lines) == 2
    assert one(bench, "count(order)", lines + unnamed) == 4


@pytest.mark.parametrize(
    ("status", "kind", "after", "expected"),
    [
        ("sent", "message", -DAY, True),
        ("pending", "message", -DAY, True),
        ("unknown", "message", timedelta(0), True),
        ("pending", "message", TICK, False),
        ("sent", "message", -30 * DAY, False),
        ("failed", "message", -DAY, False),
        ("cancelled", "message", -DAY, False),
        ("sent", "alert", -DAY, False),
    ],
)
def test_our_own_messages_are_received_before_the_market_lists_them(
    bench, status, kind, after, expected
):
    row = {"contact_id": "ana", "journey": "welcome", "step": "first", "kind": kind}
    known = Known(sent=sent_table([{**row, "status": status, "not_before": NOW + after}]))
    for name in ("welcome", "'welcome.first'"):
        assert one(bench, f"received({name}, within='30d')", [], known=known) is expected
    assert one(bench, "received('welcome.second')", [], known=known) is False


def test_an_own_message_is_not_counted_a_second_time_as_sent(bench):
    row = {"contact_id": "ana", "journey": "j", "step": "s", "kind": "message", "status": "sent"}
    known = Known(sent=sent_table([{**row, "not_before": NOW}]))
    asked = [{"type": "send", "occurred_at": NOW, "campaign_id": "j.s"}]
    assert one(bench, "count(send)", asked, known=known) == 1


def test_names_that_differ_in_capitals_only_are_two_questions(bench):
    asked = Conditions.parse(
        {
            "it": "count(open) > count(Open) and count(open, where item_id = 'A') = 0"
            " and count(open, where item_id = 'a') = 1"
        },
        schema=SCHEMA,
    )
    events = [opened(NOW, contact_id="ana", item_id="a"), opened(NOW, contact_id="ana")]
    cells = [{**dict.fromkeys(ACTIVITY), **event} for event in events]
    source = Source(pa.Table.from_pylist(cells, schema=pa.schema(ACTIVITY)))
    people = ibis.memtable(pa.table({"n": [0], "contact_id": ["ana"]}))
    found = facts(asked, people, source, now=NOW, bench=bench)
    table = people.join(found, "n")
    assert bench.to_pyarrow(table.select(it=asked.permits("it", table)))["it"].to_pylist() == [True]


def shop():
    """A market whose tables lie in a database of their own."""
    people = pa.table({"contact_id": ["ana", "bo"]})
    time = NOW - DAY
    messages = pa.table(
        {
            "message_id": ["m1", "m2", "m3"],
            "contact_id": ["ana", "ana", "bo"],
            "channel": ["email"] * 3,
            "campaign_id": ["welcome", "news", "welcome.first"],
            "sent_at": pa.array([time] * 3, pa.timestamp("us")),
            "opened_at": pa.array([time, time, None], pa.timestamp("us")),
            "is_machine_open": [True, False, False],
        }
    )
    orders = pa.table(
        {
            "contact_id": ["bo"] * 3,
            "order_id": ["o1", "o1", "o2"],
            "ordered_at": pa.array([time] * 3, pa.timestamp("us")),
            "amount": pa.array([Decimal("5.0000"), Decimal("25.0000"), Decimal("5.0000")]),
        }
    )
    return Market.from_tables(contacts=people, messages=messages, orders=orders)


def test_a_market_answers_where_its_tables_lie_and_machine_opens_never_count(bench):
    texts = {
        "opened": "count(open) = 1",
        "two_orders": "count(order, within='2d') = 2",
        "large": "count(order, where value > 20) = 1",
        "welcomed": "received(welcome)",
    }
    asked = Conditions.parse(texts, schema={})
    people = bench.create_table(
        "asked_about", pa.table({"n": [1, 2], "contact_id": ["ana", "bo"]}), overwrite=True
    )
    found = facts(asked, people, shop(), now=NOW, bench=bench)
    table = people.join(found, "n").order_by("n")
    held = bench.to_pyarrow(table.select(**{key: asked.permits(key, table) for key in texts}))
    assert held.to_pydict() == {
        "opened": [True, False],
        "two_orders": [False, True],
        "large": [False, True],
        "welcomed": [True, True],
    }


def test_another_database_hands_over_only_what_can_matter(bench, monkeypatch):
    asked = Conditions.parse({"it": "count(open, within='2d') = 1"}, schema={})
    people = bench.create_table(
        "asked_about", pa.table({"n": [1, 2], "contact_id": ["ana", "bo"]}), overwrite=True
    )
    brought = []
    there = ibis.duckdb.connect()
    cells = [opened(NOW - age * DAY, contact_id="ana") for age in (1, 3)]
    cells.append(opened(NOW, contact_id="stranger"))
    rows = [{**dict.fromkeys(ACTIVITY), **cell} for cell in cells]
    there.create_table("activity", pa.Table.from_pylist(rows, schema=pa.schema(ACTIVITY)))
    read = there.to_pyarrow_batches

    def watched(table):
        brought.extend(there.to_pyarrow(table).to_pylist())
        return read(table)

    monkeypatch.setattr("mlmarket.orchestration.conditions.answering._IN_PLACE", frozenset())
    monkeypatch.setattr(there, "to_pyarrow_batches", watched)

    class Elsewhere:
        def activity(self, *types):
            activity = there.table("activity")
            return activity.filter(activity["type"].isin(types))

    found = facts(asked, people, Elsewhere(), now=NOW, bench=bench)
    assert sorted(bench.to_pyarrow(found)["count(open, within='2d')"].to_pylist()) == [0, 1]
    assert [row["contact_id"] for row in brought] == ["ana"]
    there.disconnect()


def test_conditions_about_columns_alone_ask_nothing(bench):
    asked = Conditions.parse({"it": "score > 1"}, schema=SCHEMA)
    people = ibis.memtable(pa.table({"n": [3], "contact_id": ["ana"]}))
    found = facts(asked, people, Source(pa.schema(ACTIVITY).empty_table()), now=NOW, bench=bench)
    assert bench.to_pyarrow(found).to_pydict() == {"n": [3]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count(open, since='entry') > 1", "no column 'entered_at'"),
        ("fresh(score, within='7d') > 1", "no column 'as_of'|no column 'score'"),
        ("in_segment(loyal)", "Nobody has said who is in segment 'loyal'"),
    ],
)
def test_what_cannot_be_answered_is_refused(bench, text, message):
    asked = Conditions.parse({"it": text}, schema=SCHEMA, anchors=("entry",))
    people = ibis.memtable(pa.table({"n": [0], "contact_id": ["ana"]}))
    source = Source(pa.schema(ACTIVITY).empty_table())
    with pytest.raises(ConfigurationError, match=message):
        facts(asked, people, source, now=NOW, bench=bench)


def test_nobody_to_ask_about_is_no_answer(bench):
    asked = Conditions.parse(
        {"it": "count(open, since='entry') > 1"}, schema=SCHEMA, anchors=("entry",)
    )
    people = ibis.memtable(pa.schema(SUBJECTS).empty_table())
    source = Source(pa.schema(ACTIVITY).empty_table())
    assert bench.to_pyarrow(facts(asked, people, source, now=NOW, bench=bench)).num_rows == 0
