"""People who may be written to, and a walk through any journey."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from mlmarket.orchestration import Decisions, Journey, Playbook, Segment, State, tick

EVERYBODY = Segment(name="everybody", title="Everybody", when="contact_id <> ''")


def book(*journeys: Journey, **rest: Any) -> Playbook:
    """Return a playbook of journeys whose people come from one segment of all."""
    return Playbook(segments=(EVERYBODY,), journeys=journeys, **rest)


def path(*steps: object, **changes: object) -> Journey:
    """Return a journey of the given steps that everybody comes into once."""
    content: dict[str, object] = {
        "journey": "path",
        "title": "A path",
        "entry": {"segment": "everybody"},
        "reentry": "never",
        "steps": list(steps),
        "expires_after": "60D",
    }
    return Journey.model_validate({**content, **changes})


@pytest.fixture
def walk(kit) -> Callable[..., tuple[State, list[Decisions]]]:
    """Return a function that runs ticks at given days over some people."""

    def run(
        playbook: Playbook,
        days: Iterable[float],
        *,
        names: Iterable[str] = ("ana",),
        contacts: Iterable[dict[str, Any]] | None = None,
        activity: Iterable[dict[str, Any]] = (),
        predictions: pa.Table | None = None,
        state: State | None = None,
    ) -> tuple[State, list[Decisions]]:
        people = list(contacts) if contacts is not None else [kit.person(name) for name in names]
        consents = [kit.consent(person["contact_id"]) for person in people]
        shop = kit.Shop(contacts=people, consents=consents, activity=activity)
        ids = [person["contact_id"] for person in people]
        table = pa.table({"contact_id": ids}) if predictions is None else predictions
        state = kit.released(playbook) if state is None else state
        made = []
        for day in days:
            decided = tick(state, table, shop, now=kit.when(day))
            state = state.after(decided)
            made.append(decided)
        return state, made

    return run


@pytest.fixture(scope="session")
def whole_book() -> Callable[..., Playbook]:
    """Return the function that makes a playbook."""
    return book


@pytest.fixture(scope="session")
def steps() -> Callable[..., Journey]:
    """Return the function that makes a journey of steps."""
    return path


@pytest.fixture(scope="session")
def taken() -> Callable[..., list[tuple[str, str, str | None]]]:
    """Return a function that lists step, outcome and way of one person's decisions."""

    def listed(made: Iterable[Decisions], name: str = "ana") -> list[tuple[str, str, str | None]]:
        return [
            (row["step"], row["outcome"], row["way"])
            for decided in made
            for row in decided.decisions.to_pylist()
            if row["contact_id"] == name
            and row["outcome"] in {"branch", "split", "wait", "act"}
            and (row["outcome"] != "wait" or row["way"] is not None)
        ]

    return listed


@pytest.fixture(scope="session")
def moment() -> Callable[..., datetime]:
    """Return a function that reads a time in UTC as tables hold it."""

    def read(text: str, **later: float) -> datetime:
        return datetime.fromisoformat(text) + timedelta(**later)

    return read
