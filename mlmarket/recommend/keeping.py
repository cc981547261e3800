"""How is a recommender kept on disk, and read again?

Models in native formats (arrays as npz, trees as LightGBM's text), tables as Parquet, never pickle. A card holds a
digest of every file: half of one training with half of another is refused.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlmarket.market.columns import CONTACT_ID
from mlmarket.prediction.fitted import CARD, changed_model, digest_of_file, read_card
from mlmarket.prediction.learner import write_json
from mlmarket.recommend.fallbacks import Fallbacks
from mlmarket.recommend.identity import IdKind
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.probability import SlotProbability
from mlmarket.recommend.ranking.model import RankingModel
from mlmarket.recommend.ranking.restoring import model_from_state, model_to_state
from mlmarket.recommend.storage import read_state, write_state

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Learned", "keep", "read_kept", "version_of"]

_MODEL: Final = "model"
_ITEMS: Final = "items.parquet"
_HISTORIES: Final = "histories.parquet"
_CONTACTS: Final = "contacts.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What a recommender knows.

    Parameters
    ----------
    model : RankingModel
        Ranks.
    fallbacks : Fallbacks
        What is popular.
    probability : SlotProbability or None
        How likely slots are bought.
    facts : ItemFacts
        Of the catalogue.
    histories : Interactions
        Of everybody it learned from.
    contacts : pyarrow.Table or None
        Facts about contacts.
    segments : mapping of str to pyarrow.StringArray
        Names of segments, by column of contacts.
    kinds : tuple of IdKind
        What ids are made of.
    as_of : datetime or None
        When it learned; None where only an order is known.
    """

    model: RankingModel
    fallbacks: Fallbacks
    probability: SlotProbability | None
    facts: ItemFacts
    histories: Interactions
    contacts: "pa.Table | None"
    segments: "Mapping[str, pa.StringArray]"
    kinds: tuple[IdKind, IdKind]
    as_of: datetime | None


def keep(
    learned: Learned,
    folder: Path,
    kind: str,
    parameters: Mapping[str, object],
    *,
    histories: bool = True,
) -> None:
    """Write what was learned.

    Parameters
    ----------
    learned : Learned
        What.
    folder : Path
        Made where it does not exist.
    kind : str
        Name of the class that reads it.
    parameters : mapping of str to object
        Its arguments, as plain values.
    histories : bool, default True
        Whether the histories are written, and what is known of contacts.
    """
    import pyarrow.parquet as pq

    if not histories:
        learned = replace(learned, histories=learned.histories.chunk(0, 0), contacts=None)
    folder.mkdir(parents=True, exist_ok=True)
    write_state(_state(learned), folder, _MODEL)
    pq.write_table(learned.facts.table, folder / _ITEMS)
    pq.write_table(_as_table(learned.histories), folder / _HISTORIES)
    if learned.contacts is not None:
        pq.write_table(learned.contacts, folder / _CONTACTS)
    files = {path.name: digest_of_file(path) for path in sorted(folder.iterdir())}
    files.pop(CARD, None)
    card = {
        "kind": kind,
        "parameters": dict(parameters),
        "as_of": None if learned.as_of is None else learned.as_of.isoformat(),
        "files": files,
    }
    write_json(folder / CARD, card)


def read_kept(folder: Path, kind: str) -> tuple[Learned, dict[str, Any]]:
    """Read what :func:`keep` wrote.

    Parameters
    ----------
    folder : Path
        Where it was written.
    kind : str
        Name of the class that reads it.

    Returns
    -------
    learned : Learned
        The same.
    parameters : dict of str to object
        Arguments of the class.

    Raises
    ------
    ConfigurationError
        Where there is none, it is of another class, or its files were changed.
    """
    card = read_card(folder, kind)
    for name, digest in card["files"].items():
        if not (folder / name).exists() or digest_of_file(folder / name) != digest:
            raise changed_model(folder)
    as_of = card["as_of"]
    try:
        learned = _read_learned(folder, None if as_of is None else datetime.fromisoformat(as_of))
    except (KeyError, TypeError) as error:  # another version of the package kept other things
        raise changed_model(folder) from error
    return learned, card["parameters"]


def _read_learned(folder: Path, as_of: datetime | None) -> Learned:
    import pyarrow.parquet as pq

    state = read_state(folder, _MODEL)
    table = pq.read_table(folder / _ITEMS)
    facts = ItemFacts(table.column(ITEM_ID).combine_chunks(), table)
    contacts = folder / _CONTACTS
    return Learned(
        model=model_from_state(state["ranking"]),
        fallbacks=Fallbacks.from_state(state["fallbacks"]),
        probability=_probability(state["probability"]),
        facts=facts,
        histories=_histories(pq.read_table(folder / _HISTORIES), facts, state["now"]),
        contacts=pq.read_table(contacts) if contacts.exists() else None,
        segments={column: _texts(names) for column, names in state["segments"]},
        kinds=_kinds(state["kinds"]),
        as_of=as_of,
    )


def version_of(learned: Learned) -> str:
    """Return which trained model it is: its date, what ranks, and a digest of what decides an answer.

    Parameters
    ----------
    learned : Learned
        What was learned.

    Returns
    -------
    str
        Such as ``2026-06-01-lambdarank-1f3a9c20``.
    """
    with tempfile.TemporaryDirectory() as place:
        write_state(_state(learned), Path(place), _MODEL)
        content = "".join(digest_of_file(path) for path in sorted(Path(place).iterdir()))
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    day = "order" if learned.as_of is None else learned.as_of.date().isoformat()
    return f"{day}-{learned.model.choice_.ranker}-{digest}"


def _state(learned: Learned) -> dict[str, Any]:
    return {
        "ranking": model_to_state(learned.model),
        "fallbacks": learned.fallbacks.to_state(),
        "probability": None if learned.probability is None else learned.probability.to_state(),
        "segments": [[column, names.to_pylist()] for column, names in learned.segments.items()],
        "kinds": [[kind.column, kind.integer, kind.table] for kind in learned.kinds],
        "now": learned.histories.now,
    }


def _probability(state: Mapping[str, Any] | None) -> SlotProbability | None:
    return None if state is None else SlotProbability.from_state(state)


def _kinds(state: list[list[Any]]) -> tuple[IdKind, IdKind]:
    contact, item = (IdKind(*one) for one in state)
    return contact, item


def _texts(values: list[str]) -> "pa.StringArray":
    import pyarrow as pa

    return pa.array(values, pa.string())


def _as_table(histories: Interactions) -> "pa.Table":
    """Return the rows of histories; contacts without a row have one without an item."""
    import pyarrow as pa

    empty = np.flatnonzero(np.diff(histories.start) == 0)
    contact = np.concatenate([histories.contact, empty])
    order = np.argsort(contact, kind="stable")
    item = np.concatenate([histories.item, np.full(len(empty), -1, np.int32)])[order]
    at = np.concatenate([histories.at, np.zeros(len(empty))])[order]
    weight = np.concatenate([histories.weight, np.zeros(len(empty), np.float32)])[order]
    who = histories.contacts.take(pa.array(contact[order]))
    columns = {CONTACT_ID: who, "item": item, "at": at, "weight": weight}
    if histories.bought is not None:
        flags = np.concatenate([histories.bought, np.zeros(len(empty), np.bool_)])
        columns["bought"] = flags[order]
    return pa.table(columns)


def _histories(table: "pa.Table", facts: ItemFacts, now: float) -> Interactions:
    import pyarrow.compute as pc

    who = table.column(CONTACT_ID).combine_chunks()
    contacts = pc.unique(who)
    contact = pc.index_in(who, value_set=contacts).to_numpy(zero_copy_only=False)
    item, at, weight = (table.column(name).to_numpy() for name in ("item", "at", "weight"))
    there = item >= 0
    start = np.searchsorted(contact[there], np.arange(len(contacts) + 1)).astype(np.int64)
    bought = None
    if "bought" in table.column_names:
        bought = table.column("bought").to_numpy()[there]
    return Interactions(
        contacts,
        facts.ids,
        start,
        item[there],
        at[there],
        weight[there],
        float(now),
        bought=bought,
    )
