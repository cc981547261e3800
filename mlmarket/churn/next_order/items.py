"""How often is an item bought again, and is it in fashion?

What one customer's few purchases of an item cannot tell, those of all its customers can. Everything is counted
in whole numbers over all contacts, so that neither their order nor their number of batches matters.
"""

from typing import TYPE_CHECKING, Final

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.churn.next_order.purchases import PairLog, PurchaseFile, Reader, pair_log

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ITEM_FACTS", "item_facts"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ITEM_FACTS: Final = (
    "item_gap",
    "item_again_share",
    "item_again_rate",
    "item_again_rate_91d",
    "item_trend",
    "item_days_28d",
    "item_days_91d",
    "item_age",
    "item_quiet",
    "item_buyers",
)
"""Geometric mean of its gaps; share of its buyers who bought it again; repeat purchases in 91 days of a buyer,
ever and lately; its last 28 days against its last 91; its purchase days in them; days since it was first and
last bought by anybody; its buyers."""

_BUYERS, _AGAIN, _AGAIN_BUYERS, _LOGS, _DAYS_28, _DAYS_91, _LIFE, _LIFE_91, _AGAIN_91 = range(9)
_FIRST, _LAST = 9, 10
_WIDTH: Final = 11
_FINE: Final = 1_000_000
"""Logarithms are added up as millionths."""
_NEVER: Final = 1 << 40
_RECENT: Final = 91
_FOUR_WEEKS: Final = 28
_GAPS_BEFORE: Final = 5.0
"""Weight of the mean over all items in the gap of one, in gaps."""
_BUYERS_BEFORE: Final = 20.0
"""Its weight in the share of buyers who buy again, in buyers."""
_AGAIN_BEFORE: Final = 0.5
"""Its weight in rates, in repeat purchases."""


def _add_up(pairs: PairLog, at: Integers, counts: Integers) -> None:
    log = pairs.log
    for pair in range(len(pairs.item)):
        for instant in range(len(at)):
            now = at[instant]
            into = counts[instant, pairs.item[pair]]
            first = now + 1
            last = now + 1
            days = 0
            for row in range(log.begin[pair], log.begin[pair + 1]):
                day = log.day[row]
                if day > now:
                    break
                if log.known[row] > now or day == last:
                    continue
                if days == 0:
                    first = day
                else:
                    into[_AGAIN] += 1
                    into[_LOGS] += int(np.rint(np.log(day - last) * _FINE))
                    into[_AGAIN_91] += now - day < _RECENT
                days += 1
                last = day
                into[_DAYS_28] += now - day < _FOUR_WEEKS
                into[_DAYS_91] += now - day < _RECENT
            if days == 0:
                continue
            into[_BUYERS] += 1
            into[_AGAIN_BUYERS] += days > 1
            into[_LIFE] += now - first
            into[_LIFE_91] += min(now - first, _RECENT)
            into[_FIRST] = min(into[_FIRST], first)
            into[_LAST] = max(into[_LAST], last)


_add_up = numba.njit(cache=True, nogil=True, error_model="numpy")(_add_up)


def item_facts(file: PurchaseFile, items: "pa.StringArray", at: Integers) -> Floats:
    """Return what was known of each item on given days, from the purchases of all contacts.

    Parameters
    ----------
    file : PurchaseFile
        By item.
    items : pyarrow.StringArray
        The items, ascending.
    at : ndarray of int64, shape (instants,)
        The days.

    Returns
    -------
    ndarray of float64, shape (instants, items, len(ITEM_FACTS))
        Few purchases are drawn towards what holds of all items together. NaN for the age of what nobody had
        bought yet.
    """
    counts = np.zeros((len(at), len(items), _WIDTH), dtype=np.int64)
    counts[:, :, _FIRST], counts[:, :, _LAST] = _NEVER, -_NEVER
    reader = Reader(file)
    for people in file.people():
        _add_up(pair_log(people, reader.of(people), items), at, counts)
    return np.stack([_facts(counts[place], int(now)) for place, now in enumerate(at)])


def _facts(counts: Integers, at: int) -> Floats:
    every = counts[:, :_FIRST].sum(axis=0).astype(np.float64)
    one = counts.astype(np.float64)
    again = max(every[_AGAIN], 1.0)
    usual = every[_LOGS] / _FINE / again if every[_AGAIN] else np.log(_RECENT)
    facts = np.empty((len(counts), len(ITEM_FACTS)))
    weight = one[:, _AGAIN] + _GAPS_BEFORE
    facts[:, 0] = np.exp((one[:, _LOGS] / _FINE + _GAPS_BEFORE * usual) / weight)
    share = every[_AGAIN_BUYERS] / max(every[_BUYERS], 1.0)
    facts[:, 1] = (one[:, _AGAIN_BUYERS] + _BUYERS_BEFORE * share) / (
        one[:, _BUYERS] + _BUYERS_BEFORE
    )
    for place, count, life in ((2, _AGAIN, _LIFE), (3, _AGAIN_91, _LIFE_91)):
        before = _AGAIN_BEFORE * max(every[life], 1.0) / max(every[count], 1.0)
        facts[:, place] = _RECENT * (one[:, count] + _AGAIN_BEFORE) / (one[:, life] + before)
    lately = one[:, _DAYS_28] * _RECENT / _FOUR_WEEKS
    facts[:, 4] = np.log((lately + 3.0) / (one[:, _DAYS_91] + 3.0))
    facts[:, 5], facts[:, 6] = one[:, _DAYS_28], one[:, _DAYS_91]
    bought = counts[:, _BUYERS] > 0
    facts[:, 7] = np.where(bought, at - one[:, _FIRST], np.nan)
    facts[:, 8] = np.where(bought, at - one[:, _LAST], np.nan)
    facts[:, 9] = one[:, _BUYERS]
    return facts
