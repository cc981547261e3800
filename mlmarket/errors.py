"""What went wrong, why it matters, and how to mend it.

Every error a user can cause is an :class:`MlmarketError` of three lines: what, why, ``Fix:``.
The class decides the exit code of the command line.
"""

import difflib
from collections.abc import Iterable

__all__ = [
    "ConfigurationError",
    "DataContractError",
    "MlmarketError",
    "QualityGateError",
    "RunError",
    "nearest",
    "suggestion",
]


class MlmarketError(Exception):
    """Base of all errors that mlmarket raises on purpose.

    Parameters
    ----------
    what : str
        What is wrong, with the names of the things involved.
    why : str
        Why it matters: what cannot be done, or would be wrong.
    fix : str
        What the reader can do about it, without the leading ``Fix:``.
    """

    exit_code = 1

    def __init__(self, what: str, why: str, fix: str) -> None:
        super().__init__(f"{what}\n{why}\nFix: {fix}")
        self.what = what
        self.why = why
        self.fix = fix


class RunError(MlmarketError):
    """A run failed for a reason outside the data and the configuration."""

    exit_code = 1


class ConfigurationError(MlmarketError):
    """A wrong argument, option, file or expression."""

    exit_code = 2


class DataContractError(MlmarketError):
    """The tables break the data contract."""

    exit_code = 3


class QualityGateError(MlmarketError):
    """The results are not good enough to be published."""

    exit_code = 4


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice that a misspelt name most likely meant.

    Parameters
    ----------
    name : str
        What was written.
    choices : iterable of str
        What could have been meant.

    Returns
    -------
    str or None
        The nearest choice, None where nothing is near.

    Examples
    --------
    >>> nearest("amuont", ["amount", "ordered_at"])
    'amount'
    """
    by_folded = {choice.casefold(): choice for choice in sorted(choices, reverse=True)}
    close = difflib.get_close_matches(name.casefold(), list(by_folded), n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def suggestion(name: str, choices: Iterable[str], *, limit: int = 12) -> str:
    """Return the ``Fix`` for an unknown name: the near one, or what there is.

    Parameters
    ----------
    name : str
        What was written.
    choices : iterable of str
        What could have been meant.
    limit : int, default 12
        How many choices to list where none is near.

    Returns
    -------
    str
        A sentence.

    Examples
    --------
    >>> suggestion("amuont", ["amount", "ordered_at"])
    "did you mean 'amount'?"
    """
    known = sorted(choices)
    near = nearest(name, known)
    if near is not None:
        return f"did you mean '{near}'?"
    if not known:
        return "there is none to choose from."
    more = ", …" if len(known) > limit else ""
    return f"use one of {', '.join(known[:limit])}{more}."
