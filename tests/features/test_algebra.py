import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.features import (
    Feature,
    attribute,
    count,
    days_active,
    gap_std,
    mean,
    ratio,
    recency,
    total,
    trend,
)

OF = st.sampled_from(["order", 'event "Page View"', "outcome won", "open where value > 3"])
WINDOWED = st.builds(
    lambda make, of, days: make(of, f"{days}D"),
    st.sampled_from([count, total, mean, days_active, trend]),
    OF,
    st.integers(1, 400),
)
BARE = st.builds(lambda make, of: make(of), st.sampled_from([recency, gap_std, count]), OF)
ATTRIBUTES = st.builds(attribute, st.text(min_size=1), name=st.sampled_from(["", "other"]))
NUMBERS = WINDOWED | BARE | ATTRIBUTES
FEATURES = NUMBERS | st.builds(ratio, NUMBERS, NUMBERS)


@given(FEATURES)
def test_a_feature_is_read_back_from_its_plain_values(feature):
    assert Feature.from_dict(feature.to_dict()) == feature


@given(FEATURES)
def test_a_feature_says_what_it_is(feature):
    assert feature.description


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: count("no order"), "cannot be made of 'no order'"),
        (lambda: recency("order within 90D"), "cannot be made of 'order within 90D'"),
        (lambda: count("order", "36H"), "not made of whole days"),
        (lambda: trend("order", "all"), "A trend has no window"),
        (lambda: ratio(attribute("country", categorical=True), count("order")), "is a category"),
    ],
)
def test_a_feature_that_would_mean_something_else_is_refused(make, what):
    with pytest.raises(ConfigurationError, match=what) as refused:
        make()
    assert str(refused.value).count("\n") == 2


def test_names_are_made_of_what_is_asked():
    assert count("event upgrade | login", "7D").name == "login_or_upgrade_count_7d"
    assert ratio(count("order"), recency("order")).name == "order_count_per_order_recency"
