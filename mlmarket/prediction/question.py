"""What is asked, of whom, and how is the answer written down?"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from mlmarket.features import Behaviour
from mlmarket.prediction.contest import Candidates
from mlmarket.prediction.predictor import OutputColumn

__all__ = ["Answer", "Fact", "Question"]


@dataclass(frozen=True, slots=True)
class Fact:
    """A feature that is handed on to the predictions table as it is.

    Parameters
    ----------
    column : str
        Its name there.
    feature : str
        Its name among the features; where the market allows none of that name, the column is
        empty.
    unit, description : str
        For the schema.
    diagnostic : bool, default False
        Whether it is not a feature but one of the diagnostics of the learner; where the one that is
        used has none of that name, as a simple rule has not, the column is empty.
    """

    column: str
    feature: str
    unit: str
    description: str
    diagnostic: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """How a probability is written down.

    Parameters
    ----------
    probability : str
        Name of its column.
    description : str
        What it says.
    outcome : str
        What a sum of probabilities counts, such as ``buyers within 30 days``.
    grade : str, optional
        Name of a column with the probability in words.
    grades : tuple of (str, float)
        Words, and the share of contacts of the last closed window that lies below each.
    facts : tuple of Fact
        Features handed on.
    """

    probability: str
    description: str
    outcome: str
    grade: str = ""
    grades: tuple[tuple[str, float], ...] = ()
    facts: tuple[Fact, ...] = ()

    def edges(self, probability: npt.NDArray[np.float64]) -> tuple[float, ...]:
        """Return the probabilities at which a grade begins.

        They are kept with the model, so that a grade means the same probability each night until
        it is trained again.

        Parameters
        ----------
        probability : ndarray of float64, shape (rows,)
            Of the contacts of the last closed window.

        Returns
        -------
        tuple of float
            One for each grade but the first.
        """
        if not self.grades or not len(probability):
            return ()
        shares = [share for _, share in self.grades[1:]]
        # A probability that somebody has, since a rule of few cells knows none between.
        edges = np.quantile(probability, shares, method="inverted_cdf")
        return tuple(float(edge) for edge in edges)

    def graded(
        self, probability: npt.NDArray[np.float64], edges: tuple[float, ...]
    ) -> npt.NDArray[np.object_]:
        """Return probabilities in words.

        A grade begins at its edge. Where several begin at the same one, whoever stands there gets
        the lowest of them: a rule that gives the same probability to everybody finds nobody
        remarkable.

        Parameters
        ----------
        probability : ndarray of float64, shape (rows,)
            Tonight's.
        edges : tuple of float
            From :meth:`edges`.

        Returns
        -------
        ndarray of str, shape (rows,)
            Words of `grades`.
        """
        words = np.array([word for word, _ in self.grades], dtype=object)
        ascending = np.asarray(edges, dtype=np.float64)
        place = np.searchsorted(ascending, probability, side="left")
        graded: npt.NDArray[np.object_] = words[place + np.isin(probability, ascending)]
        return graded

    def columns(self, predictor: str) -> Mapping[str, OutputColumn]:
        """Return the columns of the predictions table.

        Parameters
        ----------
        predictor : str
            Who writes them.

        Returns
        -------
        mapping of str to OutputColumn
            In their order there.
        """
        columns = [
            OutputColumn(self.probability, "number", predictor, "probability", self.description)
        ]
        if self.grade:
            words = " / ".join(word for word, _ in self.grades)
            columns.append(OutputColumn(self.grade, "text", predictor, "grade", words))
        columns += [
            OutputColumn(fact.column, "number", predictor, fact.unit, fact.description)
            for fact in self.facts
        ]
        version = f"{predictor}_model_version"
        says = "which trained model gave the answer"
        columns.append(OutputColumn(version, "text", predictor, "version", says))
        return {column.name: column for column in columns}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, of whom, and who tries to answer.

    Parameters
    ----------
    name : str
        Name of the predictor.
    text : str
        The question in words.
    label : Behaviour
        What is asked.
    horizon : timedelta
        Within which time.
    eligible : Behaviour or None
        Of whom: contacts with such rows; None for all.
    needs : frozenset of str
        Tables without which it cannot be answered.
    answer : Answer
        How it is written down.
    candidates : Candidates
        Who tries.
    """

    name: str
    text: str
    label: Behaviour
    horizon: timedelta
    eligible: Behaviour | None
    needs: frozenset[str]
    answer: Answer
    candidates: Candidates
