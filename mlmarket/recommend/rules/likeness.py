"""How alike are two items?"""

from dataclasses import dataclass
from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.rules.permits import require_column

__all__ = ["Likeness", "likeness", "likeness_of"]

_SEPARATOR: Final = "|"

Codes = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Likeness:
    """The words of each item, column by column.

    Parameters
    ----------
    start : ndarray of int64, shape (columns, items + 1)
        Where each item's words begin.
    word : ndarray of int32
        Ascending within an item and column.
    """

    start: Offsets
    word: Codes


def likeness_of(facts: ItemFacts, columns: tuple[str, ...]) -> Likeness:
    """Return what items are compared by.

    Parameters
    ----------
    facts : ItemFacts
        The catalogue.
    columns : tuple of str
        Of text; values separated by ``|``.

    Returns
    -------
    Likeness

    Raises
    ------
    ConfigurationError
        Where there is no such column.
    """
    starts, words = [], []
    offset = 0
    for name in columns:
        require_column(
            facts,
            name,
            rule="similar_by",
            why="Without it nobody could tell which items are alike.",
        )
        start, word = split_words(facts, name)[:2]
        starts.append(start + offset)
        words.append(word)
        offset += len(word)
    if not columns:
        return Likeness(np.zeros((0, len(facts) + 1), np.int64), np.empty(0, np.int32))
    return Likeness(np.stack(starts), np.concatenate(words))


def split_words(facts: ItemFacts, name: str) -> tuple[Offsets, Codes, list[str]]:
    """Return the words of a column, separated by ``|``.

    Parameters
    ----------
    facts : ItemFacts
        The catalogue.
    name : str
        The column.

    Returns
    -------
    start : ndarray of int64, shape (items + 1,)
        Where each item's words begin.
    word : ndarray of int32
        Places in the words, ascending within an item, each once.
    words : list of str
        Without surrounding spaces.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    text = facts.table.column(name).cast(pa.string()).combine_chunks()
    text = pa.concat_arrays([*getattr(text, "chunks", [text]), pa.array([], pa.string())])
    split = pc.split_pattern(text, _SEPARATOR)
    item = pc.list_parent_indices(split).to_numpy().astype(np.int64)
    word = pc.utf8_trim_whitespace(pc.list_flatten(split))
    there = pc.not_equal(word, "").to_numpy(zero_copy_only=False)
    item, word = item[there], word.filter(pa.array(there))
    words = pc.unique(word)
    words = words.take(pc.sort_indices(words))
    width = max(len(words), 1)
    place = pc.index_in(word, value_set=words).to_numpy(zero_copy_only=False).astype(np.int64)
    item, place = np.divmod(np.unique(item * width + place), width)
    start = np.searchsorted(item, np.arange(len(facts) + 1)).astype(np.int64)
    return start, place.astype(np.int32), words.to_pylist()


def _likeness(start: Offsets, word: Codes, one: int, other: int) -> float:
    total = 0.0
    for column in range(start.shape[0]):
        a, end_a = start[column, one], start[column, one + 1]
        b, end_b = start[column, other], start[column, other + 1]
        either = (end_a - a) + (end_b - b)
        both = 0
        while a < end_a and b < end_b:
            if word[a] == word[b]:
                both += 1
                a += 1
                b += 1
            elif word[a] < word[b]:
                a += 1
            else:
                b += 1
        if either > 0:
            total += both / (either - both)
    return float(total / max(start.shape[0], 1))


likeness = numba.njit(cache=True, nogil=True, error_model="numpy")(_likeness)
"""Mean over the columns of the share of words that both items have; unknown words are not alike."""
