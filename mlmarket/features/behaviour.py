"""Which rows of a contact's life count as the same thing?

A behaviour is written as people say it: ``order``, ``no order within 90D``, ``event upgrade``,
``outcome won``, ``event "Page View" within 30D where value > 50``.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from mlmarket.errors import ConfigurationError
from mlmarket.market.time import duration_text, parse_duration

__all__ = ["Behaviour"]

_BARE: Final = re.compile(r"[\w.:-]+")
_TYPE: Final = r"(?:[\w.:-]+|\"(?:[^\"]|\"\")+\")"
_BEHAVIOUR: Final = re.compile(
    rf"\s*(?P<no>no\s+)?(?:(?P<table>event|outcome)\s+)?(?P<types>{_TYPE}(?:\s*\|\s*{_TYPE})*)"
    r"(?:\s+within\s+(?P<within>\w+))?(?:\s+where\s+(?P<where>\S.*?))?\s*",
    re.DOTALL,
)
_KEYWORDS: Final = frozenset({"no", "event", "outcome", "within", "where"})


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Rows of activity, or of outcomes, that count as the same thing.

    Parameters
    ----------
    types : tuple of str
        Types of activity, or outcomes.
    where : str, optional
        Condition over ``value, item_id, campaign_id, source`` of the rows.
    within : timedelta, optional
        How far back it counts, where that matters.
    negated : bool, default False
        Whether its absence is meant.
    table : {"activity", "outcomes"}
        Where the rows are.
    """

    types: tuple[str, ...]
    where: str | None = None
    within: timedelta | None = None
    negated: bool = False
    table: str = "activity"

    @classmethod
    def parse(cls, text: "str | Behaviour") -> "Behaviour":
        """Read a behaviour from text.

        Parameters
        ----------
        text : str
            ``[no] [event | outcome] TYPE [| TYPE …] [within 90D] [where CONDITION]``, such as
            ``order``, ``no order``, ``event upgrade``, ``outcome won`` or
            ``order within 365D where value > 50``. A type with spaces stands in double quotes, a
            double quote inside them is written twice.

        Returns
        -------
        Behaviour
            What was meant.

        Raises
        ------
        ConfigurationError
            Where it cannot be read.

        Examples
        --------
        >>> Behaviour.parse("no order").negated
        True
        """
        if isinstance(text, Behaviour):
            return text
        match = _BEHAVIOUR.fullmatch(text)
        if match is None:
            raise ConfigurationError(
                f"{text!r} does not name a behaviour.",
                "Labels, eligibility and features are about what people do.",
                "write it like 'order', 'no order', 'event upgrade', 'outcome won' or "
                "'order within 365D where value > 50'.",
            )
        return cls(
            types=tuple(sorted({_unquoted(kind) for kind in re.findall(_TYPE, match["types"])})),
            where=match["where"],
            within=parse_duration(match["within"]) if match["within"] else None,
            negated=match["no"] is not None,
            table="outcomes" if match["table"] == "outcome" else "activity",
        )

    @property
    def label(self) -> str:
        """A name for columns: its types in snake case."""
        name = re.sub(r"\W+", "_", "_or_".join(self.types)).strip("_").lower()
        return name or "behaviour"

    def __str__(self) -> str:
        """Return the text that :meth:`parse` reads back."""
        parts = ["no"] if self.negated else []
        parts += ["outcome"] if self.table == "outcomes" else []
        parts.append(" | ".join(_quoted(kind) for kind in self.types))
        parts += [f"within {duration_text(self.within)}"] if self.within else []
        parts += [f"where {self.where}"] if self.where else []
        return " ".join(parts)


def _quoted(kind: str) -> str:
    if _BARE.fullmatch(kind) and kind not in _KEYWORDS:
        return kind
    return '"{}"'.format(kind.replace('"', '""'))


def _unquoted(kind: str) -> str:
    return kind[1:-1].replace('""', '"') if kind.startswith('"') else kind
