"""Which tables and columns does mlmarket know, and what may stand in them?

The one place where the names of tables and columns are written down.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

__all__ = [
    "ACTIVITY",
    "AS_OF",
    "AVAILABLE_AT",
    "CHANNELS",
    "CONTACT_ID",
    "OCCURRED_AT",
    "RESERVED_TYPES",
    "TABLES",
    "ColumnSpec",
    "Kind",
    "TableSpec",
]

AS_OF: Final = "as_of"
AVAILABLE_AT: Final = "available_at"
CONTACT_ID: Final = "contact_id"
OCCURRED_AT: Final = "occurred_at"

CHANNELS: Final = ("email", "sms", "push", "in_app", "ads", "whatsapp", "post")
RESERVED_TYPES: Final = (
    "order",
    "return",
    "send",
    "open",
    "click",
    "bounce",
    "complaint",
    "unsubscribe",
)
"""Types of behaviour that come from ``orders`` and ``messages``; events may not use them."""

ACTIVITY: Final = (
    "contact_id",
    "type",
    "occurred_at",
    "available_at",
    "item_id",
    "value",
    "campaign_id",
    "source",
    "row_id",
)
"""Columns of the union of behaviour that ``Market.activity`` returns."""


class Kind(StrEnum):
    """What a column of the contract holds."""

    IDENTIFIER = "identifier"
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    MONEY = "money"
    TIME = "time"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One column of the contract.

    Parameters
    ----------
    name : str
        Its name.
    kind : Kind
        What it holds; money is ``decimal(18, 4)`` in the business's currency, times are UTC.
    description : str
        What it means, with its unit.
    needed : bool, default False
        Whether the table is refused without it. A needed column has no missing values.
    """

    name: str
    kind: Kind
    description: str
    needed: bool = False


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table of the contract.

    Parameters
    ----------
    name : str
        Its name.
    purpose : str
        What needs it.
    columns : tuple of ColumnSpec
        The columns mlmarket knows; others are kept as attributes.
    key : tuple of str
        The columns that together occur once; empty where rows may repeat.
    time : str or None
        The column that says when a row happened; ``complete_until`` is its latest value.
    """

    name: str
    purpose: str
    columns: tuple[ColumnSpec, ...]
    key: tuple[str, ...] = ()
    time: str | None = None

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of the columns the table is refused without."""
        return tuple(column.name for column in self.columns if column.needed)

    def column(self, name: str) -> ColumnSpec | None:
        """Return the column of that name.

        Parameters
        ----------
        name : str
            A column.

        Returns
        -------
        ColumnSpec or None
            None where the contract has none.
        """
        return next((column for column in self.columns if column.name == name), None)


def _needed(name: str, kind: Kind, description: str) -> ColumnSpec:
    return ColumnSpec(name, kind, description, needed=True)


_CONTACTS = TableSpec(
    "contacts",
    "everything; derived from orders or events where it is missing",
    (
        _needed("contact_id", Kind.IDENTIFIER, "the person, as every other table names them"),
        ColumnSpec("external_id", Kind.IDENTIFIER, "the person's id in the mailer or CRM"),
        ColumnSpec("email", Kind.TEXT, "address, used in exports only"),
        ColumnSpec("phone", Kind.TEXT, "number with country code, used in exports only"),
        ColumnSpec("account_id", Kind.IDENTIFIER, "the company the person works for"),
        ColumnSpec("created_at", Kind.TIME, "when the person became known"),
        ColumnSpec("timezone", Kind.TEXT, "IANA name, such as Europe/Lisbon"),
        ColumnSpec("country", Kind.TEXT, "ISO 3166 code, such as PT"),
        ColumnSpec("lifecycle_stage", Kind.TEXT, "the CRM's stage, such as lead or customer"),
        ColumnSpec("valid_from", Kind.TIME, "since when the row's attributes hold"),
    ),
    key=("contact_id",),
)
_EVENTS = TableSpec(
    "events",
    "behaviour: page views, carts, forms, log-ins",
    (
        _needed("contact_id", Kind.IDENTIFIER, "who did it"),
        _needed("event_type", Kind.TEXT, "what was done, such as page_view"),
        _needed("occurred_at", Kind.TIME, "when it happened"),
        ColumnSpec("event_id", Kind.IDENTIFIER, "the event"),
        ColumnSpec("available_at", Kind.TIME, "when the row reached this table"),
        ColumnSpec("item_id", Kind.IDENTIFIER, "the item it was about"),
        ColumnSpec("value", Kind.MONEY, "worth of the event, in the business's currency"),
        ColumnSpec("campaign_id", Kind.IDENTIFIER, "the campaign that led to it"),
        ColumnSpec("url", Kind.TEXT, "the page"),
        ColumnSpec("properties", Kind.TEXT, "further facts as JSON"),
    ),
    key=("event_id",),
    time="occurred_at",
)
_MESSAGES = TableSpec(
    "messages",
    "send time, frequency caps, engagement",
    (
        _needed("message_id", Kind.IDENTIFIER, "one message to one person"),
        _needed("contact_id", Kind.IDENTIFIER, "the recipient"),
        _needed("channel", Kind.TEXT, f"one of {', '.join(CHANNELS)}"),
        _needed("sent_at", Kind.TIME, "when it was sent"),
        ColumnSpec("campaign_id", Kind.IDENTIFIER, "the campaign it belongs to"),
        ColumnSpec("topic", Kind.TEXT, "the consent topic it was sent under"),
        ColumnSpec("variant", Kind.TEXT, "the variant of its campaign"),
        ColumnSpec("propensity", Kind.NUMBER, "chance with which the variant was drawn, 0 to 1"),
        ColumnSpec("delivered_at", Kind.TIME, "when the mailbox took it"),
        ColumnSpec("opened_at", Kind.TIME, "first open"),
        ColumnSpec("clicked_at", Kind.TIME, "first click"),
        ColumnSpec("bounced_at", Kind.TIME, "when it was returned"),
        ColumnSpec("complained_at", Kind.TIME, "when it was reported as spam"),
        ColumnSpec("unsubscribed_at", Kind.TIME, "when the recipient left through it"),
        ColumnSpec("is_machine_open", Kind.BOOLEAN, "whether a privacy proxy opened it"),
    ),
    key=("message_id",),
    time="sent_at",
)
_ORDERS = TableSpec(
    "orders",
    "purchase, churn, value, recommendation",
    (
        _needed("contact_id", Kind.IDENTIFIER, "the buyer"),
        _needed("order_id", Kind.IDENTIFIER, "the order; a row is one line of it"),
        _needed("ordered_at", Kind.TIME, "when it was placed"),
        ColumnSpec("item_id", Kind.IDENTIFIER, "the item of the line"),
        ColumnSpec("quantity", Kind.NUMBER, "pieces; negative on a return"),
        ColumnSpec("amount", Kind.MONEY, "worth of the line in the business's currency"),
        ColumnSpec("available_at", Kind.TIME, "when the row reached this table"),
    ),
    time="ordered_at",
)
_ITEMS = TableSpec(
    "items",
    "content features and stock rules of recommendation",
    (
        _needed("item_id", Kind.IDENTIFIER, "the product or article"),
        ColumnSpec("title", Kind.TEXT, "its name"),
        ColumnSpec("url", Kind.TEXT, "its page"),
        ColumnSpec("image_url", Kind.TEXT, "its picture"),
        ColumnSpec("category", Kind.TEXT, "its category"),
        ColumnSpec("price", Kind.MONEY, "in the business's currency"),
        ColumnSpec("in_stock", Kind.BOOLEAN, "whether it can be had"),
        ColumnSpec("published_at", Kind.TIME, "since when it can be had"),
        ColumnSpec("tags", Kind.TEXT, "words separated by |"),
    ),
    key=("item_id",),
)
_CONSENTS = TableSpec(
    "consents",
    "any message: without it nobody is contacted",
    (
        _needed("contact_id", Kind.IDENTIFIER, "who decided"),
        _needed("channel", Kind.TEXT, f"one of {', '.join(CHANNELS)}"),
        _needed("granted", Kind.BOOLEAN, "true where granted, false where refused or withdrawn"),
        _needed("changed_at", Kind.TIME, "when the decision was made"),
        ColumnSpec("topic", Kind.TEXT, "what it is about; missing means every topic"),
        ColumnSpec("source", Kind.TEXT, "where it was collected"),
        ColumnSpec("legal_basis", Kind.TEXT, "such as consent or legitimate_interest"),
    ),
    time="changed_at",
)
_OUTCOMES = TableSpec(
    "outcomes",
    "lead scoring",
    (
        _needed("contact_id", Kind.IDENTIFIER, "the lead"),
        _needed("outcome", Kind.TEXT, "such as sql or won"),
        _needed("occurred_at", Kind.TIME, "when it was reached"),
        ColumnSpec("value", Kind.MONEY, "worth of it in the business's currency"),
        ColumnSpec("available_at", Kind.TIME, "when the row reached this table"),
    ),
    time="occurred_at",
)

TABLES: Final = MappingProxyType(
    {
        table.name: table
        for table in (_CONTACTS, _EVENTS, _MESSAGES, _ORDERS, _ITEMS, _CONSENTS, _OUTCOMES)
    }
)
"""The tables of the contract, by name."""
