from html.parser import HTMLParser

import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.gallery_page import gallery
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts

NASTY = "<script>alert('x')</script>\u202e"
INTERACTIONS = Interactions.from_frame(
    pd.DataFrame(
        {
            "contact_id": ["a", "a", "a", "b", "c", "c"],
            "item_id": ["i1", "i2", "i1", "i2", "i3", "i1"],
            "order": [1, 2, 3, 1, 1, 2],
        }
    )
)
FACTS = ItemFacts.from_frame(
    pa.table(
        {
            "item_id": ["i1", "i2", "i3"],
            "title": ["Teapot", NASTY, None],
            "image_url": ["https://shop.example/1.png?a=1&b=2", "javascript:alert(1)", None],
            "price": [1234.5, None, 2.0],
        }
    ),
    INTERACTIONS.items,
)
LONG = pd.DataFrame(
    {
        "contact_id": ["a", "a", "b", "c", "z"],
        "item_id": ["i3", "i2", "i1", "i2", "i1"],
        "rank": [2, 1, 1, 1, 1],
        "reason": ["new", f"because you bought {NASTY}", None, "popular", "popular"],
        "source": ["ease", "markov", "popularity", "popularity", "popularity"],
    }
)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def read(html):
    tags = Tags()
    tags.feed(html)
    return tags


def test_history_items_and_reasons_stand_beside_each_other():
    cards = gallery(LONG, INTERACTIONS, FACTS, contacts=pa.array(["a"])).cards
    assert [one.item_id for one in cards[0].items] == ["i2", "i3"]
    assert [one.item_id for one in cards[0].history] == ["i1", "i2"]
    assert cards[0].interactions == 3
    assert cards[0].items[1].title == "i3"
    assert cards[0].items[1].reason == "new"


def test_nothing_from_outside_is_obeyed():
    tags = read(gallery(LONG, INTERACTIONS, FACTS, title=NASTY).to_html())
    assert "script" not in {tag for tag, _ in tags.found}
    assert "<script>" in tags.text
    assert "\u202e" not in tags.text
    sources = {attributes["src"] for tag, attributes in tags.found if tag == "img"}
    assert sources == {"https://shop.example/1.png?a=1&b=2"}


def test_pictures_can_be_left_out():
    html = gallery(LONG, INTERACTIONS, FACTS, images=False)._repr_html_()
    assert "<img" not in html
    assert "1,234.50" in html


def test_people_are_shown_from_the_shortest_to_the_longest_history():
    cards = gallery(LONG, INTERACTIONS, FACTS, contacts=2).cards
    assert [card.contact_id for card in cards] == ["z", "a"]
    everybody = gallery(LONG, INTERACTIONS, FACTS, contacts=50).cards
    assert [card.contact_id for card in everybody] == ["z", "b", "c", "a"]
    assert everybody[0].history == ()


def test_the_order_of_rows_changes_nothing():
    shuffled = LONG.sample(frac=1, random_state=3)
    one = gallery(LONG, INTERACTIONS, FACTS)
    assert gallery(shuffled, INTERACTIONS, FACTS).to_html() == one.to_html()


def test_every_row_has_as_many_cells_as_the_widest():
    tags = read(gallery(LONG, INTERACTIONS, FACTS)._repr_html_())
    assert sum(tag == "td" for tag, _ in tags.found) == 4 * 3


def test_a_frame_holds_what_the_table_shows():
    frame = gallery(LONG, INTERACTIONS, FACTS, contacts=pa.array(["c", "a"])).to_frame()
    assert frame["contact_id"].to_list() == ["c", "a", "a"]
    assert frame["rank"].to_list() == [1, 1, 2]
    assert frame["history"].to_list()[0] == "Teapot; i3"


def test_an_item_without_facts_is_shown_by_its_id():
    strange = LONG.assign(item_id="i9")
    assert gallery(strange, INTERACTIONS, FACTS).cards[0].items[0].title == "i9"


@pytest.mark.parametrize("contacts", [[2, 10], pd.Series([2, 10]), pa.array(["2", "10"])])
def test_people_are_named_in_any_list_also_by_number(contacts):
    long = LONG.iloc[:2].assign(contact_id=[10, 2])
    shown = gallery(long, INTERACTIONS, FACTS, contacts=contacts)
    assert [card.contact_id for card in shown.cards] == ["2", "10"]


def test_a_name_in_place_of_a_list_is_refused():
    with pytest.raises(ConfigurationError, match="letter by letter"):
        gallery(LONG, INTERACTIONS, FACTS, contacts="ab")


def test_people_without_recommendations_are_refused():
    with pytest.raises(
        ConfigurationError, match="1 of 2 contacts have no recommendation, such as 'q'"
    ):
        gallery(LONG, INTERACTIONS, FACTS, contacts=pa.array(["a", "q"]))
    with pytest.raises(ConfigurationError, match="no recommendations"):
        gallery(LONG.iloc[:0].astype({"contact_id": "str", "item_id": "str"}), INTERACTIONS, FACTS)
