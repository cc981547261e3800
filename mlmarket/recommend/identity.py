"""Are the ids of two tables the same kind of ids?

As text, the number 7 and the text "7" look alike; in a join of the team's own tables they are not.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.reading import whole_numbers

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["IdKind", "kind_of"]


@dataclass(frozen=True, slots=True)
class IdKind:
    """What the ids of a column are made of.

    Parameters
    ----------
    column : str
        Such as ``item_id``.
    integer : bool
        Whether they are whole numbers, and not text.
    table : str
        Where they were seen first.
    """

    column: str
    integer: bool
    table: str

    @property
    def words(self) -> str:
        """What they are, for a message."""
        return "whole numbers" if self.integer else "text"

    def require(self, other: "IdKind | None") -> None:
        """Refuse ids of another kind.

        Parameters
        ----------
        other : IdKind or None
            Of a second table; None where it has no rows.

        Raises
        ------
        ConfigurationError
            Where one holds numbers and the other text.
        """
        if other is None or other.integer == self.integer:
            return
        raise ConfigurationError(
            f"Column '{self.column}' holds {self.words} in table '{self.table}' "
            f"and {other.words} in table '{other.table}'.",
            "Ids that do not meet would leave contacts without a history and items without a price.",
            f"make them alike, such as {other.table}['{self.column}'] = "
            f"{other.table}['{self.column}'].astype({'int' if self.integer else 'str'}).",
        )

    def restored(self, ids: "pa.Array") -> "pa.Array":
        """Return ids as they came in.

        Parameters
        ----------
        ids : pyarrow.StringArray
            As text.

        Returns
        -------
        pyarrow.Array
            Whole numbers where they were.
        """
        import pyarrow as pa

        return ids.cast(pa.int64()) if self.integer else ids


def kind_of(table: "pa.Table", column: str, *, name: str) -> IdKind | None:
    """Return what the ids of a column are made of.

    Parameters
    ----------
    table : pyarrow.Table
        Any.
    column, name : str
        Its name, and the table's.

    Returns
    -------
    IdKind or None
        None where the table has no such column, or no rows. Floats that are whole are whole numbers.
    """
    import pyarrow.types as types

    if column not in table.column_names or not table.num_rows:
        return None
    found = table.schema.field(column).type
    if types.is_dictionary(found):
        found = found.value_type
    if types.is_floating(found):
        found = whole_numbers(table.column(column)).type
    return IdKind(column, bool(types.is_integer(found)), name)
