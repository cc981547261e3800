"""What would have been shown before the latest window, and what came of it?"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.ranking.pools import Proposer, Stage, Trees, chunks

__all__ = ["Rehearsal", "rehearsed"]

Scores = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

_REHEARSED: Final = 20
"""Places that are rehearsed."""


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsal:
    """What was ranked for a window that the ranking had not seen, and what came of it.

    Parameters
    ----------
    recipients : Interactions
        Histories as the window began; some took nothing in it.
    item : ndarray of int32, shape (recipients, m)
        The best items; -1 for none.
    score : ndarray of float32, shape (recipients, m)
        Their scores.
    hit : ndarray of bool, shape (recipients, m)
        Which of them were taken.
    """

    recipients: Interactions
    item: Codes
    score: Scores
    hit: Flags


def rehearsed(
    proposer: Proposer,
    stage: Stage,
    trees: Trees | None,
    recipients: Interactions,
    answers: Interactions,
) -> Rehearsal:
    """Rank for people whose answer is known.

    Parameters
    ----------
    proposer : Proposer
        Proposes and orders.
    stage : Stage
        What was known as the window began.
    trees : Trees or None
        That did not see the window.
    recipients : Interactions
        Everybody who is asked, whether or not they took anything.
    answers : Interactions
        What the same contacts took.

    Returns
    -------
    Rehearsal
    """
    parts = []
    for first, last in chunks(len(recipients.contacts)):
        pool = proposer.pool(stage, recipients.chunk(first, last))
        parts.append(proposer.ordered(pool, _REHEARSED, trees))
    item, score = (np.concatenate([part[place] for part in parts]) for place in range(2))
    size = len(recipients.items)
    taken = answers.contact.astype(np.int64) * size + answers.item
    shown = np.arange(len(item), dtype=np.int64)[:, None] * size + item
    return Rehearsal(recipients, item, score, np.isin(shown, taken) & (item >= 0))
