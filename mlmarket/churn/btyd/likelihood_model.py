"""What do all models have in common that are fitted by maximum likelihood?

Arguments are stored untouched, learned numbers end in ``_``, and what was not settled by the data
is said.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np

from mlmarket.churn.btyd.histories import Floats
from mlmarket.churn.btyd.maximum import ConvergenceWarning, Maximum, Peak, maximise
from mlmarket.errors import ConfigurationError, DataContractError, suggestion

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LikelihoodModel", "ParameterDraws", "Sample"]

_LEARNED: Final = ("log_likelihood_", "converged_", "message_", "iterations_", "contacts_")


@dataclass(frozen=True, slots=True)
class ParameterDraws:
    """Parameters learned again from data that a fitted model drew.

    Parameters
    ----------
    names : tuple of str
        Of the parameters.
    value : ndarray of float64, shape (parameters,)
        Of the model that drew.
    draws : ndarray of float64, shape (draws, parameters)
        What was learned from each.
    converged : ndarray of bool, shape (draws,)
        Whether each settled.
    """

    names: tuple[str, ...]
    value: Floats
    draws: Floats
    converged: "np.ndarray[Any, np.dtype[np.bool_]]"

    def interval(self, level: float = 0.95) -> "pd.DataFrame":
        """Return the range of each parameter.

        Parameters
        ----------
        level : float, default 0.95
            Share of the draws that is inside; those that did not settle count as well.

        Returns
        -------
        pandas.DataFrame
            One row a parameter: ``value, low, high``.

        Raises
        ------
        ConfigurationError
            Where the level is not between 0 and 1.
        """
        import pandas as pd

        if not 0.0 < level < 1.0:
            what = f"The level {level} is not between 0 and 1."
            raise ConfigurationError(what, "It is a share of the draws.", "pass level=0.95.")
        tail = (1.0 - level) / 2.0
        low, high = np.quantile(self.draws, [tail, 1.0 - tail], axis=0)
        columns = {"value": self.value, "low": low, "high": high}
        return pd.DataFrame(columns, index=pd.Index(self.names, name="parameter"))

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a draw and a column a parameter, with ``converged`` behind.

        Returns
        -------
        pandas.DataFrame
            In the order of the draws.
        """
        import pandas as pd

        return pd.DataFrame(self.draws, columns=list(self.names)).assign(converged=self.converged)

    def _repr_html_(self) -> str:
        return self.interval()._repr_html_()  # type: ignore[operator,no-any-return]


@dataclass(frozen=True, slots=True)
class Sample:
    """What a likelihood is made of.

    Parameters
    ----------
    likelihood : callable
        From logarithms of scaled parameters to log-likelihood, gradient and Hessian.
    thinned : callable or None
        The same of a part of the contacts, where there are many.
    scale : ndarray of float64, shape (parameters,)
        What one unit of each scaled parameter is in the model's own.
    centre : ndarray of float64, shape (parameters,)
        Usual values of the scaled parameters: where the search starts, and what a penalty draws to.
    constant : float
        Log-likelihood in the model's own units, less the scaled one.
    contacts, informative : float
        How many contacts there are, and how many of them say something about each parameter.
    """

    likelihood: Callable[[Floats], Peak]
    thinned: Callable[[Floats], Peak] | None
    scale: Floats
    centre: Floats
    constant: float
    contacts: float
    informative: float


class LikelihoodModel(ABC):
    """Base of the models: search, errors of the parameters, and how they are kept.

    Parameters
    ----------
    penalty : float, default 0
        Precision of a normal prior on the logarithm of each parameter, around a usual value.
    start : mapping of str to float, optional
        Where the search begins, by parameter.
    """

    kind: ClassVar[str]
    names: ClassVar[tuple[str, ...]]
    _informative: ClassVar[str]

    log_likelihood_: float
    standard_errors_: dict[str, float] | None
    converged_: bool
    message_: str
    iterations_: int
    contacts_: int

    def __init__(self, *, penalty: float = 0.0, start: Mapping[str, float] | None = None) -> None:
        self.penalty = penalty
        self.start = start

    @property
    def arguments(self) -> dict[str, Any]:
        """What it was made with."""
        start = None if self.start is None else dict(self.start)
        return {"penalty": self.penalty, "start": start}

    @property
    def parameters_(self) -> dict[str, float]:
        """What was learned, by name."""
        self.require_fitted()
        return {name: float(getattr(self, f"{name}_")) for name in self.names}

    @property
    def _values(self) -> Floats:
        return np.array(list(self.parameters_.values()))

    def require_fitted(self) -> None:
        """Raise a ConfigurationError where there are no parameters yet."""
        if not hasattr(self, f"{self.names[0]}_"):
            what = f"This {type(self).__name__} has not been fitted."
            raise ConfigurationError(what, "It has no parameters yet.", "call fit(summary) first.")

    def _learn(self, sample: Sample) -> None:
        """Find the parameters and set what ends in ``_``."""
        self._refuse_too_little(sample)
        centre = np.log(sample.centre)
        place = self._start(centre, sample.scale)
        if sample.thinned is not None:
            place = self._maximum(sample.thinned, place, centre, sample).place
        top = self._maximum(sample.likelihood, place, centre, sample)
        values = np.exp(top.place) * sample.scale
        for name, value in zip(self.names, values, strict=True):
            setattr(self, f"{name}_", float(value))
        pulled = self.penalty / 2.0 * float(((top.place - centre) ** 2).sum())
        self.log_likelihood_ = top.log_likelihood + pulled + sample.constant
        self.standard_errors_ = None
        if top.covariance is not None:
            errors = values * np.sqrt(np.diag(top.covariance))
            self.standard_errors_ = dict(zip(self.names, errors.tolist(), strict=True))
        self.converged_, self.iterations_ = top.converged, top.iterations
        self.contacts_ = round(sample.contacts)
        self.message_ = self._verdict(top)

    def _maximum(
        self, likelihood: Callable[[Floats], Peak], start: Floats, centre: Floats, sample: Sample
    ) -> Maximum:
        def objective(place: Floats) -> Peak:
            value, gradient, hessian = likelihood(place)
            away = place - centre
            return (
                value - self.penalty / 2.0 * float(away @ away),
                gradient - self.penalty * away,
                hessian - self.penalty * np.eye(place.size),
            )

        return maximise(objective if self.penalty else likelihood, start, contacts=sample.contacts)

    def _verdict(self, top: Maximum) -> str:
        if top.converged:
            return f"converged after {top.iterations} evaluations"
        loose = ", ".join(f"{self.names[number]}_" for number in top.loose)
        message = f"not converged: the data do not settle {loose}"
        warnings.warn(
            f"{type(self).__name__} did not converge: {loose} can still change at almost no cost "
            f"to the likelihood.\n"
            "Its predictions for contacts like these hold, its parameters mean nothing, and they "
            "have no standard errors.\n"
            "Fix: fit more contacts or a longer history, or set penalty=1.0.",
            ConvergenceWarning,
            stacklevel=4,
        )
        return message

    def _refuse_too_little(self, sample: Sample) -> None:
        enough = self.penalty > 0.0 or sample.informative >= len(self.names)
        if enough and sample.contacts > 0.0:
            return
        found = round(sample.informative)
        people = f"{round(sample.contacts):,} contact{'' if sample.contacts == 1.0 else 's'}"
        raise DataContractError(
            f"{found} of {people} {self._informative}.",
            f"{type(self).__name__} has {len(self.names)} parameters, which cannot be learned from "
            "fewer.",
            "pass more contacts or a longer history, or draw the parameters to usual values with "
            "penalty=1.0.",
        )

    def _start(self, centre: Floats, scale: Floats) -> Floats:
        """Return the logarithms of the scaled parameters that the search begins with."""
        if isinstance(self.penalty, bool) or not 0.0 <= self.penalty < np.inf:
            what = f"penalty={self.penalty!r} is not a number from 0 up."
            why = "It says how firmly parameters are drawn to usual values."
            raise ConfigurationError(what, why, "pass penalty=0.0 for none, 1.0 for little data.")
        place = centre.copy()
        for name, value in (self.start or {}).items():
            if name not in self.names:
                what = f"start= has '{name}', which is no parameter of {type(self).__name__}."
                why = "It would be a number that does nothing."
                raise ConfigurationError(what, why, suggestion(name, self.names))
            if not 0.0 < value < np.inf:
                what = f"start= has {name}={value!r}."
                raise ConfigurationError(what, "Parameters are above 0.", "pass such as 1.0.")
            number = self.names.index(name)
            place[number] = np.log(value / scale[number])
        return place

    def to_frame(self, level: float = 0.95) -> "pd.DataFrame":
        """Return the parameters with their standard errors and intervals.

        Parameters
        ----------
        level : float, default 0.95
            Coverage; the intervals are normal in the logarithm of a parameter.

        Returns
        -------
        pandas.DataFrame
            One row a parameter: ``value, standard_error, low, high``; the last three missing where
            the fit did not converge.
        """
        import pandas as pd
        from scipy.special import ndtri

        values = self._values
        known = self.standard_errors_
        errors = np.full(values.size, np.nan) if known is None else np.array(list(known.values()))
        reach = np.exp(ndtri(0.5 + level / 2.0) * errors / values)
        columns = {
            "value": values,
            "standard_error": errors,
            "low": values / reach,
            "high": values * reach,
        }
        return pd.DataFrame(columns, index=pd.Index(self.names, name="parameter"))

    @abstractmethod
    def fit(self, summary: object) -> Self:
        """Learn the parameters; every model says from what."""

    @abstractmethod
    def _simulated_like(self, summary: object, draw: np.random.Generator) -> "pd.DataFrame":
        """Draw as many contacts as there are, as the model thinks they are."""

    def bootstrap(
        self, summary: object, *, n: int = 100, random_state: int | np.random.Generator
    ) -> ParameterDraws:
        """Draw data from the fitted model and learn from them, again and again.

        The parametric bootstrap: where a standard error trusts the shape of the top, this one looks.

        Parameters
        ----------
        summary : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            What :meth:`fit` learned from; the draws are of as many contacts, observed as long.
        n : int, default 100
            How many draws.
        random_state : int or numpy.random.Generator
            Seed or source of the draws.

        Returns
        -------
        ParameterDraws
            With :meth:`ParameterDraws.interval`.

        Raises
        ------
        ConfigurationError
            Where the model is not fitted, or `n` is below 2.

        References
        ----------
        Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 6.
        """
        if n < 2:
            what = f"n={n} draws have no range."
            raise ConfigurationError(what, "An interval is made of many.", "pass n=100 or more.")
        values, draw = self._values, np.random.default_rng(random_state)
        draws, converged = np.empty((n, values.size)), np.empty(n, dtype=np.bool_)
        again = type(self)(**{**self.arguments, "start": self.parameters_})
        for number in range(n):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                again.fit(self._simulated_like(summary, draw))
            draws[number], converged[number] = again._values, again.converged_
        return ParameterDraws(self.names, values, draws, converged)

    def to_dict(self) -> dict[str, Any]:
        """Return the fitted model as plain values, for JSON.

        Returns
        -------
        dict
            What :meth:`from_dict` reads.

        Raises
        ------
        ConfigurationError
            Where the model is not fitted.
        """
        self.require_fitted()
        learned = {name.rstrip("_"): getattr(self, name) for name in self._learned()}
        return {
            "kind": self.kind,
            "arguments": self.arguments,
            "parameters": self.parameters_,
            "standard_errors": self.standard_errors_,
            **learned,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Return the model that :meth:`to_dict` wrote.

        Parameters
        ----------
        content : mapping
            Plain values.

        Returns
        -------
        LikelihoodModel
            Predicts the very same numbers.

        Raises
        ------
        ConfigurationError
            Where it is another model, or something is missing.
        """
        if content.get("kind") != cls.kind:
            what = f"This is a model of the kind {content.get('kind')!r}, not '{cls.kind}'."
            why = "Parameters of one model mean something else in another."
            raise ConfigurationError(what, why, "read it with the class that wrote it.")
        try:
            model = cls(**content["arguments"])
            for name in cls.names:
                setattr(model, f"{name}_", float(content["parameters"][name]))
            errors = content["standard_errors"]
            model.standard_errors_ = None if errors is None else dict(errors)
            for name in cls._learned():
                setattr(model, name, content[name.rstrip("_")])
        except (KeyError, TypeError, ValueError) as error:
            what = f"The kept {cls.__name__} cannot be read: {error!r}."
            why = "A model needs all of its numbers."
            raise ConfigurationError(what, why, "fit it again.") from error
        return model

    @classmethod
    def _learned(cls) -> tuple[str, ...]:
        return _LEARNED
