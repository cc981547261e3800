"""Journeys of every shape, to try what must hold for all of them."""

import pytest
from hypothesis import strategies as st

DURATIONS = st.sampled_from(["30min", "1D", "12h", "90min", "7D"])
WORDS = st.sampled_from(
    ["risk > 0.5", "country = 'PT'", "no", "on", "21:30", "1e3", "a: b # c", "ü"]
)


def _message(names):
    channel = st.sampled_from(["email", ["email", "sms"], ["push"]])
    return st.fixed_dictionaries(
        {"name": names, "channel": channel, "template": WORDS},
        optional={
            "topic": WORDS,
            "slots": st.dictionaries(st.sampled_from(["a", "b"]), WORDS, max_size=2),
            "send": st.sampled_from(["now", "best_time"]),
            "within": DURATIONS,
            "hold_for": DURATIONS,
            "if_blocked": st.sampled_from(["hold", "advance", "drop"]),
            "worth": st.fixed_dictionaries(
                {"probability": WORDS}, optional={"value": st.sampled_from([2, 2.5, "price"])}
            ),
        },
    ).map(lambda content: {"message": content})


def _plain(names):
    return st.one_of(
        _message(names),
        DURATIONS.map(lambda duration: {"wait": duration}),
        names.map(lambda name: {"wait": {"time": "09:30", "weekdays": ["mon"], "name": name}}),
        names.map(lambda name: {"tag": {"add": "x", "name": name}}),
        names.map(lambda name: {"alert": {"name": name, "to": "owner", "text": "Call"}}),
        names.map(lambda name: {"start": {"journey": "other", "name": name}}),
        names.map(lambda name: {"set_field": {"field": "stage", "value": "hot", "name": name}}),
        names.map(lambda name: {"webhook": {"name": name, "endpoint": "crm", "data": {"a": "b"}}}),
    )


@st.composite
def _sequence(draw, names, depth, jumps):
    found = []
    for _ in range(draw(st.integers(0 if depth else 1, 3))):
        kind = draw(st.sampled_from(["plain", "plain", "branch", "split", "until"]))
        if kind == "plain" or depth == 2:
            found.append(draw(_plain(names)))
            continue
        ways = [draw(_sequence(names, depth + 1, jumps)) for _ in range(draw(st.integers(2, 3)))]
        found.append(_forked(kind, draw(names), ways, draw(WORDS)))
    if depth and draw(st.integers(0, 3)) == 0:
        found.append(draw(jumps))
    return found


def _forked(kind, name, ways, words):
    if kind == "branch":
        paths = [{"name": f"p{n}", "when": words, "steps": way} for n, way in enumerate(ways[:-1])]
        return {"branch": {"name": name, "paths": paths, "otherwise": ways[-1]}}
    if kind == "split":
        arms = [{"name": f"a{n}", "weight": n + 1, "steps": way} for n, way in enumerate(ways)]
        return {"split": {"name": name, "arms": arms}}
    until = {"until": {"event": "order"}, "at_most": "3D", "met": ways[0], "timed_out": ways[1]}
    return {"wait": {"name": name, **until}}


@st.composite
def journeys(draw, *, jumping=True):
    """Draw the plain content of a journey, whose every step has its name."""
    counter = iter(range(10_000))
    names = st.builds(lambda: f"step_{next(counter)}")
    jumps = st.sampled_from([{"end": "done"}, *([{"go_to": "first"}] if jumping else [])])
    steps = [
        {"wait": {"duration": "1D", "name": "first"}},
        {"tag": {"add": "begun", "name": "begun"}},
        *draw(_sequence(names, 0, jumps)),
    ]
    content = {
        "journey": "drawn",
        "title": draw(WORDS),
        "entry": draw(st.sampled_from([{"segment": "s", "on": "enter"}, {"event": "cart"}])),
        "reentry": draw(st.sampled_from(["never", "after_exit", "365D"])),
        "expires_after": "30D",
        "steps": steps,
    }
    if draw(st.booleans()):
        content["goal"] = draw(
            st.sampled_from(["order", {"event": "order", "where": "value > 20"}])
        )
    if draw(st.booleans()):
        content |= {"holdout": 0.25, "priority": 70, "topic": "offers", "exit": {"event": "order"}}
    return content


@pytest.fixture(scope="session")
def drawn():
    """Return the strategy that draws journeys as plain content."""
    return journeys
