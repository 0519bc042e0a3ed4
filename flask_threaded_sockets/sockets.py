"""The :class:`Sockets` router: WebSocket handlers as Flask routes.

Routes are Flask's own, with ``websocket=True``, so that ``before_request``, ``url_for``,
converters, blueprints, error handlers and teardown are Flask's too. Knows nothing of
frames.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, Flask, current_app, has_app_context, request
from werkzeug.exceptions import HTTPException

from .backend import Backend
from .codes import CloseCode
from .exceptions import ConfigurationError, WebSocketError
from .extension import EXTENSION, AppState, state_of
from .gateway import OPENING_KEY, Opening
from .settings import split_route_options

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
            app.extensions[EXTENSION].add_rule(app, rule, endpoint, view, dict(options))

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
            opening.accept()
            self.handler(opening.websocket, **values)
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
        return current_app.response_class(status=101)


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
        state: AppState = app.extensions[EXTENSION]
        state.add_rule(app, rule, endpoint, _View(view_func, changes), options)
