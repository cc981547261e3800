"""How does a list of features become data that a loop over rows can follow?

Every condition of the features has its windows cut into classes of age that do not overlap. A row
is added to one class of each condition it meets, whatever the number of features; a feature is then
made of the classes its window covers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from enum import IntEnum
from typing import Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from mlmarket.features.behaviour import Behaviour
from mlmarket.features.feature import Feature, Operation

__all__ = [
    "BITS",
    "CLASS_WIDTH",
    "CODES",
    "NEVER",
    "NO_VALUE",
    "TALLY_WIDTH",
    "Program",
    "condition_of",
    "conditions_of",
    "make_program",
]

Integers = npt.NDArray[np.int64]

BITS: Final = 62
"""Conditions that one word of a row's marks holds; the sign and one bit more stay free."""

NO_VALUE: Final = int(np.iinfo(np.int64).min)
"""Stands where a row has no value."""

NEVER: Final = int(np.iinfo(np.int64).max)
"""Longer than any window, later than any row."""

_MICROSECOND: Final = timedelta(microseconds=1)


class ClassPart(IntEnum):
    """What is added up for a condition and a class of age."""

    ROWS = 0
    VALUED = 1
    SUM = 2
    SMALLEST = 3
    LARGEST = 4
    DAYS = 5


class TallyPart(IntEnum):
    """What is kept for a condition over all ages."""

    YOUNGEST = 0
    OLDEST = 1
    FIRST_DAY = 2
    LAST_DAY = 3
    DAYS = 4
    SQUARES = 5
    LAST_AGE = 6
    LAST_VALUE = 7


CLASS_WIDTH: Final = len(ClassPart)
TALLY_WIDTH: Final = len(TallyPart)

CODES: Final = {
    operation: code
    for code, operation in enumerate(
        (
            Operation.COUNT,
            Operation.TOTAL,
            Operation.MEAN,
            Operation.MINIMUM,
            Operation.MAXIMUM,
            Operation.LAST,
            Operation.RECENCY,
            Operation.FIRST_TOUCH,
            Operation.DAYS_ACTIVE,
            Operation.GAP_MEAN,
            Operation.GAP_STD,
            Operation.TREND,
        )
    )
}
"""Number of each operation; the loop compares numbers, not texts."""

_OF_DAYS: Final = frozenset({Operation.DAYS_ACTIVE, Operation.GAP_MEAN, Operation.GAP_STD})
_OF_VALUES: Final = frozenset(
    {Operation.TOTAL, Operation.MEAN, Operation.MINIMUM, Operation.MAXIMUM, Operation.LAST}
)


class Program(NamedTuple):
    """Features as arrays.

    Parameters
    ----------
    used : ndarray of int64, shape (words,)
        Bits of the conditions that are looked at.
    local : ndarray of int64, shape (words * 62,)
        By bit, the condition's number in this program.
    edges_begin, edges : ndarray of int64
        By condition, where its window ends begin in `edges`, which are microseconds, ascending.
    slots_begin : ndarray of int64
        By condition, where its sums begin: those of each class, then those over all ages.
    wants_days, wants_values : ndarray of bool
        By condition, whether days are counted and values looked at.
    template : ndarray of int64, shape (slots,)
        The sums before the first row.
    code, condition, upto, twice, span : ndarray of int64, shape (features,)
        Of each feature: the operation, its condition, the classes its window covers, those that
        twice the window covers, and the window in microseconds.
    """

    used: Integers
    local: Integers
    edges_begin: Integers
    edges: Integers
    slots_begin: Integers
    wants_days: npt.NDArray[np.bool_]
    wants_values: npt.NDArray[np.bool_]
    template: Integers
    code: Integers
    condition: Integers
    upto: Integers
    twice: Integers
    span: Integers


def condition_of(behaviour: Behaviour) -> Behaviour:
    """Return which rows a behaviour is about, without how far back or whether they are absent.

    Parameters
    ----------
    behaviour : Behaviour
        As it is asked for.

    Returns
    -------
    Behaviour
        The same types and condition.
    """
    return replace(behaviour, within=None, negated=False)


def conditions_of(base: Mapping[str, Feature], *further: Behaviour | None) -> tuple[Behaviour, ...]:
    """Return the different conditions of features and labels.

    Parameters
    ----------
    base : mapping of str to Feature
        As :func:`mlmarket.features.parts.base_features` returns it.
    *further : Behaviour or None
        Labels and the like.

    Returns
    -------
    tuple of Behaviour
        Each once, by its text, so that the order of features does not matter.
    """
    asked = [*(feature.behaviour for feature in base.values()), *further]
    found = {condition_of(one) for one in asked if one is not None}
    return tuple(sorted(found, key=str))


def make_program(features: Sequence[Feature], conditions: Sequence[Behaviour]) -> Program:
    """Return the program of some features over rows with marked conditions.

    Parameters
    ----------
    features : sequence of Feature
        Neither ratios nor attributes.
    conditions : sequence of Behaviour
        What the bits of a row's marks stand for; those of the features are among them.

    Returns
    -------
    Program
        Numbers the features in their order.
    """
    bits = {one: bit for bit, one in enumerate(conditions)}
    asked = [condition_of(cast("Behaviour", feature.behaviour)) for feature in features]
    mine = sorted(set(asked), key=bits.__getitem__)
    number = {one: place for place, one in enumerate(mine)}
    windows = {one: _windows(features, asked, one) for one in mine}
    used = np.zeros(-(-len(conditions) // BITS), np.int64)
    local = np.full(len(used) * BITS, -1, np.int64)
    for one in mine:
        used[bits[one] // BITS] |= 1 << (bits[one] % BITS)
        local[bits[one]] = number[one]
    classes = [len(windows[one]) + 1 for one in mine]
    widths = [count * CLASS_WIDTH + TALLY_WIDTH for count in classes]
    spans = [feature.window // _MICROSECOND if feature.window else NEVER for feature in features]
    return Program(
        used=used,
        local=local,
        edges_begin=_begins([len(windows[one]) for one in mine]),
        edges=np.array([edge for one in mine for edge in windows[one]], np.int64),
        slots_begin=_begins(widths),
        wants_days=_wanting(features, asked, mine, _OF_DAYS),
        wants_values=_wanting(features, asked, mine, _OF_VALUES),
        template=np.concatenate([np.empty(0, np.int64), *map(_template, classes)]),
        code=np.array([CODES[feature.operation] for feature in features], np.int64),
        condition=np.array([number[one] for one in asked], np.int64),
        upto=_covered(asked, windows, spans),
        twice=_covered(asked, windows, [2 * span if span < NEVER else NEVER for span in spans]),
        span=np.array(spans, np.int64),
    )


def _windows(
    features: Sequence[Feature], asked: Sequence[Behaviour], condition: Behaviour
) -> list[int]:
    """Return where the windows over a condition end, in microseconds."""
    ends = set()
    for feature, one in zip(features, asked, strict=True):
        if one == condition and feature.window is not None:
            span = feature.window // _MICROSECOND
            ends |= {span, 2 * span} if feature.operation is Operation.TREND else {span}
    return sorted(ends)


def _covered(
    asked: Sequence[Behaviour], windows: Mapping[Behaviour, Sequence[int]], spans: Sequence[int]
) -> Integers:
    """Return how many classes lie within each span."""
    pairs = zip(asked, spans, strict=True)
    return np.array(
        [
            1 + sum(edge < span for edge in windows[one])
            if span in windows[one] or span == NEVER
            else 0
            for one, span in pairs
        ],
        np.int64,
    )


def _wanting(
    features: Sequence[Feature],
    asked: Sequence[Behaviour],
    mine: Sequence[Behaviour],
    operations: frozenset[Operation],
) -> npt.NDArray[np.bool_]:
    pairs = zip(features, asked, strict=True)
    wanting = {one for feature, one in pairs if feature.operation in operations}
    return np.array([one in wanting for one in mine], np.bool_)


def _begins(widths: Sequence[int]) -> Integers:
    return np.concatenate([[0], np.cumsum(widths, dtype=np.int64)]).astype(np.int64)


def _template(classes: int) -> Integers:
    one = np.zeros(CLASS_WIDTH, np.int64)
    one[ClassPart.SMALLEST], one[ClassPart.LARGEST] = NEVER, NO_VALUE
    tally = np.zeros(TALLY_WIDTH, np.int64)
    unseen = (TallyPart.YOUNGEST, TallyPart.OLDEST, TallyPart.LAST_DAY, TallyPart.LAST_AGE)
    tally[list(unseen)] = -1
    return np.concatenate([np.tile(one, classes), tally])
