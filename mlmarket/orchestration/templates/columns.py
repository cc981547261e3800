"""Which columns may a journey name, and which predictor writes each?

The night knows what its own predictors write. This list is for whoever writes journeys before the
first night, and for templates: it also names columns whose predictors are documented and not there
yet. A journey that names a column nobody fills waits for it: what is unknown permits nothing.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mlmarket.expressions import Schema, Type
from mlmarket.market.columns import AS_OF, TABLES, Kind

__all__ = ["DOCUMENTED", "DocumentedColumn", "documented_schema"]


@dataclass(frozen=True, slots=True)
class DocumentedColumn:
    """A column of the predictions table.

    Parameters
    ----------
    name : str
        Its name.
    type : Type
        What it holds.
    owner : str
        The predictor that writes it.
    meaning : str
        In a few words, with its unit.
    """

    name: str
    type: Type
    owner: str
    meaning: str


def _rows() -> tuple[DocumentedColumn, ...]:
    number, text, time = Type.NUMBER, Type.TEXT, Type.TIME
    rows = [
        ("purchase_probability_30d", number, "purchase", "probability of an order within 30 days"),
        ("days_since_last_order", number, "purchase", "days"),
        ("order_days_365d", number, "purchase", "days with an order within a year"),
        ("order_value_365d", number, "purchase", "currency, within a year"),
        ("probability_alive", number, "purchase", "probability"),
        ("churn_probability_90d", number, "churn", "probability of no order within 90 days"),
        ("churn_risk", text, "churn", "high, medium or low"),
        ("expected_value_365d", number, "value", "currency, within a year"),
        ("expected_orders_365d", number, "value", "days with an order within a year"),
        ("value_decile", number, "value", "1 to 10"),
        ("next_order_date", time, "next_order", "date"),
        ("next_order_low", time, "next_order", "date"),
        ("next_order_high", time, "next_order", "date"),
        ("next_order_probability_28d", number, "next_order", "probability"),
        ("replenishment_item_id", text, "replenishment", "item"),
        ("replenishment_due_date", time, "replenishment", "date"),
        ("replenishment_probability_28d", number, "replenishment", "probability"),
        ("subscription_churn_probability_90d", number, "subscription", "probability"),
        ("subscription_churn_risk", text, "subscription", "high, medium or low"),
        ("expected_value_saved", number, "retention", "currency a message is worth"),
        ("lead_probability", number, "lead", "probability of the outcome"),
        ("lead_score", number, "lead", "0 to 100"),
        ("lead_grade", text, "lead", "A to D"),
        ("lead_fit_points", number, "lead", "points for who they are"),
        ("lead_behaviour_points", number, "lead", "points for what they do"),
        ("lead_route", text, "lead", "where the lead goes"),
        ("lead_reasons", text, "lead", "words"),
        ("send_weekday", text, "sendtime", "mon to sun"),
        ("send_hour_local", number, "sendtime", "hour of the day where the person is"),
        ("send_at_utc", time, "sendtime", "the next best moment"),
        ("send_source", text, "sendtime", "whose habits it comes from"),
        ("send_weight", number, "sendtime", "how much the person's own habits count"),
        ("rec_probability", number, "recommend", "probability that the first item is taken"),
    ]
    parts = [("id", text), ("title", text), ("url", text), ("image", text)]
    parts += [("price", number), ("reason", text)]
    rows += [
        (f"rec_{slot}_{part}", kind, "recommend", f"{part} of slot {slot}")
        for slot in range(1, 5)
        for part, kind in parts
    ]
    return tuple(DocumentedColumn(*row) for row in rows)


DOCUMENTED: Final = _rows()
"""Columns of the predictions table, at the horizons of the documentation."""

_KINDS: Final = MappingProxyType(
    {
        Kind.INTEGER: Type.NUMBER,
        Kind.NUMBER: Type.NUMBER,
        Kind.MONEY: Type.NUMBER,
        Kind.TIME: Type.TIME,
        Kind.BOOLEAN: Type.BOOLEAN,
    }
)
_ATTRIBUTES: Final[Schema] = MappingProxyType({"plan": Type.TEXT})
"""Attributes beside the contract that templates use; the sample shop has them."""


def documented_schema() -> Schema:
    """Return every column that a template may name: predictions, contacts and ``as_of``.

    Returns
    -------
    mapping of str to Type
        For :func:`~mlmarket.orchestration.lint.lint`, before there are tables of one's own.

    Examples
    --------
    >>> documented_schema()["lead_score"].value
    'number'
    """
    contacts = {one.name: _KINDS.get(one.kind, Type.TEXT) for one in TABLES["contacts"].columns}
    predictions = {one.name: one.type for one in DOCUMENTED}
    return {AS_OF: Type.TIME, **contacts, **_ATTRIBUTES, **predictions}
