"""What do the tables of messages and consents look like, row by row?"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import pyarrow as pa

from mlmarket.market.samples.calendar import HOUR, SECOND
from mlmarket.market.samples.campaigns import TOPICS_OF_MAIL, VARIANTS, Campaigns
from mlmarket.market.samples.draws import Flags, Ints
from mlmarket.market.samples.mail import Batch
from mlmarket.market.samples.people import NEVER
from mlmarket.market.samples.rows import Story, campaign_ids
from mlmarket.market.samples.writer import booleans, names, numbers, serial, times

__all__ = ["consent_rows", "message_rows"]

_CHANNELS: Final = ("email", "push")
_CONSENT_SOURCES: Final = ("sign_up_form", "preference_centre", "unsubscribe_link", "complaint")


def message_rows(story: Story, campaigns: Campaigns, end: int) -> pa.Table:
    """Return rows of the table ``messages``.

    Parameters
    ----------
    story : Story
        What happened.
    campaigns : Campaigns
        The plan.
    end : int
        End of the period, microseconds since 1970 UTC.

    Returns
    -------
    pyarrow.Table
        Sorted by contact and time.
    """
    sent = _by_person(story.lives.batches)
    read, proxied, left = sent["read"], sent["proxied"], sent["left"]
    left = np.where(left < end, left, -1)
    complained = sent["complained"] > 0
    by_proxy = (proxied >= 0) & ((read < 0) | (proxied < read))
    campaign, variant = sent["campaign"], sent["variant"]
    return pa.table(
        {
            "message_id": serial(f"M{story.block:04d}", np.arange(campaign.size), 7),
            "contact_id": names(story.ids, sent["person"]),
            "channel": names(_CHANNELS, campaigns.push[campaign].astype(np.int64)),
            "sent_at": times(sent["sent"]),
            "campaign_id": names(campaign_ids(campaigns), campaign),
            "topic": names(TOPICS_OF_MAIL, campaigns.topic[campaign]),
            "variant": names(VARIANTS, variant),
            "propensity": numbers(campaigns.propensity[campaign, variant]),
            "delivered_at": times(sent["delivered"]),
            "opened_at": times(np.where(by_proxy, proxied, read)),
            "clicked_at": times(sent["clicked"]),
            "bounced_at": times(sent["bounced"]),
            "complained_at": times(np.where(complained, left, -1)),
            "unsubscribed_at": times(np.where(complained, -1, left)),
            "is_machine_open": booleans(by_proxy & (sent["flagged"] > 0)),
        }
    )


def consent_rows(story: Story, end: int) -> pa.Table:
    """Return rows of the table ``consents``; without a row nothing is known.

    Parameters
    ----------
    story : Story
        What happened.
    end : int
        End of the period, microseconds since 1970 UTC.

    Returns
    -------
    pyarrow.Table
        Sorted by contact and time.
    """
    mailing = story.people.mailing
    left = _by_person(story.lives.batches)
    left = {name: values[left["left"] >= 0] for name, values in left.items()}
    parts = [
        *_answers(story, 0, mailing.email_at, mailing.email_refused),
        *_answers(story, 1, mailing.push_at, mailing.push_refused),
        _Decisions(left["person"], left["left"], 0, granted=False, source=2 + left["complained"]),
    ]
    sizes = [part.person.size for part in parts]
    person = np.concatenate([part.person for part in parts])
    time = np.concatenate([part.time for part in parts])
    channel = np.repeat([part.channel for part in parts], sizes)
    granted = np.repeat([part.granted for part in parts], sizes)
    source = np.concatenate([part.source for part in parts])
    row = np.lexsort((channel, time, person))
    row = row[time[row] < end]
    return pa.table(
        {
            "contact_id": names(story.ids, person[row]),
            "channel": names(_CHANNELS, channel[row]),
            "granted": booleans(granted[row]),
            "changed_at": times(time[row]),
            "topic": pa.nulls(row.size, pa.string()),
            "source": names(_CONSENT_SOURCES, source[row]),
            "legal_basis": names(("consent",), np.zeros(row.size, dtype=np.int64)),
        }
    )


@dataclass(frozen=True, slots=True)
class _Decisions:
    """Some decisions on one channel; ``source`` is an index into ``_CONSENT_SOURCES``."""

    person: Ints
    time: Ints
    channel: int
    granted: bool
    source: Ints


def _answers(story: Story, channel: int, since: Ints, refused: Flags) -> Iterator[_Decisions]:
    created = story.people.arrivals.created
    yes, no = np.flatnonzero(since < NEVER), np.flatnonzero(refused)
    later = (since[yes] - created[yes] > HOUR).astype(np.int64)
    yield _Decisions(yes, since[yes], channel, granted=True, source=later)
    at_once = np.zeros(no.size, dtype=np.int64)
    yield _Decisions(no, created[no] + SECOND, channel, granted=False, source=at_once)


def _by_person(batches: tuple[Batch, ...]) -> dict[str, Ints]:
    """Return the facts of all messages by name, sorted by person and time."""
    nobody = np.zeros(0, dtype=np.int64)
    named = [f.name for f in fields(Batch) if f.name != "campaign"]
    facts = {
        name: np.concatenate([nobody, *(getattr(batch, name) for batch in batches)])
        for name in named
    }
    sizes = [batch.person.size for batch in batches]
    facts["campaign"] = np.repeat(np.array([b.campaign for b in batches], dtype=np.int64), sizes)
    row = np.lexsort((facts["sent"], facts["person"]))
    return {name: values[row] for name, values in facts.items()}
