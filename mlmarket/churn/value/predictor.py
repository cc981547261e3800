"""What do all predictors of value do: judge, keep and answer value and orders?"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.churn.gates import DataGate, DataNeeds, hold_data_gate, order_history
from mlmarket.churn.value.buy_till_you_die import BuyTillYouDieAmounts
from mlmarket.churn.value.contest import (
    METRIC,
    AmountCandidates,
    AmountContest,
    hold_amount_contest,
)
from mlmarket.churn.value.fitted import Amount, FittedValue, decile_edges
from mlmarket.churn.value.learners import AmountLearner
from mlmarket.churn.value.study import (
    WARM_UP,
    Target,
    ValueStudy,
    longest_horizon,
    open_value_study,
    wanted_features,
)
from mlmarket.churn.value.words import amount_limits_in_words, amount_verdict_in_words
from mlmarket.evaluation import (
    Interval,
    expected_value_total,
    relative_total_error,
    value_deciles,
)
from mlmarket.features import Behaviour, Feature, SnapshotSpec
from mlmarket.features.labels import label_complete_until, refuse_open_windows
from mlmarket.features.rows import tables_of
from mlmarket.market.time import duration_text, parse_duration, to_utc
from mlmarket.prediction import DeclinedError, Evidence, Headline, OutputColumn, Schema
from mlmarket.prediction.fitted import read_card
from mlmarket.prediction.learner import one_thread
from mlmarket.prediction.snapshot_predictor import (
    SnapshotPredictor,
    plain_features,
    restored_features,
)
from mlmarket.prediction.study import (
    declined,
    declined_to_judge,
    features_of_plan,
    ordered_origins,
)
from mlmarket.prediction.training import TrainingPlan, plan_training

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.market import Market

__all__ = ["ValuePredictor"]

_ORDER: Final = Behaviour.parse("order")
_SHORTEST: Final = timedelta(days=7)


class ValuePredictor(SnapshotPredictor):
    """What both predictors of value do: judge, keep and answer value and orders."""

    _extrapolates: ClassVar[bool] = False
    """Whether it answers for a horizon of which no window is closed."""

    def __init__(
        self,
        horizon: str | timedelta,
        *,
        eligible: str,
        features: Sequence[Feature | str] | None,
        needs: Mapping[str, int] | None,
    ) -> None:
        self._data_needs = DataNeeds.of(needs)
        gate = None if eligible == "contact" else Behaviour.parse(eligible)
        span = parse_duration(horizon)
        parameters: dict[str, object] = {"horizon": duration_text(span), "eligible": eligible}
        super().__init__(
            SnapshotSpec(gate, (), _ORDER, span),
            parameters=parameters | ({"needs": dict(needs)} if needs else {}),
            features=features,
        )
        self._fitted: FittedValue | None = None

    @property
    def name(self) -> str:
        """Its name, and the first word of its columns."""
        return "value"

    @property
    def text(self) -> str:
        """Its question in words."""
        return f"What will contacts be worth within {self.horizon.days} days?"

    @property
    def needs(self) -> frozenset[str]:
        """Tables it cannot do without."""
        return frozenset({"orders"}) | (tables_of(self.eligible) if self.eligible else frozenset())

    @property
    def outputs(self) -> Schema:
        """Columns it writes."""
        span = duration_text(self.horizon)
        value, orders, decile, version = self._columns
        says = {
            value: ("number", "currency", f"expected worth of orders less returns within {span}"),
            orders: ("number", "days", f"expected days with an order within {span}"),
            decile: ("number", "decile", "tenth of the expected value, 1 is the highest"),
            version: ("text", "version", "which trained model gave the answer"),
        }
        return {
            column: OutputColumn(column, kind, self.name, unit, description)
            for column, (kind, unit, description) in says.items()
        }

    @property
    def _columns(self) -> tuple[str, str, str, str]:
        span = duration_text(self.horizon).lower()
        return (
            f"expected_value_{span}",
            f"expected_orders_{span}",
            "value_decile",
            "value_model_version",
        )

    @property
    def headline(self) -> Headline:
        """The value that is expected."""
        return Headline(self._columns[0], "currency", f"of value within {self.horizon.days} days")

    @property
    def evidence_(self) -> Evidence:
        """How good the value is; raises ``NotFittedError`` before :meth:`fit`."""
        return self._require_fitted().value.evidence

    @property
    def orders_evidence_(self) -> Evidence:
        """How good the number of orders is; raises ``NotFittedError`` before :meth:`fit`."""
        return self._require_fitted().orders.evidence

    @property
    def version_(self) -> str:
        """Which trained model this is: its date, the model chosen, and a digest of its content."""
        return self._require_fitted().version

    @property
    def as_of_(self) -> datetime:
        """When it was trained."""
        return self._require_fitted().as_of

    @property
    def features_(self) -> tuple[Feature, ...]:
        """What the trained model wants to know of each contact."""
        return self._require_fitted().features

    @property
    def training_record_(self) -> dict[str, Any]:
        """Parameters, data and metrics of the training, for an experiment tracker."""
        fitted = self._require_fitted()
        return {
            "predictor": self.name,
            "kind": type(self).__name__,
            "parameters": self.parameters,
            "as_of": fitted.as_of.isoformat(),
            "version": fitted.version,
            "files": dict(fitted.files),
            "edges": list(fitted.edges),
            "value": fitted.value.to_dict(),
            "orders": fitted.orders.to_dict(),
            "seasonal_factor": fitted.value.evidence.seasonal_factor,
            "features_asked": plain_features(self.features),
            "features": [feature.to_dict() for feature in fitted.features],
        }

    def fit(self, market: "Market", *, as_of: datetime) -> Self:
        """Learn from what was known at an instant, and choose by contest.

        Parameters
        ----------
        market : Market
            The tables.
        as_of : datetime
            Rows after it are not looked at.

        Returns
        -------
        Self
            With ``evidence_``, ``orders_evidence_``, ``version_`` and ``training_record_``.

        Raises
        ------
        DeclinedError
            Where a table or the amounts are missing, the history is too short, or nobody bought.
        ConfigurationError
            Where `as_of` has no zone.
        """
        to_utc(as_of)
        self._require_tables(market)
        plan = self._plan(market, as_of)
        gate = self._gate(market, as_of)
        study = self._open(market, plan, known_at=as_of, present=as_of)
        with one_thread():
            value = self._learned(study, "value", as_of, gate)
            orders = self._learned(study, "orders", as_of, gate)
            latest = value.of(study.snapshots.at(plan.cutoffs[-1:]).features)
        fitted = FittedValue(
            value=value,
            orders=orders,
            features=study.features,
            edges=decile_edges(latest),
            as_of=as_of,
        )
        day = f"{as_of.astimezone(market.zone):%Y-%m-%d}"
        self._fitted = fitted.with_version(f"{day}-{value.learner.name}")
        return self

    def backtest(self, market: "Market", *, origins: Sequence[datetime]) -> Evidence:
        """Judge every candidate for the value at given origins.

        Parameters
        ----------
        market : Market
            The tables.
        origins : sequence of datetime
            Where models stand.

        Returns
        -------
        Evidence
            As :meth:`fit` would have kept it with these origins.

        Raises
        ------
        OpenLabelWindowError
            Where a window is still open.
        DeclinedError
            Where a table or the amounts are missing, or there is nothing to learn from before the
            origins.
        ConfigurationError
            Where there is no origin, or one has no zone.
        """
        self._require_tables(market)
        ordered = ordered_origins(origins)
        horizon = self._judged_after(market, ordered)
        until = ordered[-1] + horizon
        # Whoever judges knows all there is: a window that ended on a day without orders is closed.
        now = max(until, label_complete_until(market, _ORDER))
        refuse_open_windows(market, _ORDER, cutoffs=ordered, horizon=horizon, known_at=now)
        plan = self._planned(market, until, horizon)
        if plan is None or not (last := plan.closed_at(ordered[-1])):
            raise declined_to_judge(self.name, horizon)
        plan = replace(plan, origins=ordered, cutoffs=last)
        study = self._open(market, plan, known_at=now, present=ordered[-1])
        gate = self._gate(market, ordered[-1])
        with one_thread():
            contest = self._contest(study, "value", gate)
            return self._sum_up(study, contest, "value", gate, seasonal_factor=None)

    def answer(self, batch: "pa.RecordBatch") -> "pa.Table":
        """Return the answers for some rows of features.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            As :func:`mlmarket.features.build` yields it, without a label.

        Returns
        -------
        pyarrow.Table
            ``contact_id`` and the columns of :attr:`outputs`, in the order of the rows.
        """
        return self._require_fitted().answer(batch, self._columns)

    def total(self, numbers: npt.NDArray[np.float64]) -> Interval:
        """Return what some contacts are expected to be worth together, with a 90 % interval.

        Parameters
        ----------
        numbers : ndarray of float64, shape (contacts,)
            Their expected values, from this model.

        Returns
        -------
        Interval
            From each contact's own chance, and from how far totals missed at past origins; both
            were measured on the horizon that was judged.
        """
        evidence = self.evidence_
        if not numbers.size:
            return Interval(0.0, 0.0, 0.0, 0.9)
        return expected_value_total(
            numbers,
            dispersion=evidence.dispersion or 0.0,
            relative_error=evidence.relative_error,
        )

    def save(self, folder: Path) -> None:
        """Write what was learned: ``card.json`` and the models' own files.

        Parameters
        ----------
        folder : Path
            An empty folder; it is made where it does not exist.
        """
        self._require_fitted().save(Path(folder), self.training_record_)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the predictor that :meth:`save` wrote.

        Parameters
        ----------
        folder : Path
            Where it was written.

        Returns
        -------
        Self
            Fitted.

        Raises
        ------
        ConfigurationError
            Where there is none, it is of another class, or its files were changed.
        """
        card = read_card(Path(folder), cls.__name__)
        predictor = cls(**card["parameters"])

        def make(target: str, name: str) -> AmountLearner:
            chosen: Target = "value" if target == "value" else "orders"
            return predictor._candidates(chosen, predictor.horizon).make(name)

        predictor._fitted = FittedValue.restore(Path(folder), card, make)
        predictor.features = restored_features(card.get("features_asked"))
        return predictor

    def features_at(self, market: "Market", *, as_of: datetime) -> tuple[Feature, ...]:
        """Return what :meth:`fit` would read; see :class:`~mlmarket.prediction.SnapshotPredictor`."""
        self._require_tables(market)
        plan = self._plan(market, as_of)
        return features_of_plan(market, plan, wanted_features(self.features)).features

    def shortfall(self, market: "Market", *, as_of: datetime) -> str:
        """Return what it lacks to learn; see :class:`~mlmarket.prediction.SnapshotPredictor`."""
        lacking = super().shortfall(market, as_of=as_of)
        if lacking:
            return lacking
        try:
            self._gate(market, as_of)
        except DeclinedError as error:
            return error.in_short
        return ""

    @abstractmethod
    def _candidates(self, target: Target, horizon: timedelta) -> AmountCandidates:
        """Return who takes part, where what is learned and judged looks that far."""

    def _judged(self, market: "Market", as_of: datetime) -> timedelta:
        """Return the horizon that is judged where the model stands."""
        if not self._extrapolates:
            return self.horizon
        return min(self.horizon, longest_horizon(market, self.asked, as_of=as_of))

    def _judged_after(self, market: "Market", origins: Sequence[datetime]) -> timedelta:
        """Return the horizon that is judged at given origins."""
        if not self._extrapolates:
            return self.horizon
        closed = label_complete_until(market, _ORDER) - origins[-1]
        past = 2 * longest_horizon(market, self.asked, as_of=origins[0])
        shortest = min(self.horizon, timedelta(days=closed.days), past)
        if shortest < _SHORTEST:
            raise declined_to_judge(self.name, _SHORTEST)
        return shortest

    def _require_fitted(self) -> FittedValue:
        if self._fitted is None:
            from sklearn.exceptions import NotFittedError

            text = f"'{self.name}' has not learned anything yet; call fit(market, as_of=…) first."
            raise NotFittedError(text)
        return self._fitted

    def _require_tables(self, market: "Market") -> None:
        super()._require_tables(market)
        if "amount" not in market.table("orders").columns:
            needed = "what each line of an order costs: map amount in [tables.orders.columns]"
            raise declined(self.name, "'orders' has no column 'amount'", needed)

    def _plan(self, market: "Market", as_of: datetime) -> TrainingPlan:
        horizon = self._judged(market, as_of)
        plan = None if horizon < _SHORTEST else self._planned(market, as_of, horizon)
        if plan is None or not plan.origins:
            raise self._too_short(market, as_of)
        return plan

    def _planned(
        self, market: "Market", as_of: datetime, horizon: timedelta
    ) -> TrainingPlan | None:
        return plan_training(
            market,
            replace(self.asked, horizon=horizon),
            as_of=as_of,
            folds=self.folds,
            warm_up=WARM_UP,
            most_cutoffs=self.most_cutoffs,
        )

    def _too_short(self, market: "Market", as_of: datetime) -> DeclinedError:
        span, longest = self.horizon, longest_horizon(market, self.asked, as_of=as_of)
        reason = (
            f"orders up to {as_of:%Y-%m-%d} do not hold two closed windows of "
            f"{duration_text(span)}, one to learn from and one to be judged on"
        )
        needed = f"at least {(2 * span + WARM_UP).days} days of orders"
        if longest >= _SHORTEST:
            needed += f"; the longest horizon that these can carry is {duration_text(longest)}"
        return declined(self.name, reason, needed)

    def _open(
        self, market: "Market", plan: TrainingPlan, *, known_at: datetime, present: datetime
    ) -> ValueStudy:
        return open_value_study(
            market,
            self.asked,
            plan,
            features=self.features,
            known_at=known_at,
            most_rows=self.most_rows,
            present=present,
        )

    def _gate(self, market: "Market", as_of: datetime) -> DataGate:
        """Return what the orders can carry; decline where they carry nothing."""
        horizon = self._judged(market, as_of)
        gate = hold_data_gate(
            order_history(market, as_of=as_of),
            as_of=as_of,
            horizon=max(horizon, _SHORTEST),
            needs=self._data_needs,
        )
        if gate.carries == "nothing":
            raise declined(self.name, gate.obstacle, "more of them, or a longer past")
        return gate

    def _contest(self, study: ValueStudy, target: Target, gate: DataGate) -> AmountContest:
        candidates = self._candidates(target, study.plan.horizon)
        if gate.carries != "model":
            few = {BuyTillYouDieAmounts.name} & candidates.challengers.keys()
            kept = {name: candidates.challengers[name] for name in few}
            candidates = replace(candidates, challengers=kept)
        contest = hold_amount_contest(study.exams(target), candidates)
        if contest is None:
            raise declined_to_judge(self.name, study.plan.horizon)
        return contest

    def _learned(
        self, study: ValueStudy, target: Target, as_of: datetime, gate: DataGate
    ) -> Amount:
        """Choose, and learn from all that is closed."""
        contest = self._contest(study, target, gate)
        lesson = study.lesson(target, study.plan.cutoffs, present=as_of, known_at=as_of)
        learner = self._candidates(target, self.horizon).make(contest.chosen).fit(lesson)
        factor = None
        season = study.season(target, as_of) if contest.seasonal else None
        if season is not None:
            factor = season.factor(learner)
        evidence = self._sum_up(study, contest, target, gate, seasonal_factor=factor)
        stretch = 1.0
        if contest.chosen != BuyTillYouDieAmounts.name:
            # What is learned from windows of one length goes on at the same pace.
            stretch = self.horizon / study.plan.horizon
        return Amount(learner, stretch * (factor or 1.0), evidence)

    def _sum_up(
        self,
        study: ValueStudy,
        contest: AmountContest,
        target: Target,
        gate: DataGate,
        *,
        seasonal_factor: float | None,
    ) -> Evidence:
        plan, totals = study.plan, contest.totals()
        amount = study.amount(target, plan.cutoffs)
        rows = study.snapshots.at(plan.cutoffs)
        error = relative_total_error(
            [total.observed for total in totals],
            [max(total.expected, 1e-9) for total in totals],
            own_chance=[total.own_chance for total in totals],
        )
        limits = amount_limits_in_words(
            contest,
            study,
            relative_error=error,
            seasonal_factor=seasonal_factor,
            horizon=self.horizon,
        )
        # Whoever extrapolates tries nothing else in any case.
        enough = {"model", "btyd"} if self._extrapolates else {"model"}
        if gate.carries not in enough:
            limits = (gate.in_words, *limits)
        return Evidence(
            predictor=self.name,
            question=self.text if target == "value" else self._text_of_orders,
            folds=contest.scores(),
            baseline=contest.baseline,
            chosen=contest.chosen,
            challenger=contest.challenger,
            gain=contest.gain,
            verdict=amount_verdict_in_words(contest),
            calibration=None,
            gains=None,
            totals=totals,
            relative_error=error,
            first_cutoff=plan.cutoffs[0],
            last_cutoff=plan.cutoffs[-1],
            rows=len(rows),
            contacts=len(set(rows.contact_id)),
            positives=int((amount > 0.0).sum()),
            features=tuple(feature.name for feature in study.features),
            left_out=study.left_out,
            limits=limits,
            metric=METRIC,
            unit="currency" if target == "value" else "days",
            deciles=value_deciles(*contest.pooled(contest.chosen)),
            dispersion=contest.dispersion,
            seasonal_factor=seasonal_factor,
        )

    @property
    def _text_of_orders(self) -> str:
        return f"On how many days will contacts order within {self.horizon.days} days?"
