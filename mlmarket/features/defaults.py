"""Which features does a question know, asked for or not?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from mlmarket.errors import ConfigurationError
from mlmarket.features.feature import Feature, Operation
from mlmarket.features.rows import tables_of
from mlmarket.features.sets import FEATURE_SETS, NOT_BY_DEFAULT, Ground, unknown_set
from mlmarket.market.columns import AS_OF, CONTACT_ID

if TYPE_CHECKING:
    from mlmarket.market import Market

__all__ = ["DEFAULT", "FeatureChoice", "choose_features", "default_features"]

DEFAULT: Final = "default"
"""In place of the name of a set: all that the tables allow."""

_WITH_ATTRIBUTES: Final = frozenset({DEFAULT, "leads", "attributes"})


@dataclass(frozen=True, slots=True)
class FeatureChoice:
    """The features that a question knows, and what was left out.

    Parameters
    ----------
    features : tuple of Feature
        Each with a name of its own.
    left_out : tuple of (str, str)
        Attributes of contacts that are not used, and why.
    """

    features: tuple[Feature, ...]
    left_out: tuple[tuple[str, str], ...]


def default_features(
    market: "Market", *, as_of: datetime, earliest: datetime | None = None
) -> tuple[Feature, ...]:
    """Return the features that the tables of a market allow.

    Parameters
    ----------
    market : Market
        The tables.
    as_of : datetime
        Event types and attributes are chosen from what was known then.
    earliest : datetime, optional
        The first cutoff they will be used at; attributes that look like outcomes are used only
        if they are recorded since then.

    Returns
    -------
    tuple of Feature
        Those of all sets but the groups that paid nowhere (docs/ablation.md), in a fixed order, each with a name of its own: where two would share one,
        as the event types ``Page View`` and ``page_view`` do, the later gets a number, and an
        attribute the word ``contact`` before it.
    """
    return choose_features(market, None, as_of=as_of, earliest=earliest).features


def choose_features(
    market: "Market",
    wanted: "Sequence[Feature | str] | None",
    *,
    as_of: datetime,
    earliest: datetime | None = None,
) -> FeatureChoice:
    """Return the features that a question asks for, as the tables of a market allow.

    Parameters
    ----------
    market : Market
        The tables.
    wanted : sequence of Feature or str, or None
        Features as they are, and names of sets, see :func:`mlmarket.features.feature_set`, or
        ``default`` for all of them; None means ``default`` alone.
    as_of : datetime
        Event types and attributes are chosen from what was known then.
    earliest : datetime, optional
        The first cutoff the features will be used at; by default `as_of`.

    Returns
    -------
    FeatureChoice
        Those of sets first. What is asked for by itself keeps its name; a feature of a set that
        would share it gets a number.

    Raises
    ------
    ConfigurationError
        Where there is no set of a name, nothing is left, two features that are asked for share a
        name, or one has the name of a set's feature about orders or messages, which the simple
        rules read by name.
    """
    asked = (DEFAULT,) if wanted is None else tuple(wanted)
    own = tuple(dict.fromkeys(one for one in asked if isinstance(one, Feature)))
    _refuse_same_names(own)
    named = dict.fromkeys(one for one in asked if isinstance(one, str))
    for name in named:
        if name != DEFAULT and name not in FEATURE_SETS:
            raise unknown_set(name, [DEFAULT, *FEATURE_SETS])
    ground = Ground(market, as_of=as_of, earliest=earliest)
    given = dict.fromkeys(
        feature
        for name, make in FEATURE_SETS.items()
        if name in named or DEFAULT in named
        for group, features in make(ground).items()
        if name in named or group not in NOT_BY_DEFAULT
        for feature in features
    )
    features = (*_with_own_names([one for one in given if one not in own], own), *own)
    if wanted is not None and not features:
        raise ConfigurationError(
            f"The tables allow no feature of {', '.join(named) or 'an empty list'}.",
            "A model that knows nothing of anybody says the same of everybody.",
            "choose other features, or add the tables they are made of.",
        )
    left_out = ground.attributes.left_out if _WITH_ATTRIBUTES & named.keys() else ()
    return FeatureChoice(features, left_out)


def _refuse_same_names(features: Sequence[Feature]) -> None:
    names = Counter(feature.name.casefold() for feature in features)
    name, number = next(iter(names.most_common(1)), ("", 0))
    if number > 1:
        raise _taken(name)


def _taken(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"Two different features are called '{name}', upper and lower case aside.",
        "One would overwrite the other, and the rules that a model must beat read by name.",
        "give yours another name: those of mlmarket are in `mlmarket features`.",
    )


def _with_own_names(features: Sequence[Feature], others: Sequence[Feature]) -> tuple[Feature, ...]:
    own = {feature.name.casefold() for feature in others}
    taken = {CONTACT_ID, AS_OF, "label", *own}
    named = []
    for feature in features:
        if feature.name.casefold() in own and _is_read_by_name(feature):
            raise _taken(feature.name)
        name, number = feature.name, 1
        if feature.operation is Operation.ATTRIBUTE and name.casefold() in taken:
            name = f"contact_{name}"
        stem = name
        while name.casefold() in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.casefold())
        named.append(replace(feature, name=name))
    return tuple(named)


def _is_read_by_name(feature: Feature) -> bool:
    if feature.parts:
        return all(_is_read_by_name(part) for part in feature.parts)
    return feature.behaviour is not None and "events" not in tables_of(feature.behaviour)
