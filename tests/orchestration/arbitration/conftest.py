"""A few people and messages written as rows, and arbitration asked about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration.arbitration.arbitrate import arbitrate
from mlmarket.orchestration.arbitration.candidates import Candidates, Offer, Verdicts
from mlmarket.orchestration.arbitration.facts import Passes, PastSends, PeopleFacts
from mlmarket.orchestration.arbitration.reasons import Fate, named
from mlmarket.orchestration.journeys.actions import Worth
from mlmarket.orchestration.policy import Policy

NOW = datetime(2026, 3, 11, 12)  # noqa: DTZ001 - tables hold UTC without a zone; a Wednesday
NEVER = np.datetime64("NaT", "us")


@dataclass(frozen=True)
class Ask:
    """One candidate with its offer and all that is known about it alone."""

    person: int = 0
    channels: tuple[str, ...] = ("email",)
    closed: tuple[int, ...] = ()
    topic: str | None = "offers"
    priority: int = 50
    group: str | None = None
    transactional: bool = False
    best_time: bool = False
    within: timedelta = timedelta(days=1)
    worth: Worth | None = None
    if_blocked: str = "hold"
    journey: str = "j"
    step: str = "s"
    entered: datetime = NOW - timedelta(days=1)
    expires: datetime = NOW + timedelta(days=90)
    against: int = 0
    lot: int = 0
    probability: float = float("nan")
    gain: float = float("nan")

    def offer(self) -> Offer:
        return Offer(
            self.journey,
            f"v-{self.journey}",
            self.step,
            self.channels,
            self.topic,
            self.priority,
            self.group,
            "consent",
            self.transactional,
            self.best_time,
            np.timedelta64(self.within),
            self.worth,
            self.if_blocked,
        )


@dataclass(frozen=True)
class Had:
    """A message that a person was sent, or is planned to get."""

    person: int
    at: datetime
    channel: str = "email"
    topic: str | None = "offers"
    transactional: bool = False


@dataclass(frozen=True)
class Person:
    """What is known about one person."""

    zone: str = "UTC"
    handed_over: bool = False
    unhygienic: bool = False
    send_at: datetime | None = None
    send_weekday: int = -1
    send_hour: int = -1


@dataclass(frozen=True)
class On:
    """A pass under way through a journey of a group."""

    person: int
    journey: str
    priority: int
    group: str
    entered: datetime = NOW - timedelta(days=2)


@dataclass(frozen=True)
class Scene:
    """Everything that arbitration reads."""

    asks: Sequence[Ask]
    people: Sequence[Person] = (Person(),)
    past: Sequence[Had] = ()
    passes: Sequence[On] = ()
    policy: Policy = field(default_factory=Policy)
    now: datetime = NOW

    def candidates(self) -> Candidates:
        asks = self.asks
        return Candidates(
            tuple(ask.offer() for ask in asks),
            np.arange(len(asks)),
            np.array([ask.person for ask in asks], np.int64),
            np.array([ask.entered for ask in asks], "datetime64[us]"),
            np.array([ask.expires for ask in asks], "datetime64[us]"),
            np.array([ask.against for ask in asks], np.int64),
            np.array([ask.entered for ask in asks], "datetime64[us]"),
            np.array([ask.lot for ask in asks], np.uint64),
        )

    def facts(self) -> PeopleFacts:
        asks, people = self.asks, self.people
        zones = tuple(sorted({one.zone for one in people}))
        closed = np.zeros((len(asks), max(len(ask.channels) for ask in asks)), np.int64)
        for row, ask in enumerate(asks):
            closed[row, : len(ask.closed)] = ask.closed
        return PeopleFacts(
            zones,
            np.array([zones.index(one.zone) for one in people], np.int64),
            np.array([one.handed_over for one in people], np.bool_),
            np.array([one.unhygienic for one in people], np.bool_),
            np.array([one.send_at or NEVER for one in people], "datetime64[us]"),
            np.array([one.send_weekday for one in people], np.int64),
            np.array([one.send_hour for one in people], np.int64),
            closed,
            np.array([ask.probability for ask in asks], np.float64),
            np.array([ask.gain for ask in asks], np.float64),
            self._past(),
            self._passes(),
        )

    def _past(self) -> PastSends:
        topics = sorted({cap.topic for cap in self.policy.caps if cap.topic is not None})
        return PastSends(
            np.array([had.person for had in self.past], np.int64),
            np.array([had.at for had in self.past], "datetime64[us]"),
            np.array([CHANNELS.index(had.channel) for had in self.past], np.int64),
            np.array(
                [topics.index(had.topic) if had.topic in topics else -1 for had in self.past],
                np.int64,
            ),
            np.array([had.transactional for had in self.past], np.bool_),
            tuple(topics),
        )

    def _passes(self) -> Passes:
        journeys = sorted({one.journey for one in self.passes})
        groups = sorted({one.group for one in self.passes})
        return Passes(
            np.array([one.person for one in self.passes], np.int64),
            np.array([journeys.index(one.journey) for one in self.passes], np.int64),
            np.array([one.priority for one in self.passes], np.int64),
            np.array([one.entered for one in self.passes], "datetime64[us]"),
            np.array([groups.index(one.group) for one in self.passes], np.int64),
            tuple(journeys),
            tuple(groups),
        )

    def verdicts(self) -> Verdicts:
        return arbitrate(self.candidates(), self.facts(), self.policy, now=self.now)

    def said(self) -> list[dict[str, Any]]:
        """Return the verdicts as rows."""
        made = self.verdicts()
        return [
            {
                "fate": Fate(int(made.fate[n])),
                "channel": None if made.channel[n] < 0 else CHANNELS[made.channel[n]],
                "at": made.not_before[n].item(),
                "reasons": named(int(made.reasons[n])),
                "until": made.until[n].item(),
                "winner": int(made.winner[n]),
                "value": float(made.value[n]),
            }
            for n in range(len(self.asks))
        ]


def policy(**content: Any) -> Policy:
    """Return a policy as YAML would give it."""
    return Policy.model_validate(content)


class Arena:
    """All of the above, for tests to use: test files cannot import each other."""

    NOW = NOW
    Ask = Ask
    Had = Had
    Person = Person
    On = On
    Scene = Scene
    policy = staticmethod(policy)

    @staticmethod
    def one(ask: Ask, **rest: Any) -> Mapping[str, Any]:
        """Return what is said about a single candidate."""
        return Scene([ask], **rest).said()[0]


@pytest.fixture(scope="session")
def arena() -> type[Arena]:
    """Return the tools that set a scene."""
    return Arena
