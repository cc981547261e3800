"""Which item is on the page that somebody visited?

An article has no order line: that somebody read it shows in the address of the page alone. A team declares how
the addresses of its items look, once, and pages visited become signs of interest like any other.
"""

import functools
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.recommend.interactions import ITEM_ID

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["UrlPattern", "item_of_url"]

_NAMED: Final = f"{{{ITEM_ID}}}"
_NO_ADDRESS: Final = re.compile(r"[\s\\\[\]^|<>\"`]")
"""Signs that no address has; databases disagree on them inside regular expressions."""
_SCHEME: Final = "[A-Za-z][A-Za-z0-9+.-]*:"
_ANYTHING: Final = "[^?#]*"
_ONE_PART: Final = "([^/?#]+)"
_ONE_VALUE: Final = "([^&#]+)"
_END_OF_PATH: Final = "(?:[?#]|$)"
_END_OF_VALUE: Final = "(?:[&#]|$)"
_EXAMPLE: Final = f"such as '/blog/{_NAMED}', '*/p/{_NAMED}' or '/product?id={_NAMED}'"


@dataclass(frozen=True, slots=True)
class UrlPattern:
    """How the address of an item's page looks.

    Make one with :meth:`parse`.

    Parameters
    ----------
    text : str
        As it was declared.
    item : str
        Regular expression whose group is the item.
    needed : tuple of str
        Regular expressions that have to be found as well.
    refused : tuple of str
        Regular expressions that must not be found: an address that names two items names none.
    """

    text: str
    item: str
    needed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "UrlPattern":
        """Read a pattern.

        Parameters
        ----------
        text : str
            An address with ``{item_id}`` where the item stands: one part between slashes, or the value of a
            parameter. ``*`` stands for anything in the path. A pattern that begins with ``/`` fits any host or
            none; whether it is ``http`` or ``https`` plays no role. Parameters, what follows ``#`` and a slash
            at the end are ignored, unless they are named; parameters may come in any order. Letters of the host
            are the same in upper and lower case, others are not.

        Returns
        -------
        UrlPattern
            An address fits it in one way or not at all.

        Raises
        ------
        ConfigurationError
            Where it cannot be read, names no item or several, or leaves open which part is the item.

        Examples
        --------
        >>> UrlPattern.parse("/blog/{item_id}").item_of("https://shop.example/blog/teapots/?from=mail")
        'teapots'
        """
        if not isinstance(text, str) or not text.strip():
            raise _bad(text, "is empty", f"write how an address looks, {_EXAMPLE}.")
        _refuse_signs(text)
        path, _, query = text.partition("?")
        values = [_parameter(text, part) for part in query.split("&")] if "?" in text else []
        if text.count(_NAMED) != 1:
            found = "names no item" if _NAMED not in text else "names the item twice"
            raise _bad(text, found, f"write {_NAMED} once, {_EXAMPLE}.")
        if _NAMED in path:
            _refuse_open(text, path)
        place = f"{_host_and_path(text, path)}{_END_OF_PATH}"
        begin = f"^{_ANYTHING}[?](?:[^#]*&)?"
        named = {name: value for name, value in values if name}
        wanted = tuple(
            f"{begin}{_plain(name)}={'' if value == '*' else _plain(value) + _END_OF_VALUE}"
            for name, value in sorted(named.items())
            if _NAMED not in value
        )
        if _NAMED in path:
            return cls(text, place, wanted)
        (key,) = (name for name, value in named.items() if _NAMED in value)
        before, _, after = named[key].partition(_NAMED)
        item = f"{begin}{_plain(key)}={_plain(before)}{_ONE_VALUE}{_plain(after)}{_END_OF_VALUE}"
        twice = f"{begin}{_plain(key)}=(?:[^#]*&)?{_plain(key)}="
        return cls(text, item, (place, *wanted), (twice,))

    def item_of(self, url: str) -> str | None:
        """Return the item that an address names.

        Parameters
        ----------
        url : str
            An address, with or without a host.

        Returns
        -------
        str or None
            As it stands there; None where the address does not fit.
        """
        found = re.search(self.item, url)
        fits = found is not None
        fits &= all(re.search(one, url) for one in self.needed)
        fits &= not any(re.search(one, url) for one in self.refused)
        return found[1] if found is not None and fits else None

    def to_ibis(self, url: "ir.StringValue") -> "ir.StringValue":
        """Return the item that an address names, as an expression.

        Parameters
        ----------
        url : ibis.expr.types.StringValue
            Addresses.

        Returns
        -------
        ibis.expr.types.StringValue
            Missing where the address does not fit.
        """
        import ibis

        item = url.re_extract(self.item, 1).nullif("")  # engines disagree on what no match is
        conditions = [url.re_search(one) for one in self.needed]
        conditions += [~url.re_search(one) for one in self.refused]
        if not conditions:
            return cast("ir.StringValue", item)
        every = functools.reduce(operator.and_, conditions)
        return cast("ir.StringValue", every.ifelse(item, ibis.null("string")))


def item_of_url(url: "ir.StringValue", patterns: Sequence[UrlPattern]) -> "ir.StringValue":
    """Return the item that an address names by the first pattern that it fits.

    Parameters
    ----------
    url : ibis.expr.types.StringValue
        Addresses.
    patterns : sequence of UrlPattern
        At least one, in the order in which they are tried.

    Returns
    -------
    ibis.expr.types.StringValue
        Missing where none fits.
    """
    import ibis

    return cast("ir.StringValue", ibis.coalesce(*(one.to_ibis(url) for one in patterns)))


def _refuse_signs(text: str) -> None:
    sign = _NO_ADDRESS.search(text)
    if sign is not None:
        raise _bad(text, f"has the sign {sign[0]!r}", "write it as in the address, such as %20.")
    if "#" in text:
        raise _bad(text, "has a '#'", "leave out what follows it: it is never looked at.")
    for name in re.findall(r"\{([^{}]*)\}", text):
        if name != ITEM_ID:
            fix = f"{suggestion(name, [ITEM_ID])} Write * where anything may stand."
            raise _bad(text, f"has the placeholder '{{{name}}}'", fix)
    if "{" in text.replace(_NAMED, "") or "}" in text.replace(_NAMED, ""):
        raise _bad(text, "has a brace that is not closed", f"write {_NAMED} once, {_EXAMPLE}.")


def _refuse_open(text: str, path: str) -> None:
    """Refuse a path that may fit in two ways, with another item each."""
    before, _, after = path.partition(_NAMED)
    part = before.rpartition("/")[2] + after.partition("/")[0]
    if "*" in part:
        fix = f"put a slash between the two, {_EXAMPLE}."
        raise _bad(text, f"has a * in the same part as {_NAMED}", fix)
    if "*" in before and "*" in after:
        fix = "write out what stands before it, or what stands behind it."
        raise _bad(text, f"has a * before and behind {_NAMED}", fix)
    if "/" not in before:
        raise _bad(text, "begins with the item", f"begin with a slash, a host or *, {_EXAMPLE}.")


def _parameter(text: str, part: str) -> tuple[str, str]:
    """Return name and value of a parameter; two empty texts for a ``*``, which says nothing."""
    if part == "*":
        return "", ""
    name, equals, value = part.partition("=")
    if not name or not equals or "*" in name or _NAMED in name:
        raise _bad(text, f"has the parameter '{part}'", "write name=value, name=* or *.")
    if "*" in value and value != "*":
        raise _bad(text, f"has a * inside the value of '{name}'", f"write {name}=* or the value.")
    return name, value


def _host_and_path(text: str, path: str) -> str:
    """Return the regular expression of everything up to the parameters."""
    path = re.sub(f"^{_SCHEME}//", "", path)
    if not path:
        raise _bad(text, "has no path", f"write what stands before the parameters, {_EXAMPLE}.")
    host, slash, rest = path.partition("/")
    begin = f"^(?:{_SCHEME})?(?://[^/?#]*)?" if not host else "^"
    if host and not host.startswith("*"):
        begin = f"^(?:(?:{_SCHEME})?//)?"
    either = "".join(
        f"[{c.lower()}{c.upper()}]" if c.isascii() and c.isalpha() else c for c in host
    )
    end = "" if path.endswith("/") else "/?"
    written = f"{_plain(either, brackets=True)}{slash}{_plain(rest)}"
    return f"{begin}{written}{end}"


def _plain(text: str, *, brackets: bool = False) -> str:
    """Return a text in which only ``*`` and the item mean something, as a regular expression.

    Signs stand in brackets, which every engine reads alike; what is in brackets already stays.
    """
    pieces = re.split(r"(\{item_id\}|\*|\[[^\]]*\])" if brackets else r"(\{item_id\}|\*)", text)
    return "".join(_piece(piece) for piece in pieces)


def _piece(piece: str) -> str:
    if piece == _NAMED:
        return _ONE_PART
    if piece == "*":
        return _ANYTHING
    if piece.startswith("["):
        return piece
    return re.sub(r"([.$+()?])", r"[\1]", piece)


def _bad(text: object, what: str, fix: str) -> ConfigurationError:
    return ConfigurationError(
        f"The address pattern {text!r} {what}.",
        "It says which item was on the page that somebody visited.",
        fix,
    )
