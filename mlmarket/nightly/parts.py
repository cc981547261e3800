"""Which of tonight's predictions are on the disk already?

A predictor's answers for one bucket of contacts are a *part*. A part has a row for each contact of its
bucket, so that the parts of a bucket lie beside one another without a join. Buckets are answered in
ascending order: how far a predictor got is one number, and a night that was killed goes on from there.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlmarket.churn import due_items
from mlmarket.churn.next_order.answers import REPLENISHMENT
from mlmarket.market import Market
from mlmarket.market.columns import CONTACT_ID
from mlmarket.nightly.safe_files import replace_file
from mlmarket.nightly.stages import digest_of, library_versions
from mlmarket.prediction import BatchPredictor, Predictions, TakesDue
from mlmarket.prediction.buckets import BUCKET, Roll

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Parts"]

CONTACTS_A_PART: int = BUCKET
"""What a part holds, and a row group of ``contacts.parquet``."""
_ROLL: Final = "contacts.arrow"
_MANIFEST: Final = "parts.json"
_REASON: Final = "missing::reason"
"""Why a contact has no answer; a name that no column of predictions can have."""


class Parts:
    """The parts of one night.

    Parameters
    ----------
    folder : Path
        Where they are.
    roll : Roll
        The contacts, in buckets.
    inputs : str
        Digest of everything they are made of.
    finished : mapping of str to int
        How many buckets each predictor has answered, from the first on.
    """

    def __init__(self, folder: Path, roll: Roll, inputs: str, finished: Mapping[str, int]) -> None:
        self.folder = folder
        self.roll = roll
        self._inputs = inputs
        self._finished = dict(finished)

    @classmethod
    def take_up(
        cls,
        folder: Path,
        market: Market,
        *,
        as_of: datetime,
        inputs: str,
    ) -> "Parts":
        """Return what an interrupted night left, or begin anew where that is made of other inputs.

        Parameters
        ----------
        folder : Path
            Where parts are kept until the night has them all.
        market : Market
            The tables.
        as_of : datetime
            Tonight.
        inputs : str
            Digest of everything predictions are made of.

        Returns
        -------
        Parts
            With the buckets decided.
        """
        size = CONTACTS_A_PART
        # Half of a table from one version of a library and half from another is no night's table.
        inputs = digest_of(inputs, size, library_versions())
        manifest = _manifest(folder)
        if manifest.get("inputs") == inputs:
            return cls(folder, Roll(folder / _ROLL), inputs, _still_there(folder, manifest))
        shutil.rmtree(folder, ignore_errors=True)

        def record(path: Path) -> None:
            Roll.record(market, path, as_of=as_of, contacts_a_bucket=size)

        replace_file(folder / _ROLL, record)
        parts = cls(folder, Roll(folder / _ROLL), inputs, {})
        parts._write_manifest()
        return parts

    def answer(
        self,
        predictor: BatchPredictor,
        market: Market,
        *,
        as_of: datetime,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Ask a predictor about the buckets it has not answered yet.

        Parameters
        ----------
        predictor : BatchPredictor
            Trained.
        market : Market
            The tables.
        as_of : datetime
            Tonight.
        tell : callable, optional
            Called with a sentence before it is asked.
        """
        name, buckets = predictor.name, len(self.roll)
        first = self._finished.get(name, 0)
        if first == buckets:
            return
        if isinstance(predictor, TakesDue):
            predictor = predictor.with_due(self._due)
        tell(f"asking '{name}'" + (f" from bucket {first + 1} of {buckets} on" if first else ""))
        answers = predictor.predict_batches(market, as_of=as_of, roll=self.roll, first=first)
        for bucket, answer in enumerate(answers, first):
            self._keep(name, bucket, _beside(self.roll[bucket], answer), answer.items)

    def _due(self, bucket: int) -> "pd.DataFrame | None":
        """Return what is due to the contacts of a bucket; None where nobody was asked about it."""
        if self._finished.get(REPLENISHMENT, 0) <= bucket:
            return None
        items = self.bucket(REPLENISHMENT, bucket).items
        return None if items is None else due_items(items)

    def bucket(self, predictor: str, bucket: int) -> Predictions:
        """Return what a predictor answered about a bucket.

        Parameters
        ----------
        predictor : str
            Its name.
        bucket : int
            Which one.

        Returns
        -------
        Predictions
            ``contacts`` has a row for each contact of the bucket, without their ids; missing where
            there is no answer.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        table = pq.read_table(self._path(predictor, bucket))
        reason = table.column(_REASON)
        silent = pc.is_valid(reason)
        people = self.roll[bucket].filter(silent.combine_chunks())
        missing = {
            CONTACT_ID: people,
            "predictor": pa.repeat(pa.scalar(predictor), len(people)),
            "reason": reason.filter(silent),
        }
        about_items = _items_path(self.folder, predictor, bucket)
        items = pq.read_table(about_items) if about_items.is_file() else None
        return Predictions(table.drop_columns([_REASON]), pa.table(missing), items)

    def _keep(
        self, predictor: str, bucket: int, table: "pa.Table", items: "pa.Table | None"
    ) -> None:
        import pyarrow.parquet as pq

        written = {self._path(predictor, bucket): table}
        if items is not None:
            written[_items_path(self.folder, predictor, bucket)] = items
        for target, content in written.items():
            replace_file(target, partial(pq.write_table, content, compression="zstd"))
        self._finished[predictor] = bucket + 1
        self._write_manifest()

    def _path(self, predictor: str, bucket: int) -> Path:
        return _path(self.folder, predictor, bucket)

    def _write_manifest(self) -> None:
        content = {"inputs": self._inputs, "finished": self._finished}
        text = json.dumps(content, indent=1, sort_keys=True) + "\n"
        replace_file(self.folder / _MANIFEST, lambda path: path.write_text(text, encoding="utf-8"))


def _path(folder: Path, predictor: str, bucket: int) -> Path:
    return folder / f"{predictor}-{bucket:05}.parquet"


def _items_path(folder: Path, predictor: str, bucket: int) -> Path:
    return folder / f"{predictor}-{bucket:05}-items.parquet"


def _still_there(folder: Path, manifest: Mapping[str, Any]) -> dict[str, int]:
    """Return how far each predictor got, up to the first part that somebody took away."""
    return {
        name: next((n for n in range(count) if not _path(folder, name, n).is_file()), count)
        for name, count in manifest["finished"].items()
    }


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _beside(people: "pa.StringArray", answer: Predictions) -> "pa.Table":
    """Return an answer with a row for each contact of its bucket, and the reason of the missing."""
    import pyarrow.compute as pc

    place = pc.index_in(people, value_set=answer.contacts.column(CONTACT_ID).combine_chunks())
    table = answer.contacts.drop_columns([CONTACT_ID]).combine_chunks().take(place)
    silent = pc.index_in(people, value_set=answer.missing.column(CONTACT_ID).combine_chunks())
    reason = answer.missing.column("reason").combine_chunks().take(silent)
    return table.append_column(_REASON, reason).combine_chunks()
