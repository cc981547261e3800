"""How does somebody begin who has only an export of orders?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlmarket.errors import ConfigurationError
from mlmarket.market.text_files import read_header

__all__ = ["Guess", "guess_columns", "write_starter"]

_SYNONYMS: Final[Mapping[str, tuple[str, ...]]] = {
    "contact_id": (
        "contactid", "customerid", "customer", "userid", "clientid", "memberid", "custid",
        "customernumber", "buyerid", "personid", "email",
    ),
    "order_id": (
        "orderid", "invoiceno", "invoiceid", "invoice", "ordernumber", "orderno", "transactionid",
        "receiptid", "purchaseid", "order",
    ),
    "ordered_at": (
        "orderedat", "orderdate", "invoicedate", "purchasedate", "transactiondate", "createdat",
        "date", "timestamp", "datetime", "time",
    ),
    "item_id": ("itemid", "stockcode", "sku", "productid", "productcode", "articleid", "product"),
    "quantity": ("quantity", "qty", "units", "pieces"),
    "amount": ("amount", "linetotal", "total", "revenue", "value", "sales", "totalprice"),
}  # fmt: skip
_PRICES: Final = ("unitprice", "price", "itemprice", "priceperunit")


@dataclass(frozen=True, slots=True)
class Guess:
    """What the columns of an export seem to mean.

    Parameters
    ----------
    columns : mapping of str to str
        Column of the contract to an expression over the export's columns.
    unused : tuple of str
        Columns that were not recognised.
    missing : tuple of str
        Needed columns that were not found.
    """

    columns: Mapping[str, str]
    unused: tuple[str, ...]
    missing: tuple[str, ...]


def guess_columns(header: list[str]) -> Guess:
    """Guess which column of an export of orders is which.

    Parameters
    ----------
    header : list of str
        Its column names.

    Returns
    -------
    Guess
        To be checked by a person.

    Examples
    --------
    >>> guess = guess_columns(["InvoiceNo", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"])
    >>> guess.columns["amount"], guess.missing
    ('Quantity * UnitPrice', ())
    """
    folded = {"".join(sign for sign in name.casefold() if sign.isalnum()): name for name in header}
    columns: dict[str, str] = {}
    for target, synonyms in _SYNONYMS.items():
        found = next((folded[word] for word in synonyms if word in folded), None)
        if found is not None and found not in columns.values():
            columns[target] = found
    price = next((folded[word] for word in _PRICES if word in folded), None)
    if "amount" not in columns and price is not None and "quantity" in columns:
        columns["amount"] = f"{_quoted(columns['quantity'])} * {_quoted(price)}"
    used = {*columns.values(), price}
    needed = ("contact_id", "order_id", "ordered_at")
    return Guess(
        columns,
        tuple(name for name in header if name not in used),
        tuple(name for name in needed if name not in columns),
    )


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f'"{name}"'


def write_starter(folder: Path, orders: Path | None, *, timezone: str = "UTC") -> list[Path]:
    """Write a commented ``mlmarket.toml``, segments and one journey.

    Parameters
    ----------
    folder : Path
        Where; files that exist are not touched.
    orders : Path or None
        An export of orders in CSV, whose columns are guessed.
    timezone : str, default "UTC"
        Of the business.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ConfigurationError
        Where there is a configuration already, or the export cannot be found.
    """
    target = folder / "mlmarket.toml"
    if target.exists():
        raise ConfigurationError(
            f"There is an mlmarket.toml in '{folder}' already.",
            "It may hold work that nobody wants to lose.",
            "move it away, or edit it.",
        )
    guess = Guess({}, (), ())
    source = "orders.parquet"
    if orders is not None:
        if not orders.is_file():
            raise ConfigurationError(
                f"There is no file '{orders}'.",
                "Its header is read to guess the mapping.",
                "pass the path of an export in CSV, plain or in gzip.",
            )
        header, _ = read_header(orders, "orders")
        guess = guess_columns(header)
        source = str(orders)
    texts = {
        target: _configuration(source, guess, timezone),
        folder / "segments.yaml": SEGMENTS,
        folder / "journeys" / "win_back.yaml": JOURNEY,
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path, text in texts.items():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def _configuration(source: str, guess: Guess, timezone: str) -> str:
    lines = []
    for name, text in guess.columns.items():
        lines.append(f"{name} = {_toml(text)}")
    for name in guess.missing:
        lines.append(f'# {name} = "…"   # needed, and not found in the header')
    if not lines:
        lines = ['# contact_id = "customer"   # contract = "expression over your columns"']
    if guess.unused:
        lines.append(f"# not used: {', '.join(guess.unused)}")
    return CONFIGURATION.format(
        timezone=timezone, source=_toml(source), columns="\n".join(lines)
    )


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


CONFIGURATION: Final = """\
# What mlmarket knows about the business. Every key is explained in docs/cli.md; secrets are written
# as ${{NAME}} and read from the environment.

[business]
timezone = "{timezone}"       # where days begin: a night is scored as of midnight there
currency = "EUR"

[tables.orders]
source = {source}
timezone = "{timezone}"       # of times that carry none
# where = "customer is not null"       # rows left out are counted in the report
# returns = "amount < 0"               # which lines are returns; needed where amounts are negative

[tables.orders.columns]
{columns}

# Further tables bring further answers; `mlmarket check` says which.
# [tables.contacts]
# source = "contacts.csv"
# [tables.messages]
# source = "messages/*.parquet"
# [tables.consents]                    # without it nobody is ever messaged
# source = "consents.csv"

[predict.purchase]
horizon = "30D"

[predict.churn]
horizon = "90D"

# A question of your own:
# [predict.upgrade]
# label = "event upgrade"
# horizon = "30D"

[models]
retrain_after = "30D"

[segments]
files = ["segments.yaml"]

[journeys]
files = ["journeys/*.yaml"]
holdout = 0.05                         # share of people no journey messages, to measure the rest
"""

SEGMENTS: Final = """\
# Segments by rule, over predictions and attributes of contacts. docs/journeys.md explains them.
segments:
  likely_to_buy:
    title: Likely to buy in 30 days
    top: {column: purchase_probability_30d, share: 0.10}
    why: "{purchase_probability_30d:percent} chance to order within 30 days"
    action: Show new arrivals; no discount needed

  leaving:
    title: Good customers about to leave
    when: churn_risk = 'high' and order_days_365d >= 2
    why: "{churn_probability_90d:percent} chance of no order within 90 days"
    action: Win back with a personal message

  lapsed:
    title: No order for 180 days
    when: days_since_last_order > 180
    why: "last order {days_since_last_order:number} days ago"
    action: Ask what was missing
"""

JOURNEY: Final = """\
journey: win_back
title: Win back good customers about to leave
entry: {segment: leaving}
reentry: 180D
steps:
  - wait: 1D
  - message: {name: we_miss_you, channel: email, topic: offers, template: win_back_1}
goal: order
exit: {left_segment: true}
expires_after: 30D
holdout: 0.10
"""
