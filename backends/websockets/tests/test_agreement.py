"""The codec of both backends against the built-in one."""

from __future__ import annotations

from differential import Agreement
from flask_threaded_sockets_websockets.sansio_backend import SansioProtocol


class TestWebsockets(Agreement):
    make = SansioProtocol
    patient = True
