"""Does everybody who comes in get somewhere, and in time?"""

import heapq
from collections.abc import Iterator
from datetime import timedelta
from graphlib import CycleError, TopologicalSorter

from mlmarket.expressions import Expression, Schema
from mlmarket.orchestration.journeys.actions import Audience, Message, Start
from mlmarket.orchestration.journeys.describe import duration_in_words
from mlmarket.orchestration.journeys.flow import Branch, Split, Wait
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.journeys.nodes import Node
from mlmarket.orchestration.lint.findings import Finding
from mlmarket.orchestration.lint.logic import always, implies, never
from mlmarket.orchestration.lint.reading import Condition, condition_read, step_place

__all__ = ["flow_findings"]

_WHOLE = 100.0


def flow_findings(journey: Journey, known: Schema) -> Iterator[Finding]:
    """Yield what is wrong with the way through a journey.

    Parameters
    ----------
    journey : Journey
        Any journey.
    known : mapping of str to Type
        The columns of people.

    Yields
    ------
    Finding
        In no order.
    """
    subject = f"journey '{journey.journey}'"
    yield from _unreachable(journey, subject)
    yield from _too_late(journey, subject)
    yield from _spinning(journey, subject)
    yield from _in_a_row(journey, subject)
    yield from _held(journey, subject)
    for node in journey.nodes:
        if isinstance(node.content, Branch):
            yield from _dead(node, node.content, known, subject)
        elif isinstance(node.content, Split):
            yield from _weights(node, node.content, subject)


def _onward(node: Node) -> tuple[int, ...]:
    return node.ways or (node.next,)


def _unreachable(journey: Journey, subject: str) -> Iterator[Finding]:
    reached, todo = set(), [0]
    while todo:
        position = todo.pop()
        if position not in reached and position < len(journey.nodes):
            reached.add(position)
            todo += _onward(journey.nodes[position])
    for node in journey.nodes:
        if node.position not in reached:
            yield Finding(
                subject,
                step_place(node),
                "unreachable-node",
                "error",
                "No way leads to this step.",
                "Every way before it ends or jumps elsewhere, so it is never done.",
                "remove it, or let a way before it go on.",
            )


def _dead(node: Node, branch: Branch, known: Schema, subject: str) -> Iterator[Finding]:
    before: list[tuple[str, Expression]] = []
    for path in branch.paths:
        place = f"{step_place(node)}, path '{path.name}'"
        read = condition_read(Condition(place, path.when, "pass"), known)
        if not isinstance(read, Expression):
            continue
        taken = next((name for name, one in before if implies(read, one)), None)
        if never(read):
            what = f"The condition '{read}' can never hold."
            yield _nobody(subject, place, "dead-branch", what, "correct it, or remove the path.")
        elif taken is not None:
            what = f"Whoever meets '{read}' has already taken the path '{taken}'."
            fix = f"put it before '{taken}', or narrow '{taken}' down."
            yield _nobody(subject, place, "shadowed-rule", what, fix)
        before.append((path.name, read))
    for name, read in before:
        if always(read) and (name != branch.paths[-1].name or branch.otherwise):
            place = f"{step_place(node)}, path '{name}'"
            what = f"The condition '{read}' holds for everybody."
            fix = "correct it, or take the branch away."
            yield _nobody(subject, place, "dead-branch", what, fix)


def _nobody(subject: str, place: str, code: str, what: str, fix: str) -> Finding:
    why = "Nobody takes a way that is written down, so what it is for is not done."
    return Finding(subject, place, code, "error", what, why, fix)


def _weights(node: Node, split: Split, subject: str) -> Iterator[Finding]:
    whole = sum(arm.weight for arm in split.arms)
    if abs(whole - _WHOLE) > 1e-9 * _WHOLE:
        yield Finding(
            subject,
            step_place(node),
            "weights-not-100",
            "error",
            f"The weights sum to {whole:g}, not to 100.",
            "Arms get their part of the sum, which is then not the percent that is written.",
            "correct the weights, so that they sum to 100.",
        )


def _too_late(journey: Journey, subject: str) -> Iterator[Finding]:
    for position, soonest in _soonest(journey).items():
        node = journey.nodes[position]
        if soonest >= journey.expires_after and not isinstance(node.content, Wait):
            yield Finding(
                subject,
                step_place(node),
                "expires-too-early",
                "error",
                f"It is reached {duration_in_words(soonest)} after the entry at the soonest, but "
                f"the journey is over after {duration_in_words(journey.expires_after)}.",
                "Nobody ever gets that far.",
                "wait less, or let the journey expire later.",
            )


def _soonest(journey: Journey) -> dict[int, timedelta]:
    """Return how soon after the entry each node can be reached."""
    found: dict[int, timedelta] = {}
    queue = [(timedelta(0), 0)]
    while queue:
        passed, position = heapq.heappop(queue)
        if position in found or position >= len(journey.nodes):
            continue
        found[position] = passed
        node = journey.nodes[position]
        for way, target in enumerate(_onward(node)):
            heapq.heappush(queue, (passed + _least(node, way), target))
    return found


def _least(node: Node, way: int) -> timedelta:
    """Return how long a node surely takes on one of its ways."""
    if not isinstance(node.content, Wait):
        return timedelta(0)
    if node.content.duration is not None:
        return node.content.duration
    if node.content.at_most is not None and way == 1:
        return node.content.at_most
    return timedelta(0)


def _spinning(journey: Journey, subject: str) -> Iterator[Finding]:
    """Find loops whose waits may all be over at once."""
    ahead = {
        node.position: [
            target for way, target in enumerate(_onward(node)) if not _takes_time(node, way)
        ]
        for node in journey.nodes
    }
    try:
        TopologicalSorter(ahead).prepare()
    except CycleError as error:
        node = journey.nodes[error.args[1][0]]
        yield Finding(
            subject,
            step_place(node),
            "loop-without-wait",
            "warning",
            "It is in a loop whose every wait may be over at once.",
            "A person for whom that is so goes round at each tick until the journey expires.",
            "add a wait of a set length, such as '- wait: 1D', to the loop.",
        )


def _takes_time(node: Node, way: int) -> bool:
    waits = isinstance(node.content, Wait) and node.content.kind == "time"
    return waits or _least(node, way) > timedelta(0)


def _in_a_row(journey: Journey, subject: str) -> Iterator[Finding]:
    told = set()
    for node in journey.nodes:
        if not isinstance(node.content, Message):
            continue
        for other in _at_once(journey, node):
            if other.position not in told:
                told.add(other.position)
                yield Finding(
                    subject,
                    step_place(other),
                    "messages-in-a-row",
                    "warning",
                    f"It follows '{node.name}' without a wait.",
                    "The same person gets both within minutes where the journey runs every minute.",
                    "put a wait between them.",
                )


def _at_once(journey: Journey, node: Node) -> Iterator[Node]:
    """Yield the next messages behind a message, as far as no wait stands between."""
    seen, todo = {node.position}, [node.next]
    while todo:
        position = todo.pop()
        if position in seen or position >= len(journey.nodes):
            continue
        seen.add(position)
        one = journey.nodes[position]
        if isinstance(one.content, Message):
            yield one
        elif not isinstance(one.content, Wait):
            todo += _onward(one)


def _held(journey: Journey, subject: str) -> Iterator[Finding]:
    """Find messages that hold people back from things for which no consent is needed."""
    for node in journey.nodes:
        content = node.content
        if not isinstance(content, Message) or content.if_blocked != "hold" or content.hold_for:
            continue
        kept = next((one for one in _behind(journey, node) if _is_own(one)), None)
        if kept is not None:
            yield Finding(
                subject,
                step_place(node),
                "wait-without-timeout",
                "warning",
                f"Whoever may not get it is held here until the journey expires, before "
                f"'{kept.name}'.",
                "Without a consent they never come to a step that needs none.",
                "write 'if_blocked: advance', or 'hold_for: 3D'.",
            )


def _is_own(node: Node) -> bool:
    """Whether a node does something for which no consent is needed."""
    return not isinstance(node.content, Message | Wait | Branch | Split | Audience | Start)


def _behind(journey: Journey, node: Node) -> Iterator[Node]:
    seen, todo = {node.position}, [node.next]
    while todo:
        position = todo.pop()
        if position not in seen and position < len(journey.nodes):
            seen.add(position)
            yield journey.nodes[position]
            todo += _onward(journey.nodes[position])
