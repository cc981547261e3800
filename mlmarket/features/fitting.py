"""Do features fit the tables there are?"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlmarket.errors import ConfigurationError, nearest
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.feature import Feature
from mlmarket.features.ibis_compiler import compile_features
from mlmarket.features.rows import tables_of
from mlmarket.market.columns import RESERVED_TYPES
from mlmarket.market.report import Note

if TYPE_CHECKING:
    from mlmarket.market import Market

__all__ = ["check_features"]


def check_features(
    market: "Market", features: Sequence[Feature], *, as_of: datetime
) -> tuple[Note, ...]:
    """Refuse features that the tables cannot answer; nothing is computed.

    Parameters
    ----------
    market : Market
        The tables.
    features : sequence of Feature
        What is asked for.
    as_of : datetime
        When.

    Returns
    -------
    tuple of Note
        Types of behaviour that never occur: they may be misspelt, or begin tomorrow.

    Raises
    ------
    ConfigurationError
        With the feature's name: where a table is missing, an attribute does not exist, or a
        condition cannot be read.
    """
    for feature in features:
        for behaviour in _behaviours(feature):
            _refuse_missing_tables(market, feature, behaviour)
        try:
            compile_features(market, [feature], at=as_of)
        except ConfigurationError as error:
            what = f"Feature '{feature.name}': {error.what}"
            raise ConfigurationError(what, error.why, error.fix) from error
    return tuple(_notes(market, features))


def _behaviours(feature: Feature) -> Iterator[Behaviour]:
    if feature.behaviour is not None:
        yield feature.behaviour
    for part in feature.parts:
        yield from _behaviours(part)


def _refuse_missing_tables(market: "Market", feature: Feature, behaviour: Behaviour) -> None:
    for table in sorted(tables_of(behaviour)):
        if not market.has(table):
            raise ConfigurationError(
                f"Feature '{feature.name}' is made of '{behaviour}', and there is no table "
                f"'{table}'.",
                "It would be the same for everybody.",
                f"add [tables.{table}] to mlmarket.toml, or take the feature out.",
            )


def _notes(market: "Market", features: Sequence[Feature]) -> Iterator[Note]:
    """Say which types never occur, each once."""
    columns = {"events": "event_type", "outcomes": "outcome"}
    wanted: dict[tuple[str, str], str] = {}
    for feature in features:
        for behaviour in _behaviours(feature):
            table = "outcomes" if behaviour.table == "outcomes" else "events"
            for kind in behaviour.types:
                if table == "outcomes" or kind not in RESERVED_TYPES:
                    wanted.setdefault((table, kind), feature.name)
    for table in dict.fromkeys(table for table, _ in wanted):
        column = columns[table]
        types = market.table(table).select(column).distinct().to_pyarrow().column(column)
        known = set(types.to_pylist())
        for (place, kind), name in wanted.items():
            if place == table and kind not in known:
                near = nearest(kind, known - {None})
                hint = f"; there is '{near}'" if near else ""
                text = f"feature '{name}' is made of '{kind}', which never occurs in {table}{hint}."
                yield Note(table, column, text)
