"""How does a column of any source become a column of the contract?

Each function takes an Ibis value as it came and returns it in the contract's form; what cannot be
read becomes missing, and the checks count it.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import ibis
import ibis.expr.datatypes as dt

from mlmarket.expressions.dialects import engine_of
from mlmarket.market import spark_casts
from mlmarket.market.columns import Kind
from mlmarket.market.time_formats import TimeFormat
from mlmarket.market.try_casts import POSTGRES_ZONES, try_cast, zoned_time

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = [
    "FILLED",
    "MONEY",
    "Reading",
    "cast_column",
    "integer_written_as_float",
    "is_blank",
    "stripped",
]

MONEY: Final = "decimal(18, 4)"
_TIME: Final = "timestamp(6)"
_FLOAT_ID: Final = r"^-?[0-9]+\.0+$"
# Spelt out, since what counts as white space or a digit differs from one database to another.
_SPACES: Final = " \t\n\f\r"
_FIRST_SIGN: Final = "!"
_RAGGED: Final = r"^[ \t\n\f\r]|[ \t\n\f\r]$"
FILLED: Final = r"[^ \t\n\f\r]"
_DAY: Final = r"^[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}$"
_DAY_END: Final = timedelta(days=1) - timedelta(microseconds=1)
# An offset or a zone's name; only behind a time, since the end of 2026-07-01 looks like an offset.
_ZONED: Final = r":[0-9]{2}(\.[0-9]+)? *([Zz]|[+-][0-9]{2}(:?[0-9]{2})?|[A-Za-z]+[A-Za-z_/+0-9-]*)$"
_SPACED_OFFSET: Final = r" +([+-][0-9:]+)$"
_NO_SECONDS: Final = r"([T ][0-9]{1,2}:[0-9]{2})([Zz+-])"  # DuckDB wants them before an offset
_HOUR_DIRECTIVE: Final = re.compile(r"%-?[HIcX]")
_ZONE_DIRECTIVE: Final = re.compile(r"%-?[zZ]")
_TRUE: Final = ("true", "t", "yes", "y", "1", "1.0")
_FALSE: Final = ("false", "f", "no", "n", "0", "0.0")


@ibis.udf.scalar.builtin(
    name="timezone", signature=((dt.string, dt.Timestamp(scale=6)), dt.Timestamp(timezone="UTC"))
)
def _instant_in(zone, local): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(
    name="timezone", signature=((dt.string, dt.Timestamp(timezone="UTC")), dt.Timestamp(scale=6))
)
def _wall_clock_in(zone, moment): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(name="epoch_us", signature=((dt.Timestamp(timezone="UTC"),), dt.int64))
def _epoch_us(moment): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(name="make_timestamp", signature=((dt.int64,), dt.Timestamp(scale=6)))
def _make_timestamp(microseconds): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(
    name="try_strptime", signature=((dt.string, dt.string), dt.Timestamp(scale=6))
)
def _parse_local(text, time_format): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


@ibis.udf.scalar.builtin(
    name="try_strptime", signature=((dt.string, dt.string), dt.Timestamp(timezone="UTC"))
)
def _parse_zoned(text, time_format): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202


@dataclass(frozen=True, slots=True)
class Reading:
    """How the times of one source are read.

    Parameters
    ----------
    zone : str or None
        IANA zone of times that carry none; None reads them as UTC.
    time_format : str or None
        Format of times written as text other than ISO 8601.
    backend : str
        Name of the Ibis backend that holds the source.
    """

    zone: str | None
    time_format: str | None
    backend: str

    @property
    def shifts(self) -> bool:
        """Whether times without a zone have to be moved to be in UTC."""
        return self.zone not in {None, "UTC", "Etc/UTC"}

    @property
    def _zone_name(self) -> str | None:
        """The zone by a name that the database takes for the same one."""
        if self.zone is None or self.backend != "postgres":
            return self.zone
        return POSTGRES_ZONES.get(self.zone.lower(), self.zone)

    def to_utc(self, local: "ir.TimestampValue") -> "ir.TimestampValue":
        """Return local times without a zone in UTC.

        An hour that the clocks repeat is read as standard time, the second of the two; an hour
        that they skip as if they had not been changed yet.

        Parameters
        ----------
        local : ibis.expr.types.TimestampValue
            What the clock on the wall showed in the zone.

        Returns
        -------
        ibis.expr.types.TimestampValue
            Without a zone, in UTC.
        """
        local = local.cast(_TIME)
        if not self.shifts:
            return local
        if self.backend == "pyspark":
            return spark_casts.to_utc(local, str(self.zone))
        return self.drop_zone(_instant_in(self._zone_name, local))

    def drop_zone(self, moment: "ir.Value") -> "ir.TimestampValue":
        """Return times that carry a zone in UTC, whatever the zone of the session is.

        Parameters
        ----------
        moment : ibis.expr.types.Value
            Of a type with a zone.

        Returns
        -------
        ibis.expr.types.TimestampValue
            The same instants, without a zone.
        """
        if self.backend == "duckdb":  # six times as fast as a second look into the zones' rules
            return cast("ir.TimestampValue", _make_timestamp(_epoch_us(moment)))
        if self.backend == "pyspark":  # where a session in another zone is refused
            return cast("ir.TimestampValue", moment.cast(_TIME))
        return cast("ir.TimestampValue", _wall_clock_in("UTC", moment))

    def from_text(self, text: "ir.StringValue") -> "ir.TimestampValue":
        """Return times written as ISO 8601, or in the declared format, in UTC.

        Parameters
        ----------
        text : ibis.expr.types.StringValue
            Without white space around it.

        Returns
        -------
        ibis.expr.types.TimestampValue
            Without a zone; missing where the text is no time.
        """
        if self.time_format is not None:
            return self._from_format(text, self.time_format)
        written = self._written(text)
        return cast(
            "ir.TimestampValue",
            ibis.cases(
                (text.re_search(_DAY), self.to_utc(_day_end(written))),
                (text.re_search(_ZONED), self._from_zoned(text)),
                else_=self.to_utc(written),
            ),
        )

    def _written(self, text: "ir.StringValue") -> "ir.TimestampValue":
        if self.backend == "pyspark":
            return spark_casts.iso_time(text)
        return cast("ir.TimestampValue", try_cast(text, _TIME, self.backend))

    def _from_zoned(self, text: "ir.StringValue") -> "ir.TimestampValue":
        if self.backend == "pyspark":
            return spark_casts.iso_time(text)
        tight = text.re_replace(_SPACED_OFFSET, r"\1")
        whole = tight.re_replace(_NO_SECONDS, r"\1:00\2")
        if self.backend == "postgres":
            return self.drop_zone(zoned_time(whole))
        return self.drop_zone(whole.try_cast('timestamp("UTC")'))

    def _from_format(self, text: "ir.StringValue", time_format: str) -> "ir.TimestampValue":
        written = self.written_clock(text)
        if _ZONE_DIRECTIVE.search(time_format):
            return written
        is_day = _HOUR_DIRECTIVE.search(time_format) is None
        return self.to_utc(_day_end(written) if is_day else written)

    def as_written(self, text: "ir.StringValue") -> "ir.TimestampValue":
        """Return times written as text, for expressions: a day is its first instant.

        Parameters
        ----------
        text : ibis.expr.types.StringValue
            Without white space around it.

        Returns
        -------
        ibis.expr.types.TimestampValue
            In UTC where there is an offset, else what the clock on the wall showed; missing where
            the text is no time.
        """
        written = self.written_clock(text)
        if self.time_format is not None:
            return written
        zoned = text.re_search(_ZONED)
        return cast("ir.TimestampValue", zoned.ifelse(self._from_zoned(text), written))

    def written_clock(self, text: "ir.StringValue") -> "ir.TimestampValue":
        """Return times written as text without a look at the zone behind them.

        Parameters
        ----------
        text : ibis.expr.types.StringValue
            Without white space around it.

        Returns
        -------
        ibis.expr.types.TimestampValue
            Missing where the text is no time.
        """
        if self.time_format is None:
            return self._written(text)
        if self.backend == "pyspark":
            return spark_casts.from_format(text, self.time_format)
        if self.backend == "postgres":
            return self._parsed(text, TimeFormat.parse(self.time_format))
        if _ZONE_DIRECTIVE.search(self.time_format):
            return self.drop_zone(_parse_zoned(text, self.time_format))
        return cast("ir.TimestampValue", _parse_local(text, self.time_format))

    def _parsed(self, text: "ir.StringValue", written: TimeFormat) -> "ir.TimestampValue":
        iso = written.to_iso(text)
        morning = self._from_zoned(iso) if written.has_zone else self._written(iso)
        return written.in_the_afternoon(text, morning)

    def without_zone(self, value: "ir.Value") -> "ir.BooleanValue | None":
        """Return which times of a column carry no zone of their own.

        Parameters
        ----------
        value : ibis.expr.types.Value
            A time column as it came.

        Returns
        -------
        ibis.expr.types.BooleanValue or None
            None where the column's type says that all of them do.
        """
        dtype = value.type()
        if dtype.is_string():
            if self.time_format is not None:
                zoned = _ZONE_DIRECTIVE.search(self.time_format) is not None
                return None if zoned else value.notnull()
            text = stripped(cast("ir.StringValue", value))
            return cast("ir.BooleanValue", self._written(text).notnull() & ~text.re_search(_ZONED))
        naive = dtype.is_date() or (dtype.is_timestamp() and dtype.timezone is None)
        return value.notnull() if naive else None


def _day_end(midnight: "ir.TimestampValue") -> "ir.TimestampValue":
    return cast("ir.TimestampValue", midnight + ibis.interval(_DAY_END))


def stripped(text: "ir.StringValue") -> "ir.StringValue":
    """Return text without white space around it, missing where nothing is left.

    Parameters
    ----------
    text : ibis.expr.types.StringValue
        As it came.

    Returns
    -------
    ibis.expr.types.StringValue
        The same text in most rows, which is why they are not trimmed: a look costs less.
    """
    ragged: Any = text.re_search(_RAGGED)
    if engine_of(text) != "postgres":
        # Signs of white space come before all others, and texts are compared by code point.
        ends: Any = ibis.or_(*(text.endswith(sign) for sign in _SPACES))
        ragged = (text < _FIRST_SIGN).ifelse(ragged, ends)
    return cast("ir.StringValue", ragged.ifelse(text.strip(), text).nullif(""))


def is_blank(text: "ir.StringValue") -> "ir.BooleanValue":
    """Return whether a text holds nothing but white space.

    Parameters
    ----------
    text : ibis.expr.types.StringValue
        As it came.

    Returns
    -------
    ibis.expr.types.BooleanValue
        False or missing where the text is missing.
    """
    blank = ~text.re_search(FILLED)
    if engine_of(text) == "postgres":
        return blank
    no: Any = ibis.literal(value=False)
    return cast("ir.BooleanValue", (text < _FIRST_SIGN).ifelse(blank, no))


def integer_written_as_float(text: "ir.StringValue") -> "ir.BooleanValue":
    """Return whether a text is a whole number with ``.0`` behind it, as in ``17850.0``.

    Parameters
    ----------
    text : ibis.expr.types.StringValue
        Ids.

    Returns
    -------
    ibis.expr.types.BooleanValue
        Missing where the text is.
    """
    return text.re_search(_FLOAT_ID)


def cast_column(
    value: "ir.Value", kind: Kind, reading: Reading, *, float_ids: bool = False
) -> "ir.Value":
    """Return a column in the contract's form.

    Parameters
    ----------
    value : ibis.expr.types.Value
        As it came.
    kind : Kind
        What the contract says it holds.
    reading : Reading
        How times are read.
    float_ids : bool, default False
        Whether the ids of this column are whole numbers written as ``17850.0``.

    Returns
    -------
    ibis.expr.types.Value
        Missing where it was missing or cannot be read.
    """
    if value.type().is_floating():
        number = cast("ir.FloatingValue", value)
        value = number.isnan().ifelse(None, number)
    if kind is Kind.IDENTIFIER:
        return _as_identifier(value, reading.backend, float_ids=float_ids)
    if kind is Kind.TEXT:
        return _as_text(value)
    if kind is Kind.TIME:
        return _as_time(value, reading)
    if kind is Kind.BOOLEAN:
        return _as_boolean(value)
    target = {Kind.MONEY: MONEY, Kind.NUMBER: "float64", Kind.INTEGER: "int64"}[kind]
    if value.type().is_string():
        value = stripped(cast("ir.StringValue", value))
    elif reading.backend == "pyspark" and kind is Kind.MONEY and value.type().is_floating():
        return spark_casts.money_of_float(cast("ir.FloatingValue", value))
    cast_value = try_cast(value, target, reading.backend)
    return _finite(cast_value) if kind is Kind.NUMBER else cast_value


def _finite(number: "ir.Value") -> "ir.Value":
    floating = cast("ir.FloatingValue", number)
    return (floating.isnan() | floating.isinf()).ifelse(None, floating)


def _as_text(value: "ir.Value") -> "ir.Value":
    dtype = value.type()
    if dtype.is_array() and dtype.value_type.is_string():
        value = cast("ir.ArrayValue", value).join("|")
    return stripped(cast("ir.StringValue", value.cast("string")))


def _as_identifier(value: "ir.Value", engine: str, *, float_ids: bool) -> "ir.Value":
    if value.type().is_floating() or value.type().is_decimal():
        number = cast("ir.NumericValue", value)
        whole = try_cast(number, "int64", engine)
        return (number == whole).ifelse(whole.cast("string"), number.cast("string"))
    text = stripped(cast("ir.StringValue", value.cast("string")))
    return text.re_replace(r"\.0+$", "") if float_ids else text


def _as_time(value: "ir.Value", reading: Reading) -> "ir.Value":
    dtype = value.type()
    if dtype.is_string():
        return reading.from_text(stripped(cast("ir.StringValue", value)))
    if dtype.is_date():
        return reading.to_utc(_day_end(cast("ir.TimestampValue", value.cast(_TIME))))
    if dtype.is_timestamp():
        if dtype.timezone is not None:
            return reading.drop_zone(value)
        return reading.to_utc(cast("ir.TimestampValue", value))
    return ibis.null(_TIME)


def _as_boolean(value: "ir.Value") -> "ir.Value":
    if value.type().is_boolean():
        return value
    text = stripped(cast("ir.StringValue", value.cast("string"))).lower()
    return ibis.cases((text.isin(_TRUE), True), (text.isin(_FALSE), False), else_=None)
