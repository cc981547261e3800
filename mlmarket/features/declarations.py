"""Which features does a configuration declare?

A table ``[features.NAME]`` is a call of the algebra in TOML: ``operation`` is the function, the other keys
are its arguments.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from mlmarket.errors import ConfigurationError, nearest, suggestion
from mlmarket.features import algebra
from mlmarket.features.defaults import DEFAULT
from mlmarket.features.feature import Feature
from mlmarket.features.sets import FEATURE_SETS
from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.market.settings import Settings

__all__ = ["FeatureSettings", "declared_features"]

_OPERATIONS: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {name: getattr(algebra, name) for name in algebra.__all__}
)
_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_RESERVED: Final = frozenset({CONTACT_ID, AS_OF, "label", DEFAULT, *FEATURE_SETS})
_PARTS: Final = ("above", "below")


class FeatureSettings(Settings):
    """``[features.NAME]``: one feature.

    Parameters
    ----------
    operation : str
        What is computed: a function of :mod:`mlmarket.features.algebra`.
    of : str, optional
        Of which rows, such as ``event "Page View" where value > 3``.
    window : str, optional
        How far back, in whole days, such as ``14D``.
    by : str, optional
        The category of a share.
    values : list of str, optional
        The values of the category that are wanted.
    above, below : str or FeatureSettings, optional
        Numerator and denominator of a ratio: the name of a declared feature, or such a table.
    column : str, optional
        The attribute of contacts.
    categorical : bool, optional
        Whether the attribute is a category.
    """

    operation: str
    of: str | None = None
    window: str | None = None
    by: str | None = None
    values: list[str] | None = None
    above: "str | FeatureSettings | None" = None
    below: "str | FeatureSettings | None" = None
    column: str | None = None
    categorical: bool | None = None


def declared_features(
    declared: Mapping[str, FeatureSettings],
) -> dict[str, tuple[Feature, ...]]:
    """Return the features that a configuration declares.

    Parameters
    ----------
    declared : mapping of str to FeatureSettings
        ``[features.NAME]``, by name.

    Returns
    -------
    dict of str to tuple of Feature
        One for each table, called as the table is; of ``share_by`` with several values one for each
        value, called ``NAME_VALUE``.

    Raises
    ------
    ConfigurationError
        With table and key: where a name cannot be a column, an operation or a part is unknown, a
        key is missing or not of the operation, a behaviour or window cannot be read, or ratios are
        made of each other.
    """
    reader = _Reader(declared)
    found = {name: reader.of(name) for name in declared}
    _refuse_same_names(found)
    return found


def _refuse_same_names(found: Mapping[str, tuple[Feature, ...]]) -> None:
    seen: dict[str, str] = {}
    for table, features in found.items():
        for feature in features:
            first = seen.setdefault(feature.name.casefold(), table)
            if first != table:
                raise ConfigurationError(
                    f"[features.{first}] and [features.{table}] both give a column "
                    f"'{feature.name}', upper and lower case aside.",
                    "One of them would overwrite the other.",
                    "give one of them another name.",
                )


class _Reader:
    """Reads declared features, each once, whatever order they stand in."""

    def __init__(self, declared: Mapping[str, FeatureSettings]) -> None:
        self._declared = declared
        self._read: dict[str, tuple[Feature, ...]] = {}
        self._open: list[str] = []

    def of(self, name: str) -> tuple[Feature, ...]:
        """Return the features of a table."""
        if name in self._open:
            circle = " → ".join([*self._open[self._open.index(name) :], name])
            raise ConfigurationError(
                f"[features.{name}] is made of itself: {circle}.",
                "Nobody could compute it.",
                "take one of these out, or make it of behaviour.",
            )
        if name not in self._read:
            _refuse_name(name)
            self._open.append(name)
            self._read[name] = self._made(self._declared[name], f"features.{name}", name)
            self._open.pop()
        return self._read[name]

    def _made(self, given: FeatureSettings, place: str, name: str) -> tuple[Feature, ...]:
        make = _operation(given, place)
        keys = _arguments(given, make, place)
        for key in _PARTS:
            if key in keys:
                keys[key] = self._part(keys[key], place, key)
        try:
            made = make(**keys, name=name)
        except ConfigurationError as error:
            raise ConfigurationError(f"[{place}]: {error.what}", error.why, error.fix) from error
        if isinstance(made, Feature):
            return (made,)
        if len(made) == 1 and name:
            return (algebra.ratio(*made[0].parts, name=name),)
        return tuple(made)

    def _part(self, part: str | FeatureSettings, place: str, key: str) -> Feature:
        if isinstance(part, FeatureSettings):
            found = self._made(part, f"{place}.{key}", "")
        elif part in self._declared:
            found = self.of(part)
        else:
            raise ConfigurationError(
                f"[{place}] names '{part}' in `{key}`, and there is no [features.{part}].",
                "A ratio is made of two features that are declared.",
                suggestion(part, [name for name in self._declared if place != f"features.{name}"]),
            )
        if len(found) != 1:
            raise ConfigurationError(
                f"[{place}] names '{part}' in `{key}`, which is {len(found)} features.",
                "A ratio is one number divided by another.",
                "name a feature of one value.",
            )
        return found[0]


def _refuse_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError(
            f"A feature cannot be called {name!r}.",
            "Its column has the name.",
            "use letters, digits and underscores, such as 'shoe_share'.",
        )
    if name.casefold() in _RESERVED:
        raise ConfigurationError(
            f"A feature cannot be called '{name}'.",
            "That is the name of a set of features, or of a column that each row has.",
            "give it another name.",
        )


def _operation(given: FeatureSettings, place: str) -> Callable[..., Any]:
    if given.operation not in _OPERATIONS:
        raise ConfigurationError(
            f"[{place}] has the unknown operation '{given.operation}'.",
            "Features are made of a small set of operations, which every engine computes alike.",
            suggestion(given.operation, _OPERATIONS, limit=len(_OPERATIONS)),
        )
    return _OPERATIONS[given.operation]


def _arguments(given: FeatureSettings, make: Callable[..., Any], place: str) -> dict[str, Any]:
    """Return the keys that were given, if they are those that the operation takes."""
    known = dict(inspect.signature(make).parameters)
    known.pop("name")
    keys = {name: getattr(given, name) for name in given.model_fields_set - {"operation"}}
    takes = f"`{given.operation}` takes {', '.join(f'`{key}`' for key in known)}."
    for key in sorted(keys):
        if key not in known:
            near = nearest(key, set(known) - keys.keys())
            raise ConfigurationError(
                f"[{place}] has `{key}`, which the operation '{given.operation}' does not take.",
                "It would be a setting that silently does nothing.",
                f"did you mean '{near}'?" if near else takes,
            )
    for key, parameter in known.items():
        if key not in keys and parameter.default is inspect.Parameter.empty:
            raise ConfigurationError(
                f"[{place}] has no `{key}`.",
                f"The operation '{given.operation}' cannot do without it.",
                takes,
            )
    return keys
