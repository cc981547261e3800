"""What is the night's news, in one sentence?"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mlmarket.evaluation import expected_total
from mlmarket.prediction import MODEL_NAMES
from mlmarket.reporting.content import PredictorSection, ReportContent, SegmentSection
from mlmarket.reporting.number_text import change, count, percent, range_of

__all__ = ["Headline", "headline", "model_name", "rule_in_use"]


_LEVEL: Final = 0.9


@dataclass(frozen=True, slots=True)
class Headline:
    """The first lines of a report.

    Parameters
    ----------
    first : str
        The one to read where only one is read.
    further : tuple of str
        A line for each further segment, or predictor.
    notes : tuple of str
        What changes how the lines are to be read.
    """

    first: str
    further: tuple[str, ...]
    notes: tuple[str, ...]


def headline(content: ReportContent) -> Headline:
    """Return the night's news in sentences.

    Parameters
    ----------
    content : ReportContent
        The night.

    Returns
    -------
    Headline
        About the segments with an expected number, in their order; without one, about the
        predictors; without those, about the people known.
    """
    lines = [_about_segment(section) for section in content.segments if _is_expected(section)]
    if not lines:
        lines = [_about_predictor(section) for section in content.predictors]
    if not lines:
        people = _people(content.contacts)
        lines = [f"{people} known; no prediction could be made tonight."]
    notes = [rule_in_use(section) for section in content.predictors]
    ranges = _about_ranges(content)
    return Headline(lines[0], tuple(lines[1:]), tuple(note for note in [*notes, ranges] if note))


def model_name(model: str) -> str:
    """Return what readers call a model.

    Parameters
    ----------
    model : str
        Its name in the evidence.

    Returns
    -------
    str
        In words where there are any.

    Examples
    --------
    >>> model_name("rfm_cells")
    'RFM cells'
    """
    return MODEL_NAMES.get(model, f"'{model}'")


def rule_in_use(section: PredictorSection) -> str:
    """Return the sentence that says that a simple rule answers, empty where a model does.

    Parameters
    ----------
    section : PredictorSection
        One predictor's night.

    Returns
    -------
    str
        A sentence, or nothing.
    """
    evidence = section.evidence
    if evidence.chosen != evidence.baseline:
        return ""
    rule = model_name(evidence.baseline)
    return f"{evidence.question} The model did not beat {rule}, so the rule is used."


def _is_expected(section: SegmentSection) -> bool:
    return section.expected is not None and not section.skipped


def _about_segment(section: SegmentSection) -> str:
    if section.earlier_size is None:
        since = "no earlier week to compare with"
    else:
        since = f"{change(section.size, section.earlier_size)} since last week"
    text = f"{section.size:,} {_inside_a_sentence(section.title)} ({since})"
    if section.expected is not None:
        what = _outcome(section)
        text += f"; we expect {count(section.expected.value)} {what} ({range_of(section.expected)})"
    if section.random_group is not None:
        text += f"; a random group of that size would give {count(section.random_group)}"
    return f"{text}."


def _inside_a_sentence(title: str) -> str:
    """Return a title as it continues a sentence; names in capitals stay as they are."""
    first_word = title.split(" ", 1)[0]
    return title[:1].lower() + title[1:] if first_word[1:].islower() else title


def _outcome(section: SegmentSection) -> str:
    """Return what is counted, without a time that the title has just said."""
    who, within, time = section.outcome.partition(" in ")
    if within and f"{within}{time}" in section.title:
        return who
    return section.outcome or "of them"


def _about_predictor(section: PredictorSection) -> str:
    evidence = section.evidence
    scores = section.scores[np.isfinite(section.scores)]
    if not scores.size:
        return f"{evidence.question} Nobody could be given {section.what} tonight."
    people = f"{scores.size:,} people were" if scores.size != 1 else "1 person was"
    total = section.total
    if total is None and section.unit == "probability":
        total = expected_total(scores, relative_error=evidence.relative_error, level=_LEVEL)
    if total is None:
        return f"{evidence.question} {people} scored."
    what = "of them to do it" if section.unit == "probability" else section.counts
    return (
        f"{evidence.question} {people} scored; we expect {count(total.value)} {what} "
        f"({range_of(total)})."
    )


def _about_ranges(content: ReportContent) -> str:
    levels = [s.expected.level for s in content.segments if s.expected is not None]
    if not levels and not any(np.isfinite(section.scores).any() for section in content.predictors):
        return ""
    level = levels[0] if levels else _LEVEL
    return f"A range in brackets should hold the number on {percent(level)} of all nights."


def _people(number: int) -> str:
    return "1 person is" if number == 1 else f"{number:,} people are"
