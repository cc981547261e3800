from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mlmarket.recommend.due import DueItems
from mlmarket.recommend.generators.history import History
from mlmarket.recommend.generators.popularity import Popularity
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.ranking.model import RankingModel
from mlmarket.recommend.repeat import RepeatFeatures

ITEMS = 30


def regulars(contacts: int = 700, seed: int = 0) -> Interactions:
    """Each has three items of the thirty and takes one of them on each of ten occasions; at times another."""
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    own = rng.integers(0, ITEMS, (contacts, 3))
    item = own[np.arange(contacts)[:, None], rng.integers(0, 3, (contacts, 10))]
    other = rng.random(item.shape) < 0.2
    item[other] = rng.integers(0, ITEMS, int(other.sum()))
    return Interactions(
        contacts=pa.array([f"c{place:04d}" for place in range(contacts)]),
        items=pa.array([f"i{place:02d}" for place in range(ITEMS)]),
        start=(np.arange(contacts + 1) * 10).astype(np.int64),
        item=item.astype(np.int32).ravel(),
        at=np.tile(np.arange(10.0), contacts),
        weight=np.ones(contacts * 10, dtype=np.float32),
    )


@pytest.fixture(scope="module")
def histories() -> Interactions:
    return regulars()


@pytest.fixture(scope="module")
def model(histories: Interactions) -> RankingModel:
    facts = ItemFacts.from_frame(None, histories.items)
    made = RankingModel(
        generators={"history": History(), "popularity": Popularity()},
        blocks=(RepeatFeatures(),),
        ranker="lambdarank",
        candidates=4,
    )
    return made.fit(histories, facts)


def due(pairs: Sequence[tuple[str, str, float]], histories: Interactions) -> DueItems:
    frame = pd.DataFrame(pairs, columns=["contact_id", "item_id", "probability"])
    return DueItems.read(frame, histories.items)


def scores(model: RankingModel, asked: Interactions, **how: object) -> list[dict[int, float]]:
    ranked = model.rank(asked, m=ITEMS, **how)  # type: ignore[arg-type]
    return [
        dict(zip(item[item >= 0].tolist(), score[item >= 0].tolist(), strict=True))
        for item, score in zip(ranked.item, ranked.score, strict=True)
    ]


def test_what_is_due_moves_up_and_nothing_else_moves(
    model: RankingModel, histories: Interactions
) -> None:
    asked = histories.take(np.arange(5))
    before = scores(model, asked)
    last = min(before[2], key=lambda item: before[2][item])
    told = due([("c0002", f"i{last:02d}", 0.9)], histories)
    after = scores(model, asked, due=told)
    log_odds = np.log(0.9 / 0.1)
    assert after[2].pop(last) == pytest.approx((before[2].pop(last) + log_odds) / 2, rel=1e-5)
    assert after == before


def test_without_what_is_due_nothing_changes(model: RankingModel, histories: Interactions) -> None:
    plain, other = model.rank(histories), model.rank(histories, due=due([], histories))
    assert plain.item.tobytes() == other.item.tobytes()
    assert plain.score.tobytes() == other.score.tobytes()


def test_what_is_due_is_a_candidate_though_no_generator_named_it(
    model: RankingModel, histories: Interactions
) -> None:
    asked = histories.take(np.arange(3))
    before = scores(model, asked)
    missing = min(set(range(ITEMS)) - set(before[1]))
    told = due([("c0001", f"i{missing:02d}", 0.99)], histories)
    after = scores(model, asked, due=told)
    assert np.isfinite(after[1].pop(missing))
    assert after == before


def test_what_is_due_and_not_allowed_is_not_ranked(
    model: RankingModel, histories: Interactions
) -> None:
    asked = histories.take(np.arange(3))
    allowed = np.ones((3, ITEMS), dtype=np.bool_)
    allowed[1, 7] = False
    told = due([("c0001", "i07", 0.99)], histories)
    assert 7 not in scores(model, asked, due=told, allowed=allowed)[1]


def test_a_day_alone_makes_a_candidate_and_moves_no_score(
    model: RankingModel, histories: Interactions
) -> None:
    asked = histories.take(np.arange(3))
    before = scores(model, asked)
    told = due([("c0001", f"i{next(iter(before[1])):02d}", float("nan"))], histories)
    assert scores(model, asked, due=told) == before


def test_where_nothing_comes_back_what_is_due_changes_nothing(histories: Interactions) -> None:
    facts = ItemFacts.from_frame(None, histories.items)
    fresh = RankingModel(generators={"popularity": Popularity()}, target="new", ranker="blend")
    fresh.fit(replace(histories), facts)
    told = due([("c0001", "i07", 0.99)], histories)
    assert (fresh.rank(histories).item == fresh.rank(histories, due=told).item).all()
