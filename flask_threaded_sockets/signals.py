"""Signals an app may connect to: a WebSocket was opened, has ended, or was refused.

They are blinker's, as Flask's own are, and their sender is the Flask app. Receivers run
in the connection's thread, one after the other, so they should be quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blinker import Namespace
from flask import Flask

from .observer import Ending
from .opening import Opening

if TYPE_CHECKING:
    from blinker import NamedSignal

__all__ = [
    "send_connected",
    "send_disconnected",
    "send_refused",
    "websocket_connected",
    "websocket_disconnected",
    "websocket_refused",
]

_signals = Namespace()

websocket_connected: NamedSignal = _signals.signal(
    "websocket-connected",
    """Sent when the 101 is out, before the handler starts, in the request's context.

    Arguments: ``ws``. What a receiver raises is treated as if the handler had raised it.
    """,
)

websocket_disconnected: NamedSignal = _signals.signal(
    "websocket-disconnected",
    """Sent when a connection has ended and its handler has returned, in an app context.

    Arguments: ``ws``, ``code``, ``reason``, ``duration`` in seconds, and what was carried
    as a whole: ``messages_received``, ``messages_sent`` and, in bytes of payload before
    compression, ``bytes_received``, ``bytes_sent``. What a receiver raises is logged.
    """,
)

websocket_refused: NamedSignal = _signals.signal(
    "websocket-refused",
    """Sent when an opening handshake got an HTTP response instead of a 101, in an app context.

    Arguments: ``environ``, ``status``, and ``refusal``: the exception with which this
    package refused, ``None`` where the app did. What a receiver raises is logged.
    """,
)


def send_connected(app: Flask, opening: Opening) -> None:
    """Send :data:`websocket_connected`; what a receiver raises propagates."""
    if websocket_connected.receivers:
        websocket_connected.send(app, ws=opening.websocket)


def send_disconnected(app: Flask, opening: Opening, ending: Ending) -> None:
    """Send :data:`websocket_disconnected`; never raises."""
    ws = opening.websocket
    _send(
        app,
        websocket_disconnected,
        ws=ws,
        code=ending.code,
        reason=ending.reason,
        duration=ending.duration,
        messages_received=ws.messages_received,
        messages_sent=ws.messages_sent,
        bytes_received=ws.bytes_received,
        bytes_sent=ws.bytes_sent,
    )


def send_refused(app: Flask, opening: Opening, status: int) -> None:
    """Send :data:`websocket_refused`; never raises."""
    environ = opening.websocket.environ
    _send(app, websocket_refused, environ=environ, status=status, refusal=opening.refusal)


def _send(app: Flask, signal: NamedSignal, **arguments: Any) -> None:
    if not signal.receivers:
        return
    try:
        with app.app_context():
            signal.send(app, **arguments)
    except Exception:
        # The request is over: there is nobody left to raise to.
        app.logger.exception("exception in a receiver of %s", signal.name)
