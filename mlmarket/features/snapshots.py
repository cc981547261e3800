"""What was known about each contact at a cutoff, and what did they do after it?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from mlmarket.errors import ConfigurationError
from mlmarket.features.algebra import Behaviour, Feature
from mlmarket.features.defaults import default_features
from mlmarket.features.ibis_compiler import compile_features
from mlmarket.features.labels import (
    LABEL,
    OpenLabelWindowError,
    compile_label,
    label_complete_until,
    label_table,
)
from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.market.time import to_utc

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd
    import pyarrow as pa

    from mlmarket.market import Market

__all__ = ["SnapshotSpec", "build", "feature_frame"]


@dataclass(frozen=True, slots=True)
class SnapshotSpec:
    """Who is looked at, what is known of them, and what is asked.

    Parameters
    ----------
    eligible : Behaviour or None
        Only contacts with such rows at or before the cutoff; None means every contact.
    features : tuple of Feature
        What is known.
    label : Behaviour or None
        What is asked; None where only features are wanted.
    horizon : timedelta or None
        How far the label looks.
    """

    eligible: Behaviour | None
    features: tuple[Feature, ...]
    label: Behaviour | None = None
    horizon: timedelta | None = None


def build(
    market: "Market",
    spec: SnapshotSpec,
    *,
    cutoffs: "Sequence[datetime] | pd.DataFrame | pa.Table",
    known_at: datetime | None = None,
    only: "pa.Table | None" = None,
) -> "Iterator[pa.RecordBatch]":
    """Yield point-in-time rows.

    Parameters
    ----------
    market : Market
        The tables.
    spec : SnapshotSpec
        What to build.
    cutoffs : sequence of datetime, or frame
        Aware instants for all eligible contacts; or a frame of ``contact_id, as_of``, whose
        eligible rows are built.
    known_at : datetime, optional
        Label rows that became available later are not seen.
    only : pyarrow.Table, optional
        Only contacts whose ``contact_id`` is in it.

    Yields
    ------
    pyarrow.RecordBatch
        ``contact_id, as_of``, a column a feature, and ``label`` (int8) where one is asked; by
        cutoff, then by contact.

    Raises
    ------
    OpenLabelWindowError
        Where a label window has not ended.
    ConfigurationError
        Where a frame lacks a column or an instant has no zone.
    """
    chosen = None if only is None else _memtable(market, only, "chosen")
    if isinstance(cutoffs, Sequence):
        _refuse_open(market, spec, list(cutoffs), known_at)
        for cutoff in cutoffs:
            yield from _rows(market, spec, cutoff, known_at, chosen).to_pyarrow_batches()
        return
    frame = _cutoff_frame(cutoffs)
    moments = cast("list[datetime]", frame.column(AS_OF).unique().to_pylist())
    _refuse_open(market, spec, [moment.replace(tzinfo=UTC) for moment in moments], known_at)
    at = _memtable(market, frame, "cutoffs")
    yield from _rows(market, spec, at, known_at, chosen).to_pyarrow_batches()


def feature_frame(
    market: "Market",
    *,
    as_of: datetime | None = None,
    contacts: object = None,
    features: "Sequence[Feature] | None" = None,
) -> "pd.DataFrame":
    """Return features as a frame, for notebooks.

    Parameters
    ----------
    market : Market
        The tables.
    as_of : datetime, optional
        One instant for all contacts.
    contacts : pandas.DataFrame, polars.DataFrame or pyarrow.Table, optional
        With ``contact_id`` and, unless `as_of` is given, ``as_of``. Its rows, their order and
        its other columns are kept.
    features : sequence of Feature, optional
        By default all that the tables allow.

    Returns
    -------
    pandas.DataFrame
        ``contact_id, as_of`` (in UTC) and a column a feature.

    Raises
    ------
    ConfigurationError
        Where neither an instant nor a frame with instants is given.
    """
    import pandas as pd
    import pyarrow as pa

    from mlmarket.market.connect import to_arrow

    given = None if contacts is None else to_arrow(contacts, name="contacts").to_pandas()
    if given is not None and AS_OF not in given.columns and as_of is not None:
        given = given.assign(**{AS_OF: pd.Timestamp(to_utc(as_of), tz=UTC)})
    if given is None and as_of is None:
        raise ConfigurationError(
            "Features need an instant.",
            "Without it nobody can say what was known.",
            "pass as_of=datetime(…, tzinfo=UTC), or contacts= with a column 'as_of'.",
        )
    latest = as_of or pd.to_datetime(given[AS_OF], utc=True).max().to_pydatetime()
    chosen = tuple(features) if features is not None else default_features(market, as_of=latest)
    spec = SnapshotSpec(None, chosen)
    if given is None:
        frame = pa.Table.from_batches(build(market, spec, cutoffs=[latest])).to_pandas()
        return frame.assign(**{AS_OF: frame[AS_OF].dt.tz_localize("UTC")})
    moments = pd.to_datetime(given[AS_OF], utc=True).astype("datetime64[us, UTC]")
    given = given.assign(**{CONTACT_ID: given[CONTACT_ID].astype("string"), AS_OF: moments})
    keys = given[[CONTACT_ID, AS_OF]].drop_duplicates()
    built = pa.Table.from_batches(build(market, spec, cutoffs=keys)).to_pandas()
    built = built.assign(**{AS_OF: built[AS_OF].dt.tz_localize("UTC")})
    return given.merge(built.astype({CONTACT_ID: "string"}), on=[CONTACT_ID, AS_OF], how="left")


def _rows(
    market: "Market",
    spec: SnapshotSpec,
    at: "datetime | ir.Table",
    known_at: datetime | None,
    only: "ir.Table | None",
) -> "ir.Table":
    table = compile_features(market, spec.features, at=at, eligible=spec.eligible, only=only)
    if spec.label is not None and spec.horizon is not None:
        did = compile_label(market, spec.label, at=at, horizon=spec.horizon, known_at=known_at)
        keys = [CONTACT_ID] if isinstance(at, datetime) else [CONTACT_ID, AS_OF]
        joined = table.left_join(did.mutate(did__it=True), keys)
        happened = joined.did__it.fill_null(False)
        label = (~happened if spec.label.negated else happened).cast("int8")
        table = joined.select(*table.columns, **{LABEL: label})
    return table.order_by([AS_OF, CONTACT_ID])


def _refuse_open(
    market: "Market", spec: SnapshotSpec, cutoffs: list[datetime], known_at: datetime | None
) -> None:
    if spec.label is None or spec.horizon is None:
        return
    until = label_complete_until(market, spec.label, as_of=known_at)
    for cutoff in cutoffs:
        if cutoff + spec.horizon > until:
            raise OpenLabelWindowError(
                cutoff=cutoff,
                horizon=spec.horizon,
                table=label_table(spec.label),
                complete_until=until,
            )


def _memtable(market: "Market", table: "pa.Table", name: str) -> "ir.Table":
    """Put rows of the caller beside the market's tables, under a name made of their content."""
    import hashlib

    import ibis

    backend = market.table("contacts").get_backend()
    if backend.name != "duckdb":
        return ibis.memtable(table)
    digest = hashlib.sha256()
    for column in table.itercolumns():
        for chunk in column.chunks:
            for buffer in chunk.buffers():
                digest.update(buffer or b"")
    full = f"mlmarket_{name}_{digest.hexdigest()[:16]}"
    return backend.create_table(full, table, temp=True, overwrite=True)


def _cutoff_frame(frame: object) -> "pa.Table":
    """Return a caller's frame as text ids and naive UTC microseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from mlmarket.market.connect import to_arrow

    table = to_arrow(frame, name="cutoffs")
    for column in (CONTACT_ID, AS_OF):
        if column not in table.column_names:
            raise ConfigurationError(
                f"The frame of cutoffs has no column '{column}'.",
                "Each row says for whom and when.",
                "pass a frame with contact_id and as_of.",
            )
    as_of = table.column(AS_OF)
    if not pa.types.is_timestamp(as_of.type) or as_of.type.tz is None:
        raise ConfigurationError(
            f"The column 'as_of' of the cutoffs is {as_of.type}, not an instant with a zone.",
            "An instant without a zone may be hours away from what was meant.",
            'convert it: pd.to_datetime(frame["as_of"], utc=True).',
        )
    moments = pc.cast(as_of, pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
    ids = pc.cast(table.column(CONTACT_ID), pa.string())
    return pa.table({CONTACT_ID: ids, AS_OF: moments})
