"""Which items may be shown to whom, and what fills the slots?"""

from typing import TYPE_CHECKING, Final

from mlmarket.lazy_names import lazily

if TYPE_CHECKING:
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

_PLACES: Final = {
    "CompiledRules": "compiled",
    "Fallback": "slots",
    "RankedItems": "slots",
    "RuleTables": "tables",
    "Rules": "rules",
    "Shortage": "slots",
    "Slots": "slots",
    "joined_slots": "slots",
}
__getattr__ = lazily(__name__, _PLACES)
