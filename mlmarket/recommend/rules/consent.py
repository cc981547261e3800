"""Who has agreed to hear about what?

The same reading of consent as at the gates of messages: the latest word on a topic decides, a refusal of a topic
stands against a later grant for every topic, a refusal of every topic stands until a grant comes after it, and a
grant and a refusal of one moment are a refusal.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.recommend.rules.tables import times_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Consents", "read_consents", "topics_of"]

_EVERY: Final = ""
_NEVER: Final = -np.inf
_TABLE: Final = "consents"

Times = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Consents:
    """What contacts have agreed to, on one channel.

    Parameters
    ----------
    general : ndarray of bool, shape (contacts,)
        Whether a topic of which they never spoke is granted.
    start : ndarray of int64, shape (contacts + 1,)
        Where the topics begin that each spoke of.
    topic : ndarray of int32
        Places in the topics of the catalogue.
    granted : ndarray of bool
        What they said of it.
    """

    general: npt.NDArray[np.bool_]
    start: npt.NDArray[np.int64]
    topic: npt.NDArray[np.int32]
    granted: npt.NDArray[np.bool_]


def topics_of(values: "pa.ChunkedArray") -> "tuple[npt.NDArray[np.int32], pa.StringArray]":
    """Return the topics of items, compared without regard to case and surrounding spaces.

    Parameters
    ----------
    values : pyarrow.ChunkedArray
        As the items have them.

    Returns
    -------
    topic : ndarray of int32, shape (items,)
        Places; -1 for an item without one.
    names : pyarrow.StringArray
        The topics, ascending.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    folded = _folded(values)
    names = pc.unique(folded.filter(pc.not_equal(folded, _EVERY)))
    names = names.take(pc.sort_indices(names))
    found = pc.fill_null(pc.index_in(folded, value_set=names), -1)
    return found.to_numpy().astype(np.int32), names.cast(pa.string())


def read_consents(
    table: "pa.Table",
    contact: npt.NDArray[np.int64],
    *,
    channel: str,
    now: float,
    topics: "pa.StringArray",
    contacts: int,
) -> Consents:
    """Return what is granted, by contact and topic.

    Parameters
    ----------
    table : pyarrow.Table
        ``granted`` and, where there are several, ``channel, topic, changed_at``.
    contact : ndarray of int64, shape (rows,)
        Places in a directory.
    channel : str
        Whose words count.
    now : float
        Words after it do not count; NaN where no night was named.
    topics : pyarrow.StringArray
        Of the catalogue.
    contacts : int
        How many the directory has.

    Returns
    -------
    Consents
        Whoever said nothing has granted nothing.

    Raises
    ------
    ConfigurationError, DataContractError
        Where the table cannot be read.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    granted = _granted(table)
    at = _when(table, now)
    keep = np.ones(len(at), dtype=np.bool_) if np.isnan(now) else at <= now
    if "channel" in table.column_names:
        theirs = _folded(table.column("channel"))
        keep &= pc.is_in(theirs, value_set=pa.array([channel, _EVERY])).to_numpy(
            zero_copy_only=False
        )
    about = np.full(len(at), -1, dtype=np.int64)
    if "topic" in table.column_names:
        said = _folded(table.column("topic"))
        named = pc.not_equal(said, _EVERY).to_numpy(zero_copy_only=False)
        found = pc.fill_null(pc.index_in(said, value_set=topics), -1).to_numpy()
        about = np.where(named, found, -1)
        keep &= ~named | (found >= 0)
    return _standing(contact[keep], about[keep], at[keep], granted[keep], contacts)


def _standing(
    person: npt.NDArray[np.int64],
    about: npt.NDArray[np.int64],
    at: Times,
    granted: npt.NDArray[np.bool_],
    people: int,
) -> Consents:
    every = about < 0
    general_yes, general_no = np.full(people, _NEVER), np.full(people, _NEVER)
    np.maximum.at(general_yes, person[every & granted], at[every & granted])
    np.maximum.at(general_no, person[every & ~granted], at[every & ~granted])
    width = int(about.max(initial=0)) + 1
    pairs, pair = np.unique(person[~every] * width + about[~every], return_inverse=True)
    whose, topic = np.divmod(pairs, width)
    yes, no = np.full(len(pairs), _NEVER), np.full(len(pairs), _NEVER)
    word, when = granted[~every], at[~every]
    np.maximum.at(yes, pair[word], when[word])
    np.maximum.at(no, pair[~word], when[~word])
    latest_grant = np.maximum(yes, general_yes[whose])
    refused = (no > _NEVER) & (no >= yes)
    refused |= (general_no[whose] > _NEVER) & (general_no[whose] >= latest_grant)
    return Consents(
        (general_yes > _NEVER) & (general_yes > general_no),
        np.searchsorted(whose, np.arange(people + 1)).astype(np.int64),
        topic.astype(np.int32),
        (latest_grant > _NEVER) & ~refused,
    )


def _folded(values: "pa.ChunkedArray") -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pa.concat_arrays([*values.cast(pa.string()).chunks, pa.array([], pa.string())])
    return pc.fill_null(pc.utf8_lower(pc.utf8_trim_whitespace(text)), _EVERY)


def _granted(table: "pa.Table") -> npt.NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.types as types

    if "granted" not in table.column_names or not types.is_boolean(
        table.schema.field("granted").type
    ):
        raise ConfigurationError(
            f"Table '{_TABLE}' has no column 'granted' of true and false.",
            "Unknown consent is no consent.",
            "add it: true where granted, false where refused or withdrawn.",
        )
    values = pa.concat_arrays([*table.column("granted").chunks, pa.array([], pa.bool_())])
    if values.null_count:
        raise DataContractError(
            f"Table '{_TABLE}' has {values.null_count:,} rows without 'granted'.",
            "Unknown consent is no consent.",
            "leave these rows out, such as frame.dropna(subset=['granted']).",
        )
    return values.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _when(table: "pa.Table", now: float) -> Times:
    if "changed_at" not in table.column_names:
        return np.full(table.num_rows, now if not np.isnan(now) else 0.0)
    return times_of(table, "changed_at", name=_TABLE)
