"""What do features look like, have they moved, and do they know too much?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from mlmarket.errors import ConfigurationError
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.drift import Drift, drift_between
from mlmarket.features.feature import Feature, Operation
from mlmarket.features.labels import LABEL
from mlmarket.features.leaks import (
    LeakSuspect,
    attribute_of,
    label_suspects,
    name_suspects,
    single_auc,
    writing_suspects,
)
from mlmarket.features.snapshots import SnapshotSpec, build
from mlmarket.market.columns import AS_OF, CONTACT_ID
from mlmarket.market.history import recorded_since
from mlmarket.market.time import parse_duration, to_utc

if TYPE_CHECKING:
    import pandas as pd

    from mlmarket.market import Market

__all__ = ["FeatureProfile", "FeatureStatistics", "profile"]

_QUANTILES: Final = {
    "min": 0.0, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FeatureStatistics:
    """What one feature looks like.

    Parameters
    ----------
    feature : str
        Its name.
    missing : float
        Share of contacts for whom it is missing.
    distinct : int
        How many different values there are.
    quantiles : tuple of float
        Smallest value, 5, 25, 50, 75 and 95 % quantiles and largest value; NaN for a category.
    psi : float
        Population stability index against the reference; NaN without one.
    moved : bool
        Whether the index is large, and larger than chance makes it.
    auc : float
        How well it tells the label apart by itself, from 0.5; NaN without a label.
    """

    feature: str
    missing: float
    distinct: int
    quantiles: tuple[float, ...]
    psi: float
    moved: bool
    auc: float

    @property
    def constant(self) -> bool:
        """Whether it is the same for everybody."""
        return self.distinct == 0 or (self.distinct == 1 and self.missing == 0.0)


@dataclass(frozen=True, slots=True)
class FeatureProfile:
    """What features look like at an instant.

    Parameters
    ----------
    as_of : datetime
        The instant.
    reference : datetime or None
        What it is compared with.
    labelled_at : datetime or None
        Where the label window began.
    contacts : int
        Who is looked at.
    features : tuple of FeatureStatistics
        In the order asked for.
    suspects : tuple of LeakSuspect
        Features that may know the answer.
    undated : tuple of str
        Attributes whose past is not recorded: they are read as they are today.
    """

    as_of: datetime
    reference: datetime | None
    labelled_at: datetime | None
    contacts: int
    features: tuple[FeatureStatistics, ...]
    suspects: tuple[LeakSuspect, ...]
    undated: tuple[str, ...]

    @property
    def constant(self) -> tuple[str, ...]:
        """Features that are the same for everybody."""
        return tuple(one.feature for one in self.features if one.constant)

    @property
    def moved(self) -> tuple[str, ...]:
        """Features whose distribution is not that of the reference."""
        return tuple(one.feature for one in self.features if one.moved)

    def to_frame(self) -> "pd.DataFrame":
        """Return the statistics as a frame.

        Returns
        -------
        pandas.DataFrame
            One row a feature: feature, missing, distinct, constant, quantiles, psi, moved, auc and
            suspect: the reason, empty where there is none.
        """
        import pandas as pd

        reasons = {one.feature: one.reason for one in reversed(self.suspects)}
        return pd.DataFrame(
            [
                {
                    "feature": one.feature,
                    "missing": one.missing,
                    "distinct": one.distinct,
                    "constant": one.constant,
                    **dict(zip(_QUANTILES, one.quantiles, strict=True)),
                    "psi": one.psi,
                    "moved": one.moved,
                    "auc": one.auc,
                    "suspect": reasons.get(one.feature, ""),
                }
                for one in self.features
            ]
        )

    def to_text(self) -> str:
        """Return it in lines to read.

        Returns
        -------
        str
            What stands out, then the table.
        """
        numbers = self.to_frame().drop(columns=["constant", "moved", "suspect"]).round(3)
        return "\n".join([*self._findings(), numbers.to_string(index=False, na_rep="")])

    def _findings(self) -> Iterator[str]:
        against = f", against {self.reference:%Y-%m-%d}" if self.reference else ""
        yield f"{self.contacts:,} contacts as of {self.as_of:%Y-%m-%d %H:%M} UTC{against}"
        for word, names in (
            ("moved", self.moved),
            ("the same for everybody", self.constant),
            ("read as they are today, their past is not recorded", self.undated),
        ):
            if names:
                yield f"{word}: {', '.join(names)}"
        for one in self.suspects:
            yield f"suspect: {one.feature} {one.reason}"

    def _repr_html_(self) -> str:
        findings = "".join(f"<li>{escape(text)}</li>" for text in self._findings())
        table = self.to_frame().drop(columns=["constant", "moved", "suspect"]).round(3)
        return f"<ul>{findings}</ul>{table.to_html(index=False, border=0, na_rep='')}"


def profile(
    market: "Market",
    features: Sequence[Feature],
    *,
    as_of: datetime,
    reference: datetime | None = None,
    eligible: Behaviour | str | None = None,
    label: Behaviour | str | None = None,
    horizon: timedelta | str | None = None,
) -> FeatureProfile:
    """Return what features look like, whether they moved, and whether they know too much.

    Parameters
    ----------
    market : Market
        The tables.
    features : sequence of Feature
        Which.
    as_of : datetime
        When.
    reference : datetime, optional
        An earlier instant to compare with, such as the last one that a model learned from.
    eligible : Behaviour or str, optional
        Of whom; by default of every contact known.
    label : Behaviour or str, optional
        What is to be predicted. What contacts did after the reference, or after `as_of` where there
        is none, says which features know the answer too well.
    horizon : timedelta or str, optional
        How far the label looks.

    Returns
    -------
    FeatureProfile
        With one row a feature. Everybody's features are read into memory.

    Raises
    ------
    OpenLabelWindowError
        Where the label window has not ended.
    ConfigurationError
        Where nobody is eligible, the reference is not before `as_of`, an instant has no zone, or
        the label has no horizon.
    """
    asked = None if label is None else Behaviour.parse(label)
    gate = None if eligible is None else Behaviour.parse(eligible)
    span = None if horizon is None else parse_duration(horizon)
    spec = SnapshotSpec(gate, tuple(features), asked, span)
    if reference is not None and to_utc(reference) >= to_utc(as_of):
        raise ConfigurationError(
            f"The reference {reference:%Y-%m-%d %H:%M} is not before {as_of:%Y-%m-%d %H:%M}.",
            "What moved is told by what was before.",
            "pass an earlier reference, or none.",
        )
    before = _read(market, spec, reference or as_of)
    now = before if reference is None else _read(market, SnapshotSpec(gate, spec.features), as_of)
    labels = _Labels.of(market, spec, before, reference or as_of)
    return FeatureProfile(
        as_of=as_of.astimezone(UTC),
        reference=None if reference is None else reference.astimezone(UTC),
        labelled_at=None if asked is None else (reference or as_of).astimezone(UTC),
        contacts=len(now),
        features=tuple(
            _statistics(one.name, now, None if reference is None else before, labels.areas)
            for one in features
        ),
        suspects=(*name_suspects(market, features, at=reference or as_of), *labels.suspects),
        undated=_undated(market, features, reference or as_of),
    )


def _read(market: "Market", spec: SnapshotSpec, at: datetime) -> "pd.DataFrame":
    """Return features, and the label where one is asked, by contact."""
    import pyarrow as pa

    batches = build(market, spec, cutoffs=[at])
    frame = cast("pd.DataFrame", pa.Table.from_batches(batches).to_pandas())
    if not len(frame):
        who = f"'{spec.eligible}'" if spec.eligible is not None else "known"
        raise ConfigurationError(
            f"Nobody was {who} at {at:%Y-%m-%d %H:%M}.",
            "There is nothing to look at.",
            "pass a later instant, or look at more contacts.",
        )
    return frame.set_index(CONTACT_ID).drop(columns=[AS_OF])


@dataclass(frozen=True, slots=True)
class _Labels:
    """What the label says of the features."""

    areas: dict[str, float]
    suspects: tuple[LeakSuspect, ...]

    @classmethod
    def of(
        cls, market: "Market", spec: SnapshotSpec, frame: "pd.DataFrame", at: datetime
    ) -> "_Labels":
        if spec.label is None or spec.horizon is None:
            return cls({}, ())
        label = frame[LABEL].to_numpy(dtype=np.int8)
        known = frame.drop(columns=[LABEL])
        areas = {name: single_auc(known[name], label) for name in known.columns}
        suspects = list(label_suspects(known, label, areas))
        attributes = tuple(one for one in spec.features if one.operation is Operation.ATTRIBUTE)
        if attributes and recorded_since(market) is not None:
            names = [one.name for one in attributes]
            later = _read(market, SnapshotSpec(None, attributes), at + spec.horizon)
            happened = label == int(not spec.label.negated)
            suspects += writing_suspects(
                known[names], later.reindex(known.index)[names], happened, spec.horizon
            )
        return cls(areas, tuple(suspects))


def _statistics(
    name: str, now: "pd.DataFrame", before: "pd.DataFrame | None", areas: dict[str, float]
) -> FeatureStatistics:
    values = now[name]
    present = values.dropna()
    quantiles = (float("nan"),) * len(_QUANTILES)
    if present.dtype.kind == "f" and len(present):
        quantiles = tuple(float(one) for one in np.quantile(present, list(_QUANTILES.values())))
    drift = (
        Drift(float("nan"), moved=False) if before is None else drift_between(before[name], values)
    )
    return FeatureStatistics(
        feature=name,
        missing=1.0 - len(present) / len(values),
        distinct=int(present.nunique()),
        quantiles=quantiles,
        psi=drift.psi,
        moved=drift.moved,
        auc=areas.get(name, float("nan")),
    )


def _undated(market: "Market", features: Sequence[Feature], at: datetime) -> tuple[str, ...]:
    since = recorded_since(market)
    if since is not None and since <= to_utc(at):
        return ()
    return tuple(one.name for one in features if attribute_of(one))
