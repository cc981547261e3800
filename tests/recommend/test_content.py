"""Pages become items by a declared pattern, alike in every engine and row by row."""

from urllib.parse import urlsplit

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.content import UrlPattern, item_of_url

PATTERNS = (
    "/blog/{item_id}",
    "/items/{item_id}.html",
    "shop.example/p/{item_id}/",
    "*/kept/{item_id}?*",
    "/product?id={item_id}",
    "/product?sku=n-{item_id}&lang=en",
    "/deep/{item_id}/*",
)


def by_hand(pattern: str, url: str) -> str | None:
    """Return the item of an address without any regular expression."""
    path, _, query = pattern.partition("?")
    split = urlsplit(url)
    wanted, rest = _without_host(path, split.netloc, split.path)
    if rest.endswith("/") and not path.endswith(("/", "*")):
        rest = rest[:-1]
    item = _in_path(wanted, rest, loose=path.startswith("*"))
    if "{item_id}" in path or item is None:
        return item or None
    return _in_query(query, split.query)


def _without_host(path: str, host: str, rest: str) -> tuple[str, str]:
    """Return pattern and path from the first slash on; a path that nothing fits on another host."""
    if path.startswith("*"):
        return path[1:], f"//{host}{rest}"
    if path.startswith("/"):
        return path, rest
    wanted_host, slash, tail = path.partition("/")
    if not host:
        host, found, rest = rest.partition("/")
        rest = found + rest
    return slash + tail, rest if host.lower() == wanted_host.lower() else ""


def _in_query(wanted: str, query: str) -> str | None:
    given: dict[str, list[str]] = {}
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if equals:
            given.setdefault(name, []).append(value)
    found = None
    for part in wanted.split("&"):
        name, _, value = part.partition("=")
        before, named, _ = value.partition("{item_id}")
        values = given.get(name, [])
        if not named and value not in values:
            return None
        if named:
            if len(values) != 1 or not values[0].startswith(before):
                return None
            found = values[0][len(before) :]
    return found or None


def _in_path(wanted: str, path: str, *, loose: bool) -> str | None:
    """Return the item in a path, an empty text where the path fits and names none."""
    before, named, after = wanted.partition("{item_id}")
    if not named:
        return "" if path == wanted else None
    if loose:
        at = path.rfind(before)
        if at < 0 or after:
            return None
        item = path[at + len(before) :]
    else:
        if not path.startswith(before):
            return None
        item = path[len(before) :]
        if after == "/*":
            item, slash, _ = item.partition("/")
            return item or None if slash else None
        if not item.endswith(after):
            return None
        item = item[: len(item) - len(after)]
    return item if item and "/" not in item else None


PARTS = ["blog", "items", "p", "kept", "product", "deep", "a1", "b-2", "a1.html", "n-7", "%20", ""]
paths = st.lists(st.sampled_from(PARTS), max_size=4).map(lambda parts: "/" + "/".join(parts))
hosts = st.sampled_from(["", "https://shop.example", "http://SHOP.example", "//other.example:80"])
pairs = st.sampled_from(
    ["id=5", "id=", "id", "sku=n-7", "sku=7", "lang=en", "lang=de", "xid=1", ""]
)
queries = st.lists(pairs, max_size=3).map(lambda some: "?" + "&".join(some) if some else "")
urls = st.tuples(hosts, paths, queries, st.sampled_from(["", "#top", "#a?id=5"])).map("".join)


@settings(max_examples=25, deadline=None)
@given(given_urls=st.lists(urls, min_size=20, max_size=60))
def test_an_engine_finds_the_items_that_are_found_by_hand(given_urls):
    table = ibis.memtable(pa.table({"url": given_urls}))
    parsed = {text: UrlPattern.parse(text) for text in PATTERNS}
    columns = {f"c{n}": one.to_ibis(table["url"]) for n, one in enumerate(parsed.values())}
    found = table.select("url", **columns).to_pyarrow().to_pylist()
    for row in found:
        for place, (text, pattern) in enumerate(parsed.items()):
            expected = by_hand(text, row["url"])
            assert row[f"c{place}"] == expected, (text, row["url"])
            assert pattern.item_of(row["url"]) == expected, (text, row["url"])


@pytest.mark.parametrize(
    ("pattern", "url", "item"),
    [
        ("/blog/{item_id}", "/blog/teapots", "teapots"),
        ("/blog/{item_id}", "https://shop.example/blog/teapots/?from=mail#top", "teapots"),
        ("/blog/{item_id}", "/en/blog/teapots", None),
        ("*/blog/{item_id}", "/en/blog/teapots", "teapots"),
        ("*/p/{item_id}?*", "https://shop.example/en/p/7?colour=red", "7"),
        ("*/p/{item_id}?*", "/p/7", "7"),
        ("https://Shop.example/p/{item_id}", "http://shop.EXAMPLE/p/7", "7"),
        ("shop.example/p/{item_id}", "https://other.example/p/7", None),
        ("shop.example/p/{item_id}", "/p/7", None),
        ("/p/{item_id}/", "/p/7", None),
        ("/p/{item_id}/", "/p/7/", "7"),
        ("/p.x/{item_id}", "/pqx/7", None),
        ("/product?id={item_id}", "/product/?a=1&id=7&b=2", "7"),
        ("/product?id={item_id}", "/product?id=7&id=8", None),
        ("/product?id={item_id}", "/product#?id=7", None),
        ("/product?id={item_id}&lang=*", "/product?id=7", None),
        ("/product?id={item_id}&lang=*", "/product?lang=&id=7", "7"),
        ("/blog/{item_id}", "/Blog/teapots", None),
        ("/blog/{item_id}", "/blog/", None),
    ],
)
def test_an_address_names_an_item_or_none(pattern, url, item):
    assert UrlPattern.parse(pattern).item_of(url) == item


def test_the_first_pattern_that_fits_decides():
    table = ibis.memtable(pa.table({"url": ["/a/1", "/b/2", "/c/3", None]}))
    patterns = [UrlPattern.parse(f"/{name}/{{item_id}}") for name in "ab"]
    found = table.select(item=item_of_url(table["url"], patterns)).to_pyarrow()
    assert found.column("item").to_pylist() == ["1", "2", None, None]


@pytest.mark.parametrize("dialect", ["postgres", "pyspark"])
def test_a_pattern_is_plain_sql_elsewhere(dialect):
    table = ibis.table({"url": "string"}, name="events")
    query = table.select(item=UrlPattern.parse("/p?id={item_id}").to_ibis(table["url"]))
    assert "id=([^&#]+)" in ibis.to_sql(query, dialect=dialect)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("", "is empty"),
        ("/blog", "names no item"),
        ("/{item_id}/{item_id}", "names the item twice"),
        ("/blog/{item_id}*", "in the same part"),
        ("/blog/*-{item_id}", "in the same part"),
        ("*/blog/{item_id}/*", "before and behind"),
        ("{item_id}/blog", "begins with the item"),
        ("/blog/{itemid}", "did you mean 'item_id'"),
        ("/blog/{item_id", "not closed"),
        ("/blog/{item_id} ", "has the sign ' '"),
        ("/blog/[a-z]/{item_id}", "has the sign '\\['"),
        ("/blog#{item_id}", "has a '#'"),
        ("/blog?{item_id}", "has the parameter"),
        ("/blog?id=*{item_id}", "has a \\* inside the value"),
        ("?id={item_id}", "has no path"),
    ],
)
def test_a_pattern_that_leaves_something_open_is_refused(pattern, what):
    with pytest.raises(ConfigurationError, match=what):
        UrlPattern.parse(pattern)
