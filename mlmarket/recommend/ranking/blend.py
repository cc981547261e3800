"""How much is each generator's word worth?"""

import numpy as np
import numpy.typing as npt

__all__ = ["chosen_weights", "standardised"]

Scores = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


def standardised(scores: Scores) -> Scores:
    """Return scores in units of their spread over the catalogue.

    Parameters
    ----------
    scores : ndarray of float32, shape (recipients, items)
        What a generator says; 0 or less is no reason.

    Returns
    -------
    ndarray of float32, shape (recipients, items)
        At least 0; all 0 where a generator has nothing to say. Generators can be added up then.
    """
    reasons = np.maximum(scores, 0.0, dtype=np.float32)
    spread = reasons.std(axis=1, keepdims=True)
    units: Scores = np.divide(reasons, spread, out=np.zeros_like(reasons), where=spread > 0)
    return units


def chosen_weights(scores: Scores, relevant: npt.NDArray[np.bool_], *, rounds: int = 20) -> Floats:
    """Return weights of generators whose sum ranks what was taken best.

    Generators are added one at a time, each may be added again, and the sum that ranks best is kept: few labels
    choose among few sums, so that there is little to overfit.

    Parameters
    ----------
    scores : ndarray of float32, shape (generators, recipients, items)
        Standardised; ``-inf`` where an item is not asked about.
    relevant : ndarray of bool, shape (recipients, items)
        What was taken.
    rounds : int, default 20
        How many are added.

    Returns
    -------
    ndarray of float64, shape (generators,)
        At least 0, adding up to 1.

    References
    ----------
    Caruana et al. (2004), Ensemble selection from libraries of models, ICML.
    """
    counts = np.zeros(len(scores))
    best_counts, best_value = np.ones(len(scores)), -1.0
    total = np.zeros_like(scores[0])
    recipient, item = np.nonzero(relevant)
    for _ in range(rounds):
        values = [_gain(total + one, recipient, item) for one in scores]
        place = int(np.argmax(values))
        total += scores[place]
        counts[place] += 1
        if values[place] > best_value:
            best_counts, best_value = counts.copy(), values[place]
    weights: Floats = best_counts / best_counts.sum()
    return weights


def _gain(total: Scores, recipient: npt.NDArray[np.intp], item: npt.NDArray[np.intp]) -> float:
    """Return the mean discounted gain of what was taken, over the whole catalogue.

    Without a cut-off, unlike the metric that is reported: places beyond the tenth tell weights apart too.
    """
    taken = total[recipient, item]
    ahead = (total[recipient] > taken[:, None]).sum(axis=1)
    return float(np.mean(1.0 / np.log2(ahead + 2.0) * (taken > 0)))
