"""Where does each step of a journey stand in its picture?

Steps stand below each other, the ways of a branch side by side, and they meet again below the
longest of them. Since a journey is steps within steps, no line of this order ever crosses another;
only a jump may, and it is drawn behind everything else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from mlmarket.orchestration.graph.cards import Card, card_of
from mlmarket.orchestration.graph.counts import NodeCounts
from mlmarket.orchestration.graph.letters import width_of, wrapped
from mlmarket.orchestration.journeys.flow import (
    BranchStep,
    EndStep,
    GoToStep,
    SplitStep,
    Step,
    WaitStep,
)
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.journeys.nodes import Node

__all__ = ["Box", "Chip", "Label", "Line", "Picture", "laid"]

NARROWEST, WIDEST = 148.0, 232.0
"""Width of a card, in pixels."""
_ROOM: Final = 852.0
_ACROSS: Final = 22.0
_DOWN: Final = 26.0
_EMPTY_WAY: Final = 116.0
_KIND, _TITLE, _DETAIL, _LABEL = 9.5, 14.0, 11.5, 11.0
_INSIDE: Final = 15.0
_FIGURES: Final = 36.0


@dataclass(frozen=True, slots=True)
class Box:
    """The card of one step."""

    node: Node
    x: float
    y: float
    width: float
    height: float
    kind: str
    title: tuple[str, ...]
    details: tuple[str, ...]
    counts: NodeCounts | None

    @property
    def middle(self) -> float:
        """Where lines arrive and leave."""
        return self.x + self.width / 2.0

    @property
    def bottom(self) -> float:
        """Where it ends."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Label:
    """The name and condition of a way, on its line."""

    x: float
    y: float
    width: float
    height: float
    title: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chip:
    """An end, or a jump to the step of a name."""

    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]
    target: str | None = None

    @property
    def bottom(self) -> float:
        """Where it ends."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Line:
    """A way from one place to another, by its corners."""

    points: tuple[tuple[float, float], ...]
    arrow: bool = True


@dataclass(slots=True)
class Picture:
    """All places of one journey."""

    width: float
    height: float = 0.0
    boxes: list[Box] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    chips: list[Chip] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


@dataclass(slots=True)
class _Placing:
    """What is needed while steps are placed: nodes are met in the order of their positions."""

    nodes: Iterator[Node]
    counts: dict[str, NodeCounts]
    counted: bool
    card: float
    picture: Picture


_Ends = list[tuple[float, float]]
"""Where lines are that lead on to whatever comes next."""


def laid(journey: Journey, counts: dict[str, NodeCounts], *, top: float, counted: bool) -> Picture:
    """Place all steps of a journey.

    Parameters
    ----------
    journey : Journey
        Any journey.
    counts : dict of str to NodeCounts
        By the name of the step.
    top : float
        Where the line from the entry begins.
    counted : bool
        Whether cards have room for figures.

    Returns
    -------
    Picture
        Its height is where the last line ends.
    """
    card = WIDEST
    while card > NARROWEST and _width(journey.steps, card) > _ROOM:
        card -= 2.0
    width = max(_width(journey.steps, card), 2.0 * WIDEST) + 2.0 * _ACROSS
    placing = _Placing(iter(journey.nodes), counts, counted, card, Picture(width))
    middle = width / 2.0
    ends = _sequence(placing, journey.steps, middle, [(middle, top)])
    picture = placing.picture
    lowest = max([end[1] for end in ends], default=0.0)
    bottoms = [one.bottom for one in picture.boxes] + [chip.bottom for chip in picture.chips]
    if ends:
        end = _chip(placing, middle, max([lowest, *bottoms]) + _DOWN, "End")
        _meet(placing, ends, middle, end.y)
        bottoms.append(end.bottom)
    picture.height = max([lowest, *bottoms])
    return picture


def _ways(step: Step) -> list[tuple[str, str, tuple[Step, ...]]]:
    """Return name, words and steps of each way that begins at a step."""
    if isinstance(step, BranchStep):
        paths = [(path.name, path.when, path.steps) for path in step.branch.paths]
        return [*paths, ("otherwise", "", step.branch.otherwise)]
    if isinstance(step, SplitStep):
        shares = zip(step.split.arms, step.split.shares, strict=True)
        return [(arm.name, f"{share * 100:g}%", arm.steps) for arm, share in shares]
    if isinstance(step, WaitStep) and step.wait.until is not None:
        most = [("it happens", "", step.wait.met), ("time runs out", "", step.wait.timed_out)]
        # Where nothing happens on either way, two lines that meet at once would say nothing.
        return most if step.wait.met or step.wait.timed_out else []
    return []


def _width(steps: Sequence[Step], card: float) -> float:
    return max((_step_width(step, card) for step in steps), default=_EMPTY_WAY)


def _step_width(step: Step, card: float) -> float:
    ways = _ways(step)
    across = sum(_width(inner, card) for _, _, inner in ways) + _ACROSS * (len(ways) - 1)
    return max(card, across)


def _sequence(placing: _Placing, steps: Sequence[Step], middle: float, ends: _Ends) -> _Ends:
    """Place steps below each other; return the lines that lead on from the last."""
    lowest = 0.0
    for step in steps:
        lowest = max([lowest, *(y for _, y in ends)])
        if isinstance(step, GoToStep):
            chip = _chip(placing, middle, lowest + _DOWN, f"go on at {step.go_to}", step.go_to)
            _meet(placing, ends, middle, chip.y)
            return []
        if isinstance(step, EndStep):
            chip = _chip(placing, middle, lowest + _DOWN, step.end)
            _meet(placing, ends, middle, chip.y)
            return []
        joined = 14.0 if len(ends) > 1 else 0.0
        chips = len(placing.picture.chips)
        box = _box(placing, middle, lowest + _DOWN + joined)
        _meet(placing, ends, middle, box.y)
        ways = _ways(step)
        ends = _fork(placing, box, ways) if ways else [(middle, box.bottom)]
        # A way that has ended may reach further down than those that lead on.
        lowest = _bottom(placing.picture, box, chips)
    return ends


def _bottom(picture: Picture, box: Box, chips: int) -> float:
    """Return where everything ends that belongs to a step and its ways."""
    since = picture.boxes.index(box)
    bottoms = [one.bottom for one in picture.boxes[since:]]
    return max([*bottoms, *(one.bottom for one in picture.chips[chips:])])


def _meet(placing: _Placing, ends: _Ends, middle: float, y: float) -> None:
    """Draw lines from where they are to the middle, and on to what stands there.

    There is none where all ways before have ended: only a jump can lead there.
    """
    bar = y - 16.0
    for x, top in ends:
        if len(ends) == 1 and x == middle:
            placing.picture.lines.append(Line(((x, top), (middle, y))))
        else:
            placing.picture.lines.append(Line(((x, top), (x, bar), (middle, bar)), arrow=False))
    if len(ends) > 1 or (ends and ends[0][0] != middle):
        placing.picture.lines.append(Line(((middle, bar), (middle, y))))


def _fork(placing: _Placing, box: Box, ways: list[tuple[str, str, tuple[Step, ...]]]) -> _Ends:
    widths = [_width(inner, placing.card) for _, _, inner in ways]
    left = box.middle - (sum(widths) + _ACROSS * (len(ways) - 1)) / 2.0
    bar, ends = box.bottom + 14.0, []
    labels = [
        _label(name, words, width) for (name, words, _), width in zip(ways, widths, strict=True)
    ]
    tallest = max(label.height for label in labels)
    for (_, _, inner), width, label in zip(ways, widths, labels, strict=True):
        middle = left + width / 2.0
        left += width + _ACROSS
        corners = ((box.middle, box.bottom), (box.middle, bar), (middle, bar), (middle, bar + 12.0))
        placing.picture.lines.append(Line(corners, arrow=False))
        shifted = Label(
            middle - label.width / 2.0,
            bar + 12.0,
            label.width,
            label.height,
            label.title,
            label.lines,
        )
        placing.picture.labels.append(shifted)
        # Lines of ways stay level: the first cards of all ways begin at one height.
        below = bar + 12.0 + label.height
        level = bar + 12.0 + tallest
        if below < level:
            placing.picture.lines.append(Line(((middle, below), (middle, level)), arrow=False))
        ends += _sequence(placing, inner, middle, [(middle, level)])
    return ends


def _label(name: str, words: str, width: float) -> Label:
    inside = width - 12.0
    title = wrapped(name, width=inside, size=_LABEL * 1.1, most_lines=2)
    lines = wrapped(words, width=inside, size=9.5, most_lines=4) if words else ()
    longest = [width_of(line, _LABEL * 1.1) for line in title] + [
        width_of(line, 9.5) for line in lines
    ]
    height = len(title) * 14.0 + len(lines) * 12.0 + 8.0
    return Label(0.0, 0.0, min(width, max(longest) + 16.0), height, title, lines)


def _chip(
    placing: _Placing, middle: float, y: float, words: str, target: str | None = None
) -> Chip:
    size = 11.5
    lines = wrapped(words, width=placing.card - 26.0, size=size, most_lines=3)
    width = max(width_of(line, size) for line in lines) + 28.0
    chip = Chip(middle - width / 2.0, y, width, len(lines) * 15.0 + 10.0, lines, target)
    placing.picture.chips.append(chip)
    return chip


def _box(placing: _Placing, middle: float, y: float) -> Box:
    node = next(placing.nodes)
    card: Card = card_of(node)
    inside = placing.card - 2.0 * _INSIDE
    kind = wrapped(card.kind, width=inside - 20.0, size=_KIND * 1.1, most_lines=1)[0]
    title = wrapped(card.title, width=inside, size=_TITLE * 1.08, most_lines=3)
    details = tuple(
        line
        for text in card.details
        for line in wrapped(text, width=inside, size=_DETAIL, most_lines=2)
    )
    counts = placing.counts.get(node.name, NodeCounts()) if placing.counted else None
    height = 14.0 + _KIND + 8.0 + len(title) * 18.0 + len(details) * 15.0 + 6.0
    height += _FIGURES if counts is not None else 0.0
    left = middle - placing.card / 2.0
    box = Box(node, left, y, placing.card, height, kind, title, details, counts)
    placing.picture.boxes.append(box)
    return box
