"""About whom do the tables say something new since a moment?

Each column with a time is asked by itself, so that files and databases are read only where it may
lie after that moment.
"""

from datetime import datetime
from typing import TYPE_CHECKING

import ibis

from mlmarket.market import Market
from mlmarket.market.columns import CONTACT_ID, TABLES, Kind
from mlmarket.orchestration.state.standing import utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    import ibis.expr.types as ir
    import pyarrow as pa

__all__ = ["changed_since"]


def changed_since(market: Market, last: datetime, now: datetime) -> "pa.Array":
    """Return whom the tables say something new about.

    Parameters
    ----------
    market : Market
        The tables.
    last, now : datetime
        With a zone: what happened, or arrived, after the first and up to the second counts. A row that
        arrives later and does not say when (``available_at``) is found by the next night, as is an
        attribute that changes without ``valid_from``.

    Returns
    -------
    pyarrow.Array of string
        Contact ids, sorted: who did something, whose behaviour reached the tables, who was written
        to, who came to be known, or whose consent or record changed.

    Raises
    ------
    ConfigurationError
        For a moment without a zone.
    """
    import pyarrow as pa

    found = [
        one.to_pyarrow()[CONTACT_ID].combine_chunks().cast(pa.string())
        for one in _changed(market, utc(last), utc(now))
    ]
    people = pa.chunked_array([pa.array([], pa.string()), *found]).unique()
    return people.drop_null().sort()


def _changed(market: Market, last: datetime, now: datetime) -> "Iterator[ir.Table]":
    after, until = (ibis.literal(one, type="timestamp(6)") for one in (last, now))
    for name, spec in TABLES.items():
        if name not in market.settings.tables or not market.has(name):
            continue  # contacts that are made of orders are new when their first order is
        table = market.table(name)
        times = [one.name for one in spec.columns if one.kind is Kind.TIME]
        for column in times if CONTACT_ID in table.columns else ():
            if column in table.columns:
                moment = table[column]
                rows = table.filter(moment > after, moment <= until)
                yield rows.select(CONTACT_ID).distinct()
