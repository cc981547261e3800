import ibis
import pytest

from mlmarket.expressions import ExpressionError, Type, parse, schema_of

KINDS = {
    "boolean": Type.BOOLEAN,
    "int8": Type.NUMBER,
    "uint64": Type.NUMBER,
    "float32": Type.NUMBER,
    "decimal(18, 4)": Type.NUMBER,
    "string": Type.TEXT,
    "date": Type.TIME,
    "timestamp(9)": Type.TIME,
    "timestamp('Europe/Lisbon')": Type.TIME,
    "time": Type.UNKNOWN,
    "interval('s')": Type.UNKNOWN,
    "binary": Type.UNKNOWN,
    "uuid": Type.UNKNOWN,
    "json": Type.UNKNOWN,
    "array<string>": Type.UNKNOWN,
    "struct<a: int64>": Type.UNKNOWN,
    "map<string, string>": Type.UNKNOWN,
}


def test_each_type_of_column_has_its_kind():
    table = ibis.table({f"a {name}": name for name in KINDS}, name="t")
    assert schema_of(table) == {f"a {name}": kind for name, kind in KINDS.items()}


def test_a_column_that_expressions_cannot_use_is_refused_only_where_it_is_used():
    schema = schema_of(ibis.table({"tags": "array<string>", "x": "int64"}, name="t"))
    assert parse("x > 1", schema=schema).columns == {"x"}
    with pytest.raises(ExpressionError, match="Column 'tags' is of a type"):
        parse("x > 1 and tags is null", schema=schema)


def test_a_schema_may_be_written_as_plain_text():
    assert parse("x + 1", schema={"x": "number"}).kind is Type.NUMBER
