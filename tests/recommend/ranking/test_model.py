from dataclasses import replace
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.ranking.latest import LatestItems
from mlmarket.recommend.ranking.model import RankingModel


class Follows:
    """Scores an item by how often it came right after the last one."""

    def fit(self, interactions: Interactions) -> Self:
        size = len(interactions.items)
        self.counts_ = np.zeros((size, size), dtype=np.float32)
        same = np.diff(interactions.contact) == 0
        np.add.at(self.counts_, (interactions.item[:-1][same], interactions.item[1:][same]), 1.0)
        return self

    def scores(self, recipients: Interactions) -> np.ndarray:
        out = np.zeros((len(recipients.contacts), len(recipients.items)), dtype=np.float32)
        has = np.diff(recipients.start) > 0
        out[has] = self.counts_[recipients.item[recipients.start[1:][has] - 1]]
        return out

    def candidates(self, recipients: Interactions, k: int) -> None:
        raise NotImplementedError

    def to_state(self) -> dict[str, Any]:
        return {"counts": self.counts_}

    def from_state(self, state: dict[str, Any]) -> Self:
        made = type(self)()
        made.counts_ = state["counts"]
        return made


class Popular(Follows):
    """Scores an item by how many rows it has."""

    def fit(self, interactions: Interactions) -> Self:
        self.counts_ = np.bincount(interactions.item, minlength=len(interactions.items)).astype(
            np.float32
        )
        return self

    def scores(self, recipients: Interactions) -> np.ndarray:
        return np.tile(self.counts_, (len(recipients.contacts), 1))


def walks(contacts: int, *, items: int = 60, length: int = 12, seed: int = 0) -> Interactions:
    """Each history mostly goes on to one of the next three items, and never takes an item twice."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(contacts):
        place, own = int(rng.integers(items)), []
        for _ in range(length):
            own.append(place)
            step = int(rng.integers(1, 4)) if rng.random() < 0.8 else int(rng.integers(items))
            place = (place + step) % items
            while place in own:
                place = (place + 1) % items
        rows.append(own)
    return Interactions(
        contacts=pa.array([f"c{place:05d}" for place in range(contacts)]),
        items=pa.array([f"i{place:03d}" for place in range(items)]),
        start=(np.arange(contacts + 1) * length).astype(np.int64),
        item=np.concatenate(rows).astype(np.int32),
        at=np.tile(np.arange(length, dtype=np.float64), contacts),
        weight=np.ones(contacts * length, dtype=np.float32),
    )


@pytest.fixture(scope="module")
def histories() -> Interactions:
    return walks(900)


@pytest.fixture(scope="module")
def facts(histories: Interactions) -> ItemFacts:
    return ItemFacts.from_frame(None, histories.items)


GENERATORS = {"follows": Follows(), "popular": Popular()}


def hit_rate(model: RankingModel, histories: Interactions) -> float:
    asked = histories.without_last(1)
    ranked = model.rank(asked, m=3)
    return float((ranked.item == histories.item[histories.start[1:] - 1][:, None]).any(1).mean())


def test_what_follows_is_ranked_first(histories: Interactions, facts: ItemFacts) -> None:
    fresh = walks(300, seed=1)
    model = RankingModel(generators=GENERATORS).fit(histories, facts)
    assert hit_rate(model, fresh) > 0.6
    assert model.choice_.recipients == 900


def test_few_labels_are_blended_and_it_is_said(facts: ItemFacts) -> None:
    model = RankingModel(generators=GENERATORS).fit(walks(100), facts)
    assert model.choice_.ranker == "blend"
    assert "too few labels" in model.choice_.reason
    assert hit_rate(model, walks(300, seed=1)) > 0.5


def test_an_item_that_is_not_allowed_is_never_ranked(
    histories: Interactions, facts: ItemFacts
) -> None:
    model = RankingModel(generators=GENERATORS).fit(histories, facts)
    allowed = np.random.default_rng(0).random((900, 60)) < 0.1
    ranked = model.rank(histories, allowed=allowed, m=20)
    recipient, place = np.nonzero(ranked.item >= 0)
    assert allowed[recipient, ranked.item[recipient, place]].all()
    assert ((ranked.item >= 0) == (ranked.source >= 0)).all()


def test_the_same_histories_give_the_same_ranking(
    histories: Interactions, facts: ItemFacts
) -> None:
    first, second = (
        RankingModel(generators=GENERATORS).fit(histories, facts).rank(histories) for _ in range(2)
    )
    assert (first.item == second.item).all()
    assert (first.score == second.score).all()


def test_a_kept_model_ranks_alike(histories: Interactions, facts: ItemFacts) -> None:
    model = RankingModel(generators=GENERATORS, ranker="lambdarank").fit(histories, facts)
    read = RankingModel(generators=GENERATORS, ranker="lambdarank").from_state(model.to_state())
    assert (read.rank(histories).item == model.rank(histories).item).all()
    assert (read.rank(histories).score == model.rank(histories).score).all()
    assert read.choice_ == model.choice_


def test_days_ahead_need_times(histories: Interactions, facts: ItemFacts) -> None:
    with pytest.raises(ConfigurationError, match="without times"):
        RankingModel(generators=GENERATORS, horizon=30).fit(histories, facts)


def test_later_rows_change_nothing() -> None:
    early = walks(200, length=8)
    late = replace(early, at=early.at + 100.0, item=early.item[::-1].copy())
    order = np.argsort(np.concatenate([early.contact, late.contact]), kind="stable")
    both = replace(
        early,
        start=early.start * 2,
        item=np.concatenate([early.item, late.item])[order],
        at=np.concatenate([early.at, late.at])[order],
        weight=np.ones(len(order), dtype=np.float32),
        now=200.0,
    )
    facts = ItemFacts.from_frame(None, early.items)
    kinds = {"generators": GENERATORS, "blocks": (LatestItems(),), "horizon": 2.0}
    alone = RankingModel(**kinds).fit(replace(early, now=8.0), facts)
    cut = RankingModel(**kinds).fit(both.before(8.0), facts)
    ranked, other = (
        alone.rank(replace(early, now=8.0)),
        cut.rank(both.before(8.0)),
    )
    assert (ranked.item == other.item).all()
    assert (ranked.score == other.score).all()


def test_what_is_learned_by_chance_is_not_believed(facts: ItemFacts) -> None:
    """Answers drawn by chance: trees that are not surely better are not taken."""
    drawn = walks(900)
    rng = np.random.default_rng(3)
    for contact in range(900):
        rows = slice(int(drawn.start[contact]), int(drawn.start[contact + 1]))
        drawn.item[rows] = rng.permutation(60)[:12]
    model = RankingModel(generators=GENERATORS).fit(drawn, facts)
    assert model.choice_.ranker == "blend"
    assert "not surely better" in model.choice_.reason


def test_the_generator_of_the_answers_weighs_more(facts: ItemFacts) -> None:
    model = RankingModel(generators=GENERATORS, ranker="blend").fit(walks(300), facts)
    follows, popular = model.weights_
    assert follows > popular
    assert "asked for" in model.choice_.reason


def test_nobody_and_no_label_are_ranked_by_all_generators_alike(facts: ItemFacts) -> None:
    model = RankingModel(generators=GENERATORS).fit(walks(5, length=1), facts)
    assert model.weights_.tolist() == [0.5, 0.5]
    assert "No history goes on" in model.choice_.reason
    assert model.rank(walks(5, length=1).take(np.arange(0))).item.shape == (0, 10)
