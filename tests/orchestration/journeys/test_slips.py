"""Whatever stands in the wrong place, the message speaks of the file and not of our models."""

import copy
import re

import pytest

from mlmarket.orchestration import DocumentError, Journey, Policy
from mlmarket.orchestration.documents import validated

JOURNEY = {
    "journey": "j",
    "title": "T",
    "entry": {"segment": "s", "on": "enter", "when": "a > 1", "most": 5, "max_age": "2D"},
    "reentry": "40D",
    "goal": {"event": "order", "where": "value > 20"},
    "exit": {"left_segment": True, "when": "x", "event": "order"},
    "expires_after": "30D",
    "holdout": 0.1,
    "priority": 40,
    "transactional": False,
    "steps": [
        {
            "message": {
                "name": "m",
                "channel": ["email", "sms"],
                "template": "t",
                "slots": {"a": "{b|c}"},
                "worth": {"probability": "p", "value": 2.5, "cost": 1},
                "hold_for": "2D",
            }
        },
        {"wait": {"time": "09:00", "weekdays": ["mon"]}},
        {"start": "other"},
        {"tag": {"add": "x"}},
        {"audience": {"platform": "linkedin", "add": "x"}},
        {"task": {"name": "call", "title": "Call", "due_in": "2D"}},
        {"branch": {"paths": [{"name": "a", "when": "b > 1", "steps": [{"wait": "1D"}]}]}},
        {
            "split": {
                "name": "sp",
                "arms": [{"name": "a", "weight": 50}, {"name": "b", "weight": 50}],
            }
        },
        {"wait": {"until": {"event": "order"}, "at_most": "3D", "met": [{"end": "done"}]}},
    ],
}
POLICY = {
    "timezone": "Europe/Lisbon",
    "channels": {"email": {"window": {"opens": "08:00", "closes": "20:00"}, "cost": 0.1}},
    "caps": [{"name": "a", "most": 3, "per": "7D", "channel": "email"}],
    "fatigue": {"cost": 0.1, "within": "7D"},
}
WRONG = [None, 7, -1, 0.5, True, "zzz zzz", "", "x\ny", [], [1], [{}], {}, {"zz": 1}, float("nan")]
OURS = re.compile(
    r"function-|constrained|union|literal|step:|instance|dictionary|tuple|pydantic|input should"
    r"|\[key\]|timedelta|validator|none required",
    re.IGNORECASE,
)


def places(content, above=()):
    """Yield the way to each value."""
    yield above
    inner = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in inner:
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from (found for found in places(value, (*above, key)) if found != (*above, key))


def replaced(content, place, value):
    """Return the content with one value replaced."""
    if not place:
        return value
    changed = copy.deepcopy(content)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def slip(model, content):
    """Return the error that content is refused with, None where it is not."""
    try:
        validated(model, content, path="f.yaml", subject="it")
    except DocumentError as error:
        return error
    return None


@pytest.mark.parametrize(("model", "content"), [(Journey, JOURNEY), (Policy, POLICY)])
def test_no_message_speaks_of_our_models(model, content):
    validated(model, content, path="f.yaml", subject="it")
    refused = [
        (value, error)
        for place in places(content)
        for value in WRONG
        if (error := slip(model, replaced(content, place, value))) is not None
    ]
    assert len(refused) > 100
    for value, error in refused:
        assert not OURS.search(error.what.replace(repr(value), "")), error.what
        assert error.what.startswith("f.yaml, it")
        assert len(str(error).splitlines()) == 3, str(error)
        assert error.fix[-1] in ".?…"


def test_an_unknown_word_comes_with_the_near_one():
    wrong = replaced(JOURNEY, ("entry", "on"), "entre")
    with pytest.raises(DocumentError) as caught:
        validated(Journey, wrong, path="f.yaml", subject="journey 'j'")
    assert "key 'entry.on': it cannot be 'entre'" in caught.value.what
    assert "'enter'" in caught.value.fix
