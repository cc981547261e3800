from dataclasses import replace

import numpy as np

from mlmarket.evaluation import CalibrationCurve, GainTable
from mlmarket.reporting.charts import charts_of
from mlmarket.reporting.headline import model_name


def titles(charts):
    return [chart.title for chart in charts]


def test_four_pictures_back_a_predictor(purchase):
    charts = charts_of(purchase, id_prefix="p")
    assert titles(charts) == [
        "Probabilities tonight",
        "Promised and happened",
        "From the likeliest to the least likely",
        "Against the simple rule",
    ]
    assert all(chart.svg.startswith("<svg ") for chart in charts)
    assert all(chart.sentence in chart.svg.unescape() for chart in charts)


def test_a_week_ago_is_drawn_only_where_it_is_known(purchase):
    with_week = charts_of(purchase, id_prefix="p")[0]
    without = charts_of(replace(purchase, earlier_scores=None), id_prefix="p")[0]
    assert "a week ago" in with_week.sentence
    assert "a week ago" not in without.sentence
    assert with_week.svg != without.svg


def test_probabilities_of_nobody_are_not_drawn(purchase):
    for scores in (np.empty(0), np.array([np.nan])):
        charts = charts_of(replace(purchase, scores=scores), id_prefix="p")
        assert "Probabilities tonight" not in titles(charts)


def test_one_probability_for_all_is_drawn_too(purchase):
    for value in (0.0, 0.25, 1.0):
        section = replace(purchase, scores=np.full(9, value), earlier_scores=np.empty(0))
        assert titles(charts_of(section, id_prefix="p"))[0] == "Probabilities tonight"


def test_evidence_without_rows_has_no_pictures(purchase):
    nothing = np.empty(0)
    evidence = replace(
        purchase.evidence,
        folds=(),
        calibration=CalibrationCurve(nothing, nothing, np.empty(0, dtype=np.intp)),
        gains=GainTable(nothing, nothing, nothing, nothing),
    )
    charts = charts_of(replace(purchase, evidence=evidence), id_prefix="p")
    assert titles(charts) == ["Probabilities tonight"]


def test_the_model_is_drawn_against_the_rule_even_where_the_rule_won(purchase, rule):
    drawn = charts_of(rule, id_prefix="p")[3].svg
    stood = model_name(rule.evidence.challenger).partition(" (")[0]
    assert f"<!-- {stood} -->" in drawn
    assert f"<!-- {'the recency rule'} -->" in drawn
    assert charts_of(purchase, id_prefix="p")[3].svg == drawn


def test_a_model_with_a_hostile_name_draws_letters_only(purchase):
    name = "--><script>alert(1)</script>"
    folds = tuple(
        replace(fold, model=name) if fold.model == purchase.evidence.chosen else fold
        for fold in purchase.evidence.folds
    )
    evidence = replace(purchase.evidence, folds=folds, chosen=name)
    charts = charts_of(replace(purchase, evidence=evidence), id_prefix="p")
    assert not any("<script" in chart.svg for chart in charts)
