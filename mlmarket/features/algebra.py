"""What can be asked about a contact's past?

A small closed set of operations over behaviour and attributes. A feature is data, not code: it can
be listed, documented, written in a file, and compiled for any engine.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from mlmarket.errors import ConfigurationError
from mlmarket.market.time import duration_text, parse_duration

__all__ = [
    "Behaviour",
    "Feature",
    "Operation",
    "attribute",
    "count",
    "days_active",
    "first_touch",
    "gap_mean",
    "gap_std",
    "maximum",
    "mean",
    "ratio",
    "recency",
    "total",
    "trend",
]

_TYPE: Final = r"(?:[\w.:-]+|\"[^\"]+\")"
_BEHAVIOUR: Final = re.compile(
    rf"\s*(?P<no>no\s+)?(?:(?P<table>event|outcome)\s+)?(?P<types>{_TYPE}(?:\s*\|\s*{_TYPE})*)"
    r"(?:\s+within\s+(?P<within>\w+))?(?:\s+where\s+(?P<where>.+?))?\s*",
    re.DOTALL,
)


class Operation(StrEnum):
    """What is computed from the rows of a window."""

    COUNT = "count"
    TOTAL = "total"
    MEAN = "mean"
    MAXIMUM = "maximum"
    RECENCY = "recency"
    FIRST_TOUCH = "first_touch"
    DAYS_ACTIVE = "days_active"
    GAP_MEAN = "gap_mean"
    GAP_STD = "gap_std"
    RATIO = "ratio"
    TREND = "trend"
    ATTRIBUTE = "attribute"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Rows of activity, or of outcomes, that count as the same thing.

    Parameters
    ----------
    types : tuple of str
        Types of activity, or outcomes.
    where : str, optional
        Condition over ``value, item_id, campaign_id, source`` of the rows.
    within : timedelta, optional
        How far back it counts, where that matters.
    negated : bool, default False
        Whether its absence is meant.
    table : {"activity", "outcomes"}
        Where the rows are.
    """

    types: tuple[str, ...]
    where: str | None = None
    within: timedelta | None = None
    negated: bool = False
    table: str = "activity"

    @classmethod
    def parse(cls, text: "str | Behaviour") -> "Behaviour":
        """Read a behaviour from text.

        Parameters
        ----------
        text : str
            ``[no] [event | outcome] TYPE [| TYPE …] [within 90D] [where CONDITION]``, such as
            ``order``, ``no order``, ``event upgrade``, ``outcome won`` or
            ``order within 365D where value > 50``. A type with spaces stands in double quotes.

        Returns
        -------
        Behaviour
            What was meant.

        Raises
        ------
        ConfigurationError
            Where it cannot be read.

        Examples
        --------
        >>> Behaviour.parse("no order").negated
        True
        """
        if isinstance(text, Behaviour):
            return text
        match = _BEHAVIOUR.fullmatch(text)
        if match is None:
            raise ConfigurationError(
                f"{text!r} does not name a behaviour.",
                "Labels, eligibility and features are about what people do.",
                "write it like 'order', 'no order', 'event upgrade', 'outcome won' or "
                "'order within 365D where value > 50'.",
            )
        return cls(
            types=tuple(sorted({kind.strip('"') for kind in re.findall(_TYPE, match["types"])})),
            where=match["where"],
            within=parse_duration(match["within"]) if match["within"] else None,
            negated=match["no"] is not None,
            table="outcomes" if match["table"] == "outcome" else "activity",
        )

    @property
    def label(self) -> str:
        """A name for columns: its types in snake case."""
        return re.sub(r"\W+", "_", "_or_".join(self.types)).strip("_").lower()

    def __str__(self) -> str:
        """Return the text that :meth:`parse` reads back."""
        parts = ["no"] if self.negated else []
        parts += ["outcome"] if self.table == "outcomes" else []
        parts.append(" | ".join(_quoted(kind) for kind in self.types))
        parts += [f"within {duration_text(self.within)}"] if self.within else []
        parts += [f"where {self.where}"] if self.where else []
        return " ".join(parts)


def _quoted(kind: str) -> str:
    return kind if re.fullmatch(r"[\w.:-]+", kind) else f'"{kind}"'


@dataclass(frozen=True, slots=True)
class Feature:
    """One number, or one category, about a contact at an instant.

    Parameters
    ----------
    name : str
        Name of its column.
    operation : Operation
        What is computed.
    behaviour : Behaviour, optional
        From which rows.
    window : timedelta, optional
        From ``(as_of - window, as_of]``; the whole past without it.
    parts : tuple of Feature
        Numerator and denominator of a ratio.
    column : str, optional
        The attribute of contacts.
    categorical : bool, default False
        Whether the attribute is a category.
    """

    name: str
    operation: Operation
    behaviour: Behaviour | None = None
    window: timedelta | None = None
    parts: "tuple[Feature, ...]" = ()
    column: str | None = None
    categorical: bool = False

    @property
    def description(self) -> str:
        """What it says, with its unit and what it is where there are no rows."""
        past = f"the last {duration_text(self.window)}" if self.window else "all the past"
        rows = f"'{self.behaviour}' in {past}"
        if self.operation is Operation.RATIO:
            return f"{self.parts[0].name} divided by {self.parts[1].name}; missing where that is 0"
        return {
            Operation.COUNT: f"number of {rows}; 0 without rows",
            Operation.TOTAL: f"summed value of {rows}, in currency; 0 without rows",
            Operation.MEAN: f"mean value of {rows}, in currency; missing without rows",
            Operation.MAXIMUM: f"largest value of {rows}, in currency; missing without rows",
            Operation.RECENCY: f"days since the last of {rows}; missing without rows",
            Operation.FIRST_TOUCH: f"days since the first of {rows}; missing without rows",
            Operation.DAYS_ACTIVE: f"number of days with {rows}; 0 without rows",
            Operation.GAP_MEAN: f"mean days between days with {rows}; missing below two days",
            Operation.GAP_STD: f"standard deviation of those gaps, for {rows}; missing below three",
            Operation.TREND: f"log of {rows} against the same span before it, both plus 1",
            Operation.ATTRIBUTE: f"contacts.{self.column} as it was known",
        }[self.operation]

    def to_dict(self) -> dict[str, Any]:
        """Return the feature as plain values, for a file."""
        plain: dict[str, Any] = {"name": self.name, "operation": self.operation.value}
        if self.behaviour is not None:
            plain["of"] = str(self.behaviour)
        if self.window is not None:
            plain["window"] = duration_text(self.window)
        if self.parts:
            plain["parts"] = [part.to_dict() for part in self.parts]
        if self.column is not None:
            plain |= {"column": self.column, "categorical": self.categorical}
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Feature":
        """Return the feature that :meth:`to_dict` wrote."""
        return cls(
            name=plain["name"],
            operation=Operation(plain["operation"]),
            behaviour=Behaviour.parse(plain["of"]) if "of" in plain else None,
            window=parse_duration(plain["window"]) if "window" in plain else None,
            parts=tuple(cls.from_dict(part) for part in plain.get("parts", ())),
            column=plain.get("column"),
            categorical=plain.get("categorical", False),
        )


def _named(operation: Operation, of: str | Behaviour, window: str | None, name: str) -> Feature:
    behaviour = Behaviour.parse(of)
    span = parse_duration(window) if window and window != "all" else None
    if span is not None and span % timedelta(days=1):
        raise ConfigurationError(
            f"The window {window!r} is not made of whole days.",
            "Rows are counted by day before as_of.",
            "write it in days, such as '7D'.",
        )
    default = f"{behaviour.label}_{operation.value}" + (f"_{span.days}d" if span else "")
    return Feature(name or default, operation, behaviour, span)


def count(of: str | Behaviour, window: str = "all", *, name: str = "") -> Feature:
    """Return the number of rows; 0 without rows.

    Parameters
    ----------
    of : str or Behaviour
        Which rows, such as ``"order"``.
    window : str, default "all"
        How far back, such as ``"90D"``.
    name : str, optional
        Name of the column; by default made of the rest.

    Returns
    -------
    Feature

    Examples
    --------
    >>> count("order", "90D").name
    'order_count_90d'
    """
    return _named(Operation.COUNT, of, window, name)


def total(of: str | Behaviour, window: str = "all", *, name: str = "") -> Feature:
    """Return the summed value of rows; 0 without rows. Parameters as in :func:`count`."""
    return _named(Operation.TOTAL, of, window, name)


def mean(of: str | Behaviour, window: str = "all", *, name: str = "") -> Feature:
    """Return the mean value of rows; missing without. Parameters as in :func:`count`."""
    return _named(Operation.MEAN, of, window, name)


def maximum(of: str | Behaviour, window: str = "all", *, name: str = "") -> Feature:
    """Return the largest value of rows; missing without. Parameters as in :func:`count`."""
    return _named(Operation.MAXIMUM, of, window, name)


def recency(of: str | Behaviour, *, name: str = "") -> Feature:
    """Return the days since the last row; missing without. Parameters as in :func:`count`."""
    return _named(Operation.RECENCY, of, None, name)


def first_touch(of: str | Behaviour, *, name: str = "") -> Feature:
    """Return the days since the first row; missing without. Parameters as in :func:`count`."""
    return _named(Operation.FIRST_TOUCH, of, None, name)


def days_active(of: str | Behaviour, window: str = "all", *, name: str = "") -> Feature:
    """Return the number of 24-hour days, counted back from as_of, that have a row.

    An order of several lines, or several orders of a day, are one day: what the literature on
    repeat buying calls a transaction. Parameters as in :func:`count`.
    """
    return _named(Operation.DAYS_ACTIVE, of, window, name)


def gap_mean(of: str | Behaviour, *, name: str = "") -> Feature:
    """Return the mean days between active days; missing below two. See :func:`count`."""
    return _named(Operation.GAP_MEAN, of, None, name)


def gap_std(of: str | Behaviour, *, name: str = "") -> Feature:
    """Return the standard deviation of the gaps; missing below three days. See :func:`count`."""
    return _named(Operation.GAP_STD, of, None, name)


def trend(of: str | Behaviour, window: str, *, name: str = "") -> Feature:
    """Return ``log((1 + rows in the window) / (1 + rows in the span of equal length before))``.

    Parameters as in :func:`count`.
    """
    return _named(Operation.TREND, of, window, name)


def ratio(above: Feature, below: Feature, *, name: str = "") -> Feature:
    """Return one feature divided by another; missing where the latter is 0 or missing.

    Parameters
    ----------
    above, below : Feature
        Numerator and denominator.
    name : str, optional
        Name of the column; by default made of the two.

    Returns
    -------
    Feature
    """
    default = f"{above.name}_per_{below.name}"
    return Feature(name or default, Operation.RATIO, parts=(above, below))


def attribute(column: str, *, categorical: bool = False) -> Feature:
    """Return an attribute of the contact, as it was known at as_of.

    Parameters
    ----------
    column : str
        Column of contacts.
    categorical : bool, default False
        Whether it is a category; else it is read as a number.

    Returns
    -------
    Feature
    """
    return Feature(column, Operation.ATTRIBUTE, column=column, categorical=categorical)
