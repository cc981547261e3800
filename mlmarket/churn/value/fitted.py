"""What was learned about the value of contacts, how is it kept, and what does it answer?"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mlmarket.churn.value.learners import AmountLearner, restore_part, save_part
from mlmarket.features import Feature
from mlmarket.market.columns import CONTACT_ID
from mlmarket.prediction.columns import FeatureRows
from mlmarket.prediction.evidence import Evidence
from mlmarket.prediction.fitted import CARD, changed_model, digest_of_file
from mlmarket.prediction.learner import write_json

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Amount", "FittedValue", "decile_edges", "deciles_of"]

Floats = npt.NDArray[np.float64]

_BLOCK: Final = 8_192
"""Rows answered at a time, as by :class:`mlmarket.prediction.fitted.Fitted`."""
_DECILES: Final = 10


@dataclass(frozen=True, slots=True)
class Amount:
    """How one amount is answered.

    Parameters
    ----------
    learner : AmountLearner
        The model that was chosen.
    factor : float
        By which its answers are multiplied: the season, and the share of the horizon it was
        learned at.
    evidence : Evidence
        What backs it.
    """

    learner: AmountLearner
    factor: float
    evidence: Evidence

    def of(self, features: FeatureRows) -> Floats:
        """Return the expected amount of each row.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of the features.

        Returns
        -------
        ndarray of float64, shape (rows,)
            Zero or more.
        """
        if not len(features):
            return np.empty(0)
        return self.factor * np.maximum(self.learner.predict(features), 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return what stands on the card, as plain values."""
        return {
            "learner": self.learner.name,
            "factor": self.factor,
            "evidence": self.evidence.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class FittedValue:
    """What a predictor of value learned.

    Parameters
    ----------
    value, orders : Amount
        What a contact is worth, and on how many days it orders.
    features : tuple of Feature
        What they want to know of each contact.
    edges : tuple of float
        Values at which the tenths begin, ascending.
    as_of : datetime
        When it was trained.
    files : mapping of str to str
        SHA-256 of the models' files, by name.
    version : str
        Date, model, and a digest of everything that decides an answer.
    """

    value: Amount
    orders: Amount
    features: tuple[Feature, ...]
    edges: tuple[float, ...]
    as_of: datetime
    files: Mapping[str, str] = field(default_factory=dict)
    version: str = ""

    def answer(self, batch: "pa.RecordBatch", columns: tuple[str, str, str, str]) -> "pa.Table":
        """Return the columns of the predictions table for some rows of features.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            As :func:`mlmarket.features.build` yields it, without a label.
        columns : tuple of str
            Names for value, orders, decile and version.

        Returns
        -------
        pyarrow.Table
            In the order of the rows; the answer for a row depends on no other row.
        """
        import pyarrow as pa

        blocks = [batch.slice(start, _BLOCK) for start in range(0, batch.num_rows, _BLOCK)]
        value = np.concatenate([np.empty(0), *(self.value.of(block) for block in blocks)])
        orders = np.concatenate([np.empty(0), *(self.orders.of(block) for block in blocks)])
        answers = (
            pa.array(value, pa.float64()),
            pa.array(orders, pa.float64()),
            pa.array(deciles_of(value, self.edges), pa.float64()),
            pa.repeat(pa.scalar(self.version), batch.num_rows),
        )
        ids = batch.column(CONTACT_ID).cast(pa.string())
        return pa.table({CONTACT_ID: ids} | dict(zip(columns, answers, strict=True)))

    def with_version(self, stem: str) -> "FittedValue":
        """Return itself with a version that names everything that decides an answer.

        Parameters
        ----------
        stem : str
            What the version begins with.

        Returns
        -------
        FittedValue
            The same content has the same version.
        """
        with tempfile.TemporaryDirectory() as name:
            self._save_models(Path(name))
            files = {path.name: digest_of_file(path) for path in sorted(Path(name).iterdir())}
        kept = replace(self, files=files)
        return replace(kept, version=f"{stem}-{kept._digest()}")

    def save(self, folder: Path, record: Mapping[str, Any]) -> None:
        """Write the models' own files and the card.

        Parameters
        ----------
        folder : Path
            Made where it does not exist.
        record : mapping of str to object
            What stands on the card.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._save_models(folder)
        write_json(folder / CARD, record)

    def _save_models(self, folder: Path) -> None:
        save_part(self.value.learner, folder, "value")
        save_part(self.orders.learner, folder, "orders")

    @classmethod
    def restore(
        cls,
        folder: Path,
        card: Mapping[str, Any],
        make: Callable[[str, str], AmountLearner],
    ) -> "FittedValue":
        """Return what :meth:`save` wrote.

        Parameters
        ----------
        folder : Path
            Where it was written.
        card : mapping of str to object
            From :func:`mlmarket.prediction.fitted.read_card`.
        make : callable
            Returns an unfitted learner, given ``value`` or ``orders`` and its name.

        Returns
        -------
        FittedValue
            Answers the same.

        Raises
        ------
        ConfigurationError
            Where the files are not those that the card was written with.
        """
        for name, digest in card["files"].items():
            if not (folder / name).is_file() or digest_of_file(folder / name) != digest:
                raise changed_model(folder)
        amounts = {}
        for target in ("value", "orders"):
            plain = card[target]
            learner = make(target, plain["learner"])
            restore_part(learner.restore, folder, target)
            evidence = Evidence.from_dict(plain["evidence"])
            amounts[target] = Amount(learner, float(plain["factor"]), evidence)
        fitted = cls(
            **amounts,
            features=tuple(Feature.from_dict(plain) for plain in card["features"]),
            edges=tuple(card["edges"]),
            as_of=datetime.fromisoformat(card["as_of"]),
            files=card["files"],
            version=card["version"],
        )
        if not fitted.version.endswith(f"-{fitted._digest()}"):
            raise changed_model(folder)
        return fitted

    def _digest(self) -> str:
        """Return a digest of everything that decides an answer."""
        state = {
            "files": dict(self.files),
            "factors": [self.value.factor, self.orders.factor],
            "edges": self.edges,
            "features": [feature.to_dict() for feature in self.features],
        }
        return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:8]


def decile_edges(value: Floats) -> tuple[float, ...]:
    """Return the values at which the second to the tenth tenth begin, from the lowest up.

    Parameters
    ----------
    value : ndarray of float64, shape (rows,)
        Expected values of the contacts of the last closed window; at least one.

    Returns
    -------
    tuple of float
        Nine values that somebody has, ascending.
    """
    shares = np.arange(1, _DECILES) / _DECILES
    return tuple(float(edge) for edge in np.quantile(value, shares, method="inverted_cdf"))


def deciles_of(value: Floats, edges: tuple[float, ...]) -> Floats:
    """Return the tenth of each value, 1 for the highest.

    A value that is an edge belongs to the tenth below it; where several edges are the same value, as
    under a rule that gives many the same, it stands in the middle of their tenths.

    Parameters
    ----------
    value : ndarray of float64, shape (rows,)
        Tonight's.
    edges : tuple of float
        From :func:`decile_edges`.

    Returns
    -------
    ndarray of float64, shape (rows,)
        Whole numbers from 1 to 10.
    """
    ascending = np.asarray(edges, dtype=np.float64)
    below = np.searchsorted(ascending, value, side="left")
    up_to = np.searchsorted(ascending, value, side="right")
    return (_DECILES - (below + up_to) // 2).astype(np.float64)
