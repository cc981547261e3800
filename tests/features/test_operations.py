"""What compiled features are made of, and what is said where a database cannot compute them."""

from datetime import UTC, datetime, timedelta

import ibis
import ibis.expr.operations as ops
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.features import Behaviour, Operation, algebra
from mlmarket.features.ibis_compiler import compile_features
from mlmarket.features.labels import compile_label
from mlmarket.features.operations import OPERATIONS, refuse_unsupported

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
CONDITION = (
    "order where (value * 2 - 1) / 3 % 2 + -value > 0 and item_id || '' like 'a%' and not "
    "value between 1 and 2 or item_id in ('a', 'b') is not true or value <> 1 or item_id is null"
)
OF_TWO = {"ratio": lambda make: make(algebra.count("order"), algebra.recency("order"))}
OF_NONE = {"attribute": lambda make: make("age")}


def _one_of_each():
    features = []
    for operation in Operation:
        make = getattr(algebra, operation.value)
        if operation.value in OF_TWO | OF_NONE:
            features.append((OF_TWO | OF_NONE)[operation.value](make))
        elif operation is Operation.TREND:
            features.append(make(CONDITION, "30D"))
        else:
            features.append(make(CONDITION))
    features.append(algebra.attribute("country", categorical=True))
    features.append(algebra.attribute("country", name="country_as_number"))
    return tuple(features)


@pytest.fixture
def market(make_market):
    return make_market(contacts=[], orders=[], events=[], messages=[], outcomes=[])


def _kinds(table):
    return {
        "ScalarUDF" if isinstance(node, ops.ScalarUDF) else type(node).__name__
        for node in table.op().find(ops.Node)
    }


def test_every_operation_of_the_algebra_is_made_of_what_the_engines_are_tested_with(market):
    connection = market.table("contacts").get_backend()
    rows = pa.table({"contact_id": ["a"], "as_of": pa.array([0], pa.timestamp("us"))})
    asked = connection.create_table("asked", rows, overwrite=True)
    gate, label = Behaviour.parse("no order within 30D"), Behaviour.parse("event visit | cart")
    used = _kinds(market.activity()) | _kinds(market.contacts(as_of=asked))
    for at in (AS_OF, asked):
        features = compile_features(market, _one_of_each(), at=at, eligible=gate, only=asked)
        refuse_unsupported(features)
        used |= _kinds(features)
        used |= _kinds(compile_label(market, label, at=at, horizon=timedelta(3), known_at=AS_OF))
    assert used - OPERATIONS == set()


def test_every_name_is_an_operation_of_ibis():
    assert [name for name in sorted(OPERATIONS) if not hasattr(ops, name)] == []


def test_an_engine_that_lacks_an_operation_is_named_with_it():
    table = ibis.sqlite.connect().create_table("given", schema={"at": "timestamp"})
    query = table.select(age=ibis.timestamp("2026-01-01").delta(table["at"], unit="microsecond"))
    with pytest.raises(ConfigurationError) as refused:
        refuse_unsupported(query)
    assert str(refused.value) == (
        "The engine 'sqlite' does not know the operation TimestampDelta.\n"
        "The features asked for, or a condition in them, are made of it.\n"
        "Fix: leave out the feature, or copy the tables to DuckDB, PostgreSQL or Spark."
    )
