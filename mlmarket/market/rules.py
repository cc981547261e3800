"""Which values may a row not hold?"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, cast
from zoneinfo import ZoneInfo

import ibis

from mlmarket.market.columns import CHANNELS, RESERVED_TYPES, Kind
from mlmarket.market.tables import MappedColumn, MappedTable
from mlmarket.market.time import to_utc

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["Rule", "rules_of"]

_EARLIEST: Final = datetime.fromisoformat("1980-01-01T00:00:00+00:00")
_CLOCK_SKEW: Final = timedelta(days=1)
_ALWAYS_READABLE: Final = frozenset({Kind.IDENTIFIER, Kind.TEXT})


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule about rows.

    Parameters
    ----------
    column : MappedColumn
        Whose values it is about.
    broken : ibis.expr.types.BooleanValue
        True for the rows that break it.
    rule : str
        What is wrong with them, as the end of a sentence that begins with the column.
    why : str
        Why it matters.
    fix : str
        What to do.
    """

    column: MappedColumn
    broken: "ir.BooleanValue"
    rule: str
    why: str
    fix: str


def rules_of(mapped: MappedTable, *, now: datetime) -> list[Rule]:
    """Return the rules about the rows of a table.

    Parameters
    ----------
    mapped : MappedTable
        The table.
    now : datetime
        Times after it, by more than a day, are refused.

    Returns
    -------
    list of Rule
        For the columns that are there.
    """
    rules: list[Rule] = []
    for column in mapped.columns.values():
        if column.spec.needed:
            rules.append(_filled(mapped.name, column))
        if column.spec.kind is Kind.TIME:
            rules += _times(mapped, column, now)
        elif column.spec.kind not in _ALWAYS_READABLE:
            rules.append(_readable(mapped.name, column))
    return [*rules, *_values(mapped), *_returns(mapped)]


def _filled(table: str, column: MappedColumn) -> Rule:
    return Rule(
        column,
        column.is_blank(),
        "is missing",
        f"It is {column.spec.description}, which a row of '{table}' cannot do without.",
        f"fill it, or leave such rows out: where = '{_quoted(column.written)} is not null' "
        f"in [tables.{table}].",
    )


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f'"{name}"'


def _readable(table: str, column: MappedColumn) -> Rule:
    return Rule(
        column,
        ~column.is_blank() & column.value.isnull(),
        f"cannot be read as {_IN_WORDS[column.spec.kind]}",
        "A value that cannot be read would silently count as missing.",
        _HINTS[column.spec.kind].format(table=table),
    )


_IN_WORDS: Final = {
    Kind.TIME: "a time",
    Kind.MONEY: "an amount of money",
    Kind.NUMBER: "a number",
    Kind.INTEGER: "a whole number",
    Kind.BOOLEAN: "true or false",
}
_HINTS: Final = {
    Kind.TIME: "write times as 2026-07-01 08:30:00, or declare their format: "
    'time_format = "%d/%m/%Y %H:%M" in [tables.{table}].',
    Kind.MONEY: "write amounts as 1234.56, without currency signs or thousands separators.",
    Kind.NUMBER: "write numbers as 1234.56, without units or thousands separators.",
    Kind.INTEGER: "write whole numbers, without units or separators.",
    Kind.BOOLEAN: "write true or false.",
}


def _times(mapped: MappedTable, column: MappedColumn, now: datetime) -> Iterable[Rule]:
    table, dtype = mapped.name, column.original.type()
    if not (dtype.is_date() or dtype.is_timestamp()):
        yield _readable(table, column)
    naive = mapped.reading.without_zone(column.original)
    if naive is not None and mapped.reading.zone is None:
        yield Rule(
            column,
            naive,
            "carries no time zone",
            "Read in the wrong zone, every hour and many days would be off.",
            f'declare it: timezone = "Europe/Lisbon" (or "UTC") in [tables.{table}].',
        )
    # Items may be announced ahead; everything else has happened.
    if table != "items":
        yield Rule(
            column,
            _compared(mapped, column, now + _CLOCK_SKEW, after=True),
            "lies in the future",
            "What has not happened yet cannot be learned from, and usually means a wrong zone "
            "or a mixed-up date.",
            f"correct it, or leave such rows out with `where` in [tables.{table}].",
        )
    yield Rule(
        column,
        _compared(mapped, column, _EARLIEST, after=False),
        "lies before 1980",
        "Such times are place-holders of other systems, and would count as very old customers.",
        f"write a missing value instead, or leave such rows out with `where` in [tables.{table}].",
    )


def _compared(
    mapped: MappedTable, column: MappedColumn, limit: datetime, *, after: bool
) -> "ir.BooleanValue":
    """Compare a time with a limit: on the wall clock of its zone where that spares a conversion."""
    value, moment = column.value, to_utc(limit)
    dtype = column.original.type()
    if dtype.is_timestamp() and dtype.timezone is None and mapped.reading.zone is not None:
        value = column.original.cast("timestamp(6)")
        moment = limit.astimezone(ZoneInfo(mapped.reading.zone)).replace(tzinfo=None)
    literal = ibis.timestamp(moment.isoformat(sep=" "))
    return cast("ir.BooleanValue", value > literal if after else value < literal)


def _values(mapped: MappedTable) -> Iterable[Rule]:
    columns = mapped.columns
    if "channel" in columns:
        yield Rule(
            columns["channel"],
            columns["channel"].value.notin(CHANNELS),
            "is no known channel",
            "Consent and messages are matched by channel.",
            f"use one of {', '.join(CHANNELS)}.",
        )
    if "event_type" in columns:
        yield Rule(
            columns["event_type"],
            columns["event_type"].value.isin(RESERVED_TYPES),
            "uses a reserved name",
            "Orders and messages bring these types themselves; the two would be counted together.",
            "rename the event, such as 'order' to 'order_page'.",
        )
    if "propensity" in columns:
        share = columns["propensity"].value
        yield Rule(
            columns["propensity"],
            (share < 0) | (share > 1),
            "is no probability",
            "True effects are estimated by dividing by it.",
            "write the chance with which the variant was drawn, from 0 to 1.",
        )


def _returns(mapped: MappedTable) -> Iterable[Rule]:
    """Refuse negative lines that nobody declared to be returns."""
    if mapped.is_return is None:
        return
    for name in ("amount", "quantity"):
        if name in mapped.columns:
            column = mapped.columns[name]
            yield Rule(
                column,
                (column.value < 0) & ~mapped.is_return,
                "is negative, though no return is declared there",
                "A negative line is a return, and a return is no purchase.",
                f'declare them: returns = "{name} < 0" in [tables.orders], in the words of the '
                "source's own columns.",
            )
