"""People who write SQL see the night before or tonight, never a mixture."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import ibis
import pytest

from mlmarket.errors import RunError
from mlmarket.nightly import Night
from mlmarket.nightly.publish import publish_to
from mlmarket.nightly.settings import PublishSettings

Opens = Callable[..., Night]


def rows(database: Path, table: str = "mlmarket_predictions") -> int:
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.table(table).shape[0]


def test_one_file_holds_the_night_for_sql(first_night: Path, night_of: Opens) -> None:
    with duckdb.connect(str(first_night / "mlmarket.duckdb"), read_only=True) as connection:
        names = {row[0] for row in connection.sql("SHOW TABLES").fetchall()}
        predicted = connection.table("predictions").shape[0]
    assert names == {"predictions", "missing", "segments", "outbox"}
    result = night_of(first_night, 20).folder.result("predictions")
    assert result is not None
    assert predicted == result.counts["contacts"]


@pytest.mark.parametrize("table", ["mlmarket_predictions", "order"])
def test_predictions_replace_those_of_the_night_before(
    first_night: Path, night_of: Opens, tmp_path: Path, table: str
) -> None:
    database = tmp_path / "shop.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.sql(f'CREATE TABLE "{table}" AS SELECT 1 AS old')
        connection.sql(f'CREATE TABLE "{table}_next" AS SELECT 1 AS left_by_a_crash')
    target = PublishSettings(connection=f"duckdb://{database}", table=table)
    written = publish_to(target, night_of(first_night, 20))
    assert rows(database, table) == written > 300
    with duckdb.connect(str(database), read_only=True) as connection:
        assert connection.sql("SHOW TABLES").fetchall() == [(table,)]


def test_a_database_that_fails_on_the_way_keeps_the_night_before(
    first_night: Path, night_of: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "shop.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.sql("CREATE TABLE mlmarket_predictions AS SELECT 1 AS old")
    original = ibis.backends.duckdb.Backend.raw_sql

    def fails(self: object, query: str) -> object:
        return original(self, query.replace("COMMIT;", "SELECT 1 FROM nowhere; COMMIT;"))

    monkeypatch.setattr(ibis.backends.duckdb.Backend, "raw_sql", fails)
    target = PublishSettings(connection=f"duckdb://{database}")
    with pytest.raises(RunError, match="could not be written to 'mlmarket_predictions'") as caught:
        publish_to(target, night_of(first_night, 20))
    assert len(str(caught.value).splitlines()) == 3
    with duckdb.connect(str(database), read_only=True) as connection:
        assert connection.sql("SELECT old FROM mlmarket_predictions").fetchall() == [(1,)]
        assert connection.sql("SHOW TABLES").fetchall() == [("mlmarket_predictions",)]


def test_a_database_that_cannot_be_reached_says_nothing_of_its_address(
    first_night: Path, night_of: Opens, tmp_path: Path
) -> None:
    target = PublishSettings(connection=f"duckdb://{tmp_path}/secret-word/shop.duckdb")
    with pytest.raises(RunError) as caught:
        publish_to(target, night_of(first_night, 20))
    assert "secret-word" not in str(caught.value)
