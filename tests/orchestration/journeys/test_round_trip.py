"""A journey is the same whether it was written in YAML, in JSON or in Python."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlmarket.orchestration import DocumentError, Journey, load_journey
from mlmarket.orchestration.journeys.builder import JourneyBuilder, Steps, arm, path, steps

EASY = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def build_steps(content):
    """Return builder steps for plain content, by every method that a marketer has."""
    built = Steps()
    for step in content:
        (kind, value), *_ = step.items()
        if kind == "branch":
            paths = [path(p["name"], p["when"], build_steps(p["steps"])) for p in value["paths"]]
            built.branch(*paths, otherwise=build_steps(value["otherwise"]), name=value["name"])
        elif kind == "split":
            arms = [arm(a["name"], a["weight"], build_steps(a["steps"])) for a in value["arms"]]
            built.split(value["name"], *arms)
        elif kind == "wait" and isinstance(value, dict) and "until" in value:
            rest = {k: v for k, v in value.items() if k not in {"met", "timed_out"}}
            met, timed_out = build_steps(value["met"]), build_steps(value["timed_out"])
            built.wait(met=met, timed_out=timed_out, **rest)
        elif isinstance(value, dict):
            getattr(built, kind)(**value)
        else:
            getattr(built, kind)(value)
    return built


def build(content):
    """Return the builder of a whole journey for plain content."""
    journey = JourneyBuilder(content["journey"]).titled(content["title"])
    journey = journey.entered_by(**content["entry"]).reentered(content["reentry"])
    journey = journey.expiring_after(content["expires_after"])
    goal = content.get("goal")
    if goal is not None:
        journey = journey.aiming_at(**({"event": goal} if isinstance(goal, str) else goal))
    if "exit" in content:
        journey = journey.exiting(**content["exit"])
    keys = ("holdout", "priority", "topic")
    journey = journey.with_settings(**{key: content[key] for key in keys if key in content})
    for step in build_steps(content["steps"]).plain():
        (kind, value), *_ = step.items()
        journey._with(kind, value)
    return journey.build()


@EASY
@given(data=st.data())
def test_builder_yaml_and_canonical_form_are_one_journey(drawn, tmp_path_factory, data):
    content = data.draw(drawn())
    read = Journey.model_validate(content)
    built = build(content)
    file = tmp_path_factory.mktemp("drawn") / "journey.yaml"
    file.write_text(built.to_yaml(), encoding="utf-8")
    again = load_journey(file)
    assert read == built == again == Journey.model_validate_json(read.canonical())
    assert read.version == built.version == again.version
    assert again.to_yaml() == built.to_yaml()
    assert again.describe() == built.describe()


def test_a_builder_reads_like_the_file(tmp_path):
    built = (
        JourneyBuilder("cart_rescue")
        .titled("Rescue carts")
        .entered_by(event="add_to_cart")
        .reentered("7D")
        .aiming_at("order")
        .expiring_after("7D")
        .wait("4h")
        .message("forgot", "email", "cart_1", topic="offers")
        .branch(
            path("dear", "value > 100", lambda way: way.task("call", "Call about the cart")),
            otherwise=steps().wait("1D").message("last", ["email", "sms"], "cart_2"),
        )
        .split("subject", arm("short", 50), arm("long", 50, steps().tag(add="long")))
        .build()
    )
    file = tmp_path / "cart_rescue.yaml"
    file.write_text(
        """
journey: cart_rescue
title: Rescue carts
entry: {event: add_to_cart}
reentry: 7D
goal: order
expires_after: 7D
steps:
  - wait: 4h
  - message: {name: forgot, channel: email, template: cart_1, topic: offers}
  - branch:
      paths:
        - {name: dear, when: value > 100, steps: [{task: {name: call, title: Call about the cart}}]}
      otherwise:
        - wait: 1D
        - message: {name: last, channel: [email, sms], template: cart_2}
  - split:
      name: subject
      arms:
        - {name: short, weight: 50}
        - {name: long, weight: 50, steps: [{tag: {add: long}}]}
"""
    )
    assert built == load_journey(file)


def test_a_slip_in_a_builder_is_told_like_one_in_a_file():
    with pytest.raises(DocumentError, match=r"key 'steps.1.wait': 'soon' is not a length"):
        (
            JourneyBuilder("short")
            .titled("Short")
            .entered_by(event="x")
            .reentered("never")
            .expiring_after("1D")
            .wait("soon")
            .build()
        )


def test_words_that_older_yaml_reads_as_something_else_stay_words(tmp_path):
    file = tmp_path / "early.yaml"
    file.write_text(
        """
journey: early
title: Off season
entry: {segment: s, on: enter}
reentry: never
expires_after: 2D
steps:
  - wait: {time: 21:30}
  - message: {name: on, channel: email, template: yes, topic: no}
"""
    )
    journey = load_journey(file)
    assert journey.entry.on == "enter"
    assert (journey.messages[0].name, journey.messages[0].topic) == ("on", "no")
    file.write_text(journey.to_yaml())
    assert load_journey(file) == journey
