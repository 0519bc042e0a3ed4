"""WebSockets for plain WSGI, without Flask: a handler as an application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .backend import Backend
from .choice import choose_backend
from .exceptions import ConfigurationError, WebSocketError
from .gateway import Gateway
from .opening import OPENING_KEY, Opening
from .refusals import UpgradeRequired
from .settings import Policy, check_features, split_route_options
from .slots import Slots
from .websocket import WebSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["WebSocketWSGI", "websocket_middleware"]


def websocket_middleware(
    app: WSGIApplication, *, backend: str | Backend | None = None, **options: Any
) -> WSGIApplication:
    """Give a WSGI application ``environ["wsgi.websocket"]``, as gevent-websocket does.

    Args:
        app: the application.
        backend: the backend's name; ``None``: ``FLASK_SOCKETS_BACKEND`` or the default.
        options: as for a route, e.g. ``max_message_size``.

    Raises:
        ConfigurationError: the backend cannot be used, or an option has an impossible
            value.
    """
    chosen = choose_backend(argument=backend).backend
    changes = split_route_options(options)
    if options:
        raise ConfigurationError(f"unknown option {next(iter(options))!r}")
    check_features(chosen, changes, "an argument")
    policy = Policy().override(changes)
    slots = Slots()
    return Gateway(app, lambda environ: Opening(environ, chosen, policy, slots))


class WebSocketWSGI:
    """Make a WSGI application of a WebSocket handler.

    Args:
        handler: called with a :class:`WebSocket` for each client, in the server's thread.
        backend: the backend's name; ``None``: ``FLASK_SOCKETS_BACKEND`` or the default.
        options: as for a route, e.g. ``max_message_size`` or ``subprotocols``.

    Raises:
        ConfigurationError: the backend cannot be used, or an option has an impossible
            value.
    """

    def __init__(
        self,
        handler: Callable[[WebSocket], object],
        *,
        backend: str | Backend | None = None,
        **options: Any,
    ) -> None:
        self.handler = handler
        self._app = websocket_middleware(self._run, backend=backend, **options)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request; one that is no opening handshake is answered with 426."""
        return self._app(environ, start_response)

    def _run(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        opening: Opening | None = environ.get(OPENING_KEY)
        if opening is None:
            return UpgradeRequired().get_response(environ)(environ, start_response)
        opening.accept()
        try:
            self.handler(opening.websocket)
        except WebSocketError as error:
            if error.ws is not opening.websocket:
                raise
        return []
