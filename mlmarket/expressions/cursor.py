"""Where in the text is the reader, and what stands there?"""

from collections.abc import Sequence

from mlmarket.expressions.errors import ExpressionError
from mlmarket.expressions.refusals import refusal
from mlmarket.expressions.rules import Rules
from mlmarket.expressions.tokens import Token

__all__ = ["Cursor"]


class Cursor:
    """Goes through the tokens of one expression, and points at what is wrong.

    Parameters
    ----------
    tokens : sequence of Token
        All tokens, the last of them the end.
    rules : Rules
        Of the same expression.
    """

    def __init__(self, tokens: Sequence[Token], rules: Rules) -> None:
        self._tokens = tokens
        self._rules = rules
        self._position = 0

    @property
    def next(self) -> Token:
        """The token that is read next."""
        return self._tokens[self._position]

    @property
    def second(self) -> Token:
        """The token after that."""
        return self._tokens[min(self._position + 1, len(self._tokens) - 1)]

    def take(self) -> Token:
        """Read one token; the end can be read again and again."""
        token = self.next
        self._position = min(self._position + 1, len(self._tokens) - 1)
        return token

    def took(self, word: str) -> bool:
        """Read one token if it is this word or sign, and say whether it was."""
        if self.next.word != word:
            return False
        self.take()
        return True

    def expect(self, word: str, why: str) -> None:
        """Read one token, which must be this word or sign."""
        if not self.took(word):
            shown = word.upper() if word.isalpha() else f"'{word}'"
            problem, fix = f"{shown} is missing here.", f"write {shown} here."
            raise self.error(problem, why, fix)

    def error(self, problem: str, why: str, fix: str) -> ExpressionError:
        """Return an error that points at the next token."""
        return self._rules.error(self.next.at, problem, why, fix)

    def unexpected(self, token: Token, *, after_value: bool) -> ExpressionError:
        """Return an error about a token that cannot stand where it does."""
        return self._rules.error(token.at, *refusal(token, self.second, after_value=after_value))
