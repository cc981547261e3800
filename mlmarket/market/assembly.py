"""How do sources become tables that fit each other, and what is wrong with them?"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import ibis

from mlmarket.errors import ConfigurationError
from mlmarket.market.checks import TableCheck, check_contacts, check_rows
from mlmarket.market.columns import AVAILABLE_AT, CONTACT_ID, TABLES
from mlmarket.market.connect import Bench, Source
from mlmarket.market.report import CheckReport, TableCount
from mlmarket.market.settings import MarketSettings, TableSettings
from mlmarket.market.tables import MappedTable, map_table
from mlmarket.market.violations import Violation

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["Assembly", "assemble"]


@dataclass(frozen=True, slots=True)
class Assembly:
    """Tables in the contract's form, and what was found on the way.

    Parameters
    ----------
    tables : mapping of str to ibis.expr.types.Table
        Those that have all their columns; contacts are derived where they are missing.
    report : CheckReport
        Rows in and out, violations and notes.
    contacts_derived : bool
        Whether contacts come from the other tables.
    """

    tables: Mapping[str, "ir.Table"]
    report: CheckReport
    contacts_derived: bool


def assemble(
    sources: Mapping[str, Source],
    settings: MarketSettings,
    workbench: Bench,
    *,
    now: datetime | None,
    default_zone: str | None,
) -> Assembly:
    """Map, check and match the tables of a business.

    Parameters
    ----------
    sources : mapping of str to Source
        On one connection.
    settings : MarketSettings
        What is declared about them.
    workbench : Bench
        Where parsed text is kept.
    now : datetime or None
        Rows after it are refused; by default the present.
    default_zone : str or None
        Zone of times without one where a table declares none.

    Returns
    -------
    Assembly
        To be used only if its report has no violation.

    Raises
    ------
    ConfigurationError
        Where there is nothing that contacts could be derived from.
    """
    if not any(map(_names_contacts, sources)):
        raise ConfigurationError(
            "This market has neither contacts nor a table they could be derived from.",
            "Every prediction is about a contact.",
            "give contacts, or orders, events or messages.",
        )
    checks: dict[str, TableCheck] = {}
    tables: dict[str, ir.Table] = {}
    for name, source in sources.items():
        declared = _declared(settings, name)
        zone = declared.timezone or default_zone
        mapped = map_table(source, TABLES[name], declared, zone=zone)
        checks[name] = check_rows(mapped, now=now or datetime.now(UTC))
        if not mapped.violations:
            tables[name] = _settle(mapped, workbench, clean=checks[name].clean)
    derived = "contacts" not in sources
    if derived and any(map(_names_contacts, tables)):
        tables["contacts"] = _derived_contacts(tables)
    strangers = {} if derived else _unknown_contacts(tables)
    report = _report(sources, settings, checks, strangers)
    for count in report.counts:
        if count.unknown_contacts:
            tables[count.table] = tables[count.table].semi_join(tables["contacts"], CONTACT_ID)
    return Assembly(tables, report, derived)


def _report(
    sources: Mapping[str, Source],
    settings: MarketSettings,
    checks: Mapping[str, TableCheck],
    strangers: Mapping[str, tuple[int, str]],
) -> CheckReport:
    """Bring together what was found in each table and between them."""
    violations = [violation for check in checks.values() for violation in check.violations]
    left_out = dict.fromkeys(checks, 0)
    for name, (rows, example) in strangers.items():
        if _declared(settings, name).unknown_contacts == "leave_out":
            left_out[name] = rows
        else:
            violations.append(_unknown(name, rows, example))
    counts = [
        TableCount(
            table=name,
            source=sources[name].described,
            read=check.read,
            left_out=check.read - check.kept,
            unknown_contacts=left_out[name],
        )
        for name, check in checks.items()
    ]
    notes = [note for check in checks.values() for note in check.notes]
    return CheckReport(tuple(counts), tuple(violations), tuple(notes))


def _declared(settings: MarketSettings, name: str) -> TableSettings:
    return settings.tables.get(name, TableSettings())


def _names_contacts(name: str) -> bool:
    return TABLES[name].column(CONTACT_ID) is not None


def _settle(mapped: MappedTable, workbench: Bench, *, clean: frozenset[str]) -> "ir.Table":
    """Parse text and convert zones once and keep the result; leave everything else as it is."""
    table = mapped.to_table(clean=clean)
    if not mapped.is_costly or mapped.source.table.get_backend() is not workbench.connection:
        return table
    source = f"source_{mapped.name}" if mapped.source.all_text else None
    return workbench.keep(mapped.name, table, instead_of=source)


def _derived_contacts(tables: Mapping[str, "ir.Table"]) -> "ir.Table":
    """Return everybody who did something, known since the first row about them was there."""
    seen = [
        table.select(CONTACT_ID, created_at=_known_at(table, str(TABLES[name].time)))
        for name, table in tables.items()
        if _names_contacts(name)
    ]
    everyone = ibis.union(*seen) if len(seen) > 1 else seen[0]
    named = everyone.filter(everyone.contact_id.notnull())
    return named.group_by(CONTACT_ID).aggregate(created_at=named.created_at.min())


def _known_at(table: "ir.Table", time: str) -> "ir.Value":
    happened = table[time]
    if AVAILABLE_AT not in table.columns:
        return happened
    return ibis.greatest(happened, table[AVAILABLE_AT].coalesce(happened))


def _unknown_contacts(tables: Mapping[str, "ir.Table"]) -> dict[str, tuple[int, str]]:
    """Count, by table, the rows whose contact does not exist, with one example."""
    if "contacts" not in tables:
        return {}
    contacts = tables["contacts"].select(CONTACT_ID).distinct()
    found = {
        name: check_contacts(table, contacts)
        for name, table in tables.items()
        if name != "contacts" and _names_contacts(name)
    }
    return {name: (rows, example) for name, (rows, example) in found.items() if rows}


def _unknown(name: str, rows: int, example: str) -> Violation:
    return Violation(
        table=name,
        column=CONTACT_ID,
        rule="names contacts that are not in 'contacts'",
        why="Their behaviour would be lost, or belong to nobody.",
        fix="add them to contacts, or leave such rows out: unknown_contacts = "
        f'"leave_out" in [tables.{name}].',
        rows=rows,
        example=example,
    )
