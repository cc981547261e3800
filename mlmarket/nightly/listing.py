"""Which features are in use, what do they say, and who uses them?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.features import (
    Feature,
    FeatureProfile,
    declared_features,
    default_features,
    profile,
)
from mlmarket.market import Market
from mlmarket.market.time import duration_text
from mlmarket.nightly.models import predictors_of
from mlmarket.prediction import DeclinedError, SnapshotPredictor

if TYPE_CHECKING:
    from mlmarket.nightly.night import Night

__all__ = [
    "FeatureUse",
    "feature_named",
    "feature_profiles",
    "features_as_json",
    "features_in_text",
    "features_in_use",
    "profiles_as_json",
    "profiles_in_text",
]

_NAME: Final = 28
_OPERATION: Final = 12
_OF: Final = 34
_WINDOW: Final = 6


@dataclass(frozen=True, slots=True)
class FeatureUse:
    """A feature, and the predictors that learn from it.

    Parameters
    ----------
    feature : Feature
        What is known.
    predictors : tuple of str
        By whom; empty where nobody uses it.
    """

    feature: Feature
    predictors: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values.

        Returns
        -------
        dict
            As :meth:`mlmarket.features.Feature.to_dict`, with ``says`` and ``predictors``.
        """
        says = {"says": self.feature.description, "predictors": list(self.predictors)}
        return self.feature.to_dict() | says


def features_in_use(night: "Night", market: Market) -> tuple[FeatureUse, ...]:
    """Return the features that models trained on a night would learn from.

    Parameters
    ----------
    night : Night
        Its configuration.
    market : Market
        The tables.

    Returns
    -------
    tuple of FeatureUse
        In the order in which predictors see them, then those that are declared and used by nobody.
        Where no predictor is ready, what the tables allow.
    """
    used: dict[Feature, list[str]] = {}
    for predictor in _on_snapshots(night):
        try:
            known = predictor.features_at(market, as_of=night.as_of)
        except DeclinedError:
            continue
        for feature in known:
            used.setdefault(feature, []).append(predictor.name)
    others = [one for found in declared_features(night.settings.features).values() for one in found]
    if not used:
        others = [*default_features(market, as_of=night.as_of), *others]
    for feature in others:
        used.setdefault(feature, [])
    return tuple(FeatureUse(feature, tuple(names)) for feature, names in used.items())


def _on_snapshots(night: "Night") -> list[SnapshotPredictor]:
    """Return the predictors that know features; the others look at the tables in their own way."""
    return [one for one in predictors_of(night.settings) if isinstance(one, SnapshotPredictor)]


def feature_profiles(night: "Night", market: Market) -> dict[str, FeatureProfile]:
    """Return what the features of each predictor look like tonight.

    Parameters
    ----------
    night : Night
        Its configuration.
    market : Market
        The tables.

    Returns
    -------
    dict of str to FeatureProfile
        By predictor that is ready: of those it is asked about, against the last instant that it
        would learn from, with the label that followed.
    """
    found = {}
    for predictor in _on_snapshots(night):
        try:
            features = predictor.features_at(market, as_of=night.as_of)
            reference = predictor.latest_cutoff(market, as_of=night.as_of)
        except DeclinedError:
            continue
        found[predictor.name] = profile(
            market,
            features,
            as_of=night.as_of,
            reference=reference,
            eligible=predictor.eligible,
            label=predictor.asked.label,
            horizon=predictor.horizon,
        )
    return found


def profiles_in_text(profiles: Mapping[str, FeatureProfile]) -> str:
    """Return profiles in lines to read.

    Parameters
    ----------
    profiles : mapping of str to FeatureProfile
        By predictor.

    Returns
    -------
    str
        One below the other.
    """
    return "\n\n".join(f"{name}: {found.to_text()}" for name, found in profiles.items())


def profiles_as_json(profiles: Mapping[str, FeatureProfile]) -> str:
    """Return profiles as one JSON object.

    Parameters
    ----------
    profiles : mapping of str to FeatureProfile
        By predictor.

    Returns
    -------
    str
        An array of features for each predictor; null for a number that is none.
    """
    frames = {name: found.to_frame() for name, found in profiles.items()}
    plain = {
        name: frame.astype(object).where(frame.notna(), None).to_dict("records")
        for name, frame in frames.items()
    }
    return json.dumps(plain, indent=1, ensure_ascii=False)


def feature_named(uses: Sequence[FeatureUse], name: str) -> Feature:
    """Return the feature of a name.

    Parameters
    ----------
    uses : sequence of FeatureUse
        The features there are.
    name : str
        Of its column.

    Returns
    -------
    Feature
        The first of that name.

    Raises
    ------
    ConfigurationError
        Where there is none, with the near name.
    """
    by_name = {one.feature.name: one.feature for one in reversed(uses)}
    if name not in by_name:
        raise ConfigurationError(
            f"No feature is called '{name}'.",
            "`mlmarket features` lists them.",
            suggestion(name, by_name),
        )
    return by_name[name]


def features_in_text(uses: Sequence[FeatureUse]) -> str:
    """Return features in lines to read.

    Parameters
    ----------
    uses : sequence of FeatureUse
        What to show.

    Returns
    -------
    str
        Two lines a feature: name, operation, behaviour, window and predictors, then what it says.
    """
    heads = (("feature", _NAME), ("operation", _OPERATION), ("of", _OF), ("window", _WINDOW))
    lines = ["  ".join(f"{word:{width}}" for word, width in heads) + "  used by"]
    for one in uses:
        feature = one.feature
        window = duration_text(feature.window) if feature.window else ""
        cells = (feature.name, feature.operation.value, _made_of(feature), window)
        shown = "  ".join(f"{text:{width}}" for text, (_, width) in zip(cells, heads, strict=True))
        lines.append(f"{shown}  {', '.join(one.predictors) or 'nobody'}")
        lines.append(f"    {feature.description}")
    return "\n".join(lines)


def _made_of(feature: Feature) -> str:
    if feature.parts:
        return " / ".join(part.name for part in feature.parts)
    return str(feature.behaviour) if feature.behaviour is not None else f"contacts.{feature.column}"


def features_as_json(uses: Sequence[FeatureUse]) -> str:
    """Return features as one JSON array.

    Parameters
    ----------
    uses : sequence of FeatureUse
        What to show.

    Returns
    -------
    str
        With an object a feature.
    """
    return json.dumps([one.to_dict() for one in uses], indent=1, ensure_ascii=False)
