"""What in the segments and journeys will not do what was meant?"""

from mlmarket.orchestration.lint.findings import Finding, exit_code
from mlmarket.orchestration.lint.linting import PredictionsAt, lint

__all__ = ["Finding", "PredictionsAt", "exit_code", "lint"]
