"""What does a configuration file, a folder or a set of frames bring?"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import ibis.expr.types as ir
from ibis.common.exceptions import IbisError

from mlmarket.errors import ConfigurationError, nearest, suggestion
from mlmarket.market.assembly import Assembly, assemble
from mlmarket.market.columns import TABLES
from mlmarket.market.connect import Bench, Source, on_one_connection
from mlmarket.market.report import CheckReport
from mlmarket.market.settings import (
    MarketSettings,
    TableSettings,
    read_toml,
    validate_settings,
)
from mlmarket.market.violations import ContractViolationError, Violation

__all__ = ["frame_openers", "open_all", "settings_at", "settings_openers"]


def settings_at(path: Path) -> MarketSettings:
    """Return the settings of a configuration file, or of a folder of Parquet files.

    Parameters
    ----------
    path : Path
        ``mlmarket.toml``, or a folder whose files are named after the tables.

    Returns
    -------
    MarketSettings
        The tables there are.

    Raises
    ------
    ConfigurationError
        Where there is neither, or a key is not known.
    """
    return _folder_settings(path) if path.is_dir() else _file_settings(path)


def settings_openers(
    settings: MarketSettings, workbench: Bench, folder: Path
) -> dict[str, Callable[[], Source]]:
    """Return, for each table that settings name, what opens it.

    Parameters
    ----------
    settings : MarketSettings
        The tables there are.
    workbench : Bench
        Where files are opened.
    folder : Path
        The folder that paths are relative to.

    Returns
    -------
    dict of str to callable
        Without arguments; each returns a Source.
    """

    def opener(name: str, table: TableSettings) -> Callable[[], Source]:
        return lambda: workbench.open_settings(name, table, folder)

    return {name: opener(name, table) for name, table in settings.tables.items()}


def frame_openers(
    tables: Mapping[str, object], workbench: Bench
) -> dict[str, Callable[[], Source]]:
    """Return, for each frame or Ibis table, what opens it.

    Parameters
    ----------
    tables : mapping of str to object
        By the names of the contract.
    workbench : Bench
        Where frames are put.

    Returns
    -------
    dict of str to callable
        Without arguments; each returns a Source.

    Raises
    ------
    ConfigurationError
        Where a name is not in the contract, or an Ibis table has no connection.
    """
    openers: dict[str, Callable[[], Source]] = {}
    for name, table in tables.items():
        if name not in TABLES:
            raise ConfigurationError(
                f"There is no table '{name}' in the data contract.",
                "Only the tables of the contract are read.",
                suggestion(name, TABLES),
            )
        openers[name] = _opener(name, table, workbench)
    return openers


def _opener(name: str, table: object, workbench: Bench) -> Callable[[], Source]:
    if not isinstance(table, ir.Table):
        return lambda: workbench.open_frame(name, table)
    try:
        table.get_backend()
    except IbisError as error:
        raise ConfigurationError(
            f"Table '{name}' is an Ibis table without a connection.",
            "There are no rows behind it.",
            "pass a table of a connection, such as connection.table('orders').",
        ) from error
    if workbench.connection.name == "pyspark":
        return lambda: workbench.open_frame(name, table)
    return lambda: Source(name, table, "the Ibis table given")


def open_all(
    openers: Mapping[str, Callable[[], Source]],
    settings: MarketSettings,
    workbench: Bench,
    *,
    now: datetime | None,
    default_zone: str | None,
) -> Assembly:
    """Open all sources and check them; what cannot be read is reported with the rest.

    Parameters
    ----------
    openers : mapping of str to callable
        What opens each table.
    settings : MarketSettings
        What is declared about them.
    workbench : Bench
        Where files and frames are opened.
    now : datetime or None
        Rows after it are refused; by default the present.
    default_zone : str or None
        Zone of times without one where a table declares none.

    Returns
    -------
    Assembly
        To be used only if its report has no violation.

    Raises
    ------
    ConfigurationError
        Where there is nothing to open.
    """
    broken: list[Violation] = []
    sources: dict[str, Source] = {}
    for name, open_source in openers.items():
        try:
            sources[name] = open_source()
        except ContractViolationError as error:
            broken += error.violations
    if broken and not sources:
        return Assembly({}, CheckReport((), tuple(broken), ()), contacts_derived=False)
    together = on_one_connection(sources, workbench)
    assembly = assemble(together, settings, workbench, now=now, default_zone=default_zone)
    violations = (*broken, *assembly.report.violations)
    return replace(assembly, report=replace(assembly.report, violations=violations))


def _file_settings(path: Path) -> MarketSettings:
    content = read_toml(path)
    mine = list(MarketSettings.model_fields)
    for key in content:
        # Other keys belong to other readers of the file; a near one was meant for this.
        if key not in mine and (near := nearest(key, mine)) is not None:
            raise ConfigurationError(
                f"The top level of {path.name} has no key '{key}'.",
                "A key that is not known would be a setting that silently does nothing.",
                f"did you mean '{near}'?",
            )
    known = {key: content[key] for key in mine if key in content}
    return validate_settings(MarketSettings, known, file=path.name)


def _folder_settings(folder: Path) -> MarketSettings:
    found = {name: f"{name}.parquet" for name in TABLES if (folder / f"{name}.parquet").is_file()}
    if not found:
        raise ConfigurationError(
            f"The folder '{folder}' holds no table.",
            f"Its files are named after the tables of the contract: {', '.join(TABLES)}.",
            "put orders.parquet there, or write an mlmarket.toml and open that.",
        )
    return MarketSettings(
        tables={
            name: TableSettings(
                source=file,
                timezone="UTC",
                returns="amount < 0" if name == "orders" and _has_amount(folder / file) else None,
            )
            for name, file in found.items()
        }
    )


def _has_amount(file: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return "amount" in pq.read_schema(file).names
    except (OSError, pa.ArrowInvalid):
        return False  # what is wrong with it is said when it is opened
