"""How is it known who was erased, without knowing them?

A tombstone is the HMAC-SHA-256 of a contact's id, e-mail or phone under a key that lies in a file of
its own beside the state. Who has the state without the key cannot try out addresses; who has both
can tell of an address whether it was erased, which is what an import needs.
"""

import hmac
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import duckdb
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.behaviour import Behaviour

__all__ = ["Erased", "WithoutErased", "erasure_key", "marks_of", "without_erased"]

_KEY_BYTES: Final = 32
_BLOCK: Final = 64
"""Bytes that SHA-256 takes at a time."""
Flags: TypeAlias = npt.NDArray[np.bool_]


def erasure_key(path: Path | str) -> bytes:
    """Return the key of the tombstones, made where there is none yet.

    Parameters
    ----------
    path : Path or str
        Its file, readable by its owner alone; ``erasure.key`` beside the state file.

    Returns
    -------
    bytes
        32 bytes.

    Raises
    ------
    ConfigurationError
        Where the file is not such a key, or others may read it.
    """
    file = Path(path)
    if not file.exists():
        _write_key(file)
    if file.stat().st_mode & 0o077:
        what = f"The key {file} can be read by others."
        why = "With it, erased addresses could be tried out."
        raise ConfigurationError(what, why, f"run: chmod 600 {file}")
    key = file.read_bytes()
    if len(key) != _KEY_BYTES:
        what = f"The file {file} is not a key of {_KEY_BYTES} bytes."
        why = "People who were erased could not be told from others."
        raise ConfigurationError(what, why, "restore it from a copy.")
    return key


def _write_key(file: Path) -> None:
    # Written aside first: a run that is killed never leaves half a key in place.
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as opened:
        opened.write(secrets.token_bytes(_KEY_BYTES))
        opened.flush()
        os.fsync(opened.fileno())
    fresh.replace(file)


def marks_of(
    key: bytes, *, ids: Iterable[str] = (), emails: Iterable[str] = (), phones: Iterable[str] = ()
) -> frozenset[str]:
    """Return the tombstones of a person.

    Parameters
    ----------
    key : bytes
        See :func:`erasure_key`.
    ids, emails, phones : iterable of str
        What they are known by; addresses however written.

    Returns
    -------
    frozenset of str
        64 hex digits each.
    """
    texts = [f"contact:{one}" for one in ids]
    texts += [f"email:{one.strip().lower()}" for one in emails if one.strip()]
    texts += [f"phone:{digits}" for digits in map(_digits, phones) if digits]
    return frozenset(hmac.new(key, text.encode(), "sha256").hexdigest() for text in texts)


def _digits(phone: str) -> str:
    digits = re.sub(r"[^0-9]", "", phone)
    return digits.removeprefix("00")


_MARKS: Final = """
    SELECT sha256($outer || unhex(sha256($inner || encode(text)))) IN (SELECT mark FROM marks) AS hit
    FROM (SELECT $prefix || {written} AS text, number FROM column_asked) ORDER BY number"""
"""HMAC as RFC 2104 builds it: a million in a second, where Python takes them one by one."""

_WRITTEN: Final = {
    "contact": "value",
    "email": "lower(trim(value, ' \t\n\r'))",
    "phone": "regexp_replace(regexp_replace(value, '[^0-9]', '', 'g'), '^00', '')",
}


@dataclass(frozen=True, slots=True)
class Erased:
    """Who was erased.

    Parameters
    ----------
    key : bytes
        See :func:`erasure_key`.
    marks : frozenset of str
        The tombstones; see ``StateStore.tombstones``.

    References
    ----------
    Krawczyk, Bellare and Canetti (1997). HMAC: keyed-hashing for message authentication. RFC 2104.
    """

    key: bytes
    marks: frozenset[str]

    def mask(
        self,
        ids: pa.ChunkedArray | pa.Array | None = None,
        *,
        emails: pa.ChunkedArray | pa.Array | None = None,
        phones: pa.ChunkedArray | pa.Array | None = None,
    ) -> Flags:
        """Say of each row whether its contact was erased.

        Parameters
        ----------
        ids, emails, phones : pyarrow.Array of string, shape (n,), optional
            What a row is known by; any of them that was erased counts.

        Returns
        -------
        ndarray of bool, shape (n,)
            True for those erased; missing values never are.
        """
        columns = {"contact": ids, "email": emails, "phone": phones}
        given = {name: column for name, column in columns.items() if column is not None}
        count = max((len(column) for column in given.values()), default=0)
        hit = np.zeros(count, dtype=np.bool_)
        if self.marks:
            for name, column in given.items():
                hit |= self._hits(name, column)
        return hit

    def _hits(self, name: str, column: pa.ChunkedArray | pa.Array) -> Flags:
        padded = self.key.ljust(_BLOCK, b"\0")
        asked = pa.table({"value": column.cast(pa.string()), "number": np.arange(len(column))})
        with duckdb.connect() as connection:
            connection.register("column_asked", asked)
            connection.register("marks", pa.table({"mark": sorted(self.marks)}))
            values = {
                "outer": bytes(byte ^ 0x5C for byte in padded),
                "inner": bytes(byte ^ 0x36 for byte in padded),
                "prefix": f"{name}:",
            }
            query = _MARKS.format(written=_WRITTEN[name])
            found = connection.execute(query, values).to_arrow_table()["hit"]
        flags: Flags = found.fill_null(False).to_numpy()  # noqa: FBT003
        return flags


def without_erased(contacts: pa.Table, erased: Erased) -> pa.Table:
    """Return a table without the rows of people who were erased: what an import keeps.

    Parameters
    ----------
    contacts : pyarrow.Table
        With any of ``contact_id``, ``email`` and ``phone``.
    erased : Erased
        Who was.

    Returns
    -------
    pyarrow.Table
        The other rows.
    """
    names = {"ids": "contact_id", "emails": "email", "phones": "phone"}
    known = {arg: contacts[name] for arg, name in names.items() if name in contacts.column_names}
    if not erased.marks or not known:
        return contacts
    return contacts.filter(pa.array(~erased.mask(**known)))


class WithoutErased:
    """A source of behaviour in which those who were erased do not occur.

    Parameters
    ----------
    events : Behaviour
        The source. Its contacts are read once, where anybody was erased at all.
    erased : Erased
        Who was.
    """

    def __init__(self, events: Behaviour, erased: Erased) -> None:
        self._events = events
        self._gone = _contacts_erased(events, erased)

    def has(self, table: str) -> bool:
        """Say whether there is a table of that name."""
        return self._events.has(table)

    def table(self, name: str) -> ir.Table:
        """Return one of the tables of the data contract, without the rows of those erased."""
        return self._without(self._events.table(name))

    def activity(self, *types: str) -> ir.Table:
        """Return the behaviour of the given types, without that of those erased."""
        return self._without(self._events.activity(*types))

    def _without(self, table: ir.Table) -> ir.Table:
        if not self._gone or "contact_id" not in table.columns:
            return table
        contact = table["contact_id"].cast("string")
        return table.filter(contact.isnull() | ~contact.isin(self._gone))


def _contacts_erased(events: Behaviour, erased: Erased) -> list[str]:
    if not erased.marks or not events.has("contacts"):
        return []
    contacts = events.table("contacts")
    wanted = [name for name in ("contact_id", "email", "phone") if name in contacts.columns]
    rows = contacts.select(*(contacts[name].cast("string") for name in wanted)).to_pyarrow()
    rows = rows.rename_columns(wanted)
    names = {"contact_id": "ids", "email": "emails", "phone": "phones"}
    hit = erased.mask(**{names[name]: rows[name] for name in wanted})
    found: list[str] = rows["contact_id"].filter(pa.array(hit)).unique().to_pylist()
    return [one for one in found if one is not None]
