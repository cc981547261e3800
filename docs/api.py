"""Write docs/api.md, the list of public names: ``python docs/api.py``."""

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import mlmarket

PAGE = Path(__file__).with_name("api.md")
EXTRAS = frozenset({"psycopg", "pyspark"})
INTRODUCTION = """\
# Public names

What a package exports is listed here; what is not listed is private and may change without notice.
This page is written by `make api`, and a test holds it equal to the code.
"""


def public_modules() -> list[ModuleType]:
    """Return the package, its sub-packages and the modules directly in it, but for private ones.

    A module that needs an extra which is not installed is left out.
    """
    found = [mlmarket]
    for info in pkgutil.walk_packages(mlmarket.__path__, prefix="mlmarket."):
        path = info.name.split(".")[1:]
        if any(part.startswith("_") for part in path) or not (info.ispkg or len(path) == 1):
            continue
        try:
            found.append(importlib.import_module(info.name))
        except ModuleNotFoundError as error:
            if error.name not in EXTRAS:
                raise
    return found


def page() -> str:
    """Return what docs/api.md must say."""
    sections = [_section(module) for module in public_modules() if getattr(module, "__all__", ())]
    return "\n".join([INTRODUCTION, *sections])


def _section(module: ModuleType) -> str:
    names = "\n".join(_entry(name, getattr(module, name)) for name in module.__all__)
    return f"## {module.__name__}\n\n{_first_line(module)}\n\n{names}\n"


def _entry(name: str, thing: object) -> str:
    described = inspect.isclass(thing) or inspect.isroutine(thing)
    return f"- `{name}`: {_first_line(thing)}" if described else f"- `{name}`"


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
