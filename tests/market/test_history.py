from datetime import UTC, datetime, timedelta

import ibis
import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.market import Market, record_contacts
from mlmarket.market.history import looks_like_outcome, recorded_since

FIRST = datetime(2026, 5, 1, tzinfo=UTC)
NOW = datetime(2026, 7, 1, tzinfo=UTC)


def _night(count):
    return FIRST + timedelta(days=count)


def _naive(moment):
    return moment.replace(tzinfo=None)


def _market(plans, **columns):
    contacts = {"contact_id": list(plans), "plan": pa.array(plans.values(), pa.string())}
    return Market.from_tables(contacts=pa.table(contacts | columns), now=NOW)


def _record(plans, folder, night, **columns):
    return record_contacts(_market(plans, **columns), folder, as_of=_night(night))


def _plans(market, as_of):
    rows = market.contacts(as_of=as_of).to_pyarrow().to_pylist()
    return {row["contact_id"]: row["plan"] for row in rows}


def _files(folder):
    return {path.name: path.read_bytes() for path in (folder / "contacts").iterdir()}


def test_the_first_night_records_everybody_and_later_ones_what_changed(tmp_path):
    assert _record({"a": "free", "b": "free"}, tmp_path, 0) == 2
    assert _record({"a": "free", "b": "paid"}, tmp_path, 1) == 1
    assert _record({"a": "free", "b": "paid", "c": None}, tmp_path, 2) == 1
    assert _record({"a": None, "b": "paid", "c": None}, tmp_path, 3) == 1
    assert _record({"a": None, "b": "paid", "c": None}, tmp_path, 4) == 0
    assert sorted(_files(tmp_path)) == [
        "2026-05-01T000000.parquet",
        "2026-05-02T000000.parquet",
        "2026-05-03T000000.parquet",
        "2026-05-04T000000.parquet",
    ]


def test_the_same_night_twice_writes_the_same_bytes(tmp_path):
    _record({"a": "free", "b": "free"}, tmp_path, 0)
    _record({"b": "paid", "a": "free", "c": "paid"}, tmp_path, 1)
    before = _files(tmp_path)
    assert _record({"c": "paid", "a": "free", "b": "paid"}, tmp_path, 1) == 2
    assert _files(tmp_path) == before


def test_a_night_done_again_with_nothing_to_say_takes_its_file_back(tmp_path):
    _record({"a": "free"}, tmp_path, 0)
    _record({"a": "paid"}, tmp_path, 1)
    assert _record({"a": "free"}, tmp_path, 1) == 0
    assert list(_files(tmp_path)) == ["2026-05-01T000000.parquet"]


def test_a_night_before_the_last_recorded_one_changes_nothing(tmp_path):
    _record({"a": "free"}, tmp_path, 5)
    before = _files(tmp_path)
    assert _record({"a": "paid"}, tmp_path, 3) == 0
    assert _files(tmp_path) == before


def test_no_temporary_file_stays_behind(tmp_path, monkeypatch):
    def fail(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlmarket.market.history.pq.write_table", fail)
    with pytest.raises(OSError, match="No space left"):
        _record({"a": "free"}, tmp_path, 0)
    assert _files(tmp_path) == {}


def test_a_night_without_a_zone_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="has no zone"):
        record_contacts(_market({"a": "free"}), tmp_path, as_of=datetime(2026, 5, 1))  # noqa: DTZ001


@pytest.fixture
def recorded(tmp_path):
    _record({"a": "free", "b": "free"}, tmp_path, 0)
    _record({"a": "paid", "b": "free"}, tmp_path, 10)
    _record({"a": "paid", "b": "free", "c": "trial"}, tmp_path, 20)
    return _market({"a": "vip", "b": "vip", "c": "vip", "d": "vip"}).with_history(tmp_path)


@pytest.mark.parametrize(
    ("night", "plan_of_a"), [(-400, "free"), (0, "free"), (9, "free"), (10, "paid"), (30, "paid")]
)
def test_contacts_are_seen_as_they_were_recorded(recorded, night, plan_of_a):
    assert _plans(recorded, _night(night))["a"] == plan_of_a


def test_the_first_record_of_a_contact_counts_from_the_start(recorded):
    assert _plans(recorded, _night(5))["c"] == "trial"


def test_a_contact_that_was_never_recorded_is_seen_as_it_is(recorded):
    assert _plans(recorded, _night(5))["d"] == "vip"


def test_contacts_can_be_seen_at_an_instant_each(recorded):
    wanted = [("a", 0), ("a", 10), ("a", 10), ("b", 10), ("z", 10)]
    moments = ibis.memtable(
        pa.table(
            {
                "contact_id": [contact for contact, _ in wanted],
                "as_of": pa.array([_naive(_night(n)) for _, n in wanted], pa.timestamp("us")),
                "note": ["n"] * len(wanted),
            }
        )
    )
    seen = recorded.contacts(as_of=moments).order_by(["contact_id", "as_of"]).to_pyarrow()
    assert seen.to_pylist() == [
        {"contact_id": "a", "plan": "free", "as_of": _naive(_night(0))},
        {"contact_id": "a", "plan": "paid", "as_of": _naive(_night(10))},
        {"contact_id": "b", "plan": "free", "as_of": _naive(_night(10))},
    ]


@pytest.mark.parametrize("as_of", [FIRST.date(), "2026-05-01", 7])
def test_what_is_no_instant_is_refused(recorded, as_of):
    with pytest.raises(ConfigurationError) as caught:
        recorded.contacts(as_of=as_of)
    assert str(caught.value) == (
        f"Contacts are wanted as of a {type(as_of).__name__}, which says no instant.\n"
        "What was known is known at an instant.\n"
        "Fix: pass datetime(…, tzinfo=UTC), or an Ibis table with contact_id and as_of."
    )


def test_instants_with_a_zone_in_a_table_are_refused(recorded):
    moments = ibis.memtable(pa.table({"contact_id": ["a"], "as_of": [FIRST]}))
    with pytest.raises(ConfigurationError) as caught:
        recorded.contacts(as_of=moments)
    assert str(caught.value) == (
        "The column 'as_of' is timestamp('UTC', 6), not a time in UTC without a zone.\n"
        "The tables of a market hold such times, and are compared with it.\n"
        "Fix: convert it to timestamp(6) in UTC."
    )


def test_a_contact_created_later_is_not_known_yet(tmp_path):
    created = [_naive(_night(0)), _naive(_night(10)), None]
    plans = {"a": "x", "b": "x", "c": "x"}
    market = _market(plans, created_at=pa.array(created, pa.timestamp("us")))
    assert set(_plans(market, _night(5))) == {"a", "c"}
    assert set(_plans(market, _night(10))) == {"a", "b", "c"}


def _periods():
    began = [None, _naive(_night(10)), _naive(_night(5)), _naive(_night(10))]
    return Market.from_tables(
        contacts=pa.table(
            {
                "contact_id": ["a", "a", "b", "b"],
                "valid_from": pa.array(began, pa.timestamp("us")),
                "plan": ["free", "paid", "trial", "gold"],
            }
        ),
        now=NOW,
    )


@pytest.mark.parametrize(
    ("night", "plans"),
    [
        (0, {"a": "free"}),
        (5, {"a": "free", "b": "trial"}),
        (10, {"a": "paid", "b": "gold"}),
    ],
)
def test_declared_periods_hold_from_their_beginning(night, plans):
    market = _periods()
    assert _plans(market, _night(night)) == plans
    assert "valid_from" not in market.contacts(as_of=_night(night)).columns


def test_a_contact_with_periods_is_known_once_with_each_instant():
    moments = pa.array([_naive(_night(4)), _naive(_night(11))], pa.timestamp("us"))
    table = ibis.memtable(pa.table({"contact_id": ["b", "b"], "as_of": moments}))
    seen = _periods().contacts(as_of=table).to_pyarrow().to_pylist()
    assert [(row["contact_id"], row["plan"]) for row in seen] == [("b", "gold")]


def test_contacts_with_periods_are_not_recorded_again(tmp_path):
    assert record_contacts(_periods(), tmp_path, as_of=_night(30)) == 0
    assert not (tmp_path / "contacts").exists()


def test_derived_contacts_and_contacts_without_attributes_are_not_recorded(tmp_path):
    orders = pa.table({"contact_id": ["a"], "order_id": ["1"], "ordered_at": [_naive(FIRST)]})
    derived = Market.from_tables(orders=orders, now=NOW)
    bare = Market.from_tables(contacts=pa.table({"contact_id": ["a"], "email": ["a@b.c"]}), now=NOW)
    assert record_contacts(derived, tmp_path, as_of=FIRST) == 0
    assert record_contacts(bare, tmp_path, as_of=FIRST) == 0


def test_addresses_are_never_recorded(tmp_path):
    _record({"a": "free"}, tmp_path, 0, email=["a@b.c"], phone=["+351"], external_id=["7"])
    table = pa.parquet.read_table(tmp_path / "contacts")
    assert table.column_names == ["contact_id", "plan", "valid_from"]


def test_an_attribute_that_came_later_was_unknown_before(tmp_path):
    _record({"a": "free"}, tmp_path, 0)
    assert _record({"a": "free"}, tmp_path, 5, score=[7]) == 1
    market = _market({"a": "free"}, score=[9]).with_history(tmp_path)
    scores = [
        market.contacts(as_of=_night(night)).to_pyarrow()["score"].to_pylist() for night in (1, 6)
    ]
    assert scores == [[None], [7]]


def test_an_attribute_that_left_the_source_is_forgotten(tmp_path):
    _record({"a": "free"}, tmp_path, 0, score=[7])
    assert _record({"a": "free"}, tmp_path, 1) == 0
    market = _market({"a": "free"}).with_history(tmp_path)
    assert market.contacts(as_of=_night(3)).columns == ("contact_id", "plan")


def test_an_attribute_may_change_its_type(tmp_path):
    _record({"a": "free", "b": "free"}, tmp_path, 0, score=[7, 8])
    assert _record({"a": "free", "b": "free"}, tmp_path, 1, score=["7", "high"]) == 1
    market = _market({"a": "free", "b": "free"}, score=[1.5, 2.5]).with_history(tmp_path)
    seen = market.contacts(as_of=_night(3)).order_by("contact_id").to_pyarrow()
    assert seen["score"].to_pylist() == [7.0, None]


def test_numbers_that_are_missing_are_no_change(tmp_path):
    score = pd.DataFrame({"contact_id": ["a"], "score": [float("nan")]})
    for night, written in ((0, 1), (1, 0)):
        market = Market.from_tables(contacts=score, now=NOW)
        assert record_contacts(market, tmp_path, as_of=_night(night)) == written


def test_history_is_read_on_the_connection_of_the_contacts(tmp_path):
    _record({"a": "free"}, tmp_path, 0)
    connection = ibis.duckdb.connect()
    table = connection.create_table("people", pa.table({"contact_id": ["a"], "plan": ["vip"]}))
    market = Market.from_tables(contacts=table, now=NOW).with_history(tmp_path)
    assert _plans(market, _night(1)) == {"a": "free"}
    assert record_contacts(market, tmp_path, as_of=_night(2)) == 1
    assert connection.raw_sql("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [
        ("people",)
    ]


def test_a_market_without_a_history_stays_itself(tmp_path):
    market = _market({"a": "free"})
    assert market.with_history(tmp_path) is market


def test_opening_a_configuration_brings_the_history_beside_it(shop, tmp_path):
    _record({"a": "free"}, tmp_path / "history", 0)
    path = shop('[tables.contacts]\nsource = "c.csv"', {"c.csv": "contact_id,plan\na,vip\n"})
    assert _plans(Market.open(path, now=NOW), _night(1)) == {"a": "free"}
    assert _plans(Market.open(path, now=NOW, history=tmp_path / "none"), _night(1)) == {"a": "vip"}


def test_it_is_known_since_when_attributes_are_recorded(recorded):
    assert recorded_since(recorded) == _naive(FIRST)
    assert recorded_since(_periods()) == _naive(_night(5))
    assert recorded_since(_market({"a": "free"})) is None


@pytest.mark.parametrize(
    "name", ["lifecycle_stage", "owner", "lead_score", "Deal_Status", "is_churned", "mql_date"]
)
def test_attributes_that_results_are_written_into_are_recognised(name):
    assert looks_like_outcome(name)


@pytest.mark.parametrize("name", ["industry", "country", "employees", "ownership", "wonder"])
def test_other_attributes_are_not(name):
    assert not looks_like_outcome(name)
