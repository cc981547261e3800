"""How does a column of any source become a column of the contract?

Each function takes an Ibis value as it came and returns it in the contract's form; what cannot be
read becomes missing, and the checks count it.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from mlmarket.market.columns import Kind

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["MONEY", "Reading", "cast_column", "integer_written_as_float", "is_naive"]

MONEY: Final = "decimal(18, 4)"
_FLOAT_ID: Final = r"^-?[0-9]+\.0+$"
_DATE: Final = r"^\d{4}-\d{2}-\d{2}$"
_WITH_ZONE: Final = r"([Zz]|[+-]\d{2}:?\d{2})$"
_DAY_END: Final = timedelta(days=1) - timedelta(microseconds=1)
_TRUE: Final = ("true", "t", "yes", "y", "1", "1.0")
_FALSE: Final = ("false", "f", "no", "n", "0", "0.0")


class Reading:
    """How the times and ids of one source are read.

    Parameters
    ----------
    zone : str or None
        IANA zone of times that carry none; None reads them as UTC.
    time_format : str or None
        Format of times written as text other than ISO 8601.
    backend : str
        Name of the Ibis backend that holds the source.
    """

    def __init__(self, *, zone: str | None, time_format: str | None, backend: str) -> None:
        self.zone = zone
        self.time_format = time_format
        self.backend = backend

    def to_utc(self, local: "ir.TimestampValue") -> "ir.TimestampValue":
        """Return local times without a zone in UTC.

        In the hour that the clocks skip or repeat, the database's rule decides (DuckDB and
        PostgreSQL take standard time).
        """
        local = local.cast("timestamp(6)")
        if self.zone in {None, "UTC", "Etc/UTC"}:
            return local
        return cast("ir.TimestampValue", _zone_function(self.backend)(self.zone, local))

    def drop_zone(self, moment: "ir.Value") -> "ir.TimestampValue":
        """Return times that carry a zone in UTC, whatever the zone of the session is."""
        if self.backend == "pyspark":  # where a session in another zone is refused
            return cast("ir.TimestampValue", moment.cast("timestamp(6)"))
        return cast("ir.TimestampValue", _to_utc_function()("UTC", moment))

    def from_text(self, text: "ir.StringValue") -> "ir.TimestampValue":
        """Return times written as ISO 8601, or in the declared format, in UTC."""
        import ibis

        if self.time_format is not None:
            return self.to_utc(_parse_function()(text, self.time_format))
        naive = self.to_utc(text.try_cast("timestamp(6)"))
        day = self.to_utc(text.try_cast("timestamp(6)") + ibis.interval(_DAY_END))
        zoned = self.drop_zone(text.try_cast('timestamp("UTC")'))
        return cast(
            "ir.TimestampValue",
            ibis.cases(
                (text.re_search(_DATE), day), (text.re_search(_WITH_ZONE), zoned), else_=naive
            ),
        )


def _zone_function(backend: str) -> Callable[..., "ir.Value"]:
    import ibis
    import ibis.expr.datatypes as dt

    if backend == "pyspark":

        @ibis.udf.scalar.builtin(
            name="to_utc_timestamp", signature=((dt.Timestamp(scale=6), dt.string), dt.Timestamp())
        )
        def to_utc_timestamp(moment, zone): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202

        return lambda zone, moment: to_utc_timestamp(moment, zone)

    @ibis.udf.scalar.builtin(
        name="timezone",
        signature=((dt.string, dt.Timestamp(scale=6)), dt.Timestamp(timezone="UTC")),
    )
    def timezone(zone, moment): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202

    return lambda zone, moment: timezone(zone, moment).cast("timestamp(6)")


def _to_utc_function() -> Callable[..., "ir.Value"]:
    import ibis
    import ibis.expr.datatypes as dt

    @ibis.udf.scalar.builtin(
        name="timezone",
        signature=((dt.string, dt.Timestamp(timezone="UTC")), dt.Timestamp(scale=6)),
    )
    def timezone(zone, moment): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202

    return cast("Callable[..., ir.Value]", timezone)


def _parse_function() -> Callable[..., "ir.TimestampValue"]:
    import ibis
    import ibis.expr.datatypes as dt

    @ibis.udf.scalar.builtin(
        name="try_strptime", signature=((dt.string, dt.string), dt.Timestamp())
    )
    def try_strptime(text, time_format): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202

    return cast("Callable[..., ir.TimestampValue]", try_strptime)


def is_naive(value: "ir.Value", reading: Reading) -> bool:
    """Return whether times of this type carry no zone of their own.

    Parameters
    ----------
    value : ibis.expr.types.Value
        A time column as it came.
    reading : Reading
        How its source is read.

    Returns
    -------
    bool
        False for text, whose values are looked at one by one.
    """
    dtype = value.type()
    if dtype.is_string():
        return reading.time_format is not None
    return dtype.is_date() or (dtype.is_timestamp() and dtype.timezone is None)


def integer_written_as_float(text: "ir.StringValue") -> "ir.BooleanValue":
    """Return whether a text is a whole number with ``.0`` behind it, as in ``17850.0``."""
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
        return _as_identifier(value, float_ids=float_ids)
    if kind is Kind.TEXT:
        return value.cast("string").nullif("")
    if kind is Kind.TIME:
        return _as_time(value, reading)
    if kind is Kind.BOOLEAN:
        return _as_boolean(value)
    target = {Kind.MONEY: MONEY, Kind.NUMBER: "float64", Kind.INTEGER: "int64"}[kind]
    if value.type().is_string():
        value = cast("ir.StringValue", value).strip().nullif("")
    number = value.try_cast(target)
    return _finite(number) if kind is Kind.NUMBER else number


def _finite(number: "ir.Value") -> "ir.Value":
    floating = cast("ir.FloatingValue", number)
    return (floating.isnan() | floating.isinf()).ifelse(None, floating)


def _as_identifier(value: "ir.Value", *, float_ids: bool) -> "ir.Value":
    if value.type().is_floating():
        number = cast("ir.FloatingValue", value)
        whole = number.try_cast("int64")
        return (number == whole).ifelse(whole.cast("string"), number.cast("string"))
    text = cast("ir.StringValue", value.cast("string")).strip()
    if float_ids:
        text = text.re_replace(r"\.0+$", "")
    return text.nullif("")


def _as_time(value: "ir.Value", reading: Reading) -> "ir.Value":
    import ibis

    dtype = value.type()
    if dtype.is_string():
        return reading.from_text(cast("ir.StringValue", value).strip())
    if dtype.is_date():
        midnight = cast("ir.TimestampValue", value.cast("timestamp(6)"))
        return reading.to_utc(midnight + ibis.interval(_DAY_END))
    if dtype.is_timestamp():
        if dtype.timezone is not None:
            return reading.drop_zone(value)
        return reading.to_utc(cast("ir.TimestampValue", value))
    return ibis.null("timestamp(6)")


def _as_boolean(value: "ir.Value") -> "ir.Value":
    import ibis

    if value.type().is_boolean():
        return value
    text = cast("ir.StringValue", value.cast("string")).strip().lower()
    return ibis.cases((text.isin(_TRUE), True), (text.isin(_FALSE), False), else_=None)
