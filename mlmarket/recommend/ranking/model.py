"""From what generators propose to one order."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.due import DueItems
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.ranking.blend import chosen_weights
from mlmarket.recommend.ranking.choice import Choice, judged
from mlmarket.recommend.ranking.features import FeatureBlock, StoredGenerator, score_names
from mlmarket.recommend.ranking.lambdarank import LambdaRank
from mlmarket.recommend.ranking.learners import stable_sample
from mlmarket.recommend.ranking.lessons import LessonBook, Lessons, answers_of
from mlmarket.recommend.ranking.pools import Proposer, Stage, Trees, chunks, in_units
from mlmarket.recommend.ranking.ranked import Ranked
from mlmarket.recommend.ranking.rehearsal import Rehearsal, rehearsed
from mlmarket.recommend.ranking.shown import ShownLists, ToldSlots
from mlmarket.recommend.ranking.shown_lessons import ShownLessons
from mlmarket.recommend.ranking.stages import Stages
from mlmarket.recommend.ranking.windows import (
    Target,
    Window,
    next_occasions,
    periods,
    sampled,
    share_repeated,
    wanted,
)
from mlmarket.recommend.repeat.features import OWN
from mlmarket.recommend.repeat.heads import RepeatAndNew

__all__ = ["RankingModel"]

Flags = npt.NDArray[np.bool_]
Ranker = Literal["auto", "lambdarank", "blend"]

_WEIGHED: Final = 1000
"""Recipients on whom the weights of the blend are chosen."""

_FEW: Final = 300
"""Recipients with an answer, in the windows learned from and in the one judged on, below which no trees are learned."""

_MOST_PERIODS: Final = 5
"""Periods learned from at most, where the latest ones have few recipients."""

_RARE: Final = 0.01
"""Share of repeated answers below which own items are no candidates."""


class RankingModel:
    """Generators propose, trees or a weighted sum decide the order.

    Everything is chosen on earlier windows of the same histories: weights of the generators, and whether trees
    learned by LambdaRank order candidates better than the weighted sum. Then the generators learn from everything.

    Parameters
    ----------
    generators : mapping of str to StoredGenerator
        Not yet fitted, by the name that becomes the source.
    blocks : sequence of FeatureBlock, default ()
        More features for the trees, not yet fitted.
    horizon : float, optional
        Days a recommendation looks ahead; by default to the next occasion of each recipient.
    target : {"all", "new", "repeat"}, default "all"
        Whether everything taken counts, or only what is new to the recipient, or only what is not.
    candidates : int, default 50
        How many items of each recipient the trees order; where own items come back, so many of them and so many
        new ones.
    ranker : {"auto", "lambdarank", "blend"}, default "auto"
        What orders them; "auto" takes the trees where the evidence says that they are better.
    windows : int, default 3
        Earlier windows; the latest is judged on, the others are learned from. Where a horizon is given, up to 5
        until they have as many recipients as are learned from in one.
    recipients : int, default 6000
        At most so many a window are learned from.
    learners : int, default 200,000
        At most so many contacts are learned from at all: where there are more, a stable sample of them, by a hash of
        their ids, so that neither the order of rows nor the night decides who is in it. Everybody can be ranked for.
    random_state : int, default 0
        Seed of all sampling.
    """

    def __init__(  # noqa: PLR0913 - what is learned, from what, and how it is judged
        self,
        *,
        generators: Mapping[str, StoredGenerator],
        blocks: Sequence[FeatureBlock] = (),
        horizon: float | None = None,
        target: Target = "all",
        candidates: int = 50,
        ranker: Ranker = "auto",
        windows: int = 3,
        recipients: int = 6000,
        learners: int = 200_000,
        random_state: int = 0,
    ) -> None:
        self.generators = generators
        self.blocks = blocks
        self.horizon = horizon
        self.target: Target = target
        self.candidates = candidates
        self.ranker: Ranker = ranker
        self.windows = windows
        self.recipients = recipients
        self.learners = learners
        self.random_state = random_state

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the generators."""
        return tuple(self.generators)

    @property
    def fitted_generators(self) -> Mapping[str, StoredGenerator]:
        """The generators that answer tonight, by name."""
        return dict(zip(self.sources, self._stage.generators, strict=True))

    @property
    def fitted_blocks(self) -> tuple[FeatureBlock, ...]:
        """The features that answer tonight."""
        return self._stage.blocks

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of what the trees see."""
        own = tuple(name for block in self.blocks for name in block.names)
        return (*score_names(self.sources), *own)

    def fit(
        self, interactions: Interactions, facts: ItemFacts, *, slots: ShownLists | None = None
    ) -> Self:
        """Learn to rank.

        Parameters
        ----------
        interactions : Interactions
            Everything known at ``interactions.now``.
        facts : ItemFacts
            Of the items of the catalogue.
        slots : ShownLists, optional
            What was shown, read with the same interactions. Trees learn from lists shown since the earliest window
            began, of which something was taken and something was not; what a place adds is told from the item.

        Returns
        -------
        Self
            ``choice_`` says what was chosen, and why; ``shown_`` how many lists were learned from.

        Raises
        ------
        ConfigurationError
            Where a horizon in days is asked of histories without times.
        """
        told = None if slots is None else ToldSlots(slots, interactions)
        interactions = stable_sample(interactions, self.learners)
        windows = self._windows(interactions)
        self.own_ = self.target != "new" and share_repeated(windows) >= _RARE
        rng = np.random.default_rng(self.random_state)
        asked = [sampled(wanted(window, self.target), self.recipients, rng) for window in windows]
        del windows
        asked = [window for window in asked if len(window)]
        self.weights_ = np.full(len(self.generators), 1.0 / len(self.generators))
        self.weights_of_new_ = self.weights_
        self.trees_: Trees | None = None
        stages = Stages(self.generators, self.blocks, facts)
        judged_trees = self._choose(asked, stages, told)
        self.shown_ = 0 if told is None or self.trees_ is None else told.lists
        self.rehearsal_ = None
        if asked:
            self.rehearsal_ = self._rehearse(stages, judged_trees, asked[-1].known, interactions)
        asked.clear()
        stages.keep_only()
        self._stage = stages.of(interactions)
        return self

    @property
    def _proposer(self) -> Proposer:
        return Proposer(self.weights_, self.weights_of_new_, self.own_, self.candidates)

    def _rehearse(
        self, stages: Stages, trees: Trees | None, known: Interactions, interactions: Interactions
    ) -> Rehearsal:
        """Rank for everybody with a history as the latest window began, whether or not they took anything."""
        ahead = self.horizon
        past = interactions.without_last(1) if ahead is None else known
        asked = np.flatnonzero(np.diff(past.start) > 0)
        if len(asked) > self.recipients:
            rng = np.random.default_rng(self.random_state)
            asked = np.sort(rng.choice(asked, self.recipients, replace=False))
        later = interactions.take(asked)
        recent = later.occasions_back == 0 if ahead is None else later.age < ahead
        if later.bought is not None and not interactions.goal.all():
            recent &= later.bought
        return rehearsed(
            self._proposer, stages.of(known), trees, past.take(asked), later.rows(recent)
        )

    def _windows(self, interactions: Interactions) -> list[Window]:
        if self.horizon is None:
            return next_occasions(interactions, self.windows)
        if not interactions.timed:
            raise ConfigurationError(
                f"A horizon of {self.horizon:g} days was asked of histories without times.",
                "Where only an order is known, nobody can say what happens within days.",
                "leave horizon out, or give interactions with occurred_at.",
            )
        return periods(
            interactions, self.horizon, self.windows, most=_MOST_PERIODS, enough=self.recipients
        )

    def _choose(
        self, windows: list[Window], stages: Stages, told: ToldSlots | None
    ) -> Trees | None:
        """Choose weights and ranker; return the trees that did not see the latest window."""
        labelled = [len(window) for window in windows]
        if not windows or (self.ranker == "blend" and min(labelled) == 0):
            self.choice_ = Choice.without_labels()
            return None
        first = windows[max(len(windows) - 2, 0)]
        self.weights_ = self._weigh(stages.of(first.known), first)
        new = wanted(first, "new")
        if self.own_ and len(new):
            self.weights_of_new_ = self._weigh(stages.of(first.known), new, own=False)
        else:
            self.weights_of_new_ = self.weights_
        few = len(windows) < 2 or min(sum(labelled[:-1]), labelled[-1]) < _FEW
        if self.ranker == "blend" or (few and self.ranker == "auto"):
            self.choice_ = Choice.blend_of(sum(labelled), asked=self.ranker == "blend")
            return None
        lessons = self._lessons(windows, stages, told)
        return self._contest(lessons, told, windows[-1].known.now)

    def _lessons(self, windows: list[Window], stages: Stages, told: ToldSlots | None) -> Lessons:
        """Return what all windows teach; what only earlier ones knew is dropped on the way."""
        most = min(self.candidates, len(windows[0].known.items)) * (2 if self.own_ else 1)
        book = LessonBook(sum(map(len, windows)), most, len(self.feature_names))
        later = [window.known.now for window in windows[1:]]
        for place, window in enumerate(windows):
            stages.keep_only(*(one.known for one in windows[place:]))
            stage = stages.of(window.known)
            book.add(window, partial(self._proposer.pool, stage))
            if told is not None:
                until = later[place] if place < len(later) else np.inf
                told.add(stage, self._proposer, (window.known.now, until), self.recipients)
        return book.lessons()

    def _contest(self, lessons: Lessons, told: ToldSlots | None, began: float) -> Trees | None:
        """Judge the trees on the latest window, then learn them from all; return those judged, if taken."""
        last = len(lessons.asked) - 1
        shown = None if told is None else told.lessons()
        before = None if shown is None else shown.known_by(began)
        trees = self._trees(lessons.windows(0, max(last, 1)), before)
        latest = lessons.windows(last, last + 1)
        by_trees = latest.gain(trees.predict(latest.features))
        by_blend = latest.gain(-latest.place)
        self.choice_ = judged(by_trees, by_blend, asked=self.ranker == "lambdarank")
        if self.choice_.ranker == "blend":
            return None
        self.trees_ = self._trees(lessons, shown)
        return trees

    def _trees(self, lessons: Lessons, shown: ShownLessons | None) -> Trees:
        if self.own_ and OWN in self.feature_names:
            heads = RepeatAndNew(self.feature_names.index(OWN), random_state=self.random_state)
            return heads.fit(lessons.features, lessons.relevant, size=lessons.size, shown=shown)
        trees = LambdaRank(random_state=self.random_state)
        return trees.fit(lessons.features, lessons.relevant, lessons.size, shown)

    def _weigh(self, stage: Stage, window: Window, *, own: bool = True) -> npt.NDArray[np.float64]:
        fewer = sampled(window, _WEIGHED, np.random.default_rng(self.random_state))
        outside = ~self._proposer.asked(fewer.recipients, None)
        if not own:
            outside[fewer.recipients.contact, fewer.recipients.item] = True
        scores = []
        for generator in stage.generators:
            said = np.maximum(generator.scores(fewer.recipients), 0.0)
            said *= in_units(said)[:, None]
            said[outside] = -np.inf
            scores.append(said)
        return chosen_weights(scores, answers_of(fewer))

    def rank(
        self,
        recipients: Interactions,
        *,
        allowed: Flags | None = None,
        m: int = 10,
        due: DueItems | None = None,
    ) -> Ranked:
        """Return the best items of each recipient.

        Parameters
        ----------
        recipients : Interactions
            Histories of anyone in the catalogue of the fit, such as a chunk of some hundreds: the scores of the
            whole catalogue are in memory for all of them.
        allowed : ndarray of bool, shape (recipients, items), optional
            What may be recommended; by default what is not in the history, or everything where histories repeat.
        m : int, default 10
            How many; fewer where fewer are known with a reason.
        due : DueItems, optional
            What is used up when. Where histories repeat, these items are always candidates, as far as they are
            allowed; and where trees tell how likely each item is taken, the mean of their log odds and of those
            told here counts for an item with a probability.

        Returns
        -------
        Ranked
            In the order of `recipients`.
        """
        parts = []
        for first, last in chunks(len(recipients.contacts)):
            some = recipients.chunk(first, last)
            permitted = None if allowed is None else allowed[first:last]
            parts.append(self._ranked(some, permitted, m, due))
        item, score, source = (
            np.concatenate([part[place] for part in parts]) for place in range(3)
        )
        return Ranked(recipients.contacts, recipients.items, item, score, source, self.sources)

    def _ranked(
        self, recipients: Interactions, allowed: Flags | None, m: int, due: DueItems | None
    ) -> tuple[npt.NDArray[Any], ...]:
        proposer = self._proposer
        wanted_too = chance = None
        if due is not None and self.own_:
            wanted_too = due.mask(recipients.contacts, len(recipients.items))
        described = self.trees_ is not None
        pool = proposer.pool(self._stage, recipients, allowed, wanted_too, described=described)
        if due is not None and self.own_:
            chance = due.of(recipients.contacts, pool.item)[1]
        return proposer.ordered(pool, m, self.trees_, chance)

    def to_state(self) -> dict[str, Any]:
        """Return what was learned: arrays, numbers and text by name.

        Returns
        -------
        dict of str to object
            The trees in LightGBM's text format.
        """
        state: dict[str, Any] = {
            "weights": self.weights_,
            "weights_of_new": self.weights_of_new_,
            "own": int(self.own_),
        }
        state |= {f"choice/{name}": value for name, value in self.choice_.to_state().items()}
        if isinstance(self.trees_, RepeatAndNew):
            state |= {f"heads/{name}": value for name, value in self.trees_.to_state().items()}
        elif self.trees_ is not None:
            state["trees"] = self.trees_.to_text()
        for name, generator in zip(self.sources, self._stage.generators, strict=True):
            state |= {
                f"generator/{name}/{key}": value for key, value in generator.to_state().items()
            }
        for place, block in enumerate(self._stage.blocks):
            state |= {f"block/{place}/{key}": value for key, value in block.to_state().items()}
        return state

    def from_state(self, state: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_state` gave, of a model with the same arguments.

        Parameters
        ----------
        state : mapping of str to object
            By name.

        Returns
        -------
        Self
            Ranks as the model did that was kept.
        """
        self.weights_ = np.asarray(state["weights"], dtype=np.float64)
        self.weights_of_new_ = np.asarray(state["weights_of_new"], dtype=np.float64)
        self.own_ = bool(state["own"])
        self.choice_ = Choice.from_state(_under(state, "choice"))
        self.trees_ = _trees_of(state)
        self._stage = Stage(
            tuple(
                generator.from_state(_under(state, f"generator/{name}"))
                for name, generator in self.generators.items()
            ),
            tuple(
                block.from_state(_under(state, f"block/{place}"))
                for place, block in enumerate(self.blocks)
            ),
        )
        return self


def _trees_of(state: Mapping[str, Any]) -> Trees | None:
    heads = _under(state, "heads")
    if heads:
        return RepeatAndNew.from_state(heads)
    return LambdaRank.from_text(str(state["trees"])) if "trees" in state else None


def _under(state: Mapping[str, Any], folder: str) -> dict[str, Any]:
    return {
        name.removeprefix(f"{folder}/"): value
        for name, value in state.items()
        if name.startswith(f"{folder}/")
    }
