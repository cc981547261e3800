"""How are chances and dates of the next order written down?"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mlmarket.churn.next_order.dates import DAYS, HORIZONS, calendar_days, expected_dates
from mlmarket.market.columns import CONTACT_ID
from mlmarket.prediction.buckets import BUCKET
from mlmarket.prediction.predictor import OutputColumn, Predictions

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlmarket.market import Market
    from mlmarket.prediction.predictor import Schema

__all__ = [
    "REPLENISHMENT",
    "Asked",
    "Pairs",
    "about_contacts",
    "about_items",
    "columns_of",
    "due_items",
    "with_strangers",
    "without_orders",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NEXT_ORDER: Final = "next_order"
REPLENISHMENT: Final = "replenishment"
_RANKED: Final = 28
"""Horizon by which items are ranked."""
_NO_DATE: Final = "no date: the chance within 90 days is too low; the reason is in missing.parquet"


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer has to say beside its numbers.

    Parameters
    ----------
    as_of : datetime
        When it was asked.
    today : int
        The local day after which the first day ahead comes, as days since 1970.
    least_chance : float
        Of an order within 90 days, below which no date is named.
    items : int
        Items named to a contact at most.
    version : str
        Of the model.
    """

    as_of: datetime
    today: int
    least_chance: float
    items: int
    version: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of contact and item.

    Parameters
    ----------
    contact : ndarray of int64, shape (pairs,)
        Place of each one's contact, ascending.
    item_id : pyarrow.StringArray
        Its item.
    chance : ndarray of float64, shape (pairs, 90)
        That it is bought by each day.
    times, since, gap : ndarray of float64, shape (pairs,)
        On how many days it was bought, how many days ago the last time, and its typical gap.
    """

    contact: Integers
    item_id: "pa.StringArray"
    chance: Floats
    times: Floats
    since: Floats
    gap: Floats


def columns_of(name: str) -> "Schema":
    """Return the columns of the predictions table.

    Parameters
    ----------
    name : {"next_order", "replenishment"}
        The predictor.

    Returns
    -------
    mapping of str to OutputColumn
        In their order there.
    """
    day = "date in the business's time zone"
    if name == REPLENISHMENT:
        of_first = "of the item that is most likely bought again within 28 days"
        columns = [
            OutputColumn(f"{name}_item_id", "text", name, "item", f"the id {of_first}"),
            OutputColumn(f"{name}_due_date", "time", name, day, f"the date due {of_first}"),
            OutputColumn(
                f"{name}_probability_{_RANKED}d", "number", name, "probability", f"that {of_first}"
            ),
        ]
    else:
        given = "the next order, given that it comes within 90 days"
        said = {"date": "median date of", "low": "1 in 10 is before: ", "high": "9 in 10 are by: "}
        columns = [
            OutputColumn(f"{name}_{part}", "time", name, day, f"{words} {given}", _NO_DATE)
            for part, words in said.items()
        ]
        columns += [
            OutputColumn(
                f"{name}_probability_{days}d",
                "number",
                name,
                "probability",
                f"probability of at least one order within {days} days",
            )
            for days in HORIZONS
        ]
    says = "which trained model gave the answer"
    columns.append(OutputColumn(f"{name}_model_version", "text", name, "version", says))
    return {column.name: column for column in columns}


def about_contacts(
    people: "pa.StringArray", ordered: Integers, chance: Floats, asked: Asked
) -> Predictions:
    """Return what is said about contacts.

    Parameters
    ----------
    people : pyarrow.StringArray
        Who was asked about, ascending.
    ordered : ndarray of int64, shape (rows,)
        Places of those who had ordered, ascending.
    chance : ndarray of float64, shape (rows, 90)
        That each of these has ordered again by each day.
    asked : Asked
        What else is said.

    Returns
    -------
    Predictions
        Who had not ordered is in ``missing``; so is, with a row in both, whose chance is too low for a date.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = people.take(pa.array(ordered))
    unlikely = pa.array(chance[:, DAYS - 1] < asked.least_chance)
    days = expected_dates(chance)
    columns: dict[str, Any] = {CONTACT_ID: ids}
    for part, day in (("date", days.middle), ("low", days.low), ("high", days.high)):
        dates = calendar_days(day, today=asked.today)
        columns[f"{NEXT_ORDER}_{part}"] = pc.if_else(unlikely, pa.scalar(None, dates.type), dates)
    for horizon in HORIZONS:
        columns[f"{NEXT_ORDER}_probability_{horizon}d"] = pa.array(chance[:, horizon - 1])
    columns[f"{NEXT_ORDER}_model_version"] = pa.repeat(pa.scalar(asked.version), len(ids))
    why = (
        f"its chance of an order within {DAYS} days is below {asked.least_chance:.0%}, too low for "
        "a date"
    )
    silent = without_orders(NEXT_ORDER, _others(people, ordered), as_of=asked.as_of)
    missing = pa.concat_tables([silent, _reasons(NEXT_ORDER, ids.filter(unlikely), why)])
    return Predictions(pa.table(columns), missing.sort_by(CONTACT_ID))


def about_items(people: "pa.StringArray", pairs: Pairs, asked: Asked) -> Predictions:
    """Return what is said about items.

    Parameters
    ----------
    people : pyarrow.StringArray
        Who was asked about, ascending.
    pairs : Pairs
        Everything they had bought.
    asked : Asked
        What else is said.

    Returns
    -------
    Predictions
        With ``items``: the likeliest ones of each contact, ranked by the chance within 28 days. Who has none
        that is likely enough is in ``missing``.
    """
    import pyarrow as pa

    likely = np.flatnonzero(pairs.chance[:, DAYS - 1] >= asked.least_chance)
    order = np.lexsort((likely, -pairs.chance[likely, _RANKED - 1], pairs.contact[likely]))
    chosen = likely[order]
    contact = pairs.contact[chosen]
    rank = np.arange(len(chosen)) - np.searchsorted(contact, contact) + 1
    chosen, contact, rank = (part[rank <= asked.items] for part in (chosen, contact, rank))
    items = _items_table(people, pairs, chosen, rank, asked)
    first = items.filter(pa.array(rank == 1))
    version = pa.repeat(pa.scalar(asked.version), first.num_rows)
    contacts = pa.table(
        {
            CONTACT_ID: first.column(CONTACT_ID),
            f"{REPLENISHMENT}_item_id": first.column("item_id"),
            f"{REPLENISHMENT}_due_date": first.column("due_date"),
            f"{REPLENISHMENT}_probability_{_RANKED}d": first.column("probability"),
            f"{REPLENISHMENT}_model_version": version,
        }
    )
    bought = np.unique(pairs.contact)
    why = (
        f"has bought no item whose chance of being bought again within {DAYS} days is at least "
        f"{asked.least_chance:.0%}"
    )
    unlikely = people.take(pa.array(np.setdiff1d(bought, contact)))
    silent = without_orders(REPLENISHMENT, _others(people, bought), as_of=asked.as_of)
    missing = pa.concat_tables([silent, _reasons(REPLENISHMENT, unlikely, why)])
    return Predictions(contacts, missing.sort_by(CONTACT_ID), items)


def _items_table(
    people: "pa.StringArray", pairs: Pairs, chosen: Integers, rank: Integers, asked: Asked
) -> "pa.Table":
    import pyarrow as pa

    chance = pairs.chance[chosen]
    days = expected_dates(chance)
    due = {
        name: calendar_days(day, today=asked.today)
        for name, day in (("due_date", days.middle), ("due_low", days.low), ("due_high", days.high))
    }
    probability = pa.array(chance[:, _RANKED - 1])
    return pa.table(
        {
            CONTACT_ID: people.take(pa.array(pairs.contact[chosen])),
            "item_id": pairs.item_id.take(pa.array(chosen)),
            "rank": pa.array(rank, pa.int64()),
            "score": probability,
            "probability": probability,
            **{f"probability_{horizon}d": pa.array(chance[:, horizon - 1]) for horizon in HORIZONS},
            **due,
            "reason": _why_due(pairs, chosen),
            "source": pa.repeat(pa.scalar(REPLENISHMENT), len(chosen)),
        }
    )


def _why_due(pairs: Pairs, chosen: Integers) -> "pa.StringArray":
    """Return the rhythm of pairs in words."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def text(numbers: Floats) -> "pa.StringArray":
        return pa.array(np.rint(numbers).astype(np.int64)).cast(pa.string())

    times, since, gap = (part[chosen] for part in (pairs.times, pairs.since, pairs.gap))
    often = pc.binary_join_element_wise("bought ", text(times), " times, ", "")
    said = pc.if_else(pa.array(times > 1), often, "bought once, ")
    return pc.binary_join_element_wise(
        said, "last ", text(since), " days ago; usually again after ", text(gap), " days", ""
    )


def _others(people: "pa.StringArray", places: Integers) -> "pa.StringArray":
    import pyarrow as pa

    others = np.ones(len(people), dtype=bool)
    others[places] = False
    return people.filter(pa.array(others))


def _reasons(name: str, contacts: "pa.StringArray", why: str) -> "pa.Table":
    import pyarrow as pa

    return pa.table(
        {
            CONTACT_ID: contacts,
            "predictor": pa.repeat(pa.scalar(name), len(contacts)),
            "reason": pa.repeat(pa.scalar(why), len(contacts)),
        }
    )


def without_orders(name: str, contacts: "pa.StringArray", *, as_of: datetime) -> "pa.Table":
    """Return why contacts have no answer: they had not ordered.

    Parameters
    ----------
    name : str
        The predictor.
    contacts : pyarrow.StringArray
        Who has none.
    as_of : datetime
        When they were asked about.

    Returns
    -------
    pyarrow.Table
        ``contact_id, predictor, reason``.
    """
    moment = f"at {as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    thing = "has no order of a known item" if name == REPLENISHMENT else "has no order"
    return _reasons(name, contacts, f"{thing} {moment}")


def with_strangers(answer: Predictions, market: "Market", *, as_of: datetime) -> Predictions:
    """Return an answer that says of contacts nobody knows that they are not known.

    Parameters
    ----------
    answer : Predictions
        About contacts that were named.
    market : Market
        The tables.
    as_of : datetime
        When they were asked about.

    Returns
    -------
    Predictions
        With these reasons changed.
    """
    import pyarrow.compute as pc

    silent = pc.unique(answer.missing.column(CONTACT_ID))
    known = market.contacts(as_of=as_of).select(CONTACT_ID)
    for batch in known.to_pyarrow_batches(chunk_size=BUCKET):
        found = pc.is_in(silent, value_set=batch.column(CONTACT_ID).cast(silent.type))
        silent = silent.filter(pc.invert(found))
    unknown = pc.is_in(answer.missing.column(CONTACT_ID), value_set=silent)
    why = f"is not known at {as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    reason = pc.if_else(unknown, why, answer.missing.column("reason"))
    place = answer.missing.schema.get_field_index("reason")
    missing = answer.missing.set_column(place, "reason", reason)
    return Predictions(answer.contacts, missing, answer.items)


def due_items(items: "pa.Table", *, until: datetime | None = None) -> "pd.DataFrame":
    """Return which items are due to whom, for recommendation.

    Parameters
    ----------
    items : pyarrow.Table
        ``items`` of the predictions of ``NextOrderModel(level="item")``.
    until : datetime, optional
        Only what is due by that day; by default everything.

    Returns
    -------
    pandas.DataFrame
        ``contact_id, item_id, due_date, probability`` (within 28 days), by contact and rank.
    """
    frame = items.select([CONTACT_ID, "item_id", "due_date", "probability"]).to_pandas()
    if until is not None:
        frame = frame[frame["due_date"] <= np.datetime64(until.date(), "us")]
    due: pd.DataFrame = frame.reset_index(drop=True)
    return due
