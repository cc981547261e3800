"""The compiled query against a definition in plain Python."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import mean as average
from statistics import stdev

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError, MlmarketError
from mlmarket.features import (
    Behaviour,
    Feature,
    Operation,
    SnapshotSpec,
    attribute,
    build,
    count,
    days_active,
    feature_frame,
    first_touch,
    gap_mean,
    gap_std,
    last,
    maximum,
    mean,
    minimum,
    ratio,
    recency,
    share_by,
    total,
    trend,
)

IS_RETURN = "is_return"
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
AS_OF = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # an hour in which clocks jump in Europe
EARLIER = AS_OF - 7 * DAY
PEOPLE = ("a", "b", "c", "silent", "unborn")
BORN_LATER = AS_OF - 3 * DAY

BEHAVIOURS = (
    "order",
    "return",
    "order where value > 20",
    "event visit | cart",
    'event "Page View" where value is not null',
    "send",
    "open",
    "click | unsubscribe",
    "outcome won",
    "outcome won where value >= 5",
    "cart | order",
)


def _features_of(text: str, place: int) -> list[Feature]:
    return [
        count(text, name=f"count_{place}"),
        count(text, "7D", name=f"count_7d_{place}"),
        total(text, "7D", name=f"total_7d_{place}"),
        mean(text, name=f"mean_{place}"),
        minimum(text, name=f"minimum_{place}"),
        maximum(text, "30D", name=f"maximum_30d_{place}"),
        last(text, name=f"last_{place}"),
        last(text, "7D", name=f"last_7d_{place}"),
        recency(text, name=f"recency_{place}"),
        first_touch(text, name=f"first_{place}"),
        days_active(text, name=f"days_{place}"),
        days_active(text, "7D", name=f"days_7d_{place}"),
        gap_mean(text, name=f"gap_mean_{place}"),
        gap_std(text, name=f"gap_std_{place}"),
        trend(text, "7D", name=f"trend_7d_{place}"),
    ]


RECENT, ALL = count("order", "30D"), count("order", name="all_orders")
OTHERS = (
    ratio(RECENT, ALL, name="share"),
    ratio(ratio(RECENT, ALL), gap_mean("order"), name="ratio_of_ratio"),
    ratio(ALL, attribute("age"), name="orders_per_year"),
    attribute("country", categorical=True),
    attribute("age"),
    attribute("order_count", name="orders_says_the_crm"),
)
SOME_FEATURES = st.lists(
    st.sampled_from(range(len(BEHAVIOURS))), min_size=3, max_size=3, unique=True
).map(lambda places: (*(f for n in places for f in _features_of(BEHAVIOURS[n], n)), *OTHERS))


@dataclass(frozen=True)
class Act:
    """One row of behaviour."""

    contact: str
    kind: str
    at: datetime
    known: datetime
    value: Decimal | None
    source: str


def _moments() -> st.SearchStrategy[datetime]:
    """Return times that like the borders of windows and of days before as_of."""
    borders = st.builds(
        lambda base, days, ticks: base - days * DAY + ticks * TICK,
        st.sampled_from([AS_OF, EARLIER]),
        st.sampled_from([0, 0, 1, 2, 6, 7, 8, 14, 15, 30, 31, 400]),
        st.integers(-1, 1),
    )
    anywhere = st.integers(-40 * 86_400 * 10**6, 10 * 86_400 * 10**6).map(
        lambda ticks: AS_OF + ticks * TICK
    )
    return borders | anywhere


def _rows(**columns: st.SearchStrategy) -> st.SearchStrategy:
    one = st.fixed_dictionaries({"contact_id": st.sampled_from(["a", "a", "b", "c"]), **columns})
    return st.lists(one, max_size=25)


LATE = st.none() | _moments()
VALUES = st.none() | st.decimals(-100, 100, places=4)

LOGS = st.fixed_dictionaries(
    {
        "orders": _rows(
            order_id=st.sampled_from(["1", "2"]),
            ordered_at=_moments(),
            amount=VALUES,
            available_at=LATE,
            **{IS_RETURN: st.sampled_from([False, False, True])},
        ),
        "events": _rows(
            event_type=st.sampled_from(["visit", "cart", "Page View", "won", "other"]),
            occurred_at=_moments(),
            available_at=LATE,
            value=VALUES,
        ),
        "messages": _rows(
            message_id=st.just("m"),
            channel=st.just("email"),
            sent_at=_moments(),
            opened_at=st.none() | _moments(),
            clicked_at=st.none() | _moments(),
            unsubscribed_at=st.none() | _moments(),
            is_machine_open=st.sampled_from([None, False, True]),
        ),
        "outcomes": _rows(
            outcome=st.sampled_from(["won", "lost"]),
            occurred_at=_moments(),
            available_at=LATE,
            value=VALUES,
        ),
    }
)


def _contacts() -> list[dict]:
    return [
        {
            "contact_id": name,
            "created_at": BORN_LATER if name == "unborn" else None,
            "country": {"a": "PT", "b": "ES"}.get(name),
            "age": {"a": 40.0, "b": math.inf, "c": 0.0}.get(name),
            "order_count": 99,
        }
        for name in PEOPLE
    ]


def _market(make_market, log):
    return make_market(contacts=_contacts(), **log)


def _acts(log: dict[str, list[dict]]) -> list[Act]:
    acts = []
    for row in log["orders"]:
        kind = "return" if row[IS_RETURN] else "order"
        known = row["available_at"] or row["ordered_at"]
        acts.append(Act(row["contact_id"], kind, row["ordered_at"], known, row["amount"], "orders"))
    for table, column in (("events", "event_type"), ("outcomes", "outcome")):
        for row in log[table]:
            known = row["available_at"] or row["occurred_at"]
            who, kind, value = row["contact_id"], row[column], row["value"]
            acts.append(Act(who, kind, row["occurred_at"], known, value, table))
    for row in log["messages"]:
        for kind, column in (
            ("send", "sent_at"),
            ("open", "opened_at"),
            ("click", "clicked_at"),
            ("unsubscribe", "unsubscribed_at"),
        ):
            at = row[column]
            if at is not None and not (kind == "open" and row["is_machine_open"]):
                acts.append(Act(row["contact_id"], kind, at, at, None, "messages"))
    return acts


CONDITIONS = {
    None: lambda _: True,
    "value > 20": lambda value: value is not None and value > 20,
    "value >= 5": lambda value: value is not None and value >= 5,
    "value is not null": lambda value: value is not None,
}


def _of(acts: list[Act], behaviour: Behaviour, contact: str, as_of: datetime) -> list[Act]:
    outcomes = behaviour.table == "outcomes"
    return [
        act
        for act in acts
        if act.contact == contact
        and act.kind in behaviour.types
        and (act.source == "outcomes") == outcomes
        and CONDITIONS[behaviour.where](act.value)
        and act.at <= as_of
        and act.known <= as_of
    ]


def _expected(feature: Feature, acts: list[Act], contact: str, as_of: datetime):
    if feature.operation is Operation.RATIO:
        above, below = (_expected(part, acts, contact, as_of) for part in feature.parts)
        return above / below if above is not None and below else None
    if feature.operation is Operation.ATTRIBUTE:
        (row,) = (row for row in _contacts() if row["contact_id"] == contact)
        value = row[feature.column]
        return None if value == math.inf else value
    past = _of(acts, feature.behaviour, contact, as_of)
    window = feature.window
    rows = [act for act in past if window is None or act.at > as_of - window]
    values = [act.value for act in rows if act.value is not None]
    latest = [(act.at, act.value) for act in rows if act.value is not None]
    ages = [(as_of - act.at) / DAY for act in rows]
    days = sorted({(as_of - act.at) // DAY for act in rows})
    gaps = [later - earlier for earlier, later in pairwise(days)]
    before = [act for act in past if window and as_of - 2 * window < act.at <= as_of - window]
    return {
        Operation.COUNT: lambda: len(rows),
        Operation.TOTAL: lambda: float(sum(values)),
        Operation.MEAN: lambda: float(sum(values)) / len(values) if values else None,
        Operation.MINIMUM: lambda: min(values, default=None),
        Operation.MAXIMUM: lambda: max(values, default=None),
        Operation.LAST: lambda: max(latest, default=(None, None))[1],
        Operation.RECENCY: lambda: min(ages, default=None),
        Operation.FIRST_TOUCH: lambda: max(ages, default=None),
        Operation.DAYS_ACTIVE: lambda: len(days),
        Operation.GAP_MEAN: lambda: average(gaps) if gaps else None,
        Operation.GAP_STD: lambda: stdev(gaps) if len(gaps) > 1 else None,
        Operation.TREND: lambda: math.log((1 + len(rows)) / (1 + len(before))),
    }[feature.operation]()


def _is_missing(value) -> bool:
    return value is None or value != value


def _assert_equal(frame: pd.DataFrame, features: tuple[Feature, ...], acts: list[Act]) -> None:
    for row in frame.to_dict("records"):
        as_of = row["as_of"].to_pydatetime().replace(tzinfo=UTC)
        for feature in features:
            found = row[feature.name]
            wanted = _expected(feature, acts, row["contact_id"], as_of)
            where = f"{feature.name} ({feature.behaviour}) of {row['contact_id']} at {as_of}"
            if _is_missing(wanted) or isinstance(wanted, str):
                assert (_is_missing(found) and _is_missing(wanted)) or found == wanted, where
            else:
                assert found == pytest.approx(float(wanted), rel=1e-12, abs=1e-12), where


def _build(market, spec, cutoffs, **options) -> pd.DataFrame:
    """Build by both engines, which have to agree to the last digit."""
    reference, swept = (
        pa.Table.from_batches(build(market, spec, cutoffs=cutoffs, engine=engine, **options))
        for engine in ("reference", "auto")
    )
    assert swept.schema == reference.schema
    frame = reference.to_pandas()
    pd.testing.assert_frame_equal(swept.to_pandas(), frame, rtol=1e-14, atol=0)
    return frame


def _known_then(as_of: datetime) -> list[str]:
    return sorted(name for name in PEOPLE if name != "unborn" or as_of >= BORN_LATER)


@settings(
    max_examples=7,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking such logs takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(log=LOGS, features=SOME_FEATURES)
def test_every_operation_equals_its_definition_at_instants_and_for_frames(
    make_market, log, features
):
    market, acts = _market(make_market, log), _acts(log)
    spec = SnapshotSpec(None, features)

    at_instants = _build(market, spec, [AS_OF, EARLIER])

    assert list(at_instants["contact_id"]) == [*_known_then(AS_OF), *_known_then(EARLIER)]
    _assert_equal(at_instants, features, acts)
    asked = pd.DataFrame(
        {
            "contact_id": [*PEOPLE, *PEOPLE, "a", "nobody"],
            "as_of": [AS_OF] * 5 + [EARLIER] * 5 + [AS_OF, AS_OF],
        }
    )
    of_frame = _build(market, spec, asked)
    ordered = at_instants.sort_values(["as_of", "contact_id"], ignore_index=True)
    pd.testing.assert_frame_equal(of_frame, ordered, check_exact=True)


ELIGIBLE = (
    "order",
    "order within 7D",
    "no order within 7D",
    "no order",
    "event visit | cart within 30D where value > 20",
    "outcome won",
)


@settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(log=LOGS)
def test_the_eligible_are_those_with_such_rows_or_without_them(make_market, log):
    market, acts = _market(make_market, log), _acts(log)
    for text in ELIGIBLE:
        gate = Behaviour.parse(text)
        frame = _build(market, SnapshotSpec(gate, ()), [AS_OF])
        wanted = []
        for name in _known_then(AS_OF):
            rows = _of(acts, gate, name, AS_OF)
            recent = [r for r in rows if gate.within is None or r.at > AS_OF - gate.within]
            if bool(recent) != gate.negated:
                wanted.append(name)
        assert list(frame["contact_id"]) == wanted, text


def _order(contact: str, at: datetime, amount: str = "1", **more) -> dict:
    row = {"contact_id": contact, "order_id": "1", "ordered_at": at, "amount": Decimal(amount)}
    return {**row, "available_at": None, IS_RETURN: False, **more}


def test_a_window_begins_after_its_border_and_ends_on_as_of(make_market):
    times = [AS_OF, AS_OF + TICK, AS_OF - 7 * DAY, AS_OF - 7 * DAY + TICK]
    market = _market(make_market, {"orders": [_order("a", at) for at in times]})
    frame = _build(
        market, SnapshotSpec(None, (count("order", "7D"), count("order"))), [AS_OF]
    ).set_index("contact_id")
    assert frame.loc["a", "order_count_7d"] == 2
    assert frame.loc["a", "order_count"] == 3


def test_a_row_that_arrived_later_is_not_seen(make_market):
    late = _order("a", AS_OF - DAY, available_at=AS_OF + TICK)
    on_time = _order("b", AS_OF - DAY, available_at=AS_OF)
    market = _market(make_market, {"orders": [late, on_time]})
    frame = _build(market, SnapshotSpec(None, (count("order"),)), [AS_OF]).set_index("contact_id")
    assert frame["order_count"].loc[["a", "b"]].tolist() == [0, 1]


def test_a_row_asked_for_twice_is_counted_once(make_market):
    market = _market(make_market, {"orders": [_order("a", AS_OF - DAY)]})
    asked = pd.DataFrame({"contact_id": ["a", "a"], "as_of": [AS_OF, AS_OF]})
    frame = _build(market, SnapshotSpec(None, (count("order"),)), asked)
    assert frame["order_count"].tolist() == [1]


def test_money_is_added_exactly(make_market):
    rows = [_order("a", AS_OF - DAY, "0.1")] * 3 + [_order("a", AS_OF - DAY, "99999999999999.9999")]
    market = _market(make_market, {"orders": rows})
    frame = _build(market, SnapshotSpec(None, (total("order"), maximum("order"))), [AS_OF])
    assert frame["order_total"][0] == float(Decimal("100000000000000.2999"))
    assert frame["order_maximum"][0] == float(Decimal("99999999999999.9999"))


def test_a_contact_with_fifty_thousand_rows_is_one_row(make_market):
    start = pd.Timestamp(AS_OF).tz_localize(None).as_unit("us")
    n = 50_000
    orders = pa.table(
        {
            "contact_id": pa.repeat(pa.scalar("a"), n),
            "order_id": pa.array([str(i // 3) for i in range(n)]),
            "ordered_at": pa.array(start - pd.to_timedelta(range(n), unit="min").as_unit("us")),
            "amount": pa.array([Decimal("0.0001")] * n, pa.decimal128(18, 4)),
            IS_RETURN: pa.array([False] * n),
        }
    )
    market = make_market(contacts=_contacts(), orders=orders)
    features = (count("order"), total("order"), days_active("order"), gap_std("order"))
    row = _build(market, SnapshotSpec(Behaviour.parse("order"), features), [AS_OF])
    assert row["order_count"].tolist() == [n]
    assert row["order_total"][0] == 5.0
    assert row["order_days_active"][0] == n // 1440 + 1
    assert row["order_gap_std"][0] == 0.0


def test_an_attribute_named_like_a_sum_is_not_taken_for_it(make_market):
    market = _market(make_market, {"orders": [_order("a", AS_OF - DAY)]})
    frame = _build(market, SnapshotSpec(None, (count("order"),)), [AS_OF])
    assert frame["order_count"].tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("features", "what"),
    [
        ((count("order"), count("return", name="Order_Count")), "Two features are called"),
        ((attribute("age", name="as_of"),), "A feature is called 'as_of'"),
        ((attribute("aeg"),), "Contacts have no attribute 'aeg'"),
    ],
)
def test_names_that_would_hide_each_other_are_refused(make_market, features, what):
    market = _market(make_market, {"orders": []})
    with pytest.raises(ConfigurationError, match=what) as refused:
        _build(market, SnapshotSpec(None, features), [AS_OF])
    assert str(refused.value).count("\n") == 2


def test_the_notebook_frame_keeps_the_rows_that_were_given(make_market):
    market = _market(make_market, {"orders": [_order("a", AS_OF - DAY)]})
    asked = pd.DataFrame(
        {
            "note": ["x", "y", "z"],
            "contact_id": ["unborn", "a", "a"],
            "as_of": pd.to_datetime([EARLIER, AS_OF, EARLIER], utc=True),
        }
    )
    frame = feature_frame(market, contacts=asked, features=[count("order")])
    assert frame["note"].tolist() == ["x", "y", "z"]
    assert frame["order_count"].fillna(-1).tolist() == [-1, 1, 0]


def test_shares_are_taken_by_what_an_item_is(make_market):
    items = pa.table({"item_id": ["i1", "i2", "i3"], "category": ["Shoes", "Bags", None]})
    rows = [_order("a", AS_OF - DAY, item_id=item) for item in ("i1", "i1", "i2", "i3", None)]
    rows.append(_order("b", AS_OF - DAY, item_id="gone"))
    market = _market(make_market, {"orders": rows, "items": items})
    shares = share_by("order where value > 0", "item_category", ["Shoes", "Bags"], "30D")
    frame = _build(market, SnapshotSpec(None, shares), [AS_OF]).set_index("contact_id")
    assert list(frame.columns[1:]) == ["order_share_shoes_30d", "order_share_bags_30d"]
    assert frame.iloc[:2, 1:].to_numpy().tolist() == [[0.4, 0.2], [0.0, 0.0]]
    assert frame.loc["c"].isna().sum() == 2


def test_a_category_of_items_that_is_not_there_is_named(make_market):
    items = pa.table({"item_id": ["i1"], "category": ["Shoes"]})
    market = _market(make_market, {"orders": [_order("a", AS_OF - DAY)], "items": items})
    shares = share_by("order", "item_categry", ["Shoes"])
    with pytest.raises(MlmarketError, match="item_category"):
        _build(market, SnapshotSpec(None, shares), [AS_OF])
