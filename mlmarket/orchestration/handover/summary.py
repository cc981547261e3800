"""How many rows were handed over, and what became of the others?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DeliverySummary"]

_WORDS: Final = MappingProxyType(
    {
        "sent": "handed over",
        "retry": "to be tried again later",
        "failed": "failed for good (dead letters)",
        "unknown": "in doubt (they may have arrived and are not repeated)",
    }
)


@dataclass(frozen=True, slots=True)
class DeliverySummary:
    """What one delivery did.

    Parameters
    ----------
    counts : mapping of (str, str) to int
        Rows by the name of the adapter and what became of them: sent, retry, failed or unknown.
    recovered : int
        Rows among them that a process before had left in the middle.
    batches : int
        How many batches were settled.
    resting : tuple of str
        Adapters whose receivers took nothing more; their rows wait for the next delivery.
    stopped : bool
        Whether it ended because the process was asked to.
    """

    counts: Mapping[tuple[str, str], int] = field(default_factory=lambda: MappingProxyType({}))
    recovered: int = 0
    batches: int = 0
    resting: tuple[str, ...] = ()
    stopped: bool = False

    def total(self, status: str) -> int:
        """Return the number of rows that came to an end, over all adapters.

        Parameters
        ----------
        status : str
            sent, retry, failed or unknown.
        """
        return sum(count for (_, found), count in self.counts.items() if found == status)

    def to_frame(self) -> "pd.DataFrame":
        """Return the counts.

        Returns
        -------
        pandas.DataFrame
            ``handover``, ``status`` and ``rows``, in this order.
        """
        import pandas as pd

        rows = [(*key, count) for key, count in sorted(self.counts.items())]
        return pd.DataFrame(rows, columns=["handover", "status", "rows"])

    def __str__(self) -> str:
        totals = [(self.total(status), words) for status, words in _WORDS.items()]
        said = [f"{count:,} {words}" for count, words in totals if count]
        sentences = [", ".join(said) if said else "nothing was due"]
        if self.recovered:
            sentences.append(f"{self.recovered:,} of them left by a process that ended before")
        if self.resting:
            sentences.append(f"{', '.join(self.resting)} took nothing more")
        if self.stopped:
            sentences.append("stopped on request; the rest waits")
        return "; ".join(sentences) + "."

    def _repr_html_(self) -> str:
        return f"<p>{self}</p>{self.to_frame().to_html(index=False)}"
