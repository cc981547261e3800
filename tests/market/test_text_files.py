import gzip

import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.market import ContractViolationError, Market
from mlmarket.market.text_files import read_header

HEADER = "contact_id,order_id,ordered_at,amount,note\n"
LINE = "{0},{0},2026-05-01 10:00,1.50,n\n"


def _refused(open_orders, content, declared='timezone = "UTC"'):
    with pytest.raises(ContractViolationError) as caught:
        open_orders(content, declared)
    return str(caught.value)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found_in_the_header(open_orders, separator):
    content = HEADER.replace(",", separator) + LINE.format("a").replace(",", separator)
    orders = open_orders(content).table("orders").to_pyarrow().to_pylist()
    assert [row["contact_id"] for row in orders] == ["a"]


def test_a_separator_inside_quotes_of_the_header_is_not_taken_for_one(open_orders):
    content = 'contact_id;order_id;ordered_at;"a,b,c,d,e"\nx;1;2026-05-01;z\n'
    row = open_orders(content).table("orders").to_pyarrow().to_pylist()[0]
    assert row["a,b,c,d,e"] == "z"


def test_a_declared_separator_is_used_even_where_another_is_more_frequent(open_orders):
    content = "contact_id#order_id#ordered_at#a,b,c,d\nx#1#2026-05-01#z\n"
    market = open_orders(content, 'timezone = "UTC"\nseparator = "#"')
    assert market.table("orders").to_pyarrow()["order_id"].to_pylist() == ["1"]


def test_a_separator_of_two_characters_is_refused(open_orders):
    with pytest.raises(ConfigurationError) as caught:
        open_orders(HEADER, 'separator = "::"')
    assert str(caught.value) == (
        "'tables.orders.separator' in mlmarket.toml: "
        "String should have at most 1 character.\n"
        "It was '::'.\n"
        "Fix: correct the value; docs/cli.md lists what each key takes."
    )


def test_a_broken_line_is_refused_with_its_number_and_text(open_orders):
    content = HEADER + LINE.format("a") + "b,b,2026-05-01,1,5,n\n" + LINE.format("c")
    assert _refused(open_orders, content) == (
        "Table 'orders' cannot be read: orders.csv has 1 broken line; the first is line 3: "
        "'b,b,2026-05-01,1,5,n'.\n"
        "A line with another number of values shifts them into the wrong columns.\n"
        "Fix: mend those lines (often a quote or a separator inside a text), or name the right "
        "`separator` in [tables.orders]."
    )


def test_all_broken_lines_are_counted_the_short_ones_too(open_orders):
    content = HEADER + "a\n" + LINE.format("b") + "c,c,c,c,c,c,c\n"
    assert "has 2 broken lines; the first is line 2: 'a'." in _refused(open_orders, content)


def test_the_broken_line_is_looked_for_in_the_right_one_of_several_files(shop, now):
    path = shop(
        '[tables.orders]\nsource = "orders-*.csv"\ntimezone = "UTC"',
        {
            "orders-1.csv": HEADER + LINE.format("a"),
            "orders-2.csv": HEADER + LINE.format("b") + "c\n",
        },
    )
    with pytest.raises(ContractViolationError, match=r"orders-2\.csv has 1 broken line; .* line 3"):
        Market.open(path, now=now)


def test_a_quote_that_is_never_closed_is_refused(open_orders):
    content = HEADER + 'a,a,2026-05-01,1,"n\n' + LINE.format("b")
    assert _refused(open_orders, content).startswith(
        "Table 'orders' cannot be read: orders.csv has"
    )


def test_quotes_may_hold_separators_quotes_and_ends_of_lines(open_orders):
    content = HEADER + 'a,a,2026-05-01,1,"x, ""y""\nz"\n'
    row = open_orders(content).table("orders").to_pyarrow().to_pylist()[0]
    assert row["note"] == 'x, "y"\nz'


def test_lines_may_end_as_on_windows_and_begin_with_a_byte_order_mark(open_orders):
    content = b"\xef\xbb\xbf" + (HEADER + LINE.format("a")).replace("\n", "\r\n").encode()
    orders = open_orders(content).table("orders").to_pyarrow()
    assert orders.column_names[:2] == ["contact_id", "order_id"]
    assert orders["note"].to_pylist() == ["n"]


def test_windows_1252_text_is_refused_with_the_line_that_mends_it(open_orders):
    content = (HEADER + LINE.format("Café")).encode("cp1252")
    assert _refused(open_orders, content) == (
        "Table 'orders' cannot be read: orders.csv is not utf-8 text (byte 0xe9).\n"
        "Names and categories would be garbled, and their groups split.\n"
        'Fix: add encoding = "windows-1252" to [tables.orders], or save the file as UTF-8.'
    )


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16", "UTF-8"])
def test_text_is_read_in_its_declared_encoding(open_orders, encoding):
    content = (HEADER + LINE.format("Café")).encode(encoding)
    market = open_orders(content, f'timezone = "UTC"\nencoding = "{encoding}"')
    assert market.table("orders").to_pyarrow()["contact_id"].to_pylist() == ["Café"]


def test_two_files_of_one_name_in_another_encoding_are_both_read(shop, now):
    path = shop(
        '[tables.orders]\nsource = "*/o.csv"\ntimezone = "UTC"\nencoding = "windows-1252"',
        {
            "a/o.csv": (HEADER + LINE.format("é")).encode("cp1252"),
            "b/o.csv": (HEADER + LINE.format("ü")).encode("cp1252"),
        },
    )
    orders = Market.open(path, now=now).table("orders").to_pyarrow()
    assert sorted(orders["contact_id"].to_pylist()) == ["é", "ü"]


def test_utf_16_text_is_recognised(open_orders):
    assert _refused(open_orders, HEADER.encode("utf-16")) == (
        "Table 'orders' cannot be read: orders.csv is UTF-16 text.\n"
        "Names and categories would be garbled, and their groups split.\n"
        'Fix: add encoding = "utf-16" to [tables.orders].'
    )


def test_a_workbook_is_recognised(open_orders):
    assert _refused(open_orders, b"PK\x03\x04\x14\xff\xfe\xff") == (
        "Table 'orders' cannot be read: orders.csv is a workbook or an archive, not text.\n"
        "Names and categories would be garbled, and their groups split.\n"
        "Fix: save it as CSV in UTF-8."
    )


def test_an_encoding_that_does_not_exist_is_refused(open_orders):
    with pytest.raises(ConfigurationError) as caught:
        open_orders(HEADER, 'encoding = "windows-12521"')
    assert str(caught.value) == (
        "[tables.orders] names the encoding 'windows-12521', which does not exist.\n"
        "Letters outside ASCII would be read wrongly.\n"
        "Fix: use 'utf-8' or 'windows-1252'."
    )


@pytest.mark.parametrize("again", ["note", "Note", " note "])
def test_a_header_with_a_name_twice_is_refused(open_orders, again):
    content = f"contact_id,order_id,ordered_at,note,{again}\n"
    assert _refused(open_orders, content) == (
        "Table 'orders' cannot be read: the header of orders.csv names 'note' twice "
        "(upper and lower case count as one).\n"
        "It would be chance which of the two is read.\n"
        "Fix: rename one of them in the file."
    )


@pytest.mark.parametrize("content", ["", "\n", "  \n\n"])
def test_an_empty_file_is_refused(open_orders, content):
    assert _refused(open_orders, content) == (
        "Table 'orders' cannot be read: orders.csv is empty.\n"
        "An empty export is nearly always an export that failed.\n"
        "Fix: write the file again, or take [tables.orders] out."
    )


def test_files_with_different_headers_are_refused(shop, now):
    path = shop(
        '[tables.orders]\nsource = "o*.csv"',
        {"o1.csv": HEADER, "o2.csv": "contact_id,order_id,ordered_at,note,amount\n"},
    )
    with pytest.raises(ContractViolationError) as caught:
        Market.open(path, now=now)
    assert str(caught.value) == (
        "Table 'orders' cannot be read: o2.csv has other columns than o1.csv.\n"
        "Files of one table are read as one, column by column.\n"
        "Fix: export both with the header contact_id, order_id, ordered_at, amount, note."
    )


def _many_lines():
    return HEADER + "".join(LINE.format(place) for place in range(20_000))


def test_an_archive_is_read(shop, now):
    path = shop(
        '[tables.orders]\nsource = "o.csv.gz"\ntimezone = "UTC"',
        {"o.csv.gz": gzip.compress(_many_lines().encode())},
    )
    assert Market.open(path, now=now).report.counts[0].kept == 20_000


def test_an_archive_in_another_encoding_is_read(shop, now):
    path = shop(
        '[tables.orders]\nsource = "o.csv.gz"\ntimezone = "UTC"\nencoding = "windows-1252"',
        {"o.csv.gz": gzip.compress((HEADER + LINE.format("é")).encode("cp1252"))},
    )
    orders = Market.open(path, now=now).table("orders").to_pyarrow()
    assert orders["contact_id"].to_pylist() == ["é"]


def test_an_archive_cut_off_in_the_middle_is_refused(shop, now):
    path = shop(
        '[tables.orders]\nsource = "o.csv.gz"\ntimezone = "UTC"',
        {"o.csv.gz": gzip.compress(_many_lines().encode())[:-2_000]},
    )
    with pytest.raises(ContractViolationError) as caught:
        Market.open(path, now=now)
    assert str(caught.value) == (
        "Table 'orders' cannot be read: o.csv.gz does not go to its end (Compressed file ended "
        "before the end-of-stream marker was reached).\n"
        "A file that was cut off in transfer would lose rows in silence.\n"
        "Fix: fetch the file again."
    )


def test_a_file_that_is_no_archive_is_refused(shop, now):
    path = shop('[tables.orders]\nsource = "o.csv.gz"', {"o.csv.gz": HEADER})
    with pytest.raises(ContractViolationError, match="does not go to its end"):
        Market.open(path, now=now)


def test_columns_without_a_name_are_named_by_their_place(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text(',b, "c\nd"\n', encoding="utf-8")
    assert read_header(path, "orders")[0][:2] == ["column_1", "b"]


def test_a_name_in_quotes_may_go_over_a_line(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text('a,"b\nc",d\n1,2,3\n', encoding="utf-8")
    assert read_header(path, "orders") == (["a", "b\nc", "d"], ",")
