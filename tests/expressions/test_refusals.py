import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.expressions import ExpressionError, Type, parse, parse_condition

SCHEMA = {
    "amount": Type.NUMBER,
    "Quantity": Type.NUMBER,
    "country": Type.TEXT,
    "is_open": Type.BOOLEAN,
    "ordered_at": Type.TIME,
    "tags": Type.UNKNOWN,
}

REFUSED = [
    # text, where the caret stands, a part of the message
    ("", 0, "empty"),
    ("  \n ", 0, "empty"),
    ("sum(amount)", 0, "'sum' is not a function"),
    ("amount > abs(amount)", 9, "'abs' is not a function"),
    ("date('2024-01-31')", 0, "without brackets"),
    ("select 1", 0, "Queries inside"),
    ("amount > (select 1)", 10, "Queries inside"),
    ("amount in (select 1)", 11, "Queries inside"),
    ("exists (select 1)", 0, "Queries inside"),
    ("amount > all(amount)", 9, "Queries inside"),
    ("amount > 1;", 10, "';' is not part"),
    ("amount; drop table contacts", 6, "';' is not part"),
    ("amount -- cents", 7, "Comments"),
    ("/* cents */ amount", 0, "Comments"),
    ("amount /* c */ > 1", 7, "Comments"),
    ("amount --1", 7, "Comments"),
    ("{# c #} amount", 0, "Comments"),
    ("sum(amount) over (partition by country)", 0, "'sum' is not a function"),
    ("amount over (partition by country)", 7, "Window"),
    ("cast(amount as int)", 0, "Casts"),
    ("try_cast(amount as int)", 0, "Casts"),
    ("amount::int", 6, "Casts"),
    ("int '5'", 0, "Casts"),
    ("timestamptz '2024-01-31'", 0, "Casts"),
    ("case when is_open then 1 else 2 end", 0, "CASE"),
    ("*", 0, "'*' needs a number"),
    ("amount * * 2", 9, "'*' needs a number"),
    ("orders.amount", 0, "Names with a dot"),
    ("amount.x", 6, "Names with a dot"),
    (".5", 0, "Names with a dot"),
    ("amount > ?", 9, "Parameters"),
    ("amount > $1", 9, "Parameters"),
    ("amount > $x", 9, "Parameters"),
    ("amount > :x", 9, "Parameters"),
    ("amount > @x", 9, "Parameters"),
    ("amount > {{ x }}", 9, "Lists and structures"),
    ("x -> x + 1", 0, "Lambdas"),
    ("lambda x: x", 0, "Lambdas"),
    ("[1, 2]", 0, "Lists"),
    ("amount[1]", 6, "Lists"),
    ("{'a': 1}", 0, "Lists"),
    ("map {1: 2}", 0, "Lists"),
    ("row(1, 2)", 0, "Lists"),
    ("(1, 2)", 2, "does not belong here"),
    ("amount as a", 7, "AS is not"),
    ("amount a", 7, "An operator is missing"),
    ("amount order by amount", 7, "Clauses"),
    ("amount desc", 7, "Clauses"),
    ("amount from orders", 7, "Clauses"),
    ("country collate nocase = 'x'", 8, "An operator is missing"),
    ("country ilike 'x'", 8, "LIKE is the only pattern"),
    ("country similar to 'x'", 8, "LIKE is the only pattern"),
    ("country ~ 'x'", 8, "LIKE is the only pattern"),
    ("country like 'x' escape '!'", 17, "LIKE is the only pattern"),
    ("country like country", 13, "pattern written as text"),
    ("country like 5", 13, "pattern written as text"),
    ("country like 'a\\%'", 13, "backslash"),
    ("amount isnull", 7, "ISNULL"),
    ("amount is 5", 10, "IS must be followed"),
    ("amount is not", 13, "IS must be followed"),
    ("amount not is null", 7, "NOT cannot stand between"),
    ("is_open = not is_open", 10, "NOT cannot stand here"),
    ("ordered_at > interval '1' day", 13, "Intervals"),
    ("ordered_at at time zone 'UTC'", 11, "Intervals"),
    ("amount == 1", 7, "'==' is not"),
    ("amount ^ 2", 7, "This sign"),
    ("amount ** 2", 7, "This sign"),
    ("amount // 2", 7, "This sign"),
    ("amount & 1", 7, "joined with words"),
    ("is_open && is_open", 8, "joined with words"),
    ("!is_open", 0, "joined with words"),
    ("+amount", 0, "A value is missing"),
    ("amount +", 8, "A value is missing"),
    ("> 1", 0, "A value is missing"),
    ("amount in ()", 11, "A value is missing"),
    ("amount in (1,)", 13, "A value is missing"),
    ("amount in 1", 10, "'(' is missing"),
    ("amount in (Quantity)", 11, "holds values, not columns"),
    ("amount in (1 + 1)", 11, "holds values, not columns"),
    ("amount between 1", 16, "AND is missing"),
    ("amount between symmetric 1 and 2", 15, "no column 'symmetric'"),
    ("(amount", 7, "')' is missing"),
    ("amount)", 6, "does not belong here"),
    ("()", 1, "A value is missing"),
    ("amount < amount < 2", 16, "cannot follow another comparison"),
    ("country like 'a' like 'b'", 17, "cannot follow another comparison"),
    ("'abc", 0, "quote that opens a text"),
    ("country = 'it''s", 10, "quote that opens a text"),
    ('"amount > 1', 0, "quote that opens a name"),
    ("E'a' = country", 0, "This kind of quote"),
    ("$$a$$ = country", 0, "This kind of quote"),
    ("'a' 'b'", 4, "An operator is missing"),
    ("1_000", 0, "not a number"),
    ("0x1F", 1, "An operator is missing"),
    ("30d", 2, "An operator is missing"),
    ("amount > 1e999", 9, "too large"),
    ("null", 0, "bare NULL"),
    ("null = null or amount", 15, "OR needs true or false"),
    ("tags = 'x'", 0, "of a type that expressions cannot use"),
    ("tags is null", 0, "of a type that expressions cannot use"),
    ("amount\x00", 6, "U+0000"),
    ("country = '\ud800'", 11, "U+D800"),
    ("amo\u200bunt > 1", 0, "This sign"),
    # kinds
    ("amount + country", 9, "'+' needs a number, but country is text"),
    ("ordered_at + 1", 0, "'+' needs a number"),
    ("is_open * 2", 0, "'*' needs a number"),
    ("-country", 1, "'-' needs a number"),
    ("-'x'", 1, "'-' needs a number"),
    ("amount || country", 0, "'||' needs text"),
    ("amount like 'x'", 0, "LIKE needs text"),
    ("not amount", 4, "NOT needs true or false"),
    ("amount and is_open", 0, "AND needs true or false"),
    ("amount is true", 0, "IS TRUE needs true or false"),
    ("amount = country", 9, "amount is a number and country is text"),
    ("country = 5", 10, "country is text and 5 is a number"),
    ("amount = '5'", 9, "amount is a number and '5' is text"),
    ("is_open = 1", 10, "is_open is true or false and 1 is a number"),
    ("is_open in (1, 0)", 12, "is_open is true or false and 1 is a number"),
    ("amount in (1, 'x')", 14, "amount is a number and 'x' is text"),
    ("amount between 1 and 'x'", 21, "amount is a number and 'x' is text"),
    ("ordered_at = country", 13, "ordered_at is a time and country is text"),
    ("ordered_at > 20240131", 13, "ordered_at is a time and 20240131 is a number"),
    ("ordered_at > 'yesterday'", 13, "'yesterday' is not a time"),
    ("ordered_at > '2024-02-30'", 13, "'2024-02-30' is not a time"),
    ("ordered_at > '20240131'", 13, "is not a time"),
    ("ordered_at > '2024-01-31 24:00'", 13, "is not a time"),
    ("ordered_at > '2024-01-31 10:00:00.1234567'", 13, "is not a time"),
    ("ordered_at > '0001-01-01 00:00+10:00'", 13, "is not a time"),
    ("ordered_at > date '31.01.2024'", 18, "is not a time"),
]


@pytest.mark.parametrize(
    ("text", "at", "message"), REFUSED, ids=[repr(case[0]) for case in REFUSED]
)
def test_what_is_not_in_the_language_is_refused_where_it_stands(text, at, message):
    with pytest.raises(ExpressionError) as caught:
        parse(text, schema=SCHEMA)
    error = caught.value
    assert message in error.what
    assert error.at == at
    assert error.text == text
    assert str(error).splitlines()[-1].startswith("Fix: ")
    assert error.why
    assert isinstance(error, ConfigurationError)
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("amuont > 1", "amount"),
        ("quantity > 1", "Quantity"),
        ("\"Country\" = 'PT'", "country"),
    ],
)
def test_a_misspelt_column_gets_the_near_name(text, suggested):
    with pytest.raises(ExpressionError, match=f"did you mean '{suggested}'"):
        parse(text, schema=SCHEMA)


def test_text_in_double_quotes_is_explained():
    with pytest.raises(ExpressionError, match="Text goes in single quotes: 'PT'"):
        parse('country = "PT"', schema=SCHEMA)


def test_a_column_that_cannot_be_used_is_not_suggested():
    with pytest.raises(ExpressionError) as caught:
        parse("tagz = 1", schema=SCHEMA)
    assert "tags" not in caught.value.fix


def test_the_message_shows_the_text_with_a_caret_under_the_mistake():
    with pytest.raises(ExpressionError) as caught:
        parse("amount > 5 and cuntry = 'PT'", schema=SCHEMA)
    assert str(caught.value).splitlines() == [
        "There is no column 'cuntry'.",
        "    amount > 5 and cuntry = 'PT'",
        "                   ^",
        "An expression can use only the columns of its table, written as they are there.",
        "Fix: did you mean 'country'?",
    ]


def test_only_the_line_with_the_mistake_is_shown():
    with pytest.raises(ExpressionError) as caught:
        parse("amount > 5\n  and cuntry = 'PT'\n  and is_open", schema=SCHEMA)
    assert caught.value.what.splitlines()[1:] == [
        "      and cuntry = 'PT'",
        "          ^",
    ]


def test_a_long_line_is_cut_around_the_mistake():
    text = f"country = '{'x' * 200}' and amuont > 1 and country = '{'y' * 200}'"
    with pytest.raises(ExpressionError) as caught:
        parse(text, schema=SCHEMA)
    _, shown, caret = caught.value.what.splitlines()
    assert len(shown) < 90
    assert shown[caret.index("^") :].startswith("amuont")


def test_the_caret_counts_the_width_of_wide_characters():
    with pytest.raises(ExpressionError) as caught:
        parse("country = '日本' and x = 1", schema=SCHEMA)
    _, shown, caret = caught.value.what.splitlines()
    assert caret.index("^") == shown.index("x =") + 2


def test_control_characters_of_the_text_do_not_reach_the_terminal():
    with pytest.raises(ExpressionError) as caught:
        parse("country = '\x1b[31m' and x = 1", schema=SCHEMA)
    assert "\x1b" not in str(caught.value)


def test_a_text_of_more_than_ten_thousand_characters_is_refused():
    long = f"country = '{'x' * 9_988}'"
    assert len(long) == 10_000
    assert parse(long, schema=SCHEMA).columns == {"country"}
    with pytest.raises(ExpressionError, match="10,001 characters"):
        parse(long + " ", schema=SCHEMA)


def test_what_is_not_text_is_refused():
    with pytest.raises(ExpressionError, match="this is int"):
        parse(5, schema=SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 60 + "amount" + ")" * 60,
        "(" * 9_000,
        "- " * 60 + "amount",
        "not " * 60 + "is_open",
        "amount in (" * 60,
        " + ".join(["amount"] * 60),
        "/".join(["amount"] * 1_400),
        "(" * 40 + "is_open" + " = is_open)" * 40 + " is null" * 40,
        "amount - (" * 49 + "amount" + " * amount" * 3 + ")" * 49,
    ],
    ids=range(9),
)
def test_a_deep_text_is_refused_before_the_stack_ends(text):
    with pytest.raises(ExpressionError, match="more than 50 levels deep"):
        parse(text, schema=SCHEMA)


def test_divisions_inside_divisors_are_limited():
    fits = "amount / (" * 6 + "amount" + ")" * 6
    assert parse(fits, schema=SCHEMA).evaluate({"amount": 2.0}) == 2.0
    with pytest.raises(ExpressionError, match="nested in divisors"):
        parse(f"amount / ({fits})", schema=SCHEMA)


def test_a_caller_almost_out_of_stack_gets_the_same_kind_of_error():
    def from_depth(frames):
        if frames:
            return from_depth(frames - 1)
        return parse("(" * 45 + "amount" + ")" * 45, schema=SCHEMA)

    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    with pytest.raises(ExpressionError, match="too deep"):
        from_depth(sys.getrecursionlimit() - depth - 60)


def test_a_condition_must_be_true_or_false():
    assert parse_condition("amount > 1", schema=SCHEMA).kind is Type.BOOLEAN
    with pytest.raises(ExpressionError, match="this is a number") as caught:
        parse_condition("amount + 1", schema=SCHEMA)
    assert caught.value.at == 0


WORDS = """
    amount Quantity country is_open ordered_at tags and or not is null true false in between like
    date timestamp ( ) , . ; + - * / % || = <> != < <= > >= == :: -> => ? $1 $ $$ :x @ [ ] { }
    {{ }} {% %} -- /* */ # ! ~ ~~ & | ^ // ** select case when cast over from order group by as
    e' E' x' N' '' ' \" `
""".split()  # noqa: SIM905 -- a list of so many short words is easier to read like this
PIECES = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(["1", "0", "1e400", "1_0", "1.5.2", "'PT'", "'2024-01-31'", '"amount"', "'%'"]),
    st.text(max_size=5),
    st.sampled_from([" ", "\n", "\t", "\u00a0", "\u200b", "\x00", "\ud800", "é", "😀", "\\"]),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=14), st.sampled_from(["", " "]))
@example(["'", "\\"], "")
@example(["{%", "raw"], " ")
def test_a_hostile_text_raises_nothing_but_the_error_of_expressions(pieces, separator):
    text = separator.join(pieces)
    refused = None
    try:
        expression = parse(text, schema=SCHEMA)
    except ExpressionError as error:
        refused = error
    if refused is not None:
        assert 0 <= refused.at <= len(text)
        assert str(refused).count("\nFix: ") == 1
        return
    assert parse(str(expression), schema=SCHEMA) == expression
    expression.evaluate({})
