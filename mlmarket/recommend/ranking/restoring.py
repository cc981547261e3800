"""Which kinds of generators and features can be read again from what was kept?"""

from collections.abc import Mapping
from typing import Any, Final

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.generators.attributes import AttributeNeighbours
from mlmarket.recommend.generators.bayes import BayesTransitions
from mlmarket.recommend.generators.ease import Ease
from mlmarket.recommend.generators.history import History
from mlmarket.recommend.generators.lately import LatelyNeighbours, LatelyRegression
from mlmarket.recommend.generators.neighbours import Neighbours
from mlmarket.recommend.generators.popularity import CategoryPopularity, Popularity
from mlmarket.recommend.generators.sequential import Sequential
from mlmarket.recommend.generators.together import Together
from mlmarket.recommend.generators.transitions import Transitions
from mlmarket.recommend.ranking.latest import LatestItems
from mlmarket.recommend.ranking.model import RankingModel
from mlmarket.recommend.repeat import DemandFeatures, RepeatFeatures

__all__ = ["model_from_state", "model_to_state"]

_GENERATORS: Final[Mapping[str, Any]] = {
    kind.__name__: kind
    for kind in (
        AttributeNeighbours,
        BayesTransitions,
        CategoryPopularity,
        Ease,
        History,
        LatelyNeighbours,
        LatelyRegression,
        Neighbours,
        Popularity,
        Sequential,
        Together,
        Transitions,
    )
}
_BLOCKS: Final[Mapping[str, Any]] = {
    kind.__name__: kind for kind in (DemandFeatures, LatestItems, RepeatFeatures)
}
_ARGUMENTS: Final = (
    "horizon",
    "target",
    "candidates",
    "ranker",
    "windows",
    "recipients",
    "learners",
    "random_state",
)


def model_to_state(model: RankingModel) -> dict[str, Any]:
    """Return what a model learned, and of what kinds its parts are.

    Parameters
    ----------
    model : RankingModel
        Fitted, of generators and blocks of this package.

    Returns
    -------
    dict of str to object
        Arrays, numbers and text by name.

    Raises
    ------
    ConfigurationError
        Where it has a part that could not be read again.
    """
    generators = [[name, type(one).__name__] for name, one in model.generators.items()]
    blocks = [type(block).__name__ for block in model.blocks]
    kinds = [(kind, _GENERATORS) for _, kind in generators] + [(kind, _BLOCKS) for kind in blocks]
    for kind, known in kinds:
        if kind not in known:
            raise ConfigurationError(
                f"A '{kind}' cannot be kept.",
                "It is no part of mlmarket, and nothing would know how to read it again.",
                "keep your own parts yourself, with their to_state().",
            )
    return {
        "arguments": {name: getattr(model, name) for name in _ARGUMENTS},
        "generators": generators,
        "blocks": blocks,
        "learned": model.to_state(),
    }


def model_from_state(state: Mapping[str, Any]) -> RankingModel:
    """Return the model whose state was taken.

    Parameters
    ----------
    state : mapping of str to object
        From :func:`model_to_state`.

    Returns
    -------
    RankingModel
        Ranks as it did.
    """
    model = RankingModel(
        generators={name: _GENERATORS[kind] for name, kind in state["generators"]},
        blocks=[_BLOCKS[kind]() for kind in state["blocks"]],
        **state["arguments"],
    ).from_state(state["learned"])
    model.generators, model.blocks = dict(model.fitted_generators), model.fitted_blocks
    return model
