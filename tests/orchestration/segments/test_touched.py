"""Looking at some people only."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = [f"p{n}" for n in range(8)]
risk = st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=8, max_size=8)


def rows(table, names):
    return [row for row in table.to_pylist() if row["contact_id"] in names]


@settings(max_examples=25, deadline=None)
@given(risk, risk, st.sets(st.sampled_from([*NAMES, "stranger"])))
def test_those_looked_at_are_decided_as_if_everybody_was(town, first, second, touched):
    segments = [
        town.segment("leaving", when="risk >= 0.6", stay="risk >= 0.4", why="{risk:percent}"),
        town.segment("few", any_of=["leaving"], not_in=["low"], at_least="1D"),
        town.segment("low", when="risk < 0.5"),
        town.segment("asks", when="not in_segment(leaving)"),
    ]
    people = town.risks(**dict(zip(NAMES, first, strict=True)))
    before = town.decide(people, segments).memberships
    later = town.risks(**dict(zip(NAMES, second, strict=True)))
    whole = town.decide(later, segments, before, day=0.5)
    part = town.decide(
        later, segments, before, day=0.5, touched=pa.array(sorted(touched), pa.string())
    )
    assert part.memberships.to_pylist() == rows(whole.memberships, touched)
    assert part.changes.to_pylist() == rows(whole.changes, touched)


def test_whoever_is_looked_at_and_not_known_any_more_leaves(town):
    leaving = town.segment("leaving", when="risk >= 0.5")
    before = town.memberships(
        [{"segment": "leaving", "contact_id": name} for name in ("gone", "other")]
    )
    found = town.decide(town.risks(p=0.9), [leaving], before, touched=pa.array(["gone"]))
    assert [change[1] for change in town.changes(found)] == ["gone"]


def test_a_ranking_and_a_guard_wait_for_a_run_over_everybody_and_say_so(town):
    top = town.segment("top", top={"column": "risk", "most": 1})
    guarded = town.segment("guarded", when="risk > 0.5", guard={"least": 1})
    both = town.segment("both", when="risk > 0.5", all_of=["top"])
    before = town.memberships([{"segment": "top", "contact_id": "a"}])
    found = town.decide(
        town.risks(a=0.9, b=0.95), [top, guarded, both], before, touched=pa.array(["a", "b"])
    )
    assert town.members(found, "top") == {"a"}
    assert town.members(found, "guarded") == set()
    assert town.members(found, "both") == {"a"}
    assert found.skipped.to_pylist() == [
        {
            "segment": "guarded",
            "reason": "its size is guarded, and only some people were looked at",
        },
        {"segment": "top", "reason": "it ranks everybody, and only some people were looked at"},
    ]
