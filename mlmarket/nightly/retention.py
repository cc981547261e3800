"""What would keeping each person save tonight?

The value at stake comes from one predictor and the probability of leaving from another, so that
neither of them can say it; the response and the costs are the team's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.churn import expected_value_saved
from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.evaluation import Interval
from mlmarket.nightly.settings import BUILT_IN, NightSettings, RetentionSettings
from mlmarket.prediction import BatchPredictor, OutputColumn

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SAVED", "Retention", "retention_of", "saved_column"]

SAVED: Final = "expected_value_saved"
_OWNER: Final = "retention"
_OF_LEAVING: Final = frozenset({"churn", "subscription"})
_DOUBT: Final = 0.5
"""The response may be half of what is assumed, or half as much again."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What keeping a person is made of.

    Parameters
    ----------
    value, leaving : str
        Columns of the value at stake and of the probability of leaving.
    settings : RetentionSettings
        The response and the costs.
    currency : str
        Of the business.
    """

    value: str
    leaving: str
    settings: RetentionSettings
    currency: str

    def beside(self, contacts: "pa.Table") -> "pa.Table":
        """Return predictions with the value saved, missing where one of the two is.

        Parameters
        ----------
        contacts : pyarrow.Table
            Predictions, one row a contact.

        Returns
        -------
        pyarrow.Table
            With ``expected_value_saved`` as its last column.
        """
        import pyarrow as pa

        saved = expected_value_saved(
            _numbers(contacts, self.value),
            _numbers(contacts, self.leaving),
            response=self.settings.response,
            cost_per_contact=self.settings.cost_per_contact,
        )
        return contacts.append_column(SAVED, pa.array(saved, pa.float64(), from_pandas=True))

    def total(self, saved: npt.NDArray[np.float64]) -> Interval:
        """Return what some people are expected to save together.

        Parameters
        ----------
        saved : ndarray of float64, shape (people,)
            Of ``expected_value_saved``.

        Returns
        -------
        Interval
            From half of the assumed response to half as much again: a range of assumptions, which
            covers nothing with a known probability.
        """
        costs = self.settings.cost_per_contact * len(saved)
        gross = float(np.sort(saved).sum()) + costs
        low, high = ((1.0 + doubt) * gross - costs for doubt in (-_DOUBT, _DOUBT))
        return Interval(gross - costs, low, high, level=float("nan"))

    @property
    def in_words(self) -> str:
        """What a sum counts."""
        response = self.settings.response
        low, high = (1.0 - _DOUBT) * response, min((1.0 + _DOUBT) * response, 1.0)
        return (
            f"{self.currency} saved after costs, if {100.0 * response:.3g} % of those who would "
            f"leave stay; the range is for {100.0 * low:.3g} to {100.0 * high:.3g} %"
        )


def retention_of(settings: NightSettings, predictors: Sequence[BatchPredictor]) -> Retention | None:
    """Return what keeping a person is made of tonight.

    Parameters
    ----------
    settings : NightSettings
        With ``[retention]``, or without.
    predictors : sequence of BatchPredictor
        Those that answer.

    Returns
    -------
    Retention or None
        None where nothing is configured, or one of the two predictors does not answer tonight.
    """
    said = settings.retention
    if said is None:
        return None
    columns = {one.name: one.headline.column for one in predictors}
    if said.value not in columns or said.leaving not in columns:
        return None
    currency = settings.business.currency
    return Retention(columns[said.value], columns[said.leaving], said, currency)


def saved_column(
    settings: NightSettings, predictors: Sequence[BatchPredictor]
) -> dict[str, OutputColumn]:
    """Return the column that ``[retention]`` adds to the predictions.

    Parameters
    ----------
    settings : NightSettings
        With ``[retention]``, or without.
    predictors : sequence of BatchPredictor
        Those that are asked, trained or not.

    Returns
    -------
    dict of str to OutputColumn
        Empty where nothing is configured.

    Raises
    ------
    ConfigurationError
        Where it names a predictor that is not asked, or that says something else.
    """
    said = settings.retention
    if said is None:
        return {}
    worth = [one.name for one in predictors if one.headline.unit == "currency"]
    # A question of a team's own may be one of leaving; mlmarket's own are known.
    leaving = [
        one.name
        for one in predictors
        if one.headline.unit == "probability"
        and (one.name in _OF_LEAVING or one.name not in BUILT_IN)
    ]
    _require("value", said.value, worth, "says what a person is worth")
    _require("leaving", said.leaving, leaving, "says how likely a person is to leave")
    says = "value that contacting is expected to save, after its cost"
    return {SAVED: OutputColumn(SAVED, "number", _OWNER, "currency", says)}


def _require(key: str, name: str, fitting: Sequence[str], says: str) -> None:
    if name not in fitting:
        fix = suggestion(name, fitting) if fitting else f"ask a question that {says}."
        raise ConfigurationError(
            f"[retention] takes `{key}` from '{name}', which is not asked, or says something else.",
            f"The value saved is made of a question that {says}.",
            fix,
        )


def _numbers(contacts: "pa.Table", column: str) -> npt.NDArray[np.float64]:
    values = contacts.column(column).to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float64)
