"""What is one number about a contact at an instant?"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from mlmarket.features.behaviour import Behaviour
from mlmarket.market.time import duration_text, parse_duration

__all__ = ["Feature", "Operation"]


class Operation(StrEnum):
    """What is computed from the rows of a window."""

    COUNT = "count"
    TOTAL = "total"
    MEAN = "mean"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    LAST = "last"
    RECENCY = "recency"
    FIRST_TOUCH = "first_touch"
    DAYS_ACTIVE = "days_active"
    GAP_MEAN = "gap_mean"
    GAP_STD = "gap_std"
    RATIO = "ratio"
    TREND = "trend"
    ATTRIBUTE = "attribute"


@dataclass(frozen=True, slots=True)
class Feature:
    """One number, or one category, about a contact at an instant.

    Make one with the functions of :mod:`mlmarket.features.algebra`.

    Parameters
    ----------
    name : str
        Name of its column.
    operation : Operation
        What is computed.
    behaviour : Behaviour, optional
        From which rows.
    window : timedelta, optional
        From ``(as_of - window, as_of]``, in whole days; the whole past without it.
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
            above, below = (part.name for part in self.parts)
            if above == below:  # a share: only the condition tells the two apart
                above, below = (part.description.partition(";")[0] for part in self.parts)
            return f"{above} divided by {below}; missing where that is 0"
        return {
            Operation.COUNT: f"number of {rows}; 0 without rows",
            Operation.TOTAL: f"summed value of {rows}, in currency; 0 without rows",
            Operation.MEAN: f"mean value of {rows}, in currency; missing without rows",
            Operation.MINIMUM: f"smallest value of {rows}, in currency; missing without rows",
            Operation.MAXIMUM: f"largest value of {rows}, in currency; missing without rows",
            Operation.LAST: f"value of the last of {rows}, in currency; missing without rows",
            Operation.RECENCY: f"days since the last of {rows}; missing without rows",
            Operation.FIRST_TOUCH: f"days since the first of {rows}; missing without rows",
            Operation.DAYS_ACTIVE: f"number of days with {rows}; 0 without rows",
            Operation.GAP_MEAN: f"mean days between days with {rows}; missing below two days",
            Operation.GAP_STD: f"standard deviation of those gaps, for {rows}; missing below three",
            Operation.TREND: f"log of {rows} against the same span before it, both plus 1",
            Operation.ATTRIBUTE: f"contacts.{self.column} as it was known",
        }[self.operation]

    def to_dict(self) -> dict[str, Any]:
        """Return the feature as plain values, for a file.

        Returns
        -------
        dict
            Texts, lists and booleans only.
        """
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
        """Return the feature that :meth:`to_dict` wrote.

        Parameters
        ----------
        plain : mapping of str to object
            What was written.

        Returns
        -------
        Feature
            Equal to the one that was written.
        """
        return cls(
            name=plain["name"],
            operation=Operation(plain["operation"]),
            behaviour=Behaviour.parse(plain["of"]) if "of" in plain else None,
            window=parse_duration(plain["window"]) if "window" in plain else None,
            parts=tuple(cls.from_dict(part) for part in plain.get("parts", ())),
            column=plain.get("column"),
            categorical=plain.get("categorical", False),
        )
