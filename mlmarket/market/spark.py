"""How are tables worked on where they are, on a business's own Spark?

Spark reads the files and computes everything about them; only results, and what the caller holds in
memory already, pass through the driver.
"""

import re
import weakref
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import ibis.expr.types as ir
from ibis.common.exceptions import IbisError

from mlmarket.errors import ConfigurationError
from mlmarket.market.connect import PARQUET, Source, described, find_files
from mlmarket.market.databases import connect, open_table
from mlmarket.market.frames import to_arrow, without_nulls
from mlmarket.market.settings import TableSettings
from mlmarket.market.violations import ContractViolationError, unreadable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


__all__ = ["ADDRESS", "SparkBench", "check_session", "check_workers", "session_of", "spark_session"]

_CATALOG: Final = "pyspark"
"""Scheme of a `connection` that means the session's own catalog."""

_ZONE: Final = "spark.sql.session.timeZone"
_BARS: Final = "spark.ui.showConsoleProgress"
_UTC: Final = frozenset({"utc", "etc/utc", "gmt", "z", "+00:00", "utc+0", "utc+00:00"})
ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
"""How a path begins that only Spark reads."""
_VERSIONS: Final = re.compile(r"different version: (\S+) than that in driver: (\S+?),")
_DECISIVE: Final = ("mlmarket", "lightgbm", "numpy")
"""Packages that decide what a model answers."""


def spark_session(properties: Mapping[str, str]) -> "SparkSession":
    """Return the session that is running, or a new one as the environment configures it.

    Parameters
    ----------
    properties : mapping of str to str
        Properties of Spark beside those of the environment.

    Returns
    -------
    pyspark.sql.SparkSession
        Checked by :func:`check_session`.

    Raises
    ------
    ConfigurationError
        Where PySpark is missing, no session can be made, or it cannot be used.
    """
    _require_pyspark()
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("mlmarket")
    # Standard error holds what a night says, a line of JSON each; bars would stand between.
    for name, value in ({_BARS: "false"} | dict(properties)).items():
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:  # Java, network and Spark have errors of their own
        raise ConfigurationError(
            f"Spark does not start: {_first_line(error)}",
            "The night was asked to run on it.",
            "check JAVA_HOME (Java 17), SPARK_CONF_DIR and [engine.spark].",
        ) from error
    check_session(session)
    return session


def _require_pyspark() -> None:
    try:
        import pyspark
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "PySpark is not installed.",
            "Without it nothing can be computed on Spark.",
            'install the extra: pip install "mlmarket[spark]".',
        ) from error
    if not pyspark.__version__.startswith("4.0."):
        raise ConfigurationError(
            f"PySpark {pyspark.__version__} is installed, not 4.0.",
            "Ibis 12, which writes the queries, does not run on another.",
            'install the extra: pip install "mlmarket[spark]", on a cluster of Spark 4.0.',
        )


def check_session(session: "SparkSession") -> None:
    """Refuse a session on which times would be read wrongly, or models could not be sent.

    Parameters
    ----------
    session : pyspark.sql.SparkSession
        The session.

    Raises
    ------
    ConfigurationError
        Where its zone is not UTC, or it is one of Spark Connect.
    """
    _require_pyspark()
    if type(session).__module__.startswith("pyspark.sql.connect"):
        raise ConfigurationError(
            "The Spark session is one of Spark Connect.",
            "Models are sent to the executors by broadcast, which Connect does not have.",
            "start the session on the cluster: spark-submit, or a notebook attached to it.",
        )
    zone = str(session.conf.get(_ZONE))
    if zone.lower() not in _UTC:
        raise ConfigurationError(
            f"The Spark session is in the time zone '{zone}', not in UTC.",
            "Spark moves times into the zone of the session, so that every hour would be off.",
            f"set {_ZONE} to UTC, in spark-defaults.conf or where the session is made.",
        )


def check_workers(session: "SparkSession") -> None:
    """Refuse workers that would not answer as the driver does, by a job of one row.

    Parameters
    ----------
    session : pyspark.sql.SparkSession
        The session.

    Raises
    ------
    ConfigurationError
        Where the workers run another Python, or lack mlmarket or have another version of what
        decides an answer.
    """
    try:
        found = session.range(1, numPartitions=1).mapInArrow(_worker_versions, "versions string")
        there = str(found.collect()[0][0])
    except Exception as error:  # a worker's error comes as text inside one of Java's
        raise _unusable_workers(error) from error
    here = _versions()
    if there != here:
        raise ConfigurationError(
            f"Spark's workers have {there}; the driver has {here}.",
            "The same model may answer otherwise there.",
            "install the same versions on every worker, or ship one environment with "
            "spark.archives and name its Python in PYSPARK_PYTHON.",
        )


def _versions() -> str:
    return ", ".join(f"{name} {metadata.version(name)}" for name in _DECISIVE)


def _worker_versions(batches: Any) -> Any:  # noqa: ANN401 - PySpark reads annotations otherwise
    """Run on a worker: say what is installed there."""
    import pyarrow as pa

    for _ in batches:
        yield pa.RecordBatch.from_pydict({"versions": [_versions()]})


def _unusable_workers(error: Exception) -> ConfigurationError:
    text = str(error)
    versions = _VERSIONS.search(text)
    if versions is not None:
        return ConfigurationError(
            f"Spark's workers run Python {versions[1]}; the driver runs Python {versions[2]}.",
            "Models are used in the workers' Python, which has to be the driver's.",
            "set PYSPARK_PYTHON to the same Python on the driver and on every worker.",
        )
    if "ModuleNotFoundError" in text and "mlmarket" in text:
        return ConfigurationError(
            "Spark's workers have no mlmarket.",
            "Models are used in the workers' Python.",
            "install mlmarket on every worker, or ship one environment with spark.archives and "
            "name its Python in PYSPARK_PYTHON.",
        )
    return ConfigurationError(
        f"Spark's workers cannot run Python: {_first_line(error)}",
        "Models are used in the workers' Python.",
        "set PYSPARK_PYTHON to a Python that is there on every worker.",
    )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"


def session_of(tables: Mapping[str, object]) -> "SparkSession | None":
    """Return the session that some tables are on.

    Parameters
    ----------
    tables : mapping of str to object
        Spark frames, Ibis tables and others.

    Returns
    -------
    pyspark.sql.SparkSession or None
        Of the first table on Spark; None where there is none.
    """
    for table in tables.values():
        if _is_spark_frame(table):
            return cast("Any", table).sparkSession
        backend = _backend_of(table)
        if backend is not None and backend.name == "pyspark":
            return backend._session
    return None


def _is_spark_frame(table: object) -> bool:
    return type(table).__module__.startswith("pyspark.sql.") and hasattr(table, "sparkSession")


def _backend_of(table: object) -> Any:  # noqa: ANN401 - each backend its own
    if not isinstance(table, ir.Table):
        return None
    try:
        return table.get_backend()
    except IbisError:
        return None


class SparkBench:
    """The Spark session on which files, frames and tables are opened.

    What it names or keeps there goes when nothing uses the connection any more; the session stays.

    Parameters
    ----------
    session : pyspark.sql.SparkSession
        In UTC.

    Raises
    ------
    ConfigurationError
        Where the session cannot be used.
    """

    def __init__(self, session: "SparkSession") -> None:
        check_session(session)
        from mlmarket.market.spark_backend import SparkConnection

        self.connection: SparkConnection = SparkConnection().connect(session)
        self._kept: list[DataFrame] = []
        self._views: list[str] = []
        self._finalizer = weakref.finalize(
            self.connection, _forget, session, self._kept, self._views
        )
        self._addresses: dict[str, Any] = {}

    @property
    def folder(self) -> None:
        """Nothing is put on the driver's disk."""
        return

    def close(self) -> None:
        """Forget what was named and kept; tables on it are lost."""
        self._finalizer()

    def open_frame(self, name: str, frame: object) -> Source:
        """Return a table as a source.

        Parameters
        ----------
        name : str
            The table's name.
        frame : pyspark.sql.DataFrame, ibis.expr.types.Table or any frame
            What is not on Spark is sent there by the driver.

        Returns
        -------
        Source
            On this connection.

        Raises
        ------
        ConfigurationError
            Where it is no frame, or on another session.
        ContractViolationError
            Where a column holds values of several types, or a name stands twice.
        """
        if _is_spark_frame(frame):
            return self._named(name, frame, "the Spark frame given")
        if isinstance(frame, ir.Table):
            backend = _backend_of(frame)
            if backend is not None and backend.name == "pyspark":
                backend._run_pre_execute_hooks(frame)
                there = backend._session.sql(backend.compile(frame))
                return self._named(name, there, "the Ibis table given")
            frame = frame.to_pyarrow()
        rows = without_nulls(to_arrow(frame, name=name))
        table = self.connection.from_arrow(rows, name)
        self._views.append(table.get_name())
        return Source(name, table, f"the {type(frame).__name__} given")

    def _named(self, name: str, frame: "DataFrame", description: str) -> Source:
        if frame.sparkSession is not self.connection.session:
            raise ConfigurationError(
                f"Table '{name}' is on another Spark session than the tables before it.",
                "Tables of two sessions cannot be joined.",
                "read all of them with one session.",
            )
        table = self.connection.view(frame, name)
        self._views.append(table.get_name())
        return Source(name, table, description)

    def open_settings(self, name: str, settings: TableSettings, folder: Path) -> Source:
        """Return what ``[tables.NAME]`` describes as a source.

        Parameters
        ----------
        name : str
            The table's name.
        settings : TableSettings
            Its source.
        folder : Path
            The folder of the configuration file.

        Returns
        -------
        Source
            On this connection; rows of another database are sent there by the driver.

        Raises
        ------
        ConfigurationError
            Where there is nothing to open, or it is no Parquet.
        ContractViolationError
            Where a file cannot be read.
        """
        if not settings.source:
            raise ConfigurationError(
                f"[tables.{name}] has no `source`.",
                "Without it there are no rows to read.",
                'write source = "orders.parquet", or a table name with `connection`.',
            )
        if settings.connection is None:
            return self._open_parquet(name, settings.source, folder)
        if settings.connection.partition(":")[0] == _CATALOG:
            return self._open_catalog(name, settings.source)
        if settings.connection not in self._addresses:
            database = connect(name, settings.connection, folder)
            self._addresses[settings.connection] = database
        table = open_table(self._addresses[settings.connection], name, settings.source)
        sent = self.open_frame(name, table.to_pyarrow())
        return Source(name, sent.table, settings.source)

    def _open_catalog(self, name: str, source: str) -> Source:
        try:
            frame = self.connection.session.table(source)
        except Exception as error:  # each catalog has errors of its own
            raise ConfigurationError(
                f"Table '{name}' has no '{source}' in Spark's catalog: {_first_line(error)}",
                "Its rows are read from there.",
                f"check `source` in [tables.{name}]: table, schema.table or catalog.schema.table.",
            ) from error
        return self._named(name, frame, source)

    def _open_parquet(self, name: str, source: str, folder: Path) -> Source:
        if ADDRESS.match(source):
            paths, said = [source], source
        else:
            files = find_files(source, folder, name=name)
            paths, said = [path.absolute().as_uri() for path in files], described(files)
        if not all(Path(path).suffix.lower() in {*PARQUET, ""} for path in paths):
            raise ConfigurationError(
                f"Table '{name}' is read from {said}, which is no Parquet.",
                "Spark guesses where a line of CSV ends and what is in it; mlmarket does not.",
                "write it as Parquet, or as a table of Spark's catalog with "
                'connection = "pyspark://"; or run the night on DuckDB.',
            )
        try:
            frame = self.connection.session.read.option("mergeSchema", "true").parquet(*paths)
        except Exception as error:  # Spark and each file system have errors of their own
            raise ContractViolationError(
                [
                    unreadable(
                        name,
                        f"{said} is no readable Parquet file",
                        f"Spark said: {_first_line(error)}.",
                        "write the file again, correct `source`, or put it where driver and "
                        "workers can read it.",
                    )
                ]
            ) from error
        return self._named(name, frame, said)

    def keep(self, name: str, table: ir.Table, *, instead_of: str | None = None) -> ir.Table:
        """Return a table whose rows are computed once, when they are first needed.

        Parameters
        ----------
        name : str
            The table's name.
        table : ibis.expr.types.Table
            On this connection.
        instead_of : str, optional
            What it is made of; Spark needs that until it is computed.

        Returns
        -------
        ibis.expr.types.Table
            The same rows, in the memory and on the disks of the workers.
        """
        _ = instead_of
        frame = self.connection.frame(table).persist()
        self._kept.append(frame)
        kept = self.connection.view(frame, name, table.schema())
        self._views.append(kept.get_name())
        return kept


def _forget(session: "SparkSession", kept: "list[DataFrame]", views: list[str]) -> None:
    if session.sparkContext._jsc is None:
        return
    for frame in kept:
        frame.unpersist()
    for view in views:
        session.catalog.dropTempView(view)
