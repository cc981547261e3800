"""How is a feature said in words, beside what is usual of it?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.features import Feature
from mlmarket.features.feature import Operation
from mlmarket.market.time import duration_text
from mlmarket.prediction.columns import FeatureRows, numbers_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Wording", "contract_wordings", "wordings_of_columns", "wordings_of_features"]

_DAYS_A_MONTH: Final = 365.25 / 12
_MANY: Final = 3
"""More types than these together are no name of a thing: they are anything at all."""

_TEMPLATES: Final[Mapping[Operation, tuple[str, str]]] = {
    Operation.RECENCY: ("no {it} for {value} days", "no {it} so far"),
    Operation.FIRST_TOUCH: ("first {it} {value} days ago", "no {it} so far"),
    Operation.COUNT: ("{it} {value} times{window}", "no {it}{window}"),
    Operation.DAYS_ACTIVE: ("{it} on {value} days{window}", "no {it}{window}"),
    Operation.GAP_MEAN: ("{it} every {value} days", "{it} on fewer than two days"),
    Operation.GAP_STD: ("days between {it} vary by {value}", "{it} on fewer than three days"),
    Operation.TOTAL: ("{it} worth {value}{window}", "no value of {it}{window}"),
    Operation.MEAN: ("{it} of {value} on average{window}", "no value of {it}{window}"),
    Operation.MINIMUM: ("smallest {it} of {value}{window}", "no value of {it}{window}"),
    Operation.MAXIMUM: ("largest {it} of {value}{window}", "no value of {it}{window}"),
    Operation.LAST: ("last {it} of {value}", "no value of {it}"),
}


@dataclass(frozen=True, slots=True)
class Wording:
    """How a feature speaks.

    Parameters
    ----------
    about : str
        What it is about: features about the same thing speak together.
    text : str
        What is said, with ``{value}`` in it.
    absent : str
        What is said where it is missing.
    scale : float, default 1.0
        What its number is divided by to be said.
    kind : {"number", "change", "category"}
        A change is the logarithm of a ratio, said in percent.
    below : str, optional
        What is said instead of `text` where the number is smaller than usual.
    """

    about: str
    text: str
    absent: str
    scale: float = 1.0
    kind: str = "number"
    below: str = ""

    def values(self, rows: FeatureRows, name: str) -> npt.NDArray[np.object_]:
        """Return the values of a feature, None where they are missing.

        Parameters
        ----------
        rows : pandas.DataFrame or pyarrow.RecordBatch
            The features.
        name : str
            Its column.

        Returns
        -------
        ndarray of float or str, shape (rows,)
            As :meth:`say` takes them.
        """
        import pyarrow as pa

        if self.kind != "category":
            numbers = numbers_of(rows, name)
            values = numbers.astype(object)
            values[~np.isfinite(numbers)] = None
            return values
        column = rows.column(name).to_pylist() if isinstance(rows, pa.RecordBatch) else rows[name]
        texts = [None if value is None or value != value else str(value) for value in column]
        return np.array(texts, dtype=object)

    def say(self, value: float | str | None, usual: float | None) -> str:
        """Return the words for a value.

        Parameters
        ----------
        value : float, str or None
            Of the feature.
        usual : float or None
            Its median.

        Returns
        -------
        str
            With what is usual in brackets, where that is another number.
        """
        if value is None:
            return self.absent
        if isinstance(value, str):
            return self.text.format(value=f"'{value}'")
        said = self._number(value)
        if usual is None or self._number(usual) == said:
            return self.text.format(value=said)
        text = self.below if self.below and value < usual else self.text
        return f"{text.format(value=said)} (usual {self._number(usual)})"

    def _number(self, value: float) -> str:
        if self.kind == "change":
            return f"{np.expm1(value):+.0%}"
        scaled = value / self.scale
        digits = 0 if abs(scaled) >= 10 or abs(scaled - round(scaled)) < 0.05 else 1
        text = f"{scaled:,.{digits}f}"
        return text.removeprefix("-") if float(text.replace(",", "")) == 0.0 else text


def wordings_of_features(
    features: Sequence[Feature], *, own: Mapping[str, Wording]
) -> dict[str, Wording]:
    """Return how the features of a market speak.

    Parameters
    ----------
    features : sequence of Feature
        What is known of each contact.
    own : mapping of str to Wording
        Of features that have words of their own.

    Returns
    -------
    dict of str to Wording
        By name.
    """
    return {feature.name: own.get(feature.name) or _of_feature(feature) for feature in features}


def contract_wordings(days: str, begun: str) -> dict[str, Wording]:
    """Return how the features that recognise a contract speak: all of them about the contract.

    Parameters
    ----------
    days, begun : str
        Names of the days since the last start, and of the number of starts.

    Returns
    -------
    dict of str to Wording
        By name.
    """
    about = "contract"
    return {
        days: Wording(about, "under contract for {value} months", "", _DAYS_A_MONTH),
        begun: Wording(about, "contracts begun so far: {value}", ""),
    }


def wordings_of_columns(frame: "pd.DataFrame", numbers: Sequence[str]) -> dict[str, Wording]:
    """Return how the columns of a plain frame speak: by their own names.

    Parameters
    ----------
    frame : pandas.DataFrame
        The columns.
    numbers : sequence of str
        Those that are numbers.

    Returns
    -------
    dict of str to Wording
        By name.
    """
    return {
        str(name): _plain(str(name), "number" if name in numbers else "category")
        for name in frame.columns
    }


def _plain(name: str, kind: str) -> Wording:
    escaped = name.replace("{", "{{").replace("}", "}}")
    return Wording(name, f"{escaped} {{value}}", f"{name} not known", kind=kind)


def _of_feature(feature: Feature) -> Wording:
    about = _about(feature)
    if feature.operation is Operation.ATTRIBUTE:
        name = (feature.column or feature.name).replace("_", " ")
        return _plain(name, "category" if feature.categorical else "number")
    if feature.operation is Operation.RATIO:
        ratio = _plain(feature.name.replace("_", " "), "number")
        return Wording(about, ratio.text, ratio.absent)
    window = f" in {duration_text(feature.window)[:-1]} days" if feature.window else ""
    if feature.operation is Operation.TREND:
        return Wording(about, f"{_escaped(about)} {{value}}{window}", f"no {about}", kind="change")
    text, absent = (
        one.replace("{it}", _escaped(about)).replace("{window}", window)
        for one in _TEMPLATES[feature.operation]
    )
    recent = feature.operation is Operation.RECENCY
    below = f"last {_escaped(about)} {{value}} days ago" if recent else ""
    return Wording(about, text, absent.replace("{{", "{").replace("}}", "}"), below=below)


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _about(feature: Feature) -> str:
    """Return what a feature is about, as people call it."""
    if feature.parts:
        return _about(feature.parts[0])
    if feature.behaviour is None:
        return (feature.column or feature.name).replace("_", " ")
    types = feature.behaviour.types
    words = "activity" if len(types) > _MANY else " or ".join(types)
    where = f" where {feature.behaviour.where}" if feature.behaviour.where else ""
    return words.replace("_", " ") + where
