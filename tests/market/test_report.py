import pytest

from mlmarket.market import CheckReport, ContractViolationError, TableCount, Violation

COUNT = TableCount("orders", "orders.csv", read=10, left_out=3, unknown_contacts=2)


def test_rows_kept_are_rows_read_without_those_left_out():
    assert COUNT.kept == 5


def test_a_report_becomes_a_frame_with_one_row_a_table():
    frame = CheckReport((COUNT,), (), ()).to_frame()
    assert frame.to_dict("records") == [
        {
            "table": "orders",
            "source": "orders.csv",
            "rows_read": 10,
            "left_out": 3,
            "unknown_contacts": 2,
            "rows": 5,
        }
    ]


def test_a_report_without_tables_keeps_its_columns():
    assert list(CheckReport((), (), ()).to_frame().columns) == [
        "table",
        "source",
        "rows_read",
        "left_out",
        "unknown_contacts",
        "rows",
    ]


def test_a_report_without_violations_raises_nothing():
    CheckReport((COUNT,), (), ()).raise_if_broken()


def test_a_report_with_a_violation_raises_it():
    violation = Violation("orders", "", "has no row", "Why.", "do it.")
    with pytest.raises(ContractViolationError, match="Table 'orders' has no row"):
        CheckReport((COUNT,), (violation,), ()).raise_if_broken()
