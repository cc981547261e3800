"""What do the columns of a source hold, and how is an expression read over them?

A CSV file has no types: each column is looked at once, and an expression sees it as what all its
values are. A column of digits serves as a number and, where only text fits, as text; so does a
formula that was written for an export whose numbers carry letters on other days.
"""

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from mlmarket.expressions import (
    Expression,
    ExpressionError,
    Type,
    parse,
    parse_condition,
    schema_of,
)
from mlmarket.market.casts import FILLED, Reading, cast_column, integer_written_as_float, stripped
from mlmarket.market.columns import Kind
from mlmarket.market.connect import Source

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["SourceColumns", "TextLook"]

_SAMPLE: Final = 1_000
_MOST_READINGS: Final = 256


@dataclass(frozen=True, slots=True)
class TextLook:
    """What the values of a text column look like.

    Parameters
    ----------
    filled : int
        Values that are not missing.
    numbers : int
        How many of them are numbers. This and what follows is counted to the end only where
        it may be all of them.
    coded : int
        How many numbers begin with a zero and another digit, as codes do.
    times : int
        How many are times.
    truths : int
        How many are ``true`` or ``false``.
    float_ids : int
        How many are whole numbers with ``.0`` behind.
    """

    filled: int
    numbers: int = 0
    coded: int = 0
    times: int = 0
    truths: int = 0
    float_ids: int = 0

    @property
    def possible(self) -> tuple[str, ...]:
        """What all values of a column may still be, where this is a look at some of them."""
        alike = ("numbers", "times", "truths", "float_ids")
        found = [name for name in alike if getattr(self, name) == self.filled]
        return (*found, "coded") if "numbers" in found else tuple(found)

    @property
    def has_float_ids(self) -> bool:
        """Whether the column is of whole numbers written as ``17850.0``."""
        return self.filled > 0 and self.float_ids == self.filled

    @property
    def kinds(self) -> tuple[Type, ...]:
        """What the column may serve as, the natural kind first."""
        if not self.filled:
            return (Type.TEXT, Type.NUMBER, Type.TIME, Type.BOOLEAN)
        if self.numbers == self.filled:
            # 00123 is a code, however much it looks like a number.
            return (Type.TEXT, Type.NUMBER) if self.coded else (Type.NUMBER, Type.TEXT)
        if self.times == self.filled:
            return (Type.TIME, Type.TEXT)
        if self.truths == self.filled:
            return (Type.TEXT, Type.BOOLEAN)
        return (Type.TEXT,)


@dataclass(frozen=True, slots=True)
class SourceColumns:
    """The columns of a source, as expressions see them.

    Parameters
    ----------
    source : Source
        The table as it came.
    reading : Reading
        How its times are read.
    looks : mapping of str to TextLook
        What its text columns look like, those that were looked at.
    """

    source: Source
    reading: Reading
    looks: Mapping[str, TextLook]

    @classmethod
    def look(cls, source: Source, reading: Reading, *, ids: Collection[str]) -> "SourceColumns":
        """Look at the text columns of a source, in one pass.

        Parameters
        ----------
        source : Source
            The table as it came.
        reading : Reading
            How its times are read.
        ids : collection of str
            Columns of the source that hold ids; where the source has types of its own, only
            these are looked at.

        Returns
        -------
        SourceColumns
            Ready to read expressions.
        """
        schema = source.table.schema()
        names = [name for name, dtype in schema.items() if dtype.is_string()]
        measures = tuple(_MEASURES)
        if not source.all_text:
            names, measures = [name for name in names if name in ids], ("float_ids",)
        # A single value settles most questions about a column, and is found at once.
        sample = _look_at(source.table.limit(_SAMPLE), dict.fromkeys(names, measures), reading)
        open_questions = {
            name: tuple(measure for measure in look.possible if measure in measures)
            for name, look in sample.items()
        }
        asked = {name: left for name, left in open_questions.items() if left}
        return cls(source, reading, {**sample, **_look_at(source.table, asked, reading)})

    def natural(self, table: "ir.Table", name: str) -> "ir.Value":
        """Return a column as what all its values are.

        Parameters
        ----------
        table : ibis.expr.types.Table
            The source, or some of its rows.
        name : str
            A column.

        Returns
        -------
        ibis.expr.types.Value
            A number or a time where the column is text and all its values are such.
        """
        return self._as(table, name, self._kinds(name)[0])

    def read(
        self, text: str, table: "ir.Table", *, key: str, condition: bool = False
    ) -> "ir.Value":
        """Read an expression over the source.

        Parameters
        ----------
        text : str
            The expression, as a person wrote it.
        table : ibis.expr.types.Table
            The source, or some of its rows.
        key : str
            Where in the configuration it stands, such as ``[tables.orders] where``.
        condition : bool, default False
            Whether it must be true or false.

        Returns
        -------
        ibis.expr.types.Value
            Of `table`.

        Raises
        ------
        ExpressionError
            Where it cannot be read; the message says where it stands.
        """
        parser = parse_condition if condition else parse
        errors: list[ExpressionError] = []
        for kinds in self._readings(text):
            try:
                expression = parser(text, schema=self._schema(kinds))
            except ExpressionError as error:
                errors.append(error)
            else:
                return self._compiled(expression, table, kinds)
        raise self._explained(errors[0], key)

    def _kinds(self, name: str) -> tuple[Type, ...]:
        look = self.looks.get(name) if self.source.all_text else None
        return look.kinds if look is not None else (schema_of(self.source.table)[name],)

    def _readings(self, text: str) -> Iterator[dict[str, Type]]:
        """Yield what the columns of an expression may serve as, the most natural first."""
        if not self.source.all_text:
            yield {}
            return
        open_ones = [
            name for name in self.looks if name in text and len(self.looks[name].kinds) > 1
        ]
        choices = [range(len(self.looks[name].kinds)) for name in open_ones]
        ranked = sorted(itertools.islice(itertools.product(*choices), _MOST_READINGS), key=sum)
        for places in ranked:
            yield {
                name: self.looks[name].kinds[place]
                for name, place in zip(open_ones, places, strict=True)
            }

    def _schema(self, kinds: Mapping[str, Type]) -> dict[str, Type]:
        natural = {name: self._kinds(name)[0] for name in self.looks}
        return {
            **schema_of(self.source.table),
            **(natural if self.source.all_text else {}),
            **kinds,
        }

    def _compiled(
        self, expression: Expression, table: "ir.Table", kinds: Mapping[str, Type]
    ) -> "ir.Value":
        if not self.source.all_text:
            return expression.to_ibis(table)
        schema = self._schema(kinds)
        columns = {name: self._as(table, name, schema[name]) for name in expression.columns}
        return expression.to_ibis(columns or table)

    def _as(self, table: "ir.Table", name: str, kind: Type) -> "ir.Value":
        if not self.source.all_text or kind is Type.TEXT:
            return table[name]
        text = cast("ir.StringValue", table[name])
        if kind is Type.TIME:
            return self.reading.as_written(text.strip())
        if kind is Type.NUMBER:
            return text.try_cast("float64")
        return cast_column(text, Kind.BOOLEAN, self.reading)

    def _explained(self, error: ExpressionError, key: str) -> ExpressionError:
        """Say where the expression stands, and which value keeps a column from being a number."""
        problem = error.what.partition("\n")[0]
        return ExpressionError(
            f"{key}: {problem}",
            error.why,
            f"{error.fix}{self._stray(error.text)}",
            text=error.text,
            at=error.at,
        )

    def _stray(self, text: str) -> str:
        for name in self.looks:
            if name not in text or not self.source.all_text:
                continue
            value = stripped(cast("ir.StringValue", self.source.table[name]))
            number = value.try_cast("float64")
            measured = self.source.table.aggregate(
                filled=value.count(),
                numbers=number.count(),
                stray=value.min(where=number.isnull()),
            )
            found = measured.to_pyarrow().to_pylist()[0]
            if 0 < found["numbers"] < found["filled"]:
                return (
                    f" '{name}' holds text because {found['filled'] - found['numbers']:,} of its "
                    f"{found['filled']:,} values are no numbers, for example {found['stray']!r}."
                )
        return ""


def _look_at(
    table: "ir.Table", asked: Mapping[str, Collection[str]], reading: Reading
) -> dict[str, TextLook]:
    """Count in one pass what text columns hold: of each column what is asked about it."""
    if not asked:
        return {}
    sums: dict[str, Any] = {}
    for place, (name, measures) in enumerate(asked.items()):
        text = cast("ir.StringValue", table[name])
        sums[f"filled_{place}"] = text.re_search(FILLED).sum()
        for measure in measures:
            sums[f"{measure}_{place}"] = _MEASURES[measure](stripped(text), reading)
    row = table.aggregate(**sums).to_pyarrow().to_pylist()[0]
    return {
        name: TextLook(
            **{
                measure: int(row.get(f"{measure}_{place}") or 0)
                for measure in ("filled", *measures)
            }
        )
        for place, (name, measures) in enumerate(asked.items())
    }


_MEASURES: Final[Mapping[str, Callable[["ir.StringValue", Reading], Any]]] = {
    "numbers": lambda text, _: text.try_cast("float64").count(),
    "coded": lambda text, _: text.re_search(r"^-?0[0-9]").sum(),
    "times": lambda text, reading: reading.written_clock(text).count(),
    "truths": lambda text, _: text.lower().isin(("true", "false")).sum(),
    "float_ids": lambda text, _: integer_written_as_float(text).sum(),
}
