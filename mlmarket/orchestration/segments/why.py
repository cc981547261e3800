"""Why is somebody in a segment, or not any more, in the marketer's words?

Sentences are written for those who are in or have just left, not for everybody: with a million
people and twenty segments, most sentences would be read by nobody.
"""

from collections.abc import Mapping
from typing import Final

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.segments.crowd import Crowd
from mlmarket.orchestration.segments.definition import Segment
from mlmarket.orchestration.wording import written

__all__ = ["GONE", "LEFT", "REMOVED", "sentences"]

Rows = npt.NDArray[np.int64]

LEFT: Final = "the rule no longer holds"
"""What is said of who left, where the segment has no words of its own."""

GONE: Final = "the contact is not known any more"
"""What is said of who left because the contact is not there."""

REMOVED: Final = "the segment was removed"
"""What is said of those whose segment is not there."""


def sentences(
    wanted: Mapping[str, tuple[Segment, Rows]], crowd: Crowd, bench: Bench
) -> dict[str, pa.Array]:
    """Fill in the templates of segments, all of them in one query.

    Parameters
    ----------
    wanted : mapping of str to (Segment, ndarray of int64)
        By name: the segment and the rows of the crowd to write about.
    crowd : Crowd
        The people.
    bench : Bench
        Where to compute.

    Returns
    -------
    dict of str to pyarrow.Array of string
        One sentence a row, missing where no clause can be filled.
    """
    texts = {name: written(segment.why, crowd.table) for name, (segment, _) in wanted.items()}
    asked = [name for name, text in texts.items() if text is not None and len(wanted[name][1])]
    found = {name: pa.nulls(len(rows), pa.string()) for name, (_, rows) in wanted.items()}
    if not asked:
        return found
    sizes = [len(wanted[name][1]) for name in asked]
    whom = np.concatenate([crowd.person[wanted[name][1]] for name in asked])
    long = ibis.memtable(
        pa.table(
            {
                "_place": np.arange(len(whom)),
                "_person": whom,
                "_which": np.repeat(np.arange(len(asked), dtype=np.int16), sizes),
            }
        )
    )
    joined = long.join(crowd.table, long["_person"] == crowd.table["person"])
    branches = []
    for place, name in enumerate(asked):
        text = written(wanted[name][0].why, joined)
        if text is not None:
            branches.append((joined["_which"] == place, text))
    answer = bench.to_pyarrow(joined.select("_place", why=ibis.cases(*branches)))
    ordered = _in_place(answer)
    offset = 0
    for name, size in zip(asked, sizes, strict=True):
        found[name] = ordered.slice(offset, size)
        offset += size
    return found


def _in_place(answer: pa.Table) -> pa.Array:
    places = answer["_place"].to_numpy()
    why = answer["why"].combine_chunks()
    if (places[1:] > places[:-1]).all():
        return why
    return why.take(pa.array(np.argsort(places, kind="stable")))
