"""An error tells its reader what, why and how to mend it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmarket.errors import (
    ConfigurationError,
    DataContractError,
    MlmarketError,
    QualityGateError,
    RunError,
    nearest,
    suggestion,
)

NAMES = st.text("abcÄéXYZ_19", min_size=1, max_size=12)


def test_an_error_has_three_lines() -> None:
    error = MlmarketError("Table 'orders' is empty.", "Nobody bought.", "load it again.")
    assert str(error).splitlines() == [
        "Table 'orders' is empty.",
        "Nobody bought.",
        "Fix: load it again.",
    ]
    assert (error.what, error.why) == ("Table 'orders' is empty.", "Nobody bought.")
    assert error.fix == "load it again."


@pytest.mark.parametrize(
    ("kind", "code"),
    [(RunError, 1), (ConfigurationError, 2), (DataContractError, 3), (QualityGateError, 4)],
)
def test_the_kind_of_an_error_decides_the_exit_code(kind: type[MlmarketError], code: int) -> None:
    assert kind("what", "why", "fix").exit_code == code


def test_a_misspelt_name_finds_the_near_one_whatever_its_case() -> None:
    assert nearest("Amuont", ["amount", "ordered_at"]) == "amount"
    assert nearest("zebra", ["amount", "ordered_at"]) is None
    assert nearest("amount", []) is None


@given(st.lists(NAMES, min_size=1, max_size=8), st.data())
def test_a_name_that_exists_is_its_own_nearest_but_for_case(
    names: list[str], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(names))
    found = nearest(name, names)
    assert found in names
    assert found.casefold() == name.casefold()


def test_without_a_near_name_the_choices_are_listed() -> None:
    assert suggestion("zebra", ["b", "a"]) == "use one of a, b."


def test_a_long_list_of_choices_is_cut() -> None:
    assert suggestion("zebra", ["c1", "c2", "c3"], limit=2) == "use one of c1, c2, …."


def test_without_choices_the_fix_says_so() -> None:
    assert suggestion("zebra", []) == "there is none to choose from."
