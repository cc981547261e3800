"""pandas: the log is read once, ids as codes; each feature is a filter and a groupby."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.features.task import DAY, Task


def run(task: Task) -> None:
    """Read once, then compute each cutoff."""
    contacts = pd.read_parquet(task.contacts, columns=["contact_id", "created_at"])
    contacts = contacts.sort_values("contact_id", ignore_index=True)
    events = read_events(task, pd.Index(contacts["contact_id"]))
    for cutoff in task.cutoffs:
        known = contacts["created_at"].isna() | (
            contacts["created_at"] <= pd.Timestamp(cutoff, unit="us")
        )
        frame = features(events, cutoff, contacts.index[known])
        frame.insert(0, "contact_id", contacts["contact_id"][known])
        frame.insert(1, "as_of", pd.Timestamp(cutoff, unit="us"))
        frame.to_parquet(task.file(cutoff), index=False, compression="zstd")


def read_events(task: Task, names: pd.Index) -> dict[str, pd.DataFrame]:
    """Return a frame of contact, time and value for each type of event."""
    parts: dict[str, list[pd.DataFrame]] = {}
    file = pq.ParquetFile(task.events, read_dictionary=["contact_id", "event_type"])
    for batch in file.iter_batches(batch_size=1 << 20):
        ids, kinds = batch.column("contact_id"), batch.column("event_type")
        codes = names.get_indexer(ids.dictionary.to_pandas())
        frame = pd.DataFrame(
            {
                "contact": codes[ids.indices.to_numpy()].astype(np.int32),
                "time": batch.column("occurred_at").cast(pa.int64()).to_numpy(),
                "value": batch.column("value").cast(pa.float64()).to_numpy(zero_copy_only=False),
            }
        )
        kind = pd.Series(kinds.dictionary.to_pandas().to_numpy()[kinds.indices.to_numpy()])
        for name, rows in frame.groupby(kind):
            parts.setdefault(str(name), []).append(rows)
    return {name: pd.concat(parts.pop(name), ignore_index=True) for name in list(parts)}


def features(events: dict[str, pd.DataFrame], cutoff: int, who: pd.Index) -> pd.DataFrame:
    """Return the features of contacts, by their codes."""
    past = {name: aged(rows, cutoff) for name, rows in events.items() if name != "download"}
    page, purchase, cart = (past[name] for name in ("page_view", "purchase", "add_to_cart"))
    columns = counts(past)
    columns |= values(purchase, cart)
    for name, rows in {"page_view": page, "purchase": purchase, "add_to_cart": cart}.items():
        columns[f"{name}_recency"] = rows.groupby("contact")["age"].min() / DAY
    for name, rows in {"page_view": page, "purchase": purchase}.items():
        columns[f"{name}_first_touch"] = rows.groupby("contact")["age"].max() / DAY
    columns |= days(page, purchase)
    frame = pd.DataFrame({name: column.reindex(who) for name, column in columns.items()})
    zero = [
        name for name in frame if any(f"_{kind}" in name for kind in ("count", "total", "days"))
    ]
    zero.remove("purchase_count_90d_per_add_to_cart_count_90d")
    zero += ["page_view_trend_30d", "purchase_trend_90d"]
    return frame.fillna(dict.fromkeys(zero, 0.0))


def aged(rows: pd.DataFrame, cutoff: int) -> pd.DataFrame:
    """Return the rows up to a cutoff, with their age."""
    rows = rows[rows["time"] <= cutoff]
    return rows.assign(age=cutoff - rows["time"]).drop(columns="time")


def size(rows: pd.DataFrame, newest: int | None = None, oldest: int = 0) -> pd.Series:
    """Return the number of rows by contact, within some days."""
    if newest is not None:
        rows = rows[(rows["age"] < newest * DAY) & (rows["age"] >= oldest * DAY)]
    return rows.groupby("contact").size().astype(float)


def counts(past: dict[str, pd.DataFrame]) -> dict[str, pd.Series]:
    """Return what is counted, and what is made of counts."""
    page, purchase = past["page_view"], past["purchase"]
    found = {f"page_view_count_{n}d": size(page, n) for n in (7, 30, 90, 365)}
    found["page_view_count"] = size(page)
    found |= {f"purchase_count_{n}d": size(purchase, n) for n in (30, 90, 365)}
    found["purchase_count"] = size(purchase)
    found["product_view_count_30d"] = size(past["product_view"], 30)
    found["search_count_90d"] = size(past["search"], 90)
    found["login_count_30d"] = size(past["login"], 30)
    found["support_ticket_count"] = size(past["support_ticket"])
    pages, products = found["page_view_count_30d"], found["product_view_count_30d"]
    found["view_count_30d"] = pages.add(products, fill_value=0)
    found["large_purchase_count_365d"] = size(purchase[purchase["value"] > 50], 365)
    purchases, carts = found["purchase_count_90d"], size(past["add_to_cart"], 90)
    found["purchase_count_90d_per_add_to_cart_count_90d"] = (
        purchases.reindex(carts.index, fill_value=0.0) / carts
    )
    found["page_view_trend_30d"] = trend(pages, size(page, 60, 30))
    found["purchase_trend_90d"] = trend(purchases, size(purchase, 180, 90))
    return found


def trend(now: pd.Series, before: pd.Series) -> pd.Series:
    """Return the log of a span against the one before it."""
    return np.log((now + 1).div(before + 1, fill_value=1))


def values(purchase: pd.DataFrame, cart: pd.DataFrame) -> dict[str, pd.Series]:
    """Return what is made of values."""
    found = {}
    for n in (30, 90, 365):
        recent = purchase[purchase["age"] < n * DAY].groupby("contact")["value"]
        found[f"purchase_total_{n}d"] = recent.sum()
    found["purchase_mean_365d"], found["purchase_maximum_365d"] = recent.mean(), recent.max()
    ever = purchase.groupby("contact")["value"]
    found["purchase_total"], found["purchase_maximum"] = ever.sum(), ever.max()
    found["purchase_minimum"] = ever.min()
    # The log is nearly in order of time, but only nearly.
    newest_last = purchase.sort_values(["age", "value"], ascending=[False, True])
    found["purchase_last"] = newest_last.groupby("contact")["value"].last()
    carted = cart[cart["age"] < 90 * DAY].groupby("contact")["value"]
    found["add_to_cart_total_90d"], found["add_to_cart_mean_90d"] = carted.sum(), carted.mean()
    return found


def days(page: pd.DataFrame, purchase: pd.DataFrame) -> dict[str, pd.Series]:
    """Return what is made of days with rows and the gaps between them."""
    found = {}
    for name, rows in {"page_view": page, "purchase": purchase}.items():
        active = pd.DataFrame({"contact": rows["contact"], "day": rows["age"] // DAY})
        active = active.drop_duplicates().sort_values(["contact", "day"])
        grouped = active.groupby("contact")["day"]
        found[f"{name}_days_active"] = grouped.size().astype(float)
        gap = grouped.diff().groupby(active["contact"])
        found[f"{name}_gap_mean"] = gap.mean()
        if name == "page_view":
            found["page_view_gap_std"] = gap.std()
            recent = active[active["day"] < 30].groupby("contact")
            found["page_view_days_active_30d"] = recent.size().astype(float)
    return found
