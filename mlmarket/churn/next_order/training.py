"""Where in the past does a model of the next order learn, and where is it judged?"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlmarket.churn.gates import DataGate
from mlmarket.churn.next_order.contest import (
    WARM_UP,
    Contest,
    Plan,
    Stand,
    Study,
    hold_contest,
    open_study,
)
from mlmarket.churn.next_order.dates import DAYS
from mlmarket.churn.next_order.evidence import sum_up
from mlmarket.churn.next_order.fitted import FittedHazard
from mlmarket.churn.next_order.hazard import learn, make
from mlmarket.churn.next_order.purchases import PurchaseFile, Window, ended_day
from mlmarket.churn.next_order.rows import Known, Past
from mlmarket.market.time import day_start
from mlmarket.prediction.learner import one_thread
from mlmarket.prediction.study import declined

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from mlmarket.market import Market
    from mlmarket.prediction.evidence import Evidence
    from mlmarket.prediction.predictor import DeclinedError

__all__ = ["Training"]

_MICROSECOND: Final = timedelta(microseconds=1)
_BEFORE_LAST: Final = 98
"""Days from the last stand that is judged to the end: thirteen whole weeks, and one more for the step."""
_BETWEEN: Final = 28
_MOST_JUDGED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Training:
    """A training that is asked for.

    Parameters
    ----------
    market : Market
        With orders.
    name, text : str
        Of the predictor: its name, and its question in words.
    level : {"contact", "item"}
        Of what a series is.
    gate : DataGate
        What the orders can carry.
    folds : int
        Origins at which it is judged.
    most_rows : int
        Series and days it learns from at most.
    """

    market: "Market"
    name: str
    text: str
    level: str
    gate: DataGate
    folds: int
    most_rows: int

    def fit(self, *, as_of: datetime) -> FittedHazard:
        """Learn from what was known at an instant, and choose by contest.

        Parameters
        ----------
        as_of : datetime
            Rows after it are not looked at.

        Returns
        -------
        FittedHazard
            With evidence and version.

        Raises
        ------
        DeclinedError
            Where nobody could be judged.
        """
        zone = self.market.zone
        until = self.market.complete_until("orders", as_of=as_of)
        # Whole days: the training is the same all day long.
        today = ended_day(min(as_of, until), zone)
        end = _begin(today + 1, zone)
        days = [-_BEFORE_LAST - _BETWEEN * back for back in range(self.folds)]
        with self._past(Window(today, end - _MICROSECOND, as_of)) as past, one_thread():
            study = self._study(past, {day: _begin(today + day + 1, zone) for day in days}, today)
            contest = self._contest(study)
            learned = study.weeks(Stand(end, 0, 0))
            learner = learn(make(contest.chosen, study.known), study.known, *learned)
        evidence = sum_up(study, contest, learned, name=self.name, text=self.text, why=self._why)
        fitted = FittedHazard(learner, study.known, contest.factor, evidence, as_of)
        day = f"{as_of.astimezone(self.market.zone):%Y-%m-%d}"
        return fitted.with_version(f"{day}-{contest.chosen}")

    def judge(self, *, origins: "tuple[datetime, ...]") -> "Evidence":
        """Judge every candidate at given origins.

        Parameters
        ----------
        origins : tuple of datetime
            Ascending. Of the day that had only begun, nothing is looked at.

        Returns
        -------
        Evidence
            Of these origins.

        Raises
        ------
        DeclinedError
            Where nobody could be judged.
        """
        zone, last = self.market.zone, origins[-1]
        today = ended_day(last, zone)
        days = {ended_day(origin, zone) - today: origin for origin in origins}
        window = Window(today, last + timedelta(days=DAYS), None)
        with self._past(window) as past, one_thread():
            study = self._study(past, days, today)
            contest = self._contest(study)
        place = len(study.plan.stands) - 1
        learned = study.weeks(study.plan.stands[place], place)
        return sum_up(study, contest, learned, name=self.name, text=self.text, why=self._why)

    @property
    def _why(self) -> str:
        return "" if self.gate.carries == "model" else self.gate.in_words

    @contextmanager
    def _past(self, window: Window) -> Iterator[Past]:
        bench = self.market.workbench
        with tempfile.TemporaryDirectory(dir=None if bench is None else bench.folder) as folder:
            path = Path(folder) / "purchases.arrow"
            by_item = self.level == "item"
            file = PurchaseFile.record(self.market, path, window=window, by_item=by_item)
            yield Past(file, Known.of(self.level))

    def _study(self, past: Past, origins: Mapping[int, datetime], today: int) -> Study:
        first = past.file.first_day()
        stands = []
        for day, origin in sorted(origins.items()):
            whole = self.market.complete_until("orders", as_of=origin)
            complete = ended_day(whole, self.market.zone) - today
            if day >= first + 2 * WARM_UP:
                stands.append(Stand(origin, day, min(complete, day)))
        if not stands:
            raise self._declined()
        plan = Plan(tuple(stands), first, self.most_rows, _MOST_JUDGED)
        return open_study(past, plan)

    def _contest(self, study: Study) -> Contest:
        contest = hold_contest(study, rules_only=self.gate.carries != "model")
        if contest is None:
            raise self._declined()
        return contest

    def _declined(self) -> "DeclinedError":
        return declined(
            self.name,
            "there is no origin at which it could be judged",
            f"{2 * WARM_UP + _BEFORE_LAST} days of orders, and contacts who ordered again within "
            "28 days and contacts who did not, before and after an origin",
        )


def _begin(day: int, zone: "ZoneInfo") -> datetime:
    """Return the midnight at which a local day begins, given as days since 1970."""
    return day_start(date(1970, 1, 1) + timedelta(days=day), zone)
