"""A declared feature is the one that was meant, or is refused with the near name."""

import tomllib

import pyarrow as pa
import pytest
from pydantic import Field

from mlmarket.errors import ConfigurationError
from mlmarket.features import (
    Feature,
    FeatureSettings,
    attribute,
    check_features,
    count,
    declared_features,
    gap_mean,
    ratio,
    recency,
    share_by,
    trend,
)
from mlmarket.market.settings import Settings, validate_settings

SHOES = '[features.shoes]\noperation = "share_by"\nof = "order"\nby = "item_category"\n'
PAGES = '[features.pages]\noperation = "count"\nof = "event \\"Page View\\" where value > 3"\n'
LAST = '[features.last_order]\noperation = "recency"\nof = "order"\n'


class _File(Settings):
    features: dict[str, FeatureSettings] = Field(default_factory=dict)


def read(text: str) -> dict[str, tuple[Feature, ...]]:
    content = validate_settings(_File, tomllib.loads(text), file="mlmarket.toml")
    return declared_features(content.features)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (PAGES + 'window = "14D"\n', [count('event "Page View" where value > 3', "14D")]),
        (PAGES + 'window = "all"\n', [count('event "Page View" where value > 3')]),
        (LAST, [recency("order")]),
        (
            SHOES + 'values = ["Shoes", "Hats"]\nwindow = "365D"\n',
            share_by("order", "item_category", ["Shoes", "Hats"], "365D", name="shoes"),
        ),
        (SHOES + 'values = ["Shoes"]\n', share_by("order", "item_category", ["Shoes"])),
        (
            '[features.x]\noperation = "trend"\nof = "open | click"\nwindow = "30D"\n',
            [trend("open | click", "30D")],
        ),
        (
            '[features.plan]\noperation = "attribute"\ncolumn = "plan"\ncategorical = true\n',
            [attribute("plan", categorical=True)],
        ),
    ],
)
def test_a_table_is_a_call_of_the_algebra(text: str, meant: list[Feature]) -> None:
    ((name, found),) = read(text).items()
    assert [one.to_dict() | {"name": ""} for one in found] == [
        one.to_dict() | {"name": ""} for one in meant
    ]
    prefix = [f"{name}_shoes", f"{name}_hats"] if len(meant) > 1 else [name]
    assert [one.name for one in found] == prefix


def test_a_ratio_is_made_of_names_and_of_tables_in_any_order() -> None:
    text = (
        '[features.late]\noperation = "ratio"\nabove = "last_order"\n'
        'below = {operation = "gap_mean", of = "order"}\n'
    )
    found = read(text + LAST)
    (late,) = found["late"]
    assert late == ratio(recency("order", name="last_order"), gap_mean("order"), name="late")


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        (LAST.replace("recency", "recencey"), "unknown operation 'recencey'", "'recency'?"),
        (LAST + 'widnow = "3D"\n', "no key 'widnow'", "'window'?"),
        (LAST + 'window = "3D"\n', "does not take", "`recency` takes `of`."),
        (PAGES + 'by = "type"\n', "has `by`, which the operation 'count'", "`of`, `window`"),
        (LAST.replace('of = "order"\n', ""), "[features.last_order] has no `of`", "takes `of`"),
        (LAST.replace("last_order", "'last order'"), "cannot be called 'last order'", "letters"),
        (LAST.replace('"order"', '"no order"'), "[features.last_order]: A feature", "leave out"),
        (PAGES + 'window = "12H"\n', "[features.pages]: The window '12H'", "in days"),
        (SHOES + "values = []\n", "name no value", "list them"),
        (SHOES + 'values = "Shoes"\n', "'features.shoes.values'", "correct the value"),
        ('[features.shop]\noperation = "count"\nof = "order"\n', "called 'shop'", "another name"),
        ('[features.label]\noperation = "count"\nof = "order"\n', "called 'label'", "another"),
        (
            LAST + '[features.r]\noperation = "ratio"\nabove = "lastorder"\nbelow = "last_order"\n',
            "no [features.lastorder]",
            "'last_order'?",
        ),
        (
            '[features.r]\noperation = "ratio"\nabove = {operation = "count", off = "order"}\n'
            'below = "r"\n',
            "[features.r.above] of mlmarket.toml has no key 'off'",
            "'of'?",
        ),
        (
            '[features.r]\noperation = "ratio"\nabove = {operation = "cuont", of = "order"}\n'
            'below = "r"\n',
            "[features.r.above] has the unknown operation",
            "'count'?",
        ),
        (
            '[features.r]\noperation = "ratio"\nabove = "s"\nbelow = "s"\n'
            '[features.s]\noperation = "ratio"\nabove = "r"\nbelow = "r"\n',
            "r → s → r",
            "take one of these out",
        ),
        (
            SHOES + 'values = ["a", "b"]\n'
            '[features.r]\noperation = "ratio"\nabove = "shoes"\nbelow = "shoes"\n',
            "which is 2 features",
            "one value",
        ),
        (
            LAST + LAST.replace("last_order", "Last_Order"),
            "both give a column 'Last_Order'",
            "another name",
        ),
        ('[features.r]\noperation = "ratio"\nabove = 3\nbelow = 4\n', "'features.r.above'", "val"),
    ],
)
def test_a_wrong_declaration_is_refused_in_three_lines(text: str, what: str, fix: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    told = str(caught.value).splitlines()
    assert len(told) == 3
    assert what in told[0]
    assert fix in told[2]


@pytest.fixture
def market(make_market):
    order = {"contact_id": "a", "order_id": "1", "item_id": "i"}
    event = {"contact_id": "a", "event_type": "Page View"}
    return make_market(
        contacts=[{"contact_id": "a"}],
        orders=[order],
        events=[event],
        items=pa.table({"item_id": ["i"], "category": ["Shoes"]}),
    )


@pytest.mark.parametrize(
    ("feature", "what", "fix"),
    [
        (count("order where vlaue > 3"), "no column 'vlaue'", "value"),
        (share_by("order", "item_categry", ["x"])[0], "no column 'item_categry'", "item_category"),
        (attribute("contry"), "no attribute 'contry'", "country"),
        (count("outcome won"), "no table 'outcomes'", "[tables.outcomes]"),
        (ratio(count("order"), count("open")), "no table 'messages'", "[tables.messages]"),
    ],
)
def test_a_feature_that_the_tables_cannot_answer_is_named(market, as_of, feature, what, fix):
    with pytest.raises(ConfigurationError) as caught:
        check_features(market, [feature], as_of=as_of)
    assert f"Feature '{feature.name}'" in caught.value.what
    assert what in caught.value.what
    assert fix in caught.value.fix


def test_a_type_that_never_occurs_is_a_note(market, as_of):
    features = [count("event page_view"), count('event "Page View"'), count("order")]
    (note,) = check_features(market, features, as_of=as_of)
    assert note.text == (
        "feature 'page_view_count' is made of 'page_view', which never occurs in events; there is "
        "'Page View'."
    )
