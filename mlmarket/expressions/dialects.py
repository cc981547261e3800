"""What do databases read in different ways, and how is it said so that all mean the same?"""

import operator
from functools import reduce
from typing import Final, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir

__all__ = ["engine_of", "first_text", "in_code_order", "rest"]

_POSTGRES: Final = "postgres"
_TOO_LARGE: Final = 2.0**63
_BITS: Final = 60
_UNITS: Final = ("1", *(f"0.{5**bits:0{bits}d}" for bits in (_BITS, 2 * _BITS)))
"""Powers of two as decimals: 1, 2 ** -60 and 2 ** -120, below which no bit is looked at."""


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
    # PostgreSQL divides decimals, to which a cast brings only 15 digits of float64.
    return cast("ir.Value", (_exact(left) % _exact(right)).cast("float64"))


def _exact(number: ir.FloatingValue) -> ir.DecimalValue:
    """Return float64 as a decimal with all its bits, in three pieces that integers can hold."""
    size = cast("ir.FloatingValue", number.abs())
    usable = cast("ir.FloatingValue", (size < _TOO_LARGE).ifelse(size, None))
    pieces = [usable.floor()]
    left = usable
    for _ in _UNITS[1:]:
        left = (left - pieces[-1].cast("float64")) * 2.0**_BITS
        pieces.append(left.floor())
    parts = [
        piece.cast("decimal") * ibis.literal(unit).cast("decimal")
        for piece, unit in zip(pieces, _UNITS, strict=True)
    ]
    total = reduce(operator.add, parts)
    return cast("ir.DecimalValue", (number < 0).ifelse(-total, total))
