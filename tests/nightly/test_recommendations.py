"""A night that says what to show each person, told by what is due again."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from mlmarket import cli
from mlmarket.errors import ConfigurationError
from mlmarket.market.samples import simulate
from mlmarket.nightly import open_night, parts, run_night
from mlmarket.nightly.models import predictors_of
from mlmarket.nightly.settings import NightSettings
from mlmarket.recommend import plain, recommender

DAY = date(2026, 6, 20)
KILLER = Path(__file__).with_name("part_killer.py")
ITEMS = """
[tables.items]
source = "tables/items.parquet"
timezone = "UTC"
"""
QUESTIONS = """
[predict.replenishment]
items = 3
least_chance = 0.01

[predict.recommend]
slots = 3
weights = {order = 1.0, add_to_cart = 0.3}

[predict.recommend.rules]
category_cap = 2
blocked_items = ["I0001"]
"""
SEGMENT = """
  coffee_people:
    title: People to whom something is shown
    when: rec_1_price > 0 and rec_1_id is not null
    why: "shown {rec_1_title}"
"""


@pytest.fixture(scope="module")
def ready(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a shop of a year that asks what to show, where no night was run yet."""
    folder = tmp_path_factory.mktemp("shown") / "shop"
    shutil.copytree(shop, folder)
    shutil.rmtree(folder / "tables")
    simulate(folder / "tables", contacts=250, months=12, oracle=False, events_per_contact=5)
    config = folder / "mlmarket.toml"
    text = config.read_text(encoding="utf-8")
    for name in ("purchase", "churn"):
        text = text.replace(f"[predict.{name}]\n", f"[predict.{name}]\nenabled = false\n")
    text = text.replace("[tables.consents]", ITEMS.strip() + "\n\n[tables.consents]")
    config.write_text(text + QUESTIONS, encoding="utf-8")
    (folder / "segments.yaml").write_text("segments:\n" + SEGMENT, encoding="utf-8")
    (folder / "journeys" / "win_back.yaml").unlink()
    config.write_text(
        config.read_text(encoding="utf-8").replace('files = ["journeys/*.yaml"]', ""),
        encoding="utf-8",
    )
    return folder


@pytest.mark.parametrize("command", ["check", "nightly"])
def test_a_slip_in_a_rule_is_found_before_anything_is_trained(
    ready: Path, tmp_path: Path, command: str
) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(ready, folder)
    config = folder / "mlmarket.toml"
    text = config.read_text(encoding="utf-8").replace('["I0001"]', '["I00O1"]')
    config.write_text(text, encoding="utf-8")
    told = CliRunner().invoke(
        cli.app, [command, "--config", str(config), "--date", DAY.isoformat()]
    )
    assert isinstance(told.exception, ConfigurationError), told.output
    assert told.exception.exit_code == 2
    assert "'blocked_items' names 1 item" in told.exception.what
    assert not (folder / "models").exists()


@pytest.fixture(scope="module")
def night(ready: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return that shop after a night from the command line."""
    folder = Path(shutil.copytree(ready, tmp_path_factory.mktemp("night") / "shop"))
    arguments = ["nightly", "--config", str(folder / "mlmarket.toml"), "--date", DAY.isoformat()]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    return folder


def read(folder: Path, name: str) -> pa.Table:
    return pq.read_table(folder / "runs" / DAY.isoformat() / "predictions" / name)


def test_every_contact_has_slots_and_every_slot_its_columns(night: Path) -> None:
    contacts = read(night, "contacts.parquet")
    for slot in (1, 2, 3):
        for part in ("id", "title", "url", "image", "price", "reason"):
            column = contacts.column(f"rec_{slot}_{part}")
            assert column.null_count == 0, column
    assert contacts.column("rec_model_version").null_count == 0
    chance = contacts.column("rec_probability").drop_null().to_numpy()
    assert ((chance >= 0) & (chance <= 1)).all()


def test_the_long_form_says_the_same_and_keeps_the_rules(night: Path) -> None:
    items = read(night, "items/recommend.parquet").to_pandas()
    contacts = read(night, "contacts.parquet").to_pandas().set_index("contact_id")
    assert {"score", "probability", "due_date", "reason", "source"} <= set(items.columns)
    for slot in (1, 2, 3):
        rows = items[items["rank"] == slot].set_index("contact_id")
        assert (contacts[f"rec_{slot}_id"] == rows["item_id"]).all()
    assert not (items["item_id"] == "I0001").any()
    facts = pq.read_table(night / "tables" / "items.parquet").to_pandas().set_index("item_id")
    category = items["item_id"].map(facts["category"])
    assert items.groupby(["contact_id", category]).size().max() <= 2
    if not facts["in_stock"].all():
        assert facts.loc[items["item_id"].unique(), "in_stock"].all()


def test_people_who_write_sql_find_the_items(night: Path) -> None:
    with duckdb.connect(str(night / "mlmarket.duckdb"), read_only=True) as base:
        counted = base.table("recommend_items").count("*").fetchone()
    assert counted == (read(night, "items/recommend.parquet").num_rows,)


def test_a_segment_reads_what_is_shown(night: Path) -> None:
    members = pq.read_table(night / "runs" / DAY.isoformat() / "segments.parquet")
    assert members.num_rows == read(night, "contacts.parquet").num_rows


def test_the_report_says_what_is_shown_and_what_backs_it(night: Path) -> None:
    page = (night / "runs" / DAY.isoformat() / "report.html").read_text(encoding="utf-8")
    assert "What to show each person?" in page
    assert "What is shown tonight" in page
    assert "Order missed (1 - NDCG@10)" in page
    assert "Share of slots" in page


def test_what_is_due_comes_from_the_other_answers_of_the_night(
    night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(night, tmp_path / "shop"))
    told = []

    for kind in (plain.PlainRecommender, recommender.Recommender):
        original = kind.recommend

        def recommend(self, contacts, k=10, *, original=original, **tonight):
            told.append(tonight.get("due"))
            return original(self, contacts, k, **tonight)

        monkeypatch.setattr(kind, "recommend", recommend)
    shutil.rmtree(folder / "runs")
    run_night(open_night(folder / "mlmarket.toml", DAY), decide=False)
    due = read(folder, "items/replenishment.parquet")
    assert len(told) == 1
    assert told[0]["item_id"].tolist() == due.column("item_id").to_pylist()
    assert list(told[0].columns) == ["contact_id", "item_id", "due_date", "probability"]


def test_a_killed_night_ends_with_the_same_bytes(
    ready: Path,
    tmp_path: Path,
    results_of: Callable[[Path, date], dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
    quick_page: None,
) -> None:
    size = 60
    monkeypatch.setattr(parts, "CONTACTS_A_PART", size)
    whole = Path(shutil.copytree(ready, tmp_path / "whole"))
    run_night(open_night(whole / "mlmarket.toml", DAY))
    broken = Path(shutil.copytree(ready, tmp_path / "broken"))
    buckets = pq.ParquetFile(
        whole / "runs" / DAY.isoformat() / "predictions" / "contacts.parquet"
    ).num_row_groups
    assert buckets > 2
    after = (
        2 * buckets + 3
    )  # both files of each bucket of the first, of one of the second, and one more
    command = [
        sys.executable,
        KILLER,
        broken / "mlmarket.toml",
        DAY.isoformat(),
        str(after),
        str(size),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    run = broken / "runs" / DAY.isoformat()
    finished = json.loads((run / "parts" / "parts.json").read_text(encoding="utf-8"))["finished"]
    assert finished == {"replenishment": buckets, "recommend": 1}
    run_night(open_night(broken / "mlmarket.toml", DAY))
    first, second = results_of(whole, DAY), results_of(broken, DAY)
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} == set()


def test_a_small_shop_is_told_what_it_lacks_and_the_night_goes_on(
    shop: Path, tmp_path: Path, quick_page: None
) -> None:
    folder = Path(shutil.copytree(shop, tmp_path / "shop"))
    orders = folder / "tables" / "orders.parquet"
    table = pq.read_table(orders)
    few = pc.unique(table.column("contact_id")).slice(0, 20)
    pq.write_table(table.filter(pc.is_in(table.column("contact_id"), value_set=few)), orders)
    config = folder / "mlmarket.toml"
    text = (
        config.read_text(encoding="utf-8")
        .replace('files = ["segments.yaml"]', "")
        .replace('files = ["journeys/*.yaml"]', "")
    )
    config.write_text(text + "\n[predict.recommend]\n", encoding="utf-8")
    arguments = ["nightly", "--config", str(config), "--date", DAY.isoformat()]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    details = open_night(config, DAY).folder.result("models").details
    why = dict(details["skipped"])["recommend"]
    assert "20 contacts showed interest in an item, 50 are needed" in why


def test_it_is_asked_where_it_is_named_and_after_what_is_due() -> None:
    assert "recommend" not in [one.name for one in predictors_of(NightSettings())]
    asked = {
        "predict": {
            "recommend": {},
            "replenishment": {},
            "own": {"label": "order", "horizon": "9D"},
        }
    }
    names = [one.name for one in predictors_of(NightSettings.model_validate(asked))]
    assert names[-3:] == ["replenishment", "recommend", "own"]
    off = NightSettings.model_validate({"predict": {"recommend": {"enabled": False}}})
    assert "recommend" not in [one.name for one in predictors_of(off)]


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"rules": {"in_stok": True}}, "There is no rule 'in_stok'"),
        ({"urls": ["/blog"]}, "names no item"),
        ({"weights": {"open": 1.0}}, "'open' has a weight"),
        ({"slots": 99}, "'slots' is 99"),
        ({"least_chance": 0.1}, "cannot have a `least_chance`"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, what) -> None:
    with pytest.raises(ConfigurationError, match=what):
        predictors_of(NightSettings.model_validate({"predict": {"recommend": settings}}))
