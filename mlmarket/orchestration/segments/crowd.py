"""Who is asked tonight, and in which segments were they the last time?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.orchestration.engine.bench import Bench

__all__ = ["Crowd", "Earlier", "asked", "earlier_of"]

Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]

_NOT_HERE: Final = -1


@dataclass(frozen=True, slots=True)
class Crowd:
    """The people asked, in the order of their ids, with what was asked about each.

    Parameters
    ----------
    table : ibis.expr.types.Table
        Their rows, with the column ``person``.
    contact_id : pyarrow.Array of string, shape (n,)
        Sorted.
    person : ndarray of int64, shape (n,)
        The key of each in ``table``, ascending.
    columns : pyarrow.Table
        The answers, in the same order.
    """

    table: ir.Table
    contact_id: pa.Array
    person: Places
    columns: pa.Table

    def __len__(self) -> int:
        return len(self.person)

    def contact(self, row: int) -> str:
        """Return the contact_id of a row."""
        name: str = self.contact_id[row].as_py()
        return name

    def ask(self, questions: Mapping[str, ir.Value], table: ir.Table, bench: Bench) -> pa.Table:
        """Return the answers to further questions about the same people, in their order."""
        return _by_person(bench.to_pyarrow(table.select("person", **questions)))


def numbered(people: ir.Table, bench: Bench) -> ir.Table:
    """Return people with the column ``person``, their place in the order of the ids.

    Parameters
    ----------
    people : ibis.expr.types.Table
        One row a person; ``person`` is kept where it is there.
    bench : Bench
        Where to compute.

    Returns
    -------
    ibis.expr.types.Table
        Computed once, so that a number means the same person in each query.
    """
    if "person" in people.columns:
        return people
    window = ibis.window(order_by=people["contact_id"])
    with_number = people.mutate(person=ibis.row_number().over(window))
    return bench.create_table(ibis.util.gen_name("people_numbered"), with_number, temp=True)


def asked(people: ir.Table, questions: Mapping[str, ir.Value], bench: Bench) -> Crowd:
    """Ask all people the same questions in one query.

    Parameters
    ----------
    people : ibis.expr.types.Table
        From :func:`numbered`.
    questions : mapping of str to ibis.expr.types.Value
        Columns over ``people``, by name.
    bench : Bench
        Where to compute.

    Returns
    -------
    Crowd
        Everybody with their answers.
    """
    selected = people.select("person", "contact_id", **questions)
    rows = _by_person(bench.to_pyarrow(selected))
    contact_id = rows["contact_id"].cast(pa.string()).combine_chunks()
    person = rows["person"].to_numpy().astype(np.int64, copy=False)
    return Crowd(people, contact_id, person, rows.drop_columns(["person", "contact_id"]))


def _by_person(rows: pa.Table) -> pa.Table:
    person = rows["person"].to_numpy()
    if len(person) and not (person[1:] > person[:-1]).all():
        rows = rows.take(pa.array(np.argsort(person, kind="stable")))
    return rows.combine_chunks()


@dataclass(frozen=True, slots=True)
class Earlier:
    """The members of one segment as of the last time.

    Parameters
    ----------
    rows : pyarrow.Table
        Their memberships, those who are not known any more among them.
    places : ndarray of int64, shape (n,)
        Where each stands in the crowd; -1 for who is not known any more.
    """

    rows: pa.Table
    places: Places

    @property
    def gone(self) -> pa.Table:
        """The memberships of those who are not known any more."""
        return self.rows.filter(pa.array(self.places == _NOT_HERE))

    def flags(self, count: int) -> Flags:
        """Return who of the crowd was in."""
        inside = np.zeros(count, dtype=np.bool_)
        inside[self.places[self.places != _NOT_HERE]] = True
        return inside

    def since(self, count: int) -> Times:
        """Return when each of the crowd came in, NaT for who was not in."""
        times = np.full(count, np.datetime64("NaT", "us"))
        here = self.places != _NOT_HERE
        entered = self.rows["entered_at"].to_numpy().astype("datetime64[us]")
        times[self.places[here]] = entered[here]
        return times


def earlier_of(before: pa.Table, crowd: Crowd) -> dict[str, Earlier]:
    """Cut the memberships of the last time by segment and find their people in the crowd.

    Parameters
    ----------
    before : pyarrow.Table
        The memberships of the last time, of the people that are asked now.
    crowd : Crowd
        The people asked.

    Returns
    -------
    dict of str to Earlier
        Only segments that somebody was in.
    """
    found = pc.index_in(before["contact_id"].cast(pa.string()), value_set=crowd.contact_id)
    places = pc.fill_null(found, _NOT_HERE).to_numpy().astype(np.int64)
    encoded = before["segment"].combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()
    parts = {}
    for code, name in enumerate(encoded.dictionary.to_pylist()):
        rows = np.flatnonzero(codes == code)
        parts[name] = Earlier(_taken(before, rows), places[rows])
    return parts


def _taken(table: pa.Table, rows: Places) -> pa.Table:
    # Memberships are sorted by segment: a slice shares their memory.
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return table.slice(int(rows[0]), len(rows))
    return table.take(pa.array(rows))
