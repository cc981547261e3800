"""Pictures of journeys: complete, readable, the same each time, and harmless."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlmarket.orchestration import Journey
from mlmarket.orchestration.graph import JourneyCounts, NodeCounts, journey_svg, to_mermaid
from mlmarket.orchestration.graph.layout import laid
from mlmarket.orchestration.graph.letters import width_of, wrapped
from mlmarket.orchestration.templates import load_template, templates

EASY = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
SVG = "{http://www.w3.org/2000/svg}"
# A line of a flowchart is a node with a quoted text, or an arrow with or without one.
TEXT = r'"(?:[^"#&<>\[\]{}()|;`\\]|#\d+;|<br/>)*"'
NODE = re.compile(
    rf"  \w+(?:\({TEXT}\)|\[{TEXT}\]|\{{\{{{TEXT}\}}\}}|\(\[{TEXT}\]\)|\[\[{TEXT}\]\])"
)
ARROW = re.compile(rf"  (\w+) -->(?:\|{TEXT}\|)? (\w+)")


def counted(journey):
    """Return counts of every step."""
    nodes = {node.name: NodeCounts(1_234, 98_765, 432) for node in journey.nodes}
    return JourneyCounts(nodes, 12_840, 642, 1_903, 310, 88)


def check_mermaid(text):
    """Read a flowchart strictly: every line is known, every arrow has both its ends."""
    head, *lines = text.splitlines()
    assert head == "flowchart TD"
    nodes, ends = set(), set()
    for line in lines:
        arrow = ARROW.fullmatch(line)
        if arrow is not None:
            ends |= {arrow[1], arrow[2]}
        else:
            assert NODE.fullmatch(line), line
            name = re.match(r"  (\w+)", line)[1]
            assert name not in nodes
            assert name not in {"end", "graph", "subgraph", "style", "class", "click"}
            nodes.add(name)
    assert ends <= nodes
    assert nodes - {"goal"} <= ends
    return nodes


def tree(svg):
    """Return the elements of a picture."""
    return ET.fromstring(svg)  # noqa: S314 - our own drawing


def texts(svg):
    """Return all texts of a picture, in order."""
    return [one.text or "" for one in tree(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("name", templates())
@pytest.mark.parametrize("with_counts", [False, True])
def test_the_flowchart_of_every_template_is_valid(name, with_counts):
    journey = load_template(name)
    nodes = check_mermaid(to_mermaid(journey, counted(journey) if with_counts else None))
    assert {f"n{n + 1}" for n in range(len(journey.nodes))} <= nodes


@EASY
@given(data=st.data())
def test_the_flowchart_of_every_journey_is_valid(drawn, data):
    journey = Journey.model_validate(data.draw(drawn()))
    nodes = check_mermaid(to_mermaid(journey))
    assert {f"n{n + 1}" for n in range(len(journey.nodes))} <= nodes


@pytest.mark.parametrize("name", templates())
def test_the_picture_of_every_template_is_readable_at_900_pixels(name):
    journey = load_template(name)
    root = tree(journey_svg(journey, counted(journey)))
    assert float(root.get("width")) <= 900
    sizes = [float(one.get("font-size")) for one in root.iter(f"{SVG}text")]
    assert min(sizes) >= 9


def overlap(one, other):
    """Whether two places overlap."""
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


@EASY
@given(data=st.data())
def test_no_two_places_overlap_and_all_lie_inside(drawn, data):
    journey = Journey.model_validate(data.draw(drawn()))
    picture = laid(journey, {}, top=100.0, counted=True)
    places = [*picture.boxes, *picture.labels, *picture.chips]
    assert [box.node.position for box in picture.boxes] == list(range(len(journey.nodes)))
    for number, one in enumerate(places):
        assert one.x >= 0
        assert one.x + one.width <= picture.width
        assert one.y >= 100
        assert one.y + one.height <= picture.height
        assert not any(overlap(one, other) for other in places[:number])


@EASY
@given(data=st.data())
def test_lines_that_run_down_never_cross_a_card(drawn, data):
    journey = Journey.model_validate(data.draw(drawn()))
    picture = laid(journey, {}, top=100.0, counted=False)
    for line in picture.lines:
        for (x1, y1), (x2, y2) in zip(line.points, line.points[1:], strict=False):
            assert x1 == x2 or y1 == y2
            top, bottom = sorted((y1, y2))
            left, right = sorted((x1, x2))
            for box in picture.boxes:
                inside_x = right > box.x + 0.5 and left < box.x + box.width - 0.5
                inside_y = bottom > box.y + 0.5 and top < box.bottom - 0.5
                assert not (inside_x and inside_y), (line, box.node.name)


@EASY
@given(data=st.data())
def test_pictures_are_well_formed_and_the_same_each_time(drawn, data):
    journey = Journey.model_validate(data.draw(drawn()))
    svg = journey_svg(journey)
    assert svg == journey_svg(Journey.model_validate_json(journey.canonical()))
    tree(svg)


def test_the_people_stand_at_their_places():
    journey = load_template("win_back")
    counts = JourneyCounts({"last_call": NodeCounts(7, 4_321, 56)}, 12_840, 642, 1_903, 310, 88)
    shown = texts(journey_svg(journey, counts))
    for figure in ("7", "4,321", "56", "12,840 came in · 642 held out", "1,903", "310", "88"):
        assert figure in shown
    assert "waiting" not in texts(journey_svg(journey))
    assert "4,321 done" in to_mermaid(journey, counts)


def test_ends_and_jumps_are_named():
    shown = texts(journey_svg(load_template("mql_programme")))
    assert "go on at" in " ".join(shown)
    assert "End" in shown
    assert {"came back", "reads again"} <= set(texts(journey_svg(load_template("sunset"))))


def test_a_text_from_outside_does_nothing_in_a_picture(kit):
    evil = '</text><script>alert(1)</script> "quoted" & ]> #35; `x` \u202eturned'
    journey = kit.journey(title=evil, steps=[{"alert": {"name": "a", "to": evil, "text": "x"}}])
    svg = journey_svg(journey, id_prefix='x" onload="alert(1)')
    assert "<script" not in svg
    root = tree(svg)
    assert set(root.attrib) >= {"id", "role"}
    assert "onload" not in root.attrib
    assert "\u202e" not in svg
    check_mermaid(to_mermaid(journey))


def test_nothing_in_a_picture_moves_loads_or_depends_on_the_day():
    svg = journey_svg(load_template("welcome"), counted(load_template("welcome")))
    for word in ("script", "href", "url(", "@import", "animate", "foreignObject"):
        assert word not in svg
    assert not re.search(r"20\d\d-\d\d", svg)


def test_a_picture_says_in_words_what_it_shows():
    root = tree(journey_svg(load_template("welcome")))
    assert root.find(f"{SVG}title").text == "Welcome new contacts"
    assert "Goal: 'order' within 14 days of the entry." in root.find(f"{SVG}desc").text


@given(st.text(max_size=80), st.integers(30, 300))
def test_no_line_of_a_text_is_wider_than_its_room(text, width):
    lines = wrapped(text, width=width, size=10, most_lines=3)
    assert 1 <= len(lines) <= 3
    assert all(width_of(line, 10) <= width + 1e-6 for line in lines)
