"""What do databases read in different ways, and how is it said so that all mean the same?"""

from typing import Final, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir

__all__ = ["engine_of", "first_text", "in_code_order", "like", "rest"]

_POSTGRES: Final = "postgres"
_EXACT: Final = 9_007_199_254_740_992.0
"""Up to here, float64 holds every whole number."""


@ibis.udf.scalar.builtin(name="convert_to", signature=((dt.string, dt.string), dt.binary))
def _bytes_of(text, encoding): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(name="convert_from", signature=((dt.binary, dt.string), dt.string))
def _text_of(code, encoding): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(name="encode", signature=((dt.binary, dt.string), dt.string))
def _written(code, form): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(name="decode", signature=((dt.string, dt.string), dt.binary))
def _unwritten(text, form): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


def engine_of(value: ir.Expr) -> str:
    """Return which database computes an expression.

    Parameters
    ----------
    value : ibis.expr.types.Expr
        A table or a value.

    Returns
    -------
    str
        Ibis's name of it, such as ``duckdb``; empty where there is no connection behind it.
    """
    sources = value.op().find((ops.DatabaseTable, ops.SQLQueryResult))
    return str(sources[0].source.name) if sources else ""


def in_code_order(text: ir.Value, *, engine: str | None = None) -> ir.Value:
    """Return what to sort or compare a text by, so that every database has the same order.

    PostgreSQL sorts as its database's language does, most others by code point.

    Parameters
    ----------
    text : ibis.expr.types.Value
        A text.
    engine : str, optional
        The database that computes it; by default the one the text is in. A literal is in none.

    Returns
    -------
    ibis.expr.types.Value
        The text itself, or its bytes in UTF-8, whose order is that of the code points.
    """
    if (engine_of(text) if engine is None else engine) != _POSTGRES:
        return text
    return cast("ir.Value", _bytes_of(text, "UTF8"))


def first_text(text: ir.StringValue) -> ir.StringValue:
    """Return the first of many texts by code point.

    Parameters
    ----------
    text : ibis.expr.types.StringValue
        A column.

    Returns
    -------
    ibis.expr.types.StringValue
        Its smallest value; missing where there is none.
    """
    if engine_of(text) != _POSTGRES:
        return text.min()
    # Of bytes there is no minimum. Hexadecimal digits sort alike in every language.
    smallest = _written(_bytes_of(text, "UTF8"), "hex").min()
    return cast("ir.StringValue", _text_of(_unwritten(smallest, "hex"), "UTF8"))


def like(text: ir.StringValue, pattern: str) -> ir.BooleanValue:
    r"""Return whether texts match a pattern in which nothing is an escape.

    Parameters
    ----------
    text : ibis.expr.types.StringValue
        Texts.
    pattern : str
        With ``%`` and ``_``.

    Returns
    -------
    ibis.expr.types.BooleanValue
        Missing where the text is.
    """
    if "\\" in pattern and engine_of(text) == _POSTGRES:
        pattern = pattern.replace("\\", r"\\")
    return text.like(pattern)


def rest(above: ir.Value, below: ir.Value) -> ir.Value:
    """Return the rest of a division in float64, with the sign of its left side.

    Parameters
    ----------
    above, below : ibis.expr.types.Value
        In float64; the divisor is not 0.

    Returns
    -------
    ibis.expr.types.Value
        In float64.
    """
    left, right = cast("ir.FloatingValue", above), cast("ir.FloatingValue", below)
    if engine_of(left * right) != _POSTGRES:
        return left % right
    # PostgreSQL divides decimals, to which float64 comes with 15 digits only.
    above_whole, below_whole = _whole(left), _whole(right)
    exact = above_whole % below_whole
    return exact.notnull().ifelse(exact.cast("float64"), left % right)


def _whole(number: ir.FloatingValue) -> ir.IntegerValue:
    """Return whole numbers as integers, missing where there are digits behind the point."""
    small = cast("ir.FloatingValue", (number.abs() <= _EXACT).ifelse(number, None))
    below = small.floor()
    return cast("ir.IntegerValue", (small == below.cast("float64")).ifelse(below, None))
