"""What counts as interest in an item, and how much?"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mlmarket.errors import ConfigurationError
from mlmarket.market.columns import RESERVED_TYPES
from mlmarket.recommend.interactions import ITEM_ID

if TYPE_CHECKING:
    from mlmarket.market import Market

__all__ = [
    "CONTENT_WEIGHTS",
    "MICRO",
    "ORDER",
    "ORDER_WEIGHTS",
    "RETURN",
    "TYPES",
    "check_weights",
    "codes_of",
    "weights_of",
]

ORDER_WEIGHTS: Final[Mapping[str, float]] = MappingProxyType({"order": 1.0})
"""What counts where orders say which item was bought."""
CONTENT_WEIGHTS: Final[Mapping[str, float]] = MappingProxyType(
    {"add_to_cart": 0.3, "product_view": 0.1, "page_view": 0.1}
)
"""What counts where they do not."""
MICRO: Final = 1_000_000
"""Weights are added up as millionths: whole numbers have one sum in any order."""
TYPES: Final = 256
"""Types that can be told apart, orders and returns among them."""
ORDER: Final = 0
RETURN: Final = TYPES - 1
_MOST_TYPES: Final = TYPES - 2
_MOST_WEIGHT: Final = 1_000.0


def codes_of(weights: Mapping[str, float]) -> dict[str, int]:
    """Return the number of each type; that of returns beside them.

    Parameters
    ----------
    weights : mapping of str to float
        By type.

    Returns
    -------
    dict of str to int
        Below :data:`TYPES`.
    """
    events = sorted(set(weights) - {"order"})
    return {"order": ORDER, "return": RETURN} | {kind: 1 + n for n, kind in enumerate(events)}


def weights_of(market: "Market", weights: Mapping[str, float] | None) -> dict[str, float]:
    """Return what counts in a market.

    Parameters
    ----------
    market : Market
        The tables.
    weights : mapping of str to float or None
        What was asked for.

    Returns
    -------
    dict of str to float
        By type.

    Raises
    ------
    ConfigurationError
        Where one is no number above 0, or is of something that is no interest in an item.
    """
    if weights is None:
        with_items = market.has("orders") and ITEM_ID in market.table("orders").columns
        return dict(ORDER_WEIGHTS if with_items else CONTENT_WEIGHTS)
    check_weights(weights)
    return dict(weights)


def check_weights(weights: Mapping[str, float]) -> None:
    """Refuse weights that cannot be used.

    Parameters
    ----------
    weights : mapping of str to float
        By type.

    Raises
    ------
    ConfigurationError
        Where one is no number above 0, or is of something that is no interest in an item.
    """
    for kind, weight in weights.items():
        if kind in RESERVED_TYPES and kind != "order":
            raise ConfigurationError(
                f"'{kind}' has a weight, but is no interest in an item.",
                "Recommendations are learned from orders and events; what comes back is taken off by itself.",
                "weigh order and types of events, such as {order = 1.0, add_to_cart = 0.3}.",
            )
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not 1 / MICRO <= weight <= _MOST_WEIGHT:
            raise ConfigurationError(
                f"The weight of '{kind}' is {weight!r}.",
                "It says how much one row counts beside the others.",
                f"write a number above 0 and up to {_MOST_WEIGHT:g}, or leave '{kind}' out.",
            )
    if not 0 < len(weights) <= _MOST_TYPES:
        raise ConfigurationError(
            f"{len(weights)} types of behaviour have a weight.",
            "There has to be something to learn from, and no more than a team can weigh.",
            "weigh some, such as {order = 1.0, add_to_cart = 0.3}, or leave the weights out.",
        )
