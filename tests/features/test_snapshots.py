from datetime import UTC, date, datetime, timedelta

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.features import SnapshotSpec, attribute, build, count, feature_frame, recency
from mlmarket.market.settings import BusinessSettings, MarketSettings

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
SPEC = SnapshotSpec(None, (count("order"),))
DAY = timedelta(days=1)


@pytest.fixture
def market(make_market):
    order = {
        "contact_id": "7",
        "order_id": "1",
        "ordered_at": datetime(2026, 2, 1, 22, 30, tzinfo=UTC),
    }
    lisbon = MarketSettings(business=BusinessSettings(timezone="America/New_York"))
    contacts = [
        {"contact_id": "7", "country": "PT", "age": 40.0},
        {"contact_id": "8", "created_at": datetime(2026, 2, 15, tzinfo=UTC)},
    ]
    return make_market(lisbon, contacts=contacts, orders=[{**order, "is_return": False}])


def _table(market, spec, **options):
    return pa.Table.from_batches(build(market, spec, **options))


@pytest.mark.parametrize(
    "convert",
    [
        lambda frame: frame,
        lambda frame: frame.assign(contact_id=[7]),
        lambda frame: frame.assign(as_of=frame["as_of"].dt.tz_convert("Asia/Tokyo")),
        lambda frame: frame.assign(contact_id=frame["contact_id"].astype("category")),
        lambda _: pl.DataFrame(
            {"contact_id": ["7"], "as_of": pl.Series([AS_OF]).dt.cast_time_unit("ms")}
        ),
        lambda _: pa.table({"contact_id": ["7"], "as_of": [AS_OF]}),
    ],
)
def test_a_frame_of_any_make_gives_the_same_row(market, convert):
    frame = pd.DataFrame({"contact_id": ["7"], "as_of": pd.to_datetime([AS_OF], utc=True)})
    rows = _table(market, SPEC, cutoffs=convert(frame)).to_pylist()
    assert rows == [{"contact_id": "7", "as_of": AS_OF.replace(tzinfo=None), "order_count": 1.0}]


def test_a_date_is_its_last_microsecond_where_the_business_is(market):
    asked = pa.table({"contact_id": ["7"], "as_of": [date(2026, 2, 1)]})
    (row,) = _table(market, SPEC, cutoffs=asked).to_pylist()
    assert row["as_of"].replace(tzinfo=UTC) == datetime(2026, 2, 2, 4, 59, 59, 999999, tzinfo=UTC)
    assert row["order_count"] == 1


@pytest.mark.parametrize(
    ("cutoffs", "what"),
    [
        ([AS_OF.replace(tzinfo=None)], "has no zone"),
        (pd.DataFrame({"contact_id": ["7"]}), "no column 'as_of'"),
        (pl.DataFrame({"as_of": [AS_OF]}), "no column 'contact_id'"),
        (pd.DataFrame({"contact_id": ["7"], "as_of": [AS_OF.replace(tzinfo=None)]}), "with a zone"),
        (pa.table({"contact_id": ["7", None], "as_of": [AS_OF] * 2}), "has missing values"),
        (pa.table({"contact_id": ["7", "8"], "as_of": [AS_OF, None]}), "has missing values"),
        (pa.table({"contact_id": [7.5], "as_of": [AS_OF]}), "not text"),
    ],
)
def test_a_cutoff_that_could_mean_two_things_is_refused(market, cutoffs, what):
    with pytest.raises(ConfigurationError, match=what) as refused:
        build(market, SPEC, cutoffs=cutoffs)
    assert str(refused.value).count("\n") == 2


def test_nobody_to_look_at_gives_a_table_without_rows(market):
    table = _table(market, SPEC, cutoffs=[AS_OF - 400 * DAY], only=pa.table({"contact_id": ["x"]}))
    assert table.num_rows == 0
    assert table.column_names == ["contact_id", "as_of", "order_count"]


def test_only_the_contacts_asked_for_are_built(market):
    table = _table(market, SPEC, cutoffs=[AS_OF], only=pa.table({"contact_id": ["8", "x"]}))
    assert table.column("contact_id").to_pylist() == ["8"]


def test_tables_of_the_caller_are_taken_away_again(market):
    backend = market.table("contacts").get_backend()
    before = set(backend.list_tables())
    _table(market, SPEC, cutoffs=pa.table({"contact_id": ["7"], "as_of": [AS_OF]}))
    assert set(backend.list_tables()) == before


def test_a_contact_is_there_from_the_moment_it_was_known(market):
    before = _table(market, SPEC, cutoffs=[datetime(2026, 2, 14, tzinfo=UTC), AS_OF])
    assert before.column("contact_id").to_pylist() == ["7", "7", "8"]


def test_the_notebook_frame_takes_one_instant_for_all(market):
    frame = feature_frame(market, as_of=AS_OF, features=[recency("order")])
    assert str(frame["as_of"].dt.tz) == "UTC"
    assert frame["order_recency"].round(3).tolist()[0] == 27.062
    given = pl.DataFrame({"contact_id": ["8", "7"], "note": ["x", "y"]})
    frame = feature_frame(market, as_of=AS_OF, contacts=given, features=[count("order")])
    assert frame["note"].tolist() == ["x", "y"]
    assert frame["order_count"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({}, "Features need an instant"),
        ({"as_of": AS_OF, "contacts": pl.DataFrame(schema={"contact_id": pl.String})}, "is empty"),
        (
            {"as_of": AS_OF, "contacts": pa.table({"contact_id": ["7"], "as_of": [AS_OF]})},
            "two instants",
        ),
        (
            {
                "as_of": AS_OF,
                "contacts": pd.DataFrame({"contact_id": ["7"], "country": ["PT"]}),
                "features": [attribute("country", categorical=True)],
            },
            "which is also a feature",
        ),
    ],
)
def test_the_notebook_frame_refuses_what_it_cannot_keep(market, arguments, what):
    with pytest.raises(ConfigurationError, match=what) as refused:
        feature_frame(market, **arguments)
    assert str(refused.value).count("\n") == 2


def test_an_attribute_is_what_it_was_at_each_instant(make_market):
    months = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3)]
    contacts = pa.table(
        {
            "contact_id": ["7", "7", "8"],
            "valid_from": pa.array([months[0], months[1], months[1]], pa.timestamp("us")),
            "plan": ["free", "paid", "free"],
        }
    )
    market = make_market(contacts=contacts)
    spec = SnapshotSpec(None, (attribute("plan", categorical=True),))
    middle = datetime(2026, 1, 15, tzinfo=UTC)
    at_instants = _table(market, spec, cutoffs=[middle, *months[1:]])
    found = at_instants.to_pandas().pivot_table(
        index="contact_id", columns="as_of", values="plan", aggfunc="first"
    )
    assert found.loc["7"].tolist() == ["free", "paid", "paid"]
    asked = at_instants.select(["contact_id", "as_of"]).to_pandas()
    asked["as_of"] = asked["as_of"].dt.tz_localize("UTC")
    assert _table(market, spec, cutoffs=asked).equals(at_instants)
