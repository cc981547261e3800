"""What the linter calls sure is true of every row."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.expressions import Type, parse_condition
from mlmarket.orchestration.lint.logic import always, implies, never

SCHEMA = {"a": Type.NUMBER, "b": Type.TEXT, "c": Type.BOOLEAN}
NUMBERS = st.sampled_from([0, 1, 2, 3])
SIGNS = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
ATOMS = st.one_of(
    st.builds("a {} {}".format, SIGNS, NUMBERS),
    st.builds("{1} {0} a".format, SIGNS, NUMBERS),
    st.builds("a between {} and {}".format, NUMBERS, NUMBERS),
    st.builds("a in ({}, {})".format, NUMBERS, NUMBERS),
    st.builds("a not in ({}, {})".format, NUMBERS, NUMBERS),
    st.sampled_from(["b = 'x'", "b <> 'x'", "b in ('x', 'y')", "b > 'x'", "b is null"]),
    st.sampled_from(["c", "not c", "c is true", "true", "false", "a is not null"]),
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=5,
)
ROWS = [
    {"a": a, "b": b, "c": c}
    for a in (None, -1, 0, 0.5, 1, 1.5, 2, 2.5, 3, 4)
    for b in (None, "w", "x", "y", "z")
    for c in (None, True, False)
]


@settings(max_examples=400, deadline=None)
@given(CONDITIONS, CONDITIONS)
def test_what_is_implied_holds_on_every_row(first, second):
    one, other = (parse_condition(text, schema=SCHEMA) for text in (first, second))
    if implies(one, other):
        assert all(other.evaluate(row) for row in ROWS if one.evaluate(row)), (first, second)


@settings(max_examples=400, deadline=None)
@given(CONDITIONS)
def test_what_never_or_always_holds_does_so_on_every_row(text):
    one = parse_condition(text, schema=SCHEMA)
    if never(one):
        assert not any(one.evaluate(row) for row in ROWS)
    if always(one):
        assert all(one.evaluate(row) for row in ROWS)
