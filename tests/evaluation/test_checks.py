import numpy as np
import pandas as pd
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import brier_score, log_loss, paired_difference
from mlmarket.evaluation.checks import as_group_codes, as_labels, as_probabilities, as_weights


@pytest.mark.parametrize(
    ("y", "p", "sentence"),
    [
        ([], [], "'y' is empty."),
        ([0, 1], [0.5], "'p' has 1 rows, 2 are expected."),
        ([0, 2], [0.5, 0.5], "'y' is neither 0 nor 1 in 1 of 2 rows, first in row 1."),
        ([0, np.nan], [0.5, 0.5], "'y' is neither 0 nor 1"),
        ([0, 1], [0.5, np.nan], "'p' is not finite in 1 of 2 rows, first in row 1."),
        ([0, 1], [-0.1, 1.1], "'p' is outside 0 to 1 in 2 of 2 rows, first in row 0."),
        ([0, 1], [[0.5, 0.5]], "'p' has 2 dimensions, one is expected."),
        (["no", "yes"], [0.5, 0.5], "'y' holds something that is not a number"),
        ([0, 1], [None, "x"], "'p' holds something that is not a number"),
    ],
)
def test_unusable_rows_are_counted_and_the_first_is_named(y, p, sentence):
    with pytest.raises(ConfigurationError) as caught:
        log_loss(y, p)
    what, why, fix = str(caught.value).split("\n")
    assert sentence in what
    assert why.endswith(".")
    assert fix.startswith("Fix: ")


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ([1.0], "'sample_weight' has 1 rows"),
        ([1.0, -1.0], "'sample_weight' is negative or not finite in 1 of 2 rows"),
        ([1.0, np.inf], "'sample_weight' is negative or not finite"),
        ([0.0, 0.0], "'sample_weight' is zero in every row"),
    ],
)
def test_unusable_weights_are_refused(weights, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        brier_score([0, 1], [0.5, 0.5], sample_weight=weights)


def test_a_missing_label_of_a_nullable_column_is_refused():
    with pytest.raises(ConfigurationError, match="'y'"):
        as_labels(pd.Series([True, None], dtype="boolean"))


def test_labels_and_predictions_of_any_usual_type_are_read():
    assert as_labels(pd.Series([True, False])).tolist() == [1.0, 0.0]
    assert as_probabilities(np.array([0.5, 1.0], dtype=np.float32)).dtype == np.float64
    assert as_weights(None, 2).tolist() == [1.0, 1.0]


def test_the_second_prediction_of_a_comparison_is_called_by_its_name():
    with pytest.raises(ConfigurationError, match="'q' is outside 0 to 1"):
        paired_difference(brier_score, [0, 1], [0.1, 0.2], [0.1, 20.0], random_state=0)


def test_groups_are_numbered_in_the_order_of_their_names():
    codes, count = as_group_codes(pd.Series(["c-2", "c-1", "c-2"]), 3)
    assert codes.tolist() == [1, 0, 1]
    assert count == 2


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        (["c-1", "c-1"], "only one group"),
        (["c-1", None], "'groups' is missing in 1 of 2 rows"),
        (["c-1"], "'groups' has 1 rows"),
    ],
)
def test_groups_that_cannot_be_resampled_are_refused(groups, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        as_group_codes(groups, 2)
