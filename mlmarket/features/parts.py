"""What has to be read for a list of features?

Ratios are made of their parts, and parts that several features share are computed once: both
compilers begin here.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mlmarket.errors import ConfigurationError
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.feature import Feature, Operation
from mlmarket.market.columns import AS_OF, CONTACT_ID

__all__ = ["ELIGIBLE", "base_features", "refuse_names", "refuse_strangers"]

ELIGIBLE: Final = "eligible"
"""Name under which the rows that make a contact eligible are counted."""

_RESERVED: Final = frozenset({CONTACT_ID, AS_OF, "label"})


def refuse_strangers(features: object) -> None:
    """Refuse what is no list of features.

    Parameters
    ----------
    features : object
        What somebody passed as such.

    Raises
    ------
    ConfigurationError
        With the place of what is none.
    """
    if isinstance(features, (Feature, str)) or not isinstance(features, Sequence):
        raise ConfigurationError(
            f"Features are given as {type(features).__name__}, not as a list.",
            "Each of them becomes a column.",
            "pass a list, such as [count('order', '90D')].",
        )
    for place, one in enumerate(features):
        if not isinstance(one, Feature):
            hint = "make one with count, total, recency and the like."
            if isinstance(one, tuple):
                hint = "share_by gives several: put a star before it, [*share_by(…)]."
            elif isinstance(one, str):
                hint = f"pass the features of a set: feature_set({one!r}, market, as_of=…)."
            raise ConfigurationError(
                f"Number {place + 1} of the features is a {type(one).__name__}, not a feature.",
                "Each of them becomes a column.",
                hint,
            )


def refuse_names(features: Sequence[Feature]) -> None:
    """Refuse names that would hide one another; databases do not tell upper from lower case.

    Parameters
    ----------
    features : sequence of Feature
        What is to be computed.

    Raises
    ------
    ConfigurationError
        Where two share a name, or one is called like a key.
    """
    seen: set[str] = set()
    for feature in features:
        name = feature.name.casefold()
        if name in _RESERVED:
            raise ConfigurationError(
                f"A feature is called '{feature.name}'.",
                "That column says whose row it is, when, or what came after.",
                "give it another name: attribute(…, name=…).",
            )
        if name in seen:
            raise ConfigurationError(
                f"Two features are called '{feature.name}', upper and lower case aside.",
                "One of them would overwrite the other.",
                "give one of them another name.",
            )
        seen.add(name)


def base_features(features: Sequence[Feature], eligible: Behaviour | None) -> dict[str, Feature]:
    """Return what has to be read: every feature that is no ratio, and the parts of ratios, once.

    Parameters
    ----------
    features : sequence of Feature
        What is to be computed.
    eligible : Behaviour or None
        Whose rows are counted under :data:`ELIGIBLE`.

    Returns
    -------
    dict of str to Feature
        By a name that no column of contacts can have.
    """
    found: dict[Feature, None] = {}
    waiting = list(reversed(features))
    while waiting:
        feature = waiting.pop()
        if feature.operation is Operation.RATIO:
            waiting += reversed(feature.parts)
        else:
            found.setdefault(feature)
    base = {f"f{place}": feature for place, feature in enumerate(found)}
    if eligible is not None:
        gate = replace(eligible, within=None, negated=False)
        base[ELIGIBLE] = Feature(ELIGIBLE, Operation.COUNT, gate, eligible.within)
    return base
