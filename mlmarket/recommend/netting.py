"""How do signs of interest, in any order, become histories without what was returned?"""

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.recommend.weights import ORDER, RETURN, TYPES

__all__ = ["put", "tidy"]

Whole = npt.NDArray[np.int64]

_GONE = -1
_FIRST_GAPS = (132, 57, 23, 10, 4, 1)
"""Ciura's gaps for sorting by insertion; longer ones follow by 2.25."""


def _put(contact: npt.NDArray[np.int32], rows: Whole, free: Whole, log: Whole) -> None:
    for row in range(len(contact)):
        place = free[contact[row]]
        free[contact[row]] += 1
        for column in range(3):
            log[place, column] = rows[row, column]


_put = numba.njit(cache=True, nogil=True, error_model="numpy")(_put)


def _later(log: Whole, row: int, at: int, key: int, amount: int) -> bool:
    """Return whether a row comes behind another one."""
    if log[row, 0] != at:
        return bool(log[row, 0] > at)
    if log[row, 1] != key:
        return bool(log[row, 1] > key)
    return bool(log[row, 2] > amount)


_later = numba.njit(cache=True, nogil=True, error_model="numpy")(_later)


def _sort(log: Whole, begin: int, end: int, gaps: Whole) -> None:
    for gap in gaps:
        for row in range(begin + gap, end):
            at, key, amount = log[row, 0], log[row, 1], log[row, 2]
            place = row
            while place - gap >= begin and _later(log, place - gap, at, key, amount):
                for column in range(3):
                    log[place, column] = log[place - gap, column]
                place -= gap
            log[place, 0], log[place, 1], log[place, 2] = at, key, amount


_sort = numba.njit(cache=True, nogil=True, error_model="numpy")(_sort)


def _take_back(log: Whole, begin: int, row: int) -> int:
    """Take a return off the latest lines of its item; return how many are wholly gone."""
    order = log[row, 1] - RETURN + ORDER
    left, gone = log[row, 2], 0
    for line in range(row - 1, begin - 1, -1):
        if log[line, 1] != order:
            continue
        if left == 0 or log[line, 2] <= left:
            # a return without an amount takes one whole line
            alone = left == 0
            left -= 0 if alone else log[line, 2]
            log[line, 1] = _GONE
            gone += 1
            if alone or left == 0:
                return gone
        else:
            log[line, 2] -= left
            return gone
    return gone


_take_back = numba.njit(cache=True, nogil=True, error_model="numpy")(_take_back)


def _tidy(start: Whole, log: Whole, weights: Whole, gaps: Whole) -> tuple[int, int]:
    write = returned = repeated = 0
    for contact in range(len(start) - 1):
        begin, end = start[contact], start[contact + 1]
        _sort(log, begin, end, gaps)
        for row in range(begin, end):
            if log[row, 1] % TYPES == RETURN and log[row, 1] != _GONE:
                returned += _take_back(log, begin, row)
        start[contact] = write
        for row in range(begin, end):
            key = log[row, 1]
            if key == _GONE or key % TYPES == RETURN:
                continue
            item, weight, bought = key // TYPES, weights[key % TYPES], key % TYPES == ORDER
            same = write > start[contact] and log[write - 1, 0] == log[row, 0]
            if same and log[write - 1, 1] // 2 == item:
                log[write - 1, 1] |= bought
                log[write - 1, 2] += weight
                repeated += 1
            else:
                log[write, 0], log[write, 1] = log[row, 0], item * 2 + bought
                log[write, 2] = weight
                write += 1
    start[-1] = write
    return returned, repeated


_tidy = numba.njit(cache=True, nogil=True, error_model="numpy")(_tidy)


def put(contact: npt.NDArray[np.int32], rows: Whole, free: Whole, log: Whole) -> None:
    """Put each row behind those of its contact that were put before.

    Parameters
    ----------
    contact : ndarray of int32, shape (rows,)
        Whose.
    rows : ndarray of int64, shape (rows, 3)
        When, ``item * TYPES + type`` (see :mod:`mlmarket.recommend.weights`), and the amount.
    free : ndarray of int64, shape (contacts,)
        The next free place of each contact; moved on.
    log : ndarray of int64, shape (all rows, 3)
        Where they are put.
    """
    _put(contact, rows, free, log)


def tidy(start: Whole, log: Whole, weights: Whole) -> tuple[int, int]:
    """Sort each history, take off what was returned, and add up what stands there twice; in place.

    A return takes back the contact's latest lines of that item, up to its amount; without an amount, one line.
    What is only partly returned stays.

    Parameters
    ----------
    start : ndarray of int64, shape (contacts + 1,)
        Where the rows of each contact begin; afterwards, of those that are left.
    log : ndarray of int64, shape (rows, 3)
        As :func:`put` left it; afterwards when, twice the item (and one more where it was bought) and weight,
        without gaps.
    weights : ndarray of int64, shape (TYPES,)
        Of each type.

    Returns
    -------
    returned, repeated : int
        Lines that are wholly gone, and rows that were added to the one before.
    """
    gaps = list(_FIRST_GAPS)
    longest = int(np.diff(start).max(initial=1))
    while gaps[0] * 2.25 < longest:
        gaps.insert(0, int(gaps[0] * 2.25))
    returned, repeated = _tidy(start, log, weights, np.array(gaps, dtype=np.int64))
    return int(returned), int(repeated)
