"""What can answer which items to show?"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlmarket.recommend.plain import PERSONAL, POPULAR, PlainRecommender

if TYPE_CHECKING:
    from mlmarket.recommend.reasons import ReasonTexts
    from mlmarket.recommend.recommender import Recommender
    from mlmarket.recommend.rules import Rules

__all__ = ["make", "read", "write"]

_PLAIN: Final = (PERSONAL, POPULAR)


def make(
    name: str, *, horizon: str, rules: "Rules | None", texts: "ReasonTexts | None" = None
) -> "PlainRecommender | Recommender":
    """Return what answers by a name, not fitted yet.

    Parameters
    ----------
    name : {"recommender", "personal_frequency", "popularity"}
        Which.
    horizon : str
        How far ahead it looks.
    rules : Rules or None
        Which items may be shown to whom.
    texts : ReasonTexts, optional
        The words of reasons; by default English.

    Returns
    -------
    PlainRecommender or Recommender
    """
    if name in _PLAIN:
        return PlainRecommender(
            personal=name == PERSONAL, horizon=horizon, rules=rules, texts=texts
        )
    from mlmarket.recommend.recommender import Recommender

    return Recommender(horizon=horizon, rules=rules, texts=texts)


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
    learner.save(folder, histories=False)


def read(
    name: str, folder: Path, *, rules: "Rules | None", texts: "ReasonTexts | None" = None
) -> "PlainRecommender | Recommender":
    """Return what was written.

    Parameters
    ----------
    name : str
        As for :func:`make`.
    folder : Path
        Where it was written.
    rules : Rules or None
        Which items may be shown to whom.
    texts : ReasonTexts, optional
        The words of reasons; by default English.

    Returns
    -------
    PlainRecommender or Recommender
        Fitted.
    """
    if name in _PLAIN:
        return PlainRecommender.load(folder, rules=rules, texts=texts)
    from mlmarket.recommend.recommender import Recommender

    found = Recommender.load(folder)
    found.rules, found.texts = rules, texts
    return found
