"""How does a segment say in words why somebody is in it?

A template is cut into clauses at semicolons; a clause is text and placeholders such as
``{churn_probability_90d:percent}``. The clauses are filled for all people at once by the
database: a missing value makes its whole clause vanish, never a hole in the sentence.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import ibis
import ibis.expr.types as ir

from mlmarket.errors import suggestion
from mlmarket.orchestration.documents import refuse

__all__ = [
    "FORMATS",
    "Clause",
    "Placeholder",
    "as_text",
    "clauses_of",
    "columns_of",
    "filled",
    "written",
]

FORMATS: Final = ("percent", "number", "date", "text")
"""How a value may be written: 43%, 12.5, 2026-03-01, or as it is."""

_PLACEHOLDER: Final = re.compile(r"\{([^{}:]+)(?::([^{}:]*))?\}")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A column's value in a clause, and how it is written."""

    column: str
    form: str


Clause: TypeAlias = tuple[str | Placeholder, ...]
"""Text and placeholders, in their order."""


def clauses_of(template: str | None) -> tuple[Clause, ...]:
    """Cut a template into its clauses.

    Parameters
    ----------
    template : str or None
        Text with ``{column}`` or ``{column:form}``; clauses end at semicolons.

    Returns
    -------
    tuple of Clause
        Empty for no template.

    Raises
    ------
    PydanticCustomError
        For an unknown form or a brace without its partner.

    Examples
    --------
    >>> clauses_of("{risk:percent} risk")
    ((Placeholder(column='risk', form='percent'), ' risk'),)
    """
    if template is None:
        return ()
    pieces = (piece.strip() for piece in template.split(";"))
    return tuple(_clause(piece) for piece in pieces if piece)


def _clause(text: str) -> Clause:
    parts: list[str | Placeholder] = []
    position = 0
    for found in _PLACEHOLDER.finditer(text):
        parts.append(text[position : found.start()])
        form = found[2].strip() if found[2] is not None else "text"
        if form not in FORMATS:
            refuse(f"in 'why' there is no form '{form}'", suggestion(form, FORMATS))
        parts.append(Placeholder(found[1].strip(), form))
        position = found.end()
    parts.append(text[position:])
    if any(isinstance(part, str) and re.search(r"[{}]", part) for part in parts):
        problem = "in 'why' a brace is open, doubled or empty"
        refuse(problem, "write {column} or {column:form}.")
    return tuple(part for part in parts if part)


def filled(template: str | None, table: ir.Table, *, otherwise: str) -> ir.StringValue:
    """Compile a template into a text column.

    Parameters
    ----------
    template : str or None
        The template of a segment.
    table : ibis.expr.types.Table
        A row a person; a column that it lacks counts as missing for everyone.
    otherwise : str
        The text where no clause can be filled.

    Returns
    -------
    ibis.expr.types.StringValue
        Never missing.
    """
    text = written(template, table)
    return ibis.literal(otherwise) if text is None else text.fill_null(otherwise)


def written(template: str | None, table: ir.Table) -> ir.StringValue | None:
    """Compile a template into a text column, as :func:`filled` does.

    Parameters
    ----------
    template : str or None
        The template of a segment.
    table : ibis.expr.types.Table
        A row a person; a column that it lacks counts as missing for everyone.

    Returns
    -------
    ibis.expr.types.StringValue or None
        Missing where no clause can be filled; None where that is so for everyone.
    """
    clauses = [
        _joined([as_text(part, table) for part in clause])
        for clause in clauses_of(template)
        if all(isinstance(part, str) or part.column in table.columns for part in clause)
    ]
    # The join skips missing clauses, so it is empty where all of them are.
    return ibis.literal("; ").join(clauses).nullif("") if clauses else None


def columns_of(template: str | None) -> tuple[str, ...]:
    """Return the columns that a template names, each once.

    Parameters
    ----------
    template : str or None
        The template of a segment.

    Returns
    -------
    tuple of str
        In the order of the text.

    Examples
    --------
    >>> columns_of("{risk:percent} risk; from {country}")
    ('risk', 'country')
    """
    parts = (part for clause in clauses_of(template) for part in clause)
    return tuple(dict.fromkeys(part.column for part in parts if isinstance(part, Placeholder)))


def _joined(parts: Sequence[ir.StringValue]) -> ir.StringValue:
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return whole


def as_text(part: str | Placeholder, table: ir.Table) -> ir.StringValue:
    """Return a part of a clause as text.

    Parameters
    ----------
    part : str or Placeholder
        Plain text, or a column that the table has.
    table : ibis.expr.types.Table
        A row a person.

    Returns
    -------
    ibis.expr.types.StringValue
        Missing where the value is.
    """
    if isinstance(part, str):
        return ibis.literal(part)
    value = _known(table[part.column])
    numeric = value.type().is_numeric()
    if part.form == "percent" and numeric:
        return _percent(value.cast("float64"))
    if part.form == "number" and numeric:
        return _number(value.cast("float64"))
    if part.form == "date" and value.type().is_temporal():
        return value.strftime("%Y-%m-%d")
    return value.cast("string")


def _known(value: ir.Value) -> ir.Value:
    """Return the value with what is not a number turned into missing."""
    return value.isnan().ifelse(None, value) if value.type().is_floating() else value


def _percent(share: ir.FloatingValue) -> ir.StringValue:
    # "0%" and "100%" would claim a certainty that no model has.
    rounded = (share * 100).round().cast("int64").cast("string") + "%"
    return ibis.cases(
        ((share > 0) & (share < 0.005), "under 1%"),
        ((share < 1) & (share >= 0.995), "over 99%"),
        else_=rounded,
    )


def _number(value: ir.FloatingValue) -> ir.StringValue:
    rounded = value.round(1)
    whole = rounded.cast("int64")
    return (rounded == whole).ifelse(whole.cast("string"), rounded.cast("string"))
