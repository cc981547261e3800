import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.expressions import Type, parse

SCHEMA = {
    "a": Type.NUMBER,
    "b": Type.NUMBER,
    "c": Type.NUMBER,
    "f": Type.BOOLEAN,
    "g": Type.BOOLEAN,
    "t": Type.TEXT,
    "d": Type.TIME,
    "Unit Price": Type.NUMBER,
    'say "hi"': Type.TEXT,
    "date": Type.TIME,
    "timestamp": Type.TIME,
    "type": Type.TEXT,
    "value": Type.NUMBER,
    "source": Type.TEXT,
    "show": Type.NUMBER,
    "order": Type.NUMBER,
    "end": Type.NUMBER,
    "group": Type.NUMBER,
    "like": Type.NUMBER,
    "país": Type.TEXT,
    "x.y": Type.NUMBER,
}


def canonical(text):
    return str(parse(text, schema=SCHEMA))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "a"),
        ('"a"', "a"),
        ('"Unit Price" * 2', '"Unit Price" * 2'),
        ('"say ""hi""" = \'it\'\'s\'', '"say ""hi""" = \'it\'\'s\''),
        ('"x.y" > 1', '"x.y" > 1'),
        ("país = 'PT'", "\"país\" = 'PT'"),
        ('"like" > 1', '"like" > 1'),
        ("1", "1"),
        ("1.50", "1.5"),
        ("1.", "1.0"),
        ("1e3", "1000.0"),
        ("1E-2", "0.01"),
        ("1e300", "1e+300"),
        ("-1", "-1"),
        ("- 1.5", "-1.5"),
        ("-(1)", "-1"),
        ("- -1", "1"),
        ("a - -1", "a - -1"),
        ("-a", "-a"),
        ("- - a", "-(-a)"),
        ("-(a + b)", "-(a + b)"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "9.223372036854776e+18"),
        ("TRUE and False", "true and false"),
        ("'' = t", "'' = t"),
        ("a = NULL", "a = null"),
        ("d >= DATE '2024-01-31'", "d >= date '2024-01-31'"),
        ("d >= '2024-01-31'", "d >= date '2024-01-31'"),
        ("d < TimeStamp '2024-01-31T10:00'", "d < timestamp '2024-01-31 10:00:00'"),
        ("d < '2024-01-31 10:00:00.5+01:00'", "d < timestamp '2024-01-31 09:00:00.500000'"),
        ("date > date '2024-01-31'", "date > date '2024-01-31'"),
        ("timestamp = '2024-01-31'", "timestamp = date '2024-01-31'"),
        ("a+b*c", "a + b * c"),
        ("(a+b)*c", "(a + b) * c"),
        ("a - (b - c)", "a - (b - c)"),
        ("(a - b) - c", "a - b - c"),
        ("a - b % c", "a - b % c"),
        ("a % b / c", "a % b / c"),
        ("(a + b) % c", "(a + b) % c"),
        ("t || 'x' || t", "t || 'x' || t"),
        ("a != b", "a <> b"),
        ("a<=b and a>=b", "a <= b and a >= b"),
        ("f and (g and f)", "f and g and f"),
        ("f or g and f", "f or g and f"),
        ("(f or g) and f", "(f or g) and f"),
        ("not f and g", "not f and g"),
        ("not (f and g)", "not (f and g)"),
        ("not a = b", "not (a = b)"),
        ("not not f", "not (not f)"),
        ("a is null", "a is null"),
        ("not a is null", "a is not null"),
        ("a is not null", "a is not null"),
        ("f is true and f is not false", "f is true and f is not false"),
        ("a = b is null", "(a = b) is null"),
        ("a in (1, -2.5, null)", "a in (1, -2.5, null)"),
        ("t not in ('PT', 'ES')", "t not in ('PT', 'ES')"),
        ("d in ('2024-01-31', date '2024-02-01')", "d in (date '2024-01-31', date '2024-02-01')"),
        ("a between 1 and b + 1 and f", "a between 1 and b + 1 and f"),
        ("a not between b and c", "a not between b and c"),
        ("t like 'C%' or t not like '_x'", "t like 'C%' or t not like '_x'"),
        ("f = (a > b)", "f = (a > b)"),
        ("type = 'x' and source = 'y'", "type = 'x' and source = 'y'"),
        ("value > 1", "value > 1"),
        ("show > 1", "show > 1"),
        ("order + group + end > 1", "order + group + end > 1"),
        ("  a\n  >\t1  ", "a > 1"),
    ],
)
def test_a_text_of_the_language_is_read_and_printed_in_one_form(text, expected):
    assert canonical(text) == expected
    assert canonical(expected) == expected


@pytest.mark.parametrize(
    ("plain", "bracketed"),
    [
        ("a - b % c", "a - (b % c)"),
        ("a % b / c", "(a % b) / c"),
        ("a / b % c", "(a / b) % c"),
        ("a * b % c * a", "((a * b) % c) * a"),
        ("- a * b", "(-a) * b"),
        ("a + b > c", "(a + b) > c"),
        ("f or g and not f", "f or (g and (not f))"),
        ("not a > b", "not (a > b)"),
        ("not f is null", "not (f is null)"),
        ("a > b is null", "(a > b) is null"),
        ("f is null = g", "(f is null) = g"),
        ("a between b and c and f", "(a between b and c) and f"),
        ("t || t like 'x'", "(t || t) like 'x'"),
        ("f = a in (1, 2)", "f = (a in (1, 2))"),
        ("a in (1) is true", "(a in (1)) is true"),
    ],
)
def test_operators_bind_as_in_sql(plain, bracketed):
    assert parse(plain, schema=SCHEMA) == parse(bracketed, schema=SCHEMA)


ROW = {"a": 7.0, "b": 4.0, "c": -3.0, "f": True, "g": False, "t": "ab"}


@pytest.fixture(scope="module")
def database():
    connection = duckdb.connect()
    connection.execute(
        "create table t as select 7.0::double a, 4.0::double b, -3.0::double c, "
        "true f, false g, 'ab' t"
    )
    yield connection
    connection.close()


def chain(operands, operators):
    return st.builds(
        lambda first, rest: " ".join([first, *(f"{sign} {value}" for sign, value in rest)]),
        operands,
        st.lists(st.tuples(operators, operands), min_size=1, max_size=6),
    )


NUMBER_CHAINS = chain(
    st.sampled_from(["a", "b", "c", "- a", "2.5e0", "-3e0"]), st.sampled_from(list("+-*/%"))
)
CONDITIONS = st.sampled_from(
    [
        "f",
        "not g",
        "a > b + c",
        "not a = b",
        "a between c and b",
        "b not in (4, 5)",
        "t like 'a%'",
        "f is not true",
        "a = b is null",
        "not t || 'c' not like '%c'",
        "- a < b - c % b",
        "null is null",
        "f = a in (7)",
    ]
)


@settings(max_examples=80, deadline=None)
@given(st.one_of(NUMBER_CHAINS, chain(CONDITIONS, st.sampled_from(["and", "or"]))))
def test_a_text_without_brackets_means_what_duckdb_reads_in_it(database, text):
    assert (
        parse(text, schema=SCHEMA).evaluate(ROW)
        == (database.sql("from t").select(text).fetchone()[0])
    )


def test_names_keep_their_case():
    schema = {"Quantity": Type.NUMBER, "quantity": Type.TEXT}
    expression = parse("Quantity > 1 and quantity = 'x'", schema=schema)
    assert expression.columns == {"Quantity", "quantity"}
    assert expression.evaluate({"Quantity": 2, "quantity": "x"}) is True


def test_a_chain_of_or_may_be_long():
    text = " or ".join(f"a = {number}" for number in range(900))
    assert parse(text, schema=SCHEMA).evaluate({"a": 899}) is True
