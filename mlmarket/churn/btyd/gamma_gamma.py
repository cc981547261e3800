"""What is a purchase of each contact worth: the Gamma-Gamma model of spend."""

from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from mlmarket.churn.btyd.geometric import by_logarithms
from mlmarket.churn.btyd.histories import (
    FREQUENCY,
    MONETARY_VALUE,
    Floats,
    read_column,
    read_frequency,
    read_values,
)
from mlmarket.churn.btyd.likelihood_model import LikelihoodModel, Sample
from mlmarket.churn.btyd.maximum import Peak
from mlmarket.errors import DataContractError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GammaGammaModel"]


class GammaGammaModel(LikelihoodModel):
    """The mean value of a contact's purchases, from the few that were seen.

    Values of a contact's purchases are Gamma distributed (shape `p_`) around a mean of its own, and
    the rates of these distributions are Gamma distributed over contacts (shape `q_`, rate
    `gamma_`). What a contact spends is taken to say nothing about how often it buys: look at
    ``summary[["frequency", "monetary_value"]].corr()`` first.

    Parameters
    ----------
    penalty : float, default 0
        As for :class:`~mlmarket.churn.btyd.beta_geo.BetaGeoModel`.
    start : mapping of str to float, optional
        Where the search begins, by parameter.

    Attributes
    ----------
    p_, q_, gamma_ : float
        The parameters; `gamma_` in currency.
    log_likelihood_, standard_errors_, converged_, message_, iterations_, contacts_
        As for :class:`~mlmarket.churn.btyd.beta_geo.BetaGeoModel`; contacts that bought again.

    References
    ----------
    Fader, Hardie and Lee (2005), RFM and CLV: using iso-value curves for customer base analysis,
    Journal of Marketing Research 42(4).
    Fader and Hardie (2013), The Gamma-Gamma model of monetary value.

    Examples
    --------
    >>> import pandas as pd
    >>> columns = {"frequency": [2, 0, 4, 1], "monetary_value": [30.0, 0.0, 12.0, 80.0]}
    >>> model = GammaGammaModel(penalty=1.0).fit(pd.DataFrame(columns))
    >>> model.expected_value(pd.DataFrame(columns)).round(1)
    array([32. , 37.4, 16.1, 61.5])
    """

    kind = "gamma_gamma"
    names = ("p", "q", "gamma")
    _informative = "bought again at a known value"

    p_: float
    q_: float
    gamma_: float

    def fit(self, summary: object) -> Self:
        """Learn the parameters.

        Parameters
        ----------
        summary : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            One row a contact with ``frequency`` and ``monetary_value``, the mean value of its
            repeat purchases. Contacts that did not buy again say nothing and are not used.

        Returns
        -------
        Self
            With the parameters, ``log_likelihood_``, ``standard_errors_``, ``converged_``.

        Raises
        ------
        ConfigurationError
            Where an argument or a column is wrong.
        DataContractError
            Where a contact that bought again has no value above 0, or too few bought again.

        Warns
        -----
        ConvergenceWarning
            Where the data do not settle the parameters.
        """
        frequency, value = read_values(summary)
        again = frequency > 0.0
        frequency, value = frequency[again], value[again]
        order = np.lexsort((value, frequency))
        self._learn(_sample(frequency[order], value[order]))
        return self

    def expected_value(self, summary: object) -> Floats:
        """Return the value expected of each contact's next purchases.

        It lies between the mean that was seen and that of all contacts; the more purchases were
        seen, the nearer to their mean.

        Parameters
        ----------
        summary : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            As for :meth:`fit`, of any contacts; who did not buy again has the mean of all.

        Returns
        -------
        ndarray of float64, shape (contacts,)
            A purchase's mean value, above 0, in the order of the rows.

        Raises
        ------
        ConfigurationError
            Where the model is not fitted, or a column is wrong.
        DataContractError
            Where a contact that bought again has no value above 0, or where the mean of all
            contacts is infinite, as it is where `q_` is not above 1.
        """
        self.require_fitted()
        frequency, value = read_values(summary)
        weight = self.p_ * frequency + self.q_ - 1.0
        if not (weight > 0.0).all():
            raise DataContractError(
                f"The mean value of {int((weight <= 0.0).sum()):,} contacts is infinite: "
                f"q_ is {self.q_:.3g}, and it exists only above 1.",
                "The values that were seen have too heavy a tail for this model.",
                "cut off extreme values of purchases, or fit with penalty=1.0.",
            )
        expected: Floats = self.p_ * (self.gamma_ + frequency * value) / weight
        return expected

    def simulate(
        self, frequency: npt.ArrayLike, *, random_state: int | np.random.Generator
    ) -> "pd.DataFrame":
        """Draw mean values as the model thinks they are.

        Parameters
        ----------
        frequency : array-like of shape (n,)
            How often each contact bought again.
        random_state : int or numpy.random.Generator
            Seed or source of the draws.

        Returns
        -------
        pandas.DataFrame
            A summary: ``frequency, monetary_value``, of which the second is 0 where the first is.

        Raises
        ------
        ConfigurationError
            Where the model is not fitted.
        DataContractError
            Where a frequency is no whole number from 0 up.
        """
        import pandas as pd

        self.require_fitted()
        purchases = read_frequency(pd.DataFrame({FREQUENCY: np.atleast_1d(frequency)}))
        draw = np.random.default_rng(random_state)
        rate = draw.gamma(self.q_, 1.0 / self.gamma_, purchases.size)
        value = np.zeros(purchases.size)
        again = purchases > 0.0
        total = draw.gamma(self.p_ * purchases[again]) / rate[again]
        # A value of 0 is no value: a shape near 0 draws numbers too small to be told from it.
        value[again] = np.maximum(total / purchases[again], np.finfo(np.float64).tiny)
        return pd.DataFrame({FREQUENCY: purchases.astype(np.int64), MONETARY_VALUE: value})

    def _simulated_like(self, summary: object, draw: np.random.Generator) -> "pd.DataFrame":
        return self.simulate(read_column(summary, FREQUENCY), random_state=draw)


def _sample(frequency: Floats, value: Floats) -> Sample:
    """Return the likelihood in units of the mean value, around which contacts differ mildly."""
    purchases = float(frequency.sum())
    mean = float(frequency @ value) / purchases if purchases else 1.0
    return Sample(
        likelihood=_GammaGammaLikelihood(frequency, value / mean),
        thinned=None,
        scale=np.array([1.0, 1.0, mean]),
        centre=np.array([2.0, 3.0, 1.0]),
        constant=-frequency.size * float(np.log(mean)),
        contacts=float(frequency.size),
        informative=float(frequency.size),
    )


class _GammaGammaLikelihood:
    """Log-likelihood of mean values, with gradient and Hessian.

    Fader and Hardie (2013), as above, equation (1a).
    """

    def __init__(self, frequency: Floats, value: Floats) -> None:
        self._frequency, self._total = frequency, frequency * value
        self._distinct, place = np.unique(frequency, return_inverse=True)
        self._place = place
        self._count = np.bincount(place, minlength=self._distinct.size).astype(np.float64)
        self._log_total = float(frequency @ np.log(self._total))
        self._log_value = float(np.log(value).sum())

    def __call__(self, logarithms: Floats) -> Peak:
        from scipy.special import digamma, gammaln, zeta

        parameters = np.exp(logarithms)
        p, q, gamma = parameters
        x, count, n = self._distinct, self._count, float(self._frequency.size)
        inverse = 1.0 / (gamma + self._total)
        log_sum = np.log(gamma + self._total)
        by_frequency = np.bincount(self._place, weights=log_sum, minlength=x.size)
        shape = p * x + q
        trigamma, own = zeta(2.0, shape), zeta(2.0, p * x)
        value = count @ (gammaln(shape) - gammaln(p * x)) - n * gammaln(q) + n * q * np.log(gamma)
        value += p * self._log_total - self._log_value - shape @ by_frequency
        slope = digamma(shape)
        weighted = shape[self._place] * inverse
        gradient = np.array(
            [
                (count * x) @ (slope - digamma(p * x)) + self._log_total - x @ by_frequency,
                count @ slope - n * digamma(q) + n * np.log(gamma) - log_sum.sum(),
                n * q / gamma - weighted.sum(),
            ]
        )
        hessian = np.zeros((3, 3))
        hessian[0, 0] = (count * x * x) @ (trigamma - own)
        hessian[0, 1] = (count * x) @ trigamma
        hessian[1, 1] = count @ trigamma - n * zeta(2.0, q)
        hessian[0, 2] = -(self._frequency @ inverse)
        hessian[1, 2] = n / gamma - inverse.sum()
        hessian[2, 2] = weighted @ inverse - n * q / gamma**2
        return by_logarithms(float(value), gradient, hessian, parameters)
