"""Whose contract will end?

With contracts, leaving is an event: it has a date, and until then somebody is a customer. Who is
under contract, for how long, and what the months before an end looked like is read from events alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from mlmarket.churn.subscription.contest import hold_contract_contest
from mlmarket.churn.subscription.contracts import (
    BEGUN,
    CONTRACT_DAYS,
    PERIOD,
    ContractRows,
    contract_features,
    ends_without_start,
    planned_instants,
    under_contract,
    without_contract,
)
from mlmarket.churn.subscription.learners import BASELINES, CHALLENGERS, ContractModel
from mlmarket.churn.subscription.reasons import reasons_in_words
from mlmarket.churn.subscription.words import contract_wordings, wordings_of_features
from mlmarket.errors import ConfigurationError, nearest
from mlmarket.features import Behaviour, Feature, SnapshotSpec
from mlmarket.features.defaults import DEFAULT
from mlmarket.features.labels import refuse_open_windows
from mlmarket.features.rows import known_rows, matches, tables_of
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.time import duration_text, parse_duration, to_utc
from mlmarket.prediction.columns import numbers_of
from mlmarket.prediction.contest import Candidates, Contest
from mlmarket.prediction.evidence import Evidence
from mlmarket.prediction.fitted import Fitted, read_card
from mlmarket.prediction.learner import one_thread
from mlmarket.prediction.predictor import DeclinedError, OutputColumn, Schema
from mlmarket.prediction.question import Answer, Question
from mlmarket.prediction.snapshot_predictor import restored_features
from mlmarket.prediction.study import (
    Study,
    declined,
    declined_to_judge,
    features_of_plan,
    ordered_origins,
    sum_up,
)
from mlmarket.prediction.supervised import SupervisedPredictor
from mlmarket.prediction.training import Rows, Snapshots, TrainingPlan

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.market import Market

__all__ = ["SubscriptionChurnModel"]

_NAME: Final = "subscription"
_RISK: Final = "subscription_churn_risk"
_MONTHS: Final = "subscription_months"
_REASONS: Final = "subscription_churn_reasons"
_DAYS_A_MONTH: Final = 365.25 / 12
_MOST_TYPES: Final = 1_000


class SubscriptionChurnModel(SupervisedPredictor):
    """Probability that a running contract ends within the horizon.

    Parameters
    ----------
    horizon : str or timedelta, default "90D"
        How far to look.
    starts : str, default "event subscription_started"
        What begins a contract. A further start begins it anew.
    ends : str, default "event subscription_ended"
        What ends it.
    features : sequence of Feature or str, optional
        Features, and names of sets; by default all that the tables allow. How long a contract has
        run is known in any case; other features that count starts and ends are left out.
    folds : int, default 4
        Origins at which it is judged.

    Raises
    ------
    ConfigurationError
        Where one of them cannot be read.

    Notes
    -----
    Somebody is under contract whose last start is not before their last end. Monthly hazards are
    learned from every month of a contract up to today; a classifier of the whole horizon, which
    must wait for its windows to end, takes part beside them, and so do the base rate and the share
    that ended at each tenure. The mean of two hazards is used, or the model that beats it clearly at
    earlier origins, and only where it beats the best of the rules by an interval that excludes zero.

    ``subscription_churn_risk`` is ``high`` from the probability on that the top fifth of the
    contracts of the last closed window had, ``medium`` from the one on that the upper half had, and
    ``low`` below; the two are kept with the model.

    References
    ----------
    Singer and Willett (1993), It's about time: using discrete-time survival analysis to study
    duration and the timing of events, Journal of Educational Statistics 18(2).

    Examples
    --------
    >>> list(SubscriptionChurnModel("60D").outputs)[:2]
    ['subscription_churn_probability_60d', 'subscription_churn_risk']
    """

    def __init__(
        self,
        horizon: str | timedelta = "90D",
        *,
        starts: str = "event subscription_started",
        ends: str = "event subscription_ended",
        features: Sequence[Feature | str] | None = None,
        folds: int = 4,
    ) -> None:
        begin, end = _behaviour(starts, "starts"), _behaviour(ends, "ends")
        if begin == end:
            raise ConfigurationError(
                f"Contracts start and end with the same rows, '{begin}'.",
                "Nobody would ever be under contract.",
                "name what begins a contract in `starts`, and what ends it in `ends`.",
            )
        span = duration_text(parse_duration(horizon))
        own = contract_features(begin, end)
        super().__init__(
            _question(span, begin, end),
            parameters={
                "horizon": span,
                "starts": str(begin),
                "ends": str(end),
                "folds": folds,
            },
            features=(*(features if features is not None else (DEFAULT,)), *own),
            folds=folds,
        )
        self.starts = begin
        self.ends = end

    @property
    def outputs(self) -> Schema:
        """Columns it writes."""
        columns = dict(super().outputs)
        version = columns.popitem()
        months = "months for which the contract has run, of 30.4 days"
        columns[_MONTHS] = OutputColumn(_MONTHS, "number", _NAME, "months", months)
        said = "what raises or lowers the probability, the weightiest first, in points of it"
        columns[_REASONS] = OutputColumn(_REASONS, "text", _NAME, "words", said)
        return columns | dict([version])

    def fit(self, market: "Market", *, as_of: datetime) -> Self:
        """Learn from the contracts known at an instant, and choose by contest.

        Parameters
        ----------
        market : Market
            The tables.
        as_of : datetime
            Rows after it are not looked at.

        Returns
        -------
        Self
            With ``evidence_``, ``version_`` and ``training_record_``.

        Raises
        ------
        DeclinedError
            Where a table is missing, nothing starts or ends, no label window is closed, or no
            contract (or every one) ended.
        ConfigurationError
            Where `as_of` has no zone.
        """
        to_utc(as_of)
        self._require_rows(market, as_of)
        plan = self._plan(market, as_of)
        study, contracts = self._read(market, plan, known_at=as_of)
        contest = self._contest(contracts)
        end = plan.cutoffs[-1] + plan.horizon
        rows = contracts.learned(until=end)
        with one_thread():
            learner = _model(contest.chosen, self.horizon).fit(rows.features, rows.label)
            latest = contracts.judged(plan.cutoffs[-1])
            learner.learn_usual(latest.features)
        fitted = Fitted(
            learner=learner,
            calibrator=contest.calibrator,
            features=study.spec.features,
            evidence=self._sum_up(market, study, contest, _closed(rows), as_of=as_of),
            as_of=as_of,
        )
        edges = self.question.answer.edges(fitted.probability(latest.features))
        day = f"{as_of.astimezone(market.zone):%Y-%m-%d}"
        self._fitted = replace(fitted, grade_edges=edges).with_version(f"{day}-{contest.chosen}")
        return self

    def backtest(self, market: "Market", *, origins: Sequence[datetime]) -> Evidence:
        """Judge every candidate at given origins.

        Parameters
        ----------
        market : Market
            The tables.
        origins : sequence of datetime
            Where models stand; their label windows must be closed.

        Returns
        -------
        Evidence
            As :meth:`fit` would have kept it with these origins.

        Raises
        ------
        OpenLabelWindowError
            Where a window is still open.
        DeclinedError
            Where a table is missing, or there is nothing to learn from before the origins.
        ConfigurationError
            Where there is no origin, or one has no zone.
        """
        ordered = ordered_origins(origins)
        until = ordered[-1] + self.horizon
        self._require_rows(market, until)
        refuse_open_windows(
            market, self.ends, cutoffs=ordered, horizon=self.horizon, known_at=until
        )
        plan = replace(self._plan(market, until), origins=ordered)
        last = plan.closed_at(ordered[-1])
        if not last:
            raise declined_to_judge(self.name, self.horizon)
        study, contracts = self._read(market, replace(plan, cutoffs=last), known_at=None)
        contest = self._contest(contracts)
        rows = contracts.learned(until=ordered[-1], known_at=ordered[-1])
        return self._sum_up(market, study, contest, _closed(rows), as_of=ordered[-1])

    def answer(self, batch: "pa.RecordBatch") -> "pa.Table":
        """Return the answers for those who are under contract.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            As :func:`mlmarket.features.build` yields it, without a label.

        Returns
        -------
        pyarrow.Table
            ``contact_id`` and the columns of :attr:`outputs`, in the order of the rows; who is not
            under contract is left out. The answer for a row depends on no other row.
        """
        import pyarrow as pa

        fitted = self._require_fitted()
        batch = batch.filter(pa.array(under_contract(batch)))
        months = numbers_of(batch, CONTRACT_DAYS) / _DAYS_A_MONTH
        answers = (
            fitted.answer(batch, self.question)
            .append_column(_MONTHS, pa.array(months, pa.float64()))
            .append_column(_REASONS, pa.array(self._reasons_of(batch, fitted), pa.string()))
        )
        return answers.select([CONTACT_ID, *self.outputs])

    def reasons(self, contacts: "pa.StringArray", *, as_of: datetime) -> "pa.Table":
        """Return why contacts that are known have no answer: they have no contract that runs.

        Parameters
        ----------
        contacts : pyarrow.StringArray
            Who has none.
        as_of : datetime
            When they were asked about.

        Returns
        -------
        pyarrow.Table
            ``contact_id, predictor, reason``.
        """
        import pyarrow as pa

        why = (
            f"is not under contract at {as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC: no "
            f"'{self.starts}' that no '{self.ends}' follows"
        )
        table = super().reasons(contacts, as_of=as_of)
        place = table.schema.get_field_index("reason")
        return table.set_column(place, "reason", pa.repeat(pa.scalar(why), len(contacts)))

    def features_at(self, market: "Market", *, as_of: datetime) -> tuple[Feature, ...]:
        """Return the features that :meth:`fit` would learn from, without learning.

        Parameters
        ----------
        market : Market
            The tables.
        as_of : datetime
            When it would learn.

        Returns
        -------
        tuple of Feature
            Those that could be chosen at the first origin.

        Raises
        ------
        DeclinedError
            Where it could not learn.
        """
        return without_contract(super().features_at(market, as_of=as_of), self.starts, self.ends)

    def shortfall(self, market: "Market", *, as_of: datetime) -> str:
        """Return what the predictor lacks to learn, without learning.

        Parameters
        ----------
        market : Market
            The tables.
        as_of : datetime
            When it would learn.

        Returns
        -------
        str
            Empty where nothing is missing.
        """
        try:
            self._require_rows(market, as_of)
        except DeclinedError as error:
            return error.fix.removeprefix("it needs ").rstrip(".")
        return super().shortfall(market, as_of=as_of)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the predictor that :meth:`save` wrote.

        Parameters
        ----------
        folder : Path
            Where it was written.

        Returns
        -------
        SubscriptionChurnModel
            Fitted.

        Raises
        ------
        ConfigurationError
            Where there is none, it is of another class, or its files were changed.
        """
        card = read_card(Path(folder), cls.__name__)
        predictor = cls(**card["parameters"])
        learner = _model(card["learner"], predictor.horizon)
        predictor._fitted = Fitted.restore(Path(folder), card, learner)
        predictor.features = restored_features(card["features_asked"])
        return predictor

    def _reasons_of(self, batch: "pa.RecordBatch", fitted: Fitted) -> Sequence[str]:
        model = fitted.learner
        if not isinstance(model, ContractModel):
            message = "contracts are answered by a model of contracts"
            raise TypeError(message)
        if model.name in BASELINES:
            said = _RULE_SAYS[model.name]
            return [said] * batch.num_rows
        wordings = wordings_of_features(
            fitted.features,
            own=contract_wordings(CONTRACT_DAYS, BEGUN),
        )
        blocks = (batch.slice(begin, _BLOCK) for begin in range(0, batch.num_rows, _BLOCK))
        words = [
            reasons_in_words(
                model.parts(block),
                model.usual,
                block,
                wordings=wordings,
                corrected=fitted.calibrator.predict,
            )
            for block in blocks
        ]
        return [text for block in words for text in block.tolist()]

    def _require_rows(self, market: "Market", as_of: datetime) -> None:
        """Decline where nothing starts or nothing ends, with the names that there are."""
        self._require_tables(market)
        for behaviour, other, argument in (
            (self.starts, self.ends, "starts"),
            (self.ends, self.starts, "ends"),
        ):
            rows = known_rows(market, [behaviour], at=as_of)
            if int(rows.filter(matches(rows, behaviour)).limit(1).count().to_pyarrow().as_py()):
                continue
            raise declined(
                self.name,
                f"there is no '{behaviour}' until {as_of.astimezone(UTC):%Y-%m-%d}",
                f"events that say when contracts start and end{_near(market, behaviour, as_of, others=other.types)}; "
                f"name them with {argument}='event …'",
            )

    def _read(
        self, market: "Market", plan: TrainingPlan, *, known_at: datetime | None
    ) -> tuple[Study, ContractRows]:
        if not plan.origins:
            raise declined_to_judge(self.name, self.horizon)
        chosen = features_of_plan(market, plan, self.features)
        features = without_contract(chosen.features, self.starts, self.ends)
        spec = SnapshotSpec(self.eligible, features)
        instants = planned_instants(plan)
        snapshots = Snapshots(
            market,
            spec,
            known_at=known_at,
            most_rows=self.most_rows,
            cutoffs=len(plan.cutoffs),
            latest=instants[-1],
            planned=instants,
        )
        study = Study(self.question, spec, plan, snapshots, chosen.left_out)
        return study, ContractRows(snapshots, self.ends, plan, known_at=known_at)

    def _contest(self, contracts: ContractRows) -> Contest:
        with one_thread():
            contest = hold_contract_contest(contracts, self.question.candidates)
        if contest is None:
            raise declined_to_judge(self.name, self.horizon)
        return contest

    def _sum_up(
        self, market: "Market", study: Study, contest: Contest, rows: Rows, *, as_of: datetime
    ) -> Evidence:
        evidence = sum_up(study, contest, rows)
        early = ends_without_start(market, self.starts, self.ends, as_of=as_of)
        if not early:
            return evidence
        limit = (
            f"{early:,} contacts have an end before any start: their contracts began before the data "
            "does, or were not written down, and nothing is learned from them."
        )
        return replace(evidence, limits=(limit, *evidence.limits))


_BLOCK: Final = 8_192
_RULE_SAYS: Final[Mapping[str, str]] = {
    "base_rate": "the same for every contract: nothing that is known told them apart",
    "tenure_hazard": "by how long the contract has run, nothing else told them apart",
}


def _model(name: str, horizon: timedelta) -> ContractModel:
    return ContractModel(name, horizon=horizon, period=min(horizon, PERIOD))


def _closed(rows: Rows) -> Rows:
    """Return the rows whose horizon is over, with labels of 0 and 1."""
    closed = rows.label >= 0
    label = (rows.label[closed] > 0).astype(np.int8)
    return Rows(rows.features[closed], label, rows.contact_id[closed])


def _behaviour(text: str, argument: str) -> Behaviour:
    behaviour = Behaviour.parse(text)
    if behaviour.negated or behaviour.within is not None:
        raise ConfigurationError(
            f"`{argument}` is '{behaviour}'.",
            "A contract starts and ends with something that happens, at any time.",
            f"leave out 'no' and 'within': {argument}='event {behaviour.types[0]}'.",
        )
    return behaviour


def _near(market: "Market", behaviour: Behaviour, as_of: datetime, *, others: Sequence[str]) -> str:
    """Return the names that a misspelt one may have meant, in words; not those of the other end."""
    rows = known_rows(market, [], at=as_of)
    found = rows.select("type").distinct().order_by("type").limit(_MOST_TYPES).to_pyarrow()
    types = [kind for kind in found.column("type").to_pylist() if kind not in others]
    near = [nearest(kind, types) for kind in behaviour.types]
    meant = [f"'{kind}'" for kind in near if kind is not None]
    return f"; did you mean {' or '.join(meant)}?" if meant else ""


def _question(span: str, starts: Behaviour, ends: Behaviour) -> Question:
    horizon = parse_duration(span)
    answer = Answer(
        probability=f"subscription_churn_probability_{span.lower()}",
        description=f"probability that the contract ends within {span}",
        outcome=f"contracts that end within {horizon.days} days",
        grade=_RISK,
        grades=(("low", 0.0), ("medium", 0.5), ("high", 0.8)),
    )
    return Question(
        name=_NAME,
        text=f"Whose contract ends within {horizon.days} days?",
        label=ends,
        horizon=horizon,
        eligible=starts,
        needs=tables_of(starts) | tables_of(ends),
        answer=answer,
        candidates=Candidates(
            {name: partial(_model, name, horizon) for name in CHALLENGERS},
            {name: partial(_model, name, horizon) for name in BASELINES},
        ),
    )
