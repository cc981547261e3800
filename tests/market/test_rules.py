from datetime import datetime, timedelta

import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.market import ContractViolationError, Market

MOMENT = datetime(2026, 5, 1)  # noqa: DTZ001
HEADER = "contact_id,order_id,ordered_at,quantity,amount\n"


def _refused(open_orders, lines, declared='timezone = "UTC"', header=HEADER):
    with pytest.raises(ContractViolationError) as caught:
        open_orders(header + lines, declared)
    return str(caught.value)


def test_a_missing_value_of_a_needed_column_is_refused_with_the_row(open_orders):
    lines = "a,1,2026-05-01,1,1\n,2,2026-05-01,1,1\n  ,3,2026-05-01,1,1\n"
    assert _refused(open_orders, lines) == (
        "orders.contact_id is missing in 2 rows, for example order_id '2'.\n"
        "It is the buyer, which a row of 'orders' cannot do without.\n"
        "Fix: fill it, or leave such rows out: where = 'contact_id is not null' "
        "in [tables.orders]."
    )


def test_the_remedy_for_missing_values_names_the_source_s_own_column(open_orders):
    message = _refused(
        open_orders,
        "2026-05-01,1,\n",
        'timezone = "UTC"\n[tables.orders.columns]\ncontact_id = "Customer ID"',
        header="ordered_at,order_id,Customer ID\n",
    )
    assert "where = '\"Customer ID\" is not null' in [tables.orders]." in message


@pytest.mark.parametrize("zone_where", ["csv", "parquet", "date", "format"])
def test_times_without_a_zone_are_refused_where_none_is_declared(shop, tmp_path, now, zone_where):
    path = shop('[tables.orders]\nsource = "o.csv"', {"o.csv": HEADER + "a,1,2026-05-01,1,1\n"})
    if zone_where != "csv":
        moment = MOMENT.date() if zone_where == "date" else MOMENT
        text = moment.strftime("%d/%m/%Y") if zone_where == "format" else moment
        frame = pa.table({"contact_id": ["a"], "order_id": ["1"], "ordered_at": [text]})
        pa.parquet.write_table(frame, tmp_path / "o.parquet")
        declared = 'time_format = "%d/%m/%Y"' if zone_where == "format" else ""
        path = shop(f'[tables.orders]\nsource = "o.parquet"\n{declared}')
    with pytest.raises(ContractViolationError) as caught:
        Market.open(path, now=now)
    example = {"csv": "2026-05-01", "parquet": "2026-05-01 00:00:00", "date": "2026-05-01"}
    shown = example.get(zone_where, "01/05/2026")
    assert str(caught.value) == (
        f"orders.ordered_at carries no time zone in 1 row, for example '{shown}' (order_id '1').\n"
        "Read in the wrong zone, every hour and many days would be off.\n"
        'Fix: declare it: timezone = "Europe/Lisbon" (or "UTC") in [tables.orders].'
    )


def test_text_that_carries_its_zone_needs_no_declared_one(open_orders):
    market = open_orders(HEADER + "a,1,2026-05-01 10:00+02:00,1,1\n", "")
    assert market.complete_until("orders").isoformat() == "2026-05-01T08:00:00+00:00"


def test_frames_are_read_in_the_zone_given_or_else_in_utc():
    frame = pd.DataFrame({"contact_id": ["a"], "order_id": ["1"], "ordered_at": [MOMENT]})
    in_utc = Market.from_tables(orders=frame)
    in_lisbon = Market.from_tables(orders=frame, timezone="Europe/Lisbon")
    assert in_utc.complete_until("orders").isoformat() == "2026-05-01T00:00:00+00:00"
    assert in_lisbon.complete_until("orders").isoformat() == "2026-04-30T23:00:00+00:00"


@pytest.mark.parametrize(
    ("value", "zone", "refused"),
    [
        ("2026-07-02 00:00:00", "UTC", False),
        ("2026-07-02 00:00:01", "UTC", True),
        ("2026-07-02 01:00:00", "Europe/Lisbon", False),
        ("2026-07-02 01:00:01", "Europe/Lisbon", True),
    ],
)
@pytest.mark.parametrize("typed", [False, True])
def test_times_more_than_a_day_ahead_are_refused(now, value, zone, refused, typed):
    moment = datetime.fromisoformat(value) if typed else value
    frame = pa.table({"contact_id": ["a"], "order_id": ["1"], "ordered_at": [moment]})
    if not refused:
        Market.from_tables(orders=frame, timezone=zone, now=now)
        return
    with pytest.raises(ContractViolationError) as caught:
        Market.from_tables(orders=frame, timezone=zone, now=now)
    assert str(caught.value) == (
        f"orders.ordered_at lies in the future in 1 row, for example '{value}' (order_id '1').\n"
        "What has not happened yet cannot be learned from, and usually means a wrong zone or a "
        "mixed-up date.\n"
        "Fix: correct it, or leave such rows out with `where` in [tables.orders]."
    )


def test_items_may_be_announced_ahead(now):
    items = pa.table({"item_id": ["1"], "published_at": [MOMENT + timedelta(days=900)]})
    orders = pa.table({"contact_id": ["a"], "order_id": ["1"], "ordered_at": [MOMENT]})
    assert Market.from_tables(items=items, orders=orders, now=now).has("items")


def test_times_of_the_year_1900_are_refused(open_orders):
    assert _refused(open_orders, "a,1,1900-01-01 00:00,1,1\na,2,2026-05-01,1,1\n") == (
        "orders.ordered_at lies before 1980 in 1 row, for example '1900-01-01 00:00' "
        "(order_id '1').\n"
        "Such times are place-holders of other systems, and would count as very old customers.\n"
        "Fix: write a missing value instead, or leave such rows out with `where` in "
        "[tables.orders]."
    )


def test_a_time_that_cannot_be_read_is_refused(open_orders):
    assert _refused(open_orders, "a,1,01/12/2010 8:26,1,1\n") == (
        "orders.ordered_at cannot be read as a time in 1 row, for example '01/12/2010 8:26' "
        "(order_id '1').\n"
        "A value that cannot be read would silently count as missing.\n"
        "Fix: write times as 2026-07-01 08:30:00, or declare their format: "
        'time_format = "%d/%m/%Y %H:%M" in [tables.orders].'
    )


def test_a_comma_as_decimal_sign_is_refused_with_an_example(open_orders):
    assert _refused(open_orders, 'a,1,2026-05-01,1,"1,50"\nb,2,2026-05-01,1,1.50\n') == (
        "orders.amount cannot be read as an amount of money in 1 row, for example '1,50' "
        "(order_id '1').\n"
        "A value that cannot be read would silently count as missing.\n"
        "Fix: write amounts as 1234.56, without currency signs or thousands separators."
    )


def test_a_number_that_cannot_be_read_is_refused(open_orders):
    assert _refused(open_orders, "a,1,2026-05-01,two,1\n").startswith(
        "orders.quantity cannot be read as a number in 1 row, for example 'two' (order_id '1')."
    )


def test_a_truth_that_cannot_be_read_is_refused(now):
    consents = pd.DataFrame(
        {"contact_id": ["a"], "channel": ["email"], "granted": ["maybe"], "changed_at": [MOMENT]}
    )
    with pytest.raises(ContractViolationError) as caught:
        Market.from_tables(consents=consents, now=now)
    assert str(caught.value) == (
        "consents.granted cannot be read as true or false in 1 row, for example 'maybe' "
        "(contact_id 'a').\n"
        "A value that cannot be read would silently count as missing.\n"
        "Fix: write true or false."
    )


def test_an_unknown_channel_is_refused(now):
    consents = pd.DataFrame(
        {"contact_id": ["a"], "channel": ["fax"], "granted": [True], "changed_at": [MOMENT]}
    )
    with pytest.raises(ContractViolationError) as caught:
        Market.from_tables(consents=consents, now=now)
    assert str(caught.value) == (
        "consents.channel is no known channel in 1 row, for example 'fax' (contact_id 'a').\n"
        "Consent and messages are matched by channel.\n"
        "Fix: use one of email, sms, push, in_app, ads, whatsapp, post."
    )


def test_an_event_with_a_reserved_name_is_refused(now):
    events = pd.DataFrame({"contact_id": ["a"], "event_type": ["order"], "occurred_at": [MOMENT]})
    with pytest.raises(ContractViolationError) as caught:
        Market.from_tables(events=events, now=now)
    assert str(caught.value) == (
        "events.event_type uses a reserved name in 1 row, for example 'order' (contact_id 'a').\n"
        "Orders and messages bring these types themselves; the two would be counted together.\n"
        "Fix: rename the event, such as 'order' to 'order_page'."
    )


def test_a_propensity_above_one_is_refused(now):
    messages = pd.DataFrame(
        {
            "message_id": ["m"],
            "contact_id": ["a"],
            "channel": ["email"],
            "sent_at": [MOMENT],
            "propensity": [1.5],
        }
    )
    with pytest.raises(ContractViolationError) as caught:
        Market.from_tables(messages=messages, now=now)
    assert str(caught.value) == (
        "messages.propensity is no probability in 1 row, for example '1.5' (message_id 'm').\n"
        "True effects are estimated by dividing by it.\n"
        "Fix: write the chance with which the variant was drawn, from 0 to 1."
    )


@pytest.mark.parametrize(
    ("lines", "column", "example"),
    [("a,1,2026-05-01,1,-5\n", "amount", "-5"), ("a,1,2026-05-01,-1,5\n", "quantity", "-1")],
)
def test_a_negative_line_that_nobody_declared_a_return_is_refused(
    open_orders, lines, column, example
):
    assert _refused(open_orders, lines) == (
        f"orders.{column} is negative, though no return is declared there in 1 row, for example "
        f"'{example}' (order_id '1').\n"
        "A negative line is a return, and a return is no purchase.\n"
        f'Fix: declare them: returns = "{column} < 0" in [tables.orders], in the words of the '
        "source's own columns."
    )


def test_declared_returns_do_not_excuse_other_negative_lines(open_orders):
    lines = "a,C1,2026-05-01,-1,-5\na,2,2026-05-01,1,-7\n"
    declared = 'timezone = "UTC"\nreturns = "order_id like \'C%\'"'
    assert _refused(open_orders, lines, declared).startswith(
        "orders.amount is negative, though no return is declared there in 1 row, for example '-7'"
    )
