"""Which items may be shown to anybody?

Each question about the catalogue is asked once, of all items. What is not known is not allowed.
"""

import difflib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market.time import parse_duration
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.rules.rules import Rules
from mlmarket.recommend.rules.tables import Unknown

__all__ = ["arrivals", "column", "item_permits"]

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]

_DAY: Final = timedelta(days=1)
_STOCK: Final = "stock"
_NEAR: Final = 0.75


def item_permits(
    rules: Rules, facts: ItemFacts, *, now: float, unknown: Unknown
) -> Iterator[tuple[str, Flags]]:
    """Yield each rule that is asked of items alone, and which items it allows.

    Parameters
    ----------
    rules : Rules
        What is asked.
    facts : ItemFacts
        The catalogue.
    now : float
        The night, in days since 1970; NaN where none was named.
    unknown : Unknown
        Counts rules about items that do not exist.

    Yields
    ------
    name : str
        Of the rule.
    allowed : ndarray of bool, shape (items,)
        What it leaves.
    """
    asked: list[tuple[str, bool, Callable[[], Flags]]] = [
        ("blocked_items", bool(rules.blocked_items), lambda: _not_blocked(rules, facts, unknown)),
        (
            "blocked_categories",
            bool(rules.blocked_categories),
            lambda: _other_categories(rules, facts),
        ),
        ("minimum_price", rules.minimum_price is not None, lambda: facts.price >= _of(rules, 0)),
        ("maximum_price", rules.maximum_price is not None, lambda: facts.price <= _of(rules, 1)),
        ("minimum_margin", rules.minimum_margin is not None, lambda: _margin(rules, facts)),
        ("eligible", rules.eligible is not None, lambda: _condition(rules, facts)),
        (
            "maximum_age",
            rules.maximum_age is not None,
            lambda: arrivals(facts, rules.maximum_age, now=now, rule="maximum_age"),
        ),
        (
            "unpublished",
            not rules.unpublished and not np.isnan(now),
            lambda: ~(facts.published > now),
        ),
    ]
    for name, is_asked, allowed in asked:
        if is_asked:
            yield name, allowed()
    stock = _stock(facts)
    if rules.in_stock or (rules.in_stock is None and bool((~np.isnan(stock)).any())):
        yield "in_stock", stock > 0.0


def arrivals(
    facts: ItemFacts, within: str | timedelta | None, *, now: float, rule: str
) -> npt.NDArray[np.bool_]:
    """Return which items were published within a time before the night.

    Parameters
    ----------
    facts : ItemFacts
        The catalogue.
    within : str or timedelta
        How long before, such as ``"30D"``.
    now : float
        The night, in days since 1970.
    rule : str
        Who asks, for messages.

    Returns
    -------
    ndarray of bool, shape (items,)
        False where it is not known.

    Raises
    ------
    ConfigurationError
        Where no night was named.
    """
    if within is None or np.isnan(now):
        raise ConfigurationError(
            f"The rule '{rule}' asks how old items are, and no as_of says when.",
            "An item is new or old on a night.",
            "pass as_of=… to Rules.compile.",
        )
    age = now - facts.published
    return (age >= 0.0) & (age < parse_duration(within) / _DAY)


def column(facts: ItemFacts, name: str, *, rule: str) -> "Numbers":
    """Return an own column of items as numbers.

    Parameters
    ----------
    facts : ItemFacts
        The catalogue.
    name, rule : str
        The column, and who asks for it.

    Returns
    -------
    ndarray of float64, shape (items,)
        NaN where unknown.

    Raises
    ------
    ConfigurationError
        Where there is no such column, or it holds no numbers.
    """
    import pyarrow as pa

    require_column(facts, name, rule=rule)
    values = facts.table.column(name)
    try:
        numbers: Numbers = values.cast(pa.float64(), safe=False).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ConfigurationError(
            f"Column '{name}' of table 'items' holds {values.type}, which is no number.",
            f"The rule '{rule}' compares it.",
            f"convert it first, such as pandas.to_numeric(frame['{name}']).",
        ) from error
    return np.where(np.isfinite(numbers), numbers, np.nan)


def require_column(
    facts: ItemFacts, name: str, *, rule: str, why: str = "Without it no item could be allowed."
) -> None:
    """Refuse a rule about a column that the items do not have.

    Parameters
    ----------
    facts : ItemFacts
        The catalogue.
    name, rule : str
        The column, and who asks for it.
    why : str, optional
        What would be wrong without it.

    Raises
    ------
    ConfigurationError
        Where there is no such column.
    """
    if name not in facts.table.column_names:
        raise ConfigurationError(
            f"Table 'items' has no column '{name}', which the rule '{rule}' asks for.",
            why,
            _near_column(name, facts.table.column_names),
        )


def _near_column(name: str, columns: list[str]) -> str:
    """Return the column that was meant; only a slip of the pen is near: 'topic' is no 'price'."""
    close = difflib.get_close_matches(name.casefold(), columns, n=1, cutoff=_NEAR)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"add the column '{name}' to the items, or leave the rule out."


def _of(rules: Rules, end: int) -> float:
    price = (rules.minimum_price, rules.maximum_price)[end]
    return np.nan if price is None else price


def _stock(facts: ItemFacts) -> Numbers:
    """Return the stock of each item: pieces where they are known, else 1 and 0; NaN where unknown."""
    told = facts.in_stock.astype(np.float64)
    flag = np.where(told < 0, np.nan, told)
    if _STOCK not in facts.table.column_names:
        return flag
    pieces = column(facts, _STOCK, rule="in_stock")  # oversold items have less than none
    return np.where(flag == 0.0, 0.0, np.where(np.isnan(pieces), flag, pieces))


def _not_blocked(rules: Rules, facts: ItemFacts, unknown: Unknown) -> Flags:
    import pyarrow as pa

    named = pa.array(list(rules.blocked_items), pa.string())
    places = unknown.places(named, facts.ids, table="blocked_items")
    allowed = np.ones(len(facts), dtype=np.bool_)
    allowed[places[places >= 0]] = False
    return allowed


def _other_categories(rules: Rules, facts: ItemFacts) -> Flags:
    known = facts.categories.to_pylist()
    for name in rules.blocked_categories:
        if name not in known and rules.unknown_items == "refuse":
            raise ConfigurationError(
                f"The rule 'blocked_categories' names '{name}', which no item has.",
                "Items would be shown that were meant to be left out.",
                suggestion(name, known),
            )
    blocked = [place for place, name in enumerate(known) if name in rules.blocked_categories]
    category = facts.category
    return (category >= 0) & ~np.isin(category, blocked)


def _margin(rules: Rules, facts: ItemFacts) -> Flags:
    if "margin" in facts.table.column_names:
        margin = column(facts, "margin", rule="minimum_margin")
    else:
        margin = facts.price - column(facts, "cost", rule="minimum_margin")
    # prices and costs are decimal fractions: 5.00 - 3.60 is to count as 1.40
    return np.round(margin, 9) >= (rules.minimum_margin or 0.0)


def _condition(rules: Rules, facts: ItemFacts) -> Flags:
    import ibis

    from mlmarket.expressions import parse_condition, schema_of

    schema = schema_of(ibis.memtable(facts.table.slice(0, 0)))
    condition = parse_condition(rules.eligible or "", schema=schema)
    rows = facts.table.select(sorted(condition.columns)).to_pylist()
    return np.array([condition.evaluate(row) is True for row in rows], dtype=np.bool_)
