"""Who will buy, and who is leaving?

Without a contract nobody gives notice: leaving is *no order within the horizon*. One model answers
both questions.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mlmarket.churn.gates import DataGate, DataNeeds, hold_data_gate, order_history
from mlmarket.churn.purchase.beta_geo_learner import ALIVE, BetaGeoLearner
from mlmarket.churn.purchase.candidates import candidates
from mlmarket.features import Behaviour, Feature, days_active, first_touch, recency, total
from mlmarket.features.rows import tables_of
from mlmarket.market.time import duration_text, parse_duration
from mlmarket.prediction.contest import Candidates
from mlmarket.prediction.question import Answer, Fact, Question
from mlmarket.prediction.study import declined
from mlmarket.prediction.supervised import SupervisedPredictor

if TYPE_CHECKING:
    from mlmarket.market import Market

__all__ = ["ChurnModel", "PurchaseModel"]

_FACTS: Final = (
    Fact("days_since_last_order", "order_recency", "days", "days since the last order"),
    Fact("order_days_365d", "order_days_active_365d", "days", "days with an order in 365 days"),
    Fact(
        "order_value_365d",
        "order_total_365d",
        "currency",
        "value of orders in 365 days, before returns",
    ),
    Fact(
        ALIVE,
        ALIVE,
        "probability",
        "probability of BG/NBD to be a customer still: a diagnostic that decides nothing",
        diagnostic=True,
    ),
)
_OF_RULES: Final = (
    recency("order"),
    first_touch("order"),
    days_active("order"),
    total("order"),
)
"""What simple rules and BG/NBD are made of: they are known whatever else the model is to know."""
_OF_FACTS: Final = (days_active("order", "365D"), total("order", "365D"))


class _OrderPredictor(SupervisedPredictor):
    """Asks about orders, as far as they can carry an answer."""

    def __init__(
        self,
        question: Question,
        *,
        eligible: str,
        features: Sequence[Feature | str] | None,
        needs: Mapping[str, int] | None,
        tuned: bool,
    ) -> None:
        self._data_needs = DataNeeds.of(needs)
        parameters: dict[str, object] = {
            "horizon": duration_text(question.horizon),
            "eligible": eligible,
            "tuned": tuned,
        }
        if needs:
            parameters["needs"] = dict(needs)
        super().__init__(question, parameters=parameters, features=features)

    def data_gate(self, market: "Market", *, as_of: datetime) -> DataGate:
        """Return what the orders can carry, and why.

        Parameters
        ----------
        market : Market
            With orders.
        as_of : datetime
            Rows after it are not looked at.

        Returns
        -------
        DataGate
            For this horizon.
        """
        history = order_history(market, as_of=as_of)
        return hold_data_gate(history, as_of=as_of, horizon=self.horizon, needs=self._data_needs)

    def admitted(self, market: "Market", *, as_of: datetime) -> tuple[Candidates, tuple[str, ...]]:
        """Return who may take part: fewer models where there is little data.

        Parameters
        ----------
        market : Market
            With orders.
        as_of : datetime
            Rows after it are not looked at.

        Returns
        -------
        tuple of (Candidates, tuple of str)
            And why there are no more.

        Raises
        ------
        DeclinedError
            Where the orders cannot carry any answer.
        """
        gate = self.data_gate(market, as_of=as_of)
        everybody = self.question.candidates
        if gate.carries == "model":
            return everybody, ()
        if gate.carries == "nothing":
            raise declined(self.name, gate.obstacle, "more of them, or a longer past")
        few = {BetaGeoLearner.name} if gate.carries == "btyd" else set()
        return everybody.limited_to(few), (gate.in_words,)

    def shortfall(self, market: "Market", *, as_of: datetime) -> str:
        """Return what it lacks to learn; see :class:`~mlmarket.prediction.SnapshotPredictor`."""
        lacking = super().shortfall(market, as_of=as_of)
        if lacking:
            return lacking
        gate = self.data_gate(market, as_of=as_of)
        return f"more orders ({gate.obstacle})" if gate.carries == "nothing" else ""


class PurchaseModel(_OrderPredictor):
    """Probability of at least one order within the horizon.

    Parameters
    ----------
    horizon : str or timedelta, default "30D"
        How far to look.
    eligible : str, default "order"
        Of whom it is asked; ``contact`` means everybody.
    features : sequence of Feature or str, optional
        Features, and names of sets; by default all that the tables allow. Recency, frequency and
        monetary value are known in any case: the rules that the model must beat are made of them.
    needs : mapping of str to int, optional
        Where a team wants less or more data than :class:`~mlmarket.churn.DataNeeds` before models
        are tried, such as ``{"buyers": 200}``.
    tuned : bool, default False
        Whether a blend takes part whose settings are searched at each origin; it takes several
        times as long, and gained nothing where it was measured.

    Raises
    ------
    ConfigurationError
        Where one of them cannot be read.

    Examples
    --------
    >>> sorted(PurchaseModel(horizon="30D").outputs)[-2:]
    ['purchase_model_version', 'purchase_probability_30d']
    """

    def __init__(
        self,
        horizon: str | timedelta = "30D",
        *,
        eligible: str = "order",
        features: Sequence[Feature | str] | None = None,
        needs: Mapping[str, int] | None = None,
        tuned: bool = False,
    ) -> None:
        span = duration_text(parse_duration(horizon))
        answer = Answer(
            probability=f"purchase_probability_{span.lower()}",
            description=f"probability of at least one order within {span}",
            outcome=f"buyers within {parse_duration(span).days} days",
            facts=_FACTS,
        )
        question = _question(
            "purchase", "Who will buy", "order", span, eligible, answer, tuned=tuned
        )
        known = None if features is None else (*features, *_OF_RULES, *_OF_FACTS)
        super().__init__(question, eligible=eligible, features=known, needs=needs, tuned=tuned)


class ChurnModel(_OrderPredictor):
    """Probability of no order within the horizon, for people who bought lately.

    Parameters
    ----------
    horizon : str or timedelta, default "90D"
        How long a silence counts as leaving.
    eligible : str, default "order within 365D"
        Of whom it is asked: who has not bought for a year left long ago. ``contact`` means
        everybody.
    features : sequence of Feature or str, optional
        As for :class:`PurchaseModel`.
    needs : mapping of str to int, optional
        As for :class:`PurchaseModel`.
    tuned : bool, default False
        As for :class:`PurchaseModel`.

    Raises
    ------
    ConfigurationError
        Where one of them cannot be read.

    Notes
    -----
    ``churn_risk`` is ``high`` from the probability on that the top fifth of the people of the last
    closed window had, ``medium`` from the one on that the upper half had, and ``low`` below. These
    two probabilities are kept with the model, so that the words mean the same each night until it
    is trained again: in a bad month more people are at high risk. Where both are the same
    probability, as under a rule that tells nobody apart, whoever has it is at medium risk.
    """

    def __init__(
        self,
        horizon: str | timedelta = "90D",
        *,
        eligible: str = "order within 365D",
        features: Sequence[Feature | str] | None = None,
        needs: Mapping[str, int] | None = None,
        tuned: bool = False,
    ) -> None:
        span = duration_text(parse_duration(horizon))
        answer = Answer(
            probability=f"churn_probability_{span.lower()}",
            description=f"probability of no order within {span}",
            outcome=f"people without an order within {parse_duration(span).days} days",
            grade="churn_risk",
            grades=(("low", 0.0), ("medium", 0.5), ("high", 0.8)),
        )
        question = _question(
            "churn",
            "Who is leaving, with no order",
            "no order",
            span,
            eligible,
            answer,
            tuned=tuned,
        )
        known = None if features is None else (*features, *_OF_RULES)
        super().__init__(question, eligible=eligible, features=known, needs=needs, tuned=tuned)


def _question(
    name: str, text: str, label: str, span: str, eligible: str, answer: Answer, *, tuned: bool
) -> Question:
    gate = None if eligible == "contact" else Behaviour.parse(eligible)
    asked, horizon = Behaviour.parse(label), parse_duration(span)
    return Question(
        name=name,
        text=f"{text} within {horizon.days} days?",
        label=asked,
        horizon=horizon,
        eligible=gate,
        needs=frozenset({"orders"}) | (tables_of(gate) if gate is not None else frozenset()),
        answer=answer,
        candidates=candidates(horizon, negated=asked.negated, tuned=tuned),
    )
