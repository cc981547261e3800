import json
import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from mlmarket.evaluation import CalibrationCurve, GainTable, Interval
from mlmarket.prediction import Evidence, FoldScore, TotalScore

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)


def _score(model, metric, value, low=0.1):
    return FoldScore(ORIGIN, model, metric, value, low, 0.9, 100, 30)


@pytest.fixture
def evidence():
    return Evidence(
        predictor="purchase",
        question="Who will <buy>?",
        folds=(
            _score("blend", "log_loss", 0.5),
            _score("blend", "log_loss", 0.7),
            _score("blend", "auc", 0.8, low=math.nan),
            _score("base_rate", "log_loss", 0.65),
        ),
        baseline="base_rate",
        chosen="blend",
        gain=Interval(0.05, 0.01, 0.09, 0.95),
        verdict="Used is the model.",
        calibration=CalibrationCurve(np.array([0.2]), np.array([0.25]), np.array([100])),
        gains=GainTable(*(np.array([1.0, math.nan]) for _ in range(4))),
        totals=(TotalScore(ORIGIN, 30.0, 31.0, 20.0),),
        relative_error=0.1,
        first_cutoff=ORIGIN,
        last_cutoff=ORIGIN,
        rows=100,
        contacts=90,
        positives=30,
        features=("order_recency",),
        left_out=(("owner", "looks like an outcome"),),
        limits=("It says < more.",),
    )


def test_evidence_survives_a_json_file_without_numbers_that_json_does_not_know(evidence):
    text = json.dumps(evidence.to_dict(), allow_nan=False)
    again = Evidence.from_dict(json.loads(text))
    assert again.to_dict() == evidence.to_dict()
    assert again.gain == evidence.gain
    assert math.isnan(again.folds[2].low)
    assert again.folds[0] == evidence.folds[0]
    assert again.calibration.count.dtype.kind == "i"
    assert math.isnan(again.gains.lift[1])


def test_the_frame_has_a_row_a_score(evidence):
    frame = evidence.to_frame()
    columns = ["origin", "model", "metric", "value", "low", "high", "rows", "positives"]
    assert list(frame.columns) == columns
    assert len(frame) == 4


def test_the_summary_is_a_mean_over_origins_with_the_best_first(evidence):
    summary = evidence.summary()
    assert list(summary.index) == ["blend", "base_rate"]
    assert summary.loc["blend", "log_loss"] == pytest.approx(0.6)
    assert evidence.score("blend", "log_loss") == pytest.approx(0.6)
    assert math.isnan(evidence.score("blend", "ece"))


def test_what_a_notebook_shows_is_escaped(evidence):
    html = replace(evidence)._repr_html_()
    assert "&lt;buy&gt;" in html
    assert "says &lt; more" in html
