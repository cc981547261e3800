"""Does every engine give the numbers of DuckDB? Features and labels of the simulated shop, by column.

    python benchmarks/parity.py --contacts 20000 --folder /data/shop

The shop is simulated into the folder unless it is there, and loaded into each engine that there is:
PostgreSQL at ``MLMARKET_POSTGRES``, else on a server that is started for it and thrown away. Both engines
work with the reference compiler on tables of their own. Printed for each column: the rows compared, how
many of them differ at all or by more than 1e-9 of the value, and the largest differences.
"""

import argparse
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from ibis.backends import BaseBackend

from mlmarket.features import Behaviour, Feature, SnapshotSpec, algebra, build, default_features
from mlmarket.market import Market
from mlmarket.market.samples import simulate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "engines"))
from postgres_server import NoServerError, throw_away_server

CUTOFFS = (datetime(2026, 2, 28, 23, 59, 59, 999999, UTC), datetime(2026, 5, 1, 10, 30, tzinfo=UTC))
HORIZON = timedelta(days=30)
BEHAVIOURS = ("order where value > 20", "return", "page_view | add_to_cart", "open", "outcome won")
SCHEMA = "mlmarket_parity"


class NotHereError(Exception):
    """Why an engine is left out."""


@contextmanager
def duckdb(folder: Path) -> Iterator[Market]:
    """Open the shop on DuckDB."""
    yield Market.open(folder)


@contextmanager
def postgres(folder: Path) -> Iterator[Market]:
    """Load the shop into PostgreSQL and open it there."""
    given = os.environ.get("MLMARKET_POSTGRES")
    if given:
        with _on_server(given, folder) as market:
            yield market
        return
    try:
        with throw_away_server() as address, _on_server(address, folder) as market:
            yield market
    except NoServerError as error:
        raise NotHereError(str(error)) from error


@contextmanager
def _on_server(address: str, folder: Path) -> Iterator[Market]:
    try:
        connection = ibis.connect(address)
    except ImportError as error:
        raise NotHereError(str(error)) from error
    connection.raw_sql(f"CREATE SCHEMA {SCHEMA}; SET search_path = {SCHEMA}").close()
    tables = sorted(folder.glob("*.parquet"))
    try:
        with TemporaryDirectory() as place:
            config = Path(place, "mlmarket.toml")
            config.write_text("".join(_copied(connection, address, file) for file in tables))
            yield Market.open(config)
    finally:
        connection.raw_sql(f"DROP SCHEMA {SCHEMA} CASCADE").close()
        connection.disconnect()


def _copied(connection: BaseBackend, address: str, file: Path) -> str:
    """Copy one table; return what a configuration says about it."""
    rows, name = pq.read_table(file), file.stem
    connection.create_table(name, schema=ibis.schema(rows.schema), database=SCHEMA)
    options = pc.WriteOptions(include_header=False, quoting_style="all_valid")
    with connection.con.cursor() as cursor:
        with cursor.copy(f"COPY {name} FROM STDIN (FORMAT csv)") as copy:
            for batch in rows.to_batches(max_chunksize=100_000):
                text = io.BytesIO()
                pc.write_csv(batch, text, options)
                copy.write(text.getbuffer())
        cursor.execute(f"ANALYZE {name}")
    lines = [f"[tables.{name}]", f'source = "{SCHEMA}.{name}"', f'connection = "{address}"']
    lines += ['timezone = "UTC"', *(['returns = "amount < 0"'] if name == "orders" else [])]
    return "\n".join([*lines, ""])


ENGINES: dict[str, Callable[[Path], AbstractContextManager[Market]]] = {"postgres": postgres}
"""What is compared with DuckDB; another engine is one more function."""


def features_of(market: Market) -> tuple[Feature, ...]:
    """Return what a market allows by itself, and every operation on some behaviours."""
    with_window = (
        algebra.count,
        algebra.total,
        algebra.mean,
        algebra.maximum,
        algebra.days_active,
        algebra.trend,
    )
    of_all = (algebra.recency, algebra.first_touch, algebra.gap_mean, algebra.gap_std)
    named = list(enumerate(BEHAVIOURS))
    return (
        *default_features(market, as_of=CUTOFFS[-1]),
        *(f(text, "60D", name=f"{f.__name__}_60d_{n}") for n, text in named for f in with_window),
        *(f(text, name=f"{f.__name__}_{n}") for n, text in named for f in of_all),
    )


def everything(market: Market, features: tuple[Feature, ...]) -> tuple[pd.DataFrame, float]:
    """Return features and labels at instants and for a frame, and the seconds they took."""
    spec = SnapshotSpec(None, features, Behaviour.parse("order"), HORIZON)
    begin = time.perf_counter()
    at_instants = pa.Table.from_batches(build(market, spec, cutoffs=CUTOFFS)).to_pandas()
    some = at_instants.loc[::3, ["contact_id", "as_of"]]
    some = some.assign(as_of=some["as_of"].dt.tz_localize("UTC"))
    of_frame = pa.Table.from_batches(build(market, spec, cutoffs=some)).to_pandas()
    return pd.concat([at_instants, of_frame], ignore_index=True), time.perf_counter() - begin


def compared(reference: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return one line a column: how many rows differ, and how far."""
    lines = []
    for name in reference.columns:
        here, there = reference[name], other[name]
        missing = here.isna() != there.isna()
        both = ~(here.isna() | there.isna())
        if pd.api.types.is_numeric_dtype(here):
            left, right = here[both].to_numpy(float), there[both].to_numpy(float)
            absolute = np.abs(left - right)
            size = np.maximum(np.abs(left), np.abs(right))
            relative = np.divide(absolute, size, out=np.zeros_like(absolute), where=size > 0)
            different, far = int((absolute > 0).sum()), int((relative > 1e-9).sum())
        else:
            different = far = int((here[both] != there[both]).sum())
            absolute = relative = np.array([np.nan])
        lines.append(
            {
                "column": name,
                "rows": len(here),
                "missing in one": int(missing.sum()),
                "different": different,
                "by more than 1e-9": far,
                "largest absolute": absolute.max(initial=0.0),
                "largest relative": relative.max(initial=0.0),
            }
        )
    return pd.DataFrame(lines)


def show(engine: str, lines: pd.DataFrame, seconds: tuple[float, float]) -> None:
    """Print one table."""
    print(f"\n{engine} beside DuckDB: {len(lines)} columns, {lines['rows'].max():,} rows")
    print(f"seconds for the rows: DuckDB {seconds[0]:.1f}, {engine} {seconds[1]:.1f}")
    print(lines.to_string(index=False, float_format="{:.1e}".format, na_rep=""))
    total = lines[["missing in one", "different", "by more than 1e-9"]].sum()
    print(", ".join(f"{name}: {count:,}" for name, count in total.items()))


def main() -> None:
    """Print a table for each engine."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contacts", type=int, default=2_000)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    if not (given.folder / "orders.parquet").is_file():
        given.folder.mkdir(parents=True, exist_ok=True)
        simulate(given.folder, contacts=given.contacts, oracle=False)
    with duckdb(given.folder) as market:
        features = features_of(market)
        reference, own = everything(market, features)
    for name, open_engine in ENGINES.items():
        try:
            with open_engine(given.folder) as market:
                if features_of(market) != features:
                    print(f"{name} chooses other features by default")
                other, seconds = everything(market, features)
        except NotHereError as error:
            print(f"{name} is left out: {error}")
        else:
            show(name, compared(reference, other), (own, seconds))


if __name__ == "__main__":
    main()
