"""The :class:`Sockets` router: WebSocket handlers as Flask routes.

Routes are Flask's own, with ``websocket=True``, so that ``before_request``, ``url_for``,
converters, blueprints, error handlers and teardown are Flask's too. Knows nothing of
frames.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Blueprint, Flask, current_app, has_app_context, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map

from . import broadcast, stopping
from .backend import Backend
from .clients import Client, clients
from .codes import CloseCode, is_sendable_close_code, truncate_reason
from .exceptions import ConfigurationError, WebSocketError
from .extension import EXTENSION, AppState, state_of
from .opening import OPENING_KEY, Opening
from .rules import rules_of
from .settings import split_route_options
from .switching import switching_response
from .testing import add_websocket
from .websocket import WebSocket

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from flask.ctx import AppContext

__all__ = ["Sockets"]

logger = logging.getLogger("flask_threaded_sockets")

Handler = TypeVar("Handler", bound=Callable[..., object])


class Sockets:
    """Put WebSocket handlers next to an app's own routes.

    Routes may be declared before or after :meth:`init_app`, and one object may serve
    several apps, each with its own configuration.

    Args:
        app: the app, or ``None`` to call :meth:`init_app` later.
        backend: the name of a backend; comes before ``FLASK_SOCKETS_BACKEND`` and
            ``app.config["SOCKETS_BACKEND"]``.

    Raises:
        ConfigurationError: the app's configuration is wrong or the backend unusable.
    """

    def __init__(self, app: Flask | None = None, *, backend: str | Backend | None = None) -> None:
        self._backend_argument = backend
        self._registrations: list[Callable[[Flask], None]] = []
        self._states: list[AppState] = []
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Serve an app: check its configuration, choose the backend, add the routes.

        Raises:
            ConfigurationError: the configuration is wrong or the backend unusable.
            RuntimeError: the app has a ``Sockets`` already.
        """
        if EXTENSION in app.extensions:
            raise RuntimeError(f"app {app.name!r} has a Sockets already, use that one")
        state = AppState(app, self._backend_argument)
        app.extensions[EXTENSION] = state
        self._states.append(state)
        add_websocket(app)
        for register in self._registrations:
            register(app)

    @property
    def backend(self) -> Backend:
        """The backend of the current app, or of the app initialised last.

        Raises:
            RuntimeError: there is no app yet.
        """
        return self._state().backend

    def _state(self) -> AppState:
        if has_app_context():
            state = state_of(current_app)
            if state is not None and state in self._states:
                return state
        if not self._states:
            raise RuntimeError("this Sockets has no app yet, call init_app first")
        return self._states[-1]

    @property
    def url_map(self) -> Map:
        """The WebSocket rules of the current app, or of the app initialised last.

        A copy, to look at and to match with: routes are added with :meth:`route`.
        """
        app = self._state().app
        return rules_of(app, lambda endpoint: isinstance(app.view_functions[endpoint], _View))

    @property
    def connections(self) -> list[WebSocket]:
        """The open WebSockets of this process, in order of their opening; a snapshot.

        In an app context those of that app, else those of all apps of this ``Sockets``.
        """
        return [client.ws for client in self._clients()]

    def _clients(self) -> list[Client]:
        states = [self._state()] if has_app_context() else self._states
        return [client for state in states for client in state.clients()]

    def broadcast(
        self,
        message: str | ReadableBuffer,
        *,
        to: Iterable[WebSocket] | Callable[[WebSocket], object] | None = None,
        timeout: float = 1.0,
    ) -> broadcast.BroadcastResult:
        """Send a message to many; from any thread, also without a context.

        Nobody waits for a client that does not read: those that have room get the message
        at once. The call itself waits for the others, until ``timeout`` is over.

        Args:
            message: ``str`` is sent as text, bytes-like as binary.
            to: WebSockets, or a function that says for each of :attr:`connections`
                whether it is meant; ``None``: all of them.
            timeout: seconds.

        Returns:
            Who has it and who has not; see :class:`~.broadcast.BroadcastResult`.

        Raises:
            TypeError: ``message`` is neither ``str`` nor bytes-like.
        """
        if to is None:
            targets = self.connections
        elif callable(to):
            targets = [ws for ws in self.connections if to(ws)]
        else:
            targets = list(dict.fromkeys(to))
        return broadcast.broadcast(targets, message, timeout)

    def shutdown(
        self, code: int = CloseCode.GOING_AWAY, reason: str = "", *, timeout: float = 1.5
    ) -> None:
        """Close the open WebSockets, as :attr:`connections` has them, and wait for their end.

        From any thread. A server goes on serving: who connects during or after the call
        is not concerned. For a server's own end there is ``SOCKETS_HANDLE_SIGNALS``.

        Args:
            code: the close code (RFC 6455 section 7.4).
            reason: the close reason; cut to 123 bytes of UTF-8.
            timeout: seconds for clients and handlers to end, all together; then the
                connections are dropped.

        Raises:
            ValueError: the code may not be sent.
        """
        if not is_sendable_close_code(code):
            raise ValueError(f"close code {code!r} may not be sent (RFC 6455 section 7.4)")
        timeout = min(timeout, threading.TIMEOUT_MAX)
        deadline = time.monotonic() + timeout
        clients.wait_arrived(timeout)  # who has read a 101 already is one of them
        left = max(0, deadline - time.monotonic())
        stopping.close_all(self._clients(), code, truncate_reason(reason), left)

    def fresh_context(self) -> AppContext:
        """Give an app context for one step of a long handler, to be used in a ``with``.

        At the end of the block the ``teardown_appcontext`` functions run, so that what
        they give back, such as a database connection of a pool, is held during the step
        only and not as long as the client stays. ``g`` is new in the block; ``request``
        and ``session`` are the handler's.
        """
        return self._state().app.app_context()

    def route(self, rule: str, **options: Any) -> Callable[[Handler], Handler]:
        """Declare a handler for a URL rule; the function is returned unchanged.

        Args:
            rule: the URL rule, with Flask's converters.
            options: Flask's (``endpoint``, ``defaults``, ``host``, ``subdomain``, ...)
                and this package's: ``subprotocols``, ``require_subprotocol``,
                ``allowed_origins``, ``max_message_size``, ``ping_interval``,
                ``ping_timeout``, ``close_timeout``, ``send_timeout``, ``max_queue``,
                ``compression``.

        Raises:
            ConfigurationError: an option has an impossible value.
        """

        def decorator(handler: Handler) -> Handler:
            endpoint = options.pop("endpoint", None)
            self.add_url_rule(rule, endpoint, handler, **options)
            return handler

        return decorator

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., object] | None = None,
        **options: Any,
    ) -> None:
        """Declare a handler for a URL rule, as :meth:`route` does.

        Args:
            rule: the URL rule.
            endpoint: the name for ``url_for``; the function's by default.
            view_func: the handler: called with the ``WebSocket`` and the rule's values.
            options: as for :meth:`route`.
        """
        if view_func is None:
            raise ConfigurationError(f"websocket route {rule!r} needs a handler")
        _check_methods(rule, options)
        changes = split_route_options(options)
        view = _View(view_func, changes)
        endpoint = endpoint or view.__name__

        def register(app: Flask) -> None:
            _add_rule(app, rule, endpoint, view, dict(options))

        self._register(register)

    def add_view(
        self,
        url: str,
        f: Callable[..., object],
        endpoint: str | None = None,
        **options: Any,
    ) -> None:
        """Declare a handler for a URL rule, in the order of version 0.3's arguments."""
        self.add_url_rule(url, endpoint, f, **options)

    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Register a blueprint whose routes are WebSocket handlers; nested ones, too.

        A route declared with ``websocket=False`` and the static files stay HTTP.

        Args:
            blueprint: an ordinary Flask blueprint; its functions take the ``WebSocket``
                first.
            options: those of ``Flask.register_blueprint``, e.g. ``url_prefix``.
        """

        def register(app: Flask) -> None:
            blueprint.register(_BlueprintApp(app), dict(options))  # type: ignore[arg-type]

        self._register(register)

    def _register(self, register: Callable[[Flask], None]) -> None:
        self._registrations.append(register)
        for state in self._states:
            register(state.app)


def _add_rule(app: Flask, rule: str, endpoint: str, view: _View, options: dict[str, Any]) -> None:
    """Add a route; several on one handler, as decorators on top of each other, are one view."""
    present = app.view_functions.get(endpoint)
    if isinstance(present, _View) and present.handler is view.handler:
        if present.changes != view.changes:
            raise ConfigurationError(
                f"websocket route {rule!r} has other options than the first one of endpoint "
                f"{endpoint!r}: give it an endpoint of its own"
            )
        view = present
    state: AppState = app.extensions[EXTENSION]
    state.add_rule(app, rule, endpoint, view, options)


def _check_methods(rule: str, options: dict[str, Any]) -> None:
    methods = options.pop("methods", None)
    if methods is not None and {str(method).upper() for method in methods} - {"GET"}:
        raise ConfigurationError(f"websocket route {rule!r} is opened with GET, not {methods!r}")
    if not options.pop("websocket", True):
        raise ConfigurationError(f"websocket route {rule!r} cannot have websocket=False")


class _View:
    """Be the Flask view of a handler: accept, run, say how it ended."""

    # Flask looks at these: a handshake is a GET, and OPTIONS is not one.
    methods = ("GET",)
    provide_automatic_options = False

    def __init__(self, handler: Callable[..., object], changes: dict[str, Any]) -> None:
        self.handler = handler
        self.changes = changes
        # What functools.wraps leaves behind. A decorator such as login_required is to refuse
        # over HTTP, so below one the 101 goes out when the WebSocket is first used.
        self.is_decorated = hasattr(handler, "__wrapped__")
        functools.update_wrapper(self, handler, updated=())
        self.__name__: str = getattr(handler, "__name__", type(handler).__name__)

    def __call__(self, **values: Any) -> Any:
        opening: Opening | None = request.environ.get(OPENING_KEY)
        if opening is None:
            raise RuntimeError(
                "this request did not come through Sockets: app.wsgi_app was replaced, "
                "wrap it instead"
            )
        opening.policy = current_app.extensions[EXTENSION].policy(self.changes)
        try:
            opening.check()
            if not self.is_decorated:
                opening.accept()
            answer = self.handler(opening.websocket, **values)
            if answer is not None and not opening.accepted:
                return answer
            opening.accept()
        except WebSocketError as error:
            # The seed's loops end by sending on their own closed socket. Another
            # socket's error is a defect of the handler.
            if error.ws is not opening.websocket:
                opening.start_closing(CloseCode.INTERNAL_ERROR, "internal error")
                raise
        except HTTPException as error:
            if opening.accepted:
                opening.start_closing(*_close_of(error))
            raise
        except Exception:
            opening.start_closing(CloseCode.INTERNAL_ERROR, "internal error")
            raise
        opening.start_closing(CloseCode.NORMAL)
        return switching_response() or current_app.response_class(status=101)


def _close_of(error: HTTPException) -> tuple[int, str]:
    # abort(Response(...)) has no code of its own.
    status = error.get_response().status_code
    code = CloseCode.POLICY_VIOLATION if status < 500 else CloseCode.INTERNAL_ERROR
    return code, error.name


class _BlueprintApp:
    """Stand for an app while a blueprint registers: its routes become handlers."""

    def __init__(self, app: Flask) -> None:
        object.__setattr__(self, "_app", app)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._app, name, value)

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        app: Flask = self._app
        owner = getattr(view_func, "__self__", None)
        is_static = isinstance(owner, Blueprint) and endpoint == f"{owner.name}.static"
        if is_static or view_func is None or options.get("websocket") is False:
            app.add_url_rule(rule, endpoint, view_func, **options)
            return
        options.pop("provide_automatic_options", None)
        _check_methods(rule, options)
        changes = split_route_options(options)
        _add_rule(app, rule, endpoint or view_func.__name__, _View(view_func, changes), options)
