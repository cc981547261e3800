"""Whom do the rules of a shop know?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, DataContractError, suggestion
from mlmarket.market.columns import CONTACT_ID, OCCURRED_AT
from mlmarket.recommend.identity import kind_of
from mlmarket.recommend.interactions import ITEM_ID
from mlmarket.recommend.rules.directory import Directory, Pairs
from mlmarket.recommend.rules.tables import RuleTables, Unknown, read_table, times_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["People", "read_people"]

_TABLES: Final = ("blocked", "exclude", "pinned", "carts", "consents", "eligible")
_RANK: Final = "rank"
_EVER: Final = np.inf

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class People:
    """Tables about contacts, and the contacts in them.

    Parameters
    ----------
    directory : Directory
        All of them.
    contacts : pyarrow.Table or None
        The table of contacts.
    tables : dict of str to pyarrow.Table
        The other tables that there are, by name.
    ids : dict of str to dict of str to pyarrow.StringArray
        Their columns of ids.
    whole : frozenset of str
        The tables that have items as whole numbers.
    """

    directory: Directory
    contacts: "pa.Table | None"
    tables: "dict[str, pa.Table]"
    ids: "dict[str, dict[str, pa.StringArray]]"
    whole: frozenset[str]

    def places(self, name: str) -> npt.NDArray[np.int64]:
        """Return where the contacts of a table stand in the directory.

        Parameters
        ----------
        name : str
            Of the table.

        Returns
        -------
        ndarray of int64, shape (rows,)
        """
        return self.directory.find(self.ids[name][CONTACT_ID])

    def items(self, name: str, known: "pa.StringArray", unknown: Unknown) -> npt.NDArray[np.int32]:
        """Return where the items of a table stand in the catalogue.

        Parameters
        ----------
        name : str
            Of the table.
        known : pyarrow.StringArray
            The catalogue.
        unknown : Unknown
            Refuses or counts those that do not exist.

        Returns
        -------
        ndarray of int32, shape (rows,)
        """
        named = self.ids[name][ITEM_ID]
        return unknown.places(named, known, table=name, integer=name in self.whole)

    def pairs(
        self, name: str, known: "pa.StringArray", unknown: Unknown, *, now: float
    ) -> Pairs | None:
        """Return a table of contacts and items.

        Parameters
        ----------
        name : str
            Of the table.
        known : pyarrow.StringArray
            The catalogue.
        unknown : Unknown
            Refuses or counts items that do not exist.
        now : float
            Rows after it do not count; NaN where no night was named.

        Returns
        -------
        Pairs or None
            None where there is no such table, or it is about everybody.
        """
        if name not in self.tables or CONTACT_ID not in self.ids[name]:
            return None
        contact, item = self.places(name), self.items(name, known, unknown)
        number = self._numbers(name)
        if name == "carts" and not np.isnan(now):
            contact = np.where((number <= now) | (number == _EVER), contact, -1)
        if name == "pinned":
            _refuse_two_at_one_rank(contact, number, self.ids[name][CONTACT_ID])
        return Pairs.of(contact, item, number, len(self.directory.ids))

    def _numbers(self, name: str) -> Numbers:
        table = self.tables[name]
        if name == "pinned":
            return _ranks(table)
        if name == "carts" and OCCURRED_AT in table.column_names:
            return times_of(table, OCCURRED_AT, name=name)
        return np.full(table.num_rows, _EVER)


def read_people(contacts: "pa.Table | None", tables: RuleTables, unknown: Unknown) -> People:
    """Read every table about contacts.

    Parameters
    ----------
    contacts : pyarrow.Table or None
        Who there is.
    tables : RuleTables
        Rules about them.
    unknown : Unknown
        Refuses or counts tables about nobody there is.

    Returns
    -------
    People

    Raises
    ------
    ConfigurationError
        Where a table lacks a column, or its ids do not meet those of the others.
    DataContractError
        Where an id is missing.
    """
    read, ids, whole = {}, {}, set()
    for name in _TABLES:
        frame = getattr(tables, name)
        if frame is None:
            continue
        read[name], ids[name] = read_table(frame, name=name, tables=tables)
        for column in _needed(name):
            if column not in read[name].column_names:
                raise ConfigurationError(
                    f"Table '{name}' has no column '{column}'.",
                    "It would not be known whom and what the rule is about.",
                    suggestion(column, read[name].column_names),
                )
        if ITEM_ID in ids[name] and _is_whole(read[name], ITEM_ID):
            whole.add(name)
    own = None
    if contacts is not None:
        own, found = read_table(contacts, name="contacts", tables=tables)
        ids["contacts"] = found
        for name, table in read.items():
            _require_known(name, ids, table, unknown)
    parts = [columns[CONTACT_ID] for columns in ids.values() if CONTACT_ID in columns]
    return People(Directory.of(*parts), own, read, ids, frozenset(whole))


def _needed(name: str) -> tuple[str, ...]:
    if name == "eligible":
        return (ITEM_ID,)
    if name == "consents":
        return (CONTACT_ID,)
    return (CONTACT_ID, ITEM_ID, _RANK) if name == "pinned" else (CONTACT_ID, ITEM_ID)


def _is_whole(table: "pa.Table", column: str) -> bool:
    kind = kind_of(table, column, name=column)
    return kind is not None and kind.integer


def _require_known(
    name: str,
    ids: "dict[str, dict[str, pa.StringArray]]",
    table: "pa.Table",
    unknown: Unknown,
) -> None:
    """Refuse a table whose contacts are all strangers: their ids are written in another way."""
    import pyarrow.compute as pc

    named, known = ids[name].get(CONTACT_ID), ids["contacts"][CONTACT_ID]
    if named is None or not len(named) or not len(known):
        return
    if pc.any(pc.is_in(named, value_set=known)).as_py():
        return
    if unknown.count_only:
        unknown.left_out[name] = len(named)
        return
    what = "whole numbers" if _is_whole(table, CONTACT_ID) else "text"
    raise ConfigurationError(
        f"None of the contacts of '{name}', {what} such as {named[0]}, is in the table of contacts, "
        f"whose ids are such as '{known[0]}'.",
        "A rule about ids that do not meet is not kept, and nobody would notice.",
        f"write the ids alike, such as frame['{CONTACT_ID}'].astype(str) with the same prefix and zeros.",
    )


def _ranks(table: "pa.Table") -> Numbers:
    import pyarrow as pa
    import pyarrow.types as types

    values = table.column(_RANK)
    if not types.is_integer(values.type) or values.null_count:
        raise ConfigurationError(
            f"Column '{_RANK}' of table 'pinned' holds {values.type}, or has missing values.",
            "It says in which slot an item stands.",
            "write whole numbers from 1 up.",
        )
    ranks: Numbers = values.cast(pa.float64()).to_numpy()
    if len(ranks) and ranks.min() < 1:
        raise DataContractError(
            f"Table 'pinned' has the {_RANK} {ranks.min():g}.",
            "The first slot is 1.",
            "write whole numbers from 1 up.",
        )
    return ranks


def _refuse_two_at_one_rank(
    contact: npt.NDArray[np.int64], rank: Numbers, names: "pa.StringArray"
) -> None:
    order = np.lexsort((rank, contact))
    same = (np.diff(contact[order]) == 0) & (np.diff(rank[order]) == 0)
    if same.any():
        row = int(order[np.flatnonzero(same)[0]])
        raise DataContractError(
            f"Table 'pinned' has two items at rank {rank[row]:g} of contact '{names[row]}'.",
            "It would be chance which of the two is shown.",
            "keep one row a contact and rank.",
        )
