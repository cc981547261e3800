import json
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest
import yaml

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.recommend.reasons import REASON_CODES, ReasonTexts

GERMAN = {
    "texts": {
        "because_bought": "weil Sie {because_title} gekauft haben",
        "because_viewed": "weil Sie {because_title} angesehen haben",
        "together": "passt zu {because_title}",
        "similar": "ähnlich wie {because_title}",
        "again": "hatten Sie schon einmal",
        "looked_at": "das hatten Sie sich angesehen",
        "due": "am {date} aufgebraucht",
        "due_soon": "bald aufgebraucht",
        "popular": "diese Woche beliebt",
        "popular_country": "diese Woche {country} beliebt",
        "popular_segment": "beliebt bei ähnlichen Kunden",
        "category": "mehr aus {category}",
        "new": "neu bei uns",
        "pinned": "unsere Empfehlung",
        "exploration": "einmal etwas anderes",
        "for_you": "für Sie ausgewählt",
    },
    "date": "{day}. {month}",
    "months": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),  # noqa: SIM905
    "countries": {"AT": "in Österreich", "DE": "in Deutschland"},
}


def rows(**columns):
    return pa.table(columns)


def changed(**texts):
    return {**GERMAN, "texts": {**GERMAN["texts"], **texts}}


def test_reasons_are_said_in_english_without_any_setting():
    told = ReasonTexts().write(
        rows(
            reason=["because_bought", "due", "popular_country", "category", "pinned"],
            because_title=["Teapot", None, None, None, None],
            date=pa.array([None, date(2026, 6, 3), None, None, None]),
            country=[None, None, "Portugal", None, None],
            category=[None, None, None, "Tea", None],
        )
    )
    assert told.to_pylist() == [
        "because you bought Teapot",
        "due for a refill on 3 June",
        "popular in Portugal lately",
        "more from Tea",
        "our recommendation",
    ]


@pytest.mark.parametrize("ending", ["toml", "yaml", "yml"])
def test_a_translation_is_a_file(tmp_path, ending):
    path = tmp_path / f"reasons.{ending}"
    if ending == "toml":
        texts = "\n".join(f"{code} = {json.dumps(text)}" for code, text in GERMAN["texts"].items())
        content = f"date = {GERMAN['date']!r}\nmonths = {json.dumps(GERMAN['months'])}\n[texts]\n{texts}\n[countries]\nAT = 'in Österreich'\n"
    else:
        content = yaml.safe_dump(GERMAN, allow_unicode=True)
    path.write_text(content, encoding="utf-8")
    told = ReasonTexts.from_file(path).write(
        rows(
            reason=["because_bought", "due", "popular_country"],
            because_title=["eine Kanne", None, None],
            date=pa.array([None, date(2026, 6, 3), None]),
            country=[None, None, "AT"],
        )
    )
    assert told.to_pylist() == [
        "weil Sie eine Kanne gekauft haben",
        "am 3. Juni aufgebraucht",
        "diese Woche in Österreich beliebt",
    ]


def test_the_words_come_back_from_what_was_written_down():
    texts = ReasonTexts.from_mapping(GERMAN)
    assert ReasonTexts.from_mapping(texts.to_mapping()) == texts
    assert texts.to_mapping() == GERMAN


def test_what_is_not_known_is_not_claimed():
    told = ReasonTexts().write(
        rows(
            reason=["because_bought", "due", "popular_country", "popular_country"],
            country=[None, None, None, "PT"],
        )
    )
    assert told.to_pylist() == [
        "picked for you",
        "due for a refill",
        "popular with our customers",
        "popular with our customers",
    ]


def test_a_title_with_braces_or_line_breaks_is_only_a_title():
    told = ReasonTexts().write(
        rows(reason=["because_bought"] * 3, because_title=["{date} {0}", "two\n\nlines", "  "])
    )
    assert told.to_pylist() == [
        "because you bought {date} {0}",
        "because you bought two lines",
        "picked for you",
    ]


def test_a_reason_that_is_missing_stays_missing():
    assert ReasonTexts().write(rows(reason=pa.array(["new", None]))).to_pylist() == [
        "new in our shop",
        None,
    ]
    assert len(ReasonTexts().write(rows(reason=pa.array([], pa.string())))) == 0


def test_times_are_written_as_their_day():
    when = pa.array([datetime(2026, 6, 3, 23, 59, tzinfo=UTC), None], pa.timestamp("us", "UTC"))
    told = ReasonTexts(date="{day} {month} {year}").write(rows(reason=["due", "due"], date=when))
    assert told.to_pylist() == ["due for a refill on 3 June 2026", "due for a refill"]


def test_dictionaries_and_chunks_are_read_like_plain_columns():
    rng = np.random.default_rng(0)
    codes = list(REASON_CODES)
    plain = rows(
        reason=pa.array([codes[number] for number in rng.integers(0, len(codes), 500)]),
        because_title=pa.array([f"item {number}" for number in rng.integers(0, 40, 500)]),
        category=pa.array([f"group {number}" for number in rng.integers(0, 4, 500)]),
    )
    encoded = pa.concat_tables(
        [
            pa.table({name: part.column(name).dictionary_encode() for name in part.column_names})
            for part in (plain.slice(0, 100), plain.slice(100))
        ]
    )
    texts = ReasonTexts()
    assert texts.write(plain).equals(texts.write(encoded))
    one_by_one = [
        texts.texts[row["reason"]].format(**row)
        if REASON_CODES[row["reason"]].about in ("because_title", "category", None)
        else None
        for row in plain.to_pylist()
    ]
    told = texts.write(plain).to_pylist()
    assert all(mine == other for mine, other in zip(told, one_by_one, strict=True) if other)


def test_each_text_is_kept_once():
    texts = ReasonTexts().encode(
        rows(reason=["because_bought"] * 900, because_title=["a", "b", "a"] * 300)
    )
    assert len(texts) == 900
    assert len(texts.dictionary) <= 3


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (changed(because_bougt="x"), "did you mean 'because_bought'"),
        (changed(because_bought="weil Sie {title} kauften"), "contains '{title}'"),
        (changed(because_bought="weil Sie etwas kauften"), "does not contain '{because_title}'"),
        (changed(because_bought="{because_title.__class__}"), "which is unknown"),
        (changed(because_bought="{because_title!r}"), "{because_title!r}"),
        (changed(because_bought="{because_title:>9}"), "{because_title:>9}"),
        (changed(because_bought="{because_title"), "a brace too many or too few"),
        (changed(new="neu in {category}"), "about nothing"),
        (changed(new="  "), "has no text"),
        ({**GERMAN, "texts": {"new": "neu"}}, "no text for 15 of 16 reasons"),
        ({**GERMAN, "date": "{day} {monat}"}, "'date' contains '{monat}'"),
        ({**GERMAN, "months": ["Januar"]}, "'months' holds 1 names"),
        ({**GERMAN, "months": "Januar"}, "'months' of the texts of reasons is a str"),
        ({**GERMAN, "text": {}}, "did you mean 'texts'"),
        ({"date": "{day}"}, "no key 'texts'"),
    ],
)
def test_a_mistake_in_a_translation_is_told_with_its_fix(content, told):
    with pytest.raises(ConfigurationError) as raised:
        ReasonTexts.from_mapping(content)
    assert told in str(raised.value)
    assert str(raised.value).count("\n") == 2


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("reasons.txt", "x", "neither TOML nor YAML"),
        ("reasons.toml", "texts = ", "cannot be read"),
        ("reasons.yaml", "texts: [", "cannot be read"),
        ("reasons.yaml", "just words", "holds no keys"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path, name, content, told):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=told):
        ReasonTexts.from_file(tmp_path / name)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"'none\.toml' cannot be read"):
        ReasonTexts.from_file(tmp_path / "none.toml")


def test_a_code_without_words_is_refused():
    with pytest.raises(DataContractError, match="2 rows have the reason 'becuase_bought'"):
        ReasonTexts().write(rows(reason=["becuase_bought", "new", "becuase_bought"]))
    with pytest.raises(ConfigurationError, match="no column 'reason'"):
        ReasonTexts().write(rows(code=["new"]))


def test_texts_cannot_be_changed_afterwards():
    given = dict(GERMAN["texts"])
    texts = ReasonTexts(given)
    given["new"] = "anders"
    assert texts.texts["new"] == "neu bei uns"
