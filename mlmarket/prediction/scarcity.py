"""What is there, who could take it, and what is it worth?"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError

__all__ = [
    "Campaigns",
    "Flags",
    "Floats",
    "Integers",
    "Market",
    "Offers",
    "read_market",
    "read_offers",
]

_NONE: Final = -1
_WHY: Final = "What is given away has to be there."

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Campaigns:
    """Items that share a budget.

    Parameters
    ----------
    of_item : array-like of int, shape (items,)
        The campaign of each item; -1 for none.
    maximum : array-like of int, shape (campaigns,)
        At most so many places in all.
    minimum : array-like of int, shape (campaigns,), optional
        At least so many; none by default.
    """

    of_item: npt.ArrayLike
    maximum: npt.ArrayLike
    minimum: npt.ArrayLike | None = None


class Offers(NamedTuple):
    """What may be chosen, sorted by contact and item."""

    start: Integers  # where the rows of each contact begin
    contact: Codes  # of each row
    item: Codes
    value: Floats
    slots: Integers  # of each contact


class Market(NamedTuple):
    """What is scarce."""

    capacity: Integers  # of each item
    campaign: Codes  # of each item; -1 for none
    minimum: Integers  # of each campaign
    maximum: Integers
    member_start: Integers  # where the items of each campaign begin
    member: Codes


def _places(values: npt.ArrayLike, name: str) -> Integers:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ConfigurationError(
            f"'{name}' has the shape {array.shape} and holds {array.dtype}.",
            "A row says who may get what.",
            "pass one whole number a row, such as pandas.factorize(frame['contact_id'])[0].",
        )
    if array.size and int(array.min()) < 0:
        raise ConfigurationError(
            f"'{name}' is {int(array.min())} in row {int(array.argmin())}.",
            "It is a place, counted from 0; -1 often stands for an id that was not found.",
            "leave out the rows that belong to nobody or nothing.",
        )
    return array.astype(np.int64)


def _numbers(values: npt.ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(array)) if array.ndim == 1 else np.array([0])
    if len(bad):
        raise ConfigurationError(
            f"'{name}' is missing or not finite in {len(bad):,} of {array.size:,} rows, first in "
            f"row {int(bad[0])}.",
            "What a row is worth decides who gets what.",
            "leave these rows out, or give them a value.",
        )
    return array


def _capacity(values: npt.ArrayLike, name: str) -> Integers:
    room = np.asarray(values, dtype=np.float64)
    if room.ndim != 1:
        raise ConfigurationError(
            f"'{name}' has the shape {room.shape}.", _WHY, "pass one list of numbers."
        )
    bad = np.flatnonzero(~(room >= 0) | (np.isfinite(room) & (room != np.floor(room))))
    if len(bad):
        raise ConfigurationError(
            f"'{name}' is {room[bad[0]]:g} in {len(bad):,} places, first in {int(bad[0])}.",
            _WHY + " Unknown or negative stock is none.",
            "write whole numbers from 0, or inf where there is no limit.",
        )
    return np.minimum(room, float(2**53)).astype(np.int64)


def read_offers(
    contact: npt.ArrayLike, item: npt.ArrayLike, value: npt.ArrayLike, slots: npt.ArrayLike
) -> tuple[Integers, Offers]:
    """Return rows sorted by contact and item.

    Parameters
    ----------
    contact, item, value, slots : array-like
        See :func:`~mlmarket.prediction.allocation.allocate`.

    Returns
    -------
    order : ndarray of int64, shape (rows,)
        Where each stood before.
    offers : Offers

    Raises
    ------
    ConfigurationError
        Where they cannot be meant.
    """
    who, what = _places(contact, "contact"), _places(item, "item")
    worth = _numbers(value, "value")
    if not len(who) == len(what) == len(worth):
        raise ConfigurationError(
            f"There are {len(who):,} contacts, {len(what):,} items and {len(worth):,} values.",
            "A row says who may get what, and what it is worth.",
            "pass three columns of one table.",
        )
    order = _order(who, what)
    who, what = who[order], what[order]
    contacts = int(who.max(initial=-1)) + 1
    start = np.searchsorted(who, np.arange(contacts + 1)).astype(np.int64)
    taken = np.minimum(_slots(slots, contacts), np.diff(start)).astype(np.int64)
    offers = Offers(start, who.astype(np.int32), what.astype(np.int32), worth[order], taken)
    _refuse_twice(offers)
    return order, offers


def _order(who: Integers, what: Integers) -> Integers:
    step = np.diff(who)
    if bool(((step > 0) | ((step == 0) & (np.diff(what) >= 0))).all()):
        return np.arange(len(who))
    return np.lexsort((what, who))


def _slots(slots: npt.ArrayLike, contacts: int) -> Integers:
    each = np.asarray(slots)
    bad = each.size and (each.dtype.kind not in "iu" or int(each.min()) < 0)
    if bad or each.ndim > 1 or (each.ndim == 1 and len(each) < contacts):
        raise ConfigurationError(
            f"'slots' is {slots!r}, for {contacts:,} contacts.",
            "It says how many items each takes at most.",
            "write one whole number from 0 for all, or one for each contact.",
        )
    wide = np.broadcast_to(each, contacts) if each.ndim == 0 else each[:contacts]
    return wide.astype(np.int64)


def _refuse_twice(offers: Offers) -> None:
    same = (np.diff(offers.contact) == 0) & (np.diff(offers.item) == 0)
    if same.any():
        row = int(np.flatnonzero(same)[0])
        raise ConfigurationError(
            f"The contact in place {offers.contact[row]} has the item in place {offers.item[row]} "
            f"twice; so it is in {int(same.sum()):,} rows.",
            "It would be chosen twice for one person.",
            "keep one row a contact and item.",
        )


def read_market(capacity: npt.ArrayLike, campaigns: Campaigns | None, offers: Offers) -> Market:
    """Return what is scarce.

    Parameters
    ----------
    capacity, campaigns : array-like, Campaigns or None
        See :func:`~mlmarket.prediction.allocation.allocate`.
    offers : Offers
        What may be chosen.

    Returns
    -------
    Market

    Raises
    ------
    ConfigurationError
        Where it cannot be meant.
    """
    room, rows = _capacity(capacity, "capacity"), len(offers.item)
    if rows and int(offers.item.max()) >= len(room):
        raise ConfigurationError(
            f"There are rows about the item in place {int(offers.item.max())}, and 'capacity' has "
            f"{len(room):,} items.",
            _WHY,
            "pass the capacity of every item, inf where there is no limit.",
        )
    if campaigns is None:
        return _Grouping(np.full(len(room), _NONE), *np.zeros((2, 0), np.int64)).market(room)
    maximum = np.minimum(_capacity(campaigns.maximum, "maximum"), rows)
    minimum = np.zeros_like(maximum)
    if campaigns.minimum is not None:
        minimum = _capacity(campaigns.minimum, "minimum")
    grouping = _Grouping(np.asarray(campaigns.of_item), minimum, maximum)
    grouping.require(len(room), rows)
    return grouping.market(room)


class _Grouping(NamedTuple):
    campaign: npt.NDArray[np.integer]
    minimum: Integers
    maximum: Integers

    def require(self, items: int, rows: int) -> None:
        campaign, minimum, maximum = self
        if campaign.shape != (items,) or campaign.dtype.kind not in "iu":
            raise ConfigurationError(
                f"'of_item' has the shape {campaign.shape}, for {items:,} items.",
                "It says to which campaign each item belongs.",
                "pass one whole number for each item, -1 for none.",
            )
        if items and not -1 <= int(campaign.min()) <= int(campaign.max()) < len(maximum):
            raise ConfigurationError(
                f"'of_item' names campaigns from {campaign.min()} to {campaign.max()}, and 'maximum' "
                f"has {len(maximum):,}.",
                "A campaign without a cap would be filled without end.",
                "pass a maximum for each campaign, inf where there is none.",
            )
        if minimum.shape != maximum.shape or (minimum > maximum).any():
            raise ConfigurationError(
                f"'minimum' is {minimum.tolist()[:5]} and 'maximum' {maximum.tolist()[:5]}, of the "
                f"{rows:,} rows there are.",
                "Both have to hold.",
                "write minima up to the maxima, one for each campaign.",
            )

    def market(self, room: Integers) -> Market:
        campaign, minimum, maximum = self
        members = np.argsort(campaign, kind="stable")
        members = members[campaign[members] >= 0]
        start = np.searchsorted(campaign[members], np.arange(len(maximum) + 1)).astype(np.int64)
        # A campaign without places has items without places.
        closed = np.append(maximum, 1)[campaign] == 0
        open_room = np.where(closed, 0, room)
        codes = campaign.astype(np.int32)
        return Market(open_room, codes, minimum, maximum, start, members.astype(np.int32))
