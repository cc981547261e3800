"""How does one night go, from the tables to the outbox?

A list of stages: ``check``, ``models``, ``predictions``, ``decisions``, ``report`` and ``publish``. Each is
skipped where it was finished before from the same inputs, so that a night killed anywhere is run
again with the same result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlmarket.errors import QualityGateError
from mlmarket.market import Market, record_contacts
from mlmarket.market.time import day_start
from mlmarket.nightly.decisions import decide_night, load_night_playbook
from mlmarket.nightly.folder import RunFolder, StageResult, Workspace
from mlmarket.nightly.gather import gather_report
from mlmarket.nightly.inputs import input_fingerprints
from mlmarket.nightly.models import ModelStore
from mlmarket.nightly.predictions import join_predictions, read_predictions, write_predictions
from mlmarket.nightly.publish import build_database, publish_to
from mlmarket.nightly.settings import NightSettings, load_settings
from mlmarket.nightly.stages import Progress, Silent, StageOutput, StageRunner, digest_of

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.prediction import SupervisedPredictor

__all__ = ["Night", "NightSummary", "open_night", "run_night"]

_A_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class NightSummary:
    """How a night went.

    Parameters
    ----------
    night : date
        Its date.
    folder : Path
        Where its results are.
    stages : tuple of StageResult
        What each stage did.
    skipped : tuple of (str, str)
        Predictors that did not answer, and why.
    headline : str
        The report's first line.
    """

    night: date
    folder: Path
    stages: tuple[StageResult, ...]
    skipped: tuple[tuple[str, str], ...]
    headline: str


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
        from zoneinfo import ZoneInfo

        return day_start(self.day, ZoneInfo(self.settings.business.timezone))

    @property
    def folder(self) -> RunFolder:
        """The run folder."""
        return self.workspace.run(self.day)

    def market(self) -> Market:
        """Open and check the tables."""
        return Market.open(self.config, history=self.workspace.history)


def open_night(config: Path, day: date, *, output: Path | None = None) -> Night:
    """Read the configuration of a night.

    Parameters
    ----------
    config : Path
        ``mlmarket.toml``.
    day : date
        The date of the night.
    output : Path, optional
        Where results are kept, in place of ``[output] folder``.

    Returns
    -------
    Night
        Nothing is read or written yet.
    """
    settings = load_settings(config)
    root = output or (config.parent / settings.output.folder)
    return Night(config, settings, Workspace(root.absolute()), day)


def run_night(
    night: Night, *, fresh: bool = False, decide: bool = True, progress: Progress | None = None
) -> NightSummary:
    """Run a night, or what is left of it.

    Parameters
    ----------
    night : Night
        Which.
    fresh : bool, default False
        Whether to do everything again, training included.
    decide : bool, default True
        Whether segments and journeys are decided. A backfilled night only predicts: what people
        should have been sent then is past.
    progress : Progress, optional
        Who is told.

    Returns
    -------
    NightSummary
        How it went.

    Raises
    ------
    MlmarketError
        Where the configuration is wrong, the tables break the contract, another run is at work, the
        disk is full, or a quality gate stops the night.
    """
    progress = progress or Silent()
    with night.workspace.locked():
        night.workspace.sweep()
        if fresh:
            night.folder.forget()
            ModelStore(night.workspace).forget(night.day)
        return _Run(night, StageRunner(night.folder, progress)).all_stages(decide=decide)


class _Run:
    """The stages of one night, each made of what the ones before it left."""

    def __init__(self, night: Night, runner: StageRunner) -> None:
        self.night = night
        self.runner = runner
        self.market: Market | None = None
        self.base = digest_of(
            night.day.isoformat(),
            night.settings.fingerprint(),
            input_fingerprints(night.config, night.settings),
        )

    def opened(self) -> Market:
        """Open the tables once, and only if a stage needs them."""
        if self.market is None:
            self.market = self.night.market()
        return self.market

    def all_stages(self, *, decide: bool) -> NightSummary:
        results = [self.check(), self.models()]
        results.append(self.predictions(results[-1]))
        if decide:
            results.append(self.decisions(results[-1]))
        results.append(self.report(results, decided=decide))
        results.append(self.publish(results))
        skipped = tuple((str(name), str(why)) for name, why in results[1].details["skipped"])
        headline = str(results[-2].details["headline"])
        path = self.night.folder.path
        return NightSummary(self.night.day, path, tuple(results), skipped, headline)

    def check(self) -> StageResult:
        """Open the tables, stop where they break the contract, and record what contacts are."""

        def work(place: Path, output: StageOutput) -> None:
            market = self.opened()
            for count in market.report.counts:
                output.counts[f"{count.table}_read"] = count.read
                output.counts[f"{count.table}_kept"] = count.kept
            frame = market.report.to_frame()
            frame.to_csv(place / "tables.csv", index=False)
            recorded = record_contacts(market, self.night.workspace.history, as_of=self.night.as_of)
            output.counts["contacts_recorded"] = recorded
            output.details["notes"] = [note.text for note in market.report.notes]

        return self.runner.run("check", self.base, work)

    def models(self) -> StageResult:
        """Train what is missing or too old."""
        night = self.night
        store = ModelStore(night.workspace)

        def work(place: Path, output: StageOutput) -> None:
            answering = store.answering(
                self.opened(),
                night.settings,
                as_of=night.as_of,
                night=night.day,
                tell=lambda what: self.runner.progress.working("models", what),
            )
            output.counts["trained"] = len(answering.trained)
            output.details["versions"] = {one.name: one.version_ for one in answering.predictors}
            output.details["skipped"] = [(one.predictor, one.reason) for one in answering.skipped]
            write_cards(answering.predictors, place)

        def same_models(done: StageResult) -> bool:
            versions = store.versions(night.settings, night.day)
            return bool(done.details["versions"] == versions)

        return self.runner.run("models", self.base, work, still_good=same_models)

    def trained(self) -> "tuple[SupervisedPredictor, ...]":
        """Return the predictors that answer tonight."""
        return ModelStore(self.night.workspace).load(self.night.settings, self.night.day)

    def predictions(self, models: StageResult) -> StageResult:
        """Answer every question for everybody."""
        inputs = digest_of(self.base, models.details["versions"])

        def work(place: Path, output: StageOutput) -> None:
            answers = []
            for predictor in self.trained():
                self.runner.progress.working("predictions", f"asking '{predictor.name}'")
                answers.append(predictor.predict(self.opened(), as_of=self.night.as_of))
            joined = join_predictions(self.opened(), answers, as_of=self.night.as_of)
            self._gate(joined.contacts)
            write_predictions(joined, place)
            output.counts["contacts"] = joined.contacts.num_rows
            output.counts["missing"] = joined.missing.num_rows

        return self.runner.run("predictions", inputs, work)

    def _gate(self, tonight: "pa.Table") -> None:
        """Stop a night whose answers are far from those of the night before."""
        import pyarrow.compute as pc

        earlier = _night_before(self.night, at_most=_A_WEEK)
        if earlier is None:
            return
        before = read_predictions(self.night.workspace.run(earlier).path).contacts
        limit = self.night.settings.quality.most_change
        for predictor in self.trained():
            column = predictor.question.answer.probability
            if column not in before.column_names:
                continue
            now, then = (pc.mean(table.column(column)).as_py() for table in (tonight, before))
            if now is not None and then and abs(now / then - 1.0) > limit:
                raise QualityGateError(
                    f"The mean of '{column}' went from {then:.4f} on {earlier} to {now:.4f}.",
                    f"A change of more than {limit:.0%} in a few nights is nearly always broken "
                    "data; nothing was handed over.",
                    "look at the tables; if the change is real, raise most_change in [quality].",
                )

    def decisions(self, predictions: StageResult) -> StageResult:
        """Decide segments and journeys, commit them, and export lists and outbox."""
        playbook = load_night_playbook(self.night.config, self.night.settings)
        inputs = digest_of(self.base, predictions.inputs, playbook.playbook_id)

        def work(place: Path, output: StageOutput) -> None:
            tables = read_predictions(self.night.folder.path)
            decide_night(self.night, self.opened(), tables.contacts, place, output)

        return self.runner.run("decisions", inputs, work)

    def report(self, results: list[StageResult], *, decided: bool) -> StageResult:
        """Write the report."""
        inputs = digest_of([result.inputs for result in results], decided)

        def work(place: Path, output: StageOutput) -> None:
            from mlmarket.reporting import headline, render_report

            content = gather_report(self.night, self.opened(), self.trained(), decided=decided)
            text = render_report(content)
            (place / "report.html").write_text(text, encoding="utf-8")
            output.details["headline"] = headline(content)

        return self.runner.run("report", inputs, work)

    def publish(self, results: list[StageResult]) -> StageResult:
        """Build the file for SQL users, and write to the database that is configured."""
        target = self.night.settings.publish
        inputs = digest_of([result.inputs for result in results], target and target.table)

        def work(place: Path, output: StageOutput) -> None:
            _ = place
            output.counts["tables"] = build_database(self.night)
            if target is not None:
                output.counts["published"] = publish_to(target, self.night)

        return self.runner.run("publish", inputs, work)


def write_cards(predictors: "Sequence[SupervisedPredictor]", place: Path) -> None:
    """Write which model answers what, for the report and for later nights."""
    import json

    cards: dict[str, Mapping[str, Any]] = {
        one.name: {
            "version": one.version_,
            "trained_at": one.as_of_.isoformat(),
            "column": one.question.answer.probability,
            "label": str(one.question.label),
            "horizon_days": one.question.horizon.days,
            "relative_error": one.evidence_.relative_error,
        }
        for one in predictors
    }
    text = json.dumps(cards, indent=1, sort_keys=True) + "\n"
    (place / "models.json").write_text(text, encoding="utf-8")


def _night_before(night: Night, *, at_most: timedelta) -> date | None:
    earlier = [
        day
        for day in night.workspace.nights()
        if night.day - at_most <= day < night.day
        and night.workspace.run(day).result("predictions") is not None
    ]
    return max(earlier, default=None)
