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
from mlmarket.features.attributes import AttributeChoice, choose_attributes
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.declarations import FeatureSettings, declared_features
from mlmarket.features.defaults import FeatureChoice, choose_features, default_features
from mlmarket.features.explain import FeatureExplanation, explain_feature
from mlmarket.features.feature import Feature, Operation
from mlmarket.features.fitting import check_features
from mlmarket.features.labels import OpenLabelWindowError, label_complete_until
from mlmarket.features.leaks import LeakSuspect
from mlmarket.features.notebook import feature_frame
from mlmarket.features.profiles import FeatureProfile, FeatureStatistics, profile
from mlmarket.features.sets import FEATURE_SETS, feature_set
from mlmarket.features.snapshots import SnapshotSpec, build

__all__ = [
    "FEATURE_SETS",
    "AttributeChoice",
    "Behaviour",
    "Feature",
    "FeatureChoice",
    "FeatureExplanation",
    "FeatureProfile",
    "FeatureSettings",
    "FeatureStatistics",
    "LeakSuspect",
    "OpenLabelWindowError",
    "Operation",
    "SnapshotSpec",
    "attribute",
    "build",
    "check_features",
    "choose_attributes",
    "choose_features",
    "count",
    "days_active",
    "declared_features",
    "default_features",
    "explain_feature",
    "feature_frame",
    "feature_set",
    "first_touch",
    "gap_mean",
    "gap_std",
    "label_complete_until",
    "last",
    "maximum",
    "mean",
    "minimum",
    "profile",
    "ratio",
    "recency",
    "share_by",
    "total",
    "trend",
]
