"""featuretools, on a sample of contacts: a feature matrix for each training window, all at a cutoff.

In its own primitives: there is none for the gaps between active days or for the trend of a count, so it
computes 35 of the 40 features. Its days are those of the calendar: at a cutoff at midnight the same.
"""

import warnings
from typing import Any

import featuretools as ft
import pandas as pd
import pyarrow.parquet as pq
from featuretools import primitives as fp

from benchmarks.features.task import Task

MOST_CONTACTS = 20_000
WINDOWS = (7, 30, 90, 365, None)
TIME, VALUE, ROW = "occurred_at", "value", "row"
FEATURES: tuple[tuple[str, int | None, str, Any, str], ...] = (
    ("page_view_count_7d", 7, ROW, fp.Count, "page_view"),
    ("page_view_count_30d", 30, ROW, fp.Count, "page_view"),
    ("purchase_count_30d", 30, ROW, fp.Count, "purchase"),
    ("product_view_count_30d", 30, ROW, fp.Count, "product_view"),
    ("login_count_30d", 30, ROW, fp.Count, "login"),
    ("view_count_30d", 30, ROW, fp.Count, "page_view or product_view"),
    ("purchase_total_30d", 30, VALUE, fp.Sum, "purchase"),
    ("page_view_days_active_30d", 30, TIME, fp.NUniqueDays, "page_view"),
    ("page_view_count_90d", 90, ROW, fp.Count, "page_view"),
    ("purchase_count_90d", 90, ROW, fp.Count, "purchase"),
    ("search_count_90d", 90, ROW, fp.Count, "search"),
    ("add_to_cart_count_90d", 90, ROW, fp.Count, "add_to_cart"),
    ("purchase_total_90d", 90, VALUE, fp.Sum, "purchase"),
    ("add_to_cart_total_90d", 90, VALUE, fp.Sum, "add_to_cart"),
    ("add_to_cart_mean_90d", 90, VALUE, fp.Mean, "add_to_cart"),
    ("page_view_count_365d", 365, ROW, fp.Count, "page_view"),
    ("purchase_count_365d", 365, ROW, fp.Count, "purchase"),
    ("large_purchase_count_365d", 365, ROW, fp.Count, "large purchase"),
    ("purchase_total_365d", 365, VALUE, fp.Sum, "purchase"),
    ("purchase_mean_365d", 365, VALUE, fp.Mean, "purchase"),
    ("purchase_maximum_365d", 365, VALUE, fp.Max, "purchase"),
    ("page_view_count", None, ROW, fp.Count, "page_view"),
    ("purchase_count", None, ROW, fp.Count, "purchase"),
    ("support_ticket_count", None, ROW, fp.Count, "support_ticket"),
    ("purchase_total", None, VALUE, fp.Sum, "purchase"),
    ("purchase_maximum", None, VALUE, fp.Max, "purchase"),
    ("purchase_minimum", None, VALUE, fp.Min, "purchase"),
    ("purchase_last", None, VALUE, fp.Last, "priced purchase"),
    ("page_view_recency", None, TIME, fp.TimeSinceLast(unit="days"), "page_view"),
    ("purchase_recency", None, TIME, fp.TimeSinceLast(unit="days"), "purchase"),
    ("add_to_cart_recency", None, TIME, fp.TimeSinceLast(unit="days"), "add_to_cart"),
    ("page_view_first_touch", None, TIME, fp.TimeSinceFirst(unit="days"), "page_view"),
    ("purchase_first_touch", None, TIME, fp.TimeSinceFirst(unit="days"), "purchase"),
    ("page_view_days_active", None, TIME, fp.NUniqueDays, "page_view"),
    ("purchase_days_active", None, TIME, fp.NUniqueDays, "purchase"),
)
"""Name, window in days, column of events, primitive, and which rows."""


def run(task: Task) -> None:
    """Compute each cutoff for a sample of contacts."""
    if int(pd.__version__.split(".")[0]) > 2:
        message = (
            f"featuretools {ft.__version__} does not run with pandas {pd.__version__}; in an "
            "environment of its own, pip install featuretools 'pandas<3' pyarrow, and pass "
            "--featuretools ITS_PYTHON"
        )
        raise SystemExit(message)
    warnings.simplefilter("ignore")  # about its own use of pandas
    contacts = pd.read_parquet(task.contacts, columns=["contact_id", "created_at"])
    contacts = contacts.iloc[:: max(1, len(contacts) // MOST_CONTACTS)]
    entities = entity_set(task, contacts)
    for cutoff in task.cutoffs:
        moment = pd.Timestamp(cutoff, unit="us")
        known = contacts[contacts["created_at"].isna() | (contacts["created_at"] <= moment)]
        asked = pd.DataFrame({"contact_id": known["contact_id"], "time": moment})
        frame = pd.concat([matrix(entities, asked, days) for days in WINDOWS], axis="columns")
        carts = frame.pop("add_to_cart_count_90d")
        purchases = frame["purchase_count_90d"]
        ratio = purchases.divide(carts).where(carts > 0)
        frame["purchase_count_90d_per_add_to_cart_count_90d"] = ratio
        frame = frame.sort_index().reset_index().assign(as_of=moment)
        frame.to_parquet(task.file(cutoff), index=False, compression="zstd")


def entity_set(task: Task, contacts: pd.DataFrame) -> ft.EntitySet:
    """Return the two tables, in its terms."""
    sampled = [("contact_id", "in", contacts["contact_id"].to_list())]
    events = pq.read_table(task.events, filters=sampled).to_pandas()
    events["value"] = events["value"].astype(float)
    entities = ft.EntitySet("log")
    entities.add_dataframe(
        dataframe_name="contacts",
        dataframe=contacts[["contact_id"]].copy(),
        index="contact_id",
        logical_types={"contact_id": "Unknown"},
    )
    entities.add_dataframe(
        dataframe_name="events",
        dataframe=events.reset_index(names=ROW),
        index=ROW,
        time_index=TIME,
        logical_types={"contact_id": "Unknown", "event_type": "Categorical"},
    )
    entities.add_relationship("contacts", "contact_id", "events", "contact_id")
    return entities


def matrix(entities: ft.EntitySet, asked: pd.DataFrame, days: int | None) -> pd.DataFrame:
    """Return the features of one window."""
    conditions = which_rows(entities)
    features = [
        ft.Feature(
            ft.Feature(entities["events"].ww[column]),
            parent_dataframe_name="contacts",
            where=conditions[rows],
            primitive=primitive,
        ).rename(name)
        for name, window, column, primitive, rows in FEATURES
        if window == days
    ]
    found: pd.DataFrame = ft.calculate_feature_matrix(
        features,
        entities,
        cutoff_time=asked,
        training_window=None if days is None else ft.Timedelta(days, "d"),
    )
    return found


def which_rows(entities: ft.EntitySet) -> dict[str, ft.FeatureBase]:
    """Return conditions by their names: types of events, and what is more than a type."""
    kind = ft.Feature(entities["events"].ww["event_type"])
    value = ft.Feature(entities["events"].ww["value"])
    named = {rows: kind == rows for *_, rows in FEATURES if " " not in rows}
    views = ft.Feature(kind, primitive=fp.IsIn(["page_view", "product_view"]))
    large = ft.Feature([named["purchase"], value > 50], primitive=fp.And)
    priced = ft.Feature([named["purchase"], value >= 0], primitive=fp.And)
    return named | {
        "page_view or product_view": views,
        "large purchase": large,
        "priced purchase": priced,
    }
