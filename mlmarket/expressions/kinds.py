"""The four kinds of value that an expression can hold."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

import ibis.expr.datatypes as dt
import ibis.expr.types as ir

__all__ = ["IN_WORDS", "Schema", "Type", "kind_of", "schema_of"]


class Type(StrEnum):
    """What a column or an expression holds."""

    BOOLEAN = "boolean"
    NUMBER = "number"
    TEXT = "text"
    TIME = "time"
    UNKNOWN = "unknown"
    """A list, a structure, bytes…: the column may be there, but no expression can use it.

    A ``null`` with nothing beside it is of this kind too.
    """


Schema: TypeAlias = Mapping[str, Type]
"""The columns that an expression may use, by their names as written in the table."""

IN_WORDS: Final = {
    Type.BOOLEAN: "true or false",
    Type.NUMBER: "a number",
    Type.TEXT: "text",
    Type.TIME: "a time",
    Type.UNKNOWN: "of a type that expressions cannot use",
}


def kind_of(dtype: dt.DataType) -> Type:
    """Return the kind of value that an Ibis data type holds.

    Parameters
    ----------
    dtype : ibis.expr.datatypes.DataType
        The type of a column or of an Ibis expression.

    Returns
    -------
    Type
        Its kind, ``Type.UNKNOWN`` for what expressions cannot use.
    """
    if dtype.is_boolean():
        return Type.BOOLEAN
    if dtype.is_integer() or dtype.is_floating() or dtype.is_decimal():
        return Type.NUMBER
    if dtype.is_string():
        return Type.TEXT
    if dtype.is_timestamp() or dtype.is_date():
        return Type.TIME
    return Type.UNKNOWN


def schema_of(table: ir.Table) -> dict[str, Type]:
    """Return the columns of a table with the kind of value each holds.

    Parameters
    ----------
    table : ibis.expr.types.Table
        Any Ibis table; it is not read.

    Returns
    -------
    dict of str to Type
        One entry a column, in the table's order.

    Examples
    --------
    >>> import ibis
    >>> table = ibis.table({"amount": "decimal(18, 4)", "country": "string"}, name="orders")
    >>> {name: str(kind) for name, kind in schema_of(table).items()}
    {'amount': 'number', 'country': 'text'}
    """
    return {name: kind_of(dtype) for name, dtype in table.schema().items()}
