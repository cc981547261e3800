"""How is each journey going: who came in, what was sent, read, and earned?"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.orchestration.behaviour import Behaviour, activity_known
from mlmarket.orchestration.engine.bench import open_bench
from mlmarket.orchestration.graph.counts import JourneyCounts, NodeCounts
from mlmarket.orchestration.journeys.journey import Journey

__all__ = ["drawn_counts", "earned_by", "journey_counts", "responses"]

_COUNTS: Final = pa.schema(
    {
        "journey": pa.string(),
        "version": pa.string(),
        "step": pa.string(),
        "outcome": pa.string(),
        "reason": pa.string(),
        "people": pa.int64(),
    }
)
_DONE: Final = ("send", "act", "branch", "split")
_RESPONSES: Final = ("open", "click", "unsubscribe", "complaint")


def journey_counts(
    standing: pa.Table, decided: pa.Table, versions: Mapping[str, Journey]
) -> pa.Table:
    """Count passes by journey, step and what became of them there.

    Parameters
    ----------
    standing : pyarrow.Table
        version, position, status, holdout, held_for, people: where all passes stand.
    decided : pyarrow.Table
        version, step, outcome, way, people: what was decided so far.
    versions : mapping of str to Journey
        The definitions.

    Returns
    -------
    pyarrow.Table
        journey, version, step, outcome, reason, people, in the order of the steps. At step
        ``entry``: ``entered``, ``held_out``, and ``holdout`` by kind. At each step: ``waiting``, ``held`` back, what was decided
        (``send``, ``act``, ``withheld``; ``branch``, ``split`` and ``wait`` by way), and for messages
        ``suppressed`` by reason, of those who are held there now (a person held for two reasons is
        counted under both). At ``end``: ``waiting`` for the goal, ``completed``, ``goal``,
        ``exited`` and ``expired``.
    """
    rows: list[dict[str, object]] = []
    stands = standing.to_pylist()
    made = decided.to_pylist()
    for version in sorted({str(row["version"]) for row in stands}):
        here = [row for row in stands if row["version"] == version]
        there = [row for row in made if row["version"] == version]
        rows += _version_counts(versions[version], here, there)
    counted = pa.Table.from_pylist(rows, schema=_COUNTS)
    return counted.filter(pc.greater(counted["people"], 0)) if rows else counted


def _version_counts(
    journey: Journey, standing: list[dict[str, Any]], decided: list[dict[str, Any]]
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []

    def count(step: str, outcome: str, chosen: list[dict[str, Any]], reason: str | None) -> None:
        people = sum(row["people"] for row in chosen)
        same = {"journey": journey.journey, "version": journey.version, "people": people}
        rows.append({**same, "step": step, "outcome": outcome, "reason": reason})

    count("entry", "entered", standing, None)
    for kind in ("global", "journey"):
        count("entry", "holdout", [row for row in standing if kind in _names(row["holdout"])], kind)
    count("entry", "held_out", [row for row in standing if row["holdout"]], None)
    active = [row for row in standing if row["status"] == "active"]
    for node in journey.nodes:
        here = [row for row in active if row["position"] == node.position]
        for outcome, way in sorted(
            {
                (row["outcome"], row["way"])
                for row in decided
                if row["step"] == node.name and row["outcome"] != "suppressed"
            },
            key=lambda pair: (pair[0], pair[1] or ""),
        ):
            alike = (node.name, outcome, way)
            count(node.name, outcome, [row for row in decided if _key(row) == alike], way)
        count(node.name, "waiting", [row for row in here if not row["held_for"]], None)
        count(node.name, "held", [row for row in here if row["held_for"]], None)
        for reason in sorted({one for row in here for one in _names(row["held_for"])}):
            held = [row for row in here if reason in _names(row["held_for"])]
            count(node.name, "suppressed", held, reason)
    count("end", "waiting", [r for r in active if r["position"] >= len(journey.nodes)], None)
    for status in ("completed", "goal", "exited", "expired"):
        count("end", status, [row for row in standing if row["status"] == status], None)
    return rows


def drawn_counts(counted: pa.Table, journey: Journey) -> JourneyCounts | None:
    """Return what a drawing of a journey shows of its counts, over all its versions.

    Parameters
    ----------
    counted : pyarrow.Table
        Of :func:`journey_counts`.
    journey : Journey
        Which; steps of older versions that it no longer has are left out.

    Returns
    -------
    JourneyCounts or None
        None where nobody was ever in it.
    """
    rows = [row for row in counted.to_pylist() if row["journey"] == journey.journey]
    if not rows:
        return None

    def people(step: str, *outcomes: str) -> int:
        return sum(
            row["people"] for row in rows if row["step"] == step and row["outcome"] in outcomes
        )

    nodes = {
        node.name: NodeCounts(
            waiting=people(node.name, "waiting", "held"),
            sent=people(node.name, *_DONE),
            suppressed=people(node.name, "held"),
        )
        for node in journey.nodes
    }
    return JourneyCounts(
        nodes=nodes,
        entered=people("entry", "entered"),
        held_out=people("entry", "held_out"),
        reached_goal=people("end", "goal"),
        exited=people("end", "exited"),
        expired=people("end", "expired"),
    )


def _key(row: Mapping[str, Any]) -> tuple[str, str, str | None]:
    return row["step"], row["outcome"], row["way"]


def _names(text: str | None) -> list[str]:
    return text.split(", ") if text else []


def responses(sent: pa.Table, events: Behaviour, *, now: datetime) -> pa.Table:
    """Count who opened, clicked, unsubscribed and complained, by message.

    A response belongs to a message that the mailer reports back with the idempotency key as
    ``message_id``, or with ``journey.step`` as ``campaign_id``. Machine opens do not count.

    Parameters
    ----------
    sent : pyarrow.Table
        The columns of ``SENT``.
    events : Behaviour
        Where behaviour is read.
    now : datetime
        UTC without a zone.

    Returns
    -------
    pyarrow.Table
        journey, step, type, people.
    """
    messages = sent.filter(pc.equal(sent["kind"], "message"))
    since = pc.min(messages["not_before"]).as_py() or now
    activity = activity_known(events, _RESPONSES, since=since, now=now)
    with open_bench() as bench:
        keys = bench.create_table(
            "sent_keys", messages.select(["idempotency_key", "journey", "step"])
        )
        named = keys.distinct(on=["journey", "step"]).mutate(
            campaign=keys["journey"] + "." + keys["step"]
        )
        seen = bench.create_table(
            "responses",
            activity.select("contact_id", "type", "row_id", "campaign_id").to_pyarrow(),
        )
        by_key = seen.join(keys, seen["row_id"] == keys["idempotency_key"])
        by_name = seen.join(named, seen["campaign_id"] == named["campaign"])
        columns = ("journey", "step", "type", "contact_id")
        both = ibis.union(by_key.select(columns), by_name.select(columns), distinct=True)
        counted = both.group_by("journey", "step", "type").agg(people=both.count())
        return bench.to_pyarrow(counted.order_by("journey", "step", "type"))


def earned_by(passes: pa.Table, events: Behaviour, *, now: datetime) -> pa.Table:
    """Sum the orders that people placed from their entry to the expiry, by journey and holdout.

    Those held out are the yardstick: what the others ordered beyond them is what the journey
    earned, not all of it.

    Parameters
    ----------
    passes : pyarrow.Table
        journey, contact_id, entered_at, expires_at, holdout, goal_at.
    events : Behaviour
        Where orders are read.
    now : datetime
        UTC without a zone.

    Returns
    -------
    pyarrow.Table
        journey, is_held_out, passes, converted, revenue (in the business's currency).
    """
    since = pc.min(passes["entered_at"]).as_py() or now
    orders = activity_known(events, ["order"], since=since, now=now)
    with open_bench() as bench:
        followed = bench.create_table("passes", passes)
        followed = followed.mutate(n=ibis.row_number())
        bought = bench.create_table(
            "bought", orders.select("contact_id", "occurred_at", "value").to_pyarrow()
        ).rename(buyer="contact_id")
        joined = followed.left_join(
            bought,
            [
                followed["contact_id"] == bought["buyer"],
                bought["occurred_at"] > followed["entered_at"],
                bought["occurred_at"] <= followed["expires_at"],
            ],
        )
        each = joined.group_by("journey", "n").agg(
            is_held_out=joined["holdout"].notnull().any(),
            converted=joined["goal_at"].notnull().any().cast("int64"),
            revenue=joined["value"].sum().fill_null(0),
        )
        whole = each.group_by("journey", "is_held_out").agg(
            passes=each.count(), converted=each["converted"].sum(), revenue=each["revenue"].sum()
        )
        return bench.to_pyarrow(whole.order_by("journey", "is_held_out"))
