"""What should a marketer know this morning?"""

from mlmarket.reporting.content import (
    ExamplePerson,
    JourneySection,
    JourneyStep,
    MaturedPromise,
    PredictorSection,
    ReportContent,
    SegmentSection,
)

__all__ = [
    "ExamplePerson",
    "JourneySection",
    "JourneyStep",
    "MaturedPromise",
    "PredictorSection",
    "ReportContent",
    "SegmentSection",
]
