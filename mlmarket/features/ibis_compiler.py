"""How does a list of features become one query?

Behaviour is added up by contact, with a few conditional sums for each feature. What counts days or
the gaps between them is first added up by contact and day before ``as_of``, with as few columns as
it can: there are many times more days than contacts, and they decide how much memory a query takes.
Only integers and decimals are added, so that the result does not depend on the order in which an
engine reads rows; divisions come last.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.expressions.dialects import engine_of
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.feature import Feature, Operation
from mlmarket.features.parts import ELIGIBLE, base_features, refuse_names
from mlmarket.features.rows import known_rows, matches
from mlmarket.market.columns import AS_OF, CONTACT_ID, OCCURRED_AT
from mlmarket.market.time import instant
from mlmarket.market.try_casts import text_of, try_cast

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from mlmarket.market import Market

__all__ = ["attribute_value", "compile_features", "known_people"]

_DAY: Final = 86_400_000_000
"""Microseconds of a day: times are compared as integers."""

_OF_DAYS: Final = frozenset({Operation.DAYS_ACTIVE, Operation.GAP_MEAN, Operation.GAP_STD})


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
        The instant for all contacts, or a table of ``contact_id, as_of``, each pair once.
    eligible : Behaviour, optional
        Only contacts with such rows at or before the instant, or without them where it is
        negated; by default every contact known.
    only : ibis.expr.types.Table, optional
        Only contacts whose ``contact_id`` is in it.

    Returns
    -------
    ibis.expr.types.Table
        ``contact_id, as_of`` and a column a feature: float64, text for categories. In no order.

    Raises
    ------
    ConfigurationError
        Where two features share a name, or an attribute does not exist.
    """
    refuse_names(features)
    keys = [CONTACT_ID] if isinstance(at, datetime) else [CONTACT_ID, AS_OF]
    base = base_features(features, eligible)
    table = known_people(market, base, at=at, only=only)
    for part, add_up in ((_by_rows(base), _sums_of_rows), (_by_days(base), _sums_of_days)):
        if part:
            sums = add_up(_aged(market, _behaviours(part), at, only), part, keys)
            measured = [name for name in sums.columns if name not in keys]
            table = table.left_join(sums, keys).select(*table.columns, *measured)
    if eligible is not None:
        rows = table[ELIGIBLE].fill_null(0)
        table = table.filter(rows == 0 if eligible.negated else rows > 0)
    moment = instant(at) if isinstance(at, datetime) else table[AS_OF]
    places = {feature: name for name, feature in base.items()}
    columns = {feature.name: _column(table, feature, places) for feature in features}
    return table.select(contact_id=table[CONTACT_ID], as_of=moment, **columns)


def known_people(
    market: "Market",
    base: "Mapping[str, Feature]",
    *,
    at: "datetime | ir.Table",
    only: "ir.Table | None" = None,
) -> "ir.Table":
    """Return the contacts known at an instant, with their attributes under private names.

    Parameters
    ----------
    market : Market
        The tables.
    base : mapping of str to Feature
        As :func:`mlmarket.features.parts.base_features` returns it.
    at : datetime or ibis.expr.types.Table
        The instant for all contacts, or a table of ``contact_id, as_of``.
    only : ibis.expr.types.Table, optional
        Only contacts whose ``contact_id`` is in it.

    Returns
    -------
    ibis.expr.types.Table
        ``contact_id``, with a table of instants also ``as_of``, and a column an attribute.
    """
    keys = [CONTACT_ID] if isinstance(at, datetime) else [CONTACT_ID, AS_OF]
    people = market.contacts(as_of=at)
    if only is not None:
        people = people.semi_join(only, CONTACT_ID)
    attributes = {
        name: attribute_value(people, feature)
        for name, feature in base.items()
        if feature.operation is Operation.ATTRIBUTE
    }
    return people.select(*keys, **attributes)


def _aged(
    market: "Market",
    behaviours: Sequence[Behaviour],
    at: "datetime | ir.Table",
    only: "ir.Table | None",
) -> "ir.Table":
    """Return what was known at the instant, with each row's age in microseconds and days."""
    rows = known_rows(market, behaviours, at=at, only=only)
    moment = instant(at) if isinstance(at, datetime) else rows[AS_OF]
    age = moment.delta(rows[OCCURRED_AT], unit="microsecond")
    return rows.mutate(age=age).mutate(day=lambda table: (table.age // _DAY).cast("int64"))


def _by_rows(base: dict[str, Feature]) -> dict[str, Feature]:
    """Return the features that are sums over single rows."""
    return {
        name: feature
        for name, feature in base.items()
        if feature.behaviour is not None and feature.operation not in _OF_DAYS
    }


def _by_days(base: dict[str, Feature]) -> dict[str, Feature]:
    """Return the features that are sums over days with rows."""
    return {name: feature for name, feature in base.items() if feature.operation in _OF_DAYS}


def _behaviours(base: dict[str, Feature]) -> list[Behaviour]:
    return list(dict.fromkeys(f.behaviour for f in base.values() if f.behaviour is not None))


def _inside(table: "ir.Table", feature: Feature, *, spans: int = 1) -> Any:  # noqa: ANN401
    """Return which rows or days lie in a feature's window, or in several spans of its length."""
    if feature.window is None:
        return table.day >= 0
    return table.day < spans * (feature.window // timedelta(days=1))


def _sums_of_rows(past: "ir.Table", base: dict[str, Feature], keys: list[str]) -> "ir.Table":
    """Add up rows by contact, one or a few sums a feature."""
    behaviours = _behaviours(base)
    # Each condition is computed once for a row, not once for each feature that uses it.
    marks = {f"is_{place}": matches(past, one) for place, one in enumerate(behaviours)}
    past = _with_last_values(past.mutate(**marks), base, behaviours, keys)
    measures: dict[str, Any] = {}
    for name, feature in base.items():
        place = behaviours.index(cast("Behaviour", feature.behaviour))
        for suffix, measure in _row_measures(past, feature, place).items():
            measures[f"{name}{suffix}"] = measure
    return past.group_by(keys).aggregate(**measures)


def _with_last_values(
    past: "ir.Table", base: dict[str, Feature], behaviours: list[Behaviour], keys: list[str]
) -> "ir.Table":
    """Mark the rows with the last value of each behaviour whose last value is asked for."""
    asked = {f.behaviour for f in base.values() if f.operation is Operation.LAST}
    valued = {
        f"youngest_{place}": past.age.min(where=past[f"is_{place}"] & past.value.notnull())
        for place, one in enumerate(behaviours)
        if one in asked
    }
    if not valued:
        return past
    past = past.group_by(keys).mutate(**valued)
    places = [name.rpartition("_")[2] for name in valued]
    last = {f"is_last_{n}": past[f"is_{n}"] & (past.age == past[f"youngest_{n}"]) for n in places}
    return past.mutate(**last)


def _row_measures(past: "ir.Table", feature: Feature, place: int) -> "dict[str, ir.Value]":
    """Return what a feature is made of; a feature of one sum has no suffix."""
    operation = feature.operation
    here = past[f"is_last_{place}" if operation is Operation.LAST else f"is_{place}"]
    inside = here & _inside(past, feature)
    if operation is Operation.TREND:
        before = here & ~_inside(past, feature) & _inside(past, feature, spans=2)
        return {"_now": past.count(where=inside), "_before": past.count(where=before)}
    if operation is Operation.MEAN:
        return {"_sum": past.value.sum(where=inside), "_rows": past.value.count(where=inside)}
    return {
        "": {
            Operation.COUNT: past.count,
            Operation.TOTAL: past.value.sum,
            Operation.MINIMUM: past.value.min,
            Operation.MAXIMUM: past.value.max,
            Operation.LAST: past.value.max,
            Operation.RECENCY: past.age.min,
            Operation.FIRST_TOUCH: past.age.max,
        }[operation](where=inside)
    }


def _sums_of_days(past: "ir.Table", base: dict[str, Feature], keys: list[str]) -> "ir.Table":
    """Add up rows by contact and day, then days by contact."""
    behaviours = _behaviours(base)
    present = {
        f"rows_{n}": past.count(where=matches(past, one)) for n, one in enumerate(behaviours)
    }
    daily = past.group_by([*keys, "day"]).aggregate(**present)
    for place, behaviour in enumerate(behaviours):
        if any(
            f.operation is Operation.GAP_STD and f.behaviour == behaviour for f in base.values()
        ):
            daily = _with_gaps(daily, place, keys)
    measures: dict[str, Any] = {}
    for name, feature in base.items():
        place = behaviours.index(cast("Behaviour", feature.behaviour))
        for suffix, measure in _day_measures(daily, feature, place).items():
            measures[f"{name}{suffix}"] = measure
    return daily.group_by(keys).aggregate(**measures)


def _with_gaps(daily: "ir.Table", place: int, keys: list[str]) -> "ir.Table":
    """Add the days between a day with rows of a behaviour and the next such day."""
    import ibis

    active = daily[f"rows_{place}"] > 0
    window = ibis.window(group_by=[*(daily[key] for key in keys), active], order_by=daily.day)
    gap = daily.day - daily.day.lag().over(window)
    return daily.mutate(**{f"gap_{place}": active.ifelse(gap, ibis.null("int64"))})


def _day_measures(daily: "ir.Table", feature: Feature, place: int) -> "dict[str, ir.Value]":
    active = daily[f"rows_{place}"] > 0
    if feature.operation is Operation.DAYS_ACTIVE:
        return {"": daily.count(where=active & _inside(daily, feature))}
    measures: dict[str, ir.Value] = {
        "_days": daily.count(where=active),
        "_span": daily.day.max(where=active) - daily.day.min(where=active),
    }
    if feature.operation is Operation.GAP_STD:
        gap = daily[f"gap_{place}"]
        measures["_squares"] = (gap * gap).sum()
    return measures


def _column(table: "ir.Table", feature: Feature, places: dict[Feature, str]) -> "ir.Value":
    """Return a feature made of its sums, divisions last."""
    operation = feature.operation
    if operation is Operation.RATIO:
        above, below = (_column(table, part, places) for part in feature.parts)
        return _quotient(above, below)
    name = places[feature]
    if operation is Operation.MEAN:
        return _quotient(table[f"{name}_sum"], table[f"{name}_rows"])
    if operation is Operation.TREND:
        now, before = (table[f"{name}_{part}"].fill_null(0) for part in ("now", "before"))
        return ((now + 1).cast("float64") / (before + 1).cast("float64")).ln()
    if operation is Operation.GAP_MEAN:
        return _quotient(table[f"{name}_span"], table[f"{name}_days"] - 1)
    if operation is Operation.GAP_STD:
        return _gap_std(table, name)
    return _plain_column(table[name], operation)


def _plain_column(value: Any, operation: Operation) -> "ir.Value":  # noqa: ANN401 - an Ibis value
    if operation in {Operation.COUNT, Operation.TOTAL, Operation.DAYS_ACTIVE}:
        return cast("ir.Value", value.cast("float64").fill_null(0.0))
    if operation in {Operation.RECENCY, Operation.FIRST_TOUCH}:
        return cast("ir.Value", value.cast("float64") / float(_DAY))
    return cast("ir.Value", value if operation is Operation.ATTRIBUTE else value.cast("float64"))


def _quotient(above: Any, below: Any) -> "ir.Value":  # noqa: ANN401 - Ibis values
    return cast("ir.Value", above.cast("float64") / below.cast("float64").nullif(0.0))


def _gap_std(table: "ir.Table", name: str) -> "ir.Value":
    """Return the sample standard deviation of m gaps: sqrt((Σg² - (Σg)²/m) / (m - 1))."""
    gaps = table[f"{name}_days"] - 1
    span, squares = table[f"{name}_span"], table[f"{name}_squares"]
    # In whole numbers up to the one division: a difference of large floats would lose digits.
    above = (gaps * squares - span * span).cast("float64")
    below = (gaps * (gaps - 1)).cast("float64").nullif(0.0)
    return cast("ir.Value", (gaps >= 2).ifelse((above / below).sqrt(), None))


def attribute_value(people: "ir.Table", feature: Feature) -> "ir.Value":
    """Return an attribute as a feature.

    Parameters
    ----------
    people : ibis.expr.types.Table
        Contacts.
    feature : Feature
        Of the operation ``attribute``.

    Returns
    -------
    ibis.expr.types.Value
        Text for a category, else a float64, missing where there is no number.

    Raises
    ------
    ConfigurationError
        Where contacts have no such column.
    """
    column = str(feature.column)
    if column not in people.columns:
        raise ConfigurationError(
            f"Contacts have no attribute '{column}'.",
            f"Feature '{feature.name}' is made of it.",
            suggestion(column, people.columns),
        )
    value = people[column]
    if feature.categorical:
        return text_of(value)
    number = cast("ir.FloatingValue", try_cast(value, "float64", engine_of(people)))
    return cast("ir.Value", (number.isnan() | number.isinf()).ifelse(None, number))
