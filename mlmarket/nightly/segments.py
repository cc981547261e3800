"""How large is each segment, and what may be expected of it?"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlmarket.evaluation import Interval
from mlmarket.market import Market
from mlmarket.market.columns import CONTACT_ID
from mlmarket.nightly.playbook import load_night_playbook
from mlmarket.nightly.retention import SAVED, Retention, retention_of
from mlmarket.orchestration import Decisions, Guard, Segment
from mlmarket.orchestration.behaviour import contacts_known
from mlmarket.orchestration.journeys.describe import duration_in_words
from mlmarket.orchestration.state.standing import utc
from mlmarket.prediction import BatchPredictor
from mlmarket.reporting import SegmentSection, Worth

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.nightly.night import Night

__all__ = ["in_currency", "rule_in_words", "segment_sections", "segment_sizes"]


def segment_sizes(decisions: Decisions) -> dict[str, int]:
    """Return the number of members of every segment in force."""
    members = decisions.memberships.column("segment").to_pylist()
    return {one.name: members.count(one.name) for one in decisions.playbook.segments}


def segment_sections(
    night: "Night",
    market: Market,
    decisions: Decisions,
    predictions: "pa.Table",
    predictors: Sequence[BatchPredictor],
    *,
    earlier: date | None,
) -> list[SegmentSection]:
    """Return what the report says of each segment.

    Parameters
    ----------
    night : Night
        Tonight.
    market : Market
        Where it is looked up who on a list is known.
    decisions : Decisions
        Tonight's.
    predictions : pyarrow.Table
        Tonight's.
    predictors : sequence of BatchPredictor
        Those that answered.
    earlier : date or None
        The night about a week ago.

    Returns
    -------
    list of SegmentSection
        In the order in which a marketer wrote them down: the first one leads the report.
    """
    sizes = segment_sizes(decisions)
    before = None if earlier is None else night.workspace.run(earlier).result("decisions")
    earlier_sizes = {} if before is None else before.details["segment_sizes"]
    skipped = {row["segment"]: row["reason"] for row in decisions.skipped.to_pylist()}
    changes = decisions.changes.to_pylist()
    sections = []
    for segment in _as_written(night, decisions):
        moved = [row["change"] for row in changes if row["segment"] == segment.name]
        predictor = _about(segment, predictors)
        expected, random_group = None, None
        worth: tuple[Worth, ...] = ()
        if segment.name not in skipped:
            worth = _worth(night, segment, decisions, predictions, predictors)
        if predictor is not None and segment.name not in skipped:
            expected, random_group = _expected(segment.name, decisions, predictions, predictor)
        sections.append(
            SegmentSection(
                name=segment.name,
                title=segment.title,
                action=segment.action or "",
                why=rule_in_words(segment),
                size=sizes[segment.name],
                entered=moved.count("entered"),
                left=moved.count("left"),
                earlier_size=earlier_sizes.get(segment.name),
                outcome=predictor.headline.counts if predictor is not None else "",
                expected=expected,
                random_group=random_group,
                worth=worth,
                skipped=str(skipped.get(segment.name, "")),
                unlisted=_unlisted(segment, market, decisions.now),
            )
        )
    return sections


def in_currency(predictor: BatchPredictor, currency: str) -> str:
    """Return what a sum of a predictor's numbers counts, with the currency where it is one.

    Parameters
    ----------
    predictor : BatchPredictor
        Which.
    currency : str
        Of the business.

    Returns
    -------
    str
        Such as ``EUR of value within 90 days``.
    """
    said = predictor.headline
    return f"{currency} {said.counts}" if said.unit == "currency" else said.counts


def _as_written(night: "Night", decisions: Decisions) -> list[Segment]:
    """Return the segments in force in the order of their files, with their lists.

    The state keeps them by name, and nobody's name.
    """
    written = {
        segment.name: segment
        for segment in load_night_playbook(night.config, night.settings).segments
    }
    in_force = {segment.name: segment for segment in decisions.playbook.segments}
    here = [segment for name, segment in written.items() if name in in_force]
    return here + [in_force[name] for name in sorted(in_force.keys() - written.keys())]


def rule_in_words(segment: Segment) -> str:
    """Return who is in a segment, as a sentence.

    Parameters
    ----------
    segment : Segment
        As it was written down.

    Returns
    -------
    str
        What a person has to satisfy, then how long members stay and when a night is not believed.

    Examples
    --------
    >>> rule_in_words(Segment(name="a", title="A", when="risk > 0.5", stay="risk > 0.4"))
    'risk > 0.5; members stay while risk > 0.4'
    """
    parts = [", ".join(_asked(segment)), *_staying(segment)]
    return "; ".join(part for part in parts if part)


def _asked(segment: Segment) -> Iterator[str]:
    """Say what a person has to satisfy."""
    wanted = [segment.when] if segment.when else []
    if segment.list is not None:
        wanted.append(f"on the list {segment.list.file}")
    if segment.all_of:
        wanted.append(f"in {' and '.join(segment.all_of)}")
    if segment.any_of:
        wanted.append(f"in {' or '.join(segment.any_of)}")
    if segment.not_in:
        wanted.append(f"not in {' or '.join(segment.not_in)}")
    yield from wanted
    if segment.top is not None:
        yield f"of these {segment.top.in_words}" if wanted else segment.top.in_words


def _staying(segment: Segment) -> Iterator[str]:
    """Say how long members stay, and when tonight's result is not believed."""
    if segment.stay is not None:
        yield f"members stay while {segment.stay}"
    if segment.top is not None:
        top = segment.top
        places = [] if top.stay_share is None else [f"the top {top.stay_share:.0%}"]
        places += [] if top.stay_most is None else [f"the first {top.stay_most:,}"]
        if places:
            yield f"members stay while among {' and '.join(places)}"
    if segment.at_least is not None:
        yield f"for at least {duration_in_words(segment.at_least)}"
    if segment.guard is not None:
        yield f"kept as it was {_guarded(segment.guard)}"


def _guarded(guard: Guard) -> str:
    limits = [] if guard.least is None else [f"below {guard.least:,} people"]
    if guard.most is not None:
        limits.append(f"above {guard.most:,} people")
    if guard.change is not None:
        limits.append(f"where more than {guard.change:.0%} would come and go")
    return " or ".join(limits)


def _unlisted(segment: Segment, market: Market, now: datetime) -> int:
    """Return how many entries of a segment's list are nobody who is known."""
    import pyarrow as pa
    import pyarrow.compute as pc

    contacts = contacts_known(market, utc(now))
    if segment.list is None or segment.list.people is None or contacts is None:
        return 0
    by = str(segment.list.by)
    if by not in contacts.columns:
        return len(segment.list.people)
    known = pc.utf8_trim_whitespace(contacts.select(by).to_pyarrow()[by].cast(pa.string()))
    known = pc.utf8_lower(known) if by == "email" else known
    met = pc.is_in(pa.array(segment.list.people, pa.string()), value_set=known)
    return len(segment.list.people) - int(pc.sum(met).as_py() or 0)


def _about(segment: Segment, predictors: Sequence[BatchPredictor]) -> BatchPredictor | None:
    """Return the predictor whose probability a segment is made of; the ranking decides first."""
    texts = [segment.top.column if segment.top else "", segment.when or ""]
    likely = [one for one in predictors if one.headline.unit == "probability"]
    for text in texts:
        for predictor in likely:
            said = predictor.headline
            if said.column in text or (said.words and said.words in text):
                return predictor
    return None


def _expected(
    name: str, decisions: Decisions, predictions: "pa.Table", predictor: BatchPredictor
) -> tuple[Interval | None, float]:
    """Return how many members are expected to do it, and how many of a random group would."""
    everybody, inside = _numbers(name, decisions, predictions, predictor.headline.column)
    probability = everybody[inside]
    mean = float(np.sort(everybody).mean()) if len(everybody) else 0.0
    return predictor.total(probability), mean * len(probability)


def _worth(
    night: "Night",
    segment: Segment,
    decisions: Decisions,
    predictions: "pa.Table",
    predictors: Sequence[BatchPredictor],
) -> tuple[Worth, ...]:
    """Return what the members are worth, and what keeping them is expected to save."""
    found = []
    for predictor in predictors:
        said = predictor.headline
        if said.unit == "currency":
            everybody, inside = _numbers(segment.name, decisions, predictions, said.column)
            amount = predictor.total(everybody[inside])
            if amount is not None and inside.any():
                currency = night.settings.business.currency
                found.append(Worth(in_currency(predictor, currency), amount))
    retention = retention_of(night.settings, predictors)
    if retention is not None and _is_about_leaving(segment, retention, predictors):
        everybody, inside = _numbers(segment.name, decisions, predictions, SAVED)
        if inside.any():
            found.append(Worth(retention.in_words, retention.total(everybody[inside])))
    return tuple(found)


def _is_about_leaving(
    segment: Segment, retention: Retention, predictors: Sequence[BatchPredictor]
) -> bool:
    """Return whether its rule looks at who leaves: only they can be kept."""
    said = [one.headline for one in predictors if one.headline.column == retention.leaving]
    words = {SAVED, retention.leaving, *(one.words for one in said if one.words)}
    rule = f"{segment.when or ''} {segment.top.column if segment.top else ''}"
    return any(word in rule for word in words)


def _numbers(
    name: str, decisions: Decisions, predictions: "pa.Table", column: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return the numbers of everybody who has one, and which of them are of members."""
    import pyarrow.compute as pc

    members = decisions.memberships.filter(pc.equal(decisions.memberships["segment"], name))
    scored = predictions.select([CONTACT_ID, column]).drop_null()
    inside = pc.is_in(
        scored.column(CONTACT_ID), value_set=members.column(CONTACT_ID).combine_chunks()
    )
    numbers = np.asarray(scored.column(column).to_numpy(), dtype=np.float64)
    return numbers, np.asarray(inside.to_numpy(zero_copy_only=False), dtype=bool)
