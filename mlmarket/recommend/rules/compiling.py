"""How do the rules of a shop become masks of one night?"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market.columns import CONTACT_ID
from mlmarket.market.time import parse_duration
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.reading import days
from mlmarket.recommend.rules.compiled import CompiledRules
from mlmarket.recommend.rules.consent import Consents, read_consents, topics_of
from mlmarket.recommend.rules.likeness import likeness_of, split_words
from mlmarket.recommend.rules.people import People, read_people
from mlmarket.recommend.rules.permits import arrivals, item_permits, require_column
from mlmarket.recommend.rules.rules import Rules
from mlmarket.recommend.rules.tables import RuleTables, Unknown

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["compile_rules"]

_DAY: Final = timedelta(days=1)
_EVERYWHERE: Final = "*"
_COUNTRY: Final = "country"
_TOPIC: Final = "topic"

Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]


def compile_rules(
    rules: Rules,
    facts: ItemFacts,
    contacts: "pa.Table | None",
    *,
    as_of: datetime | None,
    tables: RuleTables,
) -> CompiledRules:
    """Return rules for a catalogue and a night; see :meth:`Rules.compile`.

    Parameters
    ----------
    rules : Rules
        What is asked.
    facts : ItemFacts
        The catalogue.
    contacts : pyarrow.Table or None
        Who, and where they live.
    as_of : datetime or None
        The night.
    tables : RuleTables
        Rules about single contacts.

    Returns
    -------
    CompiledRules
    """
    now = float("nan") if as_of is None else days(as_of)
    unknown = Unknown(rules.unknown_items == "count")
    permit = np.ones(len(facts), dtype=np.bool_)
    left_out: dict[str, int] = {}
    for name, allowed in item_permits(rules, facts, now=now, unknown=unknown):
        left_out[name] = int(np.count_nonzero(~allowed))
        permit &= allowed
    people = read_people(contacts, tables, unknown)
    pairs = {
        name: people.pairs(name, facts.ids, unknown, now=now)
        for name in ("blocked", "exclude", "pinned", "carts", "eligible")
    }
    permit &= _eligible_for_all(people, facts, unknown)
    permitted, country = _by_country(rules, facts, permit, people)
    topic, topics = _topics(rules, facts)
    category, cap = _caps(rules, facts)
    return CompiledRules(
        items=facts.ids,
        permitted=permitted,
        directory=people.directory,
        country=country,
        blocked=tuple(one for one in (pairs["blocked"], pairs["exclude"]) if one is not None),
        carts=pairs["carts"] if rules.not_in_cart else None,
        eligible=pairs["eligible"],
        pinned=pairs["pinned"],
        pinned_for_all=_pinned_for_all(rules, facts, unknown),
        consents=_consents(rules, people, topics, now),
        topic=topic,
        price=facts.price,
        usual_price=rules.usual_price,
        usual_price_unknown=float(
            "nan" if rules.usual_price_unknown is None else rules.usual_price_unknown
        ),
        not_bought_days=_days_of(rules.not_bought_within),
        category=category,
        cap=cap,
        diversity=float(rules.diversity),
        likeness=likeness_of(facts, rules.similar_by if rules.diversity else ()),
        new=_new(rules, facts, now),
        new_share=float(rules.new_share),
        left_out={**left_out, **unknown.left_out},
    )


def _days_of(duration: str | timedelta | None) -> float:
    return 0.0 if duration is None else parse_duration(duration) / _DAY


def _eligible_for_all(people: People, facts: ItemFacts, unknown: Unknown) -> Flags:
    name = "eligible"
    allowed = np.ones(len(facts), dtype=np.bool_)
    if name in people.tables and CONTACT_ID not in people.ids[name]:
        places = people.items(name, facts.ids, unknown)
        allowed[:] = False
        allowed[places[places >= 0]] = True
    return allowed


def _by_country(
    rules: Rules, facts: ItemFacts, permit: Flags, people: People
) -> tuple[Flags, Codes]:
    """Return what is allowed by country, and the country of each contact; the last is not known."""
    import pyarrow as pa
    import pyarrow.compute as pc

    size = len(people.directory.ids)
    if rules.sold_in is None:
        return permit[None, :], np.zeros(size + 1, np.int32)
    require_column(facts, rules.sold_in, rule="sold_in")
    if people.contacts is None or _COUNTRY not in people.contacts.column_names:
        raise ConfigurationError(
            f"The rule 'sold_in' needs the '{_COUNTRY}' of contacts, which is not there.",
            "Without it nothing that is sold in some countries only could be allowed.",
            f"pass contacts with '{CONTACT_ID}' and '{_COUNTRY}', or leave the rule out.",
        )
    start, word, names = split_words(facts, rules.sold_in)
    known = sorted({name.casefold() for name in names} - {_EVERYWHERE})
    sold = np.zeros((len(known) + 1, len(facts)), dtype=np.bool_)
    for item, place in zip(np.repeat(np.arange(len(facts)), np.diff(start)), word, strict=True):
        name = names[place].casefold()
        rows = slice(None) if name == _EVERYWHERE else known.index(name)
        sold[rows, item] = True
    text = pa.concat_arrays(
        [*people.contacts.column(_COUNTRY).cast(pa.string()).chunks, pa.array([], pa.string())]
    )
    folded = pc.utf8_lower(pc.utf8_trim_whitespace(text))
    place = pc.index_in(folded, value_set=pa.array(known, pa.string())).fill_null(len(known))
    country = np.full(size + 1, len(known), np.int32)
    country[people.places("contacts")] = place.to_numpy(zero_copy_only=False)
    return sold & permit, country


def _topics(rules: Rules, facts: ItemFacts) -> "tuple[Codes, pa.StringArray]":
    import pyarrow as pa

    if rules.consent is None:
        return np.full(len(facts), -1, np.int32), pa.array([], pa.string())
    require_column(facts, _TOPIC, rule="consent")
    return topics_of(facts.table.column(_TOPIC))


def _consents(
    rules: Rules, people: People, topics: "pa.StringArray", now: float
) -> Consents | None:
    if rules.consent is None:
        return None
    if "consents" not in people.tables:
        raise ConfigurationError(
            "The rule 'consent' needs to know who agreed to what, and no consents are given.",
            "Unknown consent is no consent: nobody would be shown anything.",
            "pass RuleTables(consents=…), or leave the rule out.",
        )
    return read_consents(
        people.tables["consents"],
        people.places("consents"),
        channel=rules.consent,
        now=now,
        topics=topics,
        contacts=len(people.directory.ids),
    )


def _caps(rules: Rules, facts: ItemFacts) -> tuple[Codes, Codes]:
    names = facts.categories.to_pylist()
    cap = np.full(len(names) + 1, -1, np.int32)
    asked = "category_caps" if rules.category_caps else "category_cap"
    if not names and (rules.category_caps or rules.category_cap is not None):
        raise ConfigurationError(
            f"The rule '{asked}' counts items by category, and no item has one.",
            "All items would count as one category, and slots would stay empty.",
            "pass items with 'category', or leave the rule out.",
        )
    if rules.category_cap is not None:
        cap[:] = rules.category_cap
    for name, most in rules.category_caps.items():
        if name in names:
            cap[names.index(name)] = most
        elif rules.unknown_items == "refuse":
            raise ConfigurationError(
                f"The rule 'category_caps' names '{name}', which no item has.",
                "A cap on a category that does not exist is not kept, and nobody would notice.",
                suggestion(name, names),
            )
    category = facts.category
    return np.where(category < 0, len(names), category).astype(np.int32), cap


def _pinned_for_all(
    rules: Rules, facts: ItemFacts, unknown: Unknown
) -> tuple[Codes, npt.NDArray[np.float64]]:
    import pyarrow as pa

    by_rank = sorted(rules.pinned.items(), key=lambda pin: pin[1])
    named = pa.array([item for item, _ in by_rank], pa.string())
    places = unknown.places(named, facts.ids, table="pinned")
    ranks = np.array([float(rank) for _, rank in by_rank])
    return places[places >= 0], ranks[places >= 0]


def _new(rules: Rules, facts: ItemFacts, now: float) -> Flags:
    if not rules.new_share:
        return np.zeros(len(facts), dtype=np.bool_)
    return arrivals(facts, rules.new_within, now=now, rule="new_share")
