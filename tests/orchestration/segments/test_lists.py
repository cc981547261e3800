"""The lists that a marketer opens or a mailer imports."""

import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.export import write_csv
from mlmarket.orchestration.segments.lists import mailing_list, segment_list

WHO = {"ana": "ana@example.com", "rui": " RUI@Example.com", "eva": None, "zoe": "ana@example.com"}


@pytest.fixture(scope="module")
def contacts(town):
    rows = [
        {"contact_id": name, "external_id": f"x-{name}", "email": email, "phone": "+351910000000"}
        for name, email in WHO.items()
    ]
    return town.Contacts(rows)


@pytest.fixture(scope="module")
def leaving(town):
    why = "{risk:percent} risk of leaving"
    return town.segment("leaving", when="risk >= 0.5", why=why, action="Win back")


@pytest.fixture(scope="module")
def later(town, leaving):
    """The night in which rui left and eva and zoe came."""
    made = town.nights(
        [leaving],
        town.risks(ana=0.8, rui=0.9, eva=0.1, zoe=0.1),
        town.risks(ana=0.8, rui=0.2, eva=0.7, zoe=0.6),
    )
    return town.decisions(made[1], [leaving])


EVERYBODY = pa.array(list(WHO))


def test_a_list_holds_the_members_their_addresses_and_why(town, leaving, contacts):
    first = town.decisions(town.decide(town.risks(rui=0.9, ana=0.8), [leaving]), [leaving])
    found = segment_list(first, "leaving", contacts)
    assert found["contact_id"].to_pylist() == ["ana", "rui"]
    assert found.to_pylist()[0] == {
        "contact_id": "ana",
        "external_id": "x-ana",
        "email": "ana@example.com",
        "phone": "+351910000000",
        "entered_at": town.START,
        "is_new": True,
        "why": "80% risk of leaving",
        "action": "Win back",
    }


def test_a_list_is_written_the_same_bytes_as_ever(town, leaving, contacts, tmp_path):
    first = town.decisions(town.decide(town.risks(rui=0.9, ana=0.8), [leaving]), [leaving])
    write_csv(segment_list(first, "leaving", contacts), tmp_path / "leaving.csv")
    assert (tmp_path / "leaving.csv").read_bytes() == (
        "\ufeffcontact_id,external_id,email,phone,entered_at,is_new,why,action\r\n"
        "ana,x-ana,ana@example.com,+351910000000,2026-03-01T00:00:00Z,true,"
        "80% risk of leaving,Win back\r\n"
        "rui,x-rui, RUI@Example.com,+351910000000,2026-03-01T00:00:00Z,true,"
        "90% risk of leaving,Win back\r\n"
    ).encode()


def test_who_left_is_not_on_the_list_and_who_stayed_is_not_new(later, contacts):
    found = segment_list(later, "leaving", contacts)
    assert found["contact_id"].to_pylist() == ["ana", "eva", "zoe"]
    assert found["is_new"].to_pylist() == [False, True, True]


def test_the_list_of_changes_says_who_came_and_who_went(later, contacts):
    found = segment_list(later, "leaving", contacts, changed_only=True)
    rows = [(row["contact_id"], row["change"], row["why"]) for row in found.to_pylist()]
    assert rows == [
        ("eva", "entered", "70% risk of leaving"),
        ("rui", "left", "20% risk of leaving"),
        ("zoe", "entered", "60% risk of leaving"),
    ]
    assert found["email"].to_pylist() == [None, " RUI@Example.com", "ana@example.com"]


def test_without_contacts_the_list_has_ids_only(town, later):
    found = segment_list(later, "leaving", town.Contacts(None))
    assert found["email"].to_pylist() == [None, None, None]


def test_an_unknown_segment_is_refused_with_the_near_one(later, contacts):
    with pytest.raises(ConfigurationError, match="did you mean 'leaving'"):
        segment_list(later, "leavin", contacts)


def test_a_tick_over_some_people_gives_changes_but_no_list(town, leaving, contacts):
    touched = pa.array(["ana"])
    found = town.decide(town.risks(ana=0.8), [leaving], touched=touched)
    part = town.decisions(found, [leaving], touched=touched)
    with pytest.raises(ConfigurationError, match="looked at 1 people"):
        segment_list(part, "leaving", contacts)
    assert len(segment_list(part, "leaving", contacts, changed_only=True)) == 1


def test_a_mailer_gets_each_address_once_and_only_of_those_who_may_be_written_to(later, contacts):
    found = mailing_list(later, "leaving", contacts, may=EVERYBODY)
    assert found.to_pylist() == [
        {
            "email": "ana@example.com",
            "external_id": "x-ana",
            "phone": "+351910000000",
            "segment": "leaving",
            "change": "add",
            "why": "80% risk of leaving",
        }
    ]
    nobody = mailing_list(later, "leaving", contacts, may=pa.array([], pa.string()))
    assert len(nobody) == 0


def test_removal_from_a_mailer_needs_no_permission(later, contacts):
    may = pa.array(["zoe"])
    found = mailing_list(later, "leaving", contacts, may=may, changed_only=True)
    rows = [(row["email"], row["change"]) for row in found.to_pylist()]
    assert rows == [("ana@example.com", "add"), ("rui@example.com", "remove")]


def test_an_address_that_one_contact_keeps_is_not_removed_with_another(town, leaving):
    shared = town.Contacts([{"contact_id": name, "email": "a@example.com"} for name in ("a", "b")])
    made = town.nights([leaving], town.risks(a=0.8, b=0.1), town.risks(a=0.1, b=0.9))
    later = town.decisions(made[1], [leaving])
    found = mailing_list(later, "leaving", shared, may=pa.array(["a", "b"]), changed_only=True)
    assert [(row["external_id"], row["change"]) for row in found.to_pylist()] == [(None, "add")]
    stays = town.nights([leaving], town.risks(a=0.8, b=0.9), town.risks(a=0.1, b=0.9))
    later = town.decisions(stays[1], [leaving])
    found = mailing_list(later, "leaving", shared, may=pa.array(["a", "b"]), changed_only=True)
    assert len(found) == 0
