"""What to show each person tonight?"""

import copy
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.evaluation import Interval
from mlmarket.features.labels import refuse_open_windows
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.time import duration_text, parse_duration, to_utc
from mlmarket.prediction.answers import asked_ids, in_one
from mlmarket.prediction.buckets import Roll
from mlmarket.prediction.evidence import Evidence
from mlmarket.prediction.fitted import CARD, read_card
from mlmarket.prediction.predictor import DeclinedError, Headline, Predictions, Schema
from mlmarket.prediction.study import declined, ordered_origins, require_market
from mlmarket.recommend.content import UrlPattern
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.night_answers import (
    NAME,
    PROBABILITY,
    as_predictions,
    columns_of,
    reasons_for,
)
from mlmarket.recommend.night_facts import (
    KnownTonight,
    contacts_of,
    in_shop,
    items_of,
    rule_tables,
    told,
)
from mlmarket.recommend.reasons import ReasonTexts
from mlmarket.recommend.rules import Rules
from mlmarket.recommend.trained import Trained
from mlmarket.recommend.weights import check_weights, weights_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlmarket.market import Market
    from mlmarket.recommend.judging import Inquiry

__all__ = ["RecommendPredictor"]

_EXCLUDES: Final = ("none", "seen")
_MOST_SLOTS: Final = 20
_FEWEST_CONTACTS: Final = 50
_FEWEST_ITEMS: Final = 5
_DAY: Final = timedelta(days=1)

Due = Callable[[int], "pd.DataFrame | None"]


class RecommendPredictor:
    """Items for the slots of a message, for everybody.

    Parameters
    ----------
    slots : int, default 4
        Items a contact.
    horizon : str, default "30D"
        How far ahead a purchase counts.
    exclude : {"none", "seen"}, default "none"
        Whether what somebody had is left out; most shops live from what is bought again.
    weights : mapping of str to float, optional
        What counts as interest, and how much: ``order`` and types of events. By default orders alone, where they
        name items; else carts and views.
    urls : sequence of str, optional
        How the addresses of items look, so that pages visited count, such as ``"/blog/{item_id}"``; see
        :class:`~mlmarket.recommend.content.UrlPattern`.
    rules : mapping of str to object, optional
        Which items may be shown to whom, see :class:`~mlmarket.recommend.Rules`.
    texts : mapping of str to object, optional
        The words of reasons as plain values, see :meth:`mlmarket.recommend.ReasonTexts.from_mapping`; by default
        English.
    folds : int, default 2
        Origins at which it is judged.

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
    The recommender is judged at earlier origins beside what each person had most often, and beside what is
    popular, by 1 - NDCG@10 on the whole catalogue. Where it does not beat the better rule, the rule answers.

    Examples
    --------
    >>> RecommendPredictor(slots=1).name
    'recommend'
    """

    def __init__(  # noqa: PLR0913 - each has a default that suits most
        self,
        slots: int = 4,
        *,
        horizon: str = "30D",
        exclude: Literal["none", "seen"] = "none",
        weights: Mapping[str, float] | None = None,
        urls: Sequence[str] = (),
        rules: Mapping[str, Any] | None = None,
        texts: Mapping[str, Any] | None = None,
        folds: int = 2,
    ) -> None:
        for name, number, most in (("slots", slots, _MOST_SLOTS), ("folds", folds, 12)):
            if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= most:
                raise ConfigurationError(
                    f"'{name}' is {number!r}.",
                    "Recommendations could not be made with it.",
                    f"pass a whole number from 1 to {most}.",
                )
        if exclude not in _EXCLUDES:
            raise ConfigurationError(
                f"'exclude' is {exclude!r}.",
                "It decides whether people see what they had.",
                suggestion(str(exclude), _EXCLUDES),
            )
        if weights is not None:
            check_weights(weights)
        self.slots = slots
        self.horizon = duration_text(parse_duration(horizon))
        self.exclude = exclude
        self.weights = None if weights is None else dict(weights)
        self.urls = tuple(UrlPattern.parse(text).text for text in urls)
        self.rules = {} if rules is None else dict(rules)
        self._texts = None if texts is None else ReasonTexts.from_mapping(texts)
        self.texts = None if self._texts is None else self._texts.to_mapping()
        self.folds = folds
        self._rules = Rules.from_mapping(self.rules)
        self._fitted: Trained | None = None
        self._due: Due | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return NAME

    @property
    def text(self) -> str:
        """Its question in words."""
        return "What to show each person?"

    @property
    def needs(self) -> frozenset[str]:
        """No table in any case: orders or events will do."""
        return frozenset()

    @property
    def outputs(self) -> Schema:
        """Columns it writes."""
        return columns_of(self.slots, self.horizon)

    @property
    def headline(self) -> Headline:
        """The probability that the first item is taken; a sum of it says nothing about one item."""
        return Headline(PROBABILITY, "probability", "")

    @property
    def parameters(self) -> dict[str, object]:
        """The arguments that made it, as plain values."""
        return {
            "slots": self.slots,
            "horizon": self.horizon,
            "exclude": self.exclude,
            "weights": self.weights,
            "urls": list(self.urls),
            "rules": self.rules,
            "texts": self.texts,
            "folds": self.folds,
        }

    @property
    def features(self) -> None:
        """None: it knows histories and items, and cannot be told more."""
        return

    @property
    def evidence_(self) -> Evidence:
        """How good it is; raises ``NotFittedError`` before :meth:`fit`."""
        return self._require_fitted().evidence

    @property
    def version_(self) -> str:
        """Which trained model this is: its date, what answers, and a digest of its content."""
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
            "learner": fitted.evidence.chosen,
            "evidence": fitted.evidence.to_dict(),
        }

    def total(self, numbers: npt.NDArray[np.float64]) -> Interval | None:
        """Return None: first items are different ones, and their takers are no number to plan with."""
        _ = numbers
        return None

    def with_due(self, due: Due) -> Self:
        """Return itself for a night in which it is known what is due to whom.

        Parameters
        ----------
        due : callable
            Returns, for a bucket of the roll, ``contact_id, item_id, due_date, probability``, see
            :func:`mlmarket.churn.due_items`; None where nothing is known.

        Returns
        -------
        Self
            A copy, with the same model.
        """
        other = copy.copy(self)
        other._due = due
        return other

    def fit(self, market: "Market", *, as_of: datetime) -> Self:
        """Learn from what was known at an instant, and choose what answers.

        Parameters
        ----------
        market : Market
            With orders or events.
        as_of : datetime
            Rows after it are not looked at.

        Returns
        -------
        Self
            With ``evidence_``, ``version_`` and ``training_record_``.

        Raises
        ------
        DeclinedError
            Where no row names an item, there are too few people or items, or no window is closed.
        ConfigurationError
            Where `as_of` has no zone, or an argument speaks of what the tables do not have.
        """
        from mlmarket.prediction.learner import one_thread
        from mlmarket.recommend.items import catalogue
        from mlmarket.recommend.learners import make

        known, origins = self._gate(market, as_of)
        self.check(market, as_of=as_of)
        items, contacts = items_of(market), contacts_of(market, as_of)
        with one_thread():
            evidence = self._judge(market, known, origins, until=as_of)
            learner = make(
                evidence.chosen, horizon=self.horizon, rules=self._rules, texts=self._texts
            )
            learner.fit(known, items, contacts, as_of=as_of)
        self._fitted = Trained.of(
            learner, catalogue(known.items, items), evidence, as_of, zone=market.zone
        )
        return self

    def backtest(self, market: "Market", *, origins: Sequence[datetime]) -> Evidence:
        """Judge the recommender and the rules at given origins.

        Parameters
        ----------
        market : Market
            With orders or events.
        origins : sequence of datetime
            Where they stand; the horizon after each must be over.

        Returns
        -------
        Evidence
            As :meth:`fit` would have kept it with these origins.

        Raises
        ------
        OpenLabelWindowError
            Where a window is still open.
        DeclinedError
            Where there is nothing to learn from, or nobody to judge by.
        ConfigurationError
            Where there is no origin, or one has no zone.
        """
        from mlmarket.features import Behaviour
        from mlmarket.prediction.learner import one_thread

        require_market(market)
        ordered = ordered_origins(origins)
        ahead = parse_duration(self.horizon)
        types = sorted(self._inquiry(market).judged)
        for kind in types:
            behaviour = Behaviour.parse(kind if kind == "order" else f"event {json.dumps(kind)}")
            refuse_open_windows(market, behaviour, cutoffs=ordered, horizon=ahead, known_at=None)
        known = self._known(market, ordered[-1])
        with one_thread():
            return self._judge(market, known, ordered, until=ordered[-1] + ahead)

    def predict(
        self, market: "Market", *, as_of: datetime, contacts: Sequence[str] | None = None
    ) -> Predictions:
        """Return items for everybody.

        Parameters
        ----------
        market : Market
            With orders or events.
        as_of : datetime
            Rows after it are not looked at.
        contacts : sequence of str, optional
            Only these; by default everybody known at `as_of`. Of whom nothing is known gets what is popular.

        Returns
        -------
        Predictions
            ``items`` has a row for each contact and slot; ``missing`` says who has fewer, and why.

        Raises
        ------
        ConfigurationError
            Where `as_of` has no zone, or `contacts` is no list of texts.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if contacts is None:
            return in_one(list(self.predict_batches(market, as_of=as_of)))
        asked = asked_ids(contacts)
        tonight = self._tonight(market, as_of, asked.to_pylist())
        known = pc.is_in(asked, value_set=tonight.contacts.column(CONTACT_ID).combine_chunks())
        answer = self._answer(asked.filter(known), tonight, None, as_of)
        why = f"is not known at {as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        missing = [answer.missing, reasons_for(asked.filter(pc.invert(known)), why)]
        return replace(answer, missing=pa.concat_tables(missing).sort_by(CONTACT_ID))

    def predict_batches(
        self, market: "Market", *, as_of: datetime, roll: Roll | None = None, first: int = 0
    ) -> Iterator[Predictions]:
        """Answer for everybody, bucket by bucket.

        Histories are read once, as whole numbers: some sixteen bytes a row.

        Parameters
        ----------
        market : Market
            With orders or events.
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
            tonight = self._tonight(market, as_of, None)
            for bucket in range(first, len(roll)):
                due = None if self._due is None else self._due(bucket)
                yield self._answer(roll[bucket], tonight, due, as_of)
            return
        bench = market.workbench
        with tempfile.TemporaryDirectory(dir=None if bench is None else bench.folder) as place:
            roll = Roll.record(market, Path(place) / "roll.arrow", as_of=as_of)
            alone = copy.copy(self)
            alone._due = None  # its buckets are those of another roll
            yield from alone.predict_batches(market, as_of=as_of, roll=roll)

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
        moment = f"{as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return reasons_for(contacts, f"there is no item that may be shown at {moment}")

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

    def check(self, market: "Market", *, as_of: datetime) -> None:
        """Refuse rules, weights and addresses that the tables cannot answer, before anything is learned.

        Parameters
        ----------
        market : Market
            The tables.
        as_of : datetime
            When it would learn.

        Raises
        ------
        ConfigurationError
            With the item, category, column or type of event that is not there.
        """
        from mlmarket.recommend.night_check import check_rules, check_urls, check_weights_occur

        require_market(market)
        to_utc(as_of)
        if not market.has("orders") and not market.has("events"):
            return  # it will be declined
        check_weights_occur(market, self.weights)
        check_urls(market, self.urls, as_of=as_of, weights=self.weights)
        if self.rules:
            check_rules(
                market,
                self._rules,
                as_of=as_of,
                weights=weights_of(market, self.weights),
                urls=self.urls,
            )

    def save(self, folder: Path) -> None:
        """Write what was learned: ``card.json`` and the model's own files.

        Parameters
        ----------
        folder : Path
            Made where it does not exist.
        """
        from mlmarket.prediction.learner import write_json

        fitted = self._require_fitted()
        place = Path(folder)
        fitted.save(place)
        write_json(place / CARD, self.training_record_)

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
        place = Path(folder)
        card = read_card(place, cls.__name__)
        model = cls(**card["parameters"])
        model._fitted = Trained.restore(place, card, model._rules, model._texts)
        return model

    def _require_fitted(self) -> Trained:
        if self._fitted is None:
            from sklearn.exceptions import NotFittedError

            text = f"'{self.name}' has not learned anything yet; call fit(market, as_of=…) first."
            raise NotFittedError(text)
        return self._fitted

    def _inquiry(self, market: "Market") -> "Inquiry":
        from mlmarket.recommend.judging import Inquiry

        return Inquiry(self.horizon, weights_of(market, self.weights), self.urls)

    def _known(self, market: "Market", as_of: datetime) -> Interactions:
        """Return who showed interest in what; decline where that is too little."""
        require_market(market)
        to_utc(as_of)
        if not market.has("orders") and not market.has("events"):
            need = "[tables.orders] or [tables.events]"
            raise declined(self.name, "there are neither orders nor events", need)
        known = self._inquiry(market).known(market, as_of=as_of)
        people = int(np.count_nonzero(np.diff(known.start)))
        items = len(np.unique(known.item))
        for found, needed, what in (
            (people, _FEWEST_CONTACTS, "contacts showed interest in an item"),
            (items, _FEWEST_ITEMS, "items were of interest to anybody"),
        ):
            if found < needed:
                raise declined(
                    self.name,
                    f"{found:,} {what}, {needed:,} are needed",
                    "rows that name items: orders with item_id, or events with item_id or url",
                )
        return known

    def _gate(
        self, market: "Market", as_of: datetime
    ) -> "tuple[Interactions, tuple[datetime, ...]]":
        known = self._known(market, as_of)
        kinds = self._inquiry(market).judged
        tables = {"orders" if kind == "order" else "events" for kind in kinds}
        until = min(
            market.complete_until(table, as_of=as_of) for table in tables if market.has(table)
        )
        ahead = parse_duration(self.horizon)
        begun = datetime.fromtimestamp(0, UTC) + _DAY * float(known.at.min())
        origins = [until - ahead * fold for fold in range(self.folds, 0, -1)]
        origins = [origin for origin in origins if origin - ahead >= begun]
        if not origins:
            raise declined(
                self.name,
                f"the rows span less than two windows of {self.horizon}",
                "one window to learn from and one to be judged on",
            )
        return known, tuple(origins)

    def _judge(
        self,
        market: "Market",
        known: Interactions,
        origins: Sequence[datetime],
        *,
        until: datetime,
    ) -> Evidence:
        from mlmarket.recommend.judging import judge, sum_up

        inquiry = self._inquiry(market)
        contacts = contacts_of(market, origins[-1])
        found = judge(
            market, inquiry, origins, until=until, items=items_of(market), contacts=contacts
        )
        if found is None:
            raise declined(
                self.name,
                f"too few people with a history took anything within {self.horizon}",
                "at least 20 of them after one origin",
            )
        return sum_up(found, known, inquiry, name=self.name, text=self.text)

    def _tonight(
        self, market: "Market", as_of: datetime, contacts: Sequence[str] | None
    ) -> KnownTonight:
        from mlmarket.recommend.from_market import market_interactions
        from mlmarket.recommend.items import ItemFacts

        to_utc(as_of)
        require_market(market)
        fitted = self._require_fitted()
        histories = market_interactions(
            market,
            as_of=as_of,
            weights=weights_of(market, self.weights),
            urls=self.urls,
            items=fitted.items,
            contacts=contacts,
        )
        items = items_of(market)
        facts = ItemFacts.from_frame(items, fitted.items)
        return KnownTonight(
            fitted.learner.with_facts(facts),
            histories,
            facts,
            contacts_of(market, as_of),
            in_shop(items, fitted.items),
            rule_tables(market, self._rules, as_of=as_of),
        )

    def _answer(
        self,
        people: "pa.StringArray",
        tonight: KnownTonight,
        due: "pd.DataFrame | None",
        as_of: datetime,
    ) -> Predictions:
        from mlmarket.recommend.histories import histories_of

        asked: dict[str, Any] = {
            "history": histories_of(people, tonight.histories),
            "exclude": self.exclude,
            "as_of": as_of,
        }
        if tonight.eligible is not None:
            asked["eligible"] = tonight.eligible
        asked["tables"] = tonight.tables
        if due is not None and len(due):
            asked["due"] = due
        people_told = told(people, tonight.contacts)
        found = tonight.learner.recommend(people_told, self.slots, **asked)
        return as_predictions(people, found, tonight.facts, k=self.slots, version=self.version_)
