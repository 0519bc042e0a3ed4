"""What an app carries of a :class:`~flask_threaded_sockets.sockets.Sockets`.

The checked configuration, the chosen backend, the count of open connections, and the
hooks into the app: the WSGI middleware, the 101's headers, the signals and the
correction of routing errors.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, request, request_started
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import RequestRedirect, WebsocketMismatch

from . import stopping
from .backend import Backend
from .choice import Choice, choose_backend
from .clients import Client, clients
from .gateway import Gateway
from .handshake import is_upgrade
from .hosting import advise_at_start
from .observer import Ending, Observer
from .opening import Opening
from .refusals import UpgradeRequired
from .settings import PREFIX, Policy, Settings, check_features
from .signals import send_connected, send_disconnected, send_refused
from .slots import Slots
from .switching import Switching

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["EXTENSION", "AppState", "state_of"]

logger = logging.getLogger("flask_threaded_sockets")

EXTENSION: Final = "flask_threaded_sockets"


class AppState:
    """Hold one app's part of a ``Sockets``.

    Args:
        app: the app.
        backend: the backend's name from the code, or ``None``.

    Raises:
        ConfigurationError: the configuration is wrong or the backend unusable.
    """

    def __init__(self, app: Flask, backend: str | Backend | None) -> None:
        self.app = app
        self.slots = Slots()
        self._observer = _AppObserver(app)
        self._argument = backend
        self._lock = threading.Lock()  # guards the four below, which change together
        self._raw: dict[str, Any] | None = None
        self._settings = Settings()
        self._choice: Choice | None = None
        self._policies: dict[int, Policy] = {}
        self._refresh()
        app.wsgi_app = Gateway(  # type: ignore[method-assign]
            app.wsgi_app, self._prepare, self._log_exception
        )
        request_started.connect(_correct_routing, app)
        if self._settings.handle_signals:
            stopping.install()
        advise_at_start(self._settings.max_connections)

    @property
    def backend(self) -> Backend:
        """The backend, as the configuration has it now."""
        return self._refresh()[1].backend

    @property
    def choice(self) -> Choice:
        """The backend and what chose it."""
        return self._refresh()[1]

    @property
    def settings(self) -> Settings:
        """The checked configuration, as it is now."""
        return self._refresh()[0]

    def _refresh(self) -> tuple[Settings, Choice]:
        """Check the configuration again where it has changed since it was looked at.

        An app may well be configured after ``Sockets(app)``.
        """
        raw = {key: value for key, value in self.app.config.items() if key.startswith(PREFIX)}
        with self._lock:
            if raw != self._raw or self._choice is None:
                settings = Settings.from_config(raw)
                choice = choose_backend(argument=self._argument, config=settings.backend)
                check_features(choice.backend, settings.explicit, "the config")
                if self._choice is None or choice.backend is not self._choice.backend:
                    logger.info(
                        "app %r uses websocket backend %r (%s)",
                        self.app.name,
                        choice.backend.name,
                        choice.source,
                    )
                self._raw, self._settings, self._choice = raw, settings, choice
                self._policies = {}
            return self._settings, self._choice

    def policy(self, changes: Mapping[str, Any]) -> Policy:
        """Give the app's policy with a route's changes; computed once for each route."""
        settings = self._refresh()[0]
        if not changes:
            return settings.policy
        policy = self._policies.get(id(changes))
        if policy is None:
            policy = self._policies[id(changes)] = settings.policy.override(changes)
        return policy

    def add_rule(
        self,
        app: Flask,
        rule: str,
        endpoint: str | None,
        view: Callable[..., Any],
        options: dict[str, Any],
    ) -> None:
        """Add a WebSocket route to the app.

        Raises:
            BackendError: the backend cannot honour one of the route's options.
        """
        changes = getattr(view, "changes", {})
        check_features(self.backend, changes, f"route {rule!r}")
        # A client is not redirected by its handshake, so a missing slash must do.
        options.setdefault("strict_slashes", False)
        options.setdefault("merge_slashes", False)
        app.add_url_rule(
            rule, endpoint, view, provide_automatic_options=False, websocket=True, **options
        )

    def clients(self) -> list[Client]:
        """List the app's open WebSockets, as they are now, in order of their opening."""
        return clients.of_owner(self._observer)

    def check(self) -> None:
        """Raise what is wrong with the configuration as it is now; for a server's start."""
        self._refresh()

    def _prepare(self, environ: WSGIEnvironment) -> Opening:
        # A client may offer other protocols next to it (RFC 9110 section 7.8), but Werkzeug's
        # routing knows an upgrade by this value alone.
        environ["HTTP_UPGRADE"] = "websocket"
        settings, choice = self._refresh()
        return Opening(
            environ,
            choice.backend,
            settings.policy,
            self.slots,
            settings.max_connections,
            observer=self._observer,
            stop_on_signal=settings.handle_signals,
        )

    def _log_exception(self, environ: WSGIEnvironment, error: Exception) -> None:
        # In debug and testing Flask lets exceptions out, for a page or a test client to
        # show them. Here there is neither.
        self.app.logger.error("Exception on %s [GET]", environ.get("PATH_INFO"), exc_info=error)


class _AppObserver(Observer):
    """Bring an app and its connections together."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._switching = Switching(app)

    def response_headers(self, opening: Opening) -> list[tuple[str, str]]:
        return self._switching.headers(opening)

    def connected(self, opening: Opening) -> None:
        send_connected(self._app, opening)

    def disconnected(self, opening: Opening, ending: Ending) -> None:
        send_disconnected(self._app, opening, ending)

    def refused(self, opening: Opening, status: int) -> None:
        send_refused(self._app, opening, status)


def state_of(app: object) -> AppState | None:
    """Give what an app carries of a ``Sockets``; ``None``: nothing, or it is no Flask app."""
    extensions = getattr(app, "extensions", None)
    return extensions.get(EXTENSION) if isinstance(extensions, dict) else None


def _correct_routing(app: Flask, **_: Any) -> None:
    """Turn Werkzeug's routing errors into what a WebSocket's client can use.

    Runs as a request starts, before ``before_request`` functions and error handlers.
    """
    error = request.routing_exception
    if isinstance(error, WebsocketMismatch):
        if not is_upgrade(request.environ):
            request.routing_exception = UpgradeRequired()
            return
        # A plain view may take environ["wsgi.websocket"], as with gevent-websocket.
        adapter = app.create_url_adapter(request)
        if adapter is None:
            return
        try:
            rule, values = adapter.match(return_rule=True, websocket=False)
        except HTTPException as other:
            error = request.routing_exception = other
        else:
            request.routing_exception = None
            request.url_rule, request.view_args = rule, dict(values)
    if isinstance(error, RequestRedirect) and is_upgrade(request.environ):
        request.routing_exception = NotFound()
