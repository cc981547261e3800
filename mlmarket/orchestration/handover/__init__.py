"""How does the outbox reach the systems that act on it, nothing lost and nothing twice?"""

from typing import TYPE_CHECKING

from mlmarket.lazy_names import lazily

if TYPE_CHECKING:
    from mlmarket.orchestration.handover.adapter import Adapter, Route
    from mlmarket.orchestration.handover.backoff import Retries
    from mlmarket.orchestration.handover.database import TableAdapter
    from mlmarket.orchestration.handover.delivering import deliver
    from mlmarket.orchestration.handover.files import FileAdapter
    from mlmarket.orchestration.handover.letters import (
        dead_letters,
        in_doubt,
        requeue,
        retry_unknown,
    )
    from mlmarket.orchestration.handover.rows import Handover, Result
    from mlmarket.orchestration.handover.settings import (
        FileHandoverSettings,
        HandoverSettings,
        TableHandoverSettings,
        WebhookHandoverSettings,
        adapters,
    )
    from mlmarket.orchestration.handover.signing import Secret, signature_is_valid, signed_headers
    from mlmarket.orchestration.handover.store import OutboxStore
    from mlmarket.orchestration.handover.summary import DeliverySummary
    from mlmarket.orchestration.handover.webhook import WebhookAdapter

__all__ = [
    "Adapter",
    "DeliverySummary",
    "FileAdapter",
    "FileHandoverSettings",
    "Handover",
    "HandoverSettings",
    "OutboxStore",
    "Result",
    "Retries",
    "Route",
    "Secret",
    "TableAdapter",
    "TableHandoverSettings",
    "WebhookAdapter",
    "WebhookHandoverSettings",
    "adapters",
    "dead_letters",
    "deliver",
    "in_doubt",
    "requeue",
    "retry_unknown",
    "signature_is_valid",
    "signed_headers",
]

__getattr__ = lazily(
    __name__,
    {
        "Adapter": "adapter",
        "DeliverySummary": "summary",
        "FileAdapter": "files",
        "FileHandoverSettings": "settings",
        "Handover": "rows",
        "HandoverSettings": "settings",
        "OutboxStore": "store",
        "Result": "rows",
        "Retries": "backoff",
        "Route": "adapter",
        "Secret": "signing",
        "TableAdapter": "database",
        "TableHandoverSettings": "settings",
        "WebhookAdapter": "webhook",
        "WebhookHandoverSettings": "settings",
        "adapters": "settings",
        "dead_letters": "letters",
        "deliver": "delivering",
        "in_doubt": "letters",
        "requeue": "letters",
        "retry_unknown": "letters",
        "signature_is_valid": "signing",
        "signed_headers": "signing",
    },
)
