"""What is handed over, and what became of it?"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal

import pyarrow as pa

from mlmarket.orchestration.tables import OUTBOX

__all__ = ["Handover", "Result", "about_all", "handovers", "outbox_table", "plain_json"]

_KEY: Final = "idempotency_key"


@dataclass(frozen=True, slots=True)
class Handover:
    """One row of the outbox on its way to a receiver.

    Parameters
    ----------
    key : str
        The idempotency key: a receiver that keeps the keys it has seen never does one twice.
    kind : str
        ``message``, ``alert``, ``task``, ``set_field``, ``tag``, ``audience`` or ``webhook``.
    contact_id : str
        Whom it is about.
    external_id, email, phone : str or None
        The addresses there are.
    journey, version, enrolment_id, step : str
        What decided it.
    channel, topic, legal_basis : str or None
        How, about what and on which ground; missing for most that are no messages.
    transactional : bool
        Whether it is a message that a contract needs.
    template : str or None
        The mailer's name for the content.
    payload : mapping of str to object
        The filled-in slots of a message, or what the action says.
    priority : int
        Of the journey.
    not_before, expires_at : datetime
        Between which moments it may be handed over, in UTC without a zone.
    attempts : int
        How often it was claimed, this time included.
    """

    key: str
    kind: str
    contact_id: str
    external_id: str | None
    email: str | None
    phone: str | None
    journey: str
    version: str
    enrolment_id: str
    step: str
    channel: str | None
    topic: str | None
    legal_basis: str | None
    transactional: bool
    template: str | None
    payload: Mapping[str, object]
    priority: int
    not_before: datetime
    expires_at: datetime
    attempts: int = 0

    def to_row(self) -> dict[str, object]:
        """Return it as the outbox has it, with the payload as JSON.

        Returns
        -------
        dict
            One value a column of :data:`~mlmarket.orchestration.tables.OUTBOX`.
        """
        row = {name: getattr(self, name) for name in OUTBOX.names if name != _KEY}
        return {_KEY: self.key, **row, "payload": plain_json(self.payload)}

    def to_event(self) -> dict[str, object]:
        """Return it as the body of a webhook says it; each attempt says the same.

        Returns
        -------
        dict
            ``type``, ``timestamp`` and ``data``, as Standard Webhooks recommends.
        """
        data = {
            **self.to_row(),
            "payload": dict(self.payload),
            "not_before": _instant(self.not_before),
            "expires_at": _instant(self.expires_at),
        }
        return {"type": f"handover.{self.kind}", "timestamp": data["not_before"], "data": data}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one handover.

    Parameters
    ----------
    key : str
        Its idempotency key.
    status : {"sent", "failed", "retry", "unknown"}
        ``failed`` will not get better by trying again; ``retry`` was certainly not done, or may be
        done again without harm; ``unknown`` may have been done and must not be repeated.
    error : str, optional
        Why it was not sent.
    receiver_id : str, optional
        What the receiver calls it.
    retry_after : timedelta, optional
        How long the receiver asks to be left alone.
    receiver_answers : bool, default True
        False where the receiver as a whole takes nothing now, so that others need not be tried.
    tried : bool, default True
        False where it did not come to an attempt, so that it certainly did not arrive.
    """

    key: str
    status: Literal["sent", "failed", "retry", "unknown"]
    error: str | None = None
    receiver_id: str | None = None
    retry_after: timedelta | None = None
    receiver_answers: bool = True
    tried: bool = True


def handovers(table: pa.Table) -> tuple[list[Handover], list[Result]]:
    """Read rows of the outbox; a row that cannot be read is that row's failure only.

    Parameters
    ----------
    table : pyarrow.Table
        The columns of the outbox and, where there is one, ``attempts``.

    Returns
    -------
    list of Handover
        In the order of their keys, whatever the order of the rows.
    list of Result
        One that has failed for each row whose payload is no JSON object.
    """
    read: list[Handover] = []
    broken: list[Result] = []
    names = [field.name for field in fields(Handover) if field.name in table.column_names]
    for row in sorted(table.to_pylist(), key=lambda row: str(row[_KEY])):
        payload = _object(row["payload"])
        if payload is None:
            broken.append(Result(row[_KEY], "failed", "Its payload is not a JSON object."))
            continue
        values = {name: row[name] for name in names} | {"payload": payload}
        read.append(Handover(key=row[_KEY], **values))
    return read, broken


def _object(text: str | None) -> Mapping[str, object] | None:
    if text is None:
        return MappingProxyType({})
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return MappingProxyType(found) if isinstance(found, dict) else None


def outbox_table(batch: Sequence[Handover]) -> pa.Table:
    """Return handovers as a table of the outbox.

    Parameters
    ----------
    batch : sequence of Handover
        Any number.

    Returns
    -------
    pyarrow.Table
        With the documented columns, in the order of the keys.
    """
    rows = [one.to_row() for one in sorted(batch, key=lambda one: one.key)]
    return pa.Table.from_pylist(rows, schema=OUTBOX)


def plain_json(value: object) -> str:
    """Return JSON without spaces and with sorted keys, so that equal content is equal text.

    Parameters
    ----------
    value : object
        Of a payload or a body.

    Returns
    -------
    str
        JSON.

    Examples
    --------
    >>> plain_json({"b": 1, "a": "é"})
    '{"a":"é","b":1}'
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _instant(moment: datetime) -> str:
    return moment.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")


def about_all(
    batch: Iterable[Handover],
    status: Literal["sent", "failed", "retry", "unknown"],
    error: str | None = None,
    *,
    receiver_answers: bool = True,
) -> list[Result]:
    """Return the same result for each of several handovers.

    Parameters
    ----------
    batch : iterable of Handover
        The handovers.
    status : str
        See :class:`Result`.
    error : str, optional
        Why.
    receiver_answers : bool, default True
        See :class:`Result`.

    Returns
    -------
    list of Result
        One each, in the same order.
    """
    return [Result(one.key, status, error, receiver_answers=receiver_answers) for one in batch]
