"""What do trees say, read from LightGBM's text and asked feature by feature?

LightGBM walks through one tree after another, and every step waits for the one before it. Here the splits of all
trees on one feature stand together, ascending: those that a row is above rule out leaves, and the first leaf that is
left of each tree is its answer. The answers are LightGBM's, to the last bit.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError

__all__ = ["Forest"]

Features = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Leaves = npt.NDArray[np.uint64]

_MOST: Final = 64
"""Leaves of a tree: one bit each."""

_CATEGORY, _LEFT, _MISSING = 1, 2, 12
"""Bits of LightGBM's decision type."""
_ZERO, _NAN = 4, 8
"""What counts as missing, under the last of these bits."""

_SEQUENCE: Final = np.uint64(0x03F79D71B4CB0A89)
"""De Bruijn's: its six bits from each place on are different."""
_PLACE: Final = np.zeros(64, dtype=np.int32)
for _bit in range(64):
    _PLACE[((int(_SEQUENCE) << _bit) & (2**64 - 1)) >> 58] = _bit

_NO_SPLITS: Final = tuple(
    np.zeros(0, kind) for kind in (np.int32, np.float32, np.bool_, np.uint64, np.float64)
)


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Splits of many trees, by feature.

    Parameters
    ----------
    start : ndarray of int64, shape (features + 1,)
        Where the splits of each feature begin.
    threshold : ndarray of float32, shape (splits,)
        Ascending within a feature; a row above it goes right. The largest float32 that is not above LightGBM's
        float64: which rows are above it is the same.
    missing : ndarray of bool, shape (splits,)
        Whether rows without the feature go right.
    tree : ndarray of int32, shape (splits,)
        Of which tree.
    kept : ndarray of uint64, shape (splits,)
        Leaves that are not ruled out where a row goes right; the first leaf is the lowest bit.
    first : ndarray of int64, shape (trees,)
        Where each tree's leaves begin, from left to right.
    value : ndarray of float64, shape (leaves,)
        What is said there.

    References
    ----------
    C. Lucchese, F. M. Nardini, S. Orlando, R. Perego, N. Tonellotto and R. Venturini (2015), QuickScorer: a fast
    algorithm to rank documents with additive ensembles of regression trees, SIGIR, pp. 73-82.
    """

    start: npt.NDArray[np.int64]
    threshold: Features
    missing: npt.NDArray[np.bool_]
    tree: Codes
    kept: Leaves
    first: npt.NDArray[np.int64]
    value: Floats

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read LightGBM's text format.

        Parameters
        ----------
        text : str
            Of a model of numbers with a single output, and at most 64 leaves a tree.

        Returns
        -------
        Self

        Raises
        ------
        ConfigurationError
            Where a tree asks for a category, takes 0 for missing, or is larger.
        """
        trees = [
            _fields(part) for part in text.split("end of trees", maxsplit=1)[0].split("\nTree=")[1:]
        ]
        parts = [_splits(tree) for tree in trees]
        columns = [np.concatenate(column) for column in zip(_NO_SPLITS, *parts, strict=True)]
        feature, threshold, missing, kept, value = columns
        sizes = np.array([len(part[0]) for part in parts], dtype=np.int64)
        leaves = np.array([len(part[-1]) for part in parts], dtype=np.int64)
        order = np.lexsort((threshold, feature))
        many = int(feature.max(initial=-1)) + 1
        return cls(
            np.searchsorted(feature[order], np.arange(many + 1)).astype(np.int64),
            threshold[order],
            missing[order],
            np.repeat(np.arange(len(parts), dtype=np.int32), sizes)[order],
            kept[order],
            np.cumsum(leaves) - leaves,
            value,
        )

    def raw(self, rows: Features) -> Floats:
        """Return the sum of what the trees say.

        Parameters
        ----------
        rows : ndarray of float32, shape (rows, features)
            NaN where missing.

        Returns
        -------
        ndarray of float64, shape (rows,)
            LightGBM's ``predict(rows, raw_score=True)``.
        """
        out = np.zeros(len(rows))
        splits = (self.start, self.threshold, self.missing, self.tree, self.kept)
        _say(np.ascontiguousarray(rows, np.float32), splits, self.first, self.value, out)
        return out


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines()[1:])
    return {name: value for name, _, value in pairs}


def _splits(tree: dict[str, str]) -> tuple[npt.NDArray[Any], ...]:
    """Return a tree's features, thresholds, where missing goes right, leaves kept there, and its leaves' values."""
    value = np.array(tree["leaf_value"].split(), dtype=np.float64)
    if len(value) < 2:
        return (*_NO_SPLITS[:-1], value)
    kind = _numbers(tree, "decision_type").astype(np.int32)
    if (kind & _CATEGORY).any() or ((kind & _MISSING) == _ZERO).any() or len(value) > _MOST:
        raise ConfigurationError(
            "A tree asks for a category, takes 0 for missing, or has more than 64 leaves.",
            "It is no tree that a ranking learned, and would be answered wrongly.",
            "read the text of a model that mlmarket kept.",
        )
    threshold = _numbers(tree, "threshold")
    # where nothing is known to be missing, LightGBM takes what is missing for 0
    left = np.where((kind & _MISSING) == _NAN, (kind & _LEFT) > 0, threshold >= 0.0)
    children = [_numbers(tree, name).astype(np.int64) for name in ("left_child", "right_child")]
    ruled_out, leaves = _ruled_out(*children)
    feature = _numbers(tree, "split_feature").astype(np.int32)
    return feature, _rounded_down(threshold), ~left, ~ruled_out, value[leaves]


def _numbers(tree: dict[str, str], name: str) -> Floats:
    return np.array(tree[name].split(), dtype=np.float64)


def _ruled_out(
    left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]
) -> tuple[Leaves, npt.NDArray[np.int64]]:
    """Return the leaves on the left of each split as bits, and the leaves from left to right."""
    ruled_out, leaves = np.zeros(len(left), dtype=np.uint64), []
    begin = np.zeros(len(left), dtype=np.int64)
    # a split is met before its left side, again before its right one; a leaf is below 0
    ahead: list[tuple[int, bool]] = [(0, False)]
    while ahead:
        node, again = ahead.pop()
        if node < 0:
            leaves.append(-node - 1)
        elif again:
            ruled_out[node] = (1 << len(leaves)) - (1 << int(begin[node]))
            ahead.append((int(right[node]), False))
        else:
            begin[node] = len(leaves)
            ahead += [(node, True), (int(left[node]), False)]
    return ruled_out, np.array(leaves, dtype=np.int64)


def _rounded_down(threshold: Floats) -> Features:
    with np.errstate(over="ignore"):
        near = threshold.astype(np.float32)
    below = np.nextafter(near, np.float32(-np.inf))
    rounded: Features = np.where(near.astype(np.float64) > threshold, below, near)
    return rounded


def _say_rows(rows, splits, first, value, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    start, threshold, missing, tree, kept = splits
    left = np.empty(len(first), dtype=np.uint64)
    everything = ~np.uint64(0)
    for row in range(rows.shape[0]):
        left[:] = everything
        for feature in range(len(start) - 1):
            known = rows[row, feature]
            if np.isnan(known):
                for split in range(start[feature], start[feature + 1]):
                    if missing[split]:
                        left[tree[split]] &= kept[split]
            else:
                for split in range(start[feature], start[feature + 1]):
                    if not known > threshold[split]:
                        break
                    left[tree[split]] &= kept[split]
        total = 0.0
        for one in range(len(first)):
            lowest = left[one] & (~left[one] + np.uint64(1))
            leaf = _PLACE[(lowest * _SEQUENCE) >> np.uint64(58)]
            total += value[first[one] + leaf]
        out[row] = total


_say: Any = numba.njit(cache=True, nogil=True, error_model="numpy")(_say_rows)
