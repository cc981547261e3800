"""How is a text filled in for each person, and for whom can it not be?

``{rec_1_title}`` stands for a column, ``{risk:percent}`` for it in a form, and
``{first_name|there}`` for it with a word in place of a missing value. ``{trigger_item}`` is the
item of the event that let the person in.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import ibis
import ibis.expr.types as ir

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.orchestration.engine.json_text import json_of
from mlmarket.orchestration.wording import FORMATS, Placeholder, as_text

__all__ = ["TRIGGER_ITEM", "Token", "as_json", "filled_in", "lacking", "parts_of", "tokens_of"]

TRIGGER_ITEM: Final = "trigger_item"
"""The token that comes from the pass, not from the person."""

_TOKEN: Final = re.compile(r"\{([^{}:|]+)(?::([^{}|]*))?(?:\|([^{}]*))?\}")


@dataclass(frozen=True, slots=True)
class Token:
    """A place in a text that is filled in.

    Parameters
    ----------
    column : str
        The column, or ``trigger_item``.
    form : str, default 'text'
        How its value is written: one of ``percent``, ``number``, ``date``, ``text``.
    default : str, optional
        What stands there where the value is missing.
    """

    column: str
    form: str = "text"
    default: str | None = None


def tokens_of(text: str) -> tuple[Token, ...]:
    """Return the tokens of a text.

    Parameters
    ----------
    text : str
        A slot, or the text of an alert.

    Returns
    -------
    tuple of Token
        In their order.

    Raises
    ------
    ConfigurationError
        For an unknown form or a brace without its partner.

    Examples
    --------
    >>> tokens_of("Hello {first_name|there}")
    (Token(column='first_name', form='text', default='there'),)
    """
    return tuple(part for part in parts_of(text) if isinstance(part, Token))


def parts_of(text: str) -> tuple[str | Token, ...]:
    """Return a text cut into plain parts and tokens.

    Parameters
    ----------
    text : str
        As a person wrote it.

    Returns
    -------
    tuple of str or Token
        In their order; no part is empty.

    Raises
    ------
    ConfigurationError
        As :func:`tokens_of` does.
    """
    parts: list[str | Token] = []
    position = 0
    for found in _TOKEN.finditer(text):
        parts += [text[position : found.start()], _token(text, found)]
        position = found.end()
    parts.append(text[position:])
    if any(isinstance(part, str) and re.search(r"[{}]", part) for part in parts):
        what = f"In the text '{text}' a brace is open, doubled or empty."
        raise ConfigurationError(what, _NOT_FILLED, "write {column} or {column|default}.")
    return tuple(part for part in parts if part)


_NOT_FILLED: Final = "The text cannot be filled in."


def _token(text: str, found: re.Match[str]) -> Token:
    form = "text" if found[2] is None else found[2].strip()
    if form not in FORMATS:
        what = f"In the text '{text}' there is no form '{form}'."
        raise ConfigurationError(what, _NOT_FILLED, suggestion(form, FORMATS))
    return Token(found[1].strip(), form, found[3])


def lacking(texts: Mapping[str, str], table: ir.Table) -> ir.BooleanValue | None:
    """Return for whom some token has neither a value nor a default.

    Parameters
    ----------
    texts : mapping of str to str
        The texts by slot.
    table : ibis.expr.types.Table
        A row a person; a column that it lacks counts as missing for everyone.

    Returns
    -------
    ibis.expr.types.BooleanValue or None
        None where every token has a default, or there is none.
    """
    needed = sorted(
        {
            (token.column, token.form)
            for text in texts.values()
            for token in tokens_of(text)
            if token.default is None
        }
    )
    if not needed:
        return None
    return ibis.or_(*(_value(Token(*one), table).isnull() for one in needed))


def filled_in(text: str, table: ir.Table) -> ir.StringValue:
    """Return a text with its tokens filled in, missing where one of them is.

    Parameters
    ----------
    text : str
        As a person wrote it.
    table : ibis.expr.types.Table
        A row a person.

    Returns
    -------
    ibis.expr.types.StringValue
        One text a row.
    """
    whole: ir.StringValue = ibis.literal("")
    for part in parts_of(text):
        whole = whole + (ibis.literal(part) if isinstance(part, str) else _value(part, table))
    return whole


def as_json(texts: Mapping[str, str], table: ir.Table) -> ir.StringValue:
    """Return the filled-in texts of each person as one JSON object, keys in their order.

    Parameters
    ----------
    texts : mapping of str to str
        The texts by slot.
    table : ibis.expr.types.Table
        A row a person.

    Returns
    -------
    ibis.expr.types.StringValue
        One object a row; a text with a missing token is null in it.
    """
    whole: ir.StringValue = ibis.literal("{")
    for place, name in enumerate(sorted(texts)):
        key = json.dumps(name, ensure_ascii=False)
        whole = whole + ibis.literal(f"{', ' if place else ''}{key}: ")
        if tokens_of(texts[name]):
            whole = whole + json_of(filled_in(texts[name], table))
        else:
            whole = whole + ibis.literal(json.dumps(texts[name], ensure_ascii=False))
    return whole + ibis.literal("}")


def _value(token: Token, table: ir.Table) -> ir.StringValue:
    if token.column in table.columns:
        value = as_text(Placeholder(token.column, token.form), table).nullif("")
    else:
        value = ibis.null("string")
    return value if token.default is None else value.fill_null(token.default)
