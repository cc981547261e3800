"""What should a marketer know this morning?"""

from mlmarket.reporting.content import (
    ExamplePerson,
    ItemsSection,
    JourneySection,
    JourneyStep,
    MaturedPromise,
    PredictorSection,
    ReportContent,
    SegmentSection,
    Worth,
)
from mlmarket.reporting.diagram import journey_diagram
from mlmarket.reporting.headline import Headline, headline
from mlmarket.reporting.page import render_report

__all__ = [
    "ExamplePerson",
    "Headline",
    "ItemsSection",
    "JourneySection",
    "JourneyStep",
    "MaturedPromise",
    "PredictorSection",
    "ReportContent",
    "SegmentSection",
    "Worth",
    "headline",
    "journey_diagram",
    "render_report",
]
