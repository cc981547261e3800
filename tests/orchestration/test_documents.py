"""Files that say too much, too little, or something that was not meant."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmarket.market.time import parse_duration
from mlmarket.orchestration import DocumentError
from mlmarket.orchestration.documents import duration_text, read_document

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("journey: a\njourney: b\n", "line 2, column 1: the key 'journey' stands here a second"),
        ("a:\n  b: 1\n  b: 2\n", "line 3, column 3: the key 'b' stands here a second time"),
        ("a:\n\tb: 1\n", "line 2"),
        (BOMB, "line 1, column 4: anchors (&) and aliases (*) are not read here"),
        ("a: *b\n", "aliases"),
        ("a: !!python/object/apply:os.system ['true']\n", "tags (!) are not read here"),
        ("a: !!str 1\n", "tags (!) are not read here"),
        ("<<: {a: 1}\nb: 2\n", "merge keys (<<) are not read here"),
        ("a: [1, 2\n", "line 2"),
        ("true: 1\n", "the key 'true' is not a name"),
        ("7: 1\n", "the key '7' is not a name"),
        ("- a\n- b\n", "its top level is not a list of keys"),
        ("", "it is empty"),
        ("# only a comment\n", "it is empty"),
        ("a: 1\n---\nb: 2\n", "line 2"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested more than 60 levels"),
        ("a: 2026-13-45\n", "whole file: month must be in 1..12"),
        ("a: \x07\n", "whole file"),
        ("a: " + "x" * 1_000_001, "larger than 1 MB"),
        ("? [a, b]\n: 1\n", "is not a name"),
    ],
)
def test_yaml_that_could_hide_something_is_refused_with_its_place(tmp_path, text, said):
    path = tmp_path / "hostile.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError) as caught:
        read_document(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"{path}, ")
    assert said in lines[0]
    assert lines[2].startswith("Fix: ")
    assert caught.value.exit_code == 2


def test_a_file_that_is_not_there_or_not_utf_8_is_refused(tmp_path):
    with pytest.raises(DocumentError, match="No such file"):
        read_document(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("a: olá".encode("latin-1"))
    with pytest.raises(DocumentError, match="not UTF-8"):
        read_document(tmp_path / "latin.yaml")
    with pytest.raises(DocumentError):
        read_document(tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbfjourney: a\r\ntitle: ol\xc3\xa1\r\n")
    assert read_document(path) == {"journey": "a", "title": "olá"}


@given(minutes=st.integers(1, 10**7))
def test_a_duration_is_read_back_as_it_is_written(minutes):
    duration = timedelta(minutes=minutes)
    if duration < timedelta(days=10**6):
        written = duration_text(duration)
        if len(written) < 7:
            assert parse_duration(written) == duration
