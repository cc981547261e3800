"""Which 40 numbers does each contestant compute?

They are declared once, in mlmarket's algebra; the other contestants say the same in their own terms and
under the same names. A window is ``(as_of - w, as_of]``; a day is 24 hours, counted back from ``as_of``.
"""

from mlmarket.features import (
    Feature,
    count,
    days_active,
    first_touch,
    gap_mean,
    gap_std,
    last,
    maximum,
    mean,
    minimum,
    ratio,
    recency,
    total,
    trend,
)

__all__ = ["FEATURES"]

FEATURES: tuple[Feature, ...] = (
    *(count("page_view", window) for window in ("7D", "30D", "90D", "365D", "all")),
    *(count("purchase", window) for window in ("30D", "90D", "365D", "all")),
    count("product_view", "30D"),
    count("search", "90D"),
    count("login", "30D"),
    count("support_ticket"),
    count("page_view | product_view", "30D", name="view_count_30d"),
    count("purchase where value > 50", "365D", name="large_purchase_count_365d"),
    *(total("purchase", window) for window in ("30D", "90D", "365D", "all")),
    total("add_to_cart", "90D"),
    mean("purchase", "365D"),
    mean("add_to_cart", "90D"),
    maximum("purchase", "365D"),
    maximum("purchase"),
    minimum("purchase"),
    last("purchase"),
    *(recency(kind) for kind in ("page_view", "purchase", "add_to_cart")),
    *(first_touch(kind) for kind in ("page_view", "purchase")),
    days_active("page_view", "30D"),
    days_active("page_view"),
    days_active("purchase"),
    gap_mean("page_view"),
    gap_mean("purchase"),
    gap_std("page_view"),
    trend("page_view", "30D"),
    trend("purchase", "90D"),
    ratio(count("purchase", "90D"), count("add_to_cart", "90D")),
)
