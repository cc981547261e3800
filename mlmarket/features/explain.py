"""Which rows are behind a number about a contact?"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Final, cast

from mlmarket.errors import ConfigurationError
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.feature import Feature, Operation
from mlmarket.features.ibis_compiler import compile_features
from mlmarket.features.rows import known_rows, matches
from mlmarket.market.columns import AVAILABLE_AT, CONTACT_ID, OCCURRED_AT
from mlmarket.market.history import VALID_FROM
from mlmarket.market.time import to_utc, within

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

    from mlmarket.market import Market

__all__ = ["FeatureExplanation", "explain_feature"]

COUNTS: Final = "counts"
"""The column that says whether a row is in the feature's window."""

_SHOWN: Final = (
    OCCURRED_AT,
    AVAILABLE_AT,
    "type",
    "value",
    "item_id",
    "campaign_id",
    "source",
    "row_id",
)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureExplanation:
    """A number about a contact, and the rows it is made of.

    Parameters
    ----------
    contact_id : str
        Whose number it is.
    as_of : datetime
        When it was known, in UTC.
    feature : Feature
        What it says.
    value : float, str or None
        The number, the category, or None where it is missing.
    rows : pandas.DataFrame
        What the contact did that is of the feature's behaviour and was known, by time: occurred_at,
        available_at, type, value, item_id, campaign_id, source, row_id, and ``counts``: whether the
        row is in the window (in one of the two of a trend). Of an attribute the records of the
        contact: valid_from, the attribute, source, and whether the record held. Of a ratio no
        rows: see `parts`.
    parts : tuple of FeatureExplanation
        Numerator and denominator of a ratio.
    """

    contact_id: str
    as_of: datetime
    feature: Feature
    value: float | str | None
    rows: "pd.DataFrame"
    parts: "tuple[FeatureExplanation, ...]" = ()

    @property
    def description(self) -> str:
        """What the number says, with its unit and what it is where there are no rows."""
        return self.feature.description

    def to_frame(self) -> "pd.DataFrame":
        """Return the rows, of a ratio those of both parts below each other.

        Returns
        -------
        pandas.DataFrame
            ``feature``, which names the part, and the columns of `rows`.
        """
        import pandas as pd

        frames = [frame for frame in self._frames() if len(frame)] or list(self._frames())[:1]
        return pd.concat(frames, ignore_index=True)

    def _frames(self) -> "Iterator[pd.DataFrame]":
        for part in self.parts:
            yield from part._frames()
        if not self.parts:
            frame = self.rows.copy()
            frame.insert(0, "feature", self.feature.name)
            yield frame

    def to_text(self) -> str:
        """Return it in lines to read.

        Returns
        -------
        str
            The number, what it says, and the rows.
        """
        return "\n".join(self._lines(""))

    def _lines(self, indent: str) -> Iterator[str]:
        moment = "" if indent else f" of {self.contact_id}, as of {self.as_of:%Y-%m-%d %H:%M} UTC"
        yield f"{indent}{self.feature.name} = {_shown(self.value)}{moment}"
        yield f"{indent}  {self.description}"
        for part in self.parts:
            yield from part._lines(indent + "  ")
        if self.parts:
            return
        if not len(self.rows):
            yield f"{indent}  no rows"
            return
        text = self.rows.to_string(index=False, na_rep="")
        yield from (f"{indent}  {line}".rstrip() for line in text.splitlines())

    def _repr_html_(self) -> str:
        head = f"<b>{escape(self.feature.name)} = {escape(_shown(self.value))}</b>"
        who = f"{escape(self.contact_id)}, as of {self.as_of:%Y-%m-%d %H:%M} UTC"
        text = f"<p>{head} ({who})<br>{escape(self.description)}</p>"
        if self.parts:
            return text + "".join(part._repr_html_() for part in self.parts)
        return text + str(self.rows.to_html(index=False, border=0, na_rep="", max_rows=60))


def _shown(value: float | str | None) -> str:
    if value is None:
        return "missing"
    return f"{value:.6g}" if isinstance(value, float) else value


def explain_feature(
    market: "Market", contact: str, feature: Feature, *, as_of: datetime
) -> FeatureExplanation:
    """Return a number about a contact with the rows that it is made of.

    Parameters
    ----------
    market : Market
        The tables.
    contact : str
        A ``contact_id``.
    feature : Feature
        Which number.
    as_of : datetime
        When; the rows are those that were known then.

    Returns
    -------
    FeatureExplanation
        Its value is computed as it is for a model.

    Raises
    ------
    ConfigurationError
        Where nobody of that id was known, or `as_of` has no zone.
    """
    to_utc(as_of)
    moment = as_of.astimezone(UTC)
    if not _person(market, contact, moment).to_pyarrow().num_rows:
        raise ConfigurationError(
            f"Nobody with the contact_id '{contact}' was known at {moment:%Y-%m-%d %H:%M} UTC.",
            "There is nothing to explain.",
            "check the id: it is the one of your contacts table, not an e-mail address.",
        )
    return _explained(market, contact, feature, moment)


def _person(market: "Market", contact: str, as_of: datetime) -> "ir.Table":
    people = market.contacts(as_of=as_of)
    return people.filter(people[CONTACT_ID] == contact).select(CONTACT_ID)


def _explained(
    market: "Market", contact: str, feature: Feature, as_of: datetime
) -> FeatureExplanation:
    value = _value(market, contact, feature, as_of)
    parts = tuple(_explained(market, contact, part, as_of) for part in feature.parts)
    if feature.behaviour is not None:
        rows = _acts(market, contact, feature, feature.behaviour, as_of)
    elif feature.column is not None:
        rows = _records(market, contact, feature.column, as_of)
    else:
        rows = parts[0].rows.head(0)
    return FeatureExplanation(contact, as_of, feature, value, rows, parts)


def _value(market: "Market", contact: str, feature: Feature, as_of: datetime) -> float | str | None:
    """Return the number as every model gets it: engines are held equal to this query."""
    person = _person(market, contact, as_of)
    table = compile_features(market, [feature], at=as_of, only=person).to_pyarrow()
    (value,) = table.column(feature.name).to_pylist()
    return None if value is None or value != value else cast("float | str", value)


def _acts(
    market: "Market", contact: str, feature: Feature, behaviour: Behaviour, as_of: datetime
) -> "pd.DataFrame":
    """Return what the contact did that is of a behaviour and was known, by time."""
    rows = known_rows(market, [behaviour], at=as_of, only=_person(market, contact, as_of))
    rows = rows.filter(matches(rows, behaviour)).select(*_SHOWN)
    table = rows.mutate(**{COUNTS: _inside(rows, feature, as_of)}).order_by([*_SHOWN])
    frame = cast("pd.DataFrame", table.to_pyarrow().to_pandas())
    times = {name: frame[name].dt.tz_localize("UTC") for name in (OCCURRED_AT, AVAILABLE_AT)}
    return frame.assign(value=frame["value"].astype("float64"), **times)


def _inside(rows: "ir.Table", feature: Feature, as_of: datetime) -> "ir.BooleanValue":
    import ibis

    if feature.window is None:
        return ibis.literal(value=True)
    span: timedelta = feature.window * (2 if feature.operation is Operation.TREND else 1)
    return within(rows[OCCURRED_AT], after=as_of - span, until=as_of)


def _records(market: "Market", contact: str, column: str, as_of: datetime) -> "pd.DataFrame":
    """Return what is recorded of an attribute up to an instant, and which record held then."""
    import pandas as pd

    contacts, history = market.table("contacts"), market.history
    source, frame = "contacts", _of(contacts, contact, column)
    if VALID_FROM not in contacts.columns and history is not None and column in history.columns:
        recorded = _of(history, contact, column)
        if len(recorded):
            source, frame = "history", recorded
    frame = frame.sort_values(VALID_FROM, na_position="first", ignore_index=True)
    begun = frame[VALID_FROM].isna() | (frame[VALID_FROM] <= pd.Timestamp(as_of))
    # Before the records begin, the first of them counts as known.
    held = max(int(begun.sum()) - 1, 0)
    frame = frame.assign(source=source, **{COUNTS: frame.index == held})
    return frame[begun | frame[COUNTS]]


def _of(table: "ir.Table", contact: str, column: str) -> "pd.DataFrame":
    import ibis

    since = table[VALID_FROM] if VALID_FROM in table.columns else ibis.null("timestamp(6)")
    rows = table.filter(table[CONTACT_ID] == contact)
    frame = rows.select(**{VALID_FROM: since, column: table[column]}).to_pyarrow().to_pandas()
    return cast(
        "pd.DataFrame", frame.assign(**{VALID_FROM: frame[VALID_FROM].dt.tz_localize("UTC")})
    )
