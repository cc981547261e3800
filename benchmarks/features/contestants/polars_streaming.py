"""polars, lazily and with its streaming engine, one query a cutoff."""

import polars as pl

from benchmarks.features.task import DAY, Task

KIND, AGE, VALUE = pl.col("event_type"), pl.col("age"), pl.col("value")


def run(task: Task) -> None:
    """Run the query for each cutoff."""
    for cutoff in task.cutoffs:
        as_of = pl.lit(cutoff).cast(pl.Datetime("us"))
        past = (
            pl.scan_parquet(task.events)
            .filter(pl.col("occurred_at") <= as_of, KIND != "download")
            .select(
                "contact_id",
                "event_type",
                VALUE.cast(pl.Float64),
                age=cutoff - pl.col("occurred_at").cast(pl.Int64),
            )
        )
        contacts = pl.scan_parquet(task.contacts).filter(
            pl.col("created_at").is_null() | (pl.col("created_at") <= as_of)
        )
        contacts.select("contact_id").join(by_rows(past), on="contact_id", how="left").join(
            by_days(past), on="contact_id", how="left"
        ).select("contact_id", as_of.alias("as_of"), *columns()).sort("contact_id").sink_parquet(
            task.file(cutoff), compression="zstd", engine="streaming"
        )


def rows(kind: str, days: int | None = None) -> pl.Expr:
    """Return which rows are of a type and within some days."""
    here = kind == KIND
    return here if days is None else here & (age_days() < days)


def age_days() -> pl.Expr:
    """Return the age of a row in whole days."""
    return AGE // DAY


def number(where: pl.Expr) -> pl.Expr:
    """Return how many rows there are."""
    return where.sum().cast(pl.Int64)


def of(value: pl.Expr, where: pl.Expr) -> pl.Expr:
    """Return a value where a condition holds; a plain sum of it streams, a filter does not."""
    return pl.when(where).then(value)


def by_rows(past: pl.LazyFrame) -> pl.LazyFrame:
    """Add up single rows."""
    large = rows("purchase", 365) & (VALUE > 50)
    priced = rows("purchase") & VALUE.is_not_null()
    return past.group_by("contact_id").agg(
        *(number(rows("page_view", n)).alias(f"page_views_{n}") for n in (7, 30, 60, 90, 365)),
        *(number(rows("purchase", n)).alias(f"purchases_{n}") for n in (30, 90, 180, 365)),
        *(of(VALUE, rows("purchase", n)).sum().alias(f"spent_{n}") for n in (30, 90, 365)),
        page_views=number(rows("page_view")),
        purchases=number(rows("purchase")),
        large_purchases=number(large),
        products_30=number(rows("product_view", 30)),
        searches_90=number(rows("search", 90)),
        logins_30=number(rows("login", 30)),
        tickets=number(rows("support_ticket")),
        carts_90=number(rows("add_to_cart", 90)),
        spent=of(VALUE, rows("purchase")).sum(),
        carted_90=of(VALUE, rows("add_to_cart", 90)).sum(),
        mean_365=of(VALUE, rows("purchase", 365)).mean(),
        mean_carted_90=of(VALUE, rows("add_to_cart", 90)).mean(),
        dearest_365=of(VALUE, rows("purchase", 365)).max(),
        dearest=of(VALUE, rows("purchase")).max(),
        cheapest=of(VALUE, rows("purchase")).min(),
        last_spent=of(VALUE, priced).min_by(of(AGE, priced)),
        last_page_view=of(AGE, rows("page_view")).min(),
        last_purchase=of(AGE, rows("purchase")).min(),
        last_cart=of(AGE, rows("add_to_cart")).min(),
        first_page_view=of(AGE, rows("page_view")).max(),
        first_purchase=of(AGE, rows("purchase")).max(),
    )


def by_days(past: pl.LazyFrame) -> pl.LazyFrame:
    """Add up days with rows, and the gaps between them."""
    days = (
        past.filter(KIND.is_in(["page_view", "purchase"]))
        .select("contact_id", "event_type", day=age_days().cast(pl.Int16))
        .unique()
    )
    page, purchase = (pl.col("day").filter(kind == KIND) for kind in ("page_view", "purchase"))
    gaps = page.cast(pl.Int64).sort().diff()
    return days.group_by("contact_id").agg(
        page_days_30=((KIND == "page_view") & (pl.col("day") < 30)).sum().cast(pl.Int64),
        page_days=(KIND == "page_view").sum().cast(pl.Int64),
        purchase_days=(KIND == "purchase").sum().cast(pl.Int64),
        page_span=page.max().cast(pl.Int64) - page.min(),
        purchase_span=purchase.max().cast(pl.Int64) - purchase.min(),
        page_squares=(gaps * gaps).sum(),
    )


def columns() -> list[pl.Expr]:
    """Return the features, made of what was added up."""
    c, gaps = pl.col, pl.col("page_days") - 1
    counts = {
        **{f"page_view_count_{n}d": c(f"page_views_{n}") for n in (7, 30, 90, 365)},
        "page_view_count": c("page_views"),
        **{f"purchase_count_{n}d": c(f"purchases_{n}") for n in (30, 90, 365)},
        "purchase_count": c("purchases"),
        "product_view_count_30d": c("products_30"),
        "search_count_90d": c("searches_90"),
        "login_count_30d": c("logins_30"),
        "support_ticket_count": c("tickets"),
        "view_count_30d": c("page_views_30") + c("products_30"),
        "large_purchase_count_365d": c("large_purchases"),
        **{f"purchase_total_{n}d": c(f"spent_{n}") for n in (30, 90, 365)},
        "purchase_total": c("spent"),
        "add_to_cart_total_90d": c("carted_90"),
        "page_view_days_active_30d": c("page_days_30"),
        "page_view_days_active": c("page_days"),
        "purchase_days_active": c("purchase_days"),
    }
    ages = {
        "page_view_recency": c("last_page_view"),
        "purchase_recency": c("last_purchase"),
        "add_to_cart_recency": c("last_cart"),
        "page_view_first_touch": c("first_page_view"),
        "purchase_first_touch": c("first_purchase"),
    }
    others = {
        "purchase_mean_365d": c("mean_365"),
        "add_to_cart_mean_90d": c("mean_carted_90"),
        "purchase_maximum_365d": c("dearest_365"),
        "purchase_maximum": c("dearest"),
        "purchase_minimum": c("cheapest"),
        "purchase_last": c("last_spent"),
        "page_view_gap_mean": quotient(c("page_span"), gaps),
        "purchase_gap_mean": quotient(c("purchase_span"), c("purchase_days") - 1),
        "page_view_gap_std": quotient(
            gaps * c("page_squares") - c("page_span") ** 2, gaps * (gaps - 1)
        ).sqrt(),
        "page_view_trend_30d": trend(c("page_views_30"), c("page_views_60")),
        "purchase_trend_90d": trend(c("purchases_90"), c("purchases_180")),
        "purchase_count_90d_per_add_to_cart_count_90d": quotient(c("purchases_90"), c("carts_90")),
    }
    return [
        *(value.cast(pl.Float64).fill_null(0.0).alias(name) for name, value in counts.items()),
        *((value / DAY).alias(name) for name, value in ages.items()),
        *(value.alias(name) for name, value in others.items()),
    ]


def quotient(above: pl.Expr, below: pl.Expr) -> pl.Expr:
    """Return one number divided by another; missing where the latter is not above 0."""
    return pl.when(below > 0).then(above / below)


def trend(now: pl.Expr, both: pl.Expr) -> pl.Expr:
    """Return the log of a span against the span before it."""
    before = both.fill_null(0) - now.fill_null(0)
    return ((1 + now.fill_null(0)) / (1 + before)).log()
