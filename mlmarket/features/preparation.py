"""How do the rows of a market become an event store?

DuckDB computes which conditions each row meets and sorts what is left. A base is used again only
while a digest of the rows it was made of is the same: a row that was corrected, withdrawn or that
came late makes it be written anew. Rows of the latest days are in the tail, which is written anew
whenever they have changed.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlmarket.features.behaviour import Behaviour
from mlmarket.features.program import BITS, NO_VALUE
from mlmarket.features.rows import behaviour_rows, matches
from mlmarket.features.store import (
    FORMAT,
    MANIFEST,
    Contents,
    EventStore,
    checksums_of,
    read_contents,
)
from mlmarket.market.columns import AVAILABLE_AT, CONTACT_ID, OCCURRED_AT
from mlmarket.market.time import instant

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from mlmarket.market import Market

__all__ = ["UnsweepableError", "prepare_store"]

_DAY: Final = 86_400_000_000
_SETTLED: Final = 7
"""Days: a base ends this long before the latest row, since rows of the last days may still come."""

_LARGEST_TAIL: Final = 0.25
"""Of the base; beyond, a new base is written."""

_PEOPLE: Final = "mlmarket_store_contacts"
"""A table of the session, for as long as a store is written."""

_ROW_GROUP: Final = 122_880
_LARGEST_SUM: Final = 1 << 62


class UnsweepableError(Exception):
    """Why rows cannot be prepared; its text says so."""


def prepare_store(
    market: "Market", conditions: Sequence[Behaviour], *, folder: Path | None = None
) -> EventStore:
    """Return a store with the rows of some conditions, using again what is there.

    Parameters
    ----------
    market : Market
        The tables, on DuckDB.
    conditions : sequence of Behaviour
        Which rows.
    folder : Path, optional
        Where it is kept from one night to the next; by default beside the market's temporary
        files, for as long as it is used.

    Returns
    -------
    EventStore
        Whose conditions include those asked for.

    Raises
    ------
    UnsweepableError
        Where sums of values could grow beyond what a 64-bit integer holds.
    """
    texts = set(map(str, conditions))
    if folder is None:
        scratch = None if market.workbench is None else market.workbench.folder
        folder = Path(tempfile.mkdtemp(prefix="store-", dir=scratch))
        store = _Writer(market, folder, texts).write()
        weakref.finalize(store, shutil.rmtree, folder, ignore_errors=True)
        return store
    folder.mkdir(parents=True, exist_ok=True)
    known = read_contents(folder)
    if known is not None and texts <= set(known.conditions):
        return _Writer(market, folder, known.conditions).renew(known)
    return _Writer(market, folder, texts | set(known.conditions if known else ())).write()


@dataclass(frozen=True, slots=True)
class _Days:
    """What the rows of some days come to.

    Parameters
    ----------
    rows, late, valued : int
        How many there are, how many became known after they occurred, how many have a value.
    total : int
        The sum of the absolute values.
    digest : str
        The same for the same rows in any order.
    """

    rows: int
    late: int
    valued: int
    total: int
    digest: str


class _Writer:
    """Writes the rows of a market into a folder."""

    def __init__(
        self, market: "Market", folder: Path, conditions: "Sequence[str] | set[str]"
    ) -> None:
        self.folder = folder
        self.conditions = tuple(sorted(conditions))
        self._connection: Any = market.table("contacts").get_backend()
        self._behaviours = [Behaviour.parse(text) for text in self.conditions]
        self._marks = [f"marks_{word}" for word in range(-(-len(self._behaviours) // BITS))]
        rows = behaviour_rows(market, self._behaviours)
        self._rows = rows.filter(rows[OCCURRED_AT].notnull())
        self._people = self._connection.compile(market.table("contacts").select(CONTACT_ID))
        self._survey = self._by_day()

    def write(self) -> EventStore:
        """Write base and tail; an older store counts until the manifest is replaced."""
        import pyarrow.parquet as pq

        until = max(self._survey, default=0) - _SETTLED
        base, everything = self._days(until=until), self._days()
        if everything.total > _LARGEST_SUM:
            raise UnsweepableError(
                f"the values of its rows add up to {everything.total / 10_000:,.0f}, more than 64 "
                "bits hold"
            )
        contents = Contents(
            format=FORMAT,
            library=_library(),
            conditions=self.conditions,
            base_until=until,
            base_digest=base.digest,
            tail_digest="",
            contacts_digest=self._contacts_digest(),
            base_rows=0,
            late=False,
            valued=False,
            base=_new_name("base"),
            tail="",
            contacts="",
        )
        self._number_contacts()
        self._copy_rows(contents.base, base, until=until)
        written = pq.read_metadata(self.folder / contents.base).num_rows
        counts = (
            f"SELECT place, count(*) AS rows FROM '{_quoted(self.folder / contents.base)}' "  # noqa: S608
            "GROUP BY place"
        )
        placed = (
            f"SELECT place, rows, sum(rows) OVER (ORDER BY place) - rows AS begin FROM ({counts})"  # noqa: S608
        )
        return self._finish(replace(contents, base_rows=written), placed)

    def renew(self, known: Contents) -> EventStore:
        """Keep the base where its rows are still the same, and the tail where they are too."""
        base = self._days(until=known.base_until)
        tail = self._days(after=known.base_until)
        same = base.digest == known.base_digest and known.library == _library()
        if same and (tail.digest, self._contacts_digest()) == (
            known.tail_digest,
            known.contacts_digest,
        ):
            return EventStore(self.folder, known)
        if not same or tail.rows > max(_LARGEST_TAIL * base.rows, _ROW_GROUP):
            return self.write()
        self._number_contacts()
        old = f"'{_quoted(self.folder / known.contacts)}'"
        placed = (
            "SELECT place, base_rows AS rows, base_begin AS begin "  # noqa: S608
            f"FROM {old} JOIN {_PEOPLE} USING ({CONTACT_ID}) WHERE base_rows > 0"
        )
        (kept,) = self._one(f"SELECT coalesce(sum(rows), 0) FROM ({placed})")  # noqa: S608
        return self._finish(known, placed) if kept == known.base_rows else self.write()

    def _finish(self, contents: Contents, base: str) -> EventStore:
        """Write the tail and where each contact's rows are, and then what the store holds."""
        tail, everything = self._days(after=contents.base_until), self._days()
        latest_file, contacts_file = _new_name("tail"), _new_name("contacts")
        self._copy_rows(latest_file, tail, after=contents.base_until)
        latest = (
            "SELECT place, count(*) AS rows, 0 AS begin "  # noqa: S608
            f"FROM '{_quoted(self.folder / latest_file)}' GROUP BY place"
        )
        self._connection.raw_sql(
            f"COPY (SELECT {CONTACT_ID}, "  # noqa: S608
            "coalesce(b.begin, 0)::BIGINT AS base_begin, coalesce(b.rows, 0)::BIGINT AS base_rows, "
            "(sum(coalesce(t.rows, 0)) OVER (ORDER BY place) - coalesce(t.rows, 0))::BIGINT "
            f"AS tail_begin, coalesce(t.rows, 0)::BIGINT AS tail_rows FROM {_PEOPLE} "
            f"LEFT JOIN ({base}) b USING (place) LEFT JOIN ({latest}) t USING (place) "
            f"ORDER BY place) TO '{_quoted(self.folder / contacts_file)}' (FORMAT parquet)"
        )
        finished = replace(
            contents,
            tail_digest=tail.digest,
            contacts_digest=self._contacts_digest(),
            late=everything.late > 0,
            valued=everything.valued > 0,
            tail=latest_file,
            contacts=contacts_file,
        )
        finished = replace(finished, checksums=checksums_of(self.folder, finished))
        _replace_manifest(self.folder, finished)
        self._connection.raw_sql(f"DROP TABLE {_PEOPLE}")
        return EventStore(self.folder, finished)

    def _by_day(self) -> dict[int, tuple[int, int, int, int, int]]:
        """Read all rows once and sum them up by day, as they came: marks are made of nothing else."""
        rows = self._rows
        texts = " ".join(one.where or "" for one in self._behaviours)
        asked = [name for name in rows.columns if re.search(rf"\b{name}\b", texts, re.IGNORECASE)]
        always = [CONTACT_ID, "type", OCCURRED_AT, AVAILABLE_AT, "value", "source"]
        columns = list(dict.fromkeys([*always, *asked]))
        hashed = ", ".join(f'"{name}"' for name in columns)
        found = self._connection.raw_sql(
            f"SELECT epoch_us({OCCURRED_AT}) // {_DAY} AS day, count(*), "  # noqa: S608
            f"count_if({AVAILABLE_AT} > {OCCURRED_AT}), count(value), "
            "coalesce(sum(abs(value)), 0) * 10000, "
            f"sum(hash({hashed})::HUGEINT) "
            f"FROM ({self._connection.compile(rows.select(*columns))}) GROUP BY day ORDER BY day"
        ).fetchall()
        return {day: tuple(map(int, sums)) for day, *sums in found}  # type: ignore[misc]

    def _days(self, *, after: int | None = None, until: int | None = None) -> _Days:
        """Return what the rows of the days after one and up to another come to."""
        chosen = {
            day: sums
            for day, sums in self._survey.items()
            if (after is None or day > after) and (until is None or day <= until)
        }
        rows, late, valued, total = (
            sum(sums[place] for sums in chosen.values()) for place in range(4)
        )
        content = json.dumps(sorted(chosen.items())).encode()
        return _Days(rows, late, valued, total, hashlib.sha256(content).hexdigest())

    def _contacts_digest(self) -> str:
        """Return a digest of all contacts, which their order does not change."""
        found = self._one(
            f"SELECT count(*), sum(hash({CONTACT_ID})::HUGEINT) FROM ({self._people})"  # noqa: S608
        )
        return hashlib.sha256(str(found).encode()).hexdigest()

    def _number_contacts(self) -> None:
        """Make a table of all contacts, ascending, with their places."""
        self._connection.raw_sql(
            f"CREATE OR REPLACE TEMP TABLE {_PEOPLE} AS SELECT {CONTACT_ID}, "  # noqa: S608
            f"(row_number() OVER (ORDER BY {CONTACT_ID}) - 1)::INTEGER AS place "
            f"FROM (SELECT DISTINCT {CONTACT_ID} FROM ({self._people}))"
        )

    def _copy_rows(
        self, name: str, days: _Days, *, after: int | None = None, until: int | None = None
    ) -> None:
        """Write rows of some days by contact and time; a column that says nothing is left out."""
        rows = self._rows
        if after is not None:
            rows = rows.filter(rows[OCCURRED_AT] >= _first_instant(after + 1))
        if until is not None:
            rows = rows.filter(rows[OCCURRED_AT] < _first_instant(until + 1))
        coded = self._connection.compile(_coded(rows, self._behaviours))
        columns = ["place", "time", *self._marks]
        columns += ["late"] if days.late else []
        columns += ["value"] if days.valued else []
        self._connection.raw_sql(
            f"COPY (SELECT {', '.join(columns)} FROM ({coded}) "  # noqa: S608
            f"JOIN {_PEOPLE} USING ({CONTACT_ID}) ORDER BY place, time) "
            f"TO '{_quoted(self.folder / name)}' "
            f"(FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {_ROW_GROUP})"
        )

    def _one(self, sql: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._connection.raw_sql(sql).fetchone()
        return row


def _first_instant(day: int) -> "ir.TimestampScalar":
    """Return when a day counted from 1970 begins."""
    return instant(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day))


def _coded(rows: "ir.Table", behaviours: Sequence[Behaviour]) -> "ir.Table":
    """Return the rows that meet a condition, as integers."""
    import ibis

    marks = {
        f"marks_{begin // BITS}": _word(rows, behaviours[begin : begin + BITS])
        for begin in range(0, len(behaviours), BITS)
    }
    occurred, known = (_microseconds(rows[name]) for name in (OCCURRED_AT, AVAILABLE_AT))
    value = (rows.value.cast("decimal(38, 4)") * 10_000).cast("int64")
    coded = rows.select(
        CONTACT_ID,
        time=occurred,
        late=ibis.greatest(known - occurred, 0),
        value=value.fill_null(NO_VALUE),
        **marks,
    )
    met: Any = ibis.or_(*(coded[name] != 0 for name in marks))
    return coded.filter(met)


def _word(rows: "ir.Table", behaviours: Sequence[Behaviour]) -> Any:  # noqa: ANN401 - Ibis values
    """Return a word whose bits say which behaviours a row belongs to."""
    import ibis

    by_type: dict[str, dict[str, int]] = {"activity": {}, "outcomes": {}}
    word: Any = ibis.literal(0, "int64")
    for bit, one in enumerate(behaviours):
        if one.where is not None:
            word += matches(rows, one).cast("int64") * ibis.literal(1 << bit, "int64")
            continue
        for kind in one.types:
            bits = by_type[one.table]
            bits[kind] = bits.get(kind, 0) | 1 << bit
    # One look at the type for all conditions that ask for nothing else.
    found = {table: _by_type(rows, bits) for table, bits in by_type.items() if bits}
    if len(found) == 2:
        of_outcomes = rows["source"] == "outcomes"
        return word + of_outcomes.ifelse(found["outcomes"], found["activity"])
    for table, bits in found.items():
        same = rows["source"] == "outcomes"
        word += (same if table == "outcomes" else ~same).ifelse(bits, 0)
    return word


def _by_type(rows: "ir.Table", bits: dict[str, int]) -> Any:  # noqa: ANN401 - Ibis values
    import ibis

    cases = ((kind, ibis.literal(mine, "int64")) for kind, mine in sorted(bits.items()))
    return rows["type"].cases(*cases, else_=ibis.literal(0, "int64"))


def _microseconds(time: Any) -> Any:  # noqa: ANN401 - Ibis values
    """Return microseconds since 1970; Ibis' own ``epoch_seconds`` has no fractions to give."""
    import ibis
    import ibis.expr.datatypes as dt

    @ibis.udf.scalar.builtin(name="epoch_us", signature=((dt.Timestamp(scale=6),), dt.int64))
    def epoch_us(moment): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202

    return epoch_us(time.cast("timestamp(6)"))


def _library() -> str:
    import duckdb

    return f"duckdb {duckdb.__version__}"


def _new_name(part: str) -> str:
    return f"{part}-{uuid.uuid4().hex[:12]}.parquet"


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _replace_manifest(folder: Path, contents: Contents) -> None:
    """Make new files count, and remove those that no longer do."""
    for name in contents.files:
        _fsync(folder / name)
    temporary = folder / f"{MANIFEST}.new"
    temporary.write_text(json.dumps(asdict(contents), indent=1), encoding="utf-8")
    _fsync(temporary)
    temporary.replace(folder / MANIFEST)
    for path in folder.glob("*-*.parquet"):
        if path.name not in contents.files:
            path.unlink(missing_ok=True)


def _fsync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
