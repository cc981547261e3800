"""Do the tables keep the contract?

One aggregate query a table for the rules about rows, one grouped query for its key and one for
contacts that do not exist. Everything is found before anything is reported.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import ibis

from mlmarket.expressions.dialects import first_text, in_code_order
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.report import Note
from mlmarket.market.rules import Rule, rules_of
from mlmarket.market.tables import MappedColumn, MappedTable
from mlmarket.market.violations import Violation

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["TableCheck", "check_contacts", "check_rows"]


@dataclass(frozen=True, slots=True)
class TableCheck:
    """What was found in one table, without a look at the others.

    Parameters
    ----------
    read : int
        Rows of the source.
    kept : int
        Rows that `where` keeps.
    violations : tuple of Violation
        What breaks the contract.
    notes : tuple of Note
        What is worth knowing.
    clean : frozenset of str
        Columns of text that are in the contract's form as they came, in every row.
    """

    read: int
    kept: int
    violations: tuple[Violation, ...]
    notes: tuple[Note, ...]
    clean: frozenset[str] = frozenset()


def check_rows(mapped: MappedTable, *, now: datetime) -> TableCheck:
    """Check everything about one table that needs no other table.

    Parameters
    ----------
    mapped : MappedTable
        The table.
    now : datetime
        Times after it, by more than a day, are refused.

    Returns
    -------
    TableCheck
        Its violations are empty where all is well.
    """
    rules = rules_of(mapped, now=now)
    counted = _count(mapped, rules)
    kept = counted["rows"]
    read = kept
    if mapped.rows is not mapped.source.table:
        read = int(mapped.source.table.count().to_pyarrow().as_py())
    violations = list(mapped.violations)
    if kept == 0:
        violations.append(_empty(mapped, read))
        return TableCheck(read, kept, tuple(violations), mapped.notes)
    for place, rule in enumerate(rules):
        if counted[f"broken_{place}"]:
            violations.append(_violation(mapped, rule, counted[f"broken_{place}"]))
    violations += _duplicates(mapped)
    notes = (*mapped.notes, *_notes(mapped, counted))
    clean = {name for name in mapped.columns if counted.get(f"changed {name}") == 0}
    return TableCheck(read, kept, tuple(violations), notes, frozenset(clean))


def _count(mapped: MappedTable, rules: list[Rule]) -> dict[str, int]:
    """Count rows, broken rules and filled columns, in one query."""
    no: Any = ibis.literal(value=False)
    measures: dict[str, Any] = {
        f"broken_{place}": rule.broken.fill_null(no) for place, rule in enumerate(rules)
    }
    for name, column in mapped.columns.items():
        measures[f"filled {name}"] = ~column.is_blank()
        if column.value.type().is_string() and column.original.type().is_string():
            measures[f"changed {name}"] = ~column.value.identical_to(column.original)
    for name, value in mapped.extras.items():
        measures[f"filled {name}"] = value.notnull()
    zone = mapped.columns.get("timezone")
    if zone is not None:
        measures["unknown_zones"] = _unknown_zone(zone)
    # A column that is the same in all rows has no sum before it is a column of a table.
    flags = mapped.rows.select(**measures)
    sums = {name: flags[name].sum() for name in measures}
    row = flags.aggregate(rows=flags.count(), **sums).to_pyarrow().to_pylist()[0]
    return {name: int(value or 0) for name, value in row.items()}


def _unknown_zone(zone: MappedColumn) -> "ir.BooleanValue":
    return ~zone.is_blank() & zone.value.isnull()


def _notes(mapped: MappedTable, counted: dict[str, int]) -> list[Note]:
    notes = [
        Note(mapped.name, name, f"{mapped.name}.{name} has no value in any row and is not used.")
        for name in (*mapped.columns, *mapped.extras)
        if not counted[f"filled {name}"]
    ]
    rows = counted.get("unknown_zones", 0)
    if rows:
        zone = mapped.columns["timezone"]
        example = _example(mapped, zone, _unknown_zone(zone))
        text = (
            f"contacts.timezone names no existing zone in {_rows(rows)}, for example {example}; "
            "there it counts as missing."
        )
        notes.append(Note(mapped.name, "timezone", text))
    return notes


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _violation(mapped: MappedTable, rule: Rule, rows: int) -> Violation:
    return Violation(
        table=mapped.name,
        column=rule.column.spec.name,
        rule=rule.rule,
        why=rule.why,
        fix=rule.fix,
        rows=rows,
        example=_example(mapped, rule.column, rule.broken),
    )


def _example(mapped: MappedTable, column: MappedColumn, broken: "ir.BooleanValue") -> str:
    """Return the smallest offending value, and the row it stands in."""
    key = _row_name(mapped, column)
    text = cast("ir.StringValue", column.original.cast("string"))
    shown = {"value": text.strip().nullif("")}
    if key is not None:
        shown["row"] = key.original.cast("string")
    found = mapped.rows.filter(broken).select(**shown)
    first = found.order_by([in_code_order(found[name]) for name in shown]).limit(1)
    row = first.to_pyarrow().to_pylist()[0]
    name = f"{key.spec.name} {_quote(row['row'])}" if key is not None else ""
    if row["value"] is None:
        return name
    return f"{_quote(row['value'])} ({name})" if name else _quote(row["value"])


def _row_name(mapped: MappedTable, column: MappedColumn) -> MappedColumn | None:
    """Return the column by which a reader finds the row."""
    names = (*mapped.spec.key, "order_id", CONTACT_ID)
    others = (name for name in names if name in mapped.columns and name != column.spec.name)
    name = next(others, None)
    return None if name is None else mapped.columns[name]


def _quote(value: object) -> str:
    return "''" if value is None else repr(str(value)[:60])


def _empty(mapped: MappedTable, read: int) -> Violation:
    if read:
        rule = f"has no row left: `where` leaves out all {read:,}"
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


def _duplicates(mapped: MappedTable) -> list[Violation]:
    key = mapped.spec.key
    if mapped.name == "contacts" and "valid_from" in mapped.columns:
        key = (*key, "valid_from")
    if not key or any(name not in mapped.columns for name in key):
        return []
    ids = mapped.rows.select(**{name: mapped.columns[name].value for name in key})
    named = ids.filter(ids[key[0]].notnull())
    grouped = named.group_by(list(key)).aggregate(times=named.count())
    twice = grouped.filter(grouped.times > 1)
    measured = twice.aggregate(
        keys=twice.count(), rows=twice.times.sum(), example=first_text(twice[key[0]])
    )
    found = measured.to_pyarrow().to_pylist()[0]
    if not found["keys"]:
        return []
    ids_twice = "1 id" if found["keys"] == 1 else f"{found['keys']:,} ids"
    return [
        Violation(
            table=mapped.name,
            column=" + ".join(key),
            rule=f"occurs more than once ({ids_twice})",
            why="Rows would be counted twice, and it would be chance which one is used.",
            fix="keep one row for each, or map the column that identifies a row.",
            rows=int(found["rows"]),
            example=_quote(found["example"]),
        )
    ]


def check_contacts(table: "ir.Table", contacts: "ir.Table") -> tuple[int, str]:
    """Count the rows of a table whose contact does not exist.

    Parameters
    ----------
    table : ibis.expr.types.Table
        With ``contact_id``.
    contacts : ibis.expr.types.Table
        The contacts there are.

    Returns
    -------
    tuple of int and str
        How many rows, and the smallest of their ids, in quotes.
    """
    unknown = table.filter(table.contact_id.notnull()).anti_join(contacts, CONTACT_ID)
    measured = unknown.aggregate(rows=unknown.count(), example=first_text(unknown.contact_id))
    found = measured.to_pyarrow().to_pylist()[0]
    return int(found["rows"] or 0), _quote(found["example"])
