"""How is a phone number written so that everybody compares the same digits?

E.164 is a plus sign, the country's calling code and the number, fifteen digits at most. A number
that already says its country is only tidied up. One that does not needs the rules of the country
it belongs to, which the package ``phonenumbers`` knows (``pip install 'mlmarket[audiences]'``).
A country is never guessed: without one, the number is not used.

References
----------
.. [1] ITU-T Recommendation E.164, "The international public telecommunication numbering plan".
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from mlmarket.errors import ConfigurationError

__all__ = ["e164", "e164_all", "require_country_rules"]

_TRUNK: Final = re.compile(r"\(0\)")
_FILLING: Final = re.compile(r"[\s().\-/\u00a0\u2010-\u2015]+")
_EXTENSION: Final = re.compile(r"(?:;?ext\.?=?|x|#)\s*\d+$", re.IGNORECASE)
_WITH_PLUS: Final = re.compile(r"\+([1-9][0-9]{6,14})")
# "00" goes abroad as the ITU recommends. After it, "11" would be the rest of Australia's "0011":
# no number of the country code 1 begins with 0 or 1.
_WITH_ZEROS: Final = re.compile(r"00(?!1[01])([1-9][0-9]{6,14})")

INSTALL: Final = "pip install 'mlmarket[audiences]'"
"""What brings the rules of all countries."""


def require_country_rules(country: str) -> None:
    """Refuse a country for national numbers where nothing knows its rules.

    Parameters
    ----------
    country : str
        Two letters, ISO 3166-1.

    Raises
    ------
    ConfigurationError
        Where it is no country, or the package is not installed.
    """
    if not re.fullmatch("[A-Za-z]{2}", country):
        what = f"'{country}' is not a country in two letters."
        raise ConfigurationError(what, "Phone numbers are read by its rules.", "write 'PT'.")
    if find_spec("phonenumbers") is None:
        what = f"National phone numbers of {country.upper()} cannot be read."
        why = "The rules of countries come with the package 'phonenumbers', which is not there."
        raise ConfigurationError(what, why, f"{INSTALL}, or leave the country out.")


def e164(text: str | None, country: str | None = None) -> str | None:
    """Return a phone number in E.164.

    Parameters
    ----------
    text : str or None
        As somebody wrote it.
    country : str, optional
        Where it belongs, in two letters; needed for a number without a calling code.

    Returns
    -------
    str or None
        None where it is no number, or nothing says of which country.

    Examples
    --------
    >>> e164("+44 (0)20 7031-3000"), e164("00351 910 000 000"), e164("910 000 000")
    ('+442070313000', '+351910000000', None)
    """
    if text is None:
        return None
    bare = _FILLING.sub("", _TRUNK.sub("", _EXTENSION.sub("", text.strip())))
    found = _WITH_PLUS.fullmatch(bare)
    if found is None:
        parse = _parser()
        if country is not None and parse is not None:
            return parse(text, country.upper())
        found = _WITH_ZEROS.fullmatch(bare)
    return None if found is None else f"+{found[1]}"


@lru_cache(maxsize=1)
def _parser() -> Callable[[str, str], str | None] | None:
    if find_spec("phonenumbers") is None:
        return None
    phonenumbers = import_module("phonenumbers")

    def parse(text: str, country: str) -> str | None:
        try:
            number = phonenumbers.parse(text, country)
        except phonenumbers.NumberParseException:
            return None
        if not phonenumbers.is_possible_number(number):
            return None
        written: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        return written

    return parse


def e164_all(
    texts: Sequence[str | None], countries: Sequence[str | None], default: str | None
) -> list[str | None]:
    """Return many phone numbers in E.164.

    Parameters
    ----------
    texts : sequence of str or None
        As people wrote them.
    countries : sequence of str or None
        The country of each in two letters, where it is known; anything else counts as unknown.
    default : str or None
        The country where it is not.

    Returns
    -------
    list of str or None
        In the same order.
    """
    return [
        e164(text, _country(country) or default)
        for text, country in zip(texts, countries, strict=True)
    ]


def _country(text: str | None) -> str | None:
    code = (text or "").strip()
    return code if re.fullmatch("[A-Za-z]{2}", code) else None
