"""A tick is decided once; who asks again is told the same."""

import pyarrow as pa

from mlmarket.orchestration.state.deciding import decide, model_versions
from mlmarket.orchestration.state.standing import State
from mlmarket.orchestration.state.store import StateStore


def test_a_second_run_tells_the_same_and_writes_nothing(kit, hand, one_shop, path):
    book, shop = kit.playbook(), one_shop()
    scores = kit.scores(ana=0.9)
    made = []
    with StateStore.open(path) as store:
        for one in book.journeys:
            store.approve(one, by="eva", at=kit.when(-1))
        for day in (0, 1, 2, 8, 9):
            decided = decide(store, book, scores, shop, now=kit.when(day))
            made.append(decided)
        before = store.load()
        for decided in made:
            again = decide(store, book, scores, one_shop(consents=[]), now=decided.now)
            assert hand.content(again) == hand.content(decided)
        assert hand.same_state(store.load(), before)
        assert sum(len(one.outbox) for one in made) == 2


def test_the_file_leads_to_the_state_in_memory(kit, hand, one_shop, path):
    book, shop = kit.playbook(), one_shop(activity=[kit.did("ana", "order", 3)])
    state = State().under(book).approving(by="eva", at=kit.when(-1))
    with StateStore.open(path) as store:
        for one in book.journeys:
            store.approve(one, by="eva", at=kit.when(-1))
        for day in (0, 1, 4, 9):
            decided = decide(
                store, book, kit.scores(ana=0.9, rui=day / 10), shop, now=kit.when(day)
            )
            state = state.after(decided)
            assert hand.same_state(store.load(), state)


def test_a_minute_looks_at_who_is_touched_and_who_is_due(kit, one_shop, path):
    book, shop = kit.playbook(), one_shop()
    with StateStore.open(path) as store:
        for one in book.journeys:
            store.approve(one, by="eva", at=kit.when(-1))
        decide(store, book, kit.scores(ana=0.9), shop, now=kit.when(0))
        nobody = pa.array([], pa.string())
        early = decide(store, book, kit.scores(ana=0.9), shop, now=kit.when(0.5), touched=nobody)
        assert early.touched.to_pylist() == []
        assert len(early.decisions) == 0
        due = decide(store, book, kit.scores(ana=0.9), shop, now=kit.when(1), touched=nobody)
        assert due.touched.to_pylist() == ["ana"]
        assert due.outbox["step"].to_pylist() == ["first"]
        assert len(store.load().members) == 1


def test_the_models_behind_a_tick_are_written_down(kit, one_shop, path):
    scores = kit.scores(ana=0.9).append_column("churn_model_version", pa.array(["2026-03-01-x"]))
    assert model_versions(scores) == {"churn_model_version": ["2026-03-01-x"]}
    with StateStore.open(path) as store:
        decided = decide(store, kit.playbook(), scores, one_shop(), now=kit.when(0))
        wanted = (decided.fingerprint, {"churn_model_version": ["2026-03-01-x"]})
        assert store.inputs_of(decided.tick_id) == wanted
