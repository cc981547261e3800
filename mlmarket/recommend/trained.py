"""How is what a night learned about recommendations kept?"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlmarket.prediction.evidence import Evidence
from mlmarket.prediction.fitted import CARD, changed_model, digest_of_file

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.recommend.plain import PlainRecommender
    from mlmarket.recommend.reasons import ReasonTexts
    from mlmarket.recommend.recommender import Recommender
    from mlmarket.recommend.rules import Rules

__all__ = ["Trained"]

_LEARNED: Final = "learned"
_CATALOGUE: Final = "catalogue.json"


@dataclass(frozen=True, slots=True)
class Trained:
    """What was learned.

    Parameters
    ----------
    learner : PlainRecommender or Recommender
        What answers.
    items : pyarrow.StringArray
        The catalogue it learned from.
    evidence : Evidence
        What backs it.
    as_of : datetime
        When it was trained.
    files : mapping of str to str
        SHA-256 of its files, by name.
    version : str
        Date, what answers, and a digest of its files.
    """

    learner: "PlainRecommender | Recommender"
    items: "pa.StringArray"
    evidence: Evidence
    as_of: datetime
    files: Mapping[str, str]
    version: str

    @classmethod
    def of(
        cls,
        learner: "PlainRecommender | Recommender",
        items: "pa.StringArray",
        evidence: Evidence,
        as_of: datetime,
        *,
        zone: tzinfo,
    ) -> "Trained":
        """Return what was learned, with its version.

        Parameters
        ----------
        learner : PlainRecommender or Recommender
            What answers, fitted.
        items : pyarrow.StringArray
            Its catalogue.
        evidence : Evidence
            What backs it.
        as_of : datetime
            When it was trained.
        zone : tzinfo
            The business's: the version begins with the date there.

        Returns
        -------
        Trained
            The same content has the same version.
        """
        with tempfile.TemporaryDirectory() as name:
            files = _write(learner, items, Path(name))
        digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:8]
        version = f"{as_of.astimezone(zone):%Y-%m-%d}-{evidence.chosen}-{digest}"
        return cls(learner, items, evidence, as_of, files, version)

    def save(self, folder: Path) -> None:
        """Write the learner's own files and the catalogue.

        Parameters
        ----------
        folder : Path
            Made where it does not exist.
        """
        _write(self.learner, self.items, folder)

    @classmethod
    def restore(
        cls,
        folder: Path,
        card: Mapping[str, Any],
        rules: "Rules",
        texts: "ReasonTexts | None",
    ) -> "Trained":
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        folder : Path
            Where it was written.
        card : mapping of str to object
            What the predictor wrote beside it.
        rules : Rules
            Which items may be shown to whom.
        texts : ReasonTexts or None
            The words of reasons.

        Returns
        -------
        Trained
            The same.

        Raises
        ------
        ConfigurationError
            Where a file is not the one of the card.
        """
        import pyarrow as pa

        from mlmarket.recommend.learners import read

        for name, digest in card["files"].items():
            if not (folder / name).is_file() or digest_of_file(folder / name) != digest:
                raise changed_model(folder)
        return cls(
            read(card["learner"], folder / _LEARNED, rules=rules, texts=texts),
            pa.array(json.loads((folder / _CATALOGUE).read_text(encoding="utf-8")), pa.string()),
            Evidence.from_dict(card["evidence"]),
            datetime.fromisoformat(card["as_of"]),
            card["files"],
            card["version"],
        )


def _write(
    learner: "PlainRecommender | Recommender", items: "pa.StringArray", place: Path
) -> dict[str, str]:
    """Write a model's own files, and return the digest of each."""
    from mlmarket.recommend.learners import write

    inner = place / _LEARNED
    inner.mkdir(parents=True, exist_ok=True)
    write(learner, inner)
    text = json.dumps(items.to_pylist(), ensure_ascii=False)
    (place / _CATALOGUE).write_text(text, encoding="utf-8")
    files = [path for path in sorted(place.rglob("*")) if path.is_file() and path.name != CARD]
    return {path.relative_to(place).as_posix(): digest_of_file(path) for path in files}
