"""Is this the event that a goal, an entry or a wait is for?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import ibis.expr.types as ir

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.expressions import Expression, parse_condition
from mlmarket.orchestration.conditions.questions import EVENT_SCHEMA

__all__ = ["EventMatch"]


@dataclass(frozen=True, slots=True)
class EventMatch:
    """A type of behaviour, and a condition over single rows of it.

    Parameters
    ----------
    type : str
        The type.
    where : Expression, optional
        Over ``value``, ``item_id``, ``campaign_id``, ``source`` and ``occurred_at``.
    """

    type: str
    where: Expression | None = None

    @classmethod
    def parse(
        cls, event: str, where: str | None = None, *, events: "frozenset[str] | None" = None
    ) -> Self:
        """Read what was written.

        Parameters
        ----------
        event : str
            A type of behaviour.
        where : str, optional
            A condition such as ``value > 20``.
        events : frozenset of str, optional
            The types there are; None where any will do.

        Returns
        -------
        EventMatch
            Checked.

        Raises
        ------
        ConfigurationError
            Where there is no such type, or the condition cannot be read.

        Examples
        --------
        >>> large = EventMatch.parse("order", "value > 20")
        >>> large.matches_row({"type": "order", "value": 25.0})
        True
        """
        if events is not None and event not in events:
            what, why = f"There is no type of event '{event}'.", "It could never happen."
            raise ConfigurationError(what, why, suggestion(event, events))
        if where is None:
            return cls(event)
        return cls(event, parse_condition(where, schema=EVENT_SCHEMA))

    def matches(self, activity: ir.Table) -> ir.BooleanValue:
        """Return which rows of behaviour it means; where that is unknown, they are not meant.

        Parameters
        ----------
        activity : ibis.expr.types.Table
            With the columns of ``Market.activity``.

        Returns
        -------
        ibis.expr.types.BooleanValue
            Never missing.
        """
        is_type = (activity["type"] == self.type).fill_null(False)  # noqa: FBT003
        if self.where is None:
            return is_type
        return is_type & self.where.to_ibis(activity).fill_null(False)  # noqa: FBT003

    def matches_row(self, event: Mapping[str, object]) -> bool:
        """Return whether it means one event.

        Parameters
        ----------
        event : mapping of str to object
            A row of ``Market.activity``.

        Returns
        -------
        bool
            False where that is unknown.
        """
        meant = event.get("type") == self.type
        return meant and (self.where is None or self.where.evaluate(event) is True)
