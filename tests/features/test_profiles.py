"""A leak, a drift and a constant that were planted are found, and nothing else is."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.features import (
    OpenLabelWindowError,
    attribute,
    count,
    maximum,
    profile,
    recency,
    total,
)
from mlmarket.features.drift import drift_between
from mlmarket.features.leaks import single_auc
from mlmarket.market.settings import MarketSettings, TableSettings

BEFORE = datetime(2026, 3, 1, tzinfo=UTC)
AS_OF = datetime(2026, 4, 15, tzinfo=UTC)
NAIVE = BEFORE.replace(tzinfo=None)
DAY = timedelta(days=1)
N = 400
BUYERS = range(0, N, 4)


@pytest.fixture(scope="module")
def tables():
    """Return 400 contacts of whom every fourth orders in March, and what a CRM makes of it."""
    random = np.random.default_rng(7)
    ids = [f"c{n:03d}" for n in range(N)]
    orders = [(n, NAIVE - int(back) * DAY) for n, back in enumerate(random.integers(1, 60, N))]
    orders += [(n, NAIVE + 5 * DAY) for n in BUYERS]
    visits = [(n, NAIVE - DAY, random.integers(1, 50)) for n in range(N)]
    visits += [(n, NAIVE + 40 * DAY, random.integers(100, 150)) for n in range(N)]
    bought = np.isin(np.arange(N), BUYERS)
    return {
        "contacts": pa.table(
            {
                "contact_id": ids,
                "copied": bought.astype(float),
                "welcomed": [1.0 if hit and n % 8 else None for n, hit in enumerate(bought)],
                "country": random.choice(["PT", "ES"], N),
                "noise": random.normal(size=N),
                "lead_score": random.normal(size=N),
                "currency": ["EUR"] * N,
            }
        ),
        "orders": pa.table(
            {
                "contact_id": [ids[n] for n, _ in orders],
                "order_id": [str(n) for n in range(len(orders))],
                "ordered_at": pa.array([at for _, at in orders], pa.timestamp("us")),
                "is_return": [False] * len(orders),
            }
        ),
        "events": pa.table(
            {
                "contact_id": [ids[n] for n, _, _ in visits],
                "event_type": ["visit"] * len(visits),
                "occurred_at": pa.array([at for _, at, _ in visits], pa.timestamp("us")),
                "value": pa.array([Decimal(int(v)) for *_, v in visits], pa.decimal128(18, 4)),
            }
        ),
    }


COMPLETE = TableSettings(complete_until=AS_OF)
SETTINGS = MarketSettings(tables={"orders": COMPLETE, "events": COMPLETE})
FEATURES = (
    recency("order"),
    total("event visit", "30D"),
    maximum("event visit where value > 1000"),
    *(attribute(name) for name in ("copied", "welcomed", "noise", "lead_score")),
    attribute("country", categorical=True),
    attribute("currency", categorical=True),
)


@pytest.fixture(scope="module")
def found(make_market, tables):
    market = make_market(SETTINGS, **tables)
    return profile(market, FEATURES, as_of=AS_OF, reference=BEFORE, label="order", horizon="30D")


def test_what_moved_is_found_by_the_bins_of_the_reference(found):
    assert set(found.moved) == {"visit_total_30d", "order_recency"}
    psi = found.to_frame().set_index("feature")["psi"]
    assert psi["visit_total_30d"] > 1.0
    assert (psi[["noise", "country", "copied"]] == 0.0).all()


def test_what_is_the_same_for_everybody_is_found(found):
    assert found.constant == ("visit_maximum", "currency")


def test_leaks_are_suspected_with_a_reason_and_nothing_else(found):
    reasons = {one.feature: one.reason for one in found.suspects}
    assert reasons.keys() == {"copied", "welcomed", "lead_score"}
    assert reasons["copied"] == "tells the label apart by itself, with an AUC of 1.000"
    assert reasons["welcomed"].startswith("is a near copy of the label: 100% of the 50 contacts")
    assert reasons["lead_score"].startswith("is called like an outcome")
    assert set(found.undated) == {
        "copied", "welcomed", "noise", "lead_score", "country", "currency",
    }  # fmt: skip


def test_a_profile_is_a_frame_a_text_and_a_page(found):
    frame = found.to_frame().set_index("feature")
    assert list(frame.columns) == [
        "missing", "distinct", "constant", "min", "q05", "q25", "median", "q75", "q95", "max",
        "psi", "moved", "auc", "suspect",
    ]  # fmt: skip
    assert frame.loc["welcomed", "missing"] == 1 - 50 / N
    assert frame.loc["country", "distinct"] == 2
    assert frame.loc["noise", "min"] <= frame.loc["noise", "median"] <= frame.loc["noise", "max"]
    text = found.to_text()
    assert text.startswith("400 contacts as of 2026-04-15 00:00 UTC, against 2026-03-01\n")
    assert "suspect: copied tells the label apart" in text
    assert "<li>suspect: copied" in found._repr_html_()


def test_without_a_reference_and_a_label_nothing_is_compared(make_market, tables):
    plain = profile(make_market(SETTINGS, **tables), FEATURES, as_of=BEFORE, eligible="order")
    frame = plain.to_frame()
    assert plain.reference is None
    assert plain.labelled_at is None
    assert frame["psi"].isna().all()
    assert frame["auc"].isna().all()
    assert [one.feature for one in plain.suspects] == ["lead_score"]


def test_an_attribute_that_is_written_by_the_label_is_suspected(make_market, tables):
    first = pa.table(
        {
            "contact_id": tables["contacts"]["contact_id"],
            "valid_from": pa.array([NAIVE - 90 * DAY] * N, pa.timestamp("us")),
            "lifecycle_stage": ["lead"] * N,
            "country": ["PT"] * N,
        }
    )
    then = first.take(list(BUYERS)).set_column(
        1, "valid_from", pa.array([NAIVE + 6 * DAY] * (N // 4), pa.timestamp("us"))
    )
    then = then.set_column(2, "lifecycle_stage", pa.array(["customer"] * (N // 4)))
    market = make_market(
        SETTINGS, contacts=pa.concat_tables([first, then]), orders=tables["orders"]
    )
    wanted = [
        attribute("lifecycle_stage", categorical=True),
        attribute("country", categorical=True),
    ]
    found = profile(market, wanted, as_of=BEFORE, label="order", horizon="30D")
    (suspect,) = found.suspects
    assert suspect.feature == "lifecycle_stage"
    assert suspect.reason == (
        "is written by what is asked: within 30D it changed for 100% of those who did it and 0% of "
        "the others"
    )
    assert found.undated == ()


def test_only_a_closed_window_is_looked_into(make_market, tables):
    market = make_market(SETTINGS, **tables)
    with pytest.raises(OpenLabelWindowError):
        profile(market, FEATURES, as_of=AS_OF, label="order", horizon="30D")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"reference": AS_OF}, "is not before"),
        ({"eligible": "order where value > 9"}, "Nobody was 'order where value > 9'"),
        ({"label": "order"}, "has no horizon"),
        ({"reference": datetime(2026, 1, 1)}, "no time zone|zone"),  # noqa: DTZ001
    ],
)
def test_what_cannot_be_compared_is_refused(make_market, tables, options, what):
    with pytest.raises(ConfigurationError, match=what):
        profile(make_market(SETTINGS, **tables), [count("order")], as_of=AS_OF, **options)


@pytest.mark.parametrize("seed", range(5))
def test_two_samples_of_one_population_have_not_moved(seed):
    random = np.random.default_rng(seed)
    for size in (30, 300, 3000):
        numbers = [pd.Series(random.exponential(size=size)) for _ in range(2)]
        counts = [pd.Series(random.poisson(1.0, size).astype(float)) for _ in range(2)]
        words = [pd.Series(random.choice(list("abcdefgh"), size)) for _ in range(2)]
        for before, after in (numbers, counts, words):
            assert not drift_between(before, after).moved


def test_a_value_that_the_reference_never_had_is_a_drift():
    before, after = pd.Series([1.0] * 200), pd.Series([1.0] * 100 + [2.0] * 100)
    assert drift_between(before, after).moved
    assert drift_between(before, pd.Series([None] * 200, dtype=float)).moved
    assert drift_between(before, before).psi == 0.0


def test_the_area_of_one_feature_is_that_of_its_best_order():
    label = np.array([0, 0, 1, 1] * 50, dtype=np.int8)
    ahead = pd.Series(np.arange(200) % 4 + np.linspace(0, 0.1, 200))
    assert single_auc(ahead, label) == 1.0
    assert single_auc(-ahead, label) == 1.0
    gone = ahead.where(label == 0)
    assert single_auc(gone, label) == 1.0
    several = pd.Series([f"v{n % 4}" for n in range(200)])
    assert single_auc(several, np.array([0, 1, 1, 0] * 50, dtype=np.int8)) == 1.0
    own = pd.Series([f"v{n}" for n in range(200)])
    assert single_auc(own, label) == 0.5
    assert np.isnan(single_auc(own, np.zeros(200, dtype=np.int8)))
