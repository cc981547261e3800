"""What is said about SQL that the language leaves out."""

from typing import Final, TypeAlias

from mlmarket.expressions.tokens import Form, Token

__all__ = ["Refusal", "refusal", "refusal_of_word"]

Refusal: TypeAlias = tuple[str, str, str]
"""What is wrong, why, and what to write instead."""

_ONE_FORMULA: Final = "An expression is one formula over the columns of one row."

_SUBSELECT: Final = (
    "Queries inside an expression are not part of the language.",
    _ONE_FORMULA,
    "compute the value in a table or column of its own, and use the column here.",
)
_STATEMENTS: Final = (
    "';' is not part of the language: an expression is one formula.",
    "What stands after it would be another statement.",
    "remove it and what follows; join conditions with and / or.",
)
_DOTTED: Final = (
    "Names with a dot are not part of the language.",
    "An expression sees one table, so a column needs no table before it.",
    "write the column alone (a name that holds a dot in double quotes), and 0.5 for .5.",
)
_CAST: Final = (
    "Casts are not part of the language.",
    "Values are never turned from one kind into another unasked.",
    "give the column its type where the table is read.",
)
_CASE: Final = (
    "CASE is not part of the language.",
    _ONE_FORMULA,
    "write one condition for each case.",
)
_STAR: Final = (
    "'*' needs a number on each side.",
    "A star for all columns is not part of the language.",
    "name the column.",
)
_PARAMETER: Final = (
    "Parameters and placeholders are not part of the language.",
    "Nothing fills them in.",
    "write the value itself.",
)
_LAMBDA: Final = (
    "Lambdas are not part of the language.",
    _ONE_FORMULA,
    "compute the value in a column of its own, and use the column here.",
)
_LIST: Final = (
    "Lists and structures are not part of the language.",
    "A value is a number, a text, a time, or true or false.",
    "after IN, write the values in round brackets: in ('PT', 'ES').",
)
_WINDOW: Final = (
    "Window functions are not part of the language.",
    "An expression sees one row at a time.",
    "compute the value in a column of its own, and use the column here.",
)
_CLAUSE: Final = (
    "Clauses of a query, such as FROM, WHERE or ORDER BY, are not part of the language.",
    _ONE_FORMULA,
    "write the formula alone; a column of that name goes in double quotes.",
)
_ALIAS: Final = (
    "AS is not part of the language.",
    "The result is named where the expression is configured.",
    "write the formula alone.",
)
_INTERVAL: Final = (
    "Intervals and time zones are not part of the language.",
    "Times can be compared, but not computed with.",
    "compare with a fixed time, such as timestamp '2024-01-31 10:00+01:00'.",
)
_PATTERN: Final = (
    "LIKE is the only pattern of the language.",
    "Other patterns mean different things in different databases.",
    "use LIKE with % for any characters and _ for one; upper and lower case differ.",
)
_TIME: Final = (
    "A time is written without brackets.",
    "DATE and TIMESTAMP are no functions here.",
    "write DATE '2024-01-31' or TIMESTAMP '2024-01-31 10:00:00'.",
)
_NUMBER: Final = (
    "This is not a number of the language.",
    "A number has digits, at most one point, and at most one e with an exponent.",
    "write 1000, 0.5 or 1e6.",
)
_NOT_BETWEEN: Final = (
    "NOT cannot stand between two values.",
    "After a value it belongs to IN, BETWEEN or LIKE only.",
    "write not (a > b), a not in (…), a not between … and … or a not like '…'.",
)
_STRING: Final = (
    "This kind of quote is not part of the language.",
    "Text has one form only, which every database reads alike.",
    "write text in single quotes: 'PT'.",
)
_NULL_TEST: Final = (
    "ISNULL and NOTNULL are not part of the language.",
    "They have a standard form.",
    "write IS NULL or IS NOT NULL.",
)
_EQUAL: Final = ("'==' is not part of the language.", "Equality has one sign.", "write =.")
_LOGIC: Final = (
    "Conditions are joined with words.",
    "Signs for bits and logic are not part of the language.",
    "write and, or, not.",
)
_SIGN: Final = (
    "This sign is not part of the language.",
    "The operators are + - * / % || = <> != < <= > >=.",
    "use one of these; a name with unusual characters goes in double quotes.",
)
_OPERATOR_MISSING: Final = (
    "An operator is missing here.",
    "Two values stand side by side.",
    "put an operator such as + or = or and between them, or double quotes around a name "
    "with spaces.",
)
_VALUE_MISSING: Final = (
    "A value is missing here.",
    "An operator or a bracket needs a column, a value or a formula beside it.",
    "write it, or remove what is left over; a column named like a word of the language goes "
    "in double quotes.",
)
_BRACKET: Final = (
    "This does not belong here.",
    "It closes or continues a list or a bracket that was not opened.",
    "remove it, or open the bracket before.",
)

_QUERY_WORDS: Final = dict.fromkeys(("select", "exists", "with"), _SUBSELECT)
_VALUE_WORDS: Final[dict[str, Refusal]] = {
    **_QUERY_WORDS,
    "case": _CASE,
    "cast": _CAST,
    "try_cast": _CAST,
    "lambda": _LAMBDA,
    "interval": _INTERVAL,
}
_LATER_WORDS: Final[dict[str, Refusal]] = {
    **_VALUE_WORDS,
    **dict.fromkeys(("when", "then", "else", "end"), _CASE),
    **dict.fromkeys(("over", "filter", "within", "window", "qualify"), _WINDOW),
    **dict.fromkeys(
        ("from", "where", "order", "group", "having", "limit", "partition", "union", "asc", "desc"),
        _CLAUSE,
    ),
    **dict.fromkeys(("ilike", "glob", "similar", "regexp", "escape"), _PATTERN),
    **dict.fromkeys(("isnull", "notnull"), _NULL_TEST),
    "as": _ALIAS,
    "not": _NOT_BETWEEN,
    "at": _INTERVAL,
}
_CALLED_WORDS: Final[dict[str, Refusal]] = {
    **dict.fromkeys(("any", "all", "some"), _SUBSELECT),
    **dict.fromkeys(("array", "map", "row", "struct"), _LIST),
    **dict.fromkeys(("date", "timestamp"), _TIME),
}
_OPERATORS: Final = frozenset({"+", "/", "%", "||", "=", "<>", "!=", "<", "<=", ">", ">="})
_BETWEEN_NAMES: Final = frozenset({".", "->", "=>", "[", "{"})
_SIGNS: Final[dict[str, Refusal]] = {
    ";": _STATEMENTS,
    ".": _DOTTED,
    "::": _CAST,
    "*": _STAR,
    "==": _EQUAL,
    **dict.fromkeys(("?", ":", "@", "$", "{{", "{%", ":="), _PARAMETER),
    **dict.fromkeys(("->", "=>"), _LAMBDA),
    **dict.fromkeys(("[", "]", "{", "}"), _LIST),
    **dict.fromkeys(("~", "!~", "~~", "!~~", "~*", "~~*"), _PATTERN),
    **dict.fromkeys(("&&", "&", "|", "!"), _LOGIC),
    **dict.fromkeys((")", ","), _BRACKET),
}


def refusal(token: Token, following: Token, *, after_value: bool) -> Refusal:
    """Explain why a token cannot stand where it does.

    Parameters
    ----------
    token : Token
        The token that does not fit.
    following : Token
        The token after it.
    after_value : bool
        Whether a whole value stands before it, so that only an operator could follow.

    Returns
    -------
    tuple of str
        What is wrong, why, and what to write instead.
    """
    if token.form is Form.SIGN:
        return _of_sign(token.text, after_value=after_value)
    if not after_value:
        return refusal_of_word(token, following) or _VALUE_MISSING
    return _LATER_WORDS.get(token.word, _OPERATOR_MISSING)


def refusal_of_word(token: Token, following: Token) -> Refusal | None:
    """Explain a word of SQL that stands where a column is expected.

    Parameters
    ----------
    token : Token
        The word.
    following : Token
        The token after it.

    Returns
    -------
    tuple of str or None
        What is wrong, why, and what to write instead; None for a word that is not SQL's.
    """
    if token.form is not Form.WORD:
        return None
    if token.word in _VALUE_WORDS:
        return _VALUE_WORDS[token.word]
    if following.form is Form.TEXT:
        return _CAST
    if following.word == "(":
        return _CALLED_WORDS.get(token.word)
    return _SIGNS.get(following.word) if following.word in _BETWEEN_NAMES else None


def _of_sign(sign: str, *, after_value: bool) -> Refusal:
    if sign in {")", ","} and not after_value:
        return _VALUE_MISSING
    if sign in _SIGNS:
        return _SIGNS[sign]
    if " " in sign:  # two words that the tokenizer takes as one, such as ORDER BY
        return _LATER_WORDS.get(sign.lower().partition(" ")[0], _SIGN)
    if sign[0].isdigit():
        return _NUMBER
    return _VALUE_MISSING if sign in _OPERATORS else _of_unknown_sign(sign)


def _of_unknown_sign(sign: str) -> Refusal:
    if sign.startswith("$") and sign[1:].isdigit():
        return _PARAMETER
    return _STRING if "'" in sign or "$" in sign else _SIGN
