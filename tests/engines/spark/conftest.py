"""A Spark of several processes: a master, two workers with an executor each, and this driver."""

import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest

MASTER = os.environ.get("MLMARKET_TEST_MASTER", "local-cluster[2,1,1024]")
PROPERTIES = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # The tables of a test are small: what takes time is planning and starting tasks.
    "spark.sql.adaptive.coalescePartitions.minPartitionNum": "1",
    "spark.sql.codegen.wholeStage": "false",
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
