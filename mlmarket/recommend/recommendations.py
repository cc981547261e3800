"""What is shown to whom?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from mlmarket.market.columns import CONTACT_ID
from mlmarket.recommend.identity import IdKind
from mlmarket.recommend.interactions import ITEM_ID

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["LONG_FORM", "Recommendations"]

LONG_FORM: Final = (
    CONTACT_ID,
    ITEM_ID,
    "rank",
    "score",
    "probability",
    "due_date",
    "reason",
    "source",
    "propensity",
)
"""Columns of the long form."""


@dataclass(frozen=True, slots=True, repr=False)
class Recommendations:
    """Items for recipients, with the reason for each.

    Parameters
    ----------
    items : pyarrow.Table
        One row a recipient and slot, in the order of the recipients and ranks: ``contact_id``, ``item_id``,
        ``rank`` from 1, ``score`` (larger is better, comparable within a recipient), ``probability`` that it is
        bought within the horizon (missing where it was never measured), ``due_date`` of a refill, ``reason`` in
        words, ``source`` (what proposed it) and ``propensity``, the chance with which this item stood in this
        slot (1 where nothing was drawn).
    short : pyarrow.Table
        ``contact_id, wanted, filled, reason``: who got fewer items than asked for, and why.
    history : pyarrow.Table
        ``contact_id, occasions, filled, by_fallback``: how long the history of each recipient is, and how many
        of the slots a fallback filled.
    horizon_days : float or None
        Within how many days of tonight a purchase was predicted; None for the next occasion.
    """

    items: "pa.Table"
    short: "pa.Table"
    history: "pa.Table"
    horizon_days: float | None = None

    def __repr__(self) -> str:
        people = self.history.num_rows
        return f"Recommendations({self.items.num_rows:,} items for {people:,} contacts)"

    def _repr_html_(self) -> str:
        return str(self.to_frame().head(20).to_html(index=False, border=0))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the long form as an Arrow stream, so that ``polars.DataFrame(result)`` works."""
        return self.items.__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        """Return the number of recommended items."""
        return int(self.items.num_rows)

    def with_ids(self, contact: IdKind, item: IdKind) -> "Recommendations":
        """Return the same with ids as they came in.

        Parameters
        ----------
        contact, item : IdKind
            What they are made of.

        Returns
        -------
        Recommendations
            With whole numbers where they were.
        """
        if not (contact.integer or item.integer):
            return self
        return Recommendations(
            _restored(self.items, contact, item),
            _restored(self.short, contact, item),
            _restored(self.history, contact, item),
            self.horizon_days,
        )

    def to_arrow(self) -> "pa.Table":
        """Return the long form.

        Returns
        -------
        pyarrow.Table
            The columns of :data:`LONG_FORM`.
        """
        return self.items

    def to_frame(self) -> "pd.DataFrame":
        """Return the long form as a pandas frame.

        Returns
        -------
        pandas.DataFrame
            The columns of :data:`LONG_FORM`.
        """
        return cast("pd.DataFrame", self.items.to_pandas())

    def fallback_by_history(self) -> "pd.DataFrame":
        """Return the share of slots that fallbacks filled, by length of history.

        Returns
        -------
        pandas.DataFrame
            ``occasions`` ("0", "1", "2", "3 or more"), ``contacts``, ``slots`` and ``fallback_share``.
        """
        import pandas as pd

        frame = self.history.to_pandas()
        names = ["0", "1", "2", "3 or more"]
        grouped = frame.groupby(frame["occasions"].clip(upper=3))
        counted = grouped.agg(
            contacts=("occasions", "size"), slots=("filled", "sum"), fallback=("by_fallback", "sum")
        ).reindex(range(len(names)), fill_value=0)
        share = counted["fallback"] / counted["slots"].where(counted["slots"] > 0)
        return pd.DataFrame(
            {
                "occasions": names,
                "contacts": counted["contacts"].to_numpy(),
                "slots": counted["slots"].to_numpy(),
                "fallback_share": share.to_numpy(),
            }
        )


def _restored(table: "pa.Table", *kinds: IdKind) -> "pa.Table":
    for kind in kinds:
        if kind.column in table.column_names:
            place = table.column_names.index(kind.column)
            table = table.set_column(place, kind.column, kind.restored(table.column(place)))
    return table
