"""What can a marketer do with a journey before it runs, and while it does?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.nightly.links import wrong_with
from mlmarket.nightly.night import Night, open_night
from mlmarket.nightly.playbook import (
    event_types,
    known_columns,
    load_night_playbook,
    predicted_columns,
)
from mlmarket.nightly.predictions import read_predictions
from mlmarket.nightly.preview import copy_of_state
from mlmarket.orchestration import (
    Finding,
    Journey,
    MigrationPlan,
    Playbook,
    PredictionsAt,
    Preview,
    Release,
    StateStore,
    documented_schema,
    drawn_counts,
    journey_counts,
    journey_svg,
    lint_playbook,
    preview,
    to_mermaid,
)

__all__ = [
    "JourneyStatus",
    "approve_journeys",
    "draw_journey",
    "journey_named",
    "journey_statuses",
    "lint_night",
    "migrate_journey",
    "pause_journey",
    "preview_journey",
    "resume_journey",
    "statuses_of",
]


@dataclass(frozen=True, slots=True)
class JourneyStatus:
    """Whether a journey may act.

    Parameters
    ----------
    journey, title : str
        Which.
    version : str
        Of its file.
    status : str
        ``draft``: never approved; ``approved``; ``paused``; ``changed``: its file differs from the
        version that was approved, which goes on.
    by : str
        Who said so last; empty for a draft.
    at : datetime or None
        When.
    """

    journey: str
    title: str
    version: str
    status: Literal["draft", "approved", "paused", "changed"]
    by: str
    at: datetime | None


def journey_named(playbook: Playbook, name: str) -> Journey:
    """Return a journey of the playbook.

    Parameters
    ----------
    playbook : Playbook
        All of them.
    name : str
        Which.

    Returns
    -------
    Journey
        As it stands in its file.

    Raises
    ------
    ConfigurationError
        Where there is none of that name.
    """
    journey = playbook.journey(name)
    if journey is None:
        raise ConfigurationError(
            f"There is no journey '{name}'.",
            "Its file may not be among those that [journeys] names.",
            suggestion(name, [one.journey for one in playbook.journeys]),
        )
    return journey


def journey_statuses(night: Night) -> list[JourneyStatus]:
    """Return whether each journey may act.

    Parameters
    ----------
    night : Night
        Its configuration and state.

    Returns
    -------
    list of JourneyStatus
        In the order of the files.
    """
    playbook = load_night_playbook(night.config, night.settings)
    with copy_of_state(night.workspace) as store:
        return statuses_of(playbook, store.releases())


def statuses_of(playbook: Playbook, releases: Mapping[str, Release]) -> list[JourneyStatus]:
    """Return whether each journey of a playbook may act.

    Parameters
    ----------
    playbook : Playbook
        The journeys as they stand in their files.
    releases : mapping of str to Release
        What was said of each.

    Returns
    -------
    list of JourneyStatus
        In the order of the playbook.
    """
    return [_status(one, releases.get(one.journey)) for one in playbook.journeys]


def _status(journey: Journey, release: Release | None) -> JourneyStatus:
    if release is None:
        return JourneyStatus(journey.journey, journey.title, journey.version, "draft", "", None)
    status: Literal["approved", "paused", "changed"] = release.status
    if status == "approved" and release.version != journey.version:
        status = "changed"
    return JourneyStatus(
        journey.journey, journey.title, journey.version, status, release.by, release.at
    )


def lint_night(night: Night, *, links: bool = False) -> tuple[Finding, ...]:
    """Look for what is wrong with the segments and journeys of a night.

    Parameters
    ----------
    night : Night
        Its configuration.
    links : bool, default False
        Whether to ask every web address whether it is there.

    Returns
    -------
    tuple of Finding
        The worst first.
    """
    market = night.market(check=False)
    return lint_playbook(
        load_night_playbook(night.config, night.settings),
        known=known_columns(market, night.settings),
        event_types=event_types(market),
        predictions=_predictions_at(night),
        elsewhere=documented_schema(),
        links=wrong_with if links else None,
    )


def _predictions_at(night: Night) -> PredictionsAt:
    """Return which columns are predictions, and how old the newest ones are."""
    columns = frozenset(predicted_columns(night.settings))
    done = night.workspace.predicted()
    as_of = open_night(night.config, done[-1], output=night.workspace.root).as_of if done else None
    return PredictionsAt(columns, as_of, datetime.now(UTC) if done else None)


def preview_journey(night: Night, name: str, *, people: int = 10) -> Preview:
    """Show some real people going through a journey; nothing is kept.

    Parameters
    ----------
    night : Night
        One whose predictions are there.
    name : str
        The journey.
    people : int, default 10
        How many.

    Returns
    -------
    Preview
        What would be decided about each.
    """
    playbook = load_night_playbook(night.config, night.settings)
    journey = journey_named(playbook, name)
    market = night.market()
    predictions = read_predictions(night.folder.path).contacts
    with copy_of_state(night.workspace) as store:
        state = store.load().under(playbook)
    return preview(journey, state, predictions, market, now=night.as_of, people=people)


def draw_journey(night: Night, name: str, *, form: Literal["mermaid", "svg"]) -> str:
    """Draw a journey as it stands in its file, with the people at each step where it has run.

    Parameters
    ----------
    night : Night
        Its configuration and state.
    name : str
        The journey.
    form : {"mermaid", "svg"}
        As text for mermaid, or as a picture.

    Returns
    -------
    str
        The drawing.
    """
    journey = journey_named(load_night_playbook(night.config, night.settings), name)
    with copy_of_state(night.workspace) as store:
        counted = journey_counts(
            store.standing_counts(), store.decided_counts(), store.load().versions
        )
    counts = drawn_counts(counted, journey)
    return journey_svg(journey, counts) if form == "svg" else to_mermaid(journey, counts)


def approve_journeys(
    night: Night, names: Sequence[str], *, by: str, at: datetime | None = None
) -> list[Journey]:
    """Let journeys act, as they stand in their files.

    Parameters
    ----------
    night : Night
        Its configuration and state.
    names : sequence of str
        Which; all of them where none is named.
    by : str
        Who approves.
    at : datetime, optional
        When, with a zone; now by default. Events count from here on.

    Returns
    -------
    list of Journey
        Those approved.

    Raises
    ------
    ConfigurationError
        Where there is no such journey, or the linter finds an error in it.
    """
    playbook = load_night_playbook(night.config, night.settings)
    chosen = [journey_named(playbook, name) for name in names] or list(playbook.journeys)
    _refuse_mistakes(lint_night(night), chosen)
    moment = at or datetime.now(UTC)
    with night.workspace.locked(), _state(night) as store:
        for journey in chosen:
            store.approve(journey, by=by, at=moment)
    return chosen


def _refuse_mistakes(findings: Sequence[Finding], journeys: Sequence[Journey]) -> None:
    """Refuse to approve what cannot work; warnings are the business's to weigh."""
    subjects = {f"journey '{one.journey}'" for one in journeys}
    errors = [one for one in findings if one.severity == "error" and one.subject in subjects]
    if errors:
        first, more = errors[0], len(errors) - 1
        where = f"{first.subject}, {first.place}" if first.place else first.subject
        raise ConfigurationError(
            f"{where}: {first.what}" + (f" ({more} more error(s))" if more else ""),
            f"It cannot be approved: {first.why}",
            f"{first.fix} `mlmarket journey lint` shows all.",
        )


def pause_journey(night: Night, name: str, *, by: str, at: datetime | None = None) -> None:
    """Stop a journey where everybody stands: nobody comes in or moves on.

    Parameters
    ----------
    night : Night
        Its configuration and state.
    name : str
        The journey, as it is known to the state: its file may be gone.
    by : str
        Who says so.
    at : datetime, optional
        When, with a zone; now by default.
    """
    with night.workspace.locked(), _state(night) as store:
        store.pause(name, by=by, at=at or datetime.now(UTC))


def resume_journey(night: Night, name: str, *, by: str, at: datetime | None = None) -> None:
    """Let a paused journey go on, in the version that was approved.

    Parameters
    ----------
    night : Night
        Its configuration and state.
    name : str
        The journey.
    by : str
        Who says so.
    at : datetime, optional
        When, with a zone; now by default.
    """
    with night.workspace.locked(), _state(night) as store:
        store.resume(name, by=by, at=at or datetime.now(UTC))


def migrate_journey(
    night: Night,
    name: str,
    *,
    mapping: Mapping[str, str],
    by: str,
    apply: bool,
    at: datetime | None = None,
) -> MigrationPlan:
    """Move the people in flight to the version in the file.

    Parameters
    ----------
    night : Night
        Its configuration and state.
    name : str
        The journey.
    mapping : mapping of str to str
        Old step to new step, where names differ.
    by : str
        Who says so.
    apply : bool
        Whether to do it; else only what would be done is said.
    at : datetime, optional
        When, with a zone; now by default.

    Returns
    -------
    MigrationPlan
        How many people move from where to where, and who stays.
    """
    journey = journey_named(load_night_playbook(night.config, night.settings), name)
    with night.workspace.locked(), _state(night) as store:
        return store.migrate(
            journey, mapping=mapping, by=by, at=at or datetime.now(UTC), dry_run=not apply
        )


def _state(night: Night) -> StateStore:
    night.workspace.state.parent.mkdir(parents=True, exist_ok=True)
    return StateStore.open(night.workspace.state)
