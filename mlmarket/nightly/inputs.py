"""Are the tables still the ones a stage was made of?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mlmarket.market.connect import find_files, fingerprint
from mlmarket.market.settings import TableSettings
from mlmarket.market.spark import ADDRESS, spark_session
from mlmarket.market.spark_files import SparkFolder
from mlmarket.nightly.settings import NightSettings

__all__ = ["input_fingerprints"]

_IN_A_DATABASE: Final = "database"


def input_fingerprints(config: Path, settings: NightSettings) -> dict[str, str]:
    """Return a digest of the content of each table.

    Parameters
    ----------
    config : Path
        ``mlmarket.toml``; paths are relative to it.
    settings : NightSettings
        Its content.

    Returns
    -------
    dict of str to str
        By table. Files that only Spark reaches have their names, sizes and times. A table in a database has its address: ``as_of`` keeps later rows out, and reading
        it whole to see whether it changed would cost as much as the night.
    """
    spark = settings.engine.spark if settings.engine.name == "spark" else None
    return {
        name: _fingerprint(name, table, config.parent.absolute(), spark)
        for name, table in settings.tables.items()
    }


def _fingerprint(
    name: str, table: TableSettings, folder: Path, spark: Mapping[str, str] | None
) -> str:
    if spark is not None and ADDRESS.match(table.source):
        return SparkFolder(spark_session(spark), table.source).fingerprint()
    if table.connection is not None or not table.source:
        return f"{_IN_A_DATABASE}:{table.source}"
    return fingerprint(find_files(table.source, folder, name=name))
