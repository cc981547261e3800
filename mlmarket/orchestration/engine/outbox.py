"""What is handed over, to which addresses, and until when?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlmarket.market.columns import CHANNELS
from mlmarket.orchestration.behaviour import ADDRESSES
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.engine.passes import Passes, texts_by_code
from mlmarket.orchestration.engine.tokens import TRIGGER_ITEM, as_json, lacking, tokens_of
from mlmarket.orchestration.journeys.actions import (
    Alert,
    Audience,
    FieldUpdate,
    Message,
    Tag,
    Task,
    Webhook,
)
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.orchestration.journeys.nodes import Node
from mlmarket.orchestration.tables import OUTBOX, empty

__all__ = ["Outbox", "payload_of"]

Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]

_SENDS: Final = (Message, Audience)


def payload_of(content: object, now: datetime) -> Mapping[str, str]:
    """Return what an action says, by key, before tokens are filled in.

    Parameters
    ----------
    content : Action
        A message, an alert, a task, a field, a tag, an audience or a webhook.
    now : datetime
        From when the time for a task counts; UTC without a zone.

    Returns
    -------
    mapping of str to str
        The slots of a message; the data of a webhook, whose endpoint stands in ``template``.
    """
    said: Mapping[str, str | None] = {}
    if isinstance(content, Message):
        said = content.slots
    elif isinstance(content, Webhook):
        said = content.data
    elif isinstance(content, Alert):
        said = {"to": content.to, "text": content.text}
    elif isinstance(content, Task):
        due = None if content.due_in is None else (now + content.due_in).isoformat()
        said = {"title": content.title, "assignee": content.assignee, "due_at": due}
    elif isinstance(content, FieldUpdate):
        said = {"field": content.field, "value": content.value}
    elif isinstance(content, Tag):
        said = {"add": content.add, "remove": content.remove}
    elif isinstance(content, Audience):
        said = {"platform": content.platform, "add": content.add, "remove": content.remove}
    return {key: text for key, text in said.items() if text is not None}


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    place: int
    node: Node
    rows: Rows
    channel: Rows | None
    not_before: Times | None
    arrived: Times


class Outbox:
    """Collects what is to be handed over in a tick.

    Parameters
    ----------
    passes : Passes
        On whose behalf.
    now : datetime
        UTC without a zone.
    bench : Bench
        Where texts are filled in.
    """

    def __init__(self, passes: Passes, *, now: datetime, bench: Bench) -> None:
        self._passes, self._now, self._bench = passes, now, bench
        self._pieces: list[_Piece] = []

    def lacking(self, node: Node, rows: Rows) -> Flags:
        """Return for whom a token of a step has neither a value nor a default."""
        texts = payload_of(node.content, self._now)
        if not len(rows) or not any(tokens_of(text) for text in texts.values()):
            return np.zeros(len(rows), dtype=np.bool_)
        table = self._table(texts, rows)
        flag = lacking(texts, table)
        if flag is None:
            return np.zeros(len(rows), dtype=np.bool_)
        found = self._bench.to_pyarrow(table.select("n", lacks=flag).order_by("n"))
        flags: Flags = found["lacks"].to_numpy()
        return flags

    def put(
        self,
        place: int,
        node: Node,
        rows: Rows,
        *,
        channel: Rows | None = None,
        not_before: Times | None = None,
    ) -> None:
        """Hand over what a step says, for some rows.

        Parameters
        ----------
        place : int
            The version.
        node : Node
            The step.
        rows : ndarray of int64, shape (n,)
            The passes, before they move on.
        channel : ndarray of int64, shape (n,), optional
            The place among the channels.
        not_before : ndarray of datetime64[us], shape (n,), optional
            From when on; now by default.
        """
        if len(rows):
            arrived = self._passes.arrived[rows]
            self._pieces.append(_Piece(place, node, rows, channel, not_before, arrived))

    def table(self) -> pa.Table:
        """Return the outbox, and forget it.

        ``idempotency_key`` is the SHA-256 of ``enrolment_id|step|visit``: whichever tick decides
        it, one visit of one pass to one step has one key.
        """
        pieces, self._pieces = self._pieces, []
        if not pieces:
            return empty("outbox")
        key, order = self._keys(pieces)
        rows = np.concatenate([piece.rows for piece in pieces])[order]
        which = np.repeat(np.arange(len(pieces)), [len(piece.rows) for piece in pieces])[order]
        content = {
            "idempotency_key": key,
            **self._of_passes(rows),
            **self._addresses(rows),
            **self._of_steps(pieces, which),
            **self._of_pieces(pieces, order),
        }
        table = pa.table(content).select(OUTBOX.names).cast(OUTBOX)
        return table.combine_chunks().replace_schema_metadata(None)

    def _keys(self, pieces: Sequence[_Piece]) -> tuple[pa.ChunkedArray, Rows]:
        """Return the keys in their order, and the order."""
        visits = []
        for piece in pieces:
            if _is_in_loop(self._passes.versions[piece.place], piece.node):
                visits.append(np.datetime_as_string(piece.arrived, unit="us"))
            else:
                visits.append(np.full(len(piece.rows), "1"))
        rows = np.concatenate([piece.rows for piece in pieces])
        steps = np.repeat([piece.node.name for piece in pieces], [len(one.rows) for one in pieces])
        parts = ibis.memtable(
            pa.table(
                {
                    "n": np.arange(len(rows)),
                    "enrolment_id": self._passes.text("enrolment_id", rows),
                    "step": pa.array(steps, pa.string()),
                    "visit": pa.array(np.concatenate(visits), pa.string()),
                }
            )
        )
        whole = parts["enrolment_id"] + "|" + parts["step"] + "|" + parts["visit"]
        named = parts.select("n", key=whole.hexdigest("sha256")).order_by("key")
        found = self._bench.to_pyarrow(named)
        return found["key"], found["n"].to_numpy()

    def _of_passes(self, rows: Rows) -> dict[str, object]:
        passes = self._passes
        versions, version = passes.versions, passes.version[rows]
        return {
            "enrolment_id": passes.text("enrolment_id", rows),
            "contact_id": passes.contacts(rows),
            "journey": texts_by_code([one.journey for one in versions], version),
            "version": texts_by_code([one.version for one in versions], version),
            "legal_basis": texts_by_code([one.legal_basis for one in versions], version),
            "transactional": np.array([one.transactional for one in versions])[version],
            "priority": np.array([one.priority for one in versions], dtype=np.int32)[version],
            "expires_at": passes.expires[rows],
        }

    def _addresses(self, rows: Rows) -> dict[str, object]:
        people = self._passes.people
        whom = pa.array(self._passes.person[rows])
        found = {}
        for name in ADDRESSES:
            column = people.column(name, self._bench)
            found[name] = None if column is None else column.cast(pa.string()).take(whom)
        return {name: one for name, one in found.items() if one is not None}

    def _of_steps(self, pieces: Sequence[_Piece], which: Rows) -> dict[str, object]:
        texts: dict[str, list[str | None]] = {
            "step": [piece.node.name for piece in pieces],
            "kind": [piece.node.kind for piece in pieces],
            "topic": [self._topic(piece) for piece in pieces],
            "template": [_template(piece.node) for piece in pieces],
        }
        return {name: texts_by_code(values, which) for name, values in texts.items()}

    def _topic(self, piece: _Piece) -> str | None:
        content = piece.node.content
        if not isinstance(content, _SENDS):
            return None
        topic = self._passes.versions[piece.place].topic_of(content)
        return None if topic is None else topic.strip().lower()

    def _of_pieces(self, pieces: Sequence[_Piece], order: Rows) -> dict[str, object]:
        nobody = -1
        channel = np.concatenate(
            [
                np.full(len(piece.rows), nobody) if piece.channel is None else piece.channel
                for piece in pieces
            ]
        )
        not_before = np.concatenate(
            [
                np.full(len(piece.rows), self._passes.now)
                if piece.not_before is None
                else piece.not_before
                for piece in pieces
            ]
        )
        payload = pa.chunked_array([self._payload(piece) for piece in pieces], pa.string())
        return {
            "channel": texts_by_code(CHANNELS, channel[order]),
            "not_before": not_before[order],
            "payload": payload.take(pa.array(order)),
        }

    def _payload(self, piece: _Piece) -> pa.Array:
        texts = payload_of(piece.node.content, self._now)
        if not any(tokens_of(text) for text in texts.values()):
            plain = json.dumps(dict(sorted(texts.items())), ensure_ascii=False)
            return pa.repeat(pa.scalar(plain, pa.string()), len(piece.rows))
        table = self._table(texts, piece.rows)
        found = self._bench.to_pyarrow(
            table.select("n", payload=as_json(texts, table)).order_by("n")
        )
        return pa.concat_arrays(found["payload"].cast(pa.string()).chunks)

    def _table(self, texts: Mapping[str, str], rows: Rows) -> ir.Table:
        """Return the columns that some texts name, a row a pass."""
        names = {token.column for text in texts.values() for token in tokens_of(text)}
        content = {"n": np.arange(len(rows)), "who": self._passes.person[rows]}
        table = pa.table(content)
        if TRIGGER_ITEM in names:
            items = self._passes.text("trigger_item", rows)
            table = table.append_column(TRIGGER_ITEM, items)
            names.remove(TRIGGER_ITEM)
        people = self._passes.people.table
        there = sorted(names & set(people.columns) - {"person"})
        chosen = people.select("person", *there)
        asked = ibis.memtable(table)
        return asked.left_join(chosen, asked["who"] == chosen["person"])


def _template(node: Node) -> str | None:
    if isinstance(node.content, Message):
        return node.content.template
    return node.content.endpoint if isinstance(node.content, Webhook) else None


def _is_in_loop(journey: Journey, node: Node) -> bool:
    """Return whether a pass can come to a step a second time."""
    reached: set[int] = set()
    ahead = [node.next, *node.ways]
    while ahead:
        position = ahead.pop()
        if position == node.position:
            return True
        if position < len(journey.nodes) and position not in reached:
            reached.add(position)
            one = journey.nodes[position]
            ahead += [one.next, *one.ways]
    return False
