"""Which segments have to be decided before which others?"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from mlmarket.errors import suggestion
from mlmarket.expressions import ExpressionError
from mlmarket.expressions.tokens import Form, read_tokens
from mlmarket.orchestration.documents import DocumentError

if TYPE_CHECKING:
    from mlmarket.orchestration.segments.definition import Segment

__all__ = ["in_order", "references", "segments_named"]

_NAMES: Final = frozenset({Form.WORD, Form.TEXT, Form.NAME})


def segments_named(text: str | None) -> tuple[str, ...]:
    """Return the segments that a condition asks for with ``in_segment(…)``.

    Parameters
    ----------
    text : str or None
        A condition; one that cannot be read names none, its own check says what is wrong.

    Returns
    -------
    tuple of str
        In their order, each once.

    Examples
    --------
    >>> segments_named("in_segment(vip) and not in_segment('new')")
    ('vip', 'new')
    """
    if text is None or "in_segment" not in text.lower():
        return ()
    try:
        tokens = read_tokens(text)
    except ExpressionError:
        return ()
    names = [
        third.text
        for first, second, third in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if first.word == "in_segment" and second.word == "(" and third.form in _NAMES
    ]
    return tuple(dict.fromkeys(names))


def in_order(segments: Sequence["Segment"], *, path: str = "segments") -> tuple["Segment", ...]:
    """Put segments in an order in which each comes after those that it refers to.

    Parameters
    ----------
    segments : sequence of Segment
        In any order.
    path : str, default 'segments'
        The file, for messages.

    Returns
    -------
    tuple of Segment
        Otherwise in the order given.

    Raises
    ------
    DocumentError
        Where a segment refers to one that there is not, or to itself by some way around.
    """
    known = {segment.name: segment for segment in segments}
    for segment in segments:
        for key, names in references(segment).items():
            for name in names:
                if name not in known:
                    place = f"segment '{segment.name}', key '{key}'"
                    fix = suggestion(name, known)
                    raise DocumentError(path, place, f"there is no segment '{name}'", fix)
    done: dict[str, Segment] = {}
    for segment in segments:
        _visit(segment, known, done, (), path)
    return tuple(done.values())


def references(segment: "Segment") -> dict[str, Iterable[str]]:
    """Return the segments that a segment refers to, by the key that names them.

    Parameters
    ----------
    segment : Segment
        The segment.

    Returns
    -------
    dict of str to iterable of str
        For when, stay, all_of, any_of and not_in.
    """
    return {
        "when": segments_named(segment.when),
        "stay": segments_named(segment.stay),
        "all_of": segment.all_of,
        "any_of": segment.any_of,
        "not_in": segment.not_in,
    }


def _visit(
    segment: "Segment",
    known: Mapping[str, "Segment"],
    done: dict[str, "Segment"],
    way: tuple[str, ...],
    path: str,
) -> None:
    # A stack of our own would save nothing: a chain is as long as somebody's patience to write it.
    if segment.name in done:
        return
    if segment.name in way:
        circle = " → ".join([*way[way.index(segment.name) :], segment.name])
        problem = f"it depends on itself: {circle}"
        fix = "take one of these references out."
        raise DocumentError(path, f"segment '{segment.name}'", problem, fix)
    for names in references(segment).values():
        for name in names:
            _visit(known[name], known, done, (*way, segment.name), path)
    done[segment.name] = segment
