"""Hashes as the advertising platforms document them."""

import hashlib
import importlib.util

import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.export import write_csv
from mlmarket.orchestration.segments.audiences import audience, audience_changes
from mlmarket.orchestration.segments.phones import e164

HAS_RULES = importlib.util.find_spec("phonenumbers") is not None


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="module")
def export(town):
    everybody = town.segment("all", when="risk >= 0")

    def build(contacts, platform, *, may=None, touched=None, **options):
        names = [contact["contact_id"] for contact in contacts]
        found = town.decide(town.risks(**dict.fromkeys(names, 0.5)), [everybody], touched=touched)
        decided = town.decisions(found, [everybody], touched=touched)
        permitted = pa.array(names if may is None else may, pa.string())
        return audience(
            decided, "all", town.Contacts(contacts), platform=platform, may=permitted, **options
        )

    return build


def test_meta_gets_the_hashes_of_its_documentation(export):
    # Examples of "Customer Information Parameters".
    found = export(
        [{"contact_id": "a", "email": " John_Smith@gmail.com ", "phone": "+1 (650) 555-1212"}],
        "meta",
    )
    assert found.rows.to_pylist() == [
        {
            "EM": "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
            "PH": "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
        }
    ]


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        # Examples of "Format user data" of the Data Manager API.
        ("cloudy.sanfrancisco+shopping@gmail.com", "cloudysanfrancisco@gmail.com"),
        ("user.name+NYC@Example.com", "user.name+nyc@example.com"),
        (" Test@GoogleMail.com", "test@googlemail.com"),
        ("janedoe@gmail.com", "janedoe@gmail.com"),
    ],
)
def test_google_gets_addresses_in_its_own_form(export, written, normal):
    found = export([{"contact_id": "a", "email": written, "phone": "+1 (800) 555-0100"}], "google")
    assert found.rows.to_pylist() == [{"Email": sha(normal), "Phone": sha("+18005550100")}]


def test_a_hash_is_what_others_compute(export):
    # Published for the same address by another platform, TikTok.
    found = export([{"contact_id": "a", "email": "JaneDoe@gmail.com"}], "linkedin")
    assert found.rows["email"].to_pylist() == [
        "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69"
    ]


def test_linkedin_gets_its_template_and_no_phones(export, tmp_path):
    found = export([{"contact_id": "a", "email": "A.b@gmail.com", "phone": "12"}], "linkedin")
    write_csv(found.rows, tmp_path / "audience.csv", byte_order_mark=False)
    head, row, end = (tmp_path / "audience.csv").read_bytes().decode().split("\r\n")
    assert head == "email,firstname,lastname,jobtitle,employeecompany,country,googleaid"
    assert row == sha("a.b@gmail.com") + ",,,,,,"
    assert (end, found.unread_phones) == ("", 0)


def test_who_has_not_consented_to_ads_is_left_out_and_counted(export):
    contacts = [{"contact_id": name, "email": f"{name}@example.com"} for name in "abc"]
    found = export([*contacts, {"contact_id": "d", "email": "n/a"}], "meta", may=["b", "d", "x"])
    assert found.rows["EM"].to_pylist() == [sha("b@example.com")]
    assert (found.members, found.without_consent, found.without_address) == (4, 2, 1)


def test_people_with_the_same_addresses_are_one_row_and_rows_are_sorted(export):
    contacts = [
        {"contact_id": name, "email": f"{n}@example.com"}
        for name, n in zip("abc", "121", strict=True)
    ]
    found = export(contacts, "google")
    assert found.rows["Email"].to_pylist() == sorted([sha("1@example.com"), sha("2@example.com")])
    assert found.without_address == 0


def test_nothing_but_hashes_leaves(export):
    found = export(
        [{"contact_id": "a", "email": "ana@example.com", "phone": "+351910000000"}], "meta"
    )
    text = str(found.rows.to_pylist())
    assert "ana" not in text
    assert "9100" not in text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+351 910 000 000", "+351910000000"),
        ("+44 (0)20 7031-3000", "+442070313000"),
        ("0044 20 7031 3000", "+442070313000"),
        ("+1 650 555 1212 ext. 5", "+16505551212"),
        ("910 000 000", None),
        ("0011 44 20 7031 3000", None),
        ("+0 12 34 56 78", None),
        ("+12345678901234567", None),
        ("+351 91O 000 000", None),
        ("", None),
        (None, None),
    ],
)
def test_a_number_without_a_country_is_only_tidied_up(text, number):
    assert e164(text) == number


def test_a_number_of_an_unknown_country_is_counted_not_guessed(export):
    contacts = [
        {"contact_id": "a", "phone": "910 000 000"},
        {"contact_id": "b", "phone": "+351910000000", "country": "Portugal"},
    ]
    found = export(contacts, "google")
    assert found.rows["Phone"].to_pylist() == [sha("+351910000000")]
    assert (found.unread_phones, found.without_address) == (1, 1)


@pytest.mark.skipif(not HAS_RULES, reason="needs phonenumbers")
def test_a_national_number_is_read_by_the_rules_of_its_country(export):
    contacts = [
        {"contact_id": "a", "phone": "910 000 000", "country": "PT"},
        {"contact_id": "b", "phone": "020 7031 3000", "country": "gb"},
        {"contact_id": "c", "phone": "(650) 555-1212"},
        {"contact_id": "d", "phone": "011 44 20 7031 3001"},
        {"contact_id": "e", "phone": "12"},
    ]
    found = export(contacts, "google", country="US")
    numbers = ("+351910000000", "+442070313000", "+16505551212", "+442070313001")
    assert found.rows["Phone"].to_pylist() == sorted(map(sha, numbers))
    assert found.unread_phones == 1


@pytest.mark.skipif(HAS_RULES, reason="needs a machine without phonenumbers")
def test_a_country_without_its_rules_is_refused_with_the_line_that_installs_them(export):
    with pytest.raises(ConfigurationError, match=r"pip install 'mlmarket\[audiences\]'"):
        export([{"contact_id": "a", "phone": "910 000 000"}], "google", country="PT")


def test_a_slip_is_refused_with_the_near_name(export, town):
    contacts = [{"contact_id": "a", "email": "a@example.com"}]
    with pytest.raises(ConfigurationError, match="did you mean 'google'"):
        export(contacts, "gogle")
    with pytest.raises(ConfigurationError, match="in two letters"):
        export(contacts, "google", country="Portugal")
    with pytest.raises(ConfigurationError, match="looked at 1 people"):
        export(contacts, "google", touched=pa.array(["a"]))


def test_changes_are_those_against_what_was_uploaded(export):
    contacts = [{"contact_id": name, "email": f"{name}@example.com"} for name in "abc"]
    earlier = export(contacts, "meta", may=["a", "b"]).rows
    moved = [*contacts[:2], {"contact_id": "c", "email": "new@example.com"}]
    now = export(moved, "meta", may=["b", "c"]).rows
    found = audience_changes(earlier, now)
    assert [(row["change"], row["EM"]) for row in found.to_pylist()] == [
        ("add", sha("new@example.com")),
        ("remove", sha("a@example.com")),
    ]
    assert len(audience_changes(now, now)) == 0
    with pytest.raises(ConfigurationError, match="same platform"):
        audience_changes(now, export(contacts, "google").rows)
