"""How does Spark read text, where its own casts read more, or less, than DuckDB's?

Spark takes ``10:00`` for that hour of today and ``2026`` for a New Year's Day. What is written otherwise
than the contract says is missing here, so that the checks count it.
"""

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

import ibis
import ibis.expr.datatypes as dt

from mlmarket.errors import ConfigurationError

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["from_format", "iso_time", "letters_of", "money_of_float", "to_utc"]

_TIME: Final = "timestamp(6)"
_ISO: Final = (
    r"^\d{4}[-/]\d{1,2}[-/]\d{1,2}"
    r"([T ]\d{1,2}:\d{2}(:\d{2}(\.\d*)?)?( *([Zz]|[+-]\d{2}(:?\d{2})?|[A-Za-z][A-Za-z_/+0-9-]*))?)?$"
)
_SLASHES: Final = r"^(\d{4})[-/](\d{1,2})[-/](\d{1,2})"
_NO_SECONDS: Final = r"([T ]\d{1,2}:\d{2}) *([A-Za-z+-])"  # Spark wants them before an offset
_LATER: Final = 3 * 3_600_000_000
"""In microseconds, longer than any hour that clocks repeat."""

_DIRECTIVES: Final = {
    "d": ("d", "dd"),
    "m": ("M", "MM"),
    "Y": ("yyyy", "yyyy"),
    "H": ("H", "HH"),
    "I": ("h", "hh"),
    "M": ("m", "mm"),
    "S": ("s", "ss"),
    "f": ("SSSSSS", "SSSSSS"),
    "p": ("a", "a"),
    "b": ("MMM", "MMM"),
    "B": ("MMMM", "MMMM"),
    "j": ("D", "DDD"),
    "z": ("[xxx][xx][x]", "[xxx][xx][x]"),
}
"""Spark's letters for each sign of a format: alone, and where digits follow one another."""

_SIGN: Final = re.compile(r"%-?(.)|([^%]+)")


@ibis.udf.scalar.builtin(
    name="to_utc_timestamp", signature=((dt.Timestamp(scale=6), dt.string), dt.Timestamp(scale=6))
)
def _to_utc(local, zone): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(
    name="from_utc_timestamp", signature=((dt.Timestamp(scale=6), dt.string), dt.Timestamp(scale=6))
)
def _from_utc(moment, zone): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(
    name="try_to_timestamp", signature=((dt.string, dt.string), dt.Timestamp(scale=6))
)
def _parse(text, letters): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(name="unix_micros", signature=((dt.Timestamp(scale=6),), dt.int64))
def _microseconds(moment): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(name="timestamp_micros", signature=((dt.int64,), dt.Timestamp(scale=6)))
def _moment(microseconds): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


def to_utc(local: "ir.TimestampValue", zone: str) -> "ir.TimestampValue":
    """Return local times without a zone in UTC.

    Parameters
    ----------
    local : ibis.expr.types.TimestampValue
        What the clock on the wall showed.
    zone : str
        IANA name of the zone.

    Returns
    -------
    ibis.expr.types.TimestampValue
        Of an hour that the clocks repeat, the second; Spark alone would take the first.
    """
    first: Any = _to_utc(local, zone)
    start: Any = _microseconds(first)
    # Where the clocks are put back within three hours, the wall clock shows that much less then.
    shown: Any = _microseconds(_from_utc(_moment(start + _LATER), zone))
    second = _moment(start + (_microseconds(local) + _LATER - shown))
    repeated: Any = _from_utc(second, zone) == local
    return cast("ir.TimestampValue", repeated.ifelse(second, first))


def iso_time(text: "ir.StringValue") -> "ir.TimestampValue":
    """Return times written as ISO 8601.

    Parameters
    ----------
    text : ibis.expr.types.StringValue
        Without white space around it.

    Returns
    -------
    ibis.expr.types.TimestampValue
        In UTC where the text says an offset or a zone, else what the clock on the wall showed;
        missing where it is no time.
    """
    dashed = text.re_replace(_SLASHES, "$1-$2-$3").re_replace(_NO_SECONDS, "$1:00$2")
    known = text.re_search(_ISO).ifelse(dashed, None)
    return cast("ir.TimestampValue", known.try_cast(_TIME))


def from_format(text: "ir.StringValue", time_format: str) -> "ir.TimestampValue":
    """Return times written in a declared format.

    Parameters
    ----------
    text : ibis.expr.types.StringValue
        Without white space around it.
    time_format : str
        In the signs of ``strptime``.

    Returns
    -------
    ibis.expr.types.TimestampValue
        In UTC where the format has an offset, else what the clock on the wall showed; missing where
        the text is no such time.

    Raises
    ------
    ConfigurationError
        Where Spark has no letters for a sign.
    """
    return cast("ir.TimestampValue", _parse(text, letters_of(time_format)))


def letters_of(time_format: str) -> str:
    """Return a format in Spark's letters.

    Parameters
    ----------
    time_format : str
        In the signs of ``strptime``.

    Returns
    -------
    str
        For Spark's ``to_timestamp``.

    Raises
    ------
    ConfigurationError
        Where Spark has no letters for a sign.

    Examples
    --------
    >>> letters_of("%d/%m/%Y %H:%M"), letters_of("%Y%m%d")
    ("d'/'M'/'yyyy' 'H':'m", 'yyyyMMdd')
    """
    parts = [(found[1], found[2]) for found in _SIGN.finditer(time_format)]
    letters = []
    for place, (sign, between) in enumerate(parts):
        if between is not None or sign == "%":
            letters.append("'{}'".format((between or "%").replace("'", "''")))
            continue
        if sign not in _DIRECTIVES:
            raise ConfigurationError(
                f"The time format '{time_format}' has the sign '%{sign}', which Spark cannot read.",
                "Times written as text are read by it.",
                f"use {', '.join('%' + known for known in _DIRECTIVES)}, or run on DuckDB.",
            )
        beside = parts[max(place - 1, 0) : place] + parts[place + 1 : place + 2]
        letters.append(_DIRECTIVES[sign][any(between is None for _, between in beside)])
    return "".join(letters)


def money_of_float(number: "ir.FloatingValue") -> "ir.DecimalValue":
    """Return floats as money, rounded as DuckDB does: the product with 10,000, half away from zero.

    Parameters
    ----------
    number : ibis.expr.types.FloatingValue
        Amounts. Spark alone would round their shortest decimal form.

    Returns
    -------
    ibis.expr.types.DecimalValue
        ``decimal(18, 4)``; missing where an amount does not fit.
    """
    whole = (number.cast("float64") * 10_000.0).try_cast("decimal(22, 0)")
    exact = cast("ir.DecimalValue", whole) * ibis.literal(Decimal("0.0001"), "decimal(26, 4)")
    return cast("ir.DecimalValue", exact.try_cast("decimal(18, 4)"))
