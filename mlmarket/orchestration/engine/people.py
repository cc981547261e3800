"""Who is there tonight, with what segments read about them and where they can be reached?"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import ibis.expr.types as ir
import pyarrow as pa

from mlmarket.orchestration.behaviour import ADDRESSES, Behaviour, contacts_known, one_row_each
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.playbook import Playbook

__all__ = ["addresses_known", "people_known"]

_ADDRESS_SCHEMA: Final = pa.schema(dict.fromkeys(("contact_id", *ADDRESSES), pa.string()))


def people_known(
    playbook: Playbook, predictions: pa.Table, events: Behaviour, *, now: datetime, bench: Bench
) -> tuple[ir.Table, pa.Table]:
    """Join contacts and tonight's predictions.

    Where there is a table of contacts, it says who is there: predictions about others are not
    used. Only columns whose names occur in some segment are read.

    Parameters
    ----------
    playbook : Playbook
        The segments in force.
    predictions : pyarrow.Table
        One row a contact. A column named like an attribute takes its place; one without any
        value counts as not there.
    events : Behaviour
        Where contacts are read.
    now : datetime
        UTC without a zone.
    bench : Bench
        Where to compute.

    Returns
    -------
    people : ibis.expr.types.Table
        contact_id, attributes and predictions, one row a person.
    addresses : pyarrow.Table
        contact_id, external_id, email and phone, one row a person.

    Raises
    ------
    DataContractError
        Where a contact stands twice among the contacts.
    """
    mentioned = _mentioned(playbook, predictions.column_names)
    # Without a single value the predictor said nothing tonight: that must empty no segment.
    telling = [name for name in mentioned if predictions[name].null_count < len(predictions)]
    scores = _with_text_ids(predictions.select(["contact_id", *telling]))
    contacts = _contacts(playbook, events, now)
    if contacts is None:
        contacts = scores.select(["contact_id"])
    attributes = [name for name in contacts.column_names if name not in scores.column_names]
    left = bench.create_table("contacts", contacts.select(["contact_id", *attributes]))
    right = bench.create_table("scores", scores.rename_columns(_as_person(scores)))
    joined = left.left_join(right, left["contact_id"] == right["_person"]).drop("_person")
    return bench.create_table("people", joined), _addresses(contacts)


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
    contacts = _contacts(Playbook(), events, now)
    return None if contacts is None else _addresses(contacts)


def _contacts(playbook: Playbook, events: Behaviour, now: datetime) -> pa.Table | None:
    known = contacts_known(events, now)
    if known is None:
        return None
    there = [name for name in ADDRESSES if name in known.columns]
    wanted = dict.fromkeys(["contact_id", *there, *_mentioned(playbook, known.columns)])
    return one_row_each(known.select(*wanted).to_pyarrow(), "contacts")


def _mentioned(playbook: Playbook, columns: Iterable[str]) -> list[str]:
    texts = [
        text
        for one in playbook.segments
        for text in (one.when, one.why, one.top.column if one.top is not None else None)
        if text is not None
    ]
    written = " ".join(texts).replace('""', '"')
    return [name for name in columns if name != "contact_id" and name in written]


def _with_text_ids(table: pa.Table) -> pa.Table:
    place = table.schema.get_field_index("contact_id")
    return table.set_column(place, "contact_id", table["contact_id"].cast(pa.string()))


def _as_person(table: pa.Table) -> list[str]:
    return ["_person" if name == "contact_id" else name for name in table.column_names]


def _addresses(contacts: pa.Table) -> pa.Table:
    content = {
        field.name: contacts[field.name].cast(pa.string())
        if field.name in contacts.column_names
        else pa.nulls(len(contacts), pa.string())
        for field in _ADDRESS_SCHEMA
    }
    return pa.table(content, schema=_ADDRESS_SCHEMA)
