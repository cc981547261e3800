"""What does a journey look like, and who is where in it?"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from mlmarket.reporting.content import JourneySection, JourneyStep
from mlmarket.reporting.number_text import count
from mlmarket.reporting.safe_text import visible, wrapped

__all__ = ["journey_diagram"]

_WIDTH: Final = 480.0
_MAIN: Final = 296.0
"""Width of the boxes that everybody passes."""
_ASIDE: Final = 320.0
"""Where the boxes begin of those who do not."""
_GAP: Final = 26.0
_PADDING: Final = 11.0
_FIRST: Final = 14.0
"""Height of the letters of a title."""
_LATER: Final = 12.0
_LINE: Final = 1.4
_INK: Final = "#222222"
_QUIET: Final = "#5A5A5A"
# Okabe and Ito (2008), Color Universal Design; the form of a line says it too.
_BLUE: Final = "#0072B2"
_GREEN: Final = "#00795A"
_ORANGE: Final = "#B34A00"


@dataclass(frozen=True, slots=True)
class _Box:
    """Lines of text in a frame; the first one is the title."""

    x: float
    y: float
    width: float
    title: tuple[str, ...]
    lines: tuple[str, ...]
    colour: str = _QUIET
    fill: str = "#FFFFFF"
    dashed: bool = False

    @property
    def height(self) -> float:
        heights = len(self.title) * _FIRST + len(self.lines) * _LATER
        return heights * _LINE + 2.0 * _PADDING - 4.0

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> float:
        return self.x + self.width / 2.0

    def draw(self) -> Markup:
        dash = Markup(' stroke-dasharray="5 3"') if self.dashed else Markup("")
        parts = [
            Markup(
                '<rect x="{}" y="{}" width="{}" height="{}" rx="7" fill="{}" stroke="{}" '
                'stroke-width="1.5"{}/>'
            ).format(
                *map(_place, (self.x, self.y, self.width, self.height)),
                self.fill,
                self.colour,
                dash,
            )
        ]
        y = self.y + _PADDING - 4.0
        for text, size, weight, colour in self._texts():
            y += size * _LINE
            parts.append(
                Markup(
                    '<text x="{}" y="{}" font-size="{}" font-weight="{}" fill="{}">{}</text>'
                ).format(_place(self.x + _PADDING), _place(y), _place(size), weight, colour, text)
            )
        return Markup("").join(parts)

    def _texts(self) -> Iterable[tuple[str, float, str, str]]:
        yield from ((text, _FIRST, "600", _INK) for text in self.title)
        yield from ((text, _LATER, "400", _INK) for text in self.lines)


def journey_diagram(journey: JourneySection, *, id_prefix: str) -> Markup:
    """Draw a journey from its entry to its ends, with the people at each place.

    Parameters
    ----------
    journey : JourneySection
        One journey's night.
    id_prefix : str
        Put before every id.

    Returns
    -------
    Markup
        One ``<svg>`` element that needs no style from the page; texts are escaped.
    """
    parts: list[Markup] = []
    entry = _box("Enters: " + journey.entry, [f"{_people(journey.entered)} tonight"], 0.0, _BLUE)
    parts.append(entry.draw())
    bottom = max(entry.bottom, _held_out(journey, entry, parts))
    above = entry
    for number, step in enumerate(journey.steps, start=1):
        box = _box(f"{number}. {step.title}", [_at_step(step)], bottom + _GAP)
        parts += [_arrow(above.middle, above.bottom, box.y), box.draw()]
        bottom = max(box.bottom, _held_back(step, box, parts))
        above = box
    ends = _ends(journey, bottom + 2.0 * _GAP)
    parts += _branches(above, ends)
    parts += [end.draw() for end in ends]
    height = max(end.bottom for end in ends) + 1.5
    return _drawing(parts, height, _in_words(journey), id_prefix)


def _box(title: str, lines: list[str], y: float, colour: str = _QUIET) -> _Box:
    inside = _MAIN - 2.0 * _PADDING
    return _Box(
        x=1.0,
        y=y + 1.0,
        width=_MAIN,
        title=wrapped(title, width=inside, size=_FIRST, most_lines=4),
        lines=tuple(lines),
        colour=colour,
        fill="#EAF3F9" if colour == _BLUE else "#FFFFFF",
    )


def _aside(title: str, lines: list[str], box: _Box) -> _Box:
    width = _WIDTH - _ASIDE - 1.0
    inside = width - 2.0 * _PADDING
    return _Box(
        x=_ASIDE,
        y=box.y,
        width=width,
        title=wrapped(title, width=inside, size=_FIRST, most_lines=3),
        lines=tuple(
            part
            for line in lines
            for part in wrapped(line, width=inside, size=_LATER, most_lines=3)
        ),
        colour=_ORANGE,
        fill="#FDF4EC",
        dashed=True,
    )


def _held_out(journey: JourneySection, entry: _Box, parts: list[Markup]) -> float:
    """Draw who is followed without messages; return where that ends."""
    if not journey.held_out:
        return entry.bottom
    aside = _aside("Holdout", [f"{count(journey.held_out)} followed without messages"], entry)
    parts += [_link(entry, aside), aside.draw()]
    return aside.bottom


def _held_back(step: JourneyStep, box: _Box, parts: list[Markup]) -> float:
    """Draw who got no message tonight, and why; return where that ends."""
    if not step.suppressed:
        return box.bottom
    lines = [f"{count(number)}: {reason}" for reason, number in step.suppressed]
    aside = _aside("Held back tonight", lines, box)
    parts += [_link(box, aside), aside.draw()]
    return aside.bottom


def _ends(journey: JourneySection, y: float) -> list[_Box]:
    ends = (
        ("Goal: " + journey.goal, journey.reached_goal, _GREEN, "#EAF6F1"),
        ("Left", journey.exited, _QUIET, "#F6F6F6"),
        ("Out of time", journey.expired, _QUIET, "#F6F6F6"),
    )
    widths = (210.0, 120.0, 120.0)
    boxes, x = [], 1.0
    for (title, number, colour, fill), width in zip(ends, widths, strict=True):
        lines = wrapped(title, width=width - 2.0 * _PADDING, size=_FIRST, most_lines=4)
        boxes.append(_Box(x, y, width, lines, (f"{count(number)} so far",), colour, fill))
        x += width + 14.0
    return boxes


def _branches(above: _Box, ends: list[_Box]) -> list[Markup]:
    """Draw the way from the last step, and from any step, to the ends."""
    fork = ends[0].y - 16.0
    parts = [_line(above.middle, above.bottom, above.middle, fork)]
    parts.append(_line(ends[0].middle, fork, ends[-1].middle, fork))
    parts += [_arrow(end.middle, fork, end.y) for end in ends]
    parts.append(
        Markup('<text x="{}" y="{}" font-size="11" fill="{}">from any step</text>').format(
            _place(above.middle + 8.0), _place(fork - 7.0), _QUIET
        )
    )
    return parts


def _arrow(x: float, top: float, bottom: float) -> Markup:
    tip = Markup('<path d="M{} {}l-4.5 -8h9z" fill="{}"/>').format(
        _place(x), _place(bottom), _QUIET
    )
    return _line(x, top, x, bottom - 6.0) + tip


def _link(box: _Box, aside: _Box) -> Markup:
    y = box.y + min(box.height, aside.height) / 2.0
    return _line(box.x + box.width, y, aside.x, y, dashed=True)


def _line(x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False) -> Markup:
    dash = Markup(' stroke-dasharray="5 3"') if dashed else Markup("")
    return Markup('<path d="M{} {}L{} {}" fill="none" stroke="{}" stroke-width="1.5"{}/>').format(
        *map(_place, (x1, y1, x2, y2)), _QUIET, dash
    )


def _drawing(parts: list[Markup], height: float, words: str, id_prefix: str) -> Markup:
    return Markup(
        '<svg id="{0}" role="img" aria-labelledby="{0}-title {0}-words" viewBox="0 0 {1} {2}" '
        'width="{1}" height="{2}" font-family="system-ui, sans-serif" '
        'xmlns="http://www.w3.org/2000/svg"><title id="{0}-title">The way through the journey'
        '</title><desc id="{0}-words">{3}</desc>{4}</svg>'
    ).format(id_prefix, _place(_WIDTH), _place(height), visible(words), Markup("\n").join(parts))


def _in_words(journey: JourneySection) -> str:
    """Return the diagram for readers who do not see it."""
    sentences = [f"Enters: {journey.entry}, {_people(journey.entered)} tonight."]
    for number, step in enumerate(journey.steps, start=1):
        held = "".join(f", {count(people)} held back: {why}" for why, people in step.suppressed)
        sentences.append(f"Step {number}, {step.title}: {_at_step(step)}{held}.")
    sentences.append(
        f"Goal, {journey.goal}: {_people(journey.reached_goal)}. Left: {count(journey.exited)}. "
        f"Out of time: {count(journey.expired)}. Holdout: {count(journey.held_out)}."
    )
    return " ".join(sentences)


def _at_step(step: JourneyStep) -> str:
    sent = f" · {count(step.sent)} sent so far" if step.sent else ""
    return f"{count(step.waiting)} here tonight{sent}"


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{count(number)} people"


def _place(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
