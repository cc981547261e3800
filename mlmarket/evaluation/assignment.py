"""Who is held out, and how does that stay the same every night?

The one place where stable chance is computed: a hash of a salt and the contact, read as a
number from 0 to 1. Another salt gives an independent draw.
"""

import hashlib
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.checks import FloatArray, require_fraction

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["drawn_below", "in_holdout", "stable_fraction", "stable_fractions"]

_RANGE = 2**32


def stable_fraction(salt: str, contact_id: str) -> float:
    """Return a contact's own number in [0, 1), the same on every machine and night.

    Parameters
    ----------
    salt : str
        What the draw is for, such as the name of an experiment.
    contact_id : str
        The contact.

    Returns
    -------
    float
        The first 8 hexadecimal digits of ``sha256("salt|contact_id")``, divided by 2**32.

    Raises
    ------
    ConfigurationError
        Where the contact is not text.

    Examples
    --------
    >>> stable_fraction("welcome", "c-1") == stable_fraction("welcome", "c-1")
    True
    """
    return float(stable_fractions(salt, [contact_id])[0])


def stable_fractions(salt: str, contact_ids: Iterable[str]) -> FloatArray:
    """Return :func:`stable_fraction` of many contacts.

    Parameters
    ----------
    salt : str
        What the draw is for.
    contact_ids : iterable of str
        The contacts.

    Returns
    -------
    ndarray of float64, shape (n,)
        Numbers in [0, 1), in the order of the contacts.

    Raises
    ------
    ConfigurationError
        Where a contact is not text, or one text stands in place of many.
    """
    if isinstance(contact_ids, str):
        what = "'contact_ids' is one text, not a list of texts."
        why = "Its letters would be taken for contacts."
        raise ConfigurationError(what, why, "call stable_fraction(salt, contact_id) for one.")
    salted = hashlib.sha256(f"{salt}|".encode())
    heads = []
    for contact_id in contact_ids:
        if not isinstance(contact_id, str):
            raise _not_text(contact_id)
        digest = salted.copy()
        digest.update(contact_id.encode())
        heads.append(digest.digest()[:4])
    return np.frombuffer(b"".join(heads), dtype=">u4") / _RANGE


def drawn_below(ids: "ir.StringValue", *, salt: str, share: float) -> "ir.BooleanValue":
    """Return for whom :func:`stable_fraction` lies below a share, where the contacts are.

    Parameters
    ----------
    ids : ibis.expr.types.StringValue
        The contacts, in any database that knows ``sha256``.
    salt : str
        What the draw is for.
    share : float
        Share of contacts, 0 to 1.

    Returns
    -------
    ibis.expr.types.BooleanValue
        The same contacts as the fractions themselves would give.

    Raises
    ------
    ConfigurationError
        Where the share is outside 0 to 1.
    """
    require_fraction(share, "share", inclusive=True)
    head = ("0" + (f"{salt}|" + ids).hexdigest("sha256").substr(0, 8)).lower()
    # Nine digits, so that a share of 1 has one that is above all others.
    return head < f"{math.ceil(share * _RANGE):09x}"


def in_holdout(salt: str, contact_id: str, share: float) -> bool:
    """Say whether a contact belongs to the held-out share.

    A contact of a smaller share also belongs to every larger one of the same salt.

    Parameters
    ----------
    salt : str
        What the holdout is for.
    contact_id : str
        The contact.
    share : float
        Share of contacts to hold out, 0 to 1.

    Returns
    -------
    bool
        True for the held-out contacts.

    Raises
    ------
    ConfigurationError
        Where the share is outside 0 to 1, or the contact is not text.

    Examples
    --------
    >>> in_holdout("global", "c-1", 0.0), in_holdout("global", "c-1", 1.0)
    (False, True)
    """
    require_fraction(share, "share", inclusive=True)
    return stable_fraction(salt, contact_id) < share


def _not_text(contact_id: object) -> ConfigurationError:
    what = f"A contact_id is {type(contact_id).__name__}, not text."
    why = "17850 and '17850.0' would draw different numbers for the same person."
    return ConfigurationError(what, why, "take contact_id from the Market, where ids are text.")
