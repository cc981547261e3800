"""A model is trained once, used while it is good, and never before its time."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.nightly import ModelStore, Night, load_settings, run_night
from mlmarket.nightly.models import predictors_of

Opens = Callable[..., Night]
pytestmark = pytest.mark.usefixtures("quick_page")
CHEAP = """\
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def simple():
    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())


def other():
    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(C=0.1))


def broken():
    raise ZeroDivisionError("nothing here")


def no_probabilities():
    return StandardScaler()
"""


@pytest.fixture(autouse=True)
def own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "our_models.py").write_text(CHEAP, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))


def trained(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder / "models")) for path in folder.glob("models/*/*"))


def add(folder: Path, text: str) -> None:
    config = folder / "mlmarket.toml"
    config.write_text(config.read_text(encoding="utf-8") + "\n" + text, encoding="utf-8")


def answering(night: Night, **options: bool) -> list[str]:
    """Return which models a night trains; nothing is kept."""
    store = ModelStore(night.workspace, night.settings)
    found = store.answering(
        night.market(), as_of=night.as_of, night=night.day, save=False, **options
    )
    return list(found.trained)


def test_a_model_is_used_until_it_is_too_old(own_shop: Path, night_of: Opens) -> None:
    add(own_shop, '[models]\nretrain_after = "2D"\n')
    assert answering(night_of(own_shop, 22)) == []
    assert answering(night_of(own_shop, 23)) == ["purchase", "churn"]


def test_a_question_that_changed_is_learned_again(own_shop: Path, night_of: Opens) -> None:
    config = own_shop / "mlmarket.toml"
    text = config.read_text(encoding="utf-8").replace('"30D"', '"25D"')
    config.write_text(text, encoding="utf-8")
    assert answering(night_of(own_shop, 21)) == ["churn"]


def test_a_declaration_that_changed_is_learned_again(own_shop: Path, night_of: Opens) -> None:
    add(own_shop, '[features.early]\noperation = "count"\nof = "order"\nwindow = "9D"\n')
    config = own_shop / "mlmarket.toml"
    text = config.read_text(encoding="utf-8")
    chosen = '[predict.churn]\nfeatures = ["attributes", "early"]\n'
    text = text.replace("[predict.churn]\n", chosen)

    def known() -> list[str]:
        night = night_of(own_shop, 22)
        store = ModelStore(night.workspace, night.settings)
        return [p.name for p in predictors_of(night.settings) if store._latest(p, night.day)]

    assert known() == []
    config.write_text(text, encoding="utf-8")
    night = night_of(own_shop, 22)
    store = ModelStore(night.workspace, night.settings)
    found = store.answering(night.market(), as_of=night.as_of, night=night.day)
    purchase, churn = (one.evidence_.features for one in found.predictors)
    assert {"early", "order_trend_90d"} <= set(purchase)
    assert {"early", "order_recency"} <= set(churn)
    assert "order_trend_90d" not in churn
    assert known() == ["purchase", "churn"]
    config.write_text(text.replace('["attributes", "early"]', '["early"]'), encoding="utf-8")
    assert known() == ["purchase"]
    config.write_text(text.replace('"9D"', '"8D"'), encoding="utf-8")
    assert known() == []


def test_a_declaration_that_the_tables_cannot_answer_stops_the_night_first(
    own_shop: Path, night_of: Opens
) -> None:
    add(own_shop, '[features.late]\noperation = "count"\nof = "order where vaule > 3"\n')
    night = night_of(own_shop, 22)
    with pytest.raises(ConfigurationError, match=r"Feature 'late'.*no column 'vaule'"):
        run_night(night)
    assert night.folder.result("models") is None


def test_a_night_of_the_past_never_uses_a_model_of_its_future(
    own_shop: Path, night_of: Opens
) -> None:
    assert answering(night_of(own_shop, 19)) == ["purchase", "churn"]


def test_a_model_that_is_not_whole_is_passed_over_and_said_so(
    own_shop: Path, night_of: Opens
) -> None:
    folder = own_shop / "models" / "churn" / "2026-06-20"
    files = sorted(path.name for path in folder.iterdir())
    for name in files:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        told: list[str] = []
        night = night_of(own_shop, 21)
        store = ModelStore(night.workspace, night.settings)
        churn = predictors_of(night.settings)[1]
        assert store._latest(churn, night.day, told.append) is None, name
        assert told == ["passing over the model of 'churn' of 2026-06-20: it is not whole"]
        (folder / name).write_bytes(content)
    assert len(files) > 1
    shutil.rmtree(folder)
    folder.mkdir()
    assert answering(night_of(own_shop, 21)) == ["churn"]


def test_an_older_whole_model_answers_where_the_newest_is_broken(
    own_shop: Path, night_of: Opens
) -> None:
    (own_shop / "models" / "churn" / "2026-06-21").mkdir()
    (own_shop / "models" / "churn" / "notes").mkdir()
    assert answering(night_of(own_shop, 22)) == []


def test_a_night_whose_model_was_replaced_is_made_again_with_the_new_one(
    own_shop: Path, night_of: Opens
) -> None:
    night = night_of(own_shop, 20)
    store = ModelStore(night.workspace, night.settings)
    result = night.folder.result("models")
    assert result is not None
    versions = result.details["versions"]
    assert store.has(night.day, versions)
    assert not store.has(night.day, versions | {"churn": "another"})
    with pytest.raises(RunError, match="'churn' that tonight began with is not there"):
        store.load(night.day, versions | {"churn": "another"})
    shutil.rmtree(own_shop / "models" / "churn")
    run_night(night)
    assert trained(own_shop) == ["churn/2026-06-20", "purchase/2026-06-20"]


def test_fresh_trains_everything_again(
    own_shop: Path, night_of: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    original = ModelStore.answering

    def noticed(self: ModelStore, *arguments: object, retrain: bool, **options: object) -> object:
        asked.append(retrain)
        return original(self, *arguments, retrain=False, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ModelStore, "answering", noticed)
    run_night(night_of(own_shop, 20), fresh=True)
    assert asked == [True]


def test_a_predictor_without_its_table_is_skipped_and_the_report_says_so(
    own_shop: Path, night_of: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("mlmarket.reporting.render_report", lambda page: shown.append(page) or "")
    add(own_shop, '[predict.upgrade]\nlabel = "event upgrade"\nhorizon = "30D"\n')
    night = night_of(own_shop, 22)
    summary = run_night(night)
    assert summary.skipped == (("upgrade", "it needs the table 'events'"),)
    assert shown[0].skipped == (("upgrade", "it needs the table 'events'"),)
    names = pq.read_schema(night.folder.path / "predictions" / "contacts.parquet").names
    assert "purchase_probability_30d" in names
    assert "upgrade_probability_30d" not in names


def test_a_model_whose_table_is_gone_does_not_answer(own_shop: Path, night_of: Opens) -> None:
    night = night_of(own_shop, 22)
    store = ModelStore(night.workspace, night.settings)
    found = store.answering(night.market(), as_of=night.as_of, night=night.day)
    versions = {one.name: one.version_ for one in found.predictors if one.name != "churn"}
    assert [one.name for one in store.load(night.day, versions)] == ["purchase"]


def test_an_estimator_of_ones_own_goes_through_the_night(own_shop: Path, night_of: Opens) -> None:
    add(
        own_shop,
        '[predict.own]\nlabel = "order"\nhorizon = "30D"\nestimator = "our_models:simple"\n',
    )
    night = night_of(own_shop, 22)
    run_night(night)
    assert "own/2026-06-22" in trained(own_shop)
    asked = json.loads((own_shop / "models/own/2026-06-22/asked.json").read_text(encoding="utf-8"))
    assert asked == {"estimator": "our_models:simple"}
    table = pq.read_table(night.folder.path / "predictions" / "contacts.parquet")
    assert table.column("own_probability_30d").null_count < len(table)
    assert answering(night_of(own_shop, 23)) == []
    config = own_shop / "mlmarket.toml"
    text = config.read_text(encoding="utf-8").replace("our_models:simple", "our_models:other")
    config.write_text(text, encoding="utf-8")
    assert answering(night_of(own_shop, 23)) == ["own"]


@pytest.mark.parametrize(
    ("place", "word"),
    [
        ("our_models:nothing", "AttributeError"),
        ("no_such_module:simple", "ModuleNotFoundError"),
        ("our_models:broken", "ZeroDivisionError"),
        ("our_models:no_probabilities", "predict_proba"),
    ],
)
def test_an_estimator_that_cannot_be_had_is_a_matter_of_configuration(
    new_shop: Path, place: str, word: str
) -> None:
    add(new_shop, f'[predict.own]\nlabel = "order"\nhorizon = "30D"\nestimator = "{place}"\n')
    with pytest.raises(ConfigurationError, match=word) as caught:
        predictors_of(load_settings(new_shop / "mlmarket.toml"))
    assert len(str(caught.value).splitlines()) == 3
