"""Which operations may a compiled feature be made of, and does this database know them all?

Ibis says that a database lacks an operation only while it writes the query, in its own words. What
a query is made of is looked at before, so that a market on an engine that cannot answer is refused
with the name of both.
"""

from typing import TYPE_CHECKING, Any, Final

from mlmarket.errors import ConfigurationError

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["OPERATIONS", "refuse_unsupported"]

_ROWS: Final = frozenset(
    {
        "Aggregate",
        "DatabaseTable",
        "Distinct",
        "Filter",
        "InMemoryTable",
        "JoinChain",
        "JoinLink",
        "JoinReference",
        "Limit",
        "Project",
        "SQLQueryResult",
        "Sort",
        "SortKey",
        "Union",
    }
)
_VALUES: Final = frozenset(
    {
        "Abs",
        "Add",
        "And",
        "Between",
        "Cast",
        "Coalesce",
        "Count",
        "CountStar",
        "Divide",
        "Equals",
        "Field",
        "Floor",
        "FloorDivide",
        "Greater",
        "GreaterEqual",
        "Greatest",
        "IdenticalTo",
        "IfElse",
        "InValues",
        "IntervalAdd",
        "IsInf",
        "IsNan",
        "IsNull",
        "Lag",
        "Less",
        "LessEqual",
        "Literal",
        "Ln",
        "Lowercase",
        "Max",
        "Min",
        "Modulus",
        "Multiply",
        "Negate",
        "Not",
        "NotEquals",
        "NotNull",
        "NullIf",
        "Or",
        "RegexReplace",
        "RegexSearch",
        "ScalarUDF",
        "SearchedCase",
        "Sign",
        "Sqrt",
        "StringConcat",
        "StringContains",
        "StringLength",
        "StringReplace",
        "StringSQLLike",
        "Strip",
        "Subtract",
        "Sum",
        "TimestampAdd",
        "TimestampDelta",
        "TryCast",
        "WindowFunction",
    }
)
OPERATIONS: Final = _ROWS | _VALUES
"""Names of the Ibis operations whose results are held equal, engine by engine, by the tests.

A ``ScalarUDF`` is a function that a database brings and that is named for it alone.
"""

_LONGEST_NAME: Final = 63
"""Bytes of a name that PostgreSQL looks at."""


def refuse_unsupported(table: "ir.Table") -> None:
    """Refuse a query that the database behind it cannot answer.

    Parameters
    ----------
    table : ibis.expr.types.Table
        What shall be computed, such as the result of
        :func:`mlmarket.features.ibis_compiler.compile_features`.

    Raises
    ------
    ConfigurationError
        Where the database lacks an operation, or would take two names for one.
    """
    import ibis.expr.operations as ops

    backend = table.get_backend()
    kinds = {type(node) for node in table.op().find(ops.Value)}
    for kind in sorted(kinds, key=lambda kind: kind.__name__):
        if not issubclass(kind, ops.ScalarUDF) and not backend.has_operation(kind):
            raise ConfigurationError(
                f"The engine '{backend.name}' does not know the operation {kind.__name__}.",
                "The features asked for, or a condition in them, are made of it.",
                "leave out the feature, or copy the tables to DuckDB, PostgreSQL or Spark.",
            )
    if backend.name == "postgres":
        _refuse_cut_names(table)


def _refuse_cut_names(table: "ir.Table") -> None:
    import ibis.expr.operations as ops

    relations: Any = table.op().find(ops.Relation)
    for relation in relations:
        seen: dict[bytes, str] = {}
        for name in relation.schema.names:
            cut = name.encode()[:_LONGEST_NAME]
            if cut in seen:
                raise ConfigurationError(
                    f"The columns '{seen[cut]}' and '{name}' are one to PostgreSQL.",
                    f"It looks at the first {_LONGEST_NAME} bytes of a name.",
                    "give one of the features a shorter name: count(…, name=…).",
                )
            seen[cut] = name
