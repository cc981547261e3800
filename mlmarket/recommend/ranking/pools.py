"""Which items are candidates, and what is known of them?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mlmarket.recommend.generators.selection import largest
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.ranking.blend import spread, weighted_sum
from mlmarket.recommend.ranking.features import FeatureBlock, StoredGenerator, score_features
from mlmarket.recommend.ranking.lambdarank import LambdaRank
from mlmarket.recommend.repeat.heads import RepeatAndNew
from mlmarket.recommend.repeat.proposals import own_and_new

__all__ = ["Pool", "Proposer", "Stage", "Trees", "chunks", "in_units"]

Scores = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Trees = LambdaRank | RepeatAndNew

_CHUNK: Final = 512
"""Recipients whose scores of the whole catalogue are in memory at once."""

_LEAST: Final = 1e-6
"""No chance is nearer to 0 or 1."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Generators and blocks that know one past.

    Parameters
    ----------
    generators : tuple of StoredGenerator
        Fitted.
    blocks : tuple of FeatureBlock
        Fitted.
    """

    generators: tuple[StoredGenerator, ...]
    blocks: tuple[FeatureBlock, ...]


@dataclass(frozen=True, slots=True)
class Pool:
    """Candidates of recipients.

    Parameters
    ----------
    item : ndarray of int32, shape (recipients, m)
        Places in the catalogue; -1 where there is none.
    blend : ndarray of float32, shape (recipients, m)
        What generators say together.
    voices : ndarray of float32, shape (generators, recipients, m)
        What each adds to it.
    features : ndarray of float32, shape (recipients, m, features)
        What the trees see.
    """

    item: Codes
    blend: Scores
    voices: Scores
    features: Scores


@dataclass(frozen=True, slots=True)
class Proposer:
    """From what generators say to candidates, and from what trees say to an order.

    Parameters
    ----------
    weights, weights_of_new : ndarray of float64, shape (generators,)
        Of each generator, and among items that are new to the recipient.
    own : bool
        Whether items of the history are candidates.
    candidates : int
        How many; of own items and of new ones so many each.
    """

    weights: npt.NDArray[np.float64]
    weights_of_new: npt.NDArray[np.float64]
    own: bool
    candidates: int

    def asked(self, recipients: Interactions, allowed: Flags | None) -> Flags:
        """Return which items may be candidates, shape (recipients, items)."""
        if allowed is not None:
            return allowed
        flags = np.ones((len(recipients.contacts), len(recipients.items)), dtype=np.bool_)
        if not self.own:
            flags[recipients.contact, recipients.item] = False
        return flags

    def pool(
        self,
        stage: Stage,
        recipients: Interactions,
        allowed: Flags | None = None,
        wanted: Flags | None = None,
        *,
        described: bool = True,
    ) -> Pool:
        """Return the candidates of a chunk of recipients.

        Parameters
        ----------
        stage : Stage
            What is known.
        recipients : Interactions
            Histories.
        allowed : ndarray of bool, shape (recipients, items), optional
            What may be a candidate.
        wanted : ndarray of bool, shape (recipients, items), optional
            Items that are candidates whatever generators say, as far as they may be; those that would be none stand
            behind the others, of whom nothing changes.
        described : bool, default True
            Whether features are computed; without them, generators without a weight are not asked.

        Returns
        -------
        Pool
            The best first, by the weighted sum.
        """
        scores, units = self._said(stage, recipients, every=described)
        total = weighted_sum(scores, units * self.weights[:, None].astype(np.float32))
        shut = ~self.asked(recipients, allowed)
        total[shut] = 0.0
        if self.own:
            of_new = self.weights_of_new[:, None].astype(np.float32)
            new = weighted_sum(scores, units * of_new)
            new[shut] = 0.0
            item, blend = own_and_new(total, new, recipients, self.candidates)
        else:
            item, blend = largest(total, min(self.candidates, total.shape[1]))
        blend[item < 0] = 0.0
        if not described and wanted is None:
            voices = self._voices((scores, units), item) * self.weights[:, None, None]
            nothing = np.empty((*item.shape, 0), dtype=np.float32)
            return Pool(item, blend, voices.astype(np.float32), nothing)
        found = self._described(stage, recipients, (scores, units), item, blend)
        if wanted is None:
            return found
        more = _left_out(wanted & ~shut, item)
        if not more.shape[1]:
            return found
        added = np.take_along_axis(total, np.maximum(more, 0).astype(np.intp), axis=1)
        added[more < 0] = 0.0
        places = (np.concatenate([item, more], axis=1), np.concatenate([blend, added], axis=1))
        return _joined(found, self._described(stage, recipients, (scores, units), *places))

    def _said(
        self, stage: Stage, recipients: Interactions, *, every: bool
    ) -> tuple[list[Scores], Scores]:
        """Return what generators say, and its units; nothing of those that are not asked."""
        weighed = (self.weights != 0.0) | (self.weights_of_new != 0.0)
        silent = np.zeros((len(recipients.contacts), len(recipients.items)), dtype=np.float32)
        scores, units = [], []
        for generator, asked in zip(stage.generators, weighed | every, strict=True):
            scores.append(generator.scores(recipients) if asked else silent)
            units.append(in_units(scores[-1]) if asked else np.zeros(len(silent), np.float32))
        return scores, np.stack(units)

    def _described(
        self,
        stage: Stage,
        recipients: Interactions,
        said: tuple[list[Scores], Scores],
        item: Codes,
        blend: Scores,
    ) -> Pool:
        voices = self._voices(said, item)
        parts = [score_features(voices, blend)]
        parts += [block.values(recipients, item) for block in stage.blocks]
        voices *= self.weights[:, None, None].astype(np.float32)
        return Pool(item, blend, voices, np.concatenate(parts, axis=-1))

    @staticmethod
    def _voices(said: tuple[list[Scores], Scores], item: Codes) -> Scores:
        """Return what generators say of candidates, in units that compare."""
        scores, units = said
        at = np.maximum(item, 0).astype(np.intp)
        voices = np.stack([np.take_along_axis(each, at, axis=1) for each in scores])
        voices *= units[:, :, None]
        return voices

    @staticmethod
    def ordered(
        pool: Pool,
        m: int,
        trees: Trees | None,
        chance: npt.NDArray[np.floating] | None = None,
    ) -> tuple[Codes, Scores, npt.NDArray[np.int8]]:
        """Return the best candidates.

        Parameters
        ----------
        pool : Pool
            Candidates.
        m : int
            How many.
        trees : Trees or None
            What orders them; None for the weighted sum.
        chance : ndarray of float, shape (recipients, candidates), optional
            What is known from elsewhere of the probability of each, NaN where nothing is. Where the trees tell
            probabilities, the mean of both log odds counts.

        Returns
        -------
        item : ndarray of int32, shape (recipients, m)
            -1 where there are no more.
        score : ndarray of float32, shape (recipients, m)
            ``-inf`` where there are no more.
        source : ndarray of int8, shape (recipients, m)
            Which generator said most; -1 where there are no more.
        """
        there = pool.item >= 0
        score = np.full(pool.item.shape, -np.inf, dtype=np.float32)
        score[there] = pool.blend[there] if trees is None else trees.predict(pool.features[there])
        if chance is not None and isinstance(trees, RepeatAndNew):
            score = _with_chance(score, np.where(there, chance, np.nan))
        order = np.argsort(-score, axis=1, kind="stable")[:, :m]
        source = pool.voices.argmax(axis=0).astype(np.int8)
        source[~there] = -1
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


def chunks(count: int) -> Iterator[tuple[int, int]]:
    """Return the first and the last place of each chunk of recipients; of nobody, one empty chunk."""
    return ((first, min(first + _CHUNK, count)) for first in range(0, max(count, 1), _CHUNK))


def in_units(said: Scores) -> Scores:
    """Return what each recipient's scores are multiplied with, so that generators can be compared.

    Parameters
    ----------
    said : ndarray of float32, shape (recipients, items)
        Scores of one generator.

    Returns
    -------
    ndarray of float32, shape (recipients,)
        0 where it has nothing to say.
    """
    spreads = spread(said)
    units: Scores = np.divide(1.0, spreads, out=np.zeros_like(spreads), where=spreads > 0)
    return units


def _left_out(wanted: Flags, item: Codes) -> Codes:
    """Return the wanted items that are no candidates, shape (recipients, at most); -1 where there are no more."""
    recipient, place = np.nonzero(item >= 0)
    wanted[recipient, item[recipient, place]] = False
    who, what = np.nonzero(wanted)
    count = np.bincount(who, minlength=len(item))
    more = np.full((len(item), int(count.max(initial=0))), -1, dtype=np.int32)
    more[who, np.arange(len(who)) - np.repeat(np.cumsum(count) - count, count)] = what
    return more


def _joined(found: Pool, all_of_them: Pool) -> Pool:
    """Return candidates that were found, and behind them those that were added."""
    size = found.item.shape[1]
    features = np.concatenate([found.features, all_of_them.features[:, size:]], axis=1)
    return Pool(all_of_them.item, all_of_them.blend, all_of_them.voices, features)


def _with_chance(score: Scores, chance: npt.NDArray[np.floating]) -> Scores:
    known = np.isfinite(chance)
    likely = np.clip(chance[known].astype(np.float64), _LEAST, 1.0 - _LEAST)
    score[known] = (score[known] + np.log(likely / (1.0 - likely))) / 2.0
    return score
