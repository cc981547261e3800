import pyarrow as pa
import pytest

from mlmarket.recommend.plain_text import is_web_address, one_line, one_line_each, web_addresses

TEXTS = [
    "plain",
    "two\r\nlines\u2028and a third",
    "tab\tand\u00a0space  ",
    "turned\u202earound\u2066",
    "null\x00bell\x07\x85next",
    "ünïcödé 茶壺 🫖",
    "",
    " \n ",
]


def test_one_text_and_a_column_of_texts_are_cleaned_alike():
    alone = [one_line(text) or None for text in TEXTS]
    assert one_line_each(pa.array([*TEXTS, None])).to_pylist() == [*alone, None]
    assert one_line_each(pa.array(TEXTS, pa.large_string())).to_pylist() == alone
    assert alone == [
        "plain",
        "two lines and a third",
        "tab and space",
        "turnedaround",
        "nullbell next",
        "ünïcödé 茶壺 🫖",
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("https://shop.example/a?b=1&c=ü", True),
        ("http://shop.example", True),
        ("javascript:alert(1)", False),
        (" https://shop.example", False),
        ("https://shop.example/a b", False),
        ('https://shop.example/"onload="x', False),
        ("https://shop.example\n", False),
        ("data:image/png;base64,AAAA", False),
        ("", False),
        (None, False),
    ],
)
def test_only_addresses_of_the_web_are_addresses(text, is_one):
    assert is_web_address(text) is is_one
    assert web_addresses(pa.array([text], pa.string())).to_pylist() == [text if is_one else None]
