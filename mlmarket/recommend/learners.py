"""What can answer which items to show?"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlmarket.recommend.plain import PERSONAL, POPULAR, PlainRecommender

if TYPE_CHECKING:
    from mlmarket.recommend.recommendations import Recommendations
    from mlmarket.recommend.rules import Rules

__all__ = ["Learner", "load", "make"]


class Learner(Protocol):
    """Learns what follows what, and shows items."""

    def fit(
        self,
        interactions: object,
        items: object | None = None,
        contacts: object | None = None,
        *,
        as_of: datetime | None = None,
    ) -> Any:  # noqa: ANN401 - itself
        """Learn."""
        ...

    def recommend(self, contacts: Any, k: int = 10, **tonight: Any) -> "Recommendations":  # noqa: ANN401
        """Return items for contacts."""
        ...

    def save(self, folder: Path) -> None:
        """Write what was learned."""
        ...


def make(name: str, *, horizon: str, rules: "Rules | None") -> Learner:
    """Return what answers by a name, not fitted yet.

    Parameters
    ----------
    name : {"recommender", "personal_frequency", "popularity"}
        Which.
    horizon : str
        How far ahead it looks.
    rules : Rules or None
        Which items may be shown to whom.

    Returns
    -------
    Learner
    """
    if name in (PERSONAL, POPULAR):
        return PlainRecommender(personal=name == PERSONAL, rules=rules)
    from mlmarket.recommend.recommender import Recommender

    return Recommender(horizon=horizon, rules=rules)


def load(name: str, folder: Path, *, rules: "Rules | None") -> Learner:
    """Return what was saved.

    Parameters
    ----------
    name : str
        As for :func:`make`.
    folder : Path
        Where it was written.
    rules : Rules or None
        Which items may be shown to whom.

    Returns
    -------
    Learner
        Fitted.
    """
    if name in (PERSONAL, POPULAR):
        return PlainRecommender.load(folder, rules=rules)
    from mlmarket.recommend.recommender import Recommender

    return Recommender.load(folder)
