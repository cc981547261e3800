"""What do recommendations have in common whose score is a sum over the history?"""

from typing import Self

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.generators.generator import Candidates, best
from mlmarket.recommend.generators.pairs import Neighbourhood
from mlmarket.recommend.generators.recency import by_occasion, of_rows
from mlmarket.recommend.generators.stored import Stored
from mlmarket.recommend.interactions import Interactions

__all__ = ["LinearGenerator"]

Codes = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


class LinearGenerator(Stored):
    """A generator with ``score[recipient, c] = Σ_rows weight(row) · W[item(row), c]``.

    Subclasses learn W, of items and items, in :meth:`_learn`. The weight of a row is its own, times a power of its
    place among the occasions counted from the end, times a decay by its age in days where times are known.

    Parameters
    ----------
    power : float, default 1
        The n-th occasion from the end counts ``n ** -power``.
    half_life : float, optional
        Days after which a row counts half; by default age in days changes nothing.
    """

    power: float
    half_life: float | None
    start_: Offsets
    neighbour_: Codes
    weight_: Scores

    def fit(self, interactions: Interactions) -> Self:
        """Learn which items lead to which.

        Parameters
        ----------
        interactions : Interactions
            Histories up to ``interactions.now``.

        Returns
        -------
        Self
            With ``start_``, ``neighbour_`` and ``weight_``, the rows of W.
        """
        found = self._learn(interactions)
        self.start_, self.neighbour_, self.weight_ = found
        return self

    def _learn(self, interactions: Interactions) -> Neighbourhood:
        raise NotImplementedError

    def scores(self, recipients: Interactions) -> Scores:
        """Return a score for every recipient and item of the catalogue.

        Parameters
        ----------
        recipients : Interactions
            Histories of anyone, in the catalogue of the fit.

        Returns
        -------
        ndarray of float32, shape (recipients, items)
            0 or less where the history gives no reason.
        """
        self._check(recipients)
        out = np.zeros((len(recipients.contacts), len(recipients.items)), dtype=np.float32)
        rows = of_rows(recipients, self.half_life)
        fading = by_occasion(self.power)
        place = np.minimum(recipients.occasions_back, len(fading) - 1)
        weights = rows * fading[place]
        _spread(recipients.start, recipients.item, weights, self._matrix(), out)
        return out

    def candidates(self, recipients: Interactions, k: int) -> Candidates:
        """Return the `k` best items of each recipient.

        Parameters
        ----------
        recipients : Interactions
            Histories of anyone, in the catalogue of the fit.
        k : int
            How many; fewer where fewer have a score above 0.

        Returns
        -------
        Candidates
            The best first; items of the history are among them.
        """
        return best(self.scores(recipients), recipients, k)

    def contributions(self, recipients: Interactions, item: Codes) -> tuple[Codes, Scores]:
        """Return which item of the history each recommended item is owed to.

        Parameters
        ----------
        recipients : Interactions
            Histories.
        item : ndarray of int32, shape (recipients, k)
            Recommended items, -1 for none.

        Returns
        -------
        cause : ndarray of int32, shape (recipients, k)
            The item without which the score would fall most; -1 where there is none.
        share : ndarray of float32, shape (recipients, k)
            By how much of the score it would fall, 0 to 1: exactly what scoring the history without that item gives,
            whose other rows then move up.
        """
        self._check(recipients)
        cause = np.full(item.shape, -1, dtype=np.int32)
        share = np.zeros(item.shape, dtype=np.float32)
        rows = of_rows(recipients, self.half_life)
        history = (recipients.start, recipients.item, recipients.occasions_back, rows)
        _blame(history, by_occasion(self.power), self._matrix(), item, (cause, share))
        return cause, share

    def _matrix(self) -> Neighbourhood:
        return Neighbourhood(self.start_, self.neighbour_, self.weight_)

    def _check(self, recipients: Interactions) -> None:
        fitted = len(self.start_) - 1
        if len(recipients.items) != fitted:
            raise ConfigurationError(
                f"The histories are of a catalogue of {len(recipients.items):,} items; "
                f"{type(self).__name__} was fitted on one of {fitted:,}.",
                "Places in one catalogue are other items in the other.",
                "read the histories with items=…, the catalogue of the fit.",
            )


def _spread_rows(
    start: Offsets, item: Codes, weight: Scores, matrix: Neighbourhood, out: Scores
) -> None:
    for contact in range(len(start) - 1):
        into = out[contact]
        for row in range(start[contact], start[contact + 1]):
            factor = weight[row]
            for place in range(matrix.start[item[row]], matrix.start[item[row] + 1]):
                into[matrix.neighbour[place]] += factor * matrix.weight[place]


_spread = numba.njit(cache=True, nogil=True, error_model="numpy")(_spread_rows)


def _entry(matrix: Neighbourhood, item: int, other: int) -> float:
    low, high = matrix.start[item], matrix.start[item + 1]
    end = high
    while low < high:
        middle = (low + high) // 2
        if matrix.neighbour[middle] < other:
            low = middle + 1
        else:
            high = middle
    found = low < end and matrix.neighbour[low] == other
    return np.float64(matrix.weight[low]) if found else 0.0


_entry = numba.njit(cache=True, nogil=True, error_model="numpy")(_entry)


def _without(
    gone: int,
    codes: Codes,
    back: Codes,
    weights: npt.NDArray[np.float64],
    fading: Scores,
) -> float:
    """Return the score of a history without an item; occasions of nothing else vanish."""
    total, moved = 0.0, 0
    row = len(codes) - 1
    while row >= 0:
        first = int(row)
        only = True
        while first >= 0 and back[first] == back[row]:
            only = only and codes[first] == gone
            first -= 1
        factor = fading[min(int(back[row]) - moved, len(fading) - 1)]
        for place in range(first + 1, row + 1):
            if codes[place] != gone:
                total += weights[place] * factor
        moved += int(only)
        row = int(first)
    return total


_without = numba.njit(cache=True, nogil=True, error_model="numpy")(_without)

_TRIED = 8
"""Items of the history that add most are tried; the order of occasions moves little beside them."""


def _blame_items(history, fading, matrix, item, answer):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    start, codes, back, own = history
    cause, share = answer
    longest = 0
    for contact in range(len(start) - 1):
        longest = max(longest, start[contact + 1] - start[contact])
    weights = np.empty(longest)
    added = np.empty(longest)
    for contact in range(item.shape[0]):
        first, last = start[contact], start[contact + 1]
        of, when = codes[first:last], back[first:last]
        for place in range(item.shape[1]):
            if item[contact, place] < 0:
                continue
            score = 0.0
            for row in range(last - first):
                weights[row] = own[first + row] * _entry(matrix, of[row], item[contact, place])
                added[row] = weights[row] * fading[min(when[row], len(fading) - 1)]
                score += added[row]
            if not score > 0.0:
                continue
            least = score
            for _ in range(min(_TRIED, last - first)):
                most = np.argmax(added[: last - first])
                if not added[most] > 0.0:
                    break
                left = _without(of[most], of, when, weights, fading)
                if left < least:
                    least = left
                    cause[contact, place] = of[most]
                added[most] = 0.0
            share[contact, place] = min(1.0, (score - least) / score)


_blame = numba.njit(cache=True, nogil=True, error_model="numpy")(_blame_items)
