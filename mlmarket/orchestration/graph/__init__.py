"""What does a journey look like?"""

from mlmarket.orchestration.graph.counts import JourneyCounts, NodeCounts
from mlmarket.orchestration.graph.drawing import journey_svg
from mlmarket.orchestration.graph.mermaid import to_mermaid

__all__ = ["JourneyCounts", "NodeCounts", "journey_svg", "to_mermaid"]
