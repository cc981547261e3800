"""From order lines to a summary of each contact."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.churn import BetaGeoModel, summarize_transactions
from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.market import Market
from mlmarket.market.settings import BusinessSettings, MarketSettings, TableSettings

AS_OF = datetime(2026, 5, 29, tzinfo=UTC)
LINES = {
    "contact_id": ["b", "a", "a", "a", "b", "a"],
    "ordered_at": [f"2026-05-{day:02} 10:00" for day in (8, 1, 15, 15, 8, 22)],
    "amount": [7.0, 9.0, 4.0, 8.0, 3.0, 10.0],
}


def frame(*rows, columns=("contact_id", "ordered_at", "amount")):
    return pd.DataFrame(list(rows), columns=list(columns))


def row(summary, contact="a"):
    return summary.set_index("contact_id").loc[contact].to_dict()


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_any_frame_becomes_the_same_summary(make):
    summary = summarize_transactions(make(LINES), as_of=AS_OF)
    assert summary["contact_id"].tolist() == ["a", "b"]
    assert row(summary, "a") == {"frequency": 2, "recency": 3.0, "T": 4.0, "monetary_value": 11.0}
    assert row(summary, "b") == {"frequency": 0, "recency": 0.0, "T": 3.0, "monetary_value": 0.0}
    assert summary.attrs == {"unit": "7D"}


def test_a_market_and_its_orders_have_the_same_summary():
    market = Market.from_tables(orders=pd.DataFrame(LINES).assign(order_id=range(6)))
    pd.testing.assert_frame_equal(
        summarize_transactions(market, as_of=AS_OF),
        summarize_transactions(pd.DataFrame(LINES), as_of=AS_OF),
    )


def test_without_amounts_there_is_no_value():
    lines = pd.DataFrame(LINES).drop(columns="amount")
    summary = summarize_transactions(lines, as_of=AS_OF)
    assert list(summary.columns) == ["contact_id", "frequency", "recency", "T"]
    assert summary["frequency"].tolist() == [2, 0]


def test_time_is_measured_in_units():
    weeks = summarize_transactions(pd.DataFrame(LINES), as_of=AS_OF)
    for unit, share in (("1D", 7.0), ("12H", 14.0), (timedelta(days=14), 0.5)):
        other = summarize_transactions(pd.DataFrame(LINES), as_of=AS_OF, unit=unit)
        np.testing.assert_allclose(other["recency"], weeks["recency"] * share)
        np.testing.assert_allclose(other["T"], weeks["T"] * share)


def test_a_day_is_local():
    # 23:30 and 00:30 in Lisbon's summer are one UTC day, and two days there.
    lines = frame(("a", "2026-05-01T22:30Z", 1.0), ("a", "2026-05-01T23:30Z", 1.0))
    there = summarize_transactions(lines, as_of=AS_OF, unit="1D", timezone="Europe/Lisbon")
    assert row(summarize_transactions(lines, as_of=AS_OF))["frequency"] == 0
    assert (row(there)["frequency"], row(there)["recency"]) == (1, 1.0)


def test_a_market_has_its_own_days():
    market = Market.from_tables(
        orders=pd.DataFrame(LINES).assign(order_id="1"), timezone="Europe/Lisbon"
    )
    summarize_transactions(market, as_of=AS_OF, timezone="Europe/Lisbon")
    with pytest.raises(ConfigurationError, match="days begin in Europe/Lisbon, not in UTC"):
        summarize_transactions(market, as_of=AS_OF, timezone="UTC")


LINE = st.tuples(
    st.sampled_from("abc"), st.integers(0, 60 * 24), st.integers(0, 5000), st.booleans()
)


def _signed(cents, given_back):
    return -cents if given_back and cents % 2 else cents  # sources write returns either way


BEGIN = np.datetime64("2026-04-01", "us")


def _frame_of(lines):
    return pd.DataFrame(
        {
            "contact_id": [who for who, _, _, _ in lines],
            "ordered_at": [BEGIN + np.timedelta64(hour, "h") for _, hour, _, _ in lines],
            "amount": pd.array(
                [_signed(cents, back) / 100 for *_, cents, back in lines], dtype="float64"
            ),
            "is_return": pd.array([given_back for _, _, _, given_back in lines], dtype="bool"),
        }
    )


def _by_hand(lines, as_of):
    """Return what a patient person would write down."""
    found = {}
    end = as_of.replace(tzinfo=None)
    known = [line for line in _frame_of(lines).itertuples() if line.ordered_at <= end]
    for who in sorted({line.contact_id for line in known}):
        mine = [line for line in known if line.contact_id == who]
        value = {}
        for line in mine:
            if not line.is_return:
                day = line.ordered_at.date()
                value[day] = value.get(day, Decimal(0)) + Decimal(f"{line.amount:.2f}")
        for line in mine:
            before = [day for day in value if line.is_return and day <= line.ordered_at.date()]
            if before:
                value[max(before)] -= abs(Decimal(f"{line.amount:.2f}"))
        if value:
            first, *again = sorted(value)
            worth = [max(value[day], Decimal(0)) for day in again]
            found[who] = (
                len(again),
                (max(value) - first).days,
                (as_of.date() - first).days,
                float(sum(worth)) / len(worth) if worth else 0.0,
            )
    return found


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.lists(LINE, min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_a_summary_is_what_one_counts_by_hand(lines, chance):
    as_of = datetime(2026, 5, 20, 12, tzinfo=UTC)
    summary = summarize_transactions(_frame_of(lines), as_of=as_of, unit="1D")
    wanted = _by_hand(lines, as_of)
    assert summary["contact_id"].tolist() == list(wanted)
    values = summary.drop(columns="contact_id").to_numpy(dtype=float)
    np.testing.assert_allclose(
        values.reshape(-1, 4), np.array(list(wanted.values())).reshape(-1, 4)
    )
    mixed = list(lines)
    chance.shuffle(mixed)
    pd.testing.assert_frame_equal(
        summarize_transactions(_frame_of(mixed), as_of=as_of, unit="1D"), summary
    )


def test_rows_after_as_of_change_nothing():
    lines = pd.DataFrame(LINES)
    before = summarize_transactions(lines, as_of=AS_OF)
    later = frame(("a", "2026-05-29 00:00:01", 50.0), ("new", "2999-01-01", -4.0))
    after = summarize_transactions(pd.concat([lines, later]), as_of=AS_OF)
    pd.testing.assert_frame_equal(after, before)


def test_rows_that_were_not_there_yet_change_nothing():
    lines = pd.DataFrame(LINES)
    lines["available_at"] = lines["ordered_at"]
    before = summarize_transactions(lines, as_of=AS_OF)
    late = frame(
        ("a", "2026-05-20 10:00", 50.0, "2026-05-30 10:00"),
        columns=("contact_id", "ordered_at", "amount", "available_at"),
    )
    after = summarize_transactions(pd.concat([lines, late]), as_of=AS_OF)
    pd.testing.assert_frame_equal(after, before)


def test_a_return_lessens_the_purchase_before_it_and_is_none_itself():
    lines = [
        ("a", "2026-05-01", 9.0),
        ("a", "2026-05-08", 20.0),
        ("a", "2026-05-15", 30.0),
        ("a", "2026-05-17", -12.0),
    ]
    summary = row(summarize_transactions(frame(*lines), as_of=AS_OF))
    assert summary == {"frequency": 2, "recency": 2.0, "T": 4.0, "monetary_value": 19.0}


def test_a_purchase_that_was_returned_whole_is_still_one():
    lines = [("a", "2026-05-01", 9.0), ("a", "2026-05-08", 20.0), ("a", "2026-05-09", -25.0)]
    summary = row(summarize_transactions(frame(*lines), as_of=AS_OF))
    assert (summary["frequency"], summary["monetary_value"]) == (1, 0.0)


def test_who_only_brought_back_has_bought_nothing():
    lines = frame(("a", "2026-05-01", -9.0), ("b", "2026-05-01", 9.0))
    assert summarize_transactions(lines, as_of=AS_OF)["contact_id"].tolist() == ["b"]


def test_without_amounts_a_negative_quantity_is_a_return():
    lines = frame(
        ("a", "2026-05-01", 2),
        ("a", "2026-05-08", -1),
        columns=("contact_id", "ordered_at", "quantity"),
    )
    assert row(summarize_transactions(lines, as_of=AS_OF))["frequency"] == 0


def test_a_market_says_itself_what_a_return_is():
    lines = frame(("a", "2026-05-01", 9.0), ("a", "2026-05-08", 20.0), ("a", "2026-05-15", 5.0))
    lines["order_id"] = ["1", "2", "C2"]
    settings_ = MarketSettings(
        business=BusinessSettings(),
        tables={"orders": TableSettings(returns="order_id like 'C%'")},
    )
    market = Market.from_tables(settings=settings_, orders=lines)
    summary = row(summarize_transactions(market, as_of=AS_OF))
    assert (summary["frequency"], summary["monetary_value"]) == (1, 15.0)


def test_a_line_that_stands_twice_changes_no_time():
    lines = pd.DataFrame(LINES)
    once = summarize_transactions(lines, as_of=AS_OF)
    twice = summarize_transactions(pd.concat([lines, lines]), as_of=AS_OF)
    times = ["contact_id", "frequency", "recency", "T"]
    pd.testing.assert_frame_equal(twice[times], once[times])
    np.testing.assert_array_equal(twice["monetary_value"], 2 * once["monetary_value"])


@pytest.mark.parametrize("amount", ["Int64", pd.ArrowDtype(pa.int64()), "float64"])
def test_the_value_of_a_day_with_a_missing_amount_is_left_out(amount):
    lines = frame(
        ("a", "2026-05-01", 9),
        ("a", "2026-05-08", 20),
        ("a", "2026-05-15", 5),
        ("a", "2026-05-15", None),
        ("b", "2026-05-01", 7),
        ("b", "2026-05-08", None),
    ).astype({"amount": amount})
    summary = summarize_transactions(lines, as_of=AS_OF)
    assert (row(summary)["frequency"], row(summary)["monetary_value"]) == (2, 20.0)
    assert row(summary, "b")["frequency"] == 1
    assert np.isnan(row(summary, "b")["monetary_value"])


def test_numbers_as_contacts_with_missing_ones_are_refused():
    lines = frame((1, "2026-05-01", 9.0), (None, "2026-05-08", 20.0))
    with pytest.raises(DataContractError, match=r"orders.contact_id .*in 1 row"):
        summarize_transactions(lines.astype({"contact_id": "Int64"}), as_of=AS_OF)


def test_nobody_bought_yet_and_the_summary_is_empty():
    summary = summarize_transactions(pd.DataFrame(LINES), as_of=datetime(2020, 1, 1, tzinfo=UTC))
    assert summary.empty
    assert list(summary.columns) == ["contact_id", "frequency", "recency", "T", "monetary_value"]
    with pytest.raises(DataContractError, match="no rows"):
        BetaGeoModel().fit(summary)


def test_orders_without_a_row_are_refused():
    with pytest.raises(DataContractError, match="'orders' has no row"):
        summarize_transactions(pd.DataFrame(LINES).iloc[:0], as_of=AS_OF)


def test_a_missing_column_is_named_with_the_near_one():
    lines = pd.DataFrame(LINES).rename(columns={"ordered_at": "OrderedAt"})
    with pytest.raises(DataContractError, match="has no column 'ordered_at'"):
        summarize_transactions(lines, as_of=AS_OF)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"as_of": datetime(2026, 5, 29)}, "has no zone"),  # noqa: DTZ001
        ({"unit": "week"}, "is not a duration"),
        ({"timezone": "Europe/Lisbonne"}, "There is no time zone"),
        ({"orders": [1, 2]}, "is a list, which is no table"),
    ],
)
def test_a_wrong_argument_is_refused(arguments, said):
    given_ = {"orders": pd.DataFrame(LINES), "as_of": AS_OF, **arguments}
    with pytest.raises(ConfigurationError, match=said):
        summarize_transactions(given_.pop("orders"), **given_)


def test_a_model_refuses_a_summary_in_another_unit():
    with pytest.raises(ConfigurationError, match="units of 1D"):
        BetaGeoModel().fit(summarize_transactions(pd.DataFrame(LINES), as_of=AS_OF, unit="1D"))
