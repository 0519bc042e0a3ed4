"""wsproto's protocol against the built-in one."""

from __future__ import annotations

from differential import Agreement
from flask_threaded_sockets_wsproto.protocol import WsprotoProtocol


class TestWsproto(Agreement):
    make = WsprotoProtocol
