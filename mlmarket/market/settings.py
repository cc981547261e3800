"""What does ``mlmarket.toml`` say about the business and its tables?"""

import contextlib
import os
import re
import tomllib
from datetime import date, datetime, time
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from mlmarket.errors import ConfigurationError, nearest, suggestion
from mlmarket.market.columns import TABLES
from mlmarket.market.machine import memory_of_machine, parse_size
from mlmarket.market.time import time_zone

__all__ = [
    "BusinessSettings",
    "EngineSettings",
    "MarketSettings",
    "Settings",
    "TableSettings",
    "read_toml",
    "validate_settings",
]

_SECRET: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_DIRECTIVE: Final = re.compile(r"%-?(.?)")
_DIRECTIVES: Final = frozenset("aAbBdmyYHIpMSfgjUWwuVGnzZcxX%")


class Settings(BaseModel):
    """Base of all settings: unknown keys are refused, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _known_zone(name: str) -> str:
    time_zone(name)
    return name


def _known_format(time_format: str) -> str:
    for directive in _DIRECTIVE.findall(time_format):
        if directive not in _DIRECTIVES:
            raise ConfigurationError(
                f"The time format '{time_format}' has the unknown sign '%{directive}'.",
                "Times written as text are read by it.",
                "use %d, %m, %Y, %H, %M and %S, as in '%d/%m/%Y %H:%M'.",
            )
    return time_format


_LEAST_MEMORY: Final = 256_000_000


def _enough_memory(size: str) -> str:
    if parse_size(size) < _LEAST_MEMORY:
        raise ConfigurationError(
            f"memory = '{size}' is too little to work with.",
            "A query needs some of it for each thread before it can put anything on the disk.",
            f"give it at least {_LEAST_MEMORY // 1_000_000}MB.",
        )
    return size


def _end_of_day(value: object) -> object:
    """Read a date without a time as that day's last microsecond."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value.strip()):
        with contextlib.suppress(ValueError):  # pydantic says what is wrong with it
            value = date.fromisoformat(value.strip())
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time.max)
    return value


ZoneName = Annotated[str, AfterValidator(_known_zone)]
TimeFormat = Annotated[str, AfterValidator(_known_format)]
MemorySize = Annotated[str, AfterValidator(_enough_memory)]
Until = Annotated[datetime, BeforeValidator(_end_of_day)]


class BusinessSettings(Settings):
    """``[business]``: where its days begin and what its money is.

    Parameters
    ----------
    timezone : str, default "UTC"
        IANA name; a night's ``as_of`` is midnight there.
    currency : str, default "EUR"
        ISO 4217 code; every amount is in it.
    """

    timezone: ZoneName = "UTC"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"


class EngineSettings(Settings):
    """``[engine]``: what computes, and what it may use of the machine. It changes no result.

    Parameters
    ----------
    name : {"duckdb", "spark"}, default "duckdb"
        DuckDB in this process, or the Spark that the environment configures.
    features : {"auto", "reference", "sweep"}, default "auto"
        What computes features on DuckDB: by default the sweep where it can.
    memory : str, optional
        What queries hold in memory at most, such as ``8GB``; what does not fit is put on the disk.
        By default half of the machine's memory, or of the container's.
    threads : int, optional
        How many a query uses; by default one a core.
    scratch : str, optional
        Folder for what does not fit into memory; by default the system's for temporary files.
    scores : str, optional
        Where Spark's workers write the night's answers; by default ``scores`` in the output folder,
        which the workers then have to share.
    buckets : int, default 16
        In how many parts Spark's workers write them.
    spark : dict of str to str
        ``[engine.spark]``: properties of Spark beside those of the environment.
    """

    name: Literal["duckdb", "spark"] = "duckdb"
    features: Literal["auto", "reference", "sweep"] = "auto"
    memory: MemorySize | None = None
    threads: Annotated[int, Field(ge=1)] | None = None
    scratch: str | None = None
    scores: str | None = None
    buckets: Annotated[int, Field(ge=1, le=10_000)] = 16
    spark: dict[str, str] = Field(default_factory=dict)

    @property
    def memory_bytes(self) -> int:
        """What queries hold in memory at most."""
        return memory_of_machine() // 2 if self.memory is None else parse_size(self.memory)

    def scratch_in(self, folder: Path) -> Path | None:
        """Return the folder for temporary files; None means the system's.

        Parameters
        ----------
        folder : Path
            What its path is relative to.
        """
        return None if self.scratch is None else folder / self.scratch


class TableSettings(Settings):
    """``[tables.NAME]``: where a table is and how its columns are called.

    Parameters
    ----------
    source : str
        A file (Parquet, CSV, CSV in gzip; ``*`` allowed) or, with `connection`, a table name.
    connection : str, optional
        An Ibis connection address, such as ``duckdb:///data/shop.duckdb`` or ``postgres://…``;
        keep secrets in ``${NAME}``.
    where : str, optional
        Expression over the source's columns; rows for which it is not true are left out.
    timezone : str, optional
        Zone of times that carry none.
    time_format : str, optional
        Format of times written as text other than ISO 8601, such as ``%d/%m/%Y %H:%M``; without
        an hour in it, a time is the end of its day.
    returns : str, optional
        Expression over the source's columns that is true for a return (orders only).
    complete_until : datetime, optional
        Until when the table is known to be complete; by default its latest time. Without a zone
        it is read in the business's; a date without a time includes that day.
    separator : str, optional
        Of a CSV file; by default found in its first line.
    encoding : str, default "utf-8"
        Of a CSV file, such as ``windows-1252``.
    unknown_contacts : {"refuse", "leave_out"}, default "refuse"
        What to do with rows whose contact is not in ``contacts``.
    columns : dict of str to str
        Column of the contract to expression over the source's columns.
    attributes : dict of str to {"numeric", "categorical", "ignore"}
        How further columns of contacts are used as features.
    """

    source: str = ""
    connection: str | None = None
    where: str | None = None
    timezone: ZoneName | None = None
    time_format: TimeFormat | None = None
    returns: str | None = None
    complete_until: Until | None = None
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    encoding: str = "utf-8"
    unknown_contacts: Literal["refuse", "leave_out"] = "refuse"
    columns: dict[str, str] = Field(default_factory=dict)
    attributes: dict[str, Literal["numeric", "categorical", "ignore"]] = Field(default_factory=dict)


def _known_tables(tables: dict[str, TableSettings]) -> dict[str, TableSettings]:
    for name, table in tables.items():
        if name not in TABLES:
            raise ConfigurationError(
                f"There is no table '{name}' in the data contract.",
                "Only the tables of the contract are read.",
                suggestion(name, TABLES),
            )
        _refuse_what_does_nothing(name, table)
    return tables


def _refuse_what_does_nothing(name: str, table: TableSettings) -> None:
    known = [column.name for column in TABLES[name].columns]
    for column in table.columns:
        if column not in known:
            raise ConfigurationError(
                f"[tables.{name}.columns] maps '{column}', which is no column of the contract.",
                "A mapping to an unknown name would do nothing; other columns of the source keep "
                "their names by themselves.",
                suggestion(column, known, limit=len(known)),
            )
    for key, only in (("returns", "orders"), ("attributes", "contacts")):
        if getattr(table, key) and name != only:
            raise ConfigurationError(
                f"[tables.{name}] has `{key}`, which only [tables.{only}] can have.",
                "It would be a setting that silently does nothing.",
                f"move it to [tables.{only}], or take it out.",
            )


class MarketSettings(Settings):
    """The part of ``mlmarket.toml`` that a Market reads.

    Parameters
    ----------
    business : BusinessSettings
        Time zone and currency.
    tables : dict of str to TableSettings
        The tables there are.
    engine : EngineSettings
        What may be used of the machine.
    """

    business: BusinessSettings = Field(default_factory=BusinessSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    tables: Annotated[dict[str, TableSettings], AfterValidator(_known_tables)] = Field(
        default_factory=dict
    )


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file and fill its ``${NAME}`` from the environment.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    ConfigurationError
        Where the file is missing, is no TOML, or names a variable that is not set.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError(
            f"There is no file '{path}'.",
            "It says where the tables are and what to predict.",
            "run `mlmarket init` to write one, or pass --config.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"'{path}' cannot be read: {error}.",
            "It says where the tables are and what to predict.",
            "pass the path of a UTF-8 text file.",
        ) from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"'{path.name}' is not valid TOML: {error}.",
            "Nothing is run on a configuration that was read in part.",
            "mend that line; texts stand in quotes, tables in [brackets].",
        ) from error
    return {key: _fill_secrets(value, path.name) for key, value in content.items()}


def _fill_secrets(value: Any, file: str) -> Any:  # noqa: ANN401 - a TOML tree
    if isinstance(value, dict):
        return {key: _fill_secrets(item, file) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill_secrets(item, file) for item in value]
    if not isinstance(value, str):
        return value

    def secret(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise ConfigurationError(
                f"{file} names the secret '${{{match[1]}}}', which is not set.",
                "Secrets are read from environment variables, never from the file.",
                f"set it before the run: export {match[1]}=…",
            )
        return found

    filled = _SECRET.sub(secret, value)
    return filled if filled == value else _Filled(filled, value)


class _Filled(str):
    """A text with secrets in it, which shows itself as it was written."""

    written: str

    def __new__(cls, text: str, written: str) -> "_Filled":
        filled = super().__new__(cls, text)
        filled.written = written
        return filled

    def __repr__(self) -> str:
        return repr(self.written)


S = TypeVar("S", bound=Settings)


def validate_settings(model: type[S], content: dict[str, Any], *, file: str) -> S:
    """Check the content of a configuration file against its model.

    Parameters
    ----------
    model : type
        A subclass of :class:`Settings`.
    content : dict
        What was read.
    file : str
        The file's name, for the message.

    Returns
    -------
    Settings
        An instance of `model`.

    Raises
    ------
    ConfigurationError
        With the first wrong key, and the near one where a key is unknown.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False)
        # A needed key that is missing is mostly one that was misspelt.
        telling = [
            one for kind in ("extra_forbidden", "missing") for one in found if one["type"] == kind
        ]
        first = (telling or found)[0]
        keys = _as_written(model, first["loc"])
        place = ".".join(str(part) for part in keys)
        if first["type"] == "extra_forbidden":
            raise _unknown_key(model, keys, file) from error
        if first["type"] == "missing":
            raise ConfigurationError(
                f"'{place}' in {file} is missing.",
                "Nothing is taken for granted in its place.",
                f"write {keys[-1]} = …; docs/cli.md lists what each key takes.",
            ) from error
        raise ConfigurationError(
            f"'{place}' in {file}: {first['msg']}.",
            f"It was {first['input']!r}.",
            "correct the value; docs/cli.md lists what each key takes.",
        ) from error


def _as_written(model: type[BaseModel], place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the keys of the file, without what pydantic says of a value of one kind or another."""
    current: Any = model
    written: list[int | str] = []
    kinds: frozenset[str] = frozenset()
    for part in place:
        if part in kinds:
            kinds = frozenset()
            continue
        written.append(part)
        field = current.model_fields.get(str(part)) if current is not None else None
        if field is None:
            kinds = frozenset()
            continue
        is_union = get_origin(field.annotation) in {Union, UnionType}
        choices = get_args(field.annotation) if is_union else ()
        kinds = frozenset(getattr(choice, "__name__", "") for choice in choices)
        current = _model_in(field.annotation)
    return tuple(written)


def _unknown_key(
    model: type[Settings], place: tuple[int | str, ...], file: str
) -> ConfigurationError:
    known = _keys_at(model, place[:-1])
    near = nearest(str(place[-1]), known)
    where = f"[{'.'.join(str(part) for part in place[:-1])}]" if place[:-1] else "the top level"
    return ConfigurationError(
        f"{where} of {file} has no key '{place[-1]}'.",
        "A key that is not known would be a setting that silently does nothing.",
        f"did you mean '{near}'?" if near else f"use one of {', '.join(sorted(known))}.",
    )


def _keys_at(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """Return the keys a model knows below a place, following fields and dicts of models."""
    current: Any = model
    for part in place:
        if current is None:
            return []
        field = current.model_fields.get(str(part))
        # A name chosen by the user, as in [tables.orders], stays on the model of its kind.
        current = _model_in(field.annotation) if field else current
    return list(current.model_fields) if current is not None else []


def _model_in(annotation: Any) -> Any:  # noqa: ANN401 - a type expression
    """Return the settings model inside ``dict[str, M]``, ``M | None`` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
