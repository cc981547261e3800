"""What backs the answers about the next order, in numbers and in words?"""

from datetime import datetime, timedelta
from typing import Final

from mlmarket.churn.next_order.contest import JUDGED_DAYS, Contest, Study
from mlmarket.churn.next_order.hazard import BASELINES, CHALLENGER
from mlmarket.churn.next_order.rows import Rows, Weeks
from mlmarket.evaluation import calibration_curve, gain_table, relative_total_error
from mlmarket.prediction.evidence import Evidence

__all__ = ["sum_up"]

_NAMES: Final = {
    BASELINES[0]: "the same chance for everybody in every week",
    BASELINES[1]: "the rule of the typical gap",
    CHALLENGER: "the model (boosted trees and logistic regression)",
}
_A_YEAR: Final = 365
_NOTABLE_ERROR: Final = 0.10


def sum_up(
    study: Study, contest: Contest, learned: tuple[Rows, Weeks], *, name: str, text: str, why: str
) -> Evidence:
    """Return the evidence of a contest.

    Parameters
    ----------
    study : Study
        What was read.
    contest : Contest
        How it went.
    learned : tuple of Rows and Weeks
        What the final model learned from.
    name, text : str
        Of the predictor: its name, and its question in words.
    why : str
        Why only rules were tried; empty where the model was.

    Returns
    -------
    Evidence
        Numbers and words.
    """
    label, chance = contest.pooled(contest.chosen)
    totals = contest.totals()
    error = relative_total_error(
        [total.observed for total in totals],
        [total.expected for total in totals],
        own_chance=[total.own_chance for total in totals],
    )
    rows, weeks = learned
    first, last = (_instant(study, int(day)) for day in (rows.at.min(), rows.at.max()))
    return Evidence(
        predictor=name,
        question=text,
        folds=contest.scores(),
        baseline=contest.baseline,
        chosen=contest.chosen,
        gain=contest.gain,
        verdict=_verdict(contest, why),
        calibration=calibration_curve(label, chance),
        gains=gain_table(label, chance),
        totals=totals,
        relative_error=error,
        first_cutoff=first,
        last_cutoff=last,
        rows=len(weeks.row),
        contacts=len(set(rows.contact_id.tolist())),
        positives=int(weeks.label.sum()),
        features=study.known.all_names,
        left_out=(),
        limits=_limits(contest, last - first, error),
    )


def _instant(study: Study, day: int) -> datetime:
    stand = study.plan.stands[-1]
    return stand.origin + timedelta(days=day - stand.day)


def _verdict(contest: Contest, why: str) -> str:
    gain = contest.gain
    rule, model = _NAMES[contest.baseline], _NAMES[CHALLENGER]
    numbers = (
        f"{gain.value:+.4f}, 95 % interval {gain.low:+.4f} to {gain.high:+.4f}, "
        f"{len(contest.folds)} origins"
    )
    judged = f"log loss for an order within {JUDGED_DAYS} days"
    if contest.chosen == CHALLENGER:
        said = f"Used is {model}: against {rule} it saves {judged} ({numbers})."
    elif why:
        said = f"Used is {rule}. {why}"
    else:
        said = f"Used is {rule}: {model} does not beat it in {judged} ({numbers})."
    if contest.factor != 1.0:
        said += " Its chances are corrected by what happened in the latest closed window."
    return said


def _limits(contest: Contest, span: timedelta, error: float) -> tuple[str, ...]:
    limits = [
        "A date says by when half of those are back who come back within 90 days; read it beside the "
        "chance that they come back.",
        "Errors of dates are measured on those who came back within 90 days and had a gap of their own.",
    ]
    if span.days < _A_YEAR:
        limits.append(
            f"It learned from {span.days} days, less than a year: a season cannot be told from growth, "
            "and dates will be off when the season turns."
        )
    if error > _NOTABLE_ERROR:
        limits.append(
            f"At earlier origins totals missed by about {error:.0%}; read every total with its "
            "interval."
        )
    if len(contest.folds) > 1:
        limits.append("Windows of neighbouring origins overlap: they are fewer than they look.")
    return tuple(limits)
