"""Which contacts were known at an instant, in the order of an event store?"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.features.feature import Feature, Operation
from mlmarket.features.ibis_compiler import attribute_value, known_people
from mlmarket.features.program import Integers
from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.market.time import to_utc

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

    from mlmarket.market import Market

__all__ = ["ContactsThen", "Pairs", "Present", "microseconds"]

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - as the tables hold times
_BORN: Final = "created_at"
_BEFORE_ALL: Final = np.int64(np.iinfo(np.int64).min)


def microseconds(moment: datetime) -> int:
    """Return an instant as the integer that an event store holds.

    Parameters
    ----------
    moment : datetime
        With a zone.

    Returns
    -------
    int
        Microseconds since 1970.
    """
    passed = to_utc(moment) - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


@dataclass(frozen=True, slots=True)
class Present:
    """The contacts known at an instant.

    Parameters
    ----------
    known : ndarray of bool, shape (contacts,)
        Of every contact of the store, whether it was known then.
    attributes : mapping of str to pyarrow.Array
        What it was like, by base feature; one entry a contact of the store.
    """

    known: npt.NDArray[np.bool_]
    attributes: "Mapping[str, pa.Array]"


@dataclass(frozen=True, slots=True)
class Pairs:
    """Contacts known at instants of their own.

    Parameters
    ----------
    contact : ndarray of int64
        Places of the contacts in the store.
    moment : ndarray of int64
        The instants, in microseconds since 1970.
    attributes : mapping of str to pyarrow.Array
        What each was like, by base feature.
    """

    contact: Integers
    moment: Integers
    attributes: "Mapping[str, pa.Array]"


class ContactsThen:
    """Looks up contacts at instants.

    Where nothing about contacts changes with time, they are read once for all instants.

    Parameters
    ----------
    market : Market
        The tables.
    base : mapping of str to Feature
        As :func:`mlmarket.features.parts.base_features` returns it; only attributes are read.
    contact_ids : pyarrow.Array
        Every contact of the store, ascending.
    """

    def __init__(
        self, market: "Market", base: Mapping[str, Feature], contact_ids: "pa.Array"
    ) -> None:
        self._market = market
        self._base = {
            name: feature
            for name, feature in base.items()
            if feature.operation is Operation.ATTRIBUTE
        }
        self._ids = contact_ids
        self._always: Present | None = None
        self._born: Integers | None = None
        if market.history is None and "valid_from" not in market.table("contacts").columns:
            self._read_once()

    def at(self, moment: datetime) -> Present:
        """Return who was known at an instant.

        Parameters
        ----------
        moment : datetime
            With a zone.

        Returns
        -------
        Present
            With the attributes of then.
        """
        if self._always is not None:
            known = self._always.known
            if self._born is not None:
                known = known & (self._born <= microseconds(moment))
            return Present(known, self._always.attributes)
        return self._aligned(known_people(self._market, self._base, at=moment).to_pyarrow())

    def pairs(self, at: "ir.Table", pairs: "pa.Table") -> "Pairs":
        """Return the pairs of contact and instant that were known.

        Parameters
        ----------
        at : ibis.expr.types.Table
            Of ``contact_id, as_of``.
        pairs : pyarrow.Table
            The same rows.

        Returns
        -------
        Pairs
            By instant, then by contact.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._always is None:
            pairs = known_people(self._market, self._base, at=at).to_pyarrow()
        ids = pairs.column(CONTACT_ID).cast(pa.string()).combine_chunks()
        contact = pc.index_in(ids, value_set=self._ids).fill_null(-1).to_numpy().astype(np.int64)
        moment = pairs.column(AS_OF).cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
        known = contact >= 0
        if self._always is not None and self._born is not None:
            known &= self._born[contact] <= moment
        rows = np.flatnonzero(known)
        rows = rows[np.lexsort([contact[rows], moment[rows]])]
        if self._always is not None:
            taken, source = pa.array(contact[rows]), self._always.attributes
        else:
            taken, source = pa.array(rows), _attributes(pairs)
        attributes = {name: values.take(taken) for name, values in source.items()}
        return Pairs(contact[rows], moment[rows], attributes)

    def _read_once(self) -> None:
        import pyarrow as pa

        contacts = self._market.table("contacts")
        columns = {name: attribute_value(contacts, one) for name, one in self._base.items()}
        born = {_BORN: contacts[_BORN]} if _BORN in contacts.columns else {}
        table = contacts.select(CONTACT_ID, **born, **columns).to_pyarrow()
        if born:
            times = table.column(_BORN).cast(pa.timestamp("us")).cast(pa.int64())
            place = self._places(table)
            self._born = times.fill_null(int(_BEFORE_ALL)).take(place).fill_null(0).to_numpy()
            table = table.drop_columns([_BORN])
        self._always = self._aligned(table)

    def _places(self, table: "pa.Table") -> "pa.Array":
        """Return where in a table each contact of the store is; missing where it is not."""
        import pyarrow as pa
        import pyarrow.compute as pc

        ids = table.column(CONTACT_ID).cast(pa.string()).combine_chunks()
        if ids.equals(self._ids):
            return pa.array(np.arange(len(ids)))
        return pc.index_in(self._ids, value_set=ids)

    def _aligned(self, table: "pa.Table") -> Present:
        import pyarrow.compute as pc

        place = self._places(table)
        attributes = {name: values.take(place) for name, values in _attributes(table).items()}
        return Present(np.asarray(pc.is_valid(place)), attributes)


def _attributes(table: "pa.Table") -> "dict[str, pa.Array]":
    return {
        name: table.column(name).combine_chunks()
        for name in table.column_names
        if name not in {CONTACT_ID, AS_OF}
    }
