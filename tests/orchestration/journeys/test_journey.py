"""Journeys as marketers write them."""

import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration import DocumentError, Holdout, Journey, Playbook, load_journey
from mlmarket.orchestration.playbook import load_playbook

GOOD = """
journey: win_back
title: Win back people about to leave
entry: {segment: leaving}
reentry: 180D
steps:
  - wait: 1D
  - message: {name: we_miss_you, channel: email, topic: offers, template: win_back_1}
  - wait: 12h
  - message: {name: last_call, channel: sms, template: win_back_2}
goal: order
exit: {left_segment: true}
expires_after: 30D
holdout: 0.10
"""


def load(tmp_path, text):
    path = tmp_path / "win_back.yaml"
    path.write_text(text, encoding="utf-8")
    return load_journey(path)


def test_a_journey_reads_as_it_is_written(tmp_path):
    journey = load(tmp_path, GOOD)
    assert [journey.step_name(n) for n in range(5)] == [
        "wait_1",
        "we_miss_you",
        "wait_3",
        "last_call",
        "end",
    ]
    assert journey.describe() == (
        "Everyone in the segment 'leaving' comes in, again after 180 days.",
        "Wait 1 day.",
        "Send 'we_miss_you' by e-mail about offers (template win_back_1).",
        "Wait 12 hours.",
        "Send 'last_call' by SMS (template win_back_2).",
        "Goal: 'order' within 30 days of the entry.",
        "Whoever leaves the segment leaves the journey.",
        "10% are followed but never messaged.",
    )


def test_the_version_is_that_of_the_meaning_not_of_the_spelling(tmp_path):
    version = load(tmp_path, GOOD).version
    again = "\n".join(["# a comment", *reversed(GOOD.split("steps:", maxsplit=1)[0].splitlines())])
    again += "\nsteps:" + GOOD.split("steps:")[1]
    again = again.replace("12h", "720min").replace("30D", "720h").replace("0.10", "0.1")
    assert load(tmp_path, again).version == version
    assert len(version) == 16
    for old, new in [("12h", "13h"), ("0.10", "0.11"), ("offers", "news"), ("180D", "never")]:
        assert load(tmp_path, GOOD.replace(old, new)).version != version


def test_the_canonical_form_is_the_journey_again(tmp_path):
    for text in (GOOD, GOOD.replace("180D", "never"), GOOD.replace("12h", "90min")):
        journey = load(tmp_path, text)
        again = Journey.model_validate_json(journey.canonical())
        assert again == journey
        assert again.version == journey.version


@pytest.mark.parametrize(
    ("old", "new", "what", "fix"),
    [
        ("goal:", "gaol:", "journey 'win_back': there is no key 'gaol'", "'goal'"),
        ("title: Win back people about to leave\n", "", "key 'title': it is missing", ""),
        ("  - wait: 1D", "  - wiat: 1D", "key 'steps.1': there is no step 'wiat'", "'wait'"),
        ("  - wait: 1D", "  - wait", "key 'steps.1': a step is one key with its value", "wait: 7D"),
        ("  - wait: 1D", "  - wait: 7", "key 'steps.1.wait': 7 is not a length of time", "7D"),
        ("  - wait: 1D", "  - wait: 0D", "is not a length of time above zero", "7D"),
        ("  - wait: 1D", "  - wait: 1 fortnight", "'1 fortnight' is not a length", "7D"),
        ("channel: email", "channel: emial", "there is no channel 'emial'", "'email'"),
        ("template: win_back_1", "tmpl: a", "key 'steps.2.message': there is no key 'tmpl'", ""),
        ("name: last_call", "name: we_miss_you", "two steps are called 'we_miss_you'", "own"),
        ("reentry: 180D", "reentry: 29D", "come in again before the last pass", "30D"),
        (
            "reentry: 180D",
            "reentry: soon",
            "key 'reentry': 'soon' is not a length of time",
            "after_exit",
        ),
        ("holdout: 0.10", "holdout: 1", "key 'holdout': it must be below 1", ""),
        (
            "left_segment: true",
            "left_segment: yes",
            "key 'exit.left_segment': it is neither",
            "true",
        ),
        ("journey: win_back", "journey: win back", "key 'journey': it is not a name", "letters"),
        ("title: Win", "title: |\n  Win\n ", "key 'title': it is more than one line", "> sign"),
        ("journey: win_back", "journey: ../win_back", "key 'journey'", ""),
        ("{segment: leaving}", "leaving", "key 'entry'", ""),
    ],
)
def test_a_slip_is_refused_with_its_place(tmp_path, old, new, what, fix):
    assert old in GOOD
    with pytest.raises(DocumentError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert str(tmp_path / "win_back.yaml") in caught.value.what
    assert len(str(caught.value).splitlines()) == 3


def test_a_journey_that_does_nothing_is_refused(kit):
    with pytest.raises(ValueError, match="it does nothing"):
        kit.journey(steps=[{"wait": "1D"}])


def test_several_slips_are_counted(tmp_path):
    text = GOOD.replace("expires_after: 30D\n", "").replace(
        "title: Win back people about to leave\n", ""
    )
    with pytest.raises(DocumentError, match="and 1 more problem"):
        load(tmp_path, text)


def test_a_journey_whose_segment_is_not_there_is_refused(tmp_path):
    (tmp_path / "segments.yaml").write_text(
        "segments:\n  leavin: {title: Leaving, when: churn_probability_90d > 0.5}\n"
    )
    load(tmp_path, GOOD)
    with pytest.raises(ConfigurationError) as caught:
        load_playbook([tmp_path / "segments.yaml"], [tmp_path / "win_back.yaml"])
    assert "there is no segment 'leaving'" in caught.value.what
    assert "'leavin'" in caught.value.fix


def test_two_of_one_name_are_refused(kit):
    with pytest.raises(ConfigurationError, match="Two segments are called 'leaving'"):
        kit.playbook(segments=(kit.LEAVING, kit.LEAVING))
    with pytest.raises(ConfigurationError, match="Two journeys are called 'win_back'"):
        kit.playbook(kit.journey(), kit.journey(title="Other"))


def test_the_playbook_is_named_by_what_it_says_not_by_the_order_of_files(kit):
    other = kit.journey(journey="other")
    one, two = kit.playbook(kit.journey(), other), kit.playbook(other, kit.journey())
    assert one.playbook_id == two.playbook_id
    assert one.playbook_id != kit.playbook(kit.journey(), other, share=0.1).playbook_id
    assert Playbook.model_validate_json(one.canonical()).playbook_id == one.playbook_id
    assert Holdout().share == 0
