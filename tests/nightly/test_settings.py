"""A configuration says what it means, or is refused with the near name."""

import json
from datetime import date
from pathlib import Path

import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.features import first_touch
from mlmarket.nightly import NightSettings, load_settings, open_night
from mlmarket.nightly.models import predictors_of
from mlmarket.recommend import ReasonTexts

DECLARED = '[features.young]\noperation = "first_touch"\nof = "order"\n'


def read(folder: Path, text: str) -> NightSettings:
    (folder / "mlmarket.toml").write_text(text, encoding="utf-8")
    return load_settings(folder / "mlmarket.toml")


def test_the_words_of_reasons_are_read_from_beside_the_configuration(tmp_path: Path) -> None:
    asked = '[predict.recommend]\ntexts = "reasons.de.yaml"\n'
    with pytest.raises(ConfigurationError, match=r"names the file 'reasons\.de\.yaml'"):
        read(tmp_path, asked)
    words = ReasonTexts().to_mapping()
    file = tmp_path / "reasons.de.yaml"
    file.write_text(json.dumps(words), encoding="utf-8")
    before = read(tmp_path, asked)
    assert before.predict["recommend"].texts == words
    words["texts"]["new"] = "neu bei uns"
    file.write_text(json.dumps(words), encoding="utf-8")
    after = read(tmp_path, asked)
    assert after.fingerprint() != before.fingerprint()
    (predictor,) = [one for one in predictors_of(after) if one.name == "recommend"]
    assert predictor.parameters["texts"] == words


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("[buisness]\n", "business"),
        ('[business]\ntimezon = "UTC"\n', "timezone"),
        ('[tables.orders]\nsorce = "x"\n', "source"),
        ('[tables.ordrs]\nsource = "x"\n', "orders"),
        ('[predict.purchase]\nhorzon = "30D"\n', "horizon"),
        ('[models]\nretrain_aftr = "30D"\n', "retrain_after"),
        ('[segments]\nfile = ["x"]\n', "files"),
        ("[journeys]\nholdot = 0.1\n", "holdout"),
        ('[publish]\nconection = "x"\n', "connection"),
        ("[quality]\nmost_chang = 0.1\n", "most_change"),
        ('[output]\nfoldr = "x"\n', "folder"),
        ('[engine]\nmemry = "8GB"\n', "memory"),
        ('[engine]\nmemory = "8G"\n', "8GB"),
        ('[hooks]\non_failur = "x"\n', "on_failure"),
        ('[features.x]\noperation = "count"\noff = "order"\n', "of"),
        ('[predict.purchase]\nfeatures = ["shp"]\n', "shop"),
        (
            DECLARED + '[predict.up]\nlabel = "event x"\nhorizon = "9D"\nfeatures = ["yong"]',
            "young",
        ),
        ('[engine]\nnam = "spark"\n', "name"),
    ],
)
def test_an_unknown_key_in_any_section_is_refused_with_the_near_one(
    tmp_path: Path, text: str, near: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, text)
    assert f"did you mean '{near}'?" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    "text",
    [
        "[predict.purchase]\nfeatures = []\n",
        '[features.x]\noperation = "count"\n',
        '[predict.up]\nlabel = "event upgrade"\n',
        '[predict.up]\nhorizon = "30D"\n',
        '[predict.purchase]\nlabel = "event upgrade"\n',
        '[predict.churn]\nestimator = "a:b"\n',
        '[predict.up]\nlabel = "event x"\nhorizon = "30"\n',
        '[predict.up]\nlabel = "event x"\nhorizon = "30D"\nestimator = "os.system"\n',
        "[journeys]\nholdout = 1.0\n",
        "[quality]\nmost_change = 0\n",
        '[publish]\nconnection = "duckdb://x"\ntable = "a; DROP TABLE b"\n',
        '[models]\nretrain_after = "soon"\n',
        '[engine]\nname = "sparc"\n',
        "[engine]\nbuckets = 0\n",
        '[business]\ntimezone = "Europe/Lisboa"\n',
        '[publish]\nconnection = "${NO_SUCH_SECRET}"\n',
        "not toml",
    ],
)
def test_a_wrong_value_is_refused_in_three_lines(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 3


def test_where_results_go_does_not_change_them(tmp_path: Path) -> None:
    plain = read(tmp_path, "[models]\n").fingerprint()
    elsewhere = '[output]\nfolder = "x"\n[hooks]\non_failure = "y"\n[publish]\nconnection = "z"\n'
    elsewhere += '[engine]\nmemory = "2GB"\nthreads = 1\nscratch = "w"\n'
    assert read(tmp_path, elsewhere).fingerprint() == plain
    assert read(tmp_path, '[engine]\nname = "spark"\nbuckets = 2\n').fingerprint() == plain
    assert read(tmp_path, "[journeys]\nholdout = 0.1\n").fingerprint() != plain


def test_declared_features_join_the_default_ones_or_are_chosen(tmp_path: Path) -> None:
    young = first_touch("order", name="young")
    assert read(tmp_path, "").features_of("purchase") is None
    plain = read(tmp_path, DECLARED)
    assert plain.features_of("purchase") == ("default", young)
    chosen = read(tmp_path, DECLARED + '[predict.churn]\nfeatures = ["shop", "young"]\n')
    assert chosen.features_of("purchase") == ("default", young)
    assert chosen.features_of("churn") == ("shop", young)
    assert len({one.fingerprint() for one in (read(tmp_path, ""), plain, chosen)}) == 3


def test_the_engine_of_a_command_takes_the_place_of_the_configured_one(tmp_path: Path) -> None:
    read(tmp_path, '[engine]\nname = "spark"\nbuckets = 3\n')
    config, day = tmp_path / "mlmarket.toml", date(2026, 6, 1)
    assert open_night(config, day).on_spark
    night = open_night(config, day, engine="duckdb")
    assert not night.on_spark
    assert night.settings.engine.buckets == 3
    with pytest.raises(ConfigurationError, match="There is no engine 'sparc'") as raised:
        open_night(config, day, engine="sparc")
    assert raised.value.fix == "did you mean 'spark'?"


def test_a_secret_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DATABASE", "duckdb://shop.duckdb")
    settings = read(tmp_path, '[publish]\nconnection = "${SHOP_DATABASE}"\n')
    assert settings.publish is not None
    assert settings.publish.connection == "duckdb://shop.duckdb"
