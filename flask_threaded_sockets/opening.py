"""One request's opening handshake, answered once, and the connection that it makes.

:class:`Opening` checks the request, takes the socket from the host, writes the 101, lets
the backend open its connection and sees it to its end. What an application wants to know
or to add it says as an :class:`Observer`. Knows nothing of Flask.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from . import accesslog
from .backend import Backend, Connection, DeflateParameters, Upgrade
from .clients import Client, clients
from .codes import CloseCode, truncate_reason
from .exceptions import WebSocketError
from .handshake import (
    check_upgrade,
    request_headers,
    request_target,
    response_head,
)
from .host import Host
from .hosting import HOST_KEY, OPENED_KEY, advise, check_host, find_host
from .negotiation import negotiate_deflate, select_subprotocol
from .observer import Ending, Observer
from .origin import OriginRefused, check_origin
from .refusals import Refusal
from .settings import Policy
from .slots import Slots
from .transport import Transport, open_transport
from .websocket import WebSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["HOST_KEY", "OPENING_KEY", "Opening"]

logger = logging.getLogger("flask_threaded_sockets")

# Where a request's Opening is in the environ.
OPENING_KEY: Final = "flask_threaded_sockets.opening"


def _close(code: int) -> bytes:
    """Make a Close where no backend does: it failed after the 101, or was never asked."""
    return b"\x88\x02" + code.to_bytes(2, "big")


class _Terms(NamedTuple):
    """What an opening handshake has come to, before it is answered."""

    host: Host
    key: str | None  # None: the server has answered it
    subprotocol: str | None
    deflate: DeflateParameters | None
    deflate_header: str | None


class Opening:
    """One request's opening handshake, answered once, and the connection it makes.

    Attributes:
        websocket: what the application talks to.
        accepted: whether the 101 is out, so that no HTTP response may follow.
        policy: changed by a route before it accepts.
        refusal: why this package refused, or ``None``.
    """

    __slots__ = (
        "_backend",
        "_client",
        "_connection",
        "_environ",
        "_finished",
        "_greeted",
        "_host",
        "_limit",
        "_lock",
        "_observer",
        "_since",
        "_slots",
        "_stop_on_signal",
        "_terms",
        "_transport",
        "accepted",
        "policy",
        "refusal",
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
        observer: Observer | None = None,
        stop_on_signal: bool = True,
    ) -> None:
        self.websocket = WebSocket(environ, self.accept)
        self.accepted = False
        self.policy = policy
        self.refusal: Refusal | None = None
        self._environ = environ
        self._backend = backend
        self._slots = slots
        self._limit = limit
        self._observer = observer or Observer()
        self._stop_on_signal = stop_on_signal
        self._lock = threading.Lock()  # one thread answers the handshake, others wait
        self._terms: _Terms | None = None
        self._since = 0.0
        self._host = find_host(environ)  # its own WebSocket object is still there
        self._transport: Transport | None = None
        self._connection: Connection | None = None
        self._client: Client | None = None
        self._greeted = False  # the 101 is out, but for what a signal may interrupt
        self._finished = False

    @property
    def _server_answered(self) -> bool:
        return self._host is not None and self._host.answers

    @property
    def committed(self) -> bool:
        """Whether the 101 is out, be it the server's own, so that nothing but frames may follow."""
        return self.accepted or self._server_answered

    def check(self) -> None:
        """Check the opening handshake against the policy, and leave the answer open.

        Raises:
            Refusal: the request is not one that may be accepted.
        """
        with self._lock:
            self._agree()

    def accept(self) -> None:
        """Answer the opening handshake with a 101 and open the connection; once only.

        Raises:
            Refusal: the request is not one that may be accepted.
            WebSocketError: the request is over, or the peer is gone already.
        """
        with self._lock:
            if self.accepted:
                return
            if self._finished:
                raise WebSocketError("the request of this websocket is over", ws=self.websocket)
            self._accept(self._agree())

    def _agree(self) -> _Terms:
        if self._terms is None:
            try:
                self._terms = self._negotiate()
            except Refusal as refusal:
                self.refusal = refusal
                raise
        return self._terms

    def _negotiate(self) -> _Terms:
        key = None
        if not self._server_answered:
            key = check_upgrade(
                self._environ, trust_protocol=self._host is None or self._host.trust_protocol
            )
        self._check_origin()
        subprotocol = self._choose_subprotocol()
        host = check_host(self._host, self._environ)
        deflate = None
        if host.answers:
            subprotocol = host.subprotocol(self._environ)
        else:  # a malformed header is refused also where no extension is wanted
            deflate = negotiate_deflate(self._environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS"))
        agreed = (self.policy.options.compression and deflate) or (None, None)
        return _Terms(host, key, subprotocol, *agreed)

    def _accept(self, terms: _Terms) -> None:
        self._take_slot()
        try:
            head = self._head(terms)
            sock, early = terms.host.take(self._environ)
            advise(terms.host, self._environ, self._limit)
            self._transport = open_transport(sock)
        except BaseException:
            self._slots.give_back()
            raise
        self._since = time.monotonic()
        self.accepted = True
        self.websocket.subprotocol = terms.subprotocol
        upgrade = Upgrade(
            path=request_target(self._environ),
            headers=request_headers(self._environ),
            subprotocol=terms.subprotocol,
            deflate=terms.deflate,
            early=early,
        )
        with clients.arrival():
            self._open(self._transport, head, upgrade)
        opened = self._environ.pop(OPENED_KEY, None)
        if opened is not None:
            opened()
        self._observer.connected(self)

    def _take_slot(self) -> None:
        try:
            self._slots.take(self._limit)
        except Refusal as refusal:
            self.refusal = refusal
            raise

    def _head(self, terms: _Terms) -> bytes:
        headers = self._observer.response_headers(self)
        if terms.key is None:
            return b""
        return response_head(
            terms.key,
            subprotocol=terms.subprotocol,
            deflate_header=terms.deflate_header,
            headers=headers,
        )

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

    def _open(self, transport: Transport, head: bytes, upgrade: Upgrade) -> None:
        """Write the 101 and let the backend open its connection."""
        transport.send_timeout = self.policy.options.send_timeout
        try:
            peer, local = transport.getpeername(), transport.getsockname()
            self._greeted = True
            if head:
                transport.sendall(head)
        except OSError as error:
            transport.end()
            raise WebSocketError("peer is gone", ws=self.websocket) from error
        try:
            connection = self._backend.open(transport, upgrade, self.policy.options)
        except Exception:
            transport.write([_close(CloseCode.INTERNAL_ERROR)], 0)
            raise
        self._connection = connection
        self.websocket.attach(connection, self._backend)
        self._client = clients.add(
            self.websocket,
            connection,
            peer,
            local,
            owner=self._observer,
            stop_on_signal=self._stop_on_signal,
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
        assert self._host is not None  # noqa: S101  (committed)
        if not self.accepted:
            self._turn_away(code)
            return self._host.finish(self._environ, start_response)
        try:
            if self._connection is not None:
                self._connection.close(code)
        finally:
            self._release()
        return self._host.finish(self._environ, start_response)

    def _turn_away(self, code: int) -> None:
        """Close what the server had opened before the application refused it."""
        assert self._host is not None  # noqa: S101  (committed)
        transport = open_transport(self._host.take(self._environ)[0])
        transport.send_timeout = self.policy.options.send_timeout
        with contextlib.suppress(OSError):
            transport.sendall(_close(code))
        transport.finish()

    def drop(self, code: int) -> None:
        """End the connection without waiting, for a thread that is being stopped."""
        try:
            if self._connection is not None:
                self._connection.close(code, timeout=0)
            elif self._greeted and self._transport is not None:
                with contextlib.suppress(OSError):
                    self._transport.write([_close(code)], 0)
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
            self._tell_ending()
            self._part()

    def _tell_ending(self) -> None:
        code = self.websocket.close_code
        ending = Ending(
            CloseCode.ABNORMAL if code is None else code,
            self.websocket.close_reason or "",
            time.monotonic() - self._since,
        )
        accesslog.log_ending(self._environ, ending.code, ending.duration)
        if self._client is not None:
            self._observer.disconnected(self, ending)

    def expire(self, status: int | None) -> bool:
        """Take note of the HTTP response; the WebSocket cannot be opened any more.

        Args:
            status: the response's; ``None``: there was none.

        Returns:
            Whether that is so; ``False``: another thread has just opened it.
        """
        with self._lock:
            if self.accepted or self._finished:
                return not self.accepted
            self._finished = True
        if status is not None:
            self._observer.refused(self, status)
        self._part()
        return True

    def _part(self) -> None:
        """Leave nothing that the garbage collector would have to find; the request is over."""
        self._environ.pop(OPENING_KEY, None)
        self._environ["wsgi.websocket"] = None  # as gevent-websocket leaves it
        self.refusal = None  # its traceback knows this object
        self.websocket.part()
