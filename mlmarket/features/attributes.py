"""Which attributes of contacts may become features, and why not the others?"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from mlmarket.features.algebra import attribute
from mlmarket.features.feature import Feature
from mlmarket.market.columns import TABLES
from mlmarket.market.history import looks_like_outcome, recorded_since
from mlmarket.market.time import to_utc

if TYPE_CHECKING:
    import ibis.expr.datatypes as dt
    import ibis.expr.types as ir

    from mlmarket.market import Market

__all__ = ["AttributeChoice", "choose_attributes"]

_MOST_CATEGORIES: Final = 100
_NEVER: Final = frozenset({"contact_id", "external_id", "email", "phone", "account_id", "timezone"})


@dataclass(frozen=True, slots=True)
class AttributeChoice:
    """Which attributes of contacts are used, and why the others are not.

    Parameters
    ----------
    features : tuple of Feature
        One for each attribute that is used.
    left_out : tuple of (str, str)
        Attribute and reason.
    """

    features: tuple[Feature, ...]
    left_out: tuple[tuple[str, str], ...]


def choose_attributes(
    market: "Market", *, as_of: datetime, earliest: datetime | None = None
) -> AttributeChoice:
    """Decide which attributes of contacts become features.

    Parameters
    ----------
    market : Market
        The tables.
    as_of : datetime
        Only what contacts known then hold is looked at.
    earliest : datetime, optional
        The first cutoff they will be used at; by default `as_of`.

    Returns
    -------
    AttributeChoice
        What the configuration declares is used as declared. Of the rest, numbers and texts of few
        values are used, unless their names say that they are outcomes and they are not recorded
        since `earliest`.
    """
    contacts = market.contacts(as_of=as_of)
    settings = market.settings.tables.get("contacts")
    declared = settings.attributes if settings is not None else {}
    known = {column.name for column in TABLES["contacts"].columns}
    candidates = [
        name
        for name in contacts.columns
        if name not in _NEVER and (name not in known or name in {"country", "lifecycle_stage"})
    ]
    since = recorded_since(market)
    recorded = since is not None and since <= to_utc(earliest or as_of)
    distinct = _distinct_values(contacts, candidates)
    features: list[Feature] = []
    left_out: list[tuple[str, str]] = []
    for name in candidates:
        kind = declared.get(name)
        if kind is None and looks_like_outcome(name) and not recorded:
            reason = "looks like an outcome, and what it held in the past is not recorded"
        else:
            reason = _reason_against(contacts[name].type(), kind, distinct[name])
        if reason:
            left_out.append((name, reason))
        else:
            features.append(_attribute(contacts, name, kind))
    return AttributeChoice(tuple(features), tuple(left_out))


def _distinct_values(contacts: "ir.Table", names: list[str]) -> dict[str, int]:
    if not names:
        return {}
    measures = {f"of_{place}": _distinct(contacts[name]) for place, name in enumerate(names)}
    row = contacts.aggregate(**measures).to_pyarrow().to_pylist()[0]
    return {name: int(row[f"of_{place}"]) for place, name in enumerate(names)}


def _distinct(value: "ir.Value") -> "ir.Value":
    dtype = value.type()
    # Of other types only presence matters, and not all of them can be compared everywhere.
    counts = dtype.is_string() or dtype.is_numeric() or dtype.is_boolean()
    return value.nunique() if counts else value.count()


def _reason_against(dtype: "dt.DataType", kind: str | None, distinct: int) -> str:
    """Return why an attribute is not used; nothing where it is."""
    number = dtype.is_numeric() or dtype.is_boolean()
    if kind == "ignore":
        return "is declared as ignored"
    if not distinct:
        return "has no value in any row"
    if kind == "categorical" or number:
        return ""
    if not dtype.is_string():
        return f"is of type {dtype}, which is neither number nor category"
    if distinct > _MOST_CATEGORIES and kind is None:
        return f"has {distinct:,} different values; declare it in attributes to use it"
    return ""


def _attribute(contacts: "ir.Table", name: str, kind: str | None) -> Feature:
    dtype = contacts[name].type()
    number = dtype.is_numeric() and not dtype.is_boolean()
    return attribute(name, categorical=kind == "categorical" or (kind is None and not number))
