"""Do two contestants say the same? On a sample of contacts, value by value.

    python -m benchmarks.features.agreement EXPECTED FOUND [--contacts 20000]

Both are folders with a Parquet file a cutoff. Printed as JSON: rows found, how many values were compared,
how many are missing on one side only, and the largest relative difference with its feature.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

KEYS = ("contact_id", "as_of")


def sample(path: Path, modulus: int) -> pa.Table:
    """Return one contact in `modulus`, by the hash of its id, by id."""
    query = "FROM read_parquet(?) WHERE hash(contact_id) % ? = 0 ORDER BY contact_id"
    table: pa.Table = duckdb.execute(query, [str(path), modulus]).to_arrow_table()
    return table


def differences(expected: pa.Table, found: pa.Table) -> dict[str, tuple[float, int]]:
    """Return the largest relative difference and the missing values of each column of both."""
    result = {}
    for name in expected.column_names:
        if name in KEYS or name not in found.column_names:
            continue
        one, other = (pc.cast(table[name], pa.float64()) for table in (expected, found))
        one, other = (pc.if_else(pc.is_nan(value), None, value) for value in (one, other))
        missing = pc.sum(pc.not_equal(pc.is_null(one), pc.is_null(other))).as_py() or 0
        scale = pc.max_element_wise(pc.abs(one), pc.abs(other), skip_nulls=False)
        apart = pc.divide(
            pc.abs(pc.subtract(one, other)), pc.if_else(pc.equal(scale, 0), 1.0, scale)
        )
        result[name] = (pc.max(apart).as_py() or 0.0, missing)
    return result


def compare(expected: Path, found: Path, contacts: int) -> dict[str, Any]:
    """Return what the two folders have and how far they are apart."""
    rows = sum(pq.read_metadata(path).num_rows for path in found.glob("*.parquet"))
    worst: tuple[float, str] = (0.0, "")
    missing, values, strangers = 0, 0, 0
    for path in sorted(expected.glob("*.parquet")):
        modulus = max(1, pq.read_metadata(path).num_rows // contacts)
        left, right = sample(path, modulus), sample(found / path.name, modulus)
        both = left["contact_id"].combine_chunks(), right["contact_id"].combine_chunks()
        common = pc.is_in(both[0], both[1]), pc.is_in(both[1], both[0])
        strangers += sum(len(mask) - mask.true_count for mask in common)
        left, right = left.filter(common[0]), right.filter(common[1])
        for name, (apart, absent) in differences(left, right).items():
            worst = max(worst, (apart, name))
            missing += absent
            values += left.num_rows
    return {
        "rows": rows,
        "values_compared": values,
        "rows_of_one_only": strangers,
        "values_of_one_only": missing,
        "largest_relative_difference": worst[0],
        "of_feature": worst[1],
    }


def main() -> None:
    """Compare from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("expected", type=Path)
    parser.add_argument("found", type=Path)
    parser.add_argument("--contacts", type=int, default=20_000)
    given = parser.parse_args()
    print(json.dumps(compare(given.expected, given.found, given.contacts)))


if __name__ == "__main__":
    main()
