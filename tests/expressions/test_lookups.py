import ibis
import pyarrow as pa
import pytest

from mlmarket.expressions import (
    ArgumentError,
    ExpressionError,
    Lookup,
    Subject,
    Type,
    parse,
    parse_condition,
)

SCHEMA = {"amount": Type.NUMBER, "country": Type.TEXT, "f": Type.BOOLEAN}


def length(text):
    if not text.endswith("d"):
        raise ArgumentError(f"'{text}' is not a length of time.", "write '14d'.")
    return str(int(text[:-1])) + "d"


EVENT = Subject("a type of event", known=("open", "page view", "where", "and"))
ROWS = {"value": Type.NUMBER, "item": Type.TEXT}
FUNCTIONS = {
    "count": Lookup(
        EVENT,
        "count(open, within='14d')",
        Type.NUMBER,
        {"within": length, "since": str.lower},
        where=ROWS,
    ),
    "did": Lookup(Subject("anything"), "did(open)", Type.BOOLEAN),
    "newest": Lookup(
        Subject("a column", is_column=True),
        "newest(amount, within='7d')",
        keywords={"within": length},
        needed=frozenset({"within"}),
    ),
}


def read(text):
    return parse(text, schema=SCHEMA, functions=FUNCTIONS)


@pytest.mark.parametrize(
    ("texts", "canonical"),
    [
        (["count(open)", "COUNT( 'open' )", "Count(open )"], "count(open)"),
        (["count('page view')"], "count('page view')"),
        (["count('where')"], "count('where')"),
        (["count('and')"], "count('and')"),
        (
            [
                "count(open, within='14d', since='entry')",
                "count(open, SINCE='ENTRY', Within = '014d')",
                "count('open',since='Entry',within='14d')",
            ],
            "count(open, within='14d', since='entry')",
        ),
        (
            [
                "count(open, where value>20 AND not item in('a'))",
                "count(open, WHERE (value > 20) and item NOT IN ('a'))",
            ],
            "count(open, where value > 20 and item not in ('a'))",
        ),
        (
            ["newest(amount, within='7d')", "NEWEST(\"amount\", within='07d')"],
            "newest(amount, within='7d')",
        ),
    ],
)
def test_a_call_has_one_canonical_text_however_it_is_written(texts, canonical):
    for text in texts:
        expression = read(text)
        assert str(expression) == canonical
        assert [str(call) for call in expression.calls] == [canonical]
        assert read(str(expression)) == expression
    assert len({call for text in texts for call in read(text).calls}) == 1


def test_an_expression_lists_each_of_its_calls_once():
    text = "count(open) > 1 or did(b) and not (COUNT('open') = 0 or did(a)) and amount > 1"
    expression = parse_condition(text, schema=SCHEMA, functions=FUNCTIONS)
    assert [call.text for call in expression.calls] == ["count(open)", "did(a)", "did(b)"]
    assert expression.columns == {"count(open)", "did(a)", "did(b)", "amount"}


def test_a_call_says_what_is_asked():
    (call,) = read("count('page view', within='3d', where value > 1)").calls
    assert (call.name, call.subject, call.kind) == ("count", "page view", Type.NUMBER)
    assert (call.option("within"), call.option("since")) == ("3d", None)
    assert call.where is not None
    assert call.where.columns == {"value"}
    assert call.where.evaluate({"value": 2}) is True
    assert call != "count(open)"


def test_names_that_differ_in_capitals_only_have_different_keys():
    keys = [read(f"did({name})").calls[0].key for name in ("open", "Open")]
    assert keys[0] == "did(open)"
    assert len({key.lower() for key in keys}) == 2


def test_a_call_is_read_from_the_column_or_key_of_its_name():
    expression = read("not (count(open) > 1 and amount > 5)")
    rows = [{"count(open)": n, "amount": amount} for n in (0, 2) for amount in (1.0, 9.0, None)]
    table = ibis.memtable(pa.Table.from_pylist(rows))
    answers = table.select(r=expression.to_ibis(table)).to_pyarrow()["r"].to_pylist()
    assert answers == [expression.evaluate(row) for row in rows]
    assert answers == [True, True, True, True, False, None]


def test_a_missing_answer_is_missing_and_no_answer_is_an_error():
    expression = read("count(open) > 1")
    assert expression.evaluate({"count(open)": None}) is None
    with pytest.raises(ExpressionError, match="The row has no answer to count"):
        expression.evaluate({"amount": 5})
    with pytest.raises(ExpressionError, match="The table has no column with the answer"):
        expression.to_ibis(ibis.table({"amount": "int64"}, name="t"))


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("cuont(open)", 0, "did you mean 'count'"),
        ("count()", 6, "count needs a type of event"),
        ("count(404)", 6, "count needs a type of event"),
        ('count("open")', 6, "in single quotes"),
        ("count(opne)", 6, "did you mean 'open'"),
        ("count('opne')", 6, "did you mean 'open'"),
        ("count(where value > 1)", 6, "count needs a type of event"),
        ("did(and)", 4, "did needs anything"),
        ("did('')", 4, "cannot be the name"),
        ("did(' a')", 4, "cannot be the name"),
        ("did('a\u202eb')", 4, "cannot be the name"),
        ("did('a\nb')", 4, "cannot be the name"),
        (f"did({'a' * 201})", 4, "cannot be the name"),
        ("did(a.b)", 4, "write it in single quotes: 'a."),
        ("did(a-b)", 4, "write it in single quotes: 'a-"),
        ("did(a, within='14d')", 7, "did has no 'within'"),
        ("did(a, where value > 1)", 7, "did has no 'where'"),
        ("count(open, 14)", 12, "stands without a name"),
        ("count(open, '14d')", 12, "stands without a name"),
        ("count(open, whitin='14d')", 12, "did you mean 'within'"),
        ("count(open, within=14)", 19, "text in single quotes"),
        ("count(open, within='14')", 19, "not a length of time"),
        ("count(open, within='1d', within='2d')", 25, "there twice"),
        ("count(open within='1d')", 11, "A comma is missing before 'within'"),
        ("count(open where value > 1)", 11, "A comma is missing before 'where'"),
        ("count(open, where value > 1, within='1d')", 27, "the last part of a call"),
        ("count(open, where value)", 18, "WHERE needs true or false"),
        ("count(open, where valeu > 1)", 18, "did you mean 'value'"),
        ("count(open, where amount > 1)", 18, "no column 'amount'"),
        ("count(open, where count(open) > 1)", 18, "Calls are not part of 'where'"),
        ("count(open, where value > did(a))", 26, "Calls are not part of 'where'"),
        ("count(open, where )", 18, "A value is missing"),
        ("count(open,)", 11, "stands without a name"),
        ("count(open", 10, "')' is missing"),
        ("count(open, where value > 1", 27, "')' is missing"),
        ("newest(amount)", 0, "newest needs within="),
        ("newest('amount', within='7d')", 7, "in double quotes"),
        ("newest(amuont, within='7d')", 7, "did you mean 'amount'"),
        ("count(open)", None, "A condition is true or false"),
        ("count(open) = 'a'", 14, "needs values of one kind"),
    ],
)
def test_a_wrong_call_is_refused_where_it_stands(text, at, message):
    with pytest.raises(ExpressionError, match="Fix: ") as caught:
        parse_condition(text, schema=SCHEMA, functions=FUNCTIONS)
    assert message in str(caught.value)
    if at is not None:
        assert caught.value.at == at


def test_the_columns_and_functions_are_those_of_the_expression_again_behind_a_call():
    text = "count(open, where value > 1) > amount and did(a)"
    assert read(text).columns == {"count(open, where value > 1)", "amount", "did(a)"}
    with pytest.raises(ExpressionError, match="no column 'value'"):
        read("count(open, where value > 1) > value")


def test_divisors_are_limited_inside_where_too():
    nested = "value"
    for _ in range(8):
        nested = f"1 / ({nested})"
    with pytest.raises(ExpressionError, match="Divisions are nested"):
        read(f"count(open, where {nested} > 1) > 1")


def test_only_a_condition_holds_or_fails():
    table = ibis.table({"amount": "float64"}, name="t")
    with pytest.raises(ExpressionError, match="A condition is true or false"):
        parse("amount", schema=SCHEMA).holds(table)
    with pytest.raises(ExpressionError, match="A condition is true or false"):
        parse("amount", schema=SCHEMA).fails(table)
