"""What was found, where, why it matters, and what to do about it?"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mlmarket.errors import ConfigurationError

__all__ = ["Finding", "exit_code"]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that will probably not do what was meant.

    Parameters
    ----------
    subject : str
        The journey, the segment or the policy, such as ``journey 'welcome'``.
    place : str
        The step or key; empty for the whole.
    code : str
        What kind of finding it is, such as ``dead-branch``.
    severity : str
        ``error``: it cannot work; ``warning``: it works, but hardly as meant.
    what : str
        What is there.
    why : str
        What comes of it.
    fix : str
        What to do.
    """

    subject: str
    place: str
    code: str
    severity: Literal["error", "warning"]
    what: str
    why: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.subject}, {self.place}" if self.place else self.subject
        head = f"{self.severity} [{self.code}] {where}: {self.what}"
        return f"{head}\n{self.why}\nFix: {self.fix}"


def exit_code(findings: Iterable[Finding], *, strict: bool = False) -> int:
    """Return the exit code that a build should end with.

    Parameters
    ----------
    findings : iterable of Finding
        What was found.
    strict : bool, default False
        Whether warnings fail the build as well.

    Returns
    -------
    int
        0, or that of a wrong configuration.
    """
    fails = any(strict or finding.severity == "error" for finding in findings)
    return ConfigurationError.exit_code if fails else 0
