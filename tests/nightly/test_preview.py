"""A dry run says what the night would do, and touches nothing."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mlmarket.errors import ConfigurationError, QualityGateError
from mlmarket.nightly import Night, dry_run, explain_person, readiness, run_night

Opens = Callable[..., Night]
Trees = Callable[[Path], dict[str, tuple[int, bytes]]]
pytestmark = pytest.mark.usefixtures("quick_page")


def test_a_dry_run_writes_nothing_and_counts_what_the_night_then_does(
    own_shop: Path, night_of: Opens, tree_of: Trees
) -> None:
    night = night_of(own_shop, 22)
    before = tree_of(own_shop)
    found = dry_run(night)
    assert tree_of(own_shop) == before
    assert dry_run(night_of(own_shop, 20)).counts["outbox"] > 0, "decided before: the same again"
    run_night(night)
    decided = night.folder.result("decisions")
    predicted = night.folder.result("predictions")
    assert decided is not None
    assert predicted is not None
    assert found.counts == {"contacts": predicted.counts["contacts"], **decided.counts}
    assert found.predictors.keys() == {"purchase", "churn"}
    assert not [version for version in found.predictors.values() if "new" in version]


def test_a_dry_run_in_an_empty_folder_trains_and_forgets(
    new_shop: Path, night_of: Opens, tree_of: Trees
) -> None:
    before = tree_of(new_shop)
    found = dry_run(night_of(new_shop, 20))
    assert tree_of(new_shop) == before
    assert all(version.endswith(" (new)") for version in found.predictors.values())
    assert found.counts["members"] > 0


def halve_the_orders(folder: Path) -> None:
    orders = folder / "tables" / "orders.parquet"
    table = pq.read_table(orders)
    pq.write_table(table.slice(len(table) - len(table) // 4), orders)


def test_a_gate_stops_a_night_that_is_far_from_the_last_and_nothing_is_handed_over(
    own_shop: Path, night_of: Opens
) -> None:
    halve_the_orders(own_shop)
    night = night_of(own_shop, 22)
    database = (own_shop / "mlmarket.duckdb").read_bytes()
    state = (own_shop / "state" / "journeys.duckdb").read_bytes()
    with pytest.raises(QualityGateError, match="nothing was handed over") as caught:
        run_night(night)
    assert len(str(caught.value).splitlines()) == 3
    assert not (night.folder.path / "predictions").exists()
    assert not (night.folder.path / "outbox.csv").exists()
    assert (own_shop / "mlmarket.duckdb").read_bytes() == database
    assert (own_shop / "state" / "journeys.duckdb").read_bytes() == state
    with pytest.raises(QualityGateError):
        dry_run(night)
    config = own_shop / "mlmarket.toml"
    config.write_text(
        config.read_text(encoding="utf-8") + "\n[quality]\nmost_change = 50.0\n", encoding="utf-8"
    )
    run_night(night_of(own_shop, 22))


def test_readiness_says_what_each_question_lacks(own_shop: Path, night_of: Opens) -> None:
    config = own_shop / "mlmarket.toml"
    text = '\n[predict.up]\nlabel = "event upgrade"\nhorizon = "30D"\n'
    config.write_text(config.read_text(encoding="utf-8") + text, encoding="utf-8")
    night = night_of(own_shop, 20)
    found = {one.predictor: one.missing for one in readiness(night, night.market())}
    assert found == {"purchase": "", "churn": "", "up": "the table 'events'"}
    early = night_of(own_shop, 20)
    early = Night(early.config, early.settings, early.workspace, early.day.replace(month=1, day=20))
    assert (
        "28 days"
        in {one.predictor: one.missing for one in readiness(early, early.market())}["churn"]
    )


def test_a_person_is_explained_without_addresses(
    first_night: Path, night_of: Opens, tree_of: Trees
) -> None:
    night = night_of(first_night, 20)
    people = pq.read_table(night.folder.path / "outbox.parquet").to_pylist()
    before = tree_of(first_night)
    text = explain_person(night, people[0]["contact_id"]).to_text()
    assert tree_of(first_night) == before
    assert f"{people[0]['contact_id']} on 2026-06-20" in text
    assert "leaving, since 2026-06-19: " in text
    assert "win_back, hello: send" in text
    assert "purchase_probability_30d" in text
    assert people[0]["email"] not in text


def test_a_person_without_a_prediction_is_told_why(first_night: Path, night_of: Opens) -> None:
    night = night_of(first_night, 20)
    missing = pq.read_table(night.folder.path / "predictions" / "missing.parquet").to_pylist()
    text = explain_person(night, missing[0]["contact_id"]).to_text()
    assert f"no '{missing[0]['predictor']}': {missing[0]['reason']}" in text


def test_nobody_and_no_night_are_told_apart(first_night: Path, night_of: Opens) -> None:
    with pytest.raises(ConfigurationError, match="Nobody with the contact_id 'nobody'"):
        explain_person(night_of(first_night, 20), "nobody")
    with pytest.raises(ConfigurationError, match="has no predictions"):
        explain_person(night_of(first_night, 19), "nobody")
