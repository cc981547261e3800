"""The flat nodes lead where the nested steps say."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlmarket.orchestration import DocumentError, Journey
from mlmarket.orchestration.documents import validated

EASY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
LONGEST = 60


def content_of(step):
    """Return what the one key of a step holds."""
    return getattr(step, next(iter(type(step).model_fields)))


def ways_of(content):
    """Return the steps of each way of a node, None where it has none."""
    if hasattr(content, "paths"):
        return [*(one.steps for one in content.paths), content.otherwise]
    if hasattr(content, "arms"):
        return [one.steps for one in content.arms]
    if getattr(content, "until", None) is not None:
        return [content.met, content.timed_out]
    return None


def places(steps, behind):
    """Yield each named step with what comes from it on: itself, what follows, what is behind."""
    for number, step in enumerate(steps):
        content = content_of(step)
        here = (steps[number:], behind)
        if not isinstance(content, str):
            yield content.name, here
            for way in ways_of(content) or ():
                yield from places(way, (steps[number + 1 :], behind))


def interpret(journey, choose):
    """Walk the nested steps as they are read; return the contents met and the last words."""
    jumps = dict(places(journey.steps, None))
    steps, behind = journey.steps, None
    met = []
    while len(met) < LONGEST:
        if not steps:
            if behind is None:
                return met, None
            steps, behind = behind
            continue
        step, rest = steps[0], steps[1:]
        content = content_of(step)
        if type(step).__name__ == "GoToStep":
            steps, behind = jumps[content]
        elif type(step).__name__ == "EndStep":
            return met, content
        else:
            met.append(content)
            ways = ways_of(content)
            if ways is None:
                steps = rest
            else:
                steps, behind = ways[choose(len(met), len(ways))], (rest, behind)
    return met, None


def follow(journey, choose):
    """Walk the flat nodes; return the contents met and the last words."""
    met, position, words = [], 0, None
    while position < len(journey.nodes) and len(met) < LONGEST:
        node = journey.nodes[position]
        met.append(node.content)
        name, position = "next", node.next
        if node.ways:
            way = choose(len(met), len(node.ways))
            name, position = node.way_names[way], node.ways[way]
        words = dict(node.ends).get(name)
    return met, words if len(met) < LONGEST else None


@EASY
@given(data=st.data())
def test_flat_nodes_lead_where_the_nested_steps_say(drawn, data):
    journey = Journey.model_validate(data.draw(drawn()))
    picks = data.draw(st.lists(st.integers(0, 5), min_size=LONGEST, max_size=LONGEST))

    def choose(turn, ways):
        return picks[turn - 1] % ways

    nested, nested_words = interpret(journey, choose)
    flat, flat_words = follow(journey, choose)
    assert [id(one) for one in flat] == [id(one) for one in nested]
    if len(nested) < LONGEST:
        assert flat_words == nested_words


@EASY
@given(data=st.data())
def test_positions_are_in_the_order_of_reading(drawn, data):
    journey = Journey.model_validate(data.draw(drawn()))

    def read(steps):
        for step in steps:
            content = content_of(step)
            if not isinstance(content, str):
                yield content
                for way in ways_of(content) or ():
                    yield from read(way)

    assert [id(n.content) for n in journey.nodes] == [id(c) for c in read(journey.steps)]
    assert [node.position for node in journey.nodes] == list(range(len(journey.nodes)))
    assert len({node.name for node in journey.nodes}) == len(journey.nodes)
    for node in journey.nodes:
        assert len(node.ways) == len(node.way_names)
        assert all(0 <= way <= len(journey.nodes) for way in (node.next, *node.ways))


def test_a_journey_of_five_thousand_steps_is_laid_out(kit):
    steps = [{"tag": {"add": "x"}} for _ in range(5_000)]
    assert len(kit.journey(steps=steps).nodes) == 5_000


@pytest.mark.parametrize(
    ("steps", "what"),
    [
        ([{"end": "no"}, {"wait": "1D"}], "nothing can reach the steps behind a jump or an end"),
        ([{"tag": {"add": "x"}}, {"go_to": "there"}], "'go_to' leads to 'there', which is no step"),
        ([{"tag": {"add": "x", "name": "a"}}, {"go_to": "a"}], "the loop through 'a' has no wait"),
        ([{"tag": {"add": "x", "name": "end"}}], "no step can be called 'end'"),
        ([{"tag": {"add": "x", "name": "wait_2"}}, {"wait": "1D"}], "two steps are called"),
        ([{"wait": {"until": {"event": "x"}}}], "it could wait forever"),
    ],
)
def test_what_leads_nowhere_is_refused(kit, steps, what):
    content = {**kit.journey().model_dump(), "steps": steps, "reentry": "never"}
    with pytest.raises(DocumentError) as caught:
        validated(Journey, content, path="j.yaml", subject="journey 'j'")
    assert what in caught.value.what
