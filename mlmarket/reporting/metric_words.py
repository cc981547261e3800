"""What are the measures of a model called, and how is each one read?"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mlmarket.reporting.number_text import count, decimals, percent

__all__ = ["METRICS", "MetricWords", "metrics_shown"]


@dataclass(frozen=True, slots=True)
class MetricWords:
    """A measure in words.

    Parameters
    ----------
    title : str
        What it is called.
    reading : str
        How it is read.
    text : callable
        Returns its value as text.
    """

    title: str
    reading: str
    text: Callable[[float], str]


def _four_places(value: float) -> str:
    return decimals(value, 4)


def _a_place_of_percent(value: float) -> str:
    return percent(value, 1)


METRICS: Final[Mapping[str, MetricWords]] = MappingProxyType(
    {
        "log_loss": MetricWords("Log loss", "lower is better", _four_places),
        "deviance": MetricWords("Deviance", "lower is better", _four_places),
        "gini": MetricWords(
            "Order of value (Gini)", "0 is no order, 1 the order of what came", decimals
        ),
        "auc": MetricWords("AUC", "0.5 is a coin toss, 1 a perfect order", decimals),
        "ece": MetricWords(
            "Calibration error",
            "how far promised percents lay from what came; lower is better",
            _a_place_of_percent,
        ),
        "decile_error": MetricWords(
            "Error by tenths",
            "how far the tenths of people lay from what came, as a share of it; lower is better",
            _a_place_of_percent,
        ),
        "mae": MetricWords("Mean error", "a contact, in the unit of the number", decimals),
        "total_bias": MetricWords(
            "Total off by",
            "how far the sum lay above (+) or below (-) what came",
            _a_place_of_percent,
        ),
        "ndcg_loss": MetricWords(
            "Order missed (1 - NDCG@10)",
            "0 where ten shown items begin with all that was taken; lower is better",
            decimals,
        ),
        "hit_rate": MetricWords(
            "Hit in ten", "people who took at least one of the ten items", _a_place_of_percent
        ),
        "mae_days": MetricWords("Days off", "mean days between the date and the order", count),
    }
)
"""By name, in the order in which they are shown; others are left to notebooks."""


def metrics_shown(names: Iterable[str]) -> tuple[str, ...]:
    """Return which measures a reader sees.

    Parameters
    ----------
    names : iterable of str
        Those that there are.

    Returns
    -------
    tuple of str
        In the order of :data:`METRICS`.
    """
    there = set(names)
    return tuple(name for name in METRICS if name in there)
