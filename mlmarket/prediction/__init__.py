"""How is a question about contacts answered, and what backs the answer?"""

from mlmarket.prediction.allocation import Allocation, Campaigns, allocate
from mlmarket.prediction.evidence import Evidence, FoldScore, TotalScore
from mlmarket.prediction.predictor import (
    BatchPredictor,
    ChecksTables,
    DeclinedError,
    Headline,
    OutputColumn,
    Predictions,
    Predictor,
    Schema,
    TakesDue,
)
from mlmarket.prediction.snapshot_predictor import SnapshotPredictor
from mlmarket.prediction.supervised import SupervisedPredictor
from mlmarket.prediction.target import TargetModel, from_estimator
from mlmarket.prediction.words import MODEL_NAMES

__all__ = [
    "MODEL_NAMES",
    "Allocation",
    "BatchPredictor",
    "Campaigns",
    "ChecksTables",
    "DeclinedError",
    "Evidence",
    "FoldScore",
    "Headline",
    "OutputColumn",
    "Predictions",
    "Predictor",
    "Schema",
    "SnapshotPredictor",
    "SupervisedPredictor",
    "TakesDue",
    "TargetModel",
    "TotalScore",
    "allocate",
    "from_estimator",
]
