"""Whose history is known, once fresher rows have come in?"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.interactions import Interactions

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["histories_at", "histories_of", "joined", "places_in"]


def joined(known: Interactions, fresh: Interactions) -> Interactions:
    """Return the histories of two sets of interactions with one catalogue.

    Parameters
    ----------
    known : Interactions
        Those learned from.
    fresh : Interactions
        Later ones, of the same or of other contacts; rows that are in `known` too count once.

    Returns
    -------
    Interactions
        Of everybody in either, looked at from ``fresh.now``.

    Raises
    ------
    ConfigurationError
        Where the fresh ones are looked at from an earlier instant.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if fresh.now < known.now:
        raise ConfigurationError(
            "The history is looked at from an instant before the one learned from.",
            "What was learned later would leak into an earlier night.",
            "pass as_of= at or after the one that fit was given.",
        )
    people = pc.unique(pa.concat_arrays([known.contacts, fresh.contacts]))
    people = people.take(pc.sort_indices(people))
    sides = (known, fresh)
    places = [pc.index_in(side.contacts, value_set=people).to_numpy() for side in sides]
    contact = np.concatenate(
        [place[side.contact] for side, place in zip(sides, places, strict=True)]
    )
    item = np.concatenate([side.item for side in sides])
    at = np.concatenate([side.at for side in sides])
    weight = np.concatenate([side.weight for side in sides])
    bought = None
    if any(side.bought is not None for side in sides):
        bought = np.concatenate([_flags(side) for side in sides])
    order = np.lexsort((item, at, contact))  # stable: what is known comes before what is fresh
    contact, item, at, weight = contact[order], item[order], at[order], weight[order]
    new = np.ones(len(at), dtype=np.bool_)
    new[1:] = (np.diff(contact) != 0) | (np.diff(at) != 0) | (np.diff(item) != 0)
    return replace(
        fresh,
        contacts=people,
        start=np.searchsorted(contact[new], np.arange(len(people) + 1)).astype(np.int64),
        item=item[new],
        at=at[new],
        weight=weight[new],
        bought=None if bought is None else bought[order][new],
    )


def _flags(side: Interactions) -> npt.NDArray[np.bool_]:
    """Return which rows are purchases."""
    return np.ones(len(side), dtype=np.bool_) if side.bought is None else side.bought


def histories_of(contacts: "pa.StringArray", known: Interactions) -> Interactions:
    """Return the histories of contacts in the order asked; empty ones of those never seen.

    Parameters
    ----------
    contacts : pyarrow.StringArray
        Whose.
    known : Interactions
        Histories.

    Returns
    -------
    Interactions
        One for each of `contacts`.
    """
    return histories_at(contacts, places_in(contacts, known), known)


def places_in(contacts: "pa.StringArray", known: Interactions) -> npt.NDArray[np.int64]:
    """Return where contacts stand in histories.

    Parameters
    ----------
    contacts : pyarrow.StringArray
        Whose.
    known : Interactions
        Histories.

    Returns
    -------
    ndarray of int64, shape (contacts,)
        -1 for those never seen.
    """
    import pyarrow.compute as pc

    found = pc.index_in(contacts, value_set=known.contacts).fill_null(-1)
    places: npt.NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return places


def histories_at(
    contacts: "pa.StringArray", place: npt.NDArray[np.int64], known: Interactions
) -> Interactions:
    """Return the histories of contacts whose places are known.

    Parameters
    ----------
    contacts : pyarrow.StringArray
        Whose.
    place : ndarray of int64, shape (contacts,)
        From :func:`places_in`.
    known : Interactions
        Histories.

    Returns
    -------
    Interactions
        One for each of `contacts`.
    """
    if not len(known.contacts):
        none = known.start[:1]
        return replace(known, contacts=contacts, start=np.repeat(none, len(contacts) + 1))
    seen, place = place >= 0, np.maximum(place, 0)
    lengths = np.where(seen, known.start[place + 1] - known.start[place], 0)
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.arange(start[-1]) + np.repeat(known.start[:-1][place] - start[:-1], lengths)
    return replace(
        known,
        contacts=contacts,
        start=start,
        item=known.item[rows],
        at=known.at[rows],
        weight=known.weight[rows],
        bought=None if known.bought is None else known.bought[rows],
    )
