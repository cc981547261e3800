"""From what generators propose to one order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.generators.selection import largest
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.ranking.blend import chosen_weights, spread, weighted_sum
from mlmarket.recommend.ranking.choice import Choice, gain_at_ten, judged
from mlmarket.recommend.ranking.features import (
    FeatureBlock,
    StoredGenerator,
    score_features,
    score_names,
)
from mlmarket.recommend.ranking.lambdarank import LambdaRank
from mlmarket.recommend.ranking.ranked import Ranked
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
from mlmarket.recommend.repeat.proposals import own_and_new

__all__ = ["RankingModel"]

Scores = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Ranker = Literal["auto", "lambdarank", "blend"]
Trees = LambdaRank | RepeatAndNew

_CHUNK: Final = 512
"""Recipients whose scores of the whole catalogue are in memory at once."""

_WEIGHED: Final = 1000
"""Recipients on whom the weights of the blend are chosen."""

_FEW: Final = 300
"""Recipients with an answer, in the windows learned from and in the one judged on, below which no trees are learned."""

_REHEARSED: Final = 20
"""Places that are rehearsed."""

_RARE: Final = 0.01
"""Share of repeated answers below which own items are no candidates."""


@dataclass(frozen=True, slots=True)
class _Stage:
    """Generators and blocks that know one past."""

    generators: tuple[StoredGenerator, ...]
    blocks: tuple[FeatureBlock, ...]


@dataclass(frozen=True, slots=True)
class _Pool:
    """Candidates of recipients."""

    item: Codes
    blend: Scores
    voices: Scores
    """Weighted and standardised scores, shape (generators, recipients, m)."""
    features: Scores


@dataclass(frozen=True, slots=True)
class _Lesson:
    """Candidates whose answer is known."""

    features: Scores
    relevant: Flags
    answers: npt.NDArray[np.int64]
    """How many items each recipient took, among the candidates or not."""


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsal:
    """What was ranked for a window that the ranking had not seen, and what came of it.

    Parameters
    ----------
    recipients : Interactions
        Histories as the window began; some took nothing in it.
    item : ndarray of int32, shape (recipients, m)
        The best items; -1 for none.
    score : ndarray of float32, shape (recipients, m)
        Their scores.
    hit : ndarray of bool, shape (recipients, m)
        Which of them were taken.
    """

    recipients: Interactions
    item: Codes
    score: Scores
    hit: Flags


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
        Earlier windows; the latest is judged on, the others are learned from.
    recipients : int, default 6000
        At most so many a window are learned from.
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

    def fit(self, interactions: Interactions, facts: ItemFacts) -> Self:
        """Learn to rank.

        Parameters
        ----------
        interactions : Interactions
            Everything known at ``interactions.now``.
        facts : ItemFacts
            Of the items of the catalogue.

        Returns
        -------
        Self
            ``choice_`` says what was chosen, and why.

        Raises
        ------
        ConfigurationError
            Where a horizon in days is asked of histories without times.
        """
        windows = self._windows(interactions)
        self.own_ = self.target != "new" and share_repeated(windows) >= _RARE
        rng = np.random.default_rng(self.random_state)
        asked = [sampled(wanted(window, self.target), self.recipients, rng) for window in windows]
        asked = [window for window in asked if len(window)]
        self.weights_ = np.full(len(self.generators), 1.0 / len(self.generators))
        self.weights_of_new_ = self.weights_
        self.trees_: Trees | None = None
        stages = self._stages(asked, facts)
        judged_trees = self._choose(asked, stages)
        self.rehearsal_ = None
        if asked:
            latest = asked[-1]
            self.rehearsal_ = self._rehearse(
                stages[id(latest.known)], judged_trees, latest.known, interactions
            )
        self._stage = self._learned(interactions, facts)
        return self

    def _stages(self, windows: list[Window], facts: ItemFacts) -> dict[int, _Stage]:
        """Return what generators had learned when each window began, by the identity of what was known."""
        known = {id(window.known): window.known for window in windows}
        return {key: self._learned(one, facts) for key, one in known.items()}

    def _rehearse(
        self,
        stage: _Stage,
        trees: Trees | None,
        known: Interactions,
        interactions: Interactions,
    ) -> Rehearsal:
        """Rank for everybody with a history as the latest window began, whether or not they took anything."""
        back = 0.0 if self.horizon is None else self.horizon
        past = interactions.without_last(1) if self.horizon is None else known
        later = interactions.rows(
            interactions.occasions_back == 0
            if self.horizon is None
            else interactions.at > interactions.now - back
        )
        asked = np.flatnonzero(np.diff(past.start) > 0)
        if len(asked) > self.recipients:
            rng = np.random.default_rng(self.random_state)
            asked = np.sort(rng.choice(asked, self.recipients, replace=False))
        recipients, answers = past.take(asked), later.take(asked)
        parts = []
        for first, last in _chunks(len(asked)):
            pool = self._pool(stage, recipients.chunk(first, last), None)
            parts.append(self._ordered(pool, _REHEARSED, trees))
        item, score = (np.concatenate([part[place] for part in parts]) for place in range(2))
        size = len(recipients.items)
        taken = answers.contact.astype(np.int64) * size + answers.item
        shown = np.arange(len(item), dtype=np.int64)[:, None] * size + item
        return Rehearsal(recipients, item, score, np.isin(shown, taken) & (item >= 0))

    def _windows(self, interactions: Interactions) -> list[Window]:
        if self.horizon is None:
            return next_occasions(interactions, self.windows)
        if not interactions.timed:
            raise ConfigurationError(
                f"A horizon of {self.horizon:g} days was asked of histories without times.",
                "Where only an order is known, nobody can say what happens within days.",
                "leave horizon out, or give interactions with occurred_at.",
            )
        return periods(interactions, self.horizon, self.windows)

    def _choose(self, windows: list[Window], stages: dict[int, _Stage]) -> Trees | None:
        """Choose weights and ranker; return the trees that did not see the latest window."""
        labelled = [len(window) for window in windows]
        if not windows or (self.ranker == "blend" and min(labelled) == 0):
            self.choice_ = Choice.without_labels()
            return None
        first = windows[max(len(windows) - 2, 0)]
        self.weights_ = self._weigh(stages[id(first.known)], first)
        new = wanted(first, "new")
        if self.own_ and len(new):
            self.weights_of_new_ = self._weigh(stages[id(first.known)], new, own=False)
        else:
            self.weights_of_new_ = self.weights_
        few = len(windows) < 2 or min(sum(labelled[:-1]), labelled[-1]) < _FEW
        if self.ranker == "blend" or (few and self.ranker == "auto"):
            self.choice_ = Choice.blend_of(sum(labelled), asked=self.ranker == "blend")
            return None
        lessons = [self._lesson(stages[id(window.known)], window) for window in windows]
        return self._contest(lessons)

    def _contest(self, lessons: list[_Lesson]) -> Trees | None:
        """Judge the trees on the latest window, then learn them from all; return those judged, if taken."""
        learned, judged_on = (lessons[:-1] or lessons), lessons[-1]
        trees = self._trees(learned)
        by_trees = gain_at_ten(
            trees.predict(judged_on.features), judged_on.relevant, judged_on.answers
        )
        by_blend = gain_at_ten(
            -np.broadcast_to(np.arange(judged_on.relevant.shape[1]), judged_on.relevant.shape),
            judged_on.relevant,
            judged_on.answers,
        )
        self.choice_ = judged(by_trees, by_blend, asked=self.ranker == "lambdarank")
        if self.choice_.ranker == "blend":
            return None
        self.trees_ = self._trees(lessons)
        return trees

    def _trees(self, lessons: list[_Lesson]) -> Trees:
        features = np.concatenate([lesson.features for lesson in lessons])
        relevant = np.concatenate([lesson.relevant for lesson in lessons])
        told = relevant.any(axis=1)
        if self.own_ and OWN in self.feature_names:
            heads = RepeatAndNew(self.feature_names.index(OWN), random_state=self.random_state)
            return heads.fit(features[told], relevant[told])
        return LambdaRank(random_state=self.random_state).fit(features[told], relevant[told])

    def _learned(self, known: Interactions, facts: ItemFacts) -> _Stage:
        from copy import deepcopy

        return _Stage(
            tuple(deepcopy(generator).fit(known) for generator in self.generators.values()),
            tuple(deepcopy(block).fit(known, facts) for block in self.blocks),
        )

    def _weigh(self, stage: _Stage, window: Window, *, own: bool = True) -> npt.NDArray[np.float64]:
        fewer = sampled(window, _WEIGHED, np.random.default_rng(self.random_state))
        outside = ~self._candidates_of(fewer.recipients, None)
        if not own:
            outside[fewer.recipients.contact, fewer.recipients.item] = True
        scores = []
        for generator in stage.generators:
            said = np.maximum(generator.scores(fewer.recipients), 0.0)
            said *= _inverse(spread(said))[:, None]
            said[outside] = -np.inf
            scores.append(said)
        return chosen_weights(scores, _flags(fewer))

    def _lesson(self, stage: _Stage, window: Window) -> _Lesson:
        features, relevant = [], []
        taken = np.diff(window.start)
        for first, last in _chunks(len(window)):
            recipients = window.recipients.chunk(first, last)
            pool = self._pool(stage, recipients, None)
            begin, end = window.start[first], window.start[last]
            part = replace(
                window,
                recipients=recipients,
                start=window.start[first : last + 1] - begin,
                item=window.item[begin:end],
            )
            hit = np.take_along_axis(_flags(part), np.maximum(pool.item, 0).astype(np.intp), axis=1)
            features.append(pool.features)
            relevant.append(hit & (pool.item >= 0))
        return _Lesson(np.concatenate(features), np.concatenate(relevant), taken)

    def _candidates_of(self, recipients: Interactions, allowed: Flags | None) -> Flags:
        shape = (len(recipients.contacts), len(recipients.items))
        if allowed is not None:
            return allowed
        flags = np.ones(shape, dtype=np.bool_)
        if not self.own_:
            flags[recipients.contact, recipients.item] = False
        return flags

    def _pool(self, stage: _Stage, recipients: Interactions, allowed: Flags | None) -> _Pool:
        scores = [generator.scores(recipients) for generator in stage.generators]
        units = np.stack([_inverse(spread(said)) for said in scores])
        weights = self.weights_[:, None].astype(np.float32)
        total = weighted_sum(scores, units * weights)
        shut = ~self._candidates_of(recipients, allowed)
        total[shut] = 0.0
        if self.own_:
            new = weighted_sum(scores, units * self.weights_of_new_[:, None].astype(np.float32))
            new[shut] = 0.0
            item, blend = own_and_new(total, new, recipients, self.candidates)
        else:
            item, blend = largest(total, min(self.candidates, total.shape[1]))
        at = np.maximum(item, 0).astype(np.intp)
        voices = np.stack([np.take_along_axis(said, at, axis=1) for said in scores])
        voices *= units[:, :, None]
        blend[item < 0] = 0.0
        parts = [score_features(voices, blend)]
        parts += [block.values(recipients, item) for block in stage.blocks]
        voices *= weights[:, :, None]
        return _Pool(item, blend, voices, np.concatenate(parts, axis=-1))

    def rank(
        self, recipients: Interactions, *, allowed: Flags | None = None, m: int = 10
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

        Returns
        -------
        Ranked
            In the order of `recipients`.
        """
        pools = [
            (
                self._pool(
                    self._stage,
                    recipients.chunk(first, last),
                    None if allowed is None else allowed[first:last],
                )
            )
            for first, last in _chunks(len(recipients.contacts))
        ]
        parts = [self._ordered(pool, m, self.trees_) for pool in pools]
        item, score, source = (
            np.concatenate([part[place] for part in parts]) for place in range(3)
        )
        return Ranked(recipients.contacts, recipients.items, item, score, source, self.sources)

    def _ordered(
        self, pool: _Pool, m: int, trees: Trees | None
    ) -> tuple[Codes, Scores, npt.NDArray[np.int8]]:
        score = pool.blend if trees is None else trees.predict(pool.features)
        score = np.where(pool.item >= 0, score, -np.inf).astype(np.float32)
        order = np.argsort(-score, axis=1, kind="stable")[:, :m]
        source = pool.voices.argmax(axis=0).astype(np.int8)
        source[pool.item < 0] = -1
        item, score, source = (
            np.take_along_axis(part, order, axis=1) for part in (pool.item, score, source)
        )
        missing = m - item.shape[1]
        if missing > 0:
            item, score, source = (
                np.pad(part, ((0, 0), (0, missing)), constant_values=empty)
                for part, empty in ((item, -1), (score, -np.inf), (source, -1))
            )
        return item, score, source

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
        self._stage = _Stage(
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


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    return ((first, min(first + _CHUNK, count)) for first in range(0, max(count, 1), _CHUNK))


def _inverse(spreads: Scores) -> Scores:
    """Return what scores are multiplied with; 0 where a generator has nothing to say."""
    units: Scores = np.divide(1.0, spreads, out=np.zeros_like(spreads), where=spreads > 0)
    return units


def _flags(window: Window) -> Flags:
    flags = np.zeros((len(window), len(window.recipients.items)), dtype=np.bool_)
    flags[np.repeat(np.arange(len(window)), np.diff(window.start)), window.item] = True
    return flags
