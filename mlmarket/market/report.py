"""What did a look at all tables find?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlmarket.market.violations import ContractViolationError, Violation

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

__all__ = ["CheckReport", "Note", "TableCount"]


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
        """Return the counts as a frame.

        Returns
        -------
        pandas.DataFrame
            One row a table: table, source, rows_read, left_out, unknown_contacts, rows.
        """
        import pandas as pd

        columns: dict[str, Callable[[TableCount], object]] = {
            "table": lambda count: count.table,
            "source": lambda count: count.source,
            "rows_read": lambda count: count.read,
            "left_out": lambda count: count.left_out,
            "unknown_contacts": lambda count: count.unknown_contacts,
            "rows": lambda count: count.kept,
        }
        return pd.DataFrame(
            {name: [value(count) for count in self.counts] for name, value in columns.items()}
        )
