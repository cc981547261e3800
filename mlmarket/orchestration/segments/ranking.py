"""Who is among the best of a ranking, and who may stay although they fell back a little?"""

import hashlib
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import numpy.typing as npt

from mlmarket.orchestration.segments.definition import TopShare

__all__ = ["best_places", "entry_places", "places", "stay_places"]

Flags = npt.NDArray[np.bool_]


def places(share: float | None, most: int | None, *, ranked: int) -> int:
    """Return how many of those ranked are in.

    Parameters
    ----------
    share : float or None
        Their share, rounded half up.
    most : int or None
        Their number at most.
    ranked : int
        How many there are.

    Returns
    -------
    int
        From 0 to ``ranked``.

    Examples
    --------
    >>> places(0.29, None, ranked=100), places(0.5, 3, ranked=100)
    (29, 3)
    """
    count = ranked
    if share is not None:
        # Through text: 0.29 · 100 must be 29, which binary floating point misses.
        exact = Decimal(str(share)) * ranked
        count = int(exact.to_integral_value(ROUND_HALF_UP))
    return count if most is None else min(count, most)


def best_places(
    values: npt.NDArray[np.generic],
    ranked: Flags,
    count: int,
    *,
    salt: str,
    contact: Callable[[int], str],
) -> Flags:
    """Return who has one of the first places.

    Parameters
    ----------
    values : ndarray of numbers, shape (n,)
        What is ranked by, the largest first.
    ranked : ndarray of bool, shape (n,)
        Who takes part.
    count : int
        How many places there are.
    salt : str
        Of the lot that decides between equal values: they must not favour old customers, whose
        ids come first.
    contact : callable
        Gives the contact_id of a row.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for exactly ``count`` rows, or all that are ranked where they are fewer.
    """
    rows = np.flatnonzero(ranked)
    best = np.zeros(len(values), dtype=np.bool_)
    if count >= len(rows):
        best[rows] = True
        return best
    if count <= 0:
        return best
    taking_part = values[rows]
    last = np.partition(taking_part, len(rows) - count)[len(rows) - count]
    best[rows[taking_part > last]] = True
    tied = rows[taking_part == last]
    left = count - int(best.sum())
    # Only where the border runs through equal values is a lot needed.
    if left < len(tied):
        tied = np.array(sorted(tied, key=lambda row: _lot(salt, contact(int(row))))[:left])
    best[tied] = True
    return best


def _lot(salt: str, contact_id: str) -> tuple[str, str]:
    return hashlib.sha256(f"{salt}|{contact_id}".encode()).hexdigest(), contact_id


def entry_places(top: TopShare, ranked: int) -> int:
    """Return how many places let people in.

    Parameters
    ----------
    top : TopShare
        The ranking.
    ranked : int
        How many people take part.

    Returns
    -------
    int
        From 0 to ``ranked``.
    """
    return places(top.share, top.most, ranked=ranked)


def stay_places(top: TopShare, ranked: int) -> int:
    """Return how many places let members stay.

    Parameters
    ----------
    top : TopShare
        The ranking.
    ranked : int
        How many people take part.

    Returns
    -------
    int
        Not below :func:`entry_places`.
    """
    share = top.share if top.stay_share is None else top.stay_share
    most = top.most if top.stay_most is None else top.stay_most
    return places(share, most, ranked=ranked)
