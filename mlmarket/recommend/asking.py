"""What is known and asked tonight?"""

from dataclasses import replace
from datetime import datetime
from typing import Final, Literal, TypedDict

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.recommend.recipients import as_item_frame
from mlmarket.recommend.rules import RuleTables

__all__ = ["Tonight", "excluded"]

_EXCLUDES: Final = ("seen", "none")


class Tonight(TypedDict, total=False):
    """What is known and asked tonight; everything may be left out.

    Parameters
    ----------
    history : frame
        Fresher interactions than those learned from, also of new contacts; they count without another fit.
        :class:`Interactions` are taken as the whole histories, in place of those learned from.
    exclude : {"seen", "none"} or frame
        Whether items of the history are left out, by default they are; a frame of ``contact_id, item_id`` names
        what is left out, and nothing else is.
    eligible : sequence of str, or frame
        Only these items; with ``contact_id`` only these to each.
    due : frame
        ``contact_id, item_id, due_date, probability`` of what is used up, see :func:`mlmarket.churn.due_items`;
        these items may come back whatever `exclude` says of the history.
    stock : frame
        ``item_id, capacity``: to how many of those asked for an item may be shown at most. Who would lose most
        without it gets it; no capacity is ever exceeded.
    tables : RuleTables
        Carts, consents, and what is blocked or pinned for single contacts.
    as_of : datetime
        Tonight; by default when it learned. Needed where `history` has times.
    check_reasons : bool
        Whether "because you bought X" is only said where ranking without X puts the item lower; by default it is.
        It costs about as much as the ranking, once for each X of a recipient.
    """

    history: object
    exclude: object
    eligible: object
    due: object
    stock: object
    tables: RuleTables
    as_of: datetime
    check_reasons: bool


def excluded(tonight: Tonight) -> tuple[Literal["seen", "none"], RuleTables]:
    """Return whether the history is left out, and the tables of tonight.

    Parameters
    ----------
    tonight : Tonight
        What is asked.

    Returns
    -------
    exclude : {"seen", "none"}
        A frame of what is left out is a table, and then nothing else is left out.
    tables : RuleTables
        With what alone is eligible.

    Raises
    ------
    ConfigurationError
        Where ``exclude`` is another word.
    """
    exclude, tables = tonight.get("exclude", "seen"), tonight.get("tables", RuleTables())
    eligible = tonight.get("eligible")
    if eligible is not None:
        tables = replace(tables, eligible=as_item_frame(eligible))
    if not isinstance(exclude, str):
        return "none", replace(tables, exclude=exclude)
    if exclude == "seen":
        return "seen", tables
    if exclude == "none":
        return "none", tables
    raise ConfigurationError(
        f"'exclude' is {exclude!r}.",
        "It decides whether people see what they had.",
        suggestion(exclude, _EXCLUDES),
    )
