"""How do recipients become rows of items with reasons?

Recipients are answered in chunks, so that the scores of the whole catalogue are in memory for some hundreds of them
only; chunks are answered side by side, and put together in their order.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlmarket.recommend.fitting import Segments
from mlmarket.recommend.items import ItemFacts

if TYPE_CHECKING:
    from mlmarket.recommend.due import DueItems
    from mlmarket.recommend.fallbacks import Fallbacks
    from mlmarket.recommend.probability import SlotProbability
    from mlmarket.recommend.ranking import RankingModel
    from mlmarket.recommend.reasons import ReasonTexts
    from mlmarket.recommend.rules import CompiledRules

__all__ = ["Counter", "answered"]

_CHUNK: Final = 512
_SPARE: Final = 3
"""So many times the wanted number are ranked: rules about whole lists need something to choose from."""


@dataclass(frozen=True, slots=True)
class Counter:
    """Everything that is needed to answer any recipient of one night.

    Parameters
    ----------
    model : RankingModel
        Ranks.
    rules : CompiledRules
        What may be shown to whom.
    facts : ItemFacts
        Of the catalogue.
    fallbacks : Fallbacks
        What fills the slots that the ranking leaves empty.
    segments : Segments
        Who is alike.
    texts : ReasonTexts
        The words.
    probability : SlotProbability or None
        How likely each slot is bought.
    due : DueItems or None
        What is due when.
    exclude : {"seen", "none"}
        Whether items of the history are left out.
    k : int
        Slots.
    exploration : Exploration or None
        What is drawn by chance.
    checked : bool
        Whether reasons are checked by ranking again.
    """

    model: "RankingModel"
    rules: "CompiledRules"
    facts: ItemFacts
    fallbacks: "Fallbacks"
    segments: Segments
    texts: "ReasonTexts"
    probability: "SlotProbability | None"
    due: "DueItems | None"
    exclude: str
    k: int
    checked: bool
