"""Which tables are there, what do they hold, and what was known when?"""

from mlmarket.market.history import record_contacts
from mlmarket.market.market import Market
from mlmarket.market.report import CheckReport, Note, TableCount
from mlmarket.market.settings import (
    BusinessSettings,
    EngineSettings,
    MarketSettings,
    TableSettings,
)
from mlmarket.market.time import parse_duration, within
from mlmarket.market.violations import ContractViolationError, Violation

__all__ = [
    "BusinessSettings",
    "CheckReport",
    "ContractViolationError",
    "EngineSettings",
    "Market",
    "MarketSettings",
    "Note",
    "TableCount",
    "TableSettings",
    "Violation",
    "parse_duration",
    "record_contacts",
    "within",
]
