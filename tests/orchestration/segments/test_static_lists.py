"""Lists that somebody made by hand or got from elsewhere."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlmarket.orchestration.documents import DocumentError
from mlmarket.orchestration.playbook import Playbook
from mlmarket.orchestration.segments.definition import load_segments

PEOPLE = pa.table(
    {
        "contact_id": ["a", "b", "c", "d"],
        "email": [" Ana@Example.com", "rui@example.com", None, "ana@example.com"],
        "external_id": ["1", "2", "3", "4"],
    }
)


def written(folder, listed, keys="list: vip.csv"):
    (folder / "vip.csv").write_text(listed, encoding="utf-8-sig")
    path = folder / "segments.yaml"
    path.write_text(f"segments:\n  vip:\n    title: VIP\n    {keys}\n", encoding="utf-8")
    return load_segments(path)


def refused(folder, listed, keys="list: vip.csv"):
    with pytest.raises(DocumentError) as caught:
        written(folder, listed, keys)
    what, _, fix = str(caught.value).splitlines()
    return what.split("segments.yaml, ")[1], fix


@pytest.mark.parametrize(
    ("listed", "keys", "inside", "unlisted"),
    [
        ("contact_id\na\nc\nzoe\n", "list: vip.csv", {"a", "c"}, 1),
        ("name,email\nAna,ANA@example.com \nNo one,x@example.com\n", "list: vip.csv", "ad", 1),
        ("external_id\n2\n\n", "list: {file: vip.csv, by: external_id}", {"b"}, 0),
        ("contact_id,email\na,rui@example.com\n", "list: {file: vip.csv, by: email}", {"b"}, 0),
        ('contact_id\n"a"\n', "list: vip.csv", {"a"}, 0),
    ],
)
def test_who_is_listed_is_in_and_entries_of_nobody_are_counted(
    town, tmp_path, listed, keys, inside, unlisted
):
    found = town.decide(PEOPLE, written(tmp_path, listed, keys))
    assert town.members(found, "vip") == set(inside)
    assert found.results[0].unlisted == unlisted


def test_text_and_parquet_are_read_too(town, tmp_path):
    (tmp_path / "vip.txt").write_text("b\n\n a \n", encoding="utf-8")
    pq.write_table(pa.table({"contact_id": [1, 2]}), tmp_path / "vip.parquet")
    (text,) = written(tmp_path, "", "list: {file: vip.txt, by: contact_id}")
    assert text.list.people == ("a", "b")
    (table,) = written(tmp_path, "", "list: vip.parquet")
    assert table.list.people == ("1", "2")


def test_another_list_is_another_playbook_and_the_same_in_another_order_is_not(tmp_path):
    def identity(listed):
        return Playbook(segments=written(tmp_path, listed)).playbook_id

    first = identity("contact_id\na\nb\n")
    assert identity("contact_id\nb\na\n") == first
    assert identity("contact_id\na\n") != first


def test_the_playbook_says_which_list_but_not_who_is_on_it(tmp_path):
    book = Playbook(segments=written(tmp_path, "contact_id\nana\n"))
    text = book.canonical()
    assert book.segments[0].list.sha256 in text
    assert '"ana"' not in text
    again = Playbook.model_validate_json(text)
    assert again.playbook_id == book.playbook_id
    assert again.segments[0].list.people is None


def test_a_list_narrows_a_rule(town, tmp_path):
    segments = written(tmp_path, "contact_id\na\nb\n", "list: vip.csv\n    when: external_id = '2'")
    assert town.members(town.decide(PEOPLE, segments), "vip") == {"b"}


def test_members_stay_where_the_column_of_the_list_is_missing_tonight(town, tmp_path):
    segments = written(tmp_path, "email\nrui@example.com\n")
    first = town.decide(PEOPLE, segments)
    found = town.decide(PEOPLE.select(["contact_id"]), segments, first.memberships)
    assert town.members(found, "vip") == {"b"}
    assert found.skipped["reason"].to_pylist() == ["tonight's tables have no email"]


@pytest.mark.parametrize(
    ("keys", "what", "fix"),
    [
        ("list: none.csv", "segment 'vip', key 'list': the list ", "check the path"),
        ("list: vip.xlsx", "key 'list': 'vip.xlsx' is none of .csv", "save the list as CSV"),
        ("list: {file: vip.csv, by: email}", "'vip.csv' has no column 'email'", "'e_mail'"),
        ("list: vip.csv", "'vip.csv' has no column contact_id, email or", "it has e_mail"),
        ("list: {file: vip.csv, by: phone}", "key 'list.by'", ""),
        ("list: {file: vip.csv, people: [a]}", "there is no key 'people'", "'file'"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_in_three_lines(tmp_path, keys, what, fix):
    said, mend = refused(tmp_path, "e_mail\nana@example.com\n", keys)
    assert what in said
    assert fix in mend


def test_a_text_file_has_to_say_what_its_lines_are(tmp_path):
    (tmp_path / "vip.txt").write_text("ana@example.com\n", encoding="utf-8")
    said, fix = refused(tmp_path, "", "list: vip.txt")
    assert "nothing says what the lines of 'vip.txt' are" in said
    assert "by: email" in fix
