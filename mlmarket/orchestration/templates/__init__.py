"""Which journeys are there to begin with?"""

from mlmarket.orchestration.templates.columns import (
    DOCUMENTED,
    DocumentedColumn,
    documented_schema,
)
from mlmarket.orchestration.templates.shelf import (
    load_template,
    template_playbook,
    templates,
    write_templates,
)

__all__ = [
    "DOCUMENTED",
    "DocumentedColumn",
    "documented_schema",
    "load_template",
    "template_playbook",
    "templates",
    "write_templates",
]
