"""What to show each person tonight?"""

import copy
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from mlmarket.prediction.fitted import CARD, changed_model, digest_of_file, read_card
from mlmarket.prediction.predictor import DeclinedError, Headline, Predictions, Schema
from mlmarket.prediction.study import declined, ordered_origins, require_market
from mlmarket.recommend.content import UrlPattern
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.night_answers import (
    NAME,
    PROBABILITY,
    as_predictions,
    columns_of,
    reasons_for,
)
from mlmarket.recommend.rules import Rules
from mlmarket.recommend.weights import check_weights, weights_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlmarket.market import Market
    from mlmarket.recommend.items import ItemFacts
    from mlmarket.recommend.judging import Inquiry
    from mlmarket.recommend.plain import PlainRecommender
    from mlmarket.recommend.recommender import Recommender

__all__ = ["RecommendPredictor"]

_EXCLUDES: Final = ("none", "seen")
_MOST_SLOTS: Final = 20
_FEWEST_CONTACTS: Final = 50
_FEWEST_ITEMS: Final = 5
_LEARNED: Final = "learned"
_CATALOGUE: Final = "catalogue.json"
_COUNTRY: Final = "country"
_DAY: Final = timedelta(days=1)

Due = Callable[[int], "pd.DataFrame | None"]


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What was learned.

    Parameters
    ----------
    learner : PlainRecommender or Recommender
        What answers.
    items : pyarrow.StringArray
        The catalogue it learned from.
    evidence : Evidence
        What backs it.
    as_of : datetime
        When it was trained.
    files : mapping of str to str
        SHA-256 of its files, by name.
    version : str
        Date, what answers, and a digest of its files.
    """

    learner: "PlainRecommender | Recommender"
    items: "pa.StringArray"
    evidence: Evidence
    as_of: datetime
    files: Mapping[str, str]
    version: str


@dataclass(frozen=True, slots=True)
class _Tonight:
    """What answers, and what is known tonight of items and contacts."""

    learner: "PlainRecommender | Recommender"
    histories: Interactions
    facts: "ItemFacts"
    contacts: "pa.Table"
    eligible: "pa.StringArray | None"


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

    def __init__(
        self,
        slots: int = 4,
        *,
        horizon: str = "30D",
        exclude: Literal["none", "seen"] = "none",
        weights: Mapping[str, float] | None = None,
        urls: Sequence[str] = (),
        rules: Mapping[str, Any] | None = None,
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
        self.folds = folds
        self._rules = Rules.from_mapping(self.rules)
        self._fitted: _Fitted | None = None
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
            Where `as_of` has no zone.
        """
        from mlmarket.prediction.learner import one_thread
        from mlmarket.recommend.learners import make

        known, origins = self._gate(market, as_of)
        items, contacts = _items(market), _contacts(market, as_of)
        with one_thread():
            evidence = self._judge(market, known, origins, until=as_of)
            learner = make(evidence.chosen, horizon=self.horizon, rules=self._rules)
            learner.fit(known, items, contacts, as_of=as_of)
        self._fitted = _kept(learner, _catalogue(known, items), evidence, as_of)
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
        _write(fitted.learner, fitted.items, place)
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
        import pyarrow as pa

        from mlmarket.recommend.learners import read

        place = Path(folder)
        card = read_card(place, cls.__name__)
        for name, digest in card["files"].items():
            if not (place / name).is_file() or digest_of_file(place / name) != digest:
                raise changed_model(place)
        model = cls(**card["parameters"])
        model._fitted = _Fitted(
            read(card["learner"], place / _LEARNED, rules=model._rules),
            pa.array(json.loads((place / _CATALOGUE).read_text(encoding="utf-8")), pa.string()),
            Evidence.from_dict(card["evidence"]),
            datetime.fromisoformat(card["as_of"]),
            card["files"],
            card["version"],
        )
        return model

    def _require_fitted(self) -> _Fitted:
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
        contacts = _contacts(market, origins[-1])
        found = judge(
            market, inquiry, origins, until=until, items=_items(market), contacts=contacts
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
    ) -> _Tonight:
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
        items = _items(market)
        facts = ItemFacts.from_frame(items, fitted.items)
        return _Tonight(
            fitted.learner.with_facts(facts),
            histories,
            facts,
            _contacts(market, as_of),
            _in_shop(items, fitted.items),
        )

    def _answer(
        self,
        people: "pa.StringArray",
        tonight: _Tonight,
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
        if due is not None and len(due):
            asked["due"] = due
        told = _told(people, tonight.contacts)
        found = tonight.learner.recommend(told, self.slots, **asked)
        return as_predictions(people, found, tonight.facts, k=self.slots, version=self.version_)


def _items(market: "Market") -> "pa.Table | None":
    """Return the table of items, the same in any order of its rows."""
    if not market.has("items"):
        return None
    table = market.table("items").to_pyarrow()
    return table.sort_by(ITEM_ID).replace_schema_metadata(None)


def _contacts(market: "Market", as_of: datetime) -> "pa.Table":
    """Return everybody known at an instant, with the country where it is told."""
    import pyarrow as pa

    people = market.contacts(as_of=as_of)
    columns = [CONTACT_ID, *({_COUNTRY} & set(people.columns))]
    table = people.select(columns).to_pyarrow()
    return pa.table({name: table.column(name).cast(pa.string()) for name in columns}).sort_by(
        CONTACT_ID
    )


def _told(people: "pa.StringArray", contacts: "pa.Table") -> "pa.Table":
    """Return what is known of some people tonight."""
    import pyarrow as pa
    import pyarrow.compute as pc

    place = pc.index_in(people, value_set=contacts.column(CONTACT_ID).combine_chunks())
    columns: dict[str, Any] = {CONTACT_ID: people}
    for name in contacts.column_names[1:]:
        columns[name] = contacts.column(name).combine_chunks().take(place)
    return pa.table(columns)


def _catalogue(known: Interactions, items: "pa.Table | None") -> "pa.StringArray":
    from mlmarket.recommend.items import catalogue

    return catalogue(known.items, items)


def _in_shop(items: "pa.Table | None", catalogue: "pa.StringArray") -> "pa.StringArray | None":
    """Return the items of the catalogue that are sold tonight; None where there is no table of items.

    A model is some weeks old, and what it knows may be gone.
    """
    import pyarrow.compute as pc

    if items is None:
        return None
    return catalogue.filter(pc.is_in(catalogue, value_set=items.column(ITEM_ID).combine_chunks()))


def _write(
    learner: "PlainRecommender | Recommender", items: "pa.StringArray", place: Path
) -> dict[str, str]:
    """Write a model's own files, and return the digest of each."""
    from mlmarket.recommend.learners import write

    inner = place / _LEARNED
    inner.mkdir(parents=True, exist_ok=True)
    write(learner, inner)
    text = json.dumps(items.to_pylist(), ensure_ascii=False)
    (place / _CATALOGUE).write_text(text, encoding="utf-8")
    files = [path for path in sorted(place.rglob("*")) if path.is_file() and path.name != CARD]
    return {path.relative_to(place).as_posix(): digest_of_file(path) for path in files}


def _kept(
    learner: "PlainRecommender | Recommender",
    items: "pa.StringArray",
    evidence: Evidence,
    as_of: datetime,
) -> _Fitted:
    with tempfile.TemporaryDirectory() as name:
        files = _write(learner, items, Path(name))
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:8]
    version = f"{as_of.astimezone(UTC):%Y-%m-%d}-{evidence.chosen}-{digest}"
    return _Fitted(learner, items, evidence, as_of, files, version)
