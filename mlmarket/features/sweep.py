"""The loop that reads each contact's rows once for every instant asked about.

Compiled by numba when it is first called. What is computed is data (:class:`Program`), so that one
compiled loop, kept on disk, serves every list of features.
"""

from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.features.feature import Operation
from mlmarket.features.program import (
    BITS,
    CLASS_WIDTH,
    CODES,
    NO_VALUE,
    TALLY_WIDTH,
    ClassPart,
    Integers,
    Program,
    TallyPart,
)

__all__ = ["Ahead", "Instants", "Log", "sweep"]

_DAY: Final = 86_400_000_000
_MONEY: Final = 10_000
_EXACT: Final = 1 << 53
"""Whole numbers up to here have a float of their own."""

_ROWS, _VALUED, _SUM, _SMALLEST, _LARGEST, _DAYS = (int(part) for part in ClassPart)
_YOUNGEST, _OLDEST, _FIRST_DAY, _LAST_DAY, _ALL_DAYS, _SQUARES, _LAST_AGE, _LAST_VALUE = (
    int(part) for part in TallyPart
)

# In the order of their numbers: total to maximum are made of values, recency and first touch of ages.
_OF_COUNT: Final = CODES[Operation.COUNT]
_OF_TOTAL: Final = CODES[Operation.TOTAL]
_OF_MEAN: Final = CODES[Operation.MEAN]
_OF_MINIMUM: Final = CODES[Operation.MINIMUM]
_OF_MAXIMUM: Final = CODES[Operation.MAXIMUM]
_OF_LAST: Final = CODES[Operation.LAST]
_OF_RECENCY: Final = CODES[Operation.RECENCY]
_OF_FIRST_TOUCH: Final = CODES[Operation.FIRST_TOUCH]
_OF_DAYS_ACTIVE: Final = CODES[Operation.DAYS_ACTIVE]
_OF_GAP_MEAN: Final = CODES[Operation.GAP_MEAN]
_OF_TREND: Final = CODES[Operation.TREND]

# A power of two leaves a remainder of its own when it is divided by 67.
_BIT_OF: Final = np.zeros(67, np.int64)
_BIT_OF[[(1 << bit) % 67 for bit in range(BITS)]] = np.arange(BITS)


class Log(NamedTuple):
    """Rows of some contacts, those of a contact together and by time.

    Parameters
    ----------
    begin : ndarray of int64, shape (contacts + 1,)
        Where the rows of each contact begin.
    time : ndarray of int64, shape (rows,)
        When they occurred, in microseconds since 1970.
    late : ndarray of int64, shape (rows,) or (0,)
        Microseconds from then until they were known; no entries where none was late.
    value : ndarray of int64, shape (rows,) or (0,)
        Their values in ten-thousandths; no entries where no row has one.
    marks : ndarray of int64, shape (words, rows)
        Which conditions each of them meets, one bit a condition.
    """

    begin: Integers
    time: Integers
    late: Integers
    value: Integers
    marks: Integers


class Instants(NamedTuple):
    """When to look at each contact.

    Parameters
    ----------
    begin : ndarray of int64, shape (contacts + 1,)
        Where the instants of each contact begin.
    as_of : ndarray of int64
        The instants, in microseconds since 1970.
    place : ndarray of int64
        Column of the result for each of them; negative where nothing is wanted.
    """

    begin: Integers
    as_of: Integers
    place: Integers


class Ahead(NamedTuple):
    """What to look for after each instant.

    Parameters
    ----------
    condition : int
        The bit of its condition among the marks; negative where nothing is looked for.
    horizon : int
        How far, in microseconds.
    known_at : int
        Rows that became known later are not seen.
    """

    condition: int
    horizon: int
    known_at: int


# Inner functions take numbers and at most one array: handing on the whole program for each row or
# feature costs more than the work.


def _class_of(edges: Integers, first: int, last: int, age: int) -> int:
    """Return which class of a condition an age belongs to."""
    edge = first
    while edge < last and age >= edges[edge]:
        edge += 1
    return edge - first


def _add_value(slots: Integers, here: int, tally: int, age: int, value: int) -> None:
    """Add a value to the sums of a class, and keep the last one."""
    slots[here + _VALUED] += 1
    slots[here + _SUM] += value
    slots[here + _SMALLEST] = min(slots[here + _SMALLEST], value)
    slots[here + _LARGEST] = max(slots[here + _LARGEST], value)
    if slots[tally + _LAST_AGE] != age or value > slots[tally + _LAST_VALUE]:
        slots[tally + _LAST_VALUE] = value
    slots[tally + _LAST_AGE] = age


def _add_day(slots: Integers, here: int, tally: int, day: int) -> None:
    """Count a day, and the gap to the one before, unless the day is counted already."""
    before = slots[tally + _LAST_DAY]
    if day == before:
        return
    slots[here + _DAYS] += 1
    slots[tally + _ALL_DAYS] += 1
    if before < 0:
        slots[tally + _FIRST_DAY] = day
    else:
        slots[tally + _SQUARES] += (before - day) * (before - day)
    slots[tally + _LAST_DAY] = day


def _total(slots: Integers, begin: int, classes: int, part: int) -> int:
    whole = 0
    for one in range(classes):
        whole += slots[begin + one * CLASS_WIDTH + part]
    return whole


def _money(value: int) -> float:
    """Return ten-thousandths as the nearest float, in the way a database casts a decimal."""
    if -_EXACT <= value <= _EXACT:
        return value / _MONEY
    whole = abs(value) // _MONEY
    rest = abs(value) - whole * _MONEY
    return (whole + rest / _MONEY) * (1.0 if value > 0 else -1.0)


def _over_values(slots: Integers, code: int, classes: int, begin: int) -> float:
    """Return a feature that is made of values, other than the last."""
    if code == _OF_TOTAL:
        return _money(_total(slots, begin, classes, _SUM))
    valued = _total(slots, begin, classes, _VALUED)
    if valued == 0:
        return np.nan
    if code == _OF_MEAN:
        return _money(_total(slots, begin, classes, _SUM)) / valued
    part = _SMALLEST if code == _OF_MINIMUM else _LARGEST
    found = slots[begin + part]
    for one in range(1, classes):
        other = slots[begin + one * CLASS_WIDTH + part]
        found = min(found, other) if code == _OF_MINIMUM else max(found, other)
    return _money(found)


def _over_all_ages(slots: Integers, code: int, span: int, tally: int) -> float:
    """Return a feature that is made of what is kept over all ages."""
    if code == _OF_LAST:
        age = slots[tally + _LAST_AGE]
        return _money(slots[tally + _LAST_VALUE]) if 0 <= age < span else np.nan
    if code <= _OF_FIRST_TOUCH:
        age = slots[tally + (_YOUNGEST if code == _OF_RECENCY else _OLDEST)]
        return age / _DAY if age >= 0 else np.nan
    gaps = slots[tally + _ALL_DAYS] - 1
    days = slots[tally + _FIRST_DAY] - slots[tally + _LAST_DAY]
    if code == _OF_GAP_MEAN:
        return days / gaps if gaps >= 1 else np.nan
    if gaps < 2:
        return np.nan
    above = float(gaps * slots[tally + _SQUARES] - days * days)
    return float(np.sqrt(above / float(gaps * (gaps - 1))))


def _finish(
    slots: Integers, program: Program, numbers: npt.NDArray[np.float64], place: int
) -> None:
    """Make every feature of the sums of its condition."""
    for feature in range(program.code.size):
        code, which = program.code[feature], program.condition[feature]
        classes, begin = program.upto[feature], program.slots_begin[which]
        if code == _OF_COUNT:
            number = float(_total(slots, begin, classes, _ROWS))
        elif _OF_TOTAL <= code <= _OF_MAXIMUM:
            number = _over_values(slots, code, classes, begin)
        elif code == _OF_DAYS_ACTIVE:
            number = float(_total(slots, begin, classes, _DAYS))
        elif code == _OF_TREND:
            now = _total(slots, begin, classes, _ROWS)
            both = _total(slots, begin, program.twice[feature], _ROWS)
            number = float(np.log((now + 1) / (both - now + 1)))
        else:
            tally = program.slots_begin[which + 1] - TALLY_WIDTH
            number = _over_all_ages(slots, code, program.span[feature], tally)
        numbers[feature, place] = number


def _look_back(
    slots: Integers, log: Log, program: Program, rows: tuple[int, int], as_of: int
) -> int:
    """Add the rows up to an instant; return the first row after it."""
    slots[:] = program.template
    for row in range(rows[0], rows[1]):
        time = log.time[row]
        if time > as_of:
            return row
        if log.late.size and time + log.late[row] > as_of:
            continue
        value = log.value[row] if log.value.size else NO_VALUE
        for word in range(program.used.size):
            marks = log.marks[word, row] & program.used[word]
            while marks:
                low = marks & -marks
                marks ^= low
                which = program.local[word * BITS + _BIT_OF[low % 67]]
                first, last = program.edges_begin[which], program.edges_begin[which + 1]
                age = as_of - time
                begin, tally = program.slots_begin[which], program.slots_begin[which + 1]
                tally -= TALLY_WIDTH
                here = begin + _class_of(program.edges, first, last, age) * CLASS_WIDTH
                slots[here + _ROWS] += 1
                slots[tally + _YOUNGEST] = age
                if slots[tally + _OLDEST] < 0:
                    slots[tally + _OLDEST] = age
                if value != NO_VALUE and program.wants_values[which]:
                    _add_value(slots, here, tally, age, value)
                if program.wants_days[which]:
                    _add_day(slots, here, tally, age // _DAY)
    return rows[1]


def _look_ahead(log: Log, ahead: Ahead, rows: tuple[int, int], until: int) -> int:
    """Return 1 where a row after an instant is of the kind looked for, else 0."""
    word, bit = ahead.condition // BITS, ahead.condition % BITS
    for row in range(rows[0], rows[1]):
        time = log.time[row]
        if time > until:
            return 0
        known = time + log.late[row] if log.late.size else time
        if known <= ahead.known_at and (log.marks[word, row] >> bit) & 1:
            return 1
    return 0


def _sweep(
    log: Log,
    program: Program,
    instants: Instants,
    ahead: Ahead,
    numbers: npt.NDArray[np.float64],
    label: npt.NDArray[np.int8],
) -> None:
    """Fill `numbers` (features, places) and `label` (places) of some contacts."""
    slots = np.empty_like(program.template)
    for contact in range(log.begin.size - 1):
        begin, end = log.begin[contact], log.begin[contact + 1]
        for one in range(instants.begin[contact], instants.begin[contact + 1]):
            place = instants.place[one]
            if place < 0:
                continue
            as_of = instants.as_of[one]
            after = _look_back(slots, log, program, (begin, end), as_of)
            _finish(slots, program, numbers, place)
            if ahead.condition >= 0:
                label[place] = _look_ahead(log, ahead, (after, end), as_of + ahead.horizon)


_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
_class_of = _compiled(_class_of)
_add_value = _compiled(_add_value)
_add_day = _compiled(_add_day)
_total = _compiled(_total)
_money = _compiled(_money)
_over_values = _compiled(_over_values)
_over_all_ages = _compiled(_over_all_ages)
_finish = _compiled(_finish)
_look_back = _compiled(_look_back)
_look_ahead = _compiled(_look_ahead)

sweep = _compiled(_sweep)
"""Compiled :func:`_sweep`; it lets other threads run meanwhile."""
