from dataclasses import replace

import numpy as np
import pytest

from mlmarket.evaluation import Interval
from mlmarket.reporting import headline


@pytest.fixture
def bought(likely):
    return replace(likely, expected=Interval(410.2, 350.0, 470.0, 0.9), random_group=130.0)


def test_the_first_line_tells_size_change_expected_number_and_random_group(content, bought):
    told = headline(replace(content, segments=(bought,)))
    assert told.first == (
        "3,412 likely to buy in 30 days (+120 since last week); we expect 410 buyers "
        "(350 to 470); a random group of that size would give 130."
    )
    assert told.further == ()


def test_without_an_earlier_week_there_is_nothing_to_compare_with(content, bought):
    told = headline(replace(content, segments=(replace(bought, earlier_size=None),)))
    assert told.first.startswith(
        "3,412 likely to buy in 30 days (no earlier week to compare with);"
    )


def test_a_week_without_change_says_so(content, bought):
    told = headline(replace(content, segments=(replace(bought, earlier_size=3412),)))
    assert "(±0 since last week)" in told.first


def test_without_a_random_group_none_is_made_up(content, bought):
    told = headline(replace(content, segments=(replace(bought, random_group=None),)))
    assert told.first.endswith("we expect 410 buyers (350 to 470).")


def test_a_time_is_named_once(content, bought):
    quiet = replace(bought, title="VIP customers", outcome="buyers in 30 days")
    told = headline(replace(content, segments=(quiet,)))
    assert told.first.startswith("3,412 VIP customers (+120")
    assert "we expect 410 buyers in 30 days (" in told.first


def test_an_outcome_without_a_name_is_still_a_sentence(content, bought):
    told = headline(replace(content, segments=(replace(bought, outcome=""),)))
    assert "we expect 410 of them (350 to 470)" in told.first


def test_each_further_segment_with_an_expected_number_has_a_line(content):
    told = headline(content)
    assert told.first.startswith("3,412 likely to buy")
    assert [line.split(" (")[0] for line in told.further] == ["842 at risk of leaving"]


def test_a_segment_that_was_skipped_is_no_news(content, bought):
    skipped = replace(bought, title="Skipped ones", skipped="needs 'messages'")
    told = headline(replace(content, segments=(skipped, bought)))
    assert told.first.startswith("3,412 likely to buy")
    assert told.further == ()


def test_without_segments_the_people_scored_are_counted(content, purchase):
    told = headline(replace(content, segments=(), predictors=(purchase,)))
    assert told.first.startswith("Who will buy within 30 days? 300 people were scored; we expect ")
    assert told.first.endswith(").")


def test_when_nobody_was_scored_it_says_so(content, purchase):
    nobody = replace(purchase, scores=np.empty(0))
    told = headline(replace(content, segments=(), predictors=(nobody,)))
    assert told.first.endswith("Nobody could be given a probability tonight.")
    assert told.notes == ()


def test_without_any_prediction_the_people_known_are_counted(content):
    told = headline(replace(content, segments=(), predictors=()))
    assert told.first == "18,250 people are known; no prediction could be made tonight."
    assert told.notes == ()


def test_a_rule_that_answers_instead_of_the_model_is_named(content, purchase, rule):
    evidence = replace(rule.evidence, baseline="rfm_cells", chosen="rfm_cells")
    told = headline(replace(content, predictors=(replace(rule, evidence=evidence),)))
    assert (
        "Who is leaving: 'no order' within 90D? The model did not beat RFM cells, so the rule is "
        "used."
    ) in told.notes


def test_a_model_that_won_needs_no_note(content, purchase):
    won = replace(purchase.evidence, chosen="blend", baseline="rfm_cells")
    told = headline(replace(content, predictors=(replace(purchase, evidence=won),)))
    assert told.notes == (
        "A range in brackets should hold the number on 90\N{NO-BREAK SPACE}% of all nights.",
    )
