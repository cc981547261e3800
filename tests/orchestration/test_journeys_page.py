"""What docs/journeys.md shows to marketers works as it stands there."""

import re
from pathlib import Path

import pyarrow as pa

from mlmarket.expressions import Type
from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration import Reason, State, check_segments, tick
from mlmarket.orchestration.playbook import load_playbook

PAGE = Path(__file__).parents[2] / "docs" / "journeys.md"
KNOWN = {
    "churn_probability_90d": Type.NUMBER,
    "purchase_probability_30d": Type.NUMBER,
    "next_order_date": Type.TIME,
    "country": Type.TEXT,
}


def load(folder):
    """Write the page's examples into files as it says, and read them."""
    text = PAGE.read_text(encoding="utf-8")
    for name, body in re.findall(r"```yaml\n# (\S+)\n(.*?)```", text, re.DOTALL):
        (folder / name).write_text(body, encoding="utf-8")
    return load_playbook([folder / "segments.yaml"], [folder / "win_back.yaml"])


def test_the_examples_can_be_used_as_they_are(kit, tmp_path):
    book = load(tmp_path)
    check_segments(book.segments, known=KNOWN)
    names = [f"p{n}" for n in range(30)]
    shop = kit.Shop(
        contacts=[kit.person(name, country="PT") for name in names],
        consents=[kit.consent(name) for name in names],
    )
    predictions = pa.table(
        {
            "contact_id": names,
            "churn_probability_90d": [0.9] * 30,
            "purchase_probability_30d": [n / 30 for n in range(30)],
            "next_order_date": pa.array([None, *[kit.at(9)] * 29], pa.timestamp("us")),
        }
    )
    state, sent = State().under(book), []
    for day in (0, 1, 8):
        decided = tick(state, predictions, shop, now=kit.when(day))
        state = state.after(decided)
        sent += kit.sent([decided])
    members = {
        (row["segment"], row["contact_id"]): row["why"] for row in decided.memberships.to_pylist()
    }
    assert members[("leaving", "p0")] == "90% risk of leaving"
    assert members[("leaving", "p1")] == "90% risk of leaving; next order expected 2026-03-10"
    assert {name for segment, name in members if segment == "likely_to_buy"} == {
        "p27",
        "p28",
        "p29",
    }
    held_out = {row["contact_id"] for row in state.enrolments.to_pylist() if row["holdout"]}
    expected = {(name, step) for name in names for step in ("we_miss_you", "last_call")}
    assert set(sent) == {(name, step) for name, step in expected if name not in held_out}


def test_the_page_names_every_channel_and_every_reason():
    text = PAGE.read_text(encoding="utf-8")
    ends = {"left_segment", "journey_withdrawn"}
    for word in [*CHANNELS, *({str(reason.name).lower() for reason in Reason} - ends)]:
        assert word in text
