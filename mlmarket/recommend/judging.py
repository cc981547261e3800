"""How good would the recommendations of earlier nights have been, and better than what?

At each origin the recommender and two rules that need no learning see what was known then, and are held against what
people took within the horizon. The whole catalogue competes, without the shop's rules: those of today are not those
of then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mlmarket.evaluation import Interval
from mlmarket.market.columns import CONTACT_ID
from mlmarket.prediction.evidence import Evidence, FoldScore, TotalScore
from mlmarket.recommend.interactions import ITEM_ID, Interactions
from mlmarket.recommend.plain import PERSONAL, POPULAR
from mlmarket.recommend.reading import days

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.market import Market
    from mlmarket.recommend.recommendations import Recommendations

__all__ = ["CHALLENGER", "METRIC", "Inquiry", "Judgement", "judge", "sum_up"]

CHALLENGER: Final = "recommender"
METRIC: Final = "ndcg_loss"
"""1 - NDCG@10: smaller is better."""
_HIT: Final = "hit_rate"
_PLACES: Final = 10
_MOST_BUYERS: Final = 2_000
_MOST_OTHERS: Final = 2_000
_FEWEST_BUYERS: Final = 20
_SEED: Final = 0
_NAMES: Final = {
    PERSONAL: "the rule of what each person had most often",
    POPULAR: "what is popular",
    CHALLENGER: "the recommender",
}
_NOTABLE_ERROR: Final = 0.10
_A_YEAR: Final = 365

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is asked.

    Parameters
    ----------
    horizon : str
        Within which time something counts as taken.
    weights : mapping of str to float
        What counts as interest.
    urls : tuple of str
        How pages become items.
    """

    horizon: str
    weights: Mapping[str, float]
    urls: tuple[str, ...]

    @property
    def judged(self) -> dict[str, float]:
        """What counts as taken: orders where they count, else everything that does."""
        return {"order": 1.0} if "order" in self.weights else dict(self.weights)

    def known(self, market: "Market", *, as_of: datetime) -> Interactions:
        """Return what was known at an instant."""
        from mlmarket.recommend.from_market import market_interactions

        return market_interactions(market, as_of=as_of, weights=self.weights, urls=self.urls)


@dataclass(frozen=True, slots=True)
class _Round:
    """One origin: what was known, who is judged, and what they took."""

    origin: datetime
    known: Interactions
    people: "pa.StringArray"
    items: "pa.StringArray"
    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    drawn: npt.NDArray[np.bool_]
    """Who was drawn from everybody: with those who took something added, chances would look too low."""


@dataclass(frozen=True, slots=True)
class _Lists:
    """What a candidate showed at one origin."""

    origin: datetime
    loss: Numbers
    hit: Numbers
    contacts: "pa.StringArray"
    chance: Numbers
    """Of the first item; NaN where none was told."""
    taken: npt.NDArray[np.bool_]
    """Whether the first item was taken."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """How the candidates did.

    Parameters
    ----------
    lists : mapping of str to list
        What each showed, by origin.
    baseline, chosen : str
        The better rule, and what is used.
    gain : Interval
        What the recommender saves over it.
    learned : tuple of int
        Rows and contacts known at the last origin.
    """

    lists: Mapping[str, Sequence[Any]]
    baseline: str
    chosen: str
    gain: Interval


def judge(
    market: "Market",
    inquiry: Inquiry,
    origins: Sequence[datetime],
    *,
    until: datetime,
    items: "pa.Table | None",
    contacts: "pa.Table | None",
) -> Judgement | None:
    """Let the recommender and the rules answer from every origin, and choose.

    Parameters
    ----------
    market : Market
        The tables.
    inquiry : Inquiry
        What is asked.
    origins : sequence of datetime
        Ascending.
    until : datetime
        Rows after it are not looked at.
    items, contacts : pyarrow.Table or None
        What is known of items and contacts.

    Returns
    -------
    Judgement or None
        None where too few people with a history took anything after any origin.
    """
    from mlmarket.market.time import parse_duration
    from mlmarket.recommend.from_market import market_interactions

    came = market_interactions(market, as_of=until, weights=inquiry.judged, urls=inquiry.urls)
    lists: dict[str, list[_Lists]] = {name: [] for name in _NAMES}
    for origin in origins:
        known = inquiry.known(market, as_of=origin)
        found = _round(origin, known, came, parse_duration(inquiry.horizon))
        if found is None:
            continue
        for name, shown in lists.items():
            shown.append(_listed(name, inquiry, found, items, contacts))
    if not lists[CHALLENGER]:
        return None
    return _chosen(lists)


def _round(
    origin: datetime, known: Interactions, came: Interactions, horizon: timedelta
) -> _Round | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    start = days(origin)
    inside = (came.at > start) & (came.at <= start + horizon / timedelta(days=1))
    taken = came.rows(inside)
    had = known.contacts.filter(pa.array(np.diff(known.start) > 0))
    some = taken.contacts.filter(pa.array(np.diff(taken.start) > 0))
    buyers = had.filter(pc.is_in(had, value_set=some))
    if len(buyers) < _FEWEST_BUYERS:
        return None
    everybody = _spread(had, _MOST_OTHERS)
    people = pc.unique(pa.concat_arrays([_spread(buyers, _MOST_BUYERS), everybody]))
    people = people.take(pc.sort_indices(people))
    from mlmarket.recommend.histories import histories_of

    mine = histories_of(people, taken)
    items = pc.unique(pa.concat_arrays([known.items, came.items]))
    pairs = np.unique(mine.contact.astype(np.int64) * len(came.items) + mine.item)
    contact, item = np.divmod(pairs, len(came.items))
    place = pc.index_in(came.items, value_set=items).to_numpy()
    indptr = np.searchsorted(contact, np.arange(len(people) + 1)).astype(np.int64)
    drawn = pc.is_in(people, value_set=everybody).to_numpy(zero_copy_only=False)
    return _Round(origin, known, people, items, indptr, place.astype(np.int64)[item], drawn)


def _spread(people: "pa.StringArray", most: int) -> "pa.StringArray":
    """Return so many of them at most, evenly spread over their order."""
    import pyarrow as pa

    if len(people) <= most:
        return people
    return people.take(pa.array(np.linspace(0, len(people) - 1, most).astype(np.int64)))


def _listed(
    name: str,
    inquiry: Inquiry,
    found: _Round,
    items: "pa.Table | None",
    contacts: "pa.Table | None",
) -> _Lists:
    import pyarrow as pa

    from mlmarket.evaluation.ranking import ranking_metrics
    from mlmarket.recommend.learners import make
    from mlmarket.recommend.rules import Rules

    open_to_all = Rules(in_stock=False, unpublished=True)
    learner = make(name, horizon=inquiry.horizon, rules=open_to_all)
    learner.fit(found.known, items, contacts, as_of=found.origin)
    asked = pa.table({CONTACT_ID: found.people})
    shown = learner.recommend(
        asked, _PLACES, history=found.known, exclude="none", as_of=found.origin
    )
    item, chance = _as_places(shown, found)
    chance[~found.drawn] = np.nan
    scores = ranking_metrics(item, found.indptr, found.indices, _PLACES)
    first = np.zeros(len(item), dtype=np.bool_)
    for row in range(len(item)):
        first[row] = item[row, 0] in found.indices[found.indptr[row] : found.indptr[row + 1]]
    return _Lists(found.origin, 1.0 - scores.ndcg, scores.hit, found.people, chance, first)


def _as_places(shown: "Recommendations", found: _Round) -> tuple[npt.NDArray[np.int64], Numbers]:
    """Return the items of each person in order, and the chance of the first."""
    import pyarrow.compute as pc

    long = shown.to_arrow()
    person = pc.index_in(long.column(CONTACT_ID), value_set=found.people).to_numpy()
    place = pc.index_in(long.column(ITEM_ID), value_set=found.items).fill_null(-2).to_numpy()
    rank = long.column("rank").to_numpy() - 1
    item = np.full((len(found.people), _PLACES), -1, dtype=np.int64)
    item[person, rank] = place
    unknown = item == -2  # nobody ever touched it: no two such items are told apart
    item[unknown] = -1
    chance = np.full(len(found.people), np.nan)
    first = rank == 0
    told = long.column("probability").fill_null(float("nan")).to_numpy()
    chance[person[first]] = told[first]
    return item, chance


def _pooled(lists: Sequence[_Lists], name: str) -> Numbers:
    return np.concatenate([getattr(one, name) for one in lists])


def _chosen(lists: Mapping[str, Sequence[_Lists]]) -> Judgement:
    from mlmarket.evaluation.ranking import mean_difference

    mean = {name: float(np.nanmean(_pooled(found, "loss"))) for name, found in lists.items()}
    baseline = min((PERSONAL, POPULAR), key=mean.__getitem__)
    people = np.concatenate([one.contacts.to_pylist() for one in lists[CHALLENGER]])
    gain = mean_difference(
        _pooled(lists[baseline], "loss"),
        _pooled(lists[CHALLENGER], "loss"),
        groups=people,
        random_state=_SEED,
    )
    chosen = CHALLENGER if gain.low > 0.0 else baseline
    return Judgement(lists, baseline, chosen, gain)


def sum_up(
    judgement: Judgement, known: Interactions, inquiry: Inquiry, *, name: str, text: str
) -> Evidence:
    """Return the evidence of a judgement.

    Parameters
    ----------
    judgement : Judgement
        How the candidates did.
    known : Interactions
        What the final model learns from.
    inquiry : Inquiry
        What was asked.
    name, text : str
        Of the predictor: its name, and its question in words.

    Returns
    -------
    Evidence
        Numbers and words.
    """
    from mlmarket.evaluation import calibration_curve, gain_table, relative_total_error

    own = judgement.lists[judgement.chosen]
    chance, taken = _pooled(own, "chance"), _pooled(own, "taken")
    told = np.isfinite(chance)
    both = told.any() and 0 < taken[told].sum() < told.sum()
    totals = _totals(own)
    error = (
        relative_total_error(
            [total.observed for total in totals],
            [total.expected for total in totals],
            own_chance=[total.own_chance for total in totals],
        )
        if totals
        else 0.0
    )
    first = float(known.at.min(initial=known.now))
    return Evidence(
        predictor=name,
        question=text,
        folds=tuple(_scores(judgement.lists)),
        baseline=judgement.baseline,
        chosen=judgement.chosen,
        gain=judgement.gain,
        verdict=_verdict(judgement),
        calibration=calibration_curve(taken[told], chance[told]) if both else None,
        gains=gain_table(taken[told], chance[told]) if both else None,
        totals=totals,
        relative_error=error,
        first_cutoff=_instant(first),
        last_cutoff=_instant(known.now),
        rows=sum(len(one.loss) for one in own),
        contacts=len(known.contacts),
        positives=sum(int(np.isfinite(one.loss).sum()) for one in own),
        features=tuple(sorted(inquiry.weights)),
        left_out=tuple((reason, f"{rows:,} rows") for reason, rows in known.left_out.items()),
        limits=_limits(judgement, known.now - first, error),
        metric=METRIC,
        challenger=CHALLENGER,
    )


def _instant(day: float) -> datetime:
    from datetime import UTC

    return datetime.fromtimestamp(0, UTC) + timedelta(days=day)


def _scores(lists: Mapping[str, Sequence[_Lists]]) -> list[FoldScore]:
    from mlmarket.evaluation.ranking import mean_interval

    scores = []
    for name, found in lists.items():
        for one in found:
            measured = int(np.isfinite(one.loss).sum())
            for metric, values in ((METRIC, one.loss), (_HIT, one.hit)):
                mean = mean_interval(values, random_state=_SEED)
                scores.append(
                    FoldScore(
                        one.origin,
                        name,
                        metric,
                        mean.value,
                        mean.low,
                        mean.high,
                        rows=len(one.loss),
                        positives=measured,
                    )
                )
    return scores


def _totals(own: Sequence[_Lists]) -> tuple[TotalScore, ...]:
    totals = []
    for one in own:
        told = np.isfinite(one.chance)
        if told.any():
            chance = one.chance[told]
            totals.append(
                TotalScore(
                    one.origin,
                    expected=float(chance.sum()),
                    observed=float(one.taken[told].sum()),
                    own_chance=float((chance * (1.0 - chance)).sum()),
                )
            )
    return tuple(totals)


def _verdict(judgement: Judgement) -> str:
    gain = judgement.gain
    origins = len(judgement.lists[CHALLENGER])
    numbers = f"NDCG@10 {gain.value:+.4f}, 95 % interval {gain.low:+.4f} to {gain.high:+.4f}, {origins} origin(s)"
    rule = _NAMES[judgement.baseline]
    if judgement.chosen == CHALLENGER:
        return f"Used is {_NAMES[CHALLENGER]}: against {rule} its lists are better ({numbers})."
    return f"Used is {rule}: the recommender does not beat it ({numbers})."


def _limits(judgement: Judgement, span: float, error: float) -> tuple[str, ...]:
    limits = [
        "Judged are people with a history who took something within the horizon, without the shop's rules and "
        "without mail: what a recommendation itself causes is not in it.",
        "A probability is of the first item, of people like those of the past, who were not shown it.",
    ]
    if span < _A_YEAR:
        limits.append(f"It learned from {span:.0f} days, less than a year: seasons are not known.")
    if error > _NOTABLE_ERROR:
        limits.append(
            f"At earlier origins the takers of first items were missed by about {error:.0%}."
        )
    if len(judgement.lists[CHALLENGER]) == 1:
        limits.append("There was one origin only: another month may say otherwise.")
    return tuple(limits)
