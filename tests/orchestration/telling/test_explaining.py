"""Why did this person get this message, or not?"""

from mlmarket.orchestration import State, StateStore, decide, explain, journey_counts, tick


def test_a_persons_whole_story_is_told_in_order(kit, one_shop, tmp_path):
    consents = [kit.consent("ana", True, -1), kit.consent("ana", False, 5)]
    shop = one_shop(consents=consents)
    with StateStore.open(tmp_path / "state.duckdb") as store:
        for day in (0, 1, 8):
            decide(store, kit.playbook(), kit.scores(ana=0.9), shop, now=kit.when(day))
        story = explain(store.load(), "ana", decisions=store.decisions_about("ana"))
    (member,) = story.memberships
    assert (member.segment, member.entered_at) == ("leaving", kit.when(0))
    assert member.why == "90% risk of leaving"
    (enrolled,) = story.enrolments
    assert (enrolled.journey, enrolled.status, enrolled.step) == ("win_back", "active", "second")
    assert enrolled.held_for == ("consent_refused",)
    assert enrolled.expires_at == kit.when(30)
    assert [(one.step, one.outcome, one.reasons) for one in story.decisions] == [
        ("entry", "entered", ()),
        ("wait_1", "wait", ()),
        ("first", "send", ()),
        ("wait_3", "wait", ()),
        ("second", "suppressed", ("consent_refused",)),
    ]
    assert story.decisions[3].due_at == kit.when(8)


def test_a_person_of_whom_nothing_is_known_has_an_empty_story(kit, one_shop):
    decided = tick(State().under(kit.playbook()), kit.scores(ana=0.9), one_shop(), now=kit.when(0))
    state = State().after(decided)
    story = explain(state, "nobody", decisions=decided.decisions)
    assert (story.memberships, story.enrolments, story.decisions) == ((), (), ())


def test_the_counts_follow_people_through_the_steps(kit):
    names = [f"p{n}" for n in range(40)]
    shop = kit.Shop(
        contacts=[kit.person(name, email=None if name == "p1" else "a@b.pt") for name in names],
        consents=[kit.consent(name) for name in names[2:]],
        activity=[kit.did("p39", "order", 0.5), kit.did("p38", "order", 3)],
    )
    book = kit.playbook(kit.journey(holdout=0.2))
    risks = kit.scores(**dict.fromkeys(names, 0.9))
    state, _ = kit.nights(book, shop, risks, [0, 1, 4])
    table = journey_counts(state)
    counts = {
        (row["step"], row["outcome"], row["reason"]): row["people"] for row in table.to_pylist()
    }
    held_out = counts[("entry", "holdout", "journey")]
    sent, withheld = counts[("first", "sent", None)], counts[("first", "withheld", None)]
    assert counts[("entry", "entered", None)] == 40
    assert 0 < held_out < 20
    assert counts[("end", "goal", None)] == 2
    assert counts[("first", "suppressed", "no_consent")] == 2
    assert counts[("first", "suppressed", "no_address")] == 1
    assert sent + withheld == 40 - 2 - 1
    assert counts[("second", "waiting", None)] == 40 - 2 - 2
    assert set(table["version"].to_pylist()) == {kit.journey().version} or held_out


def test_an_empty_state_counts_nobody(kit):
    assert journey_counts(State().under(kit.playbook())).num_rows == 0
