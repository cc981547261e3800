"""Which segments and journeys are in force tonight, and do they fit the columns there will be?"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.expressions import Schema, Type, schema_of
from mlmarket.market import Market
from mlmarket.market.columns import AS_OF, RESERVED_TYPES
from mlmarket.market.connect import matching_files
from mlmarket.nightly.models import predictors_of
from mlmarket.nightly.retention import saved_column
from mlmarket.nightly.settings import NightSettings
from mlmarket.orchestration import Holdout, Playbook, check_segments, load_playbook

if TYPE_CHECKING:
    from mlmarket.nightly.night import Night

__all__ = [
    "check_playbook",
    "event_types",
    "known_columns",
    "load_night_playbook",
    "predicted_columns",
]

_KINDS: Final = {"number": Type.NUMBER, "text": Type.TEXT, "time": Type.TIME}


def load_night_playbook(config: Path, settings: NightSettings) -> Playbook:
    """Read the segments and journeys that a configuration names.

    Parameters
    ----------
    config : Path
        ``mlmarket.toml``.
    settings : NightSettings
        Its content.

    Returns
    -------
    Playbook
        Checked to fit together.

    Raises
    ------
    ConfigurationError
        Where a file is missing or cannot be followed.
    """
    journeys = settings.journeys
    return load_playbook(
        _files(config, settings.segments.files, "segments"),
        _files(config, journeys.files, "journeys"),
        holdout=Holdout(share=journeys.holdout, salt=journeys.holdout_salt),
        policy=_policy(config, settings),
    )


def _policy(config: Path, settings: NightSettings) -> Path | None:
    """Return the file of the policy; without a zone of its own it has the business's."""
    if settings.journeys.policy is None:
        return None
    (file,) = _files(config, [settings.journeys.policy], "journeys")
    return file


def _files(config: Path, patterns: list[str], section: str) -> list[Path]:
    """Return the files of a section in the order in which they are named."""
    folder = config.parent.absolute()
    found: dict[Path, None] = {}
    for pattern in patterns:
        files = matching_files(pattern, folder)
        if not files:
            raise ConfigurationError(
                f"[{section}] names the file '{pattern}', which is not there (looked in {folder}).",
                f"Tonight's {section} are written down in it.",
                f"correct `files` in [{section}]; paths are relative to {config.name}.",
            )
        found |= dict.fromkeys(files)
    return list(found)


def known_columns(market: Market, settings: NightSettings) -> Schema:
    """Return every column that a segment may use: predictions and attributes of contacts.

    Parameters
    ----------
    market : Market
        The tables.
    settings : NightSettings
        The questions, whether or not they can be answered tonight.

    Returns
    -------
    mapping of str to Type
        By name.
    """
    attributes = dict(schema_of(market.table("contacts")))
    return {**attributes, AS_OF: Type.TIME, **predicted_columns(settings)}


def predicted_columns(settings: NightSettings) -> Schema:
    """Return every column that the questions of a configuration fill.

    Parameters
    ----------
    settings : NightSettings
        The questions.

    Returns
    -------
    mapping of str to Type
        By name.
    """
    predictors = predictors_of(settings)
    outputs = [predictor.outputs for predictor in predictors]
    return {
        name: _KINDS[one.type]
        for owned in (*outputs, saved_column(settings, predictors))
        for name, one in owned.items()
    }


def check_playbook(night: "Night", market: Market) -> Playbook:
    """Return tonight's segments and journeys, checked against the columns there will be.

    Parameters
    ----------
    night : Night
        Its configuration.
    market : Market
        The tables.

    Returns
    -------
    Playbook
        Checked.

    Raises
    ------
    ConfigurationError
        With file, segment and key.
    """
    playbook = load_night_playbook(night.config, night.settings)
    check_segments(
        playbook.segments,
        known=known_columns(market, night.settings),
        # Which events there are takes a look at all of them.
        events=event_types(market) if _ask_for_behaviour(playbook) else None,
    )
    _check_goals(playbook, market)
    return playbook


def _ask_for_behaviour(playbook: Playbook) -> bool:
    """Return whether a condition of some segment may be about what people did."""
    texts = [text for one in playbook.segments for text in (one.when, one.stay)]
    return any("(" in text for text in texts if text is not None)


def event_types(market: Market) -> frozenset[str]:
    """Return every type of behaviour that a journey may speak of.

    Parameters
    ----------
    market : Market
        The tables.

    Returns
    -------
    frozenset of str
        The reserved ones, and those that somebody ever did.
    """
    known = set(RESERVED_TYPES)
    if market.has("events"):
        types = market.table("events").select("event_type").distinct().to_pyarrow()
        known |= set(types.column("event_type").to_pylist())
    return frozenset(known)


def _check_goals(playbook: Playbook, market: Market) -> None:
    """Refuse a goal that nobody can reach because no table holds such behaviour."""
    goals = {one.journey: one.goal.event for one in playbook.journeys if one.goal is not None}
    if set(goals.values()) <= set(RESERVED_TYPES):
        return
    known = event_types(market)
    for name, goal in goals.items():
        if goal not in known:
            raise ConfigurationError(
                f"Journey '{name}', key 'goal': nobody ever did '{goal}'.",
                "People who reached the goal would go on being messaged.",
                suggestion(goal, known),
            )
