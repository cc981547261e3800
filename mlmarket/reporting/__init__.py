"""What should a marketer know this morning?"""

from mlmarket.reporting.content import (
    Earned,
    ExamplePerson,
    ItemsSection,
    JourneySection,
    MessageResult,
    MaturedPromise,
    PredictorSection,
    ReportContent,
    SegmentSection,
    Worth,
)
from mlmarket.reporting.headline import Headline, headline
from mlmarket.reporting.page import render_report

__all__ = [
    "Earned",
    "ExamplePerson",
    "Headline",
    "ItemsSection",
    "JourneySection",
    "MessageResult",
    "MaturedPromise",
    "PredictorSection",
    "ReportContent",
    "SegmentSection",
    "Worth",
    "headline",
    "render_report",
]
