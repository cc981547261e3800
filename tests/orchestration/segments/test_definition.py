"""Segments as marketers write them."""

import pytest

from mlmarket.expressions import Type
from mlmarket.orchestration.documents import DocumentError
from mlmarket.orchestration.segments.definition import check_segments, load_segments

GOOD = """
segments:
  likely_to_buy:
    title: Likely to buy in 30 days
    when: purchase_probability_30d >= 0.30
    why: "{purchase_probability_30d:percent} chance to order within 30 days; from {country}"
    action: Invite to the new collection
  best:
    title: The best tenth
    top: {column: purchase_probability_30d, share: 0.10}
"""
KNOWN = {
    "purchase_probability_30d": Type.NUMBER,
    "next_order_date": Type.TIME,
    "country": Type.TEXT,
}


def load(tmp_path, text):
    path = tmp_path / "segments.yaml"
    path.write_text(text, encoding="utf-8")
    return load_segments(path)


def refused(tmp_path, text):
    with pytest.raises(DocumentError) as caught:
        load(tmp_path, text)
    what, _, fix = str(caught.value).splitlines()
    return what.removeprefix(f"{tmp_path / 'segments.yaml'}, "), fix.removeprefix("Fix: ")


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


def test_segments_are_read_in_the_order_of_the_file(tmp_path):
    likely, best = load(tmp_path, GOOD)
    assert (best.name, best.top.share, best.when) == ("best", 0.1, None)
    assert likely.when == "purchase_probability_30d >= 0.30"
    check_segments((best, likely), known=KNOWN)


@pytest.mark.parametrize(
    ("old", "new", "what", "fix"),
    [
        ("segments:", "segmets:", "top level: there is no key 'segmets'", "'segments'"),
        ("when:", "wen:", "segment 'likely_to_buy': there is no key 'wen'", "'when'"),
        ("share: 0.10", "shares: 0.10", "segment 'best', key 'top': there is no key", "'share'"),
        ("share: 0.10", "share: 1.5", "segment 'best', key 'top.share': it must be at most 1", ""),
        ("share: 0.10", "share: .nan", "segment 'best', key 'top.share'", ""),
        ("share: 0.10", 'share: "0.1"', "segment 'best', key 'top.share'", ""),
        (
            ", share: 0.10}",
            "}",
            "segment 'best', key 'top': nothing says how many are in it",
            "most",
        ),
        ("share: 0.10", "most: 0", "segment 'best', key 'top.most'", ""),
        ("title: The best tenth", "title: 12", "segment 'best', key 'title'", ""),
        ("title: The best tenth", "name: x", "segment 'best': there is no key 'name'", "remove"),
        ("  best:", "  ../best:", "segment '../best', key 'name'", ""),
        ("  best:", "  Best:", "segment 'Best', key 'name'", ""),
        (":percent", ":percnt", "segment 'likely_to_buy': in 'why' there is no form", "'percent'"),
        ("{country}", "{country", "segment 'likely_to_buy': in 'why' a brace is open", "{column}"),
        ("share: 0.10", "share: 0.10, stay_share: 0.05", "key 'top': stay_share is 0.05", "below"),
        ("share: 0.10", "most: 5, stay_share: 0.2", "stay_share is 0.2, but share is not", "share"),
        ("title: The", "guard: {leest: 5}\n    title: The", "there is no key 'leest'", "'least'"),
        ("title: The", "stay: a > 1\n    title: The", "there is 'stay' without 'when'", "come in"),
        ("title: The", "all_of: []\n    title: The", "key 'all_of': it names no segment", "[a, b]"),
        ("title: The", "not_in: [A b]\n    title: The", "key 'not_in.1': it is not a name", ""),
        ("title: The", "at_least: 0D\n    title: The", "key 'at_least': '0D' is not a", "7D"),
        (
            "top: {column: purchase_probability_30d, share: 0.10}",
            "action: x",
            "segment 'best': nothing says who is in it",
            "when: <condition>",
        ),
    ],
)
def test_a_slip_is_refused_with_segment_and_key(tmp_path, old, new, what, fix):
    said, mend = refused(tmp_path, changed(old, new))
    assert what in said
    assert fix in mend


@pytest.mark.parametrize("text", ["segments:\n", "segments: []\n", "segments: {a: }\n"])
def test_a_file_without_segments_is_refused(tmp_path, text):
    what, _ = refused(tmp_path, text)
    assert "no segments" in what or "no keys" in what


@pytest.mark.parametrize(
    ("old", "new", "what", "fix"),
    [
        ("when: purchase", "when: purchas", "segment 'likely_to_buy', key 'when'", "did you mean"),
        (">= 0.30", ">= 'x'", "segment 'likely_to_buy', key 'when'", "without quotes"),
        ("column: purchase", "column: purchas", "segment 'best', key 'top.column'", "purchase_pr"),
        ("top: {column: purchase_probability_30d", "top: {column: country", "'country' is", ""),
        ("{country}", "{contry}", "key 'why': there is no column 'contry'", "'country'"),
        ("{country}", "{country:number}", "'country' is text, but number is needed", "percent"),
        (
            "title: Likely",
            "stay: purchas_probability_30d > 0.2\n    title: Likely",
            "segment 'likely_to_buy', key 'stay'",
            "purchase_probability_30d",
        ),
        ("title: Likely", "not_in: bst\n    title: Likely", "no segment 'bst'", "'best'"),
        ("title: The", "all_of: likely\n    title: The", "no segment 'likely'", "'likely_to_buy'"),
        (">= 0.30", ">= 0.30 and in_segment(bst)", "key 'when'", "'best'"),
        (">= 0.30", ">= 0.30 and count(ordr) > 1", "key 'when'", "'order'"),
    ],
)
def test_a_column_that_nothing_fills_is_found_by_the_check(tmp_path, old, new, what, fix):
    segments = load(tmp_path, changed(old, new))
    with pytest.raises(DocumentError) as caught:
        check_segments(segments, known=KNOWN, path="segments.yaml", events=["order", "open"])
    assert what in caught.value.what
    assert fix in caught.value.fix


def test_every_key_may_be_written(tmp_path):
    text = changed(
        "    title: The best tenth\n",
        """    title: The best tenth
    when: count(order, within='90d') > 0 and not in_segment(likely_to_buy)
    stay: purchase_probability_30d > 0.1
    at_least: 7D
    not_in: likely_to_buy
    guard: {least: 100, most: 50000, change: 0.5}
""",
    )
    segments = load(tmp_path, text)
    check_segments(segments, known=KNOWN, events=["order"])
    best = segments[1]
    assert best.not_in == ("likely_to_buy",)
    assert (best.guard.least, best.guard.change) == (100, 0.5)
    again = type(best).model_validate_json(best.model_dump_json(exclude_defaults=True))
    assert again == best
