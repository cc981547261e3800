"""When is the next order due, and of which item?"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.churn.gates import DataGate, hold_data_gate, order_history
from mlmarket.churn.next_order.answers import (
    NEXT_ORDER,
    REPLENISHMENT,
    Asked,
    columns_of,
    with_strangers,
    without_orders,
)
from mlmarket.churn.next_order.dates import DAYS
from mlmarket.churn.next_order.purchases import begun_day
from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.evaluation import Interval, expected_total
from mlmarket.features import Behaviour
from mlmarket.features.labels import refuse_open_windows
from mlmarket.market.time import to_utc
from mlmarket.prediction.answers import asked_ids, in_one
from mlmarket.prediction.buckets import Roll
from mlmarket.prediction.fitted import read_card
from mlmarket.prediction.predictor import DeclinedError, Headline, Predictions, Schema
from mlmarket.prediction.study import declined, ordered_origins, require_market

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.churn.next_order.fitted import FittedHazard
    from mlmarket.churn.next_order.training import Training
    from mlmarket.market import Market
    from mlmarket.prediction.evidence import Evidence

__all__ = ["NextOrderModel"]

_LEVELS: Final = ("contact", "item")
_ORDER: Final = Behaviour.parse("order")
_HORIZON: Final = timedelta(days=DAYS)


class NextOrderModel:
    """When the next order comes, by a weekly hazard; of any item, or of each item bought before.

    Parameters
    ----------
    level : {"contact", "item"}, default "contact"
        Whether it is asked of each contact, or of each contact and item.
    items : int, default 10
        Items named to a contact at most; without meaning for contacts.
    least_chance : float, default 0.2
        Probability of an order within 90 days below which no date is named, and no item.
    folds : int, default 3
        Origins at which it is judged.
    most_rows : int, default 50_000
        Series and days it learns from at most; beyond, a stable share is drawn.

    Attributes
    ----------
    evidence_ : Evidence
        After :meth:`fit`.
    training_record_ : dict
        After :meth:`fit`: parameters, data and metrics, for an experiment tracker.

    Raises
    ------
    ConfigurationError
        Where one of them cannot be used.

    Notes
    -----
    A row is a series and a day; for each of the thirteen weeks after it, as long as the next order has not
    come, it is learned whether it comes in that week, from what was known on that day and from how long ago
    the last order is by then. A week that is not over is left out: it is never read as a "no". Small trees
    and a logistic regression, whose mean is used where it beats a constant hazard and the rule of the typical
    gap, see :class:`Evidence`. For items, pairs with few purchases are drawn towards the gap of the item, and
    everything that is known of the contact's own rhythm is known of its pairs as well.

    References
    ----------
    Allison (1982), Discrete-time methods for the analysis of event histories, Sociological Methodology 13.

    Examples
    --------
    >>> NextOrderModel(level="item").name
    'replenishment'
    """

    def __init__(
        self,
        level: str = "contact",
        *,
        items: int = 10,
        least_chance: float = 0.2,
        folds: int = 3,
        most_rows: int = 50_000,
    ) -> None:
        if level not in _LEVELS:
            raise ConfigurationError(
                f"The next order has no level {level!r}.",
                "It is asked of contacts, or of contacts and items.",
                suggestion(str(level), _LEVELS),
            )
        for name, number in (("items", items), ("folds", folds), ("most_rows", most_rows)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise _bad(name, number, "a whole number of at least 1")
        if not isinstance(least_chance, int | float) or not 0.0 <= least_chance <= 1.0:
            raise _bad("least_chance", least_chance, "a probability from 0 to 1")
        self.level = level
        self.items = items
        self.least_chance = float(least_chance)
        self.folds = folds
        self.most_rows = most_rows
        self._fitted: FittedHazard | None = None

    @property
    def name(self) -> str:
        """Its name, and the first word of its columns."""
        return REPLENISHMENT if self.level == "item" else NEXT_ORDER

    @property
    def text(self) -> str:
        """Its question in words."""
        if self.level == "item":
            return "What will be bought again, and when?"
        return "When is the next order due?"

    @property
    def needs(self) -> frozenset[str]:
        """Tables it cannot do without."""
        return frozenset({"orders"})

    @property
    def outputs(self) -> Schema:
        """Columns it writes."""
        return columns_of(self.name)

    @property
    def headline(self) -> Headline:
        """The probability within 28 days."""
        counts = "" if self.level == "item" else "buyers within 28 days"
        return Headline(f"{self.name}_probability_28d", "probability", counts)

    @property
    def parameters(self) -> dict[str, object]:
        """The arguments that made it, as plain values."""
        return {
            "level": self.level,
            "items": self.items,
            "least_chance": self.least_chance,
            "folds": self.folds,
            "most_rows": self.most_rows,
        }

    @property
    def features(self) -> None:
        """None: it knows purchases only, and cannot be told more."""
        return

    @property
    def evidence_(self) -> "Evidence":
        """How good it is; raises ``NotFittedError`` before :meth:`fit`."""
        return self._require_fitted().evidence

    @property
    def version_(self) -> str:
        """Which trained model this is: its date, the model chosen, and a digest of its content."""
        return self._require_fitted().version

    @property
    def as_of_(self) -> datetime:
        """When it was trained."""
        return self._require_fitted().as_of

    @property
    def training_record_(self) -> dict[str, Any]:
        """Parameters, data and metrics of the training, for an experiment tracker."""
        fitted = self._require_fitted()
        return {
            "predictor": self.name,
            "kind": type(self).__name__,
            "parameters": self.parameters,
            "as_of": fitted.as_of.isoformat(),
            "version": fitted.version,
            "files": dict(fitted.files),
            "learner": fitted.learner.name,
            "factor": fitted.factor,
            "features": list(fitted.known.all_names),
            "evidence": fitted.evidence.to_dict(),
        }

    def total(self, numbers: npt.NDArray[np.float64]) -> Interval | None:
        """Return how many of some contacts are expected to order within 28 days, with an interval.

        Parameters
        ----------
        numbers : ndarray of float64, shape (contacts,)
            Their probabilities within 28 days.

        Returns
        -------
        Interval or None
            None for items: a contact may be due for several, or for one instead of another.
        """
        if self.level == "item":
            return None
        return expected_total(numbers, relative_error=self.evidence_.relative_error)

    def fit(self, market: "Market", *, as_of: datetime) -> Self:
        """Learn from what was known at an instant, and choose by contest.

        Parameters
        ----------
        market : Market
            With orders.
        as_of : datetime
            Rows after it are not looked at.

        Returns
        -------
        Self
            With ``evidence_``, ``version_`` and ``training_record_``.

        Raises
        ------
        DeclinedError
            Where orders are missing or too few, no window is closed, or nobody came back.
        ConfigurationError
            Where `as_of` has no zone.
        """
        self._fitted = self._training(market, as_of).fit(as_of=as_of)
        return self

    def backtest(self, market: "Market", *, origins: Sequence[datetime]) -> "Evidence":
        """Judge every candidate at given origins.

        Parameters
        ----------
        market : Market
            With orders.
        origins : sequence of datetime
            Where models stand; the 90 days after each must be over.

        Returns
        -------
        Evidence
            As :meth:`fit` would have kept it with these origins. Of a day that had only begun at an origin,
            nothing is looked at.

        Raises
        ------
        OpenLabelWindowError
            Where a window is still open.
        DeclinedError
            Where orders are missing, or there is nothing to learn from before the origins.
        ConfigurationError
            Where there is no origin, or one has no zone.
        """
        self._require_orders(market)
        ordered = ordered_origins(origins)
        refuse_open_windows(market, _ORDER, cutoffs=ordered, horizon=_HORIZON, known_at=None)
        return self._training(market, ordered[-1]).judge(origins=ordered)

    def predict(
        self, market: "Market", *, as_of: datetime, contacts: Sequence[str] | None = None
    ) -> Predictions:
        """Return chances and dates of everybody who has ordered.

        Parameters
        ----------
        market : Market
            With orders.
        as_of : datetime
            Rows after it are not looked at.
        contacts : sequence of str, optional
            Only these; by default everybody known at `as_of`.

        Returns
        -------
        Predictions
            ``missing`` says who has no answer or no date, and why; for items, ``items`` has a row for each
            contact and likely item.

        Raises
        ------
        ConfigurationError
            Where `as_of` has no zone, or `contacts` is no list of texts.
        """
        if contacts is None:
            return in_one(list(self.predict_batches(market, as_of=as_of)))
        asked = asked_ids(contacts)
        answer = in_one(list(self._answers(market, [asked], as_of=as_of)))
        return with_strangers(answer, market, as_of=as_of)

    def predict_batches(
        self, market: "Market", *, as_of: datetime, roll: Roll | None = None, first: int = 0
    ) -> Iterator[Predictions]:
        """Answer for everybody, bucket by bucket, in memory that does not grow with the contacts.

        The tables are read once, before the first answer.

        Parameters
        ----------
        market : Market
            With orders.
        as_of : datetime
            Rows after it are not looked at.
        roll : Roll, optional
            Who is asked about, in which buckets; by default everybody known at `as_of`.
        first : int, default 0
            The bucket to begin with.

        Yields
        ------
        Predictions
            Of a bucket; the same rows as :meth:`predict`.

        Raises
        ------
        ConfigurationError
            Where `as_of` has no zone.
        """
        if roll is not None:
            buckets = (roll[bucket] for bucket in range(first, len(roll)))
            yield from self._answers(market, buckets, as_of=as_of)
            return
        bench = market.workbench
        with tempfile.TemporaryDirectory(dir=None if bench is None else bench.folder) as place:
            roll = Roll.record(market, Path(place) / "roll.arrow", as_of=as_of)
            yield from self.predict_batches(market, as_of=as_of, roll=roll)

    def reasons(self, contacts: "pa.StringArray", *, as_of: datetime) -> "pa.Table":
        """Return why contacts that are known have no answer.

        Parameters
        ----------
        contacts : pyarrow.StringArray
            Who has none.
        as_of : datetime
            When they were asked about.

        Returns
        -------
        pyarrow.Table
            ``contact_id, predictor, reason``.
        """
        return without_orders(self.name, contacts, as_of=as_of)

    def shortfall(self, market: "Market", *, as_of: datetime) -> str:
        """Return what the predictor lacks to learn, without learning.

        Parameters
        ----------
        market : Market
            The tables.
        as_of : datetime
            When it would learn.

        Returns
        -------
        str
            Empty where nothing is missing.
        """
        try:
            self._gate(market, as_of)
        except DeclinedError as error:
            return error.in_short
        return ""

    def save(self, folder: Path) -> None:
        """Write what was learned: ``card.json`` and the model's own files.

        Parameters
        ----------
        folder : Path
            Made where it does not exist.
        """
        self._require_fitted().save(Path(folder), self.training_record_)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the predictor that :meth:`save` wrote.

        Parameters
        ----------
        folder : Path
            Where it was written.

        Returns
        -------
        Self
            Fitted.

        Raises
        ------
        ConfigurationError
            Where there is none, it is of another class, or its files were changed.
        """
        from mlmarket.churn.next_order.fitted import FittedHazard
        from mlmarket.churn.next_order.rows import Known

        card = read_card(Path(folder), cls.__name__)
        model = cls(**card["parameters"])
        model._fitted = FittedHazard.restore(Path(folder), card, Known.of(model.level))
        return model

    def _require_fitted(self) -> "FittedHazard":
        if self._fitted is None:
            from sklearn.exceptions import NotFittedError

            text = f"'{self.name}' has not learned anything yet; call fit(market, as_of=…) first."
            raise NotFittedError(text)
        return self._fitted

    def _require_orders(self, market: "Market") -> None:
        if not market.has("orders"):
            raise declined(self.name, "there is no table 'orders'", "[tables.orders]")
        if self.level == "item" and "item_id" not in market.table("orders").columns:
            raise declined(
                self.name,
                "orders do not say which item was bought",
                "a column item_id in [tables.orders]",
            )

    def _gate(self, market: "Market", as_of: datetime) -> DataGate:
        """Return what the orders can carry; decline where they carry nothing."""
        to_utc(as_of)
        require_market(market)
        self._require_orders(market)
        history = order_history(market, as_of=as_of)
        gate = hold_data_gate(history, as_of=as_of, horizon=_HORIZON)
        if gate.carries == "nothing":
            raise declined(self.name, gate.obstacle, "more of them, or a longer past")
        return gate

    def _training(self, market: "Market", as_of: datetime) -> "Training":
        from mlmarket.churn.next_order.training import Training

        return Training(
            market,
            self.name,
            self.text,
            self.level,
            self._gate(market, as_of),
            self.folds,
            self.most_rows,
        )

    def _answers(
        self, market: "Market", buckets: "Iterable[pa.StringArray]", *, as_of: datetime
    ) -> Iterator[Predictions]:
        from mlmarket.churn.next_order.batches import answers

        fitted = self._require_fitted()
        to_utc(as_of)
        self._require_orders(market)
        today = begun_day(as_of, market.zone)
        asked = Asked(as_of, today, self.least_chance, self.items, fitted.version)
        return answers(market, fitted, asked, buckets, by_item=self.level == "item")


def _bad(name: str, value: object, needed: str) -> ConfigurationError:
    return ConfigurationError(
        f"'{name}' is {value!r}.",
        "The model of the next order could not be made with it.",
        f"pass {needed}.",
    )
