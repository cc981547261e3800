"""Who may be messaged: consent as a permit, setbacks, addresses."""

import itertools

import pyarrow as pa
import pytest

from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration import State
from mlmarket.orchestration.arbitration.gates import Gate, Gatekeeper
from mlmarket.orchestration.arbitration.reasons import Reason, named, read_names
from mlmarket.orchestration.arbitration.weighing import addresses_of
from mlmarket.orchestration.engine.bench import open_bench
from mlmarket.orchestration.tables import CONSENT_EVENTS, SUPPRESSIONS

NOW = 5


def asked(kit, shop, names, channel="email", topic="offers", basis="consent", state=None):
    """Return the reasons against an e-mail about offers, by person."""
    now = kit.at(NOW)
    gate = Gate(channel, topic or "", basis)
    with open_bench() as bench:
        nobody = bench.create_table("people", schema={"person": "int64"})
        people = addresses_of(nobody, shop, bench, now)
        ids = pa.array(names, pa.string())
        gates = Gatekeeper(shop, people, ids, asked=[gate], now=now, state=state)
        bits = gates.closed(gate)
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
    some = [*range(1024), *(1 << n for n in range(len(Reason)))]
    assert [read_names(", ".join(named(one)) or None) for one in some] == some


def test_the_answers_stand_in_the_order_of_the_people_asked(kit):
    names = [f"p{n}" for n in range(50)]
    shop = kit.Shop(
        contacts=[kit.person(name) for name in reversed(names)],
        consents=[kit.consent(name) for name in names[::3]],
    )
    found = asked(kit, shop, names[::-1])
    assert [name for name, reasons in found.items() if not reasons] == names[::3][::-1]


def test_messages_on_any_channel_of_the_contract_can_be_asked_about(kit):
    shop = kit.Shop(contacts=[kit.person("ana")])
    for channel in CHANNELS:
        assert asked(kit, shop, ["ana"], channel=channel) == {"ana": ["no_consent"]}


def test_a_grant_counts_only_for_messages_of_its_own_basis(kit):
    def rests_on(basis, **word):
        shop = kit.Shop(contacts=[kit.person("ana")], consents=[kit.consent("ana", **word)])
        return asked(kit, shop, ["ana"], basis=basis)["ana"]

    assert rests_on("consent") == []
    assert rests_on("contract") == ["no_consent"]
    assert rests_on("contract", legal_basis="contract") == []
    assert rests_on("consent", legal_basis="contract") == ["no_consent"]
    assert rests_on("legitimate_interest", legal_basis=" Legitimate interest ") == []
    assert rests_on("consent", legal_basis="who knows") == ["no_consent"]


def test_a_refusal_counts_whatever_a_message_rests_on(kit):
    consents = [
        kit.consent("ana", True, 1, legal_basis="contract"),
        kit.consent("ana", False, 2, legal_basis="consent"),
    ]
    shop = kit.Shop(contacts=[kit.person("ana")], consents=consents)
    assert asked(kit, shop, ["ana"], basis="contract") == {"ana": ["consent_refused"]}


def test_consents_that_were_recorded_count_like_those_of_the_table(kit):
    shop = kit.Shop(contacts=[kit.person("ana")], consents=[kit.consent("ana", True, 1)])

    def after(granted, day):
        word = {"contact_id": "ana", "channel": "email", "granted": granted}
        rows = [{**word, "changed_at": kit.at(day)}]
        state = State(consent_events=pa.Table.from_pylist(rows, schema=CONSENT_EVENTS))
        return asked(kit, shop, ["ana"], state=state)["ana"]

    assert after(False, 2) == ["consent_refused"]
    assert after(False, 0) == []
    assert after(False, NOW + 1) == []


@pytest.mark.parametrize(
    ("row", "reasons"),
    [
        ({"channel": "Email "}, ["suppressed"]),
        ({"channel": "sms"}, []),
        ({}, ["suppressed"]),
        ({"channel": "pigeon"}, ["suppressed"]),
        ({"since": None}, ["suppressed"]),
        ({"since": NOW + 1}, []),
        ({"channel": "sms", "reason": "erased"}, ["erased"]),
    ],
)
def test_a_suppression_closes_its_channel_or_all(kit, row, reasons):
    since = row.get("since", 1)
    content = {"contact_id": "ana", "reason": "asked by phone", **row}
    content["since"] = None if since is None else kit.at(since)
    state = State(suppressions=pa.Table.from_pylist([content], schema=SUPPRESSIONS))
    shop = kit.Shop(contacts=[kit.person("ana")], consents=[kit.consent("ana")])
    assert asked(kit, shop, ["ana"], state=state) == {"ana": reasons}
