"""How is a person left alone, told everything that is kept, or forgotten?"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market import Market
from mlmarket.market.columns import CHANNELS, CONTACT_ID
from mlmarket.orchestration import Erased, StateStore, erase_from_files, erasure_key

if TYPE_CHECKING:
    from mlmarket.nightly.night import Night

__all__ = [
    "ForgottenPerson",
    "everything_about",
    "forget_person",
    "suppress_person",
    "without_erased_people",
]

_KEY: Final = "erasure.key"
_ADDRESSES: Final = ("email", "phone", "external_id")


def _key_file(night: "Night") -> Path:
    return night.workspace.state.parent / _KEY


def without_erased_people(night: "Night", market: Market) -> Market:
    """Return the market without those who were erased, though a later import has them again.

    Parameters
    ----------
    night : Night
        Its state holds the tombstones.
    market : Market
        The tables as they are.

    Returns
    -------
    Market
        Itself where nobody was erased.
    """
    key = _key_file(night)
    if not key.is_file() or not night.workspace.state.is_file():
        return market
    with StateStore.open(night.workspace.state) as store:
        erased = Erased(erasure_key(key), store.tombstones())
    contacts = market.table("contacts")
    wanted = [one for one in (CONTACT_ID, "email", "phone") if one in contacts.columns]
    rows = contacts.select(*wanted).to_pyarrow()
    known = {"ids": CONTACT_ID, "emails": "email", "phones": "phone"}
    gone = erased.mask(**{arg: rows[name] for arg, name in known.items() if name in wanted})
    return market.without(rows[CONTACT_ID].filter(gone).to_pylist()) if gone.any() else market


def suppress_person(
    night: "Night", contact_id: str, *, channel: str | None, reason: str, by: str
) -> None:
    """Let nobody write to a person any more.

    Parameters
    ----------
    night : Night
        Its state.
    contact_id : str
        The person.
    channel : str or None
        Only here; None for everywhere.
    reason : str
        Why, in a word.
    by : str
        Who says so.

    Raises
    ------
    ConfigurationError
        Where there is no such channel or person.
    """
    if channel is not None and channel not in CHANNELS:
        raise ConfigurationError(
            f"There is no channel '{channel}'.",
            "The person would go on being written to.",
            suggestion(channel, CHANNELS),
        )
    contacts = night.market(check=False).table("contacts")
    if not contacts.filter(contacts[CONTACT_ID] == contact_id).count().to_pyarrow().as_py():
        raise ConfigurationError(
            f"Nobody with the contact_id '{contact_id}' is known.",
            "Whoever was meant would go on being written to.",
            "check the id: it is the one of your contacts table, not an e-mail address.",
        )
    night.workspace.state.parent.mkdir(parents=True, exist_ok=True)
    with night.workspace.locked(), StateStore.open(night.workspace.state) as store:
        store.suppress(contact_id, channel, reason, datetime.now(UTC), by=by)


@dataclass(frozen=True, slots=True)
class ForgottenPerson:
    """What was removed.

    Parameters
    ----------
    contact_id : str
        Who it was; the last time the id is written.
    rows : dict of str to int
        Rows removed, by table of the state and by file.
    in_flight : int
        Messages that somebody was handing over at that moment.
    left : tuple of Path
        Files that cannot be rewritten and still name the person; they have to be deleted.
    """

    contact_id: str
    rows: dict[str, int]
    in_flight: int
    left: tuple[Path, ...]

    def to_text(self) -> str:
        """Return it in lines to read.

        Returns
        -------
        str
            What was removed from where, and what is left to do.
        """
        lines = [f"{name:40} {count:>8,} row(s) removed" for name, count in self.rows.items()]
        if self.in_flight:
            lines.append(f"{self.in_flight} message(s) were on their way and may arrive.")
        lines += [f"Delete by hand, it names the person: {path}" for path in self.left]
        lines.append("store/ and mlmarket.duckdb were removed; the next night makes them again.")
        lines.append(
            f"{self.contact_id} is forgotten here, and left out where an import has them again. "
            "Your own tables and your mailer are yours to clear."
        )
        return "\n".join(lines)


def forget_person(night: "Night", contact_id: str) -> ForgottenPerson:
    """Remove a person from state, runs, history, exports and what is prepared from tables.

    Parameters
    ----------
    night : Night
        Its folder.
    contact_id : str
        The person.

    Returns
    -------
    ForgottenPerson
        What was removed. Tombstones keep the next import from bringing the person back.
    """
    workspace = night.workspace
    workspace.state.parent.mkdir(parents=True, exist_ok=True)
    addresses = _addresses(night, contact_id)
    with workspace.locked():
        with StateStore.open(workspace.state) as store:
            done = store.forget(
                contact_id,
                key=erasure_key(_key_file(night)),
                at=datetime.now(UTC),
                addresses=addresses,
            )
        known = done.addresses | set(addresses)
        folders = [workspace.runs, workspace.history, *_exports(night)]
        files = erase_from_files([one for one in folders if one.exists()], contact_id, known)
        _remove_prepared(night)
    rows = {table: count for table, count in done.rows.items() if count}
    rows |= {str(path.relative_to(workspace.root)): n for path, n in files.rows.items()}
    return ForgottenPerson(contact_id, rows, done.in_flight, files.left)


def _addresses(night: "Night", contact_id: str) -> list[str]:
    """Return the addresses that the tables have of a person."""
    contacts = night.market(check=False).table("contacts")
    wanted = [name for name in _ADDRESSES if name in contacts.columns]
    rows = contacts.filter(contacts[CONTACT_ID] == contact_id).select(*wanted).to_pyarrow()
    return [str(one) for row in rows.to_pylist() for one in row.values() if one]


def _exports(night: "Night") -> list[Path]:
    """Return the folders that files were handed over to."""
    folder = night.config.parent.absolute()
    named = [getattr(one, "folder", None) for one in night.settings.handover.values()]
    return [folder / name for name in named if name is not None]


def _remove_prepared(night: "Night") -> None:
    """Remove what every night can make again: behaviour by contact, and the file for SQL."""
    import shutil

    shutil.rmtree(night.workspace.store, ignore_errors=True)
    night.workspace.database.unlink(missing_ok=True)


def everything_about(night: "Night", contact_id: str) -> dict[str, Any]:
    """Return all that is kept about a person: the state, the last predictions, the tables.

    Parameters
    ----------
    night : Night
        Its folder.
    contact_id : str
        The person.

    Returns
    -------
    dict
        Ready for JSON.
    """
    import pyarrow.parquet as pq

    from mlmarket.nightly.predictions import contacts_file

    found: dict[str, Any] = {"contact_id": contact_id, "state": {}, "predictions": {}, "tables": {}}
    if night.workspace.state.is_file():
        with StateStore.open(night.workspace.state) as store:
            found["state"] = store.export_person(contact_id)
    for day in night.workspace.predicted():
        file = contacts_file(night.workspace.run(day).path)
        rows = pq.read_table(file, filters=[(CONTACT_ID, "=", contact_id)]).to_pylist()
        if rows:
            found["predictions"][day.isoformat()] = rows[0]
    market = night.market(check=False)
    for name, table in market.tables.items():
        if CONTACT_ID in table.columns:
            mine = table.filter(table[CONTACT_ID] == contact_id).to_pyarrow().to_pylist()
            if mine:
                found["tables"][name] = mine
    return found
