"""Who is there now, with all that segments, journeys and the policy read about them?

Inside a tick a person is a number: the place in the sorted ``contact_id``. Numbers are a tenth
of the size of ids, and facts are looked up by place instead of joined.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.market.columns import AS_OF
from mlmarket.orchestration.behaviour import ADDRESSES, Behaviour, contacts_known, one_row_each
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.engine.local_time import Zones
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.playbook import Playbook

__all__ = ["People", "addresses_known", "people_known"]

Column: TypeAlias = pa.Array | pa.ChunkedArray
Rows = npt.NDArray[np.int64]

_ADDRESS_SCHEMA: Final = pa.schema(dict.fromkeys(("contact_id", *ADDRESSES), pa.string()))
_ALWAYS: Final = (
    *ADDRESSES,
    AS_OF,
    "timezone",
    "send_at_utc",
    "send_weekday",
    "send_hour_local",
)
"""What is read although no text mentions it."""


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The people of a tick.

    Parameters
    ----------
    ids : pyarrow.Array of string, shape (n,)
        The contacts, sorted; a person's number is the place.
    table : ibis.expr.types.Table
        On the bench: ``person``, ``contact_id``, attributes and predictions.
    zones : Zones
        Whose clock shows what.
    all_known : bool
        Whether who is not there is gone: there is a table of contacts.
    """

    ids: pa.Array
    table: ir.Table
    zones: Zones
    all_known: bool

    def __len__(self) -> int:
        return len(self.ids)

    def numbers(self, contacts: pa.ChunkedArray) -> Rows:
        """Return the number of each contact, -1 for those who are not there."""
        places = pc.index_in(contacts, value_set=self.ids).fill_null(-1)
        numbers: Rows = places.to_numpy().astype(np.int64)
        return numbers

    def column(self, name: str, bench: Bench) -> pa.Array | None:
        """Return a column by person number, None where there is none."""
        if name not in self.table.columns:
            return None
        rows = bench.to_pyarrow(self.table.select("person", name).order_by("person"))
        return rows[name].combine_chunks()


def people_known(
    playbook: Playbook,
    versions: Mapping[str, Journey],
    predictions: pa.Table,
    events: Behaviour,
    *,
    now: datetime,
    bench: Bench,
    only: pa.Array | None = None,
) -> People:
    """Join contacts and tonight's predictions.

    Where there is a table of contacts, it says who is there: predictions about others are not
    used. Only columns whose names occur in some text are read.

    Parameters
    ----------
    playbook : Playbook
        The segments, journeys and policy in force.
    versions : mapping of str to Journey
        Further versions that people are on.
    predictions : pyarrow.Table
        One row a contact. A column named like an attribute takes its place; one without any
        value counts as not there, unless these are the rows of `only` alone.
    events : Behaviour
        Where contacts are read.
    now : datetime
        UTC without a zone.
    bench : Bench
        Where to compute.
    only : pyarrow.Array of string, optional
        The people to look at; all by default.

    Returns
    -------
    People
        Numbered by ``contact_id``.

    Raises
    ------
    DataContractError
        Where a contact stands twice among the contacts.
    """
    words = _words(playbook, versions)
    telling = _telling(_mentioned(words, predictions.column_names), predictions, only)
    scores = _with_text_ids(predictions.select(["contact_id", *telling]))
    contacts = _contacts(words, events, now, only)
    all_known = contacts is not None
    if contacts is None:
        contacts = scores.select(["contact_id"])
    if only is not None:
        contacts = contacts.filter(pc.is_in(contacts["contact_id"], value_set=only))
    contacts = contacts.sort_by("contact_id").combine_chunks()
    ids = _one_chunk(contacts["contact_id"])
    content = _beside(contacts, scores, ids)
    table = bench.create_table("people", pa.table(content))
    zones = _zones(content, playbook.policy.timezone)
    return People(ids, table, zones, all_known)


def _telling(names: list[str], predictions: pa.Table, only: pa.Array | None) -> list[str]:
    """Return the columns of predictors that said something tonight.

    Without a single value a predictor said nothing: that must empty no segment. Where only the rows
    of the people looked at are given, the values of others cannot be known.
    """
    ids = predictions["contact_id"].cast(pa.string())
    if only is not None and pc.all(pc.is_in(ids, value_set=only), min_count=0).as_py():
        return names
    return [name for name in names if predictions[name].null_count < len(predictions)]


def addresses_known(events: Behaviour, now: datetime) -> pa.Table | None:
    """Return the addresses of all contacts.

    Parameters
    ----------
    events : Behaviour
        Where contacts are read.
    now : datetime
        UTC without a zone.

    Returns
    -------
    pyarrow.Table or None
        contact_id, external_id, email and phone; None where there is no table of contacts.

    Raises
    ------
    DataContractError
        Where a contact stands twice among the contacts.
    """
    contacts = _contacts("", events, now, None)
    return None if contacts is None else _addresses(contacts)


def _beside(contacts: pa.Table, scores: pa.Table, ids: pa.Array) -> dict[str, Column]:
    """Return the columns of contacts with their scores, taken by place, beside them."""
    places = pc.index_in(ids, value_set=_one_chunk(scores["contact_id"]))
    content: dict[str, Column] = {"person": pa.array(np.arange(len(ids)))}
    for name in contacts.column_names:
        content[name] = contacts[name]
    for name in scores.column_names:
        if name != "contact_id":
            content[name] = scores[name].take(places)
    for name in ADDRESSES:
        content.setdefault(name, pa.nulls(len(ids), pa.string()))
    return content


def _zones(content: Mapping[str, Column], default: str) -> Zones:
    column = content.get("timezone")
    count = len(content["person"])
    if column is None:
        return Zones(None, count, default)
    return Zones(_one_chunk(column).cast(pa.string()), count, default)


def _contacts(
    words: str, events: Behaviour, now: datetime, only: pa.Array | None
) -> pa.Table | None:
    known = contacts_known(events, now)
    if known is None:
        return None
    if only is not None and len(only) <= _FEW:
        known = known.filter(known["contact_id"].isin(only.to_pylist()))
    wanted = dict.fromkeys(["contact_id", *_mentioned(words, known.columns)])
    return one_row_each(known.select(*wanted).to_pyarrow(), "contacts")


_FEW: Final = 1_000
"""Up to so many people are looked up by name where the contacts lie."""


def _words(playbook: Playbook, versions: Mapping[str, Journey]) -> str:
    """Return all that is written down, in one text."""
    models = [playbook, *versions.values()]
    texts = (text for one in models for text in _texts(one.model_dump(mode="json")))
    return " ".join(texts).replace('""', '"')


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _mentioned(words: str, columns: Iterable[str]) -> list[str]:
    return [name for name in columns if name != "contact_id" and (name in words or name in _ALWAYS)]


def _with_text_ids(table: pa.Table) -> pa.Table:
    place = table.schema.get_field_index("contact_id")
    return table.set_column(place, "contact_id", table["contact_id"].cast(pa.string()))


def _one_chunk(column: Column) -> pa.Array:
    whole = column if isinstance(column, pa.Array) else column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)


def _addresses(contacts: pa.Table) -> pa.Table:
    content = {
        field.name: contacts[field.name].cast(pa.string())
        if field.name in contacts.column_names
        else pa.nulls(len(contacts), pa.string())
        for field in _ADDRESS_SCHEMA
    }
    return pa.table(content, schema=_ADDRESS_SCHEMA)
