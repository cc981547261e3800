"""When do they order again? Dates and chances beside what people use today.

    python benchmarks/next_order.py --online-retail PATH.csv.gz [--cutoff 2011-09-10] [--level item]
    python benchmarks/next_order.py --cdnow PATH.csv.gz --cutoff 1997-10-01
    python benchmarks/next_order.py --series 1000000 [--level item]

Protocol. A model learns from what was known at the cutoff (local midnight) and names a day for everybody, or for
every pair of customer and product, with purchases on at least two days before it.

* MAE: days between the day named and the first day with a purchase at or after the cutoff, over those who
  bought within 90 days of it.
* AUC: of the chance within 28 days, over all of them. Rules that only name a day rank by the earlier day.
* `constant` names the median wait of the rows that the model learned from whose 90 days were over.
* `last + mean gap` names the last purchase and the mean gap after it, at least 1 and at most 90 days ahead.
* `BG/NBD` names the median of its conditional distribution, as the model does.

Intervals are 95 %, by the bootstrap over customers. Products are asked with `least_chance=0`, so that every
pair has a date; the table says how many would have had none.
"""

import argparse
import os
import resource
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa

from mlmarket.churn import BetaGeoModel, NextOrderModel, summarize_transactions
from mlmarket.evaluation import expected_calibration_error, log_loss, roc_auc
from mlmarket.market import Market

RESAMPLES = 400
HORIZON = 90
SOON = 28
STEP = 14


def online_retail(path: Path) -> Market:
    """Open Online Retail with the configuration of the example."""
    os.environ["ONLINE_RETAIL"] = str(path.absolute())
    example = Path(__file__).parents[1] / "examples" / "online_retail"
    return Market.open(example / "mlmarket.toml")


def cdnow(path: Path) -> Market:
    """Open the CDNOW transactions: id, date, n_cds, value."""
    frame = pd.read_csv(path, dtype={"id": str})
    orders = pd.DataFrame(
        {
            "contact_id": frame["id"],
            "order_id": [str(row) for row in range(len(frame))],
            "ordered_at": pd.to_datetime(frame["date"]) + pd.Timedelta(hours=12),
            "amount": frame["value"],
            "quantity": frame["n_cds"],
        }
    )
    return Market.from_tables(orders=orders)


def purchase_days(market: Market, keys: list[str]) -> pd.DataFrame:
    """Return the distinct local days on which each series bought."""
    orders = market.table("orders")
    orders = orders.filter(~orders["is_return"])
    frame = orders.select(*keys, "ordered_at").to_pyarrow().to_pandas()
    local = frame["ordered_at"].dt.tz_localize("UTC").dt.tz_convert(str(market.zone))
    frame["day"] = (local.dt.tz_localize(None).dt.normalize() - pd.Timestamp(0)).dt.days
    return frame[[*keys, "day"]].dropna().drop_duplicates().sort_values([*keys, "day"])


def states(days: pd.DataFrame, keys: list[str], cutoff: int) -> pd.DataFrame:
    """Return series with purchases on two days before a cutoff, and how long the next one took."""
    past, ahead = days[days["day"] < cutoff], days[days["day"] >= cutoff]
    found = past.groupby(keys)["day"].agg(["min", "max", "count"])
    found = found[found["count"] >= 2]
    found["gap"] = (found["max"] - found["min"]) / (found["count"] - 1)
    found["wait"] = ahead.groupby(keys)["day"].min() - cutoff
    return found


def constant(days: pd.DataFrame, keys: list[str], cutoff: int) -> float:
    """Return the median wait before the cutoff, of rows whose 90 days were over."""
    waits = []
    seen = days[days["day"] < cutoff]
    for back in range(HORIZON, 182 + 1, STEP):
        wait = states(seen, keys, cutoff - back)["wait"]
        waits.append(wait[wait <= HORIZON].to_numpy())
    together = np.concatenate(waits)
    return float(np.median(together)) if len(together) else float("nan")


def ours(market: Market, level: str, as_of: datetime) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the day and the chance of every series, and what it cost."""
    begin = time.process_time()
    everything = 10**6
    model = NextOrderModel(level, items=everything, least_chance=0.0).fit(market, as_of=as_of)
    fitted = time.process_time()
    answer = model.predict(market, as_of=as_of)
    cost = {
        "fit": fitted - begin,
        "predict": time.process_time() - fitted,
        "verdict": model.evidence_.verdict,
    }
    if answer.items is not None:
        frame = answer.items.to_pandas().set_index(["contact_id", "item_id"])
        names = {"due_date": "date", "due_low": "low", "due_high": "high"}
    else:
        frame = answer.contacts.to_pandas().set_index("contact_id")
        frame.columns = frame.columns.str.removeprefix("next_order_")
        names = {}
    return frame.rename(columns=names), cost


def bg_nbd(market: Market, as_of: datetime) -> pd.DataFrame:
    """Return the same by BG/NBD: the median day of those that it expects within 90 days."""
    summary = summarize_transactions(market, as_of=as_of - timedelta(microseconds=1))
    model = BetaGeoModel().fit(summary)
    chance = np.column_stack(
        [model.probability_purchase(summary, horizon=f"{day}D") for day in range(1, HORIZON + 1)]
    )
    day = np.argmax(chance >= chance[:, -1:] / 2, axis=1)
    ids = pd.Index(summary["contact_id"], name="contact_id")
    return pd.DataFrame({"day": day, "chance": chance[:, SOON - 1]}, index=ids)


def interval(frame: pd.DataFrame, measure: Callable[[pd.DataFrame], float]) -> str:
    """Return a measure with its interval over customers."""
    value = measure(frame)
    place, _ = pd.factorize(frame.index.get_level_values(0))
    order = np.argsort(place, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(place))[:-1])
    draw = np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLES):
        chosen = np.concatenate([rows[one] for one in draw.integers(0, len(rows), len(rows))])
        found.append(measure(frame.iloc[chosen]))
    low, high = np.nanquantile(found, (0.025, 0.975))
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def compare(market: Market, level: str, cutoff: date) -> None:
    """Print one table."""
    keys = ["contact_id", "item_id"] if level == "item" else ["contact_id"]
    as_of = datetime.combine(cutoff, datetime.min.time(), tzinfo=ZoneInfo(str(market.zone)))
    today = (cutoff - date(1970, 1, 1)).days
    days = purchase_days(market, keys)
    frame = states(days, keys, today)
    answer, cost = ours(market, level, as_of)
    frame = frame.join(answer, how="left")
    came = frame["wait"] <= HORIZON
    frame["soon"] = (frame["wait"] < SOON).astype(float)
    offset = pd.Timestamp(cutoff)
    candidates = {
        "constant": (np.full(len(frame), constant(days, keys, today)), None),
        "last + mean gap": ((frame["max"] + frame["gap"] - today).clip(1, HORIZON), None),
        "mlmarket": ((frame["date"] - offset).dt.days, frame["probability_28d"]),
    }
    if level == "contact":
        theirs = bg_nbd(market, as_of).reindex(frame.index)
        candidates["BG/NBD"] = (theirs["day"], theirs["chance"])
    print(
        f"\n{level}, {cutoff}: {len(frame):,} series, {came.mean():.1%} bought within 90 days, ",
        end="",
    )
    print(f"{frame['soon'].mean():.1%} within 28")
    print(f"{'':18}{'MAE, days':>28}{'AUC 28 d':>26}{'log loss':>10}{'ECE':>8}")
    for name, (day, chance) in candidates.items():
        one = frame.assign(off=np.abs(np.asarray(day, dtype=float) - frame["wait"]), chance=chance)
        error = interval(one[came], lambda part: part["off"].mean())
        ranks = one.assign(chance=-np.asarray(day, dtype=float)) if chance is None else one
        auc = interval(ranks, lambda part: roc_auc(part["soon"], _between(part["chance"])))
        line = f"{name:18}{error:>28}{auc:>26}"
        if chance is not None:
            line += f"{log_loss(one['soon'], chance):10.4f}"
            line += f"{expected_calibration_error(one['soon'], chance):8.4f}"
        print(line, flush=True)
    covered = (frame["low"] <= offset + frame["wait"] * pd.Timedelta(days=1)) & (
        offset + frame["wait"] * pd.Timedelta(days=1) <= frame["high"]
    )
    low = (frame["probability_90d"] < 0.2).mean()
    print(f"80 % band held {covered[came].mean():.1%}; no date at 20 %: {low:.1%} of them")
    print(f"CPU s: fit {cost['fit']:.1f}, predict {cost['predict']:.1f}. {cost['verdict']}")


def _between(scores: pd.Series) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return scores as ranks from 0 to 1, which is what AUC looks at."""
    return (scores.rank(method="average") / (len(scores) + 1)).to_numpy()


def simulated(series: int, level: str) -> Market:
    """Return a year of orders of contacts, or of ten favourite items each."""
    draw = np.random.default_rng(0)
    people = series if level == "contact" else series // 10
    rate = draw.gamma(1.0, 1.0 / 60.0, people) + 1 / 400
    rate *= 1.0 if level == "contact" else 4.0
    who = np.repeat(np.arange(people), 1 + draw.poisson(rate * 365))
    start = np.datetime64("2025-01-01T00:00:00", "us")
    at = start + (draw.uniform(0, 365, len(who)) * 86_400_000_000).astype("timedelta64[us]")
    columns = {
        "contact_id": pa.array(np.char.add("c", np.char.zfill(who.astype("U8"), 8))),
        "order_id": pa.array(np.arange(len(who)).astype("U10")),
        "ordered_at": pa.array(at),
        "amount": pa.array(np.round(draw.gamma(2.0, 20.0, len(who)), 2)),
    }
    if level == "item":
        favourite = np.minimum(draw.geometric(0.25, len(who)) - 1, 9)
        columns["item_id"] = pa.array(((who * 7919 + favourite * 104_729) % 5_000).astype("U5"))
    return Market.from_tables(orders=pa.table(columns))


def scale(series: int, level: str) -> None:
    """Measure CPU and memory on simulated series."""
    market = simulated(series, level)
    keys = ["contact_id"] if level == "contact" else ["contact_id", "item_id"]
    orders = market.table("orders")
    found = orders.select(*keys).distinct().count().to_pyarrow().as_py()
    lines = orders.count().to_pyarrow().as_py()
    print(f"{level}: {found:,} series of {lines:,} order lines; {_peak():.2f} GB", flush=True)
    as_of = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))
    begin = time.process_time()
    model = NextOrderModel(level).fit(market, as_of=as_of)
    print(f"fit: {time.process_time() - begin:.1f} CPU s, peak {_peak():.2f} GB", flush=True)
    begin = time.process_time()
    rows = sum(part.contacts.num_rows for part in model.predict_batches(market, as_of=as_of))
    print(f"predict: {rows:,} rows, {time.process_time() - begin:.1f} CPU s, peak {_peak():.2f} GB")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--online-retail", type=Path)
    parser.add_argument("--cdnow", type=Path)
    parser.add_argument("--cutoff", type=date.fromisoformat, action="append")
    parser.add_argument("--level", choices=("contact", "item"))
    parser.add_argument("--series", type=int)
    given = parser.parse_args()
    if given.online_retail:
        market = online_retail(given.online_retail)
        for cutoff in given.cutoff or [date(2011, 9, 10)]:
            for level in [given.level] if given.level else ["contact", "item"]:
                compare(market, level, cutoff)
    if given.cdnow:
        market = cdnow(given.cdnow)
        for cutoff in given.cutoff or [date(1997, 10, 1)]:
            compare(market, "contact", cutoff)
    if given.series:
        scale(given.series, given.level or "contact")


if __name__ == "__main__":
    main()
