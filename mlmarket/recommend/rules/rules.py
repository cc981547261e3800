"""Which items may be shown, in the words of the shop?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, Self

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.market.columns import CHANNELS
from mlmarket.market.time import duration_text, parse_duration

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmarket.recommend.items import ItemFacts
    from mlmarket.recommend.rules.compiled import CompiledRules
    from mlmarket.recommend.rules.tables import RuleTables

__all__ = ["Rules"]

_WHY: Final = "A slip in a rule decides what people are shown."
_AMOUNTS: Final = ("minimum_price", "maximum_price", "minimum_margin", "usual_price_unknown")
_DURATIONS: Final = ("not_bought_within", "maximum_age", "new_within")
_NAMES: Final = ("blocked_items", "blocked_categories", "similar_by")
_PAIR: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a shop asks of every recommendation.

    A rule is a permit: where it is asked for, an item or a contact of which the fact is not known is not allowed.

    Parameters
    ----------
    in_stock : bool, optional
        Whether only items in stock are shown; by default where the stock of any item is known.
    not_bought_within : str or timedelta, optional
        How long an item that was bought is not shown, such as ``"30D"``. Needs times.
    not_in_cart : bool, default True
        Whether items in the cart are left out, where carts are given.
    consent : str, optional
        A channel, such as ``"email"``: an item needs a grant for its ``topic``; an item without a topic needs a
        grant for every topic.
    sold_in : str, optional
        The column of items that says in which countries each may be sold: codes separated by ``|``, or ``*`` for
        all. Compared with the ``country`` of the contact.
    minimum_price, maximum_price : float, optional
        In the business's currency, both allowed.
    usual_price : tuple of two floats, optional
        Lowest and highest price as multiples of what the contact usually pays, the median price of the own items.
    usual_price_unknown : float, optional
        What those are taken to pay whose history tells no price; without it they are shown nothing while
        `usual_price` is asked for.
    minimum_margin : float, optional
        In the business's currency, by the items' ``margin``, or ``price`` less ``cost``.
    blocked_items, blocked_categories : tuple of str
        Never shown. Where categories are blocked, an item without one is not shown either.
    pinned : mapping of str to int
        Items that stand at a rank, from 1, for everybody to whom they are allowed.
    category_cap : int, optional
        At most so many of one category among the ``k``; items without a category count as one.
    category_caps : mapping of str to int
        The same for single categories, before `category_cap`.
    diversity : float, default 0
        From 0, the best scores, to 1, the least alike: the weight of likeness in maximal marginal relevance.
    similar_by : tuple of str, default ("category",)
        The columns of items that say how alike two are; values separated by ``|``.
    maximum_age : str or timedelta, optional
        How old ``published_at`` may be.
    new_share : float, default 0
        The least share of the ``k`` that are new arrivals, as far as there are any.
    new_within : str or timedelta, default "30D"
        How old ``published_at`` of a new arrival may be.
    unpublished : bool, default False
        Whether items may be shown whose ``published_at`` is yet to come.
    eligible : str, optional
        A condition on the columns of items, such as ``"price > 5 and category <> 'gifts'"``.
    unknown_items : {"refuse", "count"}, default "refuse"
        What happens to rules about items and contacts that do not exist.

    Raises
    ------
    ConfigurationError
        Where a value cannot be meant.

    References
    ----------
    Carbonell and Goldstein (1998), "The use of MMR, diversity-based reranking", SIGIR, 335-336.

    Examples
    --------
    >>> Rules(category_cap=2, not_bought_within="30D").category_cap
    2
    """

    in_stock: bool | None = None
    not_bought_within: str | timedelta | None = None
    not_in_cart: bool = True
    consent: str | None = None
    sold_in: str | None = None
    minimum_price: float | None = None
    maximum_price: float | None = None
    usual_price: tuple[float, float] | None = None
    usual_price_unknown: float | None = None
    minimum_margin: float | None = None
    blocked_items: tuple[str, ...] = ()
    blocked_categories: tuple[str, ...] = ()
    pinned: Mapping[str, int] = field(default_factory=dict)
    category_cap: int | None = None
    category_caps: Mapping[str, int] = field(default_factory=dict)
    diversity: float = 0.0
    similar_by: tuple[str, ...] = ("category",)
    maximum_age: str | timedelta | None = None
    new_share: float = 0.0
    new_within: str | timedelta = "30D"
    unpublished: bool = False
    eligible: str | None = None
    unknown_items: Literal["refuse", "count"] = "refuse"

    def __post_init__(self) -> None:
        for name in ("in_stock", "not_in_cart", "unpublished"):
            value = getattr(self, name)
            if not isinstance(value, bool) and not (name == "in_stock" and value is None):
                raise _bad(name, value, "write true or false.")
        for name in _DURATIONS:
            if getattr(self, name) is not None:
                parse_duration(getattr(self, name))
        for name in ("sold_in", "eligible"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value.strip()):
                raise _bad(name, value, "write it as text, or leave it out.")
        if self.consent is not None and self.consent not in CHANNELS:
            raise _bad("consent", self.consent, suggestion(str(self.consent), CHANNELS))
        if self.unknown_items not in ("refuse", "count"):
            raise _bad("unknown_items", self.unknown_items, "write 'refuse' or 'count'.")
        self._check_numbers()
        self._check_lists()

    def _check_numbers(self) -> None:
        for name in _AMOUNTS:
            value = getattr(self, name)
            if value is not None and not _is_number(value):
                raise _bad(name, value, "write a finite number in the business's currency.")
        for name in ("diversity", "new_share"):
            value = getattr(self, name)
            if not _is_number(value) or not 0.0 <= value <= 1.0:
                raise _bad(name, value, "write a number from 0 to 1.")
        low, high = self.minimum_price, self.maximum_price
        if low is not None and high is not None and low > high:
            raise _bad("minimum_price", low, f"write a number up to maximum_price, {high:g}.")
        if self.usual_price is not None:
            band = self.usual_price
            pair = isinstance(band, tuple | list) and len(band) == _PAIR
            if not pair or not all(map(_is_number, band)) or not 0.0 <= band[0] <= band[1]:
                raise _bad("usual_price", band, "write two multiples, such as [0.5, 2.0].")
            object.__setattr__(self, "usual_price", tuple(band))
        if self.category_cap is not None and not _is_count(self.category_cap):
            raise _bad("category_cap", self.category_cap, "write a whole number from 0 up.")

    def _check_lists(self) -> None:
        for name in _NAMES:
            values = getattr(self, name)
            if isinstance(values, str) or not isinstance(values, tuple | list):
                raise _bad(name, values, f"write a list of texts, such as {name} = ['…'].")
            if not all(isinstance(value, str) for value in values):
                raise _bad(name, values, "write each as text, in quotes.")
            object.__setattr__(self, name, tuple(values))
        for name, lowest in (("pinned", 1), ("category_caps", 0)):
            given = getattr(self, name)
            if not isinstance(given, Mapping):
                raise _bad(name, given, f"write a table of names and numbers, such as {name}.x = 1")
            for key, number in given.items():
                if not isinstance(key, str) or not _is_count(number) or number < lowest:
                    fix = f"write a whole number from {lowest} up for each name."
                    raise _bad(f"{name}.{key}", number, fix)
        if len(set(self.pinned.values())) < len(self.pinned):
            raise _bad("pinned", dict(self.pinned), "give each pinned item a rank of its own.")

    @classmethod
    def from_mapping(cls, settings: Mapping[str, object]) -> Self:
        """Read rules as they stand in a file.

        Parameters
        ----------
        settings : mapping of str to object
            Names as in this class; lists and tables as TOML has them.

        Returns
        -------
        Self

        Raises
        ------
        ConfigurationError
            Where there is no such rule, or a value cannot be meant.

        Examples
        --------
        >>> Rules.from_mapping({"blocked_items": ["i-7"]}).blocked_items
        ('i-7',)
        """
        known = [one.name for one in fields(cls)]
        for name in settings:
            if name not in known:
                raise ConfigurationError(
                    f"There is no rule '{name}'.",
                    "Items would be shown that were meant to be left out.",
                    suggestion(str(name), known),
                )
        return cls(**settings)  # type: ignore[arg-type]  # checked one by one in __post_init__

    def to_mapping(self) -> dict[str, object]:
        """Return the rules that are set, as plain values.

        Returns
        -------
        dict of str to object
            What :meth:`from_mapping` reads.
        """
        plain: dict[str, object] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            default = one.default_factory() if callable(one.default_factory) else one.default
            if value == default:
                continue
            if isinstance(value, timedelta):
                value = duration_text(value)
            plain[one.name] = list(value) if isinstance(value, tuple) else value
        return plain

    def compile(
        self,
        facts: "ItemFacts",
        contacts: "pa.Table | None" = None,
        *,
        as_of: datetime | None = None,
        tables: "RuleTables | None" = None,
    ) -> "CompiledRules":
        """Return these rules for a catalogue and a night.

        Parameters
        ----------
        facts : ItemFacts
            The catalogue.
        contacts : pyarrow.Table, optional
            ``contact_id``, and ``country`` where `sold_in` asks for it.
        as_of : datetime, optional
            The night; needed by rules about time.
        tables : RuleTables, optional
            Rules about single contacts.

        Returns
        -------
        CompiledRules
            Ready for any number of recipients.

        Raises
        ------
        ConfigurationError
            Where a rule names what does not exist, or asks for a column that is not there.
        DataContractError
            Where a table has rows that cannot be used.
        """
        from mlmarket.recommend.rules.compiling import compile_rules
        from mlmarket.recommend.rules.tables import RuleTables

        given = RuleTables() if tables is None else tables
        return compile_rules(self, facts, contacts, as_of=as_of, tables=given)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _bad(name: str, value: object, fix: str) -> ConfigurationError:
    return ConfigurationError(f"The rule '{name}' is {value!r}.", _WHY, fix)
