import numpy as np
import pytest

from mlmarket.evaluation import decile_error, plot_deciles, value_deciles


def test_the_first_tenth_is_the_highest_one():
    predicted = np.arange(100.0)
    table = value_deciles(2 * predicted, predicted).to_frame()
    assert table["decile"].tolist() == list(range(1, 11))
    assert table["predicted"].tolist() == [94.5 - 10 * i for i in range(10)]
    assert table["observed"].tolist() == [2 * value for value in table["predicted"]]
    assert table["count"].tolist() == [10] * 10


def test_equal_predictions_stay_in_one_tenth():
    deciles = value_deciles([1.0, 2.0, 3.0, 4.0], [5.0, 5.0, 5.0, 5.0])
    assert deciles.count.tolist() == [4]
    assert deciles.observed.tolist() == [2.5]


def test_the_interval_holds_the_mean_of_a_tenth():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(300):
        expected = np.repeat([10.0, 50.0], 200)
        low, high = value_deciles(rng.gamma(2.0, expected / 2.0), expected).interval()
        held.append((low <= [50.0, 10.0]) & (high >= [50.0, 10.0]))
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_the_decile_error_is_what_the_table_shows():
    rng = np.random.default_rng(1)
    predicted = rng.gamma(1.0, 50.0, 400)
    actual = rng.gamma(1.0, predicted)
    table = value_deciles(actual, predicted)
    missed = (np.abs(table.predicted - table.observed) * table.count).sum()
    assert decile_error(actual, predicted) == pytest.approx(missed / actual.sum())


def test_the_plot_shows_what_was_expected_and_what_came():
    predicted = np.arange(1.0, 101.0)
    axes = plot_deciles(value_deciles(predicted + 1, predicted))
    assert axes.patches[0].get_height() == 96.5
    (points,) = (line for line in axes.lines if line.get_label() == "expected")
    assert points.get_ydata()[0] == 95.5
    assert "highest expected value first" in axes.get_xlabel()
    assert value_deciles([1.0], [1.0])._repr_html_().startswith("<table")
