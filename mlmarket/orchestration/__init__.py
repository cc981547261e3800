"""Who should hear from us tonight, about what, and why not?"""

from mlmarket.orchestration.behaviour import Behaviour
from mlmarket.orchestration.decide import decide
from mlmarket.orchestration.documents import DocumentError
from mlmarket.orchestration.engine import EarlierTickError, KnownTickError, tick, tick_id_of
from mlmarket.orchestration.explain import (
    DecisionMade,
    Enrolled,
    Explanation,
    MemberOf,
    explain,
    journey_counts,
)
from mlmarket.orchestration.export import write_csv
from mlmarket.orchestration.fingerprint import fingerprint
from mlmarket.orchestration.gates import Reason
from mlmarket.orchestration.journey import Journey, load_journey
from mlmarket.orchestration.lists import segment_list
from mlmarket.orchestration.playbook import Holdout, Playbook, load_playbook
from mlmarket.orchestration.segments import Segment, TopShare, check_segments, load_segments
from mlmarket.orchestration.state import Decisions, State
from mlmarket.orchestration.store import StateLockedError, StateMovedError, StateStore

__all__ = [
    "Behaviour",
    "DecisionMade",
    "Decisions",
    "DocumentError",
    "EarlierTickError",
    "Enrolled",
    "Explanation",
    "Holdout",
    "Journey",
    "KnownTickError",
    "MemberOf",
    "Playbook",
    "Reason",
    "Segment",
    "State",
    "StateLockedError",
    "StateMovedError",
    "StateStore",
    "TopShare",
    "check_segments",
    "decide",
    "explain",
    "fingerprint",
    "journey_counts",
    "load_journey",
    "load_playbook",
    "load_segments",
    "segment_list",
    "tick",
    "tick_id_of",
    "write_csv",
]
