# ruff: noqa: ARG002 -- the functions take what the protocol gives them
from dataclasses import dataclass

import ibis
import pyarrow as pa
import pytest

from mlmarket.expressions import (
    NONE,
    Argument,
    ArgumentError,
    ExpressionError,
    Type,
    parse,
    parse_condition,
)

SCHEMA = {"amount": Type.NUMBER, "country": Type.TEXT, "f": Type.BOOLEAN}


@dataclass(frozen=True)
class Half:
    """half(number): what a later version could add."""

    def check(self, arguments):
        fix = "write half(amount)."
        if len(arguments) != 1:
            raise ArgumentError(problem="half takes one number.", fix=fix)
        if arguments[0].kind is not Type.NUMBER:
            raise ArgumentError(problem="half takes a number.", fix=fix, position=0)
        return Type.NUMBER

    def to_ibis(self, arguments, table):
        return arguments[0] / 2

    def evaluate(self, arguments, row):
        (number,) = arguments
        return None if number is None else float(number) / 2


@dataclass(frozen=True)
class InSegment:
    """in_segment('name'): its argument must be written in the text."""

    members: tuple[str, ...]

    def check(self, arguments):
        if arguments != [Argument(Type.TEXT, is_literal=True, value="loyal")]:
            raise ArgumentError(problem="There is no such segment.", fix="in_segment('loyal')")
        return Type.BOOLEAN

    def to_ibis(self, arguments, table):
        return table["country"].isin(self.members)

    def evaluate(self, arguments, row):
        country = row.get("country")
        return None if country is None else country in self.members


@dataclass(frozen=True)
class Endless:
    def check(self, arguments):
        return Type.NUMBER

    def to_ibis(self, arguments, table):
        return ibis.literal(float("inf"))

    def evaluate(self, arguments, row):
        return float("inf")


FUNCTIONS = {"half": Half(), "in_segment": InSegment(("PT", "ES")), "endless": Endless()}
ROWS = {"amount": [4.0, None, 7.0], "country": ["PT", "FR", None], "f": [True, None, False]}


def answers(text):
    expression = parse(text, schema=SCHEMA, functions=FUNCTIONS)
    table = ibis.memtable(pa.table(ROWS))
    from_table = table.select(answer=expression.to_ibis(table)).to_pyarrow()["answer"].to_pylist()
    rows = [dict(zip(ROWS, cells, strict=True)) for cells in zip(*ROWS.values(), strict=True)]
    assert from_table == [expression.evaluate(row) for row in rows]
    return from_table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("half(amount)", [2.0, None, 3.5]),
        ("1 + HALF(amount + 2) * 2", [7.0, None, 10.0]),
        ("in_segment('loyal')", [True, False, None]),
        ("not in_segment('loyal') and amount > 1", [False, None, None]),
        ("(not in_segment('loyal')) is null", [False, False, True]),
        ("in_segment('loyal') in (true)", [True, False, None]),
        ("endless()", [None, None, None]),
        ("endless() is null or f", [True, True, True]),
    ],
)
def test_a_function_given_to_parse_is_called(text, expected):
    assert answers(text) == expected


def test_a_call_is_printed_as_it_is_read():
    text = "half( amount )>1 and In_Segment('loyal')"
    expression = parse_condition(text, schema=SCHEMA, functions=FUNCTIONS)
    assert str(expression) == "half(amount) > 1 and in_segment('loyal')"
    assert parse(str(expression), schema=SCHEMA, functions=FUNCTIONS) == expression
    assert expression.columns == {"amount"}


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("1 + half()", 4, "half takes one number"),
        ("half(country)", 5, "half takes a number"),
        ("half(null)", 5, "half takes a number"),
        ("in_segment(country)", 0, "There is no such segment"),
        ("half(amount) and f", 0, "AND needs true or false"),
        ("halv(amount)", 0, "did you mean 'half'"),
        ("half(amount", 11, "')' is missing"),
        ("half(amount amount)", 12, "An operator is missing"),
        ("half(,)", 5, "A value is missing"),
        ("half", 0, "no column 'half'"),
        ('"half"(amount)', 0, "no column 'half'"),
    ],
)
def test_a_wrong_call_is_refused_where_it_stands(text, at, message):
    with pytest.raises(ExpressionError, match="Fix: ") as caught:
        parse(text, schema=SCHEMA, functions=FUNCTIONS)
    assert message in str(caught.value)
    assert caught.value.at == at


def test_no_function_is_known_by_default():
    assert dict(NONE) == {}
    with pytest.raises(ExpressionError, match="no functions here"):
        parse("half(amount)", schema=SCHEMA)
