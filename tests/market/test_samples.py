"""The sample shop keeps its promises: same bytes, true to the contract, honest oracle."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.market.columns import CHANNELS, RESERVED_TYPES, TABLES, Kind
from mlmarket.market.samples import BLOCK, sample_folder, shop, simulate
from mlmarket.market.samples.__main__ import main
from mlmarket.market.samples.calendar import build_calendar

END = pd.Timestamp("2026-07-01")
SMALL = {"contacts": 400, "months": 6, "seed": 11}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    simulate(folder, **SMALL)
    return folder


@pytest.fixture(scope="module")
def shipped():
    return {name: pq.read_table(sample_folder() / f"{name}.parquet") for name in TABLES}


@pytest.fixture(scope="module")
def frames(shipped):
    return {name: table.to_pandas() for name, table in shipped.items()}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fresh")
    simulate(folder)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def truth(name: str) -> pd.DataFrame:
    return pq.read_table(sample_folder() / "truth" / f"{name}.parquet").to_pandas()


def test_the_same_seed_gives_the_same_bytes(small, tmp_path):
    simulate(tmp_path, **SMALL)
    assert files(tmp_path) == files(small)
    assert len(files(small)) == len(TABLES) + 4


def test_another_seed_gives_other_orders(small, tmp_path):
    simulate(tmp_path, **SMALL | {"seed": 12, "oracle": False})
    assert (tmp_path / "orders.parquet").read_bytes() != (small / "orders.parquet").read_bytes()
    assert not (tmp_path / "truth" / "purchase_oracle.parquet").exists()


def test_blocks_do_not_depend_on_their_order_or_on_the_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(shop, "BLOCK", 60)
    common = {"contacts": 150, "months": 3, "seed": 5}
    simulate(tmp_path / "one", **common, chunk=1)
    simulate(tmp_path / "all", **common, chunk=1_000)
    simulate(tmp_path / "first", **common | {"contacts": 60})
    for name in (*TABLES, "truth/contacts", "truth/purchase_oracle"):
        one, whole, first = (
            pq.read_table(tmp_path / folder / f"{name}.parquet")
            for folder in ("one", "all", "first")
        )
        assert one.equals(whole)
        assert first.equals(whole.slice(0, first.num_rows))
    world = shop._world(5, 3, 50.0, oracle=True)
    backwards = [shop._block(world, b, np.arange(60 * b, 60 * b + 60)) for b in (1, 0)][::-1]
    expected = pq.read_table(tmp_path / "all" / "events.parquet")
    together = pa.concat_tables([tables["events"] for tables in backwards])
    assert together.equals(expected.slice(0, together.num_rows))


def test_shipped_files_are_what_the_simulator_makes_today(fresh):
    for path in sorted(fresh.rglob("*.parquet")):
        name = path.relative_to(fresh)
        made, kept = pq.read_table(path), pq.read_table(sample_folder() / name)
        if name.parts[0] != "truth":
            assert made.equals(kept), name
            continue
        # The truth holds plain floats, whose last digit differs between processors.
        pd.testing.assert_frame_equal(made.to_pandas(), kept.to_pandas(), rtol=1e-4, atol=2e-6)


def test_shipped_files_are_small_and_of_the_promised_size(shipped):
    assert sum(len(content) for content in files(sample_folder()).values()) < 10_000_000
    rows = {name: table.num_rows for name, table in shipped.items()}
    assert rows["contacts"] == 5_000
    assert rows["items"] == 300
    assert 150_000 <= rows["events"] <= 300_000
    assert 100_000 <= rows["messages"] <= 250_000
    assert 15_000 <= rows["orders"] <= 35_000


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_has_the_types_and_the_key_of_the_contract(shipped, name):
    types = {
        Kind.IDENTIFIER: pa.string(),
        Kind.TEXT: pa.string(),
        Kind.NUMBER: pa.float64(),
        Kind.MONEY: pa.decimal128(18, 4),
        Kind.TIME: pa.timestamp("us"),
        Kind.BOOLEAN: pa.bool_(),
    }
    table, spec = shipped[name], TABLES[name]
    assert set(spec.needed) <= set(table.column_names)
    for column in spec.columns:
        if column.name in table.column_names:
            assert table.schema.field(column.name).type == types[column.kind], column.name
        if column.needed:
            assert table[column.name].null_count == 0, column.name
    if spec.key:
        keys = table.select(list(spec.key)).to_pandas()
        assert not keys.duplicated().any()


def test_everything_belongs_to_a_contact_an_item_and_the_period(frames):
    contacts, items = set(frames["contacts"].contact_id), set(frames["items"].item_id)
    for name in ("events", "messages", "orders", "consents", "outcomes"):
        assert set(frames[name].contact_id) <= contacts
        assert frames[name][TABLES[name].time].max() < END
    for name in ("events", "messages", "orders", "outcomes"):
        assert frames[name][TABLES[name].time].min() >= pd.Timestamp("2025-01-01")
    for name in ("events", "orders"):
        assert set(frames[name].item_id.dropna()) <= items
    assert set(frames["messages"].channel) <= set(CHANNELS)
    assert not set(frames["events"].event_type) & set(RESERVED_TYPES)


def test_nothing_happens_before_a_contact_is_known(frames):
    created = frames["contacts"].set_index("contact_id").created_at
    for name in ("events", "messages", "orders", "consents", "outcomes"):
        frame = frames[name]
        assert (frame[TABLES[name].time] >= frame.contact_id.map(created)).all(), name


def test_no_item_is_seen_or_bought_before_it_is_published(frames):
    published = frames["items"].set_index("item_id").published_at
    for name in ("events", "orders"):
        frame = frames[name].dropna(subset="item_id")
        assert (frame[TABLES[name].time] >= frame.item_id.map(published)).all()


def test_every_message_has_a_consent_that_holds_when_it_is_sent(frames):
    consents = frames["consents"].sort_values("changed_at")
    messages = frames["messages"].sort_values("sent_at")
    held = pd.merge_asof(
        messages,
        consents[["contact_id", "channel", "granted", "changed_at"]],
        left_on="sent_at",
        right_on="changed_at",
        by=["contact_id", "channel"],
    )
    assert held.granted.eq(True).all()
    silent = set(frames["contacts"].contact_id) - set(consents.contact_id)
    assert len(silent) > 250


def test_whoever_leaves_a_list_has_a_withdrawn_consent(frames):
    left = frames["messages"].dropna(subset=["unsubscribed_at", "complained_at"], how="all")
    left = left.assign(changed_at=left.unsubscribed_at.fillna(left.complained_at))
    consents = frames["consents"].query("not granted")
    found = left.merge(consents, on=["contact_id", "channel", "changed_at"])
    assert len(found) == len(left) > 50
    assert left.complained_at.notna().any()


def test_a_message_is_opened_after_delivery_and_never_when_it_bounced(frames):
    messages = frames["messages"]
    assert (messages.delivered_at.isna() == messages.bounced_at.notna()).all()
    opened = messages.dropna(subset="opened_at")
    assert (opened.opened_at > opened.delivered_at).all()
    clicked = messages.dropna(subset="clicked_at")
    assert (clicked.clicked_at > clicked.opened_at).all()
    assert messages.loc[messages.bounced_at.notna(), "opened_at"].isna().all()


def test_nine_in_ten_openings_by_a_proxy_are_flagged(frames):
    messages = frames["messages"].merge(truth("contacts"), on="contact_id")
    proxied = messages.query("channel == 'email' and uses_privacy_proxy and opened_at.notna()")
    quick = proxied[proxied.opened_at - proxied.delivered_at < timedelta(minutes=2)]
    assert 0.83 < quick.is_machine_open.mean() < 0.95
    assert not messages.query("not uses_privacy_proxy").is_machine_open.any()
    assert messages.is_machine_open.mean() > 0.1


def test_variants_are_drawn_with_the_logged_propensity(frames):
    messages = frames["messages"]
    plan = truth("campaigns")
    drawn = messages.merge(plan, on=["campaign_id", "variant"])
    assert len(drawn) == len(messages)
    assert (drawn.propensity_x == drawn.propensity_y).all()
    sizes = messages.groupby("campaign_id").size()
    share = messages.groupby(["campaign_id", "variant"]).size() / sizes
    expected = plan.set_index(["campaign_id", "variant"]).propensity
    error = (share - expected) / np.sqrt(expected * (1 - expected) / sizes)
    assert error.abs().mean() < 1.1


def test_returns_are_negative_lines_under_an_order_id_of_their_own(frames):
    orders = frames["orders"]
    back = orders[orders.order_id.str.startswith("R")]
    assert (back.quantity < 0).all()
    assert (back.amount < Decimal(0)).all()
    bought = orders[~orders.order_id.str.startswith("R")]
    assert (bought.quantity > 0).all()
    assert (bought.amount > Decimal(0)).all()
    pairs = back.assign(first=back.order_id.str[1:]).merge(
        bought[["order_id", "ordered_at"]].drop_duplicates(), left_on="first", right_on="order_id"
    )
    assert len(pairs) == len(back) > 300
    assert (pairs.ordered_at_x > pairs.ordered_at_y).all()


def test_an_order_has_one_buyer_and_one_moment(frames):
    bought = frames["orders"].query("quantity > 0")
    moments = bought[["order_id", "contact_id", "ordered_at"]].drop_duplicates()
    assert not moments.order_id.duplicated().any()


def test_some_rows_arrive_late_and_none_arrives_early(frames):
    for name in ("events", "orders", "outcomes"):
        frame = frames[name]
        late = (
            frame.available_at.dropna() - frame.loc[frame.available_at.notna(), TABLES[name].time]
        )
        assert (late > timedelta(0)).all()
        assert 0.02 < len(late) / len(frame) < 0.2


def test_attributes_are_dirty_and_incomplete_but_not_beyond_use(frames):
    contacts = frames["contacts"]
    zones = contacts.timezone
    unknown = ~zones.dropna().isin(available_timezones())
    assert 0.02 < unknown.mean() < 0.06
    assert 0.03 < zones.isna().mean() < 0.1
    told = contacts.merge(truth("contacts"), on="contact_id")
    tier = told.loyalty_tier.isna().groupby(told.rate_per_day > 0.01).mean()
    assert tier[False] > tier[True] + 0.1


def test_many_contacts_are_new_and_about_half_of_all_have_bought(frames):
    created = frames["contacts"].created_at
    assert (created >= pd.Timestamp("2026-04-01")).mean() > 0.15
    assert (created < pd.Timestamp("2025-01-01")).mean() > 0.25
    assert 0.4 < frames["orders"].contact_id.nunique() / len(created) < 0.7


def scored(frames, horizon):
    """Return oracle probability, label and earlier number of orders of who may be asked about."""
    oracle = truth("purchase_oracle").query("horizon_days == @horizon")
    bought = frames["orders"].query("quantity > 0")[["contact_id", "order_id", "ordered_at"]]
    bought = bought.drop_duplicates()
    parts = []
    for as_of, asked in oracle.groupby("as_of"):
        end = as_of + timedelta(days=horizon)
        before = bought[bought.ordered_at <= as_of].groupby("contact_id").ordered_at
        inside = bought[(bought.ordered_at > as_of) & (bought.ordered_at <= end)]
        parts.append(
            asked.assign(
                label=asked.contact_id.isin(inside.contact_id),
                orders=asked.contact_id.map(before.size()).fillna(0),
                recency=(as_of - asked.contact_id.map(before.max())) / timedelta(days=1),
            )
        )
    return pd.concat(parts)


def log_loss(label, probability):
    return float(-np.log(np.where(label, probability, 1 - probability)).mean())


@pytest.mark.parametrize("horizon", [30, 90])
def test_the_oracle_is_calibrated(frames, horizon):
    asked = scored(frames, horizon)
    asked["bin"] = pd.qcut(asked.probability, 20, duplicates="drop")
    bins = asked.groupby("bin", observed=True).agg(
        predicted=("probability", "mean"), happened=("label", "mean"), rows=("label", "size")
    )
    gap = (bins.predicted - bins.happened).abs()
    assert (gap * bins.rows).sum() / bins.rows.sum() < 0.012
    assert gap.max() < 0.04


@pytest.mark.parametrize("horizon", [30, 90])
def test_the_oracle_beats_what_the_best_rfm_cells_could_know(frames, horizon):
    eligible = scored(frames, horizon).query("orders > 0")
    cells = [
        pd.qcut(eligible[name].rank(method="first"), 8, labels=False)
        for name in ("recency", "orders")
    ]
    # The cells may even look at the labels they are judged by.
    rate = eligible.groupby([*cells, eligible.as_of]).label.transform("mean").clip(0.01, 0.99)
    gain = log_loss(eligible.label, rate) - log_loss(eligible.label, eligible.probability)
    assert gain > 0.03
    assert 0.1 < eligible.label.mean() < (0.28 if horizon == 30 else 0.55)


def test_the_oracle_is_asked_on_the_first_of_each_month_for_closed_windows_only():
    oracle = truth("purchase_oracle")
    for as_of, horizon in oracle[["as_of", "horizon_days"]].drop_duplicates().to_numpy():
        local = pd.Timestamp(as_of, tz="UTC").astimezone(ZoneInfo("Europe/Lisbon"))
        assert (local.day, local.hour) == (1, 0)
        assert as_of + timedelta(days=horizon) <= END
    assert oracle.as_of.nunique() == 17
    assert oracle.query("horizon_days == 90").as_of.nunique() == 15
    assert not oracle.duplicated(["contact_id", "as_of", "horizon_days"]).any()


def test_the_oracle_knows_whom_the_shop_knew():
    created = pq.read_table(sample_folder() / "contacts.parquet").to_pandas()
    oracle = truth("purchase_oracle").query("horizon_days == 30")
    for as_of, asked in oracle.groupby("as_of"):
        assert set(asked.contact_id) == set(created[created.created_at <= as_of].contact_id)


def test_behaviour_tells_who_is_away(frames):
    events = frames["events"]
    recent = events[events.occurred_at > END - timedelta(days=30)]
    people = truth("contacts").set_index("contact_id")
    visits = recent.groupby("contact_id").size().reindex(people.index, fill_value=0)
    by_mood = visits.groupby(people.mood_at_end).mean()
    assert by_mood["warm"] > by_mood["cool"] > 3 * by_mood["away"]


def test_people_read_at_their_hours_on_their_own_clock(frames):
    messages = (
        frames["messages"].dropna(subset="clicked_at").merge(truth("contacts"), on="contact_id")
    )
    far = messages[messages.true_timezone.isin(["America/Sao_Paulo", "America/New_York"])]
    local = [
        t.tz_localize("UTC").tz_convert(zone).hour
        for t, zone in zip(far.clicked_at, far.true_timezone, strict=True)
    ]
    assert np.mean(np.array(local) < 7) < 0.12


def test_good_leads_become_opportunities(frames):
    people = truth("contacts")
    reached = set(frames["outcomes"].query("outcome == 'sql'").contact_id)
    created = frames["contacts"].set_index("contact_id").created_at
    when = people.contact_id.map(created)
    ripe = people[(when >= pd.Timestamp("2025-01-01")) & (when < END - timedelta(days=120))]
    leads = ripe[ripe.lead_chance > 0]
    rate = (
        leads.contact_id.isin(reached).groupby(pd.qcut(leads.lead_chance, 4, labels=False)).mean()
    )
    assert rate.is_monotonic_increasing
    assert abs(leads.contact_id.isin(reached).mean() - leads.lead_chance.mean()) < 0.04
    assert not reached & set(people[people.lead_chance == 0].contact_id)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("contacts", 0), ("months", 1), ("chunk", 0), ("events_per_contact", -1.0), ("seed", -1)],
)
def test_an_argument_out_of_range_is_refused_before_anything_is_written(tmp_path, argument, value):
    with pytest.raises(ConfigurationError, match=argument):
        simulate(tmp_path / "shop", **{argument: value})
    assert not (tmp_path / "shop").exists()


def test_a_failed_simulation_leaves_no_table_behind(tmp_path, monkeypatch):
    def fail(*_):
        reason = "no power"
        raise RuntimeError(reason)

    monkeypatch.setattr(shop, "_story", fail)
    with pytest.raises(RuntimeError, match="no power"):
        simulate(tmp_path, contacts=10, months=2)
    assert not files(tmp_path)


def test_missing_samples_are_reported_with_the_command_that_makes_them(tmp_path, monkeypatch):
    monkeypatch.setattr(shop.importlib.resources, "files", lambda _: tmp_path / "mlmarket")
    with pytest.raises(RunError, match=r"mlmarket\.market\.samples --folder"):
        sample_folder()


def test_an_installed_package_brings_its_own_samples(tmp_path, monkeypatch):
    folder = tmp_path / "mlmarket" / "market" / "sample_shop"
    folder.mkdir(parents=True)
    (folder / "contacts.parquet").touch()
    monkeypatch.setattr(shop.importlib.resources, "files", lambda _: tmp_path / "mlmarket")
    assert sample_folder() == folder


def test_the_command_writes_the_shop_and_reports_rows(small, tmp_path, capsys):
    arguments = ["--folder", str(tmp_path), "--contacts", "400", "--months", "6", "--seed", "11"]
    assert main(arguments) == 0
    assert files(tmp_path) == files(small)
    assert "400 rows" in capsys.readouterr().err
    assert main(["--folder", str(tmp_path), "--contacts", "0"]) == 2
    assert "Fix:" in capsys.readouterr().err


@given(contacts=st.integers(1, 12), months=st.integers(2, 4), seed=st.integers(0, 2**40))
@settings(max_examples=8, deadline=None)
def test_no_tiny_shop_breaks_the_contract(tmp_path_factory, contacts, months, seed):
    folder = tmp_path_factory.mktemp("tiny")
    summary = simulate(folder, contacts=contacts, months=months, seed=seed)
    assert summary.rows["contacts"] == contacts
    made = pq.read_table(folder / "contacts.parquet").to_pandas()
    created = made.set_index("contact_id").created_at
    for name in ("events", "orders", "messages"):
        frame = pq.read_table(folder / f"{name}.parquet").to_pandas()
        assert (frame[TABLES[name].time] >= frame.contact_id.map(created)).all()
    chance = pq.read_table(folder / "truth" / "purchase_oracle.parquet").to_pandas().probability
    assert chance.between(0, 1).all()


@given(months=st.integers(2, 30))
@settings(max_examples=10, deadline=None)
def test_days_of_the_business_begin_at_its_midnight(months):
    calendar = build_calendar(months)
    zone = ZoneInfo("Europe/Lisbon")
    for start in calendar.starts[:: max(1, calendar.days // 40)]:
        local = datetime.fromtimestamp(start / 1e6, tz=zone)
        assert (local.hour, local.minute) == (0, 0)
    assert calendar.starts[-1] < calendar.end


def test_a_block_is_what_the_documents_say():
    assert BLOCK == 5_000
