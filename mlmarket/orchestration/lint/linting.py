"""What in the segments, the journeys and the policy will not do what was meant?"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from mlmarket.expressions import Schema
from mlmarket.orchestration.journeys.describe import duration_in_words
from mlmarket.orchestration.lint.findings import Finding
from mlmarket.orchestration.lint.flow import flow_findings
from mlmarket.orchestration.lint.naming import Names, naming_findings
from mlmarket.orchestration.lint.reading import texts_of
from mlmarket.orchestration.lint.together import together_findings
from mlmarket.orchestration.playbook import Playbook

__all__ = ["PredictionsAt", "lint_playbook"]

_LINK: Final = re.compile(r"https?://[^\s{}|\"'<>]+")
_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class PredictionsAt:
    """Which columns predictors write, and how old they are.

    Parameters
    ----------
    columns : collection of str
        Of the predictions table, without ``contact_id`` and ``as_of``.
    as_of : datetime, optional
        The moment they were made for, with its zone; None where there is no table yet.
    now : datetime, optional
        The moment they are looked at, with its zone.
    max_age : timedelta, default 7 days
        How old they may be.
    """

    columns: Collection[str] = field(default_factory=frozenset)
    as_of: datetime | None = None
    now: datetime | None = None
    max_age: timedelta = _WEEK


def lint_playbook(
    playbook: Playbook,
    *,
    known: Schema,
    event_types: Collection[str] | None = None,
    predictions: PredictionsAt | None = None,
    elsewhere: Schema | None = None,
    skipped: Collection[str] = (),
    links: Callable[[str], str | None] | None = None,
) -> tuple[Finding, ...]:
    """Find what will not do what was meant.

    Parameters
    ----------
    playbook : Playbook
        All that is written down.
    known : mapping of str to Type
        Every column of the predictions table, of ``contacts``, and ``as_of``.
    event_types : collection of str, optional
        Types of behaviour that occur, beside the reserved ones; not asked where there are none.
    predictions : PredictionsAt, optional
        Which of the columns are predictions, and how old; not asked where it is not known.
    elsewhere : mapping of str to Type, optional
        Columns of predictors that are documented and not asked here: a journey that names one is
        warned of, not refused.
    skipped : collection of str, optional
        Segments that could not be decided the last time.
    links : callable, optional
        Given an address, it returns what is wrong with it, or None; addresses are not tried
        without it.

    Returns
    -------
    tuple of Finding
        By segment or journey, place and code.

    Examples
    --------
    >>> lint_playbook(Playbook(), known={})
    ()
    """
    aged = predictions or PredictionsAt()
    names = Names(
        known=known,
        segments=[segment.name for segment in playbook.segments],
        journeys=[journey.journey for journey in playbook.journeys],
        events=event_types,
        predictions=aged.columns,
        elsewhere=elsewhere or {},
        skipped=skipped,
    )
    found = [*naming_findings(playbook, names), *together_findings(playbook), *_old(aged)]
    for journey in playbook.journeys:
        found += flow_findings(journey, known)
    if links is not None:
        found += _broken(playbook, links)
    return tuple(sorted(set(found)))


def _old(predictions: PredictionsAt) -> Iterator[Finding]:
    if predictions.as_of is None or predictions.now is None:
        return
    age = predictions.now - predictions.as_of
    if age > predictions.max_age:
        days = timedelta(days=age // timedelta(days=1))
        yield Finding(
            "predictions",
            "",
            "stale-prediction",
            "warning",
            f"They were made {duration_in_words(days)} ago.",
            "People are decided on by what they were then.",
            "run the night, and see why it did not run.",
        )


def _broken(playbook: Playbook, links: Callable[[str], str | None]) -> Iterator[Finding]:
    answers: dict[str, str | None] = {}
    for journey in playbook.journeys:
        for told in texts_of(journey):
            for address in _LINK.findall(told.text):
                if address not in answers:
                    answers[address] = links(address)
                problem = answers[address]
                if problem is not None:
                    subject = f"journey '{journey.journey}'"
                    what, why = f"{address}: {problem}", "Whoever follows it gets nowhere."
                    fix = "correct the address."
                    yield Finding(subject, told.place, "broken-link", "error", what, why, fix)
