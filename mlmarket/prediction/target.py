"""How does a team ask a question of its own?

A label and a horizon are enough: ``TargetModel("upgrade", label="event upgrade", horizon="30D")``.
Whoever has a scikit-learn estimator of their own hands it in through :func:`from_estimator`.
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from mlmarket.errors import ConfigurationError
from mlmarket.features import Behaviour, Feature
from mlmarket.features.rows import tables_of
from mlmarket.market.time import duration_text, parse_duration
from mlmarket.prediction.contest import Candidates
from mlmarket.prediction.estimator import EstimatorLearner, require_probabilities
from mlmarket.prediction.learner import BaseRate, Blend, Learner
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.question import Answer, Question
from mlmarket.prediction.supervised import SupervisedPredictor
from mlmarket.prediction.trees import BoostedTrees

__all__ = ["TargetModel", "blend", "from_estimator"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


def blend() -> Blend:
    """Return the default model: the mean of small boosted trees and a logistic regression."""
    return Blend([BoostedTrees(), LogisticModel(strength=30.0)])


class TargetModel(SupervisedPredictor):
    """Will a contact do this within the horizon?

    Parameters
    ----------
    name : str
        Name of the predictor and first word of its columns: small letters, digits, underscores.
    label : str
        What is asked, such as ``event upgrade``, ``no order`` or ``outcome won``.
    horizon : str or timedelta
        Within which time, such as ``30D``.
    eligible : str, optional
        Of whom, such as ``event login within 90D``; by default of every contact.
    features : sequence of Feature or str, optional
        Features, and names of sets; by default all that the tables allow.
    estimator : sklearn.base.ClassifierMixin, optional
        In place of the default model.
    own_estimator : bool, default False
        Whether an estimator was given to the model whose files are loaded.

    Raises
    ------
    ConfigurationError
        Where one of them cannot be read, or the estimator gives no probabilities.

    Examples
    --------
    >>> TargetModel("upgrade", label="event upgrade", horizon="30D").needs
    frozenset({'events'})
    """

    def __init__(
        self,
        name: str,
        *,
        label: str,
        horizon: str | timedelta,
        eligible: str | None = None,
        features: Sequence[Feature | str] | None = None,
        estimator: Any = None,  # noqa: ANN401 - untyped upstream
        own_estimator: bool = False,
    ) -> None:
        if _NAME.fullmatch(name) is None:
            raise ConfigurationError(
                f"A predictor cannot be called {name!r}.",
                "Its columns and folders begin with the name.",
                "use small letters, digits and underscores, such as 'upgrade'.",
            )
        if estimator is not None:
            require_probabilities(estimator)
        behaviour, span = Behaviour.parse(label), parse_duration(horizon)
        gate = None if eligible in {None, "contact"} else Behaviour.parse(str(eligible))
        own = own_estimator or estimator is not None
        text = duration_text(span)
        description = f"probability of '{behaviour}' within {text}"

        def challenger() -> Learner:
            return EstimatorLearner(estimator) if own else blend()

        question = Question(
            name=name,
            text=f"Who will show '{behaviour}' within {text}?",
            label=behaviour,
            horizon=span,
            eligible=gate,
            needs=tables_of(behaviour) | (tables_of(gate) if gate is not None else frozenset()),
            answer=Answer(
                f"{name}_probability_{text.lower()}",
                description,
                f"people with '{behaviour}' within {span.days} days",
            ),
            candidates=Candidates(
                {EstimatorLearner.name if own else "blend": challenger},
                baselines={"base_rate": BaseRate},
            ),
        )
        parameters = {
            "name": name,
            "label": str(behaviour),
            "horizon": text,
            "eligible": eligible,
            "own_estimator": own,
        }
        super().__init__(question, parameters=parameters, features=features)


def from_estimator(
    estimator: Any,  # noqa: ANN401 - untyped upstream
    *,
    name: str,
    label: str,
    horizon: str | timedelta,
    eligible: str | None = None,
    features: Sequence[Feature | str] | None = None,
) -> TargetModel:
    """Return a predictor that uses a scikit-learn classifier.

    Parameters
    ----------
    estimator : sklearn.base.ClassifierMixin
        A classifier or pipeline with ``predict_proba``; it is cloned, never changed.
    name : str
        Name of the predictor and first word of its columns.
    label : str
        What is asked, as for :class:`TargetModel`.
    horizon : str or timedelta
        Within which time, such as ``30D``.
    eligible : str, optional
        Of whom; by default of every contact.
    features : sequence of Feature or str, optional
        Features, and names of sets; by default all that the tables allow.

    Returns
    -------
    TargetModel
        With backtest, evidence, night and segments like any other; it is used only where it
        beats the base rate.

    Raises
    ------
    ConfigurationError
        Where one of them cannot be read, or the estimator gives no probabilities.
    """
    require_probabilities(estimator)
    return TargetModel(
        name,
        label=label,
        horizon=horizon,
        eligible=eligible,
        features=features,
        estimator=estimator,
    )
