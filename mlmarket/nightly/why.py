"""What did a journey do with one person, or why did it do nothing?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mlmarket.nightly.authoring import journey_named
from mlmarket.nightly.night import Night
from mlmarket.nightly.playbook import load_night_playbook
from mlmarket.nightly.predictions import read_predictions_of
from mlmarket.nightly.preview import copy_of_state
from mlmarket.orchestration import Explanation, Ground, State, explain, person_known, why_not_in

__all__ = ["JourneyReport", "explain_journey"]


@dataclass(frozen=True, slots=True)
class JourneyReport:
    """One person and one journey.

    Parameters
    ----------
    contact_id, journey : str
        Who, and which.
    now : datetime
        As of when, with its zone.
    decided : Explanation
        The person's passes through it, and what was decided in each.
    grounds : tuple of Ground
        What decides whether the person comes in.
    models : mapping of str to list of str
        The versions of the models behind the last decision, by column.
    """

    contact_id: str
    journey: str
    now: datetime
    decided: Explanation
    grounds: tuple[Ground, ...]
    models: Mapping[str, list[str]] = field(default_factory=dict)

    def to_text(self) -> str:
        """Return it in lines to read.

        Returns
        -------
        str
            Passes, decisions, and what is asked at the door.
        """
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.contact_id} and '{self.journey}', as of {self.now:%Y-%m-%d %H:%M %Z}"
        for one in self.decided.enrolments:
            yield f"  {one.in_words}"
        if not self.decided.enrolments:
            yield "  not in it so far"
        for made in self.decided.decisions:
            yield f"    {made.in_words}"
        for column, versions in self.models.items():
            yield f"  the last of it from {column} {', '.join(versions)}"
        yield "To come in:"
        for ground in self.grounds:
            yield f"  {ground.in_words}"


def explain_journey(night: Night, name: str, contact_id: str) -> JourneyReport:
    """Return what a journey did with one person, and what decides whether they come in.

    Parameters
    ----------
    night : Night
        Whose predictions are used.
    name : str
        The journey.
    contact_id : str
        The person.

    Returns
    -------
    JourneyReport
        Without addresses.

    Raises
    ------
    ConfigurationError
        Where there is no such journey, or nobody of that id is known.
    """
    import pyarrow as pa

    playbook = load_night_playbook(night.config, night.settings)
    with copy_of_state(night.workspace) as store:
        state = store.load(touched=pa.array([contact_id], pa.string())).under(playbook)
        about = store.decisions_about(contact_id)
        decided = explain(state, contact_id, decisions=about, journey=name)
        models = store.inputs_of(decided.decisions[-1].tick_id)[1] if decided.decisions else {}
    if playbook.journey(name) is None and any(
        one.journey == name for one in state.versions.values()
    ):
        return _withdrawn(contact_id, name, state, decided)
    journey = journey_named(playbook, name)
    # A tick between two nights may have decided since.
    now = max(night.as_of, state.last_now or night.as_of)
    predicted = read_predictions_of(night.folder.path, pa.array([contact_id], pa.string()))
    person = person_known(contact_id, state, predicted, night.market(check=False), now=now)
    return JourneyReport(
        contact_id,
        name,
        now,
        decided,
        why_not_in(journey, person, state, now=now),
        models,
    )


def _withdrawn(contact_id: str, name: str, state: State, decided: Explanation) -> JourneyReport:
    gone = Ground(permits=False, text="its file is gone: everybody left, and nobody comes in")
    return JourneyReport(contact_id, name, state.last_now or datetime.now(UTC), decided, (gone,))
