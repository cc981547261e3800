"""Would other settings of the trees and the line have done better lately?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

import numpy as np
import numpy.typing as npt

from mlmarket.churn.purchase.beta_geo_learner import BetaGeoLearner
from mlmarket.churn.purchase.history_blend import HistoryBlend, widened
from mlmarket.evaluation import log_loss, stable_fractions
from mlmarket.prediction.learner import Blend, one_thread, read_json, write_json
from mlmarket.prediction.logistic import LogisticModel
from mlmarket.prediction.training import Rows
from mlmarket.prediction.trees import BoostedTrees

if TYPE_CHECKING:
    import optuna
    import pandas as pd

__all__ = ["BlendSettings", "TunedBlend"]

_FILE: Final = "tuned_blend.json"
_SALT: Final = "tuning-sample"
_EXAMS: Final = 2


@dataclass(frozen=True, slots=True)
class BlendSettings:
    """What the parts of the blend are made with.

    Parameters
    ----------
    leaves, trees, rows_a_leaf : int
        Of :class:`~mlmarket.prediction.trees.BoostedTrees`.
    learning_rate : float
        Likewise.
    strength : float
        Of :class:`~mlmarket.prediction.logistic.LogisticModel`.
    """

    leaves: int = 15
    trees: int = 120
    rows_a_leaf: int = 60
    learning_rate: float = 0.03
    strength: float = 30.0

    @classmethod
    def for_overlap(cls, overlap: float) -> "BlendSettings":
        """Return settings that hold back as much as label windows overlap.

        Parameters
        ----------
        overlap : float
            In how many label windows a day lies: as many rows say nearly the same.

        Returns
        -------
        BlendSettings
            The defaults where windows do not overlap.
        """
        plain = cls()
        return replace(
            plain,
            rows_a_leaf=round(plain.rows_a_leaf * overlap),
            strength=plain.strength * overlap,
        )

    def made_trees(self) -> BoostedTrees:
        """Return the trees, unfitted."""
        return BoostedTrees(
            leaves=self.leaves,
            trees=self.trees,
            rows_a_leaf=self.rows_a_leaf,
            learning_rate=self.learning_rate,
        )

    def made_line(self) -> LogisticModel:
        """Return the line, unfitted."""
        return LogisticModel(strength=self.strength)


@dataclass(frozen=True, slots=True)
class _Exam:
    """Rows to learn from, and rows of a later cutoff to be judged on."""

    learn: "pd.DataFrame"
    learn_label: npt.NDArray[np.int8]
    judge: "pd.DataFrame"
    judge_label: npt.NDArray[np.int8]


class TunedBlend(HistoryBlend):
    """The blend, with the settings that would have done best at its latest closed cutoffs.

    They are searched by Optuna's tree-structured Parzen estimator, which starts from the usual ones.
    Each of the last two cutoffs is predicted from those whose windows had ended by then; where there
    are none, the settings are the usual ones.

    Parameters
    ----------
    horizon : timedelta
        How far the label looks.
    history : BetaGeoLearner
        As for :class:`HistoryBlend`.
    usual : BlendSettings
        Where the search starts.
    trials : int, default 16
        How many settings are tried.
    most_rows : int, default 40_000
        Rows to learn from and to judge on at most; beyond, a stable sample of contacts is used.
    seed : int, default 0
        Of the search.

    References
    ----------
    Bergstra, Bardenet, Bengio and Kégl (2011), Algorithms for hyper-parameter optimization, NeurIPS.
    """

    def __init__(
        self,
        horizon: timedelta,
        history: BetaGeoLearner,
        *,
        usual: BlendSettings,
        trials: int = 16,
        most_rows: int = 40_000,
        seed: int = 0,
    ) -> None:
        super().__init__([usual.made_trees(), usual.made_line()], history, name="tuned_blend")
        self.horizon = horizon
        self.usual = usual
        self.trials = trials
        self.most_rows = most_rows
        self.seed = seed
        self.settings_ = usual

    def fit_over_time(self, rows: Rows) -> Self:
        """Search the settings, then learn from all rows.

        Parameters
        ----------
        rows : Rows
            Of closed cutoffs.

        Returns
        -------
        Self
            With ``settings_``.
        """
        exams = list(self._exams(rows))
        self.settings_ = self._searched(exams) if exams else self.usual
        self.parts = (self.settings_.made_trees(), self.settings_.made_line())
        return super().fit_over_time(rows)

    def _exams(self, rows: Rows) -> Sequence[_Exam]:
        if rows.cutoff is None:
            return []
        horizon = np.timedelta64(self.horizon)
        exams = []
        fractions = stable_fractions(_SALT, rows.contact_id.tolist())
        for cutoff in np.unique(rows.cutoff)[-_EXAMS:]:
            known = rows.cutoff + horizon <= cutoff
            known &= fractions < self.most_rows / max(int(known.sum()), 1)
            asked = rows.cutoff == cutoff
            asked &= fractions < self.most_rows / max(int(asked.sum()), 1)
            if all(0 < rows.label[of].sum() < of.sum() for of in (known, asked)):
                exams.append(self._exam(rows, known, asked))
        return exams

    def _exam(
        self, rows: Rows, known: npt.NDArray[np.bool_], asked: npt.NDArray[np.bool_]
    ) -> _Exam:
        learn, judge = rows.features[known], rows.features[asked]
        history = BetaGeoLearner(self.history.horizon, negated=self.history.negated)
        history.fit(learn, rows.label[known])
        return _Exam(
            cast("pd.DataFrame", widened(learn, history)),
            rows.label[known],
            cast("pd.DataFrame", widened(judge, history)),
            rows.label[asked],
        )

    def _searched(self, exams: Sequence[_Exam]) -> BlendSettings:
        import optuna

        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=self.seed))
            study.enqueue_trial(asdict(self.usual))
            with one_thread():
                study.optimize(_objective(self.usual, exams), n_trials=self.trials)
        finally:
            optuna.logging.set_verbosity(before)
        return BlendSettings(**study.best_params)

    def save(self, folder: Path) -> None:
        """Write the settings too; see :class:`~mlmarket.prediction.learner.Learner`."""
        super().save(folder)
        write_json(folder / _FILE, asdict(self.settings_))

    def restore(self, folder: Path) -> Self:
        """Read them back; see :class:`~mlmarket.prediction.learner.Learner`."""
        content: Mapping[str, Any] = read_json(folder / _FILE)
        self.settings_ = BlendSettings(**content)
        self.parts = (self.settings_.made_trees(), self.settings_.made_line())
        return super().restore(folder)


def _objective(usual: BlendSettings, exams: Sequence[_Exam]) -> "Callable[[optuna.Trial], float]":
    """Return what is to be made small: the mean log loss over the exams."""

    def loss(trial: "optuna.Trial") -> float:
        settings = BlendSettings(
            leaves=trial.suggest_int("leaves", 4, 31, log=True),
            trees=trial.suggest_int("trees", usual.trees // 2, usual.trees * 5 // 2, log=True),
            rows_a_leaf=trial.suggest_int(
                "rows_a_leaf", max(usual.rows_a_leaf // 3, 5), usual.rows_a_leaf * 4, log=True
            ),
            learning_rate=trial.suggest_float("learning_rate", 0.02, 0.06, log=True),
            strength=trial.suggest_float(
                "strength", usual.strength / 10.0, usual.strength * 10.0, log=True
            ),
        )
        losses = []
        for exam in exams:
            blend = Blend([settings.made_trees(), settings.made_line()])
            blend.fit(exam.learn, exam.learn_label)
            losses.append(log_loss(exam.judge_label, blend.predict(exam.judge)))
        return float(np.mean(losses))

    return loss
