import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation import gain_table, lift


def sample(seed, size=200, decimals=1):
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(1, 3, size), decimals)
    return (rng.random(size) < p).astype(int), p


def test_the_lift_of_a_perfect_order_is_one_over_the_base_rate():
    y = np.array([1] * 20 + [0] * 80)
    assert lift(y, y.astype(float), share=0.1) == pytest.approx(5.0)
    assert lift(y, y.astype(float), share=0.2) == pytest.approx(5.0)
    assert lift(y, y.astype(float), share=0.4) == pytest.approx(2.5)


def test_one_prediction_for_all_has_a_lift_of_one_in_any_order_of_rows():
    assert lift([1, 1, 0, 0, 0, 0, 0, 0], [0.3] * 8, share=0.25) == pytest.approx(1.0)
    assert lift([0, 0, 0, 0, 0, 0, 1, 1], [0.3] * 8, share=0.25) == pytest.approx(1.0)


def test_a_tie_across_the_border_counts_in_proportion():
    assert lift([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.5], share=0.5) == pytest.approx(
        (1 + 1 / 3) / 2 / 0.5
    )


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n_bins=st.integers(1, 20))
def test_the_table_adds_up_whatever_the_ties(seed, n_bins):
    y, p = sample(seed)
    table = gain_table(y, p, n_bins)
    assert table.rate.mean() == pytest.approx(y.mean())
    assert table.captured[-1] == pytest.approx(1.0)
    assert table.lift[-1] == pytest.approx(1.0)
    assert (np.diff(table.captured) >= -1e-12).all()
    assert ((table.rate >= 0.0) & (table.rate <= 1.0)).all()


def test_the_first_row_of_the_table_is_the_lift_of_its_share():
    y, p = sample(1)
    assert gain_table(y, p, 10).lift[0] == pytest.approx(lift(y, p, 0.1))
    assert gain_table(y, p, 10).rate[0] == pytest.approx(lift(y, p, 0.1) * y.mean())


def test_without_a_positive_rates_are_zero_and_lift_is_undefined():
    table = gain_table([0, 0, 0], [0.1, 0.2, 0.3], 3)
    assert table.rate.tolist() == [0.0, 0.0, 0.0]
    assert np.isnan(table.lift).all()


def test_the_table_is_shown_as_a_frame():
    table = gain_table(*sample(2), n_bins=4)
    assert table.to_frame().columns.to_list() == ["share", "rate", "captured", "lift"]
    assert table.to_frame()["share"].to_list() == [0.25, 0.5, 0.75, 1.0]
    assert "<table" in table._repr_html_()


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, 10, float("nan")])
def test_a_share_that_is_none_or_all_is_refused(share):
    with pytest.raises(ConfigurationError, match="'share'"):
        lift([0, 1], [0.1, 0.2], share)
