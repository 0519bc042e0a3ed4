"""Between a WSGI server and an application: hand over, and end whatever happened.

:class:`Gateway` is the WSGI middleware that puts ``wsgi.websocket`` into the environ
and that ends the connection whatever the application did. Knows nothing of Flask.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .codes import CloseCode
from .exceptions import WebSocketError
from .handshake import is_upgrade, request_target
from .host import FOREIGN_KEY
from .opening import OPENING_KEY, Opening
from .refusals import Refusal
from .websocket import WebSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Gateway"]

logger = logging.getLogger("flask_threaded_sockets")


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
        foreign = environ.get("wsgi.websocket")
        if foreign is not None and not isinstance(foreign, WebSocket):
            environ[FOREIGN_KEY] = foreign  # for the server's Host
        opening = self._prepare(environ)
        environ["wsgi.websocket"] = opening.websocket
        environ["wsgi.websocket_version"] = environ.get("HTTP_SEC_WEBSOCKET_VERSION", "")
        environ[OPENING_KEY] = opening
        relay = _Relay(opening, start_response)
        try:
            body = self._app(environ, relay.start_response)
            if opening.accepted:
                _close_body(body)  # may raise, too
        except Exception as error:
            if opening.accepted:
                return self._fail(opening, error, relay)
            if not isinstance(error, Refusal):
                opening.expire(None)
                if opening.committed:
                    return self._fail(opening, error, relay)
                raise
            body = error.get_response(environ)(environ, relay.start_response)
        except BaseException:
            if opening.accepted:
                opening.drop(CloseCode.GOING_AWAY)
            raise
        return self._relay_body(opening, relay, body)

    def _relay_body(
        self, opening: Opening, relay: _Relay, body: Iterable[bytes]
    ) -> Iterable[bytes]:
        if opening.accepted:
            return opening.finish(relay.close_code, relay.end)
        chunks = self._iterate(opening, relay, body)
        if not opening.committed:
            return chunks
        try:
            for _ in chunks:  # of a response that nobody can read
                pass
        except Exception as error:
            return self._fail(opening, error, relay)
        return [] if opening.accepted else opening.finish(relay.close_code, relay.end)

    def _iterate(self, opening: Opening, relay: _Relay, body: Iterable[bytes]) -> Iterator[bytes]:
        """Pass on a response; until its first byte, what makes it may still accept."""
        try:
            try:
                for chunk in body:
                    if opening.accepted:
                        continue
                    # With it the server sends the head, behind which no 101 may follow.
                    if not chunk or opening.committed or opening.expire(relay.status):
                        yield chunk
            finally:
                _close_body(body)
        except Exception as error:
            if not opening.accepted:
                raise
            yield from self._fail(opening, error, relay)
        except BaseException:
            if opening.accepted:
                opening.drop(CloseCode.GOING_AWAY)
            raise
        else:
            if opening.accepted:
                yield from opening.finish(relay.close_code, relay.end)
        finally:
            if not opening.accepted:
                opening.expire(relay.status)

    def _fail(self, opening: Opening, error: Exception, relay: _Relay) -> Iterable[bytes]:
        """End after an exception, which can no longer become an HTTP response."""
        if isinstance(error, WebSocketError) and error.ws is opening.websocket:
            return opening.finish(CloseCode.NORMAL, relay.end)
        try:
            self._log_exception(opening.websocket.environ, error)
        finally:  # a log's handler may raise, too
            opening.start_closing(CloseCode.INTERNAL_ERROR, "internal error")
            end = opening.finish(CloseCode.INTERNAL_ERROR, relay.end)
        return end


class _Relay:
    """Keep an application's response away from a server once the 101 is out."""

    def __init__(self, opening: Opening, start_response: StartResponse) -> None:
        self._opening = opening
        self._start_response = start_response
        self.status: int | None = None  # of the response before the 101, where there is one
        self.close_code = CloseCode.NORMAL

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        if not self._opening.accepted:
            self.status = int(status[:3])
            if not self._opening.committed:
                return self._start_response(status, headers, exc_info)
            self.close_code = CloseCode.POLICY_VIOLATION
        # What the application meant as a response decides about the close code.
        if status.startswith("503"):
            self.close_code = CloseCode.TRY_AGAIN_LATER
        elif status.startswith("5"):
            self.close_code = CloseCode.INTERNAL_ERROR
        elif status.startswith("4"):
            self.close_code = CloseCode.POLICY_VIOLATION
        return lambda _: None

    def end(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        if self.status is not None and exc_info is None:
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
