"""Purchases expected and actual, week by week."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from mlmarket.churn import (
    BetaGeoModel,
    plot_probability_alive,
    plot_tracking,
    summarize_transactions,
    track_purchases,
)
from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.evaluation import to_svg
from mlmarket.features import OpenLabelWindowError

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


def at(day):
    return (BEGIN + timedelta(days=day)).replace(tzinfo=None)


@pytest.fixture(scope="module")
def orders():
    """Return 600 contacts that buy at rates of their own, and leave after some purchase."""
    draw = np.random.default_rng(1)
    rows = []
    for contact in range(600):
        day, rate, leaves = draw.uniform(0, 80), draw.gamma(0.8, 0.02), draw.beta(1.0, 4.0)
        while day < 360:
            rows.append((f"c{contact:03}", at(day)))
            day += draw.exponential(1 / rate)
            if draw.random() < leaves:
                break
    return pd.DataFrame(rows, columns=["contact_id", "ordered_at"])


AS_OF, UNTIL = BEGIN + timedelta(days=210), BEGIN + timedelta(days=350)


@pytest.fixture(scope="module")
def model(orders):
    return BetaGeoModel().fit(summarize_transactions(orders, as_of=AS_OF))


@pytest.fixture(scope="module")
def tracking(model, orders):
    return track_purchases(model, orders, as_of=AS_OF, until=UNTIL)


def test_weeks_without_a_table_are_no_weeks_without_purchases(model, orders):
    with pytest.raises(OpenLabelWindowError, match="'orders' is complete only until"):
        track_purchases(model, orders, as_of=AS_OF, until=UNTIL + timedelta(days=60))


def test_what_came_is_counted_as_by_hand(orders, tracking):
    days = orders.assign(day=orders["ordered_at"].dt.normalize()).drop_duplicates(
        ["contact_id", "day"]
    )
    first = days.groupby("contact_id")["day"].transform("min")
    again = days[(days["day"] > first) & (first < at(210))]["day"]
    frame = tracking.to_frame()
    for row in frame.itertuples():
        begin = row.end - pd.Timedelta("7D")
        assert row.actual == ((again > begin) & (again <= row.end)).sum()
    assert frame["actual_total"].iloc[-1] == frame["actual"].sum()
    assert frame["end"].diff().dropna().eq(pd.Timedelta("7D")).all()
    assert frame["end"].iloc[-1] < pd.Timestamp(UNTIL.date())


def test_what_is_expected_adds_up_over_contacts(orders, model, tracking):
    first = orders.groupby("contact_id")["ordered_at"].min().dt.normalize()
    first = first[first < at(210)]
    age = (pd.Timestamp(tracking.end[-1]) - first) / pd.Timedelta("7D")
    wanted = model.expected_repeat_purchases(age.clip(lower=0.0)).sum()
    assert tracking.expected.sum() == pytest.approx(wanted, rel=1e-9)


def test_a_model_of_the_truth_is_near_it(tracking):
    before = ~tracking.holdout
    assert tracking.expected[before].sum() == pytest.approx(tracking.actual[before].sum(), rel=0.15)
    assert abs(tracking.holdout_error) < 0.25


def test_rows_after_the_end_change_nothing(orders, model, tracking):
    late = pd.DataFrame({"contact_id": ["c001", "new"], "ordered_at": [at(351)] * 2})
    again = track_purchases(model, pd.concat([orders, late]), as_of=AS_OF, until=UNTIL)
    np.testing.assert_array_equal(again.actual, tracking.actual)
    np.testing.assert_array_equal(again.expected, tracking.expected)


def test_without_purchases_after_the_model_stood_there_is_no_error(orders, model):
    early = orders[orders["ordered_at"] <= at(210)]
    newcomer = pd.DataFrame({"contact_id": ["new"], "ordered_at": [at(349)]})
    early = pd.concat([early, newcomer])  # orders go on, of somebody who was not known then
    tracking = track_purchases(model, early, as_of=AS_OF, until=UNTIL)
    assert tracking.holdout_error is None
    assert "<table" in tracking._repr_html_()


def test_nobody_is_refused(orders, model):
    with pytest.raises(DataContractError, match="Nobody bought by 2024"):
        track_purchases(model, orders, as_of=datetime(2024, 1, 1, tzinfo=UTC), until=UNTIL)


@pytest.mark.parametrize("wrong", [{"every": "36H"}, {"until": AS_OF}])
def test_periods_of_whole_days_end_after_the_model_stood(orders, model, wrong):
    with pytest.raises(ConfigurationError, match="cannot be tracked"):
        track_purchases(model, orders, **{"as_of": AS_OF, "until": UNTIL, **wrong})


# --- plots ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cumulative", [True, False])
def test_a_tracking_plot_has_both_lines(tracking, cumulative):
    axes = plot_tracking(tracking, cumulative=cumulative)
    actual, expected = (line.get_ydata() for line in axes.get_lines()[:2])
    wanted = tracking.to_frame()["actual_total" if cumulative else "actual"]
    np.testing.assert_array_equal(actual, wanted)
    assert expected[-1] == pytest.approx(
        tracking.expected.sum() if cumulative else tracking.expected[-1]
    )
    svg = to_svg(axes.figure, id_prefix="t")
    assert svg == to_svg(plot_tracking(tracking, cumulative=cumulative).figure, id_prefix="t")


def test_the_map_of_p_alive_is_the_model_s(model):
    axes = plot_probability_alive(model, length="280D", most_purchases=5)
    drawn = axes.get_images()[0].get_array()
    cell = pd.DataFrame({"frequency": [3], "recency": [40 * 30.5 / 60], "T": [40.0]})
    assert drawn[30, 2] == pytest.approx(100 * model.probability_alive(cell)[0])
    assert axes.get_xlabel()
    assert axes.get_ylabel()


def test_given_axes_are_drawn_on(model, tracking):
    from matplotlib.figure import Figure

    for draw in (plot_tracking, plot_probability_alive):
        axes = Figure().add_subplot()
        assert draw(tracking if draw is plot_tracking else model, ax=axes) is axes


def test_a_map_without_purchases_or_a_model_is_refused(model):
    with pytest.raises(ConfigurationError, match="leaves nothing to draw"):
        plot_probability_alive(model, most_purchases=0)
    with pytest.raises(ConfigurationError, match="has not been fitted"):
        plot_probability_alive(BetaGeoModel())
