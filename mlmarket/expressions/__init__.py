"""What does a formula that somebody wrote in a configuration file mean?

A small language for conditions and computed columns, written like SQL, that can be computed
by a database or on one row with the same result, and can do nothing else.

- Numbers, ``'text'``, ``true``, ``false``, ``null``, ``DATE '2024-01-31'`` and ``TIMESTAMP
  '2024-01-31 10:00'``; columns by the name that the table gives them, case included, in
  double quotes where a name holds spaces.
- ``+ - * / %``, ``||``, ``= <> != < <= > >=``, ``and``, ``or``, ``not``, ``is [not] null``,
  ``is [not] true``, ``is [not] false``, ``[not] in (…)``, ``[not] between … and …``,
  ``[not] like '…'``, and round brackets. They bind as in DuckDB and PostgreSQL.

What it means:

- **Missing values.** Logic is SQL's, with three values: what is computed from a missing value
  is missing, except that ``false and missing`` is false, ``true or missing`` is true, and ``is …``
  always answers. NaN and infinities are missing, in the data and as results.
- **Arithmetic** is done in float64, whatever the columns hold. Dividing by zero, the rest of
  a division by zero, and a result too large for float64 are missing; nothing raises. The rest
  ``%`` has the sign of its left side. A column alone is not touched: integers and decimals
  keep their digits.
- **Comparisons** of two integers (columns or literals without a decimal point that fit in 64
  bits) are exact; all other numbers are compared in float64. Text is compared by code point,
  upper and lower case differ, and so do they in ``like``, where ``%`` is any text, ``_`` any
  character, and nothing an escape. False is less than true. Booleans are not numbers.
- **Times** are instants in whole microseconds, UTC where nothing else is said. A day, as a
  ``DATE`` literal, a text or a value of a date column, is its first instant: midnight UTC. A
  text literal beside a time is read as a time.

Where it runs: DuckDB and PostgreSQL are tested. Other Ibis backends get plain operations only, and
need the session zone UTC and a text order by code point. PostgreSQL stops the query where a result is
too large or too small for float64, instead of giving infinity or 0. A decimal of more than 15
digits may reach float64 rounded differently in its last bit from one database to another.
"""

from mlmarket.expressions.errors import ExpressionError
from mlmarket.expressions.expression import Asked, Expression, parse, parse_condition
from mlmarket.expressions.functions import NONE, Argument, ArgumentError, Function, Functions
from mlmarket.expressions.kinds import Schema, Type, schema_of
from mlmarket.expressions.lookups import Lookup, Subject

__all__ = [
    "NONE",
    "Argument",
    "ArgumentError",
    "Asked",
    "Expression",
    "ExpressionError",
    "Function",
    "Functions",
    "Lookup",
    "Schema",
    "Subject",
    "Type",
    "parse",
    "parse_condition",
    "schema_of",
]
