"""What can be asked about a contact's past?

A small closed set of operations over behaviour and attributes. A feature is data, not code: it can
be listed, documented, written in a file, and compiled for any engine.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from mlmarket.errors import ConfigurationError
from mlmarket.features.behaviour import Behaviour
from mlmarket.features.feature import Feature, Operation
from mlmarket.market.time import parse_duration

__all__ = [
    "attribute",
    "count",
    "days_active",
    "first_touch",
    "gap_mean",
    "gap_std",
    "last",
    "maximum",
    "mean",
    "minimum",
    "ratio",
    "recency",
    "share_by",
    "total",
    "trend",
]


def _named(operation: Operation, of: str | Behaviour, window: str | None, name: str) -> Feature:
    behaviour = Behaviour.parse(of)
    if behaviour.negated or behaviour.within is not None:
        raise ConfigurationError(
            f"A feature cannot be made of '{behaviour}'.",
            "It counts rows that are there; how far back is said by its window.",
            f"leave out 'no' and 'within', and give the window: {operation.value}('order', '90D').",
        )
    span = parse_duration(window) if window and window != "all" else None
    if span is not None and span % timedelta(days=1):
        raise ConfigurationError(
            f"The window {window!r} is not made of whole days.",
            "Rows are counted by day before as_of.",
            "write it in days, such as '7D'.",
        )
    default = f"{behaviour.label}_{operation.value}" + (f"_{span.days}d" if span else "")
    return Feature(name or default, operation, behaviour, span)


def count(of: str | Behaviour, window: str = "all", *, name: str = "") -> Feature:
    """Return the number of rows; 0 without rows.

    Parameters
    ----------
    of : str or Behaviour
        Which rows, such as ``"order"``.
    window : str, default "all"
        How far back, in whole days, such as ``"90D"``.
    name : str, optional
        Name of the column; by default made of the rest.

    Returns
    -------
    Feature
        A description of it; nothing is computed yet.

    Raises
    ------
    ConfigurationError
        Where the behaviour cannot be read or the window is not made of whole days.

    Examples
    --------
    >>> count("order", "90D").name
    'order_count_90d'
    """
    return _named(Operation.COUNT, of, window, name)


def total(of: str | Behaviour, window: str = "all", *, name: str = "") -> Feature:
    """Return the summed value of rows, in currency; 0 without rows.

    Parameters
    ----------
    of : str or Behaviour
        Which rows, such as ``"order"``.
    window : str, default "all"
        How far back, in whole days, such as ``"90D"``.
    name : str, optional
        Name of the column; by default made of the rest.

    Returns
    -------
    Feature
        A description of it; nothing is computed yet.

    Raises
    ------
    ConfigurationError
        Where the behaviour cannot be read or the window is not made of whole days.
    """
    return _named(Operation.TOTAL, of, window, name)


def mean(of: str | Behaviour, window: str = "all", *, name: str = "") -> Feature:
    """Return the mean value of the rows that have one, in currency; missing without rows.

    Parameters
    ----------
    of : str or Behaviour
        Which rows, such as ``"order"``.
    window : str, default "all"
        How far back, in whole days, such as ``"90D"``.
    name : str, optional
        Name of the column; by default made of the rest.

    Returns
    -------
    Feature
        A description of it; nothing is computed yet.

    Raises
    ------
    ConfigurationError
        Where the behaviour cannot be read or the window is not made of whole days.
    """
    return _named(Operation.MEAN, of, window, name)


def minimum(of: str | Behaviour, window: str = "all", *, name: str = "") -> Feature:
    """Return the smallest value of rows, in currency; missing without rows.

    Parameters
    ----------
    of : str or Behaviour
        Which rows, such as ``"order"``.
    window : str, default "all"
        How far back, in whole days, such as ``"90D"``.
    name : str, optional
        Name of the column; by default made of the rest.

    Returns
    -------
    Feature
        A description of it; nothing is computed yet.

    Raises
    ------
    ConfigurationError
        Where the behaviour cannot be read or the window is not made of whole days.
    """
    return _named(Operation.MINIMUM, of, window, name)


def maximum(of: str | Behaviour, window: str = "all", *, name: str = "") -> Feature:
    """Return the largest value of rows, in currency; missing without rows.

    Parameters
    ----------
    of : str or Behaviour
        Which rows, such as ``"order"``.
    window : str, default "all"
        How far back, in whole days, such as ``"90D"``.
    name : str, optional
        Name of the column; by default made of the rest.

    Returns
    -------
    Feature
        A description of it; nothing is computed yet.

    Raises
    ------
    ConfigurationError
        Where the behaviour cannot be read or the window is not made of whole days.
    """
    return _named(Operation.MAXIMUM, of, window, name)


def last(of: str | Behaviour, window: str = "all", *, name: str = "") -> Feature:
    """Return the value of the last row that has one; missing without such rows.

    Of several at the same microsecond it is the largest.

    Parameters
    ----------
    of : str or Behaviour
        Which rows, such as ``"order"``.
    window : str, default "all"
        How far back, in whole days, such as ``"90D"``.
    name : str, optional
        Name of the column; by default made of the rest.

    Returns
    -------
    Feature
        A description of it; nothing is computed yet.

    Raises
    ------
    ConfigurationError
        Where the behaviour cannot be read or the window is not made of whole days.
    """
    return _named(Operation.LAST, of, window, name)


def recency(of: str | Behaviour, *, name: str = "") -> Feature:
    """Return the days since the last row, with their fraction; missing without rows.

    Parameters
    ----------
    of : str or Behaviour
        Which rows, such as ``"order"``.
    name : str, optional
        Name of the column; by default made of the rest.

    Returns
    -------
    Feature
        A description of it; nothing is computed yet.

    Raises
    ------
    ConfigurationError
        Where the behaviour cannot be read.
    """
    return _named(Operation.RECENCY, of, None, name)


def first_touch(of: str | Behaviour, *, name: str = "") -> Feature:
    """Return the days since the first row, with their fraction; missing without rows.

    Parameters
    ----------
    of : str or Behaviour
        Which rows, such as ``"order"``.
    name : str, optional
        Name of the column; by default made of the rest.

    Returns
    -------
    Feature
        A description of it; nothing is computed yet.

    Raises
    ------
    ConfigurationError
        Where the behaviour cannot be read.
    """
    return _named(Operation.FIRST_TOUCH, of, None, name)


def days_active(of: str | Behaviour, window: str = "all", *, name: str = "") -> Feature:
    """Return the number of 24-hour days, counted back from as_of, that have a row.

    An order of several lines, or several orders of a day, are one day: what the literature on
    repeat buying calls a transaction.

    Parameters
    ----------
    of : str or Behaviour
        Which rows, such as ``"order"``.
    window : str, default "all"
        How far back, in whole days, such as ``"90D"``.
    name : str, optional
        Name of the column; by default made of the rest.

    Returns
    -------
    Feature
        A description of it; nothing is computed yet.

    Raises
    ------
    ConfigurationError
        Where the behaviour cannot be read or the window is not made of whole days.
    """
    return _named(Operation.DAYS_ACTIVE, of, window, name)


def gap_mean(of: str | Behaviour, *, name: str = "") -> Feature:
    """Return the mean number of days between active days; missing below two of them.

    Parameters
    ----------
    of : str or Behaviour
        Which rows, such as ``"order"``.
    name : str, optional
        Name of the column; by default made of the rest.

    Returns
    -------
    Feature
        A description of it; nothing is computed yet.

    Raises
    ------
    ConfigurationError
        Where the behaviour cannot be read.
    """
    return _named(Operation.GAP_MEAN, of, None, name)


def gap_std(of: str | Behaviour, *, name: str = "") -> Feature:
    """Return the sample standard deviation of the gaps; missing below three active days.

    Parameters
    ----------
    of : str or Behaviour
        Which rows, such as ``"order"``.
    name : str, optional
        Name of the column; by default made of the rest.

    Returns
    -------
    Feature
        A description of it; nothing is computed yet.

    Raises
    ------
    ConfigurationError
        Where the behaviour cannot be read.
    """
    return _named(Operation.GAP_STD, of, None, name)


def trend(of: str | Behaviour, window: str, *, name: str = "") -> Feature:
    """Return ``log((1 + rows in the window) / (1 + rows in the span of equal length before))``.

    Parameters
    ----------
    of : str or Behaviour
        Which rows, such as ``"order"``.
    window : str
        How far back, in whole days, such as ``"30D"``; twice as far is looked at.
    name : str, optional
        Name of the column; by default made of the rest.

    Returns
    -------
    Feature
        A description of it; nothing is computed yet.

    Raises
    ------
    ConfigurationError
        Where the behaviour cannot be read, or the window is not made of whole days.
    """
    feature = _named(Operation.TREND, of, window, name)
    if feature.window is None:
        raise ConfigurationError(
            "A trend has no window.",
            "It compares a span with the one before it.",
            "give it one, such as trend('order', '30D').",
        )
    return feature


def ratio(above: Feature, below: Feature, *, name: str = "") -> Feature:
    """Return one feature divided by another; missing where the latter is 0 or missing.

    Parameters
    ----------
    above, below : Feature
        Numerator and denominator, both of them numbers.
    name : str, optional
        Name of the column; by default made of the two.

    Returns
    -------
    Feature
        A description of it; nothing is computed yet.

    Raises
    ------
    ConfigurationError
        Where one of them is a category.
    """
    for part in (above, below):
        if part.categorical:
            raise ConfigurationError(
                f"'{part.name}' is a category.",
                "Only numbers can be divided.",
                "make a ratio of counts, sums, days or numeric attributes.",
            )
    default = f"{above.name}_per_{below.name}"
    return Feature(name or default, Operation.RATIO, parts=(above, below))


def share_by(
    of: str | Behaviour, by: str, values: Sequence[str], window: str = "all", *, name: str = ""
) -> tuple[Feature, ...]:
    """Return, for each value of a category, the share of rows that have it.

    Parameters
    ----------
    of : str or Behaviour
        Which rows, such as ``"order"``.
    by : str
        Their category: ``type``, ``source``, ``campaign_id``, ``item_id``, or a column of items with
        ``item_`` before it, such as ``item_category``.
    values : sequence of str
        The values wanted.
    window : str, default "all"
        How far back, in whole days, such as ``"90D"``.
    name : str, optional
        What the names of the columns begin with; by default made of the rest.

    Returns
    -------
    tuple of Feature
        One for each value, in their order: a number from 0 to 1, missing without rows.

    Raises
    ------
    ConfigurationError
        Where there is no value, the behaviour cannot be read or the window is not made of whole
        days.

    Examples
    --------
    >>> [one.name for one in share_by("order", "item_category", ["shoes", "bags"], "365D")]
    ['order_share_shoes_365d', 'order_share_bags_365d']
    """
    if isinstance(values, str) or not values:
        raise ConfigurationError(
            f"The shares of '{of}' by '{by}' name {'one text' if values else 'no value'}, not a list.",
            "Each value becomes a column, and columns do not depend on the rows of one night.",
            f"list them: share_by('order', '{by}', ['shoes', 'bags']).",
        )
    behaviour = Behaviour.parse(of)
    below = count(behaviour, window)
    stem = name or f"{behaviour.label}_share"
    span = f"_{below.window.days}d" if below.window else ""
    shares = []
    for value in values:
        word = re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_")
        those = _with_value(behaviour, by, value)
        above = count(those, window, name=f"{behaviour.label}_count_{word}{span}")
        shares.append(ratio(above, below, name=f"{stem}_{word}{'' if name else span}"))
    return tuple(shares)


def _with_value(behaviour: Behaviour, by: str, value: str) -> Behaviour:
    same = "{} = '{}'".format(by, value.replace("'", "''"))
    return replace(behaviour, where=f"({behaviour.where}) and {same}" if behaviour.where else same)


def attribute(column: str, *, categorical: bool = False, name: str = "") -> Feature:
    """Return an attribute of the contact, as it was known at as_of.

    Parameters
    ----------
    column : str
        Column of contacts.
    categorical : bool, default False
        Whether it is a category; else it is read as a number, and what is none is missing.
    name : str, optional
        Name of the column; by default that of the attribute.

    Returns
    -------
    Feature
        A description of it; nothing is computed yet.
    """
    return Feature(name or column, Operation.ATTRIBUTE, column=column, categorical=categorical)
