"""What is refused, or said in Spark's words, before any Spark is there."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.market import Market
from mlmarket.market.spark import check_session, session_of, spark_session
from mlmarket.market.spark_casts import letters_of


@pytest.fixture
def pyspark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Pretend that PySpark is installed."""
    module = ModuleType("pyspark")
    module.__version__ = "4.0.5"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyspark", module)
    return module


class _Session:
    """A session with one option."""

    def __init__(self, zone: str) -> None:
        self.conf = {"spark.sql.session.timeZone": zone}


@pytest.mark.parametrize("zone", ["UTC", "Etc/UTC", "GMT", "Z", "+00:00"])
def test_a_session_in_utc_is_taken_however_that_is_written(pyspark: ModuleType, zone: str) -> None:
    check_session(_Session(zone))


@pytest.mark.parametrize("zone", ["Europe/Lisbon", "America/New_York", "+01:00"])
def test_a_session_in_another_zone_is_refused_in_three_lines(
    pyspark: ModuleType, zone: str
) -> None:
    with pytest.raises(ConfigurationError, match="not in UTC") as raised:
        check_session(_Session(zone))
    assert zone in raised.value.what
    assert str(raised.value).count("\n") == 2


def test_frames_of_other_kinds_are_on_no_spark() -> None:
    assert session_of({"orders": object(), "events": None}) is None


def test_a_session_of_spark_connect_is_refused(pyspark: ModuleType) -> None:
    remote = type("SparkSession", (), {"__module__": "pyspark.sql.connect.session"})
    with pytest.raises(ConfigurationError, match="Spark Connect"):
        check_session(remote())


def test_another_spark_is_refused(pyspark: ModuleType) -> None:
    pyspark.__version__ = "4.1.0"  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError, match=r"PySpark 4\.1\.0 is installed, not 4\.0"):
        spark_session({})


def test_without_the_extra_the_line_that_installs_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(ConfigurationError, match="PySpark is not installed") as raised:
        spark_session({})
    assert raised.value.fix == 'install the extra: pip install "mlmarket[spark]".'


def test_a_sign_that_spark_has_no_letters_for_is_refused():
    with pytest.raises(
        ConfigurationError, match="the sign '%U', which Spark cannot read"
    ) as raised:
        letters_of("%Y %U")
    assert str(raised.value).count("\n") == 2


def test_quotes_in_a_format_stay_quotes():
    assert letters_of("%H o'clock") == "H' o''clock'"


def test_a_table_of_the_catalog_is_not_brought_to_this_machine(tmp_path: Path) -> None:
    text = '[tables.orders]\nconnection = "pyspark://"\nsource = "shop.orders"\n'
    (tmp_path / "mlmarket.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="in the catalog of Spark") as raised:
        Market.open(tmp_path / "mlmarket.toml")
    assert "--engine spark" in raised.value.fix
