"""Which night of which business is run?"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, get_args
from zoneinfo import ZoneInfo

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market import EngineSettings, Market
from mlmarket.market.spark import check_workers, spark_session
from mlmarket.market.time import day_start
from mlmarket.nightly.folder import RunFolder
from mlmarket.nightly.privacy import without_erased_people
from mlmarket.nightly.settings import NightSettings, load_settings
from mlmarket.nightly.workspace import Workspace

__all__ = ["Night", "open_night", "refuse_future_moment", "tonight"]

_ENGINES: Final = get_args(EngineSettings.model_fields["name"].annotation)


@dataclass(frozen=True, slots=True)
class Night:
    """One night of one business.

    Parameters
    ----------
    config : Path
        ``mlmarket.toml``.
    settings : NightSettings
        Its content.
    workspace : Workspace
        Where results are kept.
    day : date
        The date of the night.
    """

    config: Path
    settings: NightSettings
    workspace: Workspace
    day: date

    @property
    def as_of(self) -> datetime:
        """The instant of the night: midnight of its date in the business's zone."""
        return day_start(self.day, ZoneInfo(self.settings.business.timezone))

    @property
    def folder(self) -> RunFolder:
        """The run folder."""
        return self.workspace.run(self.day)

    @property
    def on_spark(self) -> bool:
        """Whether the tables are read and everybody is scored on Spark."""
        return self.settings.engine.name == "spark"

    @property
    def scores(self) -> str:
        """Where Spark's workers write the night's answers, as an address."""
        return self.settings.engine.scores or (self.workspace.root / "scores").as_uri()

    @property
    def scratch(self) -> Path | None:
        """The folder for temporary files; None means the system's."""
        return self.settings.engine.scratch_in(self.config.parent.absolute())

    def market(self, *, check: bool = True) -> Market:
        """Open and check the tables.

        Parameters
        ----------
        check : bool, default True
            Whether to raise what breaks the contract.

        Returns
        -------
        Market
            With the attributes that earlier nights recorded.

        Raises
        ------
        ConfigurationError
            Where the configuration is wrong, or Spark cannot be used.
        ContractViolationError
            Where the tables break the contract.
        """
        spark = None
        if self.on_spark:
            spark = spark_session(self.settings.engine.spark)
            check_workers(spark)
        history = self.workspace.history
        market = Market.open(self.config, history=history, check=check, spark=spark)
        return without_erased_people(self, market)

    def refuse_future(self) -> None:
        """Refuse a night that has not come yet.

        Raises
        ------
        ConfigurationError
            Where its instant lies after the present.
        """
        if self.as_of > datetime.now(UTC):
            raise ConfigurationError(
                f"The night of {self.day} has not come yet.",
                "It would be decided without what happens until then, and no night before it "
                "could be decided any more.",
                "pass a --date up to today, or none.",
            )


def refuse_future_moment(moment: datetime) -> None:
    """Refuse a moment that has not come yet.

    Parameters
    ----------
    moment : datetime
        With a zone.

    Raises
    ------
    ConfigurationError
        Where it lies after the present.
    """
    if moment > datetime.now(UTC):
        raise ConfigurationError(
            f"The moment {moment.isoformat()} has not come yet.",
            "Waits would end and passes expire that are not over, and nothing before it could be "
            "decided any more.",
            "pass a moment up to now, or none.",
        )


def open_night(
    config: Path, day: date, *, output: Path | None = None, engine: str | None = None
) -> Night:
    """Read the configuration of a night.

    Parameters
    ----------
    config : Path
        ``mlmarket.toml``.
    day : date
        The date of the night.
    output : Path, optional
        Where results are kept, in place of ``[output] folder``.
    engine : {"duckdb", "spark"}, optional
        What computes, in place of ``[engine] name``.

    Returns
    -------
    Night
        Nothing is read or written yet.

    Raises
    ------
    ConfigurationError
        Where the configuration is wrong.
    """
    return _on(engine, _night(config, load_settings(config), day, output))


def _on(engine: str | None, night: Night) -> Night:
    if engine is None:
        return night
    if engine not in _ENGINES:
        raise ConfigurationError(
            f"There is no engine '{engine}'.",
            "It says where the tables are read and everybody is scored.",
            suggestion(engine, _ENGINES),
        )
    content = {**night.settings.engine.model_dump(), "name": engine}
    chosen = EngineSettings.model_validate(content)
    return replace(night, settings=night.settings.model_copy(update={"engine": chosen}))


def tonight(config: Path, *, output: Path | None = None, engine: str | None = None) -> Night:
    """Return the night of the day that it is now where the business is.

    Parameters
    ----------
    config : Path
        ``mlmarket.toml``.
    output : Path, optional
        Where results are kept, in place of ``[output] folder``.
    engine : {"duckdb", "spark"}, optional
        What computes, in place of ``[engine] name``.

    Returns
    -------
    Night
        Nothing is read or written yet.

    Raises
    ------
    ConfigurationError
        Where the configuration is wrong.
    """
    settings = load_settings(config)
    today = datetime.now(ZoneInfo(settings.business.timezone)).date()
    return _on(engine, _night(config, settings, today, output))


def _night(config: Path, settings: NightSettings, day: date, output: Path | None) -> Night:
    root = output or (config.parent / settings.output.folder)
    return Night(config, settings, Workspace(root.absolute()), day)
