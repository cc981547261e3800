"""What does ``[handover.NAME]`` of ``mlmarket.toml`` say?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market.columns import CHANNELS
from mlmarket.market.settings import Settings
from mlmarket.market.time import parse_duration
from mlmarket.orchestration.handover.adapter import KINDS, Adapter, Route, refuse_overlaps
from mlmarket.orchestration.handover.backoff import Retries
from mlmarket.orchestration.handover.database import TableAdapter
from mlmarket.orchestration.handover.files import FileAdapter
from mlmarket.orchestration.handover.signing import Secret
from mlmarket.orchestration.handover.webhook import WebhookAdapter

__all__ = [
    "FileHandoverSettings",
    "HandoverSettings",
    "TableHandoverSettings",
    "WebhookHandoverSettings",
    "adapters",
]

_NAME_OF_VARIABLE: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"


def _known_kind(kind: str) -> str:
    if kind not in KINDS:
        what = f"There is no kind of row '{kind}' in the outbox."
        raise ConfigurationError(what, "The way would never be taken.", suggestion(kind, KINDS))
    return kind


def _known_channel(channel: str) -> str:
    if channel not in CHANNELS:
        what = f"There is no channel '{channel}'."
        why = "The way would never be taken."
        raise ConfigurationError(what, why, suggestion(channel, CHANNELS))
    return channel


def _duration(text: str) -> str:
    parse_duration(text)
    return text


Kind = Annotated[str, AfterValidator(_known_kind)]
Channel = Annotated[str, AfterValidator(_known_channel)]
Duration = Annotated[str, AfterValidator(_duration)]
BatchSize = Annotated[int, Field(ge=1, le=1_000_000)]


class _Common(Settings):
    kinds: Annotated[list[Kind], Field(min_length=1)]
    channels: Annotated[list[Channel], Field(min_length=1)] | None = None
    attempts: Annotated[int, Field(ge=1, le=50)] = 8
    first_wait: Duration = "1min"
    longest_wait: Duration = "12H"

    @property
    def route(self) -> Route:
        """Which rows go this way."""
        channels = None if self.channels is None else frozenset(self.channels)
        return Route(frozenset(self.kinds), channels)

    @property
    def retries(self) -> Retries:
        """How often and how patiently each row is tried."""
        first, longest = parse_duration(self.first_wait), parse_duration(self.longest_wait)
        return Retries(attempts=self.attempts, first=first, longest=max(first, longest))


class FileHandoverSettings(_Common):
    """``[handover.NAME]`` with ``type = "csv"`` or ``"parquet"``: one file a batch.

    Parameters
    ----------
    kinds : list of str
        The kinds of rows: message, alert, task, set_field, tag, audience, webhook.
    channels : list of str, optional
        Only rows with one of these channels.
    folder : str, default "handover"
        Relative to the configuration.
    honours_keys : bool, default False
        Whether whoever reads the files skips idempotency keys that were read before.
    batch : int, default 50_000
        Rows of a file at most.
    attempts, first_wait, longest_wait
        How often a row is tried (8 times), and how patiently (1min, up to 12H).
    """

    type: Literal["csv", "parquet"]
    folder: str = "handover"
    honours_keys: Annotated[bool, Field(strict=True)] = False
    batch: BatchSize = 50_000

    def adapter(self, name: str, folder: Path, environ: Mapping[str, str]) -> Adapter:  # noqa: ARG002
        """Return the way that is described here; see :func:`adapters`."""
        return FileAdapter(
            name=name,
            folder=folder / self.folder,
            form=self.type,
            route=self.route,
            batch=self.batch,
            honours_keys=self.honours_keys,
            retries=self.retries,
        )


class TableHandoverSettings(_Common):
    """``[handover.NAME]`` with ``type = "table"``: rows of a database.

    Parameters
    ----------
    kinds, channels, attempts, first_wait, longest_wait
        See :class:`FileHandoverSettings`.
    connection : str
        An Ibis address, ``duckdb://…`` or ``postgres://…``; keep secrets in ``${NAME}``.
    table : str, default "mlmarket_outbox"
        ``table`` or ``schema.table``; made if it is not there.
    batch : int, default 10_000
        Rows of a transaction at most.
    """

    type: Literal["table"]
    connection: str
    table: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$")] = "mlmarket_outbox"
    batch: BatchSize = 10_000

    def adapter(self, name: str, folder: Path, environ: Mapping[str, str]) -> Adapter:  # noqa: ARG002
        """Return the way that is described here; see :func:`adapters`."""
        return TableAdapter(
            name=name,
            connection=self.connection,
            table=self.table,
            route=self.route,
            batch=self.batch,
            folder=folder,
            retries=self.retries,
        )


class WebhookHandoverSettings(_Common):
    """``[handover.NAME]`` with ``type = "webhook"``: a signed request a row.

    Parameters
    ----------
    kinds, channels, attempts, first_wait, longest_wait
        See :class:`FileHandoverSettings`.
    url : str
        ``https``, or ``http`` on this machine.
    secret : str
        The *name* of the environment variable that holds ``whsec_…``.
    former_secret : str, optional
        The name of the one that holds the former secret, while receivers change over.
    honours_keys : bool, default False
        Whether the receiver does nothing twice that has the same ``webhook-id``.
    batch : int, optional
        Rows in doubt at most where a process dies: 100, or 1 without ``honours_keys``.
    timeout : float, default 20.0
        Seconds that the receiver may be silent.
    """

    type: Literal["webhook"]
    url: str
    secret: Annotated[str, Field(pattern=_NAME_OF_VARIABLE)]
    former_secret: Annotated[str, Field(pattern=_NAME_OF_VARIABLE)] | None = None
    honours_keys: Annotated[bool, Field(strict=True)] = False
    batch: BatchSize | None = None
    timeout: Annotated[float, Field(gt=0.0, le=300.0)] = 20.0

    def adapter(self, name: str, folder: Path, environ: Mapping[str, str]) -> Adapter:  # noqa: ARG002
        """Return the way that is described here; see :func:`adapters`."""
        variables = [one for one in (self.secret, self.former_secret) if one is not None]
        return WebhookAdapter(
            name=name,
            url=self.url,
            secrets=tuple(Secret.from_environment(one, environ) for one in variables),
            route=self.route,
            honours_keys=self.honours_keys,
            batch=self.batch or 0,
            timeout=self.timeout,
            retries=self.retries,
        )


HandoverSettings = Annotated[
    FileHandoverSettings | TableHandoverSettings | WebhookHandoverSettings,
    Field(discriminator="type"),
]
"""One ``[handover.NAME]``; ``type`` says which."""


def adapters(
    settings: Mapping[str, HandoverSettings], folder: Path, environ: Mapping[str, str]
) -> list[Adapter]:
    """Return the ways that are configured.

    Parameters
    ----------
    settings : mapping of str to HandoverSettings
        By name.
    folder : Path
        What paths are relative to.
    environ : mapping of str to str
        Where secrets are.

    Returns
    -------
    list of Adapter
        In the order of their names.

    Raises
    ------
    ConfigurationError
        Where a secret is missing, an address is refused, or two would take the same row.
    """
    ways = [one.adapter(name, folder, environ) for name, one in sorted(settings.items())]
    refuse_overlaps(ways)
    return ways
