"""The seam through which later versions add functions; by default there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

import ibis.expr.types as ir

from mlmarket.expressions.kinds import Type
from mlmarket.expressions.lookups import Lookup

__all__ = ["NONE", "Argument", "ArgumentError", "Function", "Functions"]


@dataclass(frozen=True, slots=True)
class Argument:
    """What a function is told about one of its arguments before any row is seen.

    Parameters
    ----------
    kind : Type
        What the argument holds; ``Type.UNKNOWN`` for a bare ``null``.
    is_literal : bool
        Whether the value is written in the text.
    value : object
        The value of a literal, else None.
    """

    kind: Type
    is_literal: bool
    value: object


class ArgumentError(Exception):
    """What a function raises from ``check`` when its arguments do not fit.

    Parameters
    ----------
    problem : str
        What is wrong, in one sentence.
    fix : str
        What to write instead.
    position : int, optional
        The argument that is wrong, counted from 0; None for the call as a whole.
    """

    def __init__(self, problem: str, fix: str, *, position: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
        self.position = position


class Function(Protocol):
    """A function that expressions may call by name."""

    def check(self, arguments: Sequence[Argument]) -> Type:
        """Return what the function gives for such arguments.

        Parameters
        ----------
        arguments : sequence of Argument
            The arguments as written.

        Returns
        -------
        Type
            The kind of the result.

        Raises
        ------
        ArgumentError
            If there are too few or too many arguments, or one is of a wrong kind.
        """
        ...

    def to_ibis(self, arguments: Sequence[ir.Value], table: ir.Table) -> ir.Value:
        """Return the call as an Ibis expression over the table.

        Parameters
        ----------
        arguments : sequence of ibis.expr.types.Value
            The arguments, compiled.
        table : ibis.expr.types.Table
            The table of the expression.

        Returns
        -------
        ibis.expr.types.Value
            A value of the checked kind.
        """
        ...

    def evaluate(self, arguments: Sequence[object], row: Mapping[str, object]) -> object:
        """Return the value of the call on one row.

        Parameters
        ----------
        arguments : sequence of object
            The arguments' values on the row; None where missing.
        row : mapping of str to object
            The row of the expression.

        Returns
        -------
        object
            A value of the checked kind, None where missing.
        """
        ...


Functions: TypeAlias = Mapping[str, Function | Lookup]
"""The functions that an expression may call, by lower-case name."""

NONE: Final[Functions] = MappingProxyType({})
"""No function: any call is refused."""
