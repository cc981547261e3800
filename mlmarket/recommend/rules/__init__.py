"""Which items may be shown to whom, and what fills the slots?"""

from mlmarket.recommend.rules.compiled import CompiledRules
from mlmarket.recommend.rules.rules import Rules
from mlmarket.recommend.rules.slots import Fallback, RankedItems, Shortage, Slots, joined_slots
from mlmarket.recommend.rules.tables import RuleTables

__all__ = [
    "CompiledRules",
    "Fallback",
    "RankedItems",
    "RuleTables",
    "Rules",
    "Shortage",
    "Slots",
    "joined_slots",
]
