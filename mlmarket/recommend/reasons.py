"""Why is this item shown, in words that a marketer can translate?

Models give codes and what they are about: ``because_bought`` and the item bought. The words come from one
:class:`ReasonTexts`, which is a plain file, so that nobody needs a programmer for another language or another tone.
"""

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError, DataContractError, suggestion

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["REASON_CODES", "ReasonCode", "ReasonTexts"]

Integers = npt.NDArray[np.int64]

_FILES: Final = (".toml", ".yaml", ".yml")
_DATE_PARTS: Final = ("day", "month", "year")
_DATE: Final = "date"


@dataclass(frozen=True, slots=True)
class ReasonCode:
    """A kind of reason.

    Parameters
    ----------
    meaning : str
        What it claims; a translation must not claim more.
    about : str or None
        The placeholder it is about, and the column its value is read from.
    without : str
        The code whose text is used where that value is not known; it claims less.
    must_name : bool
        Whether a text without the placeholder is refused, because the sentence would be cut short.
    """

    meaning: str
    about: str | None = None
    without: str = "for_you"
    must_name: bool = False


REASON_CODES: Final[Mapping[str, ReasonCode]] = MappingProxyType(
    {
        "because_bought": ReasonCode(
            "the item bought adds most to the score", "because_title", must_name=True
        ),
        "because_viewed": ReasonCode(
            "the item viewed adds most to the score", "because_title", must_name=True
        ),
        "together": ReasonCode(
            "often in one order with that item", "because_title", must_name=True
        ),
        "similar": ReasonCode("has much in common with that item", "because_title", must_name=True),
        "again": ReasonCode("the recipient bought it before"),
        "looked_at": ReasonCode("the recipient was interested in it before, without buying it"),
        "due": ReasonCode("used up on that day, by the recipient's own pace", _DATE, "due_soon"),
        "due_soon": ReasonCode("used up soon, by the recipient's own pace"),
        "popular": ReasonCode("many contacts had it lately"),
        "popular_country": ReasonCode(
            "many contacts of the recipient's country had it lately", "country", "popular"
        ),
        "popular_segment": ReasonCode("many contacts like the recipient had it lately"),
        "category": ReasonCode(
            "of a category the recipient often chooses", "category", must_name=True
        ),
        "new": ReasonCode("new in the catalogue"),
        "pinned": ReasonCode("chosen by the team"),
        "exploration": ReasonCode("drawn by chance, to learn from it"),
        "for_you": ReasonCode("ranked high, for no single reason"),
    }
)
"""What can be a reason, by code."""

_ENGLISH: Final = MappingProxyType(
    {
        "because_bought": "because you bought {because_title}",
        "because_viewed": "because you looked at {because_title}",
        "together": "goes with {because_title}",
        "similar": "similar to {because_title}",
        "again": "you had it before",
        "looked_at": "you were interested in it",
        "due": "due for a refill on {date}",
        "due_soon": "due for a refill",
        "popular": "popular with our customers",
        "popular_country": "popular in {country} lately",
        "popular_segment": "popular with people like you",
        "category": "more from {category}",
        "new": "new in our shop",
        "pinned": "our recommendation",
        "exploration": "something different",
        "for_you": "picked for you",
    }
)
_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


@dataclass(frozen=True, slots=True)
class ReasonTexts:
    """The words for reasons, in one language.

    Parameters
    ----------
    texts : mapping of str to str
        A text for every code of :data:`REASON_CODES`; the code's placeholder stands in braces.
    date : str, default "{day} {month}"
        How a day is written, from ``{day}``, ``{month}`` and ``{year}``.
    months : sequence of str
        Names of the months as they stand within a date, January first.
    countries : mapping of str to str, optional
        Names of countries by their code, as they stand after the words of ``popular_country``. A code without a name
        is not written: ``popular`` is said instead.

    Raises
    ------
    ConfigurationError
        Where a code or placeholder is unknown or missing.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rows = pa.table({"reason": ["because_bought", "new"], "because_title": ["Teapot", None]})
    >>> ReasonTexts().write(rows).to_pylist()
    ['because you bought Teapot', 'new in our shop']
    """

    texts: Mapping[str, str] = field(default_factory=lambda: _ENGLISH)
    date: str = "{day} {month}"
    months: Sequence[str] = _MONTHS
    countries: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_codes(self.texts)
        for code, text in self.texts.items():
            about = REASON_CODES[code].about
            found = _placeholders(f"texts.{code}", text, () if about is None else (about,))
            if REASON_CODES[code].must_name and about not in found:
                raise ConfigurationError(
                    f"The text of reason '{code}' does not contain '{{{about}}}': '{text}'.",
                    f"It says '{REASON_CODES[code].meaning}', and the reader would not learn which.",
                    f"put {{{about}}} where the name belongs, as in '{_ENGLISH[code]}'.",
                )
        _placeholders("date", self.date, _DATE_PARTS)
        months = tuple(self.months)
        if len(months) != len(_MONTHS) or not all(
            isinstance(name, str) and name for name in months
        ):
            raise ConfigurationError(
                f"'months' holds {len(months)} names.",
                "A date is written with the name of its month.",
                "give twelve names, January first.",
            )
        # Copies, so that later changes of what was passed change nothing.
        object.__setattr__(self, "texts", MappingProxyType(dict(self.texts)))
        object.__setattr__(self, "months", months)
        object.__setattr__(self, "countries", MappingProxyType(dict(self.countries)))

    @classmethod
    def from_mapping(cls, content: Mapping[str, Any]) -> Self:
        """Return the words of a mapping, such as what a file holds.

        Parameters
        ----------
        content : mapping
            ``texts`` (needed), ``date``, ``months`` and ``countries``.

        Returns
        -------
        Self
            With every code in one language.

        Raises
        ------
        ConfigurationError
            Where a key, code or placeholder is unknown or missing.
        """
        known = ("texts", "date", "months", "countries")
        for key in content:
            if key not in known:
                raise ConfigurationError(
                    f"The texts of reasons have an unknown key '{key}'.",
                    "What is written under it would never be read.",
                    suggestion(str(key), known),
                )
        kinds: dict[str, Any] = {
            "texts": Mapping,
            "date": str,
            "months": Sequence,
            "countries": Mapping,
        }
        for key, value in content.items():
            if not isinstance(value, kinds[key]) or (key == "months" and isinstance(value, str)):
                raise ConfigurationError(
                    f"'{key}' of the texts of reasons is a {type(value).__name__}.",
                    "It is read as texts by code, a text, twelve names, or names by country.",
                    "write it as in ReasonTexts().to_mapping().",
                )
        if "texts" not in content:
            raise ConfigurationError(
                "The texts of reasons have no key 'texts'.",
                "There are no words to write.",
                "put the texts by code below [texts].",
            )
        return cls(**content)

    @classmethod
    def from_file(cls, path: Path | str) -> Self:
        """Read the words from a TOML or YAML file in UTF-8.

        Parameters
        ----------
        path : Path or str
            Ending in ``.toml``, ``.yaml`` or ``.yml``.

        Returns
        -------
        Self
            As :meth:`from_mapping` reads its content.

        Raises
        ------
        ConfigurationError
            Where the file cannot be read, or says something that is not known.
        """
        place = Path(path)
        if place.suffix.lower() not in _FILES:
            raise ConfigurationError(
                f"'{place.name}' is neither TOML nor YAML.",
                "The texts of reasons are read from a file that a person can write.",
                f"name it with one of the endings {', '.join(_FILES)}.",
            )
        try:
            content = _parsed(place)
        except (OSError, ValueError) as error:
            told = " ".join(str(error).split())
            raise ConfigurationError(
                f"'{place.name}' cannot be read: {told}.",
                "Without it reasons have no words.",
                "correct the file, and save it in UTF-8.",
            ) from error
        if not isinstance(content, Mapping):
            raise ConfigurationError(
                f"'{place.name}' holds no keys with values.",
                "Texts are found by the code of their reason.",
                "write them below 'texts', one a code.",
            )
        return cls.from_mapping(content)

    def to_mapping(self) -> dict[str, Any]:
        """Return the words as plain values: a template for a translation.

        Returns
        -------
        dict of str to object
            What :meth:`from_mapping` reads.
        """
        return {
            "texts": dict(self.texts),
            "date": self.date,
            "months": list(self.months),
            "countries": dict(self.countries),
        }

    def write(self, reasons: "pa.Table") -> "pa.Array":
        """Return the reason of each row in words.

        Parameters
        ----------
        reasons : pyarrow.Table
            ``reason`` (a code) and what the codes are about, where it is known: ``because_title``, ``category``,
            ``country`` (text), ``date`` (a date). Columns may be dictionary-encoded, which is quickest.

        Returns
        -------
        pyarrow.StringArray
            One text a row; missing where the code is.

        Raises
        ------
        ConfigurationError
            Where there is no column ``reason``.
        DataContractError
            Where a code is unknown.
        """
        return self.encode(reasons).dictionary_decode()

    def encode(self, reasons: "pa.Table") -> "pa.DictionaryArray":
        """Return the reason of each row in words, each text kept once.

        Parameters
        ----------
        reasons : pyarrow.Table
            As for :meth:`write`.

        Returns
        -------
        pyarrow.DictionaryArray
            One text a row; much smaller than :meth:`write` for many rows.

        Raises
        ------
        ConfigurationError
            Where there is no column ``reason``.
        DataContractError
            Where a code is unknown.
        """
        import pyarrow as pa

        if "reason" not in reasons.column_names:
            raise ConfigurationError(
                "The table of reasons has no column 'reason'.",
                "It holds the codes that are put in words.",
                suggestion("reason", reasons.column_names),
            )
        code, names = _encoded(reasons.column("reason"))
        _check_known(code, names)
        # Each code and value is put in words once, however often the pair occurs.
        words: list[str] = []
        place = np.full(len(code), -1, dtype=np.int64)
        for number, name in enumerate(names):
            rows = np.flatnonzero(code == number)
            if len(rows):
                place[rows] = self._put_in_words(str(name), rows, reasons, words)
        indices = pa.array(place.astype(np.int32), mask=place < 0)
        return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))

    def _put_in_words(
        self, code: str, rows: Integers, reasons: "pa.Table", words: list[str]
    ) -> Integers:
        """Add the texts of a code to `words`, and return where the text of each row stands."""
        about = REASON_CODES[code].about
        text = self.texts[code]
        plain = len(words)
        if about is None or not _names(text):
            words.append(text.format())
            return np.full(len(rows), plain)
        words.append(self._without(code))
        if about not in reasons.column_names:
            return np.full(len(rows), plain)
        value, known = _encoded(reasons.column(about), rows)
        place = np.full(len(known) + 1, plain)  # the last one is for rows without a value
        for number in np.unique(value[value >= 0]).tolist():
            said = self._said(about, known[number])
            if said:
                place[number] = len(words)
                words.append(text.format(**{about: said}))
        found: Integers = place[value]
        return found

    def _without(self, code: str) -> str:
        """Return the words of a reason whose value is not known."""
        other = REASON_CODES[code].without
        return self.texts[other].format()

    def _said(self, about: str, value: Any) -> str | None:  # noqa: ANN401 - a text or a date
        if about == _DATE:
            parts = {"day": value.day, "month": self.months[value.month - 1], "year": value.year}
            return self.date.format(**parts)
        if about == "country":
            return self.countries.get(value, None if len(value) == 2 else value)
        from mlmarket.recommend.plain_text import one_line

        return one_line(value)


def _encoded(column: "pa.ChunkedArray", rows: Integers | None = None) -> tuple[Integers, list[Any]]:
    """Return the place of each row's value, -1 where there is none, and the values."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    if rows is not None and len(rows) < len(column):
        column = column.take(pa.array(rows))
    if types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.date32(), safe=False)
    if not types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    array = column.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # one without a chunk
        return np.empty(0, dtype=np.int64), []
    places = pc.fill_null(array.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    values = array.dictionary.to_pylist()
    missing = np.array([value is None for value in values] + [False])
    return np.where(missing[places], -1, places), values


def _check_codes(texts: Mapping[str, str]) -> None:
    for code, text in texts.items():
        if code not in REASON_CODES:
            raise ConfigurationError(
                f"There is no reason '{code}'.",
                "No recommendation has it, so its text would never be read.",
                suggestion(str(code), REASON_CODES),
            )
        if not isinstance(text, str) or not text.strip():
            raise ConfigurationError(
                f"Reason '{code}' has no text.",
                "A reader would see an empty line.",
                f"write one, such as '{_ENGLISH[code]}'.",
            )
    missing = [code for code in REASON_CODES if code not in texts]
    if missing:
        raise ConfigurationError(
            f"There is no text for {len(missing)} of {len(REASON_CODES)} reasons: {', '.join(missing)}.",
            "Messages would mix two languages.",
            f'add a text for each, such as {missing[0]} = "{_ENGLISH[missing[0]]}".',
        )


def _check_known(code: Integers, names: Iterable[Any]) -> None:
    for number, name in enumerate(names):
        if name is not None and name not in REASON_CODES and (code == number).any():
            count = int((code == number).sum())
            raise DataContractError(
                f"{count:,} rows have the reason '{name}', which is unknown.",
                "There are no words for it.",
                suggestion(str(name), REASON_CODES),
            )


def _placeholders(where: str, text: str, known: Sequence[str]) -> set[str]:
    """Return the names in braces, and refuse those that nothing is known of."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ConfigurationError(
            f"'{where}' has a brace too many or too few: '{text}'.",
            "What stands in braces is replaced.",
            "close each brace; write {{ and }} for a brace that is to be seen.",
        ) from error
    found = set()
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in known or form or conversion:
            written = (
                "{"
                + name
                + (f"!{conversion}" if conversion else "")
                + (f":{form}" if form else "")
                + "}"
            )
            allowed = ", ".join(f"{{{one}}}" for one in known)
            raise ConfigurationError(
                f"'{where}' contains '{written}', which is unknown: '{text}'.",
                "Nothing could be put there.",
                f"use {allowed}." if known else "this reason is about nothing; leave it out.",
            )
        found.add(name)
    return found


def _names(text: str) -> bool:
    return any(name is not None for _, name, _, _ in string.Formatter().parse(text))


def _parsed(place: Path) -> Any:  # noqa: ANN401 - whatever stands there
    text = place.read_text(encoding="utf-8-sig")
    if place.suffix.lower() == ".toml":
        import tomllib

        return tomllib.loads(text)
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
