"""What is known of which contact, and of which contact and item?"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Directory", "Pairs"]

Codes = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Directory:
    """Contacts of whom something is known.

    Parameters
    ----------
    ids : pyarrow.StringArray, shape (contacts,)
        Ascending, each once.
    """

    ids: "pa.StringArray"

    @classmethod
    def of(cls, *parts: "pa.StringArray") -> "Directory":
        """Return the contacts of several tables.

        Parameters
        ----------
        *parts : pyarrow.StringArray
            In any order, any number of times.

        Returns
        -------
        Directory
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        found = pc.unique(pa.concat_arrays([pa.array([], pa.string()), *parts]))
        return cls(found.take(pc.sort_indices(found)))

    def find(self, contacts: "pa.StringArray") -> Offsets:
        """Return where contacts stand.

        Parameters
        ----------
        contacts : pyarrow.StringArray, shape (recipients,)
            Whom to look up.

        Returns
        -------
        ndarray of int64, shape (recipients,)
            Places in `ids`; -1 for those of whom nothing is known.
        """
        import pyarrow.compute as pc

        if not len(contacts) or not len(self.ids):
            return np.full(len(contacts), -1, dtype=np.int64)
        # A chunk of recipients in their order meets a short piece of the directory: only that is hashed.
        ends = pc.min_max(contacts)
        first = bisect_left(self.ids, ends["min"].as_py(), key=lambda one: one.as_py())
        last = bisect_right(self.ids, ends["max"].as_py(), key=lambda one: one.as_py())
        found = pc.index_in(contacts, value_set=self.ids.slice(first, last - first))
        known = found.is_valid().to_numpy(zero_copy_only=False)
        place = found.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        return np.where(known, place + first, -1)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Items by contact of a directory.

    Parameters
    ----------
    start : ndarray of int64, shape (contacts + 1,)
        The rows of contact ``c`` are ``start[c]`` to ``start[c + 1]``.
    item : ndarray of int32, shape (rows,)
        Places in the catalogue.
    number : ndarray of float64, shape (rows,)
        What belongs to each: a rank, or when it was.
    """

    start: Offsets
    item: Codes
    number: Numbers

    @classmethod
    def of(cls, contact: Offsets, item: Codes, number: Numbers, contacts: int) -> "Pairs":
        """Return rows sorted by contact, number and item.

        Parameters
        ----------
        contact, item : ndarray of int, shape (rows,)
            Places; rows with -1 as either are left out.
        number : ndarray of float64, shape (rows,)
            What belongs to each.
        contacts : int
            How many the directory has.

        Returns
        -------
        Pairs
        """
        keep = (contact >= 0) & (item >= 0)
        contact, item, number = contact[keep], item[keep], number[keep]
        order = np.lexsort((item, number, contact))
        start = np.searchsorted(contact[order], np.arange(contacts + 1)).astype(np.int64)
        return cls(start, cast("Codes", item[order].astype(np.int32)), number[order])
