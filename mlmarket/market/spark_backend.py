"""Ibis's connection to Spark, with rows that travel as Arrow and times that are read as meant.

Ibis 12 fetches row by row through pandas, sets options of the session it is given, and cannot tell
Spark's two kinds of timestamps apart. This module needs PySpark; it is imported where a market is on
Spark.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.schema as sch
import ibis.expr.types as ir
import pyarrow as pa
import sqlglot.expressions as sge
from ibis.backends.pyspark import Backend
from ibis.backends.pyspark.datatypes import PySparkType
from ibis.backends.sql.compilers.base import FALSE, NULL
from ibis.backends.sql.compilers.pyspark import PySparkCompiler
from ibis.formats.pyarrow import PyArrowData, PyArrowSchema
from ibis.util import gen_name
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import TimestampType

__all__ = ["SparkConnection"]

_SPACES: Final = " \t\n\r\v\f"
_MISREAD: Final = frozenset("\a\v\f")
"""What sqlglot writes with a backslash and a letter, which Spark takes for the letter."""

_NUMBER: Final = r"[0-9][.]?\s*$|^\s*[+-]?[A-Za-z]+\s*$"


class _Compiler(PySparkCompiler):
    """Ibis's compiler, with what it writes wrongly put right."""

    __slots__ = ()

    def visit_NonNullLiteral(  # noqa: N802
        self,
        op: ops.Literal,
        *,
        value: Any,  # noqa: ANN401
        dtype: dt.DataType,
    ) -> sge.Expression | None:
        if dtype.is_string() and not _MISREAD.isdisjoint(value):
            return self._spelt(value)
        written: sge.Expression | None = super().visit_NonNullLiteral(op, value=value, dtype=dtype)
        return written

    def _spelt(self, text: str) -> sge.Expression:
        """Return text by its bytes: Spark does not know the signs that sqlglot writes for some."""
        spelt: sge.Expression = self.cast(self.f.unhex(text.encode().hex()), dt.string)
        return spelt

    def visit_Strip(self, op: ops.Strip, *, arg: sge.Expression) -> sge.Expression:  # noqa: ARG002, N802
        stripped: sge.Expression = self.f.anon.btrim(arg, self._spelt(_SPACES))
        return stripped

    def visit_TryCast(  # noqa: N802
        self, op: ops.TryCast, *, arg: sge.Expression, to: dt.DataType
    ) -> sge.Expression:
        number: sge.Expression = super().visit_TryCast(op, arg=arg, to=to)
        if not (op.arg.dtype.is_string() and to.is_floating()):
            return number
        # Java takes 12d and 12f for numbers.
        guarded: sge.Expression = self.if_(self.f.rlike(arg, sge.convert(_NUMBER)), number, NULL)
        return guarded

    def visit_IsInf(self, op: ops.IsInf, *, arg: sge.Expression) -> sge.Expression:  # noqa: N802
        # Ibis 12 compares the two pieces of SQL in Python, and writes FALSE.
        if not op.arg.dtype.is_floating():
            return cast("sge.Expression", FALSE)
        return sge.Or(this=arg.eq(self.POS_INF), expression=arg.eq(self.NEG_INF))


class SparkConnection(Backend):
    """A Spark session on which a market is computed.

    Make one with ``SparkConnection().connect(session)``. The session's options stay as they are.
    """

    compiler = _Compiler()

    def do_connect(self, session: SparkSession) -> None:
        """Take a session; see :class:`ibis.backends.pyspark.Backend`."""
        if ibis.options.pyspark is None:  # Ibis sets them for its own class only
            self.register_options()
        self._mode = "batch"
        self._session = session

    @property
    def session(self) -> SparkSession:
        """The session."""
        return self._session

    def frame(self, table: ir.Table) -> DataFrame:
        """Return a table as a Spark frame; nothing is computed yet.

        Parameters
        ----------
        table : ibis.expr.types.Table
            On this connection.

        Returns
        -------
        pyspark.sql.DataFrame
            With its columns.
        """
        self._run_pre_execute_hooks(table)
        return self._session.sql(self.compile(table))

    def view(self, frame: DataFrame, name: str, schema: sch.Schema | None = None) -> ir.Table:
        """Give a Spark frame a name for a while, and return it as a table.

        Parameters
        ----------
        frame : pyspark.sql.DataFrame
            Of this session.
        name : str
            What the name of the view shall contain.
        schema : ibis.Schema, optional
            Types of its columns; by default those of the frame, where ``TIMESTAMP`` is an instant
            and ``TIMESTAMP_NTZ`` what the clock on the wall showed.

        Returns
        -------
        ibis.expr.types.Table
            Its name is that of the temporary view.
        """
        found = schema if schema is not None else _schema_of(frame)
        view = gen_name(f"mlmarket_{name}")
        frame.createOrReplaceTempView(view)
        return ops.DatabaseTable(name=view, schema=found, source=self).to_expr()

    def drop(self, table: ir.Table) -> None:
        """Forget a table that :meth:`view` returned.

        Parameters
        ----------
        table : ibis.expr.types.Table
            Not to be used any more.
        """
        self._session.catalog.dropTempView(table.get_name())

    def from_arrow(self, rows: pa.Table, name: str) -> ir.Table:
        """Send rows of the driver to Spark.

        Parameters
        ----------
        rows : pyarrow.Table
            Few enough for the driver.
        name : str
            What the name of the view shall contain.

        Returns
        -------
        ibis.expr.types.Table
            On this connection.
        """
        plain = _plain(rows)
        schema = PyArrowSchema.to_ibis(plain.schema)
        return self.view(self._session.createDataFrame(plain), name, schema)

    @contextmanager
    def lent(self, rows: pa.Table) -> Iterator[ir.Table]:
        """Send rows of the driver to Spark for a while.

        Parameters
        ----------
        rows : pyarrow.Table
            Few enough for the driver.

        Yields
        ------
        ibis.expr.types.Table
            Gone afterwards.
        """
        table = self.from_arrow(rows, "lent")
        try:
            yield table
        finally:
            self.drop(table)

    def to_pyarrow(
        self,
        expr: ir.Expr,
        /,
        *,
        params: Mapping[ir.Scalar, Any] | None = None,
        limit: int | str | None = None,
        **_options: Any,  # noqa: ANN401 - what Ibis hands on
    ) -> Any:  # noqa: ANN401 - a table, a column or a scalar
        """Fetch an expression as Arrow; see :class:`ibis.backends.BaseBackend`."""
        self._run_pre_execute_hooks(expr)
        table = expr.as_table()
        rows = self._session.sql(self.compile(table, params=params, limit=limit)).toArrow()
        return expr.__pyarrow_result__(PyArrowData.convert_table(rows, table.schema()))

    def to_pyarrow_batches(
        self,
        expr: ir.Expr,
        /,
        *,
        params: Mapping[ir.Scalar, Any] | None = None,
        limit: int | str | None = None,
        chunk_size: int = 1_000_000,
        **_options: Any,  # noqa: ANN401 - what Ibis hands on
    ) -> pa.RecordBatchReader:
        """Fetch an expression as Arrow batches; see :class:`ibis.backends.BaseBackend`."""
        rows = self.to_pyarrow(expr.as_table(), params=params, limit=limit)
        batches = rows.combine_chunks().to_batches(max_chunksize=chunk_size)
        return pa.RecordBatchReader.from_batches(rows.schema, batches)

    def _register_in_memory_table(self, op: ops.InMemoryTable) -> None:
        rows = _plain(op.data.to_pyarrow(op.schema))
        self._session.createDataFrame(rows).createOrReplaceTempView(op.name)


def _schema_of(frame: DataFrame) -> sch.Schema:
    return sch.Schema(
        {
            field.name: dt.Timestamp(timezone="UTC")
            if isinstance(field.dataType, TimestampType)
            else PySparkType.to_ibis(field.dataType)
            for field in frame.schema.fields
        }
    )


def _plain(rows: pa.Table) -> pa.Table:
    """Return rows in the types that Spark has."""
    fields = [pa.field(field.name, _plain_type(field.type)) for field in rows.schema]
    return rows.cast(pa.schema(fields), safe=False)


def _plain_type(dtype: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(dtype):
        return _plain_type(dtype.value_type)
    if pa.types.is_null(dtype) or pa.types.is_large_string(dtype) or dtype == pa.string_view():
        return pa.string()
    if pa.types.is_uint64(dtype):
        return pa.decimal128(20, 0)
    if pa.types.is_unsigned_integer(dtype):
        return pa.int64()
    if pa.types.is_timestamp(dtype):
        return pa.timestamp("us", dtype.tz)
    return dtype
