"""What does the evidence about amounts mean, in plain words?"""

from datetime import timedelta
from typing import Final

from mlmarket.churn.value.contest import AmountContest
from mlmarket.churn.value.study import ValueStudy
from mlmarket.market.time import duration_text
from mlmarket.prediction import MODEL_NAMES

__all__ = ["amount_limits_in_words", "amount_verdict_in_words"]

_NOTABLE_ERROR: Final = 0.10
_FEW_ORIGINS: Final = 3
_FEW_BUYERS: Final = 50


def amount_verdict_in_words(contest: AmountContest) -> str:
    """Return which model is used, and why.

    Parameters
    ----------
    contest : AmountContest
        How it went.

    Returns
    -------
    str
        One or two sentences.
    """
    model = MODEL_NAMES.get(contest.challenger, f"'{contest.challenger}'")
    rule = MODEL_NAMES.get(contest.baseline, f"'{contest.baseline}'")
    gain = contest.gain
    interval = f"95 % interval {gain.low:+.4f} to {gain.high:+.4f}, {len(contest.folds)} origins"
    saved = f"{gain.value:+.4f} of deviance a contact ({interval})"
    order = f"normalised Gini {contest.gini_gain:+.4f}"
    if contest.challenger == contest.baseline:
        return f"Used is {rule}: no model could take part."
    if contest.chosen == contest.challenger:
        return f"Used is {model}: against {rule} it saves {saved}, {order}."
    return f"Used is {rule}: {model} does not beat it in both (saved {saved}; {order})."


def amount_limits_in_words(
    contest: AmountContest,
    study: ValueStudy,
    *,
    relative_error: float,
    seasonal_factor: float | None,
    horizon: timedelta,
) -> tuple[str, ...]:
    """Return what a reader should not conclude.

    Parameters
    ----------
    contest : AmountContest
        How it went.
    study : ValueStudy
        What was read.
    relative_error : float
        By what share totals missed, beyond chance.
    seasonal_factor : float or None
        By which answers are multiplied.
    horizon : timedelta
        What is asked for; what was judged is in the study.

    Returns
    -------
    tuple of str
        Sentences.
    """
    judged = study.plan.horizon
    limits = []
    if horizon > judged:
        limits.append(
            f"It was judged on {duration_text(judged)}, the longest window that is closed; what "
            f"comes after is extrapolated to {duration_text(horizon)} and backed by nothing."
        )
    limits.append(_about_season(seasonal_factor))
    if len(contest.folds) < _FEW_ORIGINS:
        limits.append(f"It was judged at {len(contest.folds)} origin(s) only.")
    if study.plan.step < judged:
        limits.append(
            f"Origins are {duration_text(study.plan.step)} apart and windows "
            f"{duration_text(judged)} long, so they overlap: they are fewer than they look."
        )
    buyers = len({who for one in contest.folds for who in one.contact_id[one.actual > 0.0]})
    if buyers < _FEW_BUYERS:
        limits.append(f"Only {buyers} people bought in the windows it was judged on.")
    if relative_error > _NOTABLE_ERROR:
        limits.append(
            f"At earlier origins totals missed by about {relative_error:.0%}; read every total "
            "with its interval."
        )
    limits += [f"{MODEL_NAMES.get(name, name)} took no part: {why}" for name, why in contest.absent]
    limits += [f"'{name}' was not used: it {why}." for name, why in study.left_out]
    limits.append("It says what contacts will be worth, not what a message would change.")
    return tuple(limits)


def _about_season(factor: float | None) -> str:
    if factor is None:
        return (
            "Totals are not corrected for the season: either the history is shorter than a year and "
            "the horizon, or the factor of a year earlier did not bring totals nearer at past "
            "origins."
        )
    return (
        f"Totals are multiplied by {factor:.3f}, the season: by so much the same window a year ago "
        "lay above what the model, which knows all seasons alike, would have said then."
    )
