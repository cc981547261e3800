"""A Spark of several processes: a master, two workers with an executor each, and this driver."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlmarket.market.samples import simulate

MASTER = os.environ.get("MLMARKET_TEST_MASTER", "local-cluster[2,1,1024]")
_QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
PROPERTIES = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # The tables of a test are small: compiling queries and Java itself would take most of the time.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.extraJavaOptions": _QUICK_START,
    "spark.executor.extraJavaOptions": _QUICK_START,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, so that ``-m "not spark"`` leaves them out."""
    for item in items:
        if "engines/spark" in item.path.as_posix():
            item.add_marker(pytest.mark.spark)
            item.add_marker(pytest.mark.xdist_group("spark"))
            # PySpark leaves its sockets to the garbage collector.
            for warning in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{warning}"))


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """Return one session for all tests, on executors that are processes of their own."""
    pytest.importorskip("pyspark", reason="the extra 'spark' is not installed")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("there is no Java")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(MASTER).appName("mlmarket-tests")
    for name, value in PROPERTIES.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


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

[tables.consents]
source = "tables/consents.parquet"
timezone = "UTC"

[predict.purchase]
needs = {span_days = 90}

[predict.churn]
horizon = "30D"
needs = {span_days = 90}

[predict.value]
horizon = "30D"
needs = {span_days = 90}

[segments]
files = ["segments.yaml"]

[journeys]
files = ["journeys/*.yaml"]

[engine]
buckets = 2
"""

SEGMENTS = """\
segments:
  leaving:
    title: Customers about to leave
    top: {column: churn_probability_30d, share: 0.30}
    why: "{churn_probability_30d:percent} chance of no order within 30 days"
    action: Win back
"""

JOURNEY = """\
journey: win_back
title: Win back
entry: {segment: leaving}
reentry: 180D
steps:
  - message: {name: hello, channel: email, topic: offers, template: one}
goal: order
exit: {left_segment: true}
expires_after: 30D
holdout: 0.10
"""


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a shop where no night was run yet; to be copied, never written to.

    It has as many contacts as it takes for boosted trees to win the contest.
    """
    folder = tmp_path_factory.mktemp("spark") / "shop"
    simulate(folder / "tables", contacts=3000, months=5, oracle=False, events_per_contact=5)
    shutil.rmtree(folder / "tables" / "truth")
    (folder / "mlmarket.toml").write_text(CONFIGURATION, encoding="utf-8")
    (folder / "segments.yaml").write_text(SEGMENTS, encoding="utf-8")
    (folder / "journeys").mkdir()
    (folder / "journeys" / "win_back.yaml").write_text(JOURNEY, encoding="utf-8")
    return folder
