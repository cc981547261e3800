"""Can these orders carry an answer, and by which kind of model?

A number from too little data looks like any other number. What the orders cannot carry is said before
anything is learned, in words that name what was found and what is needed.
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from mlmarket.churn.purchase_days import purchase_days, purchases_by_contact
from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.features import Behaviour, label_complete_until
from mlmarket.features.rows import known_rows
from mlmarket.market.columns import OCCURRED_AT
from mlmarket.market.time import duration_text, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.types as ir

    from mlmarket.market import Market

__all__ = ["DataGate", "DataNeeds", "Finding", "OrderHistory", "hold_data_gate", "order_history"]

_ORDER: Final = Behaviour.parse("order")
Carried = Literal["model", "btyd", "rule", "nothing"]

_RANK: Final[tuple[Carried, ...]] = ("nothing", "rule", "btyd", "model")
_SAYS: Final = {
    "model": "The orders can carry a model.",
    "btyd": "Only buy-till-you-die models and simple rules are tried.",
    "rule": "Only simple rules are tried.",
    "nothing": "Nothing can be said from these orders.",
}


@dataclass(frozen=True, slots=True)
class DataNeeds:
    """What orders have to hold before a kind of model is tried.

    Parameters
    ----------
    buyers : int, default 500
        Contacts with an order, for a model of many features.
    span_days : int, default 180
        From the first order to the last, likewise.
    regulars : int, default 30
        Contacts with orders on three days or more, likewise: without them nobody's rhythm shows.
    repeaters : int, default 20
        Contacts with orders on two days or more, for a buy-till-you-die model.
    fewest_buyers : int, default 50
        Contacts with an order, for anything at all.
    silence_days : int, default 30
        Longest time without any order: beyond, the table has probably stopped.
    windows : int, default 2
        Closed label windows: one to learn from, and one to be judged on.
    """

    buyers: int = 500
    span_days: int = 180
    regulars: int = 30
    repeaters: int = 20
    fewest_buyers: int = 50
    silence_days: int = 30
    windows: int = 2

    @classmethod
    def of(cls, given: "Mapping[str, int] | None") -> "DataNeeds":
        """Return needs of which some are given by name.

        Parameters
        ----------
        given : mapping of str to int or None
            Such as ``{"buyers": 200}``; the others are the defaults.

        Returns
        -------
        DataNeeds

        Raises
        ------
        ConfigurationError
            Where there is no such need, or it is no whole number of at least one.
        """
        known = [one.name for one in fields(cls)]
        for name, number in (given or {}).items():
            if name not in known:
                raise ConfigurationError(
                    f"No data is needed that is called '{name}'.",
                    "The data gate would go on as if nothing had been said.",
                    suggestion(name, known),
                )
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise ConfigurationError(
                    f"The data needed as '{name}' is {number!r}.",
                    "It is compared with a count.",
                    f"write a whole number of at least 1, such as {name} = 100.",
                )
        return cls(**(given or {}))


@dataclass(frozen=True, slots=True)
class OrderHistory:
    """What the orders known at an instant hold.

    Parameters
    ----------
    buyers, repeaters, regulars : int
        Contacts with orders on at least one, two and three days.
    first, last : datetime or None
        Of the orders; None where there is none.
    complete_until : datetime
        Until when the table is known to be complete.
    """

    buyers: int
    repeaters: int
    regulars: int
    first: datetime | None
    last: datetime | None
    complete_until: datetime

    @property
    def span(self) -> timedelta:
        """From the first order to the last."""
        if self.first is None or self.last is None:
            return timedelta(0)
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class Finding:
    """One need, and whether it is met.

    Parameters
    ----------
    text : str
        What was found and what is needed, in words.
    met : bool
        Whether it suffices.
    leaves : {"model", "btyd", "rule", "nothing"}
        What can be carried where it is not met.
    """

    text: str
    met: bool
    leaves: Carried


@dataclass(frozen=True, slots=True)
class DataGate:
    """What the orders can carry, and why.

    Parameters
    ----------
    findings : tuple of Finding
        Every need.
    """

    findings: tuple[Finding, ...]

    @property
    def carries(self) -> Carried:
        """The best kind of model that the orders can carry."""
        lowest = [_RANK.index(one.leaves) for one in self.findings if not one.met]
        return _RANK[min(lowest, default=len(_RANK) - 1)]

    @property
    def reasons(self) -> tuple[str, ...]:
        """What is missing, in words."""
        return tuple(one.text for one in self.findings if not one.met)

    @property
    def obstacle(self) -> str:
        """What keeps the orders from carrying more than they do, in words."""
        worst = self.carries
        return "; ".join(one.text for one in self.findings if not one.met and one.leaves == worst)

    @property
    def in_words(self) -> str:
        """What can be carried, and why no more."""
        said = _SAYS[self.carries]
        if not self.reasons:
            return said
        return f"{said} {self.obstacle[0].upper()}{self.obstacle[1:]}."


def order_history(market: "Market", *, as_of: datetime) -> OrderHistory:
    """Return what the orders known at an instant hold.

    Parameters
    ----------
    market : Market
        With orders.
    as_of : datetime
        Rows after it are not looked at.

    Returns
    -------
    OrderHistory
        Lines of one local day are one purchase.
    """
    people = purchases_by_contact(purchase_days(market, as_of=as_of))
    counted = people.aggregate(
        buyers=people.count(),
        repeaters=(people["days"] >= 2).sum(),
        regulars=(people["days"] >= 3).sum(),
    )
    rows = known_rows(market, [_ORDER], at=as_of)
    times = rows.aggregate(first=rows[OCCURRED_AT].min(), last=rows[OCCURRED_AT].max())
    found = {**_only_row(counted), **_only_row(times)}
    return OrderHistory(
        buyers=found["buyers"],
        repeaters=found["repeaters"] or 0,
        regulars=found["regulars"] or 0,
        first=_aware(found["first"]),
        last=_aware(found["last"]),
        complete_until=label_complete_until(market, _ORDER, as_of=as_of),
    )


def hold_data_gate(
    history: OrderHistory,
    *,
    as_of: datetime,
    horizon: str | timedelta,
    needs: DataNeeds | None = None,
) -> DataGate:
    """Say what a history of orders can carry.

    Parameters
    ----------
    history : OrderHistory
        From :func:`order_history`.
    as_of : datetime
        When it is asked.
    horizon : str or timedelta
        How far the question looks, such as ``"90D"``.
    needs : DataNeeds, optional
        What is needed, by default as :class:`DataNeeds` says.

    Returns
    -------
    DataGate
        With every finding.
    """
    wanted = needs or DataNeeds()
    quiet = timedelta(0) if history.last is None else as_of.astimezone(UTC) - history.last
    stopped = quiet.days > wanted.silence_days and history.complete_until < as_of.astimezone(UTC)
    whole = history.complete_until - (history.first or history.complete_until)
    ahead = parse_duration(horizon)
    windows = max(int(whole / ahead), 0)
    span = duration_text(ahead)

    def people(found: int, needed: int, who: str, leaves: Carried) -> Finding:
        return Finding(f"{found:,} {who}, {needed:,} are needed", found >= needed, leaves)

    return DataGate(
        (
            people(history.buyers, wanted.fewest_buyers, "contacts ordered", "nothing"),
            Finding(
                f"no order for {quiet.days} days: the table seems to have stopped "
                f"(set complete_until in [tables.orders] if it has not)",
                not stopped,
                "nothing",
            ),
            Finding(
                f"{windows} closed window(s) of {span}, {wanted.windows} are needed",
                windows >= wanted.windows,
                "nothing",
            ),
            people(history.repeaters, wanted.repeaters, "contacts ordered again", "rule"),
            people(history.buyers, wanted.buyers, "contacts ordered", "btyd"),
            Finding(
                f"orders span {history.span.days} days, {wanted.span_days} are needed",
                history.span.days >= wanted.span_days,
                "btyd",
            ),
            people(history.regulars, wanted.regulars, "contacts ordered on three days", "btyd"),
        )
    )


def _only_row(table: "ir.Table") -> dict[str, Any]:
    row: dict[str, Any] = table.to_pyarrow().to_pylist()[0]
    return row


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
