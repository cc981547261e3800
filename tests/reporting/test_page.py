import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.market import CheckReport, Note, TableCount, Violation
from mlmarket.reporting import ReportContent, render_report
from mlmarket.reporting.number_text import UNKNOWN

HOSTILE = "<script>alert('x')</script>\"><img src=http://evil.example/x onerror=1> =cmd() {{ 7*7 }}"
VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}


class Page(HTMLParser):
    """Reads a page as strictly as a validator: every element is closed by its own end."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.ids = [], Counter(), []
        self.attributes, self.words, self.targets = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self._note(tag, attrs)
        if tag in {"td", "th"}:
            self.words.append(" ")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        # Only drawings may close themselves.
        assert "svg" in self.open, tag
        self._note(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "svg"} & set(self.open):
            self.words.append(data)

    def _note(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.seen[tag] += 1
        for name, value in attrs:
            self.attributes.append((tag, name, value))
            if name == "id":
                self.ids.append(value)
            if name in {"href", "xlink:href"}:
                self.targets.append(value)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def report(content):
    return render_report(content)


@pytest.fixture(scope="module")
def page(report):
    return Page(report)


@pytest.fixture(scope="module")
def bare(content):
    """The first night of a business that has shown nothing yet."""
    return ReportContent(
        night=content.night,
        timezone="UTC",
        currency="EUR",
        contacts=0,
        tables=CheckReport((), (), ()),
        predictors=(),
        skipped=(),
        segments=(),
        journeys=(),
        matured=(),
    )


def spoiled(value, text):
    """Return a value with a hostile text in place of every text inside it."""
    if isinstance(value, str):
        return text
    if isinstance(value, tuple):
        return tuple(spoiled(part, text) for part in value)
    if is_dataclass(value):
        inside = {field.name: getattr(value, field.name) for field in fields(value)}
        kept = {"timezone", "metric", "model", "chosen", "baseline", "skipped"}
        return replace(
            value,
            **{
                name: spoiled(part, text)
                for name, part in inside.items()
                if not (isinstance(part, str) and name in kept)
            },
        )
    return value


def test_the_same_night_gives_the_same_page(content, report):
    assert render_report(content) == report


def test_another_process_with_other_hashes_gives_the_same_page(bare):
    code = (
        "import datetime, hashlib\n"
        "from mlmarket.market import CheckReport, TableCount\n"
        "from mlmarket.reporting import *\n"
        "from mlmarket.orchestration import Journey\n"
        "steps = [{'alert': {'name': 'a', 'to': 'b', 'text': 'c'}}]\n"
        "rest = {'entry': {'event': 'cart'}, 'reentry': 'never', 'expires_after': '9D'}\n"
        "way = Journey.model_validate({'journey': 'w', 'title': 'W', 'steps': steps, **rest})\n"
        "sent = (MessageResult('write', 2, 3, suppressed=(('no consent', 4),)),)\n"
        "way = JourneySection('w', 'W', 'draft', 1, 2, 3, 4, 5, 6, way, None, sent, (), ())\n"
        "tables = CheckReport((TableCount('orders', 'o.csv', 9),), (), ())\n"
        "night = datetime.date(2026, 7, 1)\n"
        "content = ReportContent(night, 'UTC', 'EUR', 1, tables, (), (), (), (way,), ())\n"
        "text = render_report(content)\n"
        "print(hashlib.sha256(text.encode()).hexdigest())\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


def test_every_element_is_closed_and_every_id_is_there_once(page):
    assert [name for name, times in Counter(page.ids).items() if times > 1] == []
    assert page.seen["html"] == page.seen["body"] == page.seen["main"] == page.seen["h1"] == 1
    assert page.seen["svg"] == 2 * 4 + 1


def test_every_target_is_on_the_page(page):
    assert page.targets
    assert {target for target in page.targets if target.removeprefix("#") not in page.ids} == set()


def test_every_name_that_describes_is_on_the_page(page):
    named = [v for _, name, v in page.attributes if name == "aria-labelledby"]
    assert named
    assert all(part in page.ids for value in named for part in value.split())


def test_nothing_runs_and_nothing_is_loaded(report, page):
    assert "<script" not in report
    assert "src=" not in report
    assert "@import" not in report
    assert not re.search(r"url\((?!#)", report)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", report)
    assert not re.search(r"https?://", without_names)


def test_the_page_is_small_and_is_utf8(report):
    assert len(report.encode("utf-8")) < 2_000_000
    assert '<meta charset="utf-8">' in report


def test_every_table_has_a_caption_and_every_drawing_a_title(page):
    assert page.seen["caption"] == page.seen["table"]
    assert page.seen["title"] >= page.seen["svg"]
    assert page.seen["h2"] == 6


def test_no_number_is_printed_with_many_digits(page):
    assert not re.search(r"\d\.\d{6,}", page.text)


def test_the_parts_come_in_their_order(page):
    places = [
        page.text.index(words)
        for words in (
            "Night of 1 July 2026",
            "3,412 likely to buy in 30 days (+120 since last week)",
            "842 at risk of leaving (\N{MINUS SIGN}14 since last week)",
            "Who is in which segment tonight",
            "6 of 8 promises held",
            "Predictions, and what backs them Who will buy",
            "Used is the rule: the model does not beat it.",
            "send time needs the table 'messages'",
            "Win back the quiet ones",
            "Rows read, and rows used",
            "Somebody with 30 %",
        )
    ]
    assert places == sorted(places)


def test_a_segment_shows_what_to_do_and_why(page):
    for words in (
        "Do: send the new collection first",
        "Who: purchase_probability_30d is in the top fifth",
        "Hot leads: needs 'lead_score'",
        f"Newcomers 96 {UNKNOWN} 212 92 {UNKNOWN} {UNKNOWN}",
    ):
        assert words in page.text


def test_a_promise_that_missed_is_told_in_a_word(page):
    first = "24 May 2026 purchase 1,204 (1,101 to 1,310) 1,180 ✓ yes 15,020 0.2411"
    assert f"{first} {UNKNOWN}" in page.text
    assert "31 May 2026 purchase 1,211 (1,101 to 1,310) 1,341 ✗ no 15,027 0.2411 0.781" in page.text


def test_a_predictor_shows_its_verdict_its_rivals_and_its_limits(page, purchase):
    evidence = purchase.evidence
    assert evidence.verdict in page.text
    assert all(limit in page.text for limit in evidence.limits)
    assert f"{evidence.score('rfm_cells', 'log_loss'):.4f}" in page.text
    assert "The model (boosted trees and logistic regression)" in page.text
    assert page.text.count("in use") == 2
    assert "has no 'order' at or before 2026-07-01 00:00 UTC 1,204" in page.text
    assert f"The {len(evidence.features)} facts by name" in page.text


def test_tables_show_rows_in_and_out(page):
    assert "orders export/orders-*.csv 1,204,551 20,114 312 1,184,125" in page.text
    assert "1 note on the tables contacts.phone has no value in any row." in page.text


def test_no_more_than_ten_people_are_shown(content, journey):
    more = replace(journey, examples=journey.examples * 3)
    page = Page(render_report(replace(content, journeys=(more,), predictors=())))
    assert page.text.count("waits 7 days before the next message") == 10


def test_the_four_words_are_explained(page):
    for word in ("Probability", "Calibrated", "Random group", "Holdout"):
        assert f" {word} " in page.text


@pytest.mark.parametrize(
    "words",
    [
        "0 people are known; no prediction could be made tonight.",
        "There are no segments yet.",
        "No promise has come due yet.",
        "No prediction was made tonight.",
        "There are no journeys yet.",
        "No table was read.",
        "Nothing odd was found in the tables.",
    ],
)
def test_every_empty_part_says_so_in_words(bare, words):
    assert words in Page(render_report(bare)).text


def test_a_journey_with_nobody_in_it_says_so(bare, journey):
    page = Page(render_report(replace(bare, journeys=(replace(journey, examples=()),))))
    assert "Nobody is in this journey tonight" in page.text


def test_a_predictor_without_scores_says_so(bare, purchase):
    nobody = replace(purchase, scores=np.empty(0), earlier_scores=None, missing=())
    page = Page(render_report(replace(bare, predictors=(nobody,))))
    assert page.text.count("Nobody could be given a probability tonight.") == 2
    assert "People without a probability" not in page.text


def test_only_skipped_segments_are_told_without_a_table(bare, likely):
    page = Page(render_report(replace(bare, segments=(replace(likely, skipped="no column"),))))
    assert "Likely to buy in 30 days: no column" in page.text
    assert page.seen["table"] == 0


def test_what_breaks_the_contract_is_told(bare):
    broken = Violation("orders", "amount", "is negative", "It counts.", "declare returns.")
    tables = CheckReport((TableCount("orders", "o.csv", 3),), (broken,), ())
    page = Page(render_report(replace(bare, tables=tables)))
    assert "orders.amount is negative. It counts. Fix: declare returns." in page.text


def test_many_notes_are_folded_and_few_are_open(bare):
    def folded(number):
        notes = tuple(Note("orders", "x", f"note {place}") for place in range(number))
        tables = CheckReport((), (), notes)
        return "<details>" in render_report(replace(bare, tables=tables))

    assert not folded(8)
    assert folded(9)


def test_hostile_texts_everywhere_are_only_read(content, report):
    page = Page(render_report(spoiled(content, HOSTILE)))
    assert page.seen["script"] == page.seen["img"] == 0
    assert page.seen.keys() == Page(report).seen.keys()
    assert HOSTILE in page.text
    assert "=cmd() {{ 7*7 }}" in page.text
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    outside = [value for _, name, value in page.attributes if not name.startswith("xmlns")]
    assert not [value for value in outside if "evil" in (value or "")]


@given(text=st.text(alphabet=st.characters(codec=None), max_size=60))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_leaves_a_page_that_can_be_written_and_read(bare, likely, journey, text):
    night = spoiled(replace(bare, segments=(likely,), journeys=(journey,)), text)
    Page(render_report(night).encode("utf-8").decode("utf-8"))


def test_a_zone_that_does_not_exist_is_refused(bare):
    with pytest.raises(ConfigurationError, match="no time zone"):
        render_report(replace(bare, timezone="Europe/Atlantis"))


def test_a_training_time_without_a_zone_is_refused(bare, purchase):
    naive = replace(purchase, trained_at=datetime(2026, 7, 1))  # noqa: DTZ001  the case in question
    with pytest.raises(ConfigurationError, match="has no zone"):
        render_report(replace(bare, predictors=(naive,)))
