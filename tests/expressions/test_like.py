import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmarket.expressions.like import matches


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("", "", True),
        ("", "%", True),
        ("", "_", False),
        ("C1", "C%", True),
        ("c1", "C%", False),
        ("ab", "a", False),
        ("ab", "a%b", True),
        ("a", "a%a", False),
        ("aba", "a%a", True),
        ("abcbd", "%b%d", True),
        ("abc", "%b", False),
        ("a\nb", "a_b", True),
        ("a.c", "a.c", True),
        ("abc", "a.c", False),
        ("50%", "50\\%", False),
        ("😀", "_", True),
        ("e\u0301", "_", False),
    ],
)
def test_a_pattern_describes_the_whole_text(text, pattern, expected):
    assert matches(text, pattern) is expected


@given(st.text("ab", max_size=8), st.text("ab_%", max_size=6))
def test_a_pattern_matches_as_the_regular_expression_it_stands_for(text, pattern):
    regular = "".join({"%": ".*", "_": "."}.get(character, character) for character in pattern)
    assert matches(text, pattern) is bool(re.fullmatch(regular, text))


def test_a_hostile_pattern_takes_no_time():
    started = time.perf_counter()
    assert matches("a" * 20_000, "%a" * 200 + "%b") is False
    assert time.perf_counter() - started < 2
