"""How does one night go, from the tables to the outbox?

A list of stages: ``check``, ``models``, ``predictions``, ``decisions``, ``report`` and ``publish``. Each is
skipped where it was finished before from the same inputs, so that a night killed anywhere is run
again with the same result.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from mlmarket.market import Market, record_contacts
from mlmarket.market.scratch import clear_scratch
from mlmarket.market.time import duration_text
from mlmarket.nightly.decisions import decide_night, settle_night
from mlmarket.nightly.declared import check_declared
from mlmarket.nightly.folder import StageResult
from mlmarket.nightly.gather import gather_report
from mlmarket.nightly.inputs import input_fingerprints
from mlmarket.nightly.models import ModelStore
from mlmarket.nightly.night import Night
from mlmarket.nightly.parts import Parts
from mlmarket.nightly.playbook import check_playbook, load_night_playbook
from mlmarket.nightly.predictions import join_predictions, read_predictions, write_predictions
from mlmarket.nightly.publish import build_database, is_newest, publish_to
from mlmarket.nightly.quality import hold_gate
from mlmarket.nightly.retention import retention_of
from mlmarket.nightly.scores import score_on_spark
from mlmarket.nightly.stages import Progress, Silent, StageOutput, StageRunner, digest_of
from mlmarket.prediction import BatchPredictor, SnapshotPredictor

__all__ = ["NightSummary", "run_night"]


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
        should have been sent then is past. A night that was decided before is left as it is.
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
    night.refuse_future()
    with night.workspace.locked():
        clear_scratch(night.scratch)
        if not decide and night.folder.result("decisions") is not None:
            return _summary(night, night.folder.stages())
        if fresh:
            night.folder.forget()
        stages = _Stages(night, StageRunner(night.folder, progress or Silent()), decide=decide)
        return _summary(night, stages.all(retrain=fresh))


def _summary(night: Night, results: Sequence[StageResult]) -> NightSummary:
    details = {result.stage: result.details for result in results}
    skipped = details.get("models", {}).get("skipped", ())
    return NightSummary(
        night.day,
        night.folder.path,
        tuple(results),
        tuple((str(name), str(why)) for name, why in skipped),
        str(details.get("report", {}).get("headline", "")),
    )


class _Stages:
    """The stages of one night, each made of what the ones before it left."""

    def __init__(self, night: Night, runner: StageRunner, *, decide: bool) -> None:
        self.night = night
        self.runner = runner
        self.decide = decide
        self.store = ModelStore(night.workspace, night.settings)
        self.base = digest_of(
            night.day.isoformat(),
            night.settings.fingerprint(),
            input_fingerprints(night.config, night.settings),
        )
        self._market: Market | None = None
        self._models: tuple[BatchPredictor, ...] | None = None

    def all(self, *, retrain: bool) -> list[StageResult]:
        """Run every stage."""
        results = [self.check(), self.models(retrain=retrain)]
        results.append(self.predictions(results[-1]))
        if self.decide:
            results.append(self.decisions(results[-1]))
        results.append(self.report(results))
        results.append(self.publish(results))
        return results

    def opened(self) -> Market:
        """Open the tables once, and only if a stage needs them."""
        if self._market is None:
            store = self.night.workspace.store
            self._market = replace(self.night.market(), store_folder=store)
        return self._market

    def answering(self) -> tuple[BatchPredictor, ...]:
        """Return the predictors that answer tonight, read once."""
        if self._models is None:
            result = self.night.folder.result("models")
            versions: Mapping[str, str] = {} if result is None else result.details["versions"]
            self._models = self.store.load(self.night.day, versions)
        return self._models

    def check(self) -> StageResult:
        """Open the tables, stop where they break the contract, and record what contacts are."""

        def work(place: Path, output: StageOutput) -> None:
            market = self.opened()
            check_playbook(self.night, market)
            unknown = check_declared(self.night, market)
            for count in market.report.counts:
                output.counts[f"{count.table}_read"] = count.read
                output.counts[f"{count.table}_kept"] = count.kept
            market.report.to_frame().to_csv(place / "tables.csv", index=False)
            output.details["notes"] = [note.text for note in (*market.report.notes, *unknown)]
            if self.decide:
                # What a CRM says today is not what it said on a night of long ago.
                history = self.night.workspace.history
                recorded = record_contacts(market, history, as_of=self.night.as_of)
                output.counts["contacts_recorded"] = recorded
                # Run again from here, the stages after this one see the same.
                self._market = market.with_history(history)

        inputs = digest_of(self.base, "recorded" if self.decide else "only looked at")
        return self.runner.run("check", inputs, work)

    def models(self, *, retrain: bool) -> StageResult:
        """Train what is missing or too old."""
        night = self.night

        def work(place: Path, output: StageOutput) -> None:
            answering = self.store.answering(
                self.opened(),
                as_of=night.as_of,
                night=night.day,
                retrain=retrain,
                tell=lambda what: self.runner.progress.working("models", what),
            )
            output.counts["trained"] = len(answering.trained)
            output.details["versions"] = {one.name: one.version_ for one in answering.predictors}
            output.details["learned_from"] = {
                one.name: {"contacts": one.evidence_.contacts, "rows": one.evidence_.rows}
                for one in answering.predictors
            }
            output.details["skipped"] = [(one.predictor, one.reason) for one in answering.skipped]
            _write_cards(answering.predictors, place)

        def same_models(done: StageResult) -> bool:
            return self.store.has(night.day, done.details["versions"])

        return self.runner.run("models", self.base, work, still_good=same_models)

    def predictions(self, models: StageResult) -> StageResult:
        """Answer every question for everybody."""
        night = self.night

        def work(place: Path, output: StageOutput) -> None:
            market, as_of, predictors = self.opened(), night.as_of, self.answering()
            retention = retention_of(night.settings, predictors)
            if night.on_spark:
                tell("scoring on Spark")
                scored = score_on_spark(night, market, _on_snapshots(predictors), inputs=inputs)
                if retention is not None:
                    scored = replace(scored, contacts=retention.beside(scored.contacts))
                output.counts |= write_predictions(scored, place)
            else:
                parts = Parts.take_up(folder, market, as_of=as_of, inputs=inputs)
                for predictor in predictors:
                    parts.answer(predictor, market, as_of=as_of, tell=tell)
                tell("joining the answers")
                names = [predictor.name for predictor in predictors]
                output.counts |= join_predictions(
                    parts, names, place, as_of=as_of, retention=retention
                )
            hold_gate(night, place, predictors)
            output.details["engine"] = night.settings.engine.name

        def tell(what: str) -> None:
            self.runner.progress.working("predictions", what)

        folder = night.folder.parts
        inputs = digest_of(self.base, models.details["versions"])
        result = self.runner.run("predictions", inputs, work)
        # Only now, and also after a kill between the two: what has a manifest needs no parts.
        shutil.rmtree(folder, ignore_errors=True)
        return result

    def decisions(self, predictions: StageResult) -> StageResult:
        """Decide segments and journeys, commit them, and export lists and outbox."""

        def work(place: Path, output: StageOutput) -> None:
            tables = read_predictions(self.night.folder.path)
            decide_night(self.night, self.opened(), tables.contacts, place, output)

        playbook = load_night_playbook(self.night.config, self.night.settings)
        inputs = digest_of(predictions.inputs, playbook.playbook_id)
        result = self.runner.run("decisions", inputs, work)
        # Only now, and also after a kill between the two: what is in the file counts as sent.
        settle_night(self.night)
        return result

    def report(self, results: Sequence[StageResult]) -> StageResult:
        """Write the report."""

        def work(place: Path, output: StageOutput) -> None:
            from mlmarket.reporting import headline, render_report

            content = gather_report(
                self.night, self.opened(), self.answering(), decided=self.decide
            )
            (place / "report.html").write_text(render_report(content), encoding="utf-8")
            output.details["headline"] = headline(content).first
            output.counts["matured"] = len(content.matured)

        inputs = digest_of([result.inputs for result in results])
        return self.runner.run("report", inputs, work)

    def publish(self, results: Sequence[StageResult]) -> StageResult:
        """Build the file for SQL users, and write to the database that is configured."""
        night, target = self.night, self.night.settings.publish

        def work(place: Path, output: StageOutput) -> None:
            _ = place
            if is_newest(night):
                output.counts["tables"] = build_database(night)
            if target is not None and self.decide and is_newest(night):
                output.counts["published"] = publish_to(target, night)

        def still_there(done: StageResult) -> bool:
            return "tables" not in done.counts or night.workspace.database.is_file()

        inputs = digest_of(
            [result.inputs for result in results], target and target.model_dump(mode="json")
        )
        return self.runner.run("publish", inputs, work, still_good=still_there)


def _on_snapshots(predictors: Sequence[BatchPredictor]) -> list[SnapshotPredictor]:
    """Return the predictors that workers of a Spark can ask; the others were skipped."""
    return [one for one in predictors if isinstance(one, SnapshotPredictor)]


def _write_cards(predictors: Sequence[BatchPredictor], place: Path) -> None:
    """Write which model answers what, for the nights that will look back at this one."""
    cards = {one.name: _card(one) for one in predictors}
    text = json.dumps(cards, indent=1, sort_keys=True) + "\n"
    (place / "models.json").write_text(text, encoding="utf-8")


def _card(predictor: BatchPredictor) -> dict[str, Any]:
    card: dict[str, Any] = {
        "version": predictor.version_,
        "trained_at": predictor.as_of_.isoformat(),
        "column": predictor.headline.column,
        "unit": predictor.headline.unit,
        "relative_error": predictor.evidence_.relative_error,
        "dispersion": predictor.evidence_.dispersion,
    }
    # What it promises can be counted once its window has closed.
    if isinstance(predictor, SnapshotPredictor) and predictor.headline.counts:
        card["label"] = str(predictor.asked.label)
        card["horizon"] = duration_text(predictor.horizon)
    return card
