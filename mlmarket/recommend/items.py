"""What is known of each item?

One row an item of the catalogue, in the catalogue's order, whether or not anybody ever touched it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, cast

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.market.columns import TABLES, Kind
from mlmarket.market.frames import to_arrow, without_nulls
from mlmarket.recommend.interactions import ITEM_ID
from mlmarket.recommend.reading import ids as read_ids

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Attributes", "ItemFacts", "catalogue"]

Codes = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

_TABLE: Final = "items"
_DAY_US: Final = 86_400_000_000
_TAGS: Final = "|"
_NO_ATTRIBUTES: Final = frozenset({ITEM_ID, "url", "image_url"})
"""Text that tells items apart and never what they have in common."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What items have in common: rows of a sparse matrix of items and attributes.

    Parameters
    ----------
    start : ndarray of int64, shape (items + 1,)
        The attributes of item ``i`` are ``attribute[start[i]:start[i + 1]]``.
    attribute : ndarray of int32
        Places in `names`, ascending within an item, each once.
    names : tuple of str
        ``column=value``, such as ``category=mugs``, ``tags=red`` or ``title=teapot`` (a word of the title).
    """

    start: Offsets
    attribute: Codes
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class ItemFacts:
    """Facts about the items of a catalogue.

    Parameters
    ----------
    ids : pyarrow.StringArray, shape (items,)
        The catalogue, ascending: ``Interactions.items``.
    table : pyarrow.Table
        One row an item of `ids`, in that order: ``item_id``, every other column of the contract's table ``items``
        (null where unknown) and the shop's own columns.
    """

    ids: "pa.StringArray"
    table: "pa.Table"

    @classmethod
    def from_frame(cls, frame: object | None, ids: "pa.StringArray") -> Self:
        """Read a pandas, polars or Arrow frame.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table or None
            ``item_id`` and any of ``title, url, image_url, category, price, in_stock, published_at, tags`` (words
            separated by ``|``, or lists) and own columns; None where nothing is known.
        ids : pyarrow.StringArray, shape (items,)
            The catalogue, ascending; see :func:`catalogue`. Rows about other items are left out.

        Returns
        -------
        Self
            Aligned with `ids`.

        Raises
        ------
        ConfigurationError
            Where a column cannot be read as what the contract says.
        DataContractError
            Where an id is missing or stands twice.

        Examples
        --------
        >>> import pyarrow as pa
        >>> frame = pa.table({"item_id": ["b"], "price": [4.5]})
        >>> ItemFacts.from_frame(frame, pa.array(["a", "b"])).price
        array([nan, 4.5])
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        given = pa.table({ITEM_ID: ids}) if frame is None else to_arrow(frame, name=_TABLE)
        given = without_nulls(given)
        own = read_ids(given, ITEM_ID, name=_TABLE)
        _refuse_twice(own)
        rows = pc.index_in(ids, value_set=own)
        columns = {ITEM_ID: ids}
        for column in TABLES[_TABLE].columns[1:]:
            if column.name in given.column_names:
                columns[column.name] = _read(given, column.name, column.kind).take(rows)
            else:
                columns[column.name] = pa.nulls(len(ids), _type(column.kind))
        for name in given.column_names:
            if name not in columns:
                columns[name] = given.column(name).combine_chunks().take(rows)
        return cls(ids, pa.table(columns))

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.ids)

    def __repr__(self) -> str:
        return f"ItemFacts({len(self):,} items, {self.table.num_columns} columns)"

    @property
    def category(self) -> Codes:
        """Place of each item's category in `categories`; -1 where unknown."""
        import pyarrow as pa
        import pyarrow.compute as pc

        places = pc.index_in(self.table.column("category"), value_set=pa.array(self.categories))
        filled = pc.fill_null(places, -1).to_numpy()
        return cast("Codes", filled.astype(np.int32))

    @property
    def categories(self) -> "pa.StringArray":
        """Names of the categories, ascending."""
        return _ascending(self.table.column("category"))

    @property
    def price(self) -> Numbers:
        """Price of each item in the business's currency; NaN where unknown."""
        return cast("Numbers", self.table.column("price").to_numpy())

    @property
    def in_stock(self) -> npt.NDArray[np.int8]:
        """Whether each item can be had: 1 yes, 0 no, -1 unknown."""
        import pyarrow as pa
        import pyarrow.compute as pc

        told = self.table.column("in_stock").cast(pa.int8())
        return cast("npt.NDArray[np.int8]", pc.fill_null(told, -1).to_numpy())

    @property
    def published(self) -> Numbers:
        """Since when each item can be had, in days since 1970; NaN where unknown."""
        import pyarrow as pa

        whole = self.table.column("published_at").cast(pa.int64()).cast(pa.float64())
        return cast("Numbers", whole.to_numpy() / _DAY_US)

    @property
    def attributes(self) -> Attributes:
        """Category, tags, words of the title, and own columns of text, of each item."""
        found = [
            pair
            for name in self.table.column_names
            if name not in _NO_ATTRIBUTES
            for pair in _pairs(self.table, name)
        ]
        return _attributes(found, len(self))


def catalogue(ids: "pa.StringArray", frame: object | None) -> "pa.StringArray":
    """Return all items there are: those that somebody touched and those of the table of items.

    Parameters
    ----------
    ids : pyarrow.StringArray
        Items that occur in interactions.
    frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table or None
        The table of items.

    Returns
    -------
    pyarrow.StringArray
        Ascending, each once.

    Raises
    ------
    DataContractError
        Where the two have no item in common.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if frame is None:
        return _ascending(ids)
    listed = read_ids(without_nulls(to_arrow(frame, name=_TABLE)), ITEM_ID, name=_TABLE)
    if len(ids) and len(listed) and not pc.any(pc.is_in(listed, value_set=ids)).as_py():
        raise DataContractError(
            f"No '{ITEM_ID}' of table '{_TABLE}' (such as '{listed[0]}') occurs in the interactions "
            f"(such as '{ids[0]}').",
            "Nothing would be known of any item that was ever touched.",
            "write the ids alike in both, such as '0012' or 12, with the same prefix.",
        )
    return _ascending(pa.concat_arrays([ids, listed]))


def _ascending(values: "pa.Array | pa.ChunkedArray") -> "pa.StringArray":
    import pyarrow.compute as pc

    found = pc.unique(pc.drop_null(values))
    return cast("pa.StringArray", found.take(pc.sort_indices(found)))


def _refuse_twice(own: "pa.StringArray") -> None:
    import pyarrow.compute as pc

    counts = pc.value_counts(own)
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise DataContractError(
            f"Table '{_TABLE}' has {len(twice):,} values of '{ITEM_ID}' in more than one row, "
            f"such as '{twice.field('values')[0]}'.",
            "It would be chance which of the rows is believed.",
            f"keep one row an item, such as frame.drop_duplicates('{ITEM_ID}', keep='last').",
        )


def _type(kind: Kind) -> "pa.DataType":
    import pyarrow as pa

    return {
        Kind.MONEY: pa.float64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.TIME: pa.timestamp("us", "UTC"),
    }.get(kind, pa.string())


def _read(table: "pa.Table", name: str, kind: Kind) -> "pa.Array":
    """Return a column of the contract in the one type it has here."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    values = pa.concat_arrays(table.column(name).chunks or [pa.nulls(0, table.column(name).type)])
    if types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    try:
        if types.is_list(values.type) or types.is_large_list(values.type):
            return pc.binary_join(values.cast(pa.list_(pa.string())), _TAGS)
        if types.is_date(values.type):
            values = values.cast(pa.timestamp("us"))
        if types.is_timestamp(values.type) and values.type.tz is None:
            values = pc.assume_timezone(values, "UTC")
        if kind is Kind.BOOLEAN and _is_number(values.type):
            values = pc.greater(values, 0)  # pieces: what is oversold is not there
        read = values.cast(_type(kind), safe=kind is not Kind.TIME)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ConfigurationError(
            f"Column '{name}' of table '{_TABLE}' holds {values.type}, which cannot be read as {kind}.",
            "Rules and models compare it with others.",
            "convert it first, or leave the column out.",
        ) from error
    if kind is not Kind.MONEY:
        return read
    # A price that is not a number is not known; the contract's four places, so that 20.9000 is 20.9.
    return pc.if_else(pc.is_finite(read), pc.round(read, 4), None)


def _is_number(kind: "pa.DataType") -> bool:
    import pyarrow.types as types

    tests = (types.is_integer, types.is_floating, types.is_decimal)
    return any(found(kind) for found in tests)


def _pairs(table: "pa.Table", name: str) -> "list[tuple[Codes, pa.StringArray]]":
    """Return items and what they have of one column: values, tags of a list, or words of a title."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    values = table.column(name)
    values = pa.concat_arrays(values.chunks or [pa.nulls(0, values.type)])
    if types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if types.is_large_list(values.type) or types.is_list(values.type):
        if not _is_text(values.type.value_type):
            return []
    elif not _is_text(values.type):
        return []
    elif name == "tags":
        values = pc.split_pattern(values, _TAGS)
    elif name == "title":
        values = pc.split_pattern_regex(pc.utf8_lower(values), r"[^\p{L}\p{N}]+")
    if types.is_list(values.type) or types.is_large_list(values.type):
        item, text = pc.list_parent_indices(values), pc.list_flatten(values)
    else:
        item, text = pa.array(np.arange(len(values), dtype=np.int64)), values
    text = pc.utf8_trim_whitespace(text.cast(pa.string()))
    enough = pc.greater_equal(pc.utf8_length(text), 3 if name == "title" else 1)
    enough = pc.fill_null(enough, False)  # noqa: FBT003 - Arrow's own signature
    named = pc.binary_join_element_wise(name, text.filter(enough), "=")
    return [(item.filter(enough).to_numpy().astype(np.int32), named)]


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow.types as types

    return any(found(kind) for found in (types.is_string, types.is_large_string))


def _attributes(found: "list[tuple[Codes, pa.StringArray]]", items: int) -> Attributes:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not found:
        return Attributes(np.zeros(items + 1, np.int64), np.empty(0, np.int32), ())
    item = np.concatenate([part for part, _ in found]).astype(np.int64)
    text = pa.concat_arrays([part for _, part in found])
    names = _ascending(text)
    place = pc.index_in(text, value_set=names).to_numpy(zero_copy_only=False).astype(np.int64)
    pairs = np.unique(item * max(len(names), 1) + place)
    item, place = np.divmod(pairs, max(len(names), 1))
    start = np.searchsorted(item, np.arange(items + 1)).astype(np.int64)
    return Attributes(start, place.astype(np.int32), tuple(names.to_pylist()))
