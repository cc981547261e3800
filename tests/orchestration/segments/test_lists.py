"""The lists that a marketer opens or uploads."""

import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration import segment_list


def test_a_list_holds_the_members_their_addresses_and_why(kit, one_shop):
    shop = one_shop(contacts=[kit.person("ana"), kit.person("rui", phone=None)])
    book = kit.playbook()
    _, (decided,) = kit.nights(book, shop, kit.scores(rui=0.9, ana=0.8), [0])
    found = segment_list(decided, "leaving", shop)
    assert found["contact_id"].to_pylist() == ["ana", "rui"]
    assert found.to_pylist()[1] == {
        "contact_id": "rui",
        "external_id": "x-rui",
        "email": "rui@example.com",
        "phone": None,
        "entered_at": kit.at(0),
        "is_new": True,
        "why": "90% risk of leaving",
        "action": "Win back",
    }


def test_who_left_is_not_on_the_list_and_who_stayed_is_not_new(kit, one_shop):
    shop = one_shop(contacts=[kit.person("ana"), kit.person("rui")])
    book = kit.playbook()
    from mlmarket.orchestration import tick

    state, _ = kit.nights(book, shop, kit.scores(rui=0.9, ana=0.8), [0])
    decided = tick(state, kit.scores(rui=0.1, ana=0.8), shop, now=kit.when(1))
    assert segment_list(decided, "leaving", shop)["is_new"].to_pylist() == [False]


def test_without_contacts_the_list_has_ids_only(kit, one_shop):
    shop = one_shop(contacts=None)
    _, (decided,) = kit.nights(kit.playbook(), shop, kit.scores(ana=0.8), [0])
    (row,) = segment_list(decided, "leaving", shop).to_pylist()
    assert (row["contact_id"], row["email"]) == ("ana", None)


def test_an_unknown_segment_is_refused_with_the_near_one(kit, one_shop):
    _, (decided,) = kit.nights(kit.playbook(), one_shop(), kit.scores(), [0])
    with pytest.raises(ConfigurationError, match="did you mean 'leaving'"):
        segment_list(decided, "leavin", one_shop())
