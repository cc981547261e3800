"""How can a package offer names without loading what they need?

Numerical libraries take seconds to load, and the command line asks what can be recommended before anybody recommends.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazily"]


def lazily(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's ``__getattr__`` that loads a name where it is asked for.

    Parameters
    ----------
    package : str
        Name of the package.
    places : mapping of str to str
        The module of each name, within the package.

    Returns
    -------
    callable
        Raises AttributeError for other names.
    """

    def find(name: str) -> Any:  # noqa: ANN401 - any public thing
        if name not in places:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(importlib.import_module(f"{package}.{places[name]}"), name)

    return find
