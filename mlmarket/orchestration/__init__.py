"""Who should hear from us tonight, about what, and why not?"""

from typing import TYPE_CHECKING

from mlmarket.lazy_names import lazily

if TYPE_CHECKING:
    from mlmarket.orchestration.arbitration.reasons import Reason
    from mlmarket.orchestration.behaviour import Behaviour
    from mlmarket.orchestration.documents import DocumentError
    from mlmarket.orchestration.engine.ticking import (
        EarlierTickError,
        KnownTickError,
        tick,
        tick_id_of,
    )
    from mlmarket.orchestration.export import write_csv
    from mlmarket.orchestration.fingerprint import fingerprint
    from mlmarket.orchestration.journeys.journey import Journey, load_journey
    from mlmarket.orchestration.playbook import Holdout, Playbook, load_playbook
    from mlmarket.orchestration.policy import Policy, load_policy
    from mlmarket.orchestration.segments.definition import (
        Segment,
        TopShare,
        check_segments,
        load_segments,
    )
    from mlmarket.orchestration.segments.lists import segment_list
    from mlmarket.orchestration.state.deciding import decide
    from mlmarket.orchestration.state.standing import Decisions, State
    from mlmarket.orchestration.state.store import StateLockedError, StateMovedError, StateStore
    from mlmarket.orchestration.telling.explaining import (
        DecisionMade,
        Enrolled,
        Explanation,
        MemberOf,
        explain,
        journey_counts,
    )

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
    "Policy",
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
    "load_policy",
    "load_segments",
    "segment_list",
    "tick",
    "tick_id_of",
    "write_csv",
]

_PLACES = {
    "Behaviour": "behaviour",
    "DecisionMade": "telling.explaining",
    "Decisions": "state.standing",
    "DocumentError": "documents",
    "EarlierTickError": "engine.ticking",
    "Enrolled": "telling.explaining",
    "Explanation": "telling.explaining",
    "Holdout": "playbook",
    "Journey": "journeys.journey",
    "KnownTickError": "engine.ticking",
    "MemberOf": "telling.explaining",
    "Playbook": "playbook",
    "Policy": "policy",
    "Reason": "arbitration.reasons",
    "Segment": "segments.definition",
    "State": "state.standing",
    "StateLockedError": "state.store",
    "StateMovedError": "state.store",
    "StateStore": "state.store",
    "TopShare": "segments.definition",
    "check_segments": "segments.definition",
    "decide": "state.deciding",
    "explain": "telling.explaining",
    "fingerprint": "fingerprint",
    "journey_counts": "telling.explaining",
    "load_journey": "journeys.journey",
    "load_playbook": "playbook",
    "load_policy": "policy",
    "load_segments": "segments.definition",
    "segment_list": "segments.lists",
    "tick": "engine.ticking",
    "tick_id_of": "engine.ticking",
    "write_csv": "export",
}
__getattr__ = lazily(__name__, _PLACES)
