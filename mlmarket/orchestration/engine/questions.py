"""For whom does a condition hold, among the passes that stand before it?

Only rows that are due are asked about, all conditions of one step together.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlmarket.expressions import Expression, ExpressionError, parse_condition, schema_of
from mlmarket.orchestration.behaviour import Behaviour
from mlmarket.orchestration.engine.bench import Bench
from mlmarket.orchestration.engine.people import People

__all__ = ["Answers", "Questions", "Subjects"]

Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, eq=False)
class Subjects:
    """About whom is asked.

    Parameters
    ----------
    person : ndarray of int64, shape (n,)
        By number.
    entered, arrived : ndarray of datetime64[us], shape (n,)
        When the pass began, and when it came to the step.
    """

    person: Rows
    entered: Times
    arrived: Times

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What was found.

    Parameters
    ----------
    holds : mapping of str to ndarray of bool, shape (n,)
        By condition.
    seen : pyarrow.Array of string, shape (n,), or None
        The values that the conditions saw, as JSON, where they were asked for.
    lacking : frozenset of str
        The conditions that tonight's tables lack a column for.
    """

    holds: Mapping[str, Flags]
    seen: pa.Array | None
    lacking: frozenset[str]
