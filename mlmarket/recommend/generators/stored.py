"""How is a fitted generator kept, without pickle?"""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy as np

__all__ = ["State", "Stored"]

State = dict[str, "np.ndarray[Any, Any] | float | int | str"]


class Stored:
    """An object of plain arguments, whose learned state ends in an underscore."""

    def to_state(self) -> State:
        """Return arguments and learned state by name, fit for npz and JSON.

        Returns
        -------
        dict of str to ndarray, number or str
            Arguments that are None are not in it.
        """
        names = [*inspect.signature(type(self)).parameters, *self._learned()]
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return what :meth:`to_state` was taken of.

        Parameters
        ----------
        state : mapping of str to ndarray, number or str
            By name.

        Returns
        -------
        Self
            Gives the same scores.
        """
        arguments = inspect.signature(cls).parameters
        made = cls(**{name: state.get(name) for name in arguments})
        for name, value in state.items():
            if name not in arguments:
                setattr(made, name, value)
        return made

    def _learned(self) -> list[str]:
        return sorted(name for name in vars(self) if name.endswith("_"))
