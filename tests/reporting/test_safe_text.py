from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from mlmarket.reporting.safe_text import cut, visible


def test_signs_that_are_obeyed_are_replaced():
    assert visible("a\x00b\ud800c\u202ed") == "a\ufffdb\ufffdc\ufffdd"


def test_ordinary_letters_of_all_languages_stay():
    text = "São João, Ελλάδα, Москва, 東京, \N{GRINNING FACE}\tand\nmore"
    assert visible(text) == text


def test_numbers_and_safe_markup_stay_as_they_are():
    svg = Markup("<svg></svg>")
    assert visible(svg) is svg
    assert visible(3) == 3


@given(st.text(alphabet=st.characters(codec=None)))
@settings(max_examples=100)
def test_whatever_comes_in_can_be_written_to_a_file(text):
    shown = str(visible(text))
    assert shown.encode("utf-8").decode("utf-8") == shown


def test_a_long_name_is_cut_with_an_ellipsis():
    assert cut("short", 5) == "short"
    assert cut("too long", 5) == "too…"
