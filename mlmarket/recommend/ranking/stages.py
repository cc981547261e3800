"""What had generators learned by when?"""

from collections.abc import Mapping, Sequence
from copy import deepcopy

from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.ranking.features import FeatureBlock, StoredGenerator
from mlmarket.recommend.ranking.pools import Stage

__all__ = ["Stages"]


class Stages:
    """Generators and blocks as they were at several moments, learned when they are asked for.

    What one moment taught takes as much memory as what tonight does: it is dropped when nobody asks for it again.

    Parameters
    ----------
    generators : mapping of str to StoredGenerator
        Not fitted; they stay so.
    blocks : sequence of FeatureBlock
        Not fitted.
    facts : ItemFacts
        Of the catalogue.
    """

    def __init__(
        self,
        generators: Mapping[str, StoredGenerator],
        blocks: Sequence[FeatureBlock],
        facts: ItemFacts,
    ) -> None:
        self._generators = tuple(generators.values())
        self._blocks = tuple(blocks)
        self._facts = facts
        self._learned: list[tuple[Interactions, Stage]] = []

    def of(self, known: Interactions) -> Stage:
        """Return what was learned from histories.

        Parameters
        ----------
        known : Interactions
            What was known at a moment; the same object is not learned from twice.

        Returns
        -------
        Stage
        """
        for learned_from, stage in self._learned:
            if learned_from is known:
                return stage
        stage = Stage(
            tuple(deepcopy(generator).fit(known) for generator in self._generators),
            tuple(deepcopy(block).fit(known, self._facts) for block in self._blocks),
        )
        self._learned.append((known, stage))
        return stage

    def keep_only(self, *known: Interactions) -> None:
        """Drop what was learned from all other histories.

        Parameters
        ----------
        *known : Interactions
            That are asked for again.
        """
        self._learned = [
            (learned_from, stage)
            for learned_from, stage in self._learned
            if any(learned_from is one for one in known)
        ]
