"""How is what was learned kept, without pickle?

A state is a mapping of names to arrays, numbers, texts, lists of them, or further states. Arrays stand in one
``NAME.npz``, the rest in one ``NAME.json``; both are the same bytes for the same state.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

__all__ = ["read_state", "write_state"]

_ARRAY: Final = "array"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def write_state(state: Mapping[str, Any], folder: Path, name: str) -> None:
    """Write a state as two files.

    Parameters
    ----------
    state : mapping of str to object
        Arrays, numbers, texts, None, lists of them, or mappings of the same.
    folder : Path
        Where; it exists.
    name : str
        The files are ``NAME.json`` and ``NAME.npz``.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    plain = _without_arrays(state, "", arrays)
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, indent=1)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    with zipfile.ZipFile(folder / f"{name}.npz", "w", zipfile.ZIP_DEFLATED) as file:
        for key in sorted(arrays):
            content = io.BytesIO()
            np.lib.format.write_array(content, arrays[key], allow_pickle=False)
            entry = zipfile.ZipInfo(f"{key}.npy", date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, content.getvalue(), compresslevel=1)


def read_state(folder: Path, name: str) -> dict[str, Any]:
    """Read what :func:`write_state` wrote.

    Parameters
    ----------
    folder : Path
        Where it was written.
    name : str
        Its name.

    Returns
    -------
    dict of str to object
        The same state.
    """
    plain = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
        return {key: _with_arrays(value, arrays) for key, value in plain.items()}


def _without_arrays(
    state: Mapping[str, Any], place: str, arrays: dict[str, np.ndarray[Any, Any]]
) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for number, (key, value) in enumerate(sorted(state.items())):
        if isinstance(value, np.ndarray):
            arrays[f"{place}{number}"] = value
            plain[key] = {_ARRAY: f"{place}{number}"}
        elif isinstance(value, Mapping):
            plain[key] = _without_arrays(value, f"{place}{number}.", arrays)
        elif isinstance(value, np.generic):
            plain[key] = value.item()
        elif isinstance(value, tuple):
            plain[key] = list(value)
        else:
            plain[key] = value
    return plain


def _with_arrays(value: Any, arrays: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any state
    if not isinstance(value, dict):
        return value
    if value.keys() == {_ARRAY}:
        return arrays[value[_ARRAY]]
    return {key: _with_arrays(inner, arrays) for key, inner in value.items()}
