"""One good journey, and what the linter says after something in it was changed."""

from collections.abc import Callable
from typing import Any

import pytest

from mlmarket.expressions import Type
from mlmarket.orchestration import Holdout, Journey, Playbook, Policy, Segment
from mlmarket.orchestration.lint import Finding, lint

KNOWN = {
    "as_of": Type.TIME,
    "contact_id": Type.TEXT,
    "risk": Type.NUMBER,
    "country": Type.TEXT,
    "is_open": Type.BOOLEAN,
    "birthday": Type.TIME,
    "created_at": Type.TIME,
}
GOOD: dict[str, Any] = {
    "journey": "good",
    "title": "Good",
    "entry": {"segment": "leaving", "on": "enter"},
    "reentry": "90D",
    "topic": "offers",
    "goal": "order",
    "expires_after": "30D",
    "holdout": 0.1,
    "steps": [
        {"message": {"name": "first", "channel": "email", "template": "t1"}},
        {"wait": "2D"},
        {"message": {"name": "second", "channel": "email", "template": "t2"}},
    ],
}
LEAVING = Segment(name="leaving", title="Leaving", when="risk > 0.5")


@pytest.fixture(scope="session")
def found() -> Callable[..., list[Finding]]:
    """Return a function that lints the good journey with changes."""

    def find(
        *others: dict[str, Any],
        segments: tuple[Segment, ...] = (LEAVING,),
        policy: dict[str, Any] | None = None,
        share: float = 0.0,
        settings: dict[str, Any] | None = None,
        **changes: Any,
    ) -> list[Finding]:
        journeys = [Journey.model_validate({**GOOD, **one}) for one in (changes, *others)]
        book = Playbook(
            segments=segments,
            journeys=tuple(journeys),
            policy=Policy.model_validate(policy or {}),
            holdout=Holdout(share=share),
        )
        return list(lint(book, **{"known": KNOWN, **(settings or {})}))

    return find


@pytest.fixture(scope="session")
def codes(found) -> Callable[..., list[str]]:
    """Return a function that gives only the codes of what is found."""

    def find(*others: dict[str, Any], **changes: Any) -> list[str]:
        return [one.code for one in found(*others, **changes)]

    return find


def message(name: str, **rest: Any) -> dict[str, Any]:
    """Return a message step."""
    return {"message": {"name": name, "channel": "email", "template": "t", **rest}}


def branch(*conditions: str, **rest: Any) -> dict[str, Any]:
    """Return a branch whose every path adds a tag."""
    paths = [
        {"name": f"p{n}", "when": text, "steps": [{"tag": {"add": f"t{n}"}}]}
        for n, text in enumerate(conditions)
    ]
    return {"branch": {"name": "which", "paths": paths, **rest}}


class Build:
    """Tools that build steps: test files cannot import each other."""

    message = staticmethod(message)
    branch = staticmethod(branch)
    KNOWN = KNOWN
    LEAVING = LEAVING
    GOOD = GOOD


@pytest.fixture(scope="session")
def build() -> type[Build]:
    """Return the tools."""
    return Build
