"""What do lists that were shown teach?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ShownLessons"]

Scores = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ShownLessons:
    """Shown items with what was known of them.

    Parameters
    ----------
    features : ndarray of float32, shape (items, features)
        As they would have been as candidates.
    relevant : ndarray of bool, shape (items,)
        What was taken.
    position : ndarray of int32, shape (items,)
        Places in the list, from 1.
    size : ndarray of int64, shape (lists,)
        How many items each list has.
    over : ndarray of float64, shape (lists,)
        When it was known what was taken.
    """

    features: Scores
    relevant: Flags
    position: Codes
    size: Integers
    over: Floats

    @classmethod
    def joined(cls, parts: Sequence["ShownLessons"]) -> "ShownLessons":
        """Return the lessons of several stages as one."""
        names = ("features", "relevant", "position", "size", "over")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def known_by(self, now: float) -> "ShownLessons":
        """Return the lists of which it was known by an instant what was taken."""
        keep = self.over <= now
        rows = np.repeat(keep, self.size)
        parts = (self.features[rows], self.relevant[rows], self.position[rows])
        return ShownLessons(*parts, self.size[keep], self.over[keep])
