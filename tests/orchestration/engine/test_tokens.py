"""Texts with places that are filled in for each person."""

import json

import ibis
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.engine.tokens import Token, as_json, lacking, tokens_of


def test_a_token_has_a_form_and_a_default():
    found = tokens_of("{a}, {b:percent}, {c|there}, {d:date|soon} and {e|}")
    assert found == (
        Token("a"),
        Token("b", "percent"),
        Token("c", default="there"),
        Token("d", "date", "soon"),
        Token("e", default=""),
    )


@pytest.mark.parametrize("text", ["{a", "a}", "{}", "{{a}}", "{a:percents}"])
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(ConfigurationError, match="Fix:"):
        tokens_of(text)


def test_texts_are_filled_in_for_everybody_as_json_that_can_be_read():
    table = ibis.memtable(
        pa.table({"name": ['Ana "A" Sá\\', None, ""], "risk": [0.431, 0.5, None]})
    )
    texts = {"b": "Hello {name|you}", "a": "{risk:percent}", "c": 'plain "text"'}
    rows = table.select(text=as_json(texts, table), lacks=lacking(texts, table)).to_pyarrow()
    filled = [json.loads(text) for text in rows["text"].to_pylist()]
    assert filled == [
        {"a": "43%", "b": 'Hello Ana "A" Sá\\', "c": 'plain "text"'},
        {"a": "50%", "b": "Hello you", "c": 'plain "text"'},
        {"a": None, "b": "Hello you", "c": 'plain "text"'},
    ]
    assert rows["lacks"].to_pylist() == [False, False, True]


def test_a_column_that_is_not_there_is_missing_for_everybody():
    table = ibis.memtable(pa.table({"name": ["ana"]}))
    assert table.select(x=lacking({"a": "{city}"}, table)).to_pyarrow()["x"].to_pylist() == [True]
    assert lacking({"a": "{city|here}"}, table) is None
