"""How does a source become a table of the contract?

Filters, maps and casts one source. What is wrong with it is collected, not raised: the checks
report everything about all tables at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from mlmarket.errors import nearest
from mlmarket.expressions import Expression, ExpressionError, parse, parse_condition, schema_of
from mlmarket.market.casts import Reading, cast_column, integer_written_as_float, is_naive
from mlmarket.market.columns import ColumnSpec, Kind, TableSpec
from mlmarket.market.connect import Source
from mlmarket.market.settings import TableSettings
from mlmarket.market.violations import Violation

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["IS_RETURN", "MappedTable", "map_table"]

IS_RETURN: Final = "is_return"
"""Column of orders that mlmarket adds: whether the line is a return."""


@dataclass(frozen=True, slots=True)
class MappedTable:
    """One table of the contract, as expressions over its source.

    Parameters
    ----------
    name : str
        Its name.
    spec : TableSpec
        Its contract.
    rows : ibis.expr.types.Table
        The source's rows that `where` keeps.
    values : mapping of str to ibis.expr.types.Value
        Columns of the contract, cast.
    originals : mapping of str to ibis.expr.types.Value
        The same columns as they came.
    extras : mapping of str to ibis.expr.types.Value
        Further columns, kept under their names.
    rows_read : int
        Rows of the source before `where`.
    rows_kept : int
        Rows that `where` keeps.
    naive : tuple of str
        Time columns that carry no zone where none is declared.
    violations : tuple of Violation
        What is already known to be wrong.
    """

    name: str
    spec: TableSpec
    rows: "ir.Table"
    values: Mapping[str, "ir.Value"]
    originals: Mapping[str, "ir.Value"]
    extras: Mapping[str, "ir.Value"]
    rows_read: int
    rows_kept: int
    naive: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = field(default=())

    def to_table(self) -> "ir.Table":
        """Return the table in the contract's form, further columns behind."""
        return self.rows.select(**self.values, **self.extras)


@dataclass(frozen=True, slots=True)
class _TextColumn:
    """What the values of a text column look like."""

    filled: int
    numbers: int
    float_ids: int
    coded: int
    times: int

    @property
    def is_number(self) -> bool:
        return self.filled > 0 and self.numbers == self.filled and self.coded == 0

    @property
    def is_time(self) -> bool:
        return self.filled > 0 and self.times == self.filled

    @property
    def has_float_ids(self) -> bool:
        return self.filled > 0 and self.float_ids == self.filled


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
        Zone of times that carry none; None where none is declared, which is a violation.

    Returns
    -------
    MappedTable
        With the violations found so far.

    Raises
    ------
    ExpressionError
        Where an expression of the configuration cannot be read.
    """
    looks = _look_at_text(source)
    typed = _typed(source, looks)
    kept = typed
    if settings.where is not None:
        kept = typed.filter(_condition(settings.where, source, typed).to_ibis(typed))
    backend = source.table.get_backend().name
    reading = Reading(zone=zone, time_format=settings.time_format, backend=backend)
    values, originals, naive, violations = {}, {}, [], []
    for column in spec.columns:
        original = _original(column, source, kept, settings)
        if original is None:
            if column.needed:
                violations.append(_missing(column, spec, source))
            continue
        text = looks.get(original.get_name())
        float_ids = text is not None and text.has_float_ids
        originals[column.name] = original
        values[column.name] = cast_column(original, column.kind, reading, float_ids=float_ids)
        if column.kind is Kind.TIME and zone is None and is_naive(original, reading):
            naive.append(column.name)
    if spec.name == "orders":
        _add_returns(values, settings, source, kept)
    violations += _unknown_mappings(spec, settings)
    read, left = _count(typed, kept)
    return MappedTable(
        name=spec.name,
        spec=spec,
        rows=kept,
        values=values,
        originals=originals,
        extras=_extras(spec, source, kept, settings),
        rows_read=read,
        rows_kept=left,
        naive=tuple(naive),
        violations=tuple(violations),
    )


def _count(typed: "ir.Table", kept: "ir.Table") -> tuple[int, int]:
    read = int(typed.count().execute())
    return read, read if kept is typed else int(kept.count().execute())


def _look_at_text(source: Source) -> dict[str, _TextColumn]:
    """Count in one pass what the text columns of a source hold."""
    table = source.table
    names = [name for name, dtype in table.schema().items() if dtype.is_string()]
    if not source.all_text:
        names = [name for name in names if name.endswith("_id")]
    if not names:
        return {}
    measures: dict[str, Any] = {}
    for place, name in enumerate(names):
        text = cast("ir.StringValue", table[name]).strip().nullif("")
        measures |= {
            f"filled_{place}": text.count(),
            f"float_ids_{place}": integer_written_as_float(text).sum(),
        }
        if source.all_text:
            measures |= {
                f"numbers_{place}": text.try_cast("float64").count(),
                # 00123 is a code, however much it looks like a number.
                f"coded_{place}": text.re_search(r"^0[0-9]").sum(),
                f"times_{place}": text.try_cast("timestamp(6)").count(),
            }
    row = table.aggregate(**measures).to_pyarrow().to_pylist()[0]
    return {
        name: _TextColumn(
            **{
                measure: int(row.get(f"{measure}_{place}") or 0)
                for measure in ("filled", "numbers", "float_ids", "coded", "times")
            }
        )
        for place, name in enumerate(names)
    }


def _typed(source: Source, looks: Mapping[str, _TextColumn]) -> "ir.Table":
    """Return the source with, beside each text column that holds numbers or times, a typed one."""
    if not source.all_text:
        return source.table
    typed: dict[str, Any] = {}
    for name, look in looks.items():
        text = cast("ir.StringValue", source.table[name]).strip().nullif("")
        if look.is_number:
            typed[_typed_name(name)] = text.try_cast("float64")
        elif look.is_time:
            typed[_typed_name(name)] = text.try_cast("timestamp(6)")
    return source.table.mutate(**typed) if typed else source.table


def _typed_name(name: str) -> str:
    return f"{name}::typed"


def _as_typed(table: "ir.Table", *, keep_text: bool = False) -> "ir.Table":
    """Return the table as expressions see it: columns by name, typed ones in place of text."""
    columns = {}
    for name in table.columns:
        if name.endswith("::typed"):
            continue
        typed = _typed_name(name)
        columns[name] = table[typed if typed in table.columns and not keep_text else name]
    return table.select(**columns)


class _Bound:
    """An expression and how it sees its table: with typed columns, or as text."""

    def __init__(self, expression: Expression, *, keep_text: bool) -> None:
        self.expression = expression
        self.keep_text = keep_text

    def to_ibis(self, table: "ir.Table") -> "ir.Value":
        columns = {
            name: table[
                name
                if self.keep_text or _typed_name(name) not in table.columns
                else _typed_name(name)
            ]
            for name in self.expression.columns
        }
        return self.expression.to_ibis(columns)


def _bind(text: str, source: Source, table: "ir.Table", *, condition: bool = False) -> _Bound:
    """Parse an expression over a source; text columns of digits serve as numbers and as text."""
    read = parse_condition if condition else parse
    try:
        return _Bound(read(text, schema=schema_of(_as_typed(table))), keep_text=False)
    except ExpressionError:
        if not source.all_text:
            raise
        try:
            as_text = schema_of(_as_typed(table, keep_text=True))
            return _Bound(read(text, schema=as_text), keep_text=True)
        except ExpressionError:
            pass
        raise


def _condition(text: str, source: Source, table: "ir.Table") -> _Bound:
    return _bind(text, source, table, condition=True)


def _original(
    column: ColumnSpec, source: Source, kept: "ir.Table", settings: TableSettings
) -> "ir.Value | None":
    """Return a column of the contract as it came, None where the source has none."""
    text = settings.columns.get(column.name)
    if text is None:
        return kept[column.name] if column.name in source.table.columns else None
    if text in source.table.columns:
        return kept[text]
    bare = text.strip().strip('"')
    if bare in source.table.columns:
        return kept[bare]
    return _bind(text, source, kept).to_ibis(kept)


def _add_returns(
    values: "dict[str, Any]", settings: TableSettings, source: Source, kept: "ir.Table"
) -> None:
    """Mark declared returns, and make their amount and quantity negative."""
    import ibis

    if settings.returns is None:
        values[IS_RETURN] = ibis.literal(value=False)
        return
    is_return = _condition(settings.returns, source, kept).to_ibis(kept).fill_null(False)
    values[IS_RETURN] = is_return
    for name in ("amount", "quantity"):
        if name in values:
            values[name] = is_return.ifelse(-values[name].abs(), values[name])


def _extras(
    spec: TableSpec, source: Source, kept: "ir.Table", settings: TableSettings
) -> dict[str, "ir.Value"]:
    """Return the columns the contract does not know, typed where their text allows it."""
    used = {text.strip().strip('"') for text in settings.columns.values()}
    known = {column.name for column in spec.columns} | {IS_RETURN}
    extras = {}
    for name in source.table.columns:
        if name in used or name in known:
            continue
        typed = _typed_name(name)
        extras[name] = kept[typed] if typed in kept.columns else kept[name]
    return extras


def _missing(column: ColumnSpec, spec: TableSpec, source: Source) -> Violation:
    near = nearest(column.name, source.table.columns)
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


def _unknown_mappings(spec: TableSpec, settings: TableSettings) -> list[Violation]:
    known = [column.name for column in spec.columns]
    return [
        Violation(
            table=spec.name,
            column="",
            rule=f"maps '{name}', which is not a column of the contract",
            why="A mapping to an unknown name would do nothing.",
            fix=f"did you mean '{nearest(name, known)}'?"
            if nearest(name, known)
            else f"use one of {', '.join(known)}; other columns keep their names by themselves.",
        )
        for name in settings.columns
        if name not in known
    ]
