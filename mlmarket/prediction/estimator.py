"""How does a scikit-learn classifier of your own take part, and how is it kept?"""

import importlib
import inspect
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from mlmarket.errors import ConfigurationError
from mlmarket.prediction.columns import FeatureColumns, FeatureRows
from mlmarket.prediction.learner import (
    Floats,
    kept_from_certainty,
    one_thread,
    read_json,
    write_json,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EstimatorLearner", "require_probabilities"]

_FILE: Final = "estimator.skops"
_COLUMNS: Final = "estimator_columns.json"
_MOST_CATEGORIES: Final = 1000
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The first date a ZIP file knows."""


def require_probabilities(estimator: object) -> None:
    """Refuse an estimator that gives no probabilities.

    Parameters
    ----------
    estimator : object
        What should be a classifier.

    Raises
    ------
    ConfigurationError
        Where it has no ``predict_proba`` or cannot be cloned.
    """
    if inspect.isclass(estimator) or not (
        hasattr(estimator, "predict_proba") and hasattr(estimator, "get_params")
    ):
        kind = estimator.__name__ if inspect.isclass(estimator) else type(estimator).__name__
        raise ConfigurationError(
            f"The estimator {kind} gives no probabilities.",
            "Expected numbers of people are sums of probabilities.",
            "pass an instance of a classifier with predict_proba, or wrap it: "
            "CalibratedClassifierCV(…).",
        )


class EstimatorLearner:
    """A scikit-learn classifier as a learner.

    Categories reach it as whole numbers, the most frequent as 0, and missing values as NaN, so
    that a pipeline with an imputer can take any table. A column without a single value when it
    was fitted does not reach it.

    Parameters
    ----------
    estimator : sklearn.base.ClassifierMixin, optional
        With ``predict_proba``; it is cloned, never changed. None only to be restored from a file.
        Give it a `random_state` where it draws at random, else each training is another.
    """

    name = "estimator"

    def __init__(self, estimator: Any = None) -> None:  # noqa: ANN401 - untyped upstream
        self.estimator = estimator
        self._fitted: Any = None
        self._columns = FeatureColumns((), {})
        self._used: tuple[str, ...] = ()

    def _coded(self, features: FeatureRows) -> "pd.DataFrame":
        """Return the frame that the estimator is given: its columns have the names it learned."""
        import pandas as pd

        values = self._columns.values(features)
        coded = {name: values[:, place] for place, name in enumerate(self._columns.numbers)}
        for name in self._columns.categories:
            codes = self._columns.codes(features, name)
            coded[name] = np.where(codes < 0, np.nan, codes)
        return pd.DataFrame(coded, index=range(len(features)))

    def fit(self, features: "pd.DataFrame", label: npt.NDArray[np.int8]) -> Self:
        """Fit a clone of the estimator; see :class:`~mlmarket.prediction.learner.Learner`.

        Parameters
        ----------
        features : pandas.DataFrame
            Numbers, and text for categories.
        label : ndarray of int8, shape (rows,)
            0 or 1.

        Returns
        -------
        Self

        Raises
        ------
        ConfigurationError
            Where the estimator refuses the features, or is not there because only what it had
            learned was restored.
        """
        from sklearn.base import clone

        if self.estimator is None:
            raise ConfigurationError(
                "The estimator itself was not kept, only what it had learned.",
                "It cannot learn anew.",
                "make the predictor with from_estimator(…) again and fit that.",
            )
        self._columns = FeatureColumns.learn(features, most=_MOST_CATEGORIES)
        frame = self._coded(features)
        self._used = tuple(str(name) for name in frame.columns[frame.notna().any()])
        try:
            with one_thread():
                self._fitted = clone(self.estimator).fit(frame[list(self._used)], label)
        except (ValueError, TypeError) as error:
            raise _refused(error) from error
        return self

    def predict(self, features: FeatureRows) -> Floats:
        """Return the probability of the second class.

        Parameters
        ----------
        features : pandas.DataFrame or pyarrow.RecordBatch
            With the columns of :meth:`fit`.

        Returns
        -------
        ndarray of float64, shape (rows,)
            Between 0 and 1, both left out.

        Raises
        ------
        ConfigurationError
            Where the estimator refuses the features.
        """
        if not len(features):
            return np.empty(0)
        try:
            with one_thread():
                both = self._fitted.predict_proba(self._coded(features)[list(self._used)])
        except (ValueError, TypeError) as error:
            raise _refused(error) from error
        return kept_from_certainty(np.asarray(both, dtype=np.float64)[:, 1])

    def save(self, folder: Path) -> None:
        """Write the fitted estimator in the format of skops, which runs no code when read.

        Parameters
        ----------
        folder : Path
            An existing folder.

        Raises
        ------
        ConfigurationError
            Where skops is not installed, or the estimator has parts that could not be read back.
        """
        skops = _skops()
        try:
            dumped = skops.dumps(self._fitted)
        except (TypeError, ValueError, AttributeError) as error:
            raise ConfigurationError(
                f"The estimator cannot be kept without pickle: {error}.",
                "The next night could not use what it has learned.",
                "build it from scikit-learn's own parts.",
            ) from error
        _refuse_foreign(skops.get_untrusted_types(data=dumped))
        (folder / _FILE).write_bytes(_same_bytes(dumped))
        columns = {"columns": self._columns.to_dict(), "used": list(self._used)}
        write_json(folder / _COLUMNS, columns)

    def restore(self, folder: Path) -> Self:
        """Read it back; only types of scikit-learn itself are accepted.

        Parameters
        ----------
        folder : Path
            Where :meth:`save` wrote.

        Returns
        -------
        Self
            It predicts the same, but cannot learn anew.

        Raises
        ------
        ConfigurationError
            Where skops is not installed, or the file holds types that are not trusted.
        """
        skops = _skops()
        unknown = skops.get_untrusted_types(file=folder / _FILE)
        _refuse_foreign(unknown)
        self._fitted = skops.load(folder / _FILE, trusted=unknown)
        content = read_json(folder / _COLUMNS)
        self._columns = FeatureColumns.from_dict(content["columns"])
        self._used = tuple(content["used"])
        return self


def _refused(error: Exception) -> ConfigurationError:
    first = str(error).strip().partition("\n")[0].rstrip(".")
    return ConfigurationError(
        f"The estimator refused the features: {first}.",
        "It is given a frame of numbers, in which some are missing.",
        "put an imputer before it, such as make_pipeline(SimpleImputer(), …).",
    )


def _skops() -> Any:  # noqa: ANN401 - a module
    try:
        return importlib.import_module("skops.io")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "Estimators of your own are kept in the format of skops, which is not installed.",
            "Without it the trained estimator could not be used by the next night.",
            'pip install "mlmarket[estimators]"',
        ) from error


def _refuse_foreign(unknown: Sequence[str]) -> None:
    foreign = [name for name in unknown if not _is_trusted(name)]
    if foreign:
        raise ConfigurationError(
            f"The estimator holds parts that are not trusted in a file: {', '.join(foreign[:3])}.",
            "A file could run code through them.",
            "build it from scikit-learn's own parts.",
        )


def _is_trusted(name: str) -> bool:
    """Return whether a type that skops does not know is a plain part of scikit-learn or numpy.

    Functions are not: numpy itself has some that run text as code.
    """
    if name == "numpy.dtype":
        return True
    module, _, attribute = name.rpartition(".")
    if module.partition(".")[0] != "sklearn":
        return False
    try:
        return inspect.isclass(getattr(importlib.import_module(module), attribute, None))
    except ImportError:
        return False


def _same_bytes(dumped: bytes) -> bytes:
    """Return a skops file in which no address in memory and no time is written.

    skops names parts by their ``id()``; here they are numbered in the order of the schema, so that
    the same estimator gives the same bytes.
    """
    numbers: dict[int, int] = {}
    files: dict[str, str] = {}
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(dumped)) as source, zipfile.ZipFile(written, "w") as target:
        schema = json.loads(source.read("schema.json"))
        renamed = _renamed(schema, numbers, files)
        content = {files[name]: source.read(name) for name in files}
        content["schema.json"] = json.dumps(renamed, indent=1).encode()
        for name, part in content.items():
            target.writestr(zipfile.ZipInfo(name, _EPOCH), part)
    return written.getvalue()


def _renamed(node: Any, numbers: dict[int, int], files: dict[str, str]) -> Any:  # noqa: ANN401
    if isinstance(node, list):
        return [_renamed(item, numbers, files) for item in node]
    if not isinstance(node, dict):
        return node
    is_part = "__loader__" in node
    renamed: dict[str, Any] = {}
    for key, value in node.items():
        if is_part and key == "__id__":
            renamed[key] = numbers.setdefault(value, len(numbers))
        elif is_part and key == "file":
            suffix = Path(value).suffix
            renamed[key] = files.setdefault(value, f"{len(files)}{suffix}")
        else:
            renamed[key] = _renamed(value, numbers, files)
    return renamed
