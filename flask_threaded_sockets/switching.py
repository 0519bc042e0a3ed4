"""The 101 as a Flask response, so that an app can add headers and cookies to it.

``after_request`` functions run and the session is saved once for each connection: before
the 101 goes out, as after it nothing they say could reach the client any more.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
from typing import Any, Final

from flask import Flask, Response, has_request_context, request, session
from flask.globals import app_ctx
from werkzeug.exceptions import HTTPException

from .exceptions import WebSocketError
from .opening import OPENING_KEY, Opening

__all__ = ["Switching", "switching_response"]

logger = logging.getLogger("flask_threaded_sockets")

# Where the Response that became the 101 is in the environ.
_RESPONSE_KEY: Final = "flask_threaded_sockets.response"

# A 101 has no content, and its connection headers are the opening handshake's.
_NOT_IN_101: Final = frozenset(
    {"connection", "content-length", "content-type", "transfer-encoding", "upgrade"}
)


def switching_response() -> Response | None:
    """Give the Response of the current request that became its 101; ``None``: none did."""
    response: Response | None = request.environ.get(_RESPONSE_KEY)
    return response


class Switching:
    """Let one app process its 101s as it processes other responses, but only once.

    Args:
        app: its ``process_response`` is wrapped.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._process: Any = app.process_response
        # Flask 3.2 hands the context to it, before the response.
        self._takes_context = len(inspect.signature(self._process).parameters) > 1
        self._warned: set[str | None] = set()  # endpoints; one warning for each
        app.process_response = self._process_once  # type: ignore[method-assign, assignment]
        self._handle_exception: Any = app.handle_user_exception
        app.handle_user_exception = self._handle_others  # type: ignore[method-assign, assignment]

    def headers(self, opening: Opening) -> list[tuple[str, str]]:
        """Process the 101 of the current request and give the headers it has then.

        Nothing is done where ``opening`` is not the current request's, as in a thread
        without a context.

        Raises:
            HTTPException: an ``after_request`` function put another response in its place.
        """
        if not has_request_context() or request.environ.get(OPENING_KEY) is not opening:
            return []
        context = (app_ctx._get_current_object(),) if self._takes_context else ()  # type: ignore[attr-defined]  # noqa: SLF001
        response: Response = self._process(*context, self._app.response_class(status=101))
        request.environ[_RESPONSE_KEY] = response
        if response.status_code != 101:
            raise HTTPException(response=response)
        with contextlib.suppress(AttributeError):  # a session may be of any class
            if session.modified:
                session.modified = False  # so that a later change is noticed
        return [pair for pair in response.headers if pair[0].lower() not in _NOT_IN_101]

    def _handle_others(self, *arguments: Any) -> Any:
        """Stand for ``Flask.handle_user_exception``; a view's own socket that ended is no error."""
        error = arguments[-1]
        opening: Opening | None = request.environ.get(OPENING_KEY)
        own = opening.websocket if opening is not None and opening.accepted else None
        if own is not None and isinstance(error, WebSocketError) and error.ws is own:
            return switching_response() or self._app.response_class(status=101)
        return self._handle_exception(*arguments)

    def _process_once(self, *arguments: Any) -> Any:
        """Stand for ``Flask.process_response``."""
        if switching_response() is None:
            return self._process(*arguments)
        if getattr(session, "modified", False) and request.endpoint not in self._warned:
            self._warned.add(request.endpoint)
            logger.warning(
                "session changed after the 101 on endpoint %r, which is lost: a cookie can be "
                "set before it only, e.g. in before_request",
                request.endpoint,
            )
        return arguments[-1]
