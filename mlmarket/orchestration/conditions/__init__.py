"""What may a condition ask about what people did, and how is it answered for everybody at once?"""

from mlmarket.orchestration.conditions.answering import Known, facts
from mlmarket.orchestration.conditions.conditions import ConditionError, Conditions
from mlmarket.orchestration.conditions.matching import EventMatch
from mlmarket.orchestration.conditions.questions import FUNCTIONS, functions_for
from mlmarket.orchestration.conditions.rows import evaluate_events, own_sends

__all__ = [
    "FUNCTIONS",
    "ConditionError",
    "Conditions",
    "EventMatch",
    "Known",
    "evaluate_events",
    "facts",
    "functions_for",
    "own_sends",
]
