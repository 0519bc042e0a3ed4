"""The I/O shell, in instants that a peer cannot choose."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator

import pytest
from live import in_thread
from peer import CLOSE

from flask_threaded_sockets.codec import BuiltinProtocol
from flask_threaded_sockets.codes import Opcode
from flask_threaded_sockets.connection import ThreadedConnection
from flask_threaded_sockets.exceptions import ConnectionClosed
from flask_threaded_sockets.options import ConnectionOptions
from flask_threaded_sockets.shell import Shell
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


@pytest.fixture
def hasty() -> Iterator[None]:
    """Let threads interrupt each other as often as possible."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def send_until_closed(shell: Shell) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            shell.send(Opcode.BINARY, bytes(100))


@pytest.mark.usefixtures("hasty")
def test_close_goes_out_though_the_lock_is_held_by_a_sender_who_then_fails() -> None:
    # Nobody else is there to send it: no monitor looks after a bare shell.
    for _ in range(20):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.settimeout(10)
            shell = Shell(BuiltinProtocol(), open_transport(ours), ConnectionOptions())
            senders = [in_thread(send_until_closed, shell) for _ in range(4)]
            theirs.recv(1)
            in_thread(shell.close, 1000, "", 0).result()
            last = b""
            while not last.endswith(bytes([CLOSE, 2]) + b"\x03\xe8"):
                last = last[-3:] + theirs.recv(65536)
            for sender in senders:
                sender.result()
