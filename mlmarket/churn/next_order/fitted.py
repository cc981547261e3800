"""What was learned of the next order, how is it kept, and what does it answer?"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlmarket.churn.next_order.dates import chance_by_day
from mlmarket.churn.next_order.hazard import hazards, make, scaled
from mlmarket.churn.next_order.rows import Known
from mlmarket.prediction.evidence import Evidence
from mlmarket.prediction.fitted import CARD, changed_model, digest_of_file
from mlmarket.prediction.learner import Learner, write_json

__all__ = ["FittedHazard"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FittedHazard:
    """What a model of the next order learned.

    Parameters
    ----------
    learner : Learner
        Of the hazard of a week.
    known : Known
        What it is told.
    factor : float
        By which cumulative hazards are multiplied.
    evidence : Evidence
        What backs it.
    as_of : datetime
        When it was trained.
    files : mapping of str to str
        SHA-256 of the learner's files, by name.
    version : str
        Date, model, and a digest of everything that decides an answer.
    """

    learner: Learner
    known: Known
    factor: float
    evidence: Evidence
    as_of: datetime
    files: Mapping[str, str] = field(default_factory=dict)
    version: str = ""

    def chance_by_day(self, numbers: Floats) -> Floats:
        """Return the probability that the next purchase has come by each of 90 days.

        Parameters
        ----------
        numbers : ndarray of float64, shape (rows, known)
            What is known of each series.

        Returns
        -------
        ndarray of float64, shape (rows, 90)
            The answer for a row depends on no other row.
        """
        hazard = hazards(self.learner, self.known, numbers)
        return chance_by_day(hazard if self.factor == 1.0 else scaled(hazard, self.factor))

    def with_version(self, stem: str) -> "FittedHazard":
        """Return itself with a version that names everything that decides an answer.

        Parameters
        ----------
        stem : str
            What the version begins with.

        Returns
        -------
        FittedHazard
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
    def restore(cls, folder: Path, card: Mapping[str, Any], known: Known) -> "FittedHazard":
        """Return what :meth:`save` wrote.

        Parameters
        ----------
        folder : Path
            Where it was written.
        card : mapping of str to object
            What was written on it.
        known : Known
            What the learner is told.

        Returns
        -------
        FittedHazard
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
            learner=make(card["learner"], known).restore(folder),
            known=known,
            factor=float(card["factor"]),
            evidence=Evidence.from_dict(card["evidence"]),
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
            "factor": self.factor,
            "known": list(self.known.all_names),
        }
        return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:8]
