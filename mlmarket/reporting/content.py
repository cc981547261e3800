"""What does a night have to tell?

Plain values, gathered by the night; the report only lays them out.
"""

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt

from mlmarket.evaluation import Interval
from mlmarket.market import CheckReport
from mlmarket.orchestration.graph import JourneyCounts
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.prediction import Evidence

__all__ = [
    "Earned",
    "ExamplePerson",
    "ItemsSection",
    "JourneySection",
    "MaturedPromise",
    "MessageResult",
    "PredictorSection",
    "ReportContent",
    "SegmentSection",
    "Worth",
]


@dataclass(frozen=True, slots=True)
class ItemsSection:
    """Items that were chosen to be shown.

    Parameters
    ----------
    people : int
        Who are shown at least one.
    different : int
        How many items are shown to anybody.
    catalogue : int or None
        How many there are; None where there is no table of items.
    top : tuple of (str, int)
        The items shown to most people, by title, and to how many.
    fallback : tuple of (str, int, float)
        By length of history: how many people, and which share of their slots was filled without knowing them.
    """

    people: int
    different: int
    catalogue: int | None
    top: tuple[tuple[str, int], ...]
    fallback: tuple[tuple[str, int, float], ...]


@dataclass(frozen=True, slots=True)
class PredictorSection:
    """One predictor's night.

    Parameters
    ----------
    name : str
        Such as ``purchase``.
    column : str
        The number that stands for it, such as ``purchase_probability_30d``.
    version : str
        Which trained model answered.
    trained_at : datetime
        Its ``as_of``.
    evidence : Evidence
        What backs it.
    scores : ndarray of float64, shape (n,)
        Tonight's numbers.
    earlier_scores : ndarray of float64 or None
        Those of about a week ago, where that night was kept.
    missing : tuple of (str, int)
        Reasons for which contacts have no prediction, and how many.
    unit : str, default "probability"
        Of the number: ``probability``, ``currency`` or ``days``.
    counts : str, default ""
        What its sum counts, such as ``buyers within 30 days``.
    total : Interval or None
        Its sum over everybody, where a sum says something.
    items : ItemsSection or None
        What it chose to show, where it chooses.
    """

    name: str
    column: str
    version: str
    trained_at: datetime
    evidence: Evidence
    scores: npt.NDArray[np.float64]
    earlier_scores: npt.NDArray[np.float64] | None
    missing: tuple[tuple[str, int], ...]
    unit: str = "probability"
    counts: str = ""
    total: Interval | None = None
    items: ItemsSection | None = None

    @property
    def what(self) -> str:
        """What people are given, in words."""
        return {"probability": "a probability", "currency": "a value"}.get(self.unit, "an answer")


@dataclass(frozen=True, slots=True)
class Worth:
    """What the members of a segment are worth.

    Parameters
    ----------
    counts : str
        What is summed, such as ``EUR within 90 days``.
    amount : Interval
        The sum.
    """

    counts: str
    amount: Interval


@dataclass(frozen=True, slots=True)
class SegmentSection:
    """One segment's night.

    Parameters
    ----------
    name, title : str
        Its name in files and for people.
    action : str
        What is suggested.
    why : str
        The rule, in words.
    size, entered, left : int
        Members tonight, and the changes since the night before.
    earlier_size : int or None
        Members about a week ago.
    outcome : str
        What the expected number counts, such as ``buyers in 30 days``; empty where the segment
        is not about a probability.
    expected : Interval or None
        How many of the members are expected to do it.
    random_group : float or None
        How many of a random group of that size would.
    skipped : str
        Why it could not be decided tonight; empty where it was.
    worth : tuple of Worth
        What its members are worth, by each prediction of a value.
    unlisted : int
        Entries of its list that are nobody who is known.
    """

    name: str
    title: str
    action: str
    why: str
    size: int
    entered: int
    left: int
    earlier_size: int | None
    outcome: str
    expected: Interval | None
    random_group: float | None
    skipped: str = ""
    worth: tuple[Worth, ...] = ()
    unlisted: int = 0


@dataclass(frozen=True, slots=True)
class MaturedPromise:
    """What an earlier night promised, and what came of it.

    Parameters
    ----------
    night : date
        The earlier night.
    predictor : str
        Which predictor promised.
    people : int
        How many it gave a probability.
    promised : Interval
        How many it expected.
    observed : int
        How many did it.
    log_loss, auc : float
        Of that night's probabilities; NaN where nobody or everybody did it.
    """

    night: date
    predictor: str
    people: int
    promised: Interval
    observed: int
    log_loss: float
    auc: float


@dataclass(frozen=True, slots=True)
class MessageResult:
    """One message of a journey and what became of it.

    Parameters
    ----------
    title : str
        Such as ``e-mail 'we_miss_you'``.
    waiting : int
        People at this step tonight.
    sent, opened, clicked : int
        People, ever: to whom it was released, and who responded as far as the mailer told.
    suppressed : tuple of (str, int)
        Reasons for which it is held back tonight, and from how many.
    """

    title: str
    waiting: int = 0
    sent: int = 0
    opened: int = 0
    clicked: int = 0
    suppressed: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Earned:
    """What people of a journey ordered between their entry and its expiry.

    Parameters
    ----------
    who : str
        Those written to, or those held out.
    people : int
        Passes.
    converted : int
        Of them, those that reached the goal.
    revenue : float
        In the business's currency.
    """

    who: str
    people: int
    converted: int
    revenue: float


@dataclass(frozen=True, slots=True)
class ExamplePerson:
    """One person of a journey, without address.

    Parameters
    ----------
    contact_id : str
        Who.
    facts : tuple of (str, str)
        What is known: name and value, ready to print.
    path : str
        Where the person is and why, in words.
    """

    contact_id: str
    facts: tuple[tuple[str, str], ...]
    path: str


@dataclass(frozen=True, slots=True)
class JourneySection:
    """One journey's night.

    Parameters
    ----------
    name, title : str
        Its name in files and for people.
    status : str
        Whether it may act: ``draft``, ``approved``, ``changed`` or ``paused``.
    entered, active, reached_goal, exited, expired, held_out : int
        People: entered tonight; in it; and, ever, who reached the goal, left, ran out of time,
        or are followed without messages.
    journey : Journey
        Its definition, to be drawn.
    counts : JourneyCounts or None
        The people at each step; None where nobody was ever in it.
    messages : tuple of MessageResult
        In the order of the steps.
    earned : tuple of Earned
        Beside each other: those written to, and those held out.
    examples : tuple of ExamplePerson
        Up to ten people.
    """

    name: str
    title: str
    status: str
    entered: int
    active: int
    reached_goal: int
    exited: int
    expired: int
    held_out: int
    journey: Journey
    counts: JourneyCounts | None
    messages: tuple[MessageResult, ...]
    earned: tuple[Earned, ...]
    examples: tuple[ExamplePerson, ...]


@dataclass(frozen=True, slots=True)
class ReportContent:
    """Everything one report says.

    Parameters
    ----------
    night : date
        The date of the night; predictions are as of its first instant.
    timezone, currency : str
        Of the business.
    contacts : int
        People known.
    tables : CheckReport
        Rows in and out, and notes.
    predictors : tuple of PredictorSection
        Who answered.
    skipped : tuple of (str, str)
        Predictors that did not, and why.
    segments : tuple of SegmentSection
        By their order in the file.
    journeys : tuple of JourneySection
        By name.
    matured : tuple of MaturedPromise
        By night, then predictor.
    """

    night: date
    timezone: str
    currency: str
    contacts: int
    tables: CheckReport
    predictors: tuple[PredictorSection, ...]
    skipped: tuple[tuple[str, str], ...]
    segments: tuple[SegmentSection, ...]
    journeys: tuple[JourneySection, ...]
    matured: tuple[MaturedPromise, ...]
