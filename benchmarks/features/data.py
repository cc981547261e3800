"""A log of what contacts did in 24 months, of any size, in bounded memory.

    python -m benchmarks.features.data --folder /data/shop --contacts 1000000 --events 50000000

Contacts arrive over time, some of them before the log begins, and leave after a while; how much they do
is log-normal, and about one in six does nothing. They come in sessions of a few events. The log is
written as it would be received: by time, a few seconds late, not by contact.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

DAY = 86_400_000_000
"""Microseconds."""
START = int(np.datetime64("2023-07-01", "us").astype(np.int64))
END = int(np.datetime64("2025-07-01", "us").astype(np.int64))
TYPES = {
    "page_view": 0.55,
    "product_view": 0.18,
    "search": 0.09,
    "add_to_cart": 0.07,
    "login": 0.05,
    "purchase": 0.04,
    "download": 0.015,
    "support_ticket": 0.005,
}
VALUED = ("add_to_cart", "purchase")
"""Types that carry a value, but for one row in fifty."""
COUNTRIES = ("DE", "PT", "FR", "ES", "IT", "NL", "AT", "PL")
EVENTS_A_CHUNK = 1_000_000
EVENTS_A_SESSION = 4
SECONDS_BETWEEN_EVENTS = 90
SILENT_SHARE = 0.013
"""Never come; far more are so rare, or left so soon, that the log has no event of theirs."""
OLD_SHARE = 0.4
"""Were there before the log began."""
MONTHS_OF_LIFE = 15


@dataclass(frozen=True, slots=True)
class People:
    """Who they are: an entry a contact, in order of arrival."""

    contact_id: pa.Array
    arrival: Integers
    departure: Integers
    rate: Floats

    def presence(self, begin: int, end: int) -> Floats:
        """Return how much each contact may be expected to do in a span of time."""
        here = np.minimum(self.departure, end) - np.maximum(self.arrival, begin)
        return self.rate * np.maximum(here, 0)


def people(count: int, random: np.random.Generator) -> People:
    """Draw contacts."""
    arrival = START + ((END - START) * random.random(count)).astype(np.int64)
    old = random.random(count) < OLD_SHARE
    arrival[old] = START - (3 * 365 * DAY * random.random(int(old.sum()))).astype(np.int64)
    arrival.sort()
    # A contact that was there before is one that had not left.
    life = random.exponential(MONTHS_OF_LIFE * 30.4 * DAY, count).astype(np.int64)
    departure = np.maximum(arrival, START) + life
    rate = random.lognormal(0.0, 1.1, count)
    rate[random.random(count) < SILENT_SHARE] = 0.0
    names = np.char.add("c", np.char.zfill(np.arange(count).astype(str), 7))
    return People(pa.array(names), arrival, departure, rate)


def contacts_table(who: People, random: np.random.Generator) -> pa.Table:
    """Return the table of contacts."""
    count = len(who.arrival)
    age = random.integers(18, 80, count)
    country = pa.DictionaryArray.from_arrays(
        pa.array(random.integers(0, len(COUNTRIES), count, dtype=np.int8)), pa.array(COUNTRIES)
    )
    unknown = random.random(count) < 0.05
    return pa.table(
        {
            "contact_id": who.contact_id,
            "created_at": pa.array(who.arrival, pa.timestamp("us"), mask=unknown),
            "country": country.cast(pa.string()),
            "age": pa.array(age, pa.int32(), mask=random.random(count) < 0.2),
        }
    )


def chunks(who: People, events: int) -> Iterator[tuple[int, int, int]]:
    """Yield spans of time and how many events each has; all of them together `events`."""
    edges = np.linspace(START, END, max(4, events // EVENTS_A_CHUNK) + 1).astype(np.int64)
    spans = [(int(begin), int(end)) for begin, end in itertools.pairwise(edges)]
    weight = np.cumsum([who.presence(begin, end).sum() for begin, end in spans])
    until = np.rint(events * weight / weight[-1]).astype(np.int64)
    sizes = np.diff(until, prepend=0)
    for (begin, end), size in zip(spans, sizes, strict=True):
        yield begin, end, int(size)


def chunk_table(
    who: People, begin: int, end: int, size: int, random: np.random.Generator
) -> pa.Table:
    """Draw the events of a span of time."""
    lengths = random.geometric(1 / EVENTS_A_SESSION, size)
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), size)) + 1]
    contact = _draw(who.presence(begin, end), len(lengths), random)
    first = np.maximum(who.arrival[contact], begin)
    last = np.minimum(who.departure[contact], end)
    began = first + ((last - first) * random.random(len(contact))).astype(np.int64)
    gaps = (random.exponential(SECONDS_BETWEEN_EVENTS * 1e6, int(lengths.sum()))).astype(np.int64)
    since = np.cumsum(gaps)
    starts = np.cumsum(lengths) - lengths
    times = np.repeat(began - since[starts], lengths) + since
    times = np.minimum(times, END - 1)[:size]
    received = times + random.exponential(5e6, size).astype(np.int64)
    order = np.argsort(received, kind="stable")
    return _events_table(who, np.repeat(contact, lengths)[:size][order], times[order], random)


def _draw(weights: Floats, count: int, random: np.random.Generator) -> Integers:
    cumulative = np.cumsum(weights)
    drawn = np.searchsorted(cumulative, random.random(count) * cumulative[-1], side="right")
    return drawn.astype(np.int64)


def _events_table(
    who: People, contact: Integers, times: Integers, random: np.random.Generator
) -> pa.Table:
    size = len(contact)
    names = pa.array(TYPES)
    kind = _draw(np.array(list(TYPES.values())), size, random)
    valued = np.isin(kind, [list(TYPES).index(name) for name in VALUED])
    valued &= random.random(size) >= 0.02
    cents = np.rint(random.lognormal(8.0, 0.9, size)).astype(np.int64)
    return pa.table(
        {
            "contact_id": who.contact_id.take(pa.array(contact)),
            "event_type": pa.DictionaryArray.from_arrays(pa.array(kind.astype(np.int8)), names),
            "occurred_at": pa.array(times, pa.timestamp("us")),
            "value": _money(cents * 100, valued),
        }
    )


def _money(units: Integers, valid: npt.NDArray[np.bool_]) -> pa.Array:
    """Return 1/10,000 of the currency as decimals."""
    wide = np.zeros((len(units), 2), dtype="<i8")  # 128 bits, the low half first
    wide[:, 0] = units
    bits = np.packbits(valid, bitorder="little")
    buffers = [pa.py_buffer(bits), pa.py_buffer(wide)]
    return pa.Array.from_buffers(pa.decimal128(18, 4), len(units), buffers)


def generate(folder: Path, *, contacts: int, events: int, seed: int = 0) -> None:
    """Write ``contacts.parquet`` and ``events.parquet``, the same for the same numbers."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    who = people(contacts, random)
    pq.write_table(contacts_table(who, random), folder / "contacts.parquet", compression="zstd")
    schema = pa.schema(
        {
            "contact_id": pa.string(),
            "event_type": pa.string(),
            "occurred_at": pa.timestamp("us"),
            "value": pa.decimal128(18, 4),
        }
    )
    unfinished = folder / "events.parquet.part"
    with pq.ParquetWriter(
        unfinished,
        schema,
        compression="zstd",
        use_dictionary=["event_type"],
        store_decimal_as_integer=True,
    ) as writer:
        for begin, end, size in chunks(who, events):
            table = chunk_table(who, begin, end, size, random)
            writer.write_table(table.cast(schema), row_group_size=EVENTS_A_CHUNK)
    unfinished.rename(folder / "events.parquet")


def main() -> None:
    """Generate from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=50_000_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    generate(given.folder, contacts=given.contacts, events=given.events, seed=given.seed)


if __name__ == "__main__":
    main()
