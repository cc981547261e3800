"""Which segments and journeys are in force, and who is never messaged to measure the rest?"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from pydantic import model_validator

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.orchestration.documents import DocumentError, Name, Share, StrictModel, Text
from mlmarket.orchestration.journeys.journey import Journey, load_journey
from mlmarket.orchestration.policy import Policy, load_policy
from mlmarket.orchestration.segments.definition import Segment, load_segments
from mlmarket.orchestration.segments.ordering import in_order

__all__ = ["Holdout", "Playbook", "load_playbook"]


class Holdout(StrictModel):
    """People who are followed in all journeys but messaged by none.

    Parameters
    ----------
    share : float, default 0
        Their share of all contacts.
    salt : str, default 'global_holdout'
        The seed of the lot; another salt holds out other people.
    """

    share: Share = 0.0
    salt: Text = "global_holdout"


class Playbook(StrictModel):
    """All that a marketer has written down, checked to fit together.

    Parameters
    ----------
    segments : tuple of Segment
        The segments.
    journeys : tuple of Journey
        The journeys.
    holdout : Holdout
        Who is messaged by no journey.
    policy : Policy
        The rules over all journeys.
    """

    segments: tuple[Segment, ...] = ()
    journeys: tuple[Journey, ...] = ()
    holdout: Holdout = Holdout()
    policy: Policy = Policy()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _refuse_twice("segments", [segment.name for segment in self.segments])
        _refuse_twice("journeys", [journey.journey for journey in self.journeys])
        in_order(self.segments)
        names = {segment.name for segment in self.segments}
        for journey in self.journeys:
            if journey.entry.segment is not None and journey.entry.segment not in names:
                what = f"Journey '{journey.journey}', key 'entry.segment': there is no segment"
                what += f" '{journey.entry.segment}'."
                why = "Nobody could ever come in."
                raise ConfigurationError(what, why, suggestion(journey.entry.segment, names))
        return self

    @property
    def playbook_id(self) -> str:
        """The SHA-256 of its canonical form, in hex."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def canonical(self) -> str:
        """Return the playbook as JSON that is equal for equal playbooks, however written."""
        content = self.model_dump(mode="json", exclude_defaults=True)
        content.setdefault("segments", []).sort(key=lambda segment: segment["name"])
        content.setdefault("journeys", []).sort(key=lambda journey: journey["journey"])
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    def journey(self, name: Name) -> Journey | None:
        """Return the journey of that name, None where there is none."""
        return next((journey for journey in self.journeys if journey.journey == name), None)


def _refuse_twice(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        problem = f"Two {what} are called '{twice[0]}'."
        why = "Each has members and a history of its own, kept under its name."
        raise ConfigurationError(problem, why, "rename one of them.")


def load_playbook(
    segments: Iterable[Path | str],
    journeys: Iterable[Path | str],
    *,
    holdout: Holdout | None = None,
    policy: Path | str | None = None,
) -> Playbook:
    """Read the files of segments and journeys.

    Parameters
    ----------
    segments : iterable of Path or str
        YAML files of segments.
    journeys : iterable of Path or str
        YAML files of one journey each.
    holdout : Holdout, optional
        Who is messaged by no journey; nobody by default.
    policy : Path or str, optional
        YAML file of the rules over all journeys; none by default.

    Returns
    -------
    Playbook
        Checked to fit together.

    Raises
    ------
    ConfigurationError
        For anything that cannot be followed.
    """
    return Playbook(
        segments=_segments(segments),
        journeys=tuple(load_journey(path) for path in journeys),
        holdout=holdout or Holdout(),
        policy=Policy() if policy is None else load_policy(policy),
    )


def _segments(files: Iterable[Path | str]) -> tuple[Segment, ...]:
    """Read all files of segments; refuse a name that two of them have."""
    found: dict[str, tuple[Path | str, Segment]] = {}
    for path in files:
        for segment in load_segments(path):
            if segment.name in found:
                place, problem = f"segment '{segment.name}'", f"{found[segment.name][0]} has it too"
                fix = "rename one of them, or remove the one that is not meant."
                raise DocumentError(path, place, problem, fix)
            found[segment.name] = path, segment
    return tuple(segment for _, segment in found.values())
