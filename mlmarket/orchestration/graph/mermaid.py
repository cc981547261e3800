"""How is a journey written as a Mermaid flowchart, for pages that draw one themselves?"""

from typing import Final

from mlmarket.orchestration.graph.cards import Card, card_of
from mlmarket.orchestration.graph.counts import JourneyCounts, NodeCounts
from mlmarket.orchestration.journeys.describe import entry_in_words
from mlmarket.orchestration.journeys.flow import Branch, Split
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.journeys.nodes import Node

__all__ = ["to_mermaid"]

_SHAPES: Final = {"branch": ("{{", "}}"), "split": ("{{", "}}"), "wait": ("(", ")")}
_KEPT: Final = frozenset(" _-.,+*/'?!:\N{MIDDLE DOT}\N{MINUS SIGN}")


def to_mermaid(journey: Journey, counts: JourneyCounts | None = None) -> str:
    """Write a journey as a Mermaid flowchart.

    Parameters
    ----------
    journey : Journey
        Any journey.
    counts : JourneyCounts, optional
        How many people are where.

    Returns
    -------
    str
        The text of a ``flowchart``; it ends with a new line.
    """
    lines = ["flowchart TD"]
    entered = None if counts is None or counts.entered is None else f"{counts.entered:,} came in"
    lines.append(f"  entry([{_quoted(entry_in_words(journey.entry), entered)}])")
    lines += [f"  {_drawn(node, counts)}" for node in journey.nodes]
    end = len(journey.nodes)
    ends: dict[tuple[int, str], str] = {}
    arrows = ["  entry --> n1" if end else "  entry --> finish"]
    for node in journey.nodes:
        arrows += _arrows(node, end, ends)
    for (_, words), name in ends.items():
        lines.append(f"  {name}([{_quoted(words)}])")
    if any(arrow.endswith(" finish") for arrow in arrows):
        lines.append(f"  finish([{_quoted('End')}])")
    if journey.goal is not None:
        reached = None
        if counts is not None and counts.reached_goal is not None:
            reached = f"{counts.reached_goal:,} reached it"
        lines.append(f"  goal[[{_quoted(f'Goal: {journey.goal.event}', reached)}]]")
    return "\n".join([*lines, *arrows, ""])


def _drawn(node: Node, counts: JourneyCounts | None) -> str:
    card: Card = card_of(node)
    opens, closes = _SHAPES.get(node.kind, ("[", "]"))
    figures = None if counts is None else _figures(counts.nodes.get(node.name, NodeCounts()))
    return f"n{node.position + 1}{opens}{_quoted(card.kind, card.title, *card.details, figures)}{closes}"


def _figures(counts: NodeCounts) -> str:
    return f"{counts.waiting:,} waiting · {counts.sent:,} done · {counts.suppressed:,} held back"


def _arrows(node: Node, end: int, ends: dict[tuple[int, str], str]) -> list[str]:
    """Return the arrows that leave a node."""
    said = dict(node.ends)

    def target(position: int, way: str) -> str:
        if position < end:
            return f"n{position + 1}"
        if way not in said:
            return "finish"
        return ends.setdefault((node.position, said[way]), f"end{len(ends) + 1}")

    here = f"n{node.position + 1}"
    if not node.ways:
        return [f"  {here} --> {target(node.next, 'next')}"]
    words = _way_words(node)
    return [
        f"  {here} -->|{_quoted(*words[way])}| {target(position, way)}"
        for way, position in zip(node.way_names, node.ways, strict=True)
    ]


def _way_words(node: Node) -> dict[str, tuple[str, ...]]:
    if isinstance(node.content, Branch):
        return {path.name: (path.name, path.when) for path in node.content.paths} | {
            "otherwise": ("otherwise",)
        }
    if isinstance(node.content, Split):
        shares = zip(node.content.arms, node.content.shares, strict=True)
        return {arm.name: (arm.name, f"{share * 100:g}%") for arm, share in shares}
    return {"met": ("it happens",), "timed_out": ("time runs out",)}


def _quoted(*lines: str | None) -> str:
    """Return lines in quotes; a sign that Mermaid could obey is written by its number."""
    return '"' + "<br/>".join(_plain(line) for line in lines if line) + '"'


def _plain(text: str) -> str:
    return "".join(
        letter if letter.isalnum() or letter in _KEPT else f"#{ord(letter)};"
        for letter in " ".join(text.split())
    )
