"""How is a question about contacts answered, and what backs the answer?"""

from mlmarket.prediction.evidence import Evidence, FoldScore, TotalScore
from mlmarket.prediction.predictor import (
    DeclinedError,
    OutputColumn,
    Predictions,
    Predictor,
    Schema,
)
from mlmarket.prediction.supervised import SupervisedPredictor
from mlmarket.prediction.target import TargetModel, from_estimator
from mlmarket.prediction.words import MODEL_NAMES

__all__ = [
    "MODEL_NAMES",
    "DeclinedError",
    "Evidence",
    "FoldScore",
    "OutputColumn",
    "Predictions",
    "Predictor",
    "Schema",
    "SupervisedPredictor",
    "TargetModel",
    "TotalScore",
    "from_estimator",
]
