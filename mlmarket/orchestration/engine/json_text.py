"""How is a value of the database written as JSON?"""

from typing import Any

import ibis
import ibis.expr.types as ir

__all__ = ["json_of"]


def json_of(value: ir.Value) -> ir.StringValue:
    """Return values as JSON text.

    Parameters
    ----------
    value : ibis.expr.types.Value
        Of any type, on the bench.

    Returns
    -------
    ibis.expr.types.StringValue
        ``null`` where the value is missing.
    """
    return _to_json(value).cast("string").fill_null("null")


def _declared(value) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Return a value of any type as JSON; computed by DuckDB."""
    raise NotImplementedError


_to_json: Any = ibis.udf.scalar.builtin(name="to_json")(_declared)
