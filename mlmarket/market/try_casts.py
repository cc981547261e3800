"""How is a value read that may not fit, on a database whose casts stop the query?

DuckDB and Spark have a cast that gives nothing where a value does not fit. PostgreSQL has none:
there a value is looked at before it is cast, and what a cast would refuse never reaches it.
"""

import math
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Final, cast
from zoneinfo import available_timezones

import ibis
import ibis.expr.datatypes as dt

from mlmarket.expressions.dialects import engine_of

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["POSTGRES_ZONES", "text_of", "try_cast", "zoned_time"]

_POSTGRES: Final = "postgres"

_NUMBER: Final = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_PLAIN_NUMBER: Final = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)$"
_LONGEST: Final = 300
"""Digits of a number written as text: as many as float64 needs, and no exponent lies beyond."""

_LARGEST: Final = "1.7976931348623157e308"
_SMALLEST: Final = "2.4703282292062328e-324"
"""Half of the smallest float64: what is below it counts as 0."""


_DIGITS_OF_INTEGERS: Final = 18
_LONGEST_WHOLE: Final = 1e16
"""From here on, whole numbers of float64 are written with an exponent."""


def _date(separator: str) -> str:
    """Return a pattern of the days there are, leap years included."""
    fours = "(0[48]|[2468][048]|[13579][26])"
    leap = f"([0-9]{{2}}{fours}|({fours}|00)00)"
    long, short = "(0?[13578]|1[02])", "(0?[469]|11)"
    days = (
        ("[0-9]{4}", long, "(0?[1-9]|[12][0-9]|3[01])"),
        ("[0-9]{4}", short, "(0?[1-9]|[12][0-9]|30)"),
        ("[0-9]{4}", "0?2", "(0?[1-9]|1[0-9]|2[0-8])"),
        (leap, "0?2", "29"),
    )
    return "|".join(separator.join(parts) for parts in days)


_DATE: Final = f"(?!0000)({_date('-')}|{_date('/')})"
_MINUTES: Final = "([01]?[0-9]|2[0-3]):[0-5]?[0-9]"
_SECONDS: Final = f"{_MINUTES}:[0-5]?[0-9]"
_FRACTION: Final = r"(\.[0-9]{0,6})?"
_OFFSET: Final = "(Z|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)"
_IS_DATE: Final = f"^{_DATE}$"
_IS_TIME: Final = f"^{_DATE}((T| +){_MINUTES}(:[0-5]?[0-9]{_FRACTION})?)?$"
_IS_INSTANT: Final = f"^{_DATE}(T| +){_SECONDS}{_FRACTION}{_OFFSET}$"
_NAMED_ZONE: Final = "^(.*:[0-9]+:[0-9.]+) ([A-Za-z][A-Za-z0-9_/+-]*)$"
_FINER: Final = r"(\.[0-9]{6})[0-9]+"  # PostgreSQL would round what DuckDB cuts off

POSTGRES_ZONES: Final = {
    "cet": "Europe/Brussels",
    "met": "Europe/Brussels",
    "eet": "Europe/Athens",
    "wet": "Atlantic/Canary",
}
"""Zones of summer time whose names PostgreSQL takes for hours that never change."""


@ibis.udf.scalar.builtin(
    name="timezone", signature=((dt.string, dt.Timestamp(scale=6)), dt.Timestamp(timezone="UTC"))
)
def _instant_in(zone, local): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


def try_cast(value: "ir.Value", target: "str | dt.DataType", engine: str) -> "ir.Value":
    """Return values in another type, missing where they do not fit.

    Parameters
    ----------
    value : ibis.expr.types.Value
        Texts without white space around them, or numbers, truth or times.
    target : str or ibis.expr.datatypes.DataType
        The type wanted; times without a zone.
    engine : str
        Ibis's name of the database.

    Returns
    -------
    ibis.expr.types.Value
        Of that type.
    """
    dtype = dt.dtype(target)
    if engine != _POSTGRES:
        return value.try_cast(dtype)
    source = value.type()
    if source.is_string():
        return _of_text(cast("ir.StringValue", value), dtype)
    if source.is_boolean() and dtype.is_numeric():
        return value.cast("int32").cast(dtype)
    if source.is_floating() and dtype.is_decimal():
        return _decimal_of_float(cast("ir.FloatingValue", value), dtype)
    if source.is_numeric() and (dtype.is_integer() or dtype.is_decimal()):
        return _in_range(cast("ir.NumericValue", value), dtype)
    return value.cast(dtype)


def _of_text(text: "ir.StringValue", dtype: "dt.DataType") -> "ir.Value":
    if dtype.is_floating():
        return _float_of(cast("ir.StringValue", text.strip())).cast(dtype)
    if dtype.is_integer() or dtype.is_decimal():
        return _in_range(_number_of(cast("ir.StringValue", text.strip())), dtype)
    if dtype.is_timestamp():
        return _time_of(text)
    if dtype.is_date():
        return text.re_search(_IS_DATE).ifelse(text, None).cast(dtype)
    if dtype.is_boolean():
        return ibis.cases(
            (text.lower().isin(("true", "t", "yes", "y", "1")), True),
            (text.lower().isin(("false", "f", "no", "n", "0")), False),
        )
    return text.cast(dtype)


def _number_of(text: "ir.StringValue") -> "ir.DecimalValue":
    """Return a number with all its digits."""
    readable = text.re_search(_NUMBER) & (text.length() <= _LONGEST)
    return cast("ir.DecimalValue", readable.ifelse(text, None).cast("decimal"))


def _float_of(text: "ir.StringValue") -> "ir.FloatingValue":
    plain = text.re_search(_PLAIN_NUMBER) & (text.length() <= _LONGEST)
    number = _number_of(text)
    size = number.abs()
    return cast(
        "ir.FloatingValue",
        ibis.cases(
            (plain, text.cast("float64")),
            (size > ibis.literal(_LARGEST).cast("decimal"), None),
            ((size > 0) & (size < ibis.literal(_SMALLEST).cast("decimal")), 0.0),
            else_=number.cast("float64"),
        ),
    )


def _in_range(number: "ir.NumericValue", dtype: "dt.DataType") -> "ir.Value":
    """Return numbers in a type that holds no larger ones than its digits allow."""
    if dtype.is_decimal():
        digits, places = cast("dt.Decimal", dtype).precision, cast("dt.Decimal", dtype).scale
        if digits is None or places is None:
            return number.cast(dtype)
        # Rounded half away from zero, it must be below the power of ten.
        limit = Decimal(10) ** (digits - places) - Decimal(5).scaleb(-places - 1)
        fits = number.abs() < ibis.literal(limit)
        return fits.ifelse(number, None).cast(dtype)
    bounds = cast("dt.Integer", dtype).bounds
    low, high = Decimal(bounds.lower) - Decimal("0.5"), Decimal(bounds.upper) + Decimal("0.5")
    if number.type().is_floating():  # halves go to the even neighbour, not away from zero
        fits = (number >= float(low)) & (number < float(high))
    else:
        fits = (number > ibis.literal(low)) & (number < ibis.literal(high))
    return fits.ifelse(number, None).cast(dtype)


def _decimal_of_float(number: "ir.FloatingValue", dtype: "dt.DataType") -> "ir.Value":
    """Return float64 in decimals as DuckDB does: PostgreSQL would look at 15 digits only."""
    digits, places = cast("dt.Decimal", dtype).precision, cast("dt.Decimal", dtype).scale
    if digits is None or places is None or digits > _DIGITS_OF_INTEGERS:
        return number.cast(dtype)
    size = cast("ir.FloatingValue", number.cast("float64").abs())
    usable = (size <= 10.0 ** (digits - places)).ifelse(size, None)
    size = cast("ir.FloatingValue", usable * 10.0**places)
    below = size.floor().cast("float64")
    units = below + (size - below >= 0.5).ifelse(1.0, 0.0)  # rounded half away from zero
    whole = (units < 10.0**digits).ifelse(units * number.sign(), None).cast("int64")
    return (whole.cast("decimal") * ibis.literal(Decimal(1).scaleb(-places))).cast(dtype)


def _time_of(text: "ir.StringValue") -> "ir.TimestampValue":
    """Return what a clock on the wall showed."""
    cut = text.re_replace(_FINER, r"\1")
    found = ibis.cases((text.re_search(_IS_TIME), text), (cut.re_search(_IS_TIME), cut))
    return cast("ir.TimestampValue", found.cast("timestamp(6)"))


def zoned_time(text: "ir.StringValue") -> "ir.TimestampValue":
    """Return times written with an offset or the name of a zone, on PostgreSQL.

    Parameters
    ----------
    text : ibis.expr.types.StringValue
        Such as ``2026-07-01 08:30:00+01:00``, or with `` Europe/Lisbon`` behind.

    Returns
    -------
    ibis.expr.types.TimestampValue
        With a zone; missing where the text is no such time.
    """
    cut = text.re_replace(_FINER, r"\1")
    name = cut.re_replace(_NAMED_ZONE, r"\2").lower()
    clock = _time_of(cut.re_replace(_NAMED_ZONE, r"\1"))
    zone = ibis.cases(
        *((name == given, ibis.literal(meant)) for given, meant in POSTGRES_ZONES.items()),
        (ibis.literal(_known_zones()).contains(ibis.literal(" ") + name + " "), name),
    )
    found = cut.re_search(_IS_INSTANT).ifelse(cut, None).cast('timestamp("UTC")')
    return cast(
        "ir.TimestampValue",
        cut.re_search(_NAMED_ZONE).ifelse(_instant_in(zone, clock), found),
    )


@cache
def _known_zones() -> str:
    """Return the names of all zones in one text: a list of them would be a long query."""
    return f" {' '.join(sorted(zone.lower() for zone in available_timezones()))} "


def text_of(value: "ir.Value") -> "ir.StringValue":
    """Return values as text, numbers with a decimal point where their type has one.

    Parameters
    ----------
    value : ibis.expr.types.Value
        Of any type that can be written.

    Returns
    -------
    ibis.expr.types.StringValue
        ``1.0`` where PostgreSQL alone would write ``1``.
    """
    text = cast("ir.StringValue", value.cast("string"))
    if not value.type().is_floating() or engine_of(value) != _POSTGRES:
        return text
    number = cast("ir.FloatingValue", value.cast("float64"))
    small = cast("ir.FloatingValue", (number.abs() < _LONGEST_WHOLE).ifelse(number, None))
    whole = small.floor()  # as an integer
    return cast(
        "ir.StringValue",
        ibis.cases(
            (small == whole.cast("float64"), whole.cast("string") + ".0"),
            (number.isnan(), "nan"),
            (number == math.inf, "inf"),
            (number == -math.inf, "-inf"),
            else_=text,
        ),
    )
