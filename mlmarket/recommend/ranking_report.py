"""How good would the lists have been, and better than what?"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Final

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import Interval, plot_folds
from mlmarket.evaluation.plots import canvas

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["FallbackShare", "Gain", "RankingReport", "RankingScore"]

_BASELINE: Final = "#767676"
_MODEL: Final = "#0072B2"
_CHOSEN: Final = "#D55E00"
_SHOWN: Final = ("ndcg", "recall", "map", "hit_rate", "mrr", "coverage", "novelty", "diversity")


@dataclass(frozen=True, slots=True)
class RankingScore:
    """One measure of one model.

    Parameters
    ----------
    origin : datetime or None
        Where the model stood; None for all origins together.
    model : str
        Which.
    target : str
        ``all``: whatever was taken counts; ``new``: only what the recipient never had, and only such items are shown.
    metric : str
        ``recall, ndcg, map, hit_rate, mrr`` (see :class:`mlmarket.evaluation.RankingScores`), ``coverage`` (share of
        the catalogue that is shown to anybody), ``novelty`` (bits), ``diversity`` (share of pairs of a list that
        are of different categories), ``filled`` (share of places that are not empty).
    value, low, high : float
        Mean over recipients and its 95 % interval; no interval of coverage.
    recipients : int
        How many were judged.
    """

    origin: datetime | None
    model: str
    target: str
    metric: str
    value: float
    low: float
    high: float
    recipients: int


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better a model is than a baseline, over all origins.

    Parameters
    ----------
    model, baseline, target, metric : str
        Of which.
    difference : Interval
        Of the means, with the same drawn recipients in both.
    baseline_value : float
        Mean of the baseline.
    """

    model: str
    baseline: str
    target: str
    metric: str
    difference: Interval
    baseline_value: float

    @property
    def relative(self) -> Interval:
        """The difference as a share of the baseline's mean; NaN where that is 0."""
        by = self.baseline_value or float("nan")
        one = self.difference
        return Interval(one.value / by, one.low / by, one.high / by, one.level)


@dataclass(frozen=True, slots=True)
class FallbackShare:
    """How often a model had to be helped, by length of history.

    Parameters
    ----------
    model, target : str
        Of which.
    occasions : str
        ``1``, ``2`` or ``3 or more``.
    contacts, slots : int
        How many recipients, and how many places were filled.
    share : float
        Of these places, those a fallback filled; NaN without a place.
    """

    model: str
    target: str
    occasions: str
    contacts: int
    slots: int
    share: float


@dataclass(frozen=True, slots=True)
class RankingReport:
    """What backs a choice among models that recommend.

    Parameters
    ----------
    k : int
        Length of the lists.
    horizon : timedelta or None
        How long after each origin what was taken counts; None for the next occasion.
    scores : tuple of RankingScore
        Every measure of every model, by origin and for all together.
    gains : tuple of Gain
        Every model against every baseline.
    fallbacks : tuple of FallbackShare
        Over all origins.
    models, baselines : tuple of str
        Who took part.
    best_baseline, chosen : mapping of str to str
        By target: the best simple rule, and what is used, which is the simple rule unless a model beats it
        with an interval above 0.
    metric : str
        By which is chosen.
    limits : tuple of str
        What the reader should not conclude, in words.
    """

    k: int
    horizon: timedelta | None
    scores: tuple[RankingScore, ...]
    gains: tuple[Gain, ...]
    fallbacks: tuple[FallbackShare, ...]
    models: tuple[str, ...]
    baselines: tuple[str, ...]
    best_baseline: Mapping[str, str]
    chosen: Mapping[str, str]
    metric: str
    limits: tuple[str, ...]

    def to_frame(self) -> "pd.DataFrame":
        """Return the scores as a frame.

        Returns
        -------
        pandas.DataFrame
            ``origin, model, target, metric, value, low, high, recipients``; no origin for all together.
        """
        import pandas as pd

        return pd.DataFrame([asdict(score) for score in self.scores])

    def gains_to_frame(self) -> "pd.DataFrame":
        """Return every model against every baseline.

        Returns
        -------
        pandas.DataFrame
            ``target, metric, model, baseline, difference, low, high, relative, relative_low, relative_high``.
        """
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "target": one.target,
                    "metric": one.metric,
                    "model": one.model,
                    "baseline": one.baseline,
                    "difference": one.difference.value,
                    "low": one.difference.low,
                    "high": one.difference.high,
                    "relative": one.relative.value,
                    "relative_low": one.relative.low,
                    "relative_high": one.relative.high,
                }
                for one in self.gains
            ]
        )

    def fallbacks_to_frame(self) -> "pd.DataFrame":
        """Return how often models had to be helped.

        Returns
        -------
        pandas.DataFrame
            ``model, target, occasions, contacts, slots, share``.
        """
        import pandas as pd

        return pd.DataFrame([asdict(one) for one in self.fallbacks])

    def summary(self, target: str = "all") -> "pd.DataFrame":
        """Return every measure over all origins, baselines among the models.

        Parameters
        ----------
        target : {"all", "new"}
            What counts.

        Returns
        -------
        pandas.DataFrame
            One row a model, the best first; one column a measure.
        """
        frame = self.to_frame()
        together = frame[frame["origin"].isna() & (frame["target"] == target)]
        wide = together.pivot_table(index="model", columns="metric", values="value", dropna=False)
        kept = [name for name in (*_SHOWN, "filled") if name in wide.columns]
        return wide[kept].sort_values(self.metric, ascending=False, kind="stable")

    def score(self, model: str, metric: str = "ndcg", *, target: str = "all") -> Interval:
        """Return a measure of a model over all origins.

        Parameters
        ----------
        model, metric : str
            Which.
        target : {"all", "new"}
            What counts.

        Returns
        -------
        Interval
            At a level of 95 %.

        Raises
        ------
        ConfigurationError
            Where there is no such score.
        """
        for one in self.scores:
            if (one.origin, one.model, one.metric, one.target) == (None, model, metric, target):
                return Interval(one.value, one.low, one.high, 0.95)
        raise ConfigurationError(
            f"There is no '{metric}' of '{model}' for '{target}'.",
            "Nothing was measured under these names.",
            f"use a model among {', '.join((*self.models, *self.baselines))}.",
        )

    def verdict(self, target: str = "all") -> str:
        """Return what is used, and why.

        Parameters
        ----------
        target : {"all", "new"}
            What counts.

        Returns
        -------
        str
            A sentence.
        """
        chosen, baseline = self.chosen[target], self.best_baseline[target]
        mine = [one for one in self.gains if (one.target, one.metric) == (target, self.metric)]
        against = [one for one in mine if one.baseline == baseline]
        what = f"{self.metric} at {self.k}"
        if not against:
            return f"Used is '{baseline}': no model was tried."
        best = max(against, key=lambda one: (one.model == chosen, one.difference.value))
        level = f"{best.difference.level:.4g}"
        interval = (
            f"interval {best.difference.low:+.4f} to {best.difference.high:+.4f} at level {level}"
        )
        if chosen == best.model:
            return f"Used is '{chosen}': its {what} is {best.difference.value:+.4f} above '{baseline}', the best simple rule ({interval})."
        return (
            f"Used is '{baseline}', the best simple rule: '{best.model}' does not beat it ({what} "
            f"{best.difference.value:+.4f}, {interval}, which includes zero or is below it)."
        )

    def plot(
        self, target: str = "all", metric: str | None = None, *, ax: "Axes | None" = None
    ) -> "Axes":
        """Draw a measure of all models, baselines in grey.

        Parameters
        ----------
        target : {"all", "new"}
            What counts.
        metric : str, optional
            By default the one by which is chosen.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new Figure by default.

        Returns
        -------
        matplotlib.axes.Axes
            Over all origins, with 95 % intervals, the best on top.
        """
        import numpy as np

        name = metric or self.metric
        found = [
            (model, self.score(model, name, target=target))
            for model in (*self.models, *self.baselines)
        ]
        found.sort(key=lambda one: one[1].value)
        with canvas(ax, size=(5.6, 1.2 + 0.32 * len(found))) as axes:
            for place, (model, one) in enumerate(found):
                colour = _BASELINE if model in self.baselines else _MODEL
                colour = _CHOSEN if model == self.chosen[target] else colour
                reach = np.nan_to_num([[one.value - one.low], [one.high - one.value]]).clip(min=0.0)
                axes.errorbar(one.value, place, xerr=reach, fmt="o", color=colour, capsize=2.5)
            axes.set_yticks(range(len(found)), [model for model, _ in found])
            axes.set_ylim(-0.6, len(found) - 0.4)
            axes.set_xlim(left=0.0)
            axes.grid(visible=True, axis="x")
            axes.set_xlabel(f"{name.replace('_', ' ')} at {self.k}, {target} items (95 % interval)")
        return axes

    def plot_origins(
        self, target: str = "all", metric: str | None = None, *, ax: "Axes | None" = None
    ) -> "Axes":
        """Draw a measure of all models at each origin.

        Parameters
        ----------
        target : {"all", "new"}
            What counts.
        metric : str, optional
            By default the one by which is chosen.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new Figure by default.

        Returns
        -------
        matplotlib.axes.Axes
            One line a model.

        Raises
        ------
        ConfigurationError
            Where only an order of rows was known, and there is no origin.
        """
        frame = self.to_frame()
        rows = frame[frame["origin"].notna() & (frame["target"] == target)]
        return plot_folds(rows, metric=metric or self.metric, ax=ax)

    def _repr_html_(self) -> str:
        parts = [f"<h4>What would lists of {self.k} have been worth?</h4>"]
        for target in self.chosen:
            table = self.summary(target).round(4).to_html(border=0, na_rep="")
            parts.append(f"<h5>{target} items</h5><p>{escape(self.verdict(target))}</p>{table}")
        limits = "".join(f"<li>{escape(limit)}</li>" for limit in self.limits)
        return f"{''.join(parts)}<ul>{limits}</ul>"
