"""How is a journey drawn, with the people at each place?

A static picture: no script, no style from outside, no dates, and the same bytes for the same
journey. It is made for a page of 900 pixels and says in words what it shows.
"""

from typing import Final

from mlmarket.orchestration.graph.cards import COLOURS
from mlmarket.orchestration.graph.counts import JourneyCounts, NodeCounts
from mlmarket.orchestration.graph.layout import Box, Chip, Label, Line, Picture, laid
from mlmarket.orchestration.graph.letters import escaped, width_of, wrapped
from mlmarket.orchestration.journeys.describe import duration_in_words, entry_in_words
from mlmarket.orchestration.journeys.journey import Journey

__all__ = ["journey_svg"]

_INK, _QUIET, _LINE, _PLAIN = "#1F2933", "#52606D", "#9AA5B1", "#F7F8FA"
_GREEN, _GREEN_GROUND = "#0B6E4F", "#EFF8F4"
_JUMP: Final = "#6741A5"
_FONT: Final = "'Inter','Segoe UI','Helvetica Neue',Arial,sans-serif"
_TOP: Final = 58.0
_END_HEIGHT: Final = 54.0
_THOUSAND: Final = 1_000
_CLOSE: Final = 150.0
_MILLION: Final = 999_500


def journey_svg(
    journey: Journey, counts: JourneyCounts | None = None, *, id_prefix: str = "journey"
) -> str:
    """Draw a journey from its entry to its ends.

    Parameters
    ----------
    journey : Journey
        Any journey.
    counts : JourneyCounts, optional
        How many people are where; without it the picture has no figures.
    id_prefix : str, default 'journey'
        Put before every id, for a page with several pictures.

    Returns
    -------
    str
        One ``<svg>`` element; all texts are escaped.
    """
    entry = _entry_lines(journey)
    bottom = _TOP + 30.0 + 17.0 * len(entry) + (16.0 if counts is not None else 0.0)
    nodes = dict(counts.nodes) if counts is not None else {}
    picture = laid(journey, nodes, top=bottom, counted=counts is not None)
    parts = [_title(journey), _entry(entry, counts, picture.width)]
    parts += [_jump(chip, picture) for chip in picture.chips if chip.target is not None]
    parts += [_line(line) for line in picture.lines]
    parts += [_label(label) for label in picture.labels]
    parts += [_chip(chip) for chip in picture.chips]
    parts += [_box(box) for box in picture.boxes]
    parts.append(_outcomes(journey, counts, picture))
    height = picture.height + 30.0 + _END_HEIGHT + 14.0
    return _document(journey, parts, (picture.width, height), id_prefix)


def _document(journey: Journey, parts: list[str], size: tuple[float, float], id_prefix: str) -> str:
    width, height = map(_number, size)
    name = escaped(id_prefix)
    words = escaped(" ".join(line.strip() for line in journey.describe()))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}" role="img" '
            f'aria-labelledby="{name}-title {name}-words" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="{_FONT}">',
            f'<title id="{name}-title">{escaped(journey.title)}</title>',
            f'<desc id="{name}-words">{words}</desc>',
            f'<rect width="{width}" height="{height}" fill="#FFFFFF"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _title(journey: Journey) -> str:
    quiet = f"{journey.journey} · priority {journey.priority}"
    quiet += "" if journey.topic is None else f" · about {journey.topic}"
    quiet += f" · holdout {journey.holdout * 100:g}%" if journey.holdout else ""
    return _text((22.0, 28.0), journey.title, 19.0, weight=700) + _text(
        (22.0, 47.0), quiet, 11.5, colour=_QUIET
    )


def _entry_lines(journey: Journey) -> tuple[str, ...]:
    return wrapped(entry_in_words(journey.entry), width=400.0, size=13.5, most_lines=4)


def _entry(lines: tuple[str, ...], counts: JourneyCounts | None, across: float) -> str:
    """Draw who comes in, at the top."""
    figures = _entry_figures(counts)
    height = 30.0 + 17.0 * len(lines) + (16.0 if figures else 0.0) - 8.0
    longest = max([*(width_of(line, 13.5) for line in lines), width_of(figures, 12.0), 120.0])
    width = longest + 44.0
    left, top = across / 2.0 - width / 2.0, _TOP + 8.0
    parts = [
        _frame(
            (left, top, width, height),
            fill=_INK,
            stroke=_INK,
            radius=height / 2.0 if len(lines) == 1 else 18.0,
        )
    ]
    y = top + 22.0
    for line in lines:
        parts.append(
            _text((across / 2.0, y), line, 12.5, weight=600, colour="#FFFFFF", anchor="middle")
        )
        y += 17.0
    if figures:
        parts.append(_text((across / 2.0, y), figures, 12.0, colour="#D9E2EC", anchor="middle"))
    return "".join(parts)


def _entry_figures(counts: JourneyCounts | None) -> str:
    if counts is None or counts.entered is None:
        return ""
    held = f" · {counts.held_out:,} held out" if counts.held_out else ""
    return f"{counts.entered:,} came in{held}"


def _box(box: Box) -> str:
    """Draw the card of one step."""
    ink, ground = COLOURS.get(box.node.kind, (_QUIET, _PLAIN))
    parts = [
        _frame((box.x, box.y, box.width, box.height), fill=ground, stroke=ink, radius=9.0),
        f'<path d="M{_number(box.x + 5.5)} {_number(box.y)}h-0.5a5 9 0 0 0 -5 9v{_number(box.height - 18.0)}'
        f'a5 9 0 0 0 5 9h0.5z" fill="{ink}"/>',
    ]
    left, y = box.x + 15.0, box.y + 19.0
    parts.append(_text((left, y), box.kind, 9.5, weight=700, colour=ink, spacing=True))
    number = str(box.node.position + 1)
    parts.append(_text((box.x + box.width - 10.0, y), number, 10.0, colour=_QUIET, anchor="end"))
    for line in box.title:
        y += 18.0
        parts.append(_text((left, y), line, 14.0, weight=600))
    for line in box.details:
        y += 15.0
        parts.append(_text((left, y), line, 11.5, colour=_QUIET))
    if box.counts is not None:
        parts.append(_figures(box, box.counts))
    return "".join(parts)


def _figures(box: Box, counts: NodeCounts) -> str:
    """Draw how many people are at a step, at the foot of its card."""
    message = box.node.kind == "message"
    shown = [(counts.waiting, "waiting" if message else "here now", _INK)]
    if box.node.kind != "wait":  # nothing is done there: people are gone when it is over
        shown.append((counts.sent, "sent" if message else "done", _INK))
    if message:
        shown.append((counts.suppressed, "held back", "#B03A06"))
    top, room = box.bottom - 34.0, box.width - 30.0
    parts = [
        f'<path d="M{_number(box.x + 15.0)} {_number(top)}h{_number(room)}" stroke="#D9E2EC"/>'
    ]
    for place, (number, words, colour) in enumerate(shown):
        x = box.x + 15.0 + place * room / len(shown)
        dimmed = colour if number else _LINE
        parts.append(_text((x, top + 16.0), _short(number, room), 12.0, weight=700, colour=dimmed))
        parts.append(_text((x, top + 27.5), words, 9.0, colour=_QUIET))
    return "".join(parts)


def _short(number: int, room: float) -> str:
    """Return a number of people in at most five signs, four where there is little room."""
    if number < (_THOUSAND if room < _CLOSE else 10 * _THOUSAND):
        return f"{number:,}"
    if number < _MILLION:
        whole = number >= (10 if room < _CLOSE else 100) * _THOUSAND
        return f"{number / 1e3:.0f}k" if whole else f"{number / 1e3:.1f}k"
    return f"{number / 1e6:.1f}M"


def _label(label: Label) -> str:
    parts = [
        _frame(
            (label.x, label.y, label.width, label.height),
            fill="#FFFFFF",
            stroke="#CBD2D9",
            radius=8.0,
        )
    ]
    middle, y = label.x + label.width / 2.0, label.y + 2.0
    for line in label.title:
        y += 14.0
        parts.append(_text((middle, y), line, 11.0, weight=600, anchor="middle"))
    for line in label.lines:
        y += 12.0
        parts.append(_text((middle, y), line, 9.5, colour=_QUIET, anchor="middle"))
    return "".join(parts)


def _chip(chip: Chip) -> str:
    jumps = chip.target is not None
    colour = _JUMP if jumps else _QUIET
    radius = min(chip.height / 2.0, 13.0)
    fill = "#F8F5FD" if jumps else "#EDF0F3"
    parts = [
        _frame(
            (chip.x, chip.y, chip.width, chip.height),
            fill=fill,
            stroke=colour,
            radius=radius,
            dashed=jumps,
        )
    ]
    y = chip.y + 4.5
    for line in chip.lines:
        y += 15.0
        middle = chip.x + chip.width / 2.0
        parts.append(
            _text((middle, y - 0.5), line, 11.5, weight=600, colour=colour, anchor="middle")
        )
    return "".join(parts)


def _jump(chip: Chip, picture: Picture) -> str:
    """Draw the way of a jump, behind everything else."""
    target = next(box for box in picture.boxes if box.node.name == chip.target)
    middle = chip.x + chip.width / 2.0
    right = target.middle > middle
    x1, y1 = (chip.x + chip.width if right else chip.x), chip.y + chip.height / 2.0
    x2, y2 = (target.x if right else target.x + target.width), target.y + 20.0
    if abs(target.middle - middle) < target.width / 2.0:
        x1, x2, out = chip.x, target.x, -40.0
        bend = f"C{_number(x1 + out)} {_number(y1)} {_number(x2 + out)} {_number(y2)}"
    else:
        half = (x1 + x2) / 2.0
        bend = f"C{_number(half)} {_number(y1)} {_number(half)} {_number(y2)}"
    tip = 8.0 if x2 == target.x else -8.0
    ends = x2 - (6.0 if tip > 0 else -6.0)
    path = f"M{_number(x1)} {_number(y1)}{bend} {_number(ends)} {_number(y2)}"
    return (
        f'<path d="{path}" fill="none" stroke="{_JUMP}" stroke-width="1.5" stroke-dasharray="5 4"/>'
        f'<path d="M{_number(x2)} {_number(y2)}l{_number(-tip)} -4.5v9z" fill="{_JUMP}"/>'
    )


def _line(line: Line) -> str:
    corners = list(line.points)
    if line.arrow:
        x, y = corners[-1]
        corners[-1] = (x, y - 7.0)
    path = "L".join(f"{_number(x)} {_number(y)}" for x, y in corners)
    drawn = f'<path d="M{path}" fill="none" stroke="{_LINE}" stroke-width="1.6" stroke-linejoin="round"/>'
    if line.arrow:
        x, y = line.points[-1]
        drawn += f'<path d="M{_number(x)} {_number(y)}l-4.5 -8h9z" fill="{_LINE}"/>'
    return drawn


def _outcomes(journey: Journey, counts: JourneyCounts | None, picture: Picture) -> str:
    """Draw how a pass can end from any step, at the foot."""
    expiry = duration_in_words(journey.expires_after)
    ends = [
        ("Out of time", f"{expiry} after the entry", None if counts is None else counts.expired)
    ]
    if journey.exit.left_segment or journey.exit.when or journey.exit.event:
        words = journey.exit.when or journey.exit.event or "the segment"
        told = f"on {words}" if journey.exit.event else words
        left = "left the segment" if journey.exit.left_segment else told
        ends.insert(0, ("Leaves", left, None if counts is None else counts.exited))
    if journey.goal is not None:
        words = journey.goal.event + (f", {journey.goal.where}" if journey.goal.where else "")
        ends.insert(0, ("Goal", words, None if counts is None else counts.reached_goal))
    top, x = picture.height + 30.0, 22.0
    width = (picture.width - 44.0 - 12.0 * (len(ends) - 1)) / len(ends)
    drawn = [_text((22.0, top - 8.0), "From any step", 10.5, colour=_QUIET)]
    for title, words, number in ends:
        good = title == "Goal"
        ink, ground = (_GREEN, _GREEN_GROUND) if good else (_QUIET, _PLAIN)
        drawn.append(_frame((x, top, width, _END_HEIGHT), fill=ground, stroke=ink, radius=9.0))
        shown = wrapped(words, width=width - 30.0, size=11.5, most_lines=1)[0]
        drawn.append(_text((x + 14.0, top + 23.0), title, 13.5, weight=700, colour=ink))
        drawn.append(_text((x + 14.0, top + 41.0), shown, 11.5, colour=_INK))
        if number is not None:
            end = x + width - 14.0
            drawn.append(
                _text((end, top + 24.0), f"{number:,}", 15.0, weight=700, colour=ink, anchor="end")
            )
        x += width + 12.0
    return "".join(drawn)


def _frame(
    place: tuple[float, float, float, float],
    *,
    fill: str,
    stroke: str,
    radius: float,
    dashed: bool = False,
) -> str:
    x, y, width, height = place
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return (
        f'<rect x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" '
        f'height="{_number(height)}" rx="{_number(radius)}" fill="{fill}" stroke="{stroke}" '
        f'stroke-width="1.2"{dash}/>'
    )


def _text(
    at: tuple[float, float],
    words: str,
    size: float,
    *,
    weight: int = 400,
    colour: str = _INK,
    anchor: str = "start",
    spacing: bool = False,
) -> str:
    x, y = at
    placed = "" if anchor == "start" else f' text-anchor="{anchor}"'
    spaced = ' letter-spacing="0.6"' if spacing else ""
    return (
        f'<text x="{_number(x)}" y="{_number(y)}" font-size="{_number(size)}" '
        f'font-weight="{weight}" fill="{colour}"{placed}{spaced}>{escaped(words)}</text>'
    )


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
