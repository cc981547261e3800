"""What do we know about one person, and what was decided, and why?"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from mlmarket.errors import ConfigurationError
from mlmarket.features import FeatureExplanation, explain_feature
from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.nightly.listing import feature_named, features_in_use
from mlmarket.nightly.night import Night
from mlmarket.nightly.predictions import read_predictions
from mlmarket.nightly.preview import copy_of_state
from mlmarket.orchestration import Explanation, explain

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PersonReport", "explain_number", "explain_person"]

_WIDTH: Final = 28


@dataclass(frozen=True, slots=True)
class PersonReport:
    """What is known and decided about one person.

    Parameters
    ----------
    night : date
        The night whose predictions these are.
    predictions : dict
        Column to value.
    missing : tuple of (str, str)
        Predictors without an answer, and why.
    decided : Explanation
        Segments, journeys and every decision so far.
    """

    night: date
    predictions: dict[str, Any]
    missing: tuple[tuple[str, str], ...]
    decided: Explanation

    def to_text(self) -> str:
        """Return it in lines to read.

        Returns
        -------
        str
            Predictions, then segments, journeys and decisions.
        """
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.predictions[CONTACT_ID]} on {self.night}"
        for name, value in self.predictions.items():
            if name not in {CONTACT_ID, AS_OF}:
                yield f"  {name:{_WIDTH}} {_shown(value)}"
        for predictor, why in self.missing:
            yield f"  no '{predictor}': {why}"
        decided = self.decided
        yield "Segments" if decided.memberships else "In no segment."
        for member in decided.memberships:
            why = f": {member.why}" if member.why else ""
            yield f"  {member.segment}, since {member.entered_at:%Y-%m-%d}{why}"
        yield "Journeys" if decided.enrolments else "In no journey so far."
        for one in decided.enrolments:
            held = f", held back for {', '.join(_words(r) for r in one.held_for)}"
            out = f", held out ({one.holdout})" if one.holdout else ""
            yield (
                f"  {one.journey}, entered {one.entered_at:%Y-%m-%d}: {one.status}{out}"
                f"{held if one.held_for else ''}"
            )
        if decided.decisions:
            yield "Decisions"
        for made in decided.decisions:
            reasons = f" ({', '.join(_words(r) for r in made.reasons)})" if made.reasons else ""
            due = f", due {_minute(made.due_at)}" if made.due_at is not None else ""
            yield (
                f"  {_minute(made.decided_at)}  {made.journey}, {made.step}: "
                f"{made.outcome}{reasons}{due}"
            )


def _words(reason: str) -> str:
    return reason.replace("_", " ")


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _shown(value: object) -> str:
    if value is None:
        return "—"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def explain_person(night: Night, contact_id: str) -> PersonReport:
    """Return what a night says of one person, and everything that was decided so far.

    Parameters
    ----------
    night : Night
        Whose predictions to show.
    contact_id : str
        The person.

    Returns
    -------
    PersonReport
        Without addresses.

    Raises
    ------
    ConfigurationError
        Where the night has no predictions, or nobody of that id was known then.
    """
    if night.folder.result("predictions") is None:
        raise ConfigurationError(
            f"The night of {night.day} has no predictions in '{night.workspace.root}'.",
            "There is nothing to explain.",
            f"run `mlmarket nightly --date {night.day}`, or pass another --date or --output.",
        )
    tables = read_predictions(night.folder.path)
    rows = _of(tables.contacts, contact_id)
    if not rows:
        raise ConfigurationError(
            f"Nobody with the contact_id '{contact_id}' was known on {night.day}.",
            "There is nothing to explain.",
            "check the id: it is the one of your contacts table, not an e-mail address.",
        )
    missing = tuple((row["predictor"], row["reason"]) for row in _of(tables.missing, contact_id))
    with copy_of_state(night.workspace) as store:
        about = store.decisions_about(contact_id)
        decided = explain(store.load(), contact_id, decisions=about)
    return PersonReport(night.day, rows[0], missing, decided)


def explain_number(night: Night, contact_id: str, feature: str) -> FeatureExplanation:
    """Return a number that models know of a person, with the rows it is made of.

    Parameters
    ----------
    night : Night
        When it was known.
    contact_id : str
        The person.
    feature : str
        Its name, as ``mlmarket features`` lists it.

    Returns
    -------
    FeatureExplanation
        The value is computed as it is for a model.

    Raises
    ------
    ConfigurationError
        Where there is no such feature, or nobody of that id was known then.
    """
    market = night.market()
    wanted = feature_named(features_in_use(night, market), feature)
    return explain_feature(market, contact_id, wanted, as_of=night.as_of)


def _of(table: "pa.Table", contact_id: str) -> list[dict[str, Any]]:
    import pyarrow.compute as pc

    chosen = table.filter(pc.equal(table.column(CONTACT_ID), contact_id))
    rows: list[dict[str, Any]] = chosen.to_pylist()
    return rows
