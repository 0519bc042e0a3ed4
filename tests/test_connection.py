"""The I/O shell, in instants that a peer cannot choose."""

from __future__ import annotations

import socket

import pytest

from flask_threaded_sockets.codec import BuiltinProtocol
from flask_threaded_sockets.codes import Opcode
from flask_threaded_sockets.connection import ThreadedConnection
from flask_threaded_sockets.exceptions import ConnectionClosed
from flask_threaded_sockets.options import ConnectionOptions
from flask_threaded_sockets.transport import open_transport


class Interrupted(ThreadedConnection):
    """Send between the protocol's end and the connection's, as another thread might."""

    __slots__ = ("raised",)

    def _drop(self, code: int, reason: str = "") -> None:
        self.raised = []
        for send in (self.ping, self.pong, lambda: self.send(Opcode.TEXT, b"late")):
            with pytest.raises(Exception) as caught:
                send()
            self.raised.append(type(caught.value))
        super()._drop(code, reason)


def test_who_sends_while_the_end_of_the_stream_is_taken_in_is_told_that_it_has_ended() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        connection = Interrupted(BuiltinProtocol(), open_transport(ours), ConnectionOptions())
        theirs.close()
        with pytest.raises(ConnectionClosed):
            connection.receive(timeout=10)
        assert connection.raised == [ConnectionClosed] * 3
