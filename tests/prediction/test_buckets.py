"""Any number of contacts are asked about in buckets, and nobody is lost at their borders."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmarket.errors import RunError
from mlmarket.market import EngineSettings, Market
from mlmarket.prediction import TargetModel, answers
from mlmarket.prediction.buckets import Roll, ascending, by_bucket

PEOPLE = st.lists(st.text("ab9Å\U0001f600", max_size=3), unique=True, max_size=30).map(
    lambda names: sorted(names, key=lambda name: name.encode())
)


def _table(ids):
    return pa.table({"contact_id": pa.array(ids, pa.string())})


def _cut(ids, borders):
    places = [0, *sorted(place % (len(ids) + 1) for place in borders), len(ids)]
    return [ids[a:b] for a, b in itertools.pairwise(places)]


BORDERS = st.lists(st.integers(0, 99), max_size=6)


@given(people=PEOPLE, silent=st.integers(1, 5), borders=BORDERS, batches=BORDERS)
def test_each_bucket_gets_its_own_rows_wherever_batches_end(people, silent, borders, batches):
    buckets = [pa.array(part, pa.string()) for part in _cut(people, borders)]
    rows = [_table(part) for part in _cut(people[::silent], batches)]
    found = list(by_bucket(iter(rows), buckets))
    assert [bucket.to_pylist() for bucket, _ in found] == [one.to_pylist() for one in buckets]
    for bucket, table in found:
        wanted = [one for one in bucket.to_pylist() if one in people[::silent]]
        assert table.column("contact_id").to_pylist() == wanted


@pytest.mark.parametrize("batches", [[["b", "a"]], [["b"], ["a"]], [["a", "a"]], [["a"], ["a"]]])
def test_rows_that_do_not_ascend_are_refused(batches):
    rows = [_table(ids) for ids in batches]
    with pytest.raises(RunError, match="ascending") as refused:
        list(by_bucket(iter(rows), [pa.array(["a", "b"])]))
    assert str(refused.value).count("\n") == 2


def _market(backend, workbench):
    table = SimpleNamespace(get_backend=lambda: SimpleNamespace(name=backend))
    return SimpleNamespace(table=lambda _: table, workbench=workbench)


@pytest.mark.parametrize("ids", [[], ["a", "B", "b", "Ä", "ä"]])
def test_rows_in_the_order_of_a_dictionary_are_sorted_again(ids):
    with duckdb.connect() as connection:
        bench = SimpleNamespace(connection=SimpleNamespace(con=connection))
        batches = _table(ids).to_batches() or [pa.RecordBatch.from_pylist([], _table([]).schema)]
        found = pa.Table.from_batches(ascending(_market("postgres", bench), iter(batches)))
        assert found.column("contact_id").to_pylist() == sorted(ids)
        assert found.schema == _table(ids).schema
        same = list(ascending(_market("duckdb", bench), iter(batches)))
        assert [one is two for one, two in zip(same, batches, strict=True)] == [True] * len(same)


@pytest.fixture(scope="module")
def model(shop, now):
    return TargetModel(
        "active", label="event upgrade", horizon="30D", eligible='event "price view" within 14D'
    ).fit(shop, as_of=now)


@pytest.mark.parametrize("size", [1, 7, 100, 300, 1000])
def test_the_roll_names_everybody_once_in_buckets_of_one_size(shop, now, tmp_path, size):
    if size == 1:
        shop = Market.from_tables(contacts=_table(["b", "a"]))
    roll = Roll.record(shop, tmp_path / "roll", as_of=now, contacts_a_bucket=size)
    sizes = [len(roll[bucket]) for bucket in range(len(roll))]
    assert sizes[:-1] == [size] * (len(roll) - 1)
    assert 0 < sizes[-1] <= size
    everybody = sorted(shop.contacts(as_of=now).to_pyarrow().column("contact_id").to_pylist())
    assert pa.concat_arrays([roll[n] for n in range(len(roll))]).to_pylist() == everybody
    assert roll.since(0).column("contact_id").to_pylist() == everybody
    assert Roll(roll.path).since(len(roll) - 1).num_rows == sizes[-1]


def test_nobody_at_all_is_one_bucket(now, tmp_path):
    before = now.replace(year=1999)
    table = _table(["a"]).append_column("created_at", pa.array([now.replace(tzinfo=None)]))
    market = Market.from_tables(contacts=table, now=now)
    roll = Roll.record(market, tmp_path / "roll", as_of=before)
    assert [len(roll[bucket]) for bucket in range(len(roll))] == [0]


@pytest.mark.parametrize("size", [1, 41, 300])
@pytest.mark.parametrize("first", [0, 3])
def test_buckets_together_are_the_answers_of_all(model, shop, now, tmp_path, size, first):
    roll = Roll.record(shop, tmp_path / "roll", as_of=now, contacts_a_bucket=size)
    first = min(first, len(roll) - 1)
    parts = list(model.predict_batches(shop, as_of=now, roll=roll, first=first))
    assert len(parts) == len(roll) - first
    found, whole = answers.together(parts), model.predict(shop, as_of=now)
    begin = roll[first][0].as_py()
    for name in ("contacts", "missing"):
        expected = getattr(whole, name)
        later = [one >= begin for one in expected.column("contact_id").to_pylist()]
        wanted = expected.filter(pa.array(later)).combine_chunks()
        assert getattr(found, name).combine_chunks().equals(wanted)


def test_without_a_roll_everybody_is_asked(model, shop, now):
    parts = list(model.predict_batches(shop, as_of=now))
    assert answers.together(parts).contacts.equals(model.predict(shop, as_of=now).contacts)


def test_rows_that_another_query_cut_off_are_noticed(model, shop, now, tmp_path, monkeypatch):
    roll = Roll.record(shop, tmp_path / "roll", as_of=now, contacts_a_bucket=41)
    whole = answers.build

    def cut(market, spec, **options):
        batches = whole(market, spec, **options)
        return (batch.slice(0, 50) for batch in batches) if spec.features else batches

    monkeypatch.setattr(answers, "build", cut)
    engine = EngineSettings(features="reference")
    shop = replace(shop, settings=shop.settings.model_copy(update={"engine": engine}))
    with pytest.raises(RunError, match="read the rows of 50 contacts; there are") as refused:
        list(model.predict_batches(shop, as_of=now, roll=roll))
    assert "ask nothing else of the market" in str(refused.value)
