"""Every template can be read, linted, drawn, described and written into a folder."""

import json

import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.documents import read_document
from mlmarket.orchestration.graph import journey_svg, to_mermaid
from mlmarket.orchestration.journeys.schema import journey_schema, policy_schema, segments_schema
from mlmarket.orchestration.lint import PredictionsAt, lint_playbook
from mlmarket.orchestration.playbook import load_playbook
from mlmarket.orchestration.templates import (
    DOCUMENTED,
    documented_schema,
    load_template,
    template_names,
    template_playbook,
    write_templates,
)

EVENTS = (
    *("form_submit", "download", "demo_request", "pricing_view"),
    *("add_to_cart", "page_view", "upgrade", "log_in"),
)
NAMES = (
    *("browse_abandonment", "cart_abandonment", "lead_magnet_nurture", "mql_programme"),
    *("post_purchase", "pricing_page", "sunset", "trial_onboarding", "welcome", "win_back"),
)


def test_the_templates_are_these():
    assert template_names() == NAMES


def test_all_templates_together_lint_clean():
    predictions = PredictionsAt([column.name for column in DOCUMENTED])
    found = lint_playbook(
        template_playbook(),
        known=documented_schema(),
        event_types=EVENTS,
        predictions=predictions,
    )
    assert found == ()


@pytest.mark.parametrize("name", NAMES)
def test_each_template_stands_alone(name):
    book = template_playbook([name] if name != "lead_magnet_nurture" else [name, "mql_programme"])
    # The sample policy is for all of them: alone, a cap on SMS may have nothing to count.
    found = lint_playbook(book, known=documented_schema(), event_types=EVENTS)
    assert [one for one in found if one.code != "cap-cannot-bind"] == []
    journey = load_template(name)
    assert journey.journey == name
    assert journey_svg(journey) == journey_svg(load_template(name))
    assert to_mermaid(journey).startswith("flowchart TD\n")
    assert len(journey.describe()) > len(journey.nodes)


def test_templates_do_what_their_names_promise():
    nurture = load_template("lead_magnet_nurture")
    assert len(nurture.messages) == 6
    assert [node.kind for node in nurture.nodes].count("alert") == 1
    tracks = next(n for n in load_template("mql_programme").nodes if n.name == "track")
    assert tracks.way_names == ("fast", "medium", "otherwise")
    assert ">= 3" in (load_template("pricing_page").entry.when or "")
    for name in ("cart_abandonment", "browse_abandonment"):
        assert any(len(message.channels) > 1 for message in load_template(name).messages)


def test_a_template_that_is_not_there_comes_with_the_near_one():
    with pytest.raises(ConfigurationError, match="There is no template 'welcom'") as caught:
        load_template("welcom")
    assert "'welcome'" in caught.value.fix


def test_templates_are_written_with_what_they_need_and_never_over_a_file(tmp_path):
    (tmp_path / "policy.yaml").write_text("at_once: 2\n")
    written = write_templates(tmp_path, ["sunset"])
    names = sorted(str(path.relative_to(tmp_path)) for path in written)
    assert names == [
        "journeys/sunset.yaml",
        "schemas/journey.schema.json",
        "schemas/policy.schema.json",
        "schemas/segments.schema.json",
        "segments/disengaged.yaml",
        "segments/mql.yaml",
    ]
    assert write_templates(tmp_path, ["sunset"]) == ()
    book = load_playbook(
        sorted(tmp_path.glob("segments/*.yaml")),
        sorted(tmp_path.glob("journeys/*.yaml")),
        policy=tmp_path / "policy.yaml",
    )
    assert book.journeys == (load_template("sunset"),)
    assert book.policy.at_once == 2
    first = (tmp_path / "journeys" / "sunset.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../schemas/journey.schema.json"


def test_editors_accept_what_we_accept_and_refuse_unknown_keys(tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    write_templates(tmp_path)
    kinds = {"journeys": journey_schema(), "segments": segments_schema()}
    checks = {
        kind: jsonschema.Draft202012Validator(json.loads(json.dumps(schema)))
        for kind, schema in kinds.items()
    }
    for kind, check in checks.items():
        check.check_schema(check.schema)
        for path in sorted(tmp_path.glob(f"{kind}/*.yaml")):
            check.validate(read_document(path))
    policy = jsonschema.Draft202012Validator(policy_schema())
    policy.validate(read_document(tmp_path / "policy.yaml"))
    wrong = read_document(tmp_path / "journeys" / "welcome.yaml")
    for key, value in [("tiltle", "x"), ("holdout", 2), ("steps", [{"wiat": "1D"}])]:
        assert not checks["journeys"].is_valid({**wrong, key: value})
    assert checks["journeys"].is_valid(wrong)


def test_every_key_of_a_journey_is_explained_to_editors():
    schema = journey_schema()
    inner = {**schema["$defs"], "Journey": schema}
    for name in ("Journey", "Entry", "Message", "Wait", "Until", "Branch", "Split", "Exit"):
        for key, value in inner[name]["properties"].items():
            assert value.get("description"), (name, key)
    assert "numpydoc" not in json.dumps(schema)
    assert "----" not in json.dumps(schema)


def test_what_our_predictors_write_is_documented_with_the_same_kinds():
    from datetime import timedelta

    from mlmarket.recommend.predictor import columns_of

    known = {column.name: column for column in DOCUMENTED}
    for name, column in columns_of(4, timedelta(days=30)).items():
        if not name.endswith("model_version"):
            assert known[name].type.value == {"time": "a time"}.get(column.type, column.type), name
            assert known[name].owner == "recommend"
    assert len(known) == len(DOCUMENTED)
