"""One line per connection, at its end, in the form of Werkzeug's access log.

``127.0.0.1 - - [22/Nov/2026 12:00:00] "GET /echo HTTP/1.1" 101 - 1000 3.214s``: Werkzeug's
line with the close code and the duration behind it. On this package's own server the line
stands among those of the other requests, in the place of Werkzeug's own. A foreign server
writes its access log itself and knows nothing of codes; there the line goes to the logger
``flask_threaded_sockets.access`` at INFO, which is silent unless it is configured.
"""

from __future__ import annotations

import logging
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Final

from .handshake import request_target

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["ENDING_KEY", "log_ending"]

logger = logging.getLogger("flask_threaded_sockets.access")

# A server that writes the line itself puts this into the environ, and finds its end there.
ENDING_KEY: Final = "flask_threaded_sockets.ending"

# Not strftime's, which speaks the locale's language.
_MONTHS: Final = BaseHTTPRequestHandler.monthname


def log_ending(environ: WSGIEnvironment, code: int, duration: float) -> None:
    """Log the end of a connection, or leave that to the server that asked for it.

    Args:
        environ: the request's.
        code: the close code.
        duration: seconds.
    """
    ending = f"{code} {duration:.3f}s"
    if ENDING_KEY in environ:
        environ[ENDING_KEY] = ending
    elif logger.isEnabledFor(logging.INFO):
        now = time.localtime()
        logger.info(
            '%s - - [%02d/%s/%04d %s] "GET %s %s" 101 - %s',
            environ.get("REMOTE_ADDR") or "-",
            now.tm_mday,
            _MONTHS[now.tm_mon],
            now.tm_year,
            time.strftime("%H:%M:%S", now),
            request_target(environ),
            environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
            ending,
        )
