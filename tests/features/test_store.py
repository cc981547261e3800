"""Prepared rows: used again while they are true, written anew when they are not."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlmarket.features import SnapshotSpec, build, count, last, mean, recency, total
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.preparation import UnsweepableError, prepare_store
from mlmarket.features.store import Bucket, read_contents

DAY = timedelta(days=1)
AS_OF = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
FEATURES = (
    count("visit"),
    count("visit", "7D"),
    total("visit"),
    mean("visit"),
    last("visit"),
    recency("visit | cart"),
    count("cart where value > 3"),
)


def _event(contact, days_ago, kind="visit", value="1.5", late=0, **more):
    at = AS_OF - days_ago * DAY
    amount = None if value is None else Decimal(value)
    known = at + late * DAY if late else None
    row = {"contact_id": contact, "event_type": kind, "occurred_at": at, "value": amount}
    return {**row, "available_at": known, **more}


def _contacts(*names):
    return [{"contact_id": name} for name in names]


LOG = [
    *(_event("a", days) for days in (1, 20, 40, 41, 300)),
    *(_event("b", days, "cart", "4") for days in (2, 100)),
    _event("c", 60, value=None),
]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def kept(make_market, folder):
    """Return a function from events to a market that keeps its rows from night to night."""

    def make(events, *names):
        people = _contacts(*(names or ("a", "b", "c")))
        return replace(make_market(contacts=people, events=events), store_folder=folder)

    return make


def _table(market, engine, cutoffs=(AS_OF, AS_OF - 30 * DAY)):
    spec = SnapshotSpec(None, FEATURES)
    batches = build(market, spec, cutoffs=list(cutoffs), engine=engine)
    order = [("as_of", "ascending"), ("contact_id", "ascending")]
    return pa.Table.from_batches(batches).sort_by(order)


def _agrees(market):
    swept = _table(market, "sweep")
    assert swept.equals(_table(market, "reference"))
    return swept


def test_a_new_day_is_added_to_the_tail_and_the_base_is_kept(kept, folder):
    _agrees(kept(LOG))
    before = read_contents(folder)
    _agrees(kept([*LOG, _event("a", 0.5), _event("c", 0.1)]))
    after = read_contents(folder)
    assert after.base == before.base
    assert after.tail != before.tail


def test_a_store_of_the_same_rows_is_not_written_again(kept, folder):
    _agrees(kept(LOG))
    before = read_contents(folder)
    _agrees(kept(LOG[::-1]))
    assert read_contents(folder) == before


def test_nothing_stays_in_the_session(kept):
    market = kept(LOG)
    _agrees(market)
    names = market.table("contacts").get_backend().list_tables()
    assert not [name for name in names if name.startswith("mlmarket_store")]


def test_a_new_contact_takes_its_place_among_the_others(kept, folder):
    _agrees(kept(LOG))
    base = read_contents(folder).base
    found = _agrees(kept([*LOG, _event("aa", 0.5)], "a", "aa", "b", "c"))
    assert read_contents(folder).base == base
    assert found.column("contact_id").to_pylist()[:4] == ["a", "aa", "b", "c"]


@pytest.mark.parametrize(
    "changed",
    [
        [row for row in LOG if row is not LOG[3]],
        [*LOG, _event("b", 200)],
        [*LOG, LOG[-1]],
        [
            replaced if row is LOG[3] else row
            for row in LOG
            for replaced in [_event("a", 41, value="9")]
        ],
        [_event("a", 300, late=290) if row is LOG[4] else row for row in LOG],
    ],
    ids=["withdrawn", "came late", "twice", "corrected", "known later"],
)
def test_a_row_of_the_past_that_changed_makes_the_base_anew(kept, folder, changed):
    _agrees(kept(LOG))
    before = read_contents(folder)
    _agrees(kept(changed))
    assert read_contents(folder).base != before.base


def test_rows_in_another_order_are_the_same_rows(kept, folder):
    first = _agrees(kept(LOG))
    before = read_contents(folder)
    assert _agrees(kept(LOG[::-1])).equals(first)
    assert read_contents(folder).base == before.base


def test_a_contact_that_is_gone_takes_its_rows_along(kept, folder):
    _agrees(kept(LOG))
    known = kept([row for row in LOG if row["contact_id"] != "a"], "b", "c")
    assert _agrees(known).column("contact_id").to_pylist() == ["b", "c", "b", "c"]


def test_a_store_of_other_conditions_keeps_them_and_adds_the_new(kept, folder):
    market = kept(LOG)
    prepare_store(market, [Behaviour.parse("cart")], folder=folder)
    store = prepare_store(market, [Behaviour.parse("visit")], folder=folder)
    assert set(map(str, store.conditions)) == {"cart", "visit"}
    again = prepare_store(market, [Behaviour.parse("cart")], folder=folder)
    assert again.contents.base == store.contents.base


@pytest.mark.parametrize(
    "damage",
    ["manifest cut", "manifest of old", "file gone", "bit flipped", "file cut", "file empty"],
)
def test_a_damaged_store_is_written_anew(kept, folder, damage):
    _agrees(kept(LOG))
    manifest = folder / "store.json"
    plain = json.loads(manifest.read_text())
    if damage == "manifest cut":
        manifest.write_text(manifest.read_text()[:100])
    elif damage == "manifest of old":
        manifest.write_text(json.dumps({**plain, "format": 0}))
    elif damage == "file gone":
        (folder / plain["tail"]).unlink()
    elif damage == "bit flipped":
        content = bytearray((folder / plain["base"]).read_bytes())
        content[20] ^= 1
        (folder / plain["base"]).write_bytes(content)
    else:
        content = (folder / plain["base"]).read_bytes()
        (folder / plain["base"]).write_bytes(content[:-30] if damage == "file cut" else b"")
    assert read_contents(folder) is None
    _agrees(kept(LOG))
    assert read_contents(folder) is not None


def test_files_that_no_longer_count_are_removed(kept, folder):
    _agrees(kept(LOG))
    (folder / "base-killed.parquet").write_bytes(b"half")
    _agrees(kept(LOG[1:]))
    contents = read_contents(folder)
    assert {path.name for path in folder.iterdir()} == {*contents.files, "store.json"}


def test_a_store_without_a_folder_goes_with_its_market(make_market):
    store = prepare_store(
        make_market(contacts=_contacts("a"), events=LOG[:1]), [Behaviour(("visit",))]
    )
    place = store.folder
    assert place.is_dir()
    del store
    assert not place.exists()


def test_values_beyond_64_bits_are_left_to_the_reference(make_market):
    rows = [_event("a", days, value="99999999999999.9999") for days in range(1, 6)]
    market = make_market(contacts=_contacts("a"), events=rows)
    with pytest.raises(UnsweepableError, match="more than 64 bits hold"):
        prepare_store(market, [Behaviour.parse("visit")])
    found = _table(market, "auto")
    assert found.equals(_table(market, "reference"))


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.integers(0, 5), min_size=1, max_size=12),
    most_rows=st.integers(1, 9),
    most_contacts=st.integers(1, 4),
)
def test_buckets_hold_everybody_once_and_not_too_much(make_market, rows, most_rows, most_contacts):
    names = [f"c{place:02}" for place in range(len(rows))]
    events = [
        _event(name, day + 1) for name, held in zip(names, rows, strict=True) for day in range(held)
    ]
    market = make_market(contacts=_contacts(*names), events=events)
    store = prepare_store(market, [Behaviour.parse("visit")])
    buckets = list(store.buckets(most_rows=most_rows, most_contacts=most_contacts))
    assert [place for one in buckets for place in range(one.first, one.last)] == list(
        range(len(rows))
    )
    for bucket in buckets:
        held = rows[bucket.first : bucket.last]
        assert len(bucket) <= most_contacts
        assert sum(held) <= most_rows or len(held) == 1
        read = store.read(bucket, ["time", "value"])
        assert [int(step) for step in read.begin[1:] - read.begin[:-1]] == held
        assert len(read.columns["time"]) == sum(held)


def test_rows_of_a_contact_are_read_by_time_whatever_file_they_are_in(kept, folder):
    _agrees(kept(LOG))
    market = kept([*LOG, _event("a", 0.5), _event("b", 0.25)])
    store = prepare_store(
        market, [Behaviour.parse("visit"), Behaviour.parse("cart")], folder=folder
    )
    rows = store.read(Bucket(0, 3), ["time", "value"])
    for first, end in zip(rows.begin, rows.begin[1:], strict=False):
        times = rows.columns["time"][first:end]
        assert list(times) == sorted(times)
    assert rows.begin.tolist() == [0, 6, 9, 10]
