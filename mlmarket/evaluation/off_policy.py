"""What would other recommendations have earned, going by slots whose items were drawn with a known chance?

A slot that showed an item says nothing about the items it did not show. Where the item was drawn, and the chance of the
draw was logged, each slot stands for all slots in which chance decided otherwise.
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, DataContractError, suggestion
from mlmarket.evaluation.bootstrap import Interval
from mlmarket.evaluation.checks import FloatArray
from mlmarket.evaluation.resampling import Draws

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "FewEffectiveSlotsWarning",
    "LoggedSlots",
    "OffPolicyEstimate",
    "doubly_robust",
    "inverse_propensity",
    "same_place",
    "self_normalised",
]

_TABLE: Final = "slots"
_FEW: Final = 100
"""Below so many slots of equal weight an interval is a guess."""


class FewEffectiveSlotsWarning(UserWarning):
    """So few logged slots speak for the other policy that its estimate is hardly one."""


@dataclass(frozen=True, slots=True, eq=False)
class LoggedSlots:
    """Slots that were shown, the chance of what they showed, and what came of it.

    Parameters
    ----------
    reward : ndarray of float64, shape (slots,)
        What the slot earned: 1 for a click, else 0, or an amount.
    propensity : ndarray of float64, shape (slots,)
        The chance with which the item shown was drawn for this slot, above 0.
    group : ndarray, shape (slots,)
        What the slot belongs to, such as its message or recipient: whole groups are resampled.

    Raises
    ------
    DataContractError
        Where a propensity is missing, 0 or less, or above 1, or a reward is missing.
    ConfigurationError
        Where the columns differ in length or are empty.
    """

    reward: FloatArray
    propensity: FloatArray
    group: npt.NDArray[np.generic]

    def __post_init__(self) -> None:
        sizes = {len(self.reward), len(self.propensity), len(self.group)}
        if len(sizes) > 1 or not len(self.reward):
            raise ConfigurationError(
                f"There are {len(self.reward):,} rewards, {len(self.propensity):,} propensities and "
                f"{len(self.group):,} groups.",
                "Each slot needs one of each, and there must be a slot.",
                "take all of them from the same frame.",
            )
        _refuse_propensities(self.propensity)
        missing = ~np.isfinite(self.reward)
        if missing.any():
            raise DataContractError(
                f"Table '{_TABLE}' has {int(missing.sum()):,} of {missing.size:,} rows without a reward, "
                f"first in row {int(missing.argmax())}.",
                "A slot whose outcome is not known yet is no slot without a click.",
                "leave out slots whose window is still open, and write 0 where nothing came.",
            )

    @classmethod
    def from_frame(cls, frame: object, *, reward: str, group: str = "message_id") -> Self:
        """Read the slots of messages.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            One row a slot: ``propensity``, and the two columns that are named.
        reward : str
            Column of what the slot earned.
        group : str, default "message_id"
            Column of what it belongs to. Name the recipient where one got several messages.

        Returns
        -------
        Self
            In the order of the frame.

        Raises
        ------
        ConfigurationError
            Where a column is missing or holds no numbers.
        DataContractError
            Where a row cannot be used.
        """
        import pyarrow as pa

        from mlmarket.market.frames import to_arrow

        table = to_arrow(frame, name=_TABLE)
        for column in ("propensity", reward, group):
            if column not in table.column_names:
                raise ConfigurationError(
                    f"Table '{_TABLE}' has no column '{column}'.",
                    "What was shown, by what chance and with what result says what something else would have earned.",
                    suggestion(column, table.column_names),
                )
        numbers = {}
        for column in ("propensity", reward):
            try:
                numbers[column] = table.column(column).cast(pa.float64()).to_numpy()
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise ConfigurationError(
                    f"Column '{column}' of table '{_TABLE}' holds {table.column(column).type}, which is no number.",
                    "It is multiplied and added up.",
                    f"convert it first, such as pandas.to_numeric(frame['{column}']).",
                ) from error
        named = table.column(group).to_numpy(zero_copy_only=False)
        return cls(numbers[reward], numbers["propensity"], named)

    def __len__(self) -> int:
        """Return the number of slots."""
        return len(self.reward)


@dataclass(frozen=True, slots=True)
class OffPolicyEstimate:
    """What a slot would have earned under another policy, and how far to trust that.

    Parameters
    ----------
    estimator : str
        ``inverse propensity``, ``self-normalised`` or ``doubly robust``.
    value : Interval
        Reward a slot.
    logged : Interval
        Reward a slot of what was really shown.
    gain : Interval
        The difference, of the same drawn groups.
    slots : int
        How many were logged.
    matching : int
        In how many of them the other policy could have shown the same item.
    effective_slots : float
        As many slots of equal weight would tell as much.
    mean_weight : Interval
        Near 1 where the logged chances are those of the draws; not 1 where they are wrong, or the log never shows what
        the other policy would show.
    largest_share : float
        Share of the total weight that rests on one slot.
    clipped : int
        How many weights were cut.
    limits : tuple of str
        What the reader should not conclude, in words.
    """

    estimator: str
    value: Interval
    logged: Interval
    gain: Interval
    slots: int
    matching: int
    effective_slots: float
    mean_weight: Interval
    largest_share: float
    clipped: int
    limits: tuple[str, ...]

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{name}</th><td>{one.value:.4g}</td><td>{one.low:.4g} to {one.high:.4g}</td></tr>"
            for name, one in (
                ("the other policy", self.value),
                ("what was shown", self.logged),
                ("gain", self.gain),
            )
        )
        limits = "".join(f"<li>{limit}</li>" for limit in self.limits)
        return (
            f"<table><caption>Reward a slot ({self.estimator}), {self.value.level:.0%} intervals</caption>{rows}"
            f"</table><p>{self.slots:,} slots, of which {self.matching:,} speak; they tell as much as "
            f"{self.effective_slots:,.0f} of equal weight.</p><ul>{limits}</ul>"
        )


def inverse_propensity(
    logged: LoggedSlots,
    target: "ArrayLike",
    *,
    clip: float | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.Generator,
) -> OffPolicyEstimate:
    r"""Estimate the reward of another policy by inverse propensity weights (IPS).

    :math:`\hat V = n^{-1} \sum_i w_i r_i` with :math:`w_i = \pi(a_i \mid x_i) / p_i`. Without `clip` it is
    unbiased where every item the policy may show had a chance in the log.

    A row is a slot: what a slot earns is taken to depend on its recipient, place and item, and not on its neighbours
    (the item-position model of Li et al. 2018).

    Parameters
    ----------
    logged : LoggedSlots
        What was shown.
    target : array-like of shape (slots,)
        :math:`\pi(a_i \mid x_i)`: the chance with which the other policy shows the logged item in this slot; 0 or 1
        for one without chance, see :func:`same_place`.
    clip : float, optional
        Weights above it are cut to it: less noise, and a value too low where rewards are positive.
    level : float, default 0.95
        Coverage of the intervals.
    n_resamples : int, default 1000
        How many times the groups are drawn.
    random_state : int or numpy.random.Generator
        Seed or source of the draws.

    Returns
    -------
    OffPolicyEstimate
        With intervals over groups.

    Raises
    ------
    ConfigurationError
        Where `target` cannot be used, or the policy never shows what was logged.

    Warns
    -----
    FewEffectiveSlotsWarning
        Where the weights leave too few slots that speak.

    References
    ----------
    Horvitz and Thompson (1952), JASA 47(260). Bottou et al. (2013), Counterfactual reasoning and learning systems,
    JMLR 14. Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay and Wen (2018), Offline evaluation of ranking policies
    with click models, KDD.

    Examples
    --------
    >>> slots = LoggedSlots(np.tile([1.0, 0.0], 200), np.full(400, 0.5), np.arange(400))
    >>> inverse_propensity(slots, np.tile([1.0, 0.0], 200), random_state=0).value.value
    1.0
    """
    weights = _weights(logged, target, clip)
    draw = Draws(logged.group, len(logged), level, n_resamples, random_state)
    ones = np.ones(len(logged))
    return _estimate(
        "inverse propensity", logged, weights, draw, (weights.used * logged.reward, ones)
    )


def self_normalised(
    logged: LoggedSlots,
    target: "ArrayLike",
    *,
    clip: float | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.Generator,
) -> OffPolicyEstimate:
    r"""Estimate the reward of another policy by weights that add up to 1 (SNIPS).

    :math:`\hat V = \sum_i w_i r_i / \sum_i w_i`: a mean of observed rewards, so it never leaves their range, and
    adding a constant to all rewards adds it to the value. Its bias vanishes as slots are added.

    Parameters
    ----------
    logged : LoggedSlots
        What was shown.
    target : array-like of shape (slots,)
        See :func:`inverse_propensity`.
    clip : float, optional
        See there.
    level : float, default 0.95
        Coverage of the intervals.
    n_resamples : int, default 1000
        How many times the groups are drawn.
    random_state : int or numpy.random.Generator
        Seed or source of the draws.

    Returns
    -------
    OffPolicyEstimate
        With intervals over groups.

    Raises
    ------
    ConfigurationError
        See there.

    Warns
    -----
    FewEffectiveSlotsWarning
        See there.

    References
    ----------
    Swaminathan and Joachims (2015), The self-normalized estimator for counterfactual learning, NIPS.

    Examples
    --------
    >>> slots = LoggedSlots(np.tile([3.0, 3.0], 200), np.full(400, 0.4), np.arange(400))
    >>> round(self_normalised(slots, np.tile([1.0, 0.0], 200), random_state=0).value.value, 9)
    3.0
    """
    weights = _weights(logged, target, clip)
    draw = Draws(logged.group, len(logged), level, n_resamples, random_state)
    parts = (weights.used * logged.reward, weights.used)
    return _estimate("self-normalised", logged, weights, draw, parts)


def doubly_robust(  # noqa: PLR0913 - a direct model comes with two columns
    logged: LoggedSlots,
    target: "ArrayLike",
    *,
    predicted: "ArrayLike",
    predicted_target: "ArrayLike",
    clip: float | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.Generator,
) -> OffPolicyEstimate:
    r"""Estimate the reward of another policy by a model that weights correct (DR).

    :math:`\hat V = n^{-1} \sum_i [\hat q(x_i, \pi) + w_i (r_i - \hat q(x_i, a_i))]`: right where either the
    propensities or the model are right, and with less noise the better the model is. Fit the model on other slots.

    Parameters
    ----------
    logged : LoggedSlots
        What was shown.
    target : array-like of shape (slots,)
        See :func:`inverse_propensity`.
    predicted : array-like of shape (slots,)
        :math:`\hat q(x_i, a_i)`: what the model expects of the logged item in this slot.
    predicted_target : array-like of shape (slots,)
        :math:`\hat q(x_i, \pi) = \sum_a \pi(a \mid x_i) \hat q(x_i, a)`: what it expects of the other policy.
    clip : float, optional
        See :func:`inverse_propensity`.
    level : float, default 0.95
        Coverage of the intervals.
    n_resamples : int, default 1000
        How many times the groups are drawn.
    random_state : int or numpy.random.Generator
        Seed or source of the draws.

    Returns
    -------
    OffPolicyEstimate
        With intervals over groups.

    Raises
    ------
    ConfigurationError
        Where `target` or a prediction cannot be used.

    Warns
    -----
    FewEffectiveSlotsWarning
        See :func:`inverse_propensity`.

    References
    ----------
    Dudík, Langford and Li (2011), Doubly robust policy evaluation and learning, ICML.

    Examples
    --------
    >>> slots = LoggedSlots(np.tile([1.0, 0.0], 200), np.full(400, 0.5), np.arange(400))
    >>> agrees = np.tile([1.0, 0.0], 200)
    >>> doubly_robust(slots, agrees, predicted=agrees, predicted_target=np.ones(400), random_state=0).value.value
    1.0
    """
    weights = _weights(logged, target, clip)
    own = _column(predicted, "predicted", len(logged))
    other = _column(predicted_target, "predicted_target", len(logged))
    draw = Draws(logged.group, len(logged), level, n_resamples, random_state)
    corrected = other + weights.used * (logged.reward - own)
    return _estimate("doubly robust", logged, weights, draw, (corrected, np.ones(len(logged))))


def same_place(recommended: "ArrayLike", item: "ArrayLike", position: "ArrayLike") -> FloatArray:
    """Say where a policy without chance would have shown the logged item in the logged place.

    Parameters
    ----------
    recommended : array-like of int, shape (slots, k)
        What the other policy shows the slot's recipient, the best first; -1 for an empty place.
    item : array-like of int, shape (slots,)
        The item that was shown, as a place in the same catalogue.
    position : array-like of int, shape (slots,)
        Where it was shown, counted from 1; places after `k` never agree.

    Returns
    -------
    ndarray of float64, shape (slots,)
        1 or 0: the `target` of an estimate.

    Raises
    ------
    ConfigurationError
        Where a position is below 1 or the lengths differ.

    Examples
    --------
    >>> same_place([[7, 4], [4, 7]], item=[4, 4], position=[2, 2]).tolist()
    [1.0, 0.0]
    """
    lists, shown, place = np.asarray(recommended), np.asarray(item), np.asarray(position)
    if lists.ndim != 2 or not len(lists) == len(shown) == len(place) or (place < 1).any():
        raise ConfigurationError(
            f"{len(lists):,} lists, {len(shown):,} items and {len(place):,} positions do not make slots.",
            "Each slot shows one item in one place, and the first place is 1.",
            "pass a list, an item and a position for each slot.",
        )
    k = lists.shape[1]
    there = lists[np.arange(len(lists)), np.minimum(place, k) - 1]
    agrees: FloatArray = ((place <= k) & (there == shown)).astype(np.float64)
    return agrees


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """Weights before and after they were cut."""

    raw: FloatArray
    used: FloatArray


def _weights(logged: LoggedSlots, target: "ArrayLike", clip: float | None) -> _Weights:
    chances = _column(target, "target", len(logged))
    if ((chances < 0.0) | (chances > 1.0)).any():
        raise ConfigurationError(
            f"'target' is outside 0 to 1 in {int(((chances < 0.0) | (chances > 1.0)).sum()):,} rows.",
            "It is the chance with which the other policy shows the logged item.",
            "pass chances, such as those of same_place().",
        )
    if not chances.any():
        raise ConfigurationError(
            f"The other policy shows the logged item in none of {len(logged):,} slots.",
            "The log says nothing about it.",
            "log more exploration, or look at a policy that is nearer to the one that was run.",
        )
    if clip is not None and not clip > 0.0:
        raise ConfigurationError(
            f"'clip' is {clip!r}.",
            "Weights are cut to it, and they are above 0.",
            "pass a number such as 20, or None to cut nothing.",
        )
    raw = chances / logged.propensity
    return _Weights(raw, raw if clip is None else np.minimum(raw, clip))


def _estimate(
    name: str,
    logged: LoggedSlots,
    weights: _Weights,
    draw: Draws,
    parts: tuple[FloatArray, FloatArray],
) -> OffPolicyEstimate:
    """Return the ratio of the sums of two columns, beside what the log itself earned."""
    above, below = parts
    ones = np.ones(len(logged))
    columns = (above, below, logged.reward, ones, weights.raw)
    # One set of draws for all numbers, so that their differences are of the same groups.
    totals = draw.totals(np.column_stack([draw.sums(column) for column in columns]))
    with np.errstate(invalid="ignore", divide="ignore"):
        values = totals[:, 0] / np.where(totals[:, 1] == 0.0, np.nan, totals[:, 1])
    shown = totals[:, 2] / totals[:, 3]
    value, mean = above.sum() / below.sum(), logged.reward.mean()

    def interval(centre: float, samples: FloatArray) -> Interval:
        return Interval(float(centre), *draw.percentiles(samples), draw.level)

    used = weights.used
    effective = float(used.sum() ** 2 / (used @ used))
    mean_weight = interval(weights.raw.mean(), totals[:, 4] / totals[:, 3])
    clipped = int(np.count_nonzero(used < weights.raw))
    limits = _limits(effective, mean_weight, clipped, len(logged))
    return OffPolicyEstimate(
        estimator=name,
        value=interval(value, values),
        logged=interval(mean, shown),
        gain=interval(value - mean, values - shown),
        slots=len(logged),
        matching=int(np.count_nonzero(used)),
        effective_slots=effective,
        mean_weight=mean_weight,
        largest_share=float(used.max() / used.sum()),
        clipped=clipped,
        limits=limits,
    )


def _limits(effective: float, mean_weight: Interval, clipped: int, slots: int) -> tuple[str, ...]:
    limits = []
    if effective < _FEW:
        few = (
            f"The {slots:,} slots tell only as much as {effective:.1f} of equal weight: the estimate rests on a "
            "few slots, and its interval is too narrow."
        )
        warnings.warn(few, FewEffectiveSlotsWarning, stacklevel=4)
        limits.append(few)
    if not mean_weight.contains(1.0):
        limits.append(
            f"Weights are {mean_weight.value:.3f} on average ({mean_weight.low:.3f} to {mean_weight.high:.3f}) and "
            "should be 1: the logged chances are not those of the draws, or the other policy shows items that the "
            "log never does."
        )
    if clipped:
        limits.append(
            f"{clipped:,} of {slots:,} weights were cut, which moves the estimate towards what is shown often."
        )
    limits.append("A slot is taken to earn the same whatever stands beside it.")
    return tuple(limits)


def _refuse_propensities(propensity: FloatArray) -> None:
    missing = ~np.isfinite(propensity)
    outside = ~missing & ((propensity <= 0.0) | (propensity > 1.0))
    for wrong, problem in (
        (missing, "without a propensity"),
        (outside, "with a propensity outside (0, 1]"),
    ):
        if wrong.any():
            first = int(wrong.argmax())
            raise DataContractError(
                f"Table '{_TABLE}' has {int(wrong.sum()):,} of {wrong.size:,} rows {problem}, "
                f"such as {propensity[first]:g} in row {first}.",
                "A slot counts by the inverse of the chance with which its item was drawn, and a chance that is made up "
                "makes up the result.",
                "leave out slots that were not drawn by chance, and log the chance of those that were.",
            )


def _column(values: "ArrayLike", name: str, size: int) -> FloatArray:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (size,) or not np.isfinite(numbers).all():
        raise ConfigurationError(
            f"'{name}' is not one finite number for each of {size:,} slots.",
            "Row i of every column must speak of the same slot.",
            "take it from the same frame, and fill or leave out what is missing.",
        )
    return numbers
