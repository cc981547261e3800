"""When is something tried again, and when is it given up?"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from mlmarket.errors import ConfigurationError
from mlmarket.evaluation.assignment import stable_fraction

__all__ = ["PATIENTLY", "Retries"]

_MOST_DOUBLINGS: Final = 40


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently something is tried.

    Parameters
    ----------
    attempts : int, default 8
        What has failed so often is a dead letter.
    first : timedelta, default 1 minute
        The longest wait before the second attempt.
    factor : float, default 4.0
        How much longer each further wait may be.
    longest : timedelta, default 12 hours
        No wait is longer. With the defaults the seven waits last 30 hours at most and half of
        that on average.
    """

    attempts: int = 8
    first: timedelta = timedelta(minutes=1)
    factor: float = 4.0
    longest: timedelta = timedelta(hours=12)

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first <= timedelta(0) or self.factor < 1.0:
            what = f"{self} waits for nothing, or never tries."
            why = (
                "Rows would be given up unsent, or a receiver that is down be called all the time."
            )
            raise ConfigurationError(
                what, why, "use attempts and waits above 0, and a factor from 1."
            )

    def wait(self, key: str, attempt: int, *, at_least: timedelta | None = None) -> timedelta:
        """Return how long to wait after an attempt.

        Parameters
        ----------
        key : str
            What was tried. Its lot decides within the limit ("full jitter" [1]_), so that those
            that failed together do not come back together; the same key waits equally long in
            each run.
        attempt : int
            How often it was tried, from 1.
        at_least : timedelta, optional
            What the receiver asked for; the lot is added to it.

        Returns
        -------
        timedelta
            From 0 up to ``first * factor ** (attempt - 1)`` or ``longest``, in whole microseconds.

        References
        ----------
        .. [1] M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        doublings = min(attempt - 1, _MOST_DOUBLINGS)
        seconds = min(
            self.first.total_seconds() * self.factor**doublings, self.longest.total_seconds()
        )
        lot = stable_fraction(f"backoff|{attempt}", key)
        return timedelta(seconds=seconds * lot) + (at_least or timedelta(0))


PATIENTLY: Final = Retries()
"""The defaults."""
