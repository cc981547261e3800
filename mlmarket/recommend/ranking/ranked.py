"""What came out of a ranking?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Ranked"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """The best items of each recipient, the best first.

    Parameters
    ----------
    contacts : pyarrow.StringArray, shape (recipients,)
        Who.
    items : pyarrow.StringArray, shape (items,)
        The catalogue.
    item : ndarray of int32, shape (recipients, m)
        Places in `items`; -1 where there are no more.
    score : ndarray of float32, shape (recipients, m)
        Larger is better, comparable within a recipient; ``-inf`` where there is no item.
    source : ndarray of int8, shape (recipients, m)
        Place in `sources` of what spoke for the item most; -1 where there is no item.
    sources : tuple of str
        Names of the generators.
    """

    contacts: "pa.StringArray"
    items: "pa.StringArray"
    item: npt.NDArray[np.int32]
    score: npt.NDArray[np.float32]
    source: npt.NDArray[np.int8]
    sources: tuple[str, ...]
