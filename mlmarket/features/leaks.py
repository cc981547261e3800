"""Does a feature know the answer already?

Nothing that was known beforehand tells nearly everybody apart. What does is mostly written by what is to be
predicted: a stage that the sale sets, a reason that is asked for when somebody leaves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.features.feature import Feature, Operation
from mlmarket.market.history import looks_like_outcome, recorded_since
from mlmarket.market.time import duration_text, to_utc

if TYPE_CHECKING:
    import pandas as pd

    from mlmarket.market import Market

__all__ = [
    "LeakSuspect",
    "attribute_of",
    "label_suspects",
    "name_suspects",
    "single_auc",
    "writing_suspects",
]

_TOO_GOOD: Final = 0.98
_FEW: Final = 20
"""Up to so many different numbers are also looked at one by one."""
_LEAST: Final = 10
"""Fewer contacts of one label tell nothing of a feature."""
_SMALLEST_GROUP: Final = 20
_SMALLEST_SHARE: Final = 0.1

Labels = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class LeakSuspect:
    """A feature that may know the answer.

    Parameters
    ----------
    feature : str
        Its name.
    reason : str
        Why it is suspected, in a sentence.
    """

    feature: str
    reason: str


def single_auc(values: "pd.Series", label: Labels) -> float:
    """Return how well one feature tells two labels apart, whichever way round.

    Parameters
    ----------
    values : pandas.Series
        Numbers, or text for categories.
    label : ndarray of int8
        0 or 1.

    Returns
    -------
    float
        Area under the ROC curve, from 0.5: the best of the numbers as they are, with missing values
        first or last, and of the shares of label 1 by value, each learned from the other half of the
        rows. NaN where there is one label only.
    """
    if not 0 < int(label.sum()) < len(label):
        return float("nan")
    scores = [_rate_by_value(values, label)] if _is_discrete(values) else []
    if values.dtype.kind == "f":
        numbers = values.to_numpy(dtype=np.float64)
        scores += [np.nan_to_num(numbers, nan=end) for end in (-np.inf, np.inf)]
    areas = [_area(score, label) for score in scores]
    return max(max(area, 1.0 - area) for area in areas)


def _is_discrete(values: "pd.Series") -> bool:
    return values.dtype.kind != "f" or values.nunique() <= _FEW


def _area(score: npt.NDArray[np.float64], label: Labels) -> float:
    from scipy.stats import rankdata

    positives = int(label.sum())
    ranks = float(rankdata(score)[label == 1].sum())
    above = ranks - positives * (positives + 1) / 2
    return above / (positives * (len(label) - positives))


def _rate_by_value(values: "pd.Series", label: Labels) -> npt.NDArray[np.float64]:
    """Return the share of label 1 among rows of the same value, learned from the other half."""
    import pandas as pd

    keys = pd.Series(pd.factorize(values, use_na_sentinel=False)[0])
    labels = pd.Series(label.astype(np.float64))
    # Drawn, because ids often follow the order in which contacts came; the same every time.
    half = np.random.default_rng(0).permutation(len(label)) % 2 == 0
    overall = float(label.mean())
    rates = np.empty(len(label))
    for learn, judge in ((half, ~half), (~half, half)):
        groups = labels[learn].groupby(keys[learn])
        rate = (groups.sum() + overall) / (groups.count() + 1.0)
        rates[judge] = keys[judge].map(rate).fillna(overall)
    return rates


def label_suspects(
    frame: "pd.DataFrame", label: Labels, areas: "dict[str, float]"
) -> Iterator[LeakSuspect]:
    """Yield the features that tell the labels apart better than anything known beforehand.

    Parameters
    ----------
    frame : pandas.DataFrame
        A column a feature.
    label : ndarray of int8
        What each row's contact did after.
    areas : dict of str to float
        :func:`single_auc` of each.

    Yields
    ------
    LeakSuspect
        An area of 0.98 or more; or a value that hardly anybody has who is not of the rarer label.
    """
    rarer = int(label.mean() <= 0.5)
    if min(int(label.sum()), len(label) - int(label.sum())) < _LEAST:
        return
    for name in frame.columns:
        if areas[name] >= _TOO_GOOD:
            reason = f"tells the label apart by itself, with an AUC of {areas[name]:.3f}"
            yield LeakSuspect(name, reason)
            continue
        reason = _near_copy(frame[name], label == rarer)
        if reason:
            yield LeakSuspect(name, reason)


def _near_copy(values: "pd.Series", rare: npt.NDArray[np.bool_]) -> str:
    """Return which value is almost only there with the rarer label; nothing where none is."""
    for value, group in _groups(values):
        size, found = int(group.sum()), int((group & rare).sum())
        is_pure = size >= _SMALLEST_GROUP and found >= _TOO_GOOD * size
        if is_pure and found >= _SMALLEST_SHARE * rare.sum():
            return (
                f"is a near copy of the label: {found / size:.0%} of the {size:,} contacts where it "
                f"is {value} have the rarer label, of all {rare.mean():.0%}"
            )
    return ""


def _groups(values: "pd.Series") -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Yield the groups of contacts that a leak would mark."""
    present = values.notna().to_numpy()
    if not present.all():
        yield "there", present
        yield "missing", ~present
    if values.dtype.kind == "f":
        yield "above 0", (values > 0).to_numpy()
    if _is_discrete(values):
        for value in sorted(values.dropna().unique(), key=str)[: 10 * _FEW]:
            yield f"{value!s}", (values == value).to_numpy()


def name_suspects(
    market: "Market", features: Sequence[Feature], *, at: datetime
) -> Iterator[LeakSuspect]:
    """Yield the attributes whose names say that they are outcomes, where their past is not recorded.

    Parameters
    ----------
    market : Market
        The tables.
    features : sequence of Feature
        What is known.
    at : datetime
        When it would have to be known.

    Yields
    ------
    LeakSuspect
        One for each.
    """
    since = recorded_since(market)
    if since is not None and since <= to_utc(at):
        return
    for feature in features:
        if looks_like_outcome(attribute_of(feature)):
            reason = "is called like an outcome, and what it held then is not recorded"
            yield LeakSuspect(feature.name, reason)


def attribute_of(feature: Feature) -> str:
    """Return the attribute that a feature is made of.

    Parameters
    ----------
    feature : Feature
        Any.

    Returns
    -------
    str
        Its column; empty where the feature is made of behaviour alone.
    """
    if feature.operation is Operation.ATTRIBUTE:
        return str(feature.column)
    return next((name for name in map(attribute_of, feature.parts) if name), "")


def writing_suspects(
    before: "pd.DataFrame",
    after: "pd.DataFrame",
    happened: npt.NDArray[np.bool_],
    horizon: timedelta,
) -> Iterator[LeakSuspect]:
    """Yield the attributes that change for those who do it, and hardly for the others.

    Parameters
    ----------
    before, after : pandas.DataFrame
        Attributes at the beginning and at the end of the label window, row by row of the same
        contacts.
    happened : ndarray of bool
        Who did it.
    horizon : timedelta
        Length of the window.

    Yields
    ------
    LeakSuspect
        Where half of those who did it changed, and five times as often as the others.
    """
    for name in before.columns:
        same = (before[name] == after[name]) | (before[name].isna() & after[name].isna())
        changed = ~same.to_numpy()
        if (changed & happened).sum() < _LEAST:
            continue
        with_it = float(changed[happened].mean())
        without = float(changed[~happened].mean()) if (~happened).any() else 0.0
        if with_it >= 0.5 and with_it >= 5 * without:
            reason = (
                f"is written by what is asked: within {duration_text(horizon)} it changed for "
                f"{with_it:.0%} of those who did it and {without:.0%} of the others"
            )
            yield LeakSuspect(name, reason)
