"""What can answer which items to show?"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlmarket.recommend.plain import PERSONAL, POPULAR, PlainRecommender

if TYPE_CHECKING:
    from mlmarket.recommend.items import ItemFacts
    from mlmarket.recommend.recommender import Recommender
    from mlmarket.recommend.rules import Rules

__all__ = ["make", "read", "with_facts", "write"]

_PLAIN: Final = (PERSONAL, POPULAR)


def make(name: str, *, horizon: str, rules: "Rules | None") -> "PlainRecommender | Recommender":
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
    PlainRecommender or Recommender
    """
    if name in _PLAIN:
        return PlainRecommender(personal=name == PERSONAL, horizon=horizon, rules=rules)
    from mlmarket.recommend.recommender import Recommender

    return Recommender(horizon=horizon, rules=rules)


def with_facts(
    learner: "PlainRecommender | Recommender", facts: "ItemFacts"
) -> "PlainRecommender | Recommender":
    """Return what answers, with items as they are tonight.

    Parameters
    ----------
    learner : PlainRecommender or Recommender
        Fitted, some time ago.
    facts : ItemFacts
        Of the same catalogue.

    Returns
    -------
    PlainRecommender or Recommender
        A copy.
    """
    if isinstance(learner, PlainRecommender):
        return learner.with_facts(facts)
    from mlmarket.recommend import keeping

    return keeping.with_facts(learner, facts)


def write(learner: "PlainRecommender | Recommender", folder: Path) -> None:
    """Write what was learned.

    Parameters
    ----------
    learner : PlainRecommender or Recommender
        Fitted.
    folder : Path
        It exists.
    """
    if isinstance(learner, PlainRecommender):
        learner.save(folder)
        return
    from mlmarket.recommend.keeping import write_recommender

    write_recommender(learner, folder)


def read(name: str, folder: Path, *, rules: "Rules | None") -> "PlainRecommender | Recommender":
    """Return what was written.

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
    PlainRecommender or Recommender
        Fitted.
    """
    if name in _PLAIN:
        return PlainRecommender.load(folder, rules=rules)
    from mlmarket.recommend.keeping import read_recommender

    return read_recommender(folder, rules=rules)
