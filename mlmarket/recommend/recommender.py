"""What to show each person, exactly k, with a reason?"""

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self, Unpack

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market.frames import to_arrow
from mlmarket.market.time import parse_duration
from mlmarket.prediction.learner import one_thread
from mlmarket.recommend.answers import Counter, Queue, allotted, answered
from mlmarket.recommend.asking import Tonight, excluded
from mlmarket.recommend.due import DueItems
from mlmarket.recommend.exploration import Exploration, cold_items
from mlmarket.recommend.fallbacks import Fallbacks
from mlmarket.recommend.fitting import Segments, placed_in, read_material
from mlmarket.recommend.histories import joined
from mlmarket.recommend.identity import IdKind, kind_of
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.keeping import Learned, keep, read_kept, version_of
from mlmarket.recommend.probability import SlotProbability
from mlmarket.recommend.ranking.choice import Choice
from mlmarket.recommend.ranking.model import RankingModel
from mlmarket.recommend.ranking.shown import ShownLists
from mlmarket.recommend.ranking.standard import standard_blocks, standard_generators
from mlmarket.recommend.reading import days
from mlmarket.recommend.reasons import ReasonTexts
from mlmarket.recommend.recipients import asked_contacts, contacts_table
from mlmarket.recommend.recommendations import Recommendations
from mlmarket.recommend.rules import Rules
from mlmarket.recommend.scarce import Allotment, read_stock

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Recommender"]

_RANKERS: Final = ("auto", "lambdarank", "blend")
_PART: Final = 20_000
"""Recipients whose answers are in memory at once."""
_DAY: Final = timedelta(days=1)
_NO_NIGHT: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Where only an order is known, one draw holds for all nights."""


class Recommender:
    """Items for everybody: candidates of several generators, ranked together, under the shop's rules.

    Parameters
    ----------
    horizon : str, default "30D"
        How far ahead a purchase counts where times are known; where only an order is, it is the next occasion.
    rules : Rules or mapping, optional
        Which items may be shown to whom, also as plain values, see :meth:`Rules.from_mapping`; by default everything
        that is not known to be out of stock or unpublished.
    ranker : {"auto", "lambdarank", "blend"}, default "auto"
        What orders candidates; by default trees where there are labels enough and they win on a later window, else
        weights of the generators.
    segments : sequence of str, default ("country",)
        Columns of contacts that say who is alike, such as ``("acquisition_source", "country")``: what is popular
        there comes first, in this order, for people of whom nothing else is known. Columns that are not there are
        passed over.
    texts : ReasonTexts, mapping, str or Path, optional
        The words of reasons, also as plain values or as the file that holds them; by default English.
    exploration : Exploration, optional
        Shows some recipients an item in one slot that hardly anybody has touched, drawn with a known chance; by
        default nothing is drawn.
    workers : int, optional
        Threads; by default one a core. Answers are the same with any number.
    random_state : int, default 0
        Decides every draw.

    Attributes
    ----------
    choice_ : Choice
        After :meth:`fit`: what orders candidates, and why.
    facts_, histories_ : ItemFacts, Interactions
        After :meth:`fit`: what it knows of items and of people.
    probability_ : SlotProbability or None
        After :meth:`fit`: how chances are told, and how well they were; None where too little was bought to tell.

    Raises
    ------
    ConfigurationError
        Where an argument cannot be used.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = {"contact_id": list("aabbc"), "item_id": list("xyxyx"), "order": [1, 2, 1, 2, 1]}
    >>> recommender = Recommender().fit(pd.DataFrame(rows))
    >>> recommender.recommend(["c"], k=1).to_frame()["item_id"].tolist()
    ['y']
    """

    def __init__(  # noqa: PLR0913 - each has a default that suits most
        self,
        *,
        horizon: str = "30D",
        rules: Rules | Mapping[str, object] | None = None,
        ranker: Literal["auto", "lambdarank", "blend"] = "auto",
        segments: Sequence[str] = ("country",),
        texts: ReasonTexts | Mapping[str, object] | str | Path | None = None,
        exploration: Exploration | None = None,
        workers: int | None = None,
        random_state: int = 0,
    ) -> None:
        parse_duration(horizon)
        if ranker not in _RANKERS:
            raise ConfigurationError(
                f"There is no ranker {ranker!r}.",
                "It decides who stands above whom.",
                suggestion(str(ranker), _RANKERS),
            )
        if workers is not None and (not isinstance(workers, int) or workers < 1):
            raise ConfigurationError(
                f"'workers' is {workers!r}.",
                "Somebody has to do the work.",
                "pass a whole number of at least 1, or leave it out.",
            )
        self.horizon = horizon
        self.rules = _rules(rules)
        self.ranker: Literal["auto", "lambdarank", "blend"] = ranker
        self.segments = tuple([segments] if isinstance(segments, str) else segments)
        self.texts = _texts(texts)
        self.exploration = exploration
        self.workers = workers
        self.random_state = random_state
        self._learned: Learned | None = None

    @property
    def choice_(self) -> Choice:
        """What orders candidates, and why."""
        return self._require_learned().model.choice_

    @property
    def facts_(self) -> ItemFacts:
        """What is known of each item of the catalogue."""
        return self._require_learned().facts

    @property
    def histories_(self) -> Interactions:
        """What it learned from."""
        return self._require_learned().histories

    @property
    def probability_(self) -> SlotProbability | None:
        """How chances are told."""
        return self._require_learned().probability

    def fit(
        self,
        interactions: object,
        items: object | None = None,
        contacts: object | None = None,
        *,
        as_of: datetime | None = None,
        slots: object | None = None,
    ) -> Self:
        """Learn what follows what.

        Parameters
        ----------
        interactions : pandas.DataFrame, polars.DataFrame, pyarrow.Table or Interactions
            ``contact_id, item_id`` and ``occurred_at`` (UTC where it has no zone), or ``order`` where no times are
            known; ``weight`` where rows do not count alike.
        items : frame, optional
            ``item_id`` and what is known of each: ``title, url, image_url, category, price, in_stock,
            published_at, tags``, and own columns. Items that nobody touched yet can be recommended too.
        contacts : frame, optional
            ``contact_id`` and what rules and segments ask for, such as ``country``.
        as_of : datetime, optional
            Rows after it are not looked at; needed where there is ``occurred_at``.
        slots : frame, optional
            What was shown: ``contact_id, item_id, position`` (from 1), ``shown_at``, and ``taken`` (whether it was
            clicked or bought; without it the interactions tell), ``message_id`` where there were several lists at
            once. Trees learn from it what people take, and tell it from what a place adds. Only with times.

        Returns
        -------
        Self
            With ``choice_`` and ``probability_``.

        Raises
        ------
        ConfigurationError
            Where a column is missing, or ids of two tables are of two kinds.
        DataContractError
            Where rows cannot be used, or there are none.
        """
        material = read_material(interactions, items, contacts, as_of=as_of)
        model = self._model(material.interactions, material.facts)
        shown = None
        if slots is not None:
            ahead = parse_duration(self.horizon) / _DAY
            shown = ShownLists.read(
                slots, material.interactions, horizon=ahead, kinds=material.kinds
            )
        with one_thread():  # sums of several threads round otherwise on another machine
            model.fit(material.interactions, material.facts, slots=shown)
            probability = _probability_of(model)
        segments = _segments(material.contacts, self.segments)
        self._learned = Learned(
            model=model,
            fallbacks=Fallbacks.fit(material.interactions, material.facts, segments),
            probability=probability,
            facts=material.facts,
            histories=material.interactions,
            contacts=material.contacts,
            segments={column: one.names for column, one in segments.items()},
            kinds=material.kinds,
            as_of=as_of,
        )
        return self

    def _model(self, interactions: Interactions, facts: ItemFacts) -> RankingModel:
        return RankingModel(
            generators=standard_generators(interactions, facts),
            blocks=standard_blocks(),
            horizon=parse_duration(self.horizon) / _DAY if interactions.timed else None,
            ranker=self.ranker,
            random_state=self.random_state,
        )

    def recommend(
        self, contacts: object | None = None, k: int = 10, **tonight: Unpack[Tonight]
    ) -> Recommendations:
        """Return items for contacts.

        Parameters
        ----------
        contacts : sequence of str or int, or frame, optional
            Whom, in this order: ids, or a frame with ``contact_id`` and facts such as ``country``, which count for
            tonight. By default everybody with a history. People of whom nothing is known get what is popular in
            their segment, or with everybody.
        k : int, default 10
            Slots of each.
        **tonight : Tonight
            What is known and asked tonight: ``history``, ``exclude``, ``eligible``, ``due``, ``stock``, ``tables``, ``as_of``,
            ``check_reasons``; see :class:`Tonight`.

        Returns
        -------
        Recommendations
            Exactly `k` items for each, or fewer and why.

        Raises
        ------
        ConfigurationError
            Where an argument cannot be used.
        DataContractError
            Where rows cannot be used.
        """
        asked = self._asked(contacts, k, tonight)
        return asked.answer(0, len(asked.queue.contacts))

    def recommend_batches(
        self, contacts: object | None = None, k: int = 10, **tonight: Unpack[Tonight]
    ) -> Iterator[Recommendations]:
        """Return the same as :meth:`recommend`, in parts that fit into memory.

        Parameters
        ----------
        contacts : sequence of str or int, or frame, optional
            See there.
        k : int, default 10
            Slots of each.
        **tonight : Tonight
            See there.

        Yields
        ------
        Recommendations
            Of at most 20,000 recipients, in the order asked.
        """
        asked = self._asked(contacts, k, tonight)
        for first in range(0, len(asked.queue.contacts), _PART):
            yield asked.answer(first, first + _PART)

    def save(self, folder: Path, *, histories: bool = True) -> None:
        """Write what was learned: no pickle.

        Parameters
        ----------
        folder : Path
            Made where it does not exist.
        histories : bool, default True
            Whether the histories are written too. Without them, whoever is asked about needs ``history``.
        """
        learned, kind = self._require_learned(), type(self).__name__
        keep(learned, Path(folder), kind, self.parameters, histories=histories)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the recommender that :meth:`save` wrote.

        Parameters
        ----------
        folder : Path
            Where it was written.

        Returns
        -------
        Self
            Gives the same answers.

        Raises
        ------
        ConfigurationError
            Where there is none, it is of another class, or its files were changed.
        """
        learned, parameters = read_kept(Path(folder), cls.__name__)
        rules, texts = parameters.pop("rules"), parameters.pop("texts")
        exploration = parameters.pop("exploration")
        found = cls(
            **parameters,
            rules=rules,
            texts=texts,
            exploration=None if exploration is None else Exploration(**exploration),
        )
        found._learned = learned
        return found

    def with_facts(self, facts: ItemFacts) -> Self:
        """Return itself with items as they are tonight.

        Parameters
        ----------
        facts : ItemFacts
            Of the catalogue learned from: prices, stock and titles change from night to night.

        Returns
        -------
        Self
            A copy; what was learned is the same.
        """
        other = copy.copy(self)
        other._learned = replace(self._require_learned(), facts=facts)
        return other

    @property
    def parameters(self) -> dict[str, object]:
        """The arguments that made it, as plain values."""
        return {
            "horizon": self.horizon,
            "rules": None if self.rules is None else self.rules.to_mapping(),
            "ranker": self.ranker,
            "segments": list(self.segments),
            "exploration": None if self.exploration is None else asdict(self.exploration),
            "texts": None if self.texts is None else self.texts.to_mapping(),
            "workers": self.workers,
            "random_state": self.random_state,
        }

    @property
    def version_(self) -> str:
        """Which trained model this is: its date, what ranks, and a digest of what decides an answer."""
        return version_of(self._require_learned())

    def _asked(self, contacts: object | None, k: int, tonight: Tonight) -> "_Asked":
        learned = self._require_learned()
        for name in tonight:
            if name not in Tonight.__annotations__:
                raise ConfigurationError(
                    f"'recommend' has no argument '{name}'.",
                    "It would silently do nothing.",
                    suggestion(name, Tonight.__annotations__),
                )
        _require_slots(k)
        as_of = tonight.get("as_of")
        histories = _histories(learned, tonight.get("history"), as_of)
        people, known = _people(learned, contacts, histories)
        exclude, tables = excluded(tonight)
        rules = Rules() if self.rules is None else self.rules
        due = tonight.get("due")
        counter = Counter(
            model=learned.model,
            rules=rules.compile(learned.facts, known, as_of=as_of or learned.as_of, tables=tables),
            facts=learned.facts,
            fallbacks=learned.fallbacks,
            segments={
                column: Segments.of(known, column, names)
                for column, names in learned.segments.items()
            },
            texts=ReasonTexts() if self.texts is None else self.texts,
            probability=learned.probability,
            due=None if due is None else self._due(due, as_of or learned.as_of),
            exclude=exclude,
            k=k,
            checked=tonight.get("check_reasons", True),
            horizon_days=learned.model.horizon,
            exploration=self.exploration,
            weight=cold_items(learned.histories),
            night=(as_of or learned.as_of or _NO_NIGHT).date(),
        )
        queue = Queue.of(people, histories, self.workers or os.cpu_count() or 1)
        allotment = None
        if "stock" in tonight:
            capacity = read_stock(tonight["stock"], learned.facts.ids)
            allotment = allotted(counter, queue, capacity)
        return _Asked(counter, queue, allotment, learned.kinds)

    def _due(self, frame: object, as_of: datetime | None) -> DueItems:
        """Return what is due within the horizon; without times nobody knows when that ends."""
        learned = self._require_learned()
        until = None if as_of is None else as_of + parse_duration(self.horizon)
        return DueItems.read(frame, learned.facts.ids, kinds=learned.kinds, until=until)

    def _require_learned(self) -> Learned:
        if self._learned is None:
            from sklearn.exceptions import NotFittedError

            raise NotFittedError("Nothing is learned yet; call fit(interactions, as_of=…) first.")
        return self._learned


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question that is ready to be answered, part by part."""

    counter: Counter
    queue: Queue
    allotment: Allotment | None
    kinds: tuple[IdKind, IdKind]

    def answer(self, first: int, last: int) -> Recommendations:
        """Answer for some of the contacts."""
        found = answered(self.counter, self.queue, first, last, allotment=self.allotment)
        return found.with_ids(*self.kinds)


def _rules(rules: object) -> Rules | None:
    if rules is None or isinstance(rules, Rules):
        return rules
    if isinstance(rules, Mapping):
        return Rules.from_mapping(rules)
    raise ConfigurationError(
        f"'rules' is a {type(rules).__name__}.",
        "Items would be shown that were meant to be left out.",
        "pass Rules(…), or a mapping such as {'category_cap': 2}.",
    )


def _texts(texts: object) -> ReasonTexts | None:
    if texts is None or isinstance(texts, ReasonTexts):
        return texts
    if isinstance(texts, Mapping):
        return ReasonTexts.from_mapping(texts)
    if isinstance(texts, str | Path):
        return ReasonTexts.from_file(texts)
    raise ConfigurationError(
        f"'texts' is a {type(texts).__name__}.",
        "Reasons would have no words.",
        "pass ReasonTexts(…), a mapping as in ReasonTexts().to_mapping(), or the path of a file.",
    )


def _require_slots(k: object) -> None:
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ConfigurationError(
            f"'k' is {k!r}.",
            "It is how many items each gets.",
            "pass a whole number of at least 1.",
        )


def _histories(learned: Learned, fresh: object | None, as_of: datetime | None) -> Interactions:
    """Return everybody's history tonight."""
    known = learned.histories
    if fresh is None:
        return known if as_of is None or not known.timed else known.seen_from(days(as_of))
    if isinstance(fresh, Interactions):
        return placed_in(fresh, known.items)
    read = Interactions.from_frame(fresh, as_of=as_of, items=known.items)
    table = to_arrow(fresh, name="history")
    for kind in learned.kinds:
        kind.require(kind_of(table, kind.column, name="history"))
    if read.timed != known.timed:
        raise ConfigurationError(
            "One of the history and the interactions learned from has times, the other only an order.",
            "It cannot be told which came later.",
            "give both the same column, occurred_at or order.",
        )
    return joined(known, read)


def _people(
    learned: Learned, contacts: object | None, histories: Interactions
) -> "tuple[pa.StringArray, pa.Table | None]":
    """Return whom it is asked for, and the facts about contacts that hold tonight."""
    if contacts is None:
        return histories.contacts, learned.contacts
    people = asked_contacts(contacts, kind=learned.kinds[0])
    if hasattr(contacts, "columns") or hasattr(contacts, "column_names"):
        told = contacts_table(contacts, kinds=learned.kinds[:1])
        if told is not None and told.num_columns > 1:
            return people, told
    return people, learned.contacts


def _segments(contacts: "pa.Table | None", columns: Sequence[str]) -> dict[str, Segments]:
    if contacts is None:
        return {}
    there = [column for column in columns if column in contacts.column_names]
    return {column: Segments.of(contacts, column) for column in there}


def _probability_of(model: RankingModel) -> SlotProbability | None:
    rehearsal = model.rehearsal_
    if rehearsal is None:
        return None
    return SlotProbability.fit(rehearsal.recipients, rehearsal.item, rehearsal.score, rehearsal.hit)
