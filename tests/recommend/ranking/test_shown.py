from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError, DataContractError
from mlmarket.recommend import Recommender
from mlmarket.recommend.generators.popularity import Popularity
from mlmarket.recommend.generators.transitions import Transitions
from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.ranking.lambdarank import LambdaRank
from mlmarket.recommend.ranking.model import RankingModel
from mlmarket.recommend.ranking.shown import ShownLists
from mlmarket.recommend.ranking.shown_lessons import ShownLessons
from mlmarket.recommend.repeat.heads import RepeatAndNew, position_effects

NIGHT = datetime(2026, 6, 1, tzinfo=UTC)
THEN = NIGHT.replace(tzinfo=None)
EXAMINED = np.array([1.0, 0.6, 0.4, 0.25, 0.18, 0.13, 0.1, 0.08])


def shop_window(lists: int = 4000, seed: int = 0):
    """Lists of eight by an old ranking, and clicks of those who look at a place and like what stands there.

    The old ranking goes by the second feature; what people like, the truth, is mostly the first.
    """
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(lists, len(EXAMINED), 3)).astype(np.float32)
    order = np.argsort(-(features[:, :, 1] + 0.3 * rng.normal(size=features.shape[:2])), axis=1)
    features = np.take_along_axis(features, order[:, :, None], axis=1)
    liking = 1.0 / (1.0 + np.exp(2.0 - 1.2 * features[:, :, 0] - 0.2 * features[:, :, 1]))
    clicked = rng.random(liking.shape) < liking * EXAMINED
    return features, liking, clicked


def lessons(features, clicked, *, places: bool = True) -> ShownLessons:
    """Lists with a click; without places all stand in the first."""
    told = clicked.any(axis=1)
    position = np.tile(np.arange(1, len(EXAMINED) + 1, dtype=np.int32), int(told.sum()))
    return ShownLessons(
        features[told].reshape(-1, features.shape[-1]),
        clicked[told].ravel(),
        position if places else np.ones_like(position),
        np.full(int(told.sum()), len(EXAMINED)),
        np.zeros(int(told.sum())),
    )


def agreement(score: np.ndarray, truth: np.ndarray) -> float:
    """Mean rank correlation within lists, Spearman's."""
    ranks = [np.argsort(np.argsort(side, axis=1), axis=1) for side in (score, truth)]
    ranks = [side - side.mean(axis=1, keepdims=True) for side in ranks]
    top = (ranks[0] * ranks[1]).sum(axis=1)
    return float((top / np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))).mean())


def test_trees_that_know_places_rank_nearer_to_the_truth() -> None:
    features, _, clicked = shop_window()
    nobody = (np.zeros((0, 3), np.float32), np.zeros(0, np.bool_), np.zeros(0, np.int64))
    asked, truth, _ = shop_window(500, seed=1)
    told = {}
    for places in (True, False):
        trees = LambdaRank().fit(*nobody, lessons(features, clicked, places=places))
        told[places] = agreement(trees.predict(asked.reshape(-1, 3)).reshape(truth.shape), truth)
    assert told[True] > told[False] + 0.1
    assert told[True] > 0.85


def own_window(seed: int):
    """The same shop window, where every second item is an own one."""
    features, liking, clicked = shop_window(seed=seed)
    own = np.random.default_rng(seed + 9).random(liking.shape) < 0.5
    return np.concatenate([features, own[:, :, None].astype(np.float32)], axis=2), liking, clicked


def test_heads_that_know_places_rank_nearer_to_the_truth() -> None:
    features, _, clicked = own_window(0)
    searched, wanted, _ = own_window(5)
    few = slice(0, 150)
    found = np.random.default_rng(2).random(wanted.shape) < wanted
    asked, truth, _ = own_window(1)
    told = {}
    for places in (True, False):
        shown = lessons(features, clicked, places=places)
        heads = RepeatAndNew(3).fit(searched[few], found[few], shown=shown)
        told[places] = agreement(heads.predict(asked), truth)
    assert told[True] > told[False] + 0.02
    assert told[True] > agreement(
        RepeatAndNew(3).fit(searched[few], found[few]).predict(asked), truth
    )


def test_the_scale_of_probability_stays_that_of_candidates() -> None:
    features, _, clicked = own_window(0)
    searched, wanted, _ = own_window(5)
    found = np.random.default_rng(2).random(wanted.shape) < wanted
    heads = RepeatAndNew(3).fit(searched, found, shown=lessons(features, clicked))
    asked, truth, _ = own_window(1)
    assert heads.probability(asked).mean() == pytest.approx(truth.mean(), abs=0.03)
    read = RepeatAndNew.from_state(heads.to_state())
    np.testing.assert_array_equal(heads.predict(asked), read.predict(asked))


def test_effects_of_places_are_found_beside_what_is_said_of_items() -> None:
    rng = np.random.default_rng(0)
    effect = np.array([0.0, -0.5, -1.0, -2.0])
    position = rng.integers(1, 4, 60_000).astype(np.int32)
    said = rng.normal(size=60_000) - 0.8 * position
    taken = rng.random(60_000) < 1.0 / (1.0 + np.exp(-(said + effect[position])))
    np.testing.assert_allclose(position_effects(said, taken, position), effect, atol=0.12)


def histories() -> Interactions:
    return Interactions(
        contacts=pa.array(["a", "b"]),
        items=pa.array(["x", "y", "z"]),
        start=np.array([0, 3, 4]),
        item=np.array([0, 1, 0, 2], dtype=np.int32),
        at=np.array([10.0, 20.0, 30.0, 5.0]),
        weight=np.ones(4, dtype=np.float32),
        now=100.0,
    )


def log(**columns: object) -> pd.DataFrame:
    made: dict[str, object] = {
        "contact_id": ["a", "a", "b"],
        "item_id": ["x", "y", "z"],
        "position": [1, 2, 1],
        "shown_at": pd.to_datetime([15, 15, 4], unit="D"),
    }
    return pd.DataFrame(made | columns)


def test_the_interactions_tell_what_was_taken_within_the_horizon() -> None:
    lists = ShownLists.read(log(), histories(), horizon=10.0)
    assert lists.taken.tolist() == [False, True, True]
    assert lists.position.tolist() == [1, 2, 1]
    assert lists.over.tolist() == [25.0, 14.0]
    assert ShownLists.read(log(), histories(), horizon=15.0).taken.all()


def test_what_was_taken_at_the_very_moment_was_known_before() -> None:
    when = pd.to_datetime([20, 20, 5], unit="D")
    lists = ShownLists.read(log(shown_at=when), histories(), horizon=5.0)
    assert lists.taken.tolist() == [False, False, False]
    then = lists.histories(histories(), now=50.0)
    assert then.item.tolist() == [0]
    assert then.age.tolist() == [10.0]


def test_rows_that_cannot_be_used_are_counted() -> None:
    when = pd.to_datetime([15, 101, 95], unit="D")
    lists = ShownLists.read(log(shown_at=when), histories(), horizon=10.0)
    assert lists.left_out == {"after as_of": 1, "whose horizon is not over": 1}
    other = log(item_id=["q", "y", "z"], contact_id=["a", "a", "n"], taken=[0, 1, 1])
    lists = ShownLists.read(other, histories(), horizon=10.0)
    assert lists.left_out == {"of items that are not known": 1, "of contacts without a history": 1}
    twice = log(item_id=["x", "x", "z"], taken=[False, True, False])
    lists = ShownLists.read(twice, histories(), horizon=10.0)
    assert lists.left_out == {"that stood twice in a list": 1}
    assert lists.position.tolist() == [1, 1]
    assert lists.taken.tolist() == [True, False]


def test_lists_shown_at_once_are_told_apart_by_their_message() -> None:
    assert (
        len(
            ShownLists.read(
                log(contact_id="a", shown_at="1970-01-16").astype({"shown_at": "datetime64[us]"}),
                histories(),
                horizon=5.0,
            )
        )
        == 1
    )
    apart = log(message_id=["m", "n", "m"]).assign(contact_id="a")
    assert len(ShownLists.read(apart, histories(), horizon=5.0)) == 2


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ({"position": [0, 1, 2]}, DataContractError, "from 1 up"),
        ({"position": [1.5, 1, 2]}, DataContractError, "such as 1.5"),
        ({"taken": [0, 1, 2]}, DataContractError, "neither 0 nor 1"),
        ({"shown_at": ["a", "b", "c"]}, ConfigurationError, "no time"),
    ],
)
def test_a_log_that_cannot_be_meant_is_refused(columns, error, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=words):
        ShownLists.read(log(**columns), histories(), horizon=10.0)


def test_a_log_without_its_columns_is_refused() -> None:
    for column in ("position", "shown_at", "item_id", "contact_id"):
        with pytest.raises(ConfigurationError, match=column):
            ShownLists.read(log().drop(columns=column), histories(), horizon=10.0)


def market(contacts: int = 400, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Purchases over 200 days, and a list of five a contact every twenty days, of which the first is often taken."""
    rng = np.random.default_rng(seed)
    taste = rng.integers(0, 5, contacts)
    rows = []
    for contact in range(contacts):
        days = rng.choice(200, 9, replace=False)
        items = np.where(
            rng.random(9) < 0.7, taste[contact] * 8 + rng.integers(0, 8, 9), rng.integers(0, 40, 9)
        )
        rows += [(contact, int(item), int(day)) for item, day in zip(items, days, strict=True)]
    bought = pd.DataFrame(rows, columns=["contact_id", "item_id", "day"])
    bought["occurred_at"] = [THEN - timedelta(days=int(day) + 1) for day in bought.pop("day")]
    shown = []
    for contact in range(0, contacts, 2):
        for day in range(10, 200, 20):
            items = rng.choice(40, 5, replace=False)
            liked = rng.random(5) < np.where(items // 8 == taste[contact], 0.6, 0.1) * EXAMINED[:5]
            shown += [
                (contact, int(item), place + 1, THEN - timedelta(days=day), bool(took))
                for place, (item, took) in enumerate(zip(items, liked, strict=True))
            ]
    names = ["contact_id", "item_id", "position", "shown_at", "taken"]
    return bought, pd.DataFrame(shown, columns=names)


@pytest.fixture(scope="module")
def bought_and_shown() -> tuple[pd.DataFrame, pd.DataFrame]:
    return market()


def taught(bought: pd.DataFrame, shown: pd.DataFrame | None) -> RankingModel:
    known = Interactions.from_frame(bought, as_of=NIGHT)
    slots = None if shown is None else ShownLists.read(shown, known, horizon=30.0)
    model = RankingModel(
        generators={"popularity": Popularity(), "transitions": Transitions()},
        horizon=30.0,
        target="new",
        ranker="lambdarank",
    )
    return model.fit(known, ItemFacts.from_frame(None, known.items), slots=slots)


def test_lists_of_before_the_first_window_and_after_tonight_change_nothing(  # type: ignore[no-untyped-def]
    bought_and_shown,
) -> None:
    bought, shown = bought_and_shown
    inside = shown[shown["shown_at"] >= THEN - timedelta(days=150)]
    later = shown.assign(shown_at=shown["shown_at"] + timedelta(days=365))
    every = pd.concat([shown, later]).sample(frac=1.0, random_state=3)
    one, other, plain = (taught(bought, slots) for slots in (inside, every, None))
    assert one.shown_ == other.shown_ > 100
    assert plain.shown_ == 0
    texts = [model.to_state()["trees"] for model in (one, other, plain)]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_a_recommender_learns_from_what_it_showed(bought_and_shown) -> None:  # type: ignore[no-untyped-def]
    bought, shown = (frame[frame["contact_id"] < 150] for frame in bought_and_shown)
    made = Recommender(ranker="lambdarank", workers=1).fit(bought, as_of=NIGHT, slots=shown)
    assert made._require_learned().model.shown_ > 50


def test_ids_of_another_kind_and_histories_without_times_are_refused(bought_and_shown) -> None:  # type: ignore[no-untyped-def]
    bought, shown = bought_and_shown
    with pytest.raises(ConfigurationError, match="'slots'"):
        Recommender().fit(bought, as_of=NIGHT, slots=shown.astype({"item_id": str}))
    order = bought.assign(order=range(len(bought))).drop(columns="occurred_at")
    with pytest.raises(ConfigurationError, match="without times"):
        Recommender().fit(order, slots=shown)
