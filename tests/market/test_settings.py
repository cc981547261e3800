from datetime import UTC, datetime

import pytest
from pydantic import Field

from mlmarket.errors import ConfigurationError
from mlmarket.market import MarketSettings, TableSettings
from mlmarket.market.settings import BusinessSettings, Settings, read_toml, validate_settings


def _refused(content):
    with pytest.raises(ConfigurationError) as caught:
        validate_settings(MarketSettings, content, file="mlmarket.toml")
    return str(caught.value)


def test_nothing_needs_to_be_said_about_the_business():
    settings = validate_settings(MarketSettings, {}, file="mlmarket.toml")
    assert settings.business == BusinessSettings(timezone="UTC", currency="EUR")


@pytest.mark.parametrize(
    ("content", "what", "fix"),
    [
        (
            {"busines": {}},
            "the top level of mlmarket.toml has no key 'busines'.",
            "did you mean 'business'?",
        ),
        (
            {"business": {"timezon": "UTC"}},
            "[business] of mlmarket.toml has no key 'timezon'.",
            "did you mean 'timezone'?",
        ),
        (
            {"tables": {"orders": {"sorce": "orders.csv"}}},
            "[tables.orders] of mlmarket.toml has no key 'sorce'.",
            "did you mean 'source'?",
        ),
        (
            {"business": {"qqq": 1}},
            "[business] of mlmarket.toml has no key 'qqq'.",
            "use one of currency, timezone.",
        ),
    ],
)
def test_an_unknown_key_is_refused_with_the_near_one(content, what, fix):
    assert _refused(content) == (
        f"{what}\nA key that is not known would be a setting that silently does nothing.\n"
        f"Fix: {fix}"
    )


def test_an_unknown_table_is_refused_with_the_near_one():
    assert _refused({"tables": {"order": {}}}) == (
        "There is no table 'order' in the data contract.\n"
        "Only the tables of the contract are read.\n"
        "Fix: did you mean 'orders'?"
    )


def test_a_mapping_to_an_unknown_column_is_refused_with_the_near_one():
    assert _refused({"tables": {"orders": {"columns": {"amuont": "Total"}}}}) == (
        "[tables.orders.columns] maps 'amuont', which is no column of the contract.\n"
        "A mapping to an unknown name would do nothing; other columns of the source keep their "
        "names by themselves.\n"
        "Fix: did you mean 'amount'?"
    )


@pytest.mark.parametrize(
    ("table", "key", "value", "only"),
    [
        ("events", "returns", "value < 0", "orders"),
        ("orders", "attributes", {"plan": "numeric"}, "contacts"),
    ],
)
def test_a_key_that_would_do_nothing_in_its_table_is_refused(table, key, value, only):
    assert _refused({"tables": {table: {key: value}}}) == (
        f"[tables.{table}] has `{key}`, which only [tables.{only}] can have.\n"
        "It would be a setting that silently does nothing.\n"
        f"Fix: move it to [tables.{only}], or take it out."
    )


def test_a_time_zone_that_does_not_exist_is_refused_wherever_it_stands():
    expected = (
        "There is no time zone 'Europe/Lisbonne'.\n"
        "Local midnights and naive times are read in it.\n"
        "Fix: did you mean 'Europe/Lisbon'?"
    )
    assert _refused({"business": {"timezone": "Europe/Lisbonne"}}) == expected
    assert _refused({"tables": {"orders": {"timezone": "Europe/Lisbonne"}}}) == expected


def test_a_time_format_with_an_unknown_sign_is_refused():
    assert _refused({"tables": {"orders": {"time_format": "%d/%Q"}}}) == (
        "The time format '%d/%Q' has the unknown sign '%Q'.\n"
        "Times written as text are read by it.\n"
        "Fix: use %d, %m, %Y, %H, %M and %S, as in '%d/%m/%Y %H:%M'."
    )


def test_a_value_of_the_wrong_kind_is_refused_with_its_place():
    message = _refused({"tables": {"contacts": {"attributes": {"plan": "number"}}}})
    assert message == (
        "'tables.contacts.attributes.plan' in mlmarket.toml: Input should be 'numeric', "
        "'categorical' or 'ignore'.\n"
        "It was 'number'.\n"
        "Fix: correct the value; docs/cli.md lists what each key takes."
    )


def test_settings_do_not_change_after_reading():
    with pytest.raises(ValueError, match="frozen"):
        TableSettings(source="a.csv").source = "b.csv"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-06-30", datetime(2026, 6, 30, 23, 59, 59, 999999)),  # noqa: DTZ001
        (datetime(2026, 6, 30, 12, tzinfo=UTC), datetime(2026, 6, 30, 12, tzinfo=UTC)),
        (datetime(2026, 6, 30).date(), datetime(2026, 6, 30, 23, 59, 59, 999999)),  # noqa: DTZ001
    ],
)
def test_complete_until_a_date_includes_that_day(written, read):
    assert TableSettings(complete_until=written).complete_until == read


def test_complete_until_a_date_that_does_not_exist_is_refused():
    message = _refused({"tables": {"orders": {"complete_until": "2026-02-30"}}})
    assert message.startswith("'tables.orders.complete_until' in mlmarket.toml: Input should be")


class _Inner(Settings):
    depth: int = 0


class _Outer(Settings):
    inner: _Inner | None = None
    named: dict[str, _Inner] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("content", "place"),
    [({"inner": {"dept": 1}}, "[inner]"), ({"named": {"any": {"dept": 1}}}, "[named.any]")],
)
def test_near_keys_are_found_below_optional_and_named_settings(content, place):
    with pytest.raises(ConfigurationError) as caught:
        validate_settings(_Outer, content, file="other.toml")
    assert str(caught.value).startswith(f"{place} of other.toml has no key 'dept'.")
    assert caught.value.fix == "did you mean 'depth'?"


def test_a_missing_file_is_refused_with_the_command_that_writes_one(tmp_path):
    path = tmp_path / "mlmarket.toml"
    with pytest.raises(ConfigurationError) as caught:
        read_toml(path)
    assert str(caught.value) == (
        f"There is no file '{path}'.\n"
        "It says where the tables are and what to predict.\n"
        "Fix: run `mlmarket init` to write one, or pass --config."
    )


def test_a_file_that_is_no_toml_is_refused_with_its_line(tmp_path):
    path = tmp_path / "mlmarket.toml"
    path.write_text("[business\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_toml(path)
    what, why, fix = str(caught.value).split("\n")
    assert what.startswith("'mlmarket.toml' is not valid TOML: ")
    assert "line 1" in what
    assert why == "Nothing is run on a configuration that was read in part."
    assert fix == "Fix: mend that line; texts stand in quotes, tables in [brackets]."


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "mlmarket.toml"
    path.write_bytes('name = "Café"'.encode("cp1252"))
    with pytest.raises(ConfigurationError, match="Fix: pass the path of a UTF-8 text file"):
        read_toml(path)


def test_a_byte_order_mark_before_the_file_is_no_harm(tmp_path):
    path = tmp_path / "mlmarket.toml"
    path.write_bytes(b"\xef\xbb\xbf[business]\ncurrency = 'USD'")
    assert read_toml(path) == {"business": {"currency": "USD"}}


def test_secrets_come_from_the_environment_at_any_depth(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "hidden")
    path = tmp_path / "mlmarket.toml"
    path.write_text('[a.b]\nc = ["x:${SHOP_PASSWORD}@y"]\nd = 1', encoding="utf-8")
    assert read_toml(path) == {"a": {"b": {"c": ["x:hidden@y"], "d": 1}}}


def test_a_secret_that_is_not_set_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    path = tmp_path / "mlmarket.toml"
    path.write_text('[a]\nb = "${SHOP_PASSWORD}"', encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_toml(path)
    assert str(caught.value) == (
        "mlmarket.toml names the secret '${SHOP_PASSWORD}', which is not set.\n"
        "Secrets are read from environment variables, never from the file.\n"
        "Fix: set it before the run: export SHOP_PASSWORD=…"
    )


def test_a_message_about_a_value_does_not_tell_its_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "hidden")
    path = tmp_path / "mlmarket.toml"
    path.write_text('[business]\ncurrency = "${SHOP_PASSWORD}"', encoding="utf-8")
    message = _refused(read_toml(path))
    assert "hidden" not in message
    assert "It was '${SHOP_PASSWORD}'." in message
