"""A night that was computed, not written down: a market, two predictors, and what they say."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from mlmarket.churn import PurchaseModel
from mlmarket.evaluation import Interval, expected_total
from mlmarket.market import CheckReport, Market, Note, TableCount
from mlmarket.orchestration.graph import JourneyCounts, NodeCounts
from mlmarket.orchestration.journeys.journey import Journey
from mlmarket.reporting import (
    Earned,
    ExamplePerson,
    JourneySection,
    MaturedPromise,
    MessageResult,
    PredictorSection,
    ReportContent,
    SegmentSection,
)

NIGHT = datetime(2026, 7, 1, tzinfo=UTC)
FIRST = NIGHT - timedelta(days=400)


def synthetic_orders(contacts, seed):
    """Orders of people who buy at a rate of their own until they stop."""
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(contacts):
        start = draw.uniform(0, 300)
        every = draw.gamma(2.0, 22.0) + 4.0
        day = start
        while day < 400:
            rows.append((f"c{number:04d}", FIRST + timedelta(days=day), draw.gamma(2.0, 20.0)))
            if draw.random() < 0.08:
                break
            day += draw.exponential(every)
    frame = pd.DataFrame(rows, columns=["contact_id", "ordered_at", "amount"])
    frame["order_id"] = [f"o{number}" for number in range(len(frame))]
    frame["ordered_at"] = frame["ordered_at"].dt.tz_convert(None).dt.floor("us")
    return frame.assign(amount=frame["amount"].round(2))


@pytest.fixture(scope="session")
def purchase():
    market = Market.from_tables(orders=synthetic_orders(300, seed=7), now=NIGHT)
    model = PurchaseModel(horizon="30D", needs={"buyers": 100})
    model.folds, model.most_cutoffs = 3, 6
    model.fit(market, as_of=NIGHT)
    tonight = model.predict(market, as_of=NIGHT)
    before = model.predict(market, as_of=NIGHT - timedelta(days=7))
    column = "purchase_probability_30d"
    return PredictorSection(
        name="purchase",
        column=column,
        version=model.version_,
        trained_at=model.as_of_,
        evidence=model.evidence_,
        scores=tonight.contacts.column(column).to_numpy(),
        earlier_scores=before.contacts.column(column).to_numpy(),
        missing=(("has no 'order' at or before 2026-07-01 00:00 UTC", 1204),),
    )


@pytest.fixture(scope="session")
def rule(purchase):
    """The same question where the model did not win."""
    evidence = purchase.evidence
    told = replace(
        evidence,
        predictor="churn",
        question="Who is leaving: 'no order' within 90D?",
        chosen=evidence.baseline,
        gain=Interval(0.0004, -0.001, 0.0018, 0.95),
        verdict="Used is the rule: the model does not beat it.",
    )
    return replace(
        purchase, name="churn", evidence=told, earlier_scores=None, version="2026-07-01-rule"
    )


@pytest.fixture(scope="session")
def likely(purchase):
    best = np.tile(np.sort(purchase.scores)[::-1][:80], 43)[:3412]
    return SegmentSection(
        name="likely_to_buy",
        title="Likely to buy in 30 days",
        action="send the new collection first",
        why="purchase_probability_30d is in the top fifth",
        size=3412,
        entered=212,
        left=92,
        earlier_size=3292,
        outcome="buyers in 30 days",
        expected=expected_total(best, relative_error=0.1),
        random_group=float(purchase.scores.mean() * best.size),
    )


WAY = Journey.model_validate(
    {
        "journey": "win_back",
        "title": "Win back the quiet ones",
        "entry": {"segment": "at_risk"},
        "reentry": "180D",
        "steps": [
            {"wait": "1D"},
            {"message": {"name": "we_miss_you", "channel": "email", "template": "one"}},
            {"wait": "7D"},
            {
                "message": {
                    "name": "your_favourites_are_back",
                    "channel": ["email", "sms"],
                    "template": "two",
                }
            },
        ],
        "goal": "order",
        "expires_after": "30D",
    }
)


@pytest.fixture(scope="session")
def journey():
    return JourneySection(
        name="win_back",
        title="Win back the quiet ones",
        status="approved",
        entered=84,
        active=391,
        reached_goal=1240,
        exited=310,
        expired=2011,
        held_out=160,
        journey=WAY,
        counts=JourneyCounts(
            nodes={"wait_1": NodeCounts(waiting=84), "we_miss_you": NodeCounts(12, 3871, 9)},
            entered=4212,
            held_out=160,
            reached_goal=1240,
            exited=310,
            expired=2011,
        ),
        messages=(
            MessageResult(
                "e-mail 'we_miss_you'",
                waiting=12,
                sent=3871,
                opened=1410,
                clicked=212,
                suppressed=(("no consent", 9), ("capped", 3)),
            ),
            MessageResult("e-mail 'your_favourites_are_back'", waiting=92, sent=2904),
        ),
        earned=(Earned("Written to", 4052, 1190, 98_240.5), Earned("Held out", 160, 31, 2_204.0)),
        examples=tuple(
            ExamplePerson(
                contact_id=f"c{number:04d}",
                facts=(
                    ("churn probability", f"{40 + number} %"),
                    ("last order", f"{30 + number} days ago"),
                ),
                path=f"entered 2026-06-{10 + number}; got 'we_miss_you' the day after; waits "
                "7 days before the next message",
            )
            for number in range(10)
        ),
    )


@pytest.fixture(scope="session")
def content(purchase, rule, likely, journey):
    lost = replace(
        likely,
        name="at_risk",
        title="At risk of leaving",
        action="call the best hundred, write to the others",
        why="churn_risk is high and more than 200 EUR spent in a year",
        size=842,
        entered=31,
        left=45,
        earlier_size=856,
        outcome="people without an order in 90 days",
        expected=Interval(512.3, 470.0, 555.0, 0.9),
        random_group=240.1,
    )
    plain = replace(
        likely,
        name="newcomers",
        title="Newcomers",
        action="welcome them",
        why="first order less than 30 days ago",
        size=96,
        earlier_size=None,
        outcome="",
        expected=None,
        random_group=None,
    )
    skipped = replace(plain, name="leads", title="Hot leads", skipped="needs 'lead_score'")
    return ReportContent(
        night=date(2026, 7, 1),
        timezone="Europe/Lisbon",
        currency="EUR",
        contacts=18_250,
        tables=CheckReport(
            counts=(
                TableCount("contacts", "contacts.parquet", 18_250),
                TableCount("orders", "export/orders-*.csv", 1_204_551, 20_114, 312),
            ),
            violations=(),
            notes=(Note("contacts", "phone", "contacts.phone has no value in any row."),),
        ),
        predictors=(purchase, rule),
        skipped=(("sendtime", "send time needs the table 'messages', which is not there."),),
        segments=(likely, lost, plain, skipped),
        journeys=(journey,),
        matured=tuple(
            MaturedPromise(
                date(2026, 5, 24) + timedelta(days=number),
                "purchase",
                15_020 + number,
                Interval(1204.4 + number, 1101.0, 1310.0, 0.9),
                1180 + 23 * number,
                0.2411,
                0.781 if number else float("nan"),
            )
            for number in range(8)
        ),
    )
