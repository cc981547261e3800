"""The tables of a business, checked, in one form and on one connection."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market.activity import activity_of
from mlmarket.market.checks import (
    CheckReport,
    Note,
    TableCount,
    check_contacts,
    check_rows,
    notes_on,
)
from mlmarket.market.columns import AVAILABLE_AT, CONTACT_ID, TABLES
from mlmarket.market.connect import Source, Workbench
from mlmarket.market.history import contacts_as_of
from mlmarket.market.settings import (
    BusinessSettings,
    MarketSettings,
    TableSettings,
    read_toml,
    validate_settings,
)
from mlmarket.market.tables import MappedTable, map_table
from mlmarket.market.time import within
from mlmarket.market.violations import Violation

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

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
    workbench : Workbench, optional
        The connection on which files and frames were opened.
    history : ibis.expr.types.Table, optional
        What contacts looked like on earlier nights, see :mod:`mlmarket.market.history`.
    """

    tables: Mapping[str, "ir.Table"]
    settings: MarketSettings
    report: CheckReport
    workbench: Workbench | None = None
    history: "ir.Table | None" = None
    contacts_derived: bool = field(default=False)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        now: datetime | None = None,
        history: str | Path | None = None,
        check: bool = True,
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
        settings = _folder_settings(path) if path.is_dir() else _file_settings(path)
        folder = path if path.is_dir() else path.parent
        workbench = Workbench()
        sources = {
            name: workbench.open_settings(name, table, folder.absolute())
            for name, table in settings.tables.items()
        }
        market = _assemble(sources, settings, workbench, now=now, default_zone=None)
        if check:
            market.report.raise_if_broken()
        return market.with_history(Path(history) if history else folder / "history")

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
            Mapping, filters and returns, as in the configuration file.
        now : datetime, optional
            Rows after it are refused; by default the present.
        **tables : pandas.DataFrame, polars.DataFrame, pyarrow.Table or ibis.expr.types.Table
            By the names of the contract.

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
        >>> Market.from_tables(orders=orders).table("contacts").count().execute()
        1
        """
        given = {name: table for name, table in tables.items() if table is not None}
        for name in given:
            if name not in TABLES:
                raise ConfigurationError(
                    f"There is no table '{name}' in the data contract.",
                    "Only the tables of the contract are read.",
                    suggestion(name, TABLES),
                )
        if settings is None:
            business = BusinessSettings(timezone=timezone)
            settings = MarketSettings(business=business)
        workbench = Workbench()
        sources = _sources_of(given, workbench)
        market = _assemble(sources, settings, workbench, now=now, default_zone=timezone)
        market.report.raise_if_broken()
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
        files = sorted((folder / "contacts").glob("*.parquet"))
        if not files or self.workbench is None:
            return self
        table = self.workbench.connection.read_parquet(
            [str(path) for path in files], union_by_name=True
        )
        return _replaced(self, history=table)

    @property
    def zone(self) -> ZoneInfo:
        """Time zone of the business."""
        return ZoneInfo(self.settings.business.timezone)

    def has(self, name: str) -> bool:
        """Return whether there is a table of that name."""
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
            day, and a shop closes some hours before midnight.

        Raises
        ------
        ConfigurationError
            Where the table has no time.
        """
        spec = TABLES[name]
        table = self.table(name)
        if spec.time is None:
            raise ConfigurationError(
                f"Table '{name}' has no time, so it has no end.",
                "Only what happens at a time can be complete until one.",
                "ask for orders, events, messages, consents or outcomes.",
            )
        declared = self.settings.tables.get(name, TableSettings()).complete_until
        if declared is not None:
            until = declared if declared.tzinfo else declared.replace(tzinfo=self.zone)
            return until if as_of is None else min(until, as_of)
        if as_of is not None:
            table = table.filter(within(table[spec.time], until=as_of))
            if AVAILABLE_AT in table.columns:
                table = table.filter(
                    within(table[AVAILABLE_AT].coalesce(table[spec.time]), until=as_of)
                )
        latest = table[spec.time].max().execute()
        if latest is None or latest != latest:
            return datetime.fromtimestamp(0, UTC)
        until = cast("datetime", latest.to_pydatetime()).replace(tzinfo=UTC)
        if as_of is not None and until >= as_of - timedelta(days=1):
            return as_of
        return until

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


def _replaced(market: Market, **changes: Any) -> Market:  # noqa: ANN401
    from dataclasses import replace

    return replace(market, **changes)


def _file_settings(path: Path) -> MarketSettings:
    content = read_toml(path)
    known = {key: content[key] for key in ("business", "tables") if key in content}
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
                returns="amount < 0" if name == "orders" else None,
                unknown_contacts="refuse",
            )
            for name, file in found.items()
        }
    )


def _sources_of(given: Mapping[str, object], workbench: Workbench) -> dict[str, Source]:
    """Open frames on the workbench; leave Ibis tables where they are if all live together."""
    import ibis.expr.types as ir

    backends = {
        id(table.get_backend()) if isinstance(table, ir.Table) else id(workbench.connection)
        for table in given.values()
    }
    sources = {}
    for name, table in given.items():
        if not isinstance(table, ir.Table):
            sources[name] = workbench.open_frame(name, table)
        elif len(backends) == 1:
            sources[name] = Source(name, table, "the Ibis table given")
        else:
            sources[name] = workbench.open_frame(name, table.to_pyarrow())
    return sources


def _assemble(
    sources: Mapping[str, Source],
    settings: MarketSettings,
    workbench: Workbench,
    *,
    now: datetime | None,
    default_zone: str | None,
) -> Market:
    now = now or datetime.now(UTC)
    violations: list[Violation] = []
    mapped: dict[str, MappedTable] = {}
    for name, source in sources.items():
        table_settings = settings.tables.get(name, TableSettings())
        table = map_table(
            source, TABLES[name], table_settings, zone=table_settings.timezone or default_zone
        )
        violations += check_rows(table, now=now, has_returns=table_settings.returns is not None)
        mapped[name] = table
    tables: dict[str, ir.Table] = {}
    counts: list[TableCount] = []
    notes: list[Note] = []
    derived = False
    if not any(table.violations for table in mapped.values()):
        tables = {name: _settle(table, sources[name], workbench) for name, table in mapped.items()}
        derived = "contacts" not in tables
        if derived:
            tables["contacts"] = _derived_contacts(tables)
        unknown, counts = _match_contacts(tables, mapped, sources, settings)
        violations += unknown
        if not violations:
            notes = notes_on(tables)
    report = CheckReport(tuple(counts), tuple(violations), tuple(notes))
    return Market(
        tables=tables,
        settings=settings,
        report=report,
        workbench=workbench,
        contacts_derived=derived,
    )


def _settle(mapped: MappedTable, source: Source, workbench: Workbench) -> "ir.Table":
    """Read text once and keep it; leave everything else where it is."""
    table = mapped.to_table()
    if not source.all_text:
        return table
    settled = workbench.connection.create_table(mapped.name, table, overwrite=True)
    workbench.connection.drop_table(f"source_{mapped.name}", force=True)
    return settled


def _derived_contacts(tables: Mapping[str, "ir.Table"]) -> "ir.Table":
    """Return everybody who did something, known from the first time they did."""
    import ibis

    seen = [
        table.select(CONTACT_ID, created_at=table[str(TABLES[name].time)])
        for name, table in tables.items()
        if CONTACT_ID in table.columns and TABLES[name].time in table.columns
    ]
    if not seen:
        raise ConfigurationError(
            "This market has neither contacts nor a table they could be derived from.",
            "Every prediction is about a contact.",
            "give contacts, or orders, events or messages.",
        )
    everyone = ibis.union(*seen) if len(seen) > 1 else seen[0]
    return (
        everyone.filter(everyone.contact_id.notnull())
        .group_by(CONTACT_ID)
        .aggregate(created_at=lambda table: table.created_at.min())
    )


def _match_contacts(
    tables: "dict[str, ir.Table]",
    mapped: Mapping[str, MappedTable],
    sources: Mapping[str, Source],
    settings: MarketSettings,
) -> tuple[list[Violation], list[TableCount]]:
    """Refuse or leave out rows whose contact does not exist, and count all rows."""
    violations, counts = [], []
    contacts = tables["contacts"].select(CONTACT_ID).distinct()
    for name, table in mapped.items():
        rows, example = 0, ""
        if name not in {"contacts", "items"} and "contacts" in mapped:
            rows, example = check_contacts(name, tables[name], contacts)
        policy = settings.tables.get(name, TableSettings()).unknown_contacts
        if rows and policy == "refuse":
            violations.append(
                Violation(
                    table=name,
                    column=CONTACT_ID,
                    rule="names contacts that are not in 'contacts'",
                    why="Their behaviour would be lost, or belong to nobody.",
                    fix="add them to contacts, or leave such rows out: unknown_contacts = "
                    f'"leave_out" in [tables.{name}].',
                    rows=rows,
                    example=example,
                )
            )
        elif rows:
            tables[name] = tables[name].semi_join(contacts, CONTACT_ID)
        counts.append(
            TableCount(
                table=name,
                source=sources[name].described,
                read=table.rows_read,
                left_out=table.rows_read - table.rows_kept,
                unknown_contacts=rows if policy == "leave_out" else 0,
            )
        )
    return violations, counts
