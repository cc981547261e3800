"""How do the workers of a Spark write the night's answers, so that a killed night leaves no half of them?

``scores/run_date=DATE/bucket=N`` holds one row a contact, in Parquet, sorted within a bucket. It is written
beside its place and renamed when it is complete; ``_manifest.json`` comes after that, and ``_SUCCESS``
last. What has no ``_SUCCESS`` never happened.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from mlmarket.errors import RunError
from mlmarket.market import Market
from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.market.spark_files import SparkFolder
from mlmarket.market.time import instant
from mlmarket.nightly.safe_files import TEMPORARY
from mlmarket.prediction import Predictions, SnapshotPredictor

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

    from mlmarket.nightly.night import Night

__all__ = ["score_on_spark"]

_BUCKET: Final = "bucket"
_MANIFEST: Final = "_manifest.json"
_DONE: Final = "_SUCCESS"


def score_on_spark(
    night: "Night",
    market: Market,
    predictors: Sequence[SnapshotPredictor],
    *,
    inputs: str,
) -> Predictions:
    """Let the workers answer every question for everybody, and return the answers.

    Parameters
    ----------
    night : Night
        Tonight.
    market : Market
        On Spark.
    predictors : sequence of SnapshotPredictor
        Trained.
    inputs : str
        Digest of everything the answers are made of; where the same is there already, nothing is
        computed.

    Returns
    -------
    Predictions
        One row a contact known tonight, as :func:`mlmarket.nightly.predictions.join_predictions`
        returns it.

    Raises
    ------
    RunError
        Where the folder cannot be written.
    """
    session = market.table("contacts").get_backend().session
    root = night.scores
    place = SparkFolder(session, f"{root}/run_date={night.day}")
    buckets = night.settings.engine.buckets
    if not _is_done(place, inputs, buckets):
        aside = SparkFolder(session, f"{root}/{TEMPORARY}run_date={night.day}")
        aside.delete()
        frame = _everybody(market, predictors, night)
        written = frame.withColumn(_BUCKET, _bucket_of(buckets)).repartition(buckets, _BUCKET)
        written.sortWithinPartitions(_BUCKET, CONTACT_ID).write.partitionBy(_BUCKET).option(
            "mapreduce.fileoutputcommitter.marksuccessfuljobs", "false"
        ).parquet(aside.address)
        _put_in_place(aside, place)
        _finish(place, night, predictors, inputs)
    answers = _collected(place, session, buckets=buckets)
    return _as_predictions(answers, predictors, night)


def _is_done(place: SparkFolder, inputs: str, buckets: int) -> bool:
    if place.read(_DONE) is None:
        return False
    manifest = json.loads(place.read(_MANIFEST) or "{}")
    return bool(manifest.get("inputs") == inputs and manifest.get("buckets") == buckets)


def _everybody(
    market: Market, predictors: Sequence[SnapshotPredictor], night: "Night"
) -> "DataFrame":
    """Return everybody known tonight, with the columns of every predictor."""
    people = market.contacts(as_of=night.as_of).select(CONTACT_ID).distinct()
    connection = people.get_backend()
    frame: DataFrame = connection.frame(people.mutate(**{AS_OF: instant(night.as_of)}))
    for predictor in predictors:
        answers = predictor.predict_on_spark(market, as_of=night.as_of)
        frame = frame.join(answers, CONTACT_ID, "left")
    return frame


def _bucket_of(buckets: int) -> "Column":
    """Return the bucket of a contact, by the hash that every stable choice is made by."""
    from pyspark.sql import functions as f

    salted = f.concat(f.lit(f"{_BUCKET}|"), f.col(CONTACT_ID))
    number = f.conv(f.substring(f.sha2(salted, 256), 1, 8), 16, 10).cast("bigint")
    return f.shiftright(number * f.lit(buckets), 32).cast("int")


def _put_in_place(aside: SparkFolder, place: SparkFolder) -> None:
    place.delete(_DONE)  # from here on it is neither the old one nor the new one
    place.delete()
    if not aside.move_to(place):
        raise RunError(
            f"The scores could not be moved to '{place.address}'.",
            "Readers find the night there only when it is complete.",
            "check the rights on that folder, then run the same night again.",
        )


def _finish(
    place: SparkFolder, night: "Night", predictors: Sequence[SnapshotPredictor], inputs: str
) -> None:
    content = {
        "inputs": inputs,
        "run_date": night.day.isoformat(),
        "as_of": night.as_of.isoformat(),
        "buckets": night.settings.engine.buckets,
        "models": {one.name: one.version_ for one in predictors},
    }
    place.write(_MANIFEST, json.dumps(content, indent=1, sort_keys=True) + "\n")
    place.write(_DONE, "")


def _collected(place: SparkFolder, session: Any, *, buckets: int) -> "pa.Table":  # noqa: ANN401
    """Return the answers bucket by bucket: Spark limits how much one job may bring to the driver."""
    import pyarrow as pa

    frame = session.read.parquet(place.address)
    parts = [
        frame.where(frame[_BUCKET] == bucket).drop(_BUCKET).toArrow() for bucket in range(buckets)
    ]
    return pa.concat_tables(parts).sort_by(CONTACT_ID).combine_chunks()


def _as_predictions(
    answers: "pa.Table", predictors: Sequence[SnapshotPredictor], night: "Night"
) -> Predictions:
    import pyarrow as pa
    import pyarrow.compute as pc

    from mlmarket.nightly.predictions import no_reasons

    place = answers.schema.get_field_index(AS_OF)
    answers = answers.set_column(place, AS_OF, answers.column(AS_OF).cast(pa.timestamp("us")))
    reasons = [no_reasons()]
    for predictor in predictors:
        silent = pc.is_null(answers.column(f"{predictor.name}_model_version"))
        contacts = answers.filter(silent).column(CONTACT_ID).combine_chunks()
        reasons.append(predictor.reasons(contacts, as_of=night.as_of))
    missing = pa.concat_tables(reasons)
    return Predictions(
        answers, missing.sort_by([(CONTACT_ID, "ascending"), ("predictor", "ascending")])
    )
