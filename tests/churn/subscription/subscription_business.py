"""A subscription business whose hazards are known: by tenure, by plan, and by how often people log in."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from scipy.special import expit

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 420
MONTH = 30.0


def hazard_of(tenure, basic, logins_a_week):
    """Return the chance to end within 30 days, by days of tenure, plan and habit."""
    months = np.asarray(tenure) / MONTH
    return expit(-2.1 - 0.6 * np.log1p(months) + 1.4 * basic - 1.2 * np.log(logins_a_week))


def chance_of(tenure, basic, logins_a_week, horizon):
    """Return the chance to end within a horizon of days: what an oracle would say."""
    lasting = np.zeros(len(tenure))
    for day in range(horizon):
        monthly = hazard_of(tenure + day, basic, logins_a_week)
        lasting += np.log1p(-monthly) / MONTH
    return -np.expm1(lasting)


class Business:
    """Draws contracts, log-ins and restarts; keeps the truth beside the tables."""

    def __init__(self, *, seed: int, people: int = 500, days: int = DAYS, alike: bool = False):
        draw = np.random.default_rng(seed)
        self.days = days
        self.ids = np.array([f"s{place:05d}" for place in range(people)])
        self.basic = (draw.random(people) < 0.5) & (not alike)
        self.habit = np.ones(people) if alike else draw.gamma(3.0, 0.45, people) + 0.15
        contracts = []
        for person in range(people):
            begin = draw.uniform(0, days * 0.8)
            while begin < days:
                length = self._length(draw, person, alike=alike)
                contracts.append((person, begin, begin + length))
                if draw.random() > 0.25:
                    break
                begin += length + draw.uniform(10, 60)
        self.contracts = pd.DataFrame(contracts, columns=["person", "begin", "end"])
        self.events = self._events(draw)

    def _length(self, draw, person, *, alike):
        if alike:
            return draw.exponential(MONTH / 0.12)
        day = np.arange(3 * DAYS)
        rate = -np.log1p(-hazard_of(day, self.basic[person], self.habit[person])) / MONTH
        return float(np.searchsorted(np.cumsum(rate), draw.exponential())) + draw.random()

    def _events(self, draw):
        lived = self.contracts.assign(end=self.contracts["end"].clip(upper=self.days))
        weeks = (lived["end"] - lived["begin"]) / 7
        logins = draw.poisson(self.habit[lived["person"]] * weeks)
        begin, end = (np.repeat(lived[name].to_numpy(), logins) for name in ("begin", "end"))
        parts = [
            (lived["person"], lived["begin"], "subscription_started"),
            (self.contracts["person"], self.contracts["end"], "subscription_ended"),
            (np.repeat(lived["person"], logins), draw.uniform(begin, end), "login"),
        ]
        frames = [
            pd.DataFrame({"person": who, "day": when, "event_type": kind})
            for who, when, kind in parts
        ]
        events = pd.concat(frames, ignore_index=True).query("day < @self.days")
        start = np.datetime64(START.replace(tzinfo=None), "us")
        moment = start + (events["day"].to_numpy() * 86_400e6).astype("timedelta64[us]")
        ids = self.ids[events["person"]]
        return events.assign(contact_id=ids, occurred_at=moment)[
            ["contact_id", "event_type", "occurred_at"]
        ]

    def tables(self, **changed):
        """Return the tables of a market."""
        plans = np.where(self.basic, "basic", "pro")
        contacts = pd.DataFrame({"contact_id": self.ids, "plan": plans})
        return {"events": self.events, "contacts": contacts} | changed

    def running(self, as_of):
        """Return who is under contract at an instant, since when, until when, and the truth."""
        day = (as_of - START) / timedelta(days=1)
        runs = self.contracts[(self.contracts["begin"] <= day) & (self.contracts["end"] > day)]
        person = runs["person"].to_numpy()
        truth = pd.DataFrame(
            {
                "contact_id": self.ids[person],
                "tenure": day - runs["begin"].to_numpy(),
                "left": runs["end"].to_numpy() - day,
                "basic": self.basic[person],
                "habit": self.habit[person],
            }
        )
        return truth.sort_values("contact_id", ignore_index=True)
