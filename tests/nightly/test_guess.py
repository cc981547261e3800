"""The mapping of a common export is guessed, and what cannot be guessed is left to a person."""

import gzip
from pathlib import Path

import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.market import Market
from mlmarket.nightly import guess_columns, load_settings, write_starter
from mlmarket.nightly.playbook import load_night_playbook

RETAIL = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HOLDER,6,12/1/2010 8:26,2.55,17850.0,United Kingdom
536365,71053,WHITE LANTERN,6,12/1/2010 8:26,3.39,17850.0,United Kingdom
C536379,D,Discount,-1,12/14/2010 9:41,27.50,14527.0,United Kingdom
536414,22139,,56,12/1/2010 11:52,0.0,,United Kingdom
"""
SHOPIFY = """\
Name,Email,Financial Status,Paid at,Currency,Subtotal,Total,Created at,Lineitem quantity,\
Lineitem name,Lineitem price,Lineitem sku,Billing Name,Id
#1001,ada@example.org,paid,2026-01-05 10:00:00 -0500,USD,30.00,35.00,2026-01-05 10:00:00 -0500,2,\
Cup,10.00,CUP,Ada,5001
#1001,ada@example.org,,,,,,2026-01-05 10:00:00 -0500,1,Plate,10.00,PLA,,
#1002,bo@example.org,paid,2026-02-05 10:00:00 -0500,USD,10.00,15.00,2026-02-05 10:00:00 -0500,1,\
Cup,10.00,CUP,Bo,5002
"""
WOO = """\
Order Number;Order Status;Order Date;Email (Billing);Order Total Amount;SKU;Item #;Item Name;\
Quantity (- Refund);Item Cost
1001;Completed;2026-01-05 10:00;ada@example.org;35.00;CUP;1;Tasse für Zoë;2;10.00
1002;Completed;2026-02-05 10:00;bo@example.org;15.00;CUP;1;Tasse;1;10.00
"""


def start(folder: Path, text: str, *, encoding: str = "utf-8", name: str = "orders.csv") -> Market:
    """Write an export, begin from it, and return the market that the beginning opens."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(text.encode(encoding))
    write_starter(folder, folder / name)
    settings = load_settings(folder / "mlmarket.toml")
    assert load_night_playbook(folder / "mlmarket.toml", settings).journeys
    return Market.open(folder / "mlmarket.toml")


def test_an_invoice_list_opens_with_returns_guests_and_american_dates(tmp_path: Path) -> None:
    market = start(tmp_path, RETAIL)
    orders = market.table("orders").to_pyarrow().to_pylist()
    assert {row["contact_id"] for row in orders} == {"17850", "14527"}
    assert sorted(float(row["amount"]) for row in orders) == [-27.5, 15.3, 20.34]
    assert [str(row["ordered_at"])[:10] for row in orders if row["order_id"] == "C536379"] == [
        "2010-12-14"
    ]
    assert market.report.counts[0].left_out == 1
    text = (tmp_path / "mlmarket.toml").read_text(encoding="utf-8")
    assert 'returns = "Quantity < 0"' in text
    assert 'where = "CustomerID is not null"' in text
    assert 'time_format = "%m/%d/%Y %H:%M"' in text
    assert "# not used: Description, Country" in text


def test_an_export_with_a_line_for_each_item_takes_the_price_of_the_item(tmp_path: Path) -> None:
    orders = start(tmp_path, SHOPIFY).table("orders").to_pyarrow().to_pylist()
    assert sorted((row["order_id"], float(row["amount"])) for row in orders) == [
        ("#1001", 10.0),
        ("#1001", 20.0),
        ("#1002", 10.0),
    ]
    assert {row["contact_id"] for row in orders} == {"ada@example.org", "bo@example.org"}
    assert str(orders[0]["ordered_at"]) == "2026-01-05 15:00:00"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1252"])
def test_semicolons_accents_and_names_with_signs_are_no_obstacle(
    tmp_path: Path, encoding: str
) -> None:
    orders = start(tmp_path, WOO, encoding=encoding).table("orders").to_pyarrow().to_pylist()
    assert sorted((row["order_id"], float(row["amount"])) for row in orders) == [
        ("1001", 20.0),
        ("1002", 10.0),
    ]


def test_a_packed_export_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "orders.csv.gz").write_bytes(gzip.compress(RETAIL.encode()))
    write_starter(tmp_path, tmp_path / "orders.csv.gz")
    assert Market.open(tmp_path / "mlmarket.toml").table("orders").count().execute() == 3


def test_days_and_months_that_could_be_either_are_pointed_out(tmp_path: Path) -> None:
    text = "order_id,customer,date\n1,a,03/04/2026\n2,b,05/06/2026\n"
    start(tmp_path, text)
    written = (tmp_path / "mlmarket.toml").read_text(encoding="utf-8")
    assert 'time_format = "%m/%d/%Y"     # %d/%m/%Y would fit as well' in written


def test_what_is_needed_and_not_found_is_left_to_a_person() -> None:
    guess = guess_columns(["a", "b", "total"])
    assert guess.missing == ("contact_id", "order_id", "ordered_at")
    assert guess.columns == {"amount": "total"}
    assert guess.unused == ("a", "b")


@pytest.mark.parametrize("name", ["Order Date", "order", "select", 'say "when"', "Größe", "1st"])
def test_a_column_of_any_name_can_be_read_back(tmp_path: Path, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    text = f"{quoted},customer_id,order_date\n7,a,2026-01-01\n"
    if name in {"Order Date", "order"}:
        guess = guess_columns([name, "customer_id", "id"])
        assert name in " ".join(guess.columns.values())
    else:
        guess = guess_columns([name, "customer_id"])
        assert guess.unused == (name,)
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    write_starter(tmp_path, tmp_path / "x.csv")
    load_settings(tmp_path / "mlmarket.toml")


def test_a_source_elsewhere_is_found_from_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "orders.csv").write_text(RETAIL, encoding="utf-8")
    write_starter(tmp_path / "shop", tmp_path / "exports" / "orders.csv")
    assert Market.open(tmp_path / "shop" / "mlmarket.toml").has("orders")


def test_a_configuration_that_is_there_is_never_touched(tmp_path: Path) -> None:
    write_starter(tmp_path, None)
    (tmp_path / "segments.yaml").unlink()
    with pytest.raises(ConfigurationError, match="There is an mlmarket"):
        write_starter(tmp_path, None)
    assert not (tmp_path / "segments.yaml").exists()


def test_segments_that_are_there_stay(tmp_path: Path) -> None:
    (tmp_path / "segments.yaml").write_text("segments: {}\n", encoding="utf-8")
    written = write_starter(tmp_path, None)
    assert tmp_path / "segments.yaml" not in written
    assert (tmp_path / "segments.yaml").read_text(encoding="utf-8") == "segments: {}\n"


def test_an_export_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no file"):
        write_starter(tmp_path, tmp_path / "nothing.csv")
    assert list(tmp_path.iterdir()) == []
