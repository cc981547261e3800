"""A batch is one file, whole or not at all, and once."""

import csv
import os
import stat

import pyarrow.parquet as pq
import pytest

from mlmarket.orchestration.handover import FileAdapter, deliver, files
from mlmarket.orchestration.tables import OUTBOX


def read(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def statuses(results):
    return [one.status for one in results]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out" / "mail"


@pytest.fixture
def way(folder):
    return FileAdapter("mail", folder)


def test_a_mailer_finds_addresses_and_slots_as_columns(outbox, way):
    batch = outbox.batch_of("b", "a")
    batch += outbox.batch_of("c", payload='{"rec_1_url": "https://x.example", "n": [1, 2]}')
    results = way.send(batch)
    path = way.path_of(batch)
    assert statuses(results) == ["sent"] * 3
    assert results[0].receiver_id == path.name
    found = read(path)
    assert [one["idempotency_key"] for one in found] == ["a", "b", "c"]
    assert found[0]["email"] == "a@example.com"
    assert found[0]["rec_1_title"] == "Shoes for a"
    assert (found[2]["rec_1_title"], found[2]["rec_1_url"], found[2]["n"]) == (
        "",
        "https://x.example",
        "[1,2]",
    )


def test_a_slot_that_a_spreadsheet_would_run_is_made_harmless(outbox, way):
    batch = outbox.batch_of("a", payload='{"title": "=HYPERLINK(1)"}')
    way.send(batch)
    assert read(way.path_of(batch))[0]["title"] == "'=HYPERLINK(1)"


def test_a_slot_called_like_a_column_does_not_replace_it(outbox, way):
    batch = outbox.batch_of("a", payload='{"email": "other@example.com"}')
    way.send(batch)
    assert read(way.path_of(batch))[0]["email"] == "a@example.com"


def test_parquet_has_the_columns_of_the_outbox(outbox, folder):
    way = FileAdapter("mail", folder, form="parquet")
    batch = outbox.batch_of("a", "b")
    way.send(batch)
    table = pq.read_table(way.path_of(batch))
    assert table.schema.names == OUTBOX.names
    assert table["payload"].to_pylist()[0] == '{"rec_1_title":"Shoes for a"}'


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_same_batch_again_is_the_same_file_with_the_same_bytes(outbox, folder, form):
    way = FileAdapter("mail", folder, form=form)
    batch = outbox.batch_of("a", "b", "c")
    way.send(batch)
    (path,) = folder.iterdir()
    before = path.read_bytes()
    way.send(batch[::-1])
    assert list(folder.iterdir()) == [path]
    assert path.read_bytes() == before
    assert way.path_of(outbox.batch_of("a", "b")) != path


def test_whoever_watches_the_folder_never_sees_half_a_file(outbox, folder, way, monkeypatch):
    seen = []

    def watch(path):
        seen.append(sorted(one.name for one in folder.iterdir()))

    monkeypatch.setattr(files, "_make_safe", watch)
    batch = outbox.batch_of("a")
    way.send(batch)
    name = way.path_of(batch).name
    assert seen == [[f".tmp-{name}"], [name]]


def test_a_disk_that_refuses_leaves_nothing_and_is_tried_again(outbox, folder, way, monkeypatch):
    def full(table, path):
        path.write_bytes(b"half")
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(files, "write_csv", full)
    (result,) = way.send(outbox.batch_of("a"))
    assert result.status == "retry"
    assert result.error == "The file could not be written: No space left on device."
    assert list(folder.iterdir()) == []


def test_a_file_that_may_be_gone_after_a_power_cut_is_in_doubt(outbox, folder, way, monkeypatch):
    make_safe = files._make_safe

    def refuse_folders(path):
        if stat.S_ISDIR(path.stat().st_mode):
            raise OSError(5, os.strerror(5))
        make_safe(path)

    monkeypatch.setattr(files, "_make_safe", refuse_folders)
    assert statuses(way.send(outbox.batch_of("a"))) == ["unknown"]


def test_after_a_crash_a_file_that_is_there_was_handed_over(outbox, way):
    batch = outbox.batch_of("a", "b")
    way.send(batch)
    assert statuses(way.recover(batch)) == ["sent"] * 2


def test_after_a_crash_while_writing_it_certainly_was_not(outbox, folder, way):
    batch = outbox.batch_of("a")
    folder.mkdir(parents=True)
    path = way.path_of(batch)
    path.with_name(f".tmp-{path.name}").write_bytes(b"half")
    (result,) = way.recover(batch)
    assert (result.status, result.tried) == ("retry", False)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("honours_keys", "status"), [(False, "unknown"), (True, "retry")])
def test_after_a_crash_without_a_trace_somebody_may_have_taken_it(
    outbox, folder, honours_keys, status
):
    way = FileAdapter("mail", folder, honours_keys=honours_keys)
    assert statuses(way.recover(outbox.batch_of("a"))) == [status]


def test_a_delivery_after_a_crash_finds_the_batch_of_before(outbox, folder):
    store = outbox.Store(*[outbox.row(f"k{number}") for number in range(9)])
    way = FileAdapter("mail", folder, batch=4)
    claimed = store.claim("before", now=outbox.NOW, limit=4)
    way.send(outbox.batch_of(*claimed["idempotency_key"].to_pylist()))
    deliver(store, way, now=outbox.NOW)
    keys = [one["idempotency_key"] for path in folder.iterdir() for one in read(path)]
    assert sorted(keys) == sorted(store.rows)
    assert set(store.statuses().values()) == {"sent"}
