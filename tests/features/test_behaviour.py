from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.features import Behaviour

TYPES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
BEHAVIOURS = st.builds(
    Behaviour,
    types=st.sets(TYPES, min_size=1, max_size=3).map(lambda types: tuple(sorted(types))),
    where=st.none() | st.sampled_from(["value > 5", "item_id = 'a within 3D'"]),
    within=st.none() | st.integers(1, 400).map(lambda days: timedelta(days=days)),
    negated=st.booleans(),
    table=st.sampled_from(["activity", "outcomes"]),
)


@given(BEHAVIOURS)
def test_a_behaviour_is_read_back_from_its_text(behaviour):
    assert Behaviour.parse(str(behaviour)) == behaviour


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("order", Behaviour(("order",))),
        ("event upgrade", Behaviour(("upgrade",))),
        ("no order within 90D", Behaviour(("order",), within=timedelta(days=90), negated=True)),
        ("outcome won | sql", Behaviour(("sql", "won"), table="outcomes")),
        (
            'event "Page View" within 30D where value > 5',
            Behaviour(("Page View",), "value > 5", timedelta(days=30)),
        ),
        ('"say ""hi"""', Behaviour(('say "hi"',))),
        ("event", Behaviour(("event",))),
        ("no", Behaviour(("no",))),
    ],
)
def test_a_behaviour_is_read_as_people_write_it(text, wanted):
    assert Behaviour.parse(text) == wanted


@pytest.mark.parametrize("text", ["", "order and return", "order within", "where value > 1", "|"])
def test_what_names_no_behaviour_is_refused_in_three_lines(text):
    with pytest.raises(ConfigurationError, match="does not name a behaviour") as refused:
        Behaviour.parse(text)
    assert str(refused.value).count("\n") == 2


def test_a_type_of_signs_alone_still_gives_a_column_a_name():
    assert Behaviour(("!!!",)).label == "behaviour"
