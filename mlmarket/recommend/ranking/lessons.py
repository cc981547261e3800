"""What can be learned from candidates whose answer is known?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.ranking.choice import gain_at_ten
from mlmarket.recommend.ranking.pools import Pool, chunks
from mlmarket.recommend.ranking.windows import Window

__all__ = ["LessonBook", "Lessons", "answers_of"]

Scores = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lessons:
    """Candidates of recipients who took at least one of them.

    Recipients who took none say nothing of the order; they are only counted.

    Parameters
    ----------
    features : ndarray of float32, shape (candidates, features)
        Of the candidates of one recipient after another, each recipient's in the order of the blend.
    relevant : ndarray of bool, shape (candidates,)
        What was taken.
    size : ndarray of int64, shape (recipients,)
        How many candidates each recipient has.
    answers : ndarray of int64, shape (recipients,)
        How many items each took, among the candidates or not.
    first : ndarray of int64, shape (windows + 1,)
        Where the recipients of each window begin.
    asked : ndarray of int64, shape (windows,)
        How many recipients each window had, with those who took no candidate.
    """

    features: Scores
    relevant: Flags
    size: Integers
    answers: Integers
    first: Integers
    asked: Integers

    def windows(self, begin: int, end: int) -> "Lessons":
        """Return the lessons of some windows, without copying them.

        Parameters
        ----------
        begin, end : int
            Places; `end` is not among them.

        Returns
        -------
        Lessons
            A view.
        """
        people = slice(self.first[begin], self.first[end])
        row = np.concatenate([[0], np.cumsum(self.size)])
        rows = slice(row[people.start], row[people.stop])
        return Lessons(
            self.features[rows],
            self.relevant[rows],
            self.size[people],
            self.answers[people],
            self.first[begin : end + 1] - people.start,
            self.asked[begin:end],
        )

    def gain(self, score: npt.NDArray[np.number]) -> Floats:
        """Return NDCG@10 of all recipients, those who took no candidate at the end.

        Parameters
        ----------
        score : ndarray, shape (candidates,)
            Larger is better.

        Returns
        -------
        ndarray of float64, shape (recipients with and without,)
            0 to 1.
        """
        there = np.arange(self.size.max(initial=0)) < self.size[:, None]
        table, hit = np.full(there.shape, -np.inf), np.zeros(there.shape, dtype=np.bool_)
        table[there], hit[there] = score, self.relevant
        gains = np.zeros(int(self.asked.sum()))
        gains[: len(self.size)] = gain_at_ten(table, hit, self.answers)
        return gains

    @property
    def place(self) -> Integers:
        """Place of each candidate in the blend, from 0."""
        begin = np.cumsum(self.size) - self.size
        return np.arange(len(self.relevant)) - np.repeat(begin, self.size)


class LessonBook:
    """Lessons of one window after another, in one array.

    Parameters
    ----------
    recipients : int
        Of all windows.
    candidates, features : int
        How many candidates a recipient has at most, and how many features each. Only what is filled takes memory.
    """

    def __init__(self, recipients: int, candidates: int, features: int) -> None:
        rows = recipients * candidates
        self._features = np.empty((rows, features), np.float32)
        self._relevant = np.empty(rows, np.bool_)
        self._filled = 0
        self._size: list[Integers] = [np.zeros(0, np.int64)]
        self._answers: list[Integers] = [np.zeros(0, np.int64)]
        self._first, self._asked = [0], list[int]()

    def add(self, window: Window, pool_of: Callable[[Interactions], Pool]) -> None:
        """Write down what a window teaches.

        Parameters
        ----------
        window : Window
            A later one than those before.
        pool_of : callable
            Candidates of a chunk of its recipients.
        """
        for begin, end in chunks(len(window)):
            part = window.chunk(begin, end)
            pool = pool_of(part.recipients)
            there = pool.item >= 0
            at = np.maximum(pool.item, 0).astype(np.intp)
            hit = np.take_along_axis(answers_of(part), at, axis=1) & there
            told = hit.sum(axis=1) > 0
            keep = there & told[:, None]
            rows = slice(self._filled, self._filled + int(keep.sum()))
            self._features[rows], self._relevant[rows] = pool.features[keep], hit[keep]
            self._size.append(keep.sum(axis=1)[told])
            self._answers.append(np.diff(part.start)[told])
            self._filled = rows.stop
        self._first.append(sum(len(one) for one in self._size))
        self._asked.append(len(window))

    def lessons(self) -> Lessons:
        """Return what all windows teach."""
        return Lessons(
            self._features[: self._filled],
            self._relevant[: self._filled],
            np.concatenate(self._size),
            np.concatenate(self._answers),
            np.array(self._first),
            np.array(self._asked),
        )


def answers_of(window: Window) -> Flags:
    """Return what was taken, shape (recipients, items)."""
    flags = np.zeros((len(window), len(window.recipients.items)), dtype=np.bool_)
    flags[np.repeat(np.arange(len(window)), np.diff(window.start)), window.item] = True
    return flags
