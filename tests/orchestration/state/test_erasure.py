"""Who is erased is gone from every table and file, and does not come back with an import."""

import hashlib
import hmac
import json
import stat

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.orchestration.state.database import Database
from mlmarket.orchestration.state.erasure import erase_from_files
from mlmarket.orchestration.state.store import StateStore
from mlmarket.orchestration.state.tombstones import (
    Erased,
    WithoutErased,
    erasure_key,
    marks_of,
    without_erased,
)

KEY = b"k" * 32
WHO = "contact-of-rui-0815"
MAIL = "rui.silva@example.com"


@pytest.fixture
def lived_in(hand, path):
    """Return an open store in which two people have done all there is."""
    came = [hand.enrolment(who) for who in ("ana", WHO)]
    rows = [
        hand.handed(came[0]),
        hand.handed(came[1], email=MAIL, phone="+351 910 000 000"),
        hand.handed(came[1], "second", email=MAIL),
    ]
    members = [hand.member(who) for who in ("ana", WHO)]
    first = hand.made(
        0,
        memberships=members,
        changes=[hand.change(WHO)],
        enrolments=came,
        decisions=[hand.decision(one, seen=f'{{"of": "{one["contact_id"]}"}}') for one in came],
        outbox=rows,
    )
    gone = [{"idempotency_key": rows[2]["idempotency_key"], "reason": "goal"}]
    second = hand.made(
        1,
        first,
        memberships=members[:1],
        touched=["ana", WHO],
        cancelled=gone,
        changes=[hand.change(WHO, "left")],
    )
    consents = pa.table(
        {"contact_id": [WHO], "channel": ["email"], "changed_at": [hand.at(0)], "source": ["form"]}
    )
    with StateStore.open(path) as store:
        store.commit(first)
        store.commit(second)
        store.record_consent(consents)
        store.suppress(WHO, "sms", "asked", hand.when(1))
        yield store


def rows_about(path, person):
    """Return where a person's number or id still stands in the file."""
    found = set()
    with duckdb.connect(str(path)) as connection:
        for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            for row in connection.table(table).fetchall():
                if any(person in str(value) for value in row):
                    found.add(table)
    return found


def test_all_of_a_person_goes_and_all_of_others_stays(lived_in, path, hand):
    before = lived_in.export_person("ana")
    done = lived_in.forget(WHO, key=KEY, at=hand.when(2), by="eva")
    assert (done.pending, done.in_flight) == (1, 0)
    assert done.addresses == {MAIL, "+351 910 000 000"}
    assert set(done.rows) == {
        "cancellations",
        "outbox",
        "decisions",
        "standing",
        "enrolments",
        "memberships",
        "changes",
        "touched",
        "consent_events",
        "suppressions",
        "log",
        "people",
    }
    assert lived_in.export_person("ana") == before
    empty = lived_in.export_person(WHO)
    assert not any(rows for name, rows in empty.items() if name != "contact_id")
    assert len(lived_in.claim("m", now=hand.when(3), limit=9)) == 1
    assert lived_in.release_log()["action"].to_pylist() == ["forgotten"]
    lived_in.close()
    assert rows_about(path, WHO) == set()


def test_not_a_byte_of_a_person_is_left_in_the_file(lived_in, path, hand):
    lived_in.forget(WHO, key=KEY, at=hand.when(2))
    for _ in range(2):
        for file in path.parent.iterdir():
            raw = file.read_bytes()
            assert WHO.encode() not in raw
            assert b"rui.silva" not in raw
        lived_in.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with StateStore.open(path) as store:
        assert store.load().enrolments["contact_id"].to_pylist() == ["ana"]


def test_the_bytes_would_be_left_without_a_new_file(lived_in, path, hand, monkeypatch):
    monkeypatch.setattr(Database, "compact", lambda _: None)
    lived_in.forget(WHO, key=KEY, at=hand.when(2))
    lived_in.close()
    if WHO.encode() not in path.read_bytes():
        pytest.skip("this DuckDB leaves nothing behind")
    monkeypatch.undo()
    # A run that was stopped in between is made good when the file is opened next.
    StateStore.open(path).close()
    assert WHO.encode() not in path.read_bytes()


def test_what_a_worker_holds_is_counted(lived_in, hand):
    lived_in.claim("m", now=hand.when(2), limit=9)
    done = lived_in.forget(WHO, key=KEY, at=hand.when(2))
    assert (done.pending, done.in_flight) == (0, 1)


def test_who_was_never_known_is_still_kept_out(path, hand):
    with StateStore.open(path) as store:
        done = store.forget("nobody", key=KEY, at=hand.when(0), addresses=[" No@Body.com "])
        assert done.rows == {}
        assert store.tombstones() == marks_of(KEY, ids=["nobody"], emails=["no@body.com"])
        store.forget("nobody", key=KEY, at=hand.when(0))
        assert len(store.tombstones()) == 2


def test_a_tombstone_is_a_keyed_hash(lived_in, hand):
    lived_in.forget(WHO, key=KEY, at=hand.when(2))
    wanted = {
        hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()
        for text in (f"contact:{WHO}", f"email:{MAIL}", "phone:351910000000")
    }
    assert lived_in.tombstones() == wanted


def test_who_was_erased_is_known_again_however_written(lived_in, hand):
    lived_in.forget(WHO, key=KEY, at=hand.when(2))
    erased = Erased(KEY, lived_in.tombstones())
    contacts = pa.table(
        {
            "contact_id": ["ana", WHO, "new", "newer", None],
            "email": ["ana@example.com", None, f" {MAIL.upper()}\n", None, None],
            "phone": [None, None, None, "00351-910000000", ""],
        }
    )
    hit = erased.mask(contacts["contact_id"], emails=contacts["email"], phones=contacts["phone"])
    assert hit.tolist() == [False, True, True, True, False]
    assert without_erased(contacts, erased)["contact_id"].to_pylist() == ["ana", None]
    assert without_erased(contacts, Erased(b"x" * 32, erased.marks)).equals(contacts)
    assert without_erased(contacts, Erased(KEY, frozenset())) is contacts
    assert Erased(KEY, erased.marks).mask().tolist() == []


class Source:
    """Behaviour in memory."""

    def __init__(self, **tables):
        self.tables = {name: ibis.memtable(table) for name, table in tables.items()}

    def has(self, table):
        return table in self.tables

    def table(self, name):
        return self.tables[name]

    def activity(self, *_):
        return self.tables["activity"]


def test_a_tick_sees_nothing_of_who_was_erased(lived_in, hand):
    lived_in.forget(WHO, key=KEY, at=hand.when(2))
    erased = Erased(KEY, lived_in.tombstones())
    contacts = pa.table({"contact_id": ["ana", "back"], "email": ["a@b.c", MAIL]})
    activity = pa.table({"contact_id": ["ana", "back", None], "type": ["open"] * 3})
    items = pa.table({"item_id": ["x"]})
    source = Source(contacts=contacts, activity=activity, items=items)
    seen = WithoutErased(source, erased)
    assert seen.table("contacts").to_pyarrow()["contact_id"].to_pylist() == ["ana"]
    assert seen.activity("open").to_pyarrow()["contact_id"].to_pylist() == ["ana", None]
    assert len(seen.table("items").to_pyarrow()) == 1
    assert seen.has("contacts")
    assert not seen.has("orders")
    nothing = WithoutErased(Source(activity=activity), erased)
    assert len(nothing.activity().to_pyarrow()) == 3


def test_the_key_is_for_its_owner_alone(tmp_path):
    file = tmp_path / "erasure.key"
    key = erasure_key(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(key) == 32
    assert erasure_key(file) == key
    assert [one.name for one in tmp_path.iterdir()] == ["erasure.key"]
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="read by others"):
        erasure_key(file)
    file.write_bytes(b"short")
    file.chmod(0o600)
    with pytest.raises(ConfigurationError, match="not a key of 32 bytes"):
        erasure_key(file)


def test_an_export_is_json_and_holds_all(lived_in):
    told = lived_in.export_person(WHO)
    assert json.loads(json.dumps(told)) == told
    assert all(told.values())
    assert told["outbox"][0]["email"] == MAIL
    assert {row["status"] for row in told["outbox"]} == {"pending", "cancelled"}
    assert told["decisions"][0]["seen"] == {"of": WHO}
    assert told["memberships"][0]["until"] == "2026-03-02T00:00:00Z"


@pytest.fixture
def run(tmp_path):
    """Return a folder of files that name a person."""
    folder = tmp_path / "run"
    (folder / "segments").mkdir(parents=True)
    table = pa.table(
        {
            "contact_id": ["ana", WHO, "zoe"] * 2,
            "n": range(6),
            "mail": pa.array([None, None, MAIL.upper()] * 2).dictionary_encode(),
        }
    )
    pq.write_table(table, folder / "outbox.parquet", compression="zstd", row_group_size=4)
    pq.write_table(table.filter(pa.array([True, False, False] * 2)), folder / "none.parquet")
    lines = f'contact_id,why\r\nana,"says ""hi"",\r\nbye"\r\n{WHO},x\r\nzoe,{MAIL}\r\n'
    (folder / "segments" / "leaving.csv").write_bytes(lines.encode())
    (folder / "segments" / "leaving.csv").chmod(0o640)
    (folder / "report.html").write_text(f"<td>{WHO}</td>")
    (folder / "log.txt").write_text("nothing")
    return folder


def test_a_person_is_removed_from_the_files_of_runs(run):
    untouched = (run / "none.parquet").stat().st_mtime_ns
    done = erase_from_files([run], WHO, [MAIL])
    assert {file.name: rows for file, rows in done.rows.items()} == {
        "outbox.parquet": 4,
        "leaving.csv": 2,
    }
    assert [file.name for file in done.left] == ["report.html"]
    left = pq.read_table(run / "outbox.parquet")
    assert left["contact_id"].to_pylist() == ["ana", "ana"]
    assert left["n"].to_pylist() == [0, 3]
    assert pq.ParquetFile(run / "outbox.parquet").metadata.row_group(0).column(0).compression == (
        "ZSTD"
    )
    csv = run / "segments" / "leaving.csv"
    assert csv.read_bytes() == b'contact_id,why\r\nana,"says ""hi"",\r\nbye"\r\n'
    assert stat.S_IMODE(csv.stat().st_mode) == 0o640
    assert (run / "none.parquet").stat().st_mtime_ns == untouched
    assert erase_from_files([run], WHO, [MAIL]).rows == {}
    assert not list(run.rglob(".*"))


def test_a_file_that_cannot_be_written_stays_as_it_was(run, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    before = (run / "outbox.parquet").read_bytes()
    monkeypatch.setattr("shutil.copymode", full)
    with pytest.raises(RunError, match=r"outbox\.parquet could not be written"):
        erase_from_files([run / "outbox.parquet"], WHO)
    assert (run / "outbox.parquet").read_bytes() == before
    assert not list(run.rglob(".*"))


def test_a_link_is_not_followed_out_of_the_folder(run, tmp_path):
    outside = tmp_path / "outside.csv"
    outside.write_text(f"contact_id\n{WHO}\n")
    (run / "link.csv").symlink_to(outside)
    erase_from_files([run], WHO)
    assert WHO in outside.read_text()
