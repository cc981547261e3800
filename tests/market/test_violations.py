from mlmarket.errors import DataContractError
from mlmarket.market import ContractViolationError, Violation
from mlmarket.market.violations import unreadable

FIRST = Violation("orders", "amount", "is negative", "Why.", "do it.", rows=1_200, example="'-1'")
SECOND = Violation("orders", "", "has no row", "Why not.", "write it again.")


def test_a_violation_names_table_column_rule_rows_and_an_example():
    assert FIRST.text == (
        "orders.amount is negative in 1,200 rows, for example '-1'.\nWhy.\nFix: do it."
    )


def test_a_violation_of_one_row_speaks_of_one_row():
    violation = Violation("orders", "amount", "is negative", "Why.", "do it.", rows=1)
    assert violation.what == "orders.amount is negative in 1 row."


def test_a_violation_of_a_whole_table_names_no_column():
    assert SECOND.what == "Table 'orders' has no row."


def test_one_violation_is_a_message_of_three_lines():
    error = ContractViolationError([SECOND])
    assert str(error) == "Table 'orders' has no row.\nWhy not.\nFix: write it again."


def test_several_violations_are_all_in_the_message():
    error = ContractViolationError([FIRST, SECOND])
    assert str(error) == (
        "The tables break the data contract in 2 places.\n\n" + FIRST.text + "\n\n" + SECOND.text
    )
    assert error.violations == (FIRST, SECOND)


def test_broken_data_ends_a_run_with_exit_code_three():
    error = ContractViolationError([FIRST])
    assert isinstance(error, DataContractError)
    assert error.exit_code == 3


def test_a_source_that_cannot_be_read_is_a_violation_of_its_whole_table():
    violation = unreadable("orders", "orders.csv is empty", "Why.", "do it.")
    assert violation.what == "Table 'orders' cannot be read: orders.csv is empty."
