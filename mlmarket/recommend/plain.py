"""What would be shown without any model?

Two rules that need no learning: what somebody had most often, then what is popular; or what is popular alone. A
model has to beat them, and where it does not, they answer.
"""

import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self, Unpack, cast

import numpy as np
import numpy.typing as npt

from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.time import parse_duration
from mlmarket.recommend.asking import Tonight, excluded
from mlmarket.recommend.fallbacks import Fallbacks
from mlmarket.recommend.fitting import in_catalogue, placed_in
from mlmarket.recommend.generators.history import History
from mlmarket.recommend.generators.popularity import Popularity
from mlmarket.recommend.generators.selection import largest
from mlmarket.recommend.histories import histories_of
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.items import ItemFacts, catalogue
from mlmarket.recommend.probability import SlotProbability
from mlmarket.recommend.ranking.ranked import Ranked
from mlmarket.recommend.reasons import ReasonTexts
from mlmarket.recommend.recommendations import Recommendations
from mlmarket.recommend.rules import CompiledRules, Rules
from mlmarket.recommend.storage import read_state, write_state

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.recommend.rules import Slots

Scores = npt.NDArray[np.float32]

__all__ = ["PERSONAL", "POPULAR", "PlainRecommender"]

PERSONAL: Final = "personal_frequency"
POPULAR: Final = "popularity"
_CHUNK: Final = 512
_SPARE: Final = 3
_SHOWN: Final = 10
_REHEARSED: Final = 4_000
_DAY: Final = timedelta(days=1)
_BEHIND: Final = np.float32(1e-4)
"""What is popular stands behind everything that somebody had."""
_STATE: Final = "plain"
_ITEMS: Final = "items.parquet"


@dataclass(frozen=True, slots=True)
class _Learned:
    facts: ItemFacts
    popularity: Popularity
    fallbacks: Fallbacks
    probability: SlotProbability | None


class PlainRecommender:
    """Items by a rule, under the shop's rules.

    Parameters
    ----------
    personal : bool, default True
        Whether what somebody had most often comes first.
    horizon : str, default "30D"
        Within which time something counts as taken, where a chance of it is told.
    rules : Rules, optional
        Which items may be shown to whom.
    texts : ReasonTexts, optional
        The words of reasons; by default English.
    """

    def __init__(
        self,
        *,
        personal: bool = True,
        horizon: str = "30D",
        rules: Rules | None = None,
        texts: ReasonTexts | None = None,
    ) -> None:
        self.personal = personal
        self.horizon = horizon
        self.rules = rules
        self.texts = ReasonTexts() if texts is None else texts
        self._learned: _Learned | None = None

    @property
    def name(self) -> str:
        """Which rule it is."""
        return PERSONAL if self.personal else POPULAR

    def fit(
        self,
        interactions: Interactions,
        items: object | None = None,
        contacts: object | None = None,
        *,
        as_of: datetime | None = None,
    ) -> Self:
        """Count what is popular.

        Parameters
        ----------
        interactions : Interactions
            What was known at `as_of`.
        items : frame, optional
            What is known of each item.
        contacts, as_of : object
            Not needed: the interactions say when they are looked at.

        Returns
        -------
        Self
        """
        _ = contacts, as_of
        known = in_catalogue(interactions, catalogue(interactions.items, items))
        facts = ItemFacts.from_frame(items, known.items)
        self._learned = _Learned(
            facts,
            Popularity().fit(known),
            Fallbacks.fit(known, facts, {}),
            self._rehearsed(known),
        )
        return self

    def _rehearsed(self, known: Interactions) -> SlotProbability | None:
        """Learn how likely what it would have shown one horizon ago was taken since."""
        start = known.now - parse_duration(self.horizon) / _DAY
        then, since = known.before(start), known.rows(known.at > start)
        people = np.flatnonzero(np.diff(then.start) > 0)
        if not len(people):
            return None
        people = people[np.unique(np.linspace(0, len(people) - 1, _REHEARSED).astype(np.int64))]
        recipients, came = then.take(people), since.take(people)
        scores, _ = self._scores(recipients, Popularity().fit(then))
        item, score = largest(scores, _SHOWN)
        return SlotProbability.fit(recipients, item, score, came.holds(item))

    def _scores(self, recipients: Interactions, popularity: Popularity) -> tuple[Scores, Scores]:
        """Return all scores, and how much of each is the recipient's own."""
        own = np.zeros((len(recipients.contacts), len(recipients.items)), dtype=np.float32)
        if self.personal:
            own = History(power=0.0, half_life=None).fit(recipients).scores(recipients)
        return own + _BEHIND * popularity.scores(recipients), own

    def with_facts(self, facts: ItemFacts) -> Self:
        """Return itself with items as they are tonight.

        Parameters
        ----------
        facts : ItemFacts
            Of the same catalogue.

        Returns
        -------
        Self
            A copy; what was counted is the same.
        """
        other = copy.copy(self)
        other._learned = replace(self._require_learned(), facts=facts)
        return other

    def recommend(
        self, contacts: "pa.Table", k: int = 10, **tonight: Unpack[Tonight]
    ) -> Recommendations:
        """Return items for contacts.

        Parameters
        ----------
        contacts : pyarrow.Table
            Whom, by ``contact_id``.
        k : int, default 10
            Slots of each.
        **tonight : Tonight
            As :meth:`Recommender.recommend` takes it. ``history`` has to be everything known of them, as
            :class:`Interactions`; what is due is not looked at: a rule is to stay as simple as it is.

        Returns
        -------
        Recommendations
            With the chances that such items had one horizon ago.
        """
        import pyarrow as pa

        learned = self._require_learned()
        exclude, tables = excluded(tonight)
        rules = (self.rules or Rules()).compile(
            learned.facts, contacts, as_of=tonight.get("as_of"), tables=tables
        )
        history = cast("Interactions", tonight["history"])
        people = contacts.column(CONTACT_ID).combine_chunks()
        known = placed_in(history, learned.facts.ids)
        parts = [
            self._answer(histories_of(people.slice(first, _CHUNK), known), rules, exclude, k)
            for first in range(0, max(len(people), 1), _CHUNK)
        ]
        items, short, lengths = (pa.concat_tables([one[n] for one in parts]) for n in range(3))
        return Recommendations(items, short, lengths)

    def _answer(
        self,
        recipients: Interactions,
        rules: CompiledRules,
        exclude: Literal["seen", "none"],
        k: int,
    ) -> "tuple[pa.Table, pa.Table, pa.Table]":
        learned = self._require_learned()
        allowed = rules.allowed(recipients, exclude=exclude)
        scores, own = self._scores(recipients, learned.popularity)
        item, score = largest(np.where(allowed, scores, np.float32(0.0)), _SPARE * k)
        had = np.take_along_axis(own, np.maximum(item, 0), axis=1) > 0
        source = np.where(item < 0, -1, np.where(had, 0, 1)).astype(np.int8)
        ranked = Ranked(
            recipients.contacts, recipients.items, item, score, source, (PERSONAL, POPULAR)
        )
        fallbacks = learned.fallbacks.of(recipients, {})
        slots = rules.fill(ranked, recipients, allowed, k, fallbacks=fallbacks)
        chance = np.full(slots.item.shape, np.nan)
        if learned.probability is not None:
            # Nothing was measured of slots that the rule did not fill, and of people without a history.
            known = (slots.source < len(ranked.sources)) & (slots.occasions > 0)[:, None]
            told = np.where(known, slots.score, np.float32("nan"))
            chance = learned.probability.predict(recipients, slots.item, told)
        return _long_form(slots, chance, self.texts), slots.short, slots.history

    def save(self, folder: Path) -> None:
        """Write what was counted.

        Parameters
        ----------
        folder : Path
            It exists.
        """
        import pyarrow.parquet as pq

        learned = self._require_learned()
        state = {
            "personal": self.personal,
            "horizon": self.horizon,
            "probability": None if learned.probability is None else learned.probability.to_state(),
            "popularity": learned.popularity.to_state(),
            "fallbacks": learned.fallbacks.to_state(),
        }
        write_state(state, folder, _STATE)
        pq.write_table(learned.facts.table, folder / _ITEMS)

    @classmethod
    def load(
        cls, folder: Path, *, rules: Rules | None = None, texts: ReasonTexts | None = None
    ) -> Self:
        """Return what :meth:`save` wrote.

        Parameters
        ----------
        folder : Path
            Where it was written.
        rules : Rules, optional
            Which items may be shown to whom.
        texts : ReasonTexts, optional
            The words of reasons.

        Returns
        -------
        Self
            Fitted.
        """
        import pyarrow.parquet as pq

        state = read_state(folder, _STATE)
        table = pq.read_table(folder / _ITEMS)
        found = cls(personal=state["personal"], horizon=state["horizon"], rules=rules, texts=texts)
        chance = state["probability"]
        found._learned = _Learned(
            ItemFacts(table.column(ITEM_ID).combine_chunks(), table),
            Popularity.from_state(state["popularity"]),
            Fallbacks.from_state(state["fallbacks"]),
            None if chance is None else SlotProbability.from_state(chance),
        )
        return found

    def _require_learned(self) -> _Learned:
        if self._learned is None:
            from sklearn.exceptions import NotFittedError

            raise NotFittedError("Nothing is counted yet; call fit(interactions) first.")
        return self._learned


def _long_form(slots: "Slots", chance: npt.NDArray[np.float64], texts: ReasonTexts) -> "pa.Table":
    import pyarrow as pa

    recipient, place = np.nonzero(slots.item >= 0)
    item = slots.item[recipient, place]
    names = np.array(slots.sources)[slots.source[recipient, place]]
    code = np.where(names == PERSONAL, "again", np.where(names == "pinned", "pinned", "popular"))
    code = np.where(names == "newest", "new", code)
    reasons = pa.table({"reason": pa.array(code.astype(object), pa.string())})
    return pa.table(
        {
            CONTACT_ID: slots.contacts.take(pa.array(recipient)),
            ITEM_ID: slots.items.take(pa.array(item)),
            "rank": pa.array((place + 1).astype(np.int32)),
            "score": pa.array(slots.score[recipient, place], from_pandas=True),
            "probability": pa.array(chance[recipient, place], from_pandas=True),
            "due_date": pa.nulls(len(item), pa.date32()),
            "reason": texts.write(reasons),
            "source": pa.array(names.astype(object), pa.string()),
            "propensity": pa.array(slots.propensity[recipient, place]),
        }
    )
