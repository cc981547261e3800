"""What in the tables breaks the contract, and how can it be mended?"""

from collections.abc import Sequence
from dataclasses import dataclass

from mlmarket.errors import DataContractError

__all__ = ["ContractViolationError", "Violation", "unreadable"]


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule of the contract that rows of one column break.

    Parameters
    ----------
    table, column : str
        Where; the column is empty where the rule is about whole rows.
    rule : str
        What is wrong, as the end of a sentence that begins with the column.
    why : str
        Why it matters.
    fix : str
        What to do.
    rows : int, default 0
        How many rows; 0 where the rule is about the table as a whole.
    example : str, default ""
        One offending value, the smallest, so that it is the same each time.
    """

    table: str
    column: str
    rule: str
    why: str
    fix: str
    rows: int = 0
    example: str = ""

    @property
    def what(self) -> str:
        """The first line of its message."""
        place = f"{self.table}.{self.column}" if self.column else f"Table '{self.table}'"
        rows = "" if not self.rows else f" in {self.rows:,} row{'s' if self.rows > 1 else ''}"
        example = f", for example {self.example}" if self.example else ""
        return f"{place} {self.rule}{rows}{example}."

    @property
    def text(self) -> str:
        """All three lines of its message."""
        return f"{self.what}\n{self.why}\nFix: {self.fix}"


class ContractViolationError(DataContractError):
    """Tables that break the contract; every violation is in the message.

    Parameters
    ----------
    violations : sequence of Violation
        At least one.
    """

    def __init__(self, violations: Sequence[Violation]) -> None:
        first = violations[0]
        super().__init__(first.what, first.why, first.fix)
        self.violations = tuple(violations)

    def __str__(self) -> str:
        """Return the message: three lines for each violation."""
        if len(self.violations) == 1:
            return self.violations[0].text
        head = f"The tables break the data contract in {len(self.violations)} places."
        return "\n\n".join([head, *(violation.text for violation in self.violations)])


def unreadable(table: str, what: str, why: str, fix: str) -> Violation:
    """Return the violation of a table whose source cannot be read at all.

    Parameters
    ----------
    table : str
        The table.
    what : str
        What is wrong with its source.
    why : str
        Why it matters.
    fix : str
        What to do.

    Returns
    -------
    Violation
        About the whole table.
    """
    return Violation(table=table, column="", rule=f"cannot be read: {what}", why=why, fix=fix)
