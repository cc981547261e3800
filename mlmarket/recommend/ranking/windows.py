"""What did people take next, seen from earlier moments?

A window is a question whose answer is known: histories up to a moment, and what was taken after it. Whatever
answers the question is learned from rows before all that is asked, so that no answer is in the question.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.recommend.interactions import Interactions

__all__ = ["Target", "Window", "next_occasions", "periods", "sampled", "wanted"]

Offsets = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Target = Literal["all", "new", "repeat"]


@dataclass(frozen=True, slots=True)
class Window:
    """Histories up to a moment, and what was taken after it.

    Parameters
    ----------
    known : Interactions
        What may be learned from.
    recipients : Interactions
        Whom is asked about, with their histories up to the moment; all of them took something.
    start : ndarray of int64, shape (recipients + 1,)
        What recipient ``r`` took is ``item[start[r]:start[r + 1]]``.
    item : ndarray of int32
        Places in the catalogue, ascending within a recipient, each once.
    """

    known: Interactions
    recipients: Interactions
    start: Offsets
    item: Codes

    def __len__(self) -> int:
        """Return the number of recipients."""
        return len(self.recipients.contacts)

    def chunk(self, first: int, last: int) -> "Window":
        """Return the recipients from one place to another, without copying their rows.

        Parameters
        ----------
        first, last : int
            Places; `last` is not among them.

        Returns
        -------
        Window
            A view.
        """
        begin, end = self.start[first], self.start[last]
        return replace(
            self,
            recipients=self.recipients.chunk(first, last),
            start=self.start[first : last + 1] - begin,
            item=self.item[begin:end],
        )


def next_occasions(interactions: Interactions, count: int) -> list[Window]:
    """Return windows that ask for the latest occasions of each history, one at a time.

    Parameters
    ----------
    interactions : Interactions
        Everything that is known.
    count : int
        How many occasions.

    Returns
    -------
    list of Window
        The earliest first; `known` is without all of these occasions.
    """
    back, goal = interactions.occasions_back, interactions.goal
    known = interactions.without_last(count)
    places = reversed(range(count))
    return [
        _window(
            known, interactions.without_last(place + 1), interactions.rows((back == place) & goal)
        )
        for place in places
    ]


def periods(
    interactions: Interactions, days: float, count: int, *, most: int = 0, enough: int = 0
) -> list[Window]:
    """Return windows of equal length that end at ``interactions.now``.

    Parameters
    ----------
    interactions : Interactions
        Everything that is known, with times.
    days : float
        Length of each.
    count : int
        How many.
    most : int, default 0
        How many at most where these have fewer than `enough` recipients together.
    enough : int, default 0
        Recipients.

    Returns
    -------
    list of Window
        The earliest first; `known` is what had happened when the window began.
    """
    found: list[Window] = []
    asked = 0
    at, goal = interactions.at, interactions.goal
    for place in range(max(count, most)):
        if place >= count and asked >= enough:
            break
        begin = interactions.now - days * (place + 1)
        known = interactions.before(begin)
        answered = interactions.rows((at > begin) & (at <= begin + days) & goal)
        found.append(_window(known, known, answered))
        asked += len(found[-1])
    return found[::-1]


def _window(known: Interactions, histories: Interactions, answers: Interactions) -> Window:
    asked = np.flatnonzero((np.diff(histories.start) > 0) & (np.diff(answers.start) > 0))
    answers = answers.take(asked)
    items = len(answers.items)
    pairs = np.unique(answers.contact.astype(np.int64) * items + answers.item)
    contact, item = np.divmod(pairs, items)
    start = np.searchsorted(contact, np.arange(len(asked) + 1)).astype(np.int64)
    return Window(known, histories.take(asked), start, item.astype(np.int32))


def sampled(window: Window, most: int, rng: np.random.Generator) -> Window:
    """Return a window with fewer recipients.

    Parameters
    ----------
    window : Window
        With any number.
    most : int
        How many stay at most.
    rng : numpy.random.Generator
        Draws them.

    Returns
    -------
    Window
        In the same order.
    """
    if len(window) <= most:
        return window
    return _only(window, np.sort(rng.choice(len(window), most, replace=False)))


def _only(window: Window, chosen: npt.NDArray[np.integer]) -> Window:
    lengths = np.diff(window.start)[chosen]
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.arange(start[-1]) + np.repeat(window.start[:-1][chosen] - start[:-1], lengths)
    return replace(
        window, recipients=window.recipients.take(chosen), start=start, item=window.item[rows]
    )


def wanted(window: Window, target: Target) -> Window:
    """Return a window that asks only for items that are new to a recipient, or only for known ones.

    Parameters
    ----------
    window : Window
        That asks for all.
    target : {"all", "new", "repeat"}
        What is asked for.

    Returns
    -------
    Window
        Without recipients who took none of these.
    """
    if target == "all":
        return window
    own = _own(window)
    keep = own if target == "repeat" else ~own
    kept = np.concatenate([[0], np.cumsum(keep)])
    lengths = np.diff(kept[window.start])
    fewer = replace(window, start=kept[window.start].astype(np.int64), item=window.item[keep])
    return _only(fewer, np.flatnonzero(lengths))


def _own(window: Window) -> npt.NDArray[np.bool_]:
    """Return which answers the recipient had taken before."""
    own = np.zeros(len(window.item), dtype=np.bool_)
    histories = window.recipients
    _had(histories.start, histories.item, window.start, window.item, own)
    return own


def _had_before(
    start: Offsets, item: Codes, asked: Offsets, answer: Codes, own: npt.NDArray[np.bool_]
) -> None:
    for recipient in range(len(asked) - 1):
        for place in range(asked[recipient], asked[recipient + 1]):
            for row in range(start[recipient], start[recipient + 1]):
                if item[row] == answer[place]:
                    own[place] = True
                    break


_had = numba.njit(cache=True, nogil=True, error_model="numpy")(_had_before)


def share_repeated(windows: Sequence[Window]) -> float:
    """Return the share of answers that the recipient had taken before.

    Parameters
    ----------
    windows : sequence of Window
        That ask for all.

    Returns
    -------
    float
        0 where nothing was answered.
    """
    answers = sum(len(window.item) for window in windows)
    return sum(int(_own(window).sum()) for window in windows) / max(answers, 1)
