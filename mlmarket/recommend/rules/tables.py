"""How do frames about single contacts become rules?"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, DataContractError, nearest
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.frames import to_arrow, without_nulls
from mlmarket.recommend.identity import IdKind, kind_of
from mlmarket.recommend.interactions import ITEM_ID
from mlmarket.recommend.reading import ids

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["RuleTables", "Unknown", "read_table", "times_of"]

_DAY_US: Final = 86_400_000_000
_COMPARED: Final = 5_000
"""Ids that a name which does not exist is compared with, in search of a near one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTables:
    """Rules about single contacts: pandas, polars or Arrow frames.

    Parameters
    ----------
    blocked : frame, optional
        ``contact_id, item_id``: never shown to them.
    exclude : frame, optional
        The same, for one call.
    pinned : frame, optional
        ``contact_id, item_id, rank``: stands there, before what is pinned for everybody.
    carts : frame, optional
        ``contact_id, item_id, occurred_at``: put into a cart. What came after the last purchase is still in it;
        without ``occurred_at`` everything is.
    consents : frame, optional
        ``contact_id, granted`` and, where there are several, ``channel, topic, changed_at``.
    eligible : frame, optional
        ``item_id``: only these are shown; with ``contact_id`` only these to each, and nothing to others.
    item_kind, contact_kind : IdKind, optional
        What the ids of the catalogue and of contacts are made of, to tell 7 from "7".
    """

    blocked: object = None
    exclude: object = None
    pinned: object = None
    carts: object = None
    consents: object = None
    eligible: object = None
    item_kind: IdKind | None = None
    contact_kind: IdKind | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """What happens to rules about items and contacts that do not exist.

    Parameters
    ----------
    count_only : bool
        Whether they are counted, and not refused.
    left_out : dict of str to int
        How many, by table.
    """

    count_only: bool
    left_out: dict[str, int] = field(default_factory=dict)

    def places(
        self, named: "pa.StringArray", known: "pa.StringArray", *, table: str, integer: bool = False
    ) -> npt.NDArray[np.int32]:
        """Return where named items stand in a catalogue.

        Parameters
        ----------
        named : pyarrow.StringArray
            As the rule has them.
        known : pyarrow.StringArray
            The catalogue.
        table : str
            What the rule is called.
        integer : bool, default False
            Whether the rule had them as whole numbers.

        Returns
        -------
        ndarray of int32
            -1 for unknown ones, where they are counted.

        Raises
        ------
        ConfigurationError
            Where some do not exist, and they are refused.
        """
        import pyarrow.compute as pc

        found = pc.fill_null(pc.index_in(named, value_set=known), -1).to_numpy()
        missing = np.flatnonzero(found < 0)
        if len(missing) and (not self.count_only or len(missing) == len(found)):
            _refuse_kind(named, known, table=table, integer=integer)
        if len(missing) and not self.count_only:
            raise self._unknown(named[int(missing[0])].as_py(), known, table, len(missing))
        if len(missing):
            self.left_out[table] = self.left_out.get(table, 0) + len(missing)
        return found.astype(np.int32)  # type: ignore[no-any-return]

    @staticmethod
    def _unknown(
        example: str, known: "pa.StringArray", table: str, count: int
    ) -> ConfigurationError:
        near = nearest(example, known.slice(0, _COMPARED).to_pylist())
        hint = f"did you mean '{near}'? Otherwise" if near else "take it out of the rule, or"
        return ConfigurationError(
            f"'{table}' names {count:,} {'item' if count == 1 else 'items'} that the catalogue "
            f"of {len(known):,} does not have, such as '{example}'.",
            "A rule about an item that does not exist is not kept, and nobody would notice.",
            f"{hint} write unknown_items = 'count' to have such rules counted only.",
        )


def _refuse_kind(
    named: "pa.StringArray", known: "pa.StringArray", *, table: str, integer: bool
) -> None:
    """Refuse ids that are plainly written in another way than the catalogue's."""
    import pyarrow.compute as pc

    if not len(known) or pc.any(pc.is_in(named, value_set=known)).as_py():
        return
    example, theirs = named[0].as_py(), known[0].as_py()
    if not integer and not example.endswith(".0") and not example.isdecimal():
        return
    widths = pc.unique(pc.utf8_length(known)).to_pylist()
    fix = f"write them as '{theirs}' is written, such as frame['{ITEM_ID}'].map('i-{{}}'.format)."
    whole = example.removesuffix(".0")
    if pc.index(known, value=whole).as_py() >= 0:
        fix = f"take the '.0' off, such as frame['{ITEM_ID}'].str.removesuffix('.0')."
    for width in widths:
        if pc.index(known, value=whole.zfill(width)).as_py() >= 0 and width > len(whole):
            fix = f"keep the zeros, such as frame['{ITEM_ID}'].astype(str).str.zfill({width})."
    what = "whole numbers" if integer else "text of digits"
    raise ConfigurationError(
        f"Column '{ITEM_ID}' of '{table}' holds {what}, such as {example}, and none of them is in "
        f"the catalogue, whose ids are text such as '{theirs}'.",
        "A rule about ids that do not meet is not kept, and nobody would notice.",
        fix,
    )


def read_table(
    frame: object, *, name: str, tables: RuleTables
) -> "tuple[pa.Table, dict[str, pa.StringArray]]":
    """Return a frame and its columns of ids as text.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        With ``contact_id``, ``item_id`` or both.
    name : str
        What the rule is called.
    tables : RuleTables
        Says what ids are made of.

    Returns
    -------
    table : pyarrow.Table
        The frame.
    found : dict of str to pyarrow.StringArray
        Ids by column, of those it has.

    Raises
    ------
    ConfigurationError
        Where ids are of another kind than the catalogue's.
    DataContractError
        Where an id is missing.
    """
    table = without_nulls(to_arrow(frame, name=name))
    for column, kind in ((ITEM_ID, tables.item_kind), (CONTACT_ID, tables.contact_kind)):
        if kind is not None:
            kind.require(kind_of(table, column, name=name))
    there = [column for column in (CONTACT_ID, ITEM_ID) if column in table.column_names]
    return table, {column: ids(table, column, name=name) for column in there}


def times_of(table: "pa.Table", column: str, *, name: str) -> npt.NDArray[np.float64]:
    """Return a column of times in days since 1970.

    Parameters
    ----------
    table : pyarrow.Table
        With the column.
    column, name : str
        Its name, and the table's, for messages.

    Returns
    -------
    ndarray of float64, shape (rows,)
        In UTC.

    Raises
    ------
    ConfigurationError
        Where it holds no times.
    DataContractError
        Where one is missing.
    """
    import pyarrow as pa
    import pyarrow.types as types

    values = table.column(column)
    if types.is_date(values.type):
        values = values.cast(pa.timestamp("us"))
    if not types.is_timestamp(values.type):
        raise ConfigurationError(
            f"Column '{column}' of table '{name}' holds {values.type}, which is no time.",
            "A rule asks what came before the night, and what came last.",
            f"convert it first, such as pandas.to_datetime(frame['{column}']).",
        )
    if values.null_count:
        raise DataContractError(
            f"Table '{name}' has {values.null_count:,} rows without '{column}'.",
            "A row without a time may lie in the future.",
            f"leave these rows out, such as frame.dropna(subset=['{column}']).",
        )
    whole = values.cast(pa.timestamp("us", values.type.tz), safe=False).cast(pa.int64())
    return whole.to_numpy() / _DAY_US  # type: ignore[no-any-return]
