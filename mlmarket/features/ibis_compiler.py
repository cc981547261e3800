"""How does a list of features become one query?

Behaviour is read once: first added up by contact and day before ``as_of``, then by contact with one
conditional sum for each feature. Only integers and decimals are added, so that the result does not
depend on the order in which an engine reads rows; divisions come last.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.expressions import parse_condition, schema_of
from mlmarket.features.algebra import Behaviour, Feature, Operation
from mlmarket.market.columns import AS_OF, AVAILABLE_AT, CONTACT_ID, OCCURRED_AT
from mlmarket.market.time import instant, within

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from mlmarket.market import Market

__all__ = ["compile_features", "matches"]

_DAY: Final = 86_400_000_000
"""Microseconds of a day: times are compared as integers."""

_GAPS: Final = frozenset({Operation.GAP_MEAN, Operation.GAP_STD})
_VALUES: Final = frozenset({Operation.TOTAL, Operation.MEAN, Operation.MAXIMUM})


def compile_features(
    market: "Market",
    features: Sequence[Feature],
    *,
    at: "datetime | ir.Table",
    eligible: Behaviour | None = None,
    only: "ir.Table | None" = None,
) -> "ir.Table":
    """Return features at an instant, as one expression.

    Parameters
    ----------
    market : Market
        The tables.
    features : sequence of Feature
        What to compute.
    at : datetime or ibis.expr.types.Table
        The instant for all contacts, or a table of ``contact_id, as_of``.
    eligible : Behaviour, optional
        Only contacts with such rows at or before the instant; by default every contact known.
    only : ibis.expr.types.Table, optional
        Only contacts whose ``contact_id`` is in it.

    Returns
    -------
    ibis.expr.types.Table
        ``contact_id, as_of`` and a column a feature: float64, text for categories. In no order.
    """
    keys = [CONTACT_ID] if isinstance(at, datetime) else [CONTACT_ID, AS_OF]
    people = market.contacts(as_of=at)
    if only is not None:
        people = people.semi_join(only, CONTACT_ID)
    base = _base_features(features)
    if eligible is not None:
        gate = replace(eligible, within=None)
        base = [*base, Feature("eligible__rows", Operation.COUNT, gate, eligible.within)]
    behaviours = list(dict.fromkeys(f.behaviour for f in base if f.behaviour is not None))
    table = people
    if behaviours:
        past = _past(market, behaviours, at, only)
        sums = _by_contact(_by_day(past, behaviours, base, keys), behaviours, base, keys)
        table = people.left_join(sums, keys)
        if eligible is not None:
            table = table.filter(table.eligible__rows > 0)
    moment = instant(at) if isinstance(at, datetime) else table[AS_OF]
    columns = {feature.name: _column(table, feature) for feature in features}
    return table.select(contact_id=table[CONTACT_ID], as_of=moment, **columns)


def matches(table: "ir.Table", behaviour: Behaviour) -> "ir.BooleanValue":
    """Return whether a row of activity (or of outcomes) belongs to a behaviour.

    Parameters
    ----------
    table : ibis.expr.types.Table
        With ``type``, and the columns that the condition names.
    behaviour : Behaviour
        Its types and condition; `within` and `negated` are not looked at.

    Returns
    -------
    ibis.expr.types.BooleanValue
        Never missing: a condition that cannot be decided does not hold.
    """
    same = table["type"].isin(behaviour.types)
    if behaviour.where is not None:
        condition = parse_condition(behaviour.where, schema=schema_of(table)).to_ibis(table)
        same &= cast("ir.BooleanValue", condition)
    return same.fill_null(False)


def _base_features(features: Sequence[Feature]) -> list[Feature]:
    """Return the features that are summed up, the parts of ratios among them, once each."""
    base: dict[str, Feature] = {}
    for feature in features:
        for part in feature.parts or (feature,):
            if base.setdefault(part.name, part) != part:
                raise ConfigurationError(
                    f"Two different features are called '{part.name}'.",
                    "One of them would overwrite the other.",
                    "give one of them another name.",
                )
    return list(base.values())


def _past(
    market: "Market",
    behaviours: Sequence[Behaviour],
    at: "datetime | ir.Table",
    only: "ir.Table | None",
) -> "ir.Table":
    """Return what was known at the instant, with each row's age in microseconds and days."""
    types = sorted({kind for behaviour in behaviours for kind in behaviour.types})
    rows = market.activity(*types)
    if isinstance(at, datetime):
        moment: Any = instant(at)
    else:
        rows = rows.inner_join(at, CONTACT_ID)
        moment = rows[AS_OF]
    if only is not None:
        rows = rows.semi_join(only, CONTACT_ID)
    known = within(rows[OCCURRED_AT], until=moment) & within(rows[AVAILABLE_AT], until=moment)
    rows = rows.filter(known)
    moment = moment if isinstance(at, datetime) else rows[AS_OF]
    age = moment.delta(rows[OCCURRED_AT], unit="microsecond")
    return rows.mutate(age=age).mutate(day=lambda table: (table.age // _DAY).cast("int64"))


def _by_day(
    past: "ir.Table", behaviours: Sequence[Behaviour], base: Sequence[Feature], keys: list[str]
) -> "ir.Table":
    """Add up by contact and day before as_of, the finest a window can tell apart."""
    measures: dict[str, Any] = {}
    for place, behaviour in enumerate(behaviours):
        here = matches(past, behaviour)
        operations = {feature.operation for feature in base if feature.behaviour == behaviour}
        measures[f"rows_{place}"] = here.sum()
        if operations & _VALUES:
            measures[f"value_{place}"] = past.value.sum(where=here)
            measures[f"valued_{place}"] = past.value.count(where=here)
        if Operation.MAXIMUM in operations:
            measures[f"largest_{place}"] = past.value.max(where=here)
        if operations & {Operation.RECENCY, Operation.FIRST_TOUCH, *_GAPS}:
            measures[f"newest_{place}"] = past.age.min(where=here)
            measures[f"oldest_{place}"] = past.age.max(where=here)
    daily = past.group_by([*keys, "day"]).aggregate(**measures)
    for place, behaviour in enumerate(behaviours):
        if any(f.behaviour == behaviour and f.operation is Operation.GAP_STD for f in base):
            daily = _with_gaps(daily, place, keys)
    return daily


def _with_gaps(daily: "ir.Table", place: int, keys: list[str]) -> "ir.Table":
    """Add the days between a day with rows of a behaviour and the next such day."""
    import ibis

    active = daily[f"rows_{place}"] > 0
    window = ibis.window(group_by=[*(daily[key] for key in keys), active], order_by=daily.day)
    gap = daily.day - daily.day.lag().over(window)
    return daily.mutate(**{f"gap_{place}": active.ifelse(gap, ibis.null("int64"))})


def _by_contact(
    daily: "ir.Table", behaviours: Sequence[Behaviour], base: Sequence[Feature], keys: list[str]
) -> "ir.Table":
    """Add up the days of each window, one or a few sums a feature."""
    measures: dict[str, Any] = {}
    for feature in base:
        if feature.behaviour is None:
            continue
        place = behaviours.index(feature.behaviour)
        for suffix, sum_ in _sums(daily, feature, place).items():
            measures[f"{feature.name}{suffix}"] = sum_
    return daily.group_by(keys).aggregate(**measures)


def _sums(daily: "ir.Table", feature: Feature, place: int) -> "dict[str, ir.Value]":
    """Return what a feature is made of; a feature of one sum has no suffix."""
    days = feature.window // timedelta(days=1) if feature.window is not None else None
    inside: Any = daily.day < days if days is not None else (daily.day >= 0)
    rows = daily[f"rows_{place}"]
    match feature.operation:
        case Operation.COUNT:
            return {"": rows.sum(where=inside)}
        case Operation.TOTAL:
            return {"": daily[f"value_{place}"].sum(where=inside)}
        case Operation.MEAN:
            return {
                "__sum": daily[f"value_{place}"].sum(where=inside),
                "__rows": daily[f"valued_{place}"].sum(where=inside),
            }
        case Operation.MAXIMUM:
            return {"": daily[f"largest_{place}"].max(where=inside)}
        case Operation.RECENCY:
            return {"": daily[f"newest_{place}"].min()}
        case Operation.FIRST_TOUCH:
            return {"": daily[f"oldest_{place}"].max()}
        case Operation.DAYS_ACTIVE:
            return {"": (rows > 0).sum(where=inside)}
        case Operation.TREND:
            before = ~inside & (daily.day < 2 * (days or 0))
            return {"__now": rows.sum(where=inside), "__before": rows.sum(where=before)}
        case _:
            return _gap_sums(daily, feature, place)


def _gap_sums(daily: "ir.Table", feature: Feature, place: int) -> "dict[str, ir.Value]":
    active = daily[f"rows_{place}"] > 0
    sums: dict[str, ir.Value] = {
        "__days": active.sum(),
        "__span": daily.day.max(where=active) - daily.day.min(where=active),
    }
    if feature.operation is Operation.GAP_STD:
        gap = daily[f"gap_{place}"]
        sums["__squares"] = (gap * gap).sum()
    return sums


def _column(table: "ir.Table", feature: Feature) -> "ir.Value":
    """Return a feature made of its sums, divisions last."""
    name = feature.name
    match feature.operation:
        case Operation.COUNT | Operation.TOTAL | Operation.DAYS_ACTIVE:
            return table[name].cast("float64").fill_null(0.0)
        case Operation.MAXIMUM:
            return table[name].cast("float64")
        case Operation.RECENCY | Operation.FIRST_TOUCH:
            return table[name].cast("float64") / float(_DAY)
        case Operation.MEAN:
            return _quotient(table[f"{name}__sum"], table[f"{name}__rows"])
        case Operation.TREND:
            now, before = (table[f"{name}__{part}"].fill_null(0) for part in ("now", "before"))
            return ((now + 1).cast("float64") / (before + 1).cast("float64")).ln()
        case Operation.GAP_MEAN:
            return _quotient(table[f"{name}__span"], table[f"{name}__days"] - 1)
        case Operation.GAP_STD:
            return _gap_std(table, name)
        case Operation.RATIO:
            above, below = (_column(table, part) for part in feature.parts)
            return _quotient(above, below)
        case Operation.ATTRIBUTE:
            return _attribute(table, feature)


def _quotient(above: Any, below: Any) -> "ir.Value":  # noqa: ANN401 - Ibis values
    return cast("ir.Value", above.cast("float64") / below.cast("float64").nullif(0.0))


def _gap_std(table: "ir.Table", name: str) -> "ir.Value":
    """Return the sample standard deviation of m gaps: sqrt((Σg² − (Σg)²/m) / (m − 1))."""
    gaps = (table[f"{name}__days"] - 1).cast("float64")
    span = table[f"{name}__span"].cast("float64")
    squares = table[f"{name}__squares"].cast("float64")
    spread = (squares - span * span / gaps.nullif(0.0)) / (gaps - 1.0).nullif(0.0)
    return (gaps >= 2.0).ifelse(spread.clip(lower=0.0).sqrt(), None)


def _attribute(table: "ir.Table", feature: Feature) -> "ir.Value":
    column = str(feature.column)
    if column not in table.columns:
        raise ConfigurationError(
            f"Contacts have no attribute '{column}'.",
            f"Feature '{feature.name}' is made of it.",
            suggestion(column, table.columns),
        )
    value = table[column]
    if feature.categorical:
        return value.cast("string")
    if value.type().is_string():
        return value.try_cast("float64")
    return value.cast("float64")
