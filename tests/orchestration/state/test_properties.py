"""Whatever a run of ticks holds, the file and the state in memory say the same after each."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlmarket.orchestration.state.standing import State
from mlmarket.orchestration.state.store import StateStore

PEOPLE = ("ana", "rui", "zoe", "Ünal", "0")
STATUSES = ("active", "completed", "goal", "exited", "expired")
WORDS = st.sampled_from((None, "a", "b, c", "é"))


@st.composite
def night(draw):
    """Draw what happens in one tick, without ids."""
    people = st.lists(st.sampled_from(PEOPLE), unique=True, max_size=len(PEOPLE))
    return {
        "step": draw(st.integers(0, 2)),
        "touched": draw(st.none() | people),
        "members": draw(st.dictionaries(st.sampled_from(PEOPLE), WORDS)),
        "came": draw(people),
        "changed": draw(st.dictionaries(st.integers(0, 9), st.sampled_from(STATUSES))),
        "reasons": draw(st.lists(st.sampled_from(("no_consent", "capped")), unique=True)),
        "sends": draw(st.lists(st.integers(0, 9), unique=True, max_size=3)),
        "cancels": draw(st.lists(st.integers(0, 9), unique=True, max_size=2)),
        "words": draw(WORDS),
    }


class Run:
    """Turns what was drawn into ticks that follow one another."""

    def __init__(self, hand):
        self.hand, self.day, self.last, self.salt = hand, 0, None, 0
        self.passes, self.keys, self.entered = {}, [], {}

    def tick(self, drawn):
        hand = self.hand
        self.day += drawn["step"]
        self.salt += 1
        touched = drawn["touched"]
        members = {
            who: why for who, why in drawn["members"].items() if touched is None or who in touched
        }
        new = [hand.enrolment(who, self.day) for who in drawn["came"]]
        rows = {one["enrolment_id"]: one for one in new if one["enrolment_id"] not in self.passes}
        known = list(self.passes.values())
        for place, status in drawn["changed"].items():
            if place < len(known):
                one = known[place]
                changed = {
                    **one,
                    "status": status,
                    "position": one["position"] + 1,
                    "held_for": drawn["words"],
                    "goal_at": hand.at(self.day) if status == "goal" else None,
                }
                rows.setdefault(one["enrolment_id"], changed)
        self.passes.update(rows)
        decisions = [
            hand.decision(one, reasons=drawn["reasons"], seen=drawn["words"])
            for one in rows.values()
        ]
        outbox, known = [], list(self.passes.values())
        for place in drawn["sends"]:
            if place < len(known):
                one = hand.handed(known[place], visit=self.salt, payload=drawn["words"])
                outbox.append(one)
        cancelled = [
            {"idempotency_key": self.keys[place], "reason": drawn["words"]}
            for place in drawn["cancels"]
            if place < len(self.keys)
        ]
        self.keys += [row["idempotency_key"] for row in outbox]
        self.last = hand.made(
            self.day,
            self.last,
            salt=self.salt,
            touched=touched,
            memberships=[hand.member(who, why=why) for who, why in members.items()],
            changes=[hand.change(who, why=why) for who, why in members.items()],
            enrolments=rows.values(),
            decisions=decisions,
            outbox=outbox,
            cancelled=cancelled,
        )
        return self.last


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nights=st.lists(night(), min_size=1, max_size=5), data=st.data())
def test_the_file_says_what_the_state_in_memory_says(hand, nights, data):
    run, state, made = Run(hand), State(), []
    with (
        tempfile.TemporaryDirectory() as folder,
        StateStore.open(Path(folder) / "state.duckdb") as store,
    ):
        for drawn in nights:
            decided = run.tick(drawn)
            assert store.commit(decided) is True
            made.append(decided)
            state = state.after(decided)
            assert hand.same_state(store.load(), state)
        for decided in made:
            again = store.decisions_of(decided.tick_id)
            assert hand.content(again) == hand.content(decided)
        _open_rows_are_the_same(store, state, hand.when(run.day))
        who = data.draw(st.sampled_from(PEOPLE))
        _some_people_are_read_as_they_are(store, state, hand.when(run.day), who)


def _is_open(rows, last):
    active = pc.equal(rows["status"], "active")
    later = pc.greater(rows["expires_at"], pa.scalar(last.replace(tzinfo=None), pa.timestamp("us")))
    completed = pc.and_(pc.equal(rows["status"], "completed"), rows["goal_at"].is_null())
    return pc.or_(active, pc.and_(completed, later))


def _open_rows_are_the_same(store, state, now):
    loaded = store.load(now=now)
    wanted = state.enrolments.filter(_is_open(state.enrolments, state.last_now))
    assert loaded.enrolments.equals(wanted.combine_chunks())
    assert loaded.members.equals(state.members)
    assert loaded.passes.equals(state.passes)


def _some_people_are_read_as_they_are(store, state, now, who):
    loaded = store.load(now=now, touched=pa.array([who]))
    looked_at = set(pa.chunked_array([store.due(now)]).to_pylist()) | {who}
    for name in ("members", "passes", "enrolments"):
        table = getattr(state, name)
        wanted = table.filter(pc.is_in(table["contact_id"], value_set=pa.array(sorted(looked_at))))
        if name == "enrolments":
            wanted = wanted.filter(_is_open(wanted, state.last_now))
        assert getattr(loaded, name).to_pylist() == wanted.to_pylist()
