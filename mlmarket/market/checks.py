"""Do the tables keep the contract?

One aggregate query a table for the rules about rows, one grouped query for its key and one for
contacts that do not exist. Everything is found before anything is reported.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import available_timezones

from mlmarket.market.columns import CHANNELS, RESERVED_TYPES, Kind
from mlmarket.market.tables import MappedTable
from mlmarket.market.time import instant
from mlmarket.market.violations import ContractViolationError, Violation

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

__all__ = ["CheckReport", "Note", "TableCount", "check_contacts", "check_rows", "notes_on"]

_EARLIEST: Final = datetime.fromisoformat("1980-01-01T00:00:00+00:00")
_CLOCK_SKEW: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TableCount:
    """How many rows of a source became rows of a table.

    Parameters
    ----------
    table : str
        The table.
    source : str
        Where it came from.
    read : int
        Rows of the source.
    left_out : int
        Rows that `where` left out.
    unknown_contacts : int
        Rows left out because their contact does not exist.
    """

    table: str
    source: str
    read: int
    left_out: int = 0
    unknown_contacts: int = 0

    @property
    def kept(self) -> int:
        """Rows of the table."""
        return self.read - self.left_out - self.unknown_contacts


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth knowing that does not stop a run.

    Parameters
    ----------
    table, column : str
        Where.
    text : str
        A sentence.
    """

    table: str
    column: str
    text: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a look at all tables found.

    Parameters
    ----------
    counts : tuple of TableCount
        Rows in and out of every table.
    violations : tuple of Violation
        What breaks the contract; empty where the tables can be used.
    notes : tuple of Note
        What is worth knowing.
    """

    counts: tuple[TableCount, ...]
    violations: tuple[Violation, ...]
    notes: tuple[Note, ...]

    def raise_if_broken(self) -> None:
        """Raise all violations in one error.

        Raises
        ------
        ContractViolationError
            Where there is at least one.
        """
        if self.violations:
            raise ContractViolationError(self.violations)

    def to_frame(self) -> "pd.DataFrame":
        """Return the counts as a frame, one row a table."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "table": count.table,
                    "source": count.source,
                    "rows_read": count.read,
                    "left_out": count.left_out,
                    "unknown_contacts": count.unknown_contacts,
                    "rows": count.kept,
                }
                for count in self.counts
            ]
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    """A condition that holds for the rows that break it."""

    column: str
    broken: "ir.BooleanValue"
    example: "ir.Value"
    rule: str
    why: str
    fix: str


def check_rows(mapped: MappedTable, *, now: datetime, has_returns: bool) -> list[Violation]:
    """Check everything about one table that needs no other table.

    Parameters
    ----------
    mapped : MappedTable
        The table.
    now : datetime
        Times after it, by more than a day, are refused.
    has_returns : bool
        Whether returns are declared, so that negative amounts are expected.

    Returns
    -------
    list of Violation
        Empty where all is well.
    """
    violations = list(mapped.violations)
    violations += [_naive(mapped, column) for column in mapped.naive]
    if mapped.rows_kept == 0:
        return [*violations, _empty(mapped)]
    rules = list(_rules(mapped, now=now, has_returns=has_returns))
    violations += _broken(mapped, rules)
    key = mapped.spec.key
    if mapped.name == "contacts" and "valid_from" in mapped.values:
        key = (*key, "valid_from")
    if key and all(column in mapped.values for column in key):
        violations += _duplicates(mapped, key)
    return violations


def _rules(mapped: MappedTable, *, now: datetime, has_returns: bool) -> Iterable[_Rule]:
    for name, value in mapped.values.items():
        column = mapped.spec.column(name)
        if column is None:
            continue
        original = mapped.originals[name]
        blank = original.isnull()
        if original.type().is_string():
            blank |= original.strip() == ""
        if original.type().is_floating():
            blank |= original.isnan()
        if column.needed:
            yield _Rule(
                name,
                blank,
                _row_as_text(mapped, name),
                "is missing",
                f"It is {column.description}, which a row of '{mapped.name}' cannot do without.",
                f'fill it, or leave such rows out: where = "{_source_name(original)} is not '
                f'null" in [tables.{mapped.name}].',
            )
        yield _Rule(
            name,
            ~blank & value.isnull(),
            original.cast("string"),
            f"cannot be read as {column.kind.value}",
            "A value that cannot be read would silently count as missing.",
            _reading_hint(mapped.name, column.kind),
        )
        if column.kind is Kind.TIME:
            yield from _time_rules(mapped.name, name, value, original, now)
    yield from _value_rules(mapped, has_returns=has_returns)


def _source_name(original: "ir.Value") -> str:
    return original.get_name().removesuffix("::typed")


def _row_as_text(mapped: MappedTable, name: str) -> "ir.Value":
    """Return another column of the row, by which a row with a missing value can be found."""
    for other, original in mapped.originals.items():
        if other != name and original.type().is_string():
            return original.name("example")
    return mapped.originals[name].cast("string")


def _reading_hint(table: str, kind: Kind) -> str:
    if kind is Kind.TIME:
        return (
            "write times as 2026-07-01 08:30:00, or declare their format: "
            f'time_format = "%d/%m/%Y %H:%M" in [tables.{table}].'
        )
    if kind in {Kind.MONEY, Kind.NUMBER}:
        return "write numbers as 1234.56, without currency signs or thousands separators."
    if kind is Kind.BOOLEAN:
        return "write true or false."
    return "correct the value in the source."


def _time_rules(
    table: str, name: str, value: "ir.Value", original: "ir.Value", now: datetime
) -> Iterable[_Rule]:
    text = original.cast("string")
    # Items may be announced ahead; everything else has happened.
    if table != "items":
        yield _Rule(
            name,
            value > instant(now + _CLOCK_SKEW),
            text,
            "lies in the future",
            "What has not happened yet cannot be learned from, and usually means a wrong zone "
            "or a mixed-up date.",
            f"correct it, or leave such rows out with `where` in [tables.{table}].",
        )
    yield _Rule(
        name,
        value < instant(_EARLIEST),
        text,
        "lies before 1980",
        "Such times are place-holders of other systems, and would count as very old customers.",
        f"write a missing value instead, or leave such rows out with `where` in [tables.{table}].",
    )


def _value_rules(mapped: MappedTable, *, has_returns: bool) -> Iterable[_Rule]:
    values, originals = mapped.values, mapped.originals
    if "channel" in values:
        yield _Rule(
            "channel",
            values["channel"].notin(CHANNELS),
            originals["channel"].cast("string"),
            "is no known channel",
            "Consent and messages are matched by channel.",
            f"use one of {', '.join(CHANNELS)}.",
        )
    if "event_type" in values:
        yield _Rule(
            "event_type",
            values["event_type"].isin(RESERVED_TYPES),
            originals["event_type"].cast("string"),
            "uses a reserved name",
            "Orders and messages bring these types themselves; the two would be counted together.",
            "rename the event, such as 'order' to 'order_page'.",
        )
    if "propensity" in values:
        yield _Rule(
            "propensity",
            (values["propensity"] < 0) | (values["propensity"] > 1),
            originals["propensity"].cast("string"),
            "is no probability",
            "True effects are estimated by dividing by it.",
            "write the chance with which the variant was drawn, from 0 to 1.",
        )
    if mapped.name == "orders" and "amount" in values and not has_returns:
        yield _Rule(
            "amount",
            values["amount"] < 0,
            originals["amount"].cast("string"),
            "is negative",
            "A negative line is a return, and a return is no purchase.",
            'declare them: returns = "amount < 0" in [tables.orders].',
        )


def _broken(mapped: MappedTable, rules: list[_Rule]) -> list[Violation]:
    """Count all rules in one query."""
    measures: dict[str, Any] = {}
    for place, rule in enumerate(rules):
        broken = rule.broken.fill_null(False)
        measures[f"rows_{place}"] = broken.sum()
        measures[f"example_{place}"] = rule.example.cast("string").min(where=broken)
    row = mapped.rows.aggregate(**measures).to_pyarrow().to_pylist()[0]
    return [
        Violation(
            table=mapped.name,
            column=rule.column,
            rule=rule.rule,
            why=rule.why,
            fix=rule.fix,
            rows=int(row[f"rows_{place}"]),
            example=_quote(row[f"example_{place}"]),
        )
        for place, rule in enumerate(rules)
        if row[f"rows_{place}"]
    ]


def _quote(value: object) -> str:
    return "" if value is None else repr(str(value)[:60])


def _naive(mapped: MappedTable, column: str) -> Violation:
    return Violation(
        table=mapped.name,
        column=column,
        rule="carries no time zone",
        why="Read in the wrong zone, every hour and many days would be off.",
        fix=f'declare it: timezone = "Europe/Lisbon" (or "UTC") in [tables.{mapped.name}].',
    )


def _empty(mapped: MappedTable) -> Violation:
    if mapped.rows_read:
        rule = f"has no row left: `where` leaves out all {mapped.rows_read:,}"
        fix = f"correct `where` in [tables.{mapped.name}]."
    else:
        rule = "has no row"
        fix = f"write it again, or take [tables.{mapped.name}] out if there is nothing to read."
    return Violation(
        table=mapped.name,
        column="",
        rule=rule,
        why="An empty table is nearly always an export that failed.",
        fix=fix,
    )


def _duplicates(mapped: MappedTable, key: tuple[str, ...]) -> list[Violation]:
    columns = {name: mapped.values[name] for name in key}
    grouped = (
        mapped.rows.select(**columns)
        .filter(lambda table: table[key[0]].notnull())
        .group_by(list(key))
        .aggregate(times=lambda table: table.count())
        .filter(lambda table: table.times > 1)
    )
    found = (
        grouped.aggregate(
            keys=grouped.count(),
            rows=grouped.times.sum(),
            example=grouped[key[0]].cast("string").min(),
        )
        .to_pyarrow()
        .to_pylist()[0]
    )
    if not found["keys"]:
        return []
    return [
        Violation(
            table=mapped.name,
            column=" + ".join(key),
            rule=f"occurs more than once ({found['keys']:,} ids)",
            why="Rows would be counted twice, and it would be chance which one is used.",
            fix="keep one row for each, or map the column that identifies a row.",
            rows=int(found["rows"]),
            example=_quote(found["example"]),
        )
    ]


def check_contacts(name: str, table: "ir.Table", contacts: "ir.Table") -> tuple[int, str]:
    """Count the rows of a table whose contact does not exist.

    Parameters
    ----------
    name : str
        The table's name.
    table : ibis.expr.types.Table
        With ``contact_id``.
    contacts : ibis.expr.types.Table
        The contacts there are.

    Returns
    -------
    tuple of int and str
        How many rows, and the smallest of their ids.
    """
    unknown = table.filter(table.contact_id.notnull()).anti_join(contacts, "contact_id")
    found = (
        unknown.aggregate(rows=unknown.count(), example=unknown.contact_id.min())
        .to_pyarrow()
        .to_pylist()[0]
    )
    return int(found["rows"] or 0), _quote(found["example"])


def notes_on(tables: Mapping[str, "ir.Table"]) -> list[Note]:
    """Say what is odd in tables that keep the contract.

    Parameters
    ----------
    tables : mapping of str to ibis.expr.types.Table
        In the contract's form.

    Returns
    -------
    list of Note
        Columns without any value, and time zones that do not exist.
    """
    notes = []
    for name, table in tables.items():
        filled = table.aggregate(**{column: table[column].count() for column in table.columns})
        row = filled.to_pyarrow().to_pylist()[0]
        notes += [
            Note(name, column, f"{name}.{column} has no value in any row and is not used.")
            for column, count in row.items()
            if not count
        ]
    contacts = tables.get("contacts")
    if contacts is not None and "timezone" in contacts.columns:
        bad = contacts.filter(contacts.timezone.notin(sorted(available_timezones())))
        count = int(bad.count().execute())
        if count:
            example = bad.timezone.min().execute()
            notes.append(
                Note(
                    "contacts",
                    "timezone",
                    f"contacts.timezone names no existing zone in {count:,} rows, for example "
                    f"{example!r}; there it counts as missing.",
                )
            )
    return notes
