"""How does a source become a table of the contract?

Filters, maps and casts one source. What is wrong with it is collected, not raised: the checks
report everything about all tables at once.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast
from zoneinfo import available_timezones

import ibis

from mlmarket.errors import nearest
from mlmarket.market.casts import Reading, cast_column, is_blank
from mlmarket.market.columns import ColumnSpec, Kind, TableSpec
from mlmarket.market.connect import Source
from mlmarket.market.formulas import SourceColumns
from mlmarket.market.report import Note
from mlmarket.market.settings import TableSettings
from mlmarket.market.violations import Violation

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["IS_RETURN", "MappedColumn", "MappedTable", "map_table"]

IS_RETURN: Final = "is_return"
"""Column of orders that mlmarket adds: whether the line is a return."""


@dataclass(frozen=True, slots=True)
class MappedColumn:
    """One column of the contract, over the rows of a source.

    Parameters
    ----------
    spec : ColumnSpec
        Its contract.
    original : ibis.expr.types.Value
        As it came.
    value : ibis.expr.types.Value
        In the contract's form; missing where it cannot be read.
    written : str
        The source's column, or the expression, that it came from.
    """

    spec: ColumnSpec
    original: "ir.Value"
    value: "ir.Value"
    written: str

    def is_blank(self) -> "ir.BooleanValue":
        """Return which values are missing in the source: null, NaN, or empty text.

        Returns
        -------
        ibis.expr.types.BooleanValue
            Never missing itself.
        """
        dtype = self.original.type()
        blank = self.original.isnull()
        if dtype.is_string():
            blank |= is_blank(cast("ir.StringValue", self.original))
        elif dtype.is_floating():
            blank |= cast("ir.FloatingValue", self.original).isnan()
        return blank


@dataclass(frozen=True, slots=True)
class MappedTable:
    """One table of the contract, as expressions over its source.

    Parameters
    ----------
    spec : TableSpec
        Its contract.
    source : Source
        The table as it came.
    reading : Reading
        How its times are read.
    rows : ibis.expr.types.Table
        The source's rows that `where` keeps.
    columns : mapping of str to MappedColumn
        Columns of the contract that it has.
    is_return : ibis.expr.types.BooleanValue or None
        Which lines of orders are returns; None for other tables.
    extras : mapping of str to ibis.expr.types.Value
        Further columns, kept under their names.
    violations : tuple of Violation
        What is already known to be wrong.
    notes : tuple of Note
        What is already worth knowing.
    """

    spec: TableSpec
    source: Source
    reading: Reading
    rows: "ir.Table"
    columns: Mapping[str, MappedColumn]
    is_return: "ir.BooleanValue | None"
    extras: Mapping[str, "ir.Value"]
    violations: tuple[Violation, ...]
    notes: tuple[Note, ...]

    @property
    def name(self) -> str:
        """Its name."""
        return self.spec.name

    @property
    def is_costly(self) -> bool:
        """Whether text is parsed or zones are looked up each time its rows are read."""
        times = [column for column in self.columns.values() if column.spec.kind is Kind.TIME]
        types = [column.original.type() for column in times]
        shifts = any(dtype.is_date() or dtype.is_timestamp() for dtype in types)
        return (
            self.source.all_text
            or any(dtype.is_string() for dtype in types)
            or (shifts and self.reading.shifts)
        )

    def to_table(self, *, clean: Collection[str] = ()) -> "ir.Table":
        """Return the table in the contract's form.

        Parameters
        ----------
        clean : collection of str
            Columns that were found to be in that form as they came; they are not cleaned each time
            they are read.

        Returns
        -------
        ibis.expr.types.Table
            The columns of the contract in its order, further columns behind.
        """
        values = {
            name: column.original if name in clean else column.value
            for name, column in self.columns.items()
        }
        if self.is_return is not None:
            values[IS_RETURN] = self.is_return
        return self.rows.select(**values, **self.extras)


def map_table(
    source: Source, spec: TableSpec, settings: TableSettings, *, zone: str | None
) -> MappedTable:
    """Filter, map and cast a source.

    Parameters
    ----------
    source : Source
        The table as it came.
    spec : TableSpec
        The contract it shall meet.
    settings : TableSettings
        Its `where`, `columns`, `returns` and times.
    zone : str or None
        Zone of times that carry none; None where none is declared.

    Returns
    -------
    MappedTable
        With the violations found so far.

    Raises
    ------
    ExpressionError
        Where an expression of the configuration cannot be read.
    """
    backend = source.table.get_backend().name
    reading = Reading(zone=zone, time_format=settings.time_format, backend=backend)
    names = {spec_.name: _source_name(spec_, source, settings) for spec_ in spec.columns}
    ids = {names[column.name] for column in spec.columns if column.kind is Kind.IDENTIFIER}
    seen = SourceColumns.look(source, reading, ids={name for name in ids if name})
    rows = source.table
    if settings.where is not None:
        key = f"[tables.{spec.name}] where"
        rows = rows.filter(seen.read(settings.where, rows, key=key, condition=True))
    columns = {
        column.name: mapped
        for column in spec.columns
        if (mapped := _mapped(column, names[column.name], seen, rows, spec, settings)) is not None
    }
    is_return = None
    if spec.name == "orders":
        is_return = _is_return(settings, seen, rows)
        columns = _with_negative_returns(columns, settings, is_return)
    extras, notes = _extras(spec, seen, rows, columns, settings)
    return MappedTable(
        spec=spec,
        source=source,
        reading=reading,
        rows=rows,
        columns=columns,
        is_return=is_return,
        extras=extras,
        violations=(*_missing(spec, columns, source), *_unknown_attributes(spec, rows, settings)),
        notes=tuple(notes),
    )


def _source_name(column: ColumnSpec, source: Source, settings: TableSettings) -> str | None:
    """Return the source's column that stands for one of the contract, None for an expression."""
    text = settings.columns.get(column.name, column.name)
    for name in (text, text.strip().strip('"')):
        if name in source.table.columns:
            return name
    return None


def _mapped(
    column: ColumnSpec,
    name: str | None,
    seen: SourceColumns,
    rows: "ir.Table",
    spec: TableSpec,
    settings: TableSettings,
) -> MappedColumn | None:
    """Return a column of the contract, None where the source has nothing for it."""
    text = settings.columns.get(column.name)
    if name is not None:
        original = rows[name]
    elif text is not None:
        original = seen.read(text, rows, key=f"[tables.{spec.name}.columns] {column.name}")
    else:
        return None
    look = seen.looks.get(name) if name is not None else None
    float_ids = look is not None and look.has_float_ids
    value = cast_column(original, column.kind, seen.reading, float_ids=float_ids)
    if spec.name == "contacts" and column.name == "timezone":
        value = value.isin(sorted(available_timezones())).ifelse(value, None)
    return MappedColumn(column, original, value, written=name or text or column.name)


def _is_return(settings: TableSettings, seen: SourceColumns, rows: "ir.Table") -> "ir.BooleanValue":
    no: Any = ibis.literal(value=False)
    if settings.returns is None:
        return cast("ir.BooleanValue", no)
    key = "[tables.orders] returns"
    declared = seen.read(settings.returns, rows, key=key, condition=True)
    return cast("ir.BooleanValue", declared.fill_null(no))


def _with_negative_returns(
    columns: Mapping[str, MappedColumn], settings: TableSettings, is_return: "ir.BooleanValue"
) -> dict[str, MappedColumn]:
    """Make the amount and quantity of returns negative, however the source writes them."""
    changed = dict(columns)
    for name in ("amount", "quantity"):
        if settings.returns is not None and name in changed:
            number = cast("ir.NumericValue", changed[name].value)
            negative = (-number.abs()).cast(number.type())  # abs() loses the digits of a decimal
            changed[name] = replace(changed[name], value=is_return.ifelse(negative, number))
    return changed


def _extras(
    spec: TableSpec,
    seen: SourceColumns,
    rows: "ir.Table",
    columns: Mapping[str, MappedColumn],
    settings: TableSettings,
) -> "tuple[dict[str, ir.Value], list[Note]]":
    """Return the columns the contract does not know, and what is odd about their names."""
    used = {text.strip().strip('"') for text in settings.columns.values()}
    used |= {column.written for column in columns.values()}
    taken = {name.casefold() for name in columns} | {IS_RETURN}
    absent = {_plain(name): name for name in _names(spec) if name not in columns}
    extras: dict[str, ir.Value] = {}
    notes = []
    for name in seen.source.table.columns:
        if name in used:
            continue
        if name.casefold() in taken:
            text = f"{spec.name}.{name} is not used: another column of that name is mapped."
            notes.append(Note(spec.name, name, text))
            continue
        if _plain(name) in absent:
            meant = absent[_plain(name)]
            text = (
                f"{spec.name}.{name} looks like '{meant}'; to use it as such, write "
                f'{meant} = "{name}" in [tables.{spec.name}.columns].'
            )
            notes.append(Note(spec.name, name, text))
        extras[name] = seen.natural(rows, name)
    return extras, notes


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def _names(spec: TableSpec) -> list[str]:
    return [column.name for column in spec.columns]


def _missing(
    spec: TableSpec, columns: Mapping[str, MappedColumn], source: Source
) -> list[Violation]:
    return [
        _missing_column(column, spec, source)
        for column in spec.columns
        if column.needed and column.name not in columns
    ]


def _missing_column(column: ColumnSpec, spec: TableSpec, source: Source) -> Violation:
    # A column that is one of the contract already is not meant for another.
    free = [name for name in source.table.columns if name not in _names(spec)]
    near = nearest(column.name, free)
    have = ", ".join(list(source.table.columns)[:12])
    fix = (
        f"rename '{near}' to '{column.name}', or map it: "
        f'{column.name} = "{near}" in [tables.{spec.name}.columns].'
        if near
        else f'map it: {column.name} = "…" in [tables.{spec.name}.columns]; it has {have}.'
    )
    return Violation(
        table=spec.name,
        column="",
        rule=f"has no column '{column.name}'",
        why=f"It is {column.description}; {spec.purpose} cannot do without it.",
        fix=fix,
    )


def _unknown_attributes(
    spec: TableSpec, rows: "ir.Table", settings: TableSettings
) -> list[Violation]:
    known = {*rows.columns, *_names(spec)}
    return [
        Violation(
            table=spec.name,
            column="",
            rule=f"has no column '{name}', which is declared as {kind}",
            why="A declaration of a column that is not there would silently do nothing.",
            fix=f"did you mean '{near}'?"
            if (near := nearest(name, rows.columns))
            else f"correct or remove '{name}' in [tables.{spec.name}.attributes].",
        )
        for name, kind in settings.attributes.items()
        if name not in known
    ]
