"""A night on Spark gives the numbers of a night on DuckDB, and is taken up where it stopped."""

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from mlmarket import cli
from mlmarket.churn import ChurnModel
from mlmarket.errors import ConfigurationError
from mlmarket.market import Market
from mlmarket.nightly import open_night, run_night

DAY = date(2026, 6, 1)
NIGHT = ["nightly", "--date", DAY.isoformat(), "--config"]


@pytest.fixture(scope="module")
def on_duckdb(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(shop, tmp_path_factory.mktemp("duckdb") / "shop"))
    run_night(open_night(folder / "mlmarket.toml", DAY))
    return folder


@pytest.fixture(scope="module")
def on_spark(spark: Any, shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(shop, tmp_path_factory.mktemp("night") / "shop"))
    done = CliRunner().invoke(
        cli.app,
        [*NIGHT, str(folder / "mlmarket.toml"), "--engine", "spark"],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    return folder


def _run(folder: Path) -> Path:
    return folder / "runs" / DAY.isoformat()


def _scores(folder: Path) -> Path:
    return folder / "scores" / f"run_date={DAY}"


def assert_equal(found: pa.Table, wanted: pa.Table) -> None:
    """Compare tables: the same rows, columns and types, numbers to a part in a billion."""
    assert found.schema == wanted.schema
    assert found.num_rows == wanted.num_rows > 0
    for name in wanted.column_names:
        one, other = found.column(name), wanted.column(name)
        assert one.is_null().equals(other.is_null()), name
        if pa.types.is_floating(one.type):
            apart = pc.max(pc.abs(pc.subtract(one, other))).as_py()
            assert apart is None or apart <= 1e-9, name
        elif not name.endswith("_model_version"):
            assert one.equals(other), name


def test_the_predictions_of_both_engines_are_the_same(on_spark: Path, on_duckdb: Path) -> None:
    for name in ("contacts.parquet", "missing.parquet"):
        found, wanted = (
            pq.read_table(_run(folder) / "predictions" / name) for folder in (on_spark, on_duckdb)
        )
        assert_equal(found, wanted)


def test_the_models_that_answered_are_no_simple_rules(on_spark: Path, on_duckdb: Path) -> None:
    for folder in (on_spark, on_duckdb):
        models = json.loads((_run(folder) / "manifests" / "models.json").read_text())
        assert all("blend-" in version for version in models["details"]["versions"].values())


def test_segments_journeys_and_report_follow(on_spark: Path, on_duckdb: Path) -> None:
    for name in ("segments/leaving.csv", "outbox.csv"):
        assert (_run(on_spark) / name).read_text() == (_run(on_duckdb) / name).read_text()
    assert (_run(on_spark) / "report.html").stat().st_size > 10_000


def test_the_manifests_say_what_computed_and_on_how_many_was_learned(on_spark: Path) -> None:
    manifests = _run(on_spark) / "manifests"
    predictions = json.loads((manifests / "predictions.json").read_text())
    assert predictions["details"]["engine"] == "spark"
    models = json.loads((manifests / "models.json").read_text())
    learned = models["details"]["learned_from"]
    assert learned.keys() == {"purchase", "churn", "value"}
    assert all(0 < one["contacts"] <= one["rows"] for one in learned.values())


def test_the_workers_wrote_the_scores_by_day_and_bucket(on_spark: Path) -> None:
    place = _scores(on_spark)
    assert sorted(path.name for path in place.glob("bucket=*")) == ["bucket=0", "bucket=1"]
    assert (place / "_SUCCESS").exists()
    manifest = json.loads((place / "_manifest.json").read_text())
    assert manifest["models"].keys() == {"purchase", "churn", "value"}
    parts = [pq.read_table(path) for path in sorted(place.glob("bucket=*/*.parquet"))]
    for part in parts:
        ids = part.column("contact_id").to_pylist()
        assert ids == sorted(ids)
    contacts = pq.read_table(_run(on_spark) / "predictions" / "contacts.parquet")
    assert sum(part.num_rows for part in parts) == contacts.num_rows
    assert list((on_spark / "scores").glob(".tmp-*")) == []


def test_a_night_is_taken_up_by_either_engine(on_spark: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(on_spark, tmp_path / "shop"))
    before = (_run(folder) / "manifests" / "predictions.json").read_bytes()
    run_night(open_night(folder / "mlmarket.toml", DAY, engine="duckdb"))
    assert (_run(folder) / "manifests" / "predictions.json").read_bytes() == before


def test_a_trained_model_answers_the_same_on_both(on_duckdb: Path, spark: Any, shop: Path) -> None:
    config = shop / "mlmarket.toml"
    here, there = Market.open(config), Market.open(config, spark=spark)
    as_of = open_night(config, DAY).as_of
    model = ChurnModel.load(on_duckdb / "models" / "churn" / DAY.isoformat())
    found, wanted = (model.predict(market, as_of=as_of) for market in (there, here))
    assert_equal(found.contacts, wanted.contacts)
    assert found.missing.equals(wanted.missing)
    some = [*wanted.contacts.column("contact_id").to_pylist()[:5], "nobody"]
    found, wanted = (
        m.predict(market, as_of=as_of, contacts=some)
        for m, market in ((model, there), (model, here))
    )
    assert_equal(found.contacts, wanted.contacts)
    assert found.missing.equals(wanted.missing)
    with pytest.raises(ConfigurationError, match="not on Spark"):
        model.predict_on_spark(here, as_of=as_of)


def test_scores_that_are_complete_are_not_computed_again_and_others_are(
    on_spark: Path, spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(on_spark, tmp_path / "shop"))
    wanted = (_run(folder) / "predictions" / "contacts.parquet").read_bytes()
    (_run(folder) / "manifests" / "predictions.json").unlink()
    stopped: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("mlmarket.nightly.scores._everybody", lambda *_: stopped.append("computed"))
        run_night(open_night(folder / "mlmarket.toml", DAY, engine="spark"))
    assert stopped == []
    assert (_run(folder) / "predictions" / "contacts.parquet").read_bytes() == wanted

    (_run(folder) / "manifests" / "predictions.json").unlink()
    (_scores(folder) / "_SUCCESS").unlink()
    (_scores(folder) / "bucket=0").rename(_scores(folder) / "bucket=1x")
    run_night(open_night(folder / "mlmarket.toml", DAY, engine="spark"))
    assert (_run(folder) / "predictions" / "contacts.parquet").read_bytes() == wanted
    assert (_scores(folder) / "_SUCCESS").exists()
    assert not (_scores(folder) / "bucket=1x").exists()
