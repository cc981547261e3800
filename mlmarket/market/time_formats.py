"""How is a declared time format read by a database that knows other formats, or none?

A format becomes a regular expression that finds the parts of a time, and their new order, which is
that of ISO 8601: what a database reads without being told a format.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

import ibis

from mlmarket.errors import ConfigurationError

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["TimeFormat"]

_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_COMPOSED: Final = {"x": "%Y-%m-%d", "X": "%H:%M:%S", "c": "%Y-%m-%d %H:%M:%S"}


_HALVES: Final = "(?:am|pm)"


def _any_of(words: tuple[str, ...], *, letters: int | None = None) -> str:
    return "|".join(word[:letters] for word in words)


_PARTS: Final = {
    "d": "([0-9]{1,2})",
    "m": "([0-9]{1,2})",
    "Y": "([0-9]{4})",
    "y": "([0-9]{1,2})",
    "H": "([0-9]{1,2})",
    "I": "(0?[1-9]|1[0-2])",
    "M": "([0-9]{1,2})",
    "S": "([0-9]{1,2})",
    "f": "([0-9]{1,6})",
    "g": "([0-9]{1,3})",
    "n": "([0-9]{1,9})",
    "b": f"({_any_of(_MONTHS, letters=3)})",
    "B": f"({_any_of(_MONTHS)})",
    "z": "([+-][0-9]{2}(?::?[0-9]{2})?)",
    "Z": "([a-z][a-z0-9_/+-]*)",
    "p": _HALVES,
    "a": f"(?:{_any_of(_DAYS, letters=3)})",
    "A": f"(?:{_any_of(_DAYS)})",
}
"""What stands for a directive; databases count up to nine brackets, so the rest has none."""

_DIRECTIVE: Final = re.compile(r"%-?(.)|(\s+)|(.)", re.DOTALL)
_SPECIAL: Final = re.compile(r"([^\w\s])", re.ASCII)


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """A time format such as ``%d/%m/%Y %H:%M``, in words that every database knows.

    Parameters
    ----------
    pattern : str
        A regular expression for a whole text in lower case.
    places : dict of str to int
        Which of its brackets holds which part.
    """

    pattern: str
    places: dict[str, int]

    @classmethod
    def parse(cls, time_format: str) -> "TimeFormat":
        """Read a format.

        Parameters
        ----------
        time_format : str
            With the directives of ``strptime``.

        Returns
        -------
        TimeFormat
            What to look for.

        Raises
        ------
        ConfigurationError
            Where it counts days or weeks of a year, which only DuckDB reads.
        """
        for sign, whole in _COMPOSED.items():
            time_format = time_format.replace(f"%{sign}", whole)
        found, places = [], dict[str, int]()
        for sign, space, letter in _DIRECTIVE.findall(time_format):
            if sign and sign != "%":
                if sign not in _PARTS:
                    raise _unknown(time_format, sign)
                if not _PARTS[sign].startswith("(?:"):
                    places[sign] = len(places) + 1
                found.append(_PARTS[sign])
            else:
                found.append(
                    r"[ \t]+" if space else _SPECIAL.sub(r"\\\1", (sign or letter).lower())
                )
        return cls(f"^{''.join(found)}$", places)

    @property
    def has_zone(self) -> bool:
        """Whether the text says its zone."""
        return not self.places.keys().isdisjoint("zZ")

    def to_iso(self, text: "ir.StringValue") -> "ir.StringValue":
        """Return texts in this format as ISO 8601 would write them.

        Parameters
        ----------
        text : ibis.expr.types.StringValue
            Without white space around it.

        Returns
        -------
        ibis.expr.types.StringValue
            Times of the afternoon as if of the morning; missing where a text has another form.
        """
        text = text.lower()
        written = text.re_replace(self.pattern, self._order())
        if "y" in self.places:  # 69 to 99 are of the last century
            for old, new in ((r"^~([0-9])-", r"200\1-"), (r"^~([0-5]|6[0-8])", r"20\1")):
                written = written.re_replace(old, new)
            written = written.re_replace("^~", "19")
        for number, month in enumerate(_MONTHS, start=1):
            for sign, name in (("b", month[:3]), ("B", month)):
                if sign in self.places:
                    written = written.replace(f"-{name}-", f"-{number}-")
        if "I" in self.places:
            written = written.re_replace(" 12:", " 0:")
        return cast("ir.StringValue", text.re_search(self.pattern).ifelse(written, None))

    def _order(self) -> str:
        """Return the parts in the order of ISO 8601; what is not said is the first of its kind."""

        def part(signs: str, default: str) -> str:
            return next((f"\\{self.places[s]}" for s in signs if s in self.places), default)

        year = f"~{part('y', '')}" if "y" in self.places else part("Y", "1900")
        clock = f"{part('HI', '0')}:{part('M', '00')}:{part('S', '00')}"
        if fraction := part("fgn", ""):
            clock += f".{fraction}"
        zone = part("z", "") or (" " + part("Z", "") if "Z" in self.places else "")
        return f"{year}-{part('bBm', '1')}-{part('d', '1')} {clock}{zone}"

    def in_the_afternoon(
        self, text: "ir.StringValue", morning: "ir.TimestampValue"
    ) -> "ir.TimestampValue":
        """Return times twelve hours later where the text says ``pm``.

        Parameters
        ----------
        text : ibis.expr.types.StringValue
            As it came.
        morning : ibis.expr.types.TimestampValue
            What :meth:`to_iso` was read as.

        Returns
        -------
        ibis.expr.types.TimestampValue
            The times meant.
        """
        if _HALVES not in self.pattern or "I" not in self.places:
            return morning
        late = text.lower().re_search(self.pattern.replace(_HALVES, "pm"))
        later = morning + ibis.interval(timedelta(hours=12))
        return cast("ir.TimestampValue", late.ifelse(later, morning))


def _unknown(time_format: str, sign: str) -> ConfigurationError:
    return ConfigurationError(
        f"The time format '{time_format}' has the sign '%{sign}', which only DuckDB reads.",
        "The table is in another database, and its times are read there.",
        "use %d, %m, %Y, %H, %M and %S, or make the column a time in a view.",
    )
