"""Which allowed items stand in which slot?

Compiled loops over the recipients of a chunk. Pins come first, then the ranking, then each fallback in its order; at
the end as many of the last slots as are asked for go to new arrivals. Caps on categories hold at every step.
"""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.recommend.rules.likeness import likeness

__all__ = [
    "Limits",
    "Page",
    "Pins",
    "move_up",
    "only_capped",
    "place_pins",
    "swap_new",
    "swap_new_fallback",
    "take",
    "take_fallback",
]

Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Sources = npt.NDArray[np.int8]

Pool = tuple[Codes, Scores, Offsets]
Best = tuple[Codes, Scores]

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


class Page(NamedTuple):
    """The slots that are being filled, and what may stand in them."""

    item: Codes
    score: Scores
    source: Sources
    allowed: Flags


class Limits(NamedTuple):
    """What holds for the items of one recipient together."""

    category: Codes  # of each item
    cap: Codes  # of each category; -1 for none
    weight: float  # of likeness, 0 to 1
    start: Offsets  # see Likeness
    word: Codes


class Pins(NamedTuple):
    """What stands where, by contact and for everybody."""

    contact: Offsets
    start: Offsets
    item: Codes
    rank: npt.NDArray[np.float64]
    every_item: Codes
    every_rank: npt.NDArray[np.float64]


@_compiled
def _fits(shown: Codes, item: int, category: Codes, cap: Codes) -> bool:
    """Return whether an item does not stand there already, and its category has room."""
    most = cap[category[item]]
    count = 0
    for one in shown:
        if one == item:
            return False
        if one >= 0 and category[one] == category[item]:
            count += 1
    return bool(most < 0 or count < most)


@_compiled
def _pin(page: Page, limits: Limits, row: int, item: int, rank: float, code: int) -> None:
    slot = int(rank) - 1
    if slot >= page.item.shape[1] or page.item[row, slot] >= 0 or not page.allowed[row, item]:
        return
    if _fits(page.item[row], item, limits.category, limits.cap):
        page.item[row, slot] = item
        page.source[row, slot] = code
        page.score[row, slot] = np.nan


@_compiled
def place_pins(page: Page, limits: Limits, pins: Pins, code: int) -> None:
    """Put pinned items where they are asked for, as far as they are allowed."""
    for row in range(page.item.shape[0]):
        who = pins.contact[row]
        if who >= 0:
            for place in range(pins.start[who], pins.start[who + 1]):
                _pin(page, limits, row, pins.item[place], pins.rank[place], code)
        for place in range(len(pins.every_item)):
            _pin(page, limits, row, pins.every_item[place], pins.every_rank[place], code)


@_compiled
def _pool_of_row(page: Page, row: int, item: Codes, score: Scores) -> Pool:
    """Return a ranking's items of one recipient that are allowed, in its order."""
    pool = np.empty(len(item), np.int32)
    value = np.empty(len(item), np.float32)
    place = np.empty(len(item), np.int64)
    count = 0
    for one in range(len(item)):
        if item[one] >= 0 and page.allowed[row, item[one]]:
            pool[count], value[count], place[count] = item[one], score[one], one
            count += 1
    return pool[:count], value[:count], place[:count]


@_compiled
def _most_alike(limits: Limits, pool: Codes, shown: int, alike: Scores) -> None:
    for place in range(len(pool)):
        if pool[place] >= 0:
            found = likeness(limits.start, limits.word, pool[place], shown)
            alike[place] = max(alike[place], np.float32(found))


@_compiled
def _next(limits: Limits, shown: Codes, pool: Codes, worth: Scores, alike: Scores) -> int:
    """Return the place of the item that is shown next, -1 where none fits."""
    best, best_value = -1, -np.inf
    for place in range(len(pool)):
        if pool[place] < 0:
            continue
        if not _fits(shown, pool[place], limits.category, limits.cap):
            pool[place] = -1  # what has no room now never will
            continue
        if limits.weight == 0.0:
            return place
        value = (1.0 - limits.weight) * worth[place] - limits.weight * alike[place]
        if value > best_value:
            best, best_value = place, value
    return best


@_compiled
def _worth(score: Scores) -> Scores:
    """Return scores from 0 to 1, so that they compare with likeness."""
    worth = np.zeros(len(score), np.float32)
    finite = score[np.isfinite(score)]
    if len(finite) == 0:
        return worth
    low, high = finite.min(), finite.max()
    for place in range(len(score)):
        if np.isfinite(score[place]):
            worth[place] = (score[place] - low) / (high - low) if high > low else 1.0
    return worth


@_compiled
def _fill_from(
    page: Page, limits: Limits, row: int, pool: Codes, score: Scores, source: Sources
) -> None:
    alike = np.zeros(len(pool), np.float32)
    worth = _worth(score) if limits.weight > 0.0 else score
    if limits.weight > 0.0:
        for one in page.item[row]:
            if one >= 0:
                _most_alike(limits, pool, one, alike)
    for slot in range(page.item.shape[1]):
        if page.item[row, slot] >= 0:
            continue
        place = _next(limits, page.item[row], pool, worth, alike)
        if place < 0:
            return
        page.item[row, slot] = pool[place]
        page.score[row, slot] = score[place]
        page.source[row, slot] = source[place]
        if limits.weight > 0.0:
            _most_alike(limits, pool, pool[place], alike)
        pool[place] = -1


@_compiled
def take(page: Page, limits: Limits, item: Codes, score: Scores, source: Sources) -> None:
    """Fill empty slots from a ranking."""
    for row in range(page.item.shape[0]):
        pool, value, place = _pool_of_row(page, row, item[row], score[row])
        _fill_from(page, limits, row, pool, value, source[row][place])


@_compiled
def _best_left(page: Page, limits: Limits, row: int, score: Scores, width: int) -> Best:
    """Return the allowed items with the highest scores above 0 that fit, the highest first."""
    pool = np.full(width, -1, np.int32)
    value = np.full(width, -np.inf, np.float32)
    count = 0
    for item in range(len(score)):
        one = score[item]
        if not one > 0.0 or not page.allowed[row, item] or (count == width and one <= value[-1]):
            continue
        if not _fits(page.item[row], item, limits.category, limits.cap):
            continue
        place = min(count, width - 1)
        while place > 0 and value[place - 1] < one:
            value[place], pool[place] = value[place - 1], pool[place - 1]
            place -= 1
        value[place], pool[place] = one, item
        count = min(count + 1, width)
    return pool[:count], value[:count]


@_compiled
def take_fallback(
    page: Page, limits: Limits, known: tuple[Scores, Offsets], code: int, widest: int
) -> None:
    """Fill empty slots by the scores of a fallback, until it knows no more that fits."""
    scores, group = known
    for row in range(page.item.shape[0]):
        if group[row] < 0:
            continue
        score = scores[group[row]]
        while True:
            empty = 0
            for one in page.item[row]:
                empty += one < 0
            if empty == 0:
                break
            width = empty if limits.weight == 0.0 else max(widest, empty)
            pool, value = _best_left(page, limits, row, score, min(width, len(score)))
            if len(pool) == 0:
                break
            source = np.full(len(pool), code, np.int8)
            _fill_from(page, limits, row, pool, value, source)


@_compiled
def _victim(page: Page, limits: Limits, row: int, item: int, new: Flags, pinned: int) -> int:
    """Return the last slot that may be given to a new arrival, -1 where there is none."""
    shown = page.item[row]
    for one in shown:
        if one == item:
            return -1
    fits = _fits(shown, item, limits.category, limits.cap)
    for slot in range(len(shown) - 1, -1, -1):
        one = shown[slot]
        if one < 0 or page.source[row, slot] == pinned or new[one]:
            continue
        if fits or limits.category[one] == limits.category[item]:
            return slot
    return -1


@_compiled
def _new_shown(page: Page, row: int, new: Flags) -> int:
    count = 0
    for one in page.item[row]:
        count += one >= 0 and new[one]
    return count


@_compiled
def _swap(page: Page, row: int, slot: int, item: int, score: float, source: int) -> None:
    page.item[row, slot] = item
    page.score[row, slot] = score
    page.source[row, slot] = source


@_compiled
def swap_new(
    page: Page,
    limits: Limits,
    ranked: tuple[Codes, Scores, Sources],
    new: Flags,
    wanted: int,
    pinned: int,
) -> None:
    """Give the last slots to new arrivals of a ranking, until as many are shown as are wanted."""
    item, score, source = ranked
    for row in range(page.item.shape[0]):
        short = wanted - _new_shown(page, row, new)
        for place in range(item.shape[1]):
            if short <= 0:
                break
            one = item[row, place]
            if one < 0 or not new[one] or not page.allowed[row, one]:
                continue
            slot = _victim(page, limits, row, one, new, pinned)
            if slot >= 0:
                _swap(page, row, slot, one, score[row, place], source[row, place])
                short -= 1


@_compiled
def swap_new_fallback(
    page: Page,
    limits: Limits,
    known: tuple[Scores, Offsets],
    new: Flags,
    wanted: int,
    codes: tuple[int, int],
) -> None:
    """Give the last slots to new arrivals by the scores of a fallback."""
    code, pinned = codes
    scores, group = known
    for row in range(page.item.shape[0]):
        if group[row] < 0:
            continue
        score = scores[group[row]]
        short = wanted - _new_shown(page, row, new)
        while short > 0:
            best, best_slot = -1, -1
            for item in range(len(score)):
                if not new[item] or not page.allowed[row, item] or not score[item] > 0.0:
                    continue
                if best >= 0 and score[item] <= score[best]:
                    continue
                slot = _victim(page, limits, row, item, new, pinned)
                if slot >= 0:
                    best, best_slot = item, slot
            if best < 0:
                break
            _swap(page, row, best_slot, best, score[best], code)
            short -= 1


@_compiled
def move_up(page: Page) -> None:
    """Close the gaps of those who got fewer than wanted."""
    for row in range(page.item.shape[0]):
        into = 0
        for slot in range(page.item.shape[1]):
            if page.item[row, slot] < 0:
                continue
            if into < slot:
                page.item[row, into] = page.item[row, slot]
                page.score[row, into] = page.score[row, slot]
                page.source[row, into] = page.source[row, slot]
                page.item[row, slot] = -1
                page.score[row, slot] = np.nan
                page.source[row, slot] = -1
            into += 1


@_compiled
def only_capped(page: Page, limits: Limits, row: int) -> bool:
    """Return whether the caps leave no allowed item that does not stand there already."""
    for item in range(page.allowed.shape[1]):
        if page.allowed[row, item] and _fits(page.item[row], item, limits.category, limits.cap):
            return False
    return True
