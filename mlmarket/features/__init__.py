"""What was known about each contact at any instant, and what happened next?"""

from mlmarket.features.algebra import (
    attribute,
    count,
    days_active,
    first_touch,
    gap_mean,
    gap_std,
    last,
    maximum,
    mean,
    minimum,
    ratio,
    recency,
    share_by,
    total,
    trend,
)
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.defaults import AttributeChoice, choose_attributes, default_features
from mlmarket.features.feature import Feature, Operation
from mlmarket.features.labels import OpenLabelWindowError, label_complete_until
from mlmarket.features.notebook import feature_frame
from mlmarket.features.snapshots import SnapshotSpec, build

__all__ = [
    "AttributeChoice",
    "Behaviour",
    "Feature",
    "OpenLabelWindowError",
    "Operation",
    "SnapshotSpec",
    "attribute",
    "build",
    "choose_attributes",
    "count",
    "days_active",
    "default_features",
    "feature_frame",
    "first_touch",
    "gap_mean",
    "gap_std",
    "label_complete_until",
    "last",
    "maximum",
    "mean",
    "minimum",
    "ratio",
    "recency",
    "share_by",
    "total",
    "trend",
]
