"""Which hashes does an advertising platform take as the people of a segment?

Platforms match on SHA-256 hashes of addresses that were written in one way before. Who has not
consented to advertising is left out, and nothing but hashes leaves.

What each platform wants, as documented by it:

- **Google** Customer Match: columns ``Email`` and ``Phone``; e-mail in small letters without
  spaces, phone in E.164 with its plus sign. For addresses at gmail.com and googlemail.com, what
  follows a plus sign and the dots before the @ are taken out [1]_ [2]_.
- **Meta** customer list: columns ``EM`` and ``PH``; e-mail trimmed and in small letters, phone
  with its calling code, as digits only [3]_.
- **LinkedIn** contact list: the columns of its template, of which ``email`` is filled [4]_ [5]_.

Except for Google's own addresses, dots and plus signs are kept: elsewhere they make another address.

References
----------
.. [1] Google Ads Help, "Formatting guidelines for uploading hashed data" (answer 7476159).
.. [2] Google, Data Manager API, "Format user data".
.. [3] Meta for Developers, "Customer Information Parameters".
.. [4] LinkedIn Help, "Requirements for contact targeting lists" (answer a1489764).
.. [5] LinkedIn, Marketing API, "DMP Segment Users": ``SHA256_EMAIL``.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.orchestration.behaviour import Behaviour
from mlmarket.orchestration.segments.lists import addresses_of, members_of, segment_named
from mlmarket.orchestration.segments.phones import e164_all, require_country_rules
from mlmarket.orchestration.state.standing import Decisions

__all__ = ["PLATFORMS", "Audience", "audience", "audience_changes"]

_TEXT: Final = pa.string()
_SPACE: Final = re.compile(r"\s+")
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+")
_GOOGLE_MAIL: Final = ("gmail.com", "googlemail.com")


@dataclass(frozen=True, slots=True)
class _Platform:
    columns: tuple[str, ...]
    email: str
    phone: str | None
    keeps_plus: bool = True
    tidies_google_mail: bool = False


PLATFORMS: Final[Mapping[str, _Platform]] = MappingProxyType(
    {
        "google": _Platform(("Email", "Phone"), "Email", "Phone", tidies_google_mail=True),
        "linkedin": _Platform(
            (
                "email",
                "firstname",
                "lastname",
                "jobtitle",
                "employeecompany",
                "country",
                "googleaid",
            ),
            "email",
            None,
        ),
        "meta": _Platform(("EM", "PH"), "EM", "PH", keeps_plus=False),
    }
)
"""The platforms, by name."""


@dataclass(frozen=True, slots=True)
class Audience:
    """The people of a segment as a platform takes them.

    Parameters
    ----------
    platform : str
        Which.
    rows : pyarrow.Table
        The platform's columns, all text, empty where there is nothing to match by; sorted, no
        row twice.
    members : int
        How many members the segment has.
    without_consent : int
        How many of them are left out because they may not be shown ads.
    without_address : int
        How many are left out because there is nothing to match by.
    unread_phones : int
        How many phone numbers of the others could not be used: they are no numbers, or nothing
        says of which country.
    """

    platform: str
    rows: pa.Table
    members: int
    without_consent: int
    without_address: int
    unread_phones: int


def audience(
    decisions: Decisions,
    segment: str,
    events: Behaviour,
    *,
    platform: str,
    may: pa.Array,
    country: str | None = None,
) -> Audience:
    """Return a segment as an audience of an advertising platform.

    Parameters
    ----------
    decisions : Decisions
        The tick.
    segment : str
        The name of the segment.
    events : Behaviour
        Where addresses, and ``country`` where contacts have it, are read as they were at the tick.
    platform : str
        ``google``, ``linkedin`` or ``meta``.
    may : pyarrow.Array of string
        The contacts whose consent to the channel ``ads`` stands; nobody else is on it.
    country : str, optional
        The country, in two letters, of phone numbers whose contact has none.

    Returns
    -------
    Audience
        The rows and who was left out.

    Raises
    ------
    ConfigurationError
        Where there is no such segment or platform, the tick looked at some people only, or the
        rules of the country are not installed.
    """
    if platform not in PLATFORMS:
        what, why = f"There is no platform '{platform}'.", "Each takes addresses in its own form."
        raise ConfigurationError(what, why, suggestion(platform, PLATFORMS))
    if country is not None:
        require_country_rules(country)
    segment_named(decisions, segment)
    members = members_of(decisions, segment)["contact_id"]
    permitted = members.filter(pc.is_in(members, value_set=may.cast(_TEXT)))
    addresses = addresses_of(decisions, events, "country")
    known = addresses.filter(
        pc.is_in(addresses["contact_id"], value_set=permitted.combine_chunks())
    )
    form = PLATFORMS[platform]
    emails = [_hashed(_email(one, form)) for one in known["email"].to_pylist()]
    phones: list[str | None] = [None] * len(known)
    unread = 0
    if form.phone is not None:
        written = known["phone"].to_pylist()
        read = e164_all(written, known["country"].to_pylist(), country)
        phones = [_hashed(_phone(one, form)) for one in read]
        unread = sum(
            one is None and bool((text or "").strip())
            for one, text in zip(read, written, strict=True)
        )
    pairs = {pair for pair in zip(emails, phones, strict=True) if any(pair)}
    reached = sum(any(pair) for pair in zip(emails, phones, strict=True))
    return Audience(
        platform,
        _rows(sorted((email or "", phone or "") for email, phone in pairs), form),
        len(members),
        len(members) - len(permitted),
        len(permitted) - reached,
        unread,
    )


def audience_changes(earlier: pa.Table, rows: pa.Table) -> pa.Table:
    """Return what has to be added to and removed from an audience that was uploaded before.

    Beside those who entered or left the segment, these are people whose consent came or went and
    people with another address.

    Parameters
    ----------
    earlier : pyarrow.Table
        The rows that were uploaded.
    rows : pyarrow.Table
        The rows of now, for the same platform.

    Returns
    -------
    pyarrow.Table
        ``change`` (``add`` or ``remove``) and the platform's columns, sorted.

    Raises
    ------
    ConfigurationError
        Where the two are of different platforms.
    """
    if earlier.column_names != rows.column_names:
        what = f"The earlier rows have the columns {', '.join(earlier.column_names)}."
        why = f"Those of now have {', '.join(rows.column_names)}: nobody could be compared."
        raise ConfigurationError(what, why, "compare two exports for the same platform.")
    before = {tuple(row.values()) for row in earlier.to_pylist()}
    now = {tuple(row.values()) for row in rows.to_pylist()}
    changed = sorted(
        [("add", *row) for row in now - before] + [("remove", *row) for row in before - now]
    )
    names = ("change", *rows.column_names)
    columns = list(zip(*changed, strict=True)) or [()] * len(names)
    return pa.table(
        {name: pa.array(column, _TEXT) for name, column in zip(names, columns, strict=True)}
    )


def _email(text: str | None, form: _Platform) -> str | None:
    address = _SPACE.sub("", text or "").lower()
    if not _ADDRESS.fullmatch(address):
        return None
    name, _, domain = address.rpartition("@")
    if form.tidies_google_mail and domain in _GOOGLE_MAIL:
        name = name.partition("+")[0].replace(".", "")
    return f"{name}@{domain}" if name else None


def _phone(number: str | None, form: _Platform) -> str | None:
    return number if number is None or form.keeps_plus else number.removeprefix("+")


def _hashed(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def _rows(pairs: list[tuple[str, str]], form: _Platform) -> pa.Table:
    filled = {form.email: [email for email, _ in pairs]}
    if form.phone is not None:
        filled[form.phone] = [phone for _, phone in pairs]
    empty = [""] * len(pairs)
    return pa.table({name: pa.array(filled.get(name, empty), _TEXT) for name in form.columns})
