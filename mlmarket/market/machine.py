"""How much memory is there, and how much was meant by "8GB"?"""

import os
import re
from pathlib import Path
from typing import Final

from mlmarket.errors import ConfigurationError, nearest

__all__ = ["memory_of_machine", "parse_size"]

_UNITS: Final = {
    name: base**power
    for base, names in ((1000, ("KB", "MB", "GB", "TB")), (1024, ("KiB", "MiB", "GiB", "TiB")))
    for power, name in enumerate(names, 1)
}
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(.*?)\s*")


def parse_size(text: str) -> int:
    """Return how many bytes a size is.

    Parameters
    ----------
    text : str
        A number and a unit, such as ``8GB`` or ``512 MiB``.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    ConfigurationError
        Where it cannot be read; with the unit that was meant.

    Examples
    --------
    >>> parse_size("1.5GB"), parse_size("1 GiB")
    (1500000000, 1073741824)
    """
    match = _SIZE.fullmatch(text)
    by_folded = {name.casefold(): name for name in _UNITS}
    unit = by_folded.get(match[2].casefold()) if match else None
    if match and unit:
        return int(float(match[1]) * _UNITS[unit])
    near = nearest(match[2], _UNITS) if match else None
    raise ConfigurationError(
        f"'{text}' is not a size of memory.",
        "It is a number and a unit.",
        f"did you mean '{match[1]}{near}'?"
        if match and near
        else f"write it as in '8GB'; units are {', '.join(_UNITS)}.",
    )


def memory_of_machine(root: Path = Path("/")) -> int:
    """Return how much memory this process may have at most.

    Parameters
    ----------
    root : Path, default "/"
        Where the system's files are.

    Returns
    -------
    int
        Bytes: what the machine has, or the limit of the container where that is lower.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(root)])


def _limits(root: Path) -> list[int]:
    """Return the limits of the control groups this process is in, and of the groups around them."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return []
    limits = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            top, file = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            top, file = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        inner = top / group.strip("/")
        # In a container its own group is the top one, by whatever name the host knows it.
        for place in (inner, *inner.parents):
            if place.is_relative_to(top):
                limits += _limit(place / file)
    return limits


def _limit(file: Path) -> list[int]:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError:
        return []
    return [int(text)] if text.isdigit() else []
