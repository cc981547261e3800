"""One question asked of a small shop, from training to tonight's answers."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from mlmarket.errors import ConfigurationError
from mlmarket.features import OpenLabelWindowError, count, days_active, recency
from mlmarket.market import Market
from mlmarket.prediction import DeclinedError, Evidence, Predictor, TargetModel
from mlmarket.prediction.predictor import Predictions

DAY = timedelta(days=1)
FEATURES = (
    count('event "price view"', "30D"),
    recency('event "price view"'),
    days_active("upgrade"),
)


def _model(**more):
    return TargetModel("upgrade", label="event upgrade", horizon="30D", features=FEATURES, **more)


@pytest.fixture(scope="module")
def fitted(shop, now):
    return _model().fit(shop, as_of=now)


@pytest.fixture(scope="module")
def answers(fitted, shop, now):
    return fitted.predict(shop, as_of=now)


def test_it_is_a_predictor(fitted):
    assert isinstance(fitted, Predictor)
    assert (fitted.name, fitted.needs) == ("upgrade", {"events"})


def test_the_model_beats_the_base_rate_where_there_is_something_to_know(fitted):
    evidence = fitted.evidence_
    assert evidence.chosen == "blend"
    assert evidence.score("blend", "log_loss") < evidence.score("base_rate", "log_loss")
    assert evidence.rows > evidence.contacts > 0
    assert fitted.version_.startswith("2025-07-20-blend-")


def test_predictions_have_the_columns_that_were_promised(fitted, answers):
    assert answers.contacts.column_names == ["contact_id", *fitted.outputs]
    frame = answers.to_frame()
    assert frame["contact_id"].is_monotonic_increasing
    assert frame["upgrade_probability_30d"].between(0, 1, inclusive="neither").all()
    assert set(frame["upgrade_model_version"]) == {fitted.version_}
    assert len(frame) == 300
    assert answers.missing.num_rows == 0
    assert "<table" in answers._repr_html_()


def test_who_is_asked_about_alone_gets_the_same_answer(fitted, answers, shop, now):
    some = fitted.predict(shop, as_of=now, contacts=["c017", "c003", "c017", "stranger"])
    frame = answers.to_frame()
    wanted = frame[frame["contact_id"].isin(["c003", "c017"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(some.to_frame(), wanted, check_exact=True)
    assert some.missing.to_pylist() == [
        {
            "contact_id": "stranger",
            "predictor": "upgrade",
            "reason": "is not known at 2025-07-20 00:00 UTC",
        }
    ]
    assert fitted.predict(shop, as_of=now, contacts=[]).contacts.num_rows == 0


def test_times_are_told_in_utc(fitted, shop, now):
    there = now.astimezone(ZoneInfo("Asia/Tokyo"))
    missing = fitted.predict(shop, as_of=there, contacts=["stranger"]).missing
    assert missing.column("reason").to_pylist() == ["is not known at 2025-07-20 00:00 UTC"]


@pytest.mark.parametrize("contacts", ["c001", [17850], [None]])
def test_ids_that_are_not_texts_are_refused(fitted, shop, now, contacts):
    with pytest.raises(ConfigurationError, match="not a list of texts"):
        fitted.predict(shop, as_of=now, contacts=contacts)


def test_the_same_training_gives_the_same_bytes(fitted, shop, now, tmp_path):
    again = _model().fit(shop, as_of=now)
    assert again.version_ == fitted.version_
    for name, model in (("one", fitted), ("two", again)):
        model.save(tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "two").iterdir())
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_what_is_loaded_answers_the_same_and_brings_its_evidence(
    fitted, answers, shop, now, tmp_path
):
    fitted.save(tmp_path / "model")
    loaded = TargetModel.load(tmp_path / "model")
    assert loaded.predict(shop, as_of=now).contacts.equals(answers.contacts)
    assert isinstance(loaded.evidence_, Evidence)
    assert loaded.training_record_ == fitted.training_record_
    assert (loaded.version_, loaded.as_of_) == (fitted.version_, now)
    assert loaded.features == FEATURES
    assert loaded.parameters == fitted.parameters
    suffixes = {path.suffix for path in (tmp_path / "model").iterdir()}
    assert suffixes <= {".json", ".txt"}
    json.loads((tmp_path / "model" / "card.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda folder: (folder / "card.json").unlink(), "no trained model"),
        (lambda folder: (folder / "card.json").write_text("{"), "no trained model"),
        (lambda folder: (folder / "logistic.json").unlink(), "not the one its card describes"),
        (lambda folder: (folder / "lightgbm.txt").write_text("x"), "not the one its card"),
        (
            lambda folder: _edit(folder / "card.json", '"kind": "TargetModel"', '"kind": "X"'),
            "is a X, not a TargetModel",
        ),
        (
            lambda folder: _edit(folder / "card.json", '"30D"', '"31D"'),
            "not the one its card describes",
        ),
    ],
)
def test_a_model_that_was_tampered_with_is_not_loaded(fitted, tmp_path, spoil, what):
    fitted.save(tmp_path)
    spoil(tmp_path)
    with pytest.raises(ConfigurationError, match=what) as refused:
        TargetModel.load(tmp_path)
    assert str(refused.value).count("\n") == 2


def _edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_backtest_at_the_same_origins_finds_the_same_folds(fitted, shop):
    origins = sorted({fold.origin for fold in fitted.evidence_.folds}, reverse=True)
    evidence = _model().backtest(shop, origins=[*origins, origins[0]])
    assert evidence.folds == fitted.evidence_.folds
    assert evidence.chosen == fitted.evidence_.chosen
    assert evidence.last_cutoff == max(origins) - 30 * DAY


@pytest.mark.parametrize(
    ("origins", "error", "what"),
    [
        ([], ConfigurationError, "no origin to stand at"),
        ([datetime(2025, 5, 1)], ConfigurationError, "has no zone"),  # noqa: DTZ001
        ([datetime(2025, 7, 1, tzinfo=UTC)], OpenLabelWindowError, "is complete only until"),
        ([datetime(2025, 1, 5, tzinfo=UTC)], DeclinedError, "no window of 30D is closed"),
        ([datetime(2025, 2, 5, tzinfo=UTC)], DeclinedError, "no origin at which"),
    ],
)
def test_a_backtest_that_nothing_could_show_is_refused(shop, origins, error, what):
    with pytest.raises(error, match=what) as refused:
        _model().backtest(shop, origins=origins)
    assert str(refused.value).count("\n") == 2


def test_before_training_there_is_nothing_to_say(shop, now, tmp_path):
    model = _model()
    for ask in (
        lambda: model.predict(shop, as_of=now),
        lambda: model.evidence_,
        lambda: model.version_,
        lambda: model.save(tmp_path),
    ):
        with pytest.raises(NotFittedError, match="call fit"):
            ask()


def _event_market(now, kinds, contacts=("a", "b")):
    rows = [
        (contact, kind, now - day * DAY)
        for contact in contacts
        for kind in kinds
        for day in range(1, 150, 5)
    ]
    events = pd.DataFrame(rows, columns=["contact_id", "event_type", "occurred_at"])
    events["occurred_at"] = events["occurred_at"].dt.tz_localize(None)
    return Market.from_tables(events=events, now=now)


@pytest.mark.parametrize(
    ("label", "days", "kinds", "what"),
    [
        ("event upgrade", 0, ("upgrade",), "no origin at which it could be judged"),
        ("event upgrade", 0, ("other",), "no origin at which it could be judged"),
        ("no event upgrade", 0, ("upgrade",), "no origin at which it could be judged"),
        ("event upgrade", 100, ("upgrade",), "no window of 30D is closed"),
        ("outcome won", 0, ("upgrade",), "there is no table 'outcomes'"),
        ("order", 0, ("upgrade",), "there is no table 'orders'"),
    ],
)
def test_a_question_that_the_data_cannot_answer_is_declined_in_three_lines(
    now, label, days, kinds, what
):
    market = _event_market(now, kinds)
    model = TargetModel("mine", label=label, horizon="30D")
    with pytest.raises(DeclinedError, match=what) as declined:
        model.fit(market, as_of=now - days * DAY)
    first, _, last = str(declined.value).split("\n")
    assert first.startswith("'mine' declines: ")
    assert last.startswith("Fix: it needs ")


def test_the_tables_of_the_eligible_are_needed_too():
    model = TargetModel("mine", label="event upgrade", horizon="30D", eligible="order | open")
    assert model.needs == {"events", "messages", "orders"}


@pytest.mark.parametrize("name", ["Upgrade", "my model", "", "1st", "../x"])
def test_a_name_that_cannot_begin_a_column_is_refused(name):
    with pytest.raises(ConfigurationError, match="cannot be called"):
        TargetModel(name, label="event upgrade", horizon="30D")


def test_a_label_that_looks_back_is_refused_when_it_is_asked():
    with pytest.raises(ConfigurationError, match="looks back"):
        TargetModel("mine", label="event upgrade within 30D", horizon="30D")


def test_who_is_not_among_the_eligible_is_missing_with_a_reason(shop, now):
    features = FEATURES[:1]
    model = TargetModel(
        "active",
        label="event upgrade",
        horizon="30D",
        eligible='event "price view" within 14D',
        features=features,
    )
    model.fit(shop, as_of=now)
    answers = model.predict(shop, as_of=now)
    assert answers.contacts.num_rows + answers.missing.num_rows == 300
    assert answers.missing.num_rows > 0
    gate = "'\"price view\" within 14D'"
    assert set(answers.missing.column("reason").to_pylist()) == {
        f"is not among those asked about, {gate}, at 2025-07-20 00:00 UTC"
    }


def test_predictions_are_a_result_that_cannot_be_changed(answers):
    assert isinstance(answers, Predictions)
    with pytest.raises(AttributeError):
        answers.contacts = None


def test_a_fold_knows_nothing_that_came_after_its_window(shop_tables, now):
    origin = now - 60 * DAY
    end = pd.Timestamp(origin + 30 * DAY).tz_localize(None)
    events = shop_tables["events"]
    last = pd.DataFrame({"contact_id": ["c000"], "event_type": "end", "occurred_at": [end]})
    past = pd.concat([events[events["occurred_at"] <= end], last])
    later = events[events["occurred_at"] > end]
    later = pd.concat([later.assign(event_type="invented")] * 5 + [later.assign(value=1e9)])
    found = []
    for tables in ([past], [past, later]):
        market = Market.from_tables(
            contacts=shop_tables["contacts"], events=pd.concat(tables), now=now
        )
        model = TargetModel("upgrade", label="event upgrade", horizon="30D")
        found.append(model.backtest(market, origins=[origin]).to_dict())
    assert found[0] == found[1]
    assert not any("invented" in name for name in found[0]["features"])
