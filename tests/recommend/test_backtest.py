from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.recommend.backtesting import backtest
from mlmarket.recommend.baselines import PersonalFrequency, simple_rules
from mlmarket.recommend.generators import ease
from mlmarket.recommend.generators.history import History
from mlmarket.recommend.generators.popularity import Popularity
from mlmarket.recommend.questions import questions
from mlmarket.recommend.ranking.model import RankingModel
from mlmarket.recommend.ranking_report import RankingReport
from mlmarket.recommend.recommender import Recommender

START = datetime(2026, 1, 1, tzinfo=UTC)
FIRST_DAY = pd.Timestamp("2026-01-01")
"""The same, as a frame of UTC times without a zone holds it."""
RULES = {"popularity": Popularity(), "personal_frequency": PersonalFrequency()}
ITEMS = [f"i{number:02d}" for number in range(20)]


def shop(seed=0, contacts=60, days=120):
    """Return purchases of people of three tastes: five items of each taste are bought again and again."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(contacts):
        taste = number % 3
        for day in np.flatnonzero(rng.random(days) < 0.12):
            item = 5 * taste + rng.integers(5) if rng.random() < 0.8 else rng.integers(20)
            when = FIRST_DAY + timedelta(days=int(day), hours=int(rng.integers(24)))
            rows.append((f"c{number:03d}", ITEMS[item], when))
    return pd.DataFrame(rows, columns=["contact_id", "item_id", "occurred_at"])


ORIGINS = [START + timedelta(days=60), START + timedelta(days=80)]


def judged(rows, models=None, **changes):
    options = {"origins": ORIGINS, "horizon": "20D", "k": 4, "baselines": RULES, **changes}
    return backtest(rows, models or {}, **options)


class Taste:
    """A recommender on frames that knows the truth: the items of a contact's taste."""

    def __init__(self, seen_from=None):
        self.asked = seen_from if seen_from is not None else []

    def __deepcopy__(self, memo):
        return Taste(self.asked)

    def fit(self, interactions, items=None, contacts=None, *, as_of=None):
        self.asked.append((interactions, items, contacts, as_of))
        frame = interactions.to_pandas()
        self.had = frame.groupby("contact_id")["item_id"].agg(set).to_dict()
        return self

    def recommend(self, contacts, k=10, *, exclude="seen"):
        rows = []
        for contact in contacts.column("contact_id").to_pylist():
            taste = int(str(contact).removeprefix("c")) % 3
            wanted = [*ITEMS[5 * taste : 5 * taste + 5], *ITEMS]
            if exclude == "seen":
                wanted = [item for item in wanted if item not in self.had.get(contact, set())]
            rows += [(contact, item, rank) for rank, item in enumerate(dict.fromkeys(wanted), 1)]
        frame = pd.DataFrame(rows, columns=["contact_id", "item_id", "rank"])
        return frame[frame["rank"] <= k]


class Chance:
    """A generator that proposes anything."""

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, interactions):
        self.items = len(interactions.items)
        return self

    def scores(self, recipients):
        rng = np.random.default_rng(self.seed)
        return rng.random((len(recipients.contacts), self.items)).astype(np.float32) + 0.01

    def candidates(self, recipients, k):
        raise AssertionError((recipients, k))


@pytest.fixture(scope="module")
def report():
    return judged(shop(contacts=120), {"taste": Taste(), "chance": Chance()})


def test_a_model_that_knows_the_truth_is_chosen(report):
    assert report.chosen == {"all": "taste", "new": "taste"}
    assert report.score("taste").value > report.score("personal_frequency").value
    assert "Used is 'taste'" in report.verdict("new")


def test_a_model_that_knows_nothing_gives_way_to_the_best_simple_rule():
    report = judged(shop(), {"chance": Chance()})
    assert report.chosen["all"] == report.best_baseline["all"] == "personal_frequency"
    assert "does not beat it" in report.verdict()


def test_what_repeats_is_beaten_by_no_repetition_where_only_new_items_count(report):
    own = report.score("personal_frequency", "ndcg", target="new")
    popular = report.score("popularity", "ndcg", target="new")
    assert own == popular
    assert report.score("personal_frequency").value > report.score("popularity").value


def test_measures_are_those_counted_by_hand():
    rows = pd.DataFrame(
        {
            "contact_id": ["a", "a", "b", "a", "a", "b"],
            "item_id": ["x", "y", "x", "x", "z", "y"],
            "occurred_at": [FIRST_DAY + timedelta(days=day) for day in (1, 2, 3, 11, 12, 20)],
        }
    )
    origin = START + timedelta(days=5)
    report = backtest(rows, {}, origins=[origin], horizon="10D", k=2, baselines=RULES)
    # known: a had x and y, b had x; a took x (again) and z, which nobody knew; b took nothing in the window
    frame = report.to_frame().set_index(["model", "target", "metric"])
    frame = frame[frame["origin"].isna()]["value"]
    discount = 1 / np.log2(3)
    assert frame["popularity", "all", "recall"] == pytest.approx(0.5)
    assert frame["popularity", "all", "ndcg"] == pytest.approx(1 / (1 + discount))
    assert frame["popularity", "all", "map"] == pytest.approx(0.5)
    assert frame["popularity", "all", "mrr"] == 1.0
    assert frame["popularity", "all", "coverage"] == 1.0
    assert frame["popularity", "new", "recall"] == 0.0
    assert frame["popularity", "new", "filled"] == 0.0
    assert frame["popularity", "all", "novelty"] == pytest.approx((0.0 + 1.0) / 2)


def test_rows_after_an_origin_change_no_list():
    rows = shop()
    last = ORIGINS[-1]
    rng = np.random.default_rng(1)
    later = rows["occurred_at"] > last.replace(tzinfo=None)
    other = rows.copy()
    other.loc[later, "item_id"] = rng.permutation(other.loc[later, "item_id"].to_numpy())
    first, second = Taste(), Taste()
    judged(rows, {"taste": first}, origins=[last])
    judged(other, {"taste": second}, origins=[last])
    assert first.asked[0][0].equals(second.asked[0][0])
    one, two = (
        questions(frame, origins=[last], horizon=timedelta(days=20))[0].question
        for frame in (rows, other)
    )
    assert np.array_equal(one.known.item, two.known.item)
    assert np.array_equal(one.known.at, two.known.at)
    assert one.known.now == two.known.now


def test_models_see_the_rows_as_they_were_passed_in_and_when_they_stand():
    taste = Taste()
    items = pd.DataFrame({"item_id": ITEMS, "title": ITEMS})
    rows = shop().assign(basket=7)
    judged(rows, {"taste": taste}, items=items, contacts="whatever")
    seen, facts, contacts, as_of = taste.asked[0]
    assert as_of == ORIGINS[0]
    assert "basket" in seen.column_names
    assert max(seen.column("occurred_at").to_pylist()) <= as_of.replace(tzinfo=None)
    assert facts is items
    assert contacts == "whatever"
    assert len(taste.asked) == 2


def test_the_order_of_rows_changes_nothing(report):
    shuffled = shop(contacts=120).sample(frac=1, random_state=5)
    again = judged(shuffled, {"taste": Taste(), "chance": Chance()})
    pd.testing.assert_frame_equal(again.to_frame(), report.to_frame())


def test_models_that_were_passed_are_not_fitted():
    history = History()
    judged(shop(), {"history": history})
    assert not [name for name in vars(history) if name.endswith("_")]


def test_items_nobody_could_know_are_never_shown():
    rows = shop()
    new = pd.DataFrame(
        {
            "contact_id": ["c000"] * 3,
            "item_id": ["later", "later", "listed"],
            "occurred_at": [FIRST_DAY + timedelta(days=60 + day) for day in (1, 30, 31)],
        }
    )
    rows = pd.concat([rows, new])
    items = pd.DataFrame(
        {
            "item_id": [*ITEMS, "listed", "unpublished"],
            "published_at": [FIRST_DAY] * 21 + [FIRST_DAY + timedelta(days=61)],
        }
    )
    fold = questions(rows, origins=ORIGINS[:1], horizon=timedelta(days=20), items=items)[0]
    catalogue = fold.question.known.items.to_pylist()
    available = dict(zip(catalogue, fold.question.available.tolist(), strict=True))
    assert not available["later"]
    assert not available["unpublished"]
    assert available["listed"]
    # but taking one counts as an item that was not found
    taken = [catalogue[place] for place in fold.item[: fold.start[1]]]
    assert "later" in taken


def test_empty_places_are_filled_and_counted_by_length_of_history():
    report = judged(shop(), {"history": History()}, k=15)
    shares = report.fallbacks_to_frame().set_index(["model", "target", "occasions"]).sort_index()
    assert shares.loc[("history", "all", "3 or more"), "share"] > 0.3
    assert shares.loc[("history", "new", "3 or more"), "share"] == 1.0
    assert shares.loc[("popularity", "all", "3 or more"), "share"] == 0.0
    lengths = shares.loc[("history", "all")]["contacts"]
    asked = report.to_frame().query(
        "metric == 'coverage' and model == 'history' and target == 'all'"
    )
    assert lengths.sum() == asked.iloc[-1]["recipients"]
    assert report.score("history", "filled").value == 1.0


def test_a_recommender_says_itself_what_its_fallbacks_filled():
    class Helped(Taste):
        def __deepcopy__(self, memo):
            return Helped()

        def recommend(self, contacts, k=10, *, exclude="seen"):
            answer = pa.Table.from_pandas(
                super().recommend(contacts, k, exclude=exclude), preserve_index=False
            )
            who = contacts.column("contact_id").combine_chunks()
            helped = pa.array(np.full(len(who), 1))
            history = pa.table({"contact_id": who, "by_fallback": helped})
            return type(
                "Result", (), {"to_arrow": staticmethod(lambda: answer), "history": history}
            )()

    report = judged(shop(), {"helped": Helped()})
    shares = report.fallbacks_to_frame().query("model == 'helped' and contacts > 0")
    assert shares["share"].to_list() == pytest.approx([0.25] * len(shares))


def test_where_only_an_order_is_known_the_last_occasion_is_asked_for():
    rows = shop(contacts=300, days=60).sort_values("occurred_at")
    rows["order"] = rows.groupby("contact_id").cumcount()
    ordered = rows.drop(columns="occurred_at")
    taste = Taste()
    report = backtest(ordered, {"taste": taste}, k=4, baselines=RULES)
    assert report.chosen["all"] == "taste"
    assert report.horizon is None
    seen, _, _, as_of = taste.asked[0]
    assert as_of is None
    assert len(seen) == len(ordered) - ordered["contact_id"].nunique()
    assert any("cut by itself" in limit for limit in report.limits)
    assert report.to_frame()["origin"].isna().all()


def test_ids_stay_what_they_were():
    rows = shop()
    rows["contact_id"] = rows["contact_id"].str.removeprefix("c").astype(int)
    report = judged(rows, {"taste": Taste()})
    assert report.chosen["all"] == "taste"


def test_some_recipients_are_enough():
    fold = questions(shop(), origins=ORIGINS[:1], horizon=timedelta(days=20), most=7)[0]
    assert len(fold.group) == 7
    again = questions(shop(), origins=ORIGINS[:1], horizon=timedelta(days=20), most=7)[0]
    assert np.array_equal(fold.group, again.group)


def test_a_catalogue_too_large_for_a_rule_is_told(monkeypatch):
    rules = {**simple_rules(), "ease": ease.Ease(limit=3)}
    report = judged(shop(), baselines=rules)
    assert "ease" not in report.baselines
    assert any(limit.startswith("'ease' took no part") for limit in report.limits)


def test_more_places_than_items_stay_empty():
    report = judged(shop(), {"taste": Taste()}, k=50)
    assert report.score("popularity", "filled").value == pytest.approx(20 / 50)
    assert report.score("popularity", "recall").value == 1.0


def test_a_report_shows_models_beside_rules(report):
    html = report._repr_html_()
    for name in ("taste", "chance", "popularity", "personal_frequency", "Used is"):
        assert name in html
    assert report.summary().index[0] == "taste"
    gains = report.gains_to_frame()
    clear = gains.query(
        "model == 'taste' and baseline == 'popularity' and metric == 'ndcg' and target == 'all'"
    )
    assert clear["low"].item() > 0.0
    assert clear["relative"].item() == pytest.approx(
        report.score("taste").value / report.score("popularity").value - 1.0
    )
    axes = report.plot()
    assert [tick.get_text() for tick in axes.get_yticklabels()][-1] == "taste"
    assert report.plot_origins("new").get_legend() is not None


def test_names_of_a_report_are_escaped():
    report = judged(shop(), {"<b>bold</b>": Chance()})
    assert "<b>" not in report._repr_html_()


def test_a_measure_that_is_not_there_is_refused(report):
    with pytest.raises(ConfigurationError, match="no 'ndgc' of 'taste'"):
        report.score("taste", "ndgc")


def test_diversity_is_measured_where_categories_are_known():
    items = pd.DataFrame({"item_id": ITEMS, "category": [f"g{place // 5}" for place in range(20)]})
    report = judged(shop(), {"taste": Taste()}, items=items)
    assert report.score("taste", "diversity").value < report.score("popularity", "diversity").value


class Stranger(Taste):
    def __deepcopy__(self, memo):
        return Stranger()

    def recommend(self, contacts, k=10, *, exclude="seen"):
        return super().recommend(contacts, k, exclude=exclude).assign(item_id="nowhere")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"models": {"popularity": Chance()}}, "a model and of a baseline"),
        ({"models": {"odd": object()}}, "'odd' is a object"),
        ({"models": {"stranger": Stranger()}}, "'stranger' recommended to strangers"),
        ({"baselines": {}}, "no baseline"),
        ({"origins": []}, "no origin"),
        ({"horizon": None}, "no horizon"),
        ({"horizon": timedelta(0)}, "is not a duration"),
        ({"origins": [START + timedelta(days=110)]}, "is not over"),
        ({"origins": [START - timedelta(days=10)]}, "Nobody who was known"),
        ({"k": 0}, "'k' is 0"),
        ({"recipients": 0}, "'recipients' is 0"),
    ],
)
def test_what_cannot_be_asked_is_refused(changes, told):
    with pytest.raises(ConfigurationError, match=told):
        judged(shop(), **changes)


def test_origins_without_times_are_refused():
    rows = pd.DataFrame({"contact_id": ["a"], "item_id": ["x"], "order": [1]})
    with pytest.raises(ConfigurationError, match="an origin or a horizon is given"):
        backtest(rows, {}, origins=ORIGINS)
    with pytest.raises(ConfigurationError, match="before the latest occasion"):
        backtest(rows, {})


def test_one_contact_and_one_item_make_a_report_without_intervals():
    rows = pd.DataFrame({"contact_id": ["a", "a"], "item_id": ["x", "x"], "order": [1, 2]})
    report = backtest(rows, {"taste": Chance()}, baselines=RULES)
    assert isinstance(report, RankingReport)
    assert report.score("popularity").value == 1.0
    assert np.isnan(report.score("popularity").low)
    assert report.chosen["all"] == "popularity"


def test_generators_ranking_models_and_recommenders_are_asked_alike():
    rows = shop(contacts=40)
    models = {
        "ranking": RankingModel(generators={"history": History()}, horizon=20.0),
        "recommender": Recommender(horizon="20D", workers=1),
    }
    report = judged(rows, models, origins=ORIGINS[:1])
    for model in models:
        assert report.score(model, "filled").value == 1.0
        assert report.score(model).value > 0.7 * report.score("personal_frequency").value
        assert report.score(model, "recall", target="new").value >= 0.0
