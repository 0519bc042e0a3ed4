"""Between a WSGI host and an application: open, hand over, end.

:class:`Gateway` is the WSGI middleware that puts ``wsgi.websocket`` into the environ
and that ends the connection whatever the application did. :class:`Opening` is one
request's opening handshake and its connection. Knows nothing of Flask.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from werkzeug.exceptions import NotImplemented as NotImplementedByServer
from werkzeug.exceptions import ServiceUnavailable

from .backend import Backend, Connection, Upgrade
from .clients import Client, clients
from .codes import CloseCode, truncate_reason
from .exceptions import WebSocketError
from .handshake import (
    Refusal,
    check_upgrade,
    is_upgrade,
    request_headers,
    request_target,
    response_head,
)
from .host import Host
from .negotiation import negotiate_deflate, select_subprotocol
from .origin import OriginRefused, check_origin
from .plugins import hosts
from .settings import Policy
from .transport import Transport, open_transport
from .websocket import WebSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["OPENING_KEY", "Gateway", "Opening", "Slots"]

logger = logging.getLogger("flask_threaded_sockets")

# Where a request's Opening is in the environ.
OPENING_KEY: Final = "flask_threaded_sockets.opening"

# A server frame: Close 1011, for a backend that failed after the 101 was out.
_CLOSE_1011: Final = b"\x88\x02\x03\xf3"


class Slots:
    """Count the open connections of one app against ``SOCKETS_MAX_CONNECTIONS``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _taken
        self._taken = 0

    def take(self, limit: int | None) -> None:
        """Take a slot, or refuse with 503 (RFC 9110 section 15.6.4)."""
        with self._lock:
            if limit is not None and self._taken >= limit:
                raise Overloaded
            self._taken += 1

    def give_back(self) -> None:
        """Give a slot back."""
        with self._lock:
            self._taken -= 1


class Overloaded(Refusal, ServiceUnavailable):
    """Answer a connection above the limit with 503."""

    code = 503
    description = "too many open websockets"
    extra_headers = (("Retry-After", "5"),)


class HostUnsupported(Refusal, NotImplementedByServer):
    """Answer with 501 where the WSGI server does not let an application have the socket."""

    code = 501
    description = "this server cannot open a websocket"


class Opening:
    """One request's opening handshake, answered once, and the connection it makes.

    Attributes:
        websocket: what the application talks to.
        accepted: whether the 101 is out, so that no HTTP response may follow.
        policy: changed by a route before it accepts.
    """

    __slots__ = (
        "_backend",
        "_client",
        "_connection",
        "_environ",
        "_finished",
        "_host",
        "_limit",
        "_lock",
        "_slots",
        "_stop_on_signal",
        "_transport",
        "accepted",
        "policy",
        "websocket",
    )

    def __init__(
        self,
        environ: WSGIEnvironment,
        backend: Backend,
        policy: Policy,
        slots: Slots,
        limit: int | None = None,
        *,
        stop_on_signal: bool = True,
    ) -> None:
        self.websocket = WebSocket(environ, self.accept)
        self.accepted = False
        self.policy = policy
        self._environ = environ
        self._backend = backend
        self._slots = slots
        self._limit = limit
        self._stop_on_signal = stop_on_signal
        self._lock = threading.Lock()  # one thread answers the handshake, others wait
        self._host: Host | None = None
        self._transport: Transport | None = None
        self._connection: Connection | None = None
        self._client: Client | None = None
        self._finished = False

    def accept(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Answer the opening handshake with a 101 and open the connection; once only.

        Args:
            headers: further headers of the 101.

        Raises:
            Refusal: the request is not one that may be accepted.
            WebSocketError: the request is over, or the peer is gone already.
        """
        with self._lock:
            if self.accepted:
                return
            if self._finished:
                raise WebSocketError("the request of this websocket is over", ws=self.websocket)
            host = _find_host(self._environ)
            key = check_upgrade(self._environ, trust_protocol=host is None or host.trust_protocol)
            self._check_origin()
            subprotocol = self._choose_subprotocol()
            deflate = None
            if self.policy.options.compression:
                deflate = negotiate_deflate(self._environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS"))
            head = response_head(
                key,
                subprotocol=subprotocol,
                deflate_header=deflate[1] if deflate else None,
                headers=headers,
            )
            if host is None:
                raise self._unsupported()
            self._slots.take(self._limit)
            try:
                sock, early = host.take(self._environ)
            except BaseException:
                self._slots.give_back()
                raise
            self._host = host
            self._transport = open_transport(sock)
            self.accepted = True
            self.websocket.subprotocol = subprotocol
            upgrade = Upgrade(
                path=request_target(self._environ),
                headers=request_headers(self._environ),
                subprotocol=subprotocol,
                deflate=deflate[0] if deflate else None,
                early=early,
            )
            self._open(self._transport, head, upgrade)

    def _check_origin(self) -> None:
        try:
            check_origin(self._environ, self.policy.allowed_origins)
        except OriginRefused as refusal:
            logger.warning("%s", refusal)
            raise

    def _choose_subprotocol(self) -> str | None:
        supported = self.policy.subprotocols
        return select_subprotocol(
            self._environ,
            () if supported is None else supported,
            required=self.policy.require_subprotocol,
        )

    def _unsupported(self) -> Refusal:
        logger.error(
            "no websockets on server %s: it does not let an application have the socket; "
            "supported: %s",
            self._environ.get("SERVER_SOFTWARE", "of unknown name"),
            ", ".join(host.name for host in hosts()),
        )
        return HostUnsupported()

    def _open(self, transport: Transport, head: bytes, upgrade: Upgrade) -> None:
        """Write the 101 and let the backend open its connection."""
        transport.send_timeout = self.policy.options.send_timeout
        try:
            peer, local = transport.getpeername(), transport.getsockname()
            transport.sendall(head)
        except OSError as error:
            transport.end()
            raise WebSocketError("peer is gone", ws=self.websocket) from error
        try:
            connection = self._backend.open(transport, upgrade, self.policy.options)
        except BaseException:
            transport.write([_CLOSE_1011], 0)
            raise
        self._connection = connection
        self.websocket.attach(connection, self._backend)
        self._client = clients.add(
            self.websocket, connection, peer, local, stop_on_signal=self._stop_on_signal
        )
        self.websocket.client = self._client

    def start_closing(self, code: int, reason: str = "") -> None:
        """Send a Close and return; :meth:`finish` waits for the peer's."""
        if self._connection is not None:
            self._connection.close(code, truncate_reason(reason), timeout=0)

    def finish(self, code: int, start_response: StartResponse) -> Iterable[bytes]:
        """End the connection, waiting for the peer's Close; then end the request.

        Args:
            code: the close code, where no other was sent.
            start_response: the server's.
        """
        try:
            if self._connection is not None:
                self._connection.close(code)
        finally:
            self._release()
        assert self._host is not None  # noqa: S101  (accepted)
        return self._host.finish(self._environ, start_response)

    def drop(self, code: int) -> None:
        """End the connection without waiting, for a thread that is being stopped."""
        try:
            if self._connection is not None:
                self._connection.close(code, timeout=0)
        finally:
            self._release()

    def _release(self) -> None:
        self._finished = True
        if self._client is not None:
            clients.remove(self._client)
        try:
            if self._transport is not None:
                self._transport.finish()
            if self._connection is not None:
                self._connection.abort()  # lets go of what the backend still holds
        finally:
            self._slots.give_back()

    def expire(self) -> None:
        """Let the WebSocket of a request that was never upgraded not be used later."""
        with self._lock:
            self._finished = True


def _find_host(environ: WSGIEnvironment) -> Host | None:
    return next((host for host in hosts() if host.claims(environ)), None)


class Gateway:
    """Wrap a WSGI application so that it can use ``environ["wsgi.websocket"]``.

    Args:
        app: the application.
        prepare: makes the :class:`Opening` of an upgrade request.
        log_exception: logs what an application raised after the 101, with traceback.
    """

    def __init__(
        self,
        app: WSGIApplication,
        prepare: Callable[[WSGIEnvironment], Opening],
        log_exception: Callable[[WSGIEnvironment, Exception], None] | None = None,
    ) -> None:
        self._app = app
        self._prepare = prepare
        self._log_exception = log_exception or _log_exception

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333); blocks as long as the connection lives."""
        if not is_upgrade(environ):
            return self._app(environ, start_response)
        opening = self._prepare(environ)
        environ["wsgi.websocket"] = opening.websocket
        environ["wsgi.websocket_version"] = environ.get("HTTP_SEC_WEBSOCKET_VERSION", "")
        environ[OPENING_KEY] = opening
        relay = _Relay(opening, start_response)
        try:
            body = self._app(environ, relay.start_response)
        except Exception as error:
            if opening.accepted:
                return self._fail(opening, error, relay)
            opening.expire()
            if not isinstance(error, Refusal):
                raise
            return error.get_response(environ)(environ, start_response)
        except BaseException:
            if opening.accepted:
                opening.drop(CloseCode.GOING_AWAY)
            raise
        return self._relay_body(opening, relay, body)

    def _relay_body(
        self, opening: Opening, relay: _Relay, body: Iterable[bytes]
    ) -> Iterable[bytes]:
        if not opening.accepted:
            return self._iterate(opening, relay, body)
        _close_body(body)
        return opening.finish(relay.close_code, relay.end)

    def _iterate(self, opening: Opening, relay: _Relay, body: Iterable[bytes]) -> Iterator[bytes]:
        """Pass on a response; an application that is a generator may still accept."""
        try:
            for chunk in body:
                if not opening.accepted:
                    yield chunk
        except Exception as error:
            if not opening.accepted:
                raise
            yield from self._fail(opening, error, relay)
            return
        finally:
            _close_body(body)
            if not opening.accepted:
                opening.expire()
        if opening.accepted:
            yield from opening.finish(relay.close_code, relay.end)

    def _fail(self, opening: Opening, error: Exception, relay: _Relay) -> Iterable[bytes]:
        """End after an exception, which can no longer become an HTTP response."""
        if isinstance(error, WebSocketError) and error.ws is opening.websocket:
            return opening.finish(CloseCode.NORMAL, relay.end)
        self._log_exception(opening.websocket.environ, error)
        opening.start_closing(CloseCode.INTERNAL_ERROR, "internal error")
        return opening.finish(CloseCode.INTERNAL_ERROR, relay.end)


class _Relay:
    """Keep an application's response away from a server once the 101 is out."""

    def __init__(self, opening: Opening, start_response: StartResponse) -> None:
        self._opening = opening
        self._start_response = start_response
        self._started = False
        self.close_code = CloseCode.NORMAL

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        if not self._opening.accepted:
            self._started = True
            return self._start_response(status, headers, exc_info)
        # What the application meant as a response decides about the close code.
        if status.startswith("5"):
            self.close_code = CloseCode.INTERNAL_ERROR
        elif status.startswith("4"):
            self.close_code = CloseCode.POLICY_VIOLATION
        return lambda _: None

    def end(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        if self._started and exc_info is None:
            # PEP 3333: only with exc_info may a second call replace the first one's head.
            error = ConnectionAbortedError("upgraded to a websocket")
            exc_info = (type(error), error, None)
        return self._start_response(status, headers, exc_info)


def _close_body(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _log_exception(environ: WSGIEnvironment, error: Exception) -> None:
    logger.error("exception on %s", request_target(environ), exc_info=error)
