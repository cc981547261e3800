import re
from dataclasses import replace
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.reporting import JourneySection, JourneyStep, journey_diagram

SVG = "{http://www.w3.org/2000/svg}"
EMPTY = JourneySection(
    name="empty",
    title="Empty",
    entry="nobody yet",
    goal="an order",
    entered=0,
    active=0,
    reached_goal=0,
    exited=0,
    expired=0,
    held_out=0,
    steps=(),
    examples=(),
)


def parsed(journey):
    return ET.fromstring(journey_diagram(journey, id_prefix="way"))  # noqa: S314  our own text


def texts(journey):
    return [element.text for element in parsed(journey).iter(f"{SVG}text")]


def boxes(journey):
    return [
        tuple(float(box.get(side)) for side in ("x", "y", "width", "height"))
        for box in parsed(journey).iter(f"{SVG}rect")
    ]


def test_every_place_and_its_people_are_drawn(journey):
    said = " ".join(texts(journey))
    for words in (
        "Enters: members of",
        "84 people tonight",
        "1. wait 1 day",
        "12 here tonight · 3,871 sent so far",
        "Held back tonight",
        "9: no consent to",
        "Holdout",
        "Goal: an order",
        "1,240 so far",
        "Out of time",
        "2,011 so far",
    ):
        assert words in said


def test_a_reader_who_sees_nothing_hears_the_same(journey):
    root = parsed(journey)
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "way-title way-words"
    words = root.find(f"{SVG}desc").text
    assert "Step 2, e-mail 'we_miss_you': 12 here tonight · 3,871 sent so far" in words
    assert "9 held back: no consent to e-mail" in words


def test_a_journey_without_steps_still_has_an_entry_and_ends():
    said = texts(EMPTY)
    assert said[0] == "Enters: nobody yet"
    assert [text for text in said if text.startswith(("Goal", "Left", "Out"))] == [
        "Goal: an order",
        "Left",
        "Out of time",
    ]
    assert "Holdout" not in said


def test_boxes_do_not_lie_on_each_other_and_stay_inside(journey):
    root, places = parsed(journey), boxes(journey)
    width, height = (float(root.get(side)) for side in ("width", "height"))
    for number, (x, y, w, h) in enumerate(places):
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
        for other_x, other_y, other_w, other_h in places[:number]:
            beside = x >= other_x + other_w or other_x >= x + w
            below = y >= other_y + other_h or other_y >= y + h
            assert beside or below


hostile = st.text(alphabet=st.characters(codec="utf-8"), max_size=120) | st.sampled_from(
    ["<script>alert(1)</script>", '"/><g onload="x"/>', "]]>", "&amp;", "-->", "=cmd()"]
)


@given(entry=hostile, goal=hostile, title=hostile, reason=hostile)
@settings(max_examples=60)
def test_no_text_becomes_an_element_or_an_attribute(entry, goal, title, reason):
    step = JourneyStep(title, waiting=1, sent=1, suppressed=((reason, 1),))
    drawn = journey_diagram(replace(EMPTY, entry=entry, goal=goal, steps=(step,)), id_prefix="way")
    assert set(re.findall(r"<(\w+)", drawn)) == {"svg", "title", "desc", "rect", "text", "path"}
    assert not re.search(r"<[^>]*\son\w+=", drawn)
