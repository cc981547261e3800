"""Which items are allowed to each recipient of a chunk?

Compiled loops over recipients. Rules for everybody are one row that is copied; what concerns single contacts is
sparse, so that the cost is that of writing the mask.
"""

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["block_history", "block_pairs", "keep_consented", "keep_pairs", "keep_usual_price"]

Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


def _block_history(mask: Flags, start: Offsets, item: Codes, at: Numbers, since: float) -> None:
    for row in range(mask.shape[0]):
        for place in range(start[row], start[row + 1]):
            if at[place] > since:
                mask[row, item[place]] = False


def _block_pairs(
    mask: Flags, contact: Offsets, start: Offsets, item: Codes, at: Numbers, after: Numbers
) -> None:
    for row in range(mask.shape[0]):
        if contact[row] < 0:
            continue
        for place in range(start[contact[row]], start[contact[row] + 1]):
            if at[place] > after[row]:
                mask[row, item[place]] = False


def _keep_pairs(mask: Flags, contact: Offsets, start: Offsets, item: Codes) -> None:
    kept = np.zeros(mask.shape[1], dtype=np.bool_)
    for row in range(mask.shape[0]):
        if contact[row] < 0:
            mask[row] = False
            continue
        rows = item[start[contact[row]] : start[contact[row] + 1]]
        for one in rows:
            kept[one] = mask[row, one]
        mask[row] = kept
        for one in rows:
            kept[one] = False


def _keep_consented(
    mask: Flags,
    contact: Offsets,
    general: Flags,
    spoken: tuple[Offsets, Codes, Flags],
    topic: Codes,
    topics: int,
) -> None:
    start, said, granted = spoken
    # The last entry is for items without a topic: place -1 finds it.
    agreed = np.empty(topics + 1, dtype=np.bool_)
    for row in range(mask.shape[0]):
        who = contact[row]
        agreed[:] = who >= 0 and general[who]
        if who >= 0:
            for place in range(start[who], start[who + 1]):
                agreed[said[place]] = granted[place]
        for item in range(mask.shape[1]):
            mask[row, item] &= agreed[topic[item]]


def _keep_usual_price(
    mask: Flags,
    start: Offsets,
    item: Codes,
    price: Numbers,
    band: tuple[float, float],
    unknown: float,
) -> None:
    for row in range(mask.shape[0]):
        paid = price[item[start[row] : start[row + 1]]]
        paid = np.sort(paid[~np.isnan(paid)])
        usual = unknown
        if len(paid):
            usual = 0.5 * (paid[(len(paid) - 1) // 2] + paid[len(paid) // 2])
        # Nothing compares with NaN: without a usual price nothing is allowed.
        low, high = band[0] * usual, band[1] * usual
        for one in range(mask.shape[1]):
            mask[row, one] &= (price[one] >= low) & (price[one] <= high)


_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
block_history = _compiled(_block_history)
block_pairs = _compiled(_block_pairs)
keep_pairs = _compiled(_keep_pairs)
keep_consented = _compiled(_keep_consented)
keep_usual_price = _compiled(_keep_usual_price)
