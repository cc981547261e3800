"""How is a journey written in Python, so that it reads like the file and is the same?"""

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeAlias

from mlmarket.orchestration.documents import validated
from mlmarket.orchestration.journeys.journey import Journey

__all__ = ["JourneyBuilder", "Steps", "Way", "arm", "path", "steps"]


class Steps:
    """Steps one after the other, each as in a file.

    Each method appends one step and returns the same object. What a step takes is what stands
    below its key in a file; whether it makes sense is checked when the journey is built.
    """

    def __init__(self) -> None:
        self._steps: list[dict[str, object]] = []

    def _with(self, kind: str, content: object) -> Self:
        self._steps.append({kind: content})
        return self

    def message(
        self, name: str, channel: str | list[str], template: str, **settings: object
    ) -> Self:
        """Append a message to the person."""
        content = {"name": name, "channel": channel, "template": template, **settings}
        return self._with("message", content)

    def alert(self, name: str, *, to: str, text: str) -> Self:
        """Append a note to somebody of the business."""
        return self._with("alert", {"name": name, "to": to, "text": text})

    def task(self, name: str, title: str, **settings: object) -> Self:
        """Append a task in the CRM."""
        return self._with("task", {"name": name, "title": title, **settings})

    def set_field(self, field: str, value: str, **settings: object) -> Self:
        """Append a field of the contact to set."""
        return self._with("set_field", {"field": field, "value": value, **settings})

    def tag(self, **settings: object) -> Self:
        """Append a tag to ``add`` or to ``remove``."""
        return self._with("tag", settings)

    def audience(self, platform: str, **settings: object) -> Self:
        """Append an audience to ``add`` the person to or to ``remove`` them from."""
        return self._with("audience", {"platform": platform, **settings})

    def webhook(self, name: str, endpoint: str, **settings: object) -> Self:
        """Append a call of an endpoint of the business."""
        return self._with("webhook", {"name": name, "endpoint": endpoint, **settings})

    def start(self, journey: str, **settings: object) -> Self:
        """Append the start of another journey."""
        return self._with("start", {"journey": journey, **settings})

    def wait(
        self,
        duration: str | None = None,
        *,
        met: "Way | None" = None,
        timed_out: "Way | None" = None,
        **settings: object,
    ) -> Self:
        """Append a wait: a duration alone, or ``time``, ``date``, ``best_send_time``, ``until``.

        Parameters
        ----------
        duration : str, optional
            Such as ``7D``.
        met, timed_out : Steps or callable, optional
            What happens behind a wait ``until``.
        **settings
            As below the key ``wait`` of a file.

        Returns
        -------
        Steps
            The same object.
        """
        if duration is not None and not settings and met is None and timed_out is None:
            return self._with("wait", duration)
        content = dict(settings)
        if duration is not None:
            content["duration"] = duration
        for side, way in (("met", met), ("timed_out", timed_out)):
            if way is not None:
                content[side] = _plain(way)
        return self._with("wait", content)

    def branch(
        self,
        *paths: Mapping[str, object],
        otherwise: "Way | None" = None,
        name: str | None = None,
    ) -> Self:
        """Append ways on by condition.

        Parameters
        ----------
        *paths : mapping
            From :func:`path`, tried in their order.
        otherwise : Steps or callable, optional
            For those for whom no condition holds.
        name : str, optional
            Once in a journey.

        Returns
        -------
        Steps
            The same object.
        """
        content: dict[str, object] = {"paths": list(paths)}
        if otherwise is not None:
            content["otherwise"] = _plain(otherwise)
        if name is not None:
            content["name"] = name
        return self._with("branch", content)

    def split(self, name: str, *arms: Mapping[str, object]) -> Self:
        """Append ways on by lot, from :func:`arm`."""
        return self._with("split", {"name": name, "arms": list(arms)})

    def go_to(self, name: str) -> Self:
        """Jump to the step of a name."""
        return self._with("go_to", name)

    def end(self, words: str) -> Self:
        """End the journey, and say what this end is called."""
        return self._with("end", words)

    def plain(self) -> list[dict[str, object]]:
        """Return the steps as a file would hold them."""
        return list(self._steps)


Way: TypeAlias = Steps | Callable[[Steps], Any]
"""Steps of a way: built before, or by a function that is given empty ones."""


def steps() -> Steps:
    """Return empty steps to build a way from.

    Returns
    -------
    Steps
        To be filled.

    Examples
    --------
    >>> steps().wait("1D").end("done").plain()
    [{'wait': '1D'}, {'end': 'done'}]
    """
    return Steps()


def path(name: str, when: str, way: Way | None = None) -> dict[str, object]:
    """Return one path of a branch.

    Parameters
    ----------
    name : str
        Of the path.
    when : str
        Its condition.
    way : Steps or callable, optional
        What happens on it; nothing by default.

    Returns
    -------
    dict
        For :meth:`Steps.branch`.
    """
    return {"name": name, "when": when} | ({} if way is None else {"steps": _plain(way)})


def arm(name: str, weight: float, way: Way | None = None) -> dict[str, object]:
    """Return one arm of a split.

    Parameters
    ----------
    name : str
        Of the arm.
    weight : float
        Its share of people, in percent where all weights sum to 100.
    way : Steps or callable, optional
        What happens on it; nothing by default.

    Returns
    -------
    dict
        For :meth:`Steps.split`.
    """
    return {"name": name, "weight": weight} | ({} if way is None else {"steps": _plain(way)})


def _plain(way: Way) -> list[dict[str, object]]:
    if isinstance(way, Steps):
        return way.plain()
    empty = Steps()
    way(empty)
    return empty.plain()


class JourneyBuilder(Steps):
    """A journey in Python: the same keys as in a file, and the same journey.

    Parameters
    ----------
    name : str
        Of the journey.

    Examples
    --------
    >>> built = JourneyBuilder("thanks").titled("Thank you").entered_by(event="order")
    >>> built = built.wait("1D").message("thanks", "email", "thanks_1", topic="service")
    >>> built.reentered("30D").expiring_after("7D").build().to_yaml().splitlines()[1]
    'title: Thank you'
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._journey: dict[str, object] = {"journey": name}

    def _set(self, **content: object) -> Self:
        self._journey |= content
        return self

    def titled(self, title: str) -> Self:
        """Say how people call it."""
        return self._set(title=title)

    def entered_by(self, **entry: object) -> Self:
        """Say who comes in: the keys of ``entry``."""
        return self._set(entry=entry)

    def reentered(self, rule: str) -> Self:
        """Say how long after an entry the same person may come in again: the key ``reentry``."""
        return self._set(reentry=rule)

    def aiming_at(self, event: str, *, where: str | None = None) -> Self:
        """Say what it is for: the key ``goal``."""
        return self._set(goal=event if where is None else {"event": event, "where": where})

    def exiting(self, **exit_: object) -> Self:
        """Say when somebody leaves before the end: the keys of ``exit``."""
        return self._set(exit=exit_)

    def expiring_after(self, duration: str) -> Self:
        """Say when it is over for a person: the key ``expires_after``."""
        return self._set(expires_after=duration)

    def with_settings(self, **settings: object) -> Self:
        """Set the other keys: holdout, priority, group, topic, legal_basis, transactional."""
        return self._set(**settings)

    def build(self) -> Journey:
        """Check the journey and return it.

        Returns
        -------
        Journey
            Equal to the one that a file of the same content gives.

        Raises
        ------
        DocumentError
            For anything that cannot be followed, with journey and key.
        """
        content = {**self._journey, "steps": self.plain()}
        subject = f"journey '{self._journey['journey']}'"
        return validated(Journey, content, path="built in Python", subject=subject)
