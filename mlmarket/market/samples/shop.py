"""How is a whole shop made, as large as asked for, in bounded memory?"""

import importlib.resources
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.market.samples.baskets import fill_baskets, place_orders
from mlmarket.market.samples.browsing import browse
from mlmarket.market.samples.calendar import Calendar, build_calendar
from mlmarket.market.samples.campaigns import Campaigns, build_campaigns
from mlmarket.market.samples.catalogue import Catalogue, build_catalogue
from mlmarket.market.samples.draws import Ints
from mlmarket.market.samples.leads import draw_leads
from mlmarket.market.samples.life import live
from mlmarket.market.samples.mail import Postman
from mlmarket.market.samples.mail_rows import consent_rows, message_rows
from mlmarket.market.samples.oracle import foresee
from mlmarket.market.samples.people import draw_people
from mlmarket.market.samples.places import offsets
from mlmarket.market.samples.rows import (
    Story,
    contact_rows,
    event_rows,
    item_rows,
    order_rows,
    outcome_rows,
)
from mlmarket.market.samples.truth import campaign_truth, contact_truth, item_truth, oracle_rows
from mlmarket.market.samples.writer import TableWriter

__all__ = ["BLOCK", "Summary", "sample_folder", "simulate"]

BLOCK: Final = 5_000
"""Contacts that share one stream of chance; the outcome depends on nothing smaller or larger."""

_SHIPPED_SEED: Final = 20_260_701


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written.

    Parameters
    ----------
    folder : Path
        Where to.
    rows : mapping of str to int
        Number of rows by table, such as ``orders`` or ``truth/contacts``.
    """

    folder: Path
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _World:
    """What is the same for every contact of a shop."""

    seed: int
    calendar: Calendar
    catalogue: Catalogue
    campaigns: Campaigns
    ahead: Ints
    events_per_contact: float
    oracle: bool


def simulate(
    folder: str | Path,
    *,
    contacts: int = 5_000,
    months: int = 18,
    seed: int = _SHIPPED_SEED,
    events_per_contact: float = 50.0,
    chunk: int = 50_000,
    oracle: bool = True,
) -> Summary:
    """Simulate a shop and write its seven tables, with the truth beside them.

    The same arguments give the same bytes. Contacts are simulated in blocks of ``BLOCK``,
    each from its own stream of chance (seed, block), so that neither the chunk size nor the
    order of blocks changes what happens; a larger shop begins with the contacts of a smaller.

    Parameters
    ----------
    folder : str or Path
        Where to; files of the same names are replaced.
    contacts : int, default 5_000
        Number of contacts.
    months : int, default 18
        Length of the period, which ends at 2026-07-01 00:00 UTC.
    seed : int
        Source of all chance; the default gives the shipped samples.
    events_per_contact : float, default 50
        Mean number of rows of ``events`` that is aimed at.
    chunk : int, default 50_000
        Contacts whose rows are held in memory before they are written; rounded up to blocks.
    oracle : bool, default True
        Whether to write ``truth/purchase_oracle`` too, about half of the work.

    Returns
    -------
    Summary
        Number of rows by table.

    Raises
    ------
    ConfigurationError
        If an argument is out of its range.
    """
    _refuse_out_of_range(contacts, months, seed, events_per_contact, chunk)
    world = _world(seed, months, events_per_contact, oracle=oracle)
    folder = Path(folder)
    with TableWriter(folder) as writer:
        writer.write(
            {
                "items": item_rows(world.catalogue),
                "truth/items": item_truth(world.catalogue),
                "truth/campaigns": campaign_truth(world.campaigns, world.calendar),
            }
        )
        held: list[dict[str, pa.Table]] = []
        for tables in _blocks(world, contacts):
            held.append(tables)
            if len(held) * BLOCK >= chunk:
                writer.write(_together(held))
                held = []
        if held:
            writer.write(_together(held))
    return Summary(folder, MappingProxyType(dict(writer.rows)))


def sample_folder() -> Path:
    """Find the shipped samples: those of an installed package, else those of a checkout.

    Returns
    -------
    Path
        Folder with the seven tables as Parquet files.

    Raises
    ------
    RunError
        If there are none.
    """
    package = Path(str(importlib.resources.files("mlmarket")))
    places = (package / "market" / "sample_shop", package.parent / "data" / "samples")
    for place in places:
        if (place / "contacts.parquet").is_file():
            return place
    what = f"The sample shop is neither in {places[0]} nor in {places[1]}."
    why = "The demonstration and the notebooks run on it."
    raise RunError(what, why, "run 'python -m mlmarket.market.samples --folder data/samples'.")


def _refuse_out_of_range(
    contacts: int, months: int, seed: int, events_per_contact: float, chunk: int
) -> None:
    ranges = {
        "contacts": (contacts, 1, 50_000_000),
        "months": (months, 2, 120),
        "seed": (seed, 0, 2**63 - 1),
        "events_per_contact": (events_per_contact, 0, 10_000),
        "chunk": (chunk, 1, 50_000_000),
    }
    for name, (value, least, most) in ranges.items():
        if not least <= value <= most:
            what = f"Argument '{name}' is {value}."
            why = "The sample shop cannot be simulated with it."
            raise ConfigurationError(what, why, f"choose {name} from {least} to {most}.")


def _world(seed: int, months: int, events_per_contact: float, *, oracle: bool) -> _World:
    calendar = build_calendar(months)
    rng = np.random.default_rng([seed, 0])
    return _World(
        seed=seed,
        calendar=calendar,
        catalogue=build_catalogue(rng, calendar),
        campaigns=build_campaigns(rng, calendar),
        ahead=offsets(calendar),
        events_per_contact=events_per_contact,
        oracle=oracle,
    )


def _blocks(world: _World, contacts: int) -> Iterator[dict[str, pa.Table]]:
    for block in range(-(-contacts // BLOCK)):
        begin = block * BLOCK
        yield _block(world, block, np.arange(begin, min(begin + BLOCK, contacts)))


def _block(world: _World, block: int, numbers: Ints) -> dict[str, pa.Table]:
    """Simulate one block of contacts and lay out its rows."""
    rng = np.random.default_rng([world.seed, 1, block])
    story = _story(rng, world, block, numbers)
    calendar, catalogue, campaigns = world.calendar, world.catalogue, world.campaigns
    tables = {
        "contacts": contact_rows(rng, story),
        "events": event_rows(story, catalogue, campaigns),
        "messages": message_rows(story, campaigns, calendar.end),
        "orders": order_rows(story, catalogue),
        "consents": consent_rows(story, calendar.end),
        "outcomes": outcome_rows(rng, story, int(calendar.starts[0])),
        "truth/contacts": contact_truth(story, calendar, catalogue),
    }
    if world.oracle:
        answers = foresee(story.people, calendar, campaigns, world.ahead, story.lives)
        tables["truth/purchase_oracle"] = oracle_rows(story, answers)
    return tables


def _story(rng: np.random.Generator, world: _World, block: int, numbers: Ints) -> Story:
    calendar, catalogue, ahead = world.calendar, world.catalogue, world.ahead
    people = draw_people(rng, numbers.size, calendar, catalogue, world.events_per_contact)
    lives = live(rng, people, calendar, Postman(people, calendar, world.campaigns, ahead))
    leads = draw_leads(rng, people.arrivals, calendar)
    orders = place_orders(rng, people, calendar, ahead, lives)
    lines = fill_baskets(rng, people, calendar, catalogue, orders)
    events = browse(rng, people, leads, calendar, catalogue, ahead, (lives, lines))
    ids = np.array([f"C{number:06d}" for number in numbers], dtype=np.object_)
    return Story(block, ids, people, leads, lives, lines, events)


def _together(held: list[dict[str, pa.Table]]) -> dict[str, pa.Table]:
    return {name: pa.concat_tables([tables[name] for tables in held]) for name in held[0]}
