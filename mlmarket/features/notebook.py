"""What was known about these people, as a frame?"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from mlmarket.errors import ConfigurationError
from mlmarket.features.cutoffs import normal_cutoffs
from mlmarket.features.defaults import default_features
from mlmarket.features.feature import Feature
from mlmarket.features.parts import refuse_strangers
from mlmarket.features.snapshots import SnapshotSpec, build
from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.market.connect import to_arrow
from mlmarket.market.time import to_utc

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlmarket.market import Market

__all__ = ["feature_frame"]


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
        With ``contact_id`` and, unless `as_of` is given, ``as_of``. Its rows, their order, its
        index and its other columns are kept.
    features : sequence of Feature, optional
        By default all that the tables allow at the first of the instants.

    Returns
    -------
    pandas.DataFrame
        ``contact_id, as_of`` (in UTC) and a column a feature; missing for contacts that were not
        known at the instant.

    Raises
    ------
    ConfigurationError
        Where no instant is given, or two; where an instant has no zone; or where the frame has a
        column that is also a feature.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlmarket.features import count
    >>> from mlmarket.market import Market
    >>> orders = pd.DataFrame({"contact_id": ["a"], "order_id": ["1"], "ordered_at": ["2026-05-01"]})
    >>> market = Market.from_tables(orders=orders)
    >>> feature_frame(market, as_of=datetime(2026, 6, 1, tzinfo=UTC), features=[count("order")])
      contact_id                     as_of  order_count
    0          a 2026-06-01 00:00:00+00:00          1.0
    """
    if contacts is None:
        return _of_everybody(market, as_of, features)
    import pandas as pd

    given = contacts if isinstance(contacts, pd.DataFrame) else _as_pandas(contacts)
    if as_of is not None:
        given = _at(given, as_of)
    keys = normal_cutoffs(given, zone=market.zone)
    if not keys.num_rows:
        raise ConfigurationError(
            "The frame of contacts is empty.",
            "There is nobody to look at.",
            "pass at least one row, or as_of= alone for everybody.",
        )
    import pyarrow.compute as pc

    chosen = _chosen(market, features, pc.min(keys.column(AS_OF)).as_py().replace(tzinfo=UTC))
    return _joined(market, given, keys, chosen)


def _of_everybody(
    market: "Market", as_of: datetime | None, features: Sequence[Feature] | None
) -> "pd.DataFrame":
    import pyarrow as pa

    if as_of is None:
        raise ConfigurationError(
            "Features need an instant.",
            "Without it nobody can say what was known.",
            "pass as_of=datetime(…, tzinfo=UTC), or contacts= with a column 'as_of'.",
        )
    spec = SnapshotSpec(None, _chosen(market, features, as_of))
    return _in_utc(pa.Table.from_batches(build(market, spec, cutoffs=[as_of])))


def _chosen(
    market: "Market", features: Sequence[Feature] | None, first: datetime
) -> tuple[Feature, ...]:
    if features is None:
        return default_features(market, as_of=first)
    refuse_strangers(features)
    return tuple(features)


def _as_pandas(frame: object) -> "pd.DataFrame":
    return cast("pd.DataFrame", to_arrow(frame, name="contacts").to_pandas())


def _at(given: "pd.DataFrame", as_of: datetime) -> "pd.DataFrame":
    import pandas as pd

    if AS_OF in given.columns:
        raise ConfigurationError(
            "There are two instants: as_of= and the column 'as_of' of the frame.",
            "They may differ, and only one can be looked from.",
            "leave out one of them.",
        )
    moment = pd.Timestamp(to_utc(as_of)).tz_localize(UTC)
    return given.assign(**{AS_OF: moment})


def _joined(
    market: "Market", given: "pd.DataFrame", keys: "pa.Table", features: tuple[Feature, ...]
) -> "pd.DataFrame":
    import pyarrow as pa

    for feature in features:
        if feature.name in given.columns:
            raise ConfigurationError(
                f"The frame has a column '{feature.name}', which is also a feature.",
                "One of them would overwrite the other.",
                "rename it, or pass the features you want with features=.",
            )
    utc = keys.set_column(1, AS_OF, keys.column(AS_OF).cast(pa.timestamp("us", "UTC")))
    batches = build(market, SnapshotSpec(None, features), cutoffs=utc)
    built = _in_utc(pa.Table.from_batches(batches))
    named = _in_utc(keys)
    left = given.reset_index(drop=True)
    left = left.assign(**{name: named[name] for name in (CONTACT_ID, AS_OF)})
    found = left.merge(built, on=[CONTACT_ID, AS_OF], how="left")
    return found.set_axis(given.index, axis="index")


def _in_utc(table: "pa.Table") -> "pd.DataFrame":
    frame = cast("pd.DataFrame", table.to_pandas())
    return frame.assign(**{AS_OF: frame[AS_OF].dt.tz_localize("UTC")})
