from dataclasses import replace

import numpy as np
import pyarrow as pa

from mlmarket.recommend.generators.popularity import Popularity
from mlmarket.recommend.generators.previous import previous_rows
from mlmarket.recommend.generators.transitions import Transitions
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.ranking.learners import stable_sample
from mlmarket.recommend.ranking.lessons import Lessons
from mlmarket.recommend.ranking.model import RankingModel


def many(contacts: int = 400) -> Interactions:
    rng = np.random.default_rng(0)
    return Interactions(
        contacts=pa.array([f"c{place:04d}" for place in range(contacts)]),
        items=pa.array([f"i{place:02d}" for place in range(20)]),
        start=(np.arange(contacts + 1) * 6).astype(np.int64),
        item=rng.integers(0, 20, contacts * 6).astype(np.int32),
        at=np.tile(np.arange(6.0), contacts),
        weight=np.ones(contacts * 6, dtype=np.float32),
    )


def test_who_is_learned_from_does_not_depend_on_who_else_is_there() -> None:
    everybody = many()
    some = everybody.take(np.arange(0, 400, 2))
    chosen = set(stable_sample(everybody, 100).contacts.to_pylist())
    of_some = set(stable_sample(some, 100).contacts.to_pylist())
    assert len(chosen) == len(of_some) == 100
    assert chosen & set(some.contacts.to_pylist()) <= of_some


def test_where_there_are_few_all_are_learned_from() -> None:
    everybody = many()
    assert stable_sample(everybody, 400) is everybody


def test_a_sample_is_learned_from_and_everybody_is_ranked_for() -> None:
    everybody = many()
    facts = ItemFacts.from_frame(None, everybody.items)
    kinds = {"popularity": Popularity(), "transitions": Transitions()}
    of_sample = RankingModel(generators=kinds, learners=100, ranker="blend").fit(everybody, facts)
    alone = RankingModel(generators=kinds, ranker="blend").fit(stable_sample(everybody, 100), facts)
    one, other = of_sample.rank(everybody), alone.rank(everybody)
    assert len(one.item) == 400
    assert (one.item == other.item).all()
    assert of_sample.choice_ == alone.choice_


def test_what_somebody_had_before_is_found_by_a_plain_search() -> None:
    histories = replace(many(50))
    contact, item = histories.contact, histories.item
    expected = [
        max(
            (e for e in range(row) if (contact[e], item[e]) == (contact[row], item[row])),
            default=-1,
        )
        for row in range(len(histories))
    ]
    assert previous_rows(histories).tolist() == expected


def test_windows_of_lessons_are_views_and_gains_count_those_who_took_nothing() -> None:
    lessons = Lessons(
        features=np.arange(10, dtype=np.float32)[:, None],
        relevant=np.array([0, 1, 0, 1, 0, 0, 0, 1, 0, 0], dtype=np.bool_),
        size=np.array([3, 3, 4]),
        answers=np.array([1, 1, 1]),
        first=np.array([0, 1, 3]),
        asked=np.array([2, 4]),
    )
    last = lessons.windows(1, 2)
    assert np.shares_memory(last.features, lessons.features)
    assert last.features.ravel().tolist() == [3, 4, 5, 6, 7, 8, 9]
    assert last.place.tolist() == [0, 1, 2, 0, 1, 2, 3]
    gains = last.gain(-last.place)
    np.testing.assert_allclose(gains, [1.0, 1 / np.log2(3), 0.0, 0.0])
