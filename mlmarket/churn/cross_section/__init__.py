"""Who has left, in a table without dates?"""

from mlmarket.churn.cross_section.evidence import CrossSectionEvidence
from mlmarket.churn.cross_section.model import CrossSectionChurn

__all__ = ["CrossSectionChurn", "CrossSectionEvidence"]
