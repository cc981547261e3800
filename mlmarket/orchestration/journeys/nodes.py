"""Where does each step of a journey lead, once branches are laid out flat?

A journey is written as steps within steps. The engine follows it by position: each step that
does something is a node with a number, in the order in which a reader meets them, and knows the
numbers of the nodes that may come next. ``go_to`` and ``end`` are no nodes: they only say where
the step before them leads. The position behind the last node is the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from mlmarket.orchestration.documents import refuse
from mlmarket.orchestration.journeys.actions import Action
from mlmarket.orchestration.journeys.flow import (
    Branch,
    BranchStep,
    EndStep,
    GoToStep,
    Split,
    SplitStep,
    Step,
    Wait,
    WaitStep,
)

__all__ = ["Content", "Node", "laid_out"]

Content: TypeAlias = Action | Branch | Split | Wait
"""What a node does."""


@dataclass(frozen=True, slots=True)
class Node:
    """One step that does something.

    Parameters
    ----------
    position : int
        Its number, from 0.
    name : str
        Once in a journey: as written, else the kind and the number from 1, such as ``wait_3``.
    kind : str
        The key of the step, such as ``message`` or ``branch``.
    content : Action, Branch, Split or Wait
        As written.
    next : int
        Where it leads; the number of nodes stands for the end. For a branch, a split and a wait
        ``until``: where its ways meet again.
    ways : tuple of int
        Where each way begins: the paths of a branch and then ``otherwise``; the arms of a split;
        ``met`` and ``timed_out`` of a wait ``until``. Empty for all others.
    way_names : tuple of str
        How they are called.
    ends : tuple of tuple of (str, str)
        For documentation: the words of an ``end`` that a way, or ``next``, leads to directly.
    """

    position: int
    name: str
    kind: str
    content: Content
    next: int
    ways: tuple[int, ...] = ()
    way_names: tuple[str, ...] = ()
    ends: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Draft:
    name: str
    kind: str
    content: Content
    next: "_Target"
    ways: "tuple[_Target, ...]" = ()
    way_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _To:
    """A place that is known by name or number only after all nodes are numbered."""

    name: str | None = None
    words: str | None = None


_END: Final = _To()
_Target: TypeAlias = int | _To


def laid_out(steps: Sequence[Step]) -> tuple[Node, ...]:
    """Lay the steps of a journey out flat.

    Parameters
    ----------
    steps : sequence of Step
        As written.

    Returns
    -------
    tuple of Node
        In the order of their positions.

    Raises
    ------
    PydanticCustomError
        Where a name stands twice, a jump leads nowhere, or nothing can reach a step behind one.
    """
    drafts: list[_Draft] = []
    _lay(steps, _END, drafts)
    names: dict[str, int] = {}
    for position, draft in enumerate(drafts):
        if draft.name == "end":
            refuse("no step can be called 'end'", "decisions call the end so; choose another name.")
        if draft.name in names:
            refuse(f"two steps are called '{draft.name}'", "give each its own name.")
        names[draft.name] = position
    return tuple(_node(position, draft, names) for position, draft in enumerate(drafts))


def _lay(steps: Sequence[Step], after: _Target, drafts: list[_Draft]) -> _Target:
    """Append the nodes of steps; return where the first of them begins."""
    begin: _Target | None = None
    last: int | None = None
    for number, step in enumerate(steps):
        here = _jump(step, behind=len(steps) - number - 1)
        target: _Target = len(drafts) if here is None else here
        begin = target if begin is None else begin
        if last is not None:
            _join(drafts, last, target)
        last = None
        if here is None:
            last = len(drafts)
            _append(step, drafts)
    if last is not None:
        _join(drafts, last, after)
    return after if begin is None else begin


def _jump(step: Step, *, behind: int) -> _To | None:
    """Return where a step leads that is no node, None for all others."""
    if not isinstance(step, GoToStep | EndStep):
        return None
    if behind:
        refuse("nothing can reach the steps behind a jump or an end", "remove them.")
    return _To(name=step.go_to) if isinstance(step, GoToStep) else _To(words=step.end)


def _append(step: Step, drafts: list[_Draft]) -> None:
    """Append a node and those of its ways; they end where the node's ``next`` will begin."""
    kind = next(iter(type(step).model_fields))
    content: Content = getattr(step, kind)
    name = getattr(content, "name", None) or f"{kind}_{len(drafts) + 1}"
    draft = _Draft(name, kind, content, _MEET)
    drafts.append(draft)
    inner = _inner(step)
    draft.way_names = tuple(way for way, _ in inner)
    draft.ways = tuple(_lay(body, _MEET, drafts) for _, body in inner)


def _join(drafts: list[_Draft], first: int, following: _Target) -> None:
    """Say where the ways of a node meet again, now that it is known."""
    for draft in drafts[first:]:
        _meet(draft, following)


_MEET: Final = _To(name="\0")
"""Where the ways of the innermost branch that is still open meet again."""


def _meet(draft: _Draft, following: _Target) -> None:
    if draft.next is _MEET:
        draft.next = following
    draft.ways = tuple(following if way is _MEET else way for way in draft.ways)


def _inner(step: Step) -> list[tuple[str, tuple[Step, ...]]]:
    if isinstance(step, BranchStep):
        paths = [(path.name, path.steps) for path in step.branch.paths]
        return [*paths, ("otherwise", step.branch.otherwise)]
    if isinstance(step, SplitStep):
        return [(arm.name, arm.steps) for arm in step.split.arms]
    if isinstance(step, WaitStep) and step.wait.until is not None:
        return [("met", step.wait.met), ("timed_out", step.wait.timed_out)]
    return []


def _node(position: int, draft: _Draft, names: dict[str, int]) -> Node:
    count = len(names)

    def number(target: _Target) -> int:
        if isinstance(target, int):
            return target
        if target.name is None:
            return count
        if target.name not in names:
            known = ", ".join(sorted(names))
            refuse(f"'go_to' leads to '{target.name}', which is no step", f"use one of {known}.")
        return names[target.name]

    said = [
        (way, target.words)
        for way, target in zip((*draft.way_names, "next"), (*draft.ways, draft.next), strict=True)
        if isinstance(target, _To) and target.words is not None
    ]
    return Node(
        position,
        draft.name,
        draft.kind,
        draft.content,
        number(draft.next),
        tuple(number(way) for way in draft.ways),
        draft.way_names,
        tuple(said),
    )
