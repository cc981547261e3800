"""Who may be messaged: consent as a permit, setbacks, addresses."""

import itertools

import pyarrow as pa
import pytest

from mlmarket.orchestration.arbitration.gates import Gatekeeper, Reason, named, read_names
from mlmarket.orchestration.engine.bench import open_bench
from mlmarket.orchestration.engine.people import addresses_known
from mlmarket.orchestration.journeys.journey import Message, MessageStep

NOW = 5


def asked(kit, shop, names, **message):
    """Return the reasons against an e-mail about offers, by person."""
    step = MessageStep.model_validate(kit.message("first", **message))
    journey = kit.journey(steps=[step])
    now = kit.at(NOW)
    with open_bench() as bench:
        people = addresses_known(shop, now)
        gates = Gatekeeper(shop, people, [journey], now=now, bench=bench)
        bits = gates.ask(pa.array(names, pa.string()), step.message)
    return {name: named(int(one)) for name, one in zip(names, bits, strict=True)}


def permitted(kit, *words, **message):
    """Return the reasons against writing to ana after the given (granted, day, rest) words."""
    consents = [kit.consent("ana", granted, day, **rest) for granted, day, rest in words]
    shop = kit.Shop(contacts=[kit.person("ana")], consents=consents)
    return asked(kit, shop, ["ana"], **message)["ana"]


GENERAL, OFFERS, NEWS = {}, {"topic": "offers"}, {"topic": "news"}


def test_a_grant_of_the_channel_or_of_the_topic_permits(kit):
    assert permitted(kit, (True, 1, GENERAL)) == []
    assert permitted(kit, (True, 1, OFFERS)) == []


def test_a_grant_of_another_topic_or_channel_permits_nothing(kit):
    assert permitted(kit, (True, 1, NEWS)) == ["no_consent"]
    assert permitted(kit, (True, 1, {"channel": "sms"})) == ["no_consent"]
    assert permitted(kit) == ["no_consent"]


def test_a_message_without_a_topic_needs_a_grant_of_every_topic(kit):
    assert permitted(kit, (True, 1, OFFERS), topic=None) == ["no_consent"]
    assert permitted(kit, (True, 1, GENERAL), topic=None) == []


def test_a_refused_topic_stays_refused_until_that_topic_is_granted(kit):
    refused = ["consent_refused"]
    assert permitted(kit, (True, 1, GENERAL), (False, 2, OFFERS)) == refused
    assert permitted(kit, (False, 1, OFFERS), (True, 2, GENERAL)) == refused
    assert permitted(kit, (False, 1, OFFERS), (True, 2, OFFERS)) == []
    assert permitted(kit, (True, 1, GENERAL), (False, 2, NEWS)) == []


def test_a_refused_channel_ends_earlier_grants_of_topics_but_not_later_ones(kit):
    refused = ["consent_refused"]
    assert permitted(kit, (True, 1, OFFERS), (False, 2, GENERAL)) == refused
    assert permitted(kit, (False, 1, GENERAL), (True, 2, OFFERS)) == []
    assert permitted(kit, (True, 1, OFFERS), (False, 2, GENERAL), (True, 3, GENERAL)) == []


@pytest.mark.parametrize(
    "doubtful",
    [
        (None, 2, {}),
        (False, 2, {"changed_at": None}),
        (False, 2, {"channel": None}),
        (False, 2, {"channel": " E-Mail ".replace("-", "")}),
        (False, 1, {}),
    ],
    ids=["unknown", "undated", "every channel", "oddly written", "same moment"],
)
def test_what_is_not_clearly_a_grant_is_a_refusal(kit, doubtful):
    assert permitted(kit, (True, 1, GENERAL), doubtful) == ["consent_refused"]


def test_a_grant_without_its_time_or_channel_is_none(kit):
    assert permitted(kit, (True, 1, {"changed_at": None})) == ["no_consent"]
    assert permitted(kit, (True, 1, {"channel": None})) == ["no_consent"]


def _may_be_mailed(words):
    """Say the rule again in plain Python: words are (granted, day, topic)."""

    def latest(granted, topics):
        days = [
            day for grant, day, topic in words if (grant is True) is granted and topic in topics
        ]
        return max(days, default=-1)

    on_topic = (latest(True, {"offers"}), latest(False, {"offers"}))
    if on_topic[1] > -1 and on_topic[1] >= on_topic[0]:
        return False
    grant = latest(True, {"offers", None})
    return grant > -1 and latest(False, {None}) < grant


def test_the_rule_holds_for_every_history_of_up_to_three_words(kit):
    words = list(itertools.product([True, False, None], [1, 2, 3], [None, "offers", "news"]))
    histories = [
        history for length in range(3) for history in itertools.product(words, repeat=length)
    ]
    histories += list(itertools.product(words[::2], repeat=3))
    names = [f"p{n}" for n in range(len(histories))]
    consents = [
        kit.consent(name, granted, day, topic=topic)
        for name, history in zip(names, histories, strict=True)
        for granted, day, topic in history
    ]
    shop = kit.Shop(contacts=[kit.person(name) for name in names], consents=consents)
    found = asked(kit, shop, names)
    wrong = [
        history
        for name, history in zip(names, histories, strict=True)
        if (found[name] == []) is not _may_be_mailed(history)
    ]
    assert wrong == []
    assert len({bool(reasons) for reasons in found.values()}) == 2


def test_an_address_must_be_known_for_the_channel(kit):
    contacts = [
        kit.person("ana"),
        kit.person("blank", email=" "),
        kit.person("odd", email="unknown"),
        kit.person("none", email=None),
        kit.person("silent", phone=None, external_id=""),
    ]
    names = [row["contact_id"] for row in contacts] + ["stranger"]
    consents = [
        kit.consent(name, channel=channel)
        for name in names
        for channel in ("email", "sms", "push", "ads")
    ]
    shop = kit.Shop(contacts=contacts, consents=consents)

    def unreachable(channel):
        found = asked(kit, shop, names, channel=channel)
        return {name for name, reasons in found.items() if "no_address" in reasons}

    assert unreachable("email") == {"blank", "odd", "none", "stranger"}
    assert unreachable("sms") == {"silent", "stranger"}
    assert unreachable("push") == {"silent", "stranger"}
    assert unreachable("ads") == {"stranger"}


def test_a_bounce_closes_the_channel_of_its_message_for_good(kit):
    shop = kit.Shop(
        contacts=[kit.person("ana"), kit.person("rui")],
        consents=[kit.consent("ana", True, 4), kit.consent("rui", True, 4)],
        messages=[
            {"message_id": "m1", "contact_id": "ana", "channel": "Email", "sent_at": kit.at(1)},
            {"message_id": "m2", "contact_id": "rui", "channel": "sms", "sent_at": kit.at(1)},
        ],
        activity=[
            kit.did("ana", "bounce", 1, row_id="m1"),
            kit.did("rui", "bounce", 1, row_id="m2"),
        ],
    )
    assert asked(kit, shop, ["ana", "rui"]) == {"ana": ["bounced"], "rui": []}


@pytest.mark.parametrize(("kind", "reason"), [("complaint", "complained"), ("unsubscribe",) * 2])
def test_a_complaint_or_unsubscription_stands_until_a_later_grant(kit, kind, reason):
    reason = "unsubscribed" if kind == "unsubscribe" else reason

    def after(day):
        shop = kit.Shop(
            contacts=[kit.person("ana")],
            consents=[kit.consent("ana", True, day)],
            activity=[kit.did("ana", kind, 2)],
        )
        return asked(kit, shop, ["ana"])["ana"]

    assert after(1) == [reason]
    assert after(2) == [reason]
    assert after(3) == []


def test_a_setback_whose_channel_is_not_known_counts_for_each(kit):
    shop = kit.Shop(
        contacts=[kit.person("ana")],
        consents=[kit.consent("ana")],
        messages=[
            {"message_id": "m9", "contact_id": "ana", "channel": "sms", "sent_at": kit.at(1)}
        ],
        activity=[kit.did("ana", "bounce", 1, row_id="elsewhere")],
    )
    assert asked(kit, shop, ["ana"]) == {"ana": ["bounced"]}


def test_all_reasons_are_given_in_a_fixed_order(kit):
    shop = kit.Shop(
        contacts=[kit.person("ana", email=None)],
        consents=[kit.consent("ana", False, 1)],
        activity=[kit.did("ana", kind, 2) for kind in ("unsubscribe", "bounce", "complaint")],
    )
    expected = ["no_address", "consent_refused", "bounced", "complained", "unsubscribed"]
    assert asked(kit, shop, ["ana"]) == {"ana": expected}


def test_reasons_are_read_back_as_they_are_written():
    assert [read_names(", ".join(named(one)) or None) for one in range(1024)] == list(range(1024))
    assert max(Reason) == 512


def test_the_answers_stand_in_the_order_of_the_people_asked(kit):
    names = [f"p{n}" for n in range(50)]
    shop = kit.Shop(
        contacts=[kit.person(name) for name in reversed(names)],
        consents=[kit.consent(name) for name in names[::3]],
    )
    found = asked(kit, shop, names[::-1])
    assert [name for name, reasons in found.items() if not reasons] == names[::3][::-1]


def test_a_message_on_any_channel_of_the_contract_can_be_asked_about():
    from mlmarket.market.columns import CHANNELS
    from mlmarket.orchestration.arbitration.gates import _ADDRESS_OF

    assert set(_ADDRESS_OF) == set(CHANNELS)
    assert Message(name="a", channel="post", template="t").topic is None
