"""What was learned, how is it kept, and what does it answer?"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import Calibrator, calibrator_from_dict
from mlmarket.features import Feature
from mlmarket.market.columns import CONTACT_ID
from mlmarket.prediction.columns import FeatureRows, numbers_of
from mlmarket.prediction.evidence import Evidence
from mlmarket.prediction.learner import Diagnoses, Learner, read_json, write_json
from mlmarket.prediction.question import Answer, Question

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CARD", "Fitted", "changed_model", "digest_of_file", "read_card"]

CARD: Final = "card.json"
_BLOCK: Final = 8_192
"""Rows answered at a time: what is computed on the way stays in the processor's cache, and small."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a predictor learned.

    Parameters
    ----------
    learner : Learner
        The model that was chosen.
    calibrator : Calibrator
        Applied to its probabilities.
    features : tuple of Feature
        What it wants to know of each contact.
    evidence : Evidence
        What backs it.
    as_of : datetime
        When it was trained.
    grade_edges : tuple of float
        Where grades begin.
    files : mapping of str to str
        SHA-256 of the learner's files, by name.
    version : str
        Date, model, and a digest of everything that decides an answer.
    """

    learner: Learner
    calibrator: Calibrator
    features: tuple[Feature, ...]
    evidence: Evidence
    as_of: datetime
    grade_edges: tuple[float, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    version: str = ""

    def probability(self, features: FeatureRows) -> npt.NDArray[np.float64]:
        """Return the calibrated probability of each row.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of `features`.

        Returns
        -------
        ndarray of float64, shape (rows,)
            Between 0 and 1.
        """
        if not len(features):
            return np.empty(0)
        return self.calibrator.predict(self.learner.predict(features))

    def answer(self, batch: "pa.RecordBatch", question: Question) -> "pa.Table":
        """Return the columns of the predictions table for some rows of features.

        The answer for a row depends on no other row, nor on where a batch begins or ends. Nothing
        of pandas is used, unless the learner is an estimator of your own, which is given a frame.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            As :func:`mlmarket.features.build` yields it, without a label.
        question : Question
            What is asked.

        Returns
        -------
        pyarrow.Table
            In the order of the rows.
        """
        import pyarrow as pa

        answer = question.answer
        starts = range(0, batch.num_rows, _BLOCK)
        blocks = [self.probability(batch.slice(start, _BLOCK)) for start in starts]
        probability = np.concatenate([np.empty(0), *blocks])
        columns: dict[str, Any] = {
            CONTACT_ID: batch.column(CONTACT_ID).cast(pa.string()),
            answer.probability: pa.array(probability, pa.float64()),
        }
        if answer.grade:
            columns[answer.grade] = pa.array(
                answer.graded(probability, self.grade_edges), pa.string()
            )
        diagnosed = self._diagnosed(batch, answer)
        for fact in answer.facts:
            known = diagnosed.get(fact.feature) if fact.diagnostic else _fact(batch, fact.feature)
            columns[fact.column] = (
                pa.nulls(batch.num_rows, pa.float64()) if known is None else known
            )
        version = pa.repeat(pa.scalar(self.version), batch.num_rows)
        columns[f"{question.name}_model_version"] = version
        return pa.table(columns)

    def _diagnosed(self, batch: "pa.RecordBatch", answer: Answer) -> "dict[str, pa.Array]":
        """Return the diagnostics of the learner, where some are asked for and it has any."""
        import pyarrow as pa

        asked = any(fact.diagnostic for fact in answer.facts)
        if not asked or not isinstance(self.learner, Diagnoses):
            return {}
        found = self.learner.diagnostics(batch)
        return {name: pa.array(values, from_pandas=True) for name, values in found.items()}

    def with_version(self, stem: str) -> "Fitted":
        """Return itself with a version that names everything that decides an answer.

        Parameters
        ----------
        stem : str
            What the version begins with.

        Returns
        -------
        Fitted
            The same content has the same version.
        """
        with tempfile.TemporaryDirectory() as name:
            self.learner.save(Path(name))
            files = {path.name: digest_of_file(path) for path in sorted(Path(name).iterdir())}
        kept = replace(self, files=files)
        return replace(kept, version=f"{stem}-{kept._digest()}")

    def save(self, folder: Path, record: Mapping[str, Any]) -> None:
        """Write the learner's own files and the card.

        Parameters
        ----------
        folder : Path
            Made where it does not exist.
        record : mapping of str to object
            What stands on the card.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.learner.save(folder)
        write_json(folder / CARD, record)

    @classmethod
    def restore(cls, folder: Path, card: Mapping[str, Any], learner: Learner) -> "Fitted":
        """Return what :meth:`save` wrote.

        Parameters
        ----------
        folder : Path
            Where it was written.
        card : mapping of str to object
            From :func:`read_card`.
        learner : Learner
            Of the kind that was saved, not fitted.

        Returns
        -------
        Fitted
            Answers the same.

        Raises
        ------
        ConfigurationError
            Where the files are not those that the card was written with.
        """
        for name, digest in card["files"].items():
            if not (folder / name).is_file() or digest_of_file(folder / name) != digest:
                raise changed_model(folder)
        fitted = cls(
            learner=learner.restore(folder),
            calibrator=calibrator_from_dict(card["calibrator"]),
            features=tuple(Feature.from_dict(plain) for plain in card["features"]),
            evidence=Evidence.from_dict(card["evidence"]),
            as_of=datetime.fromisoformat(card["as_of"]),
            grade_edges=tuple(card["grade_edges"]),
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
            "calibrator": self.calibrator.to_dict(),
            "edges": self.grade_edges,
            "features": [feature.to_dict() for feature in self.features],
        }
        return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:8]


def _fact(batch: "pa.RecordBatch", feature: str) -> "pa.Array":
    """Return a feature as it is handed on; empty where the market allows none of that name."""
    import pyarrow as pa

    if feature not in batch.schema.names:
        return pa.nulls(batch.num_rows, pa.float64())
    return pa.array(numbers_of(batch, feature), pa.float64(), from_pandas=True)


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        In hexadecimal digits.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def changed_model(folder: Path) -> ConfigurationError:
    """Return the error of a model whose files are not those of its card.

    Parameters
    ----------
    folder : Path
        Where it was saved.

    Returns
    -------
    ConfigurationError
        To be raised.
    """
    return ConfigurationError(
        f"The model in '{folder}' is not the one its card describes.",
        "A file was changed, is missing, or belongs to another training.",
        "train it again.",
    )


def read_card(folder: Path, kind: str) -> dict[str, Any]:
    """Return the card of a saved predictor.

    Parameters
    ----------
    folder : Path
        Where it was saved.
    kind : str
        Class that it must have.

    Returns
    -------
    dict
        What was written on it.

    Raises
    ------
    ConfigurationError
        Where there is none, it cannot be read, or it is of another kind.
    """
    try:
        card: dict[str, Any] = read_json(folder / CARD)
        found = card["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"There is no trained model in '{folder}': its {CARD} cannot be read.",
            "The card says which model it is and what it wants to know.",
            "pass the folder that save() wrote.",
        ) from error
    if found != kind:
        raise ConfigurationError(
            f"The model in '{folder}' is a {found}, not a {kind}.",
            "It answers another question.",
            f"load it with {found}.load.",
        )
    return card
