"""How is a row handed over by a signed request, and what if no answer comes?

Each row is one POST as Standard Webhooks has it; ``webhook-id`` is the idempotency key and stays
the same for each attempt. What happened is told apart by when it broke: before anything was
written nothing can have arrived, afterwards only the receiver knows.
"""

import http.client
import ipaddress
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import SplitResult, urlsplit

from mlmarket.errors import ConfigurationError
from mlmarket.orchestration.handover.adapter import ALL_ROWS, Route
from mlmarket.orchestration.handover.backoff import PATIENTLY, Retries
from mlmarket.orchestration.handover.replies import Reply, judged
from mlmarket.orchestration.handover.rows import Handover, Result, about_all, plain_json
from mlmarket.orchestration.handover.signing import Secret, signed_headers

__all__ = ["WebhookAdapter"]

_MOST_OF_A_BODY: Final = 10_000
_BROKEN: Final = (OSError, http.client.HTTPException)
_VISIBLE: Final = range(0x21, 0x7F)


def _clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class WebhookAdapter:
    """Hands each row over as one signed request.

    Parameters
    ----------
    name : str
        What the configuration calls it.
    url : str
        Where to; ``https``, or ``http`` on this machine. It may hold a secret and is never shown.
    secrets : tuple of Secret
        What requests are signed with: the current one, and while it is replaced, the former.
    route : Route
        Which rows it is there for.
    honours_keys : bool, default False
        Whether the receiver does nothing twice that has the same ``webhook-id``. Where it does
        not, what got no answer is ``unknown`` and is never sent again by itself.
    batch : int, optional
        Rows at a time: by default 100, or 1 where keys are not honoured, because so many are in
        doubt where a process dies.
    timeout : float, default 20.0
        Seconds that the receiver may be silent.
    retries : Retries, optional
        How often and how patiently it tries.
    clock : callable, optional
        Returns the time of an attempt, with a zone.

    Raises
    ------
    ConfigurationError
        Where nothing may be sent to such an address.
    """

    name: str
    url: str = field(repr=False)
    secrets: tuple[Secret, ...]
    route: Route = ALL_ROWS
    honours_keys: bool = False
    batch: int = 0
    timeout: float = 20.0
    retries: Retries = PATIENTLY
    clock: Callable[[], datetime] = _clock

    def __post_init__(self) -> None:
        _refuse_address(self.name, self.url)
        if not self.batch:
            object.__setattr__(self, "batch", 100 if self.honours_keys else 1)

    @property
    def idempotent(self) -> bool:
        """Whether the receiver honours keys."""
        return self.honours_keys

    def accepts(self, row: Handover) -> bool:
        """Return whether the row belongs to its route.

        Parameters
        ----------
        row : Handover
            Of the outbox.
        """
        return self.route.takes(row)

    def send(self, batch: Sequence[Handover]) -> list[Result]:
        """Make one request a row, until the receiver takes nothing more.

        Parameters
        ----------
        batch : sequence of Handover
            Its rows.

        Returns
        -------
        list of Result
            One a row; those that it did not come to are ``retry``.
        """
        results: list[Result] = []
        line = _Line(self.url, self.timeout)
        try:
            for one in batch:
                results.append(self._send_one(line, one))
                if not results[-1].receiver_answers:
                    break
        finally:
            line.hang_up()
        rest = batch[len(results) :]
        words = "The receiver took nothing at that time."
        return results + [
            Result(one.key, "retry", words, receiver_answers=False, tried=False) for one in rest
        ]

    def recover(self, batch: Sequence[Handover]) -> list[Result]:
        """Say what a receiver that cannot be asked leaves to say.

        Parameters
        ----------
        batch : sequence of Handover
            The rows that a process was handing over.

        Returns
        -------
        list of Result
            ``retry`` where keys are honoured, else ``unknown``.
        """
        if self.honours_keys:
            return about_all(batch, "retry", "The process ended before the answer.")
        return about_all(batch, "unknown", "The process ended; whether it arrived is not known.")

    def _send_one(self, line: "_Line", row: Handover) -> Result:
        body = plain_json(row.to_event()).encode()
        try:
            line.pick_up(fresh=not self.honours_keys)
        except _BROKEN as error:
            words = f"The receiver could not be reached: {_in_words(error)}."
            return Result(row.key, "retry", words, receiver_answers=False)
        headers = signed_headers(self.secrets, row.key, body, at=self.clock())
        try:
            reply = line.post(body, headers)
        except _BROKEN as error:
            line.hang_up()
            words = f"The request was made, no answer came: {_in_words(error)}."
            silent = isinstance(error, TimeoutError)
            # Only the receiver knows whether it arrived.
            if self.honours_keys:
                return Result(row.key, "retry", words, receiver_answers=not silent)
            return Result(row.key, "unknown", words, receiver_answers=not silent)
        return judged(row.key, reply, now=self.clock())


class _Line:
    """A connection to one host, kept from one request to the next where that does no harm."""

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._connection = _connection(parts, timeout)
        self._is_open = False

    def pick_up(self, *, fresh: bool) -> None:
        if fresh:
            # One that was kept may have been closed at the other end, which shows too late.
            self.hang_up()
        if not self._is_open:
            self._connection.connect()
            self._is_open = True

    def post(self, body: bytes, headers: dict[str, str]) -> Reply:
        said = {"content-type": "application/json", "user-agent": "mlmarket", **headers}
        self._connection.request("POST", self._target, body=body, headers=said)
        response = self._connection.getresponse()
        content = b""
        try:
            content = response.read(_MOST_OF_A_BODY)
        except _BROKEN:
            self.hang_up()  # the status says it all
        if not response.isclosed() or response.will_close:
            self.hang_up()
        return Reply(response.status, response.headers.get("retry-after"), content)

    def hang_up(self) -> None:
        self._connection.close()
        self._is_open = False


def _connection(parts: SplitResult, timeout: float) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
    return http.client.HTTPConnection(host, parts.port, timeout=timeout)


def _refuse_address(name: str, url: str) -> None:
    why = "Rows hold names and addresses of people, and are signed for one receiver."
    fix = 'write url = "https://host/path"; keep secrets in the environment.'
    try:
        parts = urlsplit(url)
        here = _is_here(parts.hostname or "")
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"[handover.{name}] has a `url` that is none.", why, fix) from None
    wrong = ""
    if parts.scheme not in {"https", "http"}:
        wrong = f"begins with '{parts.scheme}:'"
    elif not parts.hostname or port == 0:
        wrong = "names no host"
    elif parts.scheme == "http" and not here:
        wrong = "is not encrypted"
    elif parts.username is not None or parts.password is not None or parts.fragment:
        wrong = "holds a user, a password or a '#'"
    elif any(ord(sign) not in _VISIBLE for sign in url):
        wrong = "holds a space or a sign that addresses cannot have"
    if wrong:
        raise ConfigurationError(f"[handover.{name}] has a `url` that {wrong}.", why, fix)


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it was silent for too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    reason = error.strerror if isinstance(error, OSError) else None
    return reason or type(error).__name__
