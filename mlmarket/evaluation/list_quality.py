"""Beyond being right, do lists use the catalogue, say something new, and vary?"""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.checks import FloatArray, require_count
from mlmarket.evaluation.ranking import Lists, as_lists

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["catalogue_coverage", "intra_list_diversity", "novelty"]

_LISTS_AT_ONCE: Final = 20_000


def catalogue_coverage(recommended: "ArrayLike", n_items: int) -> float:
    """Return the share of the catalogue that stands in at least one list.

    Parameters
    ----------
    recommended : array-like of int, shape (recipients, k)
        Items; -1 for an empty place.
    n_items : int
        Size of the catalogue.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Ge, Delgado-Battenfeld and Jannach (2010), Beyond accuracy: evaluating recommender systems by coverage and
    serendipity, RecSys.

    Examples
    --------
    >>> catalogue_coverage([[0, 1], [1, -1]], n_items=4)
    0.5
    """
    require_count(n_items, "n_items")
    lists = _within(as_lists(recommended), n_items)
    return np.unique(lists[lists >= 0]).size / n_items


def novelty(recommended: "ArrayLike", contacts_of: "ArrayLike", n_contacts: int) -> FloatArray:
    r"""Return how little known the items of each list are, in bits.

    The mean self-information :math:`-\log_2(n_i / n)` of the items of a list, where :math:`n_i` of
    :math:`n` contacts had to do with item :math:`i` so far. An item nobody had to do with counts as if one had.

    Parameters
    ----------
    recommended : array-like of int, shape (recipients, k)
        Items; -1 for an empty place.
    contacts_of : array-like of int, shape (items,)
        How many different contacts had to do with each item, before the lists were made.
    n_contacts : int
        Of how many.

    Returns
    -------
    ndarray of float64, shape (recipients,)
        0 where everybody knows all items; NaN for an empty list.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Zhou, Kuscsik, Liu, Medo, Wakeling and Zhang (2010), Solving the apparent diversity-accuracy dilemma of
    recommender systems, PNAS 107(10).

    Examples
    --------
    >>> novelty([[0, 1]], contacts_of=[8, 2], n_contacts=8).tolist()
    [1.0]
    """
    require_count(n_contacts, "n_contacts")
    counts = np.asarray(contacts_of, dtype=np.float64)
    if counts.ndim != 1 or not ((counts >= 0) & (counts <= n_contacts)).all():
        raise ConfigurationError(
            f"'contacts_of' is not one number from 0 to {n_contacts} an item.",
            "An item is as new as the share of contacts who do not know it.",
            "count different contacts of each item, not rows.",
        )
    lists = _within(as_lists(recommended), counts.size)
    surprise = np.log2(n_contacts) - np.log2(np.maximum(counts, 1.0))
    filled = lists >= 0
    return _mean(np.where(filled, surprise[lists], 0.0).sum(axis=1), filled.sum(axis=1))


def intra_list_diversity(
    recommended: "ArrayLike",
    *,
    categories: "ArrayLike | None" = None,
    vectors: Any = None,  # noqa: ANN401 - a dense or a sparse matrix
) -> FloatArray:
    r"""Return how different the items of each list are from each other.

    The mean of :math:`1 - s_{ij}` over the pairs of a list. By `categories`, :math:`s_{ij}` is 1 within one
    category, else 0; by `vectors` it is the cosine. Pairs with an item of which neither is known are left out.

    Parameters
    ----------
    recommended : array-like of int, shape (recipients, k)
        Items; -1 for an empty place.
    categories : array-like of int, shape (items,), optional
        The category of each item; -1 where it is not known.
    vectors : ndarray or scipy.sparse array, shape (items, attributes), optional
        Attributes of each item; a row of zeros where none is known. One of the two is needed.

    Returns
    -------
    ndarray of float64, shape (recipients,)
        From 0, all alike, to 1 (2 where cosines are below 0); NaN for a list without a pair to compare.

    Raises
    ------
    ConfigurationError
        Where an argument is unusable.

    References
    ----------
    Smyth and McClave (2001), Similarity vs. diversity, ICCBR; Ziegler, McNee, Konstan and Lausen (2005), Improving
    recommendation lists through topic diversification, WWW.

    Examples
    --------
    >>> intra_list_diversity([[0, 1, 2]], categories=[4, 4, 5]).round(4).tolist()
    [0.6667]
    """
    if (categories is None) == (vectors is None):
        raise ConfigurationError(
            "Diversity needs either 'categories' or 'vectors'.",
            "Without them nothing says which items are alike, and with both it is said twice.",
            "pass categories=facts.category, or vectors=facts.attributes.",
        )
    lists = as_lists(recommended)
    if categories is not None:
        return _by_category(lists, np.asarray(categories))
    starts = range(0, len(lists), _LISTS_AT_ONCE)
    known = np.asarray(_squares(vectors) > 0.0)
    parts = [_by_vectors(lists[start : start + _LISTS_AT_ONCE], vectors, known) for start in starts]
    return np.concatenate(parts) if parts else np.empty(0)


def _by_category(lists: Lists, categories: npt.NDArray[np.integer[Any]]) -> FloatArray:
    if categories.ndim != 1 or not np.issubdtype(categories.dtype, np.integer):
        raise ConfigurationError(
            f"'categories' holds {categories.dtype} in {categories.ndim} dimension(s).",
            "Items of the same number are alike.",
            "pass one whole number an item, -1 where the category is not known.",
        )
    _within(lists, categories.size)
    mine = np.where(lists >= 0, categories[lists], -1)
    known = (mine >= 0).sum(axis=1)
    # Equal neighbours of a sorted row are counted by how long their run already is: pairs without comparing all.
    ordered = np.sort(mine, axis=1)
    alike = np.zeros(len(lists))
    run = np.zeros(len(lists))
    for place in range(1, ordered.shape[1]):
        same = (ordered[:, place] == ordered[:, place - 1]) & (ordered[:, place] >= 0)
        run = np.where(same, run + 1.0, 0.0)
        alike += run
    pairs = known * (known - 1) / 2.0
    return _mean(pairs - alike, pairs)


def _by_vectors(lists: Lists, vectors: Any, known: npt.NDArray[np.bool_]) -> FloatArray:  # noqa: ANN401
    """Return 1 less the mean cosine, by the square of the sum of unit vectors: k rows instead of k² pairs."""
    from scipy.sparse import csr_array

    _within(lists, known.size)
    row, place = np.nonzero(lists >= 0)
    item = lists[row, place]
    kept = known[item]
    row, item = row[kept], item[kept]
    unit = csr_array(
        (1.0 / np.sqrt(_squares(vectors)[item]), (row, item)), shape=(len(lists), known.size)
    )
    count = np.bincount(row, minlength=len(lists)).astype(np.float64)
    # (Σ u)² = number + 2 Σ of the cosines of all pairs
    cosines = (_squares(unit @ csr_array(vectors, dtype=np.float64)) - count) / 2.0
    pairs = count * (count - 1.0) / 2.0
    return _mean(np.maximum(pairs - cosines, 0.0), pairs)


def _squares(vectors: Any) -> FloatArray:  # noqa: ANN401 - a dense or a sparse matrix
    from scipy.sparse import csr_array

    rows = csr_array(vectors, dtype=np.float64)
    squares: FloatArray = np.asarray(rows.multiply(rows).sum(axis=1), dtype=np.float64).ravel()
    return squares


def _within(lists: Lists, n_items: int) -> Lists:
    largest = int(lists.max(initial=-1))
    if largest >= n_items:
        raise ConfigurationError(
            f"A list holds item {largest}, and the catalogue has {n_items:,} items, counted from 0.",
            "What is said of one item would be read of another.",
            "pass places in the same catalogue everywhere.",
        )
    return lists


def _mean(total: npt.NDArray[Any], number: npt.NDArray[Any]) -> FloatArray:
    means: FloatArray = total / np.where(number == 0, np.nan, number)
    return means
