"""What does the evidence mean, in plain words?"""

from typing import Final

from mlmarket.market.time import duration_text
from mlmarket.prediction.contest import Contest
from mlmarket.prediction.training import TrainingPlan

__all__ = ["MODEL_NAMES", "gain_in_words", "limits_in_words"]

MODEL_NAMES: Final = {
    "base_rate": "the same probability for everybody",
    "recency_rule": "the recency rule",
    "rfm_cells": "RFM cells",
    "logistic": "the logistic regression alone",
    "boosted_trees": "the boosted trees alone",
    "blend": "the model (boosted trees and logistic regression)",
    "tuned_blend": "the model with settings of its own",
    "beta_geo": "the buy-till-you-die model (BG/NBD)",
    "past_rate": "the pace of the past 365 days",
    "value_blend": "the model (Tweedie trees and hurdle model)",
    "tweedie_trees": "the Tweedie trees alone",
    "hurdle": "the hurdle model alone",
    "poisson_trees": "the Poisson trees",
    "due_rule": "the rule of the typical gap",
    "recommender": "the recommender",
    "personal_frequency": "the rule of what each person had most often",
    "popularity": "what is popular",
    "buy_till_you_die": "the buy-till-you-die model (BG/NBD and Gamma-Gamma)",
    "tenure_hazard": "the share that ended at each month of a contract",
    "hazard": "the model (monthly hazards of boosted trees and logistic regression)",
    "logistic_hazard": "the logistic hazard alone",
    "tree_hazard": "the hazard of boosted trees alone",
    "direct": "the classifier of the whole horizon",
}
"""What readers of a report call each model."""

_A_YEAR_OF_ORIGINS: Final = 365
_NOTABLE_ERROR: Final = 0.10
_FEW_ORIGINS: Final = 3
_FEW_PEOPLE: Final = 50


def gain_in_words(contest: Contest) -> str:
    """Return which model is used, and why.

    Parameters
    ----------
    contest : Contest
        How it went.

    Returns
    -------
    str
        One or two sentences.
    """
    model, rule = _called(contest.challenger), _called(contest.baseline)
    gain = contest.gain
    interval = f"95 % interval {gain.low:+.4f} to {gain.high:+.4f}, {len(contest.folds)} origins"
    if contest.challenger == contest.baseline:
        text = f"Used is {rule}: no model was tried."
    elif contest.chosen == contest.challenger:
        text = (
            f"Used is {model}: against {rule} it saves {gain.value:.4f} of log loss a contact "
            f"({interval})."
        )
    else:
        text = (
            f"Used is {rule}: {model} does not beat it (log loss saved {gain.value:+.4f}, "
            f"{interval}, which includes zero or is below it)."
        )
    if contest.preference is not None:
        over, gain = contest.preference.over, contest.preference.gain
        text += (
            f" Of the models it was preferred to {_called(over)}: it saves "
            f"{gain.value:.4f} more ({gain.level:.1%} interval {gain.low:+.4f} to {gain.high:+.4f})."
        )
    if contest.calibrated:
        text += " Its probabilities are corrected by what happened in the latest closed window."
    return text


def _called(model: str) -> str:
    return MODEL_NAMES.get(model, f"'{model}'")


def limits_in_words(
    contest: Contest,
    plan: TrainingPlan,
    relative_error: float,
    left_out: tuple[tuple[str, str], ...],
) -> tuple[str, ...]:
    """Return what a reader should not conclude.

    Parameters
    ----------
    contest : Contest
        How it went.
    plan : TrainingPlan
        From when the data is.
    relative_error : float
        By what share totals missed, beyond chance.
    left_out : tuple of (str, str)
        Attributes that were not used, and why.

    Returns
    -------
    tuple of str
        Sentences.
    """
    limits = []
    days = (plan.cutoffs[-1] - plan.cutoffs[0]).days
    if days < _A_YEAR_OF_ORIGINS:
        limits.append(
            f"The cutoffs span {days} days, less than a year: a season cannot be told from growth, "
            "and totals will be off when the season turns."
        )
    if len(contest.folds) < _FEW_ORIGINS:
        limits.append(f"It was judged at {len(contest.folds)} origin(s) only.")
    people = _fewer_of_both(contest)
    if people < _FEW_PEOPLE:
        limits.append(
            f"Of the people it was judged on, only {people} make up the smaller side, those who did "
            "it or those who did not: with so few, the choice of the model may be luck."
        )
    if plan.step < plan.horizon:
        limits.append(
            f"Origins are {duration_text(plan.step)} apart and windows "
            f"{duration_text(plan.horizon)} long, so they overlap: they are fewer than they look."
        )
    if relative_error > _NOTABLE_ERROR:
        limits.append(
            f"At earlier origins totals missed by about {relative_error:.0%}; read every total "
            "with its interval."
        )
    limits += [f"'{name}' was not used: it {why}." for name, why in left_out]
    limits.append("It says who is likely to act, not whom a message would move.")
    return tuple(limits)


def _fewer_of_both(contest: Contest) -> int:
    """Return how many people did it, or did not, at any origin, whichever is fewer."""
    sides = [
        {
            contact
            for fold in contest.folds
            for contact in fold.contact_id[fold.label == label].tolist()
        }
        for label in (0, 1)
    ]
    return min(map(len, sides))
