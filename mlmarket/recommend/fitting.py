"""What does a recommender learn, and from what?"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.frames import to_arrow
from mlmarket.recommend.identity import IdKind, kind_of
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.items import ItemFacts, catalogue
from mlmarket.recommend.places import places_among
from mlmarket.recommend.reading import days
from mlmarket.recommend.recipients import contacts_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Material", "Segments", "placed_in", "read_material"]

_INTERACTIONS: Final = "interactions"
_ITEMS: Final = "items"


@dataclass(frozen=True, slots=True)
class Material:
    """The tables a recommender learns from, with one catalogue.

    Parameters
    ----------
    interactions : Interactions
        What was known at ``as_of``.
    facts : ItemFacts
        Of every item of the catalogue.
    contacts : pyarrow.Table or None
        Facts about contacts.
    kinds : tuple of IdKind
        What ids of contacts and of items are made of.
    """

    interactions: Interactions
    facts: ItemFacts
    contacts: "pa.Table | None"
    kinds: tuple[IdKind, IdKind]


def read_material(
    interactions: object, items: object | None, contacts: object | None, *, as_of: datetime | None
) -> Material:
    """Read the tables and see that they belong together.

    Parameters
    ----------
    interactions, items, contacts : frames
        See :meth:`mlmarket.recommend.Recommender.fit`.
    as_of : datetime or None
        See there.

    Returns
    -------
    Material
        Items of either table are in the catalogue.

    Raises
    ------
    ConfigurationError
        Where a column is missing, or ids are of two kinds.
    DataContractError
        Where rows cannot be used, or there are none.
    """
    rows = None
    if not isinstance(interactions, Interactions):
        rows = to_arrow(interactions, name=_INTERACTIONS)
    kinds = tuple(
        (None if rows is None else kind_of(rows, column, name=_INTERACTIONS))
        or IdKind(column, False, _INTERACTIONS)  # noqa: FBT003
        for column in (CONTACT_ID, ITEM_ID)
    )
    about = None if items is None else to_arrow(items, name=_ITEMS)
    if about is not None:
        kinds[1].require(kind_of(about, ITEM_ID, name=_ITEMS))
    known = _known(interactions, rows, as_of)
    if not len(known):
        raise DataContractError(
            f"Table '{_INTERACTIONS}' has no row to learn from"
            + (f" ({known.left_out})." if known.left_out else "."),
            "Nothing is known of anybody.",
            "pass rows at or before as_of, or read another table.",
        )
    known = in_catalogue(known, catalogue(known.items, about))
    facts = ItemFacts.from_frame(about, known.items)
    return Material(known, facts, contacts_table(contacts, kinds=kinds[:1]), (kinds[0], kinds[1]))


def _known(interactions: object, rows: "pa.Table | None", as_of: datetime | None) -> Interactions:
    """Return what was known; interactions that were read before are known at their own instant."""
    if not isinstance(interactions, Interactions):
        return Interactions.from_frame(rows, as_of=as_of)
    if interactions.timed and as_of is not None and interactions.now > days(as_of):
        raise ConfigurationError(
            "The interactions are looked at from an instant after as_of.",
            "Rows after the night that is asked about would be learned from.",
            "read them as of the same instant, or pass interactions.before(…).",
        )
    return interactions


def placed_in(history: Interactions, items: "pa.StringArray") -> Interactions:
    """Return histories in another catalogue, without rows about items that are not in it.

    Parameters
    ----------
    history : Interactions
        In any catalogue.
    items : pyarrow.StringArray
        The other one, ascending.

    Returns
    -------
    Interactions
        With other places for the same items.
    """
    import pyarrow.compute as pc

    if history.items.equals(items):
        return history
    place = pc.index_in(history.items, value_set=items).fill_null(-1).to_numpy(zero_copy_only=False)
    item = place.astype(np.int32)[history.item]
    return replace(history, items=items, item=item).rows(item >= 0)


def in_catalogue(interactions: Interactions, items: "pa.StringArray") -> Interactions:
    """Return the same histories in a catalogue that holds more items.

    Parameters
    ----------
    interactions : Interactions
        In a smaller one.
    items : pyarrow.StringArray
        The larger one, ascending.

    Returns
    -------
    Interactions
        With other places for the same items.
    """
    import pyarrow.compute as pc

    place = pc.index_in(interactions.items, value_set=items).to_numpy(zero_copy_only=False)
    item = place.astype(np.int32)[interactions.item]
    return replace(interactions, items=items, item=item)


@dataclass(frozen=True, slots=True)
class Segments:
    """Who is alike, such as people of one country.

    Parameters
    ----------
    names : pyarrow.StringArray
        The segments, ascending.
    contacts : pyarrow.StringArray
        Whose segment is known, ascending.
    code : ndarray of int32, shape (contacts,)
        Place in `names`; -1 where missing.
    """

    names: "pa.StringArray"
    contacts: "pa.StringArray"
    code: npt.NDArray[np.int32]

    @classmethod
    def of(
        cls, contacts: "pa.Table | None", column: str, names: "pa.StringArray | None" = None
    ) -> "Segments":
        """Return the segments that a column of contacts tells.

        Parameters
        ----------
        contacts : pyarrow.Table or None
            Facts about contacts.
        column : str
            Such as ``country``.
        names : pyarrow.StringArray, optional
            The segments that are known already; others count as missing.

        Returns
        -------
        Segments
            Empty where nothing is told.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if contacts is None or column not in contacts.column_names:
            nobody = pa.array([], pa.string())
            return cls(nobody if names is None else names, nobody, np.empty(0, np.int32))
        told = contacts.column(column).cast(pa.string()).combine_chunks()
        if names is None:
            names = pc.unique(told.drop_null())
            names = names.take(pc.sort_indices(names))
        code = pc.index_in(told, value_set=names).fill_null(-1).to_numpy(zero_copy_only=False)
        who = contacts.column(CONTACT_ID).cast(pa.string()).combine_chunks()
        order = pc.sort_indices(who)
        return cls(names, who.take(order), code.astype(np.int32)[order.to_numpy()])

    def of_contacts(self, contacts: "pa.StringArray") -> npt.NDArray[np.int32]:
        """Return the segment of each contact; -1 where it is not known."""
        place = places_among(contacts, self.contacts)
        padded: npt.NDArray[np.int32] = np.append(self.code, np.int32(-1))
        found: npt.NDArray[np.int32] = padded[place]
        return found
