"""Is tonight too far from the night before to be handed over?"""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from mlmarket.errors import QualityGateError
from mlmarket.nightly.predictions import read_predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from mlmarket.nightly.night import Night
    from mlmarket.prediction import SupervisedPredictor

__all__ = ["hold_gate"]

_A_WEEK: Final = timedelta(days=7)


def hold_gate(
    night: "Night", tonight: "pa.Table", predictors: "Sequence[SupervisedPredictor]"
) -> None:
    """Stop a night whose answers are far from those of the night before.

    Parameters
    ----------
    night : Night
        Tonight.
    tonight : pyarrow.Table
        Its predictions.
    predictors : sequence of SupervisedPredictor
        Those that answered.

    Raises
    ------
    QualityGateError
        Where the mean of a probability, or the number of people with one, changed by more than
        ``[quality] most_change``. Without a night in the last week nothing is compared.
    """
    earlier = _night_before(night)
    if earlier is None:
        return
    before = read_predictions(night.workspace.run(earlier).path).contacts
    for predictor in predictors:
        column = predictor.question.answer.probability
        if column in before.column_names:
            _compare(column, before, tonight, earlier, night.settings.quality.most_change)


def _night_before(night: "Night") -> date | None:
    near = [day for day in night.workspace.predicted() if night.day - _A_WEEK <= day < night.day]
    return max(near, default=None)


def _compare(
    column: str, before: "pa.Table", tonight: "pa.Table", earlier: date, limit: float
) -> None:
    then, now = before.column(column).drop_null(), tonight.column(column).drop_null()
    if not len(then):
        return
    if abs(len(now) / len(then) - 1.0) > limit:
        raise _stopped(
            f"'{column}' went from {len(then):,} people on {earlier} to {len(now):,}.", limit
        )
    means = [float(column.to_numpy().mean()) if len(column) else 0.0 for column in (then, now)]
    if means[0] and abs(means[1] / means[0] - 1.0) > limit:
        raise _stopped(
            f"The mean of '{column}' went from {means[0]:.4f} on {earlier} to {means[1]:.4f}.",
            limit,
        )


def _stopped(what: str, limit: float) -> QualityGateError:
    return QualityGateError(
        what,
        f"A change of more than {limit:.0%} within a week is nearly always broken data; nothing "
        "was handed over.",
        "look at the tables; if the change is real, raise most_change in [quality].",
    )
