"""What do the columns of an export of orders seem to mean?"""

import csv
import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Final

from mlmarket.errors import ConfigurationError
from mlmarket.expressions import Type, parse
from mlmarket.market.text_files import read_header

__all__ = ["Guess", "guess_columns", "guess_file"]

_SYNONYMS: Final[Mapping[str, tuple[str, ...]]] = {
    "contact_id": (
        "contactid", "customerid", "customeruserid", "userid", "clientid", "memberid", "custid",
        "customernumber", "buyerid", "personid", "customer", "email", "emailbilling",
        "billingemail", "customeremail", "emailaddress",
    ),
    "order_id": (
        "orderid", "invoiceno", "invoiceid", "invoice", "ordernumber", "orderno", "transactionid",
        "receiptid", "purchaseid", "order",
    ),
    "ordered_at": (
        "orderedat", "orderdate", "invoicedate", "purchasedate", "transactiondate", "createdat",
        "datecreated", "date", "timestamp", "datetime", "time",
    ),
    "item_id": (
        "itemid", "stockcode", "sku", "lineitemsku", "productid", "productcode", "articleid",
        "product",
    ),
    "quantity": (
        "quantity", "lineitemquantity", "quantityrefund", "qty", "units", "pieces", "itemssold",
    ),
    "amount": (
        "amount", "linetotal", "total", "revenue", "value", "sales", "totalprice", "nrevenue",
        "netrevenue", "ordertotal", "ordertotalamount",
    ),
}  # fmt: skip
_UNIT_PRICES: Final = ("unitprice", "lineitemprice", "itemcost", "itemprice", "priceperunit")
_PRICES: Final = (*_UNIT_PRICES, "price")
_SHOP_LINE: Final = "lineitemquantity"
"""A column of exports that call the order's number its name, and give totals for whole orders."""

_ISO: Final = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}.*)?")
_FORMATS: Final = tuple(
    f"{day}{time}"
    for day in ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%m/%d/%y", "%d/%m/%y")
    for time in (" %H:%M", " %H:%M:%S", " %I:%M %p", "")
)
_NUMBER: Final = re.compile(r"-\d+(\.\d+)?")
_SAMPLE: Final = 50_000
"""Lines that are looked at."""

_OTHER_ENCODING: Final = "windows-1252"


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
    where : str
        Which rows to keep; empty for all.
    returns : str
        Which rows are returns; empty where none was seen.
    time_formats : tuple of str
        Formats that fit every time seen; none where they are ISO 8601.
    encoding : str, default "utf-8"
        Of the file.
    """

    columns: Mapping[str, str]
    unused: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    where: str = ""
    returns: str = ""
    time_formats: tuple[str, ...] = ()
    encoding: str = "utf-8"


def guess_columns(header: Sequence[str], rows: Sequence[Sequence[str]] = ()) -> Guess:
    """Guess which column of an export of orders is which.

    Parameters
    ----------
    header : sequence of str
        Its column names.
    rows : sequence of sequence of str, optional
        Some of its rows; they show times that are not ISO 8601, returns and missing customers.

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
    found = _by_synonym(folded)
    price = _price(folded, found)
    columns = {target: _quoted(name) for target, name in found.items()}
    if price is not None:
        columns["amount"] = f"{columns['quantity']} * {_quoted(price)}"
    used = {*found.values(), price}
    needed = ("contact_id", "order_id", "ordered_at")
    values = {name: [row[place].strip() for row in rows] for place, name in enumerate(header)}
    seen = {target: values[name] for target, name in found.items()}
    return Guess(
        columns,
        tuple(name for name in header if name not in used),
        tuple(name for name in needed if name not in columns),
        where=f"{columns['contact_id']} is not null" if "" in seen.get("contact_id", ()) else "",
        returns=_returns(columns, seen),
        time_formats=_time_formats(seen.get("ordered_at", [])),
    )


def _by_synonym(folded: Mapping[str, str]) -> dict[str, str]:
    """Return the column of each target that has one."""
    found: dict[str, str] = {}
    for target, synonyms in _SYNONYMS.items():
        wanted = ("name", *synonyms) if target == "order_id" and _SHOP_LINE in folded else synonyms
        name = next((folded[word] for word in wanted if word in folded), None)
        if name is not None and name not in found.values():
            found[target] = name
    return found


def _price(folded: Mapping[str, str], found: dict[str, str]) -> str | None:
    """Return the column to multiply with the quantity; a price a unit is worth more than a total."""
    words = _PRICES if "amount" not in found else _UNIT_PRICES
    price = next((folded[word] for word in words if word in folded), None)
    if price is None or "quantity" not in found:
        return None
    found.pop("amount", None)
    return price


def _quoted(name: str) -> str:
    """Return a column's name as an expression reads it."""
    try:
        bare = parse(name, schema={name: Type.TEXT})
    except ConfigurationError:
        bare = None
    if bare is not None and set(bare.columns) == {name}:
        return name
    return '"' + name.replace('"', '""') + '"'


def _returns(columns: Mapping[str, str], seen: Mapping[str, list[str]]) -> str:
    for target in ("quantity", "amount"):
        if any(_NUMBER.fullmatch(value) for value in seen.get(target, ())):
            return f"{columns[target]} < 0"
    return ""


def _time_formats(values: list[str]) -> tuple[str, ...]:
    texts = {value for value in values if value}
    if not texts or all(_ISO.fullmatch(text) for text in texts):
        return ()
    return tuple(form for form in _FORMATS if all(_fits(text, form) for text in texts))


def _fits(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False
    return True


def guess_file(path: Path) -> Guess:
    """Guess what the columns of a CSV file mean, from its header and first rows.

    Parameters
    ----------
    path : Path
        The file, plain or in gzip, in UTF-8 or Windows-1252.

    Returns
    -------
    Guess
        To be checked by a person.

    Raises
    ------
    ConfigurationError
        Where there is no such file.
    DataContractError
        Where it is empty.
    """
    if not path.is_file():
        raise ConfigurationError(
            f"There is no file '{path}'.",
            "Its header is read to guess the mapping.",
            "pass the path of an export in CSV, plain or in gzip.",
        )
    encoding = _encoding(path)
    header, separator = read_header(path, "orders", encoding=encoding)
    with _opened(path, encoding) as stream:
        lines = csv.reader(stream, delimiter=separator)
        rows = [row for row in islice(lines, 1, _SAMPLE) if len(row) == len(header)]
    guess = guess_columns(header, rows)
    return replace(guess, encoding=encoding) if encoding == _OTHER_ENCODING else guess


def _encoding(path: Path) -> str:
    try:
        with _opened(path, "utf-8-sig") as stream:
            while stream.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return _OTHER_ENCODING
    return "utf-8-sig"


def _opened(path: Path, encoding: str) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")
