"""What would a few people really see, beside what they did before?

Measures say how often a list is right. Whether it looks right is seen by looking at some.
"""

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.evaluation.checks import require_count
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.frames import to_arrow
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.plain_text import is_web_address, one_line
from mlmarket.recommend.reading import ids
from mlmarket.recommend.recipients import asked_contacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import pyarrow as pa

__all__ = ["Card", "Gallery", "Seen", "gallery"]

_TABLE: Final = "recommendations"
_STYLE: Final = """
.mm-gallery{font:13px/1.35 system-ui,sans-serif;border-collapse:collapse;color:#222;background:#fff}
.mm-gallery caption{font-size:15px;font-weight:600;text-align:left;padding:4px 0 8px}
.mm-gallery th,.mm-gallery td{border-top:1px solid #ddd;padding:8px;vertical-align:top;text-align:left;max-width:170px}
.mm-gallery thead th{border-top:0;color:#666;font-weight:400}
.mm-gallery ul{margin:0;padding-left:14px;color:#555}
.mm-gallery img{display:block;width:72px;height:72px;object-fit:contain;margin-bottom:4px}
.mm-gallery b{display:block;font-weight:600}
.mm-gallery small{color:#666;display:block}
.mm-gallery i{color:#0072B2;display:block;font-style:normal}
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """An item as a person sees it.

    Parameters
    ----------
    item_id : str
        The item.
    title : str
        Its name; its id where none is known.
    image_url : str or None
        Its picture, if there is an address of the web.
    price : float or None
        In the business's currency.
    reason : str or None
        Why it is shown.
    source : str or None
        What proposed it.
    """

    item_id: str
    title: str
    image_url: str | None = None
    price: float | None = None
    reason: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One recipient.

    Parameters
    ----------
    contact_id : str
        Who.
    interactions : int
        How many there are of the recipient.
    history : tuple of Seen
        The latest items, the latest first, each once.
    items : tuple of Seen
        What is recommended, the best first.
    """

    contact_id: str
    interactions: int
    history: tuple[Seen, ...]
    items: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """Recipients with what they did and what they are shown.

    Parameters
    ----------
    cards : tuple of Card
        One a recipient.
    title : str
        Above the table.
    images : bool
        Whether pictures are shown; a reader's browser then fetches them from where they are.
    """

    cards: tuple[Card, ...]
    title: str
    images: bool

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a recipient and recommended item.

        Returns
        -------
        pandas.DataFrame
            ``contact_id, history, rank, item_id, title, price, reason, source``.
        """
        import pandas as pd

        columns = ("contact_id", "history", "rank", "item_id", "title", "price", "reason", "source")
        rows = [
            (
                card.contact_id,
                "; ".join(one.title for one in card.history),
                rank,
                *(getattr(item, name) for name in columns[3:]),
            )
            for card in self.cards
            for rank, item in enumerate(card.items, start=1)
        ]
        return pd.DataFrame(rows, columns=list(columns))

    def to_html(self) -> str:
        """Return a page of its own, which needs no other file but the pictures.

        Returns
        -------
        str
            HTML, without a script; every text from outside is escaped.
        """
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="referrer" content="no-referrer">'
            f"<title>{escape(one_line(self.title))}</title></head><body>{self._repr_html_()}</body></html>"
        )

    def _repr_html_(self) -> str:
        width = max((len(card.items) for card in self.cards), default=0)
        heads = "".join(f"<th>{place}</th>" for place in range(1, width + 1))
        rows = "".join(self._row(card, width) for card in self.cards)
        return (
            f'<style>{_STYLE}</style><table class="mm-gallery"><caption>{escape(one_line(self.title))}</caption>'
            f"<thead><tr><th>Contact</th><th>Latest</th>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        )

    def _row(self, card: Card, width: int) -> str:
        latest = "".join(f"<li>{escape(one.title)}</li>" for one in card.history)
        number = f"{card.interactions:,} interaction{'' if card.interactions == 1 else 's'}"
        cells = "".join(f"<td>{self._cell(item)}</td>" for item in card.items)
        empty = "<td></td>" * (width - len(card.items))
        return (
            f"<tr><th>{escape(one_line(card.contact_id))}<small>{number}</small></th>"
            f"<td><ul>{latest}</ul></td>{cells}{empty}</tr>"
        )

    def _cell(self, item: Seen) -> str:
        parts = []
        if self.images and item.image_url is not None:
            address = escape(item.image_url, quote=True)
            parts.append(
                f'<img src="{address}" alt="" loading="lazy" referrerpolicy="no-referrer">'
            )
        parts.append(f"<b>{escape(item.title)}</b>")
        if item.price is not None:
            parts.append(f"<small>{item.price:,.2f}</small>")
        if item.reason:
            parts.append(f"<i>{escape(item.reason)}</i>")
        if item.source:
            parts.append(f"<small>{escape(item.source)}</small>")
        return "".join(parts)


def gallery(
    recommendations: object,
    interactions: Interactions,
    facts: ItemFacts,
    *,
    contacts: "Sequence[str | int] | pa.StringArray | int" = 10,
    history: int = 5,
    title: str = "What these people would see",
    images: bool = True,
) -> Gallery:
    """Return some recipients with their history, their items and the reasons.

    Parameters
    ----------
    recommendations : Recommendations, pandas.DataFrame, polars.DataFrame or pyarrow.Table
        The long form: ``contact_id``, ``item_id``, ``rank``, and ``reason`` and ``source`` where there are.
    interactions : Interactions
        The histories the recommendations were made from.
    facts : ItemFacts
        Where titles, pictures and prices are read.
    contacts : sequence of str or int, pyarrow.StringArray, or int, default 10
        Who is shown, or how many: then recipients at even distances along the length of history, from the shortest to the
        longest, so that no favourable ones are picked.
    history : int, default 5
        How many of the latest items.
    title : str, default "What these people would see"
        Above the table.
    images : bool, default True
        Whether to show pictures where there are addresses of them.

    Returns
    -------
    Gallery
        For a notebook, a page or a frame.

    Raises
    ------
    ConfigurationError
        Where nobody can be shown.
    """
    table = to_arrow(recommendations, name=_TABLE)
    who, what = ids(table, CONTACT_ID, name=_TABLE), ids(table, ITEM_ID, name=_TABLE)
    wanted = _chosen(who, interactions, contacts)
    rows = _rows_of(wanted, who, table)
    told = {
        name: table.column(name).to_pylist() if name in table.column_names else [None] * len(who)
        for name in ("reason", "source")
    }
    cards = []
    for contact in wanted:
        items = tuple(
            _seen(what[row].as_py(), facts, told["reason"][row], told["source"][row])
            for row in rows[contact]
        )
        count, latest = _latest(contact, interactions, history)
        cards.append(Card(contact, count, tuple(_seen(one, facts) for one in latest), items))
    return Gallery(tuple(cards), title, images)


def _chosen(who: "pa.StringArray", interactions: Interactions, contacts: object) -> list[str]:
    import pyarrow.compute as pc

    present = pc.unique(who)
    if not isinstance(contacts, int):
        wanted: list[str] = asked_contacts(contacts).to_pylist()
        missing = sorted(set(wanted) - set(present.to_pylist()))
        if missing:
            raise ConfigurationError(
                f"{len(missing):,} of {len(wanted):,} contacts have no recommendation, such as '{missing[0]}'.",
                "There is nothing to show of them.",
                f"{suggestion(missing[0], present.to_pylist())} Or pass how many to show.",
            )
        return wanted
    require_count(contacts, "contacts")
    if not len(present):
        raise ConfigurationError(
            "There are no recommendations.",
            "There is nothing to show.",
            "recommend to somebody first.",
        )
    lengths = np.append(np.diff(interactions.start), 0)
    place = pc.fill_null(pc.index_in(present, value_set=interactions.contacts), -1).to_numpy()
    names = np.array(present.to_pylist(), dtype=object)
    order = np.lexsort((names.astype(str), lengths[place]))
    shown = np.linspace(0, len(order) - 1, min(contacts, len(order))).round().astype(np.int64)
    return [str(name) for name in names[order[shown]]]


def _rows_of(wanted: list[str], who: "pa.StringArray", table: "pa.Table") -> dict[str, list[int]]:
    """Return the rows of each of the contacts, by rank."""
    import pyarrow as pa
    import pyarrow.compute as pc

    mine = np.flatnonzero(
        pc.is_in(who, value_set=pa.array(wanted, pa.string())).to_numpy(zero_copy_only=False)
    )
    ranked = "rank" in table.column_names
    ranks = table.column("rank").to_numpy()[mine] if ranked else np.arange(len(mine))
    rows: dict[str, list[int]] = {contact: [] for contact in wanted}
    for row in mine[np.argsort(ranks, kind="stable")].tolist():
        rows[who[row].as_py()].append(row)
    return rows


def _latest(contact: str, interactions: Interactions, most: int) -> tuple[int, list[str]]:
    """Return how many interactions a contact has, and the latest items, each once."""
    import pyarrow.compute as pc

    place = pc.index(interactions.contacts, contact).as_py()
    if place < 0:
        return 0, []
    begin, end = (int(one) for one in interactions.start[place : place + 2])
    items = dict.fromkeys(interactions.item[begin:end][::-1].tolist())
    return end - begin, [interactions.items[one].as_py() for one in list(items)[:most]]


def _seen(
    item_id: str, facts: ItemFacts, reason: str | None = None, source: str | None = None
) -> Seen:
    import pyarrow.compute as pc

    place = pc.index(facts.ids, item_id).as_py()
    if place < 0:
        return Seen(item_id, one_line(item_id), reason=reason, source=source)
    row = facts.table.slice(place, 1).select(["title", "image_url", "price"]).to_pylist()[0]
    address = row["image_url"]
    return Seen(
        item_id=item_id,
        title=one_line(row["title"] or "") or one_line(item_id),
        image_url=address if is_web_address(address) else None,
        price=row["price"],
        reason=None if reason is None else one_line(reason),
        source=None if source is None else one_line(source),
    )
