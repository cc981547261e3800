"""The tables of a business, checked, in one form and on one connection."""

import importlib
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market.activity import activity_of
from mlmarket.market.assembly import Assembly
from mlmarket.market.columns import AVAILABLE_AT, CONTACT_ID, TABLES
from mlmarket.market.connect import Bench, Workbench
from mlmarket.market.history import contacts_as_of, read_history
from mlmarket.market.opening import frame_openers, open_all, settings_at, settings_openers
from mlmarket.market.report import CheckReport
from mlmarket.market.settings import (
    BusinessSettings,
    EngineSettings,
    MarketSettings,
    TableSettings,
)
from mlmarket.market.spark import SparkBench, session_of
from mlmarket.market.time import time_zone, within

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd
    from pyspark.sql import SparkSession

__all__ = ["Market"]


@dataclass(frozen=True)
class Market:
    """The tables of a business, and what was known at any instant.

    Make one with :meth:`open` or :meth:`from_tables`; both check the contract first.

    Parameters
    ----------
    tables : mapping of str to ibis.expr.types.Table
        In the contract's form.
    settings : MarketSettings
        Time zone, currency and what is declared about each table.
    report : CheckReport
        What the checks found.
    workbench : Bench, optional
        The connection on which files and frames were opened.
    history : ibis.expr.types.Table, optional
        What contacts looked like on earlier nights, see :mod:`mlmarket.market.history`.
    contacts_derived : bool, default False
        Whether contacts come from the other tables, because there was no table of them.
    store_folder : Path, optional
        Where rows prepared for features are kept from one night to the next.
    """

    tables: Mapping[str, "ir.Table"]
    settings: MarketSettings
    report: CheckReport
    workbench: Bench | None = None
    history: "ir.Table | None" = None
    contacts_derived: bool = False
    store_folder: Path | None = None
    prepared: dict[str, object] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What was prepared from the tables, and is kept as long as they are open."""
    _latest: dict[tuple[str, datetime | None], datetime] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Latest times that were looked up: training asks for the same ones at every cutoff."""

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        now: datetime | None = None,
        history: str | Path | None = None,
        check: bool = True,
        engine: EngineSettings | None = None,
        spark: "SparkSession | None" = None,
    ) -> "Market":
        """Open the tables that a configuration file or a folder of Parquet files names.

        Parameters
        ----------
        path : str or Path
            ``mlmarket.toml``, or a folder whose files are named after the tables
            (``orders.parquet``) and whose times are in UTC.
        now : datetime, optional
            Rows after it are refused; by default the present.
        history : str or Path, optional
            Folder of earlier contact attributes; by default ``history`` beside the file.
        check : bool, default True
            Whether to raise what breaks the contract; otherwise see ``report``.
        engine : EngineSettings, optional
            What may be used of the machine, in place of ``[engine]`` in the file.
        spark : pyspark.sql.SparkSession, optional
            Where the tables are read and everything is computed; by default DuckDB, here. The
            session has to be in UTC; the paths have to be there for its workers.

        Returns
        -------
        Market
            With every table that is there.

        Raises
        ------
        ConfigurationError
            Where the configuration is wrong.
        ContractViolationError
            Where the tables break the contract.
        """
        path = Path(path)
        settings = settings_at(path)
        if engine is not None:
            settings = settings.model_copy(update={"engine": engine})
        folder = (path if path.is_dir() else path.parent).absolute()
        with ExitStack() as on_error:
            workbench = _workbench(settings, folder, spark)
            on_error.callback(workbench.close)
            openers = settings_openers(settings, workbench, folder)
            opened = open_all(openers, settings, workbench, now=now, default_zone=None)
            market = _market(opened, settings, workbench)
            if check:
                market.report.raise_if_broken()
            market = market.with_history(Path(history) if history else folder / "history")
            on_error.pop_all()
        return market

    @classmethod
    def from_tables(
        cls,
        *,
        timezone: str = "UTC",
        settings: MarketSettings | None = None,
        now: datetime | None = None,
        **tables: object,
    ) -> "Market":
        """Make a market of frames.

        Parameters
        ----------
        timezone : str, default "UTC"
            Zone of times that carry none; also where the business's days begin, unless
            `settings` says otherwise.
        settings : MarketSettings, optional
            Mapping, filters, returns and what may be used of the machine, as in the configuration
            file.
        now : datetime, optional
            Rows after it are refused; by default the present.
        **tables : pandas.DataFrame, polars.DataFrame, pyarrow.Table, ibis.expr.types.Table or \
pyspark.sql.DataFrame
            By the names of the contract. Where one is on Spark, everything is computed there.

        Returns
        -------
        Market
            With these tables; contacts are derived where they are missing.

        Raises
        ------
        ConfigurationError
            Where a name or frame is wrong.
        ContractViolationError
            Where the tables break the contract.

        Examples
        --------
        >>> import pandas as pd
        >>> orders = pd.DataFrame(
        ...     {"contact_id": ["a"], "order_id": [1], "ordered_at": ["2026-05-01 10:00"]}
        ... )
        >>> Market.from_tables(orders=orders).table("contacts").count().to_pyarrow().as_py()
        1
        """
        time_zone(timezone)
        given = {name: table for name, table in tables.items() if table is not None}
        if settings is None:
            settings = MarketSettings(business=BusinessSettings(timezone=timezone))
        with ExitStack() as on_error:
            workbench = _workbench(settings, Path.cwd(), session_of(given))
            on_error.callback(workbench.close)
            openers = frame_openers(given, workbench)
            opened = open_all(openers, settings, workbench, now=now, default_zone=timezone)
            market = _market(opened, settings, workbench)
            market.report.raise_if_broken()
            on_error.pop_all()
        return market

    def with_history(self, folder: Path) -> "Market":
        """Return the market with the contact attributes that earlier nights recorded.

        Parameters
        ----------
        folder : Path
            Where :func:`mlmarket.market.history.record_contacts` writes.

        Returns
        -------
        Market
            Itself where there is none.
        """
        if "contacts" not in self.tables:
            return self
        history = read_history(folder, self.tables["contacts"].get_backend())
        if history is None:
            return self
        renewed = replace(self, history=history)
        renewed.prepared.update(self.prepared)  # made of behaviour, which it does not change
        return renewed

    def without(self, contacts: Collection[str]) -> "Market":
        """Return the market as if some people had never been in it.

        Parameters
        ----------
        contacts : collection of str
            Their ids.

        Returns
        -------
        Market
            Every table without the rows about them; rows about nobody stay.
        """
        gone = sorted(contacts)

        def left(table: "ir.Table") -> "ir.Table":
            if not gone or CONTACT_ID not in table.columns:
                return table
            contact = table[CONTACT_ID]
            return table.filter(contact.isnull() | ~contact.isin(gone))  # noqa: PD003

        tables = {name: left(table) for name, table in self.tables.items()}
        history = None if self.history is None else left(self.history)
        return replace(self, tables=tables, history=history)

    @property
    def zone(self) -> ZoneInfo:
        """Time zone of the business."""
        return ZoneInfo(self.settings.business.timezone)

    def has(self, name: str) -> bool:
        """Return whether there is a table of that name.

        Parameters
        ----------
        name : str
            A table of the contract.

        Returns
        -------
        bool
            True for contacts also where they are derived.
        """
        return name in self.tables

    def table(self, name: str) -> "ir.Table":
        """Return a table in the contract's form.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        ibis.expr.types.Table
            Times in UTC without a zone, ids as text, money as ``decimal(18, 4)``.

        Raises
        ------
        ConfigurationError
            Where the market has no such table.
        """
        if name not in self.tables:
            raise ConfigurationError(
                f"This market has no table '{name}'.",
                f"It is needed for {TABLES[name].purpose}."
                if name in TABLES
                else "The data contract knows no such table.",
                f"add [tables.{name}] to mlmarket.toml."
                if name in TABLES
                else suggestion(name, TABLES),
            )
        return self.tables[name]

    def activity(self, *types: str) -> "ir.Table":
        """Return everything people did, from all tables, in one form.

        Parameters
        ----------
        *types : str
            ``order, return, send, open, click, bounce, complaint, unsubscribe`` or types of
            events; none means all.

        Returns
        -------
        ibis.expr.types.Table
            Columns contact_id, type, occurred_at, available_at, item_id, value, campaign_id,
            source, row_id. An order is a row a line; an open that a machine made is left out.
        """
        return activity_of(self.tables, types)

    def complete_until(self, name: str, *, as_of: datetime | None = None) -> datetime:
        """Return until when a table is known to be complete.

        Parameters
        ----------
        name : str
            A table whose rows have a time.
        as_of : datetime, optional
            Rows after it, or that were not yet there, are not looked at.

        Returns
        -------
        datetime
            What the configuration says, else the table's latest time; never after `as_of`. A table
            with rows of the last 24 hours before `as_of` is complete until then: it is loaded every
            day, and a shop closes some hours before midnight. In UTC; 1970 where no row was there
            yet.

        Raises
        ------
        ConfigurationError
            Where the table has no time.
        """
        table = self.table(name)
        spec = TABLES[name]
        if spec.time is None:
            raise ConfigurationError(
                f"Table '{name}' has no time, so it has no end.",
                "Only what happens at a time can be complete until one.",
                "ask for orders, events, messages, consents or outcomes.",
            )
        declared = self.settings.tables.get(name, TableSettings()).complete_until
        if declared is not None:
            local = declared if declared.tzinfo else declared.replace(tzinfo=self.zone)
            until = local.astimezone(UTC)
            return until if as_of is None else min(until, as_of.astimezone(UTC))
        key = (name, None if as_of is None else as_of.astimezone(UTC))
        if key not in self._latest:
            self._latest[key] = _latest_time(table, str(spec.time), as_of)
        latest = self._latest[key]
        if as_of is not None and latest >= as_of - timedelta(days=1):
            return as_of
        return latest

    def contacts(self, *, as_of: "datetime | ir.Table") -> "ir.Table":
        """Return the contacts known at an instant, with the attributes they had then.

        Parameters
        ----------
        as_of : datetime or ibis.expr.types.Table
            The instant, or a table of ``contact_id, as_of``. A contact without ``created_at`` is
            known from the start.

        Returns
        -------
        ibis.expr.types.Table
            One row a contact. Attributes come from the recorded history; before it begins, from
            its first record.
        """
        return contacts_as_of(self.table("contacts"), self.history, as_of=as_of)

    def features(
        self, *, as_of: datetime | None = None, contacts: object = None, features: object = None
    ) -> "pd.DataFrame":
        """Return point-in-time features as a frame, for notebooks.

        Parameters
        ----------
        as_of : datetime, optional
            One instant for all contacts.
        contacts : frame, optional
            Or a frame with ``contact_id`` and ``as_of``, one row for each row wanted; its other
            columns are kept.
        features : sequence of Feature, optional
            By default all that the tables allow.

        Returns
        -------
        pandas.DataFrame
            ``contact_id, as_of`` and a column a feature.
        """
        # The arrow points down: features know the market. This door for notebooks is looked up by
        # name when it is used, so that nothing here depends on it.
        upstairs = importlib.import_module("mlmarket.features")
        return cast(
            "pd.DataFrame",
            upstairs.feature_frame(self, as_of=as_of, contacts=contacts, features=features),
        )


def _workbench(settings: MarketSettings, folder: Path, spark: "SparkSession | None") -> Bench:
    if spark is not None:
        return SparkBench(spark)
    return Workbench(settings.engine.scratch_in(folder), engine=settings.engine)


def _market(opened: Assembly, settings: MarketSettings, workbench: Bench) -> Market:
    return Market(
        tables=opened.tables,
        settings=settings,
        report=opened.report,
        workbench=workbench,
        contacts_derived=opened.contacts_derived,
    )


def _latest_time(table: "ir.Table", time: str, as_of: datetime | None) -> datetime:
    """Return the latest time of the rows known at an instant; 1970 where there is none."""
    if as_of is not None:
        table = table.filter(within(table[time], until=as_of))
        if AVAILABLE_AT in table.columns:
            known = within(table[AVAILABLE_AT].coalesce(table[time]), until=as_of)
            table = table.filter(known)
    latest: datetime | None = table[time].max().to_pyarrow().as_py()
    return datetime.fromtimestamp(0, UTC) if latest is None else latest.replace(tzinfo=UTC)
