"""Is tonight too far from the night before to be handed over?"""

import math
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlmarket.errors import QualityGateError
from mlmarket.nightly.predictions import contacts_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow.parquet as pq

    from mlmarket.nightly.night import Night
    from mlmarket.prediction import BatchPredictor

__all__ = ["hold_gate"]

_A_WEEK: Final = timedelta(days=7)


def hold_gate(night: "Night", place: Path, predictors: "Sequence[BatchPredictor]") -> None:
    """Stop a night whose answers are far from those of the night before.

    Parameters
    ----------
    night : Night
        Tonight.
    place : Path
        Where its predictions are written: the run folder, or a stage's.
    predictors : sequence of BatchPredictor
        Those that answered.

    Raises
    ------
    QualityGateError
        Where the mean of a headline number, or the number of people with one, changed by more than
        ``[quality] most_change``. Without a night in the last week nothing is compared.
    """
    earlier = _night_before(night)
    if earlier is None:
        return
    import pyarrow.parquet as pq

    with (
        pq.ParquetFile(contacts_file(night.workspace.run(earlier).path)) as before,
        pq.ParquetFile(contacts_file(place)) as tonight,
    ):
        for predictor in predictors:
            column = predictor.headline.column
            if column in before.schema_arrow.names:
                _compare(column, before, tonight, earlier, night.settings.quality.most_change)


def _night_before(night: "Night") -> date | None:
    near = [day for day in night.workspace.predicted() if night.day - _A_WEEK <= day < night.day]
    return max(near, default=None)


def _compare(
    column: str,
    before: "pq.ParquetFile",
    tonight: "pq.ParquetFile",
    earlier: date,
    limit: float,
) -> None:
    (then, sum_then), (now, sum_now) = (_people_and_sum(one, column) for one in (before, tonight))
    if not then:
        return
    if abs(now / then - 1.0) > limit:
        raise _stopped(f"'{column}' went from {then:,} people on {earlier} to {now:,}.", limit)
    means = sum_then / then, sum_now / now if now else 0.0
    if means[0] and abs(means[1] / means[0] - 1.0) > limit:
        raise _stopped(
            f"The mean of '{column}' went from {means[0]:.4f} on {earlier} to {means[1]:.4f}.",
            limit,
        )


def _people_and_sum(file: "pq.ParquetFile", column: str) -> tuple[int, float]:
    """Return how many people have a number, and their sum, without holding them all."""
    import pyarrow.compute as pc

    people, sums = 0, []
    for batch in file.iter_batches(columns=[column]):
        people += len(batch) - batch.column(0).null_count
        sums.append(pc.sum(batch.column(0), min_count=0).as_py())
    return people, math.fsum(sums)


def _stopped(what: str, limit: float) -> QualityGateError:
    return QualityGateError(
        what,
        f"A change of more than {limit:.0%} within a week is nearly always broken data; nothing "
        "was handed over.",
        "look at the tables; if the change is real, raise most_change in [quality].",
    )
