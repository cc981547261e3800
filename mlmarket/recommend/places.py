"""Where do some ids stand among a million?

Arrow builds a table of all ids for each question; for some hundred ids among a million that costs far more than the
search itself. Among ids in ascending order each is found by halving, without any preparation.
"""

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["places_among"]


def places_among(ids: "pa.StringArray", ascending: "pa.StringArray") -> npt.NDArray[np.int64]:
    """Return where ids stand.

    Parameters
    ----------
    ids : pyarrow.StringArray
        Without missing ones.
    ascending : pyarrow.StringArray
        In the order of their bytes, as :func:`pyarrow.compute.sort_indices` gives it.

    Returns
    -------
    ndarray of int64, shape (ids,)
        Of an id that stands more than once the first place; -1 where it is not among them.

    Examples
    --------
    >>> import pyarrow as pa
    >>> places_among(pa.array(["b", "q", "a"]), pa.array(["a", "b", "b", "c"]))
    array([ 1, -1,  0])
    """
    places = np.full(len(ids), -1, dtype=np.int64)
    if len(ids) and len(ascending):
        _search(*_bytes(ids), *_bytes(ascending), places)
    return places


def _bytes(ids: "pa.StringArray") -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return where each id begins, and the bytes of all, without copying them."""
    import pyarrow as pa

    _, offsets, data = ids.cast(pa.string()).buffers()
    begins = np.frombuffer(offsets, dtype=np.int32)[ids.offset : ids.offset + len(ids) + 1]
    letters = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)
    return begins, letters


def _is_less(a, begin, end, b, first, last):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for place in range(min(end - begin, last - first)):
        if a[begin + place] != b[first + place]:
            return a[begin + place] < b[first + place]
    return end - begin < last - first


_less: Any = numba.njit(cache=True, nogil=True)(_is_less)


def _search_all(begins, letters, starts, among, places):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    size = len(starts) - 1
    for one in range(len(places)):
        begin, end = begins[one], begins[one + 1]
        low, high = 0, size
        while low < high:
            middle = (low + high) // 2
            if _less(among, starts[middle], starts[middle + 1], letters, begin, end):
                low = middle + 1
            else:
                high = middle
        if low < size and not _less(letters, begin, end, among, starts[low], starts[low + 1]):
            places[one] = low


_search: Any = numba.njit(cache=True, nogil=True)(_search_all)
