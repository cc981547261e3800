"""How good is a prediction, and is it better than a simple rule?"""

from mlmarket.evaluation.assignment import (
    drawn_below,
    in_holdout,
    stable_fraction,
    stable_fractions,
)
from mlmarket.evaluation.bootstrap import Interval, bootstrap, paired_difference
from mlmarket.evaluation.calibration import (
    CalibrationCurve,
    Calibrator,
    IdentityCalibrator,
    calibration_curve,
    calibrator_from_dict,
)
from mlmarket.evaluation.gains import GainTable, gain_table, lift
from mlmarket.evaluation.isotonic import IsotonicCalibrator
from mlmarket.evaluation.list_quality import (
    catalogue_coverage,
    intra_list_diversity,
    novelty,
)
from mlmarket.evaluation.metrics import (
    Metric,
    average_precision,
    brier_score,
    expected_calibration_error,
    log_loss,
    roc_auc,
)
from mlmarket.evaluation.off_policy import (
    FewEffectiveSlotsWarning,
    LoggedSlots,
    OffPolicyEstimate,
    doubly_robust,
    inverse_propensity,
    same_place,
    self_normalised,
)
from mlmarket.evaluation.plots import (
    plot_calibration,
    plot_deciles,
    plot_folds,
    plot_lift,
    plot_scores,
    to_svg,
)
from mlmarket.evaluation.ranking import (
    RankingScores,
    mean_difference,
    mean_interval,
    mean_intervals,
    ranking_metrics,
)
from mlmarket.evaluation.sigmoid import SigmoidCalibrator
from mlmarket.evaluation.splits import rolling_origins, training_cutoffs
from mlmarket.evaluation.totals import expected_total, relative_total_error
from mlmarket.evaluation.value_deciles import ValueDeciles, value_deciles
from mlmarket.evaluation.value_metrics import (
    decile_error,
    mean_absolute_error,
    normalised_gini,
    total_bias,
    tweedie_deviance,
)
from mlmarket.evaluation.value_totals import (
    expected_value_total,
    value_dispersion,
    value_own_chance,
)

__all__ = [
    "CalibrationCurve",
    "Calibrator",
    "FewEffectiveSlotsWarning",
    "GainTable",
    "IdentityCalibrator",
    "Interval",
    "IsotonicCalibrator",
    "LoggedSlots",
    "Metric",
    "OffPolicyEstimate",
    "RankingScores",
    "SigmoidCalibrator",
    "ValueDeciles",
    "average_precision",
    "bootstrap",
    "brier_score",
    "calibration_curve",
    "calibrator_from_dict",
    "catalogue_coverage",
    "decile_error",
    "doubly_robust",
    "drawn_below",
    "expected_calibration_error",
    "expected_total",
    "expected_value_total",
    "gain_table",
    "in_holdout",
    "intra_list_diversity",
    "inverse_propensity",
    "lift",
    "log_loss",
    "mean_absolute_error",
    "mean_difference",
    "mean_interval",
    "mean_intervals",
    "normalised_gini",
    "novelty",
    "paired_difference",
    "plot_calibration",
    "plot_deciles",
    "plot_folds",
    "plot_lift",
    "plot_scores",
    "ranking_metrics",
    "relative_total_error",
    "roc_auc",
    "rolling_origins",
    "same_place",
    "self_normalised",
    "stable_fraction",
    "stable_fractions",
    "to_svg",
    "total_bias",
    "training_cutoffs",
    "tweedie_deviance",
    "value_deciles",
    "value_dispersion",
    "value_own_chance",
]
