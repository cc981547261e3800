"""The command line does what it says, and leaves with a code that a scheduler can act on."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from mlmarket import cli
from mlmarket.errors import ConfigurationError
from mlmarket.market.samples import simulate

CONFIGURATION = """\
[business]
timezone = "Europe/Lisbon"

[tables.contacts]
source = "tables/contacts.parquet"
timezone = "UTC"

[tables.orders]
source = "tables/orders.parquet"
timezone = "UTC"
complete_until = 2026-07-01T00:00:00+01:00
returns = "amount < 0"

[predict.churn]
horizon = "30D"

[predict.value]
enabled = false

[predict.next_order]
enabled = false

[predict.upgrade]
label = "event upgrade"
horizon = "30D"

[segments]
files = ["segments.yaml"]
"""
SEGMENTS = """\
segments:
  leaving:
    title: About to leave
    top: {column: churn_probability_30d, share: 0.2}
"""
Done = subprocess.CompletedProcess[str]
Runs = Callable[..., tuple[int, str, str]]


def mlmarket(folder: Path, *arguments: str, **environment: str) -> Done:
    """Run the command line in a folder, as a scheduler does."""
    return subprocess.run(
        [sys.executable, "-m", "mlmarket", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def empty_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "shop"
    simulate(folder / "tables", contacts=400, months=6, oracle=False, events_per_contact=5)
    (folder / "mlmarket.toml").write_text(CONFIGURATION, encoding="utf-8")
    (folder / "segments.yaml").write_text(SEGMENTS, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def night(empty_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """Return a shop after its first night, and how that night went."""
    folder = Path(shutil.copytree(empty_shop, tmp_path_factory.mktemp("cli_night") / "shop"))
    return folder, mlmarket(folder, "nightly", "--date", "2026-06-20")


@pytest.fixture
def shop(night: tuple[Path, Done], tmp_path: Path) -> Path:
    return Path(shutil.copytree(night[0], tmp_path / "shop"))


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Return how to run a command in this process, which saves seconds each time."""

    def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        result = CliRunner().invoke(cli.app, list(arguments))
        return result.exit_code, result.stdout, result.stderr

    return run


def three_lines(text: str) -> None:
    lines = text.strip().splitlines()
    errors = [line for line in lines if not line.startswith("{")]
    assert len(errors) == 3, text
    assert errors[2].startswith("Fix: ")
    assert "Traceback" not in text


# --- a night --------------------------------------------------------------------------------------


def test_a_night_prints_its_headline_and_where_the_report_is(
    night: tuple[Path, Done],
) -> None:
    folder, done = night
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.match(r"\d+ about to leave .*; we expect \d+ .*", lines[0])
    assert lines[1] == "skipped upgrade: it needs the table 'events'"
    assert Path(lines[2]) == folder / "runs" / "2026-06-20" / "report.html"
    assert Path(lines[2]).is_file()


def test_logs_are_json_with_counts_and_never_with_people(
    night: tuple[Path, Done],
) -> None:
    folder, done = night
    logged = [json.loads(line) for line in done.stderr.splitlines()]
    ended = [one for one in logged if one["event"] == "stage_finished"]
    assert [one["stage"] for one in ended] == [
        "check", "models", "predictions", "decisions", "report", "publish",
    ]  # fmt: skip
    assert {one["night"] for one in logged} == {"2026-06-20"}
    assert all(isinstance(count, int) for one in ended for count in one["counts"].values())
    assert all(one["peak_megabytes"] > 0 and one["seconds"] >= 0 for one in ended)
    contacts = pq.read_table(folder / "tables" / "contacts.parquet")
    for column in ("contact_id", "email", "external_id"):
        people = {str(value) for value in contacts.column(column).to_pylist() if value}
        assert not [value for value in people if value in done.stderr]


def test_a_night_that_only_scores_imports_no_tracker_and_no_other_engine(shop: Path) -> None:
    code = (
        "import sys\n"
        "from mlmarket.cli import app\n"
        "app(['nightly', '--date', '2026-06-22'], standalone_mode=False)\n"
        "print(sorted({'mlflow', 'pyspark', 'polars', 'optuna'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=shop, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_command_line_itself_is_light() -> None:
    heavy = {"pandas", "ibis", "duckdb", "numpy", "pyarrow", "sklearn", "pydantic", "sqlglot"}
    code = f"import sys, mlmarket.cli; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- exit codes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("nightly", "--no-such-option"),
        ("no_such_command",),
        ("backfill", "--from", "2026-06-01"),
        ("prune", "--keep", "0"),
    ],
)
def test_wrong_usage_is_2(shop: Path, runner: Runs, arguments: tuple[str, ...]) -> None:
    code, _, told = runner(shop, *arguments)
    assert code == 2
    assert "Usage" in told


def fails(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    done = mlmarket(folder, *arguments, **environment)
    assert done.stdout == ""
    three_lines(done.stderr)
    return done.returncode, done.stderr


def fails_after_counts(folder: Path, *arguments: str) -> tuple[int, str]:
    done = mlmarket(folder, *arguments)
    three_lines(done.stderr)
    return done.returncode, done.stderr


def test_a_wrong_date_or_a_missing_configuration_is_2(shop: Path) -> None:
    code, told = fails(shop, "nightly", "--date", "June")
    assert (code, told.splitlines()[0]) == (2, "--date 'June' is no date.")
    code, told = fails(shop, "nightly", "--config", "nothing.toml")
    assert (code, told.splitlines()[0]) == (2, "There is no file 'nothing.toml'.")


def test_tables_that_break_the_contract_are_3(shop: Path) -> None:
    orders = shop / "tables" / "orders.parquet"
    table = pq.read_table(orders)
    pq.write_table(table.drop_columns(["ordered_at"]), orders)
    code, told = fails(shop, "nightly", "--date", "2026-06-22")
    assert code == 3
    assert "ordered_at" in told
    assert not (shop / "runs" / "2026-06-22" / "predictions").exists()


def test_a_gate_is_4_and_the_hook_is_told(shop: Path) -> None:
    orders = shop / "tables" / "orders.parquet"
    table = pq.read_table(orders)
    pq.write_table(table.slice(len(table) * 3 // 4), orders)
    config = shop / "mlmarket.toml"
    hook = "[hooks]\non_failure = '''echo said by the hook; env | grep ^MLMARKET_ > told.txt'''\n"
    config.write_text(config.read_text(encoding="utf-8") + hook, encoding="utf-8")
    done = mlmarket(shop, "nightly", "--date", "2026-06-22")
    assert done.returncode == 4, done.stderr
    assert done.stdout == ""
    assert "nothing was handed over" in done.stderr
    told = (shop / "told.txt").read_text(encoding="utf-8")
    assert "MLMARKET_DATE=2026-06-22" in told
    assert "MLMARKET_EXIT_CODE=4" in told
    assert re.search(r"^MLMARKET_ERROR=\S", told, re.MULTILINE)
    assert "said by the hook" in done.stderr
    assert not (shop / "runs" / "2026-06-22" / "outbox.csv").exists()


def test_a_fault_of_ours_is_1_with_three_lines_and_a_log(shop: Path) -> None:
    code = (
        "import mlmarket.nightly.run as run\n"
        "def fault(*arguments, **options): raise LookupError('nobody expected C000001')\n"
        "run.join_predictions = fault\n"
        "from mlmarket.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code, "nightly", "--date", "2026-06-22"]
    done = subprocess.run(command, cwd=shop, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    three_lines(done.stderr)
    assert "LookupError" in done.stderr
    assert "C000001" not in done.stderr
    logs = list((shop / "logs").iterdir())
    assert len(logs) == 1
    assert str(logs[0]) in done.stderr
    assert "nobody expected C000001" in logs[0].read_text(encoding="utf-8")


def test_a_missing_secret_is_2(shop: Path, runner: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    config = shop / "mlmarket.toml"
    text = config.read_text(encoding="utf-8") + '[publish]\nconnection = "${SHOP_SECRET}"\n'
    config.write_text(text, encoding="utf-8")
    monkeypatch.delenv("SHOP_SECRET", raising=False)
    with pytest.raises(ConfigurationError, match="SHOP_SECRET") as caught:
        cli.nights.check(config, None, None)
    assert caught.value.exit_code == 2


# --- the other commands ---------------------------------------------------------------------------


def test_init_and_then_check_of_an_export(tmp_path: Path, runner: Runs) -> None:
    lines = ["order id;customer;order date;total"]
    lines += [f"{n};c{n % 7};2026-05-{1 + n % 28:02d} 10:00;{n % 50}.5" for n in range(60)]
    (tmp_path / "orders.csv").write_text("\n".join(lines), encoding="utf-8")
    code, told, _ = runner(tmp_path, "init", "--from", "orders.csv", "--timezone", "Europe/Berlin")
    assert code == 0
    assert "wrote mlmarket.toml" in told
    assert "mlmarket check" in told
    text = (tmp_path / "mlmarket.toml").read_text(encoding="utf-8")
    assert 'order_id = "\\"order id\\""' in text
    assert 'timezone = "Europe/Berlin"' in text
    code, told, _ = runner(tmp_path, "check", "--date", "2026-06-01")
    assert code == 0
    assert re.search(r"^orders +60 rows of 60   orders.csv$", told, re.MULTILINE)
    assert re.search(r"^purchase +needs at least 28 days ", told, re.MULTILINE)


def test_check_counts_rows_and_says_what_each_question_needs(shop: Path, runner: Runs) -> None:
    code, told, _ = runner(shop, "check", "--date", "2026-06-20")
    assert code == 0
    assert re.search(r"^contacts +400 rows of 400", told, re.MULTILINE)
    assert re.search(r"^purchase +ready ", told, re.MULTILINE)
    assert re.search(r"^upgrade +needs the table 'events' ", told, re.MULTILINE)


def test_features_are_listed_with_what_they_say_and_who_uses_them(shop: Path, runner: Runs) -> None:
    config = shop / "mlmarket.toml"
    declared = '[features.early]\noperation = "count"\nof = "order"\nwindow = "9D"\n'
    chosen = '[predict.churn]\nfeatures = ["shop"]\n'
    text = config.read_text(encoding="utf-8").replace("[predict.churn]\n", chosen)
    config.write_text(text + declared, encoding="utf-8")
    code, told, _ = runner(shop, "features", "--date", "2026-06-20")
    assert code == 0
    lines = told.splitlines()
    (place,) = (n for n, line in enumerate(lines) if line.startswith("early "))
    assert lines[place].split() == ["early", "count", "order", "9D", "purchase"]
    assert lines[place + 1].strip() == "number of 'order' in the last 9D; 0 without rows"
    assert re.search(r"^order_recency +recency +order +purchase, churn$", told, re.MULTILINE)
    code, told, _ = runner(shop, "features", "--date", "2026-06-20", "--json")
    (early,) = (one for one in json.loads(told) if one["name"] == "early")
    assert early == {
        "name": "early",
        "operation": "count",
        "of": "order",
        "window": "9D",
        "says": "number of 'order' in the last 9D; 0 without rows",
        "predictors": ["purchase"],
    }


def test_a_profile_is_printed_for_each_predictor_that_is_ready(shop: Path, runner: Runs) -> None:
    config = shop / "mlmarket.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text + '[predict.purchase]\nfeatures = ["attributes"]\n', encoding="utf-8")
    code, told, _ = runner(shop, "features", "--profile", "--date", "2026-06-20")
    assert code == 0
    assert re.match(r"purchase: \d+ contacts as of 2026-06-19 23:00 UTC, against 2026-05-", told)
    assert re.search(r"^churn: \d+ contacts ", told, re.MULTILINE)
    code, told, _ = runner(shop, "features", "--profile", "--json", "--date", "2026-06-20")
    plain = json.loads(told)
    assert list(plain) == ["purchase", "churn"]
    (recency,) = (one for one in plain["purchase"] if one["feature"] == "order_recency")
    assert recency["missing"] == 0.0
    assert 0.5 <= recency["auc"] < 0.98
    (country,) = (one for one in plain["purchase"] if one["feature"] == "country")
    assert country["median"] is None


def test_a_wrong_declaration_is_refused_by_check(shop: Path, runner: Runs) -> None:
    config = shop / "mlmarket.toml"
    wrong = '[features.plan]\noperation = "attribute"\ncolumn = "contry"\n'
    config.write_text(config.read_text(encoding="utf-8") + wrong, encoding="utf-8")
    code, told = fails_after_counts(shop, "check", "--date", "2026-06-20")
    assert code == 2
    assert "Feature 'plan': Contacts have no attribute 'contry'." in told
    assert "did you mean 'country'?" in told


def test_runs_report_and_explain_tell_of_the_last_night(shop: Path, runner: Runs) -> None:
    code, told, _ = runner(shop, "runs")
    assert code == 0
    assert re.match(r"2026-06-20  check [\d.]+s  models .* total [\d.]+s  peak [\d,]+ MB", told)
    code, told, _ = runner(shop, "report")
    assert code == 0
    assert "about to leave" in told
    assert str(shop / "runs" / "2026-06-20" / "report.html") in told
    person = pq.read_table(shop / "runs/2026-06-20/segments.parquet")["contact_id"][0].as_py()
    code, told, _ = runner(shop, "explain", person)
    assert code == 0
    assert told.startswith(f"{person} on 2026-06-20")
    assert "leaving, since" in told


def test_a_number_is_explained_by_its_rows(shop: Path, runner: Runs) -> None:
    person = pq.read_table(shop / "runs/2026-06-20/segments.parquet")["contact_id"][0].as_py()
    code, told, _ = runner(shop, "explain", person, "--feature", "order_days_active_90d")
    assert code == 0
    first, second, *rows = told.splitlines()
    assert re.fullmatch(
        rf"order_days_active_90d = \d of {person}, as of 2026-06-19 23:00 UTC", first
    )
    assert second.strip().startswith("number of days with 'order' in the last 90D")
    assert rows[0].split()[0] == "occurred_at"
    with pytest.raises(ConfigurationError, match="did you mean 'order_days_active_90d'"):
        cli.nights.explain(
            person, "order_day_active_90d", shop / "mlmarket.toml", "2026-06-20", None
        )


def test_prune_says_how_many_nights_went(shop: Path, runner: Runs) -> None:
    (shop / "runs" / "2026-06-01").mkdir()
    code, told, _ = runner(shop, "prune", "--keep", "1")
    assert (code, told) == (0, "removed 1 night(s)\n")
    assert [path.name for path in (shop / "runs").iterdir()] == ["2026-06-20"]


def test_a_dry_run_prints_counts_and_that_nothing_was_written(shop: Path, runner: Runs) -> None:
    before = sorted(str(path) for path in shop.rglob("*"))
    code, told, _ = runner(shop, "nightly", "--date", "2026-06-22", "--dry-run")
    assert code == 0
    assert "Nothing was written." in told
    assert re.search(r"^members +\d+$", told, re.MULTILINE)
    assert "upgrade: skipped: it needs the table 'events'" in told
    assert sorted(str(path) for path in shop.rglob("*")) == before


def test_train_prints_the_evidence(shop: Path, runner: Runs) -> None:
    code, told, _ = runner(shop, "train", "--date", "2026-06-20")
    assert code == 0
    assert "purchase: 2026-06-20-" in told
    assert "log_loss" in told
    assert "upgrade: skipped: it needs the table 'events'" in told


def test_backfill_prints_a_line_a_night(shop: Path, runner: Runs) -> None:
    code, told, logged = runner(shop, "backfill", "--from", "2026-06-21", "--to", "2026-06-21")
    assert code == 0
    assert told.startswith("2026-06-21  ")
    assert {json.loads(line)["night"] for line in logged.splitlines()} == {"2026-06-21"}
    assert not (shop / "runs" / "2026-06-21" / "outbox.csv").exists()


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("journey", "--help"), ("journey", "approve", "--help"), ("tick", "--help")],
)
def test_help_reads_none_of_the_heavy_libraries(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['mlmarket', *{arguments!r}]\n"
        "from mlmarket.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'duckdb', 'pyarrow', 'pandas', 'ibis', 'numpy', 'sklearn'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.strip() == "[]"
    assert "Usage" in done.stdout


def test_a_moment_without_a_zone_is_refused_in_three_lines(empty_shop: Path) -> None:
    done = mlmarket(empty_shop, "tick", "--now", "2026-06-21T23:01")
    assert done.returncode == 2
    three_lines(done.stderr)


def test_the_schemas_for_editors_are_written(runner: Runs, tmp_path: Path) -> None:
    code, out, _ = runner(tmp_path, "journey", "schema")
    assert code == 0
    assert len(out.splitlines()) == 3
    for line in out.splitlines():
        json.loads((tmp_path / line.removeprefix("wrote ")).read_text(encoding="utf-8"))
