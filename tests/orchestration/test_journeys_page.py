"""What docs/journeys.md shows to marketers works as it stands there."""

import re
from pathlib import Path

import pytest

from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration import Journey, Reason
from mlmarket.orchestration.documents import read_document, validated
from mlmarket.orchestration.journeys.entry import Entry
from mlmarket.orchestration.journeys.flow import KINDS
from mlmarket.orchestration.lint import lint_playbook
from mlmarket.orchestration.playbook import load_playbook
from mlmarket.orchestration.policy import Policy
from mlmarket.orchestration.segments.definition import Segment
from mlmarket.orchestration.templates import documented_schema, load_template

PAGE = Path(__file__).parents[2] / "docs" / "journeys.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n# (\S+)\n(.*?)```", TEXT, re.DOTALL)


def load(folder):
    """Write the page's examples into files as it says, and read them."""
    for name, body in BLOCKS:
        (folder / name).write_text(body, encoding="utf-8")
    journeys = [name for name, body in BLOCKS if body.startswith("journey:")]
    return load_playbook(
        [folder / "segments.yaml"],
        [folder / name for name in journeys],
        policy=folder / "policy.yaml",
    )


def test_every_example_is_one_of_the_files_and_can_be_read(tmp_path):
    assert TEXT.count("```yaml") == len(BLOCKS)
    assert [name for name, _ in BLOCKS] == [
        "segments.yaml",
        "win_back.yaml",
        "cart_rescue.yaml",
        "policy.yaml",
    ]
    book = load(tmp_path)
    assert [journey.journey for journey in book.journeys] == ["win_back", "cart_rescue"]
    assert len(book.segments) == 4
    assert len(book.policy.caps) == 3


def test_the_linter_has_nothing_against_the_examples(tmp_path):
    book = load(tmp_path)
    assert lint_playbook(book, known=documented_schema(), event_types=["add_to_cart"]) == ()


def test_the_ways_in_that_are_shown_are_ways_in(tmp_path):
    shown = re.findall(r"`entry: (\{.*?\})`", TEXT)
    assert len(shown) == 5
    kinds = set()
    for number, text in enumerate(shown):
        file = tmp_path / f"{number}.yaml"
        file.write_text(f"entry: {text}\n")
        content = read_document(file)["entry"]
        kinds.add(validated(Entry, content, path=file, subject="entry").kind)
    assert kinds == {"segment", "event", "date", "schedule"}


def test_the_journey_in_python_is_a_journey():
    (code,) = re.findall(r"```python\n(.*?)print", TEXT, re.DOTALL)
    names = {}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    assert isinstance(names["journey"], Journey)
    assert len(names["journey"].messages) == 2


@pytest.mark.parametrize("model", [Journey, Policy, Segment])
def test_the_page_names_every_key(model):
    for key in set(model.model_fields) - {"name"}:
        assert f"`{key}`" in TEXT or f"{key}:" in TEXT, key


def test_the_page_names_every_channel_reason_and_step():
    words = [*CHANNELS, *(str(reason.name).lower() for reason in Reason), *KINDS]
    for word in words:
        assert word in TEXT, word


def test_the_page_names_every_finding():
    folder = Path(__file__).parents[2] / "mlmarket" / "orchestration" / "lint"
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    found = set(re.findall(r'"([a-z]+(?:-[a-z0-9]+)+)"', code)) | {
        f"unknown-{kind}" for kind in ("segment", "event", "journey", "field", "token")
    }
    assert len(found) > 20
    for one in found:
        assert f"`{one}`" in TEXT, one


def test_the_template_line_for_editors_is_the_one_that_templates_get(tmp_path):
    from mlmarket.orchestration.templates import write_templates

    write_templates(tmp_path, ["welcome"])
    line = (tmp_path / "journeys" / "welcome.yaml").read_text().splitlines()[0]
    assert line in TEXT
    assert load_template("welcome").title in (tmp_path / "journeys" / "welcome.yaml").read_text()
