"""From text to words, names, numbers, quoted text and signs.

sqlglot's tokenizer for DuckDB splits the text, so that quotes and numbers mean what they mean
in SQL; what it would skip (comments) or bend (``1_000``, dollar quotes) is refused here.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

import sqlglot
from sqlglot import TokenType
from sqlglot.errors import TokenError

from mlmarket.expressions.errors import ExpressionError

__all__ = ["MAX_LENGTH", "Form", "Token", "read_tokens"]

MAX_LENGTH = 10_000
"""Characters an expression may have."""

_WORD = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_QUOTED = re.compile(r"""'(?:[^']|'')*+'|"(?:[^"]|"")*+"|['"]""")


class Form(Enum):
    """What a token is."""

    WORD = auto()
    NAME = auto()
    NUMBER = auto()
    TEXT = auto()
    SIGN = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of the text.

    Parameters
    ----------
    form : Form
        A word, a name in double quotes, a number, a text in single quotes, a sign or the end.
    text : str
        As written; without the quotes for names and texts.
    at : int
        Where it starts, counted in characters from 0.
    """

    form: Form
    text: str
    at: int

    @property
    def word(self) -> str:
        """The word or sign in lower case; nothing for names, numbers and texts."""
        return self.text.lower() if self.form in {Form.WORD, Form.SIGN} else ""


def read_tokens(text: str) -> list[Token]:
    """Split an expression into tokens, the last of them ``Form.END``.

    Parameters
    ----------
    text : str
        The expression.

    Returns
    -------
    list of Token
        In the order of the text.

    Raises
    ------
    ExpressionError
        If the text is empty, too long, holds a comment, an open quote or an unusable character.
    """
    _refuse_unusable(text)
    try:
        # The bracket in front keeps the tokenizer from taking a first word such as "show" or
        # "rename" for a command and swallowing the rest.
        found = sqlglot.tokenize("(" + text, dialect="duckdb")[1:]
    except TokenError as error:
        raise _open_quote(text) from error
    tokens: list[Token] = []
    position = 0
    for token in found:
        _refuse_gap(text, position, token.start - 1)
        tokens.append(_token(text, token))
        position = token.end
    _refuse_gap(text, position, len(text))
    return [*tokens, Token(Form.END, "", len(text.rstrip()))]


def _token(text: str, token: sqlglot.Token) -> Token:
    # One less: the bracket that read_tokens puts in front.
    start, written = token.start - 1, text[token.start - 1 : token.end]
    if token.token_type is TokenType.STRING and written.startswith("'"):
        return Token(Form.TEXT, token.text, start)
    if token.token_type is TokenType.IDENTIFIER and written.startswith('"'):
        return Token(Form.NAME, token.text, start)
    if _NUMBER.fullmatch(written):
        return Token(Form.NUMBER, written, start)
    return Token(Form.WORD if _WORD.fullmatch(written) else Form.SIGN, written, start)


def _refuse_unusable(text: object) -> None:
    if not isinstance(text, str):
        problem = f"An expression is text, but this is {type(text).__name__}."
        why, fix = "It cannot be read.", "write it in quotes."
        raise ExpressionError(problem, why, fix, text=repr(text), at=0)
    if not text.strip():
        raise ExpressionError(
            problem="The expression is empty.",
            why="There is nothing to compute.",
            fix="write an expression such as amount > 0, or remove the setting.",
            text=text,
            at=0,
        )
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            problem=f"The expression has {len(text):,} characters; at most {MAX_LENGTH:,} are allowed.",
            why="Nobody could review it, and databases limit the size of a query.",
            fix="put long lists into a table and join it, or split the expression.",
            text=text,
            at=MAX_LENGTH,
        )
    unusable = re.search("[\x00\ud800-\udfff]", text)
    if unusable is not None:
        raise ExpressionError(
            problem=f"The character U+{ord(unusable[0]):04X} cannot stand in an expression.",
            why="Databases do not accept it in text.",
            fix="remove it.",
            text=text,
            at=unusable.start(),
        )


def _refuse_gap(text: str, start: int, end: int) -> None:
    gap = text[start:end]
    if gap.strip():
        raise ExpressionError(
            problem="Comments are not part of the language.",
            why="An expression is one short formula; what it means is explained beside it.",
            fix="move the comment to a line of its own in the configuration file, after #; "
            "two minus signs need a space or brackets between them: a - (-b).",
            text=text,
            at=start + len(gap) - len(gap.lstrip()),
        )


def _open_quote(text: str) -> ExpressionError:
    lone = (found for found in _QUOTED.finditer(text) if len(found[0]) == 1)
    quote = next(lone, None)
    if quote is None:
        return ExpressionError(
            problem="The text cannot be split into words.",
            why="A comment or a quote may be left open.",
            fix="write text in single quotes, names in double quotes, and no comments.",
            text=text,
            at=0,
        )
    what = "text" if quote[0] == "'" else "name"
    return ExpressionError(
        problem=f"The quote that opens a {what} here is never closed.",
        why=f"All that follows would be part of the {what}.",
        fix=f"close it with {quote[0]}; a quote inside is written twice: {quote[0] * 2}.",
        text=text,
        at=quote.start(),
    )
